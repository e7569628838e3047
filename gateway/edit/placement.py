"""Where a change stands in the text: a text and a change in, splices out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

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
from gateway.edit.splice import (
    Node,
    Splice,
    added,
    appended,
    child,
    compose,
    entries,
    has,
    in_flow,
    items,
    key_of,
    quotes_of,
    removed,
    rewritten,
    scalar,
    struck,
)
from gateway.model import Route

# What needs no quotes wherever it stands: in brackets, and for every reader of YAML.
_PLAIN: Final = re.compile("[a-z]+:[A-Za-z0-9._/:-]*[A-Za-z0-9]|/[A-Za-z0-9._/-]*")


def splices(text: str, change: Change, before: Route, *, tidy: bool) -> Iterator[Splice]:
    """The places of the text to replace. ``tidy``: a key that says nothing any more is taken
    away.
    """
    route = child(compose(text), "routes", change.route)
    versions = child(route, "versions")
    match change:
        case SetWeight(_, name, weight) if not has(child(versions, name), "weight"):
            yield added(text, child(versions, name), "weight", percent_text(weight))
        case SetWeight(_, name, weight):
            node = child(versions, name, "weight")
            unit = "%" if node.value.endswith("%") else ""
            yield rewritten(text, node, percent_text(weight) + unit, plain=True)
        case Promote(_, name) | Restore(_, _, name):
            plain = not key_of(versions, name).style
            yield rewritten(text, child(route, "stable"), name, plain=plain)
            if has(child(versions, name), "weight"):
                yield from removed(text, child(versions, name), "weight")
            if _is_paused(before, name):
                yield from _paused(text, route, name, False, tidy=tidy)
        case SetPaused(_, name, paused):
            yield from _paused(text, route, name, paused, tidy=tidy)
        case AddVersion():
            if not has(versions, change.version):
                yield from appended(text, versions, _lines(text, versions, change))
            if change.takes_over:
                candidate = child(_rollout(route, change.takes_over), "candidate")
                yield rewritten(text, candidate, change.version, plain=False)
        case RemoveVersion(_, name):
            yield from struck(text, versions, name)


def _is_paused(route: Route, name: str) -> bool:
    rollout = route.rollout(name)
    return rollout is not None and rollout.paused


def _paused(
    text: str, route: Node, candidate: str, paused: bool, *, tidy: bool
) -> Iterator[Splice]:
    rollout = _rollout(route, candidate)
    if not has(rollout, "paused"):
        yield added(text, rollout, "paused", "true")
    elif tidy and not paused:
        yield from removed(text, rollout, "paused")
    else:
        yield rewritten(text, child(rollout, "paused"), str(paused).lower(), plain=True)


def _rollout(route: Node, candidate: str) -> Node:
    rollouts = items(child(route, "rollout"))
    return next(one for one in rollouts if child(one, "candidate").value == candidate)


def _lines(text: str, versions: Node, change: AddVersion) -> list[str]:
    """A new version in the layout of the last one: the lines, each with its indentation relative
    to the first.
    """
    key, last = entries(versions)[-1]
    first, _ = entries(last)[0]
    style = quotes_of(_address(last))
    urls = [_quoted(url, style) for url in change.urls]
    mark = '"' if first.style == '"' else ""
    single = len(urls) == 1
    pairs = [(f"{mark}{'url' if single else 'urls'}{mark}", urls)]
    if change.readiness:
        pairs.append((f"{mark}readiness{mark}", [_quoted(change.readiness, style)]))
    name = scalar(change.version, key.style)
    if in_flow(last):
        pad = " " if text[last.start_mark.index + 1].isspace() else ""
        inner = ", ".join(f"{one}: {_in_a_row(values)}" for one, values in pairs)
        return [f"{name}: {{{pad}{inner}{pad}}}"]
    indent = " " * (first.start_mark.column - key.start_mark.column)
    lines = [f"{name}:"]
    for one, values in pairs:
        dash = _dash(last)
        if len(values) == 1 or dash is None:
            lines.append(f"{indent}{one}: {_in_a_row(values)}")
        else:
            lines.append(f"{indent}{one}:")
            lines += [f"{indent}{dash}{value}" for value in values]
    return lines


def _in_a_row(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"


def _address(version: Node) -> Node:
    return child(version, "url") if has(version, "url") else items(child(version, "urls"))[0]


def _dash(version: Node) -> str | None:
    """What stands before each address of a list on lines of its own, from the key on; None where
    there is no such list.
    """
    urls = child(version, "urls") if has(version, "urls") else None
    if urls is None or in_flow(urls):
        return None
    column = key_of(version, "urls").start_mark.column
    dash = " " * (urls.start_mark.column - column) + "-"
    return dash.ljust(_address(version).start_mark.column - column)


def _quoted(value: str, style: str | None) -> str:
    """In the neighbour's quotes; without any only where every reader takes it for the same."""
    return value if not style and _PLAIN.fullmatch(value) else scalar(value, style or '"')
