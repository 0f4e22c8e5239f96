"""Small fleets and scenarios, small enough to reckon by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.planning.plan import make_plan
from holdfast.simulation.scenario import Scenario

COLD_START = {"any": {"node": "30s", "pull": "30s", "load": "30s"}}


def plan(
    units: int = 3, *, peak: str = "20/s", survive: str = "one-pool", most: int = 40, slowness: float = 1.0, **spec: Any
) -> Plan:
    """Units a, b, c, ... of 2/s and 0.5 s each, or so many times as slow, every one dearer than the one before."""
    names = [chr(ord("a") + number) for number in range(units)]
    fleet = InferenceFleet.model_validate(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "InferenceFleet",
            "metadata": {"name": "small"},
            "spec": {
                "model": {"id": "m", "task": "text-to-image"},
                "workload": {"api": "images"},
                "slo": {"latency": {"p95": f"{2 * slowness:g}s"}},
                "demand": {"rate": f"{1 / slowness:g}/s", "peak": peak},
                "capacity": {"survive": survive},
                "units": [
                    {
                        "name": name,
                        "accelerator": f"accelerator-{name}",
                        "instanceType": "g5.xlarge",
                        "framework": "triton",
                        "price": f"${1 + number}/h",
                        "maxReplicas": most,
                    }
                    for number, name in enumerate(names)
                ],
                **spec,
            },
        }
    )
    evidence = [
        UnitEvidence(name, 2.0 / slowness, 1.0 + number, 1, None, 0.5 * slowness, "reckoned", "reckoned")
        for number, name in enumerate(names)
    ]
    return make_plan(fleet, evidence)


def scenario(duration: str = "30min", rate: str = "10/s", events: Any = (), **spec: Any) -> Scenario:
    load = {"load": {"rate": rate}} if "load" not in spec else {}
    return Scenario.model_validate(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "test"},
            "spec": {"duration": duration, "coldStart": COLD_START, "events": list(events), **load, **spec},
        }
    )


def random_losses(seed: int, hours: float, units: int) -> list[dict[str, Any]]:
    """Losses, reclaims, limits, outages, crashes, prices and surges at random: some eight an hour."""
    random = np.random.default_rng(seed)
    names = [chr(ord("a") + number) for number in range(units)]
    events: list[dict[str, Any]] = []
    for at in np.sort(random.uniform(60, hours * 3600, size=round(8 * hours))):
        at_s, share, unit = f"{at:.0f}s", f"{random.integers(1, 101)}%", str(random.choice(names))
        to_s = f"{at + random.uniform(30, 1200):.0f}s"
        beyond = str(random.choice(["keep", "drain", "lose", "reclaim"]))
        kinds: list[dict[str, Any]] = [
            {"loss": {"unit": unit, "share": share, "at": at_s}},
            {"loss": {"share": share, "at": at_s}},
            {"reclaim": {"unit": unit, "share": share, "at": at_s}},
            {"limit": {"unit": unit, "share": share, "from": at_s, "to": to_s, "beyond": beyond}},
            {"limit": {"unit": unit, "replicas": 0, "from": at_s, "to": to_s, "beyond": beyond}},
            {"outage": {"of": str(random.choice(["metrics", "api"])), "from": at_s, "to": to_s}},
            {"crash": {"at": at_s, "for": "90s"}},
            {"price": {"unit": unit, "factor": float(random.uniform(0.5, 2)), "at": at_s}},
            {"surge": {"factor": float(random.uniform(0.2, 3)), "from": at_s, "to": to_s}},
        ]
        events.append(kinds[random.integers(len(kinds))])
    return events
