"""The fleets of the scenarios: Stable Diffusion 2.1 on its units, small, and at the pace of the cluster it is in."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import yaml

from holdfast.kube.kinds import Object

SD21 = Path(__file__).parents[2] / "examples" / "sd21"
MEASURED = SD21 / "measurements.csv"


@dataclass(frozen=True)
class Pace:
    """How fast things happen in a world. Durations in seconds.

    dwell_s, ramp_s: of the fleet's routing. launch_s, ready_s: until a node joins, and until a pod on it is Ready.
    reaction_s: how long an empty pool may have weight.
    """

    dwell_s: int
    ramp_s: int
    launch_s: float
    ready_s: float
    reaction_s: float


VIRTUAL = Pace(dwell_s=120, ramp_s=30, launch_s=40.0, ready_s=60.0, reaction_s=1.0)
"""About as long as in production: a virtual clock does not mind."""

HURRIED = Pace(dwell_s=20, ramp_s=5, launch_s=3.0, ready_s=3.0, reaction_s=1.0)
"""Virtual, where hundreds of runs must be cheap."""

REAL = Pace(dwell_s=5, ramp_s=2, launch_s=1.0, ready_s=1.0, reaction_s=3.0)
"""Short, and a second for each of three programs that share two cores with an API server."""


def sd21(
    pace: Pace, namespace: str, *, units: int = 5, rate: str = "12/s", peak: str = "20/s", most: int = 8
) -> Object:
    """The example, of its first units, with at most `most` replicas in each pool."""
    fleet: Object = yaml.safe_load((SD21 / "fleet.yaml").read_text(encoding="utf-8"))
    fleet["metadata"]["namespace"] = namespace
    spec = fleet["spec"]
    spec["units"] = [unit | {"maxReplicas": most} for unit in spec["units"][:units]]
    spec["demand"] = {"rate": rate, "peak": peak}
    spec["routing"] |= {"dwell": f"{pace.dwell_s}s", "ramp": {"step": "25%", "every": f"{pace.ramp_s}s"}}
    return fleet


def changed(fleet: Object, **spec: object) -> Object:
    """The fleet with other values for some keys of its spec."""
    other = copy.deepcopy(fleet)
    other["spec"] |= spec
    return other
