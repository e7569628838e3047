"""What SageMaker's clients send to a container besides JSON: rows of CSV, without a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from ..contract import cell
from ..contract.contract import Contract
from ..predictors.predictor import Answer

CSV: Final = "text/csv"


class BadRows(Exception):
    """The body is no CSV: status 400."""


def is_csv(media_type: str) -> bool:
    """Whether a Content-Type or an Accept asks for CSV alone, whatever its parameters."""
    return media_type.partition(";")[0].strip().lower() == CSV


def decode(body: bytes, contract: Contract, limit: int) -> list[object]:
    """The instances, a list of values by position for each line; of more than ``limit`` lines only
    their number is right. Raises :class:`BadRows`.
    """
    try:
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
        lines = [line for line in csv.reader(text, strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRows(f"the body is no CSV in UTF-8: {error}") from None
    features = contract.features
    if len(lines) > limit:
        return list(lines)  # their number is what the check complains about
    return [
        list(map(cell.read, features, line)) if len(line) == len(features) else line
        for line in lines
    ]


def encode(answer: Answer) -> bytes:
    """A line for each row: for each output its prediction and, if it has one, the probability."""
    columns = list(_columns(answer))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def _columns(answer: Answer) -> Iterator[Sequence[str | float]]:
    for predictions, probabilities in zip(*answer, strict=True):
        yield predictions
        if probabilities is not None:
            yield probabilities
