"""Image files that anybody may send: what is decoded, and what is refused before it costs anything."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.predicting.images import decode
from serving.hosted.picture_files import chunk, drawing, file_of, jpeg_of_scans, png_that_claims

PIXELS = 1_000_000
UPSIDE_DOWN, LYING = 3, 6


def refused(data: bytes, max_pixels: int = PIXELS) -> RequestError:
    with pytest.raises(RequestError) as error:
        decode(data, max_pixels)
    assert "\n" not in error.value.message
    return error.value


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_three_formats_are_read(format: str) -> None:
    image = decode(file_of(drawing(), format), PIXELS)
    assert (image.mode, image.size) == ("RGB", (80, 60))
    assert np.abs(np.asarray(image).astype(int) - np.asarray(drawing())).mean() < 5


@pytest.mark.parametrize("format", ["GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "JPEG2000", "EPS", "PDF"])
def test_no_other_reader_of_pillow_can_be_reached(format: str) -> None:
    assert refused(file_of(drawing(), format)).status == 400


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refused(data).status == 400


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.98])
def test_half_a_file_is_refused(format: str, share: float) -> None:
    data = file_of(drawing(), format)
    assert "broken" in refused(data[: int(len(data) * share)]).message


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", [UPSIDE_DOWN, LYING])
def test_an_image_is_held_as_its_camera_was(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(file_of(drawing(), format, exif=exif, quality=95), PIXELS)
    upright = drawing().transpose(
        Image.Transpose.ROTATE_180 if orientation == UPSIDE_DOWN else Image.Transpose.ROTATE_270
    )
    assert image.size == upright.size
    assert np.abs(np.asarray(image).astype(int) - np.asarray(upright)).mean() < 5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_any_mode_becomes_the_colours_that_it_shows(mode: str) -> None:
    image = drawing().convert(mode)
    found = decode(file_of(image), PIXELS)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image.convert("RGB")))


def test_a_palette_with_transparent_colours_is_read_without_a_warning() -> None:
    image = drawing().convert("P")
    found = decode(file_of(image, transparency=bytes(range(200))), PIXELS)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image.convert("RGB")))


def test_sixteen_bits_of_grey_become_eight_and_not_white() -> None:
    grey = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    found = np.asarray(decode(file_of(Image.fromarray(grey)), PIXELS))
    np.testing.assert_array_equal(found[..., 0].ravel(), np.arange(256))


def test_the_inks_of_print_become_colours() -> None:
    assert decode(file_of(drawing().convert("CMYK"), "JPEG"), PIXELS).mode == "RGB"


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_an_animation_is_its_first_frame(format: str) -> None:
    frames = [drawing(seed=seed) for seed in (1, 2, 3)]
    data = file_of(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(np.asarray(decode(data, PIXELS)), np.asarray(frames[0]))


def test_an_image_that_claims_too_many_pixels_is_refused_by_its_header() -> None:
    bomb = png_that_claims(100_000, 100_000)
    assert len(bomb) == 45
    error = refused(bomb)
    assert (error.status, error.code) == (413, "image_too_large")
    assert "100000 x 100000 pixels; at most 1,000,000" in error.message


@pytest.mark.parametrize(("format", "read"), [("PNG", 100), ("JPEG", 700), ("WEBP", None)])
def test_an_image_that_really_has_too_many_is_refused_before_it_is_decoded(format: str, read: int | None) -> None:
    """Of a PNG or a JPEG nothing but the beginning is needed for that."""
    assert refused(file_of(Image.new("L", (2000, 2000)), format)[:read]).status == 413


def test_pillows_own_bound_is_not_in_the_way() -> None:
    assert "at most 40,000,000" in refused(png_that_claims(9_500, 9_500), 40_000_000).message
    assert "broken" in refused(png_that_claims(9_500, 9_500), 10**9).message


def test_texts_in_an_image_that_unfold_to_megabytes_are_refused() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "a" * 50_000_000, zip=True)
    data = file_of(drawing(), pnginfo=notes)
    assert len(data) < 100_000
    assert "broken" in refused(data).message


def test_a_jpeg_that_asks_for_pass_after_pass_is_refused() -> None:
    assert decode(jpeg_of_scans(20), PIXELS).size == (80, 60)
    assert "scans" in refused(jpeg_of_scans(200)).message


IMAGES = [file_of(drawing(16, 12), format) for format in ("PNG", "JPEG", "WEBP")]


@settings(max_examples=300)
@given(st.sampled_from(IMAGES), st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=4))))
def test_no_change_of_an_image_raises_anything_but_a_refusal(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    edited = bytearray(data)
    for place, piece in edits:
        start = place % len(edited)
        edited[start : start + len(piece)] = piece
    decoded_or_refused(bytes(edited))


@settings(max_examples=200)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF....WEBPVP8X", b"RIFF....WEBPVP8L"]),
    st.binary(max_size=200),
)
def test_no_bytes_raise_anything_but_a_refusal(signature: bytes, rest: bytes) -> None:
    decoded_or_refused(signature + rest)


CHUNKS = [
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"tRNS",
    b"gAMA",
    b"iCCP",
    b"eXIf",
    b"zTXt",
    b"iTXt",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"pHYs",
]


@settings(max_examples=200)
@example([(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 6, 0, 0, 1)), (b"IDAT", zlib.compress(b"\0" * 9))])
@given(st.lists(st.tuples(st.sampled_from(CHUNKS), st.binary(max_size=30)), max_size=6))
def test_no_chunks_of_a_png_raise_anything_but_a_refusal(chunks: list[tuple[bytes, bytes]]) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0))
    decoded_or_refused(b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(*one) for one in chunks))


def decoded_or_refused(data: bytes) -> None:
    try:
        image = decode(data, PIXELS)
    except RequestError as error:
        assert error.status in (400, 413)
    else:
        assert image.mode == "RGB"
