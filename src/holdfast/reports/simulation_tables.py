"""Simulations as tables: policies side by side, combinations below one another, and what happened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model.simulation import PolicyResult, Simulation, Spread, Study
from holdfast.model.tables import Cell, Column, Table
from holdfast.model.timeline import Timeline
from holdfast.reports import simulation_charts

OPTIMUM = "optimum"


@dataclass(frozen=True)
class _Figure:
    """A column of the summary: `name` of a figure in `Score`, times `factor`.

    mean_digits: of its mean over seeds, where that has more than one run's: a request lost by one seed in five shows.
    """

    column: Column
    name: str
    factor: float = 1.0
    mean_digits: int | None = None

    def digits(self, seeds: int) -> int | None:
        return self.column.digits if seeds == 1 or self.mean_digits is None else self.mean_digits

    def column_over(self, seeds: int) -> Column:
        return replace(self.column, digits=self.digits(seeds))


_REQUESTS = (
    _Figure(Column("served", "", 0), "served"),
    _Figure(Column("failed", "", 0), "failed", mean_digits=1),
    _Figure(Column("refused", "", 0), "refused", mean_digits=1),
    _Figure(Column("late", "", 0), "late"),
    _Figure(Column("p95", "s", 3), "latency_p95_s"),
    _Figure(Column("SLO lost", "min", 0), "slo_minutes_lost", mean_digits=1),
)
_WORTH = (
    _Figure(Column("cost", "USD", 2), "cost_usd"),
    _Figure(Column("objective", "requests", 0), "objective"),
    _Figure(Column("of optimum", "%", 1), "share_of_optimum", 100.0),
    _Figure(Column("switches", "", 0), "switches", mean_digits=1),
    _Figure(Column("restored", "s", 0), "restored_s", mean_digits=1),
    _Figure(Column("recovery", "s", 0), "recovery_s", mean_digits=1),
)
_COMPARED = tuple(
    figure
    for figure in (*_REQUESTS, *_WORTH)
    if figure.name in ("latency_p95_s", "slo_minutes_lost", "cost_usd", "recovery_s", "share_of_optimum")
)
_TO_RECOVER = ("restored_s", "recovery_s")


def summary(found: Simulation) -> tuple[Table, ...]:
    """What became of the requests, and what that cost and was worth: a row for each policy and one for the optimum.

    Means where there are several seeds, which are followed by their 95 % intervals.
    """
    over = _over(len(found.seeds))
    tables = (
        _means(found, f"Requests, {over}", _REQUESTS, ()),
        _means(found, f"Cost and recovery, {over}", _WORTH, _notes(found)),
    )
    if len(found.seeds) == 1:
        return tables
    between = f"95 % intervals over {len(found.seeds)} seeds"
    return (
        *tables,
        _intervals(found, f"Requests, {between}", _REQUESTS),
        _intervals(found, f"Cost and recovery, {between}", _WORTH),
    )


def comparison(study: Study) -> Table:
    """All simulations of a study: a row for each and each policy, with what was set for it."""
    keys = tuple(dict.fromkeys(key for found in study.simulations for key in found.setting))
    seeds = len(study.simulations[0].seeds)
    rows = [
        (
            f"{found.scenario} {one.policy}",
            *(found.setting.get(key) for key in keys),
            one.mean("failed") + one.mean("refused"),
            *(_mean(one, figure) for figure in _COMPARED),
        )
        for found in study.simulations
        for one in found.policies
    ]
    columns = (
        Column("scenario, policy"),
        *(Column(key.removeprefix("spec.")) for key in keys),
        Column("lost", "", 0 if seeds == 1 else 1),
        *(figure.column_over(seeds) for figure in _COMPARED),
    )
    return Table(f"Every scenario and policy, {_over(seeds)}", columns, tuple(rows))


def _over(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"means over {seeds} seeds"


def _means(found: Simulation, title: str, figures: Sequence[_Figure], notes: Sequence[str]) -> Table:
    rows = [(one.policy, *(_mean(one, figure) for figure in figures)) for one in found.policies]
    best = {name: spread.mean for name, spread in found.best_spreads.items()} | {"share_of_optimum": 1.0}
    rows.append((OPTIMUM, *(best[f.name] * f.factor if f.name in best else None for f in figures)))
    return Table(
        title,
        (Column("policy"), *(figure.column_over(len(found.seeds)) for figure in figures)),
        tuple(rows),
        tuple(notes),
    )


def _notes(found: Simulation) -> Sequence[str]:
    never = [one.policy for one in found.policies if not all(run.recovered for run in one.runs)]
    return (
        f"Objective: requests served within the SLO less {found.requests_per_usd:,.4g} requests/USD x cost; "
        f"{found.lambda_reason}.",
        "Restored: the longest until 95 % of the load was served again after an event that took capacity; recovery: "
        "until it was within the SLO.",
        *((f"∞: {', '.join(never)} had not recovered from an event by the end.",) if never else ()),
    )


def _mean(one: PolicyResult, figure: _Figure) -> Cell:
    if figure.name in _TO_RECOVER and any(run.events and getattr(run, figure.name) is None for run in one.runs):
        return math.inf
    mean = one.mean(figure.name)
    return None if math.isnan(mean) else mean * figure.factor


def _intervals(found: Simulation, title: str, figures: Sequence[_Figure]) -> Table:
    def cells_of(name: str, spreads: Mapping[str, Spread]) -> tuple[Cell, ...]:
        return (name, *(_interval(figure, spreads.get(figure.name)) for figure in figures))

    rows = [cells_of(one.policy, one.spreads) for one in found.policies]
    return Table(
        title,
        (Column("policy"), *(replace(figure.column, digits=None) for figure in figures)),
        (*rows, cells_of(OPTIMUM, found.best_spreads)),
        ("Of the mean, by Student’s t, which knows no bound: an interval may reach below 0.",),
    )


def _interval(figure: _Figure, spread: Spread | None) -> str | None:
    if spread is None or spread.interval is None:
        return None
    low, high = (value * figure.factor for value in spread.interval)
    digits = figure.digits(2)
    return f"{low:,.{digits}f}–{high:,.{digits}f}"


def events(timeline: Timeline, policy: str) -> Table:
    """What happened under a policy, numbered as its figures mark it."""
    told = simulation_charts.told(timeline)
    left_out = len(timeline.events) - len(told)
    return Table(
        title=f"{policy}: events",
        columns=(Column("no."), Column("time", "h:min:s"), Column("pool"), Column("what happened")),
        rows=tuple((number, _clock(event.t_s), event.pool or None, event.text) for number, event in enumerate(told, 1)),
        notes=(f"{left_out:,} more are left out, of the kinds that come most often.",) if left_out > 0 else (),
    )


def _clock(t_s: float) -> str:
    minutes, seconds = divmod(round(t_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
