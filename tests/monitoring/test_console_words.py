"""What the console offers, says and shows: values in, values out."""

from __future__ import annotations

import pytest

from gateway.config import parse
from gateway.edit import Change, Promote, SetPaused, SetWeight, apply, diff
from gateway.errors import ConfigError, Problem
from gateway.model import RoutingConfig
from monitoring.console import difference, forms, listing
from monitoring.console.difference import Side
from monitoring.console.events import PER_PAGE, Kind, Wanted, choices, happenings, page
from monitoring.console.inquiry import BadRequest, answer, least_weight, stretches
from monitoring.console.meaning import meaning, remarks
from monitoring.console.notices import Notice, Notices
from monitoring.console.offers import Act, change_of, offered, offers
from monitoring.console.texts import Texts
from monitoring.console.veil import veiled
from monitoring.history.chain import BY_HAND, Entry, Status

STEPS = "steps: [{weight: 5, pause: 10m}, {weight: 25, pause: forever}, {weight: 50, pause: 1h}]"


def text(v2: str = "5", v3: str = "0", rollout: str = STEPS, more: str = "") -> bytes:
    """v1 (stable), v2 with a rollout, and v3."""
    return (
        "routes:\n  iris:\n    stable: v1\n    versions:\n      v1: {url: http://a}\n"
        f"      v2: {{url: http://b, weight: {v2}}}\n      v3: {{url: http://c, weight: {v3}}}\n"
        f"    sticky: {{header: X-User-Id}}\n    rollout: {{candidate: v2, {rollout}}}\n"
        f"    analysis: {{errors: {{max_increase: 1%}}}}\n{more}"
    ).encode()


def config(**parts: str) -> RoutingConfig:
    return parse(text(**parts))


def possible(found: RoutingConfig, version: str = "v2") -> set[str]:
    return {one.act.value for one in offers(found, "iris", version) if one.possible}


# Which acts make sense.


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (config(v2="0"), {"start", "set-weight", "promote"}),
        (config(v2="5"), {"pause", "set-weight", "promote", "rollback"}),
        (config(v2="25"), {"pause", "resume", "set-weight", "promote", "rollback"}),
        (config(rollout=f"{STEPS}, paused: true"), {"resume", "set-weight", "promote", "rollback"}),
    ],
    ids=["before its start", "at a step", "waiting for a person", "paused"],
)
def test_only_acts_that_change_something_are_offered(
    found: RoutingConfig, expected: set[str]
) -> None:
    assert possible(found) == expected


def test_a_candidate_without_a_rollout_has_no_steps_to_walk() -> None:
    assert possible(config(v3="5"), "v3") == {"set-weight", "promote", "rollback"}


def test_nothing_is_offered_of_the_stable_version() -> None:
    assert possible(config(), "v1") == set()
    assert [name for name, _ in offered(config(), "iris")] == ["v2", "v3"]


def test_what_is_not_offered_says_why() -> None:
    refusals = {one.act: one.refusal for one in offers(config(v2="0"), "iris", "v2")}

    assert "weight 0 already" in refusals[Act.ROLLBACK]
    assert "nothing to pause" in refusals[Act.PAUSE]


def test_a_start_that_the_others_leave_no_room_for_is_not_offered() -> None:
    offer = offers(config(v2="0", v3="98"), "iris", "v2")[0]

    assert offer.act is Act.START
    assert offer.refusal == "the other candidates leave 2 % for v2: lower one of them first"


def test_who_is_mirrored_to_cannot_be_promoted() -> None:
    found = config(more="    mirror: {to: v2, percent: 10}\n")

    assert "promote" not in possible(found)


@pytest.mark.parametrize("weights", [("0", "0"), ("5", "0"), ("25", "30"), ("60", "40")])
def test_what_is_offered_is_never_refused_by_the_file(weights: tuple[str, str]) -> None:
    content = text(*weights)
    for version, found in offered(parse(content), "iris"):
        for offer in found:
            if offer.possible and offer.act is not Act.SET_WEIGHT:
                change = change_of(offer.act, parse(content), "iris", version)
                assert apply(content, change) != content


# What an edit means.


