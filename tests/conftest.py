"""What all tests share: hypothesis searches the same way each time, and may take its time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "shared machine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("shared machine")
