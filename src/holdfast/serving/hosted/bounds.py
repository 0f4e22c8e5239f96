"""What a request may ask for at most, and what the server holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from holdfast.model.errors import InputError


@dataclass(frozen=True)
class Bounds:
    """Of one server. Raises InputError for what no server can hold to.

    max_batch:     requests that the device takes at once; the slots of a text generator.
    max_wait_s:    for which a batch that is not full waits for more at most, while the device is free.
    max_queued:    requests that may wait beyond the batches in progress; more are answered 429.
    max_body_mib:  of a request.
    max_pixels:    of an image that is sent, by its header, before it is decoded. A camera's 24 million take some 330 MB
                   until they are resized, and two are decoded at once.
    max_tokens:    of a text, or of a prompt and its answer together; None takes the model's own bound.
    max_steps, max_side: denoising steps, and pixels of a side, of an image that is made.
    """

    max_batch: int = 8
    max_wait_s: float = 0.005
    max_queued: int = 256
    max_body_mib: float = 16.0
    max_pixels: int = 25_000_000
    max_tokens: int | None = None
    max_steps: int = 100
    max_side: int = 1024

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_wait_s) and self.max_wait_s >= 0):
            raise InputError(
                f"max_wait_s is {self.max_wait_s:g}, and a batch waits for 0 seconds or more",
                where="bounds",
                mend="give 0.005",
            )
        for name in (field.name for field in fields(self) if field.name != "max_wait_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(
                    f"{name} is {value:g}, and must be above 0", where="bounds", mend="give what the server can hold"
                )
        if self.max_side < _LEAST_SIDE:
            raise InputError(
                f"max_side is {self.max_side} pixels, and images are made of {_LEAST_SIDE} by {_LEAST_SIDE} or more",
                where="bounds",
                mend="give a larger --max-side",
            )


_LEAST_SIDE = 8
"""A pixel of the latent image is 8 x 8 of the image (Stable Diffusion's VAE)."""
