"""What runs in a server's container, by framework: image, command, arguments, variables, probes."""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, Role
from holdfast.manifests.serving import disaggregation, drain, fabric, model_files, neuron, own_server
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit
from holdfast.model.unit import VLLM

PORT = 8000
"""Where a pod is asked, for answers and for metrics."""

LIVENESS_PATH = "/health"
METRICS_PATH = "/metrics"
HOME = "/cache"

_NVIDIA_IMAGE = "vllm/vllm-openai:v0.33.0"

_LOADING_S = 1800
_COMPILING_S = 3600
"""With Neuron's compiler: 15 minutes for a model of 15 GB (NxD Inference, "Loading pre-compiled models"); an hour for
larger ones is an assumption, as is half an hour for all that only load."""


def is_vllm(unit: DeploymentUnit) -> bool:
    return unit.runs_vllm


def readiness_path(unit: DeploymentUnit) -> str:
    """vLLM answers /health with 503 until it can serve; holdfast's own server tells ready from alive."""
    return "/health" if is_vllm(unit) else "/readiness"


def loading_s(unit: DeploymentUnit) -> int:
    """How long a server may take from when its files are there until it serves, before it is restarted."""
    return _COMPILING_S if unit.runs_vllm_neuron else _LOADING_S


def starting_s(placement: Placement) -> int:
    """How long from its start: a server that fetches its files itself has them later."""
    fetching_s = 0 if model_files.fetched(placement) else model_files.download_s(placement)
    return fetching_s + loading_s(placement.unit)


def image(placement: Placement) -> str:
    """The unit's own image, else the default of its framework on its accelerator.

    Raises InputError when there is neither, the unit's image is not pinned to a version, or the default lacks what the
    unit's network needs.
    """
    unit = placement.unit
    if unit.image is not None:
        return _pinned(unit.name, unit.image)
    if placement.fabric_interfaces:
        # vllm-project/vllm issue 55635 of 2026-09-07, "EFA vLLM image should work out of the box": open.
        raise InputError(
            f"the default image {_NVIDIA_IMAGE} has no libraries for EFA, and servers would talk over TCP instead",
            where=f"unit {unit.name}",
            mend="give `image:` with vLLM, libfabric and aws-ofi-nccl",
        )
    if unit.framework == VLLM and placement.accelerator.vendor == "nvidia":
        return _NVIDIA_IMAGE
    if unit.runs_vllm_neuron and placement.accelerator.name in neuron.IMAGES:
        return neuron.IMAGES[placement.accelerator.name]
    own = own_server.image(placement)
    if own is not None:
        return own
    known = unit.own_framework is not None
    raise InputError(
        f"there is no default image for framework {unit.framework} on {placement.accelerator.name}",
        where=f"unit {unit.name}",
        mend="give `image:` in the unit" + (f", or cluster.holdfast.image, {own_server.BESIDE}" if known else ""),
    )


def command(placement: Placement) -> list[str] | None:
    """The server's command; None leaves it to the image of a server that holdfast does not know.

    The images' entrypoints differ between vLLM versions and vendors, the module has been there in all of them. But only
    `vllm serve` heeds --headless, which all pods but the leader of a group have (vllm/entrypoints/cli/serve.py).
    """
    if placement.unit.own_framework is not None:
        return ["holdfast", "serve"]
    if not is_vllm(placement.unit):
        return None
    return ["vllm", "serve"] if placement.spans_nodes else ["python3", "-m", "vllm.entrypoints.openai.api_server"]


def port(role: Role | None) -> int:
    """Where the server itself listens; a decode server is behind its proxy."""
    return disaggregation.SERVER_PORT if role is Role.DECODE else PORT


def arguments(placement: Placement, role: Role | None = None, *, leads: bool = True) -> list[str]:
    """The server's arguments, from the unit and the model; none for a server that holdfast does not know."""
    if placement.unit.own_framework is not None:
        return own_server.arguments(placement, artifacts(placement), PORT)
    if not is_vllm(placement.unit):
        return []
    model = model_files.served(placement)
    return [
        model if placement.spans_nodes else f"--model={model}",
        *_configuration(placement),
        f"--port={port(role)}",
        *disaggregation.arguments(placement, role),
        *fabric.arguments(placement, leads=leads),
    ]


def places() -> dict[str, str]:
    """Caches go where the read-only root file system leaves room; USER names a user id that no image knows."""
    return {"HOME": HOME, "HF_HOME": f"{HOME}/huggingface", "USER": "holdfast"}


def artifacts(placement: Placement) -> str:
    """Folder of the artifacts compiled for exactly this configuration; empty where the engine takes none."""
    if neuron.loads_artifacts(placement):
        configuration = _configuration(placement)
    elif own_server.loads_artifacts(placement):
        configuration = own_server.configuration(placement)
    else:
        return ""
    return f"neuron/{neuron.configuration_hash(placement, image(placement), configuration)}"


def environment(placement: Placement, role: Role | None = None) -> list[Object]:
    """The server's variables, by name."""
    where = model_files.FOLDER if model_files.from_bucket(placement) else HOME
    values = places() | neuron.environment(placement, f"{where}/{artifacts(placement)}")
    if is_vllm(placement.unit):
        # Its API server gives up on an engine that is not ready after 600 s (vllm/envs.py): the probe decides instead.
        values["VLLM_ENGINE_READY_TIMEOUT_S"] = str(loading_s(placement.unit))
        # It would send usage statistics, for which the pod's network has no business.
        values["VLLM_NO_USAGE_STATS"] = "1"
    variables = [
        *({"name": name, "value": value} for name, value in values.items()),
        *model_files.environment(placement),
        *disaggregation.environment(role),
        *fabric.environment(placement),
    ]
    return sorted(variables, key=lambda variable: str(variable["name"]))


def _configuration(placement: Placement) -> list[str]:
    """The arguments that say what is served and how, on which compiled artifacts depend."""
    unit = placement.unit
    flags = {
        "--tensor-parallel-size": unit.tensor_parallel,
        "--pipeline-parallel-size": unit.pipeline_parallel,
        "--max-num-seqs": unit.max_num_seqs,
        "--max-model-len": unit.max_model_len,
    }
    if placement.fleet.spec.cluster.cascade is not None and unit.framework == VLLM:
        # A server that queues without end never lets go of a request that another could answer.
        flags["--max-num-queued-reqs"] = drain.most_queued(placement.fleet.spec.slo, placement.pool.limit_per_s)
    given = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    return [*model_files.arguments(placement), *given, *neuron.arguments(placement)]


def _pinned(unit: str, reference: str) -> str:
    _, _, tag = reference.rpartition("/")[2].partition(":")
    if "@" not in reference and tag in ("", "latest"):
        raise InputError(
            f"the image {reference!r} is not pinned, so that a restart may bring another version",
            where=f"unit {unit}",
            mend="give `image:` with a tag other than latest, or with a digest",
        )
    return reference
