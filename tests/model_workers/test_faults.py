"""The fault plan: text to plan, and which request meets what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_workers.serving.faults import (
    NO_FAULT,
    NO_FAULTS,
    BadFaults,
    Fault,
    Faults,
    Strike,
    from_mapping,
    parse,
)

plans = st.builds(
    Faults,
    errors=st.floats(0, 0.25),
    hang=st.floats(0, 0.25),
    cut=st.floats(0, 0.25),
    garbage=st.floats(0, 0.125),
    crash=st.floats(0, 0.0625),
    stuck=st.floats(0, 0.0625),
    latency=st.floats(0, 3600),
    constant=st.none() | st.sampled_from(["setosa", "a label = with signs"]),
    after=st.integers(0, 10**6),
    seed=st.integers(0, 10**6),
)


def test_every_key_is_understood():
    assert parse("errors=0.3, latency=50ms,constant=setosa,hang=0.1,after=200,seed=7") == Faults(
        errors=0.3, latency=0.05, constant="setosa", hang=0.1, after=200, seed=7
    )


@pytest.mark.parametrize("text", ["", "  ", ",", "errors=0"])
def test_nothing_said_is_nothing_wrong(text):
    assert parse(text) == NO_FAULTS
    assert parse(text).at(0) == NO_FAULT


@given(plans)
def test_a_plan_written_down_is_read_back_the_same(plan):
    assert parse(str(plan)) == plan


def test_a_json_object_means_the_same_as_text():
    assert from_mapping({"errors": 0.3, "latency": "50ms", "constant": None}) == parse(
        "errors=0.3,latency=50ms"
    )
    assert from_mapping({"latency": 2}) == parse("latency=2s")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("errors", "write it as key=value"),
        ("error=0.3", "did you mean errors?"),
        ("zzz=1", "the keys are errors"),
        ("errors=1.5", "share from 0 to 1"),
        ("errors=-1", "share from 0 to 1"),
        ("errors=nan", "share from 0 to 1"),
        ("errors=0.1,errors=0.2", "twice"),
        ("errors=0.6,hang=0.6", "add up to 1.2"),
        ("latency=50", "a number and a unit"),
        ("latency=2h", "a number and a unit"),
        ("latency=9999s", "at most 3600s"),
        ("constant=", "write one label"),
        ("after=soon", "whole number"),
        ("seed=1.5", "whole number"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_rule(text, words):
    with pytest.raises(BadFaults) as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [True, [0.3], {"share": 1}])
def test_a_json_value_of_another_kind_is_refused(value):
    with pytest.raises(BadFaults, match="write a number or a text"):
        from_mapping({"errors": value})


@given(plans, st.integers(0, 10**6))
def test_the_same_plan_always_treats_a_request_the_same(plan, number):
    assert plan.at(number) == parse(str(plan)).at(number)


def test_the_first_requests_are_spared_and_then_all_meets_the_plan():
    plan = parse("errors=1,latency=50ms,after=3")
    assert [plan.at(number) for number in range(3)] == [NO_FAULT] * 3
    assert plan.at(3) == Fault(0.05, strike=Strike.ERROR)


def test_strikes_come_in_the_shares_asked_for():
    plan = parse("errors=0.3,hang=0.1,cut=0.05,garbage=0.05,crash=0.2,stuck=0.1")
    met = [plan.at(number).strike for number in range(10_000)]
    # Within five standard deviations of the binomial; the seed is fixed, so this cannot flicker.
    for strike, share in zip(Strike, (0.3, 0.1, 0.05, 0.05, 0.2, 0.1), strict=True):
        assert abs(met.count(strike) - 10_000 * share) < 5 * (10_000 * share * (1 - share)) ** 0.5


def test_a_share_of_1_strikes_every_request():
    assert {parse("hang=1").at(number).strike for number in range(500)} == {Strike.HANG}


def test_another_seed_strikes_other_requests():
    first, second = parse("errors=0.5,seed=1"), parse("errors=0.5,seed=2")
    assert [first.at(n).strike for n in range(50)] != [second.at(n).strike for n in range(50)]
