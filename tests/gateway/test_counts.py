"""What is counted of an outcome, and what a verdict may use of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers.predictions import Missing
from gateway.counting.counts import (
    CLIENT_GONE,
    LEARNED_LABELS,
    OTHER_LABEL,
    VersionCounts,
)
from gateway.counting.grid import DRAWN_SCORE_BOUNDS, DURATION_BOUNDS, LATENCY_BOUNDS, SCORE_BOUNDS
from gateway.counting.ledger import Ledger, total
from gateway.counting.totals import VersionTotals, versions_of
from gateway.counting.vocabulary import Vocabulary
from gateway.errors import Reason
from gateway.model import Assignment, Prediction, Role
from gateway.routing.split import BUCKETS, SLOTS
from gateway.routing.table import compile_table
from tests.builders import (
    make_config,
    make_decision,
    make_outcome,
    make_prediction,
    make_route,
    make_sticky,
    make_value,
)


def counted(ledger: Ledger, version: str = "v2") -> VersionTotals:
    """What stands in a ledger about one version, as the admin port reads it."""
    (found,) = [
        counts
        for (_, name, _), counts in versions_of(total([ledger]), Vocabulary()).items()
        if name == version
    ]
    return found


class Book:
    """The counts of one version in a ledger of their own."""

    def __init__(self, version: str = "v2", role: Role = Role.CANDIDATE, **rules: object) -> None:
        self.config = make_config(sticky=make_sticky(), override="x-model-version", **rules)
        self.version = version
        self.ledger = Ledger()
        self.cells = VersionCounts(self.ledger, self.config.routes[0], version, role)

    @property
    def counts(self) -> VersionTotals:
        return counted(self.ledger, self.version)

    evidence = counts

    def record(self, assignment: Assignment = Assignment.WEIGHTED, **facts: object) -> None:
        decision = make_decision(self.version, assignment, self.config)
        self.cells.record(make_outcome(decision, **facts))

    def predict(self, body: bytes, status: int = 200) -> None:
        self.record(body=body, status=status)

    def answers(self) -> dict[tuple[str, int], int]:
        """How often which status was answered how, where it was at all."""
        return {key: number for key, number in self.counts.answered.items() if number}


def predicting(labels: tuple[str, ...] = (), score: str | None = None) -> Book:
    return Book(prediction=make_prediction("/p", score, labels))


def seen(counts: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


# --- answers


def test_an_answer_counts_under_its_status_and_assignment() -> None:
    book = Book()
    book.record()
    book.record(Assignment.STICKY, status=404)
    book.record(Assignment.FORCED, status=201)

    assert book.answers() == {
        (Assignment.WEIGHTED, 200): 1,
        (Assignment.STICKY, 404): 1,
        (Assignment.FORCED, 201): 1,
    }
    assert sum(book.counts.waited.buckets) == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(418, 418), (299, 200), (420, 400), (520, 500), (600, 500), (999, 500), (226, 226)],
)
def test_a_code_that_nobody_registered_counts_as_its_class(status: int, code: int) -> None:
    book = Book()
    for _ in range(2):
        book.record(status=status)

    assert book.answers() == {(Assignment.WEIGHTED, code): 2}


def test_a_failure_counts_by_its_reason_and_with_what_the_worker_took() -> None:
    book = Book()
    book.record(status=504, reason=Reason.TIMEOUT)

    assert book.counts.errors[Reason.TIMEOUT] == 1
    assert sum(book.counts.fallbacks.values()) == 0
    assert sum(book.counts.worked.buckets) == 1
    assert sum(book.counts.waited.buckets) == 1


def test_a_candidate_that_gave_way_answered_nobody_and_failed() -> None:
    book = Book()
    book.record(status=0, reason=Reason.CONNECT)

    assert book.answers() == {}
    assert book.counts.errors[Reason.CONNECT] == 1
    assert book.counts.fallbacks[Reason.CONNECT] == 1
    assert sum(book.counts.waited.buckets) == 0
    assert sum(book.counts.worked.buckets) == 0  # it was never sent
    assert (book.evidence.assigned, book.evidence.bad) == (1, 1)
    assert book.evidence.reasons == {Reason.CONNECT: 1}


def test_a_failover_stands_against_who_was_assigned_and_not_for_who_answered() -> None:
    config = make_config()
    table = compile_table(config)
    ledger = Ledger()
    counts = [VersionCounts(ledger, p.route, p.version, p.role) for p in table.places]
    candidate = table.routes[0].decision("v2", Assignment.WEIGHTED)
    assert candidate.fallback is not None
    for decision, facts in (
        (candidate, {"status": 0, "reason": Reason.RESET}),
        (candidate.fallback, {"status": 200}),
    ):
        counts[decision.index].record(make_outcome(decision, **facts))
    stable, gave_way = counted(ledger, "v1"), counted(ledger, "v2")

    assert (stable.assigned, stable.bad) == (0, 0)
    assert (gave_way.assigned, gave_way.bad) == (1, 1)
    assert stable.answered[Assignment.FALLBACK, 200] == 1
    assert sum(gave_way.answered.values()) == 0


def test_a_client_that_left_is_nobodys_failure_and_counts_as_gone() -> None:
    book = Book()
    book.record(status=0, gone=True)
    book.record(Assignment.STICKY, status=200, gone=True)

    assert book.answers() == {
        (Assignment.WEIGHTED, CLIENT_GONE): 1,
        (Assignment.STICKY, CLIENT_GONE): 1,
    }
    assert sum(book.counts.errors.values()) == 0
    assert sum(book.counts.worked.buckets) == 0
    assert (book.evidence.assigned, book.evidence.bad, book.evidence.gone) == (2, 0, 2)


def test_what_is_no_draw_fails_apart_from_the_evidence() -> None:
    book = Book()
    route = compile_table(book.config).routes[0]
    route.mark(bytearray(SLOTS), b"\1" * BUCKETS)  # all are spent
    for key in (b"alice", None):
        decision = route.assign({}, key, lambda: 0.0)
        book.cells.record(make_outcome(decision))
        book.cells.record(make_outcome(decision, status=502, reason=Reason.RESET))
        book.cells.record(make_outcome(decision, status=0, gone=True))
    counted = book.evidence

    assert (counted.assigned, counted.bad, counted.gone, sum(counted.latency)) == (0, 0, 0, 0)
    assert book.counts.split == 4
    assert book.counts.split_reasons == {Reason.RESET: 2}


@pytest.mark.parametrize(
    ("assignment", "counts"),
    [
        (Assignment.WEIGHTED, True),
        (Assignment.STICKY, True),
        (Assignment.FORCED, False),
    ],
)
def test_only_draws_and_keys_are_evidence(assignment: Assignment, counts: bool) -> None:
    book = predicting()
    book.record(assignment, body=b'{"p": "a"}')
    book.record(assignment, status=502, reason=Reason.RESET)

    assert book.evidence.assigned == (2 if counts else 0)
    assert book.evidence.bad == (1 if counts else 0)
    assert seen(book.evidence.drawn_labels) == ({"a": 1} if counts else {})
    assert book.counts.labels["a"] == 1


# --- series that exist before anything happens


def test_every_known_series_is_there_at_0() -> None:
    route = make_route(
        sticky=make_sticky(), override="x-v", prediction=make_prediction("/p", None, ("a", "b"))
    )
    ledger = Ledger()
    VersionCounts(ledger, route, "v1", Role.STABLE)
    VersionCounts(ledger, route, "v2", Role.CANDIDATE)
    stable, candidate = counted(ledger, "v1"), counted(ledger, "v2")

    for counts, ways in ((stable, set(Assignment)), (candidate, set(Assignment) - {"fallback"})):
        assert {way for way, _ in counts.answered} == ways
        assert {code for _, code in counts.answered} >= {200, 500, 502, 503, 504}
        assert set(counts.answered.values()) == {0}
        assert counts.errors == dict.fromkeys(Reason, 0)
        assert counts.missing == dict.fromkeys(Missing, 0)
        assert counts.labels == {"a": 0, "b": 0, OTHER_LABEL: 0}


def test_a_route_without_a_prediction_has_no_labels() -> None:
    ledger = Ledger()
    VersionCounts(ledger, make_route(), "v1", Role.STABLE)

    assert counted(ledger, "v1").labels == {}


@pytest.mark.parametrize(("declared", "goes_on_with"), [((), "a"), (("b",), "b")])
def test_a_new_file_goes_on_with_labels_from_traffic_unless_it_declares_some(
    declared: tuple[str, ...], goes_on_with: str
) -> None:
    book = predicting()
    book.predict(b'{"p": "a"}')
    route = replace(book.config.routes[0], prediction=Prediction("/p", None, declared))
    after = Ledger()
    VersionCounts(after, route, "v2", Role.CANDIDATE, book.cells.labels)

    assert counted(after).labels == {goes_on_with: 0, OTHER_LABEL: 0}


# --- predictions


def test_predictions_are_read_from_good_answers_only() -> None:
    book = predicting()
    book.predict(b'{"p": "a"}')
    book.predict(b'{"p": "error"}', status=400)
    book.predict(b'{"p": "moved"}', status=302)
    book.record(status=502, reason=Reason.RESET)

    assert seen(book.counts.labels) == {"a": 1}
    assert sum(book.counts.missing.values()) == 0


def test_an_answer_without_a_prediction_counts_as_missing_and_stays_evidence() -> None:
    book = predicting()
    book.predict(b"no JSON")
    book.predict(b"{}")

    assert book.counts.missing == {
        Missing.UNREADABLE: 1,
        Missing.ABSENT: 1,
        Missing.TOO_LARGE: 0,
    }
    assert (book.evidence.assigned, book.evidence.bad) == (2, 0)
    assert seen(book.evidence.drawn_labels) == {}


def test_declared_labels_are_all_there_is() -> None:
    book = predicting(("setosa", "virginica"))
    for name in ("setosa", "setosa", "rose", "tulip", OTHER_LABEL):
        book.predict(b'{"p": "%b"}' % name.encode())

    assert book.counts.labels == {"setosa": 2, "virginica": 0, OTHER_LABEL: 3}
    assert seen(book.evidence.drawn_labels) == {"setosa": 2, OTHER_LABEL: 3}


def test_labels_from_traffic_are_capped() -> None:
    book = predicting()
    for number in range(10_000):
        book.predict(b'{"p": "label-%d"}' % number)

    assert len(book.counts.labels) == LEARNED_LABELS + 1
    assert book.counts.labels[OTHER_LABEL] == 10_000 - LEARNED_LABELS
    assert book.evidence.drawn_labels == book.counts.labels


@pytest.mark.parametrize(
    "hostile",
    [
        rb"\n",
        rb"a\u0000b",
        rb"\u202e",
        rb"\ud800",
        rb"\"} 1 # EOF",
        b"x" * 65,
        rb"\u2028",
        rb"\u001b[31m",
    ],
)
def test_a_hostile_label_makes_no_line_of_its_own(hostile: bytes) -> None:
    book = predicting()
    book.predict(b'{"p": "%b"}' % hostile)

    for label in book.counts.labels:
        assert label.isprintable()
        assert len(label) <= 64
        assert label.encode()


@given(st.lists(st.binary(max_size=80) | st.text(max_size=80).map(str.encode), max_size=60))
def test_whatever_models_answer_the_series_stay_bounded_and_printable(bodies: list[bytes]) -> None:
    book = predicting(score="/s")
    for body in bodies:
        book.predict(body)
        book.predict(b'{"p": "%b", "s": 1e308}' % body)

    assert len(book.counts.labels) <= LEARNED_LABELS + 1
    assert all(label.isprintable() for label in book.counts.labels)
    assert book.evidence.assigned == 2 * len(bodies)


def test_values_are_counted_between_the_bounds_of_the_file() -> None:
    book = Book(prediction=make_value(-10, 0.5, 200))
    values = (-10.5, -10, 0, 0.5, 0.6, 200, 201)
    for value in values:
        book.predict(b'{"v": %r}' % value)
        book.record(Assignment.FORCED, body=b'{"v": %r}' % value)
    told = book.counts.values((-10, 0.5, 200))

    assert book.evidence.drawn_values((-10, 0.5, 200)) == [2, 2, 2, 1]
    assert (told.buckets, told.sum) == ([4, 4, 4, 2], pytest.approx(2 * sum(values)))
    assert seen(book.counts.missing) == seen(book.counts.labels) == {}


@pytest.mark.parametrize("value", [b"1e999", b"-1e308", b"NaN", b"1e16", b'"7"', b"true", b"[]"])
def test_a_value_that_is_no_number_to_reckon_with_is_missing(value: bytes) -> None:
    book = Book(prediction=make_value())
    book.predict(b'{"v": %b}' % value)
    book.predict(b"{}")

    assert sum(book.evidence.drawn_values((10.0, 20.0, 50.0))) == 0
    assert sum(book.counts.sums.values()) < 1  # times
    assert sum(book.counts.drawn_missing.values()) == 2


def test_a_value_beside_a_label_may_be_missing() -> None:
    """Chat workers tell the number of tokens where they are asked to."""
    book = Book(prediction=make_prediction("/p", value="/v", bounds=[1.0]))
    book.predict(b'{"p": "stop"}')
    book.predict(b'{"v": 3}')

    assert seen(book.counts.missing) == {Missing.ABSENT: 1}
    assert book.evidence.drawn_values((1.0,)) == [0, 1]


def test_what_was_read_of_a_stream_counts_as_if_it_were_of_a_whole_answer() -> None:
    book = Book(prediction=make_prediction("/p", value="/v", bounds=[1.0]))
    book.record(reading=("stop", None, 3.0, None), bound=True)
    book.record(reading=(None, None, None, Missing.ABSENT), bound=True)
    book.record(reading=("stop", None, 3.0, None), bound=True, reason=Reason.UPSTREAM_5XX)
    book.record(reading=("stop", None, 3.0, None), bound=True, status=0, gone=True)

    assert seen(book.counts.drawn_labels) == {"stop": 1}
    assert book.evidence.drawn_values((1.0,)) == [0, 1]
    assert seen(book.evidence.drawn_missing) == {Missing.ABSENT: 1}
    assert (book.evidence.bad, book.evidence.gone) == (1, 1)


def test_scores_fall_into_their_buckets() -> None:
    book = predicting(score="/s")
    for score in (b"0", b"0.05", b"0.051", b"1", b"1.5", b"-3"):
        book.predict(b'{"p": "a", "s": %b}' % score)
    buckets = dict(zip((*SCORE_BOUNDS, None), book.counts.scores.buckets, strict=True))

    assert {bound: number for bound, number in buckets.items() if number} == {
        0.05: 3,
        0.1: 1,
        1.0: 1,
        None: 1,
    }


def test_no_scores_make_the_sum_something_that_is_no_number() -> None:
    book = predicting(score="/s")
    for score in (b"1e308", b"1e308", b"-1e308", b"-1e308", b"1e999", b"-1e999", b"0.5"):
        book.predict(b'{"p": "a", "s": %b}' % score)

    assert not isnan(book.counts.scores.sum)


def test_scores_of_draws_lie_on_a_grid_of_their_own_and_are_scores_as_all() -> None:
    book = predicting(score="/s")
    scores = (0.001, 0.04, 0.9999, 1.0, 3.0, -7.0, 2e6)
    for score in scores:
        book.predict(b'{"p": "a", "s": %r}' % score)
        book.record(Assignment.FORCED, body=b'{"p": "a", "s": %r}' % score)
    drawn = book.evidence.drawn_scores

    expected = Counter(bisect_left(DRAWN_SCORE_BOUNDS, score) for score in scores)
    assert {place: n for place, n in enumerate(drawn) if n} == expected
    every = Counter(bisect_left(SCORE_BOUNDS, score) for score in scores * 2)
    assert {place: n for place, n in enumerate(book.counts.scores.buckets) if n} == every
    assert book.counts.scores.sum == pytest.approx(2 * sum(scores))


# --- how long draws took


def latency_of(book: Book) -> dict[int, int]:
    return {place: number for place, number in enumerate(book.evidence.latency) if number}


BEYOND = len(LATENCY_BOUNDS)


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"upstream_seconds": 0.001}, 8),
        ({"upstream_seconds": 0.0011}, 9),
        ({"upstream_seconds": 0.0}, 0),
        ({"upstream_seconds": 70.0}, BEYOND),
        ({"upstream_seconds": 0.001, "status": 404}, 8),
        ({"upstream_seconds": 0.001, "reason": Reason.UPSTREAM_5XX, "status": 0}, 8),
        ({"upstream_seconds": 0.001, "reason": Reason.UPSTREAM_5XX, "status": 500}, 8),
        ({"upstream_seconds": 0.001, "reason": Reason.TIMEOUT, "status": 0}, BEYOND),
        ({"upstream_seconds": 0.001, "gone": True, "status": 0}, 8),
        ({"upstream_seconds": 0.001, "reason": Reason.CONNECT, "status": 0}, None),
        ({"upstream_seconds": 0.001, "reason": Reason.RESET, "status": 0}, None),
        ({"upstream_seconds": 0.001, "reason": Reason.SHED, "status": 0}, None),
        ({"upstream_seconds": 0.001, "reason": Reason.BAD_RESPONSE, "status": 0}, None),
    ],
)
def test_a_draw_has_the_time_its_version_took_as_far_as_that_is_known(
    facts: dict[str, object], where: int | None
) -> None:
    book = Book()
    book.record(**facts)
    book.record(Assignment.FORCED, **facts)

    assert latency_of(book) == ({} if where is None else {where: 1})
    assert book.evidence.assigned == 1


outcomes = st.fixed_dictionaries(
    {
        "upstream_seconds": st.floats(0, 100) | st.sampled_from(LATENCY_BOUNDS + DURATION_BOUNDS),
        "status": st.sampled_from([0, 200, 404, 500]),
        "reason": st.none() | st.sampled_from(Reason),
        "gone": st.booleans(),
        "seconds": st.floats(0, 100),
        "bound": st.booleans(),
        "body": st.none() | st.sampled_from([b'{"p": "a", "s": 0.25}', b"{}", b"no"]),
    }
)


@given(st.lists(st.tuples(st.sampled_from(["v1", "v2"]), st.sampled_from(Assignment), outcomes)))
def test_prometheus_is_told_the_same_of_draws_and_of_all_else(
    done: list[tuple[str, Assignment, dict[str, object]]],
) -> None:
    book = {name: Book(name, role, prediction=make_prediction("/p", "/s")) for name, role in ROLES}
    took: dict[str, Counter[int]] = {name: Counter() for name in book}
    for name, assignment, facts in done:
        assignment = Assignment.WEIGHTED if assignment is Assignment.FALLBACK else assignment
        facts = facts | ({"reason": None} if facts["gone"] else {})
        facts = facts | ({"body": None} if facts["gone"] or facts["reason"] else {})
        book[name].record(assignment, **facts)
        if not facts["gone"] and facts["reason"] not in (Reason.CONNECT, Reason.SHED):
            seconds = facts["upstream_seconds"]
            took[name][bisect_left(DURATION_BOUNDS, seconds)] += 1  # type: ignore[type-var]
    for name, one in book.items():
        found = one.counts
        buckets = {place: n for place, n in enumerate(found.worked.buckets) if n}
        assert buckets == took[name]
        assert 0 <= found.bad + found.gone <= found.assigned
        assert found.bad == sum(found.bad_by.values())
        assert sum(found.latency) <= found.assigned
        drawn = sum(found.drawn_labels.values()) + sum(found.drawn_missing.values())
        assert drawn <= found.assigned - found.bad - found.gone


ROLES = (("v1", Role.STABLE), ("v2", Role.CANDIDATE))


def test_what_gave_no_prediction_is_told_apart_for_draws() -> None:
    book = predicting()
    for assignment in (Assignment.WEIGHTED, Assignment.FORCED, Assignment.FORCED):
        book.record(assignment, body=b"{}")
        book.record(assignment, body=b"no JSON")
    book.record(body=b"{}", status=404)

    assert book.evidence.drawn_missing == {"unreadable": 1, "absent": 1, "too_large": 0}
    assert book.counts.missing == {"unreadable": 3, "absent": 3, "too_large": 0}


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_without_a_body_gave_no_prediction(status: int) -> None:
    book = predicting()
    book.predict(b"", status)

    assert seen(book.evidence.drawn_missing) == {Missing.UNREADABLE: 1}


# --- histograms


@given(st.lists(st.floats(0, 100), max_size=50))
def test_a_histogram_counts_each_value_once_at_or_below_its_bound(values: list[float]) -> None:
    book = Book()
    for value in values:
        book.record(seconds=value)
    histogram = book.counts.waited

    for i, bound in enumerate(DURATION_BOUNDS):
        assert sum(histogram.buckets[: i + 1]) == sum(value <= bound for value in values)
    assert sum(histogram.buckets) == len(values)
    assert histogram.sum == pytest.approx(sum(values))


def test_bounds_grow() -> None:
    assert list(DURATION_BOUNDS) == sorted(set(DURATION_BOUNDS))
    assert list(SCORE_BOUNDS) == sorted(set(SCORE_BOUNDS))
    assert len(SCORE_BOUNDS) == 20


def test_the_times_a_client_waited_and_a_worker_took_are_told_apart() -> None:
    book = Book()
    book.record(seconds=0.3, upstream_seconds=0.02)

    assert book.counts.waited.sum == pytest.approx(0.3)
    assert book.counts.worked.sum == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("version", "seconds", "bound", "bad"),
    [("v1", 1.6, False, 1), ("v1", 1.4, False, 0), ("v1", 1.6, True, 0), ("v2", 1.6, False, 0)],
)
def test_stable_is_held_to_the_time_a_candidate_has(
    version: str, seconds: float, bound: bool, bad: int
) -> None:
    table = compile_table(make_config())  # timeout: 3 s, fallback: stable
    decision = table.routes[0].decision(version, Assignment.WEIGHTED)
    place = table.places[decision.index]
    ledger = Ledger()
    counts = VersionCounts(ledger, place.route, place.version, place.role)

    counts.record(make_outcome(decision, status=200, seconds=seconds, body=b"{}", bound=bound))

    found = counted(ledger, version)
    assert (found.assigned, found.bad) == (1, bad)
    assert found.reasons == ({Reason.TIMEOUT: 1} if bad else {})
    assert found.latency[BEYOND] == bad
    assert sum(found.errors.values()) == 0


def test_what_stable_said_too_late_is_no_prediction_in_the_evidence() -> None:
    """A candidate that slow would have said nothing: were stable's word taken, slow classes would
    seem rarer among candidates that are no different.
    """
    book = Book("v1", Role.STABLE, prediction=make_prediction("/p", "/s"))
    for body in (b'{"p": "a", "s": 0.5}', b"{}"):
        book.record(seconds=1.6, body=body)

    assert seen(book.evidence.drawn_labels) == {}
    assert sum(book.evidence.drawn_missing.values()) == 0
    assert sum(book.evidence.drawn_scores) == 0
    assert seen(book.counts.labels) == {"a": 1}
    assert sum(book.counts.scores.buckets) == 1


@pytest.mark.parametrize(
    ("version", "role", "seconds", "bound", "bad"),
    [
        ("v1", Role.STABLE, 1.6, False, 1),
        ("v1", Role.STABLE, 1.4, False, 0),
        ("v1", Role.STABLE, 1.6, True, 0),
        ("v2", Role.CANDIDATE, 1.6, False, 0),
    ],
)
def test_who_leaves_stable_where_a_candidate_had_been_given_up_has_seen_a_timeout(
    version: str, role: Role, seconds: float, bound: bool, bad: int
) -> None:
    """Else clients that wait for less than the deadline would leave the timeouts to candidates."""
    book = Book(version, role)
    book.record(gone=True, seconds=seconds, status=0, bound=bound, upstream_seconds=0.001)
    found = book.evidence

    assert (found.assigned, found.bad, found.gone) == (1, bad, 1 - bad)
    assert latency_of(book) == ({BEYOND: 1} if bad else {8: 1})
    assert sum(found.errors.values()) == 0
