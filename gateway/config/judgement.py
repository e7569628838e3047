"""The part of ``routing.yaml`` about candidates on trial: the steps of a rollout, how it is judged,
and who is told.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway import model
from gateway.config.scalars import (
    Bound,
    Chance,
    Growth,
    MinBad,
    Pause,
    Percent,
    Reference,
    Switch,
    Timeout,
    WebhookUrl,
    word,
)
from gateway.config.shape import MANY, Shape, distinct, key


class Step(Shape):
    """One step of a rollout."""

    weight: Growth = Field(description="Percent of the requests, more than the step before.")
    pause: Pause = Field(description="How long to watch, such as 1h, or forever.")


class Rollout(Shape):
    """What is to be done with a candidate, and the steps in which its weight grows."""

    candidate: Reference = Field(description="The version that is rolled out.")
    steps: list[Step] = key(
        [],
        "Growing weights. Default: it is judged at the weight a person gave it.",
        min_length=1,
        max_length=MANY,
    )
    on_failure: Annotated[model.OnFailure, word(model.OnFailure)] = key(
        model.OnFailure.ROLLBACK, "When the candidate is found worse. Default: rollback."
    )
    on_success: Annotated[model.OnSuccess, word(model.OnSuccess)] = key(
        model.OnSuccess.PROMOTE, "After the last step. Default: promote."
    )
    paused: Switch = key(
        False, "While true, no step is taken; canary resume goes on. Default: false."
    )


class Errors(Shape):
    """How many more failed requests than stable's are tolerated, and how many at all."""

    max_increase: Percent | None = key(None, "Points more than stable. Default: none.")
    limit: Percent | None = key(None, "Never more of its requests than this, whatever stable does.")


class Latency(Shape):
    """How much slower than stable is tolerated, and how slow at all."""

    max_increase: Percent = Field(
        description="At any bound, at most so many points more of the requests slower than it."
    )
    above: Bound = key(0.005, "What is faster than this is fast enough. Default: 5ms.")
    limit: Timeout | None = key(
        None, "At most 1 % of its answers may take longer, whatever stable does."
    )


class Predictions(Shape):
    """How the distribution of the answers is compared."""

    max_shift: Percent = Field(description="Points that are tolerated per class.")
    action: Annotated[model.ShiftAction, word(model.ShiftAction)] = key(
        model.ShiftAction.ALERT, "What a larger shift does. Default: alert."
    )


class Analysis(Shape):
    """How a candidate is judged against stable."""

    max_false_rollback: Chance = key(
        100, "Chance that a healthy candidate is ever rolled back. Default: 1%."
    )
    errors: Errors | None = key(None, "Failed requests.")
    latency: Latency | None = key(None, "Slow requests.")
    predictions: Predictions | None = key(None, "What is answered.")
    min_bad: MinBad = key(2, "Never roll back on fewer bad answers than this. Default: 2.")


class Webhook(Shape):
    """Whom to tell, and of what."""

    webhook: WebhookUrl = Field(description="The URL that gets a POST.")
    events: Annotated[list[Annotated[model.Event, word(model.Event)]], AfterValidator(distinct)] = (
        key(list(model.Event), "Default: all.", min_length=1)
    )
