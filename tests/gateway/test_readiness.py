"""Who counts as ready, and who is left out for it: statuses and standings are given."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.workers.balance import BalancedPool, WatchedEndpoint
from gateway.workers.check import request_of
from gateway.workers.dial import dial
from gateway.workers.ejection import FAILURES, State
from gateway.workers.readiness import SILENCES, Readiness, held
from tests.builders import make_endpoint


def told(*statuses: int | None, serving: bool = True) -> bool:
    """Whether an endpoint is ready after these answers."""
    readiness = Readiness()
    for status in statuses:
        readiness.heard(status, serving=serving)
    return readiness.ready


def test_who_was_never_asked_is_not_known_to_be_ready() -> None:
    assert not told()


@given(st.integers(100, 999))
def test_only_2xx_is_ready(status: int) -> None:
    assert told(status) == (200 <= status < 300)


@given(st.lists(st.none() | st.integers(100, 599), max_size=10), st.booleans())
def test_an_answer_counts_at_once_whatever_was_before(
    before: list[int | None], serving: bool
) -> None:
    assert told(*before, 200, serving=serving)
    assert not told(*before, 503, serving=serving)


@given(st.integers(0, 10))
def test_who_serves_must_be_silent_several_times_in_a_row(silences: int) -> None:
    assert told(200, *[None] * silences) == (silences < SILENCES)


@given(st.lists(st.integers(0, SILENCES - 1), max_size=10))
def test_an_answer_among_silences_begins_the_row_anew(rows: list[int]) -> None:
    assert told(*(said for row in (0, *rows) for said in (200, *[None] * row)))


def test_one_silence_is_enough_of_who_is_left_out() -> None:
    assert told(200, serving=False)
    assert not told(200, None, serving=False)


def test_silence_makes_nobody_ready() -> None:
    assert not told(None)
    assert not told(503, None)


versions = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6)


@given(versions)
def test_who_is_ready_is_never_held(version: list[tuple[bool, bool]]) -> None:
    serving, ready = zip(*version, strict=True)

    assert not any(map(bool.__and__, held(serving, ready), ready))


@given(versions)
def test_who_is_not_ready_is_held_exactly_if_one_that_serves_is(
    version: list[tuple[bool, bool]],
) -> None:
    serving, ready = zip(*version, strict=True)
    better = (True, True) in version

    assert held(serving, ready) == [better and not says for says in ready]


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_where_nobody_is_asked_nobody_is_held(serving: list[bool]) -> None:
    assert not any(held(serving, [False] * len(serving)))


def endpoints(number: int) -> tuple[BalancedPool, list[WatchedEndpoint]]:
    """A version's pool with nothing behind it, and its endpoints."""
    urls = [f"http://127.0.0.1:{8101 + i}" for i in range(number)]
    pool = BalancedPool(tuple(map(make_endpoint, urls)), 256, dial)
    return pool, pool._watched


def fail(member: WatchedEndpoint, now: float = 100.0) -> None:
    """So often that it is left out, if it may be."""
    for _ in range(FAILURES):
        member.failed(now, sent=False)


def test_the_only_one_that_is_ready_is_not_left_out_however_it_fails() -> None:
    _, (first, second) = endpoints(2)
    first.heard(200)
    second.heard(503)
    fail(first)

    assert first.serving
    assert second.out


def test_the_last_resort_is_rather_one_that_failed_than_one_that_is_not_ready() -> None:
    pool, (serving, not_ready, failed) = endpoints(3)
    fail(failed)
    for one, status in ((serving, 200), (not_ready, 503), (failed, 200)):
        one.heard(status)

    assert pool._least_busy(serving) is failed


class Version(RuleBasedStateMachine):
    """A version's endpoints failing, answering, and saying that they are ready or not, in any
    order while time passes: the pool with nothing behind it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.pool, self.all = endpoints(3)

    def better(self) -> bool:
        return any(one.serving and one.readiness.ready for one in self.all)

    def served(self) -> WatchedEndpoint:
        """Where the next request would go."""
        probes = self.pool._due
        return self.pool._probed() if probes else self.pool._least_busy(None)

    @rule(which=st.integers(0, 2), status=st.sampled_from([200, 503, None]))
    def say(self, which: int, status: int | None) -> None:
        self.all[which].heard(status)

    @rule(which=st.integers(0, 2), times=st.integers(1, FAILURES + 1))
    def fail(self, which: int, times: int) -> None:
        for _ in range(times):
            self.all[which].failed(self.now, sent=False)

    @rule(which=st.integers(0, 2))
    def answer(self, which: int) -> None:
        self.all[which].answers += 1

    @rule(seconds=st.floats(0.1, 100.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pool.look(self.now)

    @rule()
    def ask(self) -> None:
        better = self.better()
        member = self.served()

        assert member.readiness.ready or not better
        assert member.serving or member.standing.state is State.ASKED

    @rule(which=st.integers(0, 2))
    def recover(self, which: int) -> None:
        """Whoever is ready and answers what it is asked serves again."""
        one = self.all[which]
        one.heard(200)
        for _ in range(200):
            if one.serving:
                break
            self.wait(1.0)
            if one.standing.state is State.DUE and self.served() is one:
                one.answers += 1
        assert one.serving
        assert not one.out

    @invariant()
    def one_always_gets_requests(self) -> None:
        assert not all(one.out for one in self.all)

    @invariant()
    def nobody_is_left_out_without_a_reason(self) -> None:
        better = self.better()
        for one in self.all:
            assert one.out == (not one.serving or (better and not one.readiness.ready))

    @invariant()
    def at_most_half_fail_out(self) -> None:
        assert len(self.pool.ejected) <= len(self.all) // 2


TestVersion = Version.TestCase
TestVersion.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://10.0.0.7:8101", b"10.0.0.7:8101"),
        ("https://[fd00::7]:8443", b"[fd00::7]:8443"),
        ("unix:/run/v3.sock", b"localhost"),
    ],
)
def test_a_check_names_the_endpoint_as_its_host(url: str, host: bytes) -> None:
    lines = request_of(make_endpoint(url), "/v2/health/ready").split(b"\r\n")

    assert lines[:2] == [b"GET /v2/health/ready HTTP/1.1", b"Host: " + host]
    assert lines[-2:] == [b"", b""]
    assert b"Connection: close" in lines
