"""The rows of versions as columns, as many as the terminal has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from monitoring.printable import shown
from monitoring.terminal import figures
from monitoring.terminal.figures import Glyphs
from monitoring.terminal.view import RouteRow, VersionRow

STABLE: Final = "#3b8fd6"  # both are told apart by who sees no red or no green, on light and dark
CANDIDATE: Final = "#e07b00"
FAINT: Final = "bright_black"
BAD: Final = "bold red"
DOUBT: Final = "yellow"

WIDEST_BAR: Final = 20
NARROWEST_BAR: Final = 8
WIDEST_NAME: Final = 24
NARROW: Final = 64  # columns below which a version takes two lines


@dataclass(frozen=True, slots=True)
class Column:
    """``rank`` says which goes first where there is little room; 0 always stays."""

    heading: str
    width: int
    rank: int
    cell: Callable[[VersionRow], str]


COLUMNS: Final = (
    Column("weight", 8, 0, lambda one: f"{one.weight:g} %"),
    Column("observed", 9, 1, lambda one: figures.percent(one.observed)),
    Column("requests", 10, 0, lambda one: figures.rate(one.rate)),
    Column("errors", 9, 0, lambda one: figures.percent(one.errors)),
    Column("p50", 9, 3, lambda one: figures.seconds(one.p50)),
    Column("p95", 9, 0, lambda one: figures.seconds(one.p95)),
    Column("in flight", 10, 4, lambda one: str(one.in_flight)),
)
_TREND: Final = 2  # the rank of the p95 over time
_TREND_WIDTH: Final = 12
_ROLE_WIDTH: Final = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """What fits into so many columns; ``bar`` and ``trend`` are widths, 0: there is none."""

    width: int
    name: int
    bar: int
    columns: tuple[Column, ...]
    trend: int

    @classmethod
    def of(cls, width: int, routes: Iterable[RouteRow]) -> Layout:
        """For these routes, the same for all of them."""
        names = (cell_len(shown(each.name)) for one in routes for each in one.versions)
        name = min(max(names, default=2), WIDEST_NAME)
        for least in range(5, 0, -1):  # of a rank from there on there is nothing
            columns = tuple(one for one in COLUMNS if one.rank < least)
            trend = _TREND_WIDTH if least > _TREND else 0
            taken = 4 + name + 1 + _ROLE_WIDTH + sum(one.width for one in columns)
            left = width - taken - (trend + 2 if trend else 0) - 1
            if left >= NARROWEST_BAR:
                break
        return cls(width, name, max(min(left, WIDEST_BAR), NARROWEST_BAR), columns, trend)

    @property
    def is_narrow(self) -> bool:
        return self.width < NARROW

    def heading(self) -> Text:
        """What the columns are."""
        indent = 4 + self.name + 1 + _ROLE_WIDTH + self.bar + 1
        words = "".join(one.heading.rjust(one.width) for one in self.columns)
        trend = f"  {'p95 lately'.rjust(self.trend)}" if self.trend else ""
        return Text(" " * indent + words + trend, style=FAINT)


def rows(route: RouteRow, layout: Layout, glyphs: Glyphs, *, idle: bool = True) -> Iterator[Text]:
    """Those of the versions of one route; ``idle``: also of those that get no requests."""
    for one in route.versions:
        if not (idle or one.weight or one.rate or one.in_flight):
            continue
        yield from _narrow(one, layout, glyphs) if layout.is_narrow else [_row(one, layout, glyphs)]


def style_of(role: str) -> str:
    return STABLE if role == "stable" else CANDIDATE


def fitted(text: str, width: int, glyphs: Glyphs) -> str:
    """Cut to so many cells, and filled up to them."""
    if cell_len(text) > width:
        while text and cell_len(text) >= width:
            text = text[:-1]
        text += glyphs.more
    return text + " " * (width - cell_len(text))


def _row(one: VersionRow, layout: Layout, glyphs: Glyphs) -> Text:
    style = _tone(one)
    line = Text(f"  {_mark(one, glyphs)} ", style=style)
    line.append(fitted(shown(one.name), layout.name + 1, glyphs), style=f"bold {style}")
    line.append(fitted(one.role, _ROLE_WIDTH, glyphs))
    line.append(_bar(one, layout.bar, glyphs) + " ")
    for column in layout.columns:
        line.append(column.cell(one).rjust(column.width), style=_stress(column, one))
    if layout.trend:
        line.append("  " + figures.sparkline(one.trend, layout.trend, glyphs))
    return line


def _narrow(one: VersionRow, layout: Layout, glyphs: Glyphs) -> Iterator[Text]:
    """Two lines: who gets what, and how it does."""
    style = _tone(one)
    observed = "" if one.observed is None else f" ({figures.percent(one.observed, 1)})"
    share = f"{one.weight:g} %{observed}"
    who = f"{_mark(one, glyphs)} {shown(one.name)} {one.role}"
    yield Text(fitted(who, layout.width - len(share) - 1, glyphs) + " " + share, style=style)
    numbers = (
        f"{figures.rate(one.rate)}  {figures.percent(one.errors)} bad  "
        f"p95 {figures.seconds(one.p95)}"
    )
    width = layout.width - len(numbers) - 4
    bar = _bar(one, min(width, WIDEST_BAR), glyphs) + "  " if width >= 4 else ""
    yield Text(f"  {bar}{numbers}", style=FAINT if one.weight == 0 and not one.rate else "")


def _tone(one: VersionRow) -> str:
    return FAINT if not one.weight and not one.rate else style_of(one.role)


def _mark(one: VersionRow, glyphs: Glyphs) -> str:
    return glyphs.stable if one.role == "stable" else glyphs.candidate


def _bar(one: VersionRow, width: int, glyphs: Glyphs) -> str:
    full = glyphs.stable_bar if one.role == "stable" else glyphs.candidate_bar
    return figures.bar(one.weight / 100, width, full, glyphs)


def _stress(column: Column, one: VersionRow) -> str:
    """Numbers are not of the colour of a version, save where something is wrong."""
    if column.heading == "errors" and one.errors:
        return BAD if one.errors >= 1 else DOUBT
    return FAINT if _tone(one) == FAINT else "default"
