"""A fleet whose plans are settled by its operator, and ConfigMaps as an API server would keep them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from holdfast.control.operator.plans import settling
from holdfast.control.operator.plans.settled import Due, Settled, Tried
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.planning.plan import make_plan

Object = dict[str, Any]

PRICES = {"cheap on-demand": 1.0, "dear on-demand": 2.0}
LIMITS = {"cheap": 4.0, "dear": 5.0, "third": 6.0}


def resource() -> Object:
    unit = {"framework": "triton", "maxReplicas": 9, "image": "one"}
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "InferenceFleet",
        "metadata": {"name": "sd21", "namespace": "inference", "uid": "u", "annotations": {}},
        "spec": {
            "model": {"id": "stabilityai/stable-diffusion-2-1-base", "task": "text-to-image"},
            "workload": {"api": "images"},
            "slo": {"latency": {"p95": "0.9s"}},
            "demand": {"rate": "10/s"},
            "units": [
                unit | {"name": "cheap", "accelerator": "inferentia2", "instanceType": "inf2.xlarge"},
                unit | {"name": "dear", "accelerator": "a10g", "instanceType": "g5.xlarge"},
            ],
        },
    }


class PlannedFleet:
    """One fleet; `look` settles its plan as often as something comes of it."""

    def __init__(self, **spec: object) -> None:
        self.fleet = resource()
        self.fleet["spec"].update(spec)
        self.config: dict[str, Object] = {}
        self.prices = dict(PRICES)
        self.limits = dict(LIMITS)
        self.highest_per_s: float | None = None
        self.now_s = 1000.0
        self.made: list[Due] = []
        self.tried: Tried | None = None
        self.fails = False

    @property
    def spec(self) -> Object:
        found: Object = self.fleet["spec"]
        return found

    def settled(self) -> Settled:
        """One look, of which nothing comes."""
        return settling.settle(
            copy.deepcopy(self.fleet),
            self.config,
            highest_per_s=self.highest_per_s,
            prices_of=lambda fleet: dict(self.prices),
            tried=self.tried,
            now_s=self.now_s,
        )

    def look(self) -> Settled:
        for _ in range(5):
            settled = self.settled()
            if not settled.writes and settled.due is None:
                return settled
            for written in settled.writes:
                self.config[written["metadata"]["name"]] = written
            if settled.due is not None:
                self.made.append(settled.due)
                self.tried = self.planned(settled.due)
                if self.fails:
                    return self.settled()
        raise AssertionError(f"it does not come to rest: {settled.message}")

    def planned(self, due: Due) -> Tried:
        if self.fails:
            return Tried(due.inputs, None, "Planning was ended by signal 9.", False, self.now_s)
        known = [
            UnitEvidence(
                unit=unit.name,
                limit_per_s=self.limits[unit.name],
                price_usd_per_h=self.prices.get(f"{unit.name} on-demand", 3.0),
                replicas_per_instance=1,
                tokens_out_per_s=None,
                latency_s=None,
                limit_source="here",
                price_source="there",
            )
            for unit in due.declared.fleet.spec.units
        ]
        return Tried(due.inputs, make_plan(due.declared.fleet, known), "", True, self.now_s)

    def restart(self) -> None:
        self.tried = None

    def measure(self, text: str, **limits: float) -> None:
        self.limits |= limits
        self.config["sd21-measurements"] = {"metadata": {}, "data": {"measurements.csv": text}}

    def approve(self, identity: str) -> None:
        self.fleet["metadata"]["annotations"]["holdfast.dev/approved"] = identity

    def give(self, text: str) -> None:
        self.config["sd21-plan"] = {"metadata": {"name": "sd21-plan"}, "data": {"plan.json": text}}


def running(settled: Settled) -> Plan:
    assert settled.plan is not None
    return settled.plan


def replicas(settled: Settled) -> Mapping[str, int]:
    return {pool.unit: pool.replicas for pool in running(settled).pools}
