"""Series: what the rings hold is what /metrics grew by, whoever was silent or began anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitoring.console.exposition import Reading, Totals
from monitoring.console.series import LONGEST_GAP, MOST_LABELS, MOST_VERSIONS, Frame, Series

KEY = ("iris", "v2")
ALL = 600


def reading(
    answered: int, labels: dict[str, int] | None = None, key: tuple[str, str] = KEY
) -> Reading:
    durations = [0] * 17
    durations[3] = answered
    return Reading(
        {key: Totals(answered=answered, drawn=answered, labels=labels or {}, durations=durations)}
    )


def held(series: Series, level: int = 0, key: tuple[str, str] = KEY) -> int:
    frame = Frame(level, series.end, ALL, (slice(0, ALL),))
    return int(series.span(key, frame).answered[0])


LOOKS = st.lists(
    st.tuples(
        st.integers(1, 12),  # seconds since the look before
        st.one_of(st.none(), st.integers(0, 50)),  # what one gateway counted meanwhile; silent
        st.one_of(st.none(), st.integers(0, 50)),
    ),
    min_size=1,
    max_size=12,
)


@given(LOOKS)
def test_no_count_is_lost_or_invented(looks: list[tuple[int, int | None, int | None]]) -> None:
    series, second = Series(), 1_000_000
    totals = {"a": 7, "b": 100}
    told: dict[str, list[int]] = {"a": [], "b": []}
    when: dict[str, int] = {}
    whole = True
    for gap, *grown in looks:
        second += gap
        readings = {}
        for address, number in zip("ab", grown, strict=True):
            if number is None:
                continue
            whole &= second - when.get(address, second) <= LONGEST_GAP
            totals[address] += number
            told[address].append(totals[address])
            when[address] = second
            readings[address] = reading(totals[address])
        series.take(second, readings)

    grown_by = sum(one[-1] - one[0] for one in told.values() if one)

    for level in range(3):
        assert held(series, level) == grown_by or not whole


def test_a_gateway_that_began_anew_has_counted_what_it_tells() -> None:
    series = Series()
    for second, answered in ((100, 50), (101, 60), (102, 4), (103, 9)):
        series.take(second, {"a": reading(answered)})

    assert held(series) == 10 + 4 + 5


def test_a_version_that_was_not_there_before_is_counted_from_nothing() -> None:
    series = Series()
    series.take(100, {"a": Reading()})
    series.take(101, {"a": reading(3)})

    assert held(series) == 3


def test_what_nobody_watched_for_long_is_a_gap_and_no_burst() -> None:
    series = Series()
    series.take(100, {"a": reading(0)})
    series.take(100 + LONGEST_GAP + 1, {"a": reading(10_000)})
    series.take(100 + LONGEST_GAP + 2, {"a": reading(10_005)})

    assert held(series) == 5
    assert series.watched_now == 1


def test_a_look_every_few_seconds_is_spread_over_them() -> None:
    series = Series()
    series.take(100, {"a": reading(0)})
    series.take(105, {"a": reading(52)})

    frame = Frame(0, 105, 5, tuple(slice(one, one + 1) for one in range(5)))

    assert sorted(series.span(KEY, frame).answered.tolist()) == [10, 10, 10, 11, 11]
    assert series.watched(frame).tolist() == [1] * 5


def test_seconds_that_two_gateways_tell_of_are_watched_once() -> None:
    series = Series()
    for second in range(100, 111):
        series.take(second, {"a": reading(second), "b": reading(second)})

    assert series.watched_now == 10
    assert held(series) == 20


def test_a_clock_that_was_put_back_begins_anew() -> None:
    series = Series()
    series.take(10_000, {"a": reading(0)})
    series.take(10_001, {"a": reading(5)})
    series.take(5_000, {"a": reading(6)})
    series.take(5_001, {"a": reading(8)})

    assert series.end == 5_001
    assert held(series) == 2


def test_memory_is_bounded_over_many_versions_and_the_one_idle_longest_goes() -> None:
    series = Series()
    size = 0
    for number in range(2 * MOST_VERSIONS):
        key = ("iris", f"v{number}")
        series.take(1000 + 2 * number, {"a": reading(0, key=key)})
        series.take(1001 + 2 * number, {"a": reading(1, key=key)})
        if number == MOST_VERSIONS - 1:
            size = series.nbytes

    assert series.nbytes == size < 48 * 1024 * 1024
    assert held(series, key=("iris", "v0")) == 0
    assert held(series, key=("iris", f"v{2 * MOST_VERSIONS - 1}")) == 1


def test_labels_beyond_the_most_are_counted_together() -> None:
    series = Series()
    labels = {f"label-{number:02}": 2 for number in range(MOST_LABELS + 3)}
    series.take(100, {"a": reading(0, dict.fromkeys(labels, 0))})
    series.take(101, {"a": reading(1, labels)})

    span = series.now(KEY)

    assert len(span.labels) == MOST_LABELS
    assert span.given[0].tolist() == [2] * MOST_LABELS + [6]
