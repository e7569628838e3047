"""What people do here: a page that shows the edit of ``routing.yaml`` and asks why, and the edit.

The same edit as the commands', of the very file that the page was made from: if that was saved in
between, nothing is written, and both versions are shown. Only a rollback means the same whatever
was saved, and is not kept waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.errors import ConfigError, EditFailed, EditRefused, StaleEdit, UnknownName
from monitoring import editing
from monitoring.console import conflicts, forms
from monitoring.console.conflicts import Conflict
from monitoring.console.context import Context
from monitoring.console.forms import BadForm, Fault
from monitoring.console.layout import page
from monitoring.console.notices import PARAMETER, Notice
from monitoring.console.offers import HEADINGS, LABELS, Act
from monitoring.console.proposal import Asked, Proposal, propose

PATH: Final = "/routes/{route}/{version}/{act}"
WHO: Final = "canary_who"
"""The cookie with the name that a visitor gave last."""
_YEAR: Final = 365 * 86400
_SHOW: Final = "show"  # the button that only shows what another weight means
_DONE: Final = "The gateways take it within a second."


def routes(context: Context) -> list[BaseRoute]:
    """One page of each act with each candidate."""

    async def show(request: Request) -> Response:
        form = {"weight": request.query_params.get("weight", ""), "who": _who(request)}
        return await run_in_threadpool(_shown, context, request, form)

    async def do(request: Request) -> Response:
        try:
            form = forms.fields(await _body(request))
        except BadForm as error:
            raise HTTPException(422, str(error)) from error
        return await run_in_threadpool(_done, context, request, form)

    return [Route(PATH, show, methods=["GET"]), Route(PATH, do, methods=["POST"])]


async def _body(request: Request) -> bytes:
    """Raises BadForm where it is too large."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > forms.MOST:
            raise BadForm("this is more than a form of this console holds; load the page again")
    return body


def _shown(context: Context, request: Request, form: Mapping[str, str]) -> Response:
    """The page before: what would change."""
    asked = _asked(request, form)
    try:
        proposal = propose(context.file, context.texts, asked)
    except (ConfigError, EditRefused, EditFailed, StaleEdit) as error:
        return _refused(request, asked, error)
    return _page(request, proposal, form, 409 if proposal.refusal else 200)


def _done(context: Context, request: Request, form: Mapping[str, str]) -> Response:
    """The edit; or the page again, and why there was none."""
    asked = _asked(request, form)
    needs = asked.act is not Act.ROLLBACK, asked.act is Act.SET_WEIGHT
    faults = forms.faults(form, reason_needed=needs[0], weight_needed=needs[1])
    try:
        proposal = propose(context.file, context.texts, asked)
        if form.get("step") == _SHOW:
            faults = [one for one in faults if one.field == "weight"]
            return _page(request, proposal, form, 422 if faults else 200, faults)
        if asked.weight is not None and form.get("shown") != str(asked.weight):
            faults.append(Fault("weight", "This weight was not shown yet: look at what it changes"))
        if not form.get("generation"):
            faults.append(Fault("confirm", "This form is of no page here: look at what it changes"))
        if faults:
            return _page(request, proposal, form, 422, faults)
        return _edited(context, request, form, proposal)
    except (ConfigError, EditRefused, EditFailed, StaleEdit) as error:
        return _refused(request, asked, error)


def _edited(
    context: Context, request: Request, form: Mapping[str, str], proposal: Proposal
) -> Response:
    """Raises what an edit raises, but for a conflict."""
    seen, asked = form["generation"], proposal.asked
    sure = asked.act is Act.ROLLBACK
    if seen != proposal.generation and not sure:
        return _conflict(context, request, form, proposal)
    if proposal.change is None or proposal.refusal:
        raise EditRefused(proposal.refusal)
    if proposal.noop:
        return _back(context, asked, Notice("The file says so already: nothing was written."), form)
    try:
        changed = editing.carry_out(
            context.file,
            proposal.change,
            by=forms.actor(form.get("who", "")),
            reason=forms.one_line(form.get("reason", "")),
            action=asked.act,
            if_generation=None if sure else seen,
            clock=context.clock,
        )
    except StaleEdit:
        again = propose(context.file, context.texts, asked)
        return _conflict(context, request, form, again)
    said = [f"Done: {proposal.sentence}.", _DONE]
    if changed.before_generation != seen:
        said.insert(1, "The file was saved in between; this was made of it as it is now.")
    warning = ""
    if changed.unrecorded:
        warning = editing.unrecorded_warning(context.file, asked.version)
    return _back(context, asked, Notice(" ".join(said), warning), form)


def _conflict(
    context: Context, request: Request, form: Mapping[str, str], proposal: Proposal
) -> Response:
    seen = form["generation"]
    found = conflicts.conflict(context.file, context.texts, seen, proposal.generation)
    return _page(request, proposal, form, 409, conflict=found)


def _page(
    request: Request,
    proposal: Proposal,
    form: Mapping[str, str],
    status: int = 200,
    faults: list[Fault] | None = None,
    conflict: Conflict | None = None,
) -> Response:
    asked = proposal.asked
    return page(
        request,
        "act_sheet.html" if _is_fragment(request) else "act.html",
        status,
        dialog=_is_fragment(request),
        asked=asked,
        label=LABELS[asked.act],
        heading=HEADINGS[asked.act],
        proposal=proposal,
        form={"weight": "", "reason": "", "who": ""} | dict(form),
        faults=faults or [],
        conflict=conflict,
        reason_needed=asked.act is not Act.ROLLBACK,
        limits={"reason": forms.MAX_REASON, "who": forms.MAX_WHO},
    )


def _refused(request: Request, asked: Asked, error: Exception) -> Response:
    """Why nothing can be done, as a page: of a refused file all its problems."""
    status = {ConfigError: 422, UnknownName: 404}.get(type(error), 409)
    problems = error.problems if isinstance(error, ConfigError) else ()
    return page(
        request,
        "act_refused_sheet.html" if _is_fragment(request) else "act_refused.html",
        status,
        dialog=_is_fragment(request),
        asked=asked,
        label=LABELS[asked.act],
        heading=HEADINGS[asked.act],
        said="" if problems else str(error),
        problems=problems,
    )


def _back(context: Context, asked: Asked, notice: Notice, form: Mapping[str, str]) -> Response:
    """To the route's page, which says what was done."""
    key = context.notices.leave(notice)
    response = RedirectResponse(f"/routes/{quote(asked.route)}?{PARAMETER}={key}", 303)
    name = forms.one_line(form.get("who", ""))
    keep = partial(response.set_cookie, WHO, httponly=True, samesite="strict")
    keep(quote(name), max_age=_YEAR if name else 0)
    return response


def _asked(request: Request, form: Mapping[str, str]) -> Asked:
    """Raises HTTPException (404) for a word that is no act."""
    values = request.path_params
    try:
        act = Act(values["act"])
    except ValueError:
        raise HTTPException(404, "there is no such act") from None
    weight = forms.weight_of(form) if act is Act.SET_WEIGHT else None
    return Asked(act, values["route"], values["version"], weight)


def _who(request: Request) -> str:
    return forms.one_line(unquote(request.cookies.get(WHO, "")))[: forms.MAX_WHO]


def _is_fragment(request: Request) -> bool:
    """Whether the page is asked for as a dialog within another one."""
    return request.method == "GET" and request.headers.get("hx-request") == "true"
