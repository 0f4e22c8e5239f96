"""What one tree of manifests changes of another."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class How(enum.Enum):
    """What becomes of an object."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Field:
    """A field that changes. old, new: as JSON knows them; None where the field is not there."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Change:
    """What becomes of one object, or of a file that holds none (kind File, its path as the name)."""

    kind: str
    namespace: str
    name: str
    file: str
    how: How
    fields: tuple[Field, ...]

    @property
    def title(self) -> str:
        """`Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"
