"""Simulations as tables and a page: policies side by side, on one time axis and one scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model.fleet import Slo, format_slo
from holdfast.model.quantities import format_duration
from holdfast.model.simulation import PolicyResult, Simulation, Spread, Study
from holdfast.model.tables import Cell, Column, Table
from holdfast.model.timeline import Timeline
from holdfast.reports import palette, simulation_charts
from holdfast.reports.page import Block, Headline, Page, Points, Section, Verbatim
from holdfast.reports.palette import Styles

OPTIMUM = "optimum"
DRAWN_MOST = 6
"""Simulations whose timelines one page draws: with two policies each is some 1 MB of it."""

Timelines = Mapping[str, Timeline]
"""By policy, of the first seed."""


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


def page(study: Study, timelines: Mapping[str, Timelines], provenance: Sequence[str] = ()) -> Page:
    """The report of a study. timelines: by scenario and policy."""
    first = study.simulations[0]
    several = len(study.simulations) > 1
    drawn = study.simulations[:DRAWN_MOST]
    names = _listed(list(dict.fromkeys(_declared(found) for found in study.simulations)))
    styles = palette.assign(pool for found in study.simulations for pool in found.pools)
    slo = first.fleet.spec.slo
    policies = [one.policy for one in first.policies]
    return Page(
        title=f"{first.fleet.metadata.name} through {names}",
        lead=f"How {_listed(policies)} fare on the same requests and mishaps, request by request, over "
        f"{_listed(list(dict.fromkeys(_span(found.duration_s) for found in study.simulations)))} of virtual time. "
        f"The SLO is {format_slo(slo)}.",
        provenance=tuple(provenance),
        headlines=() if several else _headlines(first),
        sections=(
            *((_all(study),) if several else ()),
            *(
                section
                for found in drawn
                for section in _sections(found, timelines.get(found.scenario, {}), styles, slo, several)
            ),
        ),
    )


def _declared(found: Simulation) -> str:
    """The name of the scenario in its document, which simulations with other values of its fields share."""
    return found.scenario.rpartition("-")[0] if found.setting else found.scenario


def _all(study: Study) -> Section:
    left_out = len(study.simulations) - DRAWN_MOST
    said: tuple[Block, ...] = (
        (
            f"The first {DRAWN_MOST} are drawn below; the timelines of the other {left_out} lie in the folder, and "
            "`holdfast report` draws any of them.",
        )
        if left_out > 0
        else ()
    )
    return Section("All side by side", (*said, comparison(study)))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _span(duration_s: float) -> str:
    if duration_s >= 2 * 86400:
        return f"{duration_s / 86400:.3g} days"
    return f"{duration_s / 3600:.3g} hours" if duration_s >= 2 * 3600 else format_duration(duration_s)


def _headlines(found: Simulation) -> tuple[Headline, ...]:
    """What a reader should remember of the first policy, beside the others."""
    mine, others = found.policies[0], found.policies[1:]

    def beside(say: Callable[[PolicyResult], str]) -> str:
        return f"Under {mine.policy}. " + " ".join(f"Under {one.policy}: {say(one)}." for one in others)

    def lost(one: PolicyResult) -> float:
        return one.mean("failed") + one.mean("refused")

    digits = 0 if len(found.seeds) == 1 else 1
    offered, minutes = mine.mean("offered"), found.duration_s / 60
    return (
        Headline(
            "Requests lost", lost(mine), f"of {offered:,.0f}", beside(lambda one: f"{lost(one):,.{digits}f}"), digits
        ),
        Headline(
            "Minutes that broke the SLO",
            mine.mean("slo_minutes_lost"),
            f"of {minutes:,.0f}",
            beside(lambda one: f"{one.mean('slo_minutes_lost'):,.{digits}f}"),
            digits,
        ),
        Headline("Cost", mine.mean("cost_usd"), "USD", beside(lambda one: f"${one.mean('cost_usd'):,.2f}"), 2),
    )


def _reached(found: Simulation) -> str:
    """What share of the optimum each policy reached, in a sentence."""
    shares = [(one.policy, one.mean("share_of_optimum")) for one in found.policies]
    if any(math.isnan(share) for _, share in shares):
        return "The optimum of the objective is to serve nothing: at this lambda no request is worth what it costs."
    reached = [
        f"{policy} reached {share:.1%}" if not n else f"{policy} {share:.1%}"
        for n, (policy, share) in enumerate(shares)
    ]
    return f"Of the objective that could have been had by knowing the run beforehand, {_listed(reached)}."


def _but_for(found: Simulation) -> str:
    changed = [f"{key}: {value}" for key, value in found.setting.items()]
    return f", but for {_listed(changed)}" if changed else ""


def _sections(found: Simulation, timelines: Timelines, styles: Styles, slo: Slo, several: bool) -> tuple[Section, ...]:
    """Of one scenario: the summary, each figure for all policies, what happened, and what it rests on."""
    prefix = f"{found.scenario}: " if several else ""
    said: list[Block] = [*([Points(found.caveats)] if found.caveats else []), _reached(found), *summary(found)]
    if len(found.seeds) > 1:
        said.append(f"The figures over time are of seed {found.seeds[0]} alone, the first of {len(found.seeds)}.")
    said.append(simulation_charts.cost_chart(found, styles, OPTIMUM))
    drawn = [
        Section(prefix + heading, (reading, *charts))
        for heading, reading, charts in simulation_charts.side_by_side(timelines, styles, slo)
    ]
    happened: list[Block] = [events(timeline, policy) for policy, timeline in timelines.items()]
    given = f"The scenario as it was given{_but_for(found)}:"
    rests: list[Block] = [Points(found.assumptions), given, Verbatim(found.text)]
    broken = [
        f"{run.policy}, seed {run.seed}, {text}"
        for one in found.policies
        for run in one.runs
        for text in run.violations
    ]
    return (
        Section(f"{prefix}Policies side by side", tuple(said)),
        *((Section(f"{prefix}Refused decisions", (Points(tuple(broken[:100])),)),) if broken else ()),
        *drawn,
        *((Section(f"{prefix}What happened", tuple(happened)),) if happened else ()),
        Section(f"{prefix}What this rests on", tuple(rests)),
    )
