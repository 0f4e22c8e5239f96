"""What is settled about a fleet's plan: what runs, what stands in the way of another, and what is to be done."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.control.operator.plans.plan_inputs import Inputs
from holdfast.kube.kinds import Object
from holdfast.model.document import Declared
from holdfast.model.plan import Plan
from holdfast.model.status import Proposal


class Obstacle(enum.Enum):
    """Why the plan that is asked for does not run.

    REFUSED:    the fleet itself says what cannot be.
    NO_PLAN:    there is none, and none is kept.
    UNREADABLE: the one that is there is of another fleet or version, is infeasible, or is no plan.
    OUTDATED:   the one that is given was made on another spec; it runs as it is.
    PLANNING:   it is being made.
    INFEASIBLE: no plan holds.
    FAILED:     planning gave no answer.
    WAITS:      it waits for approval.
    """

    REFUSED = "refused"
    NO_PLAN = "no-plan"
    UNREADABLE = "unreadable"
    OUTDATED = "outdated"
    PLANNING = "planning"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    WAITS = "waits"


@dataclass(frozen=True)
class Due:
    """A plan that must be made.

    inputs, reasons: what it is made on, and why. declared: with the demand that is planned for.
    measurements:    the CSV; empty without one.
    """

    inputs: Inputs
    reasons: tuple[str, ...]
    declared: Declared
    measurements: str


@dataclass(frozen=True)
class Tried:
    """What came of planning.

    plan:    None where there was no answer; why says it, a sentence.
    lasting: whether the same inputs would give the same again. ended_s: when, Unix seconds.
    """

    inputs: Inputs
    plan: Plan | None
    why: str
    lasting: bool
    ended_s: float


@dataclass(frozen=True)
class Settled:
    """Which plan runs now, and what is to be done about another.

    plan:     runs; its fleet has what holds of the spec now. None: nothing may be applied.
    obstacle: why it is none, or another than is asked for; message: the same as a sentence, with what to do.
    due:      to be made now.
    proposal: waits for a person.
    writes:   ConfigMaps to be applied, of the plan that is to run, or waits.
    """

    plan: Plan | None
    obstacle: Obstacle | None = None
    message: str = ""
    due: Due | None = None
    proposal: Proposal | None = None
    writes: tuple[Object, ...] = ()
