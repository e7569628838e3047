"""Plain data as typed, positions of everything, and the YAML that is refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import document
from gateway.config.document import MAX_BYTES, Data, Position, dotted, read
from gateway.errors import ConfigError

EXAMPLE = (Path(__file__).parents[3] / "routing.yaml").read_text()

LAYOUTS = """\
# ümlaut 🙂
a:   # x
  "b c": {d: 'e', f: [g, "h"], 日本: 🙂, i: j}
  k:
  - l
  -   m: n
      o: |
        p
  q: >-
    r
    s
t: [u,
  v]
? w
: x
"""


def fatal(content: bytes) -> str:
    """The one problem of a file that cannot be read further."""
    with pytest.raises(ConfigError) as refused:
        read(content)
    (problem,) = refused.value.problems
    return problem.render("routing.yaml")


def refused(text: str) -> list[str]:
    """The problems of a file that can be read further."""
    return [problem.render("routing.yaml") for problem in read(text.encode()).problems]


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "No", "on", "off", "y", "true", "null", "~", "1.10", "010", "0o7", "0x1F", "1e3"),
        *("12:30", "1_000", ".inf", ".nan", "-0", "2026-11-21", "=", "<", "0.10", "+1"),
    ],
)
def test_a_scalar_stays_the_text_that_was_typed(text: str) -> None:
    for written in (text, f"'{text}'", f'"{text}"'):
        assert read(f"{written}: {written}\nlist: [{written}]".encode()).data == {
            text: text,
            "list": [text],
        }


def test_everything_has_its_position() -> None:
    found = read(b"# top\na:\n  b: {c: [d, 'e']}\n  f: g\n")
    assert found.data == {"a": {"b": {"c": ["d", "e"]}, "f": "g"}}
    assert found.keys == {
        (): (2, 1),
        ("a",): (2, 1),
        ("a", "b"): (3, 3),
        ("a", "b", "c"): (3, 7),
        ("a", "b", "c", 0): (3, 11),
        ("a", "b", "c", 1): (3, 14),
        ("a", "f"): (4, 3),
    }
    assert found.scalars == {
        ("a", "b", "c", 0): (3, 11),
        ("a", "b", "c", 1): (3, 14),
        ("a", "f"): (4, 6),
    }


def test_a_problem_stands_at_the_scalar_else_at_the_key_else_at_what_is_around() -> None:
    found = read(b"a:\n  b: c\n  d: {}\n")

    def position(*path: str | int, at_key: bool = False) -> Position:
        problem = found.problem(path, "", at_key=at_key)
        assert problem.path == ".".join(map(str, path))
        return Position(problem.line, problem.column)

    assert position("a", "b") == (2, 6)
    assert position("a", "b", at_key=True) == (2, 3)
    assert position("a", "d") == (3, 3)
    assert position("a", "missing") == (1, 1)
    assert position("a", "d", "missing", "too") == (3, 3)


def test_columns_count_characters_and_lines_end_as_yaml_says() -> None:
    found = read('"🙂é": {日本: x}\r\nb: y\rc: z\n'.encode())
    assert found.scalars == {("🙂é", "日本"): (1, 12), ("b",): (2, 4), ("c",): (3, 4)}


def test_both_parsers_give_the_same_document(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [read(text.encode()) for text in (EXAMPLE, LAYOUTS)]
    monkeypatch.setattr(document, "LOADER", yaml.SafeLoader)
    assert [read(text.encode()) for text in (EXAMPLE, LAYOUTS)] == found


@given(st.randoms(use_true_random=False))
def test_what_both_parsers_take_they_take_alike(source: random.Random) -> None:
    text = LAYOUTS
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(text))
        text = (
            text[:at] + source.choice(" \n:,-[]{}#|>'\"%@\\é\r") + text[at + source.randint(0, 1) :]
        )
    found = []
    for loader in (yaml.SafeLoader, document.LOADER):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(document, "LOADER", loader)
            try:
                found.append(read(text.encode()))
            except ConfigError:
                return
    assert found[0] == found[1]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# routes:\n", b"---\n", b"--- # x\n...\n"])
def test_a_file_without_content_is_refused(content: bytes) -> None:
    assert fatal(content) == (
        "routing.yaml:1:1: the file is empty; write at least one route under the key `routes`"
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            b"a: b\nc: \xff\n",
            "2:4: byte 0xff at offset 8 is not UTF-8; save the file as UTF-8",
        ),
        (
            "a: é".encode("latin-1"),
            "1:4: byte 0xe9 at offset 3 is not UTF-8; save the file as UTF-8",
        ),
        (b"a: \xed\xa0\x80", "1:4: byte 0xed at offset 3 is not UTF-8; save the file as UTF-8"),
        (
            "a: b".encode("utf-8-sig"),
            "1:1: the file begins with a byte order mark; save it as UTF-8 without one",
        ),
        ("a: b".encode("utf-16"), "1:1: the file is UTF-16 or UTF-32; save it as UTF-8"),
        ("a: b".encode("utf-32"), "1:1: the file is UTF-16 or UTF-32; save it as UTF-8"),
        ("a: b".encode("utf-16-le"), "1:2: the character U+0000 stands here; remove it"),
        (b"a: b\n# \x00", "2:3: the character U+0000 stands here; remove it"),
        (b"a: b\x1b[0m", "1:5: the character U+001B stands here; remove it"),
        ("# a\u2028b: c".encode(), "1:4: the character U+2028 stands here; remove it"),
        ("# a\x85b: c".encode(), "1:4: the character U+0085 stands here; remove it"),
        ("a: \ufeffb".encode(), "1:4: the character U+FEFF stands here; remove it"),
        (b"\x7fELF\x02\x01\x01", "1:1: the character U+007F stands here; remove it"),
        (b"a: b\n---\nc: d\n", "2:1: a second document begins here; keep one in the file"),
    ],
)
def test_what_is_not_one_plain_text_is_refused(content: bytes, line: str) -> None:
    assert fatal(content) == f"routing.yaml:{line}"


def test_the_largest_file_is_one_mebibyte() -> None:
    largest = b"a: b\n" + b"#" * (MAX_BYTES - 5)
    assert read(largest).data == {"a": "b"}
    assert fatal(largest + b"#") == (
        "routing.yaml:1:1: the file is larger than 1 MiB; routing.yaml must be smaller"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [b\nc: d\n", "2:2: this is not YAML: did not find expected ',' or ']'"),
        ("a: b: c\n", "1:5: this is not YAML: mapping values are not allowed in this context"),
        ("a: 'b\n", "2:1: this is not YAML: found unexpected end of stream"),
        ("a: {\n", "2:1: this is not YAML: did not find expected node content"),
        ("a: [", "1:5: this is not YAML: did not find expected node content"),
        ('a: "\\ud800"\n', "1:7: this is not YAML: found invalid Unicode character escape code"),
        ("a: @b\n", "1:4: this is not YAML: found character that cannot start any token"),
        ("a:\n\t- b\n", "2:1: a tab stands here; indent with spaces"),
    ],
)
def test_a_syntax_error_has_one_problem_and_its_position(text: str, line: str) -> None:
    rendered = fatal(text.encode())
    assert rendered.startswith(f"routing.yaml:{line}")
    assert rendered.endswith(("; check indentation, quotes and brackets here", "with spaces"))


@pytest.mark.parametrize("escape", ["\\ud800", "\\UFFFFFFFF", "\\x00", "\\x1b", "\\n", "\\u2028"])
@pytest.mark.parametrize("loader", [document.LOADER, yaml.SafeLoader])
def test_no_escape_brings_in_what_no_text_may_have(
    escape: str, loader: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "LOADER", loader)
    try:
        found = read(f'a: "{escape}"'.encode())
    except ConfigError:
        return
    (problem,) = found.problems
    assert (found.data, found.holes) == ({"a": None}, {("a",)})
    assert problem.message.startswith("the text contains U+")
    assert problem.message.endswith("; write it on one line, without that")


@pytest.mark.parametrize("text", ["[" * 100, "{a: " * 100, "- " * 100, "a: " + "[" * 20])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "this is nested more than 16 levels deep, which no key needs; check" in fatal(
        text.encode()
    )


def test_what_is_too_deep_at_the_very_end_has_a_place_in_the_file() -> None:
    """libyaml marks the nothing after the last key on a line that does not exist."""
    place = fatal(("{a: " * 16 + "{b").encode()).split(":")[1:3]

    assert place == ["1", "67"]


def test_an_alias_bomb_does_not_go_off() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    problems = refused("\n".join(levels))
    assert len(problems) == 12 + 11 * 9


def test_keys_that_stand_twice_are_all_named_with_both_places() -> None:
    assert refused("a:\n  b: 1\n  c: 2\n  b: {d: 3}\n'a': 4\n") == [
        "routing.yaml:4:3: a.b: this key stands twice, first at 2:3; keep one of them",
        "routing.yaml:5:1: a: this key stands twice, first at 1:1; keep one of them",
    ]


def test_anchors_aliases_and_merge_keys_are_refused() -> None:
    assert refused("a: &x {b: c}\nd: *x\ne:\n  <<: *x\n  f: g\n") == [
        "routing.yaml:1:4: a: remove the anchor &x; nothing may refer to it",
        "routing.yaml:2:4: d: an alias stands here; write the value itself",
        "routing.yaml:4:3: e: merge keys are not supported; write the keys that are meant",
    ]
    assert read(b"'<<': a").data == {"<<": "a"}  # a text, if it is quoted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: !x b", "1:4: a: remove the tag '!x'; values are plain texts"),
        ("a: ! b", "1:4: a: remove the tag '!'; values are plain texts"),
        ("a: !!int 5", "1:4: a: remove the tag 'tag:yaml.org,2002:int'; values are plain texts"),
        (
            "a: !!python/object/apply:os.system [true]",
            "1:4: a: remove the tag 'tag:yaml.org,2002:python/object/apply:os.system'; "
            "values are plain texts",
        ),
        ("a: !x {b: c}", "1:4: a: remove the tag '!x'; values are plain texts"),
        ("!x a: b", "1:1: remove the tag '!x'; values are plain texts"),
        ("a: {[b]: c}", "1:5: a: a key must be a text; write one instead"),
        ("{a: b}: {c: [d]}", "1:1: a key must be a text; write one instead"),
        ("? - a\n: b\n", "1:3: a key must be a text; write one instead"),
        ("? \n: b\n", "1:2: a key without text is not supported; write the keys that are meant"),
        ("a: b\n*x : c\n", "2:1: a key must be a text; write one instead"),
        ("a:\nb: c\n", "1:1: a: nothing stands here; write a value, or remove this"),
        ("a: [b, ]\nc: {d}", "2:5: c.d: nothing stands here; write a value, or remove this"),
        ("a: |\n  b\n", "1:4: a: the text contains U+000A; write it on one line, without that"),
    ],
)
def test_what_plain_data_cannot_hold_is_refused_where_it_stands(text: str, line: str) -> None:
    assert refused(text) == [f"routing.yaml:{line}"]


def test_what_was_refused_leaves_the_rest_readable() -> None:
    found = read(b"a: *x\nb:\nc: {[d]: e, f: g}\nh: i\nh: j\n")
    expected: Data = {"a": None, "b": None, "c": {"f": "g"}, "h": "i"}
    assert found.data == expected
    assert found.holes == {("a",), ("b",)}
    assert len(found.problems) == 4


def test_an_empty_text_is_a_text_if_it_is_quoted() -> None:
    assert read(b"a: ''\nb: \"\"\n").data == {"a": "", "b": ""}


def test_odd_keys_cannot_forge_a_log_line() -> None:
    assert (
        dotted(("routes", "a\nb", 0, "1.10", "x" * 10**6))[:30] == r"routes.'a\nb'[0].1.10.'xxxxxxx"
    )
    assert len(dotted(("x" * 10**6,))) == 62
    assert dotted(()) == ""


@given(st.binary() | st.text(alphabet=" \n\t:,-[]{}#&*!|>'\"%@`?~<=ab1\\x\r").map(str.encode))
def test_any_bytes_are_a_document_or_problems(content: bytes) -> None:
    try:
        found = read(content)
    except ConfigError as error:
        (problem,) = error.problems
        lines = content.splitlines() or [b""]
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1
    else:
        assert found.keys.keys() >= found.scalars.keys() - {()}
