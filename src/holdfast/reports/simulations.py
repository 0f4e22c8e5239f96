"""Simulations as a page: policies side by side, on one time axis and one scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from holdfast.model.fleet import Slo, format_slo
from holdfast.model.quantities import format_duration
from holdfast.model.simulation import PolicyResult, Simulation, Study
from holdfast.model.timeline import Timeline
from holdfast.reports import palette, simulation_charts, simulation_tables
from holdfast.reports.page import Block, Headline, Page, Points, Section, Verbatim
from holdfast.reports.palette import Styles

DRAWN_MOST = 6
"""Simulations whose timelines one page draws: with two policies each is some 1 MB of it."""

Timelines = Mapping[str, Timeline]
"""By policy, of the first seed."""


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
    return Section("All side by side", (*said, simulation_tables.comparison(study)))


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
    said: list[Block] = [Points(found.caveats)] if found.caveats else []
    said += [_reached(found), *simulation_tables.summary(found)]
    if len(found.seeds) > 1:
        said.append(f"The figures over time are of seed {found.seeds[0]} alone, the first of {len(found.seeds)}.")
    said.append(simulation_charts.cost_chart(found, styles, simulation_tables.OPTIMUM))
    drawn = [
        Section(prefix + heading, (reading, *charts))
        for heading, reading, charts in simulation_charts.side_by_side(timelines, styles, slo)
    ]
    happened: list[Block] = [simulation_tables.events(timeline, policy) for policy, timeline in timelines.items()]
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
