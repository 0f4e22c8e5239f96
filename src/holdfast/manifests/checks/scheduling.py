"""Whether pods can run where they are sent: node selectors, taints, devices, and room beside daemon sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import nodes, resources
from holdfast.manifests.checks.objects import Found, items, mapping, text
from holdfast.manifests.checks.quantities import amount
from holdfast.manifests.checks.resources import NEURON_CORE
from holdfast.manifests.checks.trees import Container, Tree, Workload
from holdfast.model.findings import ObjectFinding
from holdfast.model.hardware import InstanceType

_GIB = 2**30

DAEMON_CPU = 0.15
"""CPU that EKS's own daemon sets request on each node: aws-node 50m and kube-proxy 100m (their add-ons' defaults)."""


def placed(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if nodes.selector(one) or resources.uses_devices(one)]


def selected(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """A node selector names nodes that some NodePool can bring."""
    chosen = nodes.selector(workload)
    custom = nodes.POOL in chosen
    if custom and nodes.pools(tree) and not any(pool.may_have(chosen) for pool in nodes.pools(tree)):
        told = ", ".join(f"{key}={value}" for key, value in sorted(chosen.items()))
        what, names = f"no NodePool brings nodes with {told}", ", ".join(pool.name for pool in nodes.pools(tree))
        path = nodes.selector_path(workload)
        yield workload.owner.wrong(path, told, names, what, "select the nodes of a NodePool that is there")


def tolerated(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Pods tolerate the taints of the nodes that they select."""
    candidates = nodes.of(tree, workload)
    untolerated = {
        pool.name: [taint for taint in pool.taints if not nodes.tolerates(workload, taint)] for pool in candidates
    }
    if candidates and all(untolerated.values()):
        name, taints = next(iter(untolerated.items()))
        told = ", ".join(nodes.plain(taint) for taint in taints)
        what = f"it selects nodes of NodePool {name} and does not tolerate their taint {told}: it stays pending"
        path = (*workload.path, "spec", "tolerations")
        yield workload.owner.wrong(path, "", told, what, "add the toleration")


def pools(tree: Tree) -> Sequence[Found]:
    return tree.of("NodePool")


