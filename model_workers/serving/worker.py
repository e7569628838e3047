"""One worker: a version of a model, and what its endpoints share whatever language they speak."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..contract.contract import MAX_INSTANCES, Row
from ..contract.validation import Validator
from ..predictors.predictor import Answer, Predictor
from .counts import Counts
from .faults import NO_FAULTS, Fault, Faults, Strike
from .wire import CUT, Garbage, wait


@dataclass(frozen=True, slots=True)
class Limits:
    """``instances`` in one request; ``timeout_s`` for one prediction."""

    instances: int = MAX_INSTANCES
    timeout_s: float = 2.0


LIMITS = Limits()


class Served:
    """What every worker has, whatever its model is asked: a name, a fault plan, the counts."""

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


class Worker(Served):
    """A model with a contract, and the check of it."""

    def __init__(
        self,
        version: str,
        predictor: Predictor,
        faults: Faults = NO_FAULTS,
        limits: Limits = LIMITS,
    ) -> None:
        self.contract = predictor.contract
        super().__init__(self.contract.model, version, Counts(self.contract.labels), faults)
        self.predictor = predictor
        self.limits = limits
        self.validator = Validator(self.contract, limits.instances)

    async def answer(self, request: Request, rows: list[Row]) -> Answer:
        """Score the rows, unless the fault plan has something else in mind for this request."""
        fault = await self.meet(request)
        answer = self.predictor.predict(rows)
        if fault.constant is not None:
            answer = _constant(fault.constant, answer)
        if fault.strike is not Strike.CUT and self.contract.labels:
            self.counts.predicted(map(str, answer.predictions[0]))
        return answer

    def check_name(self, request: Request) -> None:
        """404 for another model or version, in words that Triton's clients look for."""
        model = request.path_params.get("model", self.model)
        version = request.path_params.get("version", self.version)
        if (model, version) != (self.model, self.version):
            raise HTTPException(
                404,
                f"Request for unknown model: {model[:100]!r} version {version[:100]!r}; here is "
                f"{self.model!r} version {self.version!r}",
            )


def _constant(label: str, answer: Answer) -> Answer:
    """The same answer, but the first output says nothing else."""
    rows = len(answer.predictions[0])
    first = [label] * rows, [1.0] * rows
    return Answer((first[0], *answer.predictions[1:]), (first[1], *answer.probabilities[1:]))
