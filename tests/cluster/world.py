"""A cluster with stand-ins for all that is not the API server, a fleet in it, and somebody who watches that fleet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from cluster import crds, plans
from cluster.controllers import DeploymentController, Scheduler
from cluster.fleets import Pace
from cluster.karpenter import MADE_HERE, KarpenterStandIn
from cluster.keda import KedaStandIn
from cluster.node_agent import NodeAgent
from cluster.view import Clock, View, labels, name
from cluster.witness import Witness
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import ConflictError, NotFoundError
from holdfast.kube.kinds import Kind, Object
from holdfast.model.metrics import LATENCY

MANAGER = "platform-team"
POLL_S = 1.0
SOON_S = 60.0
SLOW_S = 900.0
DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)


class Operators(Protocol):
    """Operators of a world, by name. All end with the world."""

    async def start(self, name: str) -> None: ...
    async def stop(self, name: str) -> None:
        """As Kubernetes asks: it finishes and gives its lease back."""

    async def kill(self, name: str) -> None:
        """It is gone without a word."""

    async def pause(self, name: str) -> None:
        """Nothing of it reaches the API server until it is resumed; what it was about to write comes then."""

    async def resume(self, name: str) -> None: ...
    async def cut(self, name: str) -> None:
        """The API server is down for it, until `mend`."""

    async def mend(self, name: str) -> None: ...
    async def stands_by(self, name: str) -> bool:
        """Whether it has seen all that it needs to lead."""

    async def close(self) -> None:
        """Ends all. Raises what one of them has ended with by itself."""


@dataclass
class World:
    """connection: of the tests themselves. real: whether a control plane of one's own is behind it.

    offered_per_s: what the metrics say of the fleet's rate; None where they say nothing.
    tolerated_s: how long an empty pool may have weight; a story in which nobody leads for a while says how long.
    """

    connection: Connection
    clock: Clock
    pace: Pace
    operators: Operators
    real: bool = False
    namespace: str = "inference"
    prometheus: str = "http://prometheus.test"
    offered_per_s: float | None = 12.0
    view: View = field(init=False)
    karpenter: KarpenterStandIn = field(init=False)
    keda: KedaStandIn = field(init=False)
    witness: Witness = field(init=False)
    tolerated_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.view = View(self.connection, self.clock)
        self.karpenter = KarpenterStandIn(self.view, launch_s=self.pace.launch_s)
        self.keda = KedaStandIn(self.view)
        self.agent = NodeAgent(self.view, ready_after_s=self.pace.ready_s, heartbeat=self.real)
        self.witness = Witness(self.connection, self.clock, "sd21", self.namespace)
        self.tolerated_s = self.pace.reaction_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With stand-ins, which end with the block."""
        if self.real:
            await self.install()
        standing = [self.karpenter.run, self.keda.run, self.agent.run]
        if not self.real:
            standing += [DeploymentController(self.view).run, Scheduler(self.view).run]
        standing += [self.view.run, *(watched.run for watched in self.witness.watches())]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(), name=f"stand-in {run.__qualname__}") for run in standing]
            yield
            for task in tasks:
                task.cancel()

    async def install(self) -> None:
        """To a real cluster: the definitions of all kinds. Raises RuntimeError where real nodes are."""
        nodes = await self.connection.list(kinds.NODE)
        strange = [name(node) for node in nodes.items if MADE_HERE not in labels(node)]
        if strange:
            raise RuntimeError(f"the cluster has nodes of its own ({strange[0]}); the scenarios need one without")
        for definition in crds.definitions():
            await self._define(definition)

    async def declare(self, fleet: Object, *, platform: bool = True) -> None:
        """As a user and his platform team do: node pools, what was measured of the units, the fleet."""
        spec = fleet["spec"]
        cluster = spec.get("cluster", {}) | {"prometheus": self.prometheus}
        declared = fleet | {"spec": spec | {"cluster": cluster}}
        await self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        for found in plans.platform(declared) if platform else ():
            if found["kind"] == "NodePool":
                await self._apply(found)
        await self._apply(plans.measurements_map(declared))
        await self._apply(declared)

    def metric(self, query: str) -> float | None:
        """What Prometheus answers: rate, age of the newest sample, latency."""
        if query.startswith("time()"):
            return 5.0
        return 0.6 if LATENCY in query else self.offered_per_s

    async def clear(self) -> None:
        """Takes out of a real cluster what the world has brought."""
        for kind in (kinds.NODE_CLAIM, kinds.NODE, kinds.NODE_POOL):
            for found in (await self.connection.list(kind)).items:
                if name(found).startswith(f"{self.namespace}-sd21-"):
                    with suppress(NotFoundError):
                        await self.connection.delete(kind, name(found))
        for pod in (await self.connection.list(kinds.POD, self.namespace)).items:
            with suppress(NotFoundError):
                await self.connection.delete(kinds.POD, name(pod), self.namespace, grace_s=0)
        await self.connection.delete(kinds.NAMESPACE, self.namespace)

    async def until(self, so: Callable[[], bool], within_s: float, what: str) -> None:
        """Waits for something to be so. Raises AssertionError when it is not in time, with what the fleet is then."""
        last_s = self.clock() + within_s
        while self.clock() < last_s:
            if so():
                return
            await asyncio.sleep(0.1)
        moment = self.witness.now
        raise AssertionError(
            f"not within {within_s:g} s: {what}; weights {moment.weights}, ready {moment.ready}, "
            f"{await self.conditions()}"
        )

    async def fleet(self) -> Object:
        return await self.connection.get(kinds.FLEET, "sd21", self.namespace)

    async def conditions(self) -> Mapping[str, str]:
        """Status and reason of each condition of the fleet."""
        try:
            found = await self.fleet()
        except NotFoundError:
            return {}
        said: list[Object] = found.get("status", {}).get("conditions", [])
        return {one["type"]: f"{one['status']} {one['reason']}" for one in said}

    async def until_condition(self, kind: str, status: str, within_s: float) -> Object:
        """The condition, when it is so. Raises AssertionError."""
        last = self.clock() + within_s
        while self.clock() < last:
            found = await self.fleet()
            for one in found.get("status", {}).get("conditions", []):
                if one["type"] == kind and one["status"] == status:
                    return dict(one)
            await asyncio.sleep(POLL_S)
        raise AssertionError(f"{kind} is not {status} within {within_s:g} s: {await self.conditions()}")

    async def until_reason(self, reason: str, within_s: float) -> None:
        """Until a condition gives this reason. Raises AssertionError."""
        last_s = self.clock() + within_s
        while self.clock() < last_s:
            if any(text.endswith(f" {reason}") for text in (await self.conditions()).values()):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"no condition says {reason} within {within_s:g} s: {await self.conditions()}")

    async def until_stands_by(self, operator: str, within_s: float = 30.0) -> None:
        """Until an operator that has been started could lead. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not await self.operators.stands_by(operator):  # noqa: ASYNC110 - it may be another process
                await asyncio.sleep(0.2)

    async def until_gone(self, *gone: Kind, within_s: float = 60.0) -> None:
        """Until the fleet has no objects of these kinds. Raises AssertionError."""
        ours = "app.kubernetes.io/part-of=sd21"
        left: list[str] = []
        last_s = self.clock() + within_s
        while self.clock() < last_s:
            lists = [await self.connection.list(kind, self.namespace, labels=ours) for kind in gone]
            left = [f"{found['kind']} {name(found)}" for listed in lists for found in listed.items]
            if not left:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"still there after {within_s:g} s: {', '.join(left)}")

    async def until_there(self, kind: Kind, wanted: str, *, not_uid: str, within_s: float = 60.0) -> None:
        """Until there is another object of that name than the one of this identity. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(NotFoundError):
                    found = await self.connection.get(kind, wanted, self.namespace)
                    if found["metadata"]["uid"] != not_uid:
                        return
                await asyncio.sleep(0.2)

    async def serving(self, fleet: Object) -> None:
        """The fleet is led, serves on all its pools, and its weights have come to rest; declared if it is not yet."""
        await self.operators.start("a")
        if self.witness.now.weights is None:
            await self.declare(fleet)
        await self.settled(len(fleet["spec"]["units"]))

    async def settled(self, units: int) -> None:
        """All pools serve, and the weights have come to rest where merit order has them. Raises AssertionError."""
        await self.until(lambda: len(self.witness.units_ready) == units, SLOW_S, f"{units} pools are ready")
        await self.until_condition("Ready", "True", SOON_S)
        await self.until_condition("FailedOver", "False", SLOW_S)
        await self.until(lambda: self.at_rest(2 * self.pace.ramp_s), SLOW_S, "the weights rest")

    def at_rest(self, for_s: float) -> bool:
        """Whether there are weights, and none has changed for so long."""
        return self.witness.now.weights is not None and not self.witness.shifts(self.clock() - for_s)

    async def rest(self, for_s: float) -> None:
        """Lets time pass."""
        await asyncio.sleep(for_s)

    def pool(self, unit: str) -> str:
        """The NodePool of a unit."""
        return f"{self.namespace}-sd21-{unit}"

    async def _define(self, definition: Object) -> None:
        try:
            await self.connection.create(DEFINITION, definition)
        except ConflictError:
            await self.connection.merge(DEFINITION, name(definition), None, {"spec": definition["spec"]})

    async def _apply(self, found: Object) -> None:
        """Again where the server has only just learned of the kind."""
        for _ in range(50):
            with suppress(NotFoundError):
                await self.connection.apply(found, manager=MANAGER)
                return
            await asyncio.sleep(0.2)
        raise LookupError(f"the API server does not know {found['kind']}")
