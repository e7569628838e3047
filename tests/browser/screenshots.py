"""``python -m tests.browser.screenshots [FOLDER]``: the pictures of docs/screenshots.

The story is told with the real models, in about four minutes: a candidate goes up step by step,
degrades, and is taken out; then it is under way again. What is to be seen was measured.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.config import parse
from gateway.edit import SetWeight
from monitoring import editing
from monitoring.demo.load import Load, samples_of
from monitoring.demo.stage import Stage, set_up

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "docs" / "screenshots"
PATIENCE: Final = 400.0  # seconds
ROUTE: Final = "breast-cancer"
WIDTH, HEIGHT, MARGIN = 1280, 2600, 24  # pixels
FAULT: Final = "errors=0.15,latency=12ms"
LOOKED_AT: Final = 60  # seconds of the second rollout before its picture is taken


def main(arguments: list[str]) -> int:
    """Write the pictures."""
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = Path(stack.enter_context(TemporaryDirectory())) / "routing.yaml"
        file.write_text(_slower((ROOT / "routing.yaml").read_text()))
        stage = stack.enter_context(set_up(file))
        playwright = stack.enter_context(sync_playwright())
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=root)
        loads = [
            Load(f"{stage.data_url}/predict/{name}", samples_of(name), per_second)
            for name, per_second in ((ROUTE, 60.0), ("iris", 25.0))
        ]
        for load in loads:
            load.start()
        try:
            _tell(stage)
            _take(browser, stage, folder)
        finally:
            for load in loads:
                load.stop()
            browser.close()
    return 0


def _slower(text: str) -> str:
    """The same rollout, with steps that can be told apart on a plot."""
    return text.replace("pause: 30s", "pause: 1h").replace("pause: 10s", "pause: 30s")


def _tell(stage: Stage) -> None:
    """Up, out, and up again."""
    _until(lambda: _weight(stage) >= 50, "the rollout goes on")
    time.sleep(30)
    stage.put_faults(ROUTE, "v2", FAULT)
    _until(lambda: _weight(stage) == 0, "the candidate is taken out")
    time.sleep(40)
    stage.put_faults(ROUTE, "v2", "")
    how = {"by": "console:ana", "reason": "fixed: it reads its features again"}
    editing.change(stage.file, SetWeight(ROUTE, "v2", 1000), action="start", **how)
    time.sleep(LOOKED_AT)


def _take(browser: Browser, stage: Stage, folder: Path) -> None:
    pictures = (
        ("overview", "/", "light", "article:last-of-type"),
        ("route", f"/routes/{ROUTE}", "light", "#plots"),
        ("route-dark", f"/routes/{ROUTE}", "dark", "#plots"),
    )
    for name, path, scheme, last in pictures:
        context = browser.new_context(
            base_url=stage.admin_url,
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = context.new_page()
        page.goto(path)
        _settled(page)
        box = page.locator(last).bounding_box()
        assert box is not None
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + MARGIN}
        page.screenshot(path=folder / f"{name}.png", clip=clip)  # type: ignore[arg-type]
        context.close()


def _settled(page: Page) -> None:
    expect(page.locator("[data-live]")).to_have_attribute("data-connection", "live")
    if page.locator("[data-plot]").count():
        expect(page.locator("[data-plot=mix] canvas")).to_be_visible()


def _weight(stage: Stage) -> float:
    return parse(stage.file.read_bytes()).route(ROUTE).version("v2").weight / 100


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
