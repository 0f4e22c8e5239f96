"""PyTorch on the CPU as a device, without any care; given a shape it takes no other, as Neuron does."""

from __future__ import annotations

import json
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
    name = "model_index.json" if task is Task.TEXT_TO_IMAGE else "config.json"
    return ModelFiles(folder.name, folder, task, json.loads((folder / name).read_text()))


@dataclass
class Recording:
    """A model that notes the shapes that it is given. fixed: the one that it takes, if there is but one."""

    model: Any
    seen: list[tuple[int, ...]]
    fixed: tuple[int, ...] | None

    def __call__(self, **tensors: torch.Tensor) -> Any:
        assert not torch.is_grad_enabled()
        shapes = {tuple(tensor.shape) for tensor in tensors.values()}
        assert len(shapes) == 1
        if self.fixed is not None and shapes != {self.fixed}:
            raise ValueError(f"compiled for {self.fixed}, given {shapes}")
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
        sizes = self.fixed
        fixed: tuple[int, ...] | None = None
        if "sequence_length" in sizes:
            fixed = (sizes["batch_size"], sizes["sequence_length"])
        elif "height" in sizes:
            fixed = (sizes["batch_size"], 3, sizes["height"], sizes["width"])
        return Recording(MODELS[files.task].from_pretrained(files.folder).eval(), self.seen, fixed)

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
