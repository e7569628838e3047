"""From a predictor to what explains it, and the explanations that are still known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from threading import Event, Lock, Thread

from ..contract.contract import Row
from ..predictors.predictor import Predictor
from ..predictors.rules import RulesPredictor
from .explanation import Explainable, Explanation, NotExplainable
from .rules import ExplainedRules

KEPT = 1024  # explanations of rows


class Explainer:
    """Explains rows, each once. ``why_not`` is a sentence if that cannot be done.

    What SHAP needs takes seconds to import: it is got ready in a thread of its own when the first
    explanation is asked for, however long whoever asked is willing to wait.
    """

    def __init__(self, predictor: Predictor, kept: int = KEPT) -> None:
        self._predictor = predictor
        self._kept: OrderedDict[Row, list[Explanation]] = OrderedDict()
        self._limit = kept
        self._lock = Lock()
        self._begun = False
        self._ready = Event()
        self._explainable: Explainable | None = None
        self._failed: Exception | None = None
        self.why_not = why_not(predictor)

    def explain(
        self, rows: Sequence[Row], patience_s: float | None = None
    ) -> tuple[list[list[Explanation]], bool] | None:
        """For each row an explanation for each output, and whether all were known already; None if
        it is not ready within ``patience_s``. Raises NotExplainable.
        """
        explainable = self._prepared(patience_s)
        if explainable is None:
            return None
        found, known = [], True
        for row in rows:
            explanation = self._known(row)
            if explanation is None:
                known = False
                explanation = explainable.explain(row)
                self._keep(row, explanation)
            found.append(explanation)
        return found, known

    def _prepared(self, patience_s: float | None) -> Explainable | None:
        if self.why_not:
            raise NotExplainable(self.why_not)
        with self._lock:
            first, self._begun = not self._begun, True
        if first:
            Thread(target=self._prepare, name="explanations", daemon=True).start()
        self._ready.wait(patience_s)
        if self._failed is not None:
            # Anew each time: an exception that is raised again grows by the frames of each.
            raise RuntimeError("what explains this predictor does not start") from self._failed
        return self._explainable

    def _prepare(self) -> None:
        try:
            self._explainable = explainable(self._predictor)
        except Exception as error:  # for whoever waits
            self._failed = error
        self._ready.set()

    def _known(self, row: Row) -> list[Explanation] | None:
        with self._lock:
            if row in self._kept:
                self._kept.move_to_end(row)
            return self._kept.get(row)

    def _keep(self, row: Row, explanation: list[Explanation]) -> None:
        with self._lock:
            self._kept[row] = explanation
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)


def why_not(predictor: Predictor) -> str:
    """A sentence if it cannot be explained; quickly, without what explaining needs."""
    if isinstance(predictor, Explainable | RulesPredictor):
        return ""
    kinds = {scorer.kind for scorer in getattr(predictor, "scorers", ())}
    name = predictor.contract.model
    if not kinds or not kinds <= {"linear", "words", "trees"}:
        what = " and ".join(sorted(kinds)) or type(predictor).__name__
        return (
            f"this predictor of {name} ({what}) cannot be explained; "
            "serve rules, a linear model or trees, or write an explain(row) for it"
        )
    if "trees" in kinds and find_spec("shap") is None:
        return "trees are explained by SHAP; install the extra: pip install 'canary-gateway[shap]'"
    return ""


def explainable(predictor: Predictor) -> Explainable:
    """What explains this predictor, of which there is no reason why not."""
    if isinstance(predictor, Explainable):
        return predictor
    if isinstance(predictor, RulesPredictor):
        return ExplainedRules(predictor)
    from ..predictors.trained import TrainedPredictor
    from .trained import ExplainedScorers

    assert isinstance(predictor, TrainedPredictor)
    return ExplainedScorers(predictor)
