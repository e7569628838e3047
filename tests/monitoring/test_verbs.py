"""What an operator's words mean: a file and a name in, a change or a refusal out."""

from __future__ import annotations

import pytest

from gateway.config import parse
from gateway.edit import AddVersion, Change, Promote, SetPaused, SetWeight, apply
from gateway.errors import EditRefused, UnknownName
from gateway.model import RoutingConfig
from monitoring import verbs

STEPS = "steps: [{weight: 1, pause: 10m}, {weight: 10, pause: forever}, {weight: 50, pause: 1h}]"


def file(rollout: str = "", v2: str = "0", v3: str | None = None) -> bytes:
    """A route with v1 (stable), v2 and, if it is given a weight, v3."""
    third = f"\n      v3: {{url: http://c, weight: {v3}}}" if v3 is not None else ""
    more = f"\n    rollout: {rollout}" if rollout else ""
    return (
        "routes:\n  iris:\n    stable: v1\n    versions:\n      v1: {url: http://a}\n"
        f"      v2: {{url: http://b, weight: {v2}}}{third}{more}\n"
    ).encode()


def config(rollout: str = "", v2: str = "0", v3: str | None = None) -> RoutingConfig:
    return parse(file(rollout, v2, v3))


def one(more: str = STEPS, candidate: str = "v2") -> str:
    """A rollout."""
    return f"{{candidate: {candidate}, {more}}}"


def both(first: str = STEPS, second: str = STEPS) -> str:
    """A rollout for each of two candidates."""
    return f"[{one(first)}, {one(second, 'v3')}]"


def test_a_start_gives_the_weight_of_the_first_step() -> None:
    assert verbs.start(config(one()), "iris", "v2") == SetWeight("iris", "v2", 100)


@pytest.mark.parametrize(
    "v3", [None, "0", "5"], ids=["alone", "beside another", "beside one at 5 %"]
)
def test_a_start_finds_the_one_rollout_by_itself(v3: str | None) -> None:
    assert verbs.start(config(one(), v3=v3), "iris") == SetWeight("iris", "v2", 100)


def test_the_rollout_of_the_stable_version_is_over_and_not_meant() -> None:
    over = f"[{one(candidate='v1')}, {one()}]"

    assert verbs.start(config(over, v3="0"), "iris") == SetWeight("iris", "v2", 100)


def test_a_rollout_stands_where_a_person_put_the_weight() -> None:
    for weight, change in (
        ("10", SetWeight("iris", "v2", 5000)),
        ("12.5", SetWeight("iris", "v2", 5000)),
        ("49.99", SetWeight("iris", "v2", 5000)),
    ):
        assert verbs.resume(config(one(), weight), "iris", "v2") == change


@pytest.mark.parametrize(
    ("verb", "text", "change"),
    [
        (verbs.pause, file(one(), "1"), SetPaused("iris", "v2", True)),
        (verbs.pause, file(one("on_failure: alert"), "1"), SetPaused("iris", "v2", True)),
        (verbs.pause, file(both(), "0", "5"), SetPaused("iris", "v3", True)),
        (verbs.pause, file(one(), "1", "5"), SetPaused("iris", "v2", True)),
        (verbs.resume, file(one(f"paused: true, {STEPS}"), "1"), SetPaused("iris", "v2", False)),
        (verbs.resume, file(one(f"paused: true, {STEPS}"), "10"), SetPaused("iris", "v2", False)),
        (verbs.resume, file(one(f"paused: true, {STEPS}"), "0"), SetPaused("iris", "v2", False)),
        (verbs.resume, file(one("paused: true"), "7"), SetPaused("iris", "v2", False)),
        (
            verbs.resume,
            file(both(STEPS, f"paused: true, {STEPS}"), "0", "5"),
            SetPaused("iris", "v3", False),
        ),
        (verbs.resume, file(both(), "10", "0"), SetWeight("iris", "v2", 5000)),
        (verbs.rollback, file(one(), "1"), SetWeight("iris", "v2", 0)),
        (verbs.rollback, file("", "0", "5"), SetWeight("iris", "v3", 0)),
        (verbs.promote, file("", "1"), Promote("iris", "v2")),
    ],
)
def test_without_a_name_the_one_that_can_be_meant_is(
    verb: verbs.Verb, text: bytes, change: Change
) -> None:
    named = verb(parse(text), "iris", change.version)

    assert verb(parse(text), "iris", None) == named == change
    apply(text, change)  # it can be made


