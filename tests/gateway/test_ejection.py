"""Which endpoint is left out, for how long, and how it comes back: times and counts are given."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.workers.ejection import (
    FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    PATIENCE,
    Standing,
    State,
    most_out,
)


def left_out(now: float = 100.0, answers: int = 0) -> Standing:
    """An endpoint that has just been left out."""
    standing = Standing()
    for _ in range(FAILURES):
        standing.failed(answers, now, room=True)
    assert standing.state is State.OUT
    return standing


def asked(now: float = 100.0) -> tuple[Standing, float]:
    """One that was left out and is being asked again, and the time it is then."""
    standing = left_out(now)
    now += FIRST_PAUSE
    standing.tick(0, now)
    standing.asked(0)
    return standing, now


def pause_of(standing: Standing, now: float) -> float:
    """How long it is left out from now on, in steps of half a second."""
    waited = 0.0
    while standing.state is State.OUT:
        waited += 0.5
        standing.tick(0, now + waited)
    return waited


def test_a_few_failures_leave_nobody_out() -> None:
    standing = Standing()
    for _ in range(FAILURES - 1):
        standing.failed(0, 1.0, room=True)

    assert standing.state is State.SERVING


@given(st.lists(st.integers(1, FAILURES - 1), min_size=1, max_size=20))
def test_a_good_answer_among_failures_begins_the_row_anew(rows: list[int]) -> None:
    standing = Standing()
    for answers, failures in enumerate(rows):
        for _ in range(failures):
            standing.failed(answers, 1.0, room=True)

    assert standing.state is State.SERVING


def test_where_no_more_may_be_left_out_an_endpoint_serves_on_however_it_fails() -> None:
    standing = Standing()
    for _ in range(3 * FAILURES):
        standing.failed(0, 1.0, room=False)
    assert standing.state is State.SERVING

    standing.failed(0, 1.0, room=True)

    assert standing.state is State.OUT


def test_it_is_left_out_for_its_time_and_then_one_request_is_due() -> None:
    standing = left_out(now=100.0)
    standing.tick(0, 100.0 + FIRST_PAUSE - 0.1)
    assert standing.state is State.OUT

    standing.tick(0, 100.0 + FIRST_PAUSE)

    assert standing.state is State.DUE


def test_a_good_answer_brings_it_back() -> None:
    standing, now = asked()
    standing.tick(1, now + 0.1)

    assert standing.state is State.SERVING


def test_a_failure_leaves_it_out_for_twice_as_long_up_to_a_limit() -> None:
    standing, now = asked()
    pauses = []
    for _ in range(8):
        standing.failed(0, now, room=True)
        pauses.append(pause_of(standing, now))
        now += pauses[-1]
        standing.asked(0)

    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0, 60.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_who_fails_again_soon_after_coming_back_is_left_out_longer_too() -> None:
    standing, now = asked()
    standing.tick(1, now)
    for _ in range(FAILURES):
        standing.failed(1, now + 1, room=True)

    assert pause_of(standing, now + 1) == 2 * FIRST_PAUSE


def test_who_was_good_for_long_begins_with_the_first_pause() -> None:
    standing, now = asked()
    standing.tick(1, now)
    later = now + LONGEST_PAUSE
    for _ in range(FAILURES):
        standing.failed(1, later, room=True)

    assert pause_of(standing, later) == FIRST_PAUSE


def test_a_request_nothing_is_heard_of_is_followed_by_another() -> None:
    """Its client may have left, or its deadline is long."""
    standing, now = asked()
    standing.tick(0, now)
    standing.tick(0, now + PATIENCE - 0.1)
    assert standing.state is State.ASKED

    standing.tick(0, now + PATIENCE)

    assert standing.state is State.DUE


def test_what_was_sent_before_it_was_left_out_changes_nothing() -> None:
    standing = left_out(now=100.0)
    standing.failed(0, 101.0, room=True)
    standing.tick(3, 102.0)
    assert standing.state is State.OUT
    assert pause_of(standing, 102.0) <= FIRST_PAUSE

    standing.failed(3, 200.0, room=True)

    assert standing.state is State.DUE


class Version(RuleBasedStateMachine):
    """Some endpoints, asked, failing and answering in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.all = [Standing() for _ in range(3)]
        self.answers = [0, 0, 0]
        self.since = [100.0, 100.0, 100.0]  # when each was last left out

    def out(self) -> int:
        return sum(one.state is not State.SERVING for one in self.all)

    @rule(which=st.integers(0, 2), times=st.integers(1, FAILURES + 1))
    def fail(self, which: int, times: int) -> None:
        for _ in range(times):
            before = self.all[which].state
            room = self.out() < most_out(len(self.all))
            self.all[which].failed(self.answers[which], self.now, room=room)
            if before is not State.OUT and self.all[which].state is State.OUT:
                self.since[which] = self.now

    @rule(which=st.integers(0, 2))
    def answer(self, which: int) -> None:
        self.answers[which] += 1

    @rule(seconds=st.floats(0.1, 100.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        for which, one in enumerate(self.all):
            before = one.state
            one.tick(self.answers[which], self.now)
            if before is State.OUT and one.state is State.DUE:
                assert self.now - self.since[which] >= FIRST_PAUSE
            if before is State.OUT and one.state is State.OUT:
                assert self.now - self.since[which] < LONGEST_PAUSE
            assert (before, one.state) != (State.OUT, State.SERVING)

    @precondition(lambda self: any(one.state is State.DUE for one in self.all))
    @rule()
    def ask(self) -> None:
        which = next(i for i, one in enumerate(self.all) if one.state is State.DUE)
        self.all[which].asked(self.answers[which])

    @rule(which=st.integers(0, 2))
    def heal(self, which: int) -> None:
        """Whoever answers what it is asked serves again within two looks of its time."""
        one = self.all[which]
        if one.state is State.OUT:
            self.wait(LONGEST_PAUSE)
        if one.state is State.DUE:
            one.asked(self.answers[which])
        self.answers[which] += 1
        if one.state is State.ASKED:
            self.wait(0.1)
        assert one.state is State.SERVING

    @invariant()
    def one_always_serves(self) -> None:
        assert self.out() <= most_out(len(self.all)) < len(self.all)


TestVersion = Version.TestCase
TestVersion.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_at_most_half_are_left_out_and_one_always_serves() -> None:
    assert [most_out(size) for size in range(1, 7)] == [0, 1, 1, 2, 2, 3]
