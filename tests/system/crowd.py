"""Clients that never rest: each asks again as soon as it was answered, on a connection it keeps."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.sockets.peers import Client, Ended, Message, request


@dataclass
class Crowd:
    """``clients`` threads between ``__enter__`` and ``__exit__``; one that is told ``Connection:
    close`` comes again on a new connection, unless ``leaves``: then it has been served.

    ``lost`` are requests that were sent and not answered whole, ``refused`` connections that could
    not be opened; ``sound`` says whether an answer is as it must be, and gets the client's last
    good one (None at first); ``odd`` are those that were not.
    """

    address: tuple[str, int]
    clients: int = 4
    leaves: bool = False
    ask: bytes = request(body=b"{}")
    answers: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    refused: int = 0
    odd: list[str] = field(default_factory=list)

    def sound(self, answer: Message, before: Message | None) -> bool:
        return answer.status == 200

    def __enter__(self) -> Crowd:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until every client has ended."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    @property
    def answered(self) -> int:
        return self.answers.total()

    def _run(self) -> None:
        before: Message | None = None
        while not self._stop.is_set():
            try:
                client = Client(self.address)
            except OSError:
                self.refused += 1
                return
            with client:
                before = self._talk(client, before)
            if before is None or self.leaves:
                return

    def _talk(self, client: Client, before: Message | None) -> Message | None:
        """The last answer on a connection; None if it ended without one."""
        while not self._stop.is_set():
            try:
                client.send(self.ask)
                answer = client.answer()
            except (Ended, OSError) as error:
                self.lost.append(repr(error))
                return None
            told = answer.all("x-model-version")
            with self._lock:
                self.answers[told[0] if told else str(answer.status)] += 1
            if not self.sound(answer, before):
                self.odd.append(f"{answer} after {before}")
            before = answer
            if "close" in answer.all("connection"):
                break
        return before


def header(message: Message, name: str) -> Any:
    """The one value of a field, or an empty text."""
    values = message.all(name)
    return values[0] if len(values) == 1 else ""
