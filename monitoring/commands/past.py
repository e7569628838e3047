"""``history`` and ``replay``: who changed the traffic and why, and whether it holds water."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from monitoring.commands.options import DEFAULT_FILE, File, Json, print_json
from monitoring.history import changes, journal
from monitoring.history.annals import Event, events
from monitoring.judgement.record import VERDICT, WATCH
from monitoring.judgement.replay import replay as replayed
from monitoring.printable import shown

_TOLD = ("id", "at", "route", "version", "verdict", "action", "sentence", "alerts")
_WHERE = ("generation", "weight", "following", "step", "steps", "stand")
_NUMBERS = ("evidence", "limit", "numbers")


def history(
    file: File = DEFAULT_FILE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 20,
    json: Json = False,
) -> None:
    """Who changed the traffic, when and why, and what the verdicts were; the newest last."""
    found = list(events(file))[-limit:]
    if json:
        print_json([_document(event) for event in found])
        return
    if not found:
        typer.echo(f"no change of {file} is recorded yet")
    for event in found:
        typer.echo(_line(event))


def replay(file: File = DEFAULT_FILE, json: Json = False) -> None:
    """Make every verdict and decision of the history again from the evidence in it; exit 1 if one
    comes out differently.
    """
    found = replayed(journal.rows(file, {VERDICT, WATCH, "intent", "late"}))
    agrees = not found.disagreements
    if json:
        print_json({"ok": agrees} | asdict(found))
    else:
        for one in found.disagreements:
            typer.echo(shown(one))
        how = "all agree" if agrees else f"{len(found.disagreements)} do not agree"
        typer.echo(
            f"{found.verdicts} verdicts, {found.looks} looks between them and "
            f"{found.edits} edits of the controller made again: {how}"
        )
    if not agrees:
        raise typer.Exit(1)


def _document(event: Event) -> dict[str, Any]:
    if isinstance(event, changes.Entry):
        return {"row": "change"} | asdict(event)
    return {"row": VERDICT} | {name: event.get(name) for name in (*_TOLD, *_WHERE, *_NUMBERS)}


def _line(event: Event) -> str:
    """One event on one line: when, who, what, why."""
    if isinstance(event, changes.Entry):
        return _change(event)
    following = event.get("following")
    for_what = f" for {following} %" if following and event.get("verdict") == "Successful" else ""
    what = f"{event.get('verdict')}{for_what} at {event.get('weight')} %, {event.get('action')}"
    where = f"{event.get('route')} {event.get('version')}"
    told = event.get("alerts")
    alerts = [f"alert: {alert}" for alert in told] if isinstance(told, list) else []
    parts = [event.get("at"), "verdict", where, what, event.get("sentence"), *alerts]
    return shown("  ".join(str(part) for part in parts if part))


def _change(entry: changes.Entry) -> str:
    shares = [
        f"{version} {entry.before.get(version, 0):g} -> {share:g} %"
        for version, share in entry.after.items()
        if entry.before.get(version, 0) != share
    ]
    parts = [entry.at, entry.by, entry.action, entry.route, ", ".join(shares) or entry.version]
    line = "  ".join(part for part in parts if part)
    if entry.became:
        line += f"  [{entry.became}]"
    return shown(f"{line}  {entry.reason}" if entry.reason else line)
