"""Events (events.k8s.io/v1) about a fleet: what is worth saying between two looks, and how often.

What is said again within SERIES_S is one event with a count, as client-go's recorder has it (k8s.io/client-go,
tools/events/event_broadcaster.go: a series ends after 6 minutes): the API server takes of an event that is there
nothing but its series. New events of a fleet are bounded, for nobody reads the hundredth.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast.control.operator.account import Account
from holdfast.control.operator.reasons import TELLINGS, Reason, Type, Word
from holdfast.kube.kinds import EVENT, FLEET, Object
from holdfast.model.status import Condition, FleetStatus, PoolStatus

CONTROLLER = "holdfast.dev/operator"
SERIES_S = 360.0
SERIES_EVERY_S = 60.0
"""Between two writes of one series; the second time it is said is written at once."""

MOST, WITHIN_S = 25, 600.0
"""New events of one fleet within that time, at most."""

_LONGEST = 1024
"""Bytes of a note, though the refusal says characters (k8s.io/kubernetes, pkg/apis/core/validation/events.go)."""

_READY = Type.READY.value
_HEALTHY = {
    _READY: "True",
    Type.DEGRADED.value: "False",
    Type.FAILED_OVER.value: "False",
    Type.STALE.value: "False",
}


@dataclass(frozen=True)
class Saying:
    """Something to say of a fleet. topic: by which two sayings of one reason are the same; empty where any are."""

    reason: str
    note: str
    warns: bool
    action: str
    topic: str = ""


@dataclass(frozen=True)
class Series:
    """What was said of one thing. count: times that it was, of which `written` the API server knows."""

    name: str
    last_s: float
    written_s: float
    count: int = 1
    written: int = 1


@dataclass(frozen=True)
class Memory:
    """What was said of a fleet lately. It is not needed to be right: who forgets it begins new series.

    created_s: when the events of the last WITHIN_S were begun. unsaid: how many more there would have been.
    """

    series: Mapping[tuple[str, str], Series] = field(default_factory=dict)
    created_s: tuple[float, ...] = ()
    unsaid: int = 0


@dataclass(frozen=True)
class Writes:
    """What is to be sent: new events, and merge patches of those that are there, by name."""

    created: tuple[Object, ...] = ()
    patched: Mapping[str, Object] = field(default_factory=dict)


def sayings(before: FleetStatus | None, after: FleetStatus, account: Account) -> tuple[Saying, ...]:
    """What happened between two statuses, and the news of the account, in the order in which it is told."""
    return (
        *_shortages(before, after, account),
        *_shift(before, after),
        *_transitions(before, after),
        *(_worded(one.word, one.note, one.topic) for one in account.news),
    )


def began(before: FleetStatus | None, after: FleetStatus) -> tuple[PoolStatus, ...]:
    """The pools whose shortage began between the two."""
    short = {pool.unit for pool in _pools(before) if pool.shortage}
    return tuple(pool for pool in after.pools if pool.shortage and pool.unit not in short)


def _shortages(before: FleetStatus | None, after: FleetStatus, account: Account) -> list[Saying]:
    pools = () if account.observation is None else account.observation.pools
    why = {pool.name: "; ".join(fact.reason for fact in pool.shortages) for pool in pools}
    told = [
        _worded(Word.SHORTAGE_BEGAN, f"{pool.unit} gets no capacity: {why.get(pool.unit, '')}.", pool.unit)
        for pool in began(before, after)
    ]
    short = {pool.unit for pool in _pools(before) if pool.shortage}
    return told + [
        _worded(Word.SHORTAGE_ENDED, f"{pool.unit} is tried again.", pool.unit)
        for pool in after.pools
        if not pool.shortage and pool.unit in short
    ]


def _shift(before: FleetStatus | None, after: FleetStatus) -> list[Saying]:
    """One for a shift of weights. The steps of a ramp give to the same pools, and so are one series."""
    had = {pool.unit: pool.weight for pool in _pools(before)}
    gains = {pool.unit: pool.weight - had.get(pool.unit, 0) for pool in after.pools}
    if before is None or not before.weights or not any(gains.values()):
        return []
    to = sorted(unit for unit, gain in gains.items() if gain > 0)
    names = "/".join(pool.unit for pool in after.pools)
    note = f"Traffic goes to {', '.join(to)}: weights of {names} from {before.weights} to {after.weights}."
    return [_worded(Word.WEIGHTS_SHIFTED, note, ",".join(to))]


def _transitions(before: FleetStatus | None, after: FleetStatus) -> list[Saying]:
    """A condition whose status or reason changed. A fleet that begins healthy is no news.

    A shortage is told as such, and that there is no plan by Ready alone.
    """
    known = {} if before is None else {one.type: (one.status, one.reason) for one in before.conditions}
    told = []
    for one in after.conditions:
        healthy = one.status == _HEALTHY[one.type]
        if not _is_known(one, healthy, known.get(one.type)):
            told.append(Saying(one.reason, one.message, not healthy and one.status != "Unknown", "Observed", one.type))
    return told


def _is_known(one: Condition, healthy: bool, before: tuple[str, str] | None) -> bool:
    """Whether there is nothing to say of the condition. before: its status and reason, where it had any."""
    if before == (one.status, one.reason) or one.reason == Reason.POOL_SHORT.value:
        return True
    unplanned = Reason.NO_PLAN.value
    if one.type != _READY and (one.reason == unplanned or (healthy and before is not None and before[1] == unplanned)):
        return True
    return healthy and before is None


def _worded(word: Word, note: str, topic: str = "") -> Saying:
    telling = TELLINGS[word]
    return Saying(word.value, note, telling.warns, telling.action, topic)


def tell(
    memory: Memory, told: Sequence[Saying], fleet: Object, *, instance: str, now_s: float
) -> tuple[Memory, Writes]:
    """What to send for these sayings, and for series whose count has risen since. instance: who says it, a pod."""
    series = {
        key: one for key, one in memory.series.items() if now_s - one.last_s < SERIES_S or one.written < one.count
    }
    created_s = [t_s for t_s in memory.created_s if now_s - t_s < WITHIN_S]
    created: list[Object] = []
    unsaid = memory.unsaid
    for saying in told:
        key = saying.reason, saying.topic
        known = series.get(key)
        if known is not None and now_s - known.last_s < SERIES_S:
            series[key] = replace(known, last_s=now_s, count=known.count + 1)
        elif len(created_s) < MOST:
            event = _event(saying, fleet, instance, now_s)
            created.append(event)
            created_s.append(now_s)
            series[key] = Series(event["metadata"]["name"], now_s, now_s)
        else:
            unsaid += 1
    patched: dict[str, Object] = {}
    for key, one in series.items():
        if one.count > one.written and (one.written == 1 or now_s - one.written_s >= SERIES_EVERY_S):
            patched[one.name] = {"series": {"count": one.count, "lastObservedTime": _micro_time(one.last_s)}}
            series[key] = replace(one, written=one.count, written_s=now_s)
    return Memory(series, tuple(created_s), unsaid), Writes(tuple(created), patched)


def _event(saying: Saying, fleet: Object, instance: str, now_s: float) -> Object:
    about = fleet["metadata"]
    parts = (about["uid"], saying.reason, saying.topic, repr(now_s))
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": f"{about['name']}.{digest}", "namespace": about["namespace"]},
        "eventTime": _micro_time(now_s),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": saying.action,
        "reason": saying.reason,
        "type": "Warning" if saying.warns else "Normal",
        "note": _cut(saying.note),
        "regarding": {
            "apiVersion": FLEET.api_version,
            "kind": FLEET.kind,
            "namespace": about["namespace"],
            "name": about["name"],
            "uid": about["uid"],
            "resourceVersion": about["resourceVersion"],
        },
    }


def _cut(note: str) -> str:
    whole = note.encode()
    return note if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 3].decode(errors='ignore')}..."


def _pools(status: FleetStatus | None) -> tuple[PoolStatus, ...]:
    return () if status is None else status.pools


def _micro_time(t_s: float) -> str:
    """Kubernetes' MicroTime: six decimals, neither more nor less (k8s.io/apimachinery, meta/v1/micro_time.go)."""
    return datetime.datetime.fromtimestamp(t_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
