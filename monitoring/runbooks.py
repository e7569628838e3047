"""What to do about an alert: a page for each, served where its ``runbook_url`` points.

They hold nothing that is not public, so nobody needs a token at night. They are told as plain text,
which a browser shows where it would save Markdown, and which no browser runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

PATH: Final = "/runbooks"
_FIELDS: Final = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


def pages() -> dict[str, str]:
    """All runbooks, by the name of the alert."""
    found = (files(__package__) / "runbooks").iterdir()
    texts = {one.name: one.read_text("utf-8") for one in found if one.name.endswith(".md")}
    return {name.removesuffix(".md"): texts[name] for name in sorted(texts)}


def application(texts: Mapping[str, str]) -> Router:
    """Serves them by name, and a list of them at its root."""
    listed = "".join(f"{PATH}/{name}\n" for name in texts)

    async def index(request: Request) -> Response:
        return PlainTextResponse(listed, headers=_FIELDS)

    async def page(request: Request) -> Response:
        text = texts.get(request.path_params["name"])
        if text is None:
            raise HTTPException(404)
        return PlainTextResponse(text, headers=_FIELDS)

    return Router([Route("/", index), Route("/{name}", page)], redirect_slashes=False)
