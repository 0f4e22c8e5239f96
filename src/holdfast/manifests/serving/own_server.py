"""holdfast's own server, for models that vLLM does not serve: its image and its arguments (docs/serve.md).

It is told its unit and its node pool, with which it labels every sample of its metrics: a pod cannot look up labels of
its node.
"""

from __future__ import annotations

import re

from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import drain, model_files
from holdfast.model.errors import InputError

IMAGES = {"nvidia": "holdfast-serve-cuda", "aws": "holdfast-serve-neuronx"}
"""By the vendor of the accelerator; as the files in `images/` build them."""

BESIDE = "`.../holdfast:TAG`, beside which `make -C images push` puts the servers' images"

_DEVICES = {"nvidia": "cuda", "aws": "neuron"}
_FRAMEWORKS = {"nvidia": ("eager", "compile"), "aws": ("neuronx",)}

_HOLDFAST = re.compile(r"(?P<registry>(?:[^@]*/)?)holdfast:(?P<tag>[^:@/]+)")

_EXIT_MARGIN_S = 5
"""Between the end of the server's own drain and the kill: for the process to exit."""


def check(placement: Placement) -> None:
    """Raises InputError for a unit that the server cannot run as it is stated."""
    unit = placement.unit
    if unit.own_framework is None:
        return
    where = f"unit {unit.name}"
    vendor = placement.accelerator.vendor
    if unit.own_framework not in _FRAMEWORKS[vendor]:
        others = " or ".join(_FRAMEWORKS[vendor])
        raise InputError(
            f"holdfast's own server does not run framework {unit.framework} on {placement.accelerator.name}",
            where=where,
            mend=f"set framework: {others}",
        )
    if placement.spans_nodes or (vendor == "nvidia" and unit.tensor_parallel * unit.pipeline_parallel > 1):
        raise InputError(
            "holdfast's own server uses one GPU, and on Neuron the devices of one node",
            where=where,
            mend="set tensorParallel and pipelineParallel to 1, or framework: vllm",
        )


def image(placement: Placement) -> str | None:
    """The image in the registry from which the fleet takes holdfast, of the same tag; None where that is not known."""
    own = placement.fleet.spec.cluster.holdfast
    found = None if own is None else _HOLDFAST.fullmatch(own.image)
    if placement.unit.own_framework is None or found is None:
        return None
    return f"{found['registry']}{IMAGES[placement.accelerator.vendor]}:{found['tag']}"


def loads_artifacts(placement: Placement) -> bool:
    """Whether it takes a compiled model from the bucket. Of one on Hugging Face the repository itself is compiled."""
    return placement.unit.own_framework == "neuronx" and model_files.from_bucket(placement)


def configuration(placement: Placement) -> list[str]:
    """The arguments that say what is served and how, on which compiled artifacts depend."""
    unit = placement.unit
    bounds = {"--max-batch": unit.max_num_seqs, "--max-tokens": unit.max_model_len}
    return [
        f"--device={_DEVICES[placement.accelerator.vendor]}",
        f"--framework={unit.own_framework}",
        f"--task={placement.fleet.spec.model.task}",
        *(f"{flag}={value}" for flag, value in bounds.items() if value is not None),
    ]


def arguments(placement: Placement, artifacts: str, port: int) -> list[str]:
    """What `holdfast serve` is told. artifacts: folder of the compiled model within the model's."""
    fleet = placement.fleet
    in_bucket = model_files.from_bucket(placement)
    folder = f"{model_files.FOLDER}/{artifacts}".rstrip("/")
    queued = drain.most_queued(fleet.spec.slo, placement.pool.limit_per_s)
    return [
        folder if in_bucket else fleet.spec.model.id,
        *configuration(placement),
        *(["--local-only"] if in_bucket else []),
        *model_files.arguments(placement),
        *([f"--max-queued={queued}"] if fleet.spec.cluster.cascade is not None else []),
        f"--drain-timeout={drain.EXIT_S - _EXIT_MARGIN_S}s",
        f"--unit={placement.unit.name}",
        f"--node-pool={placement.node_pool}",
        "--host=0.0.0.0",
        f"--port={port}",
    ]


def notes(placement: Placement, artifacts: str) -> list[str]:
    """What a reader of the pod's file should know."""
    if placement.unit.own_framework != "neuronx":
        return []
    if not artifacts:
        return [
            "The server compiles nothing, and takes no compiled artifacts, which are programs, from Hugging Face:",
            "compile the model (`holdfast compile`) into a bucket (model.source.s3).",
        ]
    return [
        f"The compiled model (`holdfast compile`) is in {artifacts} below the bucket's prefix, and listed in",
        "SHA256SUMS; another image or configuration looks elsewhere.",
    ]
