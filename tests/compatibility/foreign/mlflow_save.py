"""``mlflow_save.py FOLDER stable|candidate``: the model as MLflow saves it."""

from __future__ import annotations

import sys

import mlflow.sklearn
from train import train

if __name__ == "__main__":
    mlflow.sklearn.save_model(train(sys.argv[2]), sys.argv[1], pip_requirements=["scikit-learn"])
