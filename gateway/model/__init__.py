"""The nouns of ``routing.yaml`` as frozen values. Whoever holds one need not check it: ``config``
did.

Units: weights are basis points (int, 0 to 10,000, one is 0.01 %), durations are seconds (float),
sizes are bytes (int), shares named ``*_points`` are basis points too. Mappings are tuples in the
order of the file, so every value is hashable and comparable by content.
"""

from gateway.model.outlet import (
    Event,
    PredictionLog,
    Rotation,
    Webhook,
)
from gateway.model.rollout import (
    Analysis,
    OnFailure,
    OnSuccess,
    Rollout,
    ShiftAction,
    Step,
)
from gateway.model.route import (
    Limits,
    Match,
    Mirror,
    Prediction,
    Route,
    RoutingConfig,
    Sticky,
    StickyKind,
    generation_of,
)
from gateway.model.version import (
    FULL_WEIGHT,
    Assignment,
    Endpoint,
    Role,
    Tls,
    Version,
    in_place_of,
)

__all__ = [
    "FULL_WEIGHT",
    "Analysis",
    "Assignment",
    "Endpoint",
    "Event",
    "Limits",
    "Match",
    "Mirror",
    "OnFailure",
    "OnSuccess",
    "Prediction",
    "PredictionLog",
    "Role",
    "Rollout",
    "Rotation",
    "Route",
    "RoutingConfig",
    "ShiftAction",
    "Step",
    "Sticky",
    "StickyKind",
    "Tls",
    "Version",
    "Webhook",
    "generation_of",
    "in_place_of",
]
