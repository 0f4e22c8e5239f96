"""A model on this machine's disk, ready to be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.serving.hosted.tasks import Task


@dataclass(frozen=True)
class ModelFiles:
    """A model on this machine's disk, checked: complete, its weights safetensors (or Neuron's compiled artifacts).

    name:     as it was asked for: an id of the Hub, or a folder.
    folder:   where its files are.
    task:     what it is for.
    config:   config.json, or model_index.json of a diffusion pipeline. Where artifacts for Neuron are, it has what
              they were compiled for as "neuron": a mapping, or of a pipeline one for each part ("unet",
              "vae_decoder", ...).
    compiled: whether it holds artifacts for Neuron.
    trust_remote_code: whether Python code of the model may run; False unless the user asked for it.
    variant:  of the weights' names, e.g. fp16 in model.fp16.safetensors; what from_pretrained(variant=) wants.
    """

    name: str
    folder: Path
    task: Task
    config: Mapping[str, Any]
    compiled: bool = False
    trust_remote_code: bool = False
    variant: str | None = None
