"""One decision tree or many, walked node by node."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .preparation import Matrix
from .scorer import Floats, softmax

LEAF = -1  # in ``columns``: nothing is asked here


class Trees:
    """Trees that each add to the answer what the leaf holds that a row falls into.

    The nodes of all trees stand in one list: a row goes ``left`` if its value in the node's column,
    as a 32-bit float, is at most the node's threshold. ``roots`` are where the trees begin. The sum
    of ``start`` and the leaves' ``values`` [node, answer] becomes probabilities if ``soft``; else
    it is divided by ``shared``, the number of trees whose mean it is. ``background`` [row, column]
    are some of the rows that they learned from, which explanations measure against.
    """

    kind: ClassVar[str] = "trees"

    def __init__(
        self,
        *,
        width: int,
        columns: NDArray[np.int64],
        thresholds: Floats,
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        values: Floats,
        roots: NDArray[np.int64],
        start: Floats,
        shared: int,
        soft: bool,
        background: NDArray[np.float32],
    ) -> None:
        self._parts = {
            "width": width,
            "columns": columns,
            "thresholds": thresholds,
            "left": left,
            "right": right,
            "values": values,
            "roots": roots,
            "start": start,
            "shared": shared,
            "soft": soft,
            "background": background,
        }
        _check(width, columns, left, right, roots)
        if not len(columns) == len(thresholds) == len(values) or values.shape[1:] != start.shape:
            raise ValueError("the nodes of a tree have arrays of different lengths")
        if background.ndim != 2 or not len(background) or background.shape[1] != width:
            raise ValueError("the background has no rows, or other columns than the trees")
        self.width = width
        self.answers = len(start)
        # Plain lists: to look a number up in an array takes several times as long.
        self._nodes = list(
            zip(
                columns.tolist(),
                thresholds.tolist(),
                left.tolist(),
                right.tolist(),
                values.tolist(),
                strict=True,
            )
        )
        self._roots: list[int] = roots.tolist()
        self._start: list[float] = start.tolist()
        self._shared = shared
        self._soft = soft

    def score(self, matrix: Matrix) -> list[list[float]]:
        return [self.one(row) for row in matrix.astype(np.float32).tolist()]

    def one(self, row: list[float]) -> list[float]:
        """The answer to one row, whose values fit 32-bit floats."""
        nodes = self._nodes
        total = self._start
        for root in self._roots:
            column, threshold, left, right, values = nodes[root]
            while column >= 0:
                column, threshold, left, right, values = nodes[
                    left if row[column] <= threshold else right
                ]
            total = [a + b for a, b in zip(total, values, strict=True)]
        return softmax(total) if self._soft else [one / self._shared for one in total]

    def parts(self) -> dict[str, Any]:
        return self._parts


def _check(
    width: int,
    columns: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    roots: NDArray[np.int64],
) -> None:
    """Every walk ends: children stand after their parents, and nothing points outside."""
    asks = columns != LEAF
    here = np.arange(len(columns))[asks]
    ends = len(columns)
    for children in (left[asks], right[asks]):
        if not ((children > here) & (children < ends)).all():
            raise ValueError("a child stands before its parent, or nowhere")
    if not ((columns[asks] >= 0) & (columns[asks] < width)).all():
        raise ValueError("a node asks for a column that is not there")
    if not ((roots >= 0) & (roots < ends)).all():
        raise ValueError("a tree begins nowhere")
