"""``model-worker ask``."""

from __future__ import annotations

import csv
import signal
import time
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.catalogue import data, model_of
from .saying import JsonOption, ModelOption, done, known_model, refuse

if TYPE_CHECKING:
    from ..visitor import Visitor


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="As http://host:port/path.")],
    model: ModelOption,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Requests a second.")] = 50.0,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, help="So many; 0: until it is stopped.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the rows.")] = 0,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the right answers there, by request_id."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for predictions of the rows that a model knows, one after another, and tell which version
    answered how many of them, and how many rightly. Ctrl-C and SIGTERM end it.

    Exit code: 0 all were answered, 1 one was not or the file cannot be written, 2 wrong use.
    """
    from ..visitor import BadAddress, Visitor

    known_model(model)
    contract = model_of(model).contract
    try:
        visitor = Visitor(url, contract, data(model), seed)
    except BadAddress as error:
        raise typer.BadParameter(str(error)) from None
    stopped = Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stopped.set())
    try:
        with ExitStack() as held:
            held.enter_context(closing(visitor))
            writer = None
            if labels is not None:
                file = held.enter_context(labels.open("w", newline="", buffering=1))
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["request_id", *(output.name for output in contract.outputs)])
            due = time.monotonic()
            for _ in range(number) if number else count():
                visit = visitor.ask()
                if visit is not None and writer is not None:
                    writer.writerow([visit.request_id, *visit.right])
                due += 1 / rate
                if stopped.wait(max(0.0, due - time.monotonic())):
                    break
    except OSError as error:
        refuse(f"{labels} cannot be written: {error.strerror}; name another", as_json=as_json)
    document = {"versions": visitor.seen(), "failed": visitor.failed}
    end = refuse if visitor.failed else done
    end(_sentence(visitor), document, as_json=as_json)


def _sentence(visitor: Visitor) -> str:
    told = []
    for version, figures in visitor.seen().items():
        how = (
            f"{100 * figures['right']:.1f} % right"
            if "right" in figures
            else f"off by {figures['mean_absolute_error']:.4g} on average"
        )
        told.append(f"{version} answered {figures['answered']:,} ({how})")
    return f"{', '.join(told) or 'nobody answered'}, {visitor.failed} failed"
