"""The reading orders of the operator's folders name each file and folder of theirs, once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from holdfast.control import operator
from holdfast.control.operator import keeping, metrics, plans, seeing, telling


def named(text: str) -> Iterator[str]:
    """What lines of `name   what it is` begin with; two of them may share a line."""
    for line in text.splitlines()[1:]:
        cells = re.split(r" {2,}", line.strip())
        if len(cells) > 1:
            yield from cells[::2]


@pytest.mark.parametrize("folder", [operator, seeing, metrics, plans, keeping, telling])
def test_a_reading_order_has_everything_once(folder: ModuleType) -> None:
    place = Path(folder.__path__[0])
    there = {one.stem for one in place.iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()}
    assert sorted(named(folder.__doc__ or "")) == sorted(there - {"__init__"})
