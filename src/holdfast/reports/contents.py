"""Model values as sections and pages: a run, a plan, a timeline, and the demo that has all three."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from holdfast.model.cost_curve import CostCurve
from holdfast.model.findings import Finding
from holdfast.model.fleet import InferenceFleet, Slo, format_slo
from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.quantities import format_duration
from holdfast.model.server import ServerTable
from holdfast.model.stages import Cause, LoadCurve, Stage
from holdfast.model.timeline import Timeline
from holdfast.reports import charts, palette, plan_tables, tabulate, timelines
from holdfast.reports.cost_chart import cost_curve_chart
from holdfast.reports.curves import METRIC_NAMES, has_metric, statistic
from holdfast.reports.frames import Frame
from holdfast.reports.page import Block, Headline, Page, Points, Section
from holdfast.reports.palette import Styles
from holdfast.reports.server_chart import has_series, server_chart
from holdfast.reports.thinning import thin
from holdfast.reports.totals import TimelineTotals, judged_bounds


@dataclass(frozen=True)
class Measured:
    """The load curves of a fleet's units."""

    fleet: InferenceFleet
    curves: tuple[LoadCurve, ...]


def limits_section(
    curves: Sequence[LoadCurve],
    slo: Slo | None,
    styles: Styles,
    heading: str = "Measured limits",
    server: ServerTable | None = None,
) -> Section:
    """Where the units break: breaking points, latency and utilisation against throughput, every stage.

    server: what the server said of itself meanwhile.
    """
    if not any(curve.stages for curve in curves):
        return Section(heading, ("Nothing has been measured yet: there are no stages to show.",))
    blocks: list[Block] = []
    if slo is not None:
        blocks.append(f"A unit holds a rate when, in steady state, its answers keep to {format_slo(slo)}.")
    blocks.append(tabulate.breaking_points(curves))
    for metric in METRIC_NAMES:
        bounded = slo is not None and bool(getattr(slo, metric).bounds())
        if metric == "latency" or (bounded and has_metric(curves, metric)):
            blocks.append(charts.latency_chart(curves, slo, styles, metric))
    if any(stage.utilization is not None for curve in curves for stage in curve.stages):
        ceiling = slo.utilization if slo is not None else None
        blocks.append(charts.utilization_chart(curves, ceiling, styles))
    if server is not None and has_series(server):
        blocks.append(server_chart(server))
    blocks += [tabulate.stages(curve) for curve in curves if curve.stages]
    return Section(heading, tuple(blocks))


def plan_sections(plan: Plan, styles: Styles) -> tuple[Section, ...]:
    """What to deploy and why, with the plan's own tables."""
    feasible = plan.status is PlanStatus.FEASIBLE
    heading = "The plan" if feasible else "No plan holds"
    decided: list[Block] = [Points(plan.reasons)] if plan.reasons else []
    if not plan.pools:
        return (Section(heading, (*decided, "The plan has no pools.")), *_plan_evidence(plan))
    pools: list[Block] = [plan_tables.pools(plan), charts.cost_chart(plan.pools, styles)]
    why: list[Block] = [plan_tables.reasons(plan), *((plan_tables.autoscaling(plan),) if feasible else ())]
    return (Section(heading, (*decided, *pools, *why)), *_plan_evidence(plan))


def _plan_evidence(plan: Plan) -> tuple[Section, ...]:
    tables = Section("What the plan weighed", tuple(plan.tables.values()))
    findings = Section("What the checks found", (tabulate.findings(plan.findings),))
    return ((tables,) if plan.tables else ()) + ((findings,) if plan.findings else ())


def timeline_section(
    timeline: Timeline, slo: Slo | None, styles: Styles, heading: str = "What the fleet did over time"
) -> Section:
    """Throughput, weights, replicas, latency and errors over time, with the events marked in each."""
    if not timeline.fleet:
        return Section(heading, ("Nothing was recorded: the timeline has no points.",))
    blocks: list[Block] = [_account(TimelineTotals.of(timeline, slo), slo)]
    short = thin(timeline)
    if short is not timeline:
        blocks.append(
            f"Each point of the figures spans {short.interval_s:.4g} s and keeps the lowest ready count, the highest "
            "p95 and all failures of the shorter intervals within it."
        )
    frame = Frame.of(short, styles)
    blocks.append(timelines.throughput_chart(frame))
    if timeline.events:
        blocks.append(tabulate.events(timeline))
    if timeline.pools:
        blocks += [timelines.weights_chart(frame), timelines.replicas_chart(frame)]
    blocks += [timelines.latency_chart(frame, slo), timelines.errors_chart(frame)]
    return Section(heading, tuple(blocks))


