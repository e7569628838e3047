"""``python -m monitoring.service``: the gateway, with the pages of this package on its admin port.

What ``canary serve`` becomes. It takes the arguments of ``python -m gateway``, which knows nothing
of this package.
"""

from __future__ import annotations

import sys

from gateway.__main__ import main
from gateway.admin.app import Mount
from monitoring import runbooks
from monitoring.history.authors import Authors


def mounts() -> tuple[Mount, ...]:
    """What is served besides the gateway's own."""
    return (Mount(runbooks.PATH, runbooks.application(runbooks.pages()), open=True),)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], mounts(), Authors))
