"""Reading the catalogue's data files: CSV under a comment header."""

from __future__ import annotations

import csv
import importlib.resources


def read(name: str) -> list[dict[str, str]]:
    """The rows of `data/<name>` by column. Lines that begin with `#` are the file's header."""
    text = importlib.resources.files("holdfast.catalog").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def number(text: str) -> float | None:
    """The number, or None for an empty cell: not stated by any source."""
    return float(text) if text else None
