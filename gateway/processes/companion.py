"""A process beside the gateway: it begins when the gateway serves, and ends with it.

What it does is its own business; nothing here waits for it but the very end. It is looked at now
and then, which costs a system call and needs no thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Final

from gateway.logs import Log
from gateway.machine.port import Address
from gateway.processes.backoff import Backoff
from gateway.processes.leash import NOT_EXECUTABLE, NOT_FOUND

# Tells the companion where our admin port is, also where the kernel chose it.
ADMIN_VARIABLE: Final = "CANARY_ADMIN"

SUCCESSION: Final = Backoff(first=1.0, longest=60.0, steady=60.0)
# Seconds.
GRACE: Final = 5.0  # from SIGTERM to SIGKILL
_LOOK_EVERY: Final = 0.25
_LOOK_EVERY_AT_THE_END: Final = 0.02  # somebody waits for us then
_KILL_LIMIT: Final = 1.0  # only a process that hangs in the kernel needs more


def url_from_here(scheme: str, wanted: Address, bound: Address) -> str:
    """Where a process on this machine reaches a port: ``wanted`` by its user, ``bound`` in fact."""
    host = wanted.host if scheme == "https" else bound.host  # a certificate is for a name
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound.host, host)
    return f"{scheme}://{Address(host, bound.port)}"


class Companion:
    """``start`` once the gateway serves, ``dismiss`` when it drains, ``gone`` when it has."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        name: str = "controller",
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``name`` is for the log; ``clock`` and ``sleep`` are those of the pauses between two
        lives.
        """
        self._log = Log().bind(companion=name)
        self._command = tuple(command)
        self._environment = dict(environment)
        self._clock = clock
        self._sleep = sleep
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._deadline: float | None = None  # for its end; None: it is to live

    def start(self, admin: str) -> None:
        """Keep it alive from now on. ``admin`` is the URL of our admin port, for its environment.

        Only from the main thread: it is bound to the life of the thread that starts it.
        """
        self._environment[ADMIN_VARIABLE] = admin
        self._keeper = asyncio.create_task(self._keep())

    def dismiss(self) -> None:
        """Tell it to end, and start no other."""
        if self._deadline is not None:
            return
        self._deadline = self._clock() + GRACE
        if self._keeper is not None:
            self._keeper.cancel()
        if self._process is not None:
            self._process.terminate()

    async def gone(self) -> None:
        """Until it has ended, which it has ``GRACE`` for from when it was told."""
        self.dismiss()
        process = self._process
        while process is not None and process.poll() is None:
            if self._clock() >= (self._deadline or 0.0):
                self._log.error("the companion did not end and was killed", pid=process.pid)
                process.kill()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_KILL_LIMIT)
                return
            await asyncio.sleep(_LOOK_EVERY_AT_THE_END)

    async def _keep(self) -> None:
        """One life after the other."""
        pause = 0.0
        while True:
            began = self._clock()
            how = await self._live()
            pause = SUCCESSION.after(self._clock() - began, pause)
            self._log.error("the companion ended", how=how, next_in_seconds=pause)
            await self._sleep(pause)

    async def _live(self) -> str:
        """From start to end; how it ended."""
        try:
            process = self._process = self._spawn()
        except (OSError, ValueError) as error:  # no process, no memory; no command at all
            return f"not started: {error}"
        self._log.info("the companion started", pid=process.pid)
        while True:
            code = process.poll()
            if code is not None:
                return _told(code)
            await asyncio.sleep(_LOOK_EVERY)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # -P: the directory we were started in is not where our modules come from.
        leash = (sys.executable, "-P", "-m", "gateway.processes.leash", str(os.getpid()))
        # A process group of its own: Ctrl-C is for us, who tell it to end.
        return subprocess.Popen(
            (*leash, *self._command),
            stdin=subprocess.DEVNULL,
            env=self._environment,
            process_group=0,
        )


def _told(code: int) -> str:
    """An exit status in words."""
    if code == NOT_FOUND:
        return f"exit status {code}: there is no such program"
    if code == NOT_EXECUTABLE:
        return f"exit status {code}: the program cannot be executed"
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
