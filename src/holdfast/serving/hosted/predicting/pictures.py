"""Image classification and object detection."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting import images
from holdfast.serving.hosted.predicting.configuration import configuration
from holdfast.serving.hosted.predicting.labels import Labelled, Labels
from holdfast.serving.hosted.predicting.pixels import Pixels
from holdfast.serving.hosted.predicting.rows import Rows


@dataclass(frozen=True)
class Picture:
    """An image file as it was sent (PNG, JPEG, WebP); threshold: least score of an object that is told, 0..1."""

    data: bytes
    threshold: float = 0.5


@dataclass(frozen=True)
class Recognised:
    """All labels, the likeliest first."""

    labels: tuple[Labelled, ...]


@dataclass(frozen=True)
class Found:
    """An object; box: left, top, right, bottom in pixels of the image that was sent, and a little beyond its edges."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Detected:
    """The likeliest first; width, height: of the image that was sent, held upright, in pixels."""

    objects: tuple[Found, ...]
    width: int
    height: int


@dataclass(frozen=True)
class Seen:
    """A picture ready for the model. values: (channels, height, width); width, height: of what was sent."""

    values: torch.Tensor
    width: int
    height: int
    threshold: float


class _Looker:
    """What the predictors of images share: pictures of one shape, stacked."""

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds) -> None:
        shapes = device.shapes(files)
        self._bounds = bounds
        self._device = device
        self._rows = Rows.of(device, shapes, bounds)
        self._pixels = Pixels(files, shapes)
        self._config = configuration(files)
        self._model = device.encoder(files)
        self.max_batch = self._rows.most

    def prepare(self, request: Picture) -> Seen:
        if not 0 <= request.threshold <= 1:
            raise RequestError(400, f"threshold is {request.threshold}; it is between 0 and 1", param="threshold")
        image = images.decode(request.data, self._bounds.max_pixels)
        return Seen(self._pixels.of(image), image.width, image.height, request.threshold)

    def shape(self, prepared: Seen) -> object:
        """Images that the model sees in different sizes are not batched: padding changes what YOLOS finds."""
        return tuple(prepared.values.shape)

    def _run(self, batch: Sequence[Seen]) -> Any:
        values = torch.stack([seen.values for seen in self._rows.filled(batch)])
        with torch.no_grad():
            return self._model(**self._device.move({"pixel_values": values}))

    def _blanks(self, *sizes: tuple[int, int]) -> list[list[Seen]]:
        """Batches to warm up with, of blank images of these widths and heights."""
        blanks = [Seen(self._pixels.of(Image.new("RGB", size)), *size, 0.5) for size in sizes]
        return [[blank] * count for blank in blanks for count in self._rows.to_warm()]


class ImageClassifier(_Looker):
    """A Predictor of the labels of an image."""

    def predict(self, batch: Sequence[Seen]) -> list[Recognised]:
        logits = self._run(batch).logits[: len(batch)].cpu()
        return [Recognised(labels) for labels in Labels.of(self._config).ranked(logits)]

    def warm_up(self) -> None:
        for batch in self._blanks((640, 480)):
            self.predict(batch)


class ObjectDetector(_Looker):
    """A Predictor of the objects in an image, and of where they are."""

    def predict(self, batch: Sequence[Seen]) -> list[Detected]:
        output = self._run(batch)
        told = types.SimpleNamespace(
            logits=output.logits[: len(batch)].float().cpu(), pred_boxes=output.pred_boxes[: len(batch)].float().cpu()
        )
        found = self._pixels.processor.post_process_object_detection(
            told,
            threshold=min(seen.threshold for seen in batch),
            target_sizes=torch.tensor([[seen.height, seen.width] for seen in batch]),
        )
        return [self._detected(seen, one) for seen, one in zip(batch, found, strict=True)]

    def warm_up(self) -> None:
        """At the shapes of common photographs; any other shape is run, and compiled, when it comes."""
        for batch in self._blanks((640, 480), (480, 640)):
            self.predict(batch)

    def _detected(self, seen: Seen, found: Any) -> Detected:
        objects = [
            Found(str(self._config.id2label[label]), score, tuple(box))
            for score, label, box in zip(*(found[key].tolist() for key in ("scores", "labels", "boxes")), strict=True)
            if score > seen.threshold
        ]
        return Detected(tuple(sorted(objects, key=lambda one: -one.score)), seen.width, seen.height)
