"""Which plan a fleet runs, and whether another must be made.

What runs is the plan in the fleet's ConfigMap and nothing else, so that a restart runs the same. A new plan goes there
first, and runs once it is read from there:

    planning: auto    due (plan_inputs) -> made by a child process (planner) -> ConfigMap
                      with approval: manual    -> proposal -> approved by an annotation -> ConfigMap
    planning: given   a person writes the ConfigMap; the last that could be read is kept in another

What cannot be planned, read or approved is an answer, an Obstacle with a sentence; the plan that runs goes on running.
Parts of the spec that planning does not read (how traffic moves, how servers start) hold at once; those that it reads
hold with the plan that is made on them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from holdfast.control.operator.plans import plan_inputs, plan_records
from holdfast.control.operator.plans.plan_inputs import Inputs
from holdfast.control.operator.plans.plan_records import Kept
from holdfast.control.operator.plans.settled import Due, Obstacle, Settled, Tried
from holdfast.kube.kinds import Object
from holdfast.manifests.fleet import plan_map
from holdfast.model import document
from holdfast.model.document import Declared
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet
from holdfast.model.operation import APPROVED, Approval, Planning
from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.status import Proposal
from holdfast.planning import difference
from holdfast.reports import terminal

RETRY_S = 60.0
"""After a planner that gave no answer (killed, out of time) it is asked again."""

_MOST_SAID = 4096
_MOST_REASON = 1024


def settle(
    fleet: Object,
    config: Mapping[str, Object],
    *,
    highest_per_s: float | None,
    prices_of: Callable[[InferenceFleet], Mapping[str, float]],
    tried: Tried | None,
    now_s: float,
) -> Settled:
    """Which plan the fleet runs, from the resource and its ConfigMaps by name.

    highest_per_s: highest offered rate of the last day; None where nobody knows.
    prices_of:     the catalogue's prices of a fleet's units, as Inputs has them.
    tried:         what came of the last planning, for as long as this process remembers; None after a restart, which
                   costs another planning and gives the same.
    """
    kept = plan_records.read(fleet, config, plan_records.PLAN)
    try:
        declared, parts = _declared(_declaration(fleet))
    except InputError as error:
        last = plan_records.read(fleet, config, plan_records.LAST)
        running = kept.plan or last.plan
        return Settled(running, Obstacle.REFUSED, _more(str(error), running), writes=_backed_up(fleet, kept, last))
    if declared.fleet.spec.planning is Planning.GIVEN:
        return _given(fleet, declared, config, kept)
    prices = prices_of(declared.fleet)
    return _Automatic.of(fleet, declared, parts, config, kept, highest_per_s, prices).settled(tried, now_s)


def _declaration(fleet: Object) -> str:
    """What of the resource a person declares, as text."""
    own = fleet["metadata"]
    declared = {key: fleet.get(key) for key in ("apiVersion", "kind", "spec")}
    return plan_inputs.canonical(declared | {"metadata": {key: own[key] for key in ("name", "namespace")}})


@functools.lru_cache(maxsize=256)
def _declared(text: str) -> tuple[Declared, Mapping[str, str]]:
    """The fleet, and the digests of what planning reads of it. Remembered, because every look asks for them."""
    declared = document.declared_object(json.loads(text))
    return declared, plan_inputs.parts(declared)


def _given(fleet: Object, declared: Declared, config: Mapping[str, Object], kept: Kept) -> Settled:
    last = plan_records.read(fleet, config, plan_records.LAST)
    if kept.plan is None:
        name = plan_records.name(fleet, plan_records.PLAN)
        missing = (
            f"The fleet has planning: given, and there is no configmap {name} with the label "
            f"{plan_map.FLEET_LABEL}: apply the one that `holdfast render` writes to fleet/, or set planning: auto."
        )
        why = kept.why or missing
        obstacle = Obstacle.UNREADABLE if kept.why else Obstacle.NO_PLAN
        running = None if last.plan is None else _with_current(declared, last.plan) or _meanwhile(declared, last.plan)
        return Settled(running, obstacle, _more(why, last.plan))
    writes = _backed_up(fleet, kept, last)
    current = _with_current(declared, kept.plan)
    if current is not None:
        return Settled(current, writes=writes)
    message = "The plan that is given was made on another spec, and runs as it is: plan anew, and apply the new one."
    return Settled(_meanwhile(declared, kept.plan), Obstacle.OUTDATED, message, writes=writes)


def _backed_up(fleet: Object, kept: Kept, last: Kept) -> tuple[Object, ...]:
    """What keeps the plan that runs, should somebody spoil its ConfigMap; nothing where that is kept already."""
    return () if kept.plan is None or kept.identity == last.identity else (plan_records.of_last(fleet, kept.plan),)


def _with_current(declared: Declared, made: Plan) -> Plan | None:
    """The plan with the spec as it is now; None where planning would read another spec than the plan's."""
    if not plan_inputs.same_units(declared, made.fleet):
        return None
    fleet = plan_inputs.settled(declared, made.fleet)
    same = plan_inputs.parts(Declared(fleet, {})) == plan_inputs.parts(Declared(made.fleet, {}))
    return replace(made, fleet=fleet) if same else None


