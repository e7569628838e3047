"""``model-worker explain``."""


def command() -> None:
    """Explain."""
