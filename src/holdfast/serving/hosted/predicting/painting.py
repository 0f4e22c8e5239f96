"""Text to image, by a diffusion pipeline."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Painting:
    """One image to be made. width, height: pixels, multiples of 8; steps: of denoising; None takes the model's own.

    seed: the same seed makes the same image, whatever else is in the batch.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Painted:
    """A PNG file."""

    png: bytes
    seed: int


# class Painter(files, device, bounds): Predictor[Painting, ..., Painted]
