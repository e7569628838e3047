"""Changes to the text of ``routing.yaml``: bytes and a change in, bytes out, no I/O.

Only the characters of the scalars concerned are replaced, at the places the YAML composer marked,
so comments, quotes, layout and line ends are the operator's own afterwards. The rest of the module
is distrust: the result is parsed again and must equal the parsed original with exactly the
intended change, or no bytes are handed out at all.

Everything happens on decoded text, where the composer's indexes hold. Strict UTF-8 decodes and
encodes back to the same bytes, so what is not spliced does not change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Final, NamedTuple, TypeAlias

import yaml

from gateway.config import parse
from gateway.config.document import LOADER
from gateway.config.quantities import percent_text
from gateway.errors import ConfigError, EditRefused, UnknownName
from gateway.model import FULL_WEIGHT, Route, RoutingConfig

# What ends a line for YAML 1.1.
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BLANK: Final = " \t\r\n\x85\u2028\u2029"
_COMMENT: Final = re.compile("#[^\r\n\x85\u2028\u2029]*+")
# The comma between two pairs of a flow mapping; possessive, or a comma in a comment would do.
_COMMA: Final = re.compile(r"(?:\s|" + _COMMENT.pattern + r")*+(,)")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class SetWeight:
    """Give a candidate this share, in basis points. A rollback is this with 0."""

    route: str
    version: str
    weight_bp: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Make the version stable. It loses its own weight; the former stable is left with 0."""

    route: str
    version: str


Change: TypeAlias = SetWeight | Promote


class _Splice(NamedTuple):
    """Replace the characters from ``start`` up to ``end`` by ``text``."""

    start: int
    end: int
    text: str = ""


def apply(content: bytes, change: Change) -> bytes:
    """The file with the change made; the same bytes if it says so already.

    Raises :class:`ConfigError` if the file as it is would be refused, :class:`UnknownName` and
    :class:`EditRefused` if the change cannot be made to it.
    """
    before = parse(content)
    intended = _intended(before, change)
    if intended == before:
        return content
    text = content.decode()
    for splice in sorted(_splices(text, change), reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    after = text.encode()
    _verify(after, intended, change)
    return after


def diff(before: bytes, after: bytes, filename: str) -> str:
    """The change as a unified diff; empty if there is none."""
    lines = unified_diff(_lines(before), _lines(after), filename, filename)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


# What is meant: values to values.


def _intended(config: RoutingConfig, change: Change) -> RoutingConfig:
    """What the file must mean afterwards."""
    try:
        route = config.route(change.route)
    except KeyError:
        known = tuple(route.name for route in config.routes)
        raise UnknownName("route", change.route, "routes", known) from None
    known = tuple(version.name for version in route.versions)
    if change.version not in known:
        place = f"routes.{route.name}.versions"
        raise UnknownName("version", change.version, place, known)
    match change:
        case SetWeight(_, version, weight):
            edited = _weighted(route, version, weight)
        case Promote(_, version):
            edited = replace(_with_weight(route, version, 0), stable=version)
    routes = tuple(edited if each is route else each for each in config.routes)
    return replace(config, routes=routes)


def _weighted(route: Route, version: str, weight: int) -> Route:
    """The route with a candidate's weight set, if the rules for weights allow it."""
    place = f"routes.{route.name}.versions.{version}.weight"
    if version == route.stable:
        raise EditRefused(
            f"{place}: {version} is the stable version, which carries no weight: it takes what the "
            "candidates leave; set the weight of a candidate, or promote another version"
        )
    if not 0 <= weight <= FULL_WEIGHT:
        raise EditRefused(f"{place}: {percent_text(weight)} is not a percentage from 0 to 100")
    edited = _with_weight(route, version, weight)
    given = [each for each in edited.candidates if each.weight]
    total = sum(each.weight for each in given)
    if total > FULL_WEIGHT:
        shares = " + ".join(f"{each.name} {percent_text(each.weight)}" for each in given)
        raise EditRefused(
            f"{place}: weights would add up to {percent_text(total)} ({shares}); stable takes the "
            "rest, so the sum must be at most 100: lower another candidate first"
        )
    return edited


def _with_weight(route: Route, name: str, weight: int) -> Route:
    versions = (replace(v, weight=weight) if v.name == name else v for v in route.versions)
    return replace(route, versions=tuple(versions))


def _verify(after: bytes, intended: RoutingConfig, change: Change) -> None:
    """Raise unless the edited text means what was intended and nothing else."""
    try:
        found = parse(after)
    except ConfigError as error:
        problems = "; ".join(f"{each.path}: {each.message}" for each in error.problems)
        raise EditRefused(
            f"{_place(change)}: the edited file would be refused: {problems}"
        ) from None
    if replace(found, generation=intended.generation) != intended:
        raise EditRefused(_by_hand(change))


def _place(change: Change) -> str:
    return f"routes.{change.route}.versions.{change.version}"


def _by_hand(change: Change) -> str:
    wanted = (
        f"`weight: {percent_text(change.weight_bp)}`"
        if isinstance(change, SetWeight)
        else f"`stable: {change.version}`, and no weight for it,"
    )
    return (
        f"{_place(change)}: the file is laid out in a way that cannot be edited by machine without "
        f"touching more than it should; write {wanted} by hand"
    )


# Where it stands: text to splices.


def _splices(text: str, change: Change) -> Iterator[_Splice]:
    """The places of the text to replace."""
    route = _child(_child(yaml.compose(text, LOADER), "routes")[1], change.route)[1]
    name, version = _child(_child(route, "versions")[1], change.version)
    if not isinstance(version, yaml.MappingNode):
        raise EditRefused(_by_hand(change))
    index = next((i for i, (key, _) in enumerate(version.value) if key.value == "weight"), None)
    match change:
        case SetWeight(_, _, weight) if index is None:
            yield _insertion(text, version, percent_text(weight))
        case SetWeight(_, _, weight):
            node = version.value[index][1]
            unit = "%" if node.value.endswith("%") else ""
            yield _rewritten(text, node, percent_text(weight) + unit, plain=True)
        case Promote():
            yield _rewritten(text, _child(route, "stable")[1], change.version, plain=not name.style)
            if index is not None:
                remove = _out_of_flow if version.flow_style else _out_of_block
                yield from remove(text, version, index)


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.ScalarNode, yaml.Node]:
    """The key and value nodes of one entry. The file was parsed: it is there."""
    assert isinstance(node, yaml.MappingNode)
    return next((key, value) for key, value in node.value if key.value == name)


