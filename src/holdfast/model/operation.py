"""How an operator runs a fleet in a cluster: whose plan it deploys, and who lets it change."""

from __future__ import annotations

import enum


class Planning(enum.Enum):
    """Who plans.

    AUTO:  the operator, from the fleet and what was measured of its units, and anew when demand, prices or limits move.
    GIVEN: somebody else, by the ConfigMap `<fleet>-plan`; the operator deploys what it says.
    """

    AUTO = "auto"
    GIVEN = "given"


class Approval(enum.Enum):
    """Whether a new plan of the operator's waits for a person."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


APPROVED = "holdfast.dev/approved"
"""Annotation of a fleet by which a person lets a plan through: its id."""
