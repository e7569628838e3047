"""Versions that come and go, and the way back after a promotion: which lines of the text change."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import parse
from gateway.edit import AddVersion, Promote, RemoveVersion, Restore, SetWeight, apply
from gateway.errors import EditRefused, UnknownName
from gateway.model import FULL_WEIGHT
from tests.gateway.test_edit import (
    around,
    pieces,
    routing_files,
    without_generation,
)

URL = "http://127.0.0.1:8109"
V9 = AddVersion("iris", "v9", (URL,))
TWO = AddVersion("iris", "v9", (URL, "unix:/run/v9.sock"), readiness="/ready")
NEWLINES = pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])


def flow(inner: str) -> str:
    """A file whose versions stand in brackets."""
    return f"routes:\n  iris:\n    stable: v1\n    versions: {{{inner}}}   # all\n    timeout: 1s\n"


# Name, file, change, after which text (once) the new one stands, the new text.
LAYOUTS: list[tuple[str, str, AddVersion, str, str]] = [
    (
        "on lines, in braces",
        around('      v2: {url: "http://127.0.0.1:8102", weight: 10}   # new\n\n      # end\n'),
        V9,
        "# new\n",
        f'      v9: {{url: "{URL}"}}\n',
    ),
    (
        "in the neighbour's quotes and space",
        around("      v2: { urls: ['http://127.0.0.1:8102'] }\n    timeout: 1s\n"),
        TWO,
        "'] }\n",
        f"      v9: {{ urls: ['{URL}', 'unix:/run/v9.sock'], readiness: '/ready' }}\n",
    ),
    (
        "in a block",
        around("      v2:\n          weight: 3   # few\n          url: http://a   # there\n"),
        TWO,
        "# there\n",
        f"      v9:\n          urls: [{URL}, unix:/run/v9.sock]\n          readiness: /ready\n",
    ),
    (
        "in a block with a list",
        around("      v2:\n        urls:\n          -  http://a\n          -  http://b\n"),
        TWO,
        "http://b\n",
        f"      v9:\n        urls:\n          -  {URL}\n          -  unix:/run/v9.sock\n"
        "        readiness: /ready\n",
    ),
    (
        "in a block with a list that is not indented",
        around("      v2:\n        urls:\n        - http://a\n        weight: 3\n"),
        TWO,
        "weight: 3\n",
        f"      v9:\n        urls:\n        - {URL}\n        - unix:/run/v9.sock\n"
        "        readiness: /ready\n",
    ),
    (
        "at the end of a file without newline",
        around("      v2: {url: http://a}  # last"),
        V9,
        "# last",
        f"\n      v9: {{url: {URL}}}",
    ),
    ("in one line", flow("v1: {url: http://a}"), V9, "http://a}", f", v9: {{url: {URL}}}"),
    (
        "in brackets over lines",
        flow("\n      v1: {url: http://a},\n      v2: {url: http://b}\n    "),
        V9,
        "http://b}",
        f",\n      v9: {{url: {URL}}}",
    ),
    (
        "in brackets that end with the last version",
        flow("\n      v1: {url: http://a},\n      v2: {url: http://b}"),
        V9,
        "http://b}",
        f",\n      v9: {{url: {URL}}}",
    ),
    (
        "in brackets over lines, comma and comment at the end",
        flow("\n      v1: {url: http://a},\n      v2: {url: http://b},  # b, c\n    "),
        V9,
        "# b, c\n",
        f"      v9: {{url: {URL}}},\n",
    ),
    (
        "as JSON",
        '{"routes":{"iris":{"stable":"v1","versions":{"v1":{"url":"http://a"}}}}}',
        TWO,
        '"http://a"}',
        f', "v9": {{"urls": ["{URL}", "unix:/run/v9.sock"], "readiness": "/ready"}}',
    ),
    (
        "with an address that needs quotes",
        around("      v2: {url: http://a}\n"),
        replace(V9, urls=("http://[::1]:8109",)),
        "http://a}\n",
        '      v9: {url: "http://[::1]:8109"}\n',
    ),
]


@pytest.mark.parametrize(
    ("text", "change", "place", "new"),
    [row[1:] for row in LAYOUTS],
    ids=[row[0] for row in LAYOUTS],
)
@NEWLINES
def test_a_version_is_added_after_the_last_one_in_its_layout_and_taking_it_out_restores_each_byte(
    text: str, change: AddVersion, place: str, new: str, newline: str
) -> None:
    assert text.count(place) == 1
    before = text.replace("\n", newline).encode()

    after = apply(before, change)

    assert after == text.replace(place, place + new).replace("\n", newline).encode()
    assert apply(after, change) == after
    assert apply(after, RemoveVersion("iris", "v9")) == before


def test_a_comma_is_put_before_a_comment() -> None:
    text = flow("\n      v1: {url: http://a}   # old, but good\n    ")

    after = apply(text.encode(), V9).decode()

    assert f"http://a}},   # old, but good\n      v9: {{url: {URL}}}\n    }}" in after
    assert apply(after.encode(), RemoveVersion("iris", "v9")) == text.encode()


@pytest.mark.parametrize("name", ["2026-11-22", "1.10", "2", "on", "null", "0x1f", "1e3"])
@pytest.mark.parametrize("key", ["v1", '"v1"', "'v1'"])
def test_a_name_stays_as_typed_for_every_reader_of_yaml(name: str, key: str) -> None:
    text = around("    rollout: {candidate: v1}\n").replace("      v1:", f"      {key}:")

    change = AddVersion("iris", name, (URL,), takes_over="v1")
    after = apply(text.encode(), change)

    assert re.search(rf"""^      (["']){re.escape(name)}\1: """, after.decode(), re.MULTILINE)
    assert re.search(rf'candidate: "{re.escape(name)}"', after.decode())
    route = parse(after).route("iris")
    assert [one.name for one in route.versions] == ["v1", name]
    assert route.rollouts[0].candidate == name
    promoted = apply(after, Promote("iris", name))
    assert parse(promoted).route("iris").stable == name


@pytest.mark.parametrize(
    "rollout",
    [
        "    rollout: {candidate: v1, steps: [{weight: 1, pause: 1m}]}   # weekly\n",
        "    rollout:\n      candidate: v1   # the latest\n      on_success: promote\n",
        "    rollout:\n    - candidate: v2\n    - {on_failure: alert, candidate: v1}\n",
        "    rollout: [{candidate: 'v1'}]\n",
    ],
)
@NEWLINES
def test_the_rollout_it_takes_over_names_the_new_version_and_nothing_else_of_it_changes(
    rollout: str, newline: str
) -> None:
    text = around("      v2: {url: http://a}   # b\n") + rollout
    text = text.replace("\n", newline)

    after = apply(text.encode(), replace(V9, takes_over="v1")).decode()

    added = f"      v9: {{url: {URL}}}{newline}"
    expected = re.sub("(candidate: '?)v1", r"\1v9", text)
    assert after == expected.replace(f"# b{newline}", f"# b{newline}{added}")


def test_a_rollout_that_nobody_has_is_not_taken_over() -> None:
    with pytest.raises(EditRefused, match=r"routes\.iris\.rollout: none is of v1"):
        apply(around("").encode(), replace(V9, takes_over="v1"))


THERE = around(
    '      v9: {urls: ["http://127.0.0.1:8109", "http://b:80"], readiness: /ready, weight: 3}\n'
)


@pytest.mark.parametrize("urls", [("http://b", URL), (URL, "http://b:80")])
@pytest.mark.parametrize("readiness", ["", "/ready"])
@pytest.mark.parametrize("takes_over", ["", "v1"])
def test_the_same_version_again_changes_nothing(
    urls: tuple[str, ...], readiness: str, takes_over: str
) -> None:
    text = (THERE + "    rollout: [{candidate: v9}]\n").encode()
    again = AddVersion("iris", "v9", urls, readiness, takes_over)

    assert apply(text, again) == text
    assert apply(THERE.encode(), replace(again, takes_over="")) == THERE.encode()


@NEWLINES
def test_a_version_that_is_there_takes_a_rollout_over_and_nothing_else_changes(
    newline: str,
) -> None:
    text = THERE + "    rollout:\n      candidate: 'v1'   # weekly\n      on_success: hold\n"
    before = text.replace("\n", newline)

    after = apply(before.encode(), AddVersion("iris", "v9", ("http://b", URL), takes_over="v1"))

    assert after.decode() == before.replace("candidate: 'v1'", "candidate: 'v9'")


def test_a_version_never_becomes_another_one() -> None:
    with pytest.raises(EditRefused) as refusal:
        apply(THERE.encode(), V9)
    assert str(refusal.value) == (
        "routes.iris.versions.v9: v9 is there already, at http://127.0.0.1:8109, http://b:80; a "
        "version never becomes another one: give the new one a name of its own"
    )
    with pytest.raises(EditRefused, match="v9 is there already, with /ready; change it by hand"):
        apply(THERE.encode(), AddVersion("iris", "v9", (URL, "http://b"), "/live"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (AddVersion("iris", "v 9", (URL,)), "versions: 'v 9' is not a name"),
        (AddVersion("iris", "v9", ("127.0.0.1:8109",)), "is not an address; write http://"),
        (AddVersion("iris", "v9", (URL, URL)), "edited file would be refused: .*twice"),
        (AddVersion("iris", "v9", ()), "edited file would be refused: "),
        (AddVersion("iris", "v9", (URL,), "ready"), "'ready' is not a path"),
    ],
)
def test_what_the_file_could_not_say_is_refused_with_the_rule(
    change: AddVersion, said: str
) -> None:
    with pytest.raises(EditRefused, match=said):
        apply(around("").encode(), change)


def test_a_route_is_one_of_the_file() -> None:
    with pytest.raises(UnknownName, match="no route 'irs'; did you mean 'iris'"):
        apply(around("").encode(), AddVersion("irs", "v9", (URL,)))


@pytest.mark.parametrize(
    "v2", ["      ? v2\n      : {url: http://a}\n", "      ? v2\n      : url: http://a\n"]
)
def test_where_no_machine_can_add_it_a_person_is_told_what_to_write(v2: str) -> None:
    text = around(v2 + "    rollout: {candidate: v1}\n")

    with pytest.raises(EditRefused) as refusal:
        apply(text.encode(), replace(TWO, takes_over="v1"))

    assert str(refusal.value) == (
        "routes.iris.versions.v9: the file is laid out in a way that cannot be edited by machine "
        "without touching more than it should; write "
        f'`"v9": {{urls: ["{URL}", "unix:/run/v9.sock"], readiness: /ready}}`, and '
        '`candidate: "v9"` in the rollout of v1, by hand'
    )


# What is taken out: its own lines with their comments, and nothing else.
GONE: list[tuple[str, str, str]] = [
    (
        "braces",
        "      # the forest\n      v9: {url: http://z, weight: 0}   # gone\n\n      v3: {url: http://c}\n",
        "      # the forest\n\n      v3: {url: http://c}\n",
    ),
    (
        "a block",
        "      v9:   # gone\n        # gone, too\n        url: http://z   # gone\n\n"
        "        # so is this\n        readiness: /ready\n      # kept\n      v3: {url: http://c}\n",
        "      # kept\n      v3: {url: http://c}\n",
    ),
    (
        "braces over lines",
        "      v9: {  # gone\n        url: http://z,  # gone\n      }  # gone\n    # kept\n",
        "    # kept\n",
    ),
    ("at the end of a file without newline", "      v9: {url: http://z}  # gone", ""),
]


@pytest.mark.parametrize(
    ("before", "after"), [row[1:] for row in GONE], ids=[row[0] for row in GONE]
)
@NEWLINES
def test_a_version_goes_with_its_own_lines_and_others_stay(
    before: str, after: str, newline: str
) -> None:
    text, expected = around(before), around(after)
    if not text.endswith("\n"):
        expected = expected.removesuffix("\n")

    edited = apply(text.replace("\n", newline).encode(), RemoveVersion("iris", "v9"))

    assert edited == expected.replace("\n", newline).encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("v1: {url: http://a}, v9: {url: http://z}", "v1: {url: http://a}"),
        ("v9: {url: http://z}, v1: {url: http://a}", "v1: {url: http://a}"),
        (
            "\n      v9: {url: http://z},  # gone\n      v1: {url: http://a}  # a\n    ",
            "\n      v1: {url: http://a}  # a\n    ",
        ),
        (
            "\n      v1: {url: http://a},  # a\n      v9: {url: http://z}  # gone\n    ",
            "\n      v1: {url: http://a}  # a\n    ",
        ),
        (
            "\n      v1: {url: http://a},  # a\n      v9: {url: http://z},  # gone\n    ",
            "\n      v1: {url: http://a},  # a\n    ",
        ),
    ],
)
def test_in_brackets_a_version_goes_with_one_comma(before: str, after: str) -> None:
    edited = apply(flow(before).encode(), RemoveVersion("iris", "v9")).decode()

    assert edited == flow(after)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("v1", "v1 is the stable version; promote another one first"),
        ("v2", "v2 gets 5 % of the requests; take it out first: canary rollback iris v2"),
        ("v3", "`rollout` names v3; give it another candidate first"),
        ("v4", "`mirror` goes to v4; remove it first"),
        ("v8", "there is no version 'v8'"),
    ],
)
def test_a_version_that_is_needed_is_not_taken_out(version: str, said: str) -> None:
    text = around(
        "      v2: {url: http://b, weight: 5}\n      v3: {url: http://c}\n"
        "      v4: {url: http://d}\n    rollout: {candidate: v3}\n"
        "    mirror: {to: v4, percent: 5}\n"
    )

    with pytest.raises(EditRefused, match=said):
        apply(text.encode(), RemoveVersion("iris", version))


