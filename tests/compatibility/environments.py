"""Virtual environments for foreign software: exactly the versions of ``requirements/<name>.txt``,
in ``build/compatibility/<name>``, made anew when that file has changed.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "compatibility"
HERE = Path(__file__).parent


class NotInstalled(Exception):
    """pip could not; its last words."""


def requirements(name: str) -> Path:
    return HERE / "requirements" / f"{name}.txt"


def version_of(name: str, package: str) -> str:
    """The version of a package that stands in the file."""
    spelled = re.sub("[-_.]", "[-_.]", package)  # as one package may be (PEP 503)
    (found,) = re.findall(rf"(?im)^{spelled}==(\S+)", requirements(name).read_text())
    return str(found)


@cache
def python(name: str) -> Path:
    """The interpreter of an environment, which is made if need be. Raises :class:`NotInstalled`."""
    file = requirements(name)
    wanted = hashlib.sha256(file.read_bytes()).hexdigest()
    folder = HOME / name
    interpreter, stamp = folder / "bin" / "python", folder / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    # Nothing is built here but what its file says comes as source only.
    words = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*words, "-r", file], capture_output=True, text=True, check=False)
    if done.returncode:
        wrong = [line for line in done.stderr.splitlines() if "ERROR" in line or "error:" in line]
        raise NotInstalled((wrong or done.stderr.splitlines() or ["no word"])[-1])
    stamp.write_text(wanted)
    return interpreter
