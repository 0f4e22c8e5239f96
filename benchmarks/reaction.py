"""How soon the operator shifts traffic, and what it costs: 50 fleets of 5 pools in one cluster.

    python benchmarks/reaction.py [--kubeconfig FILE] [--fleets 50] [--json]

(It cannot be named operator.py: every script of this folder would then import it for the standard library's module.)

Three processes: an API server (the tests' own, or the cluster of a kubeconfig), `holdfast operator`, and this one,
which stands for kubelets, Karpenter and Prometheus. Then the same operator that polls: it lists everything each 10 s
instead of watching, as a controller with a resync loop does.

reaction: from when the first pod of a pool begins to be taken away, before the shortage's event is created, until the
route's new weights are told by a watch. steady: share of a core and memory while nothing happens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from cluster import crds, plans
from cluster.fleets import VIRTUAL, sd21
from cluster.karpenter import CORE_EVENT
from cluster.node_agent import running
from cluster.prometheus import PrometheusStandIn
from cluster.view import name, stamp
from cluster.witness import weights_of
from holdfast.control.operator.telling.listening import listening
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import ConflictError, KubeError
from holdfast.kube.kinds import Object
from holdfast.kube.watching import Watched

NAMESPACES = 5
NODE = "bench-node"
REPLICAS = 2
RATE_PER_S = 4.0
POLL_S = 10.0
LOST = "inf2-neuronx"
DEFINITION = kinds.Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
POLLING = """
import asyncio, sys
from holdfast.kube import watching
async def rest(self, version):
    self._opened()
    await asyncio.sleep({poll_s})
    self._version, self._failures = None, 0
