"""One pool of a plan and the hardware that its replicas run on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.manifests import names
from holdfast.manifests.manifest import BASE, Object
from holdfast.model import packing
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.plan import Plan, PoolPlan


class Role(enum.Enum):
    """What a server of a disaggregated replica does. The values are those of llm-d's label `llm-d.ai/role`."""

    DECODE = "decode"
    PREFILL = "prefill"


@dataclass(frozen=True)
class ScaleTarget:
    """An object whose replicas are servers, and how many of those servers one replica of the pool has.

    role: of the servers; None where one server does both.
    """

    api_version: str
    kind: str
    name: str
    servers_per_replica: int
    role: Role | None

    @property
    def reference(self) -> Object:
        """The object, as what scales it names it."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": self.name}


@dataclass(frozen=True)
class Placement:
    """A pool, its unit, and the instance type and accelerator of one node.

    shared_service: the Service that it shares with other pools, where there are too many for one each.

    Raises InputError when the hardware is not the unit's, or a server cannot be placed on it: what a plan is
    refused for too (model.packing).
    """

    fleet: InferenceFleet
    unit: DeploymentUnit
    pool: PoolPlan
    instance: InstanceType
    accelerator: Accelerator
    shared_service: str | None = None

    def __post_init__(self) -> None:
        if self.instance.name != self.unit.instance_type:
            raise InputError(
                f"unit {self.unit.name} runs on {self.unit.instance_type}, but {self.instance.name} was given for it"
            )
        why_not = packing.obstacle(self.unit, self.instance)
        if why_not:
            raise self._too_large(why_not)

    def _too_large(self, why_not: str) -> InputError:
        asked, there = self.unit.devices_per_server, self.instance.resource_count
        ranks = self.accelerator.ranks_per_device
        mend = "choose a larger instanceType, or lower tensorParallel, pipelineParallel or devices"
        if ranks > 1 and self.unit.devices is None:
            mend = f"one device carries {ranks} ranks: give `devices:` in the unit, the devices of one server"
        return InputError(
            f"one server of unit {self.unit.name} needs {asked} devices, and {self.instance.name} has {there}: "
            f"{why_not}",
            mend=mend,
        )

    @property
    def name(self) -> str:
        """The name of the pool's objects in the fleet's namespace."""
        return names.label(self.fleet.metadata.name, self.unit.name)

    @property
    def node_pool(self) -> str:
        """The name of the pool's objects that are cluster-wide, and so carry the namespace."""
        return names.label(self.fleet.metadata.namespace, self.fleet.metadata.name, self.unit.name)

    @property
    def folder(self) -> str:
        return f"{BASE}/pools/{self.unit.name}"

    @property
    def spans_nodes(self) -> bool:
        """Whether one server takes more devices than a node has."""
        return self.unit.devices_per_server > self.instance.resource_count

    @property
    def nodes_per_server(self) -> int:
        """Nodes of one server; 1 also where a node has room for several."""
        if not self.spans_nodes:
            return 1
        return packing.instances_per_server(self.unit.devices_per_stage, self.unit.pipeline_parallel, self.instance)

    @property
    def devices_per_pod(self) -> int:
        """Devices of one pod, which is a server, or a server's part on one node."""
        return self.unit.devices_per_server // self.nodes_per_server

    @property
    def servers_share_nodes(self) -> bool:
        """Whether a node has room for several servers."""
        return 2 * self.unit.devices_per_server <= self.instance.resource_count

    @property
    def most_nodes(self) -> int:
        """Nodes that the largest number of replicas needs."""
        return self.nodes_for(self.pool.autoscaling.max_replicas)

    @property
    def node_limit(self) -> int:
        """Nodes that the pool may have: the most that it needs, and one more.

        A node that drifts, expires or rolls out is replaced before it goes, which at the most could never begin.
        """
        return self.most_nodes + 1

    def nodes_for(self, replicas: int) -> int:
        """Nodes that so many replicas need, as the plan counts and pays for them."""
        return packing.pack(self.unit, self.instance).instances(replicas)

    @property
    def fabric_interfaces(self) -> int:
        """Elastic Fabric Adapters of one pod: its devices' share of the node's, where its server talks to others."""
        if not self.spans_nodes and self.unit.disaggregated is None:
            return 0
        return self.instance.efa_interfaces * self.devices_per_pod // self.instance.resource_count

    @property
    def scale_targets(self) -> tuple[ScaleTarget, ...]:
        """What the pool's replicas are made of: one object, or two where prefill and decode are apart."""
        both = self.unit.disaggregated
        if both is None:
            return (self._target(None, 1),)
        return self._target(Role.DECODE, both.decode), self._target(Role.PREFILL, both.prefill)

    @property
    def scale_target(self) -> ScaleTarget:
        """The object that requests reach, whose replicas are counted as the pool's."""
        return self.scale_targets[0]

    def _target(self, role: Role | None, servers_per_replica: int) -> ScaleTarget:
        parts = (self.fleet.metadata.name, self.unit.name, *(() if role is None else (role.value,)))
        api, kind = (
            ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet") if self.spans_nodes else ("apps/v1", "Deployment")
        )
        return ScaleTarget(api, kind, names.label(*parts), servers_per_replica, role)


def placements(plan: Plan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> tuple[Placement, ...]:
    """The plan's pools with their hardware, by unit name. Raises InputError where a pool has no unit or hardware."""
    return tuple(_placement(plan, pool, hardware) for pool in sorted(plan.pools, key=lambda pool: pool.unit))


def _placement(plan: Plan, pool: PoolPlan, hardware: Mapping[str, tuple[InstanceType, Accelerator]]) -> Placement:
    units = {unit.name: unit for unit in plan.fleet.spec.units}
    if pool.unit not in units:
        raise InputError(f"the plan has a pool {pool.unit} that its fleet does not declare", mend="plan anew")
    if pool.unit not in hardware:
        raise InputError(f"no instance type and accelerator were given for unit {pool.unit}")
    instance, accelerator = hardware[pool.unit]
    return Placement(plan.fleet, units[pool.unit], pool, instance, accelerator)
