"""Who may come in, where a token is wanted; and what a page from elsewhere may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.eyes import troubles
from tests.browser.site import Site, opened
from tests.browser.watch import Watch
from tests.system.company import Answer

TOKEN: Final = "secret-of-the-admin-port-0123456789"
PAGES: Final = ("/", "/routes/iris", "/history", "/file", "/explain", "/live")

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One on loopback that has a token all the same."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "token").write_text(TOKEN)
    with ExitStack() as stack:
        options = ("--admin-token-file", str(folder / "token"))
        yield opened(folder, stack, *options, controller=False)


def sign_in(page: Page, token: str) -> None:
    page.locator("[data-field=token]").fill(token)
    page.locator("[data-action=login]").click()


def test_a_token_opens_and_signing_out_closes(
    visit: Visit, locked: Site, watches: list[Watch]
) -> None:
    page = visit(locked.home, axe=True)
    watches[0].minded.append("status of 401")
    page.goto("/routes/wine?range=1h")
    expect(page).to_have_title("Sign in · canary")
    sign_in(page, "not-the-token-at-all-0123456789")
    expect(page.locator("[role=alert]")).to_contain_text("This is not the token.")
    assert troubles(page) == []
    assert page.context.cookies() == []
    sign_in(page, TOKEN)

    expect(page).to_have_url(f"{locked.home}/routes/wine?range=1h")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert TOKEN not in cookie["value"]
    assert page.evaluate("document.cookie") == ""
    form = steps.opened(page, "rollback")
    steps.fill(form, "I may", "ana")
    steps.confirm(page, form)
    assert locked.weight("wine") == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · canary")
    page.context.add_cookies([cookie])  # whoever kept a copy
    for path in PAGES:
        assert page.request.get(path, max_redirects=0).status in (303, 401), path
    page.goto("/routes/wine")
    expect(page).to_have_title("Sign in · canary")


@pytest.mark.parametrize("signed_in", [True, False])
def test_a_page_from_elsewhere_takes_no_candidate_out(
    visit: Visit, site: Site, locked: Site, watches: list[Watch], signed_in: bool
) -> None:
    target = locked if signed_in else site
    before = target.file.read_bytes()
    page = visit(target.home)
    watches[0].minded.append("status of 40[13]")
    if target is locked:
        page.goto("/login")
        sign_in(page, TOKEN)
        expect(page.locator("h1")).to_have_text("Routes")
    script = f"""<!doctype html><form method=post action="{target.home}/routes/guarded/v2/rollback">
      <input name=generation value=1><input name=form_token value=1><button>win</button></form>"""
    page_of = target.company.hire(lambda *_: Answer(script.encode()))
    watches[0].asked.clear()
    elsewhere = page.context.new_page()
    elsewhere.goto(page_of.url)
    watches[0].asked.clear()  # to go there was our own wish
    with elsewhere.expect_navigation():
        elsewhere.get_by_role("button").click()

    expect(elsewhere.locator("main")).to_contain_text("another origin")
    assert target.file.read_bytes() == before