def said(change: Change, **parts: str) -> str:
    content = text(**parts)
    after = parse(apply(content, change)).route("iris")
    return meaning(change, parse(content).route("iris"), after)


@pytest.mark.parametrize(
    ("change", "parts", "sentence"),
    [
        (
            SetWeight("iris", "v2", 2500),
            {},
            "v2 gets 25 % of the requests of iris instead of 5 %, v1 75 %",
        ),
        (
            SetWeight("iris", "v2", 550),
            {"v2": "0", "v3": "10"},
            "v2 gets 5.5 % of the requests of iris instead of none, v1 84.5 %, v3 10 %",
        ),
        (
            SetWeight("iris", "v2", 0),
            {},
            "v2 gets not one more request of iris, of which it had 5 %; v1 gets 100 %",
        ),
        (
            Promote("iris", "v2"),
            {"v3": "10"},
            "v2 becomes the stable version of iris and gets 90 % of the requests instead of 5 %; "
            "v1 gets none instead of 85 %, and stays reachable for the way back",
        ),
        (
            SetPaused("iris", "v2", True),
            {},
            "v2 stays at 5 % of the requests of iris until somebody resumes it; it is taken out "
            "all the same if it is proven worse",
        ),
        (
            SetPaused("iris", "v2", False),
            {"rollout": f"{STEPS}, paused: true"},
            "v2 is paused no more: its rollout goes on at 5 % of the requests of iris; "
            "next is 25 %",
        ),
    ],
    ids=["more", "the first", "rollback", "promotion", "pause", "resume"],
)
def test_an_edit_is_one_sentence(change: Change, parts: dict[str, str], sentence: str) -> None:
    assert said(change, **parts) == sentence


def test_who_promotes_what_nobody_sees_is_told() -> None:
    route = config(v2="0").route("iris")

    assert remarks(Promote("iris", "v2"), route) == (
        "v2 gets no requests at this moment, so nothing is known of how it does now",
    )
    assert remarks(SetWeight("iris", "v2", 100), route) == ()


# Diffs.


def test_a_diff_is_lines_with_numbers_and_what_is_new_in_them() -> None:
    content = text()
    lines = difference.lines(
        diff(content, apply(content, SetWeight("iris", "v2", 1250)), "routing.yaml")
    )
    gone, come = (one for one in lines if one.side in (Side.REMOVED, Side.ADDED))

    assert (gone.number, come.number) == (6, 6)
    assert gone.changed is not None
    assert come.changed is not None
    assert gone.text[slice(*gone.changed)] == "5"
    assert come.text[slice(*come.changed)] == "12.5"
    assert (gone.spoken, come.spoken) == ("removed line 6: ", "added line 6: ")
    assert lines[0].side is Side.HUNK


def test_what_looks_like_the_head_of_a_diff_within_one_is_a_line() -> None:
    lines = difference.lines(diff(b"a\n-- x\n", b"a\n++ y\n", "routing.yaml"))

    assert [(one.side, one.text) for one in lines[2:]] == [
        (Side.REMOVED, "-- x"),
        (Side.ADDED, "++ y"),
    ]


def test_no_diff_is_no_line() -> None:
    assert difference.lines("") == ()


# Secrets.


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ('webhook: "https://chat.example/hook?token=top,}secret"', "secret"),
        ("- {webhook: https://chat.example/services/T0/secret, events: [error]}", "secret"),
        ("url: http://user:secret@host:80", "secret"),
        ("url: http://user:se/cret@host", "cret"),
        ("# was https://chat.example/secret", "secret"),
        ("HTTPS://chat.example#secret", "secret"),
    ],
)
def test_no_secret_part_of_an_address_is_shown_and_all_columns_stay(line: str, secret: str) -> None:
    shown = veiled(line)

    assert secret not in shown
    assert len(shown) == len(line)


def test_addresses_of_workers_are_shown() -> None:
    line = 'v2: {urls: ["http://127.0.0.1:8101", http://[::1]:80, "unix:/run/v.sock"], weight: 3}'

    assert veiled(line) == line


def test_a_diff_shows_no_secret() -> None:
    before = b'routes: 1\nnotify: [{webhook: "https://h/secret"}]\n'
    lines = difference.lines(diff(before, before.replace(b"1", b"2"), "routing.yaml"))

    assert not any("secret" in one.text for one in lines)


