"""Which rows are held out, whatever snapshot they come in."""

import random
from collections import Counter
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_workers.contract.fingerprint import fingerprint
from model_workers.models.catalogue import data, model_of
from model_workers.registry.rows import (
    Labelled,
    canonical,
    counted,
    distinct,
    is_held_out,
    place_of,
    repeated,
)
from model_workers.registry.snapshot import BadSnapshot, pack, unpack

IRIS = model_of("iris").contract
LABELS = IRIS.outputs[0].labels
lengths = st.floats(0, 30, allow_nan=False)
flowers = st.tuples(lengths, lengths, lengths, lengths)
labelled = st.builds(Labelled, flowers, st.tuples(st.sampled_from(LABELS)))


def bundled(model: str) -> list[Labelled]:
    found = data(model)
    return [
        Labelled(row, answers)
        for row, answers in zip(found.rows, zip(*found.answers, strict=True), strict=True)
    ]


@given(flowers, st.floats(0, 1), st.floats(0, 1))
def test_who_holds_out_less_holds_out_a_part_of_the_same_rows(row, one, other):
    small, large = sorted((one, other))
    assert is_held_out("iris", row, small) <= is_held_out("iris", row, large)


@settings(max_examples=30)
@given(st.lists(labelled, min_size=1, max_size=20), st.lists(labelled, max_size=20), st.randoms())
def test_a_row_is_on_the_same_side_in_every_snapshot(rows, more, rng):
    first = unpack(IRIS, pack(IRIS, rows, 0.3, "given"), "first")
    later = [*rows, *more]
    rng.shuffle(later)
    second = unpack(IRIS, pack(IRIS, later, 0.3, "given"), "second")
    learned = {one.row for one in second.side(held_out=False)}
    held_out = {one.row for one in second.side(held_out=True)}
    assert not learned & held_out
    assert {one.row for one in first.side(held_out=True)} <= held_out
    assert {one.row for one in first.side(held_out=False)} <= learned
    assert second.side(held_out=True) + second.side(held_out=False) == counted(later)


@settings(max_examples=30)
@given(st.lists(labelled, min_size=1, max_size=20), st.randoms())
def test_the_same_rows_in_any_order_are_the_same_snapshot(rows, rng):
    packed = pack(IRIS, rows, 0.3, "given")
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert pack(IRIS, shuffled, 0.3, "given") == packed
    assert unpack(IRIS, packed, "it").counts == counted(rows)


def test_places_are_published_so_that_no_release_moves_a_row():
    written = sha256(b'["iris",5.1,3.5,1.4,0.2]').digest()
    assert place_of("iris", (5.1, 3.5, 1.4, 0.2)) == int.from_bytes(written[:8]) / 2**64
    assert place_of("iris", (5.1, 3.5, 1.4, 0.2)) == pytest.approx(0.556375, abs=1e-6)
    assert place_of("iris", (0.0, 0.0, 0.0, 0.0)) == place_of("iris", (-0.0, 0.0, 0.0, 0.0))


def test_about_the_share_that_was_asked_for_is_held_out():
    rng = random.Random(1)
    rows = [tuple(rng.uniform(0, 30) for _ in range(4)) for _ in range(4000)]
    held_out = sum(is_held_out("iris", row, 0.3) for row in rows)
    assert abs(held_out - 1200) < 4 * (4000 * 0.3 * 0.7) ** 0.5


def test_copies_count_when_learning_and_once_when_judging():
    flower = (5.0, 3.0, 1.0, 0.2)
    counts = Counter(
        {
            Labelled(flower, ("setosa",)): 2,
            Labelled(flower, ("virginica",)): 3,
            Labelled((6.0, 3.0, 4.0, 1.2), ("versicolor",)): 1,
        }
    )
    once = distinct(IRIS, counts)
    assert dict(zip(once.rows, once.answers[0], strict=True)) == {
        flower: "virginica",
        (6.0, 3.0, 4.0, 1.2): "versicolor",
    }
    assert Counter(repeated(IRIS, counts).answers[0]) == {
        "setosa": 2,
        "virginica": 3,
        "versicolor": 1,
    }


def test_right_numbers_of_copies_are_their_mean():
    contract = model_of("diabetes").contract
    row = data("diabetes").rows[0]
    counts = Counter({Labelled(row, (100.0,)): 3, Labelled(row, (200.0,)): 1})
    assert distinct(contract, counts).answers == ((125.0,),)


@pytest.mark.parametrize("model", ["iris", "diabetes", "tickets"])
def test_what_is_bundled_survives_a_snapshot(model):
    contract = model_of(model).contract
    rows = bundled(model)
    found = unpack(contract, pack(contract, rows, 0.3, "given"), "it")
    assert found.counts == Counter(Labelled(canonical(one.row), one.answers) for one in rows)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no snapshot"),
        (b"[1]\n", "is no snapshot"),
        (pack(IRIS, [], 0.3, "given") + b'{"row": [99.0, 1, 1, 1], "answers": ["setosa"]}\n', "99"),
        (pack(IRIS, [], 0.3, "given") + b'{"row": [9.0, 1, 1, 1], "answers": ["rose"]}\n', "rose"),
        (pack(IRIS, [], 0.3, "given") + b'{"row": [9.0, 1, 1, 1], "answers": []}\n', "0 right"),
        (pack(model_of("diabetes").contract, [], 0.3, "given"), "of another model"),
    ],
    ids=["empty", "no head", "a row out of range", "an unknown label", "no label", "other model"],
)
def test_what_is_no_snapshot_of_this_contract_is_refused(content, words):
    with pytest.raises(BadSnapshot, match=words):
        unpack(IRIS, content, "it")


def test_a_contract_is_the_same_until_something_but_its_descriptions_changes():
    reworded = replace(IRIS, description="Flowers.")
    assert fingerprint(replace(IRIS, model="other")) != fingerprint(IRIS)
    longer = replace(IRIS, features=(replace(IRIS.features[0], high=31.0), *IRIS.features[1:]))
    inches = replace(IRIS, features=(replace(IRIS.features[0], unit="in"), *IRIS.features[1:]))
    prints = [fingerprint(one) for one in (IRIS, reworded, longer, inches)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
