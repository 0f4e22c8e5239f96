"""How a demo is put on this machine: which fleets, which processes stand for their units, how long each part takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from holdfast.limits.search import Options
from holdfast.load.recipes import Recipe
from holdfast.local.envoy_config import READINESS_PATH
from holdfast.model.fleet import InferenceFleet, RoutingPolicy


@dataclass(frozen=True)
class DemoFleet:
    """A fleet of the demo; `fails_over` marks the one that is run through the wave."""

    fleet: InferenceFleet
    fails_over: bool


@dataclass(frozen=True)
class Course:
    """The wave, in seconds of the wall clock from its start: when the cheapest pool goes, and when it may come back."""

    duration_s: float
    withdraw_s: float
    restore_s: float


@dataclass(frozen=True)
class Staging:
    """What the demo runs, and how.

    command:      of one replica of a unit; see `local.replica.Replica`.
    options:      of the search for a unit's breaking point, in the units' own time.
    provenance:   sentences: what is real, what is not, whose figures they are.
    course:       of the wave.
    start_s:      wall seconds from the start of a replica to its readiness, at most.
    time_scale:   the units' time runs this much faster than the clock on the wall.
    readiness:    the path that a replica answers with 200 while it takes requests.
    side_by_side: whether units are measured at once; servers that need the processor are measured in turn.
    recipe:       of the prompts.
    """

    fleets: tuple[DemoFleet, ...]
    command: Callable[[str], Sequence[str]]
    options: Callable[[InferenceFleet], Options]
    provenance: tuple[str, ...]
    course: Course
    start_s: float
    time_scale: float = 1.0
    readiness: str = READINESS_PATH
    side_by_side: bool = True
    recipe: Recipe = field(default_factory=Recipe)

    @property
    def searching(self) -> str:
        """What is said before the searches."""
        how = "all units side by side" if self.side_by_side else "one unit after the other"
        return f"Finding each unit's breaking point, {how}:"

    def on_the_wall(self, routing: RoutingPolicy) -> RoutingPolicy:
        """The routing policy with its times as seconds of the wall clock."""
        ramp = routing.ramp.model_copy(update={"every_s": routing.ramp.every_s / self.time_scale})
        return routing.model_copy(update={"dwell_s": routing.dwell_s / self.time_scale, "ramp": ramp})
