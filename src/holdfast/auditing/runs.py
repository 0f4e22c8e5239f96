"""A run directory's stages against its own requests, and against what a stage can be.

A run says everything twice: request by request, and summed up in stages. The sums are made anew (auditing.recount) and
must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.auditing import held, latencies, recount
from holdfast.auditing.recount import RATE, SAME, Part, Recount
from holdfast.model.findings import Audit, Checked, Finding, Kind, Severity
from holdfast.model.fleet import Slo
from holdfast.model.measurements import Measurement
from holdfast.model.records import RequestTable
from holdfast.model.stages import LoadCurve, Stage

LITTLE = 0.1
"""Relative residual of Little's law that a steady stage may leave, beside what is in flight at its two ends."""
LAG = 0.1
"""Share of the median latency by which a client may be late at its 99th percentile, or 5 ms."""


@dataclass(frozen=True)
class RunFigures:
    """What a run left behind.

    began_s:  when each stage began on the clock of the requests, by the stage's index.
    requests: in any order, of all stages.
    slo:      that was searched with.
    cut_off:  why the run did not come to its end; empty when it did.
    """

    curve: LoadCurve
    began_s: Mapping[int, float]
    requests: RequestTable
    slo: Slo | None = None
    cut_off: str = ""


def audit_run(run: RunFigures, where: str, *, slo: Slo | None = None) -> Audit:
    """All checks on a run. slo: that its stages are to be held against; a search goes beyond its own on purpose."""
    stages = sorted(run.curve.stages, key=lambda stage: stage.index)
    rows = [_row(stage) for stage in stages if stage.latency.n]
    checked = (
        _unfinished(run, where),
        Checked("invalid-stage", len(stages), tuple(_each(_invalid, stages, where))),
        Checked("client-lag", len(stages), tuple(_each(_late, stages, where))),
        Checked("littles-law", len(stages), tuple(_each(_little, stages, where))),
        _against_requests("counts", run, stages, recount.counts, where),
        _against_requests("moments", run, stages, recount.moments, where),
        _against_requests("percentiles", run, stages, recount.percentiles, where),
        _against_requests("in-flight", run, stages, recount.in_flight, where),
        _against_requests("rates", run, stages, recount.rates, where),
        _against_requests("token-count", run, stages, recount.tokens, where),
        _breaking_point(run, where),
        latencies.percentile_order(rows, where),
        _samples(run, stages, where),
        *(() if slo is None else (held.slo(rows, slo, where),)),
    )
    return Audit(where, Kind.RUN, len(stages), checked)


def _against_requests(name: str, run: RunFigures, stages: Sequence[Stage], check: Recount, where: str) -> Checked:
    parts = [Part(stage, _requests(run, stage)) for stage in stages if stage.index in run.began_s]
    return Checked(name, len(parts), tuple(finding for part in parts for finding in check(part, where)))


def _requests(run: RunFigures, stage: Stage) -> RequestTable:
    own = run.requests.where(np.equal(run.requests.stage, stage.index))
    return own.shifted(run.began_s[stage.index])


def _each(check: Callable[[Stage, str], Finding | None], stages: Sequence[Stage], where: str) -> Iterator[Finding]:
    return (finding for stage in stages if (finding := check(stage, where)) is not None)


def _unfinished(run: RunFigures, where: str) -> Checked:
    if not run.cut_off:
        return Checked("unfinished", 1, ())
    message = f"{run.cut_off[0].upper()}{run.cut_off[1:]}."
    finding = Finding(where, 0, "unfinished", Severity.SUSPICIOUS, "no end", "a run that is done", message)
    return Checked("unfinished", 1, (finding,))


def _invalid(stage: Stage, where: str) -> Finding | None:
    if stage.valid:
        return None
    message = f"Stage {stage.index + 1} ({stage.level.name}) says nothing of the server: {stage.invalid}."
    return Finding(
        where, stage.index + 1, "invalid-stage", Severity.SUSPICIOUS, stage.invalid, "a valid stage", message
    )


def _late(stage: Stage, where: str) -> Finding | None:
    bound_s = max(0.005, LAG * stage.latency.p50_s) if stage.latency.n else 0.005
    lag_s = stage.client.lag_p99_s
    if not stage.valid or lag_s <= bound_s:
        return None
    return Finding(
        where,
        stage.index + 1,
        "client-lag",
        Severity.SUSPICIOUS,
        f"p99 {lag_s:.3g} s",
        f"at most {bound_s:.3g} s",
        f"Stage {stage.index + 1} ({stage.level.name}): one request in a hundred was sent {lag_s:.3g} s late or later, "
        f"and the median latency is {stage.latency.p50_s:.3g} s.",
        "The client's machine was busy: use --workers, or another machine.",
    )


