"""The ConfigMap that a fleet's plan is kept in, in a cluster."""

from __future__ import annotations

from dataclasses import replace

from holdfast.manifests import names
from holdfast.manifests.manifest import Manifest
from holdfast.model import codec
from holdfast.model.plan import Plan

FLEET_LABEL = "holdfast.dev/fleet"
"""Of a fleet's ConfigMaps: its name."""

FILE = "plan.json"


def name(fleet: str) -> str:
    return names.label(fleet, "plan")


def text(plan: Plan) -> str:
    """Without tables, which are for people: a ConfigMap holds 1 MiB."""
    return codec.dumps(replace(plan, tables={}))


def manifest(plan: Plan, path: str) -> Manifest:
    own = plan.fleet.metadata
    described = {"name": name(own.name), "namespace": own.namespace, "labels": {FLEET_LABEL: own.name}}
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": described, "data": {FILE: text(plan)}}
    return Manifest(path, found)
