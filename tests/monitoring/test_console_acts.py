"""What people do in the console: the page before, the edit, and every way it is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from gateway.files import atomic
from gateway.model import generation_of
from monitoring.history import changes
from tests.visitor import ORIGIN, Visitor, console, field, hidden, words

TEXT = """\
routes:
  iris:
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 5}   # new
    rollout: {candidate: v2, steps: [{weight: 5, pause: 1h}, {weight: 25, pause: forever}]}
notify:
  - {webhook: "https://chat.example/secret", events: [rollback]}
"""
HOSTILE = "<script>alert(1)</script> \x1b[31m \u202e \"'& {{ 7 * 7 }}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def application(file: Path) -> Iterator[Any]:
    with console(file) as found:
        yield found


@pytest.fixture
def visitor(application: Any) -> Visitor:
    return Visitor(application)


def newest(file: Path) -> changes.Entry:
    return changes.read(file)[-1]


# The page before.


def test_a_page_shows_the_diff_the_meaning_and_what_it_was_made_from(visitor: Visitor) -> None:
    shown = visitor.get("/routes/iris/v2/set-weight?weight=25")

    assert shown.status_code == 200
    assert field(shown.text, "meaning") == (
        "v2 gets 25 % of the requests of iris instead of 5 %, v1 75 %."
    )
    assert re.search(r'data-side="removed".*weight: <mark>5</mark>', shown.text)
    assert re.search(r'data-side="added".*weight: <mark>25</mark>', shown.text)
    assert "removed line 6: " in words(shown.text)
    assert hidden(shown.text)["generation"] == generation_of(TEXT.encode())
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("act", ["pause", "promote", "rollback", "set-weight?weight=7"])
def test_each_act_is_a_page_that_works_by_itself_and_changes_nothing(
    visitor: Visitor, file: Path, act: str
) -> None:
    shown = visitor.get(f"/routes/iris/v2/{act}")

    assert shown.status_code == 200
    assert "<html" in shown.text
    assert file.read_text() == TEXT
    assert not changes.history_path(file).exists()


def test_a_dialog_is_the_same_without_the_frame(visitor: Visitor) -> None:
    shown = visitor.get("/routes/iris/v2/pause", **{"HX-Request": "true"})

    assert "<html" not in shown.text
    assert 'id="act-title"' in shown.text
    assert 'data-action="confirm"' in shown.text


def test_the_page_of_a_route_has_a_button_for_what_can_be_done(visitor: Visitor) -> None:
    shown = visitor.get("/routes/iris").text
    buttons = {
        re.search(r'data-action="([\w-]+)"', one)[1]: one  # type: ignore[index]
        for one in re.findall(r"<(?:a|span) [^>]*data-action=[^>]*>", shown)
    }

    assert [act for act, one in buttons.items() if one.startswith("<a")] == [
        *("pause", "set-weight", "promote", "rollback"),
    ]
    assert "has 5 % already" in buttons["start"]


def test_no_page_shows_the_secret_of_a_webhook(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/promote")
    file.write_text(TEXT.replace("/secret", "/secret2"))
    conflict = visitor.send(shown, reason="better")

    assert conflict.status_code == 409
    assert "secret" not in visitor.get("/file").text + conflict.text


# The edit.


def test_a_weight_is_set_by_the_same_edit_as_the_commands(visitor: Visitor, file: Path) -> None:
    done = visitor.act(
        "/routes/iris/v2/set-weight?weight=25", weight="25", reason=" fine \n so far"
    )
    entry = newest(file)

    assert done.status_code == 303
    assert file.read_text() == TEXT.replace("weight: 5}   #", "weight: 25}   #")
    assert (entry.by, entry.action, entry.reason) == ("console", "set-weight", "fine so far")
    assert (entry.before["v2"], entry.after["v2"]) == (5, 25)
    assert (file.parent / ".routing.yaml.reserve").exists()  # for a rollback on a full disk


def test_the_route_says_what_was_done_and_no_link_can_put_words_there(visitor: Visitor) -> None:
    done = visitor.act("/routes/iris/v2/pause", reason="lunch")
    shown = visitor.get(done.headers["location"]).text

    assert done.headers["location"].startswith("/routes/iris?notice=")
    assert "Done: v2 stays at 5 % of the requests of iris" in words(shown)
    assert "lunch-break" not in visitor.get("/routes/iris?notice=lunch-break").text


def test_who_it_was_is_kept_and_known_the_next_time(visitor: Visitor, file: Path) -> None:
    visitor.act("/routes/iris/v2/pause", reason="lunch", who="Ada Müller")

    assert newest(file).by == "console:Ada Müller"
    assert 'value="Ada Müller"' in visitor.get("/routes/iris/v2/rollback").text


def test_a_rollback_needs_no_reason(visitor: Visitor, file: Path) -> None:
    done = visitor.act("/routes/iris/v2/rollback")

    assert done.status_code == 303
    assert "weight: 0}" in file.read_text()
    assert (newest(file).action, newest(file).reason) == ("rollback", "")


def test_a_rollback_is_made_whatever_was_saved_in_between_and_says_so(
    visitor: Visitor, file: Path
) -> None:
    shown = visitor.get("/routes/iris/v2/rollback")
    file.write_text(TEXT.replace("weight: 5}   #", "weight: 25}   #"))
    done = visitor.send(shown)

    assert done.status_code == 303
    assert "weight: 0}" in file.read_text()
    assert "The file was saved in between" in words(visitor.get(done.headers["location"]).text)


def test_what_the_file_says_already_is_not_written(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/set-weight?weight=5")
    done = visitor.send(shown, weight="5", shown="500", reason="the same")

    assert "there is nothing to change" in words(shown.text)
    assert done.status_code == 303
    assert not changes.history_path(file).exists()


def test_a_rollback_without_a_history_is_done_and_warned_of(
    visitor: Visitor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("monitoring.history.changes.append", full)
    done = visitor.act("/routes/iris/v2/rollback")
    said = words(visitor.get(done.headers["location"]).text)

    assert "weight: 0}" in file.read_text()
    assert "could not be written, so the history will show this as edited by hand" in said


# What was filled in.


def test_without_a_reason_nothing_is_done_and_the_field_is_named(
    visitor: Visitor, file: Path
) -> None:
    refused = visitor.act("/routes/iris/v2/promote", reason="  ")

    assert refused.status_code == 422
    assert '<a href="#reason">' in refused.text
    assert re.search(r'<textarea id="reason"[^>]*aria-invalid="true"', refused.text)
    assert file.read_text() == TEXT


@pytest.mark.parametrize("weight", ["", "ten", "101", "0.001", "-1", "9" * 30, "<b>"])
def test_what_is_no_weight_is_refused_and_kept_to_be_mended(
    visitor: Visitor, file: Path, weight: str
) -> None:
    refused = visitor.act("/routes/iris/v2/set-weight", weight=weight, reason="why not")

    assert refused.status_code == 422
    assert '<a href="#weight">' in refused.text
    assert "why not</textarea>" in refused.text
    assert "<b>" not in refused.text.partition("</head>")[2].partition("<form")[2]
    assert file.read_text() == TEXT


def test_a_weight_whose_diff_was_not_seen_is_shown_first(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/set-weight?weight=25")
    again = visitor.send(shown, weight="50", reason="more")

    assert again.status_code == 422
    assert "50 % of the requests" in field(again.text, "meaning")
    assert visitor.send(again, weight="50", reason="more").status_code == 303
    assert "weight: 50}" in file.read_text()


def test_another_weight_can_be_looked_at_without_losing_the_reason(
    visitor: Visitor, file: Path
) -> None:
    shown = visitor.get("/routes/iris/v2/set-weight")
    again = visitor.send(shown, weight="12,5", reason="a long reason", step="show")

    assert again.status_code == 200
    assert "12.5 % of the requests" in field(again.text, "meaning")
    assert "a long reason</textarea>" in again.text
    assert file.read_text() == TEXT


def test_a_form_of_no_page_changes_nothing(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/promote")

    assert visitor.send(shown, reason="x", generation="").status_code == 422
    assert file.read_text() == TEXT


def test_too_many_fields_are_no_form(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/promote")
    form = hidden(shown.text) | {f"x{number}": "1" for number in range(60)} | {"reason": "y"}
    answer = visitor.client.post(shown.url.path, data=form, headers={"Origin": ORIGIN})

    assert answer.status_code in (403, 422)
    assert file.read_text() == TEXT


# Conflicts.


def test_a_file_saved_in_between_is_a_conflict_that_shows_both_versions(
    visitor: Visitor, file: Path
) -> None:
    shown = visitor.get("/routes/iris/v2/promote")
    newer = TEXT.replace("weight: 5}   #", "weight: 10}   #")
    file.write_text(newer)
    refused = visitor.send(shown, reason="better")
    page = refused.text

    assert refused.status_code == 409
    assert file.read_text() == newer
    assert field(page, "seen") == generation_of(TEXT.encode())
    assert field(page, "found") == generation_of(newer.encode())
    assert "weight: 5}" in field(page, "was")
    assert "weight: 10}" in field(page, "now")
    assert re.search(r'data-side="added".*weight: <mark>10</mark>', page)
    assert "instead of 10 %" in field(page, "meaning")
    # And from there one can go on.
    assert visitor.send(refused, reason="better").status_code == 303
    assert "stable: v2" in file.read_text()


def test_a_conflict_says_who_it_was(visitor: Visitor) -> None:
    shown = visitor.get("/routes/iris/v2/promote")
    visitor.act("/routes/iris/v2/pause", reason="wait for Bob", who="Eve")
    refused = visitor.send(shown, reason="better")

    assert refused.status_code == 409
    assert "console:Eve pause v2: wait for Bob" in " ".join(words(refused.text).split())


def test_a_conflict_after_which_the_act_means_nothing_any_more_has_no_button(
    visitor: Visitor, file: Path
) -> None:
    shown = visitor.get("/routes/iris/v2/pause")
    file.write_text(TEXT.replace("weight: 5}   #", "weight: 0}   #"))
    refused = visitor.send(shown, reason="wait")

    assert refused.status_code == 409
    assert "nothing to pause" in field(refused.text, "refusal")
    assert 'data-action="confirm"' not in refused.text


def test_a_text_that_nobody_remembers_is_said_to_be_unknown(file: Path) -> None:
    with console(file) as before, console(file) as after:
        shown = Visitor(before).get("/routes/iris/v2/promote")
        file.write_text(TEXT.replace("weight: 5}   #", "weight: 10}   #"))
        other = Visitor(after)
        form = hidden(shown.text) | {
            "reason": "better",
            "form_token": hidden(other.get("/routes/iris/v2/promote").text)["form_token"],
        }
        refused = other.client.post(shown.url.path, data=form, headers={"Origin": ORIGIN})

    assert refused.status_code == 409
    assert "is not known here any more" in words(refused.text)


def test_of_two_edits_of_one_file_at_the_same_time_exactly_one_is_made(
    application: Any, file: Path
) -> None:
    visitors = Visitor(application), Visitor(application)
    weights = "20", "30"
    for _ in range(5):
        file.write_text(TEXT)
        forms = [
            one.get(f"/routes/iris/v2/set-weight?weight={weight}")
            for one, weight in zip(visitors, weights, strict=True)
        ]
        together = Barrier(2)

        def send(place: int, forms: Any = forms, together: Barrier = together) -> Any:
            together.wait()
            return visitors[place].send(forms[place], weight=weights[place], reason="now")

        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(send, (0, 1)))
        codes = [one.status_code for one in answers]
        winner, loser = codes.index(303), codes.index(409)

        assert f"weight: {weights[winner]}}}" in file.read_text()
        assert f"weight: {weights[winner]}}}" in field(answers[loser].text, "now")
        assert "weight: 5}" in field(answers[loser].text, "was")


def test_a_save_at_the_last_moment_is_a_conflict_too(
    visitor: Visitor, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor knows of no lock."""
    newer = TEXT.replace("weight: 5}   #", "weight: 11}   #")
    replace = atomic.replace_if

    def saved_first(path: Path, *arguments: Any, **options: Any) -> None:
        path.write_text(newer)
        monkeypatch.setattr(atomic, "replace_if", replace)
        replace(path, *arguments, **options)

    shown = visitor.get("/routes/iris/v2/promote")
    monkeypatch.setattr(atomic, "replace_if", saved_first)
    refused = visitor.send(shown, reason="better")

    assert refused.status_code == 409
    assert "weight: 11}" in field(refused.text, "now")
    assert file.read_text() == newer


