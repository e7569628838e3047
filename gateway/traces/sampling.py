"""Which requests that no trace has decided on yet are told of in spans: a share of them.

Who asks decides for its own trace (parent-based); only where nobody did, the trace id does, in the
way of OpenTelemetry's TraceIdRatioBased: of all who know a trace and go by the same share, all keep
it or none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.errors import TracesRefused

SAMPLER: Final = "OTEL_TRACES_SAMPLER"
ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"
USUAL_SHARE: Final = 0.01  # without a word of the environment
_FIXED: Final = {"parentbased_always_on": 1.0, "parentbased_always_off": 0.0}
_RATIO: Final = "parentbased_traceidratio"
_LOW: Final = 2**64  # the bits of a trace id that decide


@dataclass(frozen=True, slots=True)
class Sampling:
    """``bound``: a trace is kept if the lower half of its id is less."""

    bound: int

    @classmethod
    def of_share(cls, share: float) -> Sampling:
        return cls(round(share * _LOW))

    def keeps(self, trace: int) -> bool:
        return trace % _LOW < self.bound


def sampling_of(environment: Mapping[str, str]) -> Sampling:
    """What OpenTelemetry's variables ask for. Raises :class:`TracesRefused`."""
    name = environment.get(SAMPLER, "")
    argument = environment.get(ARGUMENT, "")
    if name in _FIXED:
        return Sampling.of_share(_FIXED[name])
    if name not in ("", _RATIO):
        known = ", ".join((*_FIXED, _RATIO))
        raise TracesRefused(f"{SAMPLER}: {name!r} is none of {known}; write one, or leave it away")
    if not argument:
        return Sampling.of_share(1.0 if name else USUAL_SHARE)
    try:
        share = float(argument)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise TracesRefused(f"{ARGUMENT}: {argument!r} is no share; write a number from 0 to 1")
    return Sampling.of_share(share)
