"""Parameters of a sweep: keys of the scenario or of the fleet's routing, each with the values that it has in turn.

A key is the path of a field in its document: `spec.dataPlane.delay`, `spec.events.0.limit.replicas`. What lies under
`spec.routing` is the fleet's, everything else the scenario's. The plan is made before, and stays as it is.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model import document
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan
from holdfast.simulation.scenario import Scenario

ROUTING = "spec.routing."
FLAG = "--set"
MOST = 10_000
"""Combinations of a sweep."""

Setting = Mapping[str, str]
"""One value for each key, as it was written."""


@dataclass(frozen=True)
class Parameter:
    """A key and the values that it has in turn, as they were written; at least one, none twice."""

    key: str
    values: tuple[str, ...]


def parse(text: str) -> Parameter:
    """`spec.dataPlane.delay=5s,30s`. Raises ValueError with a sentence."""
    key, _, listed = (part.strip() for part in text.partition("="))
    values = tuple(value.strip() for value in listed.split(","))
    if not key or not all(values):
        raise ValueError(f"{text!r} is not KEY=VALUE[,VALUE...], such as spec.dataPlane.delay=5s,30s")
    if not key.startswith("spec."):
        raise ValueError(f"{key!r} is not the path of a field, which begins with spec: such as spec.dataPlane.delay")
    if key == f"{ROUTING}policy":
        raise ValueError("policies are compared by --policy")
    if len(set(values)) < len(values):
        raise ValueError(f"{key} has a value twice in {listed!r}")
    return Parameter(key, values)


def settings(parameters: Sequence[Parameter]) -> Iterator[Setting]:
    """Every combination, the last key changing fastest; one empty one without parameters. Raises InputError."""
    keys = [parameter.key for parameter in parameters]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"{key} is given twice", where=FLAG, mend="list its values with commas")
    count = math.prod(len(parameter.values) for parameter in parameters)
    if count > MOST:
        raise InputError(f"that makes {count:,} combinations", where=FLAG, mend=f"at most {MOST:,} are simulated")
    for values in itertools.product(*(parameter.values for parameter in parameters)):
        yield dict(zip(keys, values, strict=True))


def scenario_of(text: str, setting: Setting, *, where: str) -> Scenario:
    """The scenario that YAML `text` declares, with the setting's values. Raises InputError."""
    mine = {key: _value(value) for key, value in setting.items() if not key.startswith(ROUTING)}
    return document.read_with(Scenario, text, mine, where=where, by=FLAG)


def plan_of(plan: Plan, setting: Setting) -> Plan:
    """The plan, with the setting's values in the routing of its fleet. Raises InputError."""
    mine = {key: _value(value) for key, value in setting.items() if key.startswith(ROUTING)}
    if not mine:
        return plan
    declared = plan.fleet.model_dump_json(by_alias=True)
    return replace(plan, fleet=document.read_with(InferenceFleet, declared, mine, where="the fleet", by=FLAG))


def _value(text: str) -> object:
    """A number, a truth or null where it reads so, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
