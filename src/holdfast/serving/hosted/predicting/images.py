"""From a file that anybody may send to an image in memory: three formats, bounded pixels, upright, RGB."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from holdfast.serving.errors import RequestError

MAX_SCANS = 100
"""Scans of a JPEG. Encoders write ten or so; a few bytes more can ask for another pass over all pixels, and another."""

_BROKEN = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError, struct.error),
    *(zlib.error, UserWarning),
)
"""What Pillow's readers raise on files that are broken; only some of it is one class. Of EXIF that is cut off they
warn, which is raised where the process wants warnings to be."""


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame of a PNG, JPEG or WebP file as it is meant to be looked at, in RGB.

    The pixels that its header claims are compared with max_pixels before any is decoded. EXIF's orientation is applied,
    and transparency dropped, as transformers' pipelines do; 16-bit grey is divided by 257 (Pillow cuts it off at 255).
    Raises RequestError: 400 for what is no such image or is broken, 413 for too many pixels.
    """
    try:
        image = _reader(data)(io.BytesIO(data))
    except _BROKEN as error:
        raise _refused(f"the image is broken: {error}") from error
    if image.width * image.height > max_pixels:
        message = f"the image has {image.width} x {image.height} pixels; at most {max_pixels:,} in all are taken"
        raise RequestError(413, message, param="image", code="image_too_large")
    if isinstance(image, JpegImageFile) and data.count(b"\xff\xda") > MAX_SCANS:
        raise _refused(f"the JPEG has more than {MAX_SCANS} scans")
    try:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _rgb(image)
    except _BROKEN as error:
        raise _refused(f"the image is broken: {error}") from error


def _reader(data: bytes) -> type[PngImageFile | JpegImageFile | WebPImageFile]:
    # Not by Image.open: it warns of large images, or refuses them, by a bound of its own that is global.
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    if not data:
        raise _refused("the image is empty")
    raise _refused(f"this is no PNG, JPEG or WebP image: it begins with {data[:8]!r}")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _refused(message: str) -> RequestError:
    return RequestError(400, message, param="image", code="invalid_image")
