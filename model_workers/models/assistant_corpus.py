"""Synthetic replies of a shop's support, generated from a seeded grammar: nobody ever wrote them.

The assistant's language models learn from these alone, so what they say is as harmless as it is
dull.
"""

from __future__ import annotations

import re
from random import Random
from typing import Final, NamedTuple

_REPLIES: Final = 1500
_SEED: Final = 20261122

# A reply of a topic is one of its lines; each name in braces is replaced by one of its phrases.
_LINES: Final = {
    "delivery": (
        "{greet} Your parcel {left} and arrives {day}. {more}",
        "{greet} {carrier} has your parcel. It {left} and arrives {day}. {close}",
        "{sorry} Your parcel is late. {carrier} says that it arrives {day}. {more} {close}",
    ),
    "refund": (
        "{greet} We send your money back {day}. {more} {close}",
        "{sorry} The refund was held up. Your bank shows it {day}. {close}",
        "{greet} Please send the {thing} back first. We refund it {day}. {more}",
    ),
    "password": (
        "{greet} Please choose {link} on the login page. {more}",
        "{sorry} Your account was locked. It opens again {day}. {more} {close}",
        "{greet} We have sent you a new link. It works until {day}. {close}",
    ),
    "invoice": (
        "{greet} You find the invoice for the {thing} under {link}. {close}",
        "{sorry} The invoice was wrong. We send you a new one {day}. {more}",
        "{greet} The invoice for the {thing} is paid. {close}",
    ),
    "other": (
        "{greet} How can we help you? {more}",
        "{greet} Please tell us more about the {thing}. {close}",
        "{sorry} We have not understood that. Please tell us the number of your order. {close}",
    ),
}
_PHRASES: Final = {
    "greet": ("Hello!", "Good morning!", "Thank you for writing to us.", "Thanks for asking."),
    "sorry": ("We are sorry.", "We are sorry about that.", "Sorry for the wait."),
    "left": ("left our house yesterday", "left our house today", "is on its way"),
    "day": ("tomorrow", "on Monday", "on Friday", "in three days", "within a week"),
    "carrier": ("The post", "Our driver", "The carrier"),
    "thing": ("kettle", "blue lamp", "chair", "small table", "last order"),
    "link": ("forgotten password", "my orders", "my account"),
    "more": (
        "Please write to us if it does not.",
        "You need to do nothing more.",
        "We send you a message when it is done.",
        "Please keep the number of your order at hand.",
    ),
    "close": ("Have a good day!", "Is there anything else?", "Kind regards, your support."),
}

# Words of a question that tell its topic; the first topic with one of them wins.
_WORDS: Final = {
    "delivery": "parcel delivery deliver arrive arrives shipping shipped package late track",
    "refund": "refund money back return returned broken damaged",
    "password": "password login account locked sign",
    "invoice": "invoice bill paid pay payment vat",
}


class Reply(NamedTuple):
    """One reply and what it is about."""

    topic: str
    text: str


def replies() -> list[Reply]:
    """The same ones each time."""
    random = Random(_SEED)
    topics = tuple(_LINES)
    found = []
    for index in range(_REPLIES):
        topic = topics[index % len(topics)]
        line = random.choice(_LINES[topic])
        chosen = {name: random.choice(phrases) for name, phrases in _PHRASES.items()}
        found.append(Reply(topic, line.format_map(chosen)))
    return found


def topic_of(question: str) -> str:
    """What a question is about, by its words; ``other`` if none is known."""
    words = set(re.findall(r"[a-z]+", question.lower()))
    return next((topic for topic, known in _WORDS.items() if words & set(known.split())), "other")