# The file in lines.


def test_a_problem_is_marked_at_its_line_and_column() -> None:
    content = text(v2="ten")
    with pytest.raises(ConfigError) as refused:
        parse(content)
    told = listing.remarks_of(refused.value.problems)
    rows = listing.rows(content, told)
    wrong = [row for row in rows if row.remarks]

    assert [row.number for row in wrong] == [6]
    assert [one.text for one in wrong[0].pieces if one.problem] == ["ten"]
    assert wrong[0].state == "wrong"


def test_lines_keep_every_character() -> None:
    content = b'# a "b" c\r\nkey: "va\'l: #ue"   # why\n- {x: 1.5%, y: [2, z]}\n\t\n'
    rows = listing.rows(content)

    assert ["".join(one.text for one in row.pieces) for row in rows] == [
        '# a "b" c',
        'key: "va\'l: #ue"   # why',
        "- {x: 1.5%, y: [2, z]}",
        "\t",
    ]


def test_a_problem_behind_the_last_line_stands_at_the_last() -> None:
    told = listing.remarks_of([Problem(9, 4, "", "something is missing")])

    assert [len(row.remarks) for row in listing.rows(b"a\nb", told)] == [0, 1]


def test_an_endless_line_is_cut() -> None:
    (row,) = listing.rows(b"#" * 10_000)

    assert row.cut
    assert len(row.pieces[0].text) == listing.LONGEST


# Forms.


def test_the_actor_is_the_console_and_who_says_so() -> None:
    assert forms.actor("") == "console"
    assert forms.actor(" Ada \n Lovelace ") == "console:Ada Lovelace"


def test_all_faults_of_a_form_are_told_at_once() -> None:
    form = {"weight": "ten", "reason": " \n ", "who": "x" * 65}
    found = forms.faults(form, reason_needed=True, weight_needed=True)

    assert [one.field for one in found] == ["weight", "reason", "who"]


def test_a_rollback_needs_no_reason() -> None:
    assert forms.faults({}, reason_needed=False, weight_needed=False) == []


# What is remembered.


def test_texts_are_forgotten_when_there_is_no_more_room() -> None:
    texts = Texts(room=10)
    first, second = texts.keep(b"a" * 6), texts.keep(b"b" * 4)
    texts.keep(b"a" * 6)
    third = texts.keep(b"c" * 4)

    assert texts.get(second) is None
    assert texts.get(first) == b"a" * 6
    assert texts.get(third) == b"c" * 4


def test_a_notice_is_found_by_its_key_only() -> None:
    notices = Notices()
    key = notices.leave(Notice("done"))

    assert notices.get(key) == Notice("done")
    assert notices.get("done") is None
    assert notices.get(None) is None


# The history.


def entry(number: int, **parts: object) -> Entry:
    usual: dict[str, object] = {
        "id": f"e{number}",
        "at": f"2026-02-03T04:05:{number % 60:02}.000Z",
        "by": "cli:alice",
        "action": "set-weight",
        "route": "iris",
        "version": "v2",
        "before": {"v1": 95.0, "v2": 5.0, "v3": 0.0},
        "after": {"v1": 90.0, "v2": 10.0, "v3": 0.0},
        "before_hash": f"a{number}",
        "after_hash": f"a{number + 1}",
    }
    return Entry(**usual | parts)  # type: ignore[arg-type]


VERDICT = {
    "row": "verdict",
    "id": "judged",
    "at": "2026-02-03T05:00:00.000Z",
    "route": "iris",
    "version": "v3",
    "verdict": "Failed",
    "action": "rollback",
    "sentence": "it fails more often",
    "alerts": ["predictions shifted"],
    "evidence": 130.5,
    "limit": 100,
    "weight": "5",
    "numbers": {"candidate": {"assigned": 10, "bad": 9}, "stable": None},
}


