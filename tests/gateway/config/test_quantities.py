"""Scalars: exact values for what is meant, one sentence for everything else."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import quantities as read
from gateway.model import FULL_WEIGHT


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("0", 0),
        ("0%", 0),
        ("0.01", 1),
        ("0.1", 10),
        ("0.10%", 10),
        ("0.29", 29),  # 0.29 * 100 is 28.999999999999996
        ("10", 1000),
        ("10%", 1000),
        ("33.33", 3333),
        ("100", 10_000),
        ("100.00%", 10_000),
    ],
)
def test_a_percentage_is_exact_basis_points(text: str, points: int) -> None:
    assert read.percent(text) == points


@pytest.mark.parametrize(
    "text",
    [
        *("ten", "", " ", "%", "10 %", " 10", "10%%", "-1", "-0", "+5", ".5", "5.", "1,5", "1e1"),
        *(
            "nan",
            "NaN",
            ".nan",
            "inf",
            ".inf",
            "-.inf",
            "0x10",
            "0o7",
            "1_0",
            "½",
            "\uff11\uff10",
            "1:30",
        ),
        *("9" * 5000, "yes", "true", "null", "~", "10\n"),
    ],
)
def test_what_is_not_a_percentage_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*' is not a percentage; write a number from 0 to 1"):
        read.percent(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ten", "'ten' is not a percentage; write a number from 0 to 100"),
        (
            "010",
            "'010' is not a percentage; write a number from 0 to 100, without leading zeros",
        ),
        ("0.125", "'0.125' has more than two decimals; write steps of 0.01"),
        ("100.01", "'100.01' is more than 100; write a number from 0 to 100"),
        ("104%", "'104%' is more than 100; write a number from 0 to 100"),
    ],
)
def test_a_refused_percentage_says_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="write") as refused:
        read.percent(text)
    assert str(refused.value) == sentence


@given(st.integers(0, FULL_WEIGHT))
def test_every_share_survives_being_written_and_read(points: int) -> None:
    text = read.percent_text(points)
    assert read.percent(text) == points
    assert read.percent(f"{text}%") == points
    assert len(text) <= len("12.25")


@pytest.mark.parametrize(
    ("points", "text"),
    [(0, "0"), (1, "0.01"), (10, "0.1"), (1000, "10"), (1225, "12.25"), (10_400, "104")],
)
def test_shares_are_written_as_people_do(points: int, text: str) -> None:
    assert read.percent_text(points) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800ms", 0.8),
        ("1ms", 0.001),
        ("0s", 0.0),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
    ],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert read.duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1.5s", "1h30m", "-1s", "10 s", "10S", "10sec", "1e3s", "s", "010s", "forever"],
)
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write a whole number and a unit"):
        read.duration(text)


def test_a_duration_needs_its_unit() -> None:
    with pytest.raises(ValueError, match=r"^'30' has no unit; write 30s, or 30ms for millisec"):
        read.duration("30")


def test_only_a_pause_may_be_forever() -> None:
    assert read.pause("forever") is None
    assert read.pause("10m") == 600.0
    with pytest.raises(ValueError, match=r"'3' has no unit; .*, or forever$"):
        read.pause("3")
    with pytest.raises(ValueError, match=r"'366d' is out of range; write 1ms to 365d, or forever"):
        read.pause("366d")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("0", 0),
        ("1KiB", 1024),
        ("1MiB", 1_048_576),
        ("1GiB", 1_073_741_824),
        ("1kB", 1000),
        ("2MB", 2_000_000),
        ("1GB", 1_000_000_000),
    ],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert read.size(text) == size


@pytest.mark.parametrize("text", ["", "1Mi", "1mb", "1.5MiB", "-1", "1 MiB", "1e6", "MiB", "1KB"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size; write bytes as a whole number, or such"):
        read.size(text)


@pytest.mark.parametrize("text", ["", "1.0", "-1", "1e3", "1_000", "0x10", "many", "9" * 5000])
def test_what_is_not_a_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number; write one such as 256"):
        read.count(text)


def test_bounds_are_part_of_the_range_and_of_the_sentence() -> None:
    timeout = read.within(read.duration, "1ms", "1h")
    assert (timeout("1ms"), timeout("60m")) == (0.001, 3600.0)
    for text in ("0s", "3601s", "2h"):
        with pytest.raises(ValueError, match=f"^'{text}' is out of range; write 1ms to 1h$"):
            timeout(text)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        *(("yes", "true"), ("on", "true"), ("On", "true"), ("True", "true"), ("1", "true")),
        *(("no", "false"), ("off", "false"), ("FALSE", "false"), ("maybe", "true or false")),
    ],
)
def test_only_true_and_false_are_switches(text: str, instead: str) -> None:
    assert (read.switch("true"), read.switch("false")) == (True, False)
    with pytest.raises(ValueError, match=f"^'{text}' is neither true nor false; write {instead}$"):
        read.switch(text)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def test_a_word_of_a_closed_set_or_the_nearest_one() -> None:
    colour = read.one_of(Colour)
    assert colour("red") is Colour.RED
    with pytest.raises(ValueError, match=r"^'bleu' is unknown here; did you mean 'blue'\?$"):
        colour("bleu")
    with pytest.raises(ValueError, match=r"^'gauze' is unknown here; write one of red, blue$"):
        colour("gauze")


@pytest.mark.parametrize("text", ["v1", "1.10", "on", "a" * 63, "A_b-c.d", "0"])
def test_names_are_kept_as_they_are(text: str) -> None:
    assert read.name(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "_a", "a b", "a/b", "ü", "a" * 64, "a\n", "a:b"])
def test_what_could_not_be_a_header_value_and_label_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a name; write at most 63 letters, digits"):
        read.name(text)


@pytest.mark.parametrize("text", ["", "/", "/a", "/predictions/0", "/a~1b/~0", "//", "/ü"])
def test_json_pointers(text: str) -> None:
    assert read.pointer(text) == text


@pytest.mark.parametrize("text", ["a", "a/b", "/a~", "/~2", "$.a", "#/a", "/a" * 33])
def test_what_is_not_a_json_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON Pointer; write one such as /predictions/0"):
        read.pointer(text)


def test_header_names_are_lower_case_and_tokens() -> None:
    assert read.header("X-User-Id") == "x-user-id"
    assert read.token("Canary_Id") == "Canary_Id"
    for text in ("", "a b", "a:", "ü", "a\r\nb", '"a"', "a,b"):
        with pytest.raises(ValueError, match="cannot be the name of a header or cookie; write one"):
            read.header(text)


@pytest.mark.parametrize(
    "text",
    ["Connection", "host", "Content-Length", "Transfer-Encoding", "TE", "Upgrade", "Expect"],
)
def test_headers_of_the_connection_choose_no_version(text: str) -> None:
    assert read.header(text) == text.lower()
    with pytest.raises(ValueError, match="is about the connection, not about the client; write"):
        read.key_header(text)


@pytest.mark.parametrize("text", ["/", "/predict", "/predict/", "/a%C3%BC:b@c;d=e,f"])
def test_paths(text: str) -> None:
    assert read.path(text) == text


@pytest.mark.parametrize("text", ["", "predict", "/a b", "/a?b", "/a#b", "/ü", "http://a/b"])
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path; write '/' and visible ASCII"):
        read.path(text)


def test_a_quoted_text_is_short_and_cannot_forge_a_line_or_show_a_password() -> None:
    assert len(read.quoted("x" * 10**6)) == 62
    assert read.quoted("a\nb\u202e\x1b[1m") == r"'a\nb\u202e\x1b[1m'"
    assert read.quoted("http://user:pa@ss@host") == "'http://***@host'"
