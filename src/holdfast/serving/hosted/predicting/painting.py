"""Text to image, by a diffusion pipeline."""

from __future__ import annotations

import inspect
import io
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.predicting.prompts import Prompts
from holdfast.serving.hosted.predicting.rows import Counts, Rows

LEAST_SIDE = 64
"""Pixels. A U-Net halves the sides of an image an eighth as large three times."""

MOST_GUIDANCE = 50.0
"""Beyond 20 or so images burn out; far beyond, numbers overflow in half precision."""

WARM_UP_STEPS = 2
"""Of denoising: every step runs the same shapes."""


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


@dataclass(frozen=True)
class Format:
    """What the images of one batch have in common.

    negated: whether there are negative prompts; for some pipelines (SDXL) an empty one is not the same as none.
    """

    width: int
    height: int
    steps: int
    guidance: float
    negated: bool


@dataclass(frozen=True)
class Canvas:
    """An image to be made, with everything decided."""

    prompt: str
    negative_prompt: str
    seed: int
    format: Format


class Painter:
    """A Predictor of images from prompts.

    Noise is drawn on the CPU from a generator for each image, so that a seed means the same alone, in a batch, and on
    every device. Sums in a batch of another size may be rounded another way: of two images of one seed, a colour
    differs by a 255th here and there.
    """

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds) -> None:
        shapes = device.shapes(files)
        self._bounds = bounds
        self._rows = Rows.of(device, shapes, bounds) if shapes else Rows(bounds.max_batch, Counts.ANY)
        self._fixed = (shapes["width"], shapes["height"]) if shapes else None
        self._prompts = Prompts(files)
        self._pipeline = device.pipeline(files)
        self._pipeline.set_progress_bar_config(disable=True)
        self._multiple = _multiple(self._pipeline)
        self._own = _own_format(self._pipeline, self._fixed)
        self.max_batch = self._rows.most
        if max(self._own.width, self._own.height) > bounds.max_side:
            raise InputError(
                f"makes images of {self._own.width} x {self._own.height} pixels, and a side may have {bounds.max_side}",
                where=files.name,
                mend="give a larger --max-side",
            )

    def prepare(self, request: Painting) -> Canvas:
        self._prompts.check(request.prompt, "prompt")
        self._prompts.check(request.negative_prompt, "negative_prompt")
        if not request.prompt.strip():
            raise _refused("the prompt is empty", "prompt")
        asked = Format(
            width=self._own.width if request.width is None else request.width,
            height=self._own.height if request.height is None else request.height,
            steps=min(self._own.steps, self._bounds.max_steps) if request.steps is None else request.steps,
            guidance=self._own.guidance if request.guidance is None else request.guidance,
            negated=bool(request.negative_prompt),
        )
        self._check(asked)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        if not 0 <= seed < 2**63:
            raise _refused("seed is a whole number from 0 to 2**63 - 1", "seed")
        return Canvas(request.prompt, request.negative_prompt, seed, asked)

    def shape(self, prepared: Canvas) -> Format:
        return prepared.format

    def predict(self, batch: Sequence[Canvas]) -> list[Painted]:
        canvases = self._rows.filled(batch)
        form = batch[0].format
        more = {"negative_prompt": [one.negative_prompt for one in canvases]} if form.negated else {}
        # The pipeline turns gradients off itself.
        images: list[Image.Image] = self._pipeline(
            prompt=[one.prompt for one in canvases],
            width=form.width,
            height=form.height,
            num_inference_steps=form.steps,
            guidance_scale=form.guidance,
            generator=[torch.Generator("cpu").manual_seed(one.seed) for one in canvases],
            output_type="pil",
            **more,
        ).images
        return [Painted(_png(image), one.seed) for image, one in zip(images, batch, strict=False)]

    def warm_up(self) -> None:
        """At the model's own size; another size is run, and compiled, when it comes."""
        steps = min(WARM_UP_STEPS, self._bounds.max_steps)
        own = self.prepare(Painting("a holdfast", steps=steps, seed=0))
        for count in self._rows.to_warm():
            self.predict([own] * count)

    def _check(self, asked: Format) -> None:
        sides = (asked.width, asked.height)
        if self._fixed and sides != self._fixed:
            message = f"this model was compiled for images of {self._fixed[0]} x {self._fixed[1]} pixels alone"
            raise _refused(message, "size")
        if any(side % self._multiple or not LEAST_SIDE <= side <= self._bounds.max_side for side in sides):
            message = (
                f"the size is {asked.width} x {asked.height} pixels; sides are multiples of {self._multiple} from "
                f"{LEAST_SIDE} to {self._bounds.max_side}"
            )
            raise _refused(message, "size")
        if not 1 <= asked.steps <= self._bounds.max_steps:
            raise _refused(f"steps is {asked.steps}; it is from 1 to {self._bounds.max_steps}", "steps")
        if not (math.isfinite(asked.guidance) and 0 <= asked.guidance <= MOST_GUIDANCE):
            raise _refused(f"guidance is {asked.guidance}; it is from 0 to {MOST_GUIDANCE:g}", "guidance")
        if self._fixed and (asked.guidance > 1) != (self._own.guidance > 1):
            # With guidance the denoiser sees each image twice, with the prompt and without: other shapes.
            side = "above 1" if self._own.guidance > 1 else "1 or less"
            raise _refused(f"this model was compiled for guidance {side}; it is {asked.guidance:g}", "guidance")


def _own_format(pipeline: Any, fixed: tuple[int, int] | None) -> Format:
    """Size, steps and guidance that the pipeline takes where none are given."""
    defaults = _call_defaults(type(pipeline))
    width, height = fixed or _own_size(pipeline)
    return Format(width, height, int(defaults["num_inference_steps"]), float(defaults["guidance_scale"]), negated=False)


def _call_defaults(kind: type) -> dict[str, Any]:
    """Of the nearest ancestor's __call__ that names them: optimum-neuron's own passes on whatever it is given."""
    for ancestor in kind.__mro__:
        if "__call__" in vars(ancestor):
            parameters = inspect.signature(vars(ancestor)["__call__"]).parameters
            if "num_inference_steps" in parameters:
                return {name: parameter.default for name, parameter in parameters.items()}
    raise InputError(f"{kind.__name__} has no number of denoising steps", mend="Stable Diffusion pipelines are served")


def _own_size(pipeline: Any) -> tuple[int, int]:
    """Width and height in pixels. Stable Diffusion 1 and 2 have them in the U-Net alone."""
    latent = getattr(pipeline, "default_sample_size", None) or pipeline.unet.config.sample_size
    height, width = (latent, latent) if isinstance(latent, int) else latent
    return width * pipeline.vae_scale_factor, height * pipeline.vae_scale_factor


def _multiple(pipeline: Any) -> int:
    """Pixels of which sides are multiples: those of one latent, or of a patch of two where a transformer denoises."""
    return int(pipeline.vae_scale_factor) * (2 if getattr(pipeline, "transformer", None) is not None else 1)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    # The device waits for it: of 512 x 512 pixels level 1 takes 24 ms, and level 6 68 ms for a sixth fewer bytes.
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _refused(message: str, param: str) -> RequestError:
    return RequestError(400, message, param=param)
