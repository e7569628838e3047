"""A synthetic corpus: support tickets that nobody wrote, from a small grammar and a seed.

A ticket has a topic, and is urgent or not; from both the grammar derives its text. It is made to be
hard in the ways real tickets are: half of them mention another topic in passing, some say nothing
of their own, urgency is often only implied and sometimes denied ("not urgent"), letters are swapped
and lost, and one ticket in thirty bears a wrong label, as hurried people file them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

TOPICS = ("billing", "access", "delivery", "defect")
CHANNELS = ("email", "chat", "phone", "form", "unknown")

_WRONGLY_FILED = 1 / 30
_LETTERS_WRONG = 0.02
_SLOT = re.compile(r"<(\w+)>")

# A slot <name> is replaced by one of its alternatives, which may have slots themselves.
_GRAMMAR: dict[str, tuple[str, ...]] = {
    "ticket": (
        "<greeting> <body> <end>",
        "<greeting> <context> <body> <end>",
        "<body> <end>",
        "<body> <context> <end>",
        "<context> <body>",
    ),
    "body": (
        "<problem>",
        "<problem>",
        "<problem>",
        "<problem>",
        "<problem> <problem>",
        "<problem> <vague>",
        "<vague>",
    ),
    "greeting": ("Hello,", "Hi there,", "Good morning,", "Dear team,", "To whom it may concern:"),
    "end": ("", "Thanks", "Kind regards, <name>", "<name>", "Please <act>."),
    "act": ("help", "get back to me", "look into this", "tell me what to do", "call me"),
    "name": ("A. Petrov", "Maria", "J. Okafor", "Lena S.", "Tom", "the <team> team"),
    "team": ("finance", "shipping", "support", "marketing"),
    "thing": ("coffee machine", "tablet", "printer", "headset", "router", "lamp"),
    "date": ("on <day>", "last <day>", "yesterday", "two weeks ago", "this morning"),
    "day": ("Monday", "Tuesday", "Friday", "Saturday"),
    "amount": ("19.90", "49", "120", "7.50", "300 euros", "the full amount"),
    "vague": (
        "I have been waiting for an answer since <day>.",
        "It is still not solved.",
        "Something is wrong with my order.",
        "It does not work.",
        "I wrote to you <date> and heard nothing.",
        "This is the second time it happens.",
    ),
    "context": (
        "I paid for the <thing> <date>.",
        "I ordered the <thing> in your shop <date>.",
        "I am logged in to my account as I write this.",
        "The parcel with the <thing> came <date>.",
        "The invoice says <amount>.",
        "My colleague could not log in either, but that is solved.",
        "The <thing> has worked well so far.",
        "I am a customer of yours for years.",
    ),
    "billing": (
        "I was charged <amount> twice.",
        "The invoice for the <thing> is wrong, it should be <amount>.",
        "Where is my refund of <amount>?",
        "You took <amount> from my card though I cancelled.",
        "Please send the receipt to our <team> department.",
        "The discount was not taken off the price.",
        "I returned the <thing> and want my money back.",
    ),
    "access": (
        "I cannot log in to my account.",
        "The link to reset the password has expired.",
        "My account is locked after three attempts.",
        "The code you send for signing in never comes.",
        "It says my user name is unknown.",
        "Please remove the former user of our account.",
        "How do I change the address I sign in with?",
    ),
    "delivery": (
        "My parcel has not arrived.",
        "The tracking has not moved since <day>.",
        "The courier left the <thing> at the wrong address.",
        "When will the <thing> be shipped?",
        "Half of the order is missing in the box.",
        "Can you deliver on <day> instead?",
        "Nobody rang, and now the package is at some depot.",
    ),
    "defect": (
        "The <thing> does not turn on.",
        "The <thing> makes a loud noise.",
        "The screen of the <thing> has a crack.",
        "The <thing> stops after a minute.",
        "The app crashes when I connect the <thing>.",
        "Since the update the <thing> loses its settings.",
        "The <thing> gets so hot that it smells.",
    ),
    "hurried": (
        "This is urgent!",
        "I need it as soon as possible.",
        "ASAP please.",
        "We cannot work until this is solved.",
        "Our shop stands still because of this.",
        "It must be solved before <day>.",
        "My flight leaves tomorrow.",
        "Please answer today, it is for a hospital.",
        "I will go to my lawyer.",
    ),
    "patient": (
        "",
        "",
        "",
        "",
        "",
        "It is not urgent.",
        "No hurry.",
        "Whenever you have time.",
        "I can wait until <day>.",
        "Not as soon as possible, just some day.",
    ),
}


@dataclass(frozen=True, slots=True)
class Ticket:
    """A made-up ticket and what it is about."""

    text: str
    channel: str
    topic: str
    urgent: bool


def tickets(number: int, seed: int = 0) -> tuple[Ticket, ...]:
    """The same tickets for the same number and seed, on any machine."""
    draw = Random(seed)
    return tuple(_ticket(draw) for _ in range(number))


def _ticket(draw: Random) -> Ticket:
    topic = draw.choice(TOPICS)
    urgent = draw.random() < 0.3
    about = {"problem": _GRAMMAR[topic]}
    parts = [
        _derive("<ticket>", about, draw),
        _derive("<hurried>" if urgent else "<patient>", about, draw),
    ]
    if draw.random() < 0.3:
        parts.reverse()
    text = " ".join(filter(None, (_mistyped(part, draw) for part in parts)))
    # Who is in a hurry calls or chats; where a ticket came from is sometimes lost.
    by_haste = (2, 4, 5, 1, 2) if urgent else (6, 3, 1, 5, 2)
    channel = draw.choices(CHANNELS, by_haste)[0]
    if draw.random() < _WRONGLY_FILED:
        topic = draw.choice(TOPICS)
    return Ticket(text, channel, topic, urgent ^ (draw.random() < _WRONGLY_FILED))


def _derive(text: str, about: dict[str, tuple[str, ...]], draw: Random) -> str:
    """Replace slots until none is left."""
    while slot := _SLOT.search(text):
        name = slot[1]
        chosen = draw.choice(about.get(name) or _GRAMMAR[name])
        text = text[: slot.start()] + chosen + text[slot.end() :]
    return " ".join(text.split())


def _mistyped(text: str, draw: Random) -> str:
    """Some letters are lost, some swapped with the next."""
    typed = []
    letters = iter(text)
    for letter in letters:
        if letter.isalpha() and draw.random() < _LETTERS_WRONG:
            if draw.random() < 0.5:
                typed.append(next(letters, "") + letter)
        else:
            typed.append(letter)
    return "".join(typed)
