"""Writes what a fleet is made of: one request for each object that is not as it should be, and none for the others.

Weights come first: they take effect in seconds, replicas in minutes. Every write of an object that is there names the
version that the decision was made on, so that what a deposed leader sends late is refused by the API server, and nobody
touches a route that a later leader has stamped. A failure of one object does not stop the others; it is told, and tried
again later. Where nobody answers at all, the rest waits for the next look.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from holdfast.control.operator.account import Failure
from holdfast.control.operator.keeping import changed, drift, routing_record
from holdfast.control.operator.keeping.drift import Difference, Drift
from holdfast.control.operator.office import Office
from holdfast.control.operator.seeing.seen import Key
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import ConflictError, KubeError, NotFoundError, RefusedError, UnavailableError
from holdfast.kube.kinds import Object

FIRST_S, MOST_S = 0.5, 60.0
"""Before an object that failed is tried again; doubled each time, with as much jitter."""

CONFLICT_S = 0.1
"""Before one that had moved on, and was asked for anew, is tried again."""

ECHO_S = 5.0
"""How long what the API server answered counts for more than what the watch has not yet told."""

PASS_S = 2.0
"""From when no further object is begun with: where each write takes seconds, a pool may be lost in the meantime."""

FOUGHT = 3
"""So often in a row an object is put back at once. From then on whoever else changes it is left longer and longer; on
the route, where traffic goes by it, never longer than ROUTE_S."""

ROUTE_S = 1.0

_SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")

_WORKLOADS = ("Deployment", "LeaderWorkerSet")

log = logging.getLogger("holdfast.operator")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    put_back:  what somebody else had changed or deleted, and is as it was: a clause for each.
    routed:    whether the route is as it was wanted. routed_s: when its write was answered; None where it needed none.
    retry_s:   when to come again at the latest for what failed; None where nothing did.
    """

    written: tuple[Object, ...] = ()
    put_back: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    routed: bool = False
    routed_s: float | None = None
    retry_s: float | None = None


@dataclass(frozen=True)
class _Trouble:
    """An object that failed lately. failure: None for one that had only moved on."""

    times: int
    again_s: float
    failure: Failure | None


