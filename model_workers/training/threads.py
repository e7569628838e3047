"""Learning on one thread: sums over several are added in another order where there are other cores,
and the last bits of what is learned, so the bytes of the artefact, would depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_thread() -> Iterator[None]:
    """Whatever scikit-learn computes meanwhile, it computes on one thread."""
    # Only libraries that are loaded already are limited: scipy's BLAS and scikit-learn's OpenMP
    # come with this import, and would come later, each with as many threads as there are cores.
    import sklearn.model_selection  # noqa: F401

    with threadpool_limits(limits=1):
        yield
