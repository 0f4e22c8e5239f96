"""Detected objects, drawn over their image for the page."""

from __future__ import annotations

import base64
import html
import io

from PIL import Image, ImageOps

from holdfast.serving.hosted.predicting.pictures import Detected, Found

_LONGEST_PX = 1280
"""Of the copy that is shown; boxes keep the coordinates of the image that was sent."""

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")


def drawn(sent: bytes, found: Detected) -> str:
    """An SVG of the image and its boxes, to stand in a page. Blocks: it decodes what the model took already."""
    with Image.open(io.BytesIO(sent), formats=("PNG", "JPEG", "WEBP")) as image:
        image.draft("RGB", (_LONGEST_PX, _LONGEST_PX))
        # Boxes are of the image as its camera says that it is to be seen.
        copy = ImageOps.exif_transpose(image).convert("RGB")
    copy.thumbnail((_LONGEST_PX, _LONGEST_PX))
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=85)
    source = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    width, height = found.width, found.height
    labels = sorted({each.label for each in found.objects})
    colours = {label: _COLOURS[number % len(_COLOURS)] for number, label in enumerate(labels)}
    # The likeliest is drawn last, over the others.
    boxes = "".join(_box(each, colours[each.label], width, height) for each in reversed(found.objects))
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{len(found.objects)} objects'>"
        f"<image href='{source}' width='{width}' height='{height}' preserveAspectRatio='none'/>{boxes}</svg>"
    )


def _box(each: Found, colour: str, width: int, height: int) -> str:
    left, top, right, bottom = each.box
    pen, letters = max(width, height) / 300, max(width, height) / 40
    above = max(top - pen * 2, letters)
    return (
        f"<rect x='{left:.1f}' y='{top:.1f}' width='{right - left:.1f}' height='{bottom - top:.1f}' fill='none' "
        f"stroke='{colour}' stroke-width='{pen:.1f}'/>"
        f"<text x='{max(left, 0):.1f}' y='{above:.1f}' font-size='{letters:.1f}'>"
        f"{html.escape(each.label)} {each.score:.2f}</text>"
    )
