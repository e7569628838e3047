"""``python -m monitoring``: the same as the command ``canary``."""

from monitoring.cli import main

if __name__ == "__main__":
    main()