class Writer:
    """Writes the objects of one fleet.

    chance: of the jitter between attempts. On trial each write that would be is logged, once.
    """

    def __init__(
        self, connection: Connection, office: Office, *, clock: Callable[[], float], chance: random.Random
    ) -> None:
        self._connection, self._office, self._clock, self._chance = connection, office, clock, chance
        self._troubles: dict[Key, _Trouble] = {}
        self._answers: dict[Key, tuple[Object, float]] = {}
        self._known: set[Key] = set()
        self._fights: dict[Key, tuple[int, float]] = {}
        self._logged: dict[Key, str] = {}

    def latest(self, live: Mapping[Key, Object]) -> dict[Key, Object]:
        """What is there by the later of what the watches told and what our own writes were answered."""
        now_s = self._clock()
        self._answers = {
            name: (answer, at_s)
            for name, (answer, at_s) in self._answers.items()
            if now_s < at_s + ECHO_S and (name not in live or _version(live[name]) < _version(answer))
        }
        return {**live, **{name: answer for name, (answer, _) in self._answers.items()}}

    async def carry_out(
        self, wanted: Sequence[Object], live: Mapping[Key, Object], route: Key, surplus: Sequence[Object] = ()
    ) -> Outcome:
        """Applies what differs of `wanted`, each as `drift.stamped` gives it, and deletes the `surplus`.

        live: what is there. route: the object that the weights are on.
        """
        steps = [(key(one), one) for one in wanted]
        asked = {name for name, _ in steps} | {key(one) for one in surplus}
        self._troubles = {name: trouble for name, trouble in self._troubles.items() if name in asked}
        if self._is_outlived(live.get(route)):
            return Outcome(retry_s=self._clock() + FIRST_S)
        outcome, began_s = Outcome(), self._clock()
        for name, one in sorted(steps, key=lambda step: (_turn(step[0], step[0] in live, route), step[0])):
            difference = drift.of(one, live.get(name))
            if difference is None:
                self._known.add(name)
                self._troubles.pop(name, None)
                outcome = replace(outcome, routed=outcome.routed or name == route)
                continue
            if not self._office.leads():
                return replace(outcome, retry_s=self._clock() + FIRST_S)
            if self._clock() > began_s + PASS_S:
                return replace(outcome, retry_s=self._clock())
            if name in self._troubles and self._clock() < self._troubles[name].again_s:
                outcome = self._with_trouble(outcome, name)
                continue
            peace_s = self._peace_s(name, name == route) if difference.difference is Difference.CHANGED else 0.0
            if self._clock() < peace_s:
                outcome = _left(outcome, name, difference, peace_s)
                continue
            if not self._office.acts:
                self._would(one, f"apply: {changed.text(one, live.get(name), difference)}")
                continue
            try:
                answer = await self._apply(one, live.get(name))
            except KubeError as error:
                outcome = self._failed(outcome, one, error)
                if isinstance(error, UnavailableError):
                    return outcome
                if isinstance(error, ConflictError):
                    await self._see(name, one)
                continue
            outcome = self._succeeded(outcome, name, answer, difference, name == route)
            log.info("applied", extra=_about(one) | {"because": changed.text(one, live.get(name), difference)})
        return await self._clear(surplus, outcome)

    async def _see(self, name: Key, wanted: Object) -> None:
        """Asks for an object that has moved on: the watch may have fallen silent. The next look decides on it."""
        described = wanted["metadata"]
        with suppress(KubeError):
            found = await self._connection.get(kinds.of(wanted), described["name"], described["namespace"])
            self._answers[name] = found, self._clock()

    async def _apply(self, wanted: Object, live: Object | None) -> Object:
        if live is None:
            return await self._connection.apply(wanted)
        # A version alone lets an apply create what is gone since; a uid does not.
        known = live["metadata"]
        one = wanted | {"metadata": wanted["metadata"] | {"uid": known["uid"]}}
        return await self._connection.apply(one, resource_version=known["resourceVersion"])

    def _succeeded(self, outcome: Outcome, name: Key, answer: Object, difference: Drift, is_route: bool) -> Outcome:
        self._troubles.pop(name, None)
        self._answers[name] = answer, self._clock()
        put_back = outcome.put_back
        if difference.difference is Difference.CHANGED or (
            difference.difference is Difference.ABSENT and name in self._known
        ):
            put_back += (f"{name[0]} {name[1]}: {difference.text}",)
        if difference.difference is Difference.CHANGED:
            times, at_s = self._fights.get(name, (0, 0.0))
            now_s = self._clock()
            self._fights[name] = (times + 1 if now_s < at_s + 2 * MOST_S else 1), now_s
        self._known.add(name)
        if is_route:
            outcome = replace(outcome, routed=True, routed_s=self._clock())
        return replace(outcome, written=(*outcome.written, answer), put_back=put_back)

    def _peace_s(self, name: Key, is_route: bool) -> float:
        """Until when an object is left as somebody else has changed it."""
        times, at_s = self._fights.get(name, (0, 0.0))
        if times < FOUGHT:
            return 0.0
        return at_s + min(ROUTE_S if is_route else MOST_S, FIRST_S * 2.0 ** min(times - FOUGHT, 16))

    async def _clear(self, surplus: Sequence[Object], outcome: Outcome) -> Outcome:
        for one in surplus:
            name, described = key(one), one["metadata"]
            if not self._office.leads():
                return outcome
            if name in self._troubles and self._clock() < self._troubles[name].again_s:
                outcome = self._with_trouble(outcome, name)
                continue
            if not self._office.acts:
                self._would(one, "delete: the plan has no use for it")
                continue
            try:
                await self._connection.delete(
                    kinds.of(one), described["name"], described["namespace"], uid=described["uid"]
                )
            except NotFoundError:
                continue
            except KubeError as error:
                outcome = self._failed(outcome, one, error)
                if isinstance(error, UnavailableError):
                    return outcome
                continue
            self._known.discard(name)
            self._answers.pop(name, None)
            log.info("deleted", extra=_about(one) | {"because": "the plan has no use for it"})
        return outcome

    def _failed(self, outcome: Outcome, one: Object, error: KubeError) -> Outcome:
        name = key(one)
        before = self._troubles.get(name)
        times = 1 if before is None else before.times + 1
        conflict = isinstance(error, ConflictError)
        wait_s = CONFLICT_S if conflict and times < 4 else min(MOST_S, FIRST_S * 2 ** min(times, 16))
        wait_s *= 1 + self._chance.random()
        if isinstance(error, UnavailableError) and error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        failure = None
        if not conflict or times >= 4:
            refused = isinstance(error, RefusedError | NotFoundError)
            failure = Failure(name[0], name[1], str(error), refused)
            log.warning("not written", extra=_about(one) | {"because": str(error), "again_s": wait_s})
        self._answers.pop(name, None)
        self._troubles[name] = _Trouble(times, self._clock() + wait_s, failure)
        return self._with_trouble(outcome, name)

    def _with_trouble(self, outcome: Outcome, name: Key) -> Outcome:
        trouble = self._troubles[name]
        failures = outcome.failures if trouble.failure is None else (*outcome.failures, trouble.failure)
        retry_s = trouble.again_s if outcome.retry_s is None else min(outcome.retry_s, trouble.again_s)
        return replace(outcome, failures=failures, retry_s=retry_s)

    def _is_outlived(self, route: Object | None) -> bool:
        """Whether a later term than ours has stamped the route: then we lead no more, or must rise above it first."""
        record = routing_record.read(route)
        if record is None or record.term <= self._office.term(record.term):
            return False
        self._office.outlived(record.term)
        return True

    def _would(self, one: Object, text: str) -> None:
        if self._logged.get(key(one)) != text:
            self._logged[key(one)] = text
            log.info("would write", extra=_about(one) | {"what": text})


def _left(outcome: Outcome, name: Key, difference: Drift, until_s: float) -> Outcome:
    """With an object that is left for now to whoever else changes it again and again."""
    why = f"it was put back again and again, and {difference.text}"
    retry_s = until_s if outcome.retry_s is None else min(outcome.retry_s, until_s)
    return replace(outcome, failures=(*outcome.failures, Failure(*name, why, refused=False)), retry_s=retry_s)


def key(one: Object) -> Key:
    """Kind and name."""
    return one["kind"], one["metadata"]["name"]


def _about(one: Object) -> dict[str, str]:
    """For the log."""
    return {"object": "/".join(key(one)), "namespace": one["metadata"]["namespace"]}


def _version(one: Object) -> int:
    """Versions of one object rise (KEP-5504: resource versions are comparable)."""
    return int(one["metadata"]["resourceVersion"])


def _turn(name: Key, is_there: bool, route: Key) -> int:
    """The route first, then the bounds of scalers, then the rest; what is new comes after what it refers to."""
    if is_there and name == route:
        return 0
    if name[0] in _SCALERS:
        return 1 if is_there else 4
    return 5 if name == route else 3 if name[0] in _WORKLOADS else 2
