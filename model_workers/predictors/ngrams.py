"""Language models that know a few words back (C. E. Shannon, 1948), and one that knows nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from random import Random

from .speaker import Turn, tokens

_END = ""  # no token is empty


class NGrams:
    """Draws each token by how often it followed the ``order - 1`` tokens before it.

    ``examples`` are pairs of a topic and a text of it; ``topic_of`` tells the topic of a question.
    A reply begins as texts of its topic do; nothing but its last tokens tells how it goes on, so a
    bigram model soon wanders off to other topics.
    """

    def __init__(
        self, order: int, examples: Iterable[tuple[str, str]], topic_of: Callable[[str], str]
    ) -> None:
        self._order = order
        self._topic_of = topic_of
        counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for topic, text in examples:
            known = self._start(topic)
            for token in (*tokens(text), _END):
                counts[known][token] += 1
                known = (*known[1:], token)
        self._followers = {
            known: (tuple(found), tuple(found.values())) for known, found in counts.items()
        }

    def speak(self, turns: Sequence[Turn], seed: int, temperature: float) -> Iterator[str]:
        """At temperature 0 always the most frequent token; above 1 rare ones become likelier."""
        random = Random(_digest(turns, seed))
        known = self._start(self._topic_of(last_question(turns)))
        while True:
            candidates, counts = self._followers[known]
            if temperature > 0:
                # Divided by the largest, no power of a count is too large for a float.
                largest = max(counts)
                weights = [(count / largest) ** (1 / temperature) for count in counts]
                token = random.choices(candidates, weights)[0]
            else:
                token = candidates[counts.index(max(counts))]
            if token == _END:
                return
            yield token
            known = (*known[1:], token)

    def _start(self, topic: str) -> tuple[str, ...]:
        return (f"<{topic}>",) * (self._order - 1)


class Echo:
    """Stands in for a language model before there is one: says the last question again."""

    def speak(self, turns: Sequence[Turn], seed: int, temperature: float) -> Iterator[str]:
        """The same whatever the seed and the temperature are."""
        yield from tokens(last_question(turns))


def last_question(turns: Sequence[Turn]) -> str:
    """What the user said last; empty if nothing."""
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


def _digest(turns: Sequence[Turn], seed: int) -> int:
    said = repr((seed, [tuple(turn) for turn in turns])).encode()
    return int.from_bytes(sha256(said).digest()[:8])
