"""The operator's reading order names every file of its folder, once."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.control import operator

SECOND = 58
"""Where the second column begins."""


def test_the_reading_order_has_every_file_once() -> None:
    text = operator.__doc__ or ""
    order = text[text.index("loop ") : text.index("The cluster holds")].splitlines()
    second = [line[SECOND:] for line in order if line[SECOND - 2 : SECOND] == "  "]
    named = [name for cell in [*filter(None, order), *second] for name in re.split(r" {2,}", cell)[0].split(", ")]
    assert sorted(named) == sorted({file.stem for file in Path(operator.__path__[0]).glob("*.py")} - {"__init__"})
