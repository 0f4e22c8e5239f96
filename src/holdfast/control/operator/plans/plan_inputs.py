"""What a plan is made on, and how far it has moved since.

A plan is due when what planning reads of the spec changed, or the measurements did, or when the demand or a catalogue's
price moved beyond the fleet's `replanBound`. All is compared with what the plan was made on, never with the last look:
small steps add up until together they are beyond the bound, and what sways within it never gives a plan.

The demand is the declared one, raised to the highest rate of the last day when that is beyond the bound. It is lowered
again only to the declared demand, and only once the highest rate is no longer above that: rates in between change
nothing, so that a demand that sways about the bound is planned for once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.model import codec
from holdfast.model.declaration import Document
from holdfast.model.demand import Demand
from holdfast.model.document import Declared
from holdfast.model.fleet import InferenceFleet
from holdfast.model.unit import DeploymentUnit

_ROUTING = ("weights", "minShare", "bySize")
_WORKLOAD_OF_REQUESTS = ("path", "body")
_UNIT_OF_SERVERS = ("image", "endpoint", "nodes", "dra", "neuronConfig")
"""What planning reads of the routing, and does not of the workload and a unit: how servers are started and asked."""


@dataclass(frozen=True)
class Inputs:
    """What a plan is made on.

    spec:         digest of each part of the spec that planning reads, by its key.
    measurements: digest of the CSV; empty without one.
    demand_per_s: highest rate that is planned for.
    prices_usd_per_h: the catalogue's, of one instance, by unit and capacity type, e.g. `g5 spot`; a price that the spec
                  states is a part of the spec.
    """

    spec: Mapping[str, str]
    measurements: str
    demand_per_s: float
    prices_usd_per_h: Mapping[str, float]

    @property
    def text(self) -> str:
        """As it is kept: the same inputs give the same bytes."""
        return canonical(codec.to_jsonable(self))


def digest(value: object) -> str:
    """12 hexadecimal digits that the value, as JSON knows it, always has, whoever asks."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parts(declared: Declared) -> dict[str, str]:
    """Digest of each part of the spec that planning reads. What is left at its default is no part of it: a default
    that a new version of holdfast brings makes no plan due."""
    spec: dict[str, Any] = declared.fleet.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    routing = spec.get("routing", {})
    read = {key: spec.get(key) for key in ("slo", "demand", "region", "zones", "capacity")}
    read["model"] = declared.fleet.spec.model.id
    read["workload"] = _without(spec["workload"], _WORKLOAD_OF_REQUESTS)
    read["routing"] = {key: routing[key] for key in _ROUTING if key in routing}
    read["units"] = [
        _without(unit, _UNIT_OF_SERVERS) | {"auto": sorted(declared.auto.get(unit["name"], ()))}
        for unit in spec["units"]
    ]
    return {key: digest(value) for key, value in read.items()}


def _without(content: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in keys}


def settled(declared: Declared, plan: InferenceFleet) -> InferenceFleet:
    """The declared fleet with what its units leave to the plan as the plan's fleet has it. Both have the same units."""
    spec = declared.fleet.spec
    units = tuple(_settled(declared, unit, plan.unit(unit.name)) for unit in spec.units)
    return declared.fleet.model_copy(update={"spec": spec.model_copy(update={"units": units})})


def meanwhile(declared: Declared, plan: InferenceFleet) -> InferenceFleet:
    """The declared fleet as far as a plan's goes on running until another is there: what planning reads is as the plan
    has it, and the rest is as declared. Of a unit, the workload, or the model that planning reads otherwise by now,
    nothing holds yet: a new framework comes with its image."""
    spec, made = declared.fleet.spec, plan.spec
    by_name = {unit.name: unit for unit in spec.units}
    update: dict[str, object] = {key: getattr(made, key) for key in ("slo", "demand", "region", "zones", "capacity")}
    update["units"] = tuple(_meanwhile(declared, by_name.get(unit.name), unit) for unit in made.units)
    update["routing"] = spec.routing.model_copy(
        update={key: getattr(made.routing, key) for key in ("weights", "min_share", "by_size")}
    )
    if _read_of(spec.workload, _WORKLOAD_OF_REQUESTS) != _read_of(made.workload, _WORKLOAD_OF_REQUESTS):
        update["workload"] = made.workload
    if spec.model.id != made.model.id:
        update["model"] = made.model
    return declared.fleet.model_copy(update={"spec": spec.model_copy(update=update)})