def _account(totals: TimelineTotals, slo: Slo | None) -> str:
    sentences = [
        f"Of {totals.offered:,.0f} requests offered, {totals.served:,.0f} were served and {totals.failed:,} failed."
    ]
    if not math.isnan(totals.slo_share):
        bounds = ", ".join(f"{name}<{format_duration(bound_s)}" for name, bound_s in judged_bounds(slo))
        sentences.append(f"{totals.slo_share:.1%} of the intervals kept the SLO’s latency ({bounds}).")
    if totals.capacity_spans:
        spans = ", ".join(f"{start:,.4g}–{end:,.4g} s" for start, end in totals.capacity_spans)
        sentences.append(f"Routing was capacity-optimised at {spans}, shaded in the figures.")
    return " ".join(sentences)


def run_page(
    curve: LoadCurve,
    slo: Slo | None = None,
    provenance: Sequence[str] = (),
    server: ServerTable | None = None,
    cut_off: str = "",
) -> Page:
    """The report of one run: where its unit breaks, every stage on the way there, and the server meanwhile.

    cut_off: what is to be said of a run that did not come to its end.
    """
    return Page(
        title=f"Where {curve.unit} breaks",
        lead=" ".join(part for part in (_sentence(cut_off), _run_lead(curve)) if part),
        provenance=tuple(provenance),
        headlines=tuple(_run_headlines(curve)),
        sections=(limits_section([curve], slo, palette.assign([curve.unit]), server=server),),
    )


def _run_lead(curve: LoadCurve) -> str:
    counted = sum(stage.valid for stage in curve.stages)
    stages = f"{len(curve.stages)} load levels were held, {counted} of them valid."
    if curve.breaking_point is None:
        return f"{stages} No breaking point was searched for."
    return f"{stages} {_sentence(curve.breaking_point.why)}"


