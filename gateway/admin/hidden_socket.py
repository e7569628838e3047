"""The Unix socket between the admin port and the console: a path that nobody else can reach."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

# Tells the console where it is to listen.
SOCKET_VARIABLE: Final = "CANARY_CONSOLE_SOCKET"
FOLDER: Final = "canary-console-"  # how the name of a socket's own directory begins
_LONGEST_PATH: Final = 107  # bytes of a Unix socket's: sun_path of unix(7) without its NUL


@contextmanager
def private_socket() -> Iterator[Path]:
    """A path for a Unix socket that only this user can reach; gone at the end. Raises OSError."""
    folder = mkdtemp(prefix=FOLDER)
    if len(os.fsencode(folder)) + len("/socket") > _LONGEST_PATH:
        os.rmdir(folder)
        folder = mkdtemp(prefix=FOLDER, dir="/tmp")
    try:
        yield Path(folder, "socket")
    finally:
        rmtree(folder, ignore_errors=True)
