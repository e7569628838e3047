"""Where every rollout stands and why, in a line each: for somebody who has just been woken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gateway.config import parse
from gateway.config.quantities import percent_text
from gateway.errors import ConfigError
from gateway.model import Route, RoutingConfig, Version
from monitoring.analysis.verdict import Kind
from monitoring.controller.leader import is_led
from monitoring.history import journal
from monitoring.history.changes import Entry, Status, read
from monitoring.judgement.acting import outlook
from monitoring.judgement.docket import Key
from monitoring.judgement.record import VERDICT, WATCH, Record

_OUTCOMES = {"rollback": "rolled back", "promote": "promoted"}


def summary(file: Path) -> list[str]:
    """By the file and its history; empty where there is no such file here, or a refused one."""
    try:
        config = parse(file.read_bytes())
        records = _records(file)
        changes = _changes(file)
    except (OSError, ConfigError):
        return []
    return list(lines_of(config, records, changes, led=is_led(file)))


def outcomes(file: Path, route: str = "") -> list[str]:
    """What became of the candidates that are under way no more, of one route or of all. Raises
    OSError and ConfigError.
    """
    config, changes = parse(file.read_bytes()), _changes(file)
    routes = [one for one in config.routes if route in ("", one.name)]
    found = (
        outcome_of(one, version, changes.get((one.name, version.name)))
        for one in routes
        for version in one.versions
        if not version.weight
    )
    return [line for line in found if line]


def _changes(file: Path) -> dict[Key, Entry]:
    return newest_of(read(file))


def newest_of(changes: Iterable[Entry]) -> dict[Key, Entry]:
    """The newest change that was made of each version."""
    done = (one for one in changes if one.status is Status.DONE)
    return {(one.route, one.version): one for one in done}


def _records(file: Path) -> dict[Key, Record]:
    """The newest of each candidate."""
    rows = {
        (str(row.get("route")), str(row.get("version"))): row
        for row in journal.rows(file, {VERDICT, WATCH})
    }
    found = {key: Record.of(row) for key, row in rows.items()}
    return {key: record for key, record in found.items() if record is not None}


def lines_of(
    config: RoutingConfig,
    records: Mapping[Key, Record],
    changes: Mapping[Key, Entry],
    *,
    led: bool,
) -> Iterator[str]:
    """The same from what is known of the file: the newest verdict and the newest change of each."""
    for route in config.routes:
        for version in route.versions:
            key = route.name, version.name
            if version.weight and (route.analysis or route.rollout(version.name)):
                yield f"{' '.join(key)}: {_under_way(route, version, records.get(key))}"
            elif line := outcome_of(route, version, changes.get(key)):
                yield line
    if not led and any(route.analysis or route.rollouts for route in config.routes):
        yield "no controller watches this file: nothing is judged, nothing is taken out"


def outcome_of(route: Route, version: Version, last: Entry | None) -> str:
    """What its rollout ended with; empty if it did not, or is not any more as that left it."""
    if last is None or last.action not in _OUTCOMES:
        return ""
    if (version.name == route.stable) is not (last.action == "promote"):
        return ""
    done = f"{_OUTCOMES[last.action]} at {last.at} by {last.by}"
    return f"{route.name} {version.name}: {done}{': ' if last.reason else ''}{last.reason}"


def _under_way(route: Route, version: Version, record: Record | None) -> str:
    if route.analysis is None:
        return "nothing is judged: the route has no `analysis`"
    if record is None or record.filed.watch.weight != version.weight:
        return "no verdict on this weight was written down yet"
    verdict, position, _ = record.again()
    where = outlook(position, record.filed.watch.seconds, verdict)
    for_what = f" for {percent_text(position.following)} %" if position.following else ""
    kind = f"{record.kind}{for_what if record.kind == Kind.SUCCESSFUL else ''}"
    return f"{where}. {kind}: {record.sentence} (as of {record.at})"


def sentence_of(route: Route, version: Version, record: Record | None, change: Entry | None) -> str:
    """The same of one version, without its name; empty if there is nothing to tell."""
    if version.weight and (route.analysis or route.rollout(version.name)):
        return _under_way(route, version, record)
    return outcome_of(route, version, change).removeprefix(f"{route.name} {version.name}: ")
