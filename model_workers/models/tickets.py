"""What a support ticket is about and whether it is urgent; learned from a *synthetic* corpus."""

from __future__ import annotations

from functools import partial

from ..contract.contract import Classes, Contract
from ..contract.feature import Choice, Text
from ..predictors.predictor import Predictor
from ..predictors.rules import RulesPredictor, otherwise, says
from . import learners
from .corpus import CHANNELS, TOPICS, tickets
from .model import Data, Model, Recipe

TICKETS_MADE = 1200

CONTRACT = Contract(
    model="tickets",
    description="What a support ticket is about, and whether it is urgent. Learned from a "
    "synthetic corpus: a small grammar made the tickets, no customer wrote them.",
    features=(
        Text("text", longest=4000),
        Choice(
            "channel",
            CHANNELS,
            missing="unknown",
            description="Where it came from; left away, it is unknown.",
        ),
    ),
    outputs=(Classes("topic", TOPICS), Classes("urgent", ("no", "yes"))),
)


def _rules(contract: Contract) -> Predictor:
    """As a support desk writes them in an afternoon. The shares are those of the corpus."""
    return RulesPredictor(
        contract,
        [
            (
                says(contract, "text", r"refund|charge|invoice|receipt|discount", "billing", 0.72),
                says(contract, "text", r"log ?in|password|account|signing", "access", 0.66),
                says(contract, "text", r"parcel|deliver|track|shipped|courier", "delivery", 0.74),
                otherwise("defect", 0.44),
            ),
            (
                says(contract, "text", r"not urgent|no hurry|can wait|not as soon", "no", 0.96),
                says(contract, "text", r"urgent|asap|as soon as|today|stands still", "yes", 0.92),
                otherwise("no", 0.74),
            ),
        ],
    )


def _load() -> Data:
    made = tickets(TICKETS_MADE)
    return Data(
        tuple((ticket.text, ticket.channel) for ticket in made),
        (
            tuple(ticket.topic for ticket in made),
            tuple("yes" if ticket.urgent else "no" for ticket in made),
        ),
    )


TICKETS = Model(
    CONTRACT,
    _load,
    (
        Recipe("tickets", "rules", "regular expressions", ready=_rules),
        Recipe("tickets", "bag-of-words", "words and pairs", partial(learners.bag_of_words, 10.0)),
        Recipe(
            "tickets",
            "v3",
            "the 25 most frequent words: knows little else than 'the'",
            partial(learners.bag_of_words, 10.0, 25),
        ),
    ),
    aliases={"v1": "rules", "v2": "bag-of-words"},
    synthetic=True,
)
