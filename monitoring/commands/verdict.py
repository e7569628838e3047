"""``verdict``: what the counts say of each candidate, signal by signal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import isinf
from time import time
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from gateway.config import parse
from monitoring.analysis.verdict import Finding, Verdict
from monitoring.commands.options import (
    DEFAULT_ADMIN,
    DEFAULT_FILE,
    Admin,
    File,
    Json,
    TokenFile,
    content_of,
    print_json,
    token_of,
)
from monitoring.history.chronicle import Chronicle
from monitoring.judgement.acting import outlook
from monitoring.judgement.docket import Docket, Judgement
from monitoring.printable import shown
from monitoring.readings.agreement import disagreement
from monitoring.readings.sources import GatewaySources
from monitoring.summary import outcomes


def verdict(
    route: Annotated[str, typer.Argument(help="One route only.")] = "",
    file: File = DEFAULT_FILE,
    admin: Admin = DEFAULT_ADMIN,
    admin_token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """How good is each candidate, and what its rollout waits for: what the controller has written
    down of it, and the gateway's counts since.
    """
    config = parse(content_of(file))
    if route and route not in {one.name for one in config.routes}:
        known = ", ".join(one.name for one in config.routes)
        raise typer.BadParameter(f"there is no route {route!r} in {file}; write one of {known}")
    with GatewaySources([admin], token_of(admin_token_file)) as source:
        documents = source.evidence()
    told = (one for one in documents if one is not None)
    if other := disagreement(file, config.generation, told):
        raise typer.BadParameter(other)
    docket = Docket(Chronicle(file, time).recall())
    judged = [one for one in docket.look(config, documents) if route in ("", one.route.name)]
    if json:
        print_json([_document(one) for one in judged])
        return
    if judged:
        Console().print(Group(*(part for one in judged for part in _shown(one))))
    else:
        typer.echo("no candidate gets traffic in a route with `analysis`")
    for line in outcomes(file, route):
        typer.echo(shown(line))


def _document(judgement: Judgement) -> dict[str, Any]:
    position, watched = judgement.position, _watched(judgement)
    return {
        "route": judgement.route.name,
        "version": judgement.candidate.name,
        **asdict(judgement.verdict),
        "position": asdict(position) | {"pause": None if isinf(position.pause) else position.pause},
        "watched": watched,
        "action": str(judgement.action),
        "outlook": outlook(position, watched, judgement.verdict),
    }


def _watched(judgement: Judgement) -> float:
    return judgement.filed.watch.seconds if judgement.filed else 0.0


def _shown(judgement: Judgement) -> Iterator[Table | Text]:
    verdict = judgement.verdict
    yield Text(f"{judgement.route.name} {judgement.candidate.name}: {verdict.kind}", style="bold")
    yield Text(f"  {verdict.sentence}")
    yield Text(f"  {outlook(judgement.position, _watched(judgement), verdict)}")
    for why in (*_why(verdict), *(f"alert: {alert}" for alert in verdict.alerts)):
        yield Text(f"  {why}")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  signal", no_wrap=True)
    for heading in ("worse", "proven good", "difference", "answers shifted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for finding in verdict.findings:
        table.add_row(*_row(finding, verdict.limit))
    yield table


def _why(verdict: Verdict) -> tuple[str, ...]:
    """The reasons that are more than a word."""
    return tuple(f"not proven good yet: {one}" for one in verdict.reasons if ":" in one)


def _row(finding: Finding, limit: float) -> tuple[str, ...]:
    interval, shift = finding.interval, finding.shift
    between = "-"
    if interval is not None and (interval.low > -1 or interval.high < 1):
        between = f"{100 * interval.low:+g} to {100 * interval.high:+g} points"
    return (
        f"  {finding.signal}",
        f"{finding.evidence:.3g} of {limit:g}",
        "-" if finding.proof is None else f"{finding.proof:.3g} of {limit:g}",
        between,
        "-" if shift is None else f"TV {shift.tv:.3f}, JS {shift.js:.4f}, PSI {shift.psi:.3f}",
    )
