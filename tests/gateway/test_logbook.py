"""Lines that wait to be written: how many, what becomes of them, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gateway.counting.gauges import Loss, Sink, lines_lost
from gateway.counting.ledger import Ledger, total
from gateway.writing.logbook import PAGE, Logbook, Lost
from gateway.writing.scribe import Book
from tests.sockets.peers import eventually

HUNG = 20.0
PREDICTIONS = Book(Sink.PREDICTIONS, "/p.jsonl")
ACCESS = Book(Sink.ACCESS, "/a.jsonl")


class Disk:
    """Takes pages when it is let; fails while it has a reason to."""

    def __init__(self, *, slow: bool = False) -> None:
        self.pages: list[tuple[Book, bytes]] = []
        self.trouble: str | Exception = ""
        self.free = threading.Event()
        if not slow:
            self.free.set()

    def write(self, book: Book, lines: bytes) -> Lost:
        assert self.free.wait(HUNG)
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble:
            return Lost(lines.count(b"\n"), self.trouble)
        self.pages.append((book, lines))
        return Lost()

    def lines(self, book: Book = PREDICTIONS) -> list[bytes]:
        return b"".join(page for one, page in self.pages if one == book).splitlines()


def lost(ledger: Ledger) -> dict[tuple[str, str], int]:
    return {pair: number for pair, number in lines_lost(total([ledger])).items() if number}


def end(logbook: Logbook, limit: float = HUNG) -> None:
    asyncio.run(logbook.close(limit))


Said = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_are_written_in_their_order_each_to_its_book() -> None:
    disk, ledger = Disk(), Ledger()
    logbook = Logbook(disk.write, page=64)
    for number in range(100):
        logbook.put(PREDICTIONS, b"line %d\n" % number)
        logbook.put(ACCESS, b"other %d\n" % number)
    end(logbook)

    assert disk.lines() == [b"line %d" % number for number in range(100)]
    assert disk.lines(ACCESS) == [b"other %d" % number for number in range(100)]
    assert len(disk.pages) > 10
    assert lost(ledger) == {}


def test_a_sweep_has_written_what_is_less_than_a_page() -> None:
    disk = Disk()
    logbook = Logbook(disk.write)
    logbook.put(PREDICTIONS, b"one\n")
    assert disk.pages == []

    logbook.sweep(Ledger())
    eventually(lambda: disk.lines() == [b"one"])
    end(logbook)


def test_where_nothing_is_written_down_there_is_no_thread() -> None:
    before = threading.active_count()
    logbook = Logbook(Disk().write)
    logbook.sweep(Ledger())
    assert threading.active_count() == before
    end(logbook)


def test_a_slow_disk_costs_lines_and_no_time_and_no_memory(said: Said) -> None:
    disk, ledger = Disk(slow=True), Ledger()
    logbook = Logbook(disk.write, room=1000, page=100)
    for _ in range(500):
        logbook.put(PREDICTIONS, b"123456789\n")  # returns, though nothing is written
    logbook.put(ACCESS, b"x\n")
    logbook.sweep(ledger)
    logbook.sweep(ledger)

    assert lost(ledger) == {(Sink.PREDICTIONS, Loss.FULL): 400, (Sink.ACCESS, Loss.FULL): 1}
    told = said()
    assert [(one["event"], one["sink"]) for one in told] == [
        ("log lines are lost", "access"),
        ("log lines are lost", "predictions"),
    ]

    disk.free.set()
    eventually(lambda: len(disk.lines()) == 100)
    eventually(lambda: logbook._taken == logbook._written)
    logbook.put(PREDICTIONS, b"again\n")
    logbook.sweep(ledger)
    assert {one["sink"]: one["lost"] for one in said()} == {"access": 1, "predictions": 400}
    end(logbook)
    assert disk.lines()[-1] == b"again"
    assert lost(ledger) == {(Sink.PREDICTIONS, Loss.FULL): 400, (Sink.ACCESS, Loss.FULL): 1}


@pytest.mark.parametrize("how", ["reported", "raised"])
def test_trouble_costs_the_lines_meanwhile_is_told_once_and_passes(how: str, said: Said) -> None:
    disk, ledger = Disk(), Ledger()
    logbook = Logbook(disk.write)
    disk.trouble = "No space left on device" if how == "reported" else RuntimeError("no\nidea")
    for number in range(3):
        logbook.put(PREDICTIONS, b"%d\n" % number)
        logbook.sweep(ledger)
        eventually(lambda: logbook._taken == logbook._written)
    disk.trouble = ""
    logbook.put(PREDICTIONS, b"good\n")
    end(logbook)
    logbook.sweep(ledger)
    begins, ends = said()

    assert disk.lines() == [b"good"]
    assert lost(ledger) == {(Sink.PREDICTIONS, Loss.WRITE): 3}
    assert (begins["event"], begins["level"], begins["path"]) == (
        *("log lines are lost", "error", "/p.jsonl"),
    )
    assert begins["why"] in ("No space left on device", "RuntimeError: no\nidea")
    assert (ends["event"], ends["level"], ends["lost"]) == (
        *("log lines are written again", "info", 3),
    )


def test_losses_are_counted_once_also_after_a_reload() -> None:
    first, second = Ledger(), Ledger()
    logbook = Logbook(Disk().write)
    logbook.lose(Sink.ACCESS)
    logbook.sweep(first)
    logbook.lose(Sink.ACCESS)
    logbook.sweep(second)
    logbook.sweep(second)

    assert lost(first) == lost(second) == {(Sink.ACCESS, Loss.ERROR): 1}


def test_a_disk_that_hangs_at_the_end_is_not_waited_for(said: Said) -> None:
    disk = Disk(slow=True)
    logbook = Logbook(disk.write)
    logbook.put(PREDICTIONS, b"1\n2\n3\n")
    end(logbook, 0.01)
    (told,) = said()

    assert (told["event"], told["lines"]) == ("log lines lost at the end", 3)
    disk.free.set()
    end(logbook)


def test_a_page_is_not_filled_without_end() -> None:
    disk = Disk()
    logbook = Logbook(disk.write)
    line = b"x" * 999 + b"\n"
    for _ in range(3 * PAGE // len(line)):
        logbook.put(PREDICTIONS, line)
    end(logbook)

    assert max(len(page) for _, page in disk.pages) < PAGE + len(line)
