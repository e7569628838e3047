"""The estimators that recipes are made of, each before it has seen data.

The library is imported when one is made: what answers without learning starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..predictors.preparation import Matrix


class Estimator(Protocol):
    """The part of scikit-learn's estimators used here; scikit-learn itself ships no types."""

    def fit(self, rows: Matrix, answers: Any) -> Estimator: ...
    def get_params(self) -> dict[str, Any]: ...


class MissingExtra(Exception):
    """A recipe needs a library that is not installed; the message says how to install it."""


def regression(c: float) -> Estimator:
    """Logistic regression; the smaller ``c``, the more it is regularised."""
    from sklearn.linear_model import LogisticRegression

    # This solver needs no scaled features.
    return LogisticRegression(C=c, solver="newton-cholesky", max_iter=500)  # type: ignore[no-any-return]


def linear_discriminants() -> Estimator:
    """Linear discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis()  # type: ignore[no-any-return]


def quadratic_discriminants(shrunk: float) -> Estimator:
    """Quadratic discriminant analysis, its covariances shrunk by this share."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    return QuadraticDiscriminantAnalysis(reg_param=shrunk)  # type: ignore[no-any-return]


def ridge(alpha: float) -> Estimator:
    """A linear regression whose weights are kept small, the more so the larger ``alpha``."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=alpha)  # type: ignore[no-any-return]


def tree(depth: int) -> Estimator:
    """A decision tree of so many levels."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=depth, random_state=0)  # type: ignore[no-any-return]


def forest(trees: int, depth: int) -> Estimator:
    """A random forest."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_depth=depth, random_state=0)  # type: ignore[no-any-return]


def boosting(rounds: int, depth: int) -> Estimator:
    """Gradient boosting: a tree for each label in each round, fitted to what is still wrong."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(  # type: ignore[no-any-return]
        n_estimators=rounds, max_depth=depth, random_state=0
    )


def xgboost(rounds: int, depth: int) -> Estimator:
    """The same as XGBoost does it. Raises :class:`MissingExtra` where that is not installed."""
    try:
        from xgboost import XGBClassifier
    except ImportError:
        raise MissingExtra(
            "XGBoost is not installed; install the extra: pip install 'canary-gateway[xgboost]'"
        ) from None
    return XGBClassifier(n_estimators=rounds, max_depth=depth, n_jobs=1, random_state=0)


def bag_of_words(c: float, most: int | None = None) -> Estimator:
    """Words and pairs of words, at ``most`` so many of the most frequent, weighed by how rare they
    are; logistic regression on these and the numbers beside the text.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    from ..predictors.words import terms

    words = TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=3, max_features=most)
    numbers = FunctionTransformer(_as_numbers)
    columns = ColumnTransformer([("words", words, 0), ("numbers", numbers, slice(1, None))])
    return Pipeline(  # type: ignore[no-any-return]
        [("columns", columns), ("regression", LogisticRegression(C=c, solver="newton-cg"))]
    )


def _as_numbers(columns: Matrix) -> Matrix:
    return columns.astype(float)
