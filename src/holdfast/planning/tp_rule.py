"""The TP rule: which configuration of a grid is taken, and why.

TP rule   the smallest TP that fits in memory and meets the SLO; of its configurations the highest throughput per dollar

Configurations compete within a platform: one accelerator with one framework, on whichever instance types the fleet's
units have. A unit that leaves its TP or its batch to the plan gets what the rule takes on its own instance type.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.planning.grid import COLUMNS, Auto, Equipment, GridCell, as_unit, platform


@dataclass(frozen=True)
class Choice:
    """What the TP rule takes on one platform or for one unit, or None, and why, in sentences."""

    name: str
    cell: GridCell | None
    why: str


def choose(cells: Sequence[GridCell]) -> tuple[Choice, ...]:
    """What the TP rule takes on each platform, in the order in which they first appear."""
    platforms = dict.fromkeys(cell.configuration.platform for cell in cells)
    return tuple(_choose(name, [cell for cell in cells if cell.configuration.platform == name]) for name in platforms)


def _choose(name: str, cells: Sequence[GridCell]) -> Choice:
    holding = [cell for cell in cells if cell.holds]
    if not holding:
        return Choice(name, None, f"No configuration will do ({_failed(cells)}).")
    least = min(_parallelism(cell) for cell in holding)
    smallest = [cell for cell in holding if _parallelism(cell) == least]
    chosen = max(smallest, key=_merit)
    sentences = (_why_smallest(chosen, cells), _why_best(chosen, smallest), _what_more_would_bring(chosen, holding))
    return Choice(name, chosen, " ".join(filter(None, sentences)))


def _parallelism(cell: GridCell) -> tuple[int, int]:
    return cell.configuration.tensor_parallel, cell.configuration.pipeline_parallel


def _merit(cell: GridCell) -> tuple[float, float]:
    """Throughput per dollar; where no price is known, per device."""
    return cell.per_dollar or 0.0, (cell.rate_per_s or 0.0) / cell.devices_per_replica


def _failed(cells: Sequence[GridCell]) -> str:
    """Of each TP the configuration that comes nearest, and why it does not do."""
    nearest_by_degree: dict[int, GridCell] = {}
    for cell in sorted(cells, key=lambda cell: cell.latency_s or math.inf):
        nearest_by_degree.setdefault(cell.configuration.tensor_parallel, cell)
    return "; ".join(f"TP {tp}: {cell.why_not} at best" for tp, cell in sorted(nearest_by_degree.items()))


def _why_smallest(chosen: GridCell, cells: Sequence[GridCell]) -> str:
    degree = chosen.configuration.tensor_parallel
    smaller = [cell for cell in cells if _parallelism(cell) < _parallelism(chosen)]
    if not smaller:
        return f"TP {degree} fits and meets the SLO, and none smaller was tried."
    return f"TP {degree} is the smallest that fits and meets the SLO ({_failed(smaller)})."


def _why_best(chosen: GridCell, smallest: Sequence[GridCell]) -> str:
    name = chosen.configuration.name
    others = sorted((cell for cell in smallest if cell is not chosen), key=_merit, reverse=True)
    if not others:
        return f"{name} is the only one to choose from that does."
    if chosen.per_dollar is None:
        return f"Of it {name} gives the most per device; no price is known to go by."
    second = others[0]
    if second.per_dollar is None:
        behind = ""
    elif math.isclose(second.per_dollar, chosen.per_dollar):
        behind = f", and {second.configuration.name} gives no more"
    else:
        behind = f", against {second.per_dollar:.4g} of {second.configuration.name}"
    return f"Of it {name} gives the most per dollar: {chosen.per_dollar:.4g} requests/s per USD/h{behind}."


def _what_more_would_bring(chosen: GridCell, holding: Sequence[GridCell]) -> str:
    """Where a larger TP beats the rule's choice per dollar, that is said: the rule is a rule, not an optimum."""
    larger = max(holding, key=_merit)
    if chosen.per_dollar is None or larger.per_dollar is None or larger.per_dollar <= chosen.per_dollar:
        return ""
    name, more = larger.configuration.name, larger.per_dollar / chosen.per_dollar - 1
    return f"{name} would give {more:.0%} more per dollar; the rule prefers the smaller TP, whose replicas are smaller."


@dataclass(frozen=True)
class Settled:
    """A fleet in which nothing is left to the plan any more.

    choices: by the rule, one of each unit that left something.
    """

    fleet: InferenceFleet
    choices: tuple[Choice, ...]
    findings: tuple[Finding, ...]


