"""What was seen stays, whatever happens to the file; the console comes back; many may look."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final

from playwright.sync_api import Page, Route, expect

from tests.browser import steps
from tests.browser.site import Site
from tests.browser.watch import Watch
from tests.system.conftest import PATIENCE, eventually

CROWD: Final = 100
# What the plots of a page are given first: all of it.
PLOTS: Final = """(path) => new Promise((done) => {
  const source = new EventSource(path);
  source.addEventListener("plots", (event) => {
    source.close();
    done(JSON.parse(event.data));
  });
})"""

Visit = Callable[..., Page]


def points(page: Page, route: str) -> dict[int, float]:
    """By time the rate of stable, where anything is known."""
    plots = page.evaluate(PLOTS, f"/live/routes/{route}")
    found = zip(plots["times"], plots["versions"]["v1"]["rate"], strict=True)
    return {time: rate for time, rate in found if rate is not None}


def taken(site: Site, old: str) -> bool:
    """Whether another file is in force."""
    return bool(site.served.status()["generation"] != old)


def goes_on(page: Page, last: int) -> bool:
    return max(points(page, "wine")) > last


def test_what_was_seen_survives_each_reload(visit: Visit, site: Site) -> None:
    page = visit()
    page.goto("/routes/wine")
    eventually(lambda: len(points(page, "wine")) >= 2, "something was seen")

    before = points(page, "wine")
    for how in ("saved", "told"):
        old = site.served.status()["generation"]
        site.file.write_text(site.file.read_text() + f"# {how}\n")
        if how == "told":
            site.served.process.send_signal(signal.SIGHUP)
        eventually(partial(taken, site, old), "the file is in force")
    eventually(partial(goes_on, page, max(before)), "there are newer points")
    after = points(page, "wine")
    del before[max(before)]  # its last second was not over
    assert before
    assert {time: after.get(time) for time in before} == before


def test_a_console_that_was_killed_comes_back_to_its_pages(
    visit: Visit, site: Site, watches: list[Watch]
) -> None:
    page = visit()
    watches[0].minded += ["status of 503", "net::ERR_", "htmx:sse:error"]
    page.goto("/routes/iris")
    requests = steps.cell(page, "requests", "v1")
    expect(page.locator("[data-live]")).to_have_attribute("data-connection", "live")
    steps.stay(page)
    killed = site.consoles()[-1]
    os.kill(killed, signal.SIGKILL)

    expect(page.locator("[data-live]")).to_have_attribute("data-connection", "lost")
    before = requests.inner_text()
    expect(page.locator("[data-live]")).to_have_attribute("data-connection", "live")
    expect(requests).not_to_have_text(before)
    assert steps.stayed(page)
    assert site.consoles()[-1] != killed


def test_a_script_that_comes_late_leaves_no_page_behind(visit: Visit) -> None:
    page = visit()
    held: list[Route] = []
    page.route("**/hx-sse.min.js", lambda route: held.append(route))
    page.goto("/", wait_until="commit")
    eventually(lambda: held or page.wait_for_timeout(10), "the browser asks for the script")
    eventually(lambda: page.evaluate("!!window.htmx"), "htmx is there")
    page.evaluate("new Promise((done) => setTimeout(done))")  # and its turn has come
    held[0].continue_()

    expect(page.locator("[data-live]")).to_have_attribute("data-connection", "live")


def events(stream: socket.socket, many: int) -> bytes:
    """What comes until so many events are there."""
    seen = b""
    while seen.count(b"\n\n") < many:
        piece = stream.recv(65536)
        assert piece, "the stream ended"
        seen += piece
    return seen


def test_a_hundred_look_and_requests_are_answered(site: Site) -> None:
    seat = site.seats["iris"]
    with ExitStack() as stack:
        streams = []
        for _ in range(CROWD):
            where = ("127.0.0.1", site.served.admin_port)
            stream = stack.enter_context(socket.create_connection(where, PATIENCE))
            stream.sendall(b"GET /live/routes/iris HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            streams.append(stream)
        for stream in streams:
            assert events(stream, 2).startswith(b"HTTP/1.1 200")
        before = sum(seat.saw.values())
        for stream in streams:  # and again: it goes on
            events(stream, 1)
        eventually(lambda: sum(seat.saw.values()) > before, "requests are answered")
    assert not [one for one in seat.saw if one[1] != 200]
    assert not seat.lost
