"""Colours can be told from the paper and from each other, also by the colour-blind."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from holdfast.reports import palette
from holdfast.reports.palette import Hue

Array = Any

# Machado, Oliveira, Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1.0, on linear RGB.
VISION: dict[str, Array] = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# sRGB to CIE XYZ at D65, IEC 61966-2-1.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> Array:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: Array) -> Array:
    xyz = XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    low, high = sorted(float((XYZ @ linear(colour))[1]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("shade", ["light", "dark"])
@pytest.mark.parametrize(
    ("hues", "least"),
    [
        (palette.SERIES, 3.0),  # lines and bars: WCAG 2.2, 1.4.11
        ((palette.INK, palette.MUTED, palette.BOUND), 4.5),  # text: WCAG 2.2, 1.4.3
    ],
)
def test_colours_stand_out_from_the_paper(hues: tuple[Hue, ...], least: float, shade: str) -> None:
    paper = getattr(palette.PAPER, shade)
    assert min(contrast(getattr(hue, shade), paper) for hue in hues) >= least


@pytest.mark.parametrize("shade", ["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_any_two_units_can_be_told_apart(vision: str, shade: str) -> None:
    seen = [lab(VISION[vision] @ linear(getattr(hue, shade))) for hue in palette.SERIES]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) >= 15


def test_no_two_hues_share_a_light_shade() -> None:
    assert len(palette.light_to_dark()) == len(palette.THEME) + len(palette.SERIES)


def test_units_get_distinct_styles_by_first_appearance() -> None:
    names = [f"unit-{index}" for index in range(42)]
    styles = palette.assign([*names, "unit-0"])
    assert len(set(styles.values())) == 42
    assert styles["unit-0"] == palette.assign(["unit-0", "other"])["unit-0"]
