"""The pages as a browser gets them: what they say, and what they never do."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from gateway.edit import SetWeight
from monitoring import editing
from monitoring.console.policy import CONTENT_SECURITY_POLICY
from monitoring.controller.leader import Leadership
from monitoring.summary import summary
from tests.monitoring.console.conftest import Console
from tests.monitoring.test_ramp import BAD, Stage
from tests.monitoring.test_ramp import TEXT as RAMP

HOSTILE = '"><script>alert(1)</script>'
PATHS = ("/", "/routes/iris", "/nowhere", "/routes/nowhere", "/favicon.ico", "/static/x/y")


def field(html: str, version: str, name: str) -> str:
    """What the row or cell of a version says; the first one there is."""
    row = html[re.search(rf'<(?:tr|td)[^>]*data-version="{version}"[^>]*', html).start() :]  # type: ignore[union-attr]
    found = re.search(rf'data-field="{name}"[^>]*>([^<]*)<', row)
    assert found, f"{name} of {version} is nowhere"
    return unescape(found[1])


def cell(html: str, version: str, name: str) -> str:
    """A cell of the table that has a column for each version."""
    found = re.search(rf'<td data-version="{version}" data-field="{name}"[^>]*>([^<]*)<', html)
    assert found, f"{name} of {version} is nowhere"
    return found[1]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_strict(console: Console, path: str) -> None:
    console.file.write_text(RAMP)

    answer = console.client.get(path)

    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    if answer.status_code == 200 and path != "/favicon.ico":
        assert answer.headers["cache-control"] == "no-store"


def test_a_mistake_of_ours_is_a_page_that_is_as_strict(console: Console) -> None:
    console.client = TestClient(
        console.client.app, base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    console.sampler.watch = None  # type: ignore[assignment,method-assign]

    answer = console.client.get("/")

    assert answer.status_code == 500
    assert "mistake of the console" in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_files_are_kept_for_ever_and_found_by_their_hash_only(console: Console) -> None:
    console.file.write_text(RAMP)
    pages = console.client.get("/routes/iris").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', pages)

    assert len(addresses) >= 7
    for address in addresses:
        answer = console.client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert console.client.get(addresses[0].replace("/static/", "/static/0")).status_code == 404
    assert console.client.get("/static/x/../../policy.py").status_code == 404


def test_numbers_are_those_of_the_metrics(console: Console) -> None:
    console.file.write_text(RAMP)
    console.pass_seconds(1)
    for _ in range(20):
        console.gateway.answer("iris", "v1", 9)
        console.gateway.answer("iris", "v2", 3, bad=1)
        console.pass_seconds(1)

    overview, route = (console.client.get(path).text for path in ("/", "/routes/iris"))

    assert field(overview, "v1", "rate") == cell(route, "v1", "rate") == "9.0"
    assert field(overview, "v2", "errors") == cell(route, "v2", "errors") == "33.33 %"
    assert field(overview, "v2", "observed") == "25.00 %"
    assert field(overview, "v1", "weight") == cell(route, "v1", "weight") == "95 %"
    assert cell(route, "v1", "requests") == "180"
    assert cell(route, "v2", "bad") == "20"
    assert cell(route, "v1", "p50") == "1.8 ms"  # in the middle of the bucket from 1 to 2.5 ms
    assert "upstream_5xx 20" in route


def test_what_is_markup_elsewhere_stays_text(console: Console) -> None:
    """What people and models say: a header, a label, a reason, and who gave it."""
    match = f"match: {{host: a.example, header: {{X-Tenant: '{HOSTILE}'}}}}"
    console.file.write_text(RAMP.replace("    stable: v1", f"    {match}\n    stable: v1"))
    change = SetWeight("iris", "v2", 1000)
    editing.change(console.file, change, by=HOSTILE, reason=HOSTILE, action="set-weight")
    console.pass_seconds(1)
    console.gateway.answer("iris", "v2", 5, label=HOSTILE)
    console.pass_seconds(1)

    overview, route = (console.client.get(path).text for path in ("/", "/routes/iris"))

    assert "<script>alert" not in overview + route
    assert f"X-Tenant: {HOSTILE}".lower() in unescape(overview).lower()
    assert f"{HOSTILE} <b>100.0 %</b>" in unescape(route)
    assert f"by {HOSTILE}</span>" in unescape(route)
    assert f'class="reason">{HOSTILE}<' in unescape(route)


def test_the_sentence_is_the_one_of_the_command_line(console: Console) -> None:
    console.file.write_text(RAMP)
    stage = Stage(console.file)
    with Leadership(console.file) as leadership:
        assert leadership.holds()
        for _ in range(15):
            stage.look()
        (line,) = summary(console.file)
        route = unescape(console.client.get("/routes/iris").text)

    assert line.removeprefix("iris v2: ") in route
    assert 'data-field="verdict"' in route
    assert 'aria-current="step"' in route
    assert re.search(r'<time data-until="\d+">\d+s left of this step', route)
    assert 'data-signal="errors"' in route


def test_a_rollback_is_told_with_its_reason_and_evidence(console: Console) -> None:
    console.file.write_text(RAMP)
    stage = Stage(console.file)
    stage.versions["v2"] = BAD
    stage.until(lambda: stage.weight == 0)

    route = unescape(console.client.get("/routes/iris").text)

    assert "rolled back at 1970-01-12T13:" in route
    assert "As it was judged last" in route
    assert "v2 5 \u2192 0 %" in route
    assert "Nobody acts:" in route


def test_who_says_nothing_makes_the_numbers_old(console: Console) -> None:
    console.file.write_text(RAMP)

    assert "No numbers yet" in console.client.get("/").text
    console.pass_seconds(2)
    assert "data-stale" not in console.client.get("/").text
    console.gateway.up = False
    console.pass_seconds(20)
    html = console.client.get("/").text
    assert "data-stale" in html
    assert "it is down" in html


@pytest.mark.parametrize("content", ["routes: [", RAMP.replace("weight: 5", "weight: five")])
def test_a_refused_file_is_said_and_the_last_good_one_shown(console: Console, content: str) -> None:
    console.file.write_text(RAMP)
    console.client.get("/")
    console.file.write_text(content)

    html = console.client.get("/").text

    assert "refused as it stands" in html
    assert 'data-route="iris"' in html


@pytest.mark.parametrize("path", ["/", "/routes/iris"])
def test_without_a_file_there_is_a_page(console: Console, tmp_path: Path, path: str) -> None:
    answer = console.client.get(path)

    assert answer.status_code == (200 if path == "/" else 404)


def test_an_unknown_range_is_the_usual_one(console: Console) -> None:
    console.file.write_text(RAMP)

    html = console.client.get("/routes/iris?range=<b>").text

    assert '/live/routes/iris?range=10m"' in html


def test_headings_landmarks_and_captions_are_there(console: Console) -> None:
    console.file.write_text(RAMP)
    for path in ("/", "/routes/iris"):
        html = console.client.get(path).text

        assert html.count("<h1") == html.count("<main") == 1
        assert html.count("<table") == html.count("<caption")
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert len(ids) == len(set(ids))
        for name in re.findall(r'aria-labelledby="([^"]+)"', html):
            assert name in ids or name == "act-title"
        assert html.count("aria-live") == html.count('class="sentence big"')
