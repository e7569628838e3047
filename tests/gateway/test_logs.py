"""How a log line looks, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.logs import LONGEST_LINE, Log, configure_logs, json_wanted, readable

ROOT = Path(__file__).parents[2]
MANY = [f"v{number}" for number in range(100)]

NASTY = ["\n", "\r\n", "\x1b[31m", "\x00", "\x7f", "\x85", "\u2028", "\u202e", "a=b c", "'", '"}']
nasty = (
    st.lists(st.text() | st.sampled_from(NASTY), min_size=1)
    .map("".join)
    .map(
        # Half a character is nothing that JSON could bring back.
        lambda text: text.encode("utf-8", "ignore").decode()
    )
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _back() -> object:
    yield
    configure_logs(json=True)


def test_a_line_is_one_object_wherever_no_person_reads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs()
    Log().bind(pid=7).warning("reload refused", problem="a\nb\x1b[31m", path=object)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)

    assert json_wanted()
    assert (said["event"], said["level"], said["pid"]) == ("reload refused", "warning", 7)
    assert said["problem"] == "a\nb\x1b[31m"
    assert "object" in said["path"]
    assert said["timestamp"].endswith("Z")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_person_reads_words_and_no_control_characters(
    monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure_logs(json=as_json)
    Log().info("serving", file="a\nb\x1b[31m", generation="abc", spaced="a b")
    line = terminal.getvalue()

    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert line.startswith("{") is as_json
    assert as_json or "generation=abc spaced='a b'" in line


def test_a_log_that_nobody_takes_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    Log().error("still here")


# --- lines stay apart, and stay lines


@pytest.mark.parametrize(
    "value",
    [
        'a"}\n{"event": "forged", "level": "info"}',
        "\r\n\x00\x1b[2J\x7f\x85\u2028\u2029\u202e",
        "\ud800 half a character",
        float("nan"),
        float("-inf"),
        {"a": {1, 2}},
        [float("nan")],
        b"\xff\n",
        10**400,
    ],
)
def test_no_value_forges_a_line_or_breaks_one(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs()
    Log().info("serving", value=value)
    text = capsys.readouterr().err
    said = json.loads(text, parse_constant=lambda word: pytest.fail(word))

    assert text.count("\n") == 1
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    assert said["event"] == "serving"
    assert said["value"] == (value if isinstance(value, str | int) else repr(value))


@pytest.mark.parametrize("as_json", [True, False])
@settings(max_examples=40)
@given(
    event=nasty,
    values=st.dictionaries(nasty, nasty | st.floats() | st.dictionaries(nasty, st.integers())),
)
def test_no_name_event_or_value_forges_a_line_in_either_form(
    as_json: bool, event: str, values: dict[str, Any]
) -> None:
    terminal = Terminal()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        configure_logs(json=as_json)
        Log().info(event, **values)
    line = terminal.getvalue()

    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert line[:-1].splitlines() == [line[:-1]]
    if as_json:
        said = json.loads(line)
        assert said["event"] == event
        assert {"event", "level", "timestamp"} | values.keys() == said.keys()


@given(nasty, nasty)
def test_a_line_that_was_made_of_json_is_one_for_people_too(name: str, value: str) -> None:
    said = {"timestamp": "2026", name: value, "nothing": None}
    shown = readable(json.dumps(said).encode() + b"\n").decode()

    assert shown.endswith("\n")
    assert shown[:-1].isprintable()
    assert "nothing" not in shown.replace(name, "").replace(value, "")


def test_numbers_by_name_stay_numbers_for_programs_and_are_short_for_people(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = []
    for as_json in (True, False):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        configure_logs(json=as_json)
        Log().info("weights changed", before={"v1": 90, "v2": 10.5}, many=dict.fromkeys(MANY, 1))
        lines.append(terminal.getvalue())

    said = json.loads(lines[0])
    assert said["before"] == {"v1": 90, "v2": 10.5}
    assert said["many"] == repr(dict.fromkeys(MANY, 1))  # which can be cut where a line is too long
    assert " before=v1:90,v2:10.5 " in lines[1]


class Shapeless:
    def __repr__(self) -> str:
        raise RuntimeError("no form")


def test_what_cannot_be_shown_is_still_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    Log().info("serving", value=Shapeless())

    assert "Shapeless" in json.loads(capsys.readouterr().err)["value"]


def test_a_value_does_not_take_the_place_of_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    Log().info("serving", event="forged", level="forged", timestamp="forged", self="told")
    said = json.loads(capsys.readouterr().err)

    assert (said["event"], said["level"], said["self"]) == ("serving", "info", "told")
    assert said["timestamp"] != "forged"


@pytest.mark.parametrize("value", ["x" * 1_000_000, "\n" * 100_000, "\u202e" * 5000, '"\\' * 4000])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_is_short_enough_to_be_written_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, value: str, as_json: bool
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure_logs(json=as_json)
    Log().bind(pid=7).error("reload refused", problem=f"begins {value} ends", other="y" * 9000)
    line = terminal.getvalue()

    assert len(line.encode()) <= LONGEST_LINE
    assert line.endswith("\n")
    if as_json:
        said = json.loads(line)
        assert said["problem"].startswith("begins ")
        assert said["problem"].endswith(" ends")
        assert said["pid"] == 7


def test_a_long_line_is_not_shortened_more_than_needed(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    Log().info("serving", value="x" * 5000)

    assert LONGEST_LINE - 100 < len(capsys.readouterr().err) <= LONGEST_LINE


THREADS = """
import sys, threading
from gateway.logs import Log, configure_logs
configure_logs()
def write(who):
    for number in range(200):
        Log().info("said", who=who, number=number, filler=str(who) * (number * 40))
