"""A fleet on its plan: observe, decide, check, act.

What is kept between two looks only saves work, or tells how long ago something was: who starts anew decides the same.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.catalog import equipment_of
from holdfast.control import verdict
from holdfast.control.decision import Decision
from holdfast.control.observation import Applied
from holdfast.control.operator.account import Account, Failure, Missing, News
from holdfast.control.operator.keeping import desired, rising, transition
from holdfast.control.operator.keeping.act import Outcome, Writer
from holdfast.control.operator.keeping.desired import Desired
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.control.operator.office import Office
from holdfast.control.operator.reasons import Word
from holdfast.control.operator.seeing import observe, scalers
from holdfast.control.operator.seeing.observe import Standing
from holdfast.control.operator.seeing.seen import Key, Reading, Seen
from holdfast.control.pool_states import PoolState
from holdfast.control.verdict import Verdict
from holdfast.kube import kinds
from holdfast.kube.errors import KubeError, NotFoundError, RefusedError
from holdfast.kube.kinds import Kind, Object
from holdfast.model.errors import InputError
from holdfast.model.fleet import RoutingPolicy
from holdfast.model.plan import Plan

_BRINGS_KINDS = "holdfast render plan.json -o deploy, then helmfile -f deploy/addons/helmfile.yaml apply"
_BRINGS_POOLS = "kubectl apply --server-side -k fleet"

_LACKING = (PoolState.LOST, PoolState.SHORT, PoolState.DRAINING)


@dataclass(frozen=True)
class Steered:
    """What came of it. account: of the look, with all that is known now. next_look_s: at the latest.

    left_s: when weights that leave lost capacity were in force; None where none did.
    due:    whether the route is not as it was decided.
    """

    account: Account
    next_look_s: float
    left_s: float | None = None
    due: bool = False


class Steering:
    """Steers one fleet."""

    def __init__(self, writer: Writer, office: Office) -> None:
        self._writer, self._office = writer, office
        self._wanted: Desired | None = None
        self._ruling: Desired | None = None
        self._standings: Mapping[str, Standing] | None = None
        self._before: Verdict | None = None
        self._terms: tuple[Plan, RoutingPolicy] | None = None
        self._unused_since_s: dict[Key, float] = {}

    def wanted(self, plan: Plan, fleet: Object) -> Desired:
        """The objects of the plan, rendered when it or the owner is another than before. Raises InputError."""
        known, uid = self._wanted, fleet["metadata"]["uid"]
        if known is None or (known.plan is not plan and known.plan != plan) or known.owner["uid"] != uid:
            known = desired.desired(plan, equipment_of(plan.fleet), fleet)
        self._wanted = known
        return known

    def before(self, made: Plan | None, fleet: Object) -> Desired | None:
        """What traffic goes by while the plan cannot be rendered with the spec as it is: what was wanted last, or for
        who has just started the plan as it was made. None where there is neither."""
        if self._wanted is None and made is not None:
            with contextlib.suppress(InputError):
                self._wanted = desired.desired(made, equipment_of(made.fleet), fleet)
        return self._wanted

    async def steer(
        self,
        account: Account,
        wanted: Desired,
        seen: Seen,
        reading: Reading,
        unseen: Mapping[Kind, KubeError],
        whole: bool = True,
    ) -> Steered:
        """account: of the look so far. unseen: kinds that the cluster does not know, or that we may not see. whole: or
        only where traffic goes and how many replicas are asked for."""
        now_s = account.now_s
        seen = replace(seen, managed=self._writer.latest(seen.managed))
        record = desired.in_force(wanted, seen.managed.get(wanted.route), now_s)
        waits = self._waits(wanted, seen, reading, record.applied, now_s)
        ruling = self._ruling if waits and self._ruling is not None else wanted
        reached = self._reach(account, ruling, seen, reading, record.applied)
        stood = record.stood or rising.stands(reached.observation, ruling.plan.fleet.spec.capacity)
        if not stood:
            reached = rising.held(reached, seen.managed.get(ruling.route))
        account = replace(
            account,
            plan=ruling.plan,
            observation=reached.observation,
            applied=record.applied,
            decision=reached.decision,
            refused=reached.refused,
            missing=_missing(wanted, seen, unseen),
            unscaled=scalers.troubles(seen),
        )
        if not reached.observation.pools_known:
            return Steered(account, reached.decision.next_look_s)
        if not waits:
            self._ruling = wanted
        applied = record.applied if reached.refused else _applied(reached.decision)
        objects = _objects(ruling, Record(applied, self._office.term(record.term), stood), reached, seen)
        if ruling is not wanted:
            objects = _beside(wanted, reached, seen) | objects
        elif waits:
            # Who has just started knows no plan that the route could be made for.
            del objects[wanted.route]
            applied, term = record.applied, self._office.term(record.term)
            standing = transition.relieved(wanted, seen.managed[wanted.route], record, term, seen, now_s)
            if standing is not None:
                objects[wanted.route], applied = standing.route, standing.applied
        if not whole:
            objects = {key: one for key, one in objects.items() if key == ruling.route or key in ruling.scalers}
        hidden = {key: one for key, one in objects.items() if kinds.of(one) in unseen}
        surplus = self._surplus(wanted, seen, now_s, begins=whole and not transition.leaves(wanted, record.applied))
        shown = [one for key, one in objects.items() if key not in hidden]
        outcome = await self._writer.carry_out(shown, seen.managed, ruling.route, surplus)
        # On trial what was decided is told as if it were in force.
        in_force = applied if outcome.routed or not self._office.acts else record.applied
        leaves = _leaves_lost(record.applied, applied, reached.decision)
        return _steered(replace(account, applied=in_force), outcome, _forbidden(hidden, unseen), leaves=leaves)

    def _waits(self, wanted: Desired, seen: Seen, reading: Reading, applied: Applied, now_s: float) -> bool:
        """Whether traffic must go by the plan before for now: `transition.waits`."""
        if not transition.leaves(wanted, applied):
            return False
        observation = observe.observe(wanted.placed, seen, reading, applied, self._standings or {}, now_s)
        return transition.waits(wanted, applied, observation, seen)

    def _surplus(self, wanted: Desired, seen: Seen, now_s: float, *, begins: bool) -> list[Object]:
        """What is to be deleted: what the plan has no use for, since weights have left it for long enough."""
        known = self._unused_since_s
        keys = desired.surplus(wanted, seen.managed) if begins else ()
        self._unused_since_s = {key: known.get(key, now_s) for key in keys}
        return [seen.managed[key] for key, at_s in self._unused_since_s.items() if now_s >= at_s + transition.DRAIN_S]

    def _reach(self, account: Account, wanted: Desired, seen: Seen, reading: Reading, applied: Applied) -> Verdict:
        if self._standings is None:
            self._standings = observe.standings(seen.fleet)
        observation = observe.observe(wanted.placed, seen, reading, applied, self._standings, account.now_s)
        if observation.pools_known:
            self._standings = observe.kept(observation)
        terms = wanted.plan, account.routing
        reached = verdict.reach(
            observation,
            account.routing,
            wanted.plan.fleet.spec.capacity,
            account.now_s,
            data_plane=wanted.plan.fleet.spec.data_plane,
            # Another plan or policy may see a pool as it could not have been seen before.
            before=self._before if terms == self._terms else None,
        )
        self._before, self._terms = reached, terms
        return reached


def _objects(wanted: Desired, record: Record, reached: Verdict, seen: Seen) -> dict[Key, Object]:
    """All that is to be there. Of a refused decision the bounds are not taken, either: they stay as they are."""
    decision = replace(reached.decision, replicas={}) if reached.refused else reached.decision
    return {
        **wanted.standing,
        **desired.scalers(wanted, decision, reached.observation.pools, seen.managed, reached.now_s),
        wanted.route: desired.route(wanted, record),
    }


def _beside(coming: Desired, reached: Verdict, seen: Seen) -> dict[Key, Object]:
    """What a plan to come needs before traffic goes by it: all but its route, with its own bounds."""
    decision = replace(reached.decision, replicas={})
    return {**coming.standing, **desired.scalers(coming, decision, (), seen.managed, reached.now_s)}


def _applied(decision: Decision) -> Applied:
    return Applied(decision.weights, decision.mode, decision.mode_since_s, decision.last_shift_s)


def _leaves_lost(before: Applied, after: Applied, decision: Decision) -> bool:
    """Whether weight is taken from a pool that lost capacity."""
    return any(
        after.weights.get(name, 0) < before.weights.get(name, 0)
        for name, state in decision.states.items()
        if state in _LACKING
    )


def _missing(wanted: Desired, seen: Seen, unseen: Mapping[Kind, KubeError]) -> tuple[Missing, ...]:
    """What others have to bring: kinds that the cluster does not know, and node pools."""
    hidden = unseen.get(kinds.NODE_POOL)
    kinds_missing = {
        kind.kind: Missing(kind.kind, name, _BRINGS_KINDS, definition=True)
        for kind, name in ((kinds.of(one), key[1]) for key, one in _made(wanted).items())
        if isinstance(unseen.get(kind), NotFoundError)
    }
    known = hidden is None or isinstance(hidden, NotFoundError)
    pools = desired.missing_node_pools(wanted, seen.node_pools) if known else ()
    return (*kinds_missing.values(), *(Missing("NodePool", name, _BRINGS_POOLS) for name in pools))


def _made(wanted: Desired) -> dict[Key, Object]:
    return {**wanted.standing, **{key: scaler.object for key, scaler in wanted.scalers.items()}}


def _forbidden(hidden: Mapping[Key, Object], unseen: Mapping[Kind, KubeError]) -> list[Failure]:
    """What is not written because we may not see whether it is there."""
    why = {key: unseen[kinds.of(one)] for key, one in sorted(hidden.items())}
    return [
        Failure(*key, str(error), refused=isinstance(error, RefusedError))
        for key, error in why.items()
        if not isinstance(error, NotFoundError)
    ]


def _steered(account: Account, outcome: Outcome, forbidden: Sequence[Failure], *, leaves: bool) -> Steered:
    """The look, with what came of writing. leaves: whether weight is taken from a pool that lost capacity."""
    decision = account.decision
    assert decision is not None
    account = replace(
        account,
        failures=(*outcome.failures, *forbidden),
        acted=bool(outcome.written),
        news=(*account.news, *(News(Word.PUT_BACK, f"{text}.", text.split()[0]) for text in outcome.put_back)),
    )
    return Steered(
        account,
        min(decision.next_look_s, outcome.retry_s or math.inf),
        left_s=outcome.routed_s if leaves else None,
        due=not outcome.routed,
    )
