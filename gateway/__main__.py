"""``python -m gateway [routing.yaml]``: serve one file on the default ports."""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop

from gateway.app import Address, serve
from gateway.errors import ConfigError
from gateway.logs import configure_logs


def main(arguments: list[str]) -> int:
    """Exit code 0 after a drain, 2 for a refused file."""
    path = Path(arguments[0] if arguments else "routing.yaml")
    configure_logs()
    try:
        uvloop.run(serve(path, Address("127.0.0.1", 8080), Address("127.0.0.1", 8081)))
    except ConfigError as error:
        for problem in error.problems:
            print(problem.render(path.name), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
