"""Changes to the text: which characters change, and that nothing else does."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.config import parse
from gateway.edit import Change, Promote, SetPaused, SetWeight, apply, diff
from gateway.errors import ConfigError, EditRefused, UnknownName
from gateway.model import FULL_WEIGHT, RoutingConfig

FLOW = """\
# Who answers /predict
routes:
  iris:   # the flowers
    stable: v1
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 10}   # percent; stable takes the rest

      v3: {url: http://127.0.0.1:8103 }
"""

BLOCK = """\
routes:
  iris:
    stable: 'v1'
    versions:
      v1:
        url: http://127.0.0.1:8101
      v2:
        weight: 10   # percent; stable takes the rest

        # the new forest
        urls:
          - http://127.0.0.1:8102   # left
          - http://127.0.0.1:8103   # right
      # unweighted
      v3:
        url: http://127.0.0.1:8104   # a shadow
    # the end
"""

NARROW = FLOW.replace("    stable:", "    match: {path: /iris}\n    stable:")


def around(versions: str, stable: str = "v1") -> str:
    """A file with these lines as its versions beside a plain v1."""
    return (
        f"routes:\n  iris:\n    stable: {stable}\n    versions:\n"
        f"      v1: {{url: http://127.0.0.1:8101}}\n{versions}"
    )


# Name, file, change, what is replaced by what (once, everything else stays).
LAYOUTS: list[tuple[str, str, Change, str, str]] = [
    ("flow", FLOW, SetWeight("iris", "v2", 2500), "weight: 10}", "weight: 25}"),
    ("flow fraction", FLOW, SetWeight("iris", "v2", 50), "weight: 10}", "weight: 0.5}"),
    ("flow rollback", FLOW, SetWeight("iris", "v2", 0), "weight: 10}", "weight: 0}"),
    (
        "flow first weight",
        FLOW,
        SetWeight("iris", "v3", 1225),
        "{url: http://127.0.0.1:8103 }",
        "{url: http://127.0.0.1:8103, weight: 12.25 }",
    ),
    (
        "with a unit",
        FLOW.replace("weight: 10", "weight: 10%"),
        SetWeight("iris", "v2", 500),
        "weight: 10%",
        "weight: 5%",
    ),
    ("block", BLOCK, SetWeight("iris", "v2", 1), "weight: 10 ", "weight: 0.01 "),
    (
        "block first weight",
        BLOCK,
        SetWeight("iris", "v3", 500),
        "8104   # a shadow\n",
        "8104   # a shadow\n        weight: 5\n",
    ),
    (
        "block first weight after a list",
        around("      v2:\n        urls:\n        - http://127.0.0.1:8102 # x\n\n      # end\n"),
        SetWeight("iris", "v2", 500),
        "8102 # x\n",
        "8102 # x\n        weight: 5\n",
    ),
    (
        "block first weight after a flow list over lines",
        around('      v2:\n        urls: ["http://127.0.0.1:8102",\n   "http://127.0.0.1:8103"]\n'),
        SetWeight("iris", "v2", 500),
        '8103"]\n',
        '8103"]\n        weight: 5\n',
    ),
    (
        "block first weight at the end of a file without newline",
        around("      v2:\n        url: http://127.0.0.1:8102"),
        SetWeight("iris", "v2", 500),
        "8102",
        "8102\n        weight: 5",
    ),
    (
        "block first weight after a comment without newline",
        around("      v2:\n        url: http://127.0.0.1:8102  # end"),
        SetWeight("iris", "v2", 500),
        "8102  # end",
        "8102  # end\n        weight: 5",
    ),
    (
        "flow over lines",
        around('      v2: {\n        url: "http://127.0.0.1:8102",  # here\n      }\n'),
        SetWeight("iris", "v2", 500),
        '8102",',
        '8102", weight: 5,',
    ),
    (
        "JSON stays JSON",
        '{"routes":{"iris":{"stable":"v1","versions":{"v1":{"url":"http://127.0.0.1:8101"},'
        '"v2":{"url":"http://127.0.0.1:8102"}}}}}',
        SetWeight("iris", "v2", 500),
        '8102"}',
        '8102", "weight": 5}',
    ),
    (
        "the second of two routes",
        NARROW + NARROW.partition("routes:\n")[2].replace("iris", "wine"),
        SetWeight("wine", "v2", 500),
        "",
        "",
    ),
    (
        "names a YAML 1.1 reader would change",
        around('      "on": {url: http://127.0.0.1:8102}\n').replace(
            "stable: v1", "stable: v1 # ü"
        ),
        Promote("iris", "on"),
        "stable: v1 #",
        'stable: "on" #',
    ),
    ("promote without weight", FLOW, Promote("iris", "v3"), "stable: v1", "stable: v3"),
    (
        "a weight in a line below, with a comment",
        around("      v2:\n        weight: >-   # few\n          10\n        url: http://a\n"),
        SetWeight("iris", "v2", 750),
        "weight: >-   # few\n          10\n",
        "weight: 7.5   # few\n",
    ),
    (
        "a stable version in a line below, with a comment",
        FLOW.replace("stable: v1", "stable: |-  # the rock\n      v1"),
        Promote("iris", "v3"),
        "stable: |-  # the rock\n      v1",
        "stable: v3  # the rock",
    ),
]


@pytest.mark.parametrize(
    ("text", "change", "old", "new"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_only_the_scalar_changes(
    text: str, change: Change, old: str, new: str, newline: str
) -> None:
    if old:
        assert text.count(old) == 1
        expected = text.replace(old, new)
    else:
        head, tail = text[: len(text) // 2], text[len(text) // 2 :]
        expected = head + tail.replace("weight: 10", "weight: 5")

    before = text.replace("\n", newline).encode()
    assert apply(before, change) == expected.replace("\n", newline).encode()


PROMOTIONS: list[tuple[str, str, str]] = [
    (
        "flow, last",
        "      v2: {url: http://127.0.0.1:8102, weight: 10}  # c\n",
        "      v2: {url: http://127.0.0.1:8102}  # c\n",
    ),
    (
        "flow, first",
        "      v2: { weight: 10, url: http://127.0.0.1:8102 }\n",
        "      v2: { url: http://127.0.0.1:8102 }\n",
    ),
    (
        "flow, comma at the end",
        "      v2: { url: http://127.0.0.1:8102, weight: 10, }\n",
        "      v2: { url: http://127.0.0.1:8102, }\n",
    ),
    (
        "flow over lines",
        "      v2: {\n        url: http://127.0.0.1:8102,\n        weight: 10,  # all\n      }\n",
        "      v2: {\n        url: http://127.0.0.1:8102,  # all\n      }\n",
    ),
    (
        "flow over lines, first",
        "      v2: {\n        weight: 10,\n        url: http://127.0.0.1:8102,\n      }\n",
        "      v2: {\n        url: http://127.0.0.1:8102,\n      }\n",
    ),
    (
        "flow over lines, comments everywhere",
        "      v2: {  # a, b\n        weight: 10 # c, d\n        , # e, f\n"
        "        url: http://127.0.0.1:8102  # g\n      }\n",
        "      v2: {  # a, b\n         # c, d\n         # e, f\n"
        "        url: http://127.0.0.1:8102  # g\n      }\n",
    ),
    (
        "flow over lines, last, comments around",
        "      v2: {\n        url: http://127.0.0.1:8102, # a,b\n        weight: 10 # c\n      }\n",
        "      v2: {\n        url: http://127.0.0.1:8102, # a,b\n         # c\n      }\n",
    ),
    (
        "block, last",
        "      v2:\n        url: http://127.0.0.1:8102\n        weight: 10\n      # c\n",
        "      v2:\n        url: http://127.0.0.1:8102\n      # c\n",
    ),
    (
        "block, first",
        "      v2:\n        weight: 10\n\n        url: http://127.0.0.1:8102\n",
        "      v2:\n\n        url: http://127.0.0.1:8102\n",
    ),
    (
        "block, with a comment",
        "      v2:\n        weight: 10   # of all\n        url: http://127.0.0.1:8102\n",
        "      v2:\n        # of all\n        url: http://127.0.0.1:8102\n",
    ),
    (
        "block, value on its own line, comments on both",
        "      v2:\n        weight:   # a\n          10   # b\n        url: http://127.0.0.1:8102\n",
        "      v2:\n        # a\n        # b\n        url: http://127.0.0.1:8102\n",
    ),
    (
        "block, value in a line below, comments on both",
        "      v2:\n        weight: >-  # a\n          10\n        # b\n        url: http://a\n",
        "      v2:\n        # a\n        # b\n        url: http://a\n",
    ),
    (
        "block, explicit keys",
        "      v2:\n        ? weight\n        : 10\n        url: http://127.0.0.1:8102\n",
        "      v2:\n        url: http://127.0.0.1:8102\n",
    ),
    (
        "block, at the end of a file without newline",
        "      v2:\n        url: http://127.0.0.1:8102\n        weight: 10",
        "      v2:\n        url: http://127.0.0.1:8102",
    ),
    (
        "block, at the end of a file without newline, with a comment",
        "      v2:\n        url: http://127.0.0.1:8102\n        weight: 10  # of all",
        "      v2:\n        url: http://127.0.0.1:8102\n        # of all",
    ),
]


@pytest.mark.parametrize(
    ("before", "after"), [row[1:] for row in PROMOTIONS], ids=[row[0] for row in PROMOTIONS]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_promotion_takes_the_weight_away_and_keeps_comments(
    before: str, after: str, newline: str
) -> None:
    text = around(before).replace("\n", newline).encode()
    expected = around(after, stable="v2").replace("\n", newline).encode()
    assert apply(text, Promote("iris", "v2")) == expected


# Name, rollout before, rollout while paused: first there and back, then only there, then only back.
THERE_AND_BACK: list[tuple[str, str, str]] = [
    (
        "flow",
        "    rollout: {candidate: v2}   # slowly\n",
        "    rollout: {candidate: v2, paused: true}   # slowly\n",
    ),
    (
        "flow, comma at the end",
        "    rollout: { candidate: v2, on_failure: alert, }\n",
        "    rollout: { candidate: v2, on_failure: alert, paused: true, }\n",
    ),
    (
        "flow, in a list over lines",
        "    rollout: [{candidate: v3},\n      {candidate: v2,  # b, c\n      on_success: hold}]\n",
        "    rollout: [{candidate: v3},\n      {candidate: v2,  # b, c\n"
        "      on_success: hold, paused: true}]\n",
    ),
    (
        "block",
        "    rollout:\n      # as agreed\n      candidate: v2\n    # end\n",
        "    rollout:\n      # as agreed\n      candidate: v2\n      paused: true\n    # end\n",
    ),
    (
        "block, after its steps",
        "    rollout:\n      candidate: v2\n      steps:\n      - {weight: 1, pause: 1m}   # a\n"
        "      - weight: 5\n        pause: 1h   # last\n\n    timeout: 1s\n",
        "    rollout:\n      candidate: v2\n      steps:\n      - {weight: 1, pause: 1m}   # a\n"
        "      - weight: 5\n        pause: 1h   # last\n      paused: true\n\n    timeout: 1s\n",
    ),
    (
        "block, at the end of a file without newline",
        "    rollout:\n      candidate: v2",
        "    rollout:\n      candidate: v2\n      paused: true",
    ),
    (
        "block, in a list",
        "    rollout:\n    - candidate: v3\n      paused: false\n    -  candidate: v2\n"
        "    # no more\n",
        "    rollout:\n    - candidate: v3\n      paused: false\n    -  candidate: v2\n"
        "       paused: true\n    # no more\n",
    ),
    (
        "JSON within",
        '    rollout: [{"candidate": "v2"}]\n',
        '    rollout: [{"candidate": "v2", "paused": true}]\n',
    ),
]
THERE: list[tuple[str, str, str]] = [
    (
        "written as false",
        "    rollout: {paused: false, candidate: v2}\n",
        "    rollout: {paused: true, candidate: v2}\n",
    ),
    (
        "written as false, in quotes",
        "    rollout:\n      paused: 'false'   # so far\n      candidate: v2\n",
        "    rollout:\n      paused: 'true'   # so far\n      candidate: v2\n",
    ),
]
BACK: list[tuple[str, str, str]] = [
    (
        "flow, first",
        "    rollout: [{paused: true, candidate: v2}]\n",
        "    rollout: [{candidate: v2}]\n",
    ),
    (
        "block, with a comment",
        "    rollout:\n      candidate: v2\n      paused: true   # until Monday\n    timeout: 1s\n",
        "    rollout:\n      candidate: v2\n      # until Monday\n    timeout: 1s\n",
    ),
    (
        "block, behind the dash",
        "    rollout:\n    - paused: true\n\n      candidate: v2\n",
        "    rollout:\n    - candidate: v2\n",
    ),
    (
        "block, behind the dash, with a comment",
        "    rollout:\n    - paused: true  # a\n      candidate: v2\n",
        "    rollout:\n    - # a\n      candidate: v2\n",
    ),
    (
        "block, behind the dash, before a comment",
        "    rollout:\n    - paused: true\n      # b\n      candidate: v2\n",
        "    rollout:\n    - \n      # b\n      candidate: v2\n",
    ),
    (
        "where nothing can be taken away",
        "    rollout:\n    - ? paused\n      : true\n      candidate: v2\n",
        "    rollout:\n    - ? paused\n      : false\n      candidate: v2\n",
    ),
]


def rolled(rollout: str, newline: str) -> bytes:
    """A file with these lines as its rollouts, after a v2 and a v3."""
    versions = "".join(f"      v{i}: {{url: http://127.0.0.1:810{i}}}\n" for i in (2, 3))
    return (around(versions) + rollout).replace("\n", newline).encode()


@pytest.mark.parametrize(
    ("running", "paused"),
    [row[1:] for row in THERE_AND_BACK],
    ids=[row[0] for row in THERE_AND_BACK],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_rollout_is_paused_by_a_key_of_its_own_and_the_way_back_restores_every_byte(
    running: str, paused: str, newline: str
) -> None:
    there = apply(rolled(running, newline), SetPaused("iris", "v2", True))

    assert there == rolled(paused, newline)
    assert apply(there, SetPaused("iris", "v2", True)) == there
    assert apply(there, SetPaused("iris", "v2", False)) == rolled(running, newline)


@pytest.mark.parametrize(
    ("before", "after", "paused"),
    [(*row[1:], True) for row in THERE] + [(*row[1:], False) for row in BACK],
    ids=[row[0] for row in THERE + BACK],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_what_is_said_of_a_pause_already_is_rewritten_or_taken_away_and_comments_stay(
    before: str, after: str, paused: bool, newline: str
) -> None:
    change = SetPaused("iris", "v2", paused)

    assert apply(rolled(before, newline), change) == rolled(after, newline)


@pytest.mark.parametrize("rollout", ["{candidate: v2}", "{candidate: v2, paused: false}"])
def test_what_is_not_paused_goes_on_without_a_changed_byte(rollout: str) -> None:
    text = rolled(f"    rollout: {rollout}\n", "\n")

    assert apply(text, SetPaused("iris", "v2", False)) == text


@pytest.mark.parametrize("paused", [True, False])
def test_a_pause_needs_a_rollout(paused: bool) -> None:
    text = rolled("    rollout: {candidate: v3}\n", "\n")

    with pytest.raises(
        EditRefused, match=r"routes\.iris\.rollout: v2 has no rollout that could be"
    ):
        apply(text, SetPaused("iris", "v2", paused))


def test_a_rollout_that_is_over_is_not_paused_but_may_be_let_go() -> None:
    text = rolled("    rollout: {candidate: v1, paused: true}\n", "\n")

    with pytest.raises(EditRefused, match="v1 is the stable version, its rollout is over"):
        apply(text, SetPaused("iris", "v1", True))
    assert apply(text, SetPaused("iris", "v1", False)) == text.replace(b", paused: true", b"")


def test_a_rollout_without_brackets_in_a_list_is_refused_rather_than_mangled() -> None:
    text = rolled("    rollout: [candidate: v2]\n", "\n")

    with pytest.raises(EditRefused, match="write `paused: true` in the rollout of v2 by hand"):
        apply(text, SetPaused("iris", "v2", True))


@pytest.mark.parametrize(
    "rollout", ["{candidate: v2%s}", "[{candidate: v3, paused: true}, {candidate: v2%s}]"]
)
def test_a_promotion_ends_the_pause_of_the_promoted_version_and_of_no_other(rollout: str) -> None:
    before = rolled(f"    rollout: {rollout % ', paused: true'}\n", "\n")

    after = apply(before, Promote("iris", "v2"))

    expected = rolled(f"    rollout: {rollout % ''}\n", "\n")
    assert after == expected.replace(b"stable: v1", b"stable: v2")


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_promotion_keeps_the_quotes_of_stable(quote: str) -> None:
    text = around(
        "      v2: {url: http://127.0.0.1:8102}\n", stable=f"{quote}v1{quote}   # the rock"
    )
    edited = apply(text.encode(), Promote("iris", "v2")).decode()
    assert f"stable: {quote}v2{quote}   # the rock\n" in edited


def test_former_stable_is_left_with_nothing_and_the_way_back_is_a_promotion() -> None:
    promoted = apply(FLOW.encode(), Promote("iris", "v2"))
    route = parse(promoted).route("iris")
    assert {version.name: route.weight(version.name) for version in route.versions} == {
        "v1": 0,
        "v2": FULL_WEIGHT,
        "v3": 0,
    }
    back = apply(promoted, Promote("iris", "v1"))
    assert parse(back).route("iris").weight("v1") == FULL_WEIGHT


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (FLOW, SetWeight("iris", "v2", 1000)),
        (FLOW.replace("weight: 10}", "weight: 10.00}"), SetWeight("iris", "v2", 1000)),
        (FLOW, SetWeight("iris", "v3", 0)),
        (FLOW, Promote("iris", "v1")),
    ],
    ids=["same weight", "same weight, other spelling", "none is 0", "already stable"],
)
def test_what_the_file_says_already_changes_no_byte(text: str, change: Change) -> None:
    assert apply(text.encode(), change) == text.encode()


def test_unknown_names_are_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UnknownName, match="no route 'iriss'; did you mean 'iris'"):
        apply(FLOW.encode(), SetWeight("iriss", "v2", 1))
    with pytest.raises(UnknownName, match="no version 'rf'; it has v1, v2, v3"):
        apply(FLOW.encode(), Promote("iris", "rf"))


def test_stable_carries_no_weight() -> None:
    with pytest.raises(EditRefused, match="v1 is the stable version, which carries no weight"):
        apply(FLOW.encode(), SetWeight("iris", "v1", 5000))


def test_weights_must_leave_stable_its_rest() -> None:
    with pytest.raises(EditRefused, match=r"add up to 100\.01 \(v2 10 \+ v3 90\.01\)"):
        apply(FLOW.encode(), SetWeight("iris", "v3", 9001))
    assert b"8103, weight: 90 }" in apply(FLOW.encode(), SetWeight("iris", "v3", 9000))


@pytest.mark.parametrize("weight", [-1, 10_001])
def test_a_weight_is_a_percentage(weight: int) -> None:
    with pytest.raises(EditRefused, match="from 0 to 100"):
        apply(FLOW.encode(), SetWeight("iris", "v2", weight))


def test_a_file_that_would_be_refused_is_not_edited() -> None:
    with pytest.raises(ConfigError):
        apply(FLOW.replace("weight: 10}", "weight: ten}").encode(), SetWeight("iris", "v2", 0))


def test_a_change_other_keys_contradict_is_refused_with_what_they_say() -> None:
    text = FLOW + "    mirror: {to: v3, percent: 20}\n"
    with pytest.raises(EditRefused, match=r"would be refused: routes\.iris\.mirror\.to: 'v3' is"):
        apply(text.encode(), Promote("iris", "v3"))


def test_a_layout_no_splice_fits_is_refused_rather_than_mangled() -> None:
    text = around("      ? v2\n      : weight: 10\n        url: http://127.0.0.1:8102\n")
    with pytest.raises(EditRefused, match=r"routes\.iris\.versions\.v2: "):
        apply(text.encode(), Promote("iris", "v2"))
    assert b": weight: 20\n" in apply(text.encode(), SetWeight("iris", "v2", 2000))


def test_diff_shows_the_changed_lines_and_a_missing_line_end() -> None:
    before = around("      v2:\n        url: http://127.0.0.1:8102").encode()
    shown = diff(before, apply(before, SetWeight("iris", "v2", 500)), "routing.yaml")
    assert shown.startswith("--- routing.yaml\n+++ routing.yaml\n@@ ")
    assert shown.endswith(
        "-        url: http://127.0.0.1:8102\n\\ No newline at end of file\n"
        "+        url: http://127.0.0.1:8102\n"
        "+        weight: 5\n\\ No newline at end of file\n"
    )
    assert diff(before, before, "routing.yaml") == ""


# Random files: pieces of layout that mean nothing, around versions that do.

comments = st.sampled_from(["", "  # a, b: c", " # {weight: 3}", "   # 'ü', \"日本\" 🙂", " #"])
blank_lines = st.sampled_from(["", "\n", "\n\n", "      # weight: 99, stable: v2\n", "# ümlaut\n"])
quotes = st.sampled_from(["", "'", '"'])
weights = st.sampled_from(["0", "7", "3%", "10.0", "12.25", "33", "0.01"])


@st.composite
def flow_versions(draw: st.DrawFn, name: str, port: int, weighted: bool) -> str:
    quote = draw(quotes)
    pairs = [f"url: {quote}http://127.0.0.1:{port}{quote}"]
    if draw(st.booleans()):
        pairs = [f"urls: [{quote}http://127.0.0.1:{port}{quote}, 'http://127.0.0.1:{port + 1}']"]
    if weighted:
        pairs.insert(draw(st.integers(0, 1)), f"weight: {draw(weights)}")
    space = st.sampled_from(["", " ", "\n        ", "  # x, y\n          "])
    inner = "".join(
        f"{draw(space)}{pair}{draw(st.sampled_from(['', ' ']))}{comma}"
        for pair, comma in zip(pairs, [","] * (len(pairs) - 1) + [""], strict=True)
    )
    end = draw(st.sampled_from(["", ",", ", ", "\n      ", " # z\n      "]))
    return f"      {name}: {{{inner}{end}}}{draw(comments)}\n"


@st.composite
def block_versions(draw: st.DrawFn, name: str, port: int, weighted: bool) -> str:
    indent = " " * draw(st.sampled_from([7, 8, 10]))
    quote = draw(quotes)
    url = f"{indent}url: {quote}http://127.0.0.1:{port}{quote}{draw(comments)}\n"
    if draw(st.booleans()):
        dash = indent + draw(st.sampled_from(["", "  "])) + "- "
        url = f"{indent}urls:{draw(comments)}\n{dash}http://127.0.0.1:{port}{draw(comments)}\n"
    lines = [url]
    if weighted:
        gap = draw(st.sampled_from([" ", "   ", f"\n{indent}  "]))
        weight = f"{indent}weight:{gap}{draw(weights)}{draw(comments)}\n"
        lines.insert(draw(st.integers(0, 1)), weight)
    return f"      {name}:{draw(comments)}\n" + draw(blank_lines).join(lines)


@st.composite
def rollouts(draw: st.DrawFn) -> str:
    """None, one alone, or a list of one or two, each in braces or not; paused, not, or silent."""
    candidates = draw(st.sampled_from([[], ["v2"], ["v3"], ["v2", "v3"], ["v3", "v2"]]))
    if not candidates:
        return ""
    listed = len(candidates) > 1 or draw(st.booleans())
    text = f"    rollout:{draw(comments)}\n"
    for candidate in candidates:
        said = draw(st.sampled_from(["", "paused: true", "paused: 'true'", "paused: false"]))
        more = draw(
            st.sampled_from([[], ["steps: [{weight: 1, pause: 1m}]"], ["on_success: hold"]])
        )
        keys = draw(st.permutations([f"candidate: {candidate}", *([said] if said else []), *more]))
        indent = "      - " if listed else "      "
        if draw(st.booleans()):
            gap = draw(st.sampled_from([", ", ",", " , # x, y\n           "]))
            text += f"{indent}{{{gap.join(keys)}}}{draw(comments)}\n"
        else:
            between = draw(st.sampled_from(["", "\n", "        # z\n"])) + " " * len(indent)
            text += indent + between.join(f"{one}{draw(comments)}\n" for one in keys)
        text += draw(blank_lines)
    return text


@st.composite
def routing_files(draw: st.DrawFn) -> str:
    parts = [draw(blank_lines), "routes:", draw(comments), "\n"]
    for number, route in enumerate(draw(st.sampled_from([["a"], ["a", "b"]]))):
        quote = draw(quotes)
        stable = f"    stable: {quote}v1{quote}{draw(comments)}\n"
        first = draw(st.booleans())
        parts += [f"  {route}:{draw(comments)}\n", draw(blank_lines), stable if first else ""]
        parts += [f"    match: {{path: /{route}}}\n"]
        rollout, above = draw(rollouts()), draw(st.booleans())
        parts += [rollout if above else ""]
        parts += [f"    versions:{draw(comments)}\n"]
        for index in range(1, 4):
            layout = draw(st.sampled_from([flow_versions, block_versions]))
            weighted = index > 1 and draw(st.booleans())
            parts.append(draw(layout(f"v{index}", 8000 + 100 * number + 10 * index, weighted)))
            parts.append(draw(blank_lines))
        parts += ["" if above else rollout, "" if first else stable]
    text = "".join(parts)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


changes = st.one_of(
    st.builds(
        SetWeight,
        st.just("a"),
        st.sampled_from(["v2", "v3"]),
        st.integers(0, 5000),
    ),
    st.builds(Promote, st.just("a"), st.sampled_from(["v1", "v2", "v3"])),
    st.builds(SetPaused, st.just("a"), st.sampled_from(["v2", "v3"]), st.booleans()),
)


@given(routing_files(), changes)
def test_whatever_the_layout_only_the_change_is_made(text: str, change: Change) -> None:
    before = text.encode()
    if isinstance(change, SetPaused) and parse(before).route("a").rollout(change.version) is None:
        with pytest.raises(EditRefused, match="has no rollout"):
            apply(before, change)
        return
    after = apply(before, change)
    assert without_generation(parse(after)) == changed(parse(before), change)
    assert apply(after, change) == after
    edited = after.decode()
    assert sorted(pieces(edited)) == sorted(pieces(text))
    assert skeleton(edited) == skeleton(text)


@given(routing_files(), st.integers(0, 5000), st.integers(0, 5000))
def test_a_new_weight_replaces_digits_by_digits_and_the_way_back_restores_every_byte(
    text: str, first: int, second: int
) -> None:
    # Twice, so that there is a weight and it is written the short way.
    given = apply(
        apply(text.encode(), SetWeight("a", "v2", first + 1)), SetWeight("a", "v2", first)
    )
    there = apply(given, SetWeight("a", "v2", second))
    for stretch in replaced(given.decode(), there.decode()):
        assert re.fullmatch(r"[\d.]*", stretch)
    assert apply(there, SetWeight("a", "v2", first)) == given


@given(routing_files())
def test_a_pause_that_stood_nowhere_leaves_no_trace(text: str) -> None:
    found = parse(text.encode()).route("a").rollouts
    assume(found)
    there, back = (SetPaused("a", found[0].candidate, paused) for paused in (True, False))
    silent = apply(apply(text.encode(), there), back)
    assert apply(apply(silent, there), back) == silent


def changed(config: RoutingConfig, change: Change) -> RoutingConfig:
    """The change made to the values, written down anew."""
    route = config.route("a")
    edited = route
    if not isinstance(change, SetPaused):
        weight = change.weight_bp if isinstance(change, SetWeight) else 0
        edited = replace(
            route,
            stable=change.version if isinstance(change, Promote) else route.stable,
            versions=tuple(
                replace(version, weight=weight) if version.name == change.version else version
                for version in route.versions
            ),
        )
    if not isinstance(change, SetWeight):
        paused = isinstance(change, SetPaused) and change.paused
        edited = replace(
            edited,
            rollouts=tuple(
                replace(rollout, paused=paused) if rollout.candidate == change.version else rollout
                for rollout in route.rollouts
            ),
        )
    routes = tuple(edited if each == route else each for each in config.routes)
    return without_generation(replace(config, routes=routes))


def without_generation(config: RoutingConfig) -> RoutingConfig:
    return replace(config, generation="")


def pieces(text: str) -> list[str]:
    """Every comment of a file: none may be lost, none added."""
    return [line[line.index("#") :] for line in text.splitlines() if "#" in line]


def skeleton(text: str) -> str:
    """A file without what a change may touch: comments, space, commas, weights, pauses, the stable
    name.
    """
    bare = re.sub(r"[\s,]", "", re.sub(r"#.*", "", text))
    bare = re.sub(r"paused:'?(true|false)'?", "", bare)
    return re.sub(r"(stable:[\"']?)v\d", r"\1", re.sub(r"weight:[\d.%]+", "", bare))


def replaced(before: str, after: str) -> tuple[str, str]:
    """The one stretch in which two texts differ."""
    room = min(len(before), len(after))
    start = next((i for i in range(room) if before[i] != after[i]), room)
    room -= start
    end = next((i for i in range(room) if before[-1 - i] != after[-1 - i]), room)
    return before[start : len(before) - end], after[start : len(after) - end]


def test_the_candidate_of_a_rollout_can_be_promoted_and_the_rollout_is_over() -> None:
    before = b"""\
routes:
  iris:
    stable: v1
    rollout: {candidate: v2, steps: [{weight: 1, pause: 10m}]}
    versions:
      v1: {url: "http://127.0.0.1:8101"}
      v2: {url: "http://127.0.0.1:8102", weight: 1}
"""

    after = apply(before, Promote("iris", "v2"))

    assert after == before.replace(b"stable: v1", b"stable: v2").replace(b", weight: 1}", b"}")
    assert parse(after).route("iris").stable == "v2"