def _meanwhile(declared: Declared, made: Plan) -> Plan:
    """The plan while the spec is another than it was made on: servers are not put back to how they started then."""
    return replace(made, fleet=plan_inputs.meanwhile(declared, made.fleet))


def _more(sentence: str, running: Plan | None) -> str:
    return sentence if running is None else f"{sentence} The plan before goes on running."


@dataclass(frozen=True)
class _Automatic:
    """A fleet that its operator plans.

    kept, waiting: the plan that runs, and the proposal that waits to replace it.
    """

    fleet: Object
    declared: Declared
    config: Mapping[str, Object]
    kept: Kept
    waiting: Kept
    measurements: str
    wanted: Inputs

    @classmethod
    def of(
        cls,
        fleet: Object,
        declared: Declared,
        parts: Mapping[str, str],
        config: Mapping[str, Object],
        kept: Kept,
        highest_per_s: float | None,
        prices_usd_per_h: Mapping[str, float],
    ) -> _Automatic:
        spec = declared.fleet.spec
        waiting = plan_records.read(fleet, config, plan_records.PROPOSAL)
        if waiting.instead_of != kept.identity:
            waiting = plan_records.NOTHING
        measurements = plan_records.measurements(fleet, config)
        # A proposal is held to its own rate, as a plan is: else it would come and go with the rate.
        made = [one.inputs for one in (waiting, kept) if one.inputs is not None]
        planned = next((one.demand_per_s for one in made if one.spec.get("demand") == parts["demand"]), 0.0)
        wanted = Inputs(
            spec=parts,
            measurements=plan_inputs.digest(measurements) if measurements else "",
            demand_per_s=plan_inputs.wanted_per_s(spec.demand.planned_per_s, planned, highest_per_s, spec.replan_bound),
            prices_usd_per_h=prices_usd_per_h,
        )
        return cls(fleet, declared, config, kept, waiting, measurements, wanted)

    def settled(self, tried: Tried | None, now_s: float) -> Settled:
        reasons = self._reasons()
        running = self._running()
        if not reasons:
            return Settled(running)
        if self._fits(self.waiting.inputs) and self.waiting.plan is not None and self.waiting.inputs is not None:
            return self._made(running, self.waiting.plan, self.waiting.inputs, self.waiting.reason)
        if tried is None or not self._fits(tried.inputs):
            return Settled(running, Obstacle.PLANNING, self._planning(reasons), self._due(reasons))
        if tried.plan is None:
            again = self._due(reasons) if not tried.lasting and now_s >= tried.ended_s + RETRY_S else None
            return Settled(running, Obstacle.FAILED, _more(tried.why, running), again)
        if tried.plan.status is not PlanStatus.FEASIBLE:
            why = f"No plan holds ({'; '.join(reasons)}): {'; '.join(tried.plan.reasons)}."
            return Settled(running, Obstacle.INFEASIBLE, _more(why, running))
        return self._made(running, tried.plan, tried.inputs, "; ".join(reasons)[:_MOST_REASON])

    @property
    def _kept_in(self) -> str:
        """Name of the ConfigMap of the plan that runs."""
        return plan_records.name(self.fleet, plan_records.PLAN)

    @property
    def _bound(self) -> float:
        return self.declared.fleet.spec.replan_bound

    def _reasons(self) -> tuple[str, ...]:
        """Why another plan is due; none where it is not."""
        if self.kept.plan is None:
            return (self.kept.why.rstrip(".") or "there is no plan yet",)
        if self.kept.inputs is None:
            return ("nobody wrote down what the plan that runs was made on",)
        return plan_inputs.moved(self.kept.inputs, self.wanted, self._bound)

    def _fits(self, inputs: Inputs | None) -> bool:
        """Whether what was made on these is what is wanted."""
        return inputs is not None and not plan_inputs.moved(inputs, self.wanted, self._bound)

    def _running(self) -> Plan | None:
        """The plan that is kept, with the spec as it is now but for what planning reads otherwise by now."""
        made, inputs = self.kept.plan, self.kept.inputs
        if made is None:
            # Spoilt, or taken away: what ran last goes on, as far as it is of the fleet as it is declared now.
            last = plan_records.read(self.fleet, self.config, plan_records.LAST).plan
            if last is None or not plan_inputs.same_units(self.declared, last.fleet):
                return None
            return _meanwhile(self.declared, last)
        if inputs is None or inputs.spec != self.wanted.spec:
            return _meanwhile(self.declared, made)
        fleet = plan_inputs.settled(self.declared, made.fleet)
        spec = fleet.spec.model_copy(update={"demand": made.fleet.spec.demand})
        return replace(made, fleet=fleet.model_copy(update={"spec": spec}))

    def _due(self, reasons: tuple[str, ...]) -> Due:
        spec = self.declared.fleet.spec
        demand = plan_inputs.raised(spec.demand, self.wanted.demand_per_s)
        fleet = self.declared.fleet.model_copy(update={"spec": spec.model_copy(update={"demand": demand})})
        return Due(self.wanted, reasons, replace(self.declared, fleet=fleet), self.measurements)

    def _planning(self, reasons: tuple[str, ...]) -> str:
        return f"A plan is being made: {'; '.join(reasons)}."

    def _made(self, running: Plan | None, made: Plan, inputs: Inputs, reason: str) -> Settled:
        """What becomes of a plan that holds what is wanted."""
        if running is not None and self._says_the_same(running, made, inputs):
            return Settled(running, writes=(plan_records.of_plan(self.fleet, running, inputs, reason),))
        itself = plan_records.identity(made)
        noted = self.fleet["metadata"].get("annotations") or {}
        automatic = self.declared.fleet.spec.approval is Approval.AUTOMATIC
        if automatic or noted.get(APPROVED) == itself:
            message = "The new plan is being written down; it runs then."
            writes = (plan_records.of_plan(self.fleet, made, inputs, reason),)
            return Settled(running, Obstacle.PLANNING, message, writes=writes)
        said = difference.sentences(made, running)
        proposal = Proposal(id=itself, reason=reason, difference=_shortened(said))
        return Settled(
            running,
            Obstacle.WAITS,
            self._approve(itself, reason, running),
            proposal=proposal,
            writes=() if self.waiting.identity == itself else (self._proposal(running, made, inputs, reason, said),),
        )

    def _says_the_same(self, running: Plan, made: Plan, inputs: Inputs) -> bool:
        """Whether all that moved are measurements, and they move nothing beyond the bound."""
        before = self.kept.inputs
        if before is None or plan_inputs.moved(replace(before, measurements=inputs.measurements), inputs, self._bound):
            return False
        old, new = ({pool.unit: pool.limit_per_s for pool in plan.pools} for plan in (running, made))
        return (
            old.keys() == new.keys()
            and plan_inputs.parts(Declared(running.fleet, {})) == plan_inputs.parts(Declared(made.fleet, {}))
            and not any(plan_inputs.beyond(old[unit], new[unit], self._bound) for unit in old)
        )

    def _proposal(self, running: Plan | None, made: Plan, inputs: Inputs, reason: str, said: tuple[str, ...]) -> Object:
        text = "\n".join(said) + "\n"
        if running is not None:
            text += "\n" + terminal.text(terminal.table(difference.difference(made, running, self._kept_in)))
        return plan_records.of_proposal(self.fleet, made, inputs, reason, self.kept.identity, text)

    def _approve(self, itself: str, reason: str, running: Plan | None) -> str:
        own = self.fleet["metadata"]
        until = "nothing" if running is None else "the plan before"
        return (
            f"A plan waits for approval ({reason}), and {until} runs until then; read it in configmap "
            f"{plan_records.name(self.fleet, plan_records.PROPOSAL)}, and let it through with: kubectl annotate "
            f"--overwrite -n {own['namespace']} fleet {own['name']} {APPROVED}={itself}"
        )


def _shortened(said: tuple[str, ...]) -> str:
    """As many of the sentences as a status has room for; all are in the ConfigMap."""
    text = " ".join(said)
    rest = " (more in the ConfigMap)"
    return text if len(text) <= _MOST_SAID else text[: _MOST_SAID - len(rest)].rpartition(" ")[0] + rest
