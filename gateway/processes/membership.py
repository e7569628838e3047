"""A process of the group as the supervisor knows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.counting.archive import Epoch
from gateway.logs import json_wanted
from gateway.processes.control import Channel, Message
from gateway.writing.scribe import AccessLog


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


def options_of(*, traces: bool, access: AccessLog | None) -> list[str]:
    """What members are told on their command line: ``traces``, to export spans; ``access``, to
    write down all requests.
    """
    options = ["--traces"] if traces else []
    if access is not None:
        options += [f"--access-log={access.path}", f"--access-log-sample={access.sample}"]
    return options


def begin(
    control: int, number: int, options: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start the process for a place in the group, with its end of the control socket."""
    # -P: the directory we were started in is not where our modules come from.
    command = [
        sys.executable,
        "-P",
        "-m",
        "gateway.processes.member",
        str(control),
        f"--number={number}",
    ]
    command += [*options, *(["--json"] if json_wanted() else [])]
    # A process group of its own: Ctrl-C is for the supervisor, which drains them all.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=(control,),
        process_group=0,
        env=environment,
    )
