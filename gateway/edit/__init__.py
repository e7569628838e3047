"""Changes to the text of ``routing.yaml``: bytes and a change in, bytes out, no I/O.

Only the characters of the scalars concerned are replaced, at the places the YAML composer marked,
so comments, quotes, layout and line ends are the operator's own afterwards. The rest of the module
is distrust: the result is parsed again and must equal the parsed original with exactly the
intended change, or no bytes are handed out at all.

Everything happens on decoded text, where the composer's indexes hold. Strict UTF-8 decodes and
encodes back to the same bytes, so what is not spliced does not change.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import unified_diff

from gateway.config import parse
from gateway.config.quantities import percent_text
from gateway.edit.change import (
    AddVersion,
    Change,
    Promote,
    RemoveVersion,
    Restore,
    SetPaused,
    SetWeight,
)
from gateway.edit.intention import intended, named, routed
from gateway.edit.placement import splices
from gateway.edit.splice import spliced
from gateway.errors import ConfigError, EditRefused
from gateway.model import RoutingConfig

__all__ = [
    "AddVersion",
    "Change",
    "Promote",
    "RemoveVersion",
    "Restore",
    "SetPaused",
    "SetWeight",
    "apply",
    "diff",
    "named",
    "routed",
]


def apply(content: bytes, change: Change) -> bytes:
    """The file with the change made; the same bytes if it says so already.

    Raises :class:`ConfigError` if the file as it is would be refused, :class:`UnknownName` and
    :class:`EditRefused` if the change cannot be made to it.
    """
    before = parse(content)
    meant = intended(before, change)
    if meant == before:
        return content
    text, route = content.decode(), before.route(change.route)
    for tidy in (True, False):
        after = spliced(text, splices(text, change, route, tidy=tidy)).encode()
        objection = _objection(after, meant, change)
        if objection is None:
            return after
    raise EditRefused(objection)


def diff(before: bytes, after: bytes, filename: str) -> str:
    """The change as a unified diff; empty if there is none."""
    lines = unified_diff(_lines(before), _lines(after), filename, filename)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(content: bytes) -> list[str]:
    """Lines with their ends. Only a newline ends one: a carriage return is shown, not obeyed."""
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode(errors="replace"))


def _objection(after: bytes, meant: RoutingConfig, change: Change) -> str | None:
    """Why the edited text will not do; None if it means what was intended and nothing else."""
    try:
        found = parse(after)
    except ConfigError as error:
        if not any(_contradicts(each.path, change) for each in error.problems):
            return _by_hand(change)  # it is the layout
        problems = "; ".join(f"{each.path}: {each.message}" for each in error.problems)
        return f"{_place(change)}: the edited file would be refused: {problems}"
    as_intended = replace(found, generation=meant.generation) == meant
    return None if as_intended else _by_hand(change)


def _contradicts(path: str, change: Change) -> bool:
    """Whether a problem at this path is one of the change itself, in whatever layout."""
    if isinstance(change, SetPaused | RemoveVersion):
        return False
    if isinstance(change, AddVersion):
        return path == f"routes.{change.route}.versions" or f"{path}.".startswith(
            f"{_place(change)}."
        )
    return True


def _place(change: Change) -> str:
    paused = isinstance(change, SetPaused)
    return f"routes.{change.route}." + ("rollout" if paused else f"versions.{change.version}")


def _by_hand(change: Change) -> str:
    match change:
        case SetWeight(_, _, weight):
            wanted = f"write `weight: {percent_text(weight)}`"
        case Promote(_, version) | Restore(_, _, version):
            wanted = f"write `stable: {version}`, and no weight for it,"
        case SetPaused(_, _, paused):
            wanted = f"write `paused: {str(paused).lower()}` in the rollout of {change.version}"
        case AddVersion():
            wanted = f"write {_written(change)}"
        case RemoveVersion(_, version):
            wanted = f"remove {version}"
    return (
        f"{_place(change)}: the file is laid out in a way that cannot be edited by machine without "
        f"touching more than it should; {wanted} by hand"
    )


def _written(change: AddVersion) -> str:
    urls = ", ".join(f'"{url}"' for url in change.urls)
    addresses = f"url: {urls}" if len(change.urls) == 1 else f"urls: [{urls}]"
    readiness = f", readiness: {change.readiness}" if change.readiness else ""
    candidate = ""
    if change.takes_over:
        candidate = f', and `candidate: "{change.version}"` in the rollout of {change.takes_over},'
    return f'`"{change.version}": {{{addresses}{readiness}}}`{candidate}'
