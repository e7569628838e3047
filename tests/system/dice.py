"""``python -m tests.system.dice SEED SKIP FILE ...``: ``canary serve --no-controller`` in one
process, whose draws are those of a seed without the first ``SKIP``. Nothing else asks for chance.
"""

from __future__ import annotations

import random
import sys

from gateway.__main__ import main

if __name__ == "__main__":
    seed, skip, *rest = sys.argv[1:]
    random.seed(int(seed))
    for _ in range(int(skip)):
        random.random()
    sys.exit(main([word for word in rest if word not in ("--no-controller", "--no-console")]))
