"""Many model workers at once: the same commands, forked from one process that has imported what
they need. Each is a process of its own; starting it costs a tenth of the usual.

    python -m tests.system.farm '[["--model", "iris", ...], ...]' ARTEFACTS
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from model_workers import cli
from model_workers.models.catalogue import find
from model_workers.serving import process  # noqa: F401 (for the children)
from model_workers.training.supply import supply


def main() -> None:
    """Train what is missing, once; then one child for each list of arguments."""
    arguments, artefacts = json.loads(sys.argv[1]), Path(sys.argv[2])
    for options in (dict(zip(one[::2], one[1::2], strict=True)) for one in arguments):
        if options["--model"] != "assistant":
            supply(find(options["--model"], options["--predictor"]), artefacts)
    children = [_child([*one, "--artefacts", str(artefacts)]) for one in arguments]

    def stop(*_: object) -> None:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)  # ending well takes longer, for nobody

    signal.signal(signal.SIGTERM, stop)
    for child in children:
        os.waitpid(child, 0)


def _child(options: list[str]) -> int:
    child = os.fork()
    if not child:
        sys.argv = ["model-worker", "serve", *options]
        cli.main()
    return child


if __name__ == "__main__":
    main()
