"""``python -m tests.compatibility``: real clients and foreign model servers, unmodified, through a
real gateway with a split in force.

Each server runs twice, as stable and as candidate with 30 %, behind a ``canary serve``; each client
first asks the server itself, then the gateway, and has to see the same. Prints a table; ``--write``
puts it into docs/compatibility.md. Exit code 1 if anything does not work.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from tests.compatibility import table
from tests.compatibility.rows import Row, rows_of
from tests.compatibility.servers import SERVERS


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=list(SERVERS))
    parser.add_argument("--client", help="only clients whose name has this in it")
    parser.add_argument("--write", action="store_true", help="into docs/compatibility.md")
    options = parser.parse_args(words)
    if options.write and (options.only or options.client):
        parser.error("--write is for the whole table: leave out --only and --client")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends all the same
    found: list[Row] = []
    for name in options.only or SERVERS:
        for row in rows_of(name, SERVERS[name], options.client or ""):
            print(table.line(row), file=sys.stderr, flush=True)
            found.append(row)
    text = table.document(found)
    print(text)
    if options.write:
        table.FILE.write_text(text)
    return 0 if all(row.works for row in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