threads = [threading.Thread(target=write, args=(f"{sys.argv[1]}{i}",)) for i in range(3)]
for one in threads: one.start()
for one in threads: one.join()
"""


def test_lines_of_threads_and_processes_on_one_pipe_stay_apart() -> None:
    reader, writer = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", THREADS, name], stderr=writer, cwd=ROOT)
        for name in "abc"
    ]
    os.close(writer)
    with open(reader, "rb") as pipe:
        lines = pipe.read().splitlines()

    assert [one.wait() for one in writers] == [0, 0, 0]
    said = [json.loads(line) for line in lines]
    assert len({(one["who"], one["number"]) for one in said}) == len(said) == 3 * 3 * 200


OTHERS = """
import asyncio, gc, logging, sys, threading, warnings
from gateway.logs import adopt_others, configure_logs
configure_logs()
adopt_others()

class Falls:
    def __del__(self):
        raise ValueError("in a\\nfinalizer")

async def main():
    loop = asyncio.get_running_loop()
    def callback():
        raise ValueError("in a\\ncallback")
    loop.call_soon(callback)
    async def task():
        raise ValueError("in a\\ntask")
    asyncio.ensure_future(task())
    await asyncio.sleep(0.01)
    gc.collect()
    loop.call_exception_handler({"message": "told\\nof", "exception": ValueError("by\\nhand")})

asyncio.run(main())
logging.getLogger("uvicorn.error").warning("a\\nwarning of %s", "uvicorn")
logging.getLogger("anybody").error("wrong %s arguments %s", "one")
warnings.warn("a\\nwarning of Python", UserWarning)
Falls()
def run():
    raise ValueError("in a\\nthread")
thread = threading.Thread(target=run); thread.start(); thread.join()
def deep(n):
    if not n: raise ValueError("at the\\nbottom")
    try: deep(n - 1)
    except ValueError as error: raise ValueError("once\\nmore") from error
deep(200)
"""


def test_what_others_say_is_one_object_a_line_tracebacks_included() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OTHERS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    whole = "".join(ended.stderr.splitlines())

    assert ended.returncode == 1
    for words in (
        *(r"in a\ncallback", r"in a\ntask", r"by\nhand", r"in a\nfinalizer"),
        *(r"in a\nthread", "warning of uvicorn", "warning of Python", "wrong %s arguments %s"),
    ):
        assert words in whole, words
    assert {one["level"] for one in said} == {"warning", "error"}
    traces = [one["traceback"] for one in said if "traceback" in one]
    assert sum("\n  File " in trace for trace in traces) >= 5
    assert "once\nmore" in traces[-1]
    assert all(len(line.encode()) < LONGEST_LINE for line in ended.stderr.splitlines())