watching.Watched._follow = rest
watching.BACK_OFF_S = 0.0
sys.argv = ["holdfast", *{arguments!r}]
from holdfast.cli.main import main
main()
"""


@dataclass(frozen=True)
class Footprint:
    """Of a process over a time in which nothing happened. cpu: share of one core. most_mib: since it began."""

    seconds: float
    cpu: float
    rss_mib: int
    most_mib: int


@dataclass(frozen=True)
class Reaction:
    """Seconds until the route was patched, of one fleet after another."""

    fleets: int
    p50_s: float
    p99_s: float
    most_s: float


class Cluster:
    """Fleets whose pods are ready or not as it is said here."""

    def __init__(self, connection: Connection, fleets: int, prometheus: str) -> None:
        self.connection = connection
        self.keys = [(f"bench-{number % NAMESPACES}", f"sd21-{number}") for number in range(fleets)]
        self._prometheus = prometheus
        self.routes: dict[tuple[str, str], tuple[dict[str, int], float]] = {}
        self._watched = [
            Watched(connection, kinds.INGRESS, f"bench-{number}", changed=self._routed, clock=time.time)
            for number in range(NAMESPACES)
        ]

    def _routed(self, route: Object, deleted: bool) -> None:
        if not deleted:
            key = route["metadata"]["namespace"], name(route)
            self.routes[key] = weights_of(route), time.perf_counter()

    async def set_up(self) -> None:
        """Definitions, namespaces, node pools, plans and fleets."""
        for definition in crds.definitions():
            try:
                await self.connection.create(DEFINITION, definition)
            except ConflictError:
                continue
        await asyncio.sleep(2.0)
        for number in range(NAMESPACES):
            described = {"name": f"bench-{number}"}
            await self.connection.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": described})
        for namespace, fleet in self.keys:
            declared = sd21(VIRTUAL, namespace, rate="4/s", peak="6/s", most=8)
            declared["metadata"]["name"] = fleet
            declared["spec"] |= {"planning": "given"}
            declared["spec"]["cluster"] |= {"prometheus": self._prometheus}
            for found in plans.platform(declared):
                if found["kind"] == "NodePool":
                    await self.connection.apply(found, manager="bench")
            await self.connection.apply(plans.plan_map(declared), manager="bench")
            await self.connection.apply(declared, manager="bench")

    async def beat(self) -> None:
        """All pods are on one Node, which a control plane takes for lost unless it hears of it now and then."""
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        await self.connection.apply(node, manager="bench")
        while True:
            at = stamp(time.time())
            ready = {"type": "Ready", "status": "True", "reason": "Bench", "lastHeartbeatTime": at}
            await self.connection.merge(
                kinds.NODE, NODE, None, {"status": {"conditions": [ready]}}, subresource="status"
            )
            await asyncio.sleep(10.0)

    async def until_routed(self, within_s: float) -> None:
        last_s = time.perf_counter() + within_s
        while len(self.routes) < len(self.keys):
            if time.perf_counter() > last_s:
                raise TimeoutError(f"{len(self.routes)} of {len(self.keys)} routes are there after {within_s:g} s")
            await asyncio.sleep(0.5)

    async def until_carrying(self, within_s: float) -> None:
        """Until the pools that are to be lost have weight to lose."""
        last_s = time.perf_counter() + within_s
        while idle := [key for key in self.keys if not self.routes[key][0].get(LOST, 0)]:
            if time.perf_counter() > last_s:
                raise TimeoutError(f"{LOST} has no weight in {len(idle)} fleets after {within_s:g} s")
            await asyncio.sleep(0.5)

    async def run_pods(self) -> None:
        """REPLICAS ready pods for each pool of each fleet."""
        for namespace, _ in self.keys[:NAMESPACES]:
            for deployment in (await self.connection.list(kinds.DEPLOYMENT, namespace)).items:
                for number in range(REPLICAS):
                    await self.start(deployment, number)

    async def start(self, deployment: Object, number: int) -> None:
        """One pod of a Deployment, ready at once."""
        namespace = deployment["metadata"]["namespace"]
        template = deployment["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{name(deployment)}-{number}", "labels": template["metadata"]["labels"]},
            "spec": template["spec"] | {"nodeName": NODE},
        }
        pod["spec"].pop("serviceAccountName", None)
        made = await self.connection.create(kinds.POD, pod, namespace)
        await self.connection.merge(kinds.POD, name(made), namespace, running(made, time.time()), subresource="status")

    async def withdraw(self, key: tuple[str, str], within_s: float) -> float:
        """Takes the pods of one pool away and says why; seconds until the route has no weight for it."""
        namespace, fleet = key
        began_s = time.perf_counter()
        for number in range(REPLICAS):
            await self.connection.delete(kinds.POD, f"{fleet}-{LOST}-{number}", namespace, grace_s=0)
        at = stamp(time.time())
        pool = f"{namespace}-{fleet}-{LOST}"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pool}-x2b4c.{random.randrange(16**8):x}", "namespace": "default"},
            "involvedObject": {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": f"{pool}-x2b4c"},
            "type": "Warning",
            "reason": "InsufficientCapacityError",
            "message": "creating instance, insufficient capacity",
            "count": 1,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "source": {"component": "karpenter"},
        }
        await self.connection.create(CORE_EVENT, event, "default")
        while self.routes[key][0].get(LOST, 0) or self.routes[key][1] < began_s:
            if time.perf_counter() > began_s + within_s:
                return within_s
            await asyncio.sleep(0.002)
        return self.routes[key][1] - began_s

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run()) for run in (self.beat, *(one.run for one in self._watched))]
            yield
            for task in tasks:
                task.cancel()

    async def clear(self) -> None:
        for number in range(NAMESPACES):
            for kind in (kinds.FLEET, kinds.POD):
                for found in (await self.connection.list(kind, f"bench-{number}")).items:
                    await self.connection.delete(kind, name(found), f"bench-{number}", grace_s=0)
            await self.connection.delete(kinds.NAMESPACE, f"bench-{number}")
        await self.connection.delete(kinds.NODE, NODE)
        for found in (await self.connection.list(kinds.NODE_POOL)).items:
            if name(found).startswith("bench-"):
                await self.connection.delete(kinds.NODE_POOL, name(found))


async def reactions(cluster: Cluster, keys: list[tuple[str, str]], within_s: float, apart_s: float) -> Reaction:
    """One fleet after another, with up to `apart_s` between them, so that polls come at any phase."""
    chance = random.Random(7)
    took = []
    for key in keys:
        took.append(await cluster.withdraw(key, within_s))
        await asyncio.sleep(chance.uniform(0.0, apart_s))
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return Reaction(len(took), round(statistics.median(took), 3), round(p99, 3), round(ordered[-1], 3))


async def footprint(process: subprocess.Popen[bytes], for_s: float) -> Footprint:
    """Rests for so long, and reads what the process has used."""
    before_s, began_s = _cpu_s(process.pid), time.perf_counter()
    await asyncio.sleep(for_s)
    took_s = time.perf_counter() - began_s
    rss, most = _memory_mib(process.pid)
    return Footprint(round(took_s, 1), round((_cpu_s(process.pid) - before_s) / took_s, 4), rss, most)


def _memory_mib(pid: int) -> tuple[int, int]:
    """Resident now, and at most."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(status[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM"))
    return now, most


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def operator(kubeconfig: Path, log: Path, poll_s: float | None = None) -> AsyncIterator[subprocess.Popen[bytes]]:
    """An operator in a process of its own; with `poll_s` it lists instead of watching."""
    arguments = ["operator", "--kubeconfig", str(kubeconfig), "--listen", "127.0.0.1:0", "--lease", "bench"]
    command = [sys.executable, "-m", "holdfast", *arguments]
    if poll_s is not None:
        command = [sys.executable, "-c", POLLING.format(poll_s=poll_s, arguments=arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "POD_NAMESPACE": "default"}
    with log.open("ab") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, env=environment)  # noqa: ASYNC220
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=15)


