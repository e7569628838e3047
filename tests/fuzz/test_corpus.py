"""What the fuzzer began with and what it found, against the same oracles."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.oracles import ORACLES

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", ORACLES)
def test_every_input_that_is_kept_is_treated_as_promised(target: str) -> None:
    inputs = sorted((CORPUS / target).iterdir())

    assert len(inputs) >= 10
    for path in inputs:
        try:
            ORACLES[target](path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.relative_to(CORPUS)} breaks its promise") from error