# The way back after a promotion.


@given(routing_files())
def test_a_promotion_taken_back_is_the_promotion_of_the_former_and_only_stable_is_rewritten(
    text: str,
) -> None:
    promoted = apply(text.encode(), Promote("a", "v2"))

    back = apply(promoted, Restore("a", "v2", "v1"))

    assert back == apply(promoted, Promote("a", "v1"))
    assert without_generation(parse(back)).route("a").stable == "v1"
    assert parse(back).route("a").version("v2").weight == 0
    assert apply(back, Restore("a", "v2", "v1")) == back
    changed = [
        (old, new)
        for old, new in zip(promoted.splitlines(), back.splitlines(), strict=True)
        if old != new
    ]
    assert len(changed) == 1
    assert b"stable:" in changed[0][0]


def test_a_promotion_is_taken_back_beside_another_candidate_and_only_once() -> None:
    text = around(
        "      v2: {url: http://b}\n      v3: {url: http://c, weight: 10}\n", stable="v2"
    ).encode()
    back = apply(text, Restore("iris", "v2", "v1"))

    route = parse(back).route("iris")
    assert {one.name: route.weight(one.name) for one in route.versions} == {
        "v1": FULL_WEIGHT - 1000,
        "v2": 0,
        "v3": 1000,
    }
    started = apply(back, SetWeight("iris", "v2", 100))
    for version, found in (("v2", started), ("v3", back)):
        with pytest.raises(EditRefused, match=f"v1 is the stable version, not {version}"):
            apply(found, Restore("iris", version, "v2" if version == "v3" else "v1"))


