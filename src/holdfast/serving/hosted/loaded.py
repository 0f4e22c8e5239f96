"""A model that can be asked, of whatever task."""

from __future__ import annotations

from typing import Any

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.hosted.predicting.batcher import Batcher

Loaded = TextGenerator | Batcher[Any, Any, Any]


def load(files: ModelFiles, device: Device, bounds: Bounds, published: Published) -> Loaded:
    """Load, place and warm up the model: a generator for text, a batcher around the task's predictor for the rest. Blocks; called in
    the device's thread."""
    raise NotImplementedError
