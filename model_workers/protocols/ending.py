"""Where a reply ends: by itself, at a word that its reader named, or at so many tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class Ending:
    """Passes tokens on as text until the reply ends; then ``reason`` says why, ``used`` how many
    tokens that took.

    Text that may yet turn out to be the beginning of a stop word is held back until it is clear:
    what was sent cannot be taken back.
    """

    def __init__(self, spoken: Iterator[str], max_tokens: int, stop: Sequence[str] = ()) -> None:
        self._spoken = spoken
        self._max = max_tokens
        self._stop = stop
        self._held = ""
        self.reason = ""
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        """The text of each token, and at the end what was held back; some of it may be empty."""
        for token in self._spoken:
            if self.used == self._max:
                self.reason = "length"
                break
            self.used += 1
            self._held += token
            found = min(
                (at for word in self._stop if (at := self._held.find(word)) >= 0), default=-1
            )
            if found >= 0:
                self.reason = "stop"
                yield self._held[:found]
                return
            sure = len(self._held) - self._doubtful()
            yield self._held[:sure]
            self._held = self._held[sure:]
        self.reason = self.reason or "stop"
        if self._held:
            yield self._held

    def _doubtful(self) -> int:
        """How many of the last characters could be the beginning of a stop word."""
        return max((_overlap(self._held, word) for word in self._stop), default=0)


def _overlap(text: str, word: str) -> int:
    for size in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:size]):
            return size
    return 0
