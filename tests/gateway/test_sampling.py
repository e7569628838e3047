"""What OpenTelemetry's variables ask for, and which traces that keeps."""

from __future__ import annotations

from random import Random

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from gateway.errors import TracesRefused
from gateway.traces.sampling import ARGUMENT, SAMPLER, USUAL_SHARE, Sampling, sampling_of

RATIO = "parentbased_traceidratio"


@pytest.mark.parametrize(
    ("environment", "share"),
    [
        ({}, USUAL_SHARE),
        ({SAMPLER: ""}, USUAL_SHARE),
        ({ARGUMENT: "0.25"}, 0.25),
        ({SAMPLER: RATIO}, 1.0),  # so says OpenTelemetry
        ({SAMPLER: RATIO, ARGUMENT: "0"}, 0.0),
        ({SAMPLER: "parentbased_always_on", ARGUMENT: "0.5"}, 1.0),
        ({SAMPLER: "parentbased_always_off"}, 0.0),
    ],
)
def test_the_share_is_what_the_environment_says(environment: dict[str, str], share: float) -> None:
    assert sampling_of(environment) == Sampling.of_share(share)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({SAMPLER: "always_on"}, SAMPLER),  # it would go over what clients say
        ({ARGUMENT: "ten"}, ARGUMENT),
        ({ARGUMENT: "1.1"}, ARGUMENT),
        ({ARGUMENT: "nan"}, ARGUMENT),
        ({SAMPLER: RATIO, ARGUMENT: "-0.1"}, ARGUMENT),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(environment: dict[str, str], named: str) -> None:
    with pytest.raises(TracesRefused, match=rf"^{named}: .*; write"):
        sampling_of(environment)


def test_a_share_is_kept_and_the_same_one_everywhere() -> None:
    draw = Random(1)
    traces = [draw.getrandbits(128) for _ in range(20_000)]
    tenth, half = Sampling.of_share(0.1), Sampling.of_share(0.5)
    kept = {trace for trace in traces if tenth.keeps(trace)}

    assert 1_800 < len(kept) < 2_200
    assert all(half.keeps(trace) for trace in kept)
    assert all(Sampling.of_share(1).keeps(trace) for trace in (0, 2**64 - 1, 2**128 - 1))
    assert not any(Sampling.of_share(0).keeps(trace) for trace in traces)


def test_a_share_keeps_what_opentelemetry_keeps() -> None:
    theirs, draw = TraceIdRatioBased(0.3), Random(2)

    for trace in (draw.getrandbits(128) for _ in range(2_000)):
        decision = theirs.should_sample(None, trace, "name").decision
        assert decision.is_sampled() == Sampling.of_share(0.3).keeps(trace)
