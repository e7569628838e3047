"""``python -m monitoring.console FILE --gateway URL --listen H:P``: the console alone, on loopback
and without a door, for whoever works on its pages.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from monitoring.console.app import create_console
from monitoring.console.context import Context
from monitoring.sources import GatewaySources


def main() -> None:
    """Serve until Ctrl-C."""
    options = argparse.ArgumentParser(prog="python -m monitoring.console")
    options.add_argument("file", type=Path)
    options.add_argument("--gateway", default="http://127.0.0.1:8081")
    options.add_argument("--listen", default="127.0.0.1:8083")
    given = options.parse_args()
    host, _, port = given.listen.rpartition(":")
    with GatewaySources([given.gateway]) as sources:
        application = create_console(Context(given.file, sources))
        uvicorn.run(application, host=host, port=int(port), timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
