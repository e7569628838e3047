"""Whether a page can be used by everybody, in the light and the dark, on a desk and on a phone."""

from __future__ import annotations

from typing import Any, Final

from playwright.sync_api import Page, ViewportSize

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESK: Final[ViewportSize] = {"width": 1280, "height": 900}
AXE: Final = """async (options) =>
  (await axe.run(document, {resultTypes: ["violations"], ...options})).violations
  .flatMap((one) =>
    one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))"""
WIDER: Final = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
ALL: Final[dict[str, Any]] = {}
COLOURS: Final = {"runOnly": ["color-contrast"]}  # all that the dark changes


def troubles(page: Page) -> list[str]:
    """What axe finds (the visit has to be one with it), and by how many pixels the page is wider
    than a phone.
    """
    found = []
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found += [f"{size['width']} light {one}" for one in page.evaluate(AXE, ALL)]
        page.emulate_media(color_scheme="dark")
        found += [f"{size['width']} dark {one}" for one in page.evaluate(AXE, COLOURS)]
    wider = page.evaluate(WIDER)
    page.set_viewport_size(DESK)
    return [*found, *([f"{wider} pixels wider than a phone"] if wider else [])]
