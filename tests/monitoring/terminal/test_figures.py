"""Numbers and bars as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.terminal import figures
from monitoring.terminal.figures import ASCII, UNICODE, Glyphs
from monitoring.terminal.view import Percentile

either = st.sampled_from([UNICODE, ASCII])


@given(st.floats(0, 1), st.integers(2, 40), either, st.booleans())
def test_a_bar_has_its_width_and_only_nothing_looks_like_nothing(
    share: float, width: int, glyphs: Glyphs, stable: bool
) -> None:
    full = glyphs.stable_bar if stable else glyphs.candidate_bar
    drawn = figures.bar(share, width, full, glyphs)

    assert len(drawn) == width
    assert (drawn == glyphs.empty * width) is (share == 0)
    assert share == 1 or drawn != full * width


@given(st.lists(st.none() | st.floats(0, 100), max_size=40), st.integers(1, 20), either)
def test_a_sparkline_has_its_width_whatever_there_is(
    values: list[float | None], width: int, glyphs: Glyphs
) -> None:
    assert len(figures.sparkline(values, width, glyphs)) == width


def test_the_largest_value_is_the_highest_and_a_gap_is_none() -> None:
    assert figures.sparkline([1.0, None, 0.0, 2.0], 5, UNICODE) == " ▅ ▁█"


def test_evidence_is_full_at_the_limit_and_half_way_at_its_root() -> None:
    assert [figures.weight_of_evidence(one, 100.0) for one in (0.3, 1, 10, 100, 1e9)] == [
        *(0.0, 0.0, 0.5, 1.0, 1.0)
    ]


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "no such thing"])
def test_a_terminal_that_cannot_show_blocks_gets_plain_characters(encoding: str) -> None:
    assert figures.glyphs_for(encoding) is ASCII
    assert figures.glyphs_for("utf-8") is UNICODE


def test_what_is_not_nothing_is_not_written_as_nothing() -> None:
    assert figures.percent(0.001) == "<0.01 %"
    assert figures.percent(0.0) == "0.00 %"
    assert figures.rate(0.01) == "<0.1/s"
    assert figures.rate(0.0) == "0/s"
    assert figures.rate(12345.6) == "12,346/s"
    assert figures.percent(None) == figures.rate(None) == figures.seconds(None) == "-"
    assert figures.seconds(Percentile(0.9999)) == "1 s"
    assert figures.seconds(Percentile(0.0046)) == "4.6 ms"
