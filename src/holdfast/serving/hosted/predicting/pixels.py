"""Images as a model wants them: resized, scaled and normalised by its own processor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image

from holdfast.model.errors import InputError
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.files import ModelFiles

MOST_ASPECT = 50
"""Long side of an image over its short one. Where the short side is fixed, a thread would become an endless band."""


class Pixels:
    """A model's image processor, of Pillow and NumPy also where torchvision is there, whose answers differ a little.

    Where the model was compiled for images of one height and width, an image that the processor would leave in another
    shape is resized to exactly that. It is not padded: boxes are shares of what the model sees, and YOLOS sees no mask.
    """

    def __init__(self, files: ModelFiles, shapes: Mapping[str, int] | None) -> None:
        import transformers

        by_pillow = {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}
        self.processor = transformers.AutoImageProcessor.from_pretrained(
            files.folder, trust_remote_code=files.trust_remote_code, **by_pillow
        )
        self._size: dict[str, Any] = {}
        if shapes:
            wanted = (shapes["height"], shapes["width"])
            blank = Image.new("RGB", (2 * wanted[1], wanted[0]))
            if self._values(blank).shape[-2:] != wanted:
                self._size = {"size": {"height": wanted[0], "width": wanted[1]}}
            if (made := tuple(self._values(blank).shape[-2:])) != wanted:
                sizes = f"{wanted[1]} x {wanted[0]} pixels; its processor makes {made[1]} x {made[0]}"
                raise InputError(
                    f"was compiled for images of {sizes}",
                    where=files.name,
                    mend="compile it for these",
                )

    def of(self, image: Image.Image) -> torch.Tensor:
        """Of an RGB image: (channels, height, width), float32. RequestError where its short side would vanish."""
        message = f"an image of {image.width} x {image.height} pixels is too narrow for this model"
        narrow = RequestError(400, message, param="image", code="invalid_image")
        if max(image.size) > MOST_ASPECT * min(image.size):
            raise narrow
        try:
            return self._values(image)
        except ValueError as error:
            raise narrow from error

    def _values(self, image: Image.Image) -> torch.Tensor:
        # A processor guesses where the channels of an image of one pixel's height are, unless it is told.
        made = self.processor(images=image, return_tensors="pt", input_data_format="channels_last", **self._size)
        values: torch.Tensor = made["pixel_values"][0]
        return values
