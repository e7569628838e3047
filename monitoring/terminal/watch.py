"""The loop of ``canary status -w``: look, show, wait; a terminal is left as it was found."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from time import monotonic
from types import FrameType
from typing import Any, Final, NoReturn

from rich.console import Console, Group
from rich.live import Live

from monitoring.history.changes import timestamp
from monitoring.terminal.figures import glyphs_for
from monitoring.terminal.plain import changes
from monitoring.terminal.screen import Screen
from monitoring.terminal.sight import Sight
from monitoring.terminal.view import View

Look = Callable[[], tuple[Sight, View]]

SPARING: Final = 10  # how much longer than a look it is to the next one, at least
_ENDS: Final = tuple(
    one for name in ("SIGTERM", "SIGHUP") if (one := getattr(signal, name, None)) is not None
)


def watch(look: Look, interval: float, *, as_json: bool, say: Callable[[str], None]) -> None:
    """Until interrupted, which is the ordinary end: raises nothing then, and nothing if whoever
    reads stops reading. ``say`` prints a line.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # what the terminal cannot write is escaped
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with _Alarm() as alarm:
            if as_json:
                _tell(look, interval, alarm, say)
            elif console.is_terminal and not console.is_dumb_terminal:
                _show(look, interval, alarm, console)
            else:
                _list(look, interval, alarm, say)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # What is still buffered would fail once more at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(look: Look, interval: float, alarm: _Alarm, console: Console) -> None:
    """On a screen of its own; what was seen last stays on the ordinary one."""
    glyphs = glyphs_for(console.encoding)

    def drawn(view: View) -> Group:
        width, height = console.size
        return Group(*Screen(console, glyphs, width, height).draw(view))

    view: View | None = None
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            due = monotonic()
            while True:
                if view is None or monotonic() >= due:
                    began = monotonic()
                    _, view = look()
                    due = began + pause(interval, monotonic() - began, view)
                live.update(drawn(view), refresh=True)
                alarm.wait(due - monotonic())
    finally:
        if view is not None:
            console.print(Group(*Screen(console, glyphs, console.width).draw(view)))


def _list(look: Look, interval: float, alarm: _Alarm, say: Callable[[str], None]) -> None:
    before: View | None = None
    for sight, view in _ticks(look, interval, alarm):
        for line in changes(before, view):
            say(f"{timestamp(sight.at)} {line}")
        # While nobody answers, what was known is what the next answer is compared with.
        before = view if view.stale is None or before is None else _still(before, view)


def _still(before: View, now: View) -> View:
    return replace(before, silent=now.silent, stale=now.stale)


def _tell(look: Look, interval: float, alarm: _Alarm, say: Callable[[str], None]) -> None:
    for sight, view in _ticks(look, interval, alarm):
        say(json.dumps(document(sight, view), ensure_ascii=True))


def document(sight: Sight, view: View) -> dict[str, Any]:
    """What ``canary status --json`` says, of the first gateway that answers, with ``at`` and
    ``live`` beside it.
    """
    statuses = [one.status for one in sight.gateways if one.status is not None and not one.why]
    status = statuses[0] if statuses else {}
    live = asdict(view)
    told = {"disagreement": sight.disagreement, "rollouts": list(sight.lines)}
    return {"at": sight.at, **status, **told, "live": live}


def _ticks(look: Look, interval: float, alarm: _Alarm) -> Iterator[tuple[Sight, View]]:
    while True:
        began = monotonic()
        sight, view = look()
        due = began + pause(interval, monotonic() - began, view)
        yield sight, view
        while (left := due - monotonic()) > 0:
            alarm.wait(left)


def pause(interval: float, took: float, view: View) -> float:
    """Seconds from the beginning of a look that took so many to that of the next one: a gateway
    that serves clients answers us, too, for a tenth of its time at most. One that says nothing has
    no trouble with it.
    """
    return interval if view.silent else max(interval, SPARING * took)


class _Alarm:
    """Waits, and is woken by another size of the terminal. SIGTERM and SIGHUP end the process like
    an exception, so that the terminal is restored.
    """

    def __enter__(self) -> _Alarm:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before = {one: signal.signal(one, _end) for one in _ENDS}
        resized = getattr(signal, "SIGWINCH", None)
        if resized is not None:
            self._before[resized] = signal.signal(resized, lambda *_: None)
        self._waked = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._waked)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> None:
        """So long, or until a signal comes."""
        if seconds > 0 and select.select([self._reader], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
