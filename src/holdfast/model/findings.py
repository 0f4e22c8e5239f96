"""What a check found wrong with somebody's numbers."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    IMPOSSIBLE = "impossible"
    SUSPICIOUS = "suspicious"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One finding. `row` is the line number in `file`, 0 when it is about the whole file."""

    file: str
    row: int
    check: str
    severity: Severity
    found: str
    expected: str
    message: str
