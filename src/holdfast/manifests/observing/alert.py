"""One alert: what is wrong, for how long before it is said, and where it stands what to do."""

from __future__ import annotations

import enum

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing import series
from holdfast.model.fleet import InferenceFleet

RUNBOOK = "docs/runbook.md"
"""A heading for each alert, by its name."""


class Severity(enum.Enum):
    """PAGE wakes somebody; TICKET is for the next working day; INFO says why the others may follow."""

    PAGE = "critical"
    TICKET = "warning"
    INFO = "info"


def alert(
    fleet: InferenceFleet,
    name: str,
    expression: str,
    *,
    held: str,
    severity: Severity,
    summary: str,
    description: str,
    **labels: str,
) -> Object:
    """A rule that says so when the expression has held for so long, e.g. `5m`."""
    return {
        "alert": name,
        "expr": expression,
        "for": held,
        "labels": series.labels(fleet) | labels | {"severity": severity.value},
        "annotations": {
            "summary": summary,
            "description": description,
            "runbook": f"{RUNBOOK}#{name.lower()}",
        },
    }
