"""Who can use it: with a keyboard alone, on a phone, in the dark, with a screen reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.site import Site
from tests.browser.watch import Watch
from tests.npm import modules

PHONE: Final = {"width": 390, "height": 844}
WIDE: Final = {"width": 1280, "height": 900}
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
AXE: Final = """async (options) =>
  (await axe.run(document, {resultTypes: ["violations"], ...options})).violations
  .flatMap((one) =>
    one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))"""
ALL: Final[dict[str, Any]] = {}
COLOURS: Final = {"runOnly": ["color-contrast"]}  # all that the dark changes

Visit = Callable[..., Page]


def troubles(page: Page) -> list[str]:
    """What axe finds, in the light and the dark, on a desk and on a phone."""
    found = []
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for scheme, rules in (("light", ALL), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            said = page.evaluate(AXE, rules)
            found += [f"{size['width']} {scheme} {one}" for one in said]
    return found


def overhang(page: Page) -> int:
    """By how many pixels a page is wider than the phone."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    said = page.evaluate(
        "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    )
    return int(said)


@pytest.fixture
def examined(visit: Visit, watches: list[Watch]) -> Page:
    """A page with axe in it, which is put there before the policy of the page can object."""
    page = visit()
    watches[0].minded.append("status of 4")
    page.context.add_init_script(path=modules() / "axe-core" / "axe.min.js")
    return page


def test_no_page_keeps_anybody_out(examined: Page, site: Site) -> None:
    page = examined
    found: dict[str, Any] = {}
    for path in PAGES:
        page.goto(path)
        found[path] = troubles(page), overhang(page)
    page.goto("/routes/guarded")
    for act in ("set-weight", "rollback"):
        form = steps.opened(page, act)
        found[f"the dialog of {act}"] = troubles(page), overhang(page)
        form.locator("[data-action=cancel]").click()
    page.goto("/history")
    page.locator(".happening-what").first.click()
    page.wait_for_load_state()
    found["a change"] = troubles(page), overhang(page)

    assert {name: one for name, one in found.items() if one != ([], 0)} == {}


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