@asynccontextmanager
async def api_server(folder: Path, given: Path | None) -> AsyncIterator[Path]:
    """The kubeconfig of the given cluster, or of the tests' API server in a process of its own."""
    if given is not None:
        yield given
        return
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    command = [sys.executable, "-m", "kube_api.server", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)  # noqa: ASYNC220
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        file = folder / "kubeconfig"
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": url}}],
                    "users": [{"name": "u", "user": {}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )
        yield file
    finally:
        process.terminate()
        process.wait(timeout=10)


async def measure(given: Path | None, fleets: int, steady_s: float) -> dict[str, Any]:
    found: dict[str, Any] = {"server": "the tests' own" if given is None else "a control plane", "fleets": fleets}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stand_in = PrometheusStandIn(_metric, time.time)
        async with (
            api_server(folder, given) as kubeconfig,
            listening(stand_in.app, "127.0.0.1", 0) as prometheus,
            Connection.from_environment(kubeconfig=kubeconfig) as connection,
        ):
            cluster = Cluster(connection, fleets, prometheus)
            await cluster.set_up()
            most = fleets * 4 // 5
            try:
                async with cluster.watched():
                    async with operator(kubeconfig, folder / "log") as process:
                        await cluster.until_routed(240.0)
                        await cluster.run_pods()
                        await cluster.until_carrying(300.0)
                        await asyncio.sleep(10.0)
                        found["steady"] = asdict(await footprint(process, steady_s))
                        watching = await reactions(cluster, cluster.keys[:most], 30.0, 1.0)
                        found["reaction, watching"] = asdict(watching)
                    async with operator(kubeconfig, folder / "log", POLL_S) as process:
                        await asyncio.sleep(15.0)
                        found["steady, polling each 10 s"] = asdict(await footprint(process, steady_s))
                        polling = await reactions(cluster, cluster.keys[most:], 60.0, POLL_S)
                        found["reaction, polling each 10 s"] = asdict(polling)
            except (KubeError, TimeoutError):
                print((folder / "log").read_text()[-3000:], file=sys.stderr)
                raise
            finally:
                if given is not None:
                    await cluster.clear()
    return found


def _metric(query: str) -> float | None:
    return 5.0 if query.startswith("time()") else RATE_PER_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path, help="a control plane without nodes of its own")
    parser.add_argument("--fleets", type=int, default=50)
    parser.add_argument("--steady", type=float, default=60.0, help="seconds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = asyncio.run(measure(given.kubeconfig, given.fleets, given.steady))
    print(json.dumps(found, indent=2) if given.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
