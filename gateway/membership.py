"""A process of the group as the supervisor knows it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from gateway.archive import Epoch
from gateway.control import Channel, Message


@dataclass(slots=True, eq=False)
class Membership:
    """``owner`` names its ledgers, and nobody else's; ``number`` is its place in the group, which
    its successor has as well.
    """

    owner: int
    number: int
    restarts: int
    since: float
    process: subprocess.Popen[bytes]
    channel: Channel | None = None
    given: tuple[Epoch, ...] = ()  # and not acknowledged yet
    taken: Epoch | None = None
    silent: bool = False  # its end of the control socket is closed
    ended: bool = False
    cut: int = 0

    def took(self, serial: int) -> None:
        """It serves one of those it was given."""
        self.taken = next((one for one in self.given if one.serial == serial), self.taken)
        self.given = tuple(one for one in self.given if one.serial > serial)

    def serves(self, epoch: Epoch) -> bool:
        """Whether it serves this epoch or a newer one."""
        return self.taken is not None and self.taken.serial >= epoch.serial

    def send(self, message: Message, *descriptors: int) -> None:
        if self.channel is not None:
            self.channel.send(message, descriptors)