@pytest.mark.parametrize(
    ("verb", "text", "sentence"),
    [
        (
            verbs.start,
            file(one(), "10"),
            "v2 has 10 % already; use resume, set-weight or rollback",
        ),
        (
            verbs.start,
            file(one(f"paused: true, {STEPS}"), "0.5"),
            "v2 has 0.5 % already; use resume, set-weight or rollback",
        ),
        (
            verbs.start,
            file(),
            "v2 has no rollout with steps; give it a weight: canary set-weight iris v2 PERCENT",
        ),
        (
            verbs.start,
            file(one("on_failure: alert")),
            "v2 has no rollout with steps; give it a weight: canary set-weight iris v2 PERCENT",
        ),
        (
            verbs.start,
            file(one(f"paused: true, {STEPS}")),
            "the rollout of v2 is paused; let it go on first: canary resume iris v2",
        ),
        (
            verbs.pause,
            file("", "10"),
            "v2 has no rollout that could be paused: only people change its weight",
        ),
        (
            verbs.pause,
            file(one(), "0"),
            "v2 has no weight, so there is nothing to pause: it gets one by a person only",
        ),
        (verbs.resume, file("", "10"), "nothing is paused: v2 has no rollout with steps"),
        (
            verbs.resume,
            file(one("on_failure: alert"), "10"),
            "nothing is paused: v2 has no rollout with steps",
        ),
        (
            verbs.resume,
            file(one()),
            "nothing is paused: v2 has no weight yet; canary start iris v2",
        ),
        (
            verbs.resume,
            file(one(), "0.5"),
            "nothing is paused: v2 has taken 0 of 3 steps and waits for no person",
        ),
        (
            verbs.resume,
            file(one(), "9.99"),
            "nothing is paused: v2 has taken 1 of 3 steps and waits for no person",
        ),
        (
            verbs.resume,
            file(one(), "50"),
            "nothing is paused: v2 has taken 3 of 3 steps and waits for no person",
        ),
        (
            verbs.resume,
            file(one("steps: [{weight: 5, pause: forever}]"), "20"),
            "this was the last step of v2; canary promote iris v2 or canary rollback iris v2",
        ),
    ],
)
def test_a_word_that_means_nothing_as_things_stand_is_refused_with_what_to_do(
    verb: verbs.Verb, text: bytes, sentence: str
) -> None:
    for name in ("v2", None):
        with pytest.raises(EditRefused) as refusal:
            verb(parse(text), "iris", name)
        assert str(refusal.value) == sentence


@pytest.mark.parametrize("verb", [verbs.start, verbs.pause, verbs.resume])
def test_several_that_could_be_meant_are_named(verb: verbs.Verb) -> None:
    with pytest.raises(EditRefused) as refusal:
        verb(config(both(), "10", "10"), "iris", None)

    assert str(refusal.value) == (
        "name the version: candidates of iris with a weight: v2, v3; with a rollout: v2, v3; "
        "all: v2, v3"
    )


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (verbs.promote, "with a weight: none; with a rollout: v2; all: v2"),
        (
            verbs.rollback,
            "^no candidate of iris has a weight that could be taken; v1 is the stable version of "
            "iris, and the history knows no promotion that made it so",
        ),
    ],
)
def test_nothing_is_rolled_back_or_promoted_by_a_guess(verb: verbs.Verb, said: str) -> None:
    with pytest.raises(EditRefused, match=said):
        verb(config(one()), "iris", None)


@pytest.mark.parametrize("verb", [verbs.start, verbs.pause, verbs.resume, verbs.promote])
def test_where_there_is_only_stable_the_way_to_a_candidate_is_named(verb: verbs.Verb) -> None:
    alone = parse(b"routes: {iris: {stable: v1, versions: {v1: {url: http://a}}}}")

    with pytest.raises(EditRefused) as refusal:
        verb(alone, "iris", None)

    assert str(refusal.value) == (
        "iris has no version but the stable one: canary add-version iris VERSION --url URL"
    )


@pytest.mark.parametrize("verb", [verbs.start, verbs.pause, verbs.resume])
def test_names_are_those_of_the_file_and_a_candidates(verb: verbs.Verb) -> None:
    with pytest.raises(UnknownName, match="no route 'irs'; did you mean 'iris'"):
        verb(config(one()), "irs", None)
    with pytest.raises(UnknownName, match="no version 'v9'"):
        verb(config(one()), "iris", "v9")
    with pytest.raises(EditRefused, match="v1 is the stable version of iris; name a candidate"):
        verb(config(one(candidate="v1")), "iris", "v1")


