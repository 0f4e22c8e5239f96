"""Fleets as the cluster has them, for people at a terminal: tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pydantic

from holdfast.control.operator.reasons import MEANINGS, Type
from holdfast.kube.kinds import Object
from holdfast.model.operation import APPROVED
from holdfast.model.status import Condition, FleetStatus
from holdfast.model.tables import Column, Table


@dataclass(frozen=True)
class Shown:
    """One InferenceFleet. status: None where nobody has looked at it yet, or in words that this holdfast cannot read;
    then `trouble` says which."""

    namespace: str
    name: str
    status: FleetStatus | None
    trouble: str = ""

    @property
    def ready(self) -> bool:
        return any(one.type == Type.READY.value and one.status == "True" for one in self.conditions)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return () if self.status is None else self.status.conditions

    def condition(self, type_: Type) -> Condition | None:
        return next((one for one in self.conditions if one.type == type_.value), None)


def read(fleet: Object) -> Shown:
    """The fleet and its status, whoever wrote that."""
    about = fleet["metadata"]
    if not fleet.get("status"):
        trouble = "no operator has looked at it yet: does one run, and has it rights in this namespace?"
        return Shown(about["namespace"], about["name"], None, trouble)
    try:
        return Shown(about["namespace"], about["name"], FleetStatus.model_validate(fleet["status"], by_alias=True))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        trouble = f"its status is not one that this holdfast reads ({place}: {first['msg']}): is the operator another?"
        return Shown(about["namespace"], about["name"], None, trouble)


def fleets(found: Sequence[Shown], *, everywhere: bool) -> Table:
    """A row per fleet. everywhere: fleets of several namespaces, which are said."""
    columns = ("fleet", "ready", "why", "mode", "pools", "weights", "short")
    rows = tuple(
        ((f"{one.namespace}/{one.name}" if everywhere else one.name), *_summary(one))
        for one in sorted(found, key=lambda one: (one.namespace, one.name))
    )
    return Table("Fleets", (*(Column(name) for name in columns), Column("cost", "USD/h")), rows)


def _summary(one: Shown) -> tuple[str | None, ...]:
    told, status = one.condition(Type.READY), one.status
    if status is None or told is None:
        return ("Unknown", "never looked at" if not one.trouble.startswith("its") else "unreadable", *[None] * 5)
    cost = status.cost_per_hour.removeprefix("$")
    mode = status.mode.value.removesuffix("-optimized")
    return told.status, told.reason, mode, status.pools_ready, status.weights, str(status.shortages), cost


def pools(status: FleetStatus) -> Table:
    """The pools of one fleet: their part of the traffic, and of what was asked for."""
    rows = tuple(
        (
            pool.unit,
            pool.weight,
            pool.ready_replicas,
            pool.desired_replicas,
            pool.ready_replicas - pool.lasting_replicas,
            "no capacity" if pool.shortage else "",
        )
        for pool in status.pools
    )
    columns = ("pool", "weight", "ready", "asked for", "leaving", "supply")
    cost = f"Cost of what is there: {status.cost_per_hour} per hour. Mode: {status.mode.value}."
    return Table("Pools", tuple(Column(name) for name in columns), rows, (cost,))


def mend(told: Condition) -> str:
    """What to do about a condition; empty where nothing is, or where the operator knows words that we do not."""
    found = (one for one in MEANINGS if (one.type.value, one.reason.value) == (told.type, told.reason))
    advice = next((one.mend for one in found if one.status == told.status), "")
    return "" if advice == "Nothing." else advice


def approval(one: Shown) -> str:
    """The command that lets the proposed plan through; empty without a proposal."""
    if one.status is None or one.status.proposal is None:
        return ""
    annotation = f"{APPROVED}={one.status.proposal.id}"
    return f"kubectl -n {one.namespace} annotate inferencefleet {one.name} {annotation} --overwrite"
