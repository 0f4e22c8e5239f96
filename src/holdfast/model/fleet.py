"""The InferenceFleet document: what a user declares, as YAML and as a Kubernetes custom resource.

    InferenceFleet
      spec: FleetSpec
        model: ServedModel            what is served                                               workload
        workload: Workload            the shape of one request                                     workload
        slo: Slo                      what a good answer is                                        slo
        demand: Demand                how many requests come, all day or hour by hour              demand
        units: (DeploymentUnit, ...)  the ways it can be served, each with its capacity pool       unit
        capacity: CapacityPolicy      how far units are filled, which loss must be survived        capacity
        routing: RoutingPolicy        how traffic moves when capacity does                         routing
        data_plane: DataPlane         what carries the traffic                                     routing
        cluster: Cluster              the cluster it is deployed to, and the choices there         cluster
        planning, approval, ...       whose plan an operator deploys, and who lets it change       operation

The parts are in the files on the right; all their names are had from here. Keys are camelCase in YAML and snake_case in
Python, where fields that carry a unit say so in their name. Unknown keys are refused. `document.py` reads the YAML and
points at lines.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.model.capacity import CapacityPolicy, Loss, Quota
from holdfast.model.cluster import Cluster
from holdfast.model.declaration import Document, Name, Zone
from holdfast.model.demand import Demand
from holdfast.model.fields import Share
from holdfast.model.operation import Approval, Planning
from holdfast.model.routing import DataPlane, Ramp, RoutingPolicy, WeightPolicy
from holdfast.model.slo import Percentiles, Slo, format_slo, parse_slo
from holdfast.model.unit import CapacityType, DeploymentUnit
from holdfast.model.workload import Api, RequestSize, ServedModel, TokenLengths, Workload

__all__ = [
    "Api",
    "Approval",
    "CapacityPolicy",
    "CapacityType",
    "Cluster",
    "DataPlane",
    "Demand",
    "DeploymentUnit",
    "Document",
    "FleetSpec",
    "InferenceFleet",
    "Loss",
    "Metadata",
    "Name",
    "Percentiles",
    "Planning",
    "Quota",
    "Ramp",
    "RequestSize",
    "RoutingPolicy",
    "ServedModel",
    "Slo",
    "TokenLengths",
    "WeightPolicy",
    "Workload",
    "Zone",
    "format_slo",
    "parse_slo",
]


class Metadata(Document):
    name: Name
    namespace: Name = "default"


class FleetSpec(Document):
    """What is declared of a fleet.

    region:     of AWS: prices are of it.
    zones:      its availability zones that instances may be in; any when absent.
    units:      the ways in which the model may be served.
    data_plane: what carries the traffic.
    planning:   for an operator: who plans, it or the ConfigMap that somebody applies.
    approval:   for an operator: whether a new plan waits for a person.
    replan_bound: how far demand, a price or a limit moves from what the plan was made on before there is a new one.
    """

    model: ServedModel
    workload: Workload
    slo: Slo
    demand: Demand
    region: str = "us-west-2"
    zones: tuple[Zone, ...] = ()
    units: Annotated[tuple[DeploymentUnit, ...], Field(min_length=1)]
    capacity: CapacityPolicy = CapacityPolicy()
    routing: RoutingPolicy = RoutingPolicy()
    data_plane: DataPlane = DataPlane.ALB
    cluster: Cluster = Cluster()
    planning: Planning = Planning.AUTO
    approval: Approval = Approval.AUTOMATIC
    replan_bound: Share = 0.1

    @pydantic.model_validator(mode="after")
    def _unit_names_differ(self) -> Self:
        names = [unit.name for unit in self.units]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two units are named {twice[0]!r}; give each its own name")
        return self

    @pydantic.model_validator(mode="after")
    def _zones_are_known(self) -> Self:
        if len(set(self.zones)) < len(self.zones):
            raise ValueError("zones names one twice")
        if Loss.ZONE in self.capacity.survive and not all(unit.zones or self.zones for unit in self.units):
            raise ValueError("capacity.survive has zone, and zones does not say which there are, e.g. [us-west-2a]")
        for unit in self.units:
            strange = sorted(set(unit.zones) - set(self.zones)) if self.zones else []
            if strange:
                raise ValueError(f"unit {unit.name!r} is in zone {strange[0]}, which is not among the fleet's zones")
        if self.routing.by_size and not self.workload.sizes:
            raise ValueError("routing.bySize has no workload.sizes to route by; give them, or remove it")
        return self


class InferenceFleet(Document):
    """The user's declaration of a fleet. See the module docstring for its tree."""

    api_version: Literal["holdfast.dev/v1alpha1"]
    kind: Literal["InferenceFleet"]
    metadata: Metadata
    spec: FleetSpec

    def unit(self, name: str) -> DeploymentUnit:
        """The unit of that name. Raises KeyError."""
        for unit in self.spec.units:
            if unit.name == name:
                return unit
        raise KeyError(name)
