"""The words that conditions and events say, what each means and what to do: the tables of docs/operator.md."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal


class Type(enum.Enum):
    """The conditions of a fleet."""

    READY = "Ready"
    DEGRADED = "Degraded"
    FAILED_OVER = "FailedOver"
    STALE = "Stale"


class Reason(enum.Enum):
    """Of a condition, as machines read it."""

    SERVING = "Serving"
    NO_PLAN = "NoPlan"
    PLAN_INFEASIBLE = "PlanInfeasible"
    PLAN_UNUSABLE = "PlanUnusable"
    PLAN_WAITS = "PlanWaits"
    CRD_MISSING = "CrdMissing"
    NODE_POOL_MISSING = "NodePoolMissing"
    OBJECT_MISSING = "ObjectMissing"
    OBJECT_REFUSED = "ObjectRefused"
    NO_REPLICA_READY = "NoReplicaReady"
    SCALING = "Scaling"
    OVERLOADED = "Overloaded"
    LOOK_FAILED = "LookFailed"
    DECISION_REFUSED = "DecisionRefused"
    WRITE_FAILED = "WriteFailed"
    SCALER_FAILED = "ScalerFailed"
    OVERRIDE_UNKNOWN = "OverrideUnknown"
    POOL_SHORT = "PoolShort"
    POOL_INTERRUPTED = "PoolInterrupted"
    AS_PLANNED = "AsPlanned"
    CAPACITY_LOST = "CapacityLost"
    BY_HAND = "ByHand"
    COST_OPTIMIZED = "CostOptimized"
    API_UNANSWERED = "ApiUnanswered"
    RATE_UNKNOWN = "RateUnknown"
    UP_TO_DATE = "UpToDate"


Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Meaning:
    """A condition with this reason has this status. means, mend: for the person who reads it."""

    type: Type
    status: Status
    reason: Reason
    means: str
    mend: str


_NOTHING = "Nothing."
_ALERT_POOLS = "Nothing while other pools carry the rate. If it comes often, add zones, capacity types or a unit."
_AS_READY = "As for Ready."

MEANINGS = (
    Meaning(
        Type.READY,
        "True",
        Reason.SERVING,
        "A plan is deployed, all that it needs is there, and the ready replicas carry the offered rate.",
        _NOTHING,
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.NO_PLAN,
        "There is no plan yet: it is being made, or `planning: given` and its ConfigMap is not there.",
        "Wait a minute, or apply the ConfigMap: `kubectl apply -k fleet` in the rendered tree.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.PLAN_INFEASIBLE,
        "No plan of these units holds the demand, and none runs.",
        "The message says which constraint fails and by how much: relax it, or add a unit.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.PLAN_UNUSABLE,
        "The plan cannot be used (unreadable, of another fleet or version, or it could not be made), and none runs.",
        "Make it anew: `holdfast plan`, `holdfast render`, `kubectl apply -k fleet`.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.PLAN_WAITS,
        "The first plan waits for a person (`approval: manual`).",
        "`holdfast status FLEET` shows it and how to approve it.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.CRD_MISSING,
        "The cluster does not know a kind of object that the plan needs.",
        "Install the chart that brings it; the message names the kind and the command.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.NODE_POOL_MISSING,
        "A NodePool, or what it refers to, is not there: the operator never writes those.",
        "Apply what the platform team owns: the message has the command.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.OBJECT_MISSING,
        "Something else is not there that others have to bring.",
        "The message names it, with the command.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.OBJECT_REFUSED,
        "The API server refuses an object of the fleet: the operator lacks a right, or the object is wrong.",
        "Forbidden: apply `fleet/rights` of a tree for this namespace. Otherwise read the server's sentence.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.NO_REPLICA_READY,
        "No replica takes traffic.",
        "`kubectl get pods` and `kubectl get nodeclaims`: are they waiting for nodes, loading, or crashing?",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.SCALING,
        "More requests come than the ready replicas hold; more replicas are on their way.",
        "Wait for them. If they do not come, as for NoReplicaReady.",
    ),
    Meaning(
        Type.READY,
        "False",
        Reason.OVERLOADED,
        "More requests come than the ready replicas hold, and no more have been asked for: pools are at their maximum.",
        "Raise `demand` or `maxReplicas`, or add a unit.",
    ),
    Meaning(
        Type.READY,
        "Unknown",
        Reason.API_UNANSWERED,
        "The cluster has not been seen for half a minute.",
        "As for Stale.",
    ),
    Meaning(
        Type.READY,
        "Unknown",
        Reason.RATE_UNKNOWN,
        "Replicas are ready, and nobody knows how many requests come.",
        "As for Stale.",
    ),
    Meaning(
        Type.READY,
        "Unknown",
        Reason.LOOK_FAILED,
        "The operator failed while it looked at the fleet.",
        "As for Degraded.",
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.LOOK_FAILED,
        "A fault of the operator while it looked at this fleet. It tries again; the weights stay.",
        "`kubectl -n holdfast-system logs deploy/holdfast-operator` has the traceback: report it.",
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.DECISION_REFUSED,
        "A decision would have broken a promise of its policy and was not carried out; the fleet stays as it is.",
        "The message says which promise. It is a fault of the operator: report it. `holdfast failover` still works.",
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.WRITE_FAILED,
        "The API server did not take an object for now; it is tried again.",
        "If it lasts: is the API server healthy, does a webhook time out?",
    ),
    Meaning(Type.DEGRADED, "True", Reason.OBJECT_REFUSED, "The API server refuses an object.", _AS_READY),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.SCALER_FAILED,
        "A scaler says that it cannot scale: the replicas of its pool stay as they are, whatever load comes.",
        "Can KEDA, or the HPA, read its metric? `kubectl describe` the object that the message names.",
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.OVERRIDE_UNKNOWN,
        "The annotation `holdfast.dev/failover` says something that nobody understands, and counts as auto.",
        "`holdfast failover FLEET --to capacity|cost|auto`",
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.PLAN_INFEASIBLE,
        "No plan holds what is declared now; the one before keeps running.",
        _AS_READY,
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.PLAN_UNUSABLE,
        "The new plan cannot be used; the one before keeps running.",
        _AS_READY,
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.NO_PLAN,
        "The plan that runs is not there any more as a ConfigMap; what is deployed stays.",
        _AS_READY,
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.POOL_SHORT,
        "A pool gets no capacity; it is tried again one replica at a time.",
        _ALERT_POOLS,
    ),
    Meaning(
        Type.DEGRADED,
        "True",
        Reason.POOL_INTERRUPTED,
        "Replicas have an interruption notice (spot, maintenance) and will be gone; replacements are asked for.",
        _ALERT_POOLS,
    ),
    Meaning(Type.DEGRADED, "False", Reason.AS_PLANNED, "Nothing of the above.", _NOTHING),
    Meaning(
        Type.DEGRADED,
        "Unknown",
        Reason.API_UNANSWERED,
        "The cluster has not been seen for half a minute.",
        "As for Stale.",
    ),
    Meaning(Type.DEGRADED, "Unknown", Reason.NO_PLAN, "No plan runs that it could fall short of.", _AS_READY),
    Meaning(
        Type.FAILED_OVER,
        "True",
        Reason.CAPACITY_LOST,
        "A pool cannot carry its share, so traffic goes by what is ready instead of what is cheapest.",
        "Nothing: it fails back by itself, by steps, when the lost pool has proved itself. It costs more until then.",
    ),
    Meaning(
        Type.FAILED_OVER,
        "True",
        Reason.BY_HAND,
        "A person asked for it: the annotation `holdfast.dev/failover: capacity`.",
        "`holdfast failover FLEET --to auto` takes it back.",
    ),
    Meaning(Type.FAILED_OVER, "False", Reason.COST_OPTIMIZED, "Traffic goes to the cheapest pools first.", _NOTHING),
    Meaning(Type.FAILED_OVER, "Unknown", Reason.NO_PLAN, "No plan runs that traffic could go by.", _AS_READY),
    Meaning(
        Type.STALE,
        "True",
        Reason.API_UNANSWERED,
        "The watches are broken: weights and replicas are held as they are. Lost capacity would keep its traffic.",
        "Is the API server up, and may the operator reach it (NetworkPolicy, rights)? Its log says what fails.",
    ),
    Meaning(
        Type.STALE,
        "True",
        Reason.RATE_UNKNOWN,
        "No fresh reading of the offered rate: it is presumed to rise slowly; weight leaves only what is lost.",
        "Is Prometheus (or CloudWatch) up, does it scrape the servers? As for the alert HoldfastMetricsMissing.",
    ),
    Meaning(
        Type.STALE,
        "Unknown",
        Reason.LOOK_FAILED,
        "The operator failed while it looked at the fleet.",
        "As for Degraded.",
    ),
    Meaning(Type.STALE, "False", Reason.UP_TO_DATE, "API server and metrics answer.", _NOTHING),
    Meaning(Type.STALE, "Unknown", Reason.NO_PLAN, "No plan runs whose pools could be seen.", _AS_READY),
)
"""What is worst is first among the reasons of a type and a status."""

_BY_REASON = {(one.type, one.status, one.reason): one for one in MEANINGS}


def meaning(type_: Type, status: Status, reason: Reason) -> Meaning:
    """What that says. Raises KeyError for what no condition says."""
    return _BY_REASON[type_, status, reason]


class Word(enum.Enum):
    """The reason of an event that tells of no condition."""

    SHORTAGE_BEGAN = "ShortageBegan"
    SHORTAGE_ENDED = "ShortageEnded"
    WEIGHTS_SHIFTED = "WeightsShifted"
    PLAN_PROPOSED = "PlanProposed"
    PLAN_APPROVED = "PlanApproved"
    PLAN_CHANGED = "PlanChanged"
    PUT_BACK = "PutBack"


@dataclass(frozen=True)
class Telling:
    """How an event with a word is told. action: what the operator did about it, of events.k8s.io."""

    warns: bool
    action: str
    means: str


TELLINGS = {
    Word.SHORTAGE_BEGAN: Telling(True, "Observed", "A pool is believed to get no capacity from now on."),
    Word.SHORTAGE_ENDED: Telling(False, "Observed", "A pool is no longer believed to get none: it is tried again."),
    Word.WEIGHTS_SHIFTED: Telling(
        False, "Shifted", "Traffic moved from pools to others; a ramp is one event that is counted, a step at a time."
    ),
    Word.PLAN_PROPOSED: Telling(False, "Planned", "A new plan waits for a person."),
    Word.PLAN_APPROVED: Telling(False, "Planned", "A person let the proposed plan through."),
    Word.PLAN_CHANGED: Telling(False, "Planned", "Another plan runs from now on."),
    Word.PUT_BACK: Telling(
        False, "Applied", "Somebody changed or deleted an object of the fleet, and it is as it was."
    ),
}
