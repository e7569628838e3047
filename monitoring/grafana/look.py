"""How things look: colours, marks, words for numbers. Stable is blue and a candidate orange, here
and in the console: the pair stays apart for who confuses red and green.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

STABLE: Final = "blue"
CANDIDATE: Final = "orange"


def fixed(colour: str) -> Json:
    """One colour."""
    return {"mode": "fixed", "fixedColor": colour}


def named(pattern: str, **properties: Any) -> Json:
    """Properties of the series whose name fits a pattern; ``__`` stands for the dot in a name."""
    return {
        "matcher": {"id": "byRegexp", "options": f"/{pattern}/"},
        "properties": [
            {"id": name.replace("__", "."), "value": value} for name, value in properties.items()
        ],
    }


BY_ROLE: Final = (
    named("^stable ", color=fixed(STABLE)),
    named("^candidate ", color=fixed(CANDIDATE)),
)
CONFIGURED: Final = named(
    " configured$",
    custom__lineStyle={"fill": "dash", "dash": [8, 8]},
    custom__lineInterpolation="stepAfter",
)
EFFECTIVE: Final = named(
    " effective$",
    custom__lineStyle={"fill": "dot", "dash": [0, 6]},
    custom__lineInterpolation="stepAfter",
)
LIMIT: Final = named(
    "limit$", color=fixed("red"), custom__lineStyle={"fill": "dash", "dash": [8, 8]}
)


def words(**texts: tuple[str, str]) -> list[Json]:
    """A word and a colour for each value, as ``_1=("in force", "green")``."""
    return [
        {
            "type": "value",
            "options": {
                value.removeprefix("_"): {"text": text, "color": colour, "index": index}
                for index, (value, (text, colour)) in enumerate(texts.items())
            },
        }
    ]


def steps(first: str, *more: tuple[float, str]) -> Json:
    """A colour for what is below, and others from some values on."""
    return {
        "mode": "absolute",
        "steps": [
            {"color": first, "value": None},
            *({"color": colour, "value": value} for value, colour in more),
        ],
    }
