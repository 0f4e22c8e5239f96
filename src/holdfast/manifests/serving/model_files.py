"""The model's files: an init container brings them before the server starts, and verifies what a bucket holds.

From a bucket come the files that its SHA256SUMS lists, of which the fleet states the checksum; the pod may read it by
EKS Pod Identity and holds no key. From Hugging Face come those of a commit, and the token is in the init container
alone: the server looks at its cache and asks nobody.
"""

from __future__ import annotations

import importlib.resources

from holdfast.catalog import models
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement

FOLDER = "/models"
"""Where files from a bucket are."""

TOKEN_KEY = "token"
"""Key of the Secret that the fleet names for Hugging Face."""

AWS_CLI = "public.ecr.aws/aws-cli/aws-cli:2.36.15"
"""With bash and sha256sum. As pinned in BerriAI/litellm's end-to-end tests, read 2026-11-21."""

_COPIES = "original/*"
"""The weights once more in their authors' own format; vLLM leaves them out by default (--ignore-patterns)."""

_FROM_HUB = (
    "import sys; from huggingface_hub import snapshot_download; "
    "snapshot_download(sys.argv[1], revision=sys.argv[2] or None, allow_patterns=sys.argv[3:] or None, "
    f"ignore_patterns=['{_COPIES}'])"
)

_BYTES_PER_S = 250e6
"""2 Gbit/s, which the smallest instances of the catalogue sustain (inf2.xlarge: 2.083 Gbit/s)."""

_UNKNOWN_DOWNLOAD_S = 1800


def from_bucket(placement: Placement) -> bool:
    return placement.fleet.spec.model.source.s3 is not None


def fetched(placement: Placement) -> bool:
    """Whether an init container brings them; other engines than vLLM find their own way to Hugging Face."""
    return from_bucket(placement) or placement.unit.runs_vllm


def served(placement: Placement) -> str:
    """The folder that the server loads, or the id that it finds in its cache."""
    return FOLDER if from_bucket(placement) else placement.fleet.spec.model.id


def arguments(placement: Placement) -> list[str]:
    """What else a server is told of its model. It answers to the model's id wherever the files are."""
    model = placement.fleet.spec.model
    revision = [] if model.source.revision is None else [f"--revision={model.source.revision}"]
    return [f"--served-model-name={model.id}", *revision]


def environment(placement: Placement) -> list[Object]:
    """Variables of the server."""
    token = _token(placement)
    if not fetched(placement):
        return token
    return [] if from_bucket(placement) else [{"name": "HF_HUB_OFFLINE", "value": "1"}]


def download(placement: Placement, engine_image: str, artifacts: str) -> Object:
    """Image, command, arguments and variables of the init container, without those that the server has too.

    artifacts: folder below the bucket's prefix that holds compiled artifacts; empty where the engine has none.
    """
    model = placement.fleet.spec.model
    source = model.source
    if source.s3 is not None:
        script = importlib.resources.files("holdfast.manifests.serving").joinpath("download.sh")
        values = {
            "ARTIFACTS": artifacts,
            "AWS_REGION": placement.fleet.spec.region,
            "DESTINATION": FOLDER,
            "SHA256": source.sha256,
            "SOURCE": source.s3.rstrip("/"),
        }
        return {
            "image": AWS_CLI,
            "command": ["/bin/bash", "-c"],
            "args": [script.read_text(encoding="utf-8"), "download", *_patterns(placement)],
            "env": [{"name": name, "value": value} for name, value in values.items()],
        }
    return {
        "image": engine_image,
        "command": ["python3", "-c"],
        "args": [_FROM_HUB, model.id, source.revision or "", *source.files],
        "env": _token(placement),
    }


def _patterns(placement: Placement) -> tuple[str, ...]:
    """Of the files that are fetched beside compiled artifacts, which for holdfast's own server are the whole model."""
    if placement.unit.own_framework == "neuronx":
        return ()
    return tuple(placement.fleet.spec.model.source.files) or ("*",)


def weight_bytes(placement: Placement) -> float | None:
    """Bytes of the weights of a model that the catalogue has; None where it does not know it."""
    known = models.built_in(placement.fleet.spec.model.id)
    return None if known is None else known.weight_bytes


def download_s(placement: Placement) -> int:
    """How long the files take to come, at 2 Gbit/s; half an hour, an assumption, where their size is not known."""
    size = weight_bytes(placement)
    return _UNKNOWN_DOWNLOAD_S if size is None else int(size / _BYTES_PER_S)


def notes(placement: Placement) -> list[str]:
    """What a reader should know of the files."""
    model = placement.fleet.spec.model
    found = []
    own = placement.unit.own_framework is not None
    if not fetched(placement):
        brings = "server downloads what it needs of its model" if own else "image brings its model itself"
        found.append(f"The {brings}: the fleet states no bucket (model.source.s3).")
    elif not from_bucket(placement) and model.source.revision is None:
        found.append("No commit is stated: a pod takes what is on `main` when it starts (model.source.revision).")
    elif from_bucket(placement) and not placement.unit.runs_vllm and not own:
        found.append(f"The model's files are in {FOLDER}, where the image must look for them.")
    if weight_bytes(placement) is None:
        found.append("The catalogue does not know the size of the model: no disk is requested for it.")
    return found


def _token(placement: Placement) -> list[Object]:
    secret = placement.fleet.spec.model.source.token_secret
    if secret is None:
        return []
    return [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": TOKEN_KEY}}}]