def _little(stage: Stage, where: str) -> Finding | None:
    """L = X R over the steady part; `little` is its relative residual as the stage states it.

    Requests that began before the window or end after it are counted by one side only: about the number in flight, at
    each of its ends.
    """
    at_the_ends = 2 * stage.in_flight / max(stage.latency.n, 1)
    if not stage.valid or abs(stage.little) <= LITTLE + at_the_ends:
        return None
    return Finding(
        where,
        stage.index + 1,
        "littles-law",
        Severity.SUSPICIOUS,
        f"{stage.in_flight * (1 - stage.little):.4g} in flight",
        f"{stage.in_flight:.4g} in flight",
        f"Stage {stage.index + 1} ({stage.level.name}): rate x latency is {stage.in_flight * (1 - stage.little):.4g}, "
        f"and {stage.in_flight:.4g} were in flight, {-stage.little:+.0%}.",
        "The stage was not steady: its queue grew, or it was short against its latency.",
    )


def _breaking_point(run: RunFigures, where: str) -> Checked:
    """low <= limit <= high, and a limit that some valid stage came near to."""
    point = run.curve.breaking_point
    if point is None:
        return Checked("breaking-point", 0, ())
    found = []
    if not point.low_per_s <= point.rate_per_s * (1 + SAME) or not point.rate_per_s <= point.high_per_s * (1 + SAME):
        message = (
            f"The limit of {point.rate_per_s:.4g}/s lies outside its own interval, {point.low_per_s:.4g} to "
            f"{point.high_per_s:.4g}/s."
        )
        found.append(_at_point(where, f"{point.rate_per_s:.4g}/s", "a limit in its interval", message))
    highest = max((stage.achieved_per_s for stage in run.curve.stages if stage.valid), default=0.0)
    if point.rate_per_s > highest * (1 + RATE):
        message = f"The limit is {point.rate_per_s:.4g}/s, and no valid stage had more than {highest:.4g}/s answered."
        found.append(_at_point(where, f"{point.rate_per_s:.4g}/s", f"at most {highest:.4g}/s", message))
    return Checked("breaking-point", 1, tuple(found))


def _at_point(where: str, found: str, expected: str, message: str) -> Finding:
    return Finding(where, 0, "breaking-point", Severity.IMPOSSIBLE, found, expected, message)


def _samples(run: RunFigures, stages: Sequence[Stage], where: str) -> Checked:
    """Stages with too few requests for the highest percentile that their SLO bounds, p99 where there is none.

    A note: a search rests on all of its stages together, and its interval says how surely.
    """
    bounded = [name for name, _ in run.slo.latency.bounds()] if run.slo is not None else ["p99"]
    name = max((name for name in bounded if name in latencies.PERCENTILES), default=None)
    measured = [stage for stage in stages if stage.latency.n]
    if name is None or not measured:
        return Checked("samples", 0, ())
    needed = round(latencies.ENOUGH_BEYOND / (1 - latencies.PERCENTILES[name]))
    thin = [stage for stage in measured if stage.latency.n < needed]
    if not thin:
        return Checked("samples", len(measured), ())
    fewest = min(stage.latency.n for stage in thin)
    finding = Finding(
        where,
        0,
        "samples",
        Severity.NOTE,
        f"{fewest:,} requests",
        f"at least {needed:,} requests",
        f"{len(thin)} of {len(measured)} stages have fewer than {latencies.ENOUGH_BEYOND} requests beyond their "
        f"{name}, which takes {needed:,} in the steady part; the fewest are {fewest:,}.",
    )
    return Checked("samples", len(measured), (finding,))


def _row(stage: Stage) -> Measurement:
    """The stage as a row of a measurement file."""
    summary = stage.latency
    return Measurement(
        row=stage.index + 1,
        unit="the run",
        concurrency=stage.level.concurrency,
        rate_per_s=stage.achieved_per_s,
        latency_avg_s=summary.avg_s,
        latency_p50_s=summary.p50_s,
        latency_p90_s=summary.p90_s,
        latency_p95_s=summary.p95_s,
        latency_p99_s=summary.p99_s,
        ttft_p95_s=stage.ttft.p95_s if stage.ttft is not None and stage.ttft.n else None,
        itl_p95_s=stage.itl.p95_s if stage.itl is not None and stage.itl.n else None,
        error_rate=stage.error_rate,
        utilization=stage.utilization,
    )
