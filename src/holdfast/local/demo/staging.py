"""How a demo is put on this machine: which fleets, which processes stand for their units, how long each part takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast.limits.search import Options
from holdfast.load.recipes import Recipe
from holdfast.local.envoy_config import READINESS_PATH
from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import Demand, InferenceFleet, RoutingPolicy, format_slo
from holdfast.model.stages import LoadCurve


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
    drain_s:      how long a unit that broke is given to be as quick as at first, in its own time.
    recipe:       of the prompts.
    peak_share:   the demand is scaled so that its peak is this share of the smallest breaking point; None leaves it.
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
    drain_s: float = 0.0
    recipe: Recipe = field(default_factory=Recipe)
    peak_share: float | None = None

    @property
    def searching(self) -> str:
        """What is said before the searches."""
        how = "all units side by side" if self.side_by_side else "one unit after the other"
        return f"Finding each unit's breaking point, {how}:"

    def demanded(self, demo: DemoFleet, curves: Mapping[str, LoadCurve]) -> DemoFleet:
        """The fleet with the demand that it is planned for, given what its units hold. Raises HoldfastError."""
        if self.peak_share is None:
            return demo
        limits = {unit.name: _limit_per_s(curves[unit.name]) for unit in demo.fleet.spec.units}
        weakest = min(limits, key=lambda name: limits[name])
        if not limits[weakest]:
            raise HoldfastError(f"{weakest} holds no load within {format_slo(demo.fleet.spec.slo)} on this machine")
        asked = demo.fleet.spec.demand
        factor = self.peak_share * limits[weakest] / asked.planned_per_s
        rate, peak = (_rounded(factor * rate_per_s) for rate_per_s in (asked.rate_per_s, asked.planned_per_s))
        demand = Demand(rate_per_s=f"{rate:g}/s", peak_per_s=f"{peak:g}/s")
        spec = demo.fleet.spec.model_copy(update={"demand": demand})
        return replace(demo, fleet=demo.fleet.model_copy(update={"spec": spec}))

    def on_the_wall(self, routing: RoutingPolicy) -> RoutingPolicy:
        """The routing policy with its times as seconds of the wall clock."""
        ramp = routing.ramp.model_copy(update={"every_s": routing.ramp.every_s / self.time_scale})
        return routing.model_copy(update={"dwell_s": routing.dwell_s / self.time_scale, "ramp": ramp})


def _limit_per_s(curve: LoadCurve) -> float:
    return 0.0 if curve.breaking_point is None else curve.breaking_point.rate_per_s


def _rounded(rate_per_s: float) -> float:
    """To two digits: a demand that somebody might have written."""
    return float(f"{rate_per_s:.2g}")