# Whatever the layout.

names = st.sampled_from(["v9", "w", "2026-11-22", "1.10", "on"])
urls = st.sampled_from(
    [(URL,), ("unix:/run/a.sock",), ("http://[::1]:9", "https://a.example"), (URL, "http://b:1")]
)


@given(routing_files(), names, urls, st.sampled_from(["", "/ready"]), st.data())
def test_whatever_the_layout_only_a_version_is_added_and_taken_out_again(
    text: str, name: str, urls: tuple[str, ...], readiness: str, data: st.DataObject
) -> None:
    before = parse(text.encode())
    candidates = [one.candidate for one in before.route("a").rollouts]
    takes_over = data.draw(st.sampled_from(["", *candidates]))
    after = apply(text.encode(), AddVersion("a", name, urls, readiness, takes_over))

    route = parse(after).route("a")
    assert [one.name for one in route.versions] == ["v1", "v2", "v3", name]
    assert (route.versions[-1].weight, route.versions[-1].readiness) == (0, readiness)
    assert len(route.versions[-1].endpoints) == len(urls)
    meant = [name if one == takes_over else one for one in candidates]
    assert [one.candidate for one in route.rollouts] == meant
    rest = replace(route, versions=route.versions[:-1], rollouts=before.route("a").rollouts)
    assert rest == before.route("a")
    assert parse(after).routes[1:] == before.routes[1:]
    assert pieces(after.decode()) == pieces(text)
    if not takes_over:
        assert apply(after, RemoveVersion("a", name)) == text.encode()


@given(routing_files(), st.sampled_from(["v2", "v3"]))
def test_whatever_the_layout_only_a_version_that_nothing_names_is_taken_out(
    text: str, name: str
) -> None:
    route = parse(text.encode()).route("a")
    if route.weight(name) or route.rollout(name):
        with pytest.raises(EditRefused, match=r"canary rollback|`rollout` names"):
            apply(text.encode(), RemoveVersion("a", name))
        return

    after = apply(text.encode(), RemoveVersion("a", name))

    assert parse(after).route("a") == replace(
        route, versions=tuple(one for one in route.versions if one.name != name)
    )
    # What is left are whole lines of the file, in their order.
    left, lines = after.decode().splitlines(), text.splitlines()
    at = next((i for i, one in enumerate(left) if one != lines[i]), len(left))
    assert left == lines[:at] + lines[at + len(lines) - len(left) :]
