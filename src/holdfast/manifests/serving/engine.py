"""What runs in a replica's container, by framework: image, command, arguments, probes."""

from __future__ import annotations

from holdfast.manifests.placement import Placement
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit
from holdfast.model.unit import VLLM

PORT = 8000
LIVENESS_PATH = "/health"
METRICS_PATH = "/metrics"
HOME = "/cache"

_NVIDIA_IMAGE = "vllm/vllm-openai:v0.33.0"
_NEURON = "public.ecr.aws/neuron/pytorch-inference-vllm-neuronx"
_NEURON_IMAGES = {
    # Inferentia2 and Trainium stay on vLLM 0.16; the later images support Trainium2 and later only.
    "inferentia2": f"{_NEURON}:0.16.0-neuronx-py312-sdk2.31.0-ubuntu24.04",
    "trainium": f"{_NEURON}:0.16.0-neuronx-py312-sdk2.31.0-ubuntu24.04",
    "trainium2": f"{_NEURON}:0.24.0.1.1.0-neuronx-py313-sdk2.32.0-ubuntu24.04",
    "trainium3": f"{_NEURON}:0.24.0.1.1.0-neuronx-py313-sdk2.32.0-ubuntu24.04",
}


def is_vllm(unit: DeploymentUnit) -> bool:
    return unit.runs_vllm


def readiness_path(unit: DeploymentUnit) -> str:
    """vLLM answers /health with 503 until it can serve; holdfast's own server tells ready from alive."""
    return "/health" if is_vllm(unit) else "/readiness"


def image(placement: Placement) -> str:
    """The unit's own image, else the default of its framework on its accelerator.

    Raises InputError when there is neither, or the unit's image is not pinned to a version.
    """
    unit = placement.unit
    if unit.image is not None:
        return _pinned(unit.name, unit.image)
    if unit.framework == VLLM and placement.accelerator.vendor == "nvidia":
        return _NVIDIA_IMAGE
    if unit.runs_vllm_neuron and placement.accelerator.name in _NEURON_IMAGES:
        return _NEURON_IMAGES[placement.accelerator.name]
    raise InputError(
        f"there is no default image for framework {unit.framework} on {placement.accelerator.name}",
        where=f"unit {unit.name}",
        mend="give `image:` in the unit",
    )


def command(placement: Placement) -> list[str] | None:
    """The server's command; None leaves it to the image.

    The images' entrypoints differ between vLLM versions and vendors, the module has been there in all of them.
    """
    return ["python3", "-m", "vllm.entrypoints.openai.api_server"] if is_vllm(placement.unit) else None


def arguments(placement: Placement) -> list[str]:
    """The server's arguments, from the unit and the model; none for images that are not vLLM's."""
    unit = placement.unit
    if not is_vllm(unit):
        return []
    flags = {
        "--model": placement.fleet.spec.model.id,
        "--port": PORT,
        "--tensor-parallel-size": unit.tensor_parallel,
        "--pipeline-parallel-size": unit.pipeline_parallel,
        "--max-num-seqs": unit.max_num_seqs,
        "--max-model-len": unit.max_model_len,
    }
    given = [f"{flag}={value}" for flag, value in flags.items() if value is not None]
    return given + _neuron_cache_arguments(unit)


def environment() -> dict[str, str]:
    """Caches go where the read-only root file system leaves room; USER names a user id that no image knows."""
    return {"HOME": HOME, "HF_HOME": f"{HOME}/huggingface", "USER": "holdfast"}


def _neuron_cache_arguments(unit: DeploymentUnit) -> list[str]:
    # On Neuron, without prefix caching, a sequence has one block: as many blocks as sequences.
    if not unit.runs_vllm_neuron or unit.max_num_seqs is None:
        return []
    return ["--no-enable-prefix-caching", f"--num-gpu-blocks-override={unit.max_num_seqs}"]


def _pinned(unit: str, reference: str) -> str:
    _, _, tag = reference.rpartition("/")[2].partition(":")
    if "@" not in reference and tag in ("", "latest"):
        raise InputError(
            f"the image {reference!r} is not pinned, so that a restart may bring another version",
            where=f"unit {unit}",
            mend="give `image:` with a tag other than latest, or with a digest",
        )
    return reference
