"""The page of the file as it stands: its lines, what is wrong with them, and whether it is in
force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.config import parse, warnings
from gateway.errors import ConfigError, Problem
from gateway.model import generation_of
from gateway.security.tls import unusable_authority
from monitoring import editing
from monitoring.console import listing
from monitoring.console.context import Context
from monitoring.console.layout import page
from monitoring.readings.sources import SourceError

_NO_TEXT: Final = b""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What one serves: the ``generation``, and whether it took the file as it last saw it."""

    address: str
    generation: str
    in_force: bool


def routes(context: Context) -> list[BaseRoute]:
    """One page."""

    async def file(request: Request) -> Response:
        return await run_in_threadpool(_file, context, request)

    return [Route("/file", file)]


def _file(context: Context, request: Request) -> Response:
    problems: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()
    content = _NO_TEXT
    readable = True
    try:
        content = editing.content_of(context.file)
    except ConfigError as error:
        problems, readable = error.problems, False
    else:
        context.texts.keep(content)
        try:
            parse(content, unusable_authority)
            remarks = warnings(content)
        except ConfigError as error:
            problems = error.problems
    told = listing.remarks_of(problems, remarks)
    gateways, silent = _gateways(context)
    generation = generation_of(content) if readable else ""
    return page(
        request,
        "file.html",
        name=context.file.name,
        readable=readable,
        generation=generation,
        problems=[one for one in told if not one.warning],
        warnings=[one for one in told if one.warning],
        rows=listing.rows(content, told) if readable else (),
        gateways=gateways,
        serving=bool(gateways) and all(one.generation == generation for one in gateways),
        silent=silent,
    )


def _gateways(context: Context) -> tuple[list[Gateway], str]:
    """What each serves; and why that is not known, if it is not."""
    try:
        told = context.sources.status()
    except SourceError as error:
        return [], str(error)
    return list(_served(context.sources.addresses, told)), ""


def _served(addresses: Sequence[str], told: Sequence[Mapping[str, Any]]) -> list[Gateway]:
    return [
        Gateway(
            address,
            str(one.get("generation", "")),
            bool((one.get("file") or {}).get("in_force")),
        )
        for address, one in zip(addresses, told, strict=False)
    ]
