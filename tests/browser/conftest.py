"""One browser and one gateway with its console, for every module of this directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.eyes import DESK
from tests.browser.site import BUSY, Site, opened
from tests.browser.watch import Watch
from tests.npm import modules

PATIENCE: Final = 60_000  # milliseconds until something counts as hung

Visit = Callable[..., Page]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's own (tests/packages.txt)."""
    expect.set_options(timeout=PATIENCE)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=root)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        one = opened(tmp_path_factory.mktemp("site"), stack)
        for route in BUSY:
            one.load(route)
        yield one


@pytest.fixture
def watches() -> list[Watch]:
    """Of the visits of a test, in their order."""
    return []


@pytest.fixture
def visit(chromium: Browser, watches: list[Watch], site: Site) -> Iterator[Visit]:
    """A new visitor's page: of the site, or of the console ``at`` another address; further options
    are the browser's. ``axe`` is put into each page before a policy can object.

    Whatever a page is made to do, it has nothing to complain of, asks nobody else, and each answer
    has a policy.
    """
    with ExitStack() as stack:

        def enter(at: str = "", *, axe: bool = False, **options: Any) -> Page:
            home = at or site.home
            options = {"base_url": home, "viewport": DESK, **options}
            context = chromium.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            if axe:
                context.add_init_script(path=modules() / "axe-core" / "axe.min.js")
            watch = Watch(home)
            watch.over(context)
            watches.append(watch)
            return context.new_page()

        yield enter
    for watch in watches:
        assert watch.complaints() == []
        assert watch.outside() == []
        assert watch.policies
        assert watch.lax() == {}
