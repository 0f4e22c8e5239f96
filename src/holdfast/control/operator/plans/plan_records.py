"""The ConfigMaps that plans are kept in, both ways.

    <fleet>-plan          the plan that runs: plan.json. Written by the operator, or with `planning: given` by a person
    <fleet>-measurements  measurements.csv, of a person: what units are planned on; on estimates without it
    <fleet>-proposal      a plan that waits for approval: plan.json, and difference.txt to what runs
    <fleet>-last-plan     with `planning: given`: the last plan that could be read, which runs while the other cannot be

Each has the label `holdfast.dev/fleet`. Annotations on what the operator wrote: what it was made on, and its identity.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from holdfast.control.operator.plans import plan_inputs
from holdfast.control.operator.plans.plan_inputs import Inputs
from holdfast.kube.kinds import Object
from holdfast.manifests import metadata, names
from holdfast.manifests.fleet import plan_map
from holdfast.model import codec, plan
from holdfast.model.document import Declared
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan, PlanStatus

PLAN, MEASUREMENTS, PROPOSAL, LAST = "plan", "measurements", "proposal", "last-plan"

INPUTS = "holdfast.dev/inputs"
IDENTITY = "holdfast.dev/plan"
INSTEAD_OF = "holdfast.dev/instead-of"

_MEASUREMENTS_FILE, _DIFFERENCE_FILE = "measurements.csv", "difference.txt"

_TEXTS = ("reason", "limit_source", "price_source", "latency_source", "curve", "held")


@dataclass(frozen=True)
class Kept:
    """A plan as it is kept.

    plan:       None where there is none that could run; why says it, and is empty where the ConfigMap is not there.
    inputs:     what it was made on; None where nobody wrote it down, or somebody else changed the plan since.
    identity:   of what was read, whether it could be or not; empty without any.
    instead_of: of a proposal: identity of the plan that ran when it was made.
    reason:     of a proposal: why it was made.
    """

    plan: Plan | None = None
    why: str = ""
    inputs: Inputs | None = None
    identity: str = ""
    instead_of: str = ""
    reason: str = ""


NOTHING = Kept()


def name(fleet: Object, what: str) -> str:
    """Of the ConfigMap."""
    return names.label(fleet["metadata"]["name"], what)


def identity(made: Plan) -> str:
    """Of a plan by what it does: two plans that only word it differently have the same one."""
    content = codec.to_jsonable(replace(made, tables={}))
    pools = [{key: value for key, value in pool.items() if key not in _TEXTS} for pool in content["pools"]]
    spec = plan_inputs.parts(Declared(made.fleet, {}))
    return plan_inputs.digest([spec, pools, content["demand_per_s"], content["cost_usd_per_h"]])


def measurements(fleet: Object, config: Mapping[str, Object]) -> str:
    """The CSV; empty without one."""
    found = config.get(name(fleet, MEASUREMENTS), {}).get("data") or {}
    return str(found.get(_MEASUREMENTS_FILE, ""))


def read(fleet: Object, config: Mapping[str, Object], what: str) -> Kept:
    """The plan in one of the fleet's ConfigMaps. Nothing in it raises: what cannot be used is told."""
    found = config.get(name(fleet, what))
    if found is None:
        return NOTHING
    where = f"configmap {name(fleet, what)}"
    data = found.get("data") or {}
    if plan_map.FILE not in data:
        return Kept(why=f"{where} has no {plan_map.FILE}.", identity=plan_inputs.digest(data))
    made, why, itself = _plan(str(data[plan_map.FILE]), where)
    own = fleet["metadata"]
    other = None if made is None else made.fleet.metadata
    if other is not None and (other.name, other.namespace) != (own["name"], own["namespace"]):
        made, why = None, f"The plan in {where} is of another fleet, {other.namespace}/{other.name}."
    noted = found["metadata"].get("annotations") or {}
    if made is None:
        return Kept(why=why, identity=itself)
    untouched = noted.get(IDENTITY) == itself
    return Kept(
        plan=made,
        inputs=_inputs(noted.get(INPUTS, "")) if untouched else None,
        identity=itself,
        instead_of=noted.get(INSTEAD_OF, ""),
        reason=noted.get(metadata.REASON, ""),
    )


def as_made(fleet: Object, config: Mapping[str, Object]) -> Plan | None:
    """The plan that runs with the spec that it was made on; None without one."""
    return read(fleet, config, PLAN).plan or read(fleet, config, LAST).plan


@functools.lru_cache(maxsize=256)
def _plan(text: str, where: str) -> tuple[Plan | None, str, str]:
    """The plan, or why it is none that could run, and its identity. Remembered, because every look asks for it."""
    try:
        made = plan.read(text, where=where)
    except InputError as error:
        return None, str(error), plan_inputs.digest(text)
    if made.status is not PlanStatus.FEASIBLE:
        return None, f"The plan in {where} holds nothing: {'; '.join(made.reasons)}.", identity(made)
    if not any(pool.replicas for pool in made.pools):
        return None, f"The plan in {where} has no replicas.", identity(made)
    return made, "", identity(made)


@functools.lru_cache(maxsize=256)
def _inputs(text: str) -> Inputs | None:
    try:
        return codec.loads(Inputs, text, where=INPUTS)
    except InputError:
        return None  # of another version, say: then nobody knows what the plan was made on


def of_plan(fleet: Object, made: Plan, inputs: Inputs, reason: str) -> Object:
    """The ConfigMap of the plan that is to run."""
    noted = {INPUTS: inputs.text, IDENTITY: identity(made), metadata.REASON: reason}
    return _config_map(fleet, PLAN, {plan_map.FILE: plan_map.text(made)}, noted)


def of_proposal(fleet: Object, made: Plan, inputs: Inputs, reason: str, instead_of: str, difference: str) -> Object:
    """The ConfigMap of a plan that waits."""
    noted = {INPUTS: inputs.text, IDENTITY: identity(made), INSTEAD_OF: instead_of, metadata.REASON: reason}
    return _config_map(fleet, PROPOSAL, {plan_map.FILE: plan_map.text(made), _DIFFERENCE_FILE: difference}, noted)


def of_last(fleet: Object, made: Plan) -> Object:
    """The ConfigMap of the last given plan that could be read."""
    reason = "runs while the plan that is given cannot be read"
    return _config_map(
        fleet, LAST, {plan_map.FILE: plan_map.text(made)}, {IDENTITY: identity(made), metadata.REASON: reason}
    )


def _config_map(fleet: Object, what: str, data: dict[str, str], noted: dict[str, str]) -> Object:
    own = fleet["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(fleet, what),
            "namespace": own["namespace"],
            "labels": {plan_map.FLEET_LABEL: own["name"]},
            "annotations": noted,
            "ownerReferences": [
                {
                    "apiVersion": fleet["apiVersion"],
                    "kind": fleet["kind"],
                    "name": own["name"],
                    "uid": own["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": data,
    }
