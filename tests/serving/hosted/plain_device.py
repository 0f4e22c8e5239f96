"""PyTorch on the CPU without any care, as a device; and one that takes a single shape and nothing else, as Neuron does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.decoder import Decoder
from holdfast.serving.hosted.tasks import Task

torch.set_num_threads(1)
MODELS = {
    Task.TEXT_CLASSIFICATION: transformers.AutoModelForSequenceClassification,
    Task.EMBEDDINGS: transformers.AutoModel,
    Task.IMAGE_CLASSIFICATION: transformers.AutoModelForImageClassification,
    Task.OBJECT_DETECTION: transformers.AutoModelForObjectDetection,
}


def files(folder: Path, task: Task) -> ModelFiles:
    import json

    name = "model_index.json" if task is Task.TEXT_TO_IMAGE else "config.json"
    return ModelFiles(folder.name, folder, task, json.loads((folder / name).read_text()))


@dataclass
class Recording:
    """A model that notes the shapes that it is given."""

    model: Any
    seen: list[tuple[int, ...]]

    def __call__(self, **tensors: torch.Tensor) -> Any:
        assert not torch.is_grad_enabled()
        shapes = {tuple(tensor.shape) for tensor in tensors.values()}
        assert len(shapes) == 1
        self.seen.extend(shapes)
        return self.model(**tensors)


class PlainDevice(Device):
    """seen: shapes of the encoder's inputs, a row for each call."""

    name = "cpu"
    kind = "a double"

    def __init__(self, framework: str = "eager", **fixed: int) -> None:
        self.framework = framework
        self.fixed = fixed
        self.seen: list[tuple[int, ...]] = []

    def encoder(self, files: ModelFiles) -> Any:
        return Recording(MODELS[files.task].from_pretrained(files.folder).eval(), self.seen)

    def pipeline(self, files: ModelFiles) -> Any:
        return diffusers.DiffusionPipeline.from_pretrained(files.folder, use_safetensors=True)

    def decoder(self, files: ModelFiles, bounds: Bounds) -> Decoder:
        raise NotImplementedError

    def shapes(self, files: ModelFiles) -> Mapping[str, int] | None:
        return self.fixed or None

    def move(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(tensors)

    def synchronise(self) -> None:
        pass
