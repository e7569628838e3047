"""The table, as it is printed and as it stands in docs/compatibility.md."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from tests.compatibility.environments import ROOT
from tests.compatibility.rows import WEIGHT, Row
from tests.compatibility.servers import NOT_RUN

FILE = ROOT / "docs" / "compatibility.md"
HEAD = (
    "server",
    "version",
    "client",
    "version",
    "protocol",
    "what was asked",
    "result",
    "share of the candidate",
    "predictions read",
)


def line(row: Row) -> str:
    """One row of markdown."""
    cells = (
        *(row.server, row.version, row.client, row.client_version, row.protocol),
        *(row.asked, row.result, row.share, row.read),
    )
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def summary(rows: Sequence[Row]) -> str:
    """A line for each server, as the README has it: with whom it works, and who does not."""
    lines = ["| server | version | clients |", "|---|---|---|"]
    for server, its in groupby(rows, key=lambda row: row.server):
        pairs = list(its)
        clients = dict.fromkeys(map(_client, pairs))
        lines.append(f"| {server} | {pairs[0].version} | {', '.join(clients)} |")
    return "\n".join(lines)


def _client(row: Row) -> str:
    if not row.works:
        return f"BROKEN: {row.client}"
    name = f"{row.client} {row.client_version}"
    return f"{name} (refused by the server itself)" if row.refused else name


def document(rows: Sequence[Row]) -> str:
    """The page."""
    bar = f"|{'|'.join(' --- ' for _ in HEAD)}|"
    servers = len({row.server for row in rows})
    clients = len({row.client for row in rows})
    broken = sum(not row.works for row in rows)
    refused = sum(row.refused for row in rows)
    not_run = [f"| {name} | {why} |" for name, why in NOT_RUN.items()]
    return "\n".join(
        [
            "# Clients and model servers that work through the gateway, unmodified",
            "",
            "Printed by `make compatibility` (`python -m tests.compatibility --write`), "
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}.",
            "",
            "Each server runs twice behind a real `canary serve`, as stable and as candidate with "
            f"{WEIGHT} % of the requests.",
            "Each client asks the server itself first, then the gateway, and has to see the same; "
            "what the server itself",
            "cannot, is said. The share is that of all requests that were drawn, as the gateway "
            "counted them. Predictions are",
            'those that the gateway read out of the answers; "not" are good answers without one. '
            "Versions of everything else",
            "stand in `tests/compatibility/requirements/`.",
            "",
            f"{servers} servers, {clients} clients, {len(rows)} pairs: {broken} broken, "
            f"{refused} refused by the server itself.",
            "",
            summary(rows),
            "",
            "## Each pair",
            "",
            f"| {' | '.join(HEAD)} |",
            bar,
            *map(line, rows),
            "",
            "## Not run",
            "",
            "| what | why |",
            "| --- | --- |",
            *not_run,
            "",
        ]
    )
