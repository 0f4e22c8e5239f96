"""vLLM on AWS Neuron: images, arguments, and where compiled artifacts are.

Compiling takes minutes to an hour and is of one configuration only. The backend of Inferentia2 and Trainium (vLLM
0.16, NxD Inference) loads what lies in NEURON_COMPILED_ARTIFACTS, and silently ignores arguments that differ from those
it was compiled with; so the path has a hash of all that matters. The backend of Trainium2 and later (vLLM Neuron,
"Compilation cache") names its cache by content.
"""

from __future__ import annotations

import hashlib
import json

from holdfast.manifests.placement import Placement
from holdfast.model.fleet import DeploymentUnit

_REPOSITORY = "public.ecr.aws/neuron/pytorch-inference-vllm-neuronx"
_NXD = f"{_REPOSITORY}:0.16.0-neuronx-py312-sdk2.31.0-ubuntu24.04"
_NATIVE = f"{_REPOSITORY}:0.24.0.1.1.0-neuronx-py313-sdk2.32.0-ubuntu24.04"

IMAGES = {"inferentia2": _NXD, "trainium": _NXD, "trainium2": _NATIVE, "trainium3": _NATIVE}
"""Inferentia2 and Trainium stay on vLLM 0.16; the later images support Trainium2 and later only."""

CACHE = "/cache/neuron"


def loads_artifacts(placement: Placement) -> bool:
    """Whether the backend is the one that takes NEURON_COMPILED_ARTIFACTS."""
    return placement.unit.runs_vllm_neuron and IMAGES.get(placement.accelerator.name) == _NXD


def arguments(placement: Placement) -> list[str]:
    """What vLLM is told for Neuron; nothing on other accelerators."""
    unit = placement.unit
    if not unit.runs_vllm_neuron:
        return []
    return _blocks(unit) + _overrides(placement)


def environment(placement: Placement, artifacts: str) -> dict[str, str]:
    """Caches of the compiler, whose defaults are where nothing may be written."""
    if placement.accelerator.vendor != "aws":
        return {}
    # Default: /var/tmp/neuron-compile-cache (Neuron documentation, "Neuron Persistent Cache").
    cache = {"NEURON_COMPILE_CACHE_URL": CACHE}
    return cache | ({"NEURON_COMPILED_ARTIFACTS": artifacts} if loads_artifacts(placement) else {})


def configuration_hash(placement: Placement, image: str, arguments: list[str]) -> str:
    """12 hexadecimal digits of what is compiled: image, model, devices and arguments."""
    model = placement.fleet.spec.model
    compiled = {
        "image": image,
        # Not its sha256: that is of a list which has the artifacts themselves, by a path with this hash.
        "model": [model.id, model.source.revision, model.source.s3],
        "accelerator": placement.accelerator.name,
        "devices": placement.unit.devices_per_server,
        "arguments": sorted(arguments),
    }
    return hashlib.sha256(json.dumps(compiled, sort_keys=True).encode()).hexdigest()[:12]


def _blocks(unit: DeploymentUnit) -> list[str]:
    # Without prefix caching a sequence has one block: as many blocks as sequences.
    if unit.max_num_seqs is None:
        return []
    return ["--no-enable-prefix-caching", f"--num-gpu-blocks-override={unit.max_num_seqs}"]


def _overrides(placement: Placement) -> list[str]:
    """The unit's own settings of the compiler, under the name that the backend looks for."""
    if not placement.unit.neuron_config:
        return []
    name = "override_neuron_config" if loads_artifacts(placement) else "neuron_config"
    return [f"--additional-config={json.dumps({name: placement.unit.neuron_config}, sort_keys=True)}"]
