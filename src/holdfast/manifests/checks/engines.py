"""Servers of models: what vLLM (0.33) and AWS Neuron's vLLM take, by their arguments and environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.manifests.checks import nodes, resources
from holdfast.manifests.checks.keda import figure
from holdfast.manifests.checks.objects import Found, at, items, mapping, number, text, walk
from holdfast.manifests.checks.trees import Container, Tree, Workload
from holdfast.model.findings import ObjectFinding
from holdfast.model.hardware import InstanceType

_GONE = {
    "vllm:gpu_cache_usage_perc": "vllm:kv_cache_usage_perc",
    "vllm:time_per_output_token_seconds": "vllm:inter_token_latency_seconds",
    "vllm:cpu_cache_usage_perc": "vllm:kv_cache_usage_perc",
}
"""Series of former versions (shared list of 0.33's names; vllm/v1/metrics/loggers.py)."""


def servers(tree: Tree) -> Sequence[Container]:
    """Containers that run vLLM, by command, arguments or image."""
    return [one for one in tree.containers if one.stays and _is_vllm(one)]


def _is_vllm(container: Container) -> bool:
    words = " ".join(container.words)
    if "vllm.entrypoints" in words or re.search(r"\bvllm serve\b", words):
        return True
    return "vllm" in text(container.spec, "image") and container.argument("--model") is not None


def arguments(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Variables, ports and addresses are those that vLLM 0.33 reads."""
    owner, path = container.workload.owner, container.path
    if container.environment("VLLM_ATTENTION_BACKEND") is not None:
        what = f"{container.name} sets VLLM_ATTENTION_BACKEND, which vLLM 0.33 does not read"
        yield owner.doubtful((*path, "env"), "a variable", "--attention-backend", what, "pass --attention-backend")
    if container.workload.spec.get("enableServiceLinks") is not False:
        for service in tree.of("Service"):
            if service.name == "vllm" and service.namespace == container.workload.namespace:
                what = "Service vllm makes Kubernetes set VLLM_PORT, which vLLM reads as its own setting"
                mend = "set enableServiceLinks: false, or name the Service otherwise"
                yield owner.wrong((*container.workload.path, "spec"), "vllm", "false", what, mend)
    transfer = container.argument("--kv-transfer-config") or ""
    host = container.environment("VLLM_NIXL_SIDE_CHANNEL_HOST")
    if "Nixl" in transfer and at(host, "valueFrom", "fieldRef", "fieldPath") != "status.podIP":
        what = f"{container.name} hands KV caches over by NIXL, and peers do not learn its address"
        mend = "set VLLM_NIXL_SIDE_CHANNEL_HOST from status.podIP"
        yield owner.wrong((*path, "env"), "", "status.podIP", what, mend)
    port = container.argument("--port")
    declared = [str(mapping(one).get("containerPort")) for one in items(container.spec, "ports")]
    if port and declared and port not in declared:
        what = f"{container.name} listens on port {port}, and its ports are {', '.join(declared)}"
        yield owner.wrong((*path, "ports"), port, ", ".join(declared), what, "state the same port twice")


def parallel(tree: Tree) -> Sequence[Container]:
    return [one for one in servers(tree) if resources.devices(one) and one.argument("--tensor-parallel-size")]


def parallelism(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Tensor x pipeline x data parallel ranks are the devices of the pods of a replica; on Neuron, their cores."""
    owner = container.workload.owner
    tensor = figure(container.argument("--tensor-parallel-size"))
    pipeline = figure(container.argument("--pipeline-parallel-size") or "1")
    copies = figure(container.argument("--data-parallel-size") or "1")
    if not tensor or not pipeline or not copies or container.argument("--data-parallel-size-local"):
        return
    group = number(owner.body, "spec", "leaderWorkerTemplate", "size") or 1
    ranks = tensor * pipeline * copies
    for resource, devices in resources.devices(container).items():
        per_device = _ranks_per_device(resource, nodes.instance_types(tree, container.workload))
        there = devices * group * per_device
        path = (*container.path, "args")
        if ranks > there:
            what = f"{container.name} has {ranks:g} ranks, and its {devices * group:g} {resource} hold {there:g}"
            yield owner.wrong(path, f"{ranks:g}", f"{there:g}", what, "ask for as many devices as there are ranks")
        elif ranks < there and resource.startswith("nvidia.com/gpu"):
            what = f"{container.name} has {ranks:g} ranks and {there:g} GPUs: the others are paid for and idle"
            yield owner.doubtful(path, f"{ranks:g}", f"{there:g}", what, "ask for as many GPUs as there are ranks")


def _ranks_per_device(resource: str, types: list[InstanceType]) -> float:
    if resource != "aws.amazon.com/neuron":
        return 1.0
    # Without a type the most that a device of Neuron has, so that nothing is called wrong that is not.
    names = {kind.accelerator for kind in types}
    return max((nodes.cores(name) for name in names), default=8)


_FROZEN = re.compile(r"vllm-neuronx:0\.16\.")
_IMAGE = re.compile(r"vllm-neuronx:(\d+)\.(\d+)\.")


def neuron(tree: Tree) -> Sequence[Container]:
    return [one for one in tree.containers if one.stays and any("neuron" in name for name in resources.devices(one))]


def neuron_settings(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Neuron's image fits the chip, compiled artifacts are of the configuration, blocks are as many as sequences."""
    owner, path = container.workload.owner, container.path
    image = text(container.spec, "image")
    chips = {kind.accelerator for kind in nodes.instance_types(tree, container.workload)}
    match = _IMAGE.search(image)
    frozen = bool(_FROZEN.search(image))
    if match and not frozen and chips & {"inferentia2", "trainium"}:
        what = f"{container.name} runs {image}, and Inferentia2 and Trainium1 are supported up to vLLM 0.16 only"
        yield owner.wrong((*path, "image"), match[0], "0.16.0", what, "take the 0.16.0 image (SDK 2.31)")
    if frozen and chips & {"trainium2", "trainium3"}:
        what = f"{container.name} runs the image of Inferentia2 and Trainium1 on {min(chips)}"
        yield owner.doubtful((*path, "image"), "0.16.0", "0.24.0", what, "take the 0.24.0 image (SDK 2.32)")
    compiled = text(container.environment("NEURON_COMPILED_ARTIFACTS"), "value")
    if compiled and not re.search(r"[0-9a-f]{8,}", compiled):
        what = (
            f"compiled artifacts lie in {compiled} whatever the configuration, and changed flags are ignored in silence"
        )
        yield owner.doubtful((*path, "env"), compiled, "a hash", what, "put a hash of the configuration in the path")
    settings = " ".join(container.words)
    override = re.search(r"override[-_]neuron[-_]config\S*\s*(\{.*?\})", settings, re.DOTALL)
    dashed = re.findall(r'"([a-z]+(?:-[a-z]+)+)"\s*:', override[1]) if override else []
    if dashed:
        what = f"override_neuron_config has {dashed[0]}, and its keys have underscores"
        yield owner.wrong((*path, "args"), dashed[0], dashed[0].replace("-", "_"), what, "write underscores")
    blocks, sequences = container.argument("--num-gpu-blocks-override"), container.argument("--max-num-seqs")
    if "--no-enable-prefix-caching" in container.words and blocks and sequences and figure(blocks) != figure(sequences):
        what = f"{container.name} has {blocks} blocks for {sequences} sequences, one each without prefix caching"
        mend = "set --num-gpu-blocks-override to --max-num-seqs"
        yield owner.wrong((*path, "args"), blocks, sequences, what, mend)


def groups(tree: Tree) -> Sequence[Workload]:
    return [one for one in tree.workloads if one.owner.kind == "LeaderWorkerSet" and one.path[-1] == "workerTemplate"]


def ranks(tree: Tree, workload: Workload) -> Iterator[ObjectFinding]:
    """Workers of a group learn their leader and their own rank, and no probe asks them for HTTP."""
    size = number(workload.owner.body, "spec", "leaderWorkerTemplate", "size")
    if size is None or size < 2:
        return
    for container in (one for one in workload.containers if one.stays and _is_vllm(one)):
        told = repr(container.spec)
        for variable, why in (("LWS_LEADER_ADDRESS", "where its leader is"), ("LWS_WORKER_INDEX", "which rank it has")):
            if "--nnodes" in told and variable not in told:
                what = f"the worker's {container.name} is not told {why}"
                path = (*container.path, "args")
                yield workload.owner.wrong(path, "", f"$({variable})", what, f"pass $({variable})")
        nodes_told = figure(container.argument("--nnodes"))
        if nodes_told is not None and nodes_told != size:
            what = f"the worker's {container.name} is told of {nodes_told:g} nodes, and the group has {size:g}"
            yield workload.owner.wrong((*container.path, "args"), nodes_told, size, what, "pass $(LWS_GROUP_SIZE)")
        separate = workload.owner.at("spec", "leaderWorkerTemplate", "leaderTemplate") is not None
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if separate and mapping(container.spec, probe, "httpGet"):
                what = f"the {probe} of the worker's {container.name} asks for HTTP, which only the leader serves"
                yield workload.owner.wrong((*container.path, probe), "httpGet", "none", what, "leave it out")


def telling(tree: Tree) -> Sequence[Found]:
    return tree.of("ScaledObject", "PrometheusRule", "HorizontalPodAutoscaler", "ConfigMap")


def series(tree: Tree, found: Found) -> Iterator[ObjectFinding]:
    """Queries name series that vLLM 0.33 exports."""
    for path, value in walk(found.body):
        if isinstance(value, str):
            for gone, now in _GONE.items():
                if gone in value:
                    what = f"it asks for {gone}, which vLLM 0.33 does not export"
                    yield found.wrong(path, gone, now, what, f"ask for {now}")


def shared_memory(tree: Tree, container: Container) -> Iterator[ObjectFinding]:
    """Ranks in one pod exchange tensors through /dev/shm, of which a container has 64 MiB."""
    tensor = figure(container.argument("--tensor-parallel-size")) or 1
    mounts = [text(mount, "mountPath").rstrip("/") for mount in items(container.spec, "volumeMounts")]
    if tensor > 1 and "/dev/shm" not in mounts:
        what = f"{container.name} has {tensor:g} ranks, which exchange tensors through 64 MiB of shared memory"
        mend = "mount an emptyDir with medium Memory at /dev/shm"
        path = (*container.path, "volumeMounts")
        yield container.workload.owner.doubtful(path, "64 MiB", "/dev/shm", what, mend)