# Whose rollout a new version takes over.

URLS = ["http://d"]


@pytest.mark.parametrize(
    ("text", "of", "taken"),
    [
        (file(one()), None, "v2"),
        (file(one(candidate="v1"), "10"), None, "v1"),
        (file(), None, ""),
        (file(both(), "5", "0"), None, "v3"),
        (file(both(), "0", "0"), "v3", "v3"),
        (file(both(f"paused: true, {STEPS}"), "5", "0"), None, "v3"),
    ],
)
def test_a_new_version_takes_over_the_one_rollout_that_is_free(
    text: bytes, of: str | None, taken: str
) -> None:
    change = verbs.add_version(parse(text), "iris", "v9", URLS, rollout_of=of)

    assert change == AddVersion("iris", "v9", ("http://d",), "", taken)
    apply(text, change)  # it can be made
    alone = verbs.add_version(parse(text), "iris", "v9", URLS, rollout=False)
    assert alone == AddVersion("iris", "v9", ("http://d",))


def test_a_version_that_is_there_takes_nothing_over() -> None:
    """Whoever runs last week's job again must not give this week's rollout away."""
    found = verbs.add_version(config(one(), v3="0"), "iris", "v3", ["http://c"])

    assert found == AddVersion("iris", "v3", ("http://c",))


def test_a_version_that_is_there_takes_a_rollout_over_where_that_is_said_and_only_once() -> None:
    free, done = (config(one(candidate=name), v3="0") for name in ("v2", "v3"))

    for text, taken in ((free, "v2"), (done, "")):
        found = verbs.add_version(text, "iris", "v3", ["http://c"], rollout_of="v2")
        assert found == AddVersion("iris", "v3", ("http://c",), "", taken)


@pytest.mark.parametrize(
    ("version", "text", "sentence"),
    [
        ("v1", file(one()), "v1 is the stable version of iris, it needs no rollout; leave"),
        ("v3", file(one(), "5", "0"), "the rollout of v2 is under way at 5 %: canary rollback"),
        ("v3", file(both(), "0", "0"), "v3 has a rollout of its own, so it cannot take over that"),
    ],
)
def test_a_rollout_that_no_version_can_take_over_is_refused_and_not_passed_over(
    version: str, text: bytes, sentence: str
) -> None:
    with pytest.raises(EditRefused) as refusal:
        verbs.add_version(parse(text), "iris", version, ["http://c"], rollout_of="v2")

    assert str(refusal.value).startswith(sentence)


def test_a_start_without_a_rollout_names_the_command_that_gives_one() -> None:
    with pytest.raises(EditRefused) as refusal:
        verbs.start(config(one(), v3="0"), "iris", "v3")

    assert str(refusal.value) == (
        "v3 has no rollout with steps; give it a weight: canary set-weight iris v3 PERCENT, or the "
        "rollout of v2: canary add-version iris v3 --url http://c:80 --rollout-of v2"
    )


OTHERWISE = "or only add v9: canary add-version iris v9 --no-rollout ..."


@pytest.mark.parametrize(
    ("text", "of", "sentence"),
    [
        (
            file(one(), "5"),
            None,
            "the rollout of v2 is under way at 5 %: canary rollback iris v2 or canary promote iris "
            f"v2 first, {OTHERWISE}",
        ),
        (
            file(one(f"paused: true, {STEPS}")),
            "v2",
            f"the rollout of v2 is paused: canary resume iris v2 first, {OTHERWISE}",
        ),
        (
            file(one(f"paused: true, {STEPS}", "v1")),
            None,
            f"the rollout of v1 is paused: take `paused` away first, {OTHERWISE}",
        ),
        (
            file(both(), "0", "0"),
            None,
            f"say whose rollout v9 takes over: --rollout-of v2 or v3; {OTHERWISE}",
        ),
        (file(one()), "v3", "routes.iris.rollout: v3 has no rollout; those with one: v2"),
    ],
)
def test_a_rollout_that_is_not_free_is_not_taken_over(
    text: bytes, of: str | None, sentence: str
) -> None:
    with pytest.raises(EditRefused) as refusal:
        verbs.add_version(parse(text), "iris", "v9", URLS, rollout_of=of)
    assert str(refusal.value) == sentence
