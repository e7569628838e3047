"""The estimators that recipes are made of, each before it has seen data.

scikit-learn is imported when one is made: rules and dummies start a second sooner without it.
"""

from __future__ import annotations

from ..predictors.trained import Estimator


def regression(c: float) -> Estimator:
    """Logistic regression; the smaller ``c``, the more it is regularised."""
    from sklearn.linear_model import LogisticRegression

    # This solver needs no scaled features, and so no pipeline, which would double the time of a
    # single prediction.
    return LogisticRegression(C=c, solver="newton-cholesky", max_iter=500)  # type: ignore[no-any-return]


def tree(depth: int) -> Estimator:
    """A decision tree of so many levels."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=depth, random_state=0)  # type: ignore[no-any-return]


def linear_discriminants() -> Estimator:
    """Linear discriminant analysis."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis()  # type: ignore[no-any-return]


def quadratic_discriminants(shrunk: float) -> Estimator:
    """Quadratic discriminant analysis, its covariances shrunk by this share."""
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    return QuadraticDiscriminantAnalysis(reg_param=shrunk)  # type: ignore[no-any-return]
