"""A plan of two pools, made by the planner, and scenarios for it."""

from __future__ import annotations

import functools
from typing import Any

import yaml

from holdfast import catalog
from holdfast.model import document
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.planning.plan import make_plan
from holdfast.simulation import parameters
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.sweep import Case

_FLEET = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: small}
spec:
  model: {id: stabilityai/stable-diffusion-2-1-base, task: text-to-image}
  workload: {api: images}
  slo: {latency: {p95: 3s}, errorRate: 1%, utilization: 80%}
  demand: {rate: 4/s, peak: 6/s}
  region: us-west-2
  units:
    - {name: cheap, accelerator: inferentia2, instanceType: inf2.xlarge, framework: neuronx}
    - {name: dear, accelerator: a10g, instanceType: g5.xlarge, framework: triton}
"""


@functools.cache
def plan() -> Plan:
    fleet = document.read_fleet(_FLEET, where="small.yaml")
    evidence = tuple(
        UnitEvidence(name, limit, price, 1, None, latency, "stated", "stated")
        for name, limit, price, latency in (("cheap", 2.0, 0.7582, 0.5), ("dear", 1.5, 1.006, 0.6))
    )
    return make_plan(fleet, evidence, hardware=catalog.hardware_of(fleet), offerings=catalog.offerings_by_way(fleet))


def scenario_of(duration: str = "20min", name: str = "small", **spec: Any) -> Scenario:
    return parameters.scenario_of(scenario_text(duration, name, **spec), {}, where=f"{name}.yaml")


def scenario_text(duration: str = "20min", name: str = "small", **spec: Any) -> str:
    cold = {"any": {"node": "30s", "pull": "20s", "load": "40s", "spread": "20%"}}
    whole = {"duration": duration, "load": {"rate": "4/s"}, "coldStart": cold} | spec
    return yaml.safe_dump(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": name},
            "spec": whole,
        },
        sort_keys=False,
    )


def case(duration: str = "20min", name: str = "small", **spec: Any) -> Case:
    return Case(plan(), scenario_of(duration, name, **spec), text=scenario_text(duration, name, **spec))


LOSS = {"limit": {"unit": "cheap", "replicas": 0, "from": "5min", "to": "12min", "beyond": "lose"}}