# The way back.


def test_a_promotion_is_taken_back_by_the_button_of_the_stable_version(
    visitor: Visitor, file: Path
) -> None:
    visitor.act("/routes/iris/v2/promote", reason="better")
    promoted = file.read_text()
    buttons = re.findall(
        r'<a [^>]*data-action="rollback"[^>]*data-version="(\w+)"', visitor.get("/routes/iris").text
    )
    shown = visitor.get("/routes/iris/v2/rollback")
    done = visitor.send(shown)

    assert buttons == ["v2"]
    assert field(shown.text, "meaning") == (
        "v1 is stable again, v2 gets no request: v1 gets 100 % of the requests of iris instead of "
        "none; v2 had 100 %, and stays reachable."
    )
    assert "stable: <mark>v2</mark>" in shown.text or 'data-side="removed"' in shown.text
    assert done.status_code == 303
    assert file.read_text() == promoted.replace("stable: v2", "stable: v1")
    assert (newest(file).action, newest(file).version) == ("rollback", "v2")
    assert newest(file).reason == "v1 is stable again, v2 gets no request"
    assert "the stable version" in words(visitor.get("/routes/iris/v1/rollback").text)


def test_a_history_that_cannot_be_read_is_said_in_a_sentence(visitor: Visitor, file: Path) -> None:
    changes.history_path(file).mkdir()
    shown = visitor.get("/routes/iris/v1/rollback")

    assert shown.status_code == 409
    assert "the history cannot be read" in words(shown.text)


