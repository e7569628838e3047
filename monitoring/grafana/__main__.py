"""``python -m monitoring.grafana [FOLDER]``: write the dashboards as JSON, as `make dashboards`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from monitoring.grafana.health import health
from monitoring.grafana.look import Json
from monitoring.grafana.rollout import rollout
from monitoring.grafana.route import route

FOLDER: Final = Path(__file__).parent / "dashboards"


def dashboards() -> dict[str, Json]:
    """Every dashboard by the name of its file."""
    return {"rollout.json": rollout(), "gateway.json": health(), "route.json": route()}


def text_of(dashboard: Json) -> str:
    """The text of a file."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path = FOLDER) -> None:
    """Write all files."""
    for name, dashboard in dashboards().items():
        (folder / name).write_text(text_of(dashboard))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
