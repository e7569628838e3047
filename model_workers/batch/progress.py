"""How far scoring is: a bar on a terminal, a line now and then where nobody looks, or nothing."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from .scoring import Watcher

_STEP = 0.1  # of the whole, between two lines


class Silent:
    """Says nothing."""

    def say(self, sentence: str) -> None: ...
    def at(self, rows: int, share: float) -> None: ...
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Lines(Silent):
    """A line for each tenth of the whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = _STEP

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def at(self, rows: int, share: float) -> None:
        if share >= self._next:
            self.say(f"{rows} rows, {share:.0%}")
            self._next = (share // _STEP + 1) * _STEP


class Bar(Silent):
    """Rich's progress bar."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[rows]:,} rows"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=1.0, rows=0)

    def say(self, sentence: str) -> None:
        self._progress.console.print(sentence, markup=False, highlight=False)

    def at(self, rows: int, share: float) -> None:
        self._progress.update(self._task, completed=share, rows=rows)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def watching(console: Console, quiet: bool) -> Silent:
    """What suits the console."""
    if quiet:
        return Silent()
    return Bar(console) if console.is_terminal else Lines(console)


_: type[Watcher] = Silent
