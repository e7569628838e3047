"""``python -m gateway.processes.leash PARENT COMMAND...``: becomes COMMAND, which ends with PARENT.

Between fork and exec this would be Python code in a copy of a process that serves: making it
holds requests up (7 ms at 200 MiB, vfork(2) 0.2), and a thread may be within a lock at that moment.
So it is a process of its own, for the few milliseconds until it is the other one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

# As a shell and env(1) say it.
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
_PR_SET_PDEATHSIG: Final = 1


def main(arguments: list[str]) -> int:
    """Returns only if there is nothing to become."""
    parent, *command = arguments
    if sys.platform == "linux":
        # It survives execve(2), and is for the thread that started us: the parent's main thread.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before we could ask to be told
        return 1
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        return NOT_FOUND
    except OSError:
        return NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
