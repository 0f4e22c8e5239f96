"""JSON that a stranger wrote: bounded in size and depth, and never trusted to be what its name says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.model.errors import InputError

MOST_BYTES = 64 << 20
"""The largest that are known: an index of 160,000 tensors has 15 MB, a config of 21,843 labels 2 MB."""

MOST_DEPTH = 32
"""Real ones stay below ten; what is deeper exhausts the stack of those who copy or print it."""


def parse(text: bytes, where: str) -> Any:
    """The value of a JSON text. Raises InputError, also for a key that comes twice."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise InputError("is nested too deeply to be what its name says", where=where, mend=_MEND) from error
    except ValueError as error:
        raise InputError(f"is not JSON ({str(error)[:120]})", where=where, mend=_MEND) from error
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return value
    raise InputError(f"is nested more than {MOST_DEPTH} deep", where=where, mend=_MEND)


def read(path: Path) -> Any:
    """The value of a JSON file of at most 64 MiB. Raises InputError."""
    with path.open("rb") as file:
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise InputError(f"has more than {MOST_BYTES >> 20} MiB, which no such file needs", where=str(path), mend=_MEND)
    return parse(text, str(path))


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON file that must hold an object."""
    value = read(path)
    if not isinstance(value, dict):
        raise InputError("holds no JSON object", where=str(path), mend=_MEND)
    return value


_MEND = "take the model's files from where they were published"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return [child for child in node.values() if isinstance(child, dict | list)]
    return [child for child in node if isinstance(child, dict | list)] if isinstance(node, list) else []
