"""The conditions of a fleet: what is so, in a word for machines and in sentences for the person at 3 a.m."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.control.look import SLACK
from holdfast.control.operator.account import Account
from holdfast.control.operator.reasons import Reason, Status, Type
from holdfast.control.operator.telling import by_hand, wording
from holdfast.control.operator.telling.by_hand import Override
from holdfast.control.operator.telling.wording import count
from holdfast.control.pool_states import PoolState
from holdfast.model import instants, quantities
from holdfast.model.pools import CapacityPool, RoutingMode
from holdfast.model.status import Condition

LOST = (PoolState.LOST, PoolState.SHORT, PoolState.DRAINING)


@dataclass(frozen=True)
class _Finding:
    status: Status
    reason: Reason
    message: str


_Rule = Callable[[Account], Iterator[_Finding]]


def conditions(account: Account, before: Sequence[Condition]) -> tuple[Condition, ...]:
    """Ready, Degraded, FailedOver and Stale. before: as they were; a time moves only when a status does."""
    return tuple(_condition(account, type_, rule, before) for type_, rule in _RULES)


def _condition(account: Account, type_: Type, rule: _Rule, before: Sequence[Condition]) -> Condition:
    """The first finding has the word; the others of its status add their sentences."""
    findings = list(rule(account))
    first = findings[0]
    messages = dict.fromkeys(one.message for one in findings if one.status == first.status)
    known = next((one for one in before if one.type == type_.value and one.status == first.status), None)
    return Condition(
        type=type_.value,
        status=first.status,
        reason=first.reason.value,
        message=wording.shortened(" ".join(messages)),
        last_transition_time=_second(account.now_s) if known is None else known.last_transition_time,
        observed_generation=account.generation,
    )


def _second(t_s: float) -> str:
    return instants.rfc3339(float(int(t_s)))


def _ready(account: Account) -> Iterator[_Finding]:
    if account.error:
        yield _Finding("Unknown", Reason.LOOK_FAILED, wording.look_failed(account))
        return
    if account.plan is None:
        yield _Finding("False", *_unplanned(account))
        return
    yield from _incomplete(account)
    yield from _carrying(account)


def _incomplete(account: Account) -> Iterator[_Finding]:
    """What one command brings is told together; definitions first, for without them nothing else is there."""
    unknown = [one for one in account.missing if one.definition]
    for command in dict.fromkeys(one.command for one in unknown):
        kinds = wording.listed({one.kind for one in unknown if one.command == command})
        message = f"The cluster does not know {kinds}, which the fleet has objects of: `{command}`."
        yield _Finding("False", Reason.CRD_MISSING, message)
    absent = sorted((one for one in account.missing if not one.definition), key=lambda one: one.kind != "NodePool")
    for kind, command in dict.fromkeys((one.kind, one.command) for one in absent):
        names = {one.name for one in absent if (one.kind, one.command) == (kind, command)}
        reason = Reason.NODE_POOL_MISSING if kind == "NodePool" else Reason.OBJECT_MISSING
        told = f"{kind}{'' if len(names) == 1 else 's'} {wording.listed(names)}"
        yield _Finding("False", reason, f"Missing: {told}. Apply it with `{command}`.")
    for failure in account.failures:
        if failure.refused:
            yield _Finding("False", Reason.OBJECT_REFUSED, f"{failure.kind} {failure.name} is refused: {failure.why}.")


def _carrying(account: Account) -> Iterator[_Finding]:
    seen = account.observation
    if seen is None or not seen.pools_known:
        yield _Finding("Unknown", Reason.API_UNANSWERED, wording.unanswered())
        return
    ready = sum(pool.ready for pool in seen.pools)
    pending = sum(pool.pending for pool in seen.pools)
    coming = f"{count(pending, 'replica is', 'replicas are')} on the way"
    if not ready:
        message = f"No replica takes traffic; {coming}. {wording.waiting(account)}"
        yield _Finding("False", Reason.NO_REPLICA_READY, message)
        return
    holds = count(ready, "ready replica holds", "ready replicas hold")
    limit_per_s = sum(pool.ready * pool.limit_per_s for pool in seen.pools)
    if seen.rate_per_s is None or not seen.rate_known:
        message = f"{holds} {wording.rate(limit_per_s)}, and nobody knows how many requests come. {wording.metrics()}"
        yield _Finding("Unknown", Reason.RATE_UNKNOWN, message)
    elif seen.rate_per_s > limit_per_s * (1 + SLACK):
        too_much = f"{holds} {wording.rate(limit_per_s)}, and {wording.rate(seen.rate_per_s)} come"
        if pending:
            yield _Finding("False", Reason.SCALING, f"{too_much}; {coming}. {wording.waiting(account)}")
        else:
            message = f"{too_much}; no more are asked for. Raise maxReplicas or demand, or add a unit."
            yield _Finding("False", Reason.OVERLOADED, message)
    else:
        yield _Finding("True", Reason.SERVING, f"{holds} {wording.rate(limit_per_s)}, which is enough.")


def _degraded(account: Account) -> Iterator[_Finding]:
    if account.error:
        yield _Finding("True", Reason.LOOK_FAILED, wording.look_failed(account))
    for violation in account.refused:
        message = f"A decision was not carried out: {violation}. Weights and replicas stay as they are."
        yield _Finding("True", Reason.DECISION_REFUSED, message)
    for failure in account.failures:
        reason = Reason.OBJECT_REFUSED if failure.refused else Reason.WRITE_FAILED
        became = "is refused" if failure.refused else "could not be written and is tried again"
        yield _Finding("True", reason, f"{failure.kind} {failure.name} {became}: {failure.why}.")
    for clause in account.unscaled:
        yield _Finding("True", Reason.SCALER_FAILED, f"{clause}.")
    if not by_hand.understood(account.fleet):
        text = f"The annotation {by_hand.ANNOTATION} says {by_hand.written(account.fleet)!r}, and counts as auto"
        yield _Finding("True", Reason.OVERRIDE_UNKNOWN, f"{text}: `{wording.failover(account)} auto` removes it.")
    if account.plan is None:
        yield _Finding("Unknown", Reason.NO_PLAN, "No plan runs that the fleet could fall short of.")
        return
    problem = account.plan_problem
    if problem is not None and problem.reason is not Reason.PLAN_WAITS:
        yield _Finding("True", problem.reason, problem.sentence)
    yield from _short_pools(account)


def _short_pools(account: Account) -> Iterator[_Finding]:
    seen = account.observation
    if seen is None or not seen.pools_known:
        yield _Finding("Unknown", Reason.API_UNANSWERED, wording.unanswered())
        return
    for pool in seen.pools:
        holding = [fact for fact in pool.shortages if fact.holds(account.now_s)]
        if holding:
            newest = max(holding, key=lambda fact: (fact.expires_s, fact.at_s, fact.reason))
            message = (
                f"{pool.name} gets no capacity ({newest.reason}) and is tried again after "
                f"{wording.clock(newest.expires_s)}: `kubectl get nodeclaims` shows its attempts."
            )
            yield _Finding("True", Reason.POOL_SHORT, message)
    for pool in seen.pools:
        if pool.draining:
            notice = count(pool.draining, "ready replica has", "ready replicas have")
            gone = f" and will be gone from {wording.clock(pool.gone_at_s)}" if pool.gone_at_s else ""
            message = f"{pool.name}: {notice} an interruption notice{gone}; replacements are asked for."
            yield _Finding("True", Reason.POOL_INTERRUPTED, message)
    yield _Finding("False", Reason.AS_PLANNED, "Nothing is short, interrupted or refused.")


def _failed_over(account: Account) -> Iterator[_Finding]:
    applied = account.applied
    if account.plan is None or applied is None:
        yield _Finding("Unknown", Reason.NO_PLAN, "No plan runs that traffic could go by.")
        return
    asked = by_hand.override(account.fleet)
    undone = f"`{wording.failover(account)} auto` takes it back"
    by_cost = (
        f" Dwell and ramp are set aside by hand {by_hand.mark(asked)}; {undone}." if asked is Override.COST else ""
    )
    if asked is Override.CAPACITY:
        message = f"By hand {by_hand.mark(asked)}: every ready replica gets the same share; {undone}."
        yield _Finding("True", Reason.BY_HAND, message)
    elif applied.mode is RoutingMode.COST_OPTIMIZED:
        yield _Finding("False", Reason.COST_OPTIMIZED, f"Traffic goes to the cheapest pools first.{by_cost}")
    else:
        since = f"Since {wording.clock(applied.mode_since_s)} traffic goes by what is ready, not by what is cheapest"
        yield _Finding("True", Reason.CAPACITY_LOST, f"{since}{_losses(account)}. {_way_back(account)}{by_cost}")


def _losses(account: Account) -> str:
    states = {} if account.decision is None else account.decision.states
    lost = [f"{name} ({state.value})" for name, state in sorted(states.items()) if state in LOST]
    return f": {'; '.join(lost)}" if lost else ""


def _way_back(account: Account) -> str:
    """What has to happen before the fleet is in cost-optimised mode again."""
    seen, decision, routing = account.observation, account.decision, account.routing
    if routing.policy != "merit-order" or seen is None or decision is None or not decision.states:
        return f"It goes back when the policy {routing.policy} says so."
    if PoolState.UNKNOWN in decision.states.values():
        return "The weights are held until pools and rate are known again."
    lost = [pool for pool in seen.pools if decision.states.get(pool.name) in LOST]
    proving = [pool for pool in seen.pools if decision.states.get(pool.name) is PoolState.PROVING]
    if lost:
        names = ", ".join(pool.name for pool in lost)
        stable = quantities.format_duration(routing.dwell_s)
        return f"It goes back by steps when {names} can carry the share again and has lasted {stable}."
    if proving:
        names = ", ".join(pool.name for pool in proving)
        return f"It goes back by steps when {names} has proved itself, not before {_proved(account, proving)}."
    step, every = quantities.format_share(routing.ramp.step), quantities.format_duration(routing.ramp.every_s)
    return f"It is on its way back, by steps of {step} every {every}."


def _proved(account: Account, proving: Sequence[CapacityPool]) -> str:
    """When the pools, as they are now, and the mode will have lasted the dwell time."""
    began_s = [pool.ready_since_s for pool in proving]
    if account.applied is not None:
        began_s.append(account.applied.mode_since_s)
    return wording.clock(max(began_s) + account.routing.dwell_s)


def _stale(account: Account) -> Iterator[_Finding]:
    seen = account.observation
    if account.error:
        yield _Finding("Unknown", Reason.LOOK_FAILED, wording.look_failed(account))
    elif seen is None:
        yield _Finding("Unknown", Reason.NO_PLAN, "No plan runs whose pools could be seen.")
    else:
        if not seen.pools_known:
            yield _Finding("True", Reason.API_UNANSWERED, wording.unanswered())
        if not seen.rate_known:
            yield _Finding("True", Reason.RATE_UNKNOWN, f"The offered rate is unknown. {wording.metrics()}")
        yield _Finding("False", Reason.UP_TO_DATE, "API server and metrics answer.")


_RULES: tuple[tuple[Type, _Rule], ...] = (
    (Type.READY, _ready),
    (Type.DEGRADED, _degraded),
    (Type.FAILED_OVER, _failed_over),
    (Type.STALE, _stale),
)


def _unplanned(account: Account) -> tuple[Reason, str]:
    problem = account.plan_problem
    return (Reason.NO_PLAN, "There is no plan yet.") if problem is None else (problem.reason, problem.sentence)
