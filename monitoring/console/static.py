"""Files that browsers keep: the address of each holds the hash of its content, so that a copy is
never out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

PREFIX: Final = "/static/"
_DIGITS: Final = 12  # hexadecimal
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@cache
def contents() -> dict[str, bytes]:
    """Every file by its path under ``static/``."""
    return dict(_below(files("monitoring.console") / "static", ""))


@cache
def address(path: str) -> str:
    """Where a page finds a file. KeyError if there is none of that path."""
    digest = sha256(contents()[path]).hexdigest()[:_DIGITS]
    return f"{PREFIX}{digest}/{path}"


def routes() -> list[BaseRoute]:
    """The files themselves, and the icon that browsers ask for unasked."""
    return [
        Route(f"{PREFIX}{{digest}}/{{path:path}}", _file),
        Route("/favicon.ico", _icon),
    ]


async def _file(request: Request) -> Response:
    path = request.path_params["path"]
    if path not in contents() or request.url.path != address(path):
        raise HTTPException(404)
    return _answer(path, _FOR_EVER)


async def _icon(request: Request) -> Response:
    return _answer("icon.svg", "max-age=86400")


def _answer(path: str, kept: str) -> Response:
    kind = guess_type(path)[0] or "application/octet-stream"
    return Response(contents()[path], media_type=kind, headers={"Cache-Control": kept})


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for one in folder.iterdir():
        path = f"{prefix}{one.name}"
        if one.is_dir():
            yield from _below(one, f"{path}/")
        else:
            yield path, one.read_bytes()
