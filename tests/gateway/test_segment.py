"""A ledger in shared memory: read whole at any moment, and never more than what was counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting.counts import VersionCounts
from gateway.counting.ledger import Ledger, total
from gateway.counting.room import Room, room_for
from gateway.counting.segment import LedgerReader, SharedLedger, create
from gateway.counting.totals import versions_of
from gateway.counting.vocabulary import Vocabulary
from gateway.errors import Reason
from gateway.model import Assignment
from gateway.routing.table import compile_table
from tests.builders import make_config, make_outcome, make_prediction

SMALL = Room(counts=40, sums=4, names=1000, entries=20, widest=8)
Open = Callable[[Room], tuple[SharedLedger, LedgerReader, int]]

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
names = st.lists(texts, min_size=1, max_size=4).map(tuple)


@pytest.fixture
def opened() -> Iterator[Open]:
    with ExitStack() as stack:

        def open_both(room: Room) -> tuple[SharedLedger, LedgerReader, int]:
            descriptor = create(room)
            stack.callback(os.close, descriptor)
            return SharedLedger(descriptor), LedgerReader(descriptor), descriptor

        yield open_both


def test_a_reader_sees_what_was_written_at_once(opened: Open) -> None:
    writer, reader, _ = opened(SMALL)
    index = writer.cell("requests", "ärmel")
    writer.counts[index] += 3
    writer.counts[writer.row(4, "waited") + 2] += 1
    writer.sums[writer.sum("waited_sum")] += 0.25
    writer.counts[writer.gauge("in_flight")] = 7
    totals = total([reader])

    assert totals.counts == {("requests", "ärmel"): [3], ("waited",): [0, 0, 1, 0]}
    assert totals.sums == {("waited_sum",): 0.25}
    assert totals.gauges == {("in_flight",): 7}
    writer.counts[index] += 1
    assert total([reader]).counts["requests", "ärmel"] == [4]


@given(st.lists(names, unique=True, max_size=12))
def test_the_directory_says_what_was_asked_for_in_that_order(asked: list[tuple[str, ...]]) -> None:
    descriptor = create(Room(200, 0, 4000, 20, 1))
    try:
        writer, reader = SharedLedger(descriptor), LedgerReader(descriptor)
        for number, name in enumerate(asked):
            writer.counts[writer.cell(*name)] = number + 1

        assert [entry.name for entry in reader.entries()] == asked
        assert [total([reader]).counts[name] for name in asked] == [
            [number + 1] for number in range(len(asked))
        ]
    finally:
        os.close(descriptor)


def test_a_writer_killed_at_any_byte_leaves_whole_entries_or_none(opened: Open) -> None:
    """Whatever of the last entry got through, with or without its mark, it is not misread."""
    writer, _, descriptor = opened(SMALL)
    for name in ("first", "second", "third"):
        writer.counts[writer.cell(name, "x")] = 1
    size = os.fstat(descriptor).st_size
    whole = os.pread(descriptor, size, 0)
    used = int.from_bytes(whole[32:40], "little")
    start = whole.index(b"first") - 17  # where the directory begins
    third = start + used * 2 // 3 - 1

    for cut in range(third, start + used + 1):
        for mark in (used, cut - start):
            other = os.memfd_create("killed")
            torn = bytearray(whole)
            torn[cut : start + used] = bytes(start + used - cut)
            torn[32:40] = mark.to_bytes(8, "little")
            os.pwrite(other, torn, 0)
            found = [entry.name for entry in LedgerReader(other).entries()]
            os.close(other)
            assert found in (
                [("first", "x"), ("second", "x"), ("third", "x")][:n] for n in (1, 2, 3)
            ), (cut, mark)


def test_what_was_not_whole_yet_is_found_later(opened: Open) -> None:
    writer, reader, _ = opened(SMALL)
    writer.cell("one")
    assert [entry.name for entry in reader.entries()] == [("one",)]
    writer.cell("two")
    assert [entry.name for entry in reader.entries()] == [("one",), ("two",)]


@pytest.mark.parametrize(
    "room", [Room(3, 1, 1000, 100, 4), Room(1000, 5, 20, 4, 4), Room(0, 0, 0, 0, 4)]
)
def test_a_full_ledger_goes_on_without_names(opened: Open, room: Room) -> None:
    writer, reader, _ = opened(room)
    for number in range(50):
        writer.counts[writer.cell(f"cell-{number}")] += 1
        writer.counts[writer.row(4, f"row-{number}") + 3] += 1
        writer.sums[writer.sum(f"sum-{number}")] += 1.0
    told = total([reader])

    assert all(row == [1] or row == [0, 0, 0, 1] for row in told.counts.values())
    assert all(amount == 1.0 for amount in told.sums.values())
    assert writer.counts[3] > 0  # the rest, uncounted by name


def test_what_is_no_ledger_is_refused() -> None:
    descriptor = os.memfd_create("empty")
    os.ftruncate(descriptor, 4096)
    with pytest.raises(ValueError, match="no ledger"):
        LedgerReader(descriptor)
    os.close(descriptor)


def test_the_room_computed_is_enough_for_whatever_can_happen(opened: Open) -> None:
    """Every status code in every way, every failure, as many labels as are learned."""
    labels = [f"{'ü' * 60}{i}" for i in range(200)]
    prediction = make_prediction("/p", "/s", labels, "/s", range(30))
    for config in (
        make_config({"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", 1)}),
        make_config({"v" * 63: "unix:/" + "x" * 300}, name="r" * 63, prediction=prediction),
        make_config({"a": "http://a:1", **{"c" * 62 + x: ("http://b:1", 1) for x in "123"}}),
        make_config(prediction=make_prediction("/p")),
    ):
        table = compile_table(config)
        shared, reader, _ = opened(room_for(table))
        local = Ledger()
        for ledger in (shared, local):
            fill(ledger, config)
            for number in range(64):
                ledger.counts[ledger.cell("refused", f"{'r' * 20}{number}")] += 1

        assert total([reader]).counts == total([local]).counts
        assert versions_of(total([reader]), Vocabulary()) == versions_of(
            total([local]), Vocabulary()
        )


def fill(ledger: Ledger, config: object) -> None:
    table = compile_table(config)  # type: ignore[arg-type]
    for place in table.places:
        counts = VersionCounts(ledger, place.route, place.version, place.role, ("a", "b"))
        for endpoint in place.route.version(place.version).endpoints:
            ledger.gauge("in_flight", place.route.name, place.version, endpoint.url)
            ledger.gauge("ejected", place.route.name, place.version, endpoint.url)
            ledger.gauge("ready", place.route.name, place.version, endpoint.url)
        for way in (Assignment.WEIGHTED, Assignment.STICKY, Assignment.FORCED):
            decision = table.routes[0].decision(place.version, way)
            for status in range(100, 1000):
                counts.record(make_outcome(decision, status=status))
                for other in table.config.routes[0].candidates:  # in place of each
                    fallback = table.routes[0].decision(other.name, Assignment.STICKY).fallback
                    if fallback is not None and place.version == fallback.version:
                        counts.record(make_outcome(fallback, status=status))
            for reason in Reason:
                counts.record(make_outcome(decision, status=0, reason=reason))
            for number in range(40):
                body = f'{{"p": "{"ö" * 62}{number}", "s": 1}}'.encode()
                counts.record(make_outcome(decision, body=body))
