"""The file and its problems, who gets what, and all of it without JavaScript."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from gateway.config import parse
from gateway.errors import ConfigError
from tests.browser import steps
from tests.browser.eyes import troubles
from tests.browser.site import Site
from tests.browser.watch import Watch
from tests.system.conftest import eventually, run_canary

Visit = Callable[..., Page]


@contextmanager
def saved(site: Site, old: str, new: str) -> Iterator[str]:
    """The file with something else in it, as an editor leaves it; then as it was."""
    before = site.file.read_text()
    assert old in before
    text = before.replace(old, new)
    site.file.write_text(text)
    try:
        yield text
    finally:
        site.file.write_text(before)


def test_a_refused_file_has_its_problems_marked_in_place(
    visit: Visit, site: Site, watches: list[Watch]
) -> None:
    page = visit(axe=True)
    watches[0].minded.append("status of 422")
    page.goto("/routes/guarded")
    with saved(site, "path: /guarded}", "pth: /guarded}\n    timeout: soon") as text:
        with pytest.raises(ConfigError) as refused:
            parse(text.encode())
        problems = refused.value.problems
        expect(page.locator("#health")).to_contain_text("routing.yaml is refused as it stands")
        page.get_by_role("link", name=re.compile("problems in the file")).click()

        expect(page.locator("[data-field=standing]")).to_have_attribute("data-standing", "refused")
        marks = page.locator("mark[data-remark]")
        expect(marks).to_have_count(len(problems))
        for mark, problem in zip(marks.all(), problems, strict=True):
            remark = page.locator(f"#{mark.get_attribute('data-remark')}")
            expect(remark).to_contain_text(problem.message)
            expect(remark).to_have_attribute("data-line", str(problem.line))
            expect(remark).to_have_attribute("data-column", str(problem.column))
            line = mark.locator(f"xpath=ancestor::*[@id='line-{problem.line}']")
            expect(line).to_have_count(1)
        assert troubles(page) == []
        page.goto("/routes/guarded/v2/rollback")  # as a page that is open already would
        expect(page.locator("[data-refused] li")).to_have_count(len(problems))
        assert troubles(page) == []
    eventually(lambda: site.served.status()["file"]["in_force"], "the file is good again")
    page.goto("/file")
    expect(page.locator("[data-field=standing]")).to_have_attribute("data-standing", "in-force")


def test_who_gets_what_is_told_as_the_command_tells_it(visit: Visit, site: Site) -> None:
    page = visit()
    fields = ("--header", "X-User: user-17", "--path", "/digits")
    told = run_canary("explain", "--file", str(site.file), *fields, "--json")
    wanted = json.loads(told.stdout)
    page.goto("/explain")
    page.locator("[data-field=route]").select_option("digits")
    page.locator("[data-field=key]").fill("user-17")
    page.locator("[data-action=explain]").click()

    expect(page.locator("[data-field=version]")).to_have_text(wanted["version"])
    expect(page.locator("[data-field=bucket]")).to_have_text(str(wanted["bucket"]))
    expect(page.locator("[data-field=sentence]")).to_have_text(wanted["sentence"])


def test_without_javascript_all_is_read_and_a_candidate_taken_out(visit: Visit, site: Site) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/")
    expect(page.locator("[data-route=houses] [data-field=weight]")).to_have_text(["90 %", "10 %"])
    page.goto("/file")
    expect(page.locator(".listing")).to_contain_text("# Who answers which requests.")
    page.goto("/explain?route=houses&key=ana")
    expect(page.locator("[data-field=sentence]")).to_contain_text("bucket")
    page.goto("/routes/houses")
    expect(page.locator("#versions")).to_contain_text("Requests in all")
    steps.button(page, "rollback").click()

    form = page.locator("main")
    assert "weight: 0" in steps.changed(form)[1][0]
    steps.fill(form, "no script was needed", "ana")
    steps.confirm(page, form)
    assert site.weight("houses") == 0
    assert site.last("houses").by == "console:ana"
    expect(page.locator("#changes li").first).to_contain_text("no script was needed")
    page.goto("/history")
    expect(page.locator(".happening").first).to_contain_text("no script was needed")
