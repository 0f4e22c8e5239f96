"""Image classification and object detection."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.serving.hosted.predicting.texts import Labelled


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
    """An object; box: left, top, right, bottom in pixels of the image that was sent."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Detected:
    """The likeliest first; width, height: of the image that was sent, in pixels."""

    objects: tuple[Found, ...]
    width: int
    height: int


# class ImageClassifier(files, device, bounds): Predictor[Picture, ..., Recognised]
# class ObjectDetector(files, device, bounds): Predictor[Picture, ..., Detected]
