"""The emulated units of the demo: which there are, and how their processes are started."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from holdfast.model import document
from holdfast.model.fleet import InferenceFleet, RoutingPolicy

TIME_SCALE = 10.0
"""Emulated time runs this much faster than the clock on the wall: the shortest service time of the fleet,
0.46 s, becomes 46 ms, which a busy two-core machine still keeps to within a few per cent."""

COLD_START_S = 15.0
"""Emulated seconds from the start of a replica to readiness. The published 5 to 15 minutes would be 30 to 90 s
here, longer than the whole wave; the report says so."""


@dataclass(frozen=True)
class DemoFleet:
    """A fleet of the demo; `fails_over` marks the one that is run through the wave."""

    fleet: InferenceFleet
    fails_over: bool


def fleets() -> tuple[DemoFleet, ...]:
    """The Stable Diffusion fleet and the LLM pair."""
    return DemoFleet(_read("sd21"), True), DemoFleet(_read("gpt-oss-20b"), False)


def _read(name: str) -> InferenceFleet:
    file = resources.files("holdfast.local.demo").joinpath(f"fleets/{name}.yaml")
    return document.read_fleet(file.read_text("utf-8"), where=f"{name}.yaml")


MAX_QUEUED = 256
"""Requests that wait at one replica; more are refused."""


def argv(unit: str) -> Sequence[str]:
    """The command of one emulated replica of a unit."""
    return (
        sys.executable, "-m", "holdfast", "emulate", unit,
        "--time-scale", str(TIME_SCALE), "--cold-start", f"{COLD_START_S}s", "--max-queued", str(MAX_QUEUED),
    )  # fmt: skip


def on_the_wall(routing: RoutingPolicy) -> RoutingPolicy:
    """The routing policy with its emulated times as seconds of the wall clock."""
    ramp = routing.ramp.model_copy(update={"every_s": routing.ramp.every_s / TIME_SCALE})
    return routing.model_copy(update={"dwell_s": routing.dwell_s / TIME_SCALE, "ramp": ramp})
