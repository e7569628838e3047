"""``python -m model_workers`` is the command ``model-worker``."""

from .cli import main

if __name__ == "__main__":
    main()