def _meanwhile(declared: Declared, unit: DeploymentUnit | None, made: DeploymentUnit) -> DeploymentUnit:
    if unit is None:
        return made
    now = _settled(declared, unit, made)
    return now if _read_of(now, _UNIT_OF_SERVERS) == _read_of(made, _UNIT_OF_SERVERS) else made


def _read_of(document: Document, but: tuple[str, ...]) -> dict[str, Any]:
    return _without(document.model_dump(mode="json", by_alias=True, exclude_defaults=True), but)


def _settled(declared: Declared, unit: DeploymentUnit, made: DeploymentUnit) -> DeploymentUnit:
    left: dict[str, object] = {"tensor_parallel": made.tensor_parallel, "max_num_seqs": made.max_num_seqs}
    auto = declared.auto.get(unit.name, frozenset())
    kept = {key: value for key, value in left.items() if _camel(key) in auto}
    if unit.devices is None:
        kept["devices"] = made.devices
    return unit.model_copy(update=kept)


def _camel(key: str) -> str:
    return {"tensor_parallel": "tensorParallel", "max_num_seqs": "maxNumSeqs"}[key]


def same_units(declared: Declared, plan: InferenceFleet) -> bool:
    """Whether a plan's units are those declared, by name and in order."""
    return [unit.name for unit in declared.fleet.spec.units] == [unit.name for unit in plan.spec.units]


def wanted_per_s(declared_per_s: float, planned_per_s: float, highest_per_s: float | None, bound: float) -> float:
    """The rate to plan for; see the module's first lines.

    planned_per_s: what the last plan for the same declared demand was made for; declared_per_s without one.
    highest_per_s: of the last day; None where nobody knows. bound: a share, at least 0.
    """
    before = max(declared_per_s, planned_per_s)
    if highest_per_s is None:
        return before
    if highest_per_s > before and beyond(before, highest_per_s, bound):
        return highest_per_s
    return declared_per_s if highest_per_s <= declared_per_s else before


def beyond(before: float, now: float, bound: float) -> bool:
    """Whether the larger is more than the bound, a share, above the smaller: the same way up and down."""
    return max(before, now) > min(before, now) * (1 + bound)


def raised(demand: Demand, to_per_s: float) -> Demand:
    """The demand with its highest rate raised to that. A day keeps its shape, which is an estimate; at most one rate is
    known of it."""
    if to_per_s <= demand.planned_per_s:
        return demand
    if not demand.day_per_s:
        return demand.model_copy(update={"peak_per_s": to_per_s})
    factor = to_per_s / demand.planned_per_s
    return demand.model_copy(update={"day_per_s": tuple(rate * factor for rate in demand.day_per_s)})


def moved(before: Inputs, now: Inputs, bound: float) -> tuple[str, ...]:
    """What moved beyond the bound, each as a part of a sentence with its figures; none where nothing did."""
    said = []
    changed = sorted(key for key in before.spec.keys() | now.spec.keys() if before.spec.get(key) != now.spec.get(key))
    if changed:
        said.append(f"the spec changed in {' and '.join(changed)}")
    if before.measurements != now.measurements:
        said.append("the measurements changed" if now.measurements else "the measurements are gone")
    if "demand" not in changed and beyond(before.demand_per_s, now.demand_per_s, bound):
        said.append(_of_demand(before.demand_per_s, now.demand_per_s))
    old, new = before.prices_usd_per_h, now.prices_usd_per_h
    if "units" not in changed and "region" not in changed:
        said += [_of_price(key, old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys())
                 if key not in old or key not in new or beyond(old[key], new[key], bound)]  # fmt: skip
    return tuple(said)


def _of_demand(before_per_s: float, now_per_s: float) -> str:
    if now_per_s < before_per_s:
        return f"the last day stayed below the declared {now_per_s:.4g}/s, and {before_per_s:.4g}/s is planned for"
    return (
        f"the highest rate of the last day is {now_per_s:.4g}/s, {now_per_s / before_per_s - 1:.0%} above the "
        f"{before_per_s:.4g}/s that is planned for"
    )


def _of_price(of: str, before: float | None, now: float | None) -> str:
    if before is None:
        return f"an instance of {of} has a price now, {now:.4g} USD/h"
    if now is None:
        return f"an instance of {of} has no known price any more; it was {before:.4g} USD/h"
    change = f", {now / before - 1:+.0%}" if before else ""
    return f"the price of an instance of {of} went from {before:.4g} to {now:.4g} USD/h{change}"
