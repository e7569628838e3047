"""The data sets that come with scikit-learn, as rows of a contract."""

from __future__ import annotations

from typing import Any

from ..contract.contract import Classes, Contract
from .model import Data


def labelled(found: Any, contract: Contract) -> Data:
    """What a ``load_...`` of scikit-learn gave, for a contract whose one output are its classes."""
    (output,) = contract.outputs
    assert isinstance(output, Classes)
    rows = tuple(tuple(map(float, row)) for row in found.data.tolist())
    return Data(rows, (tuple(output.labels[index] for index in found.target.tolist()),))