def tainted(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """Nodes with accelerators keep others off by a taint."""
    pool = nodes.Pool(found)
    if pool.instance_types and not pool.taints:
        kind = pool.instance_types[0].name
        what = f"its {kind} nodes have no taint, so that any pod may fill them"
        path = ("spec", "template", "spec", "taints")
        yield found.doubtful(path, "", "a taint", what, f"taint them {pool.instance_types[0].resource_name}:NoSchedule")


def bounded(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """Limits are in what the nodes have: their devices, not only CPU."""
    pool, limits = nodes.Pool(found), mapping(found.body, "spec", "limits")
    names = {kind.resource_name for kind in pool.instance_types}
    path = ("spec", "limits")
    if not limits:
        what = "it has no limits: a fault elsewhere can buy any number of nodes"
        yield found.doubtful(path, "", "limits", what, "state limits")
        return
    for resource in limits:
        if resources.is_device(resource) and names and resource not in names | {NEURON_CORE}:
            what = f"its limit is on {resource}, and its nodes have {', '.join(sorted(names))}: it limits nothing"
            yield found.wrong((*path, resource), resource, ", ".join(sorted(names)), what, "name what its nodes have")
    if names and not any(resources.is_device(resource) for resource in limits):
        what = "its limits are not on devices, which are what it is paid for"
        name = min(names)
        yield found.doubtful(path, ", ".join(sorted(limits)), name, what, f"add a limit on {name}")


def containers(tree: Tree) -> Sequence[Container]:
    return [one for one in tree.containers if resources.devices(one)]


def devices(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Devices are asked for whole, as limits, and under the name that the nodes' device plugin advertises."""
    owner, path = container.workload.owner, (*container.path, "resources")
    limits = resources.limits(container)
    types = nodes.instance_types(tree, container.workload)
    for resource, asked in resources.devices(container).items():
        if amount(limits.get(resource)) != asked:
            what = (
                f"{container.name} requests {asked:g} {resource}, and its limit is {limits.get(resource, 'not stated')}"
            )
            mend = "state the same number under limits"
            yield owner.wrong((*path, "limits", resource), limits.get(resource, ""), f"{asked:g}", what, mend)
        if asked != int(asked):
            what = f"{container.name} asks for {asked:g} {resource}, and devices are not divided"
            yield owner.wrong((*path, "limits", resource), asked, "a whole number", what, "ask for whole devices")
        advertised = {kind.resource_name for kind in types}
        cores = resource == NEURON_CORE and "aws.amazon.com/neuron" in advertised
        if types and resource not in advertised and not cores and not _shared(resource):
            told, kinds = ", ".join(sorted(advertised)), ", ".join(kind.name for kind in types[:3])
            what = f"{container.name} asks for {resource}, and the device plugin of {kinds} advertises {told}"
            yield owner.wrong((*path, "limits", resource), resource, told, what, f"ask for {told}")
        second = [kind.name for kind in types if kind.accelerator in ("trainium2", "trainium3")]
        if resource == NEURON_CORE and second:
            what = (
                f"{container.name} asks for {resource} on {second[0]}, where two physical cores make one logical core "
                "and the plugin counts physical ones"
            )
            mend = "ask for aws.amazon.com/neuron, whole devices"
            yield owner.wrong((*path, "limits", resource), resource, "aws.amazon.com/neuron", what, mend)


def _shared(resource: str) -> bool:
    """MIG slices and time-sliced GPUs, which a plugin advertises as it is told to."""
    return resource.startswith("nvidia.com/mig-") or resource == "nvidia.com/gpu.shared"


def known(tree: Tree) -> Sequence[Workload]:
    return [one for one in placed(tree) if one.owner.kind != "DaemonSet" and nodes.instance_types(tree, one)]


def fits(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """One pod fits on a node beside the daemon sets: its devices, CPU and memory.

    A node has what is allocatable (catalogue), less what daemon sets of the tree request there and EKS's own do.
    """
    asked, types = resources.of_pod(workload), nodes.instance_types(tree, workload)
    why = [_too_much(tree, workload, asked, kind) for kind in types]
    if all(why):
        what = f"its pods {' and '.join(why[-1])}"
        path = (*workload.path, "spec", "containers")
        yield workload.owner.wrong(
            path, "; ".join(why[-1]), types[-1].name, what, "ask for less, or choose a larger instance"
        )


def _too_much(tree: Tree, workload: Workload, asked: dict[str, float], kind: InstanceType) -> list[str]:
    taken = [resources.of_pod(one) for one in tree.workloads if _runs_beside(tree, one, workload)]
    daemons = {name: sum(one.get(name, 0.0) for one in taken) for name in ("cpu", "memory")}
    cpu = None if kind.allocatable_cpu is None else kind.allocatable_cpu - daemons["cpu"] - DAEMON_CPU
    memory = None if kind.allocatable_memory_gib is None else kind.allocatable_memory_gib - daemons["memory"] / _GIB
    why: list[str] = []
    devices = asked.get(kind.resource_name, 0.0)
    if devices > kind.resource_count:
        why.append(f"ask for {devices:g} {kind.resource_name}, and {kind.name} has {kind.resource_count}")
    if cpu is not None and asked.get("cpu", 0.0) > cpu:
        why.append(f"request {asked['cpu']:g} CPUs, and {kind.name} has {cpu:.4g} beside its daemon sets")
    wanted = asked.get("memory", 0.0) / _GIB
    if memory is not None and wanted > memory:
        why.append(f"request {wanted:.4g} GiB of memory, and {kind.name} has {memory:.4g} beside its daemon sets")
    return why


def _runs_beside(tree: Tree, daemon: Workload, workload: Workload) -> bool:
    """Whether a daemon set runs on the nodes of the workload."""
    if daemon.owner.kind != "DaemonSet":
        return False
    return any(
        pool.may_have(nodes.selector(daemon)) and all(nodes.tolerates(daemon, taint) for taint in pool.taints)
        for pool in nodes.of(tree, workload)
    )


def memory_volumes(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if any(_in_memory(volume) for volume in items(one.spec, "volumes"))]


def _in_memory(volume: object) -> bool:
    return text(volume, "emptyDir", "medium") == "Memory"


def shared_memory(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Volumes in memory count as the container's memory, and are smaller than its limit."""
    for index, volume in enumerate(items(workload.spec, "volumes")):
        size = amount(mapping(volume, "emptyDir").get("sizeLimit"))
        name = text(volume, "name")
        users = [
            one for one in workload.containers if name in [text(m, "name") for m in items(one.spec, "volumeMounts")]
        ]
        bounds = [limit for one in users if (limit := amount(resources.limits(one).get("memory"))) is not None]
        if _in_memory(volume) and size is not None and bounds and size >= min(bounds):
            full, killed = size / _GIB, min(bounds) / _GIB
            what = f"volume {name} may fill {full:.4g} GiB of memory, and the container is killed at {killed:.4g}"
            path = (*workload.path, "spec", "volumes", index, "emptyDir", "sizeLimit")
            yield workload.owner.wrong(path, size, min(bounds), what, "make sizeLimit smaller than the memory limit")