# Refusals.


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/routes/iris/v2/resume", 409, "waits for no person"),
        ("/routes/iris/v2/start", 409, "has 5 % already"),
        ("/routes/iris/v1/rollback", 409, "v1 is the stable version"),
        ("/routes/iris/v2/set-weight?weight=101", 200, "is shown here before"),
        ("/routes/iris/v9/promote", 404, "there is no version 'v9'; it has v1, v2"),
        ("/routes/wine/v2/promote", 404, "there is no route 'wine'"),
        ("/routes/iris/v2/explode", 404, "no such act"),
        ("/routes/%3Cb%3E/%1b%5B31m/promote", 404, "there is no route"),
    ],
)
def test_what_cannot_be_done_is_a_page_that_says_why(
    visitor: Visitor, path: str, status: int, said: str
) -> None:
    shown = visitor.get(path)

    assert shown.status_code == status
    assert said in words(shown.text)
    assert "<b>" not in shown.text.partition("<h1")[2].partition("</h1")[0]
    assert "\x1b" not in shown.text


def test_a_refused_file_is_not_edited_and_its_problems_are_told(
    visitor: Visitor, file: Path
) -> None:
    shown = visitor.get("/routes/iris/v2/rollback")
    file.write_text(TEXT.replace("weight: 5}", "weight: ten}"))
    for answer in (visitor.get("/routes/iris/v2/rollback"), visitor.send(shown)):
        assert answer.status_code == 422
        assert "'ten' is not a percentage" in words(answer.text)
        assert "write weight: 0 for it by hand" in words(answer.text)
        assert 'href="/file#line-6"' in answer.text


