"""``demo``: everything at once, on this machine, in about 90 seconds."""

from __future__ import annotations

import signal
import sys
import time
from typing import Annotated

import typer

from monitoring.commands.options import DEFAULT_FILE, FileArgument, Json, print_json
from monitoring.demo.processes import NotReady
from monitoring.demo.stage import set_up
from monitoring.demo.story import NotAsTold, Story, tell


def demo(
    file: FileArgument = DEFAULT_FILE,
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
    pace: Annotated[
        float, typer.Option(min=0.01, help="Scales the pauses; below 1 tells it faster.")
    ] = 1.0,
    story: Annotated[
        Story, typer.Option(help="What becomes of the candidate.", envvar="STORY")
    ] = Story.ERRORS,
    json: Json = False,
) -> None:
    """Real models behind the gateway, a candidate that goes up step by step, degrades, and is
    taken out by itself.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A shell that starts us in the background has told us to ignore Ctrl-C: it is how one stops us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    told: list[str] = []
    began = time.monotonic()

    def say(line: str) -> None:
        told.append(line)
        if not json:
            typer.echo(f"{time.monotonic() - began:6.1f} s  {line}")

    say("training the models and starting workers, gateway, controller and console")
    ok = True
    try:
        with set_up(file) as stage:
            say(f"clients:  {stage.data_url}/predict/breast-cancer and /predict/iris")
            say(f"console:  {stage.admin_url}/")
            say(f"metrics:  {stage.admin_url}/metrics and {stage.controller_url}/metrics")
            load = tell(stage, say, story, pace=pace)
            if not once:
                here = f"CANARY_FILE={stage.file} CANARY_ADMIN={stage.admin_url}"
                say("the load goes on; look around, and stop everything with Ctrl-C:")
                say(f"    {here} .venv/bin/canary status -w")
                load.join()
            load.stop()
    except (NotAsTold, NotReady) as error:
        ok = False
        typer.echo(f"not as told: {error}", err=True)
    except KeyboardInterrupt:
        say("stopped")
    if json:
        print_json({"ok": ok, "story": told})
    if not ok:
        raise typer.Exit(1)
