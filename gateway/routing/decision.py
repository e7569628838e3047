"""Where a request goes and why, with all that can be worked out before it comes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import protocols
from gateway.model import Assignment, Role, Route, in_place_of


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Where a request goes and why. Made once per table, shared by all requests it applies to.

    ``index`` numbers the version within the whole table; ``headers`` are the response headers that
    say who answered; ``fallback`` is the decision that takes over when this version gives no good
    answer; ``way`` is what an answer is counted under (see :func:`~gateway.model.in_place_of`);
    ``container``: the worker may be one of SageMaker's (see ``protocols.in_container``).
    """

    route: Route
    version: str
    role: Role
    assignment: Assignment
    index: int
    headers: bytes
    fallback: Decision | None = None
    # Only draws are evidence: never an override, never an answer given in another's place, never a
    # user's second request, nor what fell into a bucket that is spent (see ``run``).
    counts_as_evidence: bool = False
    way: str = ""
    container: bool = False

    def __repr__(self) -> str:
        return f"<Decision {self.route.name} -> {self.version} ({self.assignment})>"


def decision_of(
    route: Route,
    version: str,
    assignment: Assignment,
    index: int,
    fallback: Decision | None,
    drawn: bool = False,
    way: str = "",
) -> Decision:
    role = Role.STABLE if version == route.stable else Role.CANDIDATE
    headers = (
        f"X-Model-Version: {version}\r\n"
        f"X-Model-Route: {route.name}\r\n"
        f"X-Assignment: {assignment}\r\n"
    )
    container = route.protocol is protocols.Protocol.SAGEMAKER
    if container:
        headers += f"{protocols.INVOKED_VARIANT}: {version}\r\n"
    told, way = headers.encode(), way or assignment
    return Decision(route, version, role, assignment, index, told, fallback, drawn, way, container)


def ways_to(route: Route, role: Role) -> list[str]:
    """The ways a request can come to a version in this role."""
    ways: list[str] = [Assignment.WEIGHTED]
    if route.sticky:
        ways.append(Assignment.STICKY)
    if route.override or route.protocol in protocols.NAMING:
        ways.append(Assignment.FORCED)
    if role is Role.STABLE and route.fallback:
        ways += [in_place_of(version.name) for version in route.candidates]
    return ways
