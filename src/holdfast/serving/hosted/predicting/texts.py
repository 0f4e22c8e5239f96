"""Text classification and embeddings."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting.configuration import configuration
from holdfast.serving.hosted.predicting.labels import Labelled as Labelled
from holdfast.serving.hosted.predicting.labels import Labels
from holdfast.serving.hosted.predicting.pooling import pooling_of
from holdfast.serving.hosted.predicting.tokens import Encoded, Tokens

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Text:
    """One input: a text, or token ids."""

    text: str | tuple[int, ...]


@dataclass(frozen=True)
class Classified:
    """All labels, the likeliest first; tokens: of the input."""

    labels: tuple[Labelled, ...]
    tokens: int


@dataclass(frozen=True)
class Embedded:
    """vector: float32, of length 1. tokens: of the input."""

    vector: npt.NDArray[np.float32]
    tokens: int


class _Reader(abc.ABC, Generic[Answer]):
    """A Predictor of one answer to a text, from one pass of an encoder."""

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds) -> None:
        self._device = device
        self._tokens = Tokens(files, configuration(files), device, bounds)
        self._model = device.encoder(files)
        self.max_batch = self._tokens.rows.most

    def prepare(self, request: Text) -> Encoded:
        return self._tokens.encode(request.text)

    def shape(self, prepared: Encoded) -> object:
        return self._tokens.bucket(len(prepared.ids))

    @abc.abstractmethod
    def predict(self, batch: Sequence[Encoded]) -> list[Answer]:
        """As Predictor has it."""

    def warm_up(self) -> None:
        for batch in self._tokens.to_warm():
            self.predict(batch)


class TextClassifier(_Reader[Classified]):
    """A Predictor of the labels of a text."""

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds) -> None:
        self._labels = Labels.of(configuration(files))
        super().__init__(files, device, bounds)

    def predict(self, batch: Sequence[Encoded]) -> list[Classified]:
        with torch.no_grad():
            output = self._model(**self._device.move(self._tokens.padded(batch)))
        ranked = self._labels.ranked(output.logits[: len(batch)].cpu())
        return [Classified(labels, len(one.ids)) for labels, one in zip(ranked, batch, strict=True)]


class Embedder(_Reader[Embedded]):
    """A Predictor of what a text means: a vector whose product with another's is their likeness.

    Hidden states are pooled as the model's files for sentence-transformers say, by their mean where there are none, and
    always scaled to length 1.
    """

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds) -> None:
        self._pool = pooling_of(files)
        super().__init__(files, device, bounds)

    def predict(self, batch: Sequence[Encoded]) -> list[Embedded]:
        inputs = self._device.move(self._tokens.padded(batch))
        with torch.no_grad():
            states = self._model(**inputs).last_hidden_state
            pooled = self._pool(states.float(), inputs["attention_mask"])
            vectors = torch.nn.functional.normalize(pooled, dim=-1)[: len(batch)].cpu().numpy()
        return [Embedded(vector, len(one.ids)) for vector, one in zip(vectors, batch, strict=True)]