def test_the_newest_is_first_and_only_what_moved_is_told() -> None:
    newest, oldest = happenings([entry(1), VERDICT])

    assert (newest.kind, newest.by, newest.evidence) == (Kind.VERDICT, "controller", 130.5)
    assert [one.name for one in newest.counted] == ["candidate"]
    assert [one.version for one in oldest.moved] == ["v1", "v2"]
    assert [one.text for one in oldest.drawn] == ["v1: 95 %", "v1: 90 %", "v2: 5 %", "v2: 10 %"]


def test_a_page_shows_what_is_wanted() -> None:
    found = happenings([entry(1), entry(2, by="controller", route="wine"), VERDICT])

    assert [one.id for one in page(found, Wanted(route="wine"), 1).happenings] == ["e2"]
    assert [one.id for one in page(found, Wanted(by="controller"), 1).happenings] == [
        "judged",
        "e2",
    ]
    assert [one.id for one in page(found, Wanted(kind="verdict"), 1).happenings] == ["judged"]
    assert choices(found).routes == ("iris", "wine")


def test_an_edit_by_hand_may_have_been_of_any_route() -> None:
    hand = Entry("", "2026-02-03", "", BY_HAND, before_hash="a", after_hash="b")
    (found,) = happenings([hand])

    assert found.id == "a-b"
    assert page((found,), Wanted(route="iris"), 1).found == 1
    assert page((found,), Wanted(by="cli:alice"), 1).found == 0


def test_pages_end_where_the_history_does() -> None:
    found = happenings([entry(number) for number in range(PER_PAGE + 1)])

    assert len(page(found, Wanted(), 1).happenings) == PER_PAGE
    last = page(found, Wanted(), 99)
    assert (last.number, last.pages, [one.id for one in last.happenings]) == (2, 2, ["e0"])
    assert page((), Wanted(), 1).pages == 1


def test_a_change_that_was_not_made_says_so() -> None:
    (found,) = happenings([entry(1, status=Status.CONFLICT)])

    assert found.became == "conflict: nothing was changed"


# Explanations.


def test_a_user_of_a_route_is_told_version_bucket_and_what_would_change() -> None:
    found = answer(config(), "iris", "42", "", "")

    assert found.explanation.route == "iris"
    assert found.explanation.bucket == 31
    assert found.explanation.version == "v2"
    assert "At the next step of v2 (25 %) this user still gets v2." in found.outlook
    assert "v2 has this user from 0.32 % on." in found.outlook


def test_the_stretches_are_all_buckets_once() -> None:
    found = list(stretches(config(v3="10").route("iris")))

    assert [(one.version, one.first, one.last) for one in found] == [
        ("v2", 0, 499),
        ("v1", 500, 8999),
        ("v3", 9000, 9999),
    ]


def test_the_least_weight_of_a_bucket_is_where_it_changes_hands() -> None:
    route = config(v3="10").route("iris")

    assert least_weight(route, "v2", 499) == 500
    assert least_weight(route, "v2", 9500) is None  # v3's, whatever v2 gets
    assert least_weight(route, "v3", 9999) == 1


def test_a_request_is_what_the_route_takes() -> None:
    more = "  wine:\n    match: {path: /wine, host: wine.example, header: {X-Tenant: acme}}\n"
    more += "    stable: v1\n    versions: {v1: {url: http://d}}\n    sticky: {cookie: id}\n"
    before = (
        text().decode().replace("    stable: v1\n", "    match: {path: /iris}\n    stable: v1\n")
    )
    found = answer(parse((before + more).encode()), "wine", "ada", "", "Cookie: a=b")

    assert found.explanation.route == "wine"
    assert found.explanation.version == "v1"
    assert found.fields["cookie"] == "a=b; id=ada"


def test_a_header_decides_before_the_key() -> None:
    found = answer(
        config(more="    override: {header: X-Version}\n"), "iris", "1", "", "X-Version: v3"
    )

    assert (found.explanation.version, found.explanation.assignment) == ("v3", "forced")
    assert found.outlook == ()


@pytest.mark.parametrize(
    ("asked", "field"),
    [(("wine", "1", "", ""), "route"), (("iris", "1", "", "no header"), "headers")],
)
def test_what_is_no_request_is_told_at_its_field(
    asked: tuple[str, str, str, str], field: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        answer(config(), *asked)

    assert refused.value.field == field
