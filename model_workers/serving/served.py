"""What every worker has, whatever its model is asked: a name, a fault plan, the counts."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from .counts import Counts
from .faults import Fault, Faults, Strike
from .wire import CUT, Garbage, wait


class Served:
    """One version of one model."""

    def __init__(self, model: str, version: str, counts: Counts, faults: Faults) -> None:
        self.model = model
        self.version = version
        self.counts = counts
        self.faults = faults
        self.met = 0  # requests that the present plan has seen

    def plan(self, faults: Faults) -> None:
        """From here on these faults; a new plan counts its requests from 0."""
        self.faults = faults
        self.met = 0

    async def meet(self, request: Request) -> Fault:
        """What the fault plan wants of this request, done as far as it comes before the answer:
        waits, raises instead of an answer, or marks the answer to be cut.
        """
        fault = self.faults.at(self.met)
        self.met += 1
        await wait(request, fault)
        if fault.strike is Strike.ERROR:
            raise HTTPException(500, f"{self.model} {self.version} fails because its faults say so")
        if fault.strike is Strike.GARBAGE:
            raise Garbage
        if fault.strike is Strike.CUT:
            request.scope[CUT] = True
        return fault

    @property
    def stuck(self) -> int:
        """How many of its predictions hang."""
        return 0

    @property
    def well(self) -> bool:
        """Whether it makes sense to ask it, or somebody should start it anew."""
        return True

    def told(self) -> dict[str, Any]:
        """What ``/stats`` tells."""
        return {
            "model": self.model,
            "model_version": self.version,
            "requests": self.counts.requests,
            "predictions": self.counts.predictions,
            "failures": self.counts.failures,
            "stuck": self.stuck,
        }
