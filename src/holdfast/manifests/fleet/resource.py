"""The InferenceFleet of a plan, as a resource."""

from __future__ import annotations

from holdfast.manifests.manifest import Manifest
from holdfast.model import document
from holdfast.model.document import Declared
from holdfast.model.operation import Planning
from holdfast.model.plan import Plan

_NOTE = """planning: given has the operator deploy the plan in plan.yaml, and no other.
planning: auto has it plan, and plan anew when demand, prices or limits move by more than replanBound; delete plan.yaml
then. approval: manual shows what changes before it does."""


def manifest(plan: Plan, path: str) -> Manifest:
    """The fleet that was planned, with every number that it left to the plan."""
    spec = plan.fleet.spec.model_copy(update={"planning": Planning.GIVEN})
    fleet = plan.fleet.model_copy(update={"spec": spec})
    return Manifest(path, document.resource(Declared(fleet, {})), _NOTE)
