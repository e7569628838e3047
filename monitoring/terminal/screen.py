"""A view as lines for a terminal of a given size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from rich.console import Console
from rich.text import Text

from monitoring.judgement.acting import span
from monitoring.printable import shown
from monitoring.terminal import figures
from monitoring.terminal.columns import BAD, CANDIDATE, DOUBT, FAINT, STABLE, Layout, rows
from monitoring.terminal.figures import Glyphs
from monitoring.terminal.paper import Paper
from monitoring.terminal.view import CandidateRow, ChangeRow, RouteRow, SignalRow, View

BAR: Final = 8  # cells of the bar of a signal
_STYLES: Final = {"Failed": BAD, "Error": DOUBT, "Successful": "bold green"}


_LEAST: Final = 12  # lines that belong to the routes, whatever was changed
_ENDLESS: Final = 10**6


class Detail(IntEnum):
    """How much is told of a route."""

    VERSIONS = 0
    VERDICT = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Screen:
    """``height`` None: as long as it takes."""

    console: Console
    glyphs: Glyphs
    width: int
    height: int | None = None

    @property
    def _paper(self) -> Paper:
        return Paper(self.console, self.glyphs, self.width)

    def draw(self, view: View) -> list[Text]:
        """Never wider than the terminal, and never higher."""
        top = list(self._header(view))
        if view.seconds == 0 and view.stale is None:
            top.append(Text("rates and percentiles come with the next look", style=FAINT))
        changes = self._changes(view.changes)
        room = _ENDLESS if self.height is None else self.height - len(top)
        changes = changes[: max(0, room - _LEAST)]
        blocks = [top, *self._routes(view, room - len(changes)), changes]
        blocks = [one for one in blocks if one]
        airy = sum(len(one) + 1 for one in blocks) - 1 <= (self.height or _ENDLESS)
        lines = [line for one in blocks for line in ([*one, Text()] if airy else one)]
        lines = lines[: -1 if airy else None]
        for line in lines:
            line.truncate(self.width, overflow="crop")
        return lines[: self.height]

    # --- the header

    def _header(self, view: View) -> Iterator[Text]:
        clock = datetime.fromtimestamp(view.at).astimezone().strftime("%H:%M:%S")
        name = shown(view.file) or "canary status"
        since = "" if view.since is None else f" in force {span(max(0.0, view.at - view.since))}"
        what = f"generation {shown(view.generation)}{since}" if view.generation else ""
        left = self._paper.cut(f"{name}  {what}".rstrip(), self.width - len(clock) - 1)
        line = Text(left.ljust(self.width - len(clock)), style="bold")
        line.append(clock, style=FAINT)
        yield line
        yield from self._paper.flow("", [Text(shown(one)) for one in _facts(view)], indent=0)
        yield from self._troubles(view)

    def _troubles(self, view: View) -> Iterator[Text]:
        if view.stale is not None:
            ago = span(max(0.0, view.at - view.stale))
            since = f"no gateway has answered for {ago}: what follows is as it was then"
            yield from self._paper.say(
                BAD, since if view.stale else "no gateway answers yet; still trying"
            )
        for one in view.silent:
            yield from self._paper.say(BAD if view.stale is not None else DOUBT, f"silent: {one}")
        if view.refused:
            refused = "the file as it stands is refused; an older one serves:"
            yield from self._paper.say(BAD, refused)
            for problem in view.problems:
                yield from self._paper.say(BAD, f"  {problem}")
        if view.disagreement:
            yield from self._paper.say(BAD, view.disagreement)
        if view.draining:
            yield from self._paper.say(DOUBT, "a gateway is draining: it ends")
        for warning in view.warnings:
            yield from self._paper.say(DOUBT, f"warning: {warning}")
        if not view.is_led:
            yield from self._paper.say(DOUBT, view.controller)

    # --- the routes

    def _routes(self, view: View, room: int) -> list[list[Text]]:
        """Those with a candidate under way as fully as there is room for; of the others as many."""
        if not view.routes:
            return []
        layout = Layout.of(self.width, view.routes)
        heading = [] if layout.is_narrow else [layout.heading()]
        room -= len(heading)
        moving, resting = _parted(view.routes)
        blocks = self._filled(moving, layout, room - bool(resting))
        left = room - sum(map(len, blocks))
        blocks = _fitting([*blocks, *self._filled(resting, layout, left)], room)
        if blocks:
            blocks[0] = [*heading, *blocks[0]]
        return blocks

    def _filled(self, routes: Sequence[RouteRow], layout: Layout, room: int) -> list[list[Text]]:
        """The versions of all; then more of each, the first one first, as long as there is room."""
        blocks = [self._route(one, layout, Detail.VERSIONS) for one in routes]
        for detail in (Detail.VERDICT, Detail.ALL):
            for number, route in enumerate(routes):
                block = self._route(route, layout, detail)
                if sum(map(len, blocks)) - len(blocks[number]) + len(block) <= room:
                    blocks[number] = block
        return blocks

    def _route(self, route: RouteRow, layout: Layout, detail: Detail) -> list[Text]:
        line = Text(self._paper.cut(shown(route.name), max(8, self.width - 14)), style="bold")
        line.append(f"  {figures.rate(route.rate)}" if route.rate is not None else "", style=FAINT)
        lines = [line, *rows(route, layout, self.glyphs, idle=detail is Detail.ALL)]
        several = len(route.candidates) > 1
        if detail > Detail.VERSIONS:
            for one in route.candidates:
                lines += self._candidate(one, several)
                lines += self._grounds(one) if detail is Detail.ALL else ()
        return [*lines, *(self._rest(route) if detail is Detail.ALL else ())]

    def _rest(self, route: RouteRow) -> list[Text]:
        lines: list[Text] = []
        for trouble in (*route.endpoints, *route.outcomes):
            lines += self._paper.say("", trouble, indent=4)
        stable = next(one for one in route.versions if one.name == route.stable)
        if not route.candidates and stable.mix:
            labels = [Text(f"{shown(label)} {share:.1f} %") for label, share in stable.mix]
            lines += self._paper.flow(
                "answers", [*labels, *_others(stable.labels - len(stable.mix))]
            )
        return lines

    def _candidate(self, one: CandidateRow, several: bool) -> Iterator[Text]:
        style = _STYLES.get(one.verdict.partition(" ")[0], "bold")
        verdict = Text().append(one.verdict or "none", style=style)
        verdict.append(f": {shown(one.sentence)}")
        if one.written:
            verdict.append(f" (the controller wrote {shown(one.written)} last)", style=FAINT)
        yield from self._paper.paragraph(shown(one.version) if several else "verdict", verdict)
        for alert in one.alerts:
            yield from self._paper.paragraph("alert", Text(shown(alert), style=DOUBT))
        if one.next:
            what = Text(shown(one.next), style="bold")
            yield from self._paper.flow("next", [what, *self._steps(one)])

    def _grounds(self, one: CandidateRow) -> Iterator[Text]:
        """What the verdict rests on."""
        paper = self._paper
        yield from paper.flow("evidence", [self._worse(each, one) for each in one.evidence])
        yield from paper.flow("proof", [self._good(each, one) for each in one.proof])
        if one.shares:
            yield from self._paper.flow("answers", [_share(*each) for each in one.shares])

    def _steps(self, one: CandidateRow) -> list[Text]:
        """``step 1 of 3: [5] 25 50 %, watched 10s of 30s``"""
        if not one.steps:
            return []
        line = Text(f"step {one.step} of {len(one.steps)}: ")
        for number, weight in enumerate(one.steps, 1):
            here = number == one.step
            text = shown(f"[{weight} %]" if here else f"{weight} %")
            style = f"bold {CANDIDATE}" if here else FAINT if number > one.step else ""
            line.append(f"{text} ", style=style)
        if one.pause is not None:
            line.append(f" watched {span(one.watched)} of {span(one.pause)}")
        return [line]

    def _worse(self, signal: SignalRow, one: CandidateRow) -> Text:
        style = BAD if signal.factor >= one.limit else CANDIDATE
        return self._against(signal, one.limit, self.glyphs.candidate_bar, style)

    def _good(self, signal: SignalRow, one: CandidateRow) -> Text:
        return self._against(signal, one.limit, self.glyphs.stable_bar, STABLE, "proven")

    def _against(
        self, signal: SignalRow, limit: float, full: str, style: str, reached: str = ""
    ) -> Text:
        text = Text(f"{shown(signal.name)} ")
        share = figures.weight_of_evidence(signal.factor, limit)
        text.append(figures.bar(share, BAR, full, self.glyphs), style=style)
        told = f"{figures.factor(signal.factor)} of {limit:g}"
        return text.append(f" {reached if reached and signal.factor >= limit else told}")

    # --- what was changed

    def _changes(self, changes: Sequence[ChangeRow]) -> list[Text]:
        lines = [Text("changes", style=FAINT)] if changes else []
        for one in changes:
            line = Text().append(f"  {span(one.age)} ago".ljust(14), style=FAINT)
            what = shown(f"{one.by} {one.what}")
            line.append(self._paper.cut(what, self.width - 14))
            left = self.width - line.cell_len - 2
            line.append(
                f"  {self._paper.cut(shown(one.reason), left)}" if left > 8 else "", style=FAINT
            )
            lines.append(line)
        return lines


def _parted(routes: Iterable[RouteRow]) -> tuple[list[RouteRow], list[RouteRow]]:
    """Those with a candidate under way, and the others."""
    both: tuple[list[RouteRow], list[RouteRow]] = ([], [])
    for one in routes:
        both[not one.is_moving].append(one)
    return both


def _fitting(blocks: Sequence[list[Text]], room: int) -> list[list[Text]]:
    """As many as there is room for, and how many there are besides."""
    if sum(map(len, blocks)) <= room:
        return list(blocks)
    found: list[list[Text]] = []
    for number, block in enumerate(blocks):
        if len(block) + 1 > room:
            rest = len(blocks) - number
            more = "more route" if number else "route"
            found.append([Text(f"and {rest} {more}{'' if rest == 1 else 's'}", style=FAINT)])
            break
        found.append(block)
        room -= len(block)
    return found


def _facts(view: View) -> Iterator[str]:
    """How much there is, and who looks after it."""
    if not view.routes:
        return
    total = len(view.routes)
    moving = f", {view.moving} with a candidate under way" if view.moving else ""
    yield f"{total} route{'s' if total > 1 else ''}{moving}"
    if view.rate is not None:
        yield f"{figures.rate(view.rate)} answered, {figures.percent(view.errors)} errors"
    answering = view.gateways - len(view.silent)
    gateways = f"{answering} of {view.gateways}" if view.silent else str(view.gateways)
    up = "" if view.up is None else f", up {span(max(0.0, view.at - view.up))}"
    restarts = f", {view.restarts} restarts" if view.restarts else ""
    processes = f"{view.processes} process{'' if view.processes == 1 else 'es'}"
    yield f"{gateways} gateway{'' if gateways == '1' else 's'}, {processes}{up}{restarts}"
    if view.controller and view.is_led:
        yield view.controller
    if view.seconds:
        both = f"rates of the last {span(view.lately)}, the rest of {span(view.seconds)}"
        yield both if view.lately != view.seconds else f"numbers of the last {span(view.seconds)}"


def _share(label: str, share: float, stable: float) -> Text:
    text = Text(f"{shown(label)} ")
    text.append(f"{share:.1f} %", style=CANDIDATE)
    text.append(" against ", style=FAINT)
    return text.append(f"{stable:.1f} %", style=STABLE)


def _others(number: int) -> list[Text]:
    return [Text(f"and {number} more", style=FAINT)] if number > 0 else []
