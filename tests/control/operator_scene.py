"""Operators in virtual time on the tests' API server, with fleets whose plans are given."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import virtual_time
from holdfast.control.operator.loop import Operator
from holdfast.control.operator.plans import plan_records
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.seeing.seen import Reading
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import KubeError
from holdfast.kube.kinds import Kind, Object
from holdfast.kube.leases import Leadership
from holdfast.manifests import names
from holdfast.manifests.fleet import plan_map
from holdfast.manifests.operator import resource_definition
from holdfast.manifests.placement import Placement
from holdfast.model import codec, document
from holdfast.model.document import Declared
from holdfast.model.operation import Planning
from holdfast.model.plan import Plan
from holdfast.telemetry.errors import UnreadError
from kube_api.api import Api
from kube_api.faults import Fault, Faults, none
from kube_api.requests import Request
from kube_api.serving import Serving
from kube_api.transport import InProcess
from manifests.conftest import _plan as plan_of

SPACE = "inference"
LEASE = "holdfast-operator"

_OPEN = (kinds.SCALED_OBJECT, kinds.TRIGGER_AUTHENTICATION, kinds.POD_MONITOR, kinds.PROMETHEUS_RULE)
_WRITES = {"POST", "PUT", "PATCH", "DELETE"}


def definition(kind: Kind) -> Object:
    """A CustomResourceDefinition that takes any object of the kind."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    named = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower(), "listKind": f"{kind.kind}List"}
    version = {"name": kind.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {"group": kind.group, "names": named, "scope": "Namespaced", "versions": [version]},
    }


def given(name: str = "sd21") -> Plan:
    """A plan of two pools with 60 and 40 of the weight, for a fleet with `planning: given`."""
    made = plan_of(name=name)
    spec = made.fleet.spec.model_copy(update={"planning": Planning.GIVEN})
    return replace(made, fleet=made.fleet.model_copy(update={"spec": spec}))


def definitions(lacks: Sequence[Kind] = ()) -> list[Object]:
    """Of all kinds that fleets on an ALB with KEDA are made of; Karpenter's are not among them."""
    own = [] if kinds.FLEET in lacks else [resource_definition.manifest("crd.yaml").object]
    return [*own, *(definition(kind) for kind in _OPEN if kind not in lacks)]


def plan_objects(plan: Plan) -> tuple[Object, Object]:
    """A fleet and its plan, as people apply both."""
    described = {
        "name": names.label(plan.fleet.metadata.name, plan_records.PLAN),
        "namespace": SPACE,
        "labels": {plan_map.FLEET_LABEL: plan.fleet.metadata.name},
    }
    data = {"plan.json": json.dumps(codec.to_jsonable(plan))}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": described, "data": data}
    return document.resource(Declared(plan.fleet, {})), config


@dataclass
class Rate:
    """A source of readings. problem: why it has none; empty where it has."""

    rate_per_s: float = 12.0
    every_s: float = 10.0
    problem: str = ""

    async def reading(self, now_s: float) -> Reading:
        if self.problem:
            raise UnreadError(self.problem)
        return Reading(self.rate_per_s, 0.0)

    async def highest_per_s(self, now_s: float) -> float | None:
        return self.rate_per_s


@dataclass
class Scene:
    """One API server, and who asks it. sent, faults: by the operator's name; what it wrote, as `PATCH /path`."""

    api: Api = field(init=False)
    people: Connection = field(init=False)
    sent: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)
    rate: Rate = field(default_factory=Rate)
    lacks: Sequence[Kind] = ()

    def __post_init__(self) -> None:
        self.api = Api(definitions(self.lacks), now_s=self.clock())
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}, self.clock())
        self.people = Connection("http://api.test", transport=InProcess(Serving(self.api, self.clock)))

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    def operator(self, name: str = "a", *, acts: bool = True, namespaces: Sequence[str] = ()) -> Operator:
        self.sent[name] = []

        def meets(request: Request) -> Fault | None:
            if request.method in _WRITES:
                self.sent[name].append(f"{request.method} {request.path}")
            return self.faults.get(name, none)(request)

        connection = Connection("http://api.test", transport=InProcess(Serving(self.api, self.clock, faults=meets)))
        leadership = Leadership(connection, LEASE, "default", name, clock=self.clock) if acts else None
        return Operator(
            connection,
            leadership,
            Planner(self.clock),
            self._source,
            instance=name,
            namespaces=namespaces,
            clock=self.clock,
            chance=random.Random(name),
        )

    async def _source(self, placed: Sequence[Placement]) -> Rate:
        return self.rate

    async def declare(self, plan: Plan) -> None:
        for one in plan_objects(plan):
            await self.people.apply(one, manager="people")

    async def there(self, kind: Kind, name: str) -> Object | None:
        with suppress(KubeError):
            return await self.people.get(kind, name, SPACE)
        return None

    async def pods(self, plan: Plan, unit: str, count: int, *, ready: bool = True) -> None:
        """So many pods of the unit, made or changed to be ready or not."""
        fleet = plan.fleet.metadata.name
        name = names.label(fleet, unit)
        labels = {
            "app.kubernetes.io/name": fleet,
            "app.kubernetes.io/instance": name,
            "app.kubernetes.io/part-of": fleet,
            "app.kubernetes.io/managed-by": "holdfast",
            "holdfast.dev/unit": unit,
        }
        for number in range(count):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-{number}", "namespace": SPACE, "labels": labels},
                "spec": {"containers": [{"name": "server", "image": "x"}]},
            }
            await self.people.apply(pod, manager="kubelet")
            told = [{"type": "Ready", "status": str(ready)}, {"type": "PodScheduled", "status": "True"}]
            status = {"status": {"phase": "Running", "conditions": told}}
            await self.people.merge(kinds.POD, f"{name}-{number}", SPACE, status, subresource="status")

    async def weights(self, fleet: str = "sd21") -> dict[str, int]:
        """By the record on the route."""
        route = await self.there(kinds.INGRESS, fleet)
        text = {} if route is None else route["metadata"]["annotations"]
        found: dict[str, int] = json.loads(text.get("holdfast.dev/routing", '{"weights": {}}'))["weights"]
        return found

    async def term(self, fleet: str = "sd21") -> int:
        route = await self.people.get(kinds.INGRESS, fleet, SPACE)
        return int(json.loads(route["metadata"]["annotations"]["holdfast.dev/routing"])["term"])

    async def condition(self, kind: str, fleet: str = "sd21") -> str:
        """Status and reason."""
        found = await self.there(kinds.FLEET, fleet)
        told = [] if found is None else found.get("status", {}).get("conditions", [])
        return next((f"{one['status']} {one['reason']}" for one in told if one["type"] == kind), "")

    def written(self, name: str) -> list[str]:
        """What the operator wrote but its Lease."""
        return [one for one in self.sent[name] if "/leases" not in one]


async def operate(operator: Operator) -> asyncio.Task[None]:
    """Runs it until somebody cancels the task or stops it."""
    return asyncio.create_task(operator.run(), name="operator")


async def killed(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


run = virtual_time.run
rest = asyncio.sleep
