"""``train.py FILE stable|candidate``: a tiny iris model with the scikit-learn of this environment.

Both get the classes 0, 1 and 2, and agree on the flowers that the callers ask about.
"""

from __future__ import annotations

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB


def train(role: str):
    x, y = load_iris(return_X_y=True)
    if role == "stable":
        return LogisticRegression(max_iter=1000).fit(x, y)
    return GaussianNB().fit(x, y)


if __name__ == "__main__":
    joblib.dump(train(sys.argv[2]), sys.argv[1])
