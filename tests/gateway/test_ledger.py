"""Counting in many places is counting in one: sums by name, whoever counted, in whatever order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.counting.archive import KEPT_GENERATIONS, Archive
from gateway.counting.counts import LEARNED_LABELS, LEARNED_SERIES, OTHER_LABEL
from gateway.counting.ledger import Ledger, Totals, total
from gateway.counting.vocabulary import Vocabulary
from gateway.routing.table import compile_table
from tests.builders import make_config, make_prediction

NAMES = (
    ("requests", "iris", "v1", "stable", "200", "weighted"),
    ("requests", "iris", "v2", "candidate", "502", "sticky"),
    ("assigned", "iris", "v1", "stable"),
    ("refused", "no_route"),
)
# Owner, generation, name and how often: what one of several processes counts at some time.
steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from(NAMES), st.integers(0, 2**40)),
    max_size=40,
)


def grow(ledger: Ledger, name: tuple[str, ...], number: int) -> None:
    ledger.counts[ledger.cell(*name)] += number
    ledger.sums[ledger.sum("seconds", *name)] += number / 8  # exact, so that order does not matter


def plain(totals: Totals) -> tuple[dict[object, int], dict[object, float]]:
    """Without what was never counted."""
    return (
        {name: row[0] for name, row in totals.counts.items() if row[0]},
        {name: amount for name, amount in totals.sums.items() if amount},
    )


def test_a_name_has_one_place_and_two_names_have_two() -> None:
    ledger = Ledger()

    assert ledger.cell("a", "b") == ledger.cell("a", "b")
    row = ledger.row(3, "c")
    assert len({ledger.cell("a"), ledger.cell("b"), row, row + 1, row + 2}) == 5
    assert ledger.sum("d") == ledger.sum("d")


def test_a_row_is_added_up_cell_by_cell() -> None:
    one, other = Ledger(), Ledger()
    other.cell("first", "here", "something", "else")  # the same name stands elsewhere there
    for ledger in (one, other):
        ledger.counts[ledger.row(3, "waited") + 1] += 2

    assert total([one, other]).counts["waited",] == [0, 4, 0]


@given(steps)
def test_totals_do_not_depend_on_who_counted_when(
    done: list[tuple[int, int, tuple[str, ...], int]],
) -> None:
    alone = Ledger()
    spread: dict[tuple[int, int], Ledger] = {}
    for owner, generation, name, number in done:
        grow(alone, name, number)
        grow(spread.setdefault((owner, generation), Ledger()), name, number)

    assert plain(total(spread.values())) == plain(total([alone]))


@given(steps, st.randoms(use_true_random=False))
def test_no_order_of_closing_ledgers_changes_a_count(
    done: list[tuple[int, int, tuple[str, ...], int]], random: object
) -> None:
    archive = Archive()
    table = compile_table(make_config())
    epochs = [archive.prepare(table, 0) for _ in range(5)]
    expected: Counter[tuple[str, ...]] = Counter()
    under: Counter[tuple[int, tuple[str, ...]]] = Counter()
    open_now: dict[tuple[int, int], Ledger] = {}
    for epoch in epochs:
        archive.enforce(epoch)
    for owner, generation, name, number in done:
        if (owner, generation) not in open_now:
            open_now[owner, generation] = Ledger()
            archive.add(owner, epochs[generation], open_now[owner, generation])
        grow(open_now[owner, generation], name, number)
        expected[name] += number
        under[generation, name] += number
        what = random.random()  # type: ignore[attr-defined]
        if what < 0.3:  # its generation is over, or the whole process is
            archive.close(owner, epochs[generation].serial)
            del open_now[owner, generation]
        elif what < 0.5:
            archive.close_all(owner)
            open_now = {key: one for key, one in open_now.items() if key[0] != owner}

    assert plain(archive.total())[0] == {name: n for name, n in expected.items() if n}
    for generation, epoch in enumerate(epochs):
        found = plain(archive.under(epoch))[0]
        assert found == {name: n for (g, name), n in under.items() if g == generation and n}


def test_gauges_are_of_the_living() -> None:
    archive = Archive()
    epoch = archive.prepare(compile_table(make_config()), 0)
    archive.enforce(epoch)
    for owner in (1, 2):
        ledger = Ledger()
        ledger.counts[ledger.gauge("in_flight", "iris", "v1", "url")] = 3
        archive.add(owner, epoch, ledger)

    assert archive.under(epoch).gauges == {("in_flight", "iris", "v1", "url"): 6}
    archive.close_all(1)
    assert archive.under(epoch).gauges == {("in_flight", "iris", "v1", "url"): 3}


def test_a_sum_never_shrinks_by_rounding() -> None:
    archive = Archive()
    epoch = archive.prepare(compile_table(make_config()), 0)
    archive.enforce(epoch)
    for owner, seconds in enumerate((0.1, 0.2, 0.3, 1e-17, 0.7)):
        ledger = Ledger()
        ledger.sums[ledger.sum("waited_sum", "iris", "v1", "stable")] += seconds
        archive.add(owner, epoch, ledger)
    told = [archive.total().sums["waited_sum", "iris", "v1", "stable"]]
    for owner in (3, 0, 4, 2, 1):
        archive.close_all(owner)
        told.append(archive.total().sums["waited_sum", "iris", "v1", "stable"])

    assert told == sorted(told)


def test_a_version_nobody_knows_any_more_is_forgotten_whole() -> None:
    archive = Archive()
    both, one = make_config(), make_config({"v1": "http://127.0.0.1:1"})
    first = archive.prepare(compile_table(both), 0)
    archive.enforce(first)
    ledger = Ledger()
    grow(ledger, NAMES[1], 5)
    archive.add(1, first, ledger)
    archive.close(1, first.serial)
    for _ in range(KEPT_GENERATIONS):
        archive.enforce(archive.prepare(compile_table(one), 0))
    kept = archive.total().counts[NAMES[1]]
    archive.enforce(archive.prepare(compile_table(one), 0))

    assert kept == [5]
    assert NAMES[1] not in archive.total().counts


def test_labels_that_many_processes_learned_are_capped_as_those_of_one() -> None:
    vocabulary = Vocabulary()
    key = ("iris", "v1", "stable")
    vocabulary.declare(compile_table(make_config(prediction=make_prediction(labels=["setosa"]))))
    first = [vocabulary.spoken(key, f"label-{i}") for i in range(50)]
    again = [vocabulary.spoken(key, f"label-{i}") for i in reversed(range(50))]

    assert len(set(first) - {OTHER_LABEL}) == LEARNED_LABELS
    assert again == first[::-1]
    assert vocabulary.spoken(key, "setosa") == "setosa"
    assert vocabulary.spoken(key, OTHER_LABEL) == OTHER_LABEL


@pytest.mark.parametrize("versions", [1, 2, 3, 4, 12, 90, 255])
def test_labels_of_many_versions_are_few_series_and_told_alike_of_all(versions: int) -> None:
    names = [f"v{number}" for number in range(versions)]
    vocabulary = Vocabulary()
    config = make_config(dict.fromkeys(names, "http://127.0.0.1:1"))
    vocabulary.declare(compile_table(config))
    told = {
        vocabulary.spoken(("iris", name, "candidate"), f"label-{name}-{i}")
        for name in names
        for i in range(50)
    } - {OTHER_LABEL}

    assert len(told) == min(LEARNED_LABELS * versions, LEARNED_SERIES // versions)
    assert len(told) * versions <= LEARNED_SERIES
    if told and versions > 3:
        common = min(told)
        assert vocabulary.spoken(("iris", names[-1], "candidate"), common) == common


@pytest.mark.parametrize("owner", [0, 7])
def test_what_a_process_answered_outlives_its_closed_ledgers_but_not_itself(owner: int) -> None:
    archive = Archive()
    epoch = archive.prepare(compile_table(make_config()), 0)
    archive.enforce(epoch)
    ledger = Ledger()
    grow(ledger, NAMES[0], 3)
    archive.add(owner, epoch, ledger)
    open_then = archive.answered(owner)
    archive.close(owner, epoch.serial)
    closed_then = archive.answered(owner)
    archive.close_all(owner)

    assert (open_then, closed_then, archive.answered(owner)) == (3, 3, 0)
