"""What SageMaker's clients send to a container besides JSON: rows of CSV, without a header line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from ..contract.contract import Contract
from ..contract.feature import Number
from ..predictors.predictor import Answer

CSV: Final = "text/csv"


class BadRows(Exception):
    """The body is no CSV: status 400."""


def is_csv(media_type: str) -> bool:
    """Whether a Content-Type or an Accept asks for CSV alone, whatever its parameters."""
    return media_type.partition(";")[0].strip().lower() == CSV


def decode(body: bytes, contract: Contract) -> list[object]:
    """The instances, a list of values by position for each line; an empty field is a missing value,
    a field for a number that is none stays text. Raises :class:`BadRows`.
    """
    try:
        text = body.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRows(f"the body is no CSV in UTF-8: {error}") from None
    numeric = [isinstance(feature, Number) for feature in contract.features]
    return [_instance(line, numeric) for line in lines]


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


def _instance(line: list[str], numeric: list[bool]) -> list[object]:
    if len(line) != len(numeric):
        return list(line)  # its length is what the check complains about
    pairs = zip(line, numeric, strict=True)
    return [_value(field, is_number) for field, is_number in pairs]


def _value(field: str, is_number: bool) -> object:
    if not field.strip():
        return None
    if not is_number:
        return field
    try:
        return float(field)
    except ValueError:
        return field
