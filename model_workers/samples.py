"""Print the labelled rows a model knows: ``python -m model_workers.samples --model iris``.

One JSON object, for load generators and tests that want real data without scikit-learn:
``rows`` of feature values, and ``labels`` with the right label of each row.
"""

from __future__ import annotations

import argparse
import json
import sys

from .models import MODELS, data


def main() -> int:
    """Write the rows of one model to standard output."""
    parser = argparse.ArgumentParser(prog="python -m model_workers.samples", description=__doc__)
    parser.add_argument("--model", choices=MODELS, required=True)
    found = data(parser.parse_args().model)
    labels = [found.labels[index] for index in found.classes]
    json.dump({"rows": found.rows.tolist(), "labels": labels}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
