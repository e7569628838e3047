"""Where Alertmanager sends alerts until somebody names a better place: one log line for each.

A program of its own, ``python -m monitoring.alert_log``, so that it still speaks when gateway and
controller do not. It changes nothing and tells nothing, so it asks for no token: keep it on
loopback or in a network of your own. Slow clients and large requests are kept within bounds as at
the gateway's admin port.

The document is Alertmanager's of version "4" (its configuration page, ``<webhook_config>``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.admin.port import admin_server
from gateway.logs import Log, adopt_others, configure_logs
from gateway.machine.port import Address

DEFAULT: Final = Address("127.0.0.1", 8083)
_NOTED: Final = ("summary", "description", "runbook_url")  # of the annotations

log = Log()


def lines_of(document: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Of each alert whether it is ``firing`` or ``resolved``, and what a line says of it: labels
    and annotations by their names, since when, and for whom. Raises ValueError.
    """
    if not isinstance(document, dict) or not isinstance(document.get("alerts"), list):
        raise ValueError("this is no notification of Alertmanager: it has no list 'alerts'")
    receiver = document.get("receiver", "")
    for alert in document["alerts"]:
        if not isinstance(alert, dict) or alert.get("status") not in ("firing", "resolved"):
            raise ValueError("an alert has a 'status', which is 'firing' or 'resolved'")
        labels, notes = alert.get("labels"), alert.get("annotations", {})
        if not isinstance(labels, dict) or not isinstance(notes, dict) or "alertname" not in labels:
            raise ValueError("an alert has 'labels' with an 'alertname', and 'annotations'")
        said = {
            **labels,
            **{name: notes[name] for name in _NOTED if name in notes},
            "since": alert.get("startsAt", ""),
            "receiver": receiver,
        }
        yield alert["status"], {name: str(value) for name, value in said.items()}


def application() -> Starlette:
    """Takes notifications at every path."""

    async def alerts(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return PlainTextResponse("a notification is application/json\n", 415)  # of no page
        try:
            lines = list(lines_of(json.loads(await request.body())))
        except (ValueError, RecursionError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        for status, said in lines:
            loud = {"page": log.error, "ticket": log.warning}.get(said.get("severity", ""))
            (loud if loud and status == "firing" else log.info)(f"alert {status}", **said)
        return PlainTextResponse("written down\n")

    async def healthy(request: Request) -> Response:
        return PlainTextResponse("healthy\n")

    return Starlette(
        routes=[
            Route("/-/healthy", healthy),
            Route("/{path:path}", alerts, methods=["POST"]),
        ]
    )


def main(arguments: list[str]) -> None:
    """Listen until SIGTERM or Ctrl-C. Raises SystemExit."""
    where: Address = options(arguments).listen
    configure_logs()
    adopt_others()
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        sock = socket.create_server((where.host, where.port), family=family)
    except OSError as error:
        sys.exit(f"{where}: {os.strerror(error.errno or 0)}; choose another address")
    server = admin_server(application())

    def end(*_: object) -> None:
        server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("alerts are written down", at=str(Address(where.host, sock.getsockname()[1])))
    asyncio.run(server.serve(sockets=[sock]))


def options(arguments: list[str]) -> argparse.Namespace:
    """Of the command line. Raises SystemExit."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.alert_log", description=__doc__)
    parser.add_argument("--listen", type=_address, default=DEFAULT, metavar="HOST:PORT")
    return parser.parse_args(arguments)


def _address(text: str) -> Address:
    """Raises ValueError."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]") or DEFAULT.host, int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