def _rewritten(text: str, node: yaml.Node, value: str, *, plain: bool) -> _Splice:
    """Another value for a scalar, in the quotes it has; without any where that is the same."""
    assert isinstance(node, yaml.ScalarNode)
    if node.style == "'":
        value = "'" + value.replace("'", "''") + "'"
    elif node.style == '"' or not (plain or _is_plain(value)):
        value = json.dumps(value, ensure_ascii=False)
    return _Splice(node.start_mark.index, _end(text, node), value)


def _is_plain(value: str) -> bool:
    """Whether every YAML reader takes it for the same string without quotes, unlike ``on``."""
    return bool(_PLAIN.fullmatch(value)) and yaml.safe_load(value) == value


def _insertion(text: str, mapping: yaml.MappingNode, weight: str) -> _Splice:
    """A new last entry: in a flow mapping on the same line, in a block mapping on its own."""
    key, value = mapping.value[-1]
    entry = f'"weight": {weight}' if key.style == '"' else f"weight: {weight}"
    end = _end(text, value)
    if mapping.flow_style:
        return _Splice(end, end, f", {entry}")
    line_end = _line_end(text, end)
    newline = _BREAK.match(text, line_end) or _BREAK.search(text)
    new_line = (newline[0] if newline else "\n") + " " * key.start_mark.column + entry
    return _Splice(line_end, line_end, new_line)


def _out_of_block(text: str, mapping: yaml.MappingNode, index: int) -> Iterator[_Splice]:
    """Take an entry's lines away. A comment on them is the operator's: it stays, on its own."""
    key, value = mapping.value[index]
    start, end = key.start_mark.index, _end(text, value)
    line_end = _line_end(text, end)
    gaps = text[key.end_mark.index : value.start_mark.index], text[end:line_end]
    comments = [comment for gap in gaps for comment in _COMMENT.findall(gap)]
    newline = _BREAK.match(text, line_end)
    line_start = start - key.start_mark.column
    if comments:
        indented = (newline[0] if newline else "\n") + " " * key.start_mark.column
        yield _Splice(start, line_end, indented.join(comments))
    elif newline:
        yield _Splice(line_start, newline.end())
    else:
        # A file whose last line has no newline shall end without one afterwards, too.
        before = 2 if text.endswith("\r\n", 0, line_start) else 1
        yield _Splice(line_start - before, line_end)


def _out_of_flow(text: str, mapping: yaml.MappingNode, index: int) -> Iterator[_Splice]:
    """Take an entry away with one of the commas beside it, and the space that held it apart."""
    pairs = mapping.value
    start, end = pairs[index][0].start_mark.index, _end(text, pairs[index][1])
    previous = _end(text, pairs[index - 1][1]) if index else mapping.start_mark.index + 1
    last = index + 1 == len(pairs)
    following = mapping.end_mark.index - 1 if last else pairs[index + 1][0].start_mark.index
    comma_after = _COMMA.match(text, end, following)
    if index and "#" not in text[previous:start]:
        yield _Splice(text.index(",", previous), end)
    elif not last and "#" not in text[end:following]:
        yield _Splice(start, following)
    else:
        # Comments on both sides stay, and so does the comma before: YAML allows it at the end.
        yield _Splice(start, end)
        if comma_after:
            yield _Splice(comma_after.start(1), comma_after.end(1))


def _end(text: str, node: yaml.Node) -> int:
    """Where the last character of a value stands; the composer marks a block where the next thing
    begins.
    """
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    return len(text[: node.end_mark.index].rstrip(_BLANK))


def _line_end(text: str, index: int) -> int:
    found = _BREAK.search(text, index)
    return found.start() if found else len(text)


def _lines(content: bytes) -> list[str]:
    """Lines with their ends. Only a newline ends one: a carriage return is shown, not obeyed."""
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode(errors="replace"))
