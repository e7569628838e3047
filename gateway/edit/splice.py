"""Which characters of a YAML text to replace, so that an entry of a mapping is rewritten, added or
taken away and nothing else changes.

Places are those the YAML composer marked, in decoded text, where its indexes hold. What is handed
out is a proposal: whether the text means afterwards what it should is for ``edit`` to see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import yaml

from gateway.config.document import LOADER

Node: TypeAlias = yaml.Node

# What ends a line for YAML 1.1.
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BLANK: Final = " \t\r\n\x85\u2028\u2029"
_COMMENT: Final = re.compile("#[^\r\n\x85\u2028\u2029]*+")
# The comma between two pairs of a flow mapping; possessive, or a comma in a comment would do.
_COMMA: Final = re.compile(r"(?:\s|" + _COMMENT.pattern + r")*+(,)")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Splice(NamedTuple):
    """Replace the characters from ``start`` up to ``end`` by ``text``."""

    start: int
    end: int
    text: str = ""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with all of them made; they must not overlap."""
    for splice in sorted(splices, reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


# Where something stands. The text was parsed before: what is asked for is there.


def compose(text: str) -> Node:
    """The outermost node of a text."""
    node = yaml.compose(text, LOADER)
    assert node is not None
    return node


def child(node: Node, *names: str) -> Node:
    """The value under these keys, one below the other."""
    for name in names:
        node = next(value for key, value in entries(node) if key.value == name)
    return node


def key_of(node: Node, name: str) -> yaml.ScalarNode:
    """The key itself."""
    return next(key for key, _ in entries(node) if key.value == name)


def items(node: Node) -> list[Node]:
    """The items of a list; what stands alone is one."""
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


def quotes_of(node: Node) -> str | None:
    """The quotes a scalar stands in; None where there are none."""
    assert isinstance(node, yaml.ScalarNode)
    return node.style


def has(node: Node, name: str) -> bool:
    """Whether a mapping has this key."""
    return any(key.value == name for key, _ in entries(node))


def entries(node: Node) -> list[tuple[yaml.ScalarNode, Node]]:
    """The keys of a mapping and their values, in order."""
    assert isinstance(node, yaml.MappingNode)
    pairs: list[tuple[yaml.ScalarNode, Node]] = node.value
    return pairs


def in_flow(node: Node) -> bool:
    """Whether a mapping or list stands in brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


# What is to be replaced.


def rewritten(text: str, node: Node, value: str, *, plain: bool) -> Splice:
    """Another value for a scalar, in the quotes it has; without any where that is the same. What
    stood in lines below its key comes up to it, before the comment that is there.
    """
    assert isinstance(node, yaml.ScalarNode)
    end, written = _end(text, node), scalar(value, node.style)
    if plain and node.style not in ("'", '"'):
        written = value
    return Splice(node.start_mark.index, end, written + "".join(_header_comment(text, node)))


def _header_comment(text: str, node: Node) -> list[str]:
    """What stands beside the ``|`` or ``>`` of a value in lines below, with the space before."""
    if not isinstance(node, yaml.ScalarNode) or node.style not in ("|", ">"):
        return []
    start = node.start_mark.index
    return re.findall(r"[ \t]+" + _COMMENT.pattern, text[start : _line_end(text, start)])


def scalar(value: str, style: str | None) -> str:
    """A text in quotes of this style; without any where it has none and that is the same."""
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    if style == '"' or not _is_plain(value):
        return json.dumps(value, ensure_ascii=False)
    return value


def _is_plain(value: str) -> bool:
    """Whether every YAML reader takes it for the same string without quotes, unlike ``on``."""
    return bool(_PLAIN.fullmatch(value)) and yaml.safe_load(value) == value


def added(text: str, mapping: Node, name: str, value: str) -> Splice:
    """A new last entry: in a flow mapping on the same line, in a block mapping on its own."""
    last, beside = entries(mapping)[-1]
    entry = f'"{name}": {value}' if last.style == '"' else f"{name}: {value}"
    end = _end(text, beside)
    if in_flow(mapping):
        return Splice(end, end, f", {entry}")
    line_end = _line_end(text, end)
    return Splice(line_end, line_end, _new_line(text, line_end, last) + entry)


def appended(text: str, mapping: Node, lines: Sequence[str]) -> Iterator[Splice]:
    """A new last entry of these lines, on lines of its own if the last one is; a comment beside
    that stays beside it.
    """
    last, beside = entries(mapping)[-1]
    end = _end(text, beside)
    line_end = _line_end(text, end)
    new_line = _new_line(text, line_end, last)
    entry = new_line.join(lines)
    if not in_flow(mapping):
        yield Splice(line_end, line_end, new_line + entry)
        return
    closing = mapping.end_mark.index - 1
    comma = _COMMA.match(text, end, closing)
    line_end = _line_end(text, comma.end() if comma else end)
    if not _begins_its_line(text, last):
        yield Splice(end, end, f", {entry}")
    elif line_end > closing or line_end == end:
        yield Splice(end, end, f",{new_line}{entry}")
    else:
        if comma is None:
            yield Splice(end, end, ",")
        yield Splice(line_end, line_end, new_line + entry + ("," if comma else ""))


def _new_line(text: str, line_end: int, like: Node) -> str:
    """What ends this line and indents the next as a node is."""
    newline = _BREAK.match(text, line_end) or _BREAK.search(text)
    return (newline[0] if newline else "\n") + " " * like.start_mark.column


def _begins_its_line(text: str, node: Node) -> bool:
    start = node.start_mark.index
    return not text[start - node.start_mark.column : start].strip()


def removed(text: str, mapping: Node, name: str) -> Iterator[Splice]:
    """An entry taken away, and what held it apart from the others; no comment goes with it."""
    index = next(i for i, (key, _) in enumerate(entries(mapping)) if key.value == name)
    return (_out_of_flow if in_flow(mapping) else _out_of_block)(text, mapping, index)


def struck(text: str, mapping: Node, name: str) -> Iterator[Splice]:
    """An entry taken away with the lines that it has for itself, and the comments on them; one
    that shares its lines as :func:`removed` does it.
    """
    pairs = entries(mapping)
    index = next(i for i, (key, _) in enumerate(pairs) if key.value == name)
    key, value = pairs[index]
    end, last = _end(text, value), index + 1 == len(pairs)
    comma = _COMMA.match(text, end, mapping.end_mark.index - 1) if in_flow(mapping) else None
    after = comma.end() if comma else end
    line_end = _line_end(text, after)
    shared = _COMMENT.sub("", text[after:line_end]).strip()
    if shared or not _begins_its_line(text, key):
        yield from removed(text, mapping, name)
        return
    line_start = key.start_mark.index - key.start_mark.column
    yield _without_lines(text, line_start, line_end)
    if in_flow(mapping) and last and index and not comma:
        before = _COMMA.match(text, _end(text, pairs[index - 1][1]), line_start)
        if before:
            yield Splice(before.start(1), before.end(1))


def _without_lines(text: str, line_start: int, line_end: int) -> Splice:
    """Lines taken away with what ends them; or, where nothing does, with what ends the one before:
    a file whose last line has no newline shall end without one afterwards, too.
    """
    newline = _BREAK.match(text, line_end)
    if newline:
        return Splice(line_start, newline.end())
    return Splice(line_start - (2 if text.endswith("\r\n", 0, line_start) else 1), line_end)


def _out_of_block(text: str, mapping: Node, index: int) -> Iterator[Splice]:
    """Take an entry's lines away. A comment on them is the operator's: it stays, on its own."""
    pairs = entries(mapping)
    key, value = pairs[index]
    start, end = key.start_mark.index, _end(text, value)
    line_end = _line_end(text, end)
    gaps = text[key.end_mark.index : value.start_mark.index], text[end:line_end]
    first, last = (_COMMENT.findall(gap) for gap in gaps)
    comments = [*first, *map(str.lstrip, _header_comment(text, value)), *last]
    newline = _BREAK.match(text, line_end)
    line_start = start - key.start_mark.column
    if comments:
        indented = (newline[0] if newline else "\n") + " " * key.start_mark.column
        yield Splice(start, line_end, indented.join(comments))
    elif "-" in text[line_start:start] and index + 1 < len(pairs):
        # The dash is the item's: the next entry comes up to it, unless a comment stands between.
        following = pairs[index + 1][0].start_mark.index
        yield Splice(start, line_end if "#" in text[line_end:following] else following)
    else:
        yield _without_lines(text, line_start, line_end)


def _out_of_flow(text: str, mapping: Node, index: int) -> Iterator[Splice]:
    """Take an entry away with one of the commas beside it, and the space that held it apart."""
    pairs = entries(mapping)
    start, end = pairs[index][0].start_mark.index, _end(text, pairs[index][1])
    previous = _end(text, pairs[index - 1][1]) if index else mapping.start_mark.index + 1
    last = index + 1 == len(pairs)
    following = mapping.end_mark.index - 1 if last else pairs[index + 1][0].start_mark.index
    comma_after = _COMMA.match(text, end, following)
    if index and "#" not in text[previous:start]:
        yield Splice(text.index(",", previous), end)
    elif not last and "#" not in text[end:following]:
        yield Splice(start, following)
    else:
        # Comments on both sides stay, and so does the comma before: YAML allows it at the end.
        yield Splice(start, end)
        if comma_after:
            yield Splice(comma_after.start(1), comma_after.end(1))


def _end(text: str, node: Node) -> int:
    """Where the last character of a value stands; the composer marks a block where the next thing
    begins.
    """
    if isinstance(node, yaml.CollectionNode) and not in_flow(node) and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    return len(text[: node.end_mark.index].rstrip(_BLANK))


def _line_end(text: str, index: int) -> int:
    found = _BREAK.search(text, index)
    return found.start() if found else len(text)
