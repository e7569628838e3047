"""The pages beside the live ones: history, explanations, the file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.edit import SetWeight
from gateway.model import generation_of
from monitoring import editing
from monitoring.history import changes
from tests.visitor import Visitor, console, field, words

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}   # new
    sticky: {header: X-User-Id}
    rollout: {candidate: v2, steps: [{weight: 5, pause: 1h}, {weight: 25, pause: forever}]}
    analysis: {errors: {max_increase: 0.1%}}
"""
VERDICT = {
    "row": "verdict",
    "id": "judged",
    "at": "2026-02-03T05:00:00.000Z",
    "route": "iris",
    "version": "v2",
    "verdict": "Failed",
    "action": "rollback",
    "sentence": "it fails more often than stable: 22 bad of 257",
    "alerts": ["<b>setosa</b> 40 % instead of 30 %"],
    "evidence": 130.5,
    "limit": 100,
    "weight": "5",
    "generation": "abc",
    "numbers": {"candidate": {"assigned": 257, "bad": 22}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def visitor(file: Path) -> Iterator[Visitor]:
    with console(file) as application:
        yield Visitor(application)


def change(file: Path, weight: int, by: str = "cli:alice", reason: str = "fine") -> changes.Entry:
    editing.carry_out(
        file, SetWeight("iris", "v2", weight), by=by, reason=reason, action="set-weight"
    )
    return changes.read(file)[-1]


def test_the_history_is_told_from_the_newest_on(visitor: Visitor, file: Path) -> None:
    first = change(file, 1000)
    second = change(file, 2500, by="controller", reason="watched 1h")
    changes.append(file, VERDICT)
    shown = visitor.get("/history").text

    assert re.findall(r'data-happening="(\w+)"', shown) == ["judged", second.id, first.id]
    assert field(shown, "found") == "3 entries"
    assert "watched 1h" in shown
    assert "&lt;b&gt;setosa" in shown


def test_the_history_can_be_asked_for_a_part_of_it(visitor: Visitor, file: Path) -> None:
    first = change(file, 1000)
    change(file, 2500, by="controller")
    shown = visitor.get("/history?by=cli%3Aalice&route=iris").text

    assert re.findall(r'data-happening="(\w+)"', shown) == [first.id]
    assert '<option value="cli:alice" selected>' in shown
    assert "Nothing of this kind" in visitor.get("/history?route=%3Cb%3E").text


def test_the_history_is_turned_in_pages_that_keep_what_was_asked_for(
    visitor: Visitor, file: Path
) -> None:
    for number in range(60):
        changes.append(file, VERDICT | {"id": f"j{number}"})
    shown = visitor.get("/history?kind=verdict").text
    older = re.search(r'rel="next" href="([^"]*)"', shown)

    assert len(re.findall("data-happening", shown)) == 50
    assert older
    behind = visitor.get(older[1].replace("&amp;", "&")).text
    assert re.findall(r'data-happening="(\w+)"', behind) == [f"j{n}" for n in range(9, -1, -1)]
    assert visitor.get("/history?page=9999999999999").status_code == 200
    assert visitor.get("/history?page=-1").status_code == 200


def test_a_change_has_an_address_with_its_diff(visitor: Visitor, file: Path) -> None:
    entry = change(file, 1000, reason="on the way up")
    shown = visitor.get(f"/history/{entry.id}").text

    assert (field(shown, "by"), field(shown, "reason")) == ("cli:alice", "on the way up")
    assert re.search(r'data-side="removed".*weight: <mark>5</mark>', shown)
    assert re.search(r'data-side="added".*weight: <mark>10</mark>', shown)


def test_a_verdict_has_an_address_with_its_evidence(visitor: Visitor, file: Path) -> None:
    changes.append(file, VERDICT)
    shown = visitor.get("/history/judged").text

    assert field(shown, "sentence") == VERDICT["sentence"]
    assert "130 of 100 needed" in words(shown)
    assert "8.56 %" in words(shown)


def test_an_edit_by_hand_is_told_and_shown_if_both_texts_were_seen(
    visitor: Visitor, file: Path
) -> None:
    change(file, 1000)
    before = file.read_bytes()
    hand = file.read_text().replace("weight: 10}", "weight: 12}")
    file.write_text(hand)
    page = f"/history/{generation_of(before)}-{generation_of(hand.encode())}"
    unseen = visitor.get(page).text
    file.write_bytes(before)
    visitor.get("/file")
    file.write_text(hand)
    visitor.get("/file")
    seen = visitor.get(page).text

    assert "by hand" in words(visitor.get("/history").text)
    assert "what was edited is not known" in words(unseen)
    assert re.search(r'data-side="added".*weight: <mark>12</mark>', seen)


def test_a_change_whose_text_was_not_kept_is_told_in_shares(visitor: Visitor, file: Path) -> None:
    entry = change(file, 1000)
    place = changes.history_path(file)
    rows = [json.loads(row) for row in place.read_text().splitlines()]
    place.write_text("".join(json.dumps(row | {"diff": ""}) + "\n" for row in rows))
    shown = visitor.get(f"/history/{entry.id}").text

    assert "these are the shares" in shown
    assert "v2: 10 %" in shown


def test_an_unknown_change_is_no_page(visitor: Visitor) -> None:
    assert visitor.get("/history/nothing").status_code == 404
    assert "No change is recorded yet" in visitor.get("/history").text


def test_a_history_of_rubbish_and_strange_values_is_read_all_the_same(
    visitor: Visitor, file: Path
) -> None:
    change(file, 1000)
    strange: dict[str, Any] = dict.fromkeys(VERDICT) | {"row": "verdict", "id": "odd"}
    half = VERDICT | {"id": "half", "sentence": "\ud800", "alerts": "no list", "numbers": [1]}
    for row in (strange, half):
        changes.append(file, row)
    with changes.history_path(file).open("a") as rows:
        rows.write("rubbish\n{}\n[1]\n")

    for path in ("/history", "/history/odd", "/history/half"):
        assert visitor.get(path).status_code == 200


def test_a_history_that_cannot_be_read_says_so(
    visitor: Visitor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(13, os.strerror(13))

    change(file, 1000)
    monkeypatch.setattr("monitoring.console.past.events", refused)
    shown = visitor.get("/history")

    assert shown.status_code == 503
    assert "Permission denied" in words(shown.text)


# Explanations.


def test_a_user_is_told_version_bucket_and_why(visitor: Visitor) -> None:
    shown = visitor.get("/explain?route=iris&key=42").text

    assert field(shown, "version") == "v2"
    assert field(shown, "bucket") == "31"
    assert "falls into bucket 31" in field(shown, "sentence")
    assert 'class="bucket-marker"' in shown
    assert shown.count('class="lane ') == 2
    assert "from 0.32 % on" in field(shown, "outlook")


def test_who_asks_nothing_is_asked(visitor: Visitor) -> None:
    shown = visitor.get("/explain").text

    assert "data-answer" not in shown
    assert '<label for="key">' in shown


def test_a_request_without_a_key_is_drawn_on_its_own(visitor: Visitor) -> None:
    assert "drawn on its own" in words(visitor.get("/explain?route=iris&key=").text)


@pytest.mark.parametrize("key", ["<script>x</script>", "\u202e\x1b[31m", "%00", "ä" * 5000])
def test_hostile_keys_are_answered(visitor: Visitor, key: str) -> None:
    shown = visitor.client.get("/explain", params={"route": "iris", "key": key})

    assert shown.status_code == 200
    assert field(shown.text, "version") in ("v1", "v2")
    assert "<script>x" not in shown.text
    assert "\x1b" not in shown.text


def test_what_is_no_request_is_told_with_a_link_to_its_field(visitor: Visitor) -> None:
    shown = visitor.get("/explain?route=iris&headers=nonsense")

    assert shown.status_code == 422
    assert '<a href="#headers">' in shown.text
    assert ">nonsense</textarea>" in shown.text
    assert visitor.get("/explain?route=wine").status_code == 422


def test_a_path_that_no_route_takes_is_an_answer(visitor: Visitor) -> None:
    assert "none: refused with 400" in words(visitor.get("/explain?path=/a/..%2f").text)


def test_a_refused_file_explains_nothing(visitor: Visitor, file: Path) -> None:
    file.write_text("routes: {}")
    shown = visitor.get("/explain?route=iris&key=42")

    assert shown.status_code == 422
    assert 'href="/file"' in shown.text


# The file.


def test_the_file_is_shown_with_its_lines_and_that_it_is_in_force(visitor: Visitor) -> None:
    shown = visitor.get("/file").text

    assert 'data-standing="in-force"' in shown
    assert field(shown, "generation") == generation_of(TEXT.encode())
    assert len(re.findall(r'id="line-\d+"', shown)) == len(TEXT.splitlines())


def test_the_problems_of_a_refused_file_stand_at_their_places(visitor: Visitor, file: Path) -> None:
    file.write_text(TEXT.replace("weight: 5}", "wieght: five}").replace("0.1%", "0.1‰"))
    shown = visitor.get("/file").text

    assert 'data-standing="refused"' in shown
    assert field(shown, "serving") == generation_of(TEXT.encode())
    assert re.findall(r'data-line="(\d+)" data-column="(\d+)"', shown) == [("6", "42"), ("9", "39")]
    assert re.search(r"<mark [^>]*>wieght</mark>", shown)
    assert "did you mean &#39;weight&#39;" in shown
    assert '<a href="#remark-1">line 6, column 42</a>' in shown


def test_what_is_not_as_it_says_is_shown_as_well(visitor: Visitor, file: Path) -> None:
    file.write_text(TEXT + "    mirror: {to: v2, percent: 20}\n")
    shown = visitor.get("/file").text

    assert 'data-standing="not-in-force"' in shown
    assert "checked but not acted on yet" in shown


def test_without_a_gateway_nobody_knows_whether_it_is_in_force(file: Path) -> None:
    with console(file, status={}) as application:
        shown = Visitor(application).get("/file")

    assert shown.status_code == 200
    assert 'data-standing="not-in-force"' in shown.text


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"", b"\t", b"a: [", b"\x1b[31m: 1", "‮: \u2028".encode(), b"#" * 20_000],
)
def test_whatever_the_file_holds_is_shown(visitor: Visitor, file: Path, content: bytes) -> None:
    file.write_bytes(content)
    shown = visitor.get("/file")

    assert shown.status_code == 200
    assert 'data-standing="refused"' in shown.text
    assert "\x1b" not in shown.text
    assert "\u202e" not in shown.text


def test_a_file_that_is_gone_is_a_problem(visitor: Visitor, file: Path) -> None:
    file.unlink()
    shown = visitor.get("/file")

    assert shown.status_code == 200
    assert "cannot be read" in words(shown.text)
