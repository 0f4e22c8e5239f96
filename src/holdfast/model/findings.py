"""What checks found wrong with somebody's numbers or manifests, and what they looked at."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.Enum):
    """IMPOSSIBLE: no system does this, or the figures contradict each other. SUSPICIOUS: it may be so, and rarely is.
    NOTE: nothing is wrong, and a reader should know. Of manifests, IMPOSSIBLE is what a cluster refuses or what cannot
    work as it is written."""

    IMPOSSIBLE = "impossible"
    SUSPICIOUS = "suspicious"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One finding.

    row:     line number in `file`; of a run the stage, counted from 1; 0 when it is about the whole file.
    message: what is found against what was expected, in sentences that stand alone.
    likely:  the likeliest explanation, a sentence; empty where none is likelier than another.
    """

    file: str
    row: int
    check: str
    severity: Severity
    found: str
    expected: str
    message: str
    likely: str = ""


@dataclass(frozen=True)
class ObjectFinding(Finding):
    """A finding on an object of a tree of manifests. object: `Kind namespace/name`; empty where a file holds none."""

    object: str = ""


@dataclass(frozen=True)
class Checked:
    """What one check came to. judged: rows (stages, pools) that had the figures which it needs."""

    check: str
    judged: int
    findings: tuple[Finding, ...]


class Kind(enum.Enum):
    """What an audited file holds."""

    MEASUREMENTS = "measurements"
    RUN = "run"
    PLAN = "plan"


@dataclass(frozen=True)
class Audit:
    """All checks on one file. rows: its rows, stages or pools."""

    file: str
    kind: Kind
    rows: int
    checked: tuple[Checked, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all checks, in the order of the checks."""
        return tuple(finding for checked in self.checked for finding in checked.findings)

    @property
    def impossible(self) -> bool:
        """Whether something cannot be."""
        return any(finding.severity is Severity.IMPOSSIBLE for finding in self.findings)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """The checks for which no row had figures."""
        return tuple(checked.check for checked in self.checked if not checked.judged)


@dataclass(frozen=True)
class Inspection:
    """All checks on a tree of manifests.

    files, objects: how many were read.
    undone:         what could not be checked and why, sentences.
    """

    files: int
    objects: int
    checked: tuple[Checked, ...]
    undone: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all checks, in the order of the checks."""
        return tuple(finding for checked in self.checked for finding in checked.findings)

    @property
    def mistaken(self) -> bool:
        """Whether anything was found beyond notes."""
        return any(finding.severity is not Severity.NOTE for finding in self.findings)
