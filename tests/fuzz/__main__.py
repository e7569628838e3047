"""``python -m tests.fuzz TARGET [options of libFuzzer]``: look for bytes that break an oracle.

What is found on the way is kept in ``.fuzz/TARGET/``, and a failing input in ``.fuzz/``; put it
into ``tests/fuzz/corpus/TARGET/`` with the fix, and ``make test`` holds it from then on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway"]):
    from tests.fuzz.oracles import ORACLES

HERE = Path(__file__).parent
WORK = Path(".fuzz")


def main() -> None:
    target, *options = sys.argv[1:]
    own = WORK / target
    own.mkdir(parents=True, exist_ok=True)
    usual = [
        *("-max_len=4096", "-timeout=20", f"-artifact_prefix={WORK}/{target}-"),
        f"-dict={HERE / 'corpus' / target}.dict",
    ]
    arguments = [sys.argv[0], *usual, *options, str(own), str(HERE / "corpus" / target)]
    atheris.Setup(arguments, ORACLES[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
