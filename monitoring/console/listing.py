"""The routing file as lines for a page: coloured a little, and each problem at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.errors import Problem
from monitoring.console.veil import veiled

LONGEST: Final = 2000  # characters of a line that are shown around what matters in it

# As libyaml and our own reader have it: what ends a line, so that line numbers agree.
_LINE_BREAK: Final = re.compile("\r\n|\r|\n")
_TOKEN: Final = re.compile(
    r"""(?P<comment>(?:(?<=\s)|^)\#.*)"""
    r"""|(?P<key>[A-Za-z0-9_][\w.-]*|"[^"\\]*"|'[^']*')(?=\s*:(?:\s|$))"""
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')"""
    r"""|(?P<number>(?<![\w.:/-])\d+(?:\.\d+)?(?:%|ms|[smhd]|[kMG]i?B)?(?![\w./:-]))"""
    r"""|(?P<mark>[{}\[\],:]|-(?=\s))"""
)


class Tint(StrEnum):
    """What a piece of a line is."""

    PLAIN = "plain"
    KEY = "key"
    TEXT = "text"
    NUMBER = "number"
    MARK = "mark"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of a line; ``problem`` is the id of the remark that is about them."""

    text: str
    tint: Tint = Tint.PLAIN
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem or warning beneath its line; ``id`` names it within the page."""

    id: str
    line: int
    column: int
    path: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """``cut``: the line goes on, but is too long to be shown whole."""

    number: int
    pieces: tuple[Piece, ...]
    remarks: tuple[Remark, ...] = ()
    cut: bool = False

    @property
    def state(self) -> str:
        """``wrong`` or ``warned``; empty where nothing is said of the line."""
        if not self.remarks:
            return ""
        return "warned" if all(one.warning for one in self.remarks) else "wrong"


def remarks_of(problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> tuple[Remark, ...]:
    """Both in the order of the file; nothing secret is said."""
    told = [(one, False) for one in problems] + [(one, True) for one in warnings]
    told.sort(key=lambda one: (one[0].line, one[0].column))
    return tuple(
        Remark(f"remark-{number}", one.line, one.column, one.path, veiled(one.message), warning)
        for number, (one, warning) in enumerate(told, 1)
    )


def rows(content: bytes, remarks: Sequence[Remark] = ()) -> tuple[Row, ...]:
    """Every line, with what is said of it. A remark on a line that is not there stands at the
    last.
    """
    lines = _LINE_BREAK.split(content.decode("utf-8", "replace"))
    if len(lines) > 1 and not lines[-1] and not any(one.line >= len(lines) for one in remarks):
        lines.pop()
    by_line: dict[int, list[Remark]] = {}
    for one in remarks:
        by_line.setdefault(min(one.line, len(lines)), []).append(one)
    return tuple(
        _row(number, line, by_line.get(number, ())) for number, line in enumerate(lines, 1)
    )


def _row(number: int, line: str, remarks: Sequence[Remark]) -> Row:
    line = veiled(line)
    shown, cut = line[:LONGEST], len(line) > LONGEST
    pieces = tuple(_pieces(shown))
    for one in reversed(remarks):
        pieces = tuple(_marked(pieces, one))
    return Row(number, pieces, tuple(remarks), cut)


def _pieces(line: str) -> Iterator[Piece]:
    """The line in tokens; all of its characters, in order."""
    end = 0
    for found in _TOKEN.finditer(line):
        if found.start() > end:
            yield Piece(line[end : found.start()])
        yield Piece(found[0], Tint(found.lastgroup or Tint.PLAIN))
        end = found.end()
    if end < len(line):
        yield Piece(line[end:])


def _marked(pieces: Sequence[Piece], remark: Remark) -> Iterator[Piece]:
    """The token in which a remark's column lies is marked, from there on."""
    start, done = 0, False
    for piece in pieces:
        at = remark.column - 1 - start
        start += len(piece.text)
        if done or piece.problem or not 0 <= at < len(piece.text):
            yield piece
            continue
        done = True
        before, rest = piece.text[:at], piece.text[at:]
        if before:
            yield Piece(before, piece.tint)
        marked = rest.rstrip() or rest
        yield Piece(marked, piece.tint, remark.id)
        if len(marked) < len(rest):
            yield Piece(rest[len(marked) :], piece.tint)
