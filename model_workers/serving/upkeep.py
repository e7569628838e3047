"""What operators and tests ask: health, counts, and the fault plan."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .faults import BadFaults, Faults, from_mapping, parse
from .openapi import Fragment, content, operation
from .served import Served
from .wire import json_response, read_body

HEALTH = ("/healthy", "/ping", "/ready", "/v2/health/live", "/v2/health/ready")


def routes(worker: Served) -> list[Route]:
    """Health under each of its names, ``/stats`` and ``/faults``."""

    async def health(request: Request) -> Response:
        """Live and ready are one: a worker listens only once its model is loaded, and one whose
        model hangs again and again needs to be started anew.
        """
        well = worker.well
        said: dict[str, Any] = {"live": well, "ready": well}
        if not well:
            said["error"] = f"{worker.stuck} predictions hang; start this worker anew"
        return json_response(said, 200 if well else 503)

    async def stats(request: Request) -> Response:
        """What this worker answered since it started; see :mod:`.counts`."""
        return json_response(worker.told())

    async def faults(request: Request) -> Response:
        """Show the fault plan, or replace it; a new plan counts its requests from 0."""
        if request.method == "PUT":
            _only_from_here(request)
            try:
                worker.plan(_plan(await read_body(request)))
            except BadFaults as error:
                raise HTTPException(422, str(error)) from None
        plan = worker.faults
        return json_response({"faults": asdict(plan), "text": str(plan), "met": worker.met})

    return [
        *(Route(path, health) for path in HEALTH),
        Route("/stats", stats),
        Route("/faults", faults, methods=["GET", "PUT"]),
    ]


def openapi(worker: Served) -> Fragment:
    """These routes, described."""
    anything = content({"type": "object"})
    well = {"type": "object", "required": ["live", "ready"]}
    ill = {"description": "Predictions hang: start it anew.", "content": content(well)}
    health = operation("Whether it is well.", content(well), more={503: ill})
    plan = content({"type": "string"}, "errors=0.3,latency=50ms", media="text/plain")
    return Fragment(
        {
            **{path: {"get": health} for path in HEALTH},
            "/stats": {"get": operation("What was answered since it started.", anything)},
            "/faults": {
                "get": operation("How it shall go wrong.", anything),
                "put": operation(
                    "From here on it goes wrong like this; only from the worker's own machine.",
                    anything,
                    (403, 413, 415, 422),
                    body=plan,
                ),
            },
        },
        {},
    )


def _only_from_here(request: Request) -> None:
    """403 unless the caller sits on this machine and came directly, not through a proxy."""
    # A gateway on this machine forwards every path: its clients must not be able to break a model.
    forwarded = {"x-forwarded-for", "forwarded", "via"} & set(request.headers.keys())
    # No address at all is a unix socket: the file's permissions have decided.
    if forwarded or (request.client and not _is_loopback(request.client.host)):
        raise HTTPException(
            403, "faults are switched from the worker's own machine only, and not through a proxy"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _plan(body: bytes) -> Faults:
    if not body.lstrip().startswith(b"{"):
        return parse(body.decode("utf-8", "replace"))
    try:
        return from_mapping(msgspec.json.decode(body, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadFaults(f"the body is not JSON: {error}") from None
