"""Where a model's files are, and which of them are needed. Loads nothing of PyTorch."""

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
    config:   config.json, or model_index.json of a diffusion pipeline.
    compiled: whether it holds artifacts for Neuron (then config has what they were compiled for).
    trust_remote_code: whether Python code of the model may run; False unless the user asked for it.
    """

    name: str
    folder: Path
    task: Task
    config: Mapping[str, Any]
    compiled: bool = False
    trust_remote_code: bool = False


def find(
    model: str,
    *,
    task: Task | None = None,
    local_only: bool = False,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> ModelFiles:
    """The files of a folder, or of the Hub's model with this id, of which only what is needed is downloaded.

    task: None reads it off the files. Raises InputError. Blocks: it may download for minutes.
    """
    raise NotImplementedError
