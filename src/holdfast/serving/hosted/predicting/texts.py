"""Text classification and embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Text:
    """One input: a text, or token ids."""

    text: str | tuple[int, ...]


@dataclass(frozen=True)
class Labelled:
    """score: 0..1; of a model with one label per input they add up to 1."""

    label: str
    score: float


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


# class TextClassifier(files, device, bounds): Predictor[Text, ..., Classified]
# class Embedder(files, device, bounds): Predictor[Text, ..., Embedded]