def _sentence(text: str) -> str:
    """The text as a sentence; `p95 was` keeps its small p, as it names a statistic."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    capital = text[:1].upper() + text[1:] if first.isalpha() else text
    return capital + ("" if not text or text.endswith((".", "!", "?")) else ".")


def _run_headlines(curve: LoadCurve) -> Iterable[Headline]:
    point = curve.breaking_point
    if point is None:
        return
    cause = "nothing broke it" if point.cause is Cause.NONE else f"cause: {point.cause.value}"
    yield Headline("Holds", point.rate_per_s, "requests/s", f"The highest rate shown to meet the SLO; {cause}.", 2)
    high = f"{point.high_per_s:.2f}" if math.isfinite(point.high_per_s) else "∞"
    yield Headline(
        "Breaks between",
        f"{point.low_per_s:.2f} – {high}",
        "requests/s",
        f"The lower rate held, the upper did not; {point.confidence:.0%} confident.",
    )
    stage = _stage_at_limit(curve, point.rate_per_s)
    if stage is not None:
        explanation = f"At {stage.achieved_per_s:.2f} requests/s, the highest valid stage within the limit."
        yield Headline("p95 latency there", statistic(stage, "latency", "p95"), "s", explanation, 3)


def _stage_at_limit(curve: LoadCurve, limit_per_s: float) -> Stage | None:
    # A stage achieves a little more or less than was offered, so the limit's own stage may lie just above it.
    within = [stage for stage in curve.stages if stage.valid and stage.offered_per_s <= limit_per_s * 1.01]
    return max(within, key=lambda stage: stage.achieved_per_s, default=None)


def plan_page(plan: Plan, provenance: Sequence[str] = ()) -> Page:
    """The report of a plan: what to deploy, what it costs, why, and what was found on the way."""
    spec = plan.fleet.spec
    feasible, surety = plan.status is PlanStatus.FEASIBLE, plan_tables.surety(plan)
    answer = "The cheapest fleet" if feasible else "No fleet of these units was found"
    return Page(
        title=f"A fleet for {spec.model.id}",
        lead=f"{answer} that serves {plan.demand_per_s:.4g} requests/s within {format_slo(spec.slo)}"
        f"{f', {surety}' if surety else ''}.",
        provenance=tuple(provenance),
        headlines=_plan_headlines(plan) if feasible else (),
        sections=plan_sections(plan, palette.assign(pool.unit for pool in plan.pools)),
    )


def _plan_headlines(plan: Plan) -> tuple[Headline, ...]:
    replicas = sum(pool.replicas for pool in plan.pools)
    used = sum(pool.replicas > 0 for pool in plan.pools)
    return (
        _cost_headline(plan),
        Headline("Replicas", replicas, "", f"In {used} of {len(plan.pools)} pools."),
        Headline(
            "Room to a cheaper plan", plan.gap * 100, "%", "Certified: no plan costs less by more than this.", digits=1
        ),
    )


def _cost_headline(plan: Plan) -> Headline:
    per_million = plan.cost_usd_per_h / (plan.demand_per_s * 3600) * 1e6 if plan.demand_per_s else math.nan
    mix = ", ".join(f"{pool.replicas} × {pool.unit}" for pool in plan.pools if pool.replicas)
    explanation = f"For {plan.demand_per_s:.4g} requests/s: {mix or 'no replicas'}; ${per_million:,.2f} per million."
    return Headline("Cheapest fleet that holds", plan.cost_usd_per_h, "USD/h", explanation, 2)


def cost_curve_page(curve: CostCurve, found: Sequence[Finding] = (), provenance: Sequence[str] = ()) -> Page:
    """The report of what a fleet costs against the load that it holds."""
    drawn = cost_curve_chart(curve, palette.assign(curve.units))
    sections = [Section("What each demand costs", (drawn, plan_tables.cost_curve(curve)))]
    if found:
        sections.append(Section("What the checks found", (tabulate.findings(found),)))
    return Page(
        title=f"What a fleet for {curve.model} costs",
        lead=drawn.summary,
        provenance=tuple(provenance),
        sections=tuple(sections),
    )


def timeline_page(timeline: Timeline, slo: Slo | None = None, provenance: Sequence[str] = ()) -> Page:
    """The report of a fleet over time, live or simulated."""
    section = timeline_section(timeline, slo, _timeline_styles(timeline), "Through time")
    totals = TimelineTotals.of(timeline, slo)
    duration_s = timeline.fleet[-1].t_s if timeline.fleet else 0.0
    return Page(
        title="What the fleet did",
        lead=f"{duration_s:,.4g} seconds, {len(timeline.events)} events.",
        provenance=tuple(provenance),
        headlines=_served_headline(totals) + _worst_headline(totals),
        sections=(section,),
    )


def _timeline_styles(timeline: Timeline) -> Styles:
    return palette.assign(point.pool for point in timeline.pools)


def _served_headline(totals: TimelineTotals) -> tuple[Headline, ...]:
    if math.isnan(totals.served_share):
        return ()
    lost = f"{totals.failed:,} of {totals.served + totals.failed:,.0f} requests failed"
    shifted_s = sum(end_s - start_s for start_s, end_s in totals.capacity_spans)
    shifted = f"; routing was capacity-optimised for {shifted_s:,.4g} s" if shifted_s else ""
    return (Headline("Served", totals.served_share * 100, "% of requests", f"{lost}{shifted}.", 2),)


def _worst_headline(totals: TimelineTotals) -> tuple[Headline, ...]:
    if math.isnan(totals.worst_p95_s):
        return ()
    return (Headline("Worst p95 latency", totals.worst_p95_s, "s", "Of any interval, over the whole fleet.", 2),)


def demo_page(
    measured: Sequence[Measured],
    plans: Sequence[Plan],
    timeline: Timeline,
    provenance: Sequence[str],
    title: str = "Where it breaks, what holds, and what happens when capacity goes",
) -> Page:
    """The demo's report: limits and plan of each fleet, and a failover of the first plan's as it happened.

    provenance: what is emulated, from which source, at which time scale; shown before any figure.
    """
    styles = palette.assign(_units(measured, plans, timeline))
    plan = plans[0]
    slo = plan.fleet.spec.slo
    limits = [
        limits_section(one.curves, one.fleet.spec.slo, styles, f"Measured limits: {one.fleet.metadata.name}")
        for one in measured
    ]
    failover = timeline_section(timeline, slo, styles, "Failover, as it happened")
    return Page(
        title=title,
        lead="Three answers about one fleet: how much load each unit holds within its SLO, which mix of units serves "
        "the demand at the least cost, and how traffic moved when a pool’s capacity went and came back.",
        provenance=tuple(provenance),
        headlines=(
            *_limit_headline(measured, plan),
            *((_cost_headline(plan),) if plan.status is PlanStatus.FEASIBLE else ()),
            *_served_headline(TimelineTotals.of(timeline, slo)),
        ),
        sections=(*limits, *(section for each in plans for section in _named(each, styles)), failover),
    )


def _named(plan: Plan, styles: Styles) -> Iterable[Section]:
    """The plan's sections, with the fleet's name in their headings."""
    for section in plan_sections(plan, styles):
        yield replace(section, heading=f"{section.heading}: {plan.fleet.metadata.name}")


def _units(measured: Sequence[Measured], plans: Sequence[Plan], timeline: Timeline) -> Iterable[str]:
    yield from (pool.unit for plan in plans for pool in plan.pools)
    yield from (curve.unit for one in measured for curve in one.curves)
    yield from (point.pool for point in timeline.pools)


def _limit_headline(measured: Sequence[Measured], plan: Plan) -> tuple[Headline, ...]:
    """The breaking point of the unit that serves a request at the least cost, or of the first one searched."""
    found = {
        curve.unit: (one.fleet.spec.slo, curve.breaking_point)
        for one in measured
        for curve in one.curves
        if curve.breaking_point is not None
    }
    by_cost = sorted(plan.pools, key=lambda pool: pool.usd_per_million_requests)
    unit = next((pool.unit for pool in by_cost if pool.unit in found), next(iter(found), None))
    if unit is None:
        return ()
    slo, point = found[unit]
    explanation = f"Within {format_slo(slo)}. {_sentence(point.why)}"
    return (Headline(f"A replica of {unit} holds", point.rate_per_s, "requests/s", explanation, 2),)
