"""Who can use it: with a keyboard alone, on a phone, in the dark, with a screen reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.eyes import troubles
from tests.browser.site import Site
from tests.browser.watch import Watch

PAGES: Final = (
    *("/", "/routes/wine", "/routes/guarded", "/history", "/file", "/explain"),
    *("/explain?route=digits&key=ana", "/explain?route=digits&headers=nothing", "/nothing"),
    *("/routes/guarded/v2/rollback", "/routes/guarded/v2/set-weight?weight=20"),
)
# What has the keyboard: how it is known, and how it is drawn.
FOCUS: Final = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return {
    act: one.dataset.action || "", id: one.id, tag: one.tagName,
    inside: !!one.closest("dialog"),
    drawn: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
      || style.boxShadow !== "none",
  };
}"""

Visit = Callable[..., Page]


def test_no_page_keeps_anybody_out(visit: Visit, site: Site, watches: list[Watch]) -> None:
    page = visit(axe=True)
    watches[0].minded.append("status of 4")
    found: dict[str, list[str]] = {}
    for path in PAGES:
        page.goto(path)
        found[path] = troubles(page)
    page.goto("/routes/guarded")
    for act in ("set-weight", "rollback"):
        form = steps.opened(page, act)
        found[f"the dialog of {act}"] = troubles(page)
        form.locator("[data-action=cancel]").click()
    page.goto("/history")
    page.locator(".happening-what").first.click()
    expect(page.locator("[data-field=by]")).to_be_visible()
    found["a change"] = troubles(page)

    assert {name: one for name, one in found.items() if one} == {}


def tab_to(page: Page, reached: Callable[[Any], bool]) -> Any:
    """Press Tab until this has the keyboard; each stop on the way can be seen."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["drawn"] or focus["tag"] == "BODY", focus
        if reached(focus):
            return focus
    raise AssertionError("it cannot be reached")


def test_a_keyboard_is_enough_to_take_a_candidate_out(visit: Visit, site: Site) -> None:
    page = visit()
    page.goto("/routes/digits")
    tab_to(page, lambda one: one["act"] == "rollback")
    page.keyboard.press("Enter")
    expect(steps.sheet(page)).to_be_visible()
    assert page.evaluate(FOCUS)["inside"]
    for _ in range(12):  # the page behind is out of reach
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["inside"] or focus["tag"] == "BODY", focus
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert page.evaluate(FOCUS)["act"] == "rollback"
    assert site.weight("digits") == 10

    page.keyboard.press("Enter")
    expect(steps.sheet(page)).to_be_visible()
    tab_to(page, lambda one: one["id"] == "reason")
    page.keyboard.type("no mouse was needed")
    tab_to(page, lambda one: one["act"] == "confirm")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Done:")
    assert site.weight("digits") == 0
    assert site.last("digits").reason == "no mouse was needed"