def settle(fleet: InferenceFleet, auto: Auto, cells: Sequence[GridCell], equipment: Equipment) -> Settled:
    """The fleet with the numbers that the rule takes for what its units leave to the plan.

    A unit of which no configuration will do gets the one that comes nearest, so that what follows can say by how much.
    Raises InputError for a unit that the grid has nothing of.
    """
    units, choices, findings = list[DeploymentUnit](), list[Choice](), list[Finding]()
    for unit in fleet.spec.units:
        keys = auto.get(unit.name, frozenset())
        if not keys:
            units.append(unit)
            continue
        own = list(_candidates(unit, keys, cells))
        if not own:
            raise InputError(
                f"unit {unit.name!r} leaves {_listed(keys)} to the plan, which has nothing to choose by",
                where=f"spec.units.{unit.name}",
                mend="give measurements of it, or a model that can be estimated, or the number",
            )
        choice = _choose(unit.name, own)
        cell = choice.cell or min(own, key=lambda cell: (cell.latency_s or math.inf, -_parallelism(cell)[0]))
        shape = cell.configuration
        if "maxNumSeqs" not in keys:
            shape = replace(shape, max_num_seqs=unit.max_num_seqs)
        settled = as_unit(unit, shape, equipment[unit.name][1])
        units.append(settled)
        choices.append(choice)
        findings.append(_settled(settled, keys, choice))
    spec = fleet.spec.model_copy(update={"units": tuple(units)})
    return Settled(fleet.model_copy(update={"spec": spec}), tuple(choices), tuple(findings))


def _candidates(unit: DeploymentUnit, auto: frozenset[str], cells: Sequence[GridCell]) -> Iterator[GridCell]:
    """The unit's own cells, with the numbers that it does state."""
    for cell in cells:
        shape = cell.configuration
        states_tp = "tensorParallel" not in auto
        states_batch = "maxNumSeqs" not in auto and (unit.max_num_seqs is not None or cell.estimated)
        if (
            _is_of(cell, unit)
            and shape.pipeline_parallel == unit.pipeline_parallel
            and not (states_tp and shape.tensor_parallel != unit.tensor_parallel)
            and not (states_batch and shape.max_num_seqs != unit.max_num_seqs)
        ):
            yield cell


def _is_of(cell: GridCell, unit: DeploymentUnit) -> bool:
    """Measured cells are of one unit; an estimate is of all that have its platform and instance type."""
    shape = cell.configuration
    same = (shape.platform, shape.instance_type) == (platform(unit), unit.instance_type)
    return same and (cell.estimated or cell.unit == unit.name)


def _settled(unit: DeploymentUnit, keys: frozenset[str], choice: Choice) -> Finding:
    words = ", ".join(f"{key} {getattr(unit, column)}" for key, column in COLUMNS.items() if key in keys)
    taken = f"which takes {words}" if choice.cell is not None else f"which finds none that does and shows {words}"
    return Finding(
        file="",
        row=0,
        check="tp-rule",
        severity=Severity.NOTE,
        found=words,
        expected="what the TP rule takes",
        message=f"Unit {unit.name!r} leaves {_listed(keys)} to the plan, {taken}. {choice.why}",
    )


def _listed(keys: frozenset[str]) -> str:
    return " and ".join(key for key in COLUMNS if key in keys)


def otherwise(fleet: InferenceFleet, cells: Sequence[GridCell]) -> tuple[Finding, ...]:
    """A note for each unit that is declared otherwise than the rule would have it on its instance type.

    None where another unit of the fleet is declared so already: that one is planned with too.
    """
    found = []
    for unit in fleet.spec.units:
        own = [cell for cell in cells if _shares_grid(cell, unit)]
        wanted = _choose(unit.name, own).cell
        if wanted is None or any(_declares(other, wanted) for other in fleet.spec.units if _shares_grid(wanted, other)):
            continue
        found.append(_otherwise(unit, wanted, own))
    return tuple(found)


def _shares_grid(cell: GridCell, unit: DeploymentUnit) -> bool:
    shape = cell.configuration
    return (shape.platform, shape.instance_type) == (platform(unit), unit.instance_type)


def _declares(unit: DeploymentUnit, cell: GridCell) -> bool:
    """Whether the cell is the unit as it is declared; a batch that it does not state may be any."""
    shape = cell.configuration
    parallel = (unit.tensor_parallel, unit.pipeline_parallel) == _parallelism(cell)
    return parallel and (unit.max_num_seqs is None or unit.max_num_seqs == shape.max_num_seqs)


def _otherwise(unit: DeploymentUnit, wanted: GridCell, own: Sequence[GridCell]) -> Finding:
    columns = {key: column for key, column in COLUMNS.items() if getattr(unit, column) is not None}
    declared = ", ".join(f"{key} {getattr(unit, column)}" for key, column in columns.items())
    better = ", ".join(f"{key} {getattr(wanted.configuration, column)}" for key, column in columns.items())
    return Finding(
        file="",
        row=0,
        check="tp-rule",
        severity=Severity.NOTE,
        found=declared,
        expected=better,
        message=f"Unit {unit.name!r} is planned with {declared}; the TP rule takes {better} "
        f"({wanted.configuration.name}){_gain(unit, wanted, own)}.",
    )


def _gain(unit: DeploymentUnit, wanted: GridCell, own: Sequence[GridCell]) -> str:
    """What the rule's choice would bring per dollar against the unit as declared."""
    here = max((cell for cell in own if _declares(unit, cell)), key=_merit, default=None)
    if here is None or wanted.per_dollar is None:
        return ""
    if not here.holds or here.per_dollar is None:
        return f", for as declared {here.why_not}" if here.why_not else ""
    more = wanted.per_dollar / here.per_dollar - 1
    gives = f"{abs(more):.0%} {'more' if more >= 0 else 'less'} per dollar"
    smaller = wanted.configuration.tensor_parallel < here.configuration.tensor_parallel
    return f", which gives {gives}{' in smaller replicas' if smaller and more < 0 else ''}"
