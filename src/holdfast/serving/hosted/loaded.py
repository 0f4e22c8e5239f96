"""A model that can be asked, of whatever task."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.tasks import Task

Loaded = TextGenerator | Batcher[Any, Any, Any]


@dataclass(frozen=True)
class Model:
    """A model that is loaded and warmed up, and where it runs."""

    files: ModelFiles
    device: Device
    loaded: Loaded


_PREDICTORS = {
    Task.TEXT_CLASSIFICATION: ("texts", "TextClassifier"),
    Task.EMBEDDINGS: ("texts", "Embedder"),
    Task.IMAGE_CLASSIFICATION: ("pictures", "ImageClassifier"),
    Task.OBJECT_DETECTION: ("pictures", "ObjectDetector"),
    Task.TEXT_TO_IMAGE: ("painting", "Painter"),
}
"""Module and class of each task's predictor, by name: a server imports the libraries of its own task alone."""


def load(
    files: ModelFiles,
    device: Device,
    bounds: Bounds,
    published: Published,
    *,
    warming: Callable[[], object] = lambda: None,
) -> Loaded:
    """Load, place and warm up the model: a generator for text, a batcher around the task's predictor for the rest.

    warming: called when the weights are loaded and the warm-up begins. Blocks; called in the device's thread.
    """
    if files.task is Task.TEXT_GENERATION:
        generator = TextGenerator(files, device, bounds, published)
        warming()
        generator.warm_up()
        return generator
    module, name = _PREDICTORS[files.task]
    kind = getattr(importlib.import_module(f"holdfast.serving.hosted.predicting.{module}"), name)
    predictor = kind(files, device, bounds)
    warming()
    predictor.warm_up()
    return Batcher(predictor, bounds, published)
