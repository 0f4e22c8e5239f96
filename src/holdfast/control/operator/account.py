"""What came of one look at a fleet: all that status, events and metrics tell people of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.control.decision import Decision
from holdfast.control.observation import Applied, Observation
from holdfast.control.operator.reasons import Reason, Word
from holdfast.kube.kinds import Object
from holdfast.model.fleet import RoutingPolicy
from holdfast.model.plan import Plan
from holdfast.model.status import Proposal


class Result(enum.Enum):
    """What became of a decision; the values are those of the metric's label."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class PlanProblem:
    """Why the plan that should run does not. reason: NO_PLAN, PLAN_INFEASIBLE, PLAN_UNUSABLE or PLAN_WAITS.

    sentence: what is wrong, with its figures, and its full stop.
    """

    reason: Reason
    sentence: str


@dataclass(frozen=True)
class Missing:
    """Something that the fleet needs and others have to bring. command: that brings it.

    kind: of the object, e.g. `NodePool`. definition: whether the cluster does not even know the kind (its CRD).
    """

    kind: str
    name: str
    command: str
    definition: bool = False


@dataclass(frozen=True)
class Failure:
    """An object that could not be written. why: as the API server words it.

    refused: whether the same would be refused again (4xx), or may succeed later.
    """

    kind: str
    name: str
    why: str
    refused: bool


@dataclass(frozen=True)
class News:
    """Something that happened in this look and that no status would show, a sentence.

    topic: what makes it another than the last of the same word; such are not counted together.
    """

    word: Word
    note: str
    topic: str = ""


@dataclass(frozen=True)
class Account:
    """One look. What it did not get to is None or empty.

    fleet:        as the API server has it.
    routing:      that was decided by: the fleet's own, or what stands for an override by hand.
    plan:         that runs; plan_problem: why not another, or none; proposal: that waits for a person.
    applied:      the routing in force after the look.
    decision:     of this look, carried out or not. refused: promises that it breaks, for which it was not carried out.
    unscaled:     scalers that cannot scale, a clause for each.
    acted:        whether anything was written.
    error:        what the look itself ended with, where it did not come to its end.
    """

    now_s: float
    fleet: Object
    routing: RoutingPolicy
    plan: Plan | None = None
    plan_problem: PlanProblem | None = None
    proposal: Proposal | None = None
    observation: Observation | None = None
    applied: Applied | None = None
    decision: Decision | None = None
    refused: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = ()
    failures: tuple[Failure, ...] = ()
    unscaled: tuple[str, ...] = ()
    acted: bool = False
    error: str = ""
    news: tuple[News, ...] = ()

    @property
    def name(self) -> str:
        return str(self.fleet["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.fleet["metadata"]["namespace"])

    @property
    def generation(self) -> int:
        return int(self.fleet["metadata"]["generation"])

    @property
    def result(self) -> Result | None:
        """What became of the decision; None where none was made."""
        if self.decision is None:
            return None
        if self.refused:
            return Result.REFUSED
        if self.failures:
            return Result.FAILED
        return Result.APPLIED if self.acted else Result.UNCHANGED
