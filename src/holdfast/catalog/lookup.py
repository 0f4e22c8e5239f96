"""Finding something by its name, with an error that names what is near."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from holdfast.model.errors import InputError

T = TypeVar("T")


def find(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The value under `name`, whatever its case; the keys of `table` are lower case.

    Raises InputError with the nearest names: those that `name` begins, else those spelt alike.
    """
    key = name.strip().lower()
    if key in table:
        return table[key]
    begun = [known for known in table if key and known.startswith(key)]
    near = begun[:3] or difflib.get_close_matches(key, table, n=3, cutoff=0.5)
    mend = f"did you mean {' or '.join(near)}" if near else f"known: {', '.join(table)}"
    raise InputError(f"the catalogue has no {kind} {name!r}", mend=mend)
