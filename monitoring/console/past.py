"""The pages of the history: all of it, and a single change or verdict at an address of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from monitoring.console.context import Context
from monitoring.console.events import Happening, Kind, Wanted, choices, happenings, page
from monitoring.console.layout import page as whole_page
from monitoring.console.proposal import between
from monitoring.history.annals import events
from monitoring.history.journal import history_path

_FILTERS: Final = ("route", "version", "by", "kind")


class Annals:
    """The history of a file, read again when it or the file has changed. For several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._stamp: object = None
        self._found: tuple[Happening, ...] = ()

    def happenings(self) -> tuple[Happening, ...]:
        """The newest first. Raises OSError."""
        with self._lock:
            stamp = _stamp(self._file), _stamp(history_path(self._file))
            if stamp != self._stamp:
                self._found = happenings(events(self._file))
                self._stamp = stamp
            return self._found


def routes(context: Context) -> list[BaseRoute]:
    """All of it, and one of it."""
    annals = Annals(context.file)

    async def every(request: Request) -> Response:
        return await run_in_threadpool(_every, annals, request)

    async def one(request: Request) -> Response:
        return await run_in_threadpool(_one, annals, context, request)

    return [Route("/history", every), Route("/history/{id}", one)]


def _every(annals: Annals, request: Request) -> Response:
    asked = request.query_params
    wanted = Wanted(*(asked.get(name, "").strip() for name in _FILTERS))
    found, trouble = _found(annals)
    number = asked.get("page", "1")
    shown = page(found, wanted, int(number) if number.isdecimal() and len(number) < 9 else 1)
    return whole_page(
        request,
        "history.html",
        503 if trouble else 200,
        shown=shown,
        wanted=wanted,
        choices=choices(found),
        kinds=tuple(Kind),
        trouble=trouble,
        newer=_address(wanted, shown.number - 1) if shown.number > 1 else "",
        older=_address(wanted, shown.number + 1) if shown.number < shown.pages else "",
    )


def _one(annals: Annals, context: Context, request: Request) -> Response:
    found, trouble = _found(annals)
    place = next((at for at, one in enumerate(found) if one.id == request.path_params["id"]), None)
    if place is None:
        raise HTTPException(404, trouble or "The history holds no such change.")
    event = found[place]
    lines = event.lines
    was, now = (context.texts.get(one) for one in (event.before_hash, event.after_hash))
    seen = event.kind is Kind.HAND and was is not None and now is not None
    if event.kind is Kind.HAND and was is not None and now is not None:
        lines = between(was, now, context.file.name)
    return whole_page(
        request,
        "change.html",
        event=event,
        lines=lines,
        seen=seen,
        newer=found[place - 1] if place else None,
        older=found[place + 1] if place + 1 < len(found) else None,
    )


def _found(annals: Annals) -> tuple[tuple[Happening, ...], str]:
    """And why there are none, if they cannot be read."""
    try:
        return annals.happenings(), ""
    except OSError as error:
        why = error.strerror or str(error)
        return (), f"The history cannot be read ({why}): make it readable for this user."


def _address(wanted: Wanted, number: int) -> str:
    asked: Mapping[str, str] = {name: getattr(wanted, name) for name in _FILTERS}
    given = {name: value for name, value in asked.items() if value}
    return "/history?" + urlencode({**given, "page": str(number)})


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
