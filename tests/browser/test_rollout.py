"""A rollout from the browser, start to end: seen in the file, in the history, at the gateway, and
on the screen.
"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.eyes import troubles
from tests.browser.site import Site
from tests.browser.watch import Watch
from tests.system.conftest import eventually

Visit = Callable[..., Page]


def in_force(site: Site, route: str, weights: dict[str, float]) -> None:
    eventually(lambda: site.in_force(route) == weights, f"{weights} is in force")


def test_a_candidate_is_started_watched_paused_resumed_and_promoted(
    visit: Visit, site: Site
) -> None:
    page = visit()
    page.goto("/")
    page.get_by_role("link", name="iris").click()
    form = steps.opened(page, "start")
    removed, added = steps.changed(form)
    assert (len(removed), len(added)) == (1, 1)
    assert "weight" not in removed[0]
    assert "weight: 20" in added[0]
    steps.fill(form, "the first users", "ana")
    steps.confirm(page, form)

    assert site.weight("iris") == 20
    assert (site.last("iris").by, site.last("iris").action) == ("console:ana", "start")
    assert site.last("iris").reason == "the first users"
    in_force(site, "iris", {"v1": 80, "v2": 20})
    # It is watched: numbers go on without the page being loaded again.
    expect(steps.cell(page, "weight")).to_have_text("20 %")
    steps.stay(page)
    requests = steps.cell(page, "requests")
    expect(requests).not_to_have_text("0")
    before = requests.inner_text()
    expect(requests).not_to_have_text(before)
    expect(page.locator("#changes li").first).to_contain_text("start v2 0 → 20 % by console:ana")
    expect(page.locator("#changes li").first).to_contain_text("the first users")
    expect(page.locator("[data-plot=rate] canvas")).to_be_visible()
    # So does what others do.
    site.set_weight("iris", 30, "cli:bob", "more of them")
    expect(steps.cell(page, "weight")).to_have_text("30 %")
    expect(page.locator("#changes li").first).to_contain_text("more of them")
    assert steps.stayed(page)

    form = steps.opened(page, "pause")
    expect(form.locator("[data-field=who]")).to_have_value("ana")
    steps.fill(form, "lunch", "ana")
    steps.confirm(page, form)
    phase = page.locator("#lead [data-version=v2] [data-field=phase]")
    expect(phase).to_have_text("paused")
    assert [one.paused for one in site.route("iris").rollouts] == [True]
    assert (site.last("iris").action, site.last("iris").reason) == ("pause", "lunch")
    assert site.weight("iris") == 30

    form = steps.opened(page, "resume")
    steps.fill(form, "back again", "")
    steps.confirm(page, form)
    expect(phase).not_to_have_text("paused")
    assert [one.paused for one in site.route("iris").rollouts] == [False]
    assert (site.last("iris").by, site.last("iris").action) == ("console", "resume")

    form = steps.opened(page, "promote")
    assert "    stable: v2" in steps.changed(form)[1]
    steps.fill(form, "it is as good", "ana")
    steps.confirm(page, form)
    assert site.route("iris").stable == "v2"
    assert (site.last("iris").action, site.last("iris").reason) == ("promote", "it is as good")
    in_force(site, "iris", {"v1": 0, "v2": 100})
    expect(page.locator("#versions th[data-role=stable]")).to_contain_text("v2")
    expect(steps.cell(page, "weight", "v2")).to_have_text("100 %")


def test_a_candidate_is_taken_out(visit: Visit, site: Site) -> None:
    page = visit()
    page.goto("/routes/wine")
    requests = steps.cell(page, "requests")
    expect(requests).not_to_have_text("0")
    form = steps.opened(page, "rollback")
    assert "weight: 25" in steps.changed(form)[0][0]
    assert "weight: 0" in steps.changed(form)[1][0]
    steps.fill(form, "too slow for me", "eve")
    steps.confirm(page, form)

    assert site.weight("wine") == 0
    last = site.last("wine")
    assert (last.by, last.action, last.reason) == ("console:eve", "rollback", "too slow for me")
    in_force(site, "wine", {"v1": 100, "v2": 0})
    expect(steps.cell(page, "weight")).to_have_text("0 %")
    expect(page.locator("#changes li").first).to_contain_text("rollback v2 25 → 0 %")
    expect(page.locator("#lead [data-version=v2]")).to_contain_text("rolled back")
    page.goto("/history")
    newest = page.locator(".happening").filter(has_text="wine").first
    expect(newest).to_contain_text("too slow for me")
    newest.get_by_role("link").first.click()
    expect(page.locator("[data-field=by]")).to_have_text("console:eve")
    expect(page.locator("[data-field=reason]")).to_have_text("too slow for me")
    removed, added = steps.changed(page.locator("main"))
    assert "weight: 25" in removed[0]
    assert "weight: 0" in added[0]


def test_a_file_that_was_saved_in_between_is_shown_in_both_versions(
    visit: Visit, site: Site, watches: list[Watch]
) -> None:
    page = visit(axe=True)
    watches[0].minded.append("status of 409")
    page.goto("/routes/faces")
    form = steps.opened(page, "set-weight")
    form.locator("[data-field=weight]").fill("35")
    expect(form.locator("[data-side=added]")).to_contain_text("weight: 35")
    steps.fill(form, "a third", "ana")
    site.set_weight("faces", 5, "cli:bob", "less")
    saved = site.file.read_bytes()
    form.locator("[data-action=confirm]").click()

    conflict = page.locator("[data-conflict]")
    expect(conflict).to_be_focused()
    assert site.file.read_bytes() == saved
    between = page.locator(".conflict")
    expect(between).to_contain_text("cli:bob")
    expect(between).to_contain_text("less")
    for name, line in (("was", "weight: 10}"), ("now", "weight: 5}")):
        listing = between.locator(f"[data-field={name}]")
        listing.locator("summary").click()
        expect(listing.locator(".listing-line").filter(has_text=line)).not_to_have_count(0)
    assert [one.strip() for one in steps.changed(page.locator("#act-preview"))[0]] == [
        next(one.strip() for one in saved.decode().splitlines() if "weight: 5}" in one)
    ]
    expect(page.locator("[data-field=reason]")).to_have_value("a third")
    assert troubles(page) == []
    steps.confirm(page, page.locator("main"))
    assert site.weight("faces") == 35
