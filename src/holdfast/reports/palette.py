"""Colours: one hue and one marker per unit, each hue in a light and a dark shade.

Figures are drawn in the light shades; a page in the dark swaps every light shade for its partner, so no
two hues may share their light shade. Each hue has a contrast of at least 3:1 with its background (WCAG 2.2,
1.4.11), and any two stay at least 15 apart (CIE 1976 delta E) for the colour-blind, as simulated after
Machado et al. 2009 (doi:10.1109/TVCG.2009.113). Both are tested.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Hue:
    """One colour as `#rrggbb`, on light paper and on dark."""

    light: str
    dark: str


PAPER = Hue("#ffffff", "#14171a")
INK = Hue("#1d2125", "#e4e6e8")
MUTED = Hue("#5b636b", "#9ba4ad")
RULE = Hue("#e1e4e8", "#2c3238")
SHADE = Hue("#eceff3", "#242c35")
BOUND = Hue("#b4142d", "#ff8795")

SERIES = (
    Hue("#1273d6", "#6fb1fa"),
    Hue("#b23a08", "#f0743a"),
    Hue("#0b6e4f", "#35d6a4"),
    Hue("#8b3f9a", "#d46fcf"),
    Hue("#b08c00", "#f5d75a"),
    Hue("#3d4852", "#878d95"),
)
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star")

THEME: Mapping[str, Hue] = {
    "paper": PAPER,
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "shade": SHADE,
    "bound": BOUND,
}
"""What the page itself is painted with, by the name of its CSS variable."""


@dataclass(frozen=True)
class UnitStyle:
    """How one unit is drawn in every figure: its light shade, and a marker for those who see no hue."""

    colour: str
    marker: str


Styles = Mapping[str, UnitStyle]


def assign(units: Iterable[str]) -> dict[str, UnitStyle]:
    """A style for each unit, by first appearance. Beyond 42 units styles come again."""
    names = dict.fromkeys(units)
    return {
        name: UnitStyle(SERIES[index % len(SERIES)].light, MARKERS[index % len(MARKERS)])
        for index, name in enumerate(names)
    }


def light_to_dark() -> dict[str, str]:
    """The dark partner of every light shade."""
    return {hue.light: hue.dark for hue in (*THEME.values(), *SERIES)}