def test_a_file_that_is_gone_is_told(visitor: Visitor, file: Path) -> None:
    shown = visitor.get("/routes/iris/v2/promote")
    file.unlink()
    refused = visitor.send(shown, reason="better")

    assert refused.status_code == 422
    assert "cannot be read" in words(refused.text)


@pytest.mark.parametrize("error", [13, 28, 30], ids=["not ours", "full disk", "read-only"])
def test_a_file_system_that_refuses_is_a_sentence(
    visitor: Visitor, file: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    shown = visitor.get("/routes/iris/v2/promote")
    monkeypatch.setattr("monitoring.history.changes.append", refused)
    answer = visitor.send(shown, reason="better")

    assert answer.status_code == 409
    assert os.strerror(error) in words(answer.text)
    assert "nothing was changed" in words(answer.text)
    assert file.read_text() == TEXT


def test_hostile_words_are_shown_as_words(visitor: Visitor, file: Path) -> None:
    refused = visitor.act("/routes/iris/v2/pause", reason=HOSTILE + "x" * 1000, who="<i>x</i>")
    done = visitor.act("/routes/iris/v2/pause", reason=HOSTILE, who="<i>x</i>")
    pages = [refused.text, visitor.get("/history").text, visitor.get("/routes/iris").text]
    pages.append(visitor.get(f"/history/{newest(file).id}").text)

    assert (refused.status_code, done.status_code) == (422, 303)
    for page in pages:
        assert "<script>alert" not in page
        assert "<i>x" not in page
        assert "7 * 7" in page
    for page in pages[1:]:
        assert "\x1b" not in page
        assert "\u202e" not in page
