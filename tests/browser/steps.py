"""What a person does on a page, and sees there."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect


def button(page: Page, act: str, version: str = "v2") -> Locator:
    return page.locator(f"#actions [data-action={act}][data-version={version}]")


def sheet(page: Page) -> Locator:
    """The dialog of an act."""
    return page.locator("dialog[open] [data-sheet]")


def opened(page: Page, act: str, version: str = "v2") -> Locator:
    """Press a button; the dialog, once it is there."""
    page.wait_for_load_state()  # before its scripts run, a button leads to a page of its own
    button(page, act, version).click()
    expect(sheet(page)).to_be_visible()
    return sheet(page)


def fill(form: Locator, reason: str, who: str = "") -> None:
    form.locator("[data-field=reason]").fill(reason)
    form.locator("[data-field=who]").fill(who)


def changed(form: Locator) -> tuple[list[str], list[str]]:
    """The lines of routing.yaml that would go, and those that would come."""
    sides = ("removed", "added")
    lines = [form.locator(f".diff [data-side={side}] code").all_inner_texts() for side in sides]
    return lines[0], lines[1]


def confirm(page: Page, form: Locator) -> None:
    """Press the last button; it is done."""
    form.locator("[data-action=confirm]").click()
    expect(page.locator("#notice")).to_contain_text("Done:")


def cell(page: Page, field: str, version: str = "v2") -> Locator:
    """In the table of versions."""
    return page.locator(f"#versions td[data-version={version}][data-field={field}]")


def stay(page: Page) -> None:
    """Remember that this very page was loaded."""
    page.evaluate("window.stayed = true")


def stayed(page: Page) -> Any:
    """Whether it was not loaded again since."""
    return page.evaluate("window.stayed === true")
