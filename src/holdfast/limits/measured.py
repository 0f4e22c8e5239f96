"""From the requests of one level to its Stage: the steady part, rates, percentiles, Little's law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from holdfast.limits import statistics
from holdfast.model.records import Floats, Ints, Outcome, RequestTable
from holdfast.model.stages import ClientHealth, Level, Stage, Summary

LAG_SHARE = 0.10
"""A request that the client sent late by more than this share of the median latency measures the client."""
LAG_FLOOR_S = 0.005
"""Lag that is never material, in seconds of the wall clock: a busy machine wakes nobody more exactly."""
LATE_SHARE = 0.025
"""With more late requests than this the stage is invalid: half of what a bound on the 95th percentile allows."""
BUSY_CPU = 0.95
"""A client thread this close to a whole core queues by itself."""


@dataclass(frozen=True)
class Measured:
    """A stage, its rows by intended start, and those of its steady part; times in seconds from the stage's own start."""

    stage: Stage
    steady: RequestTable
    rows: RequestTable


def measure(
    table: RequestTable,
    level: Level,
    index: int,
    *,
    cpu: float,
    utilization: float | None = None,
    time_scale: float = 1.0,
) -> Measured:
    """The Stage of one level from its rows, whose times count from the start of the level.

    cpu: share of one core that the client used. utilization: the accelerator's own, 0..1, where known.
    time_scale: how much faster than the wall clock the times of the rows run; the client lags in wall time.
    """
    ordered = table.take(np.argsort(table.intended_s, kind="stable"))
    start_s, end_s = _window(ordered, level)
    steady = ordered.where((ordered.intended_s >= start_s) & (ordered.intended_s <= end_s))
    span_s = max(end_s - start_s, 1e-9)
    good = steady.where(steady.ok)
    finished = ordered.ok & (ordered.end_s > start_s) & (ordered.end_s <= end_s)
    overlap = np.clip(np.minimum(ordered.end_s, end_s) - np.maximum(ordered.intended_s, start_s), 0, None)
    in_flight = float(overlap.sum()) / span_s
    latency = summarize(good.latency_s)
    streams = bool(np.any(good.chunks > 1))
    health, all_ok = _health(ordered, cpu), len(good) == len(steady)
    stage = Stage(
        index=index,
        level=level,
        window_s=(start_s, end_s),
        requests=len(ordered),
        offered_per_s=max(len(steady) - 1, 0) / span_s,
        achieved_per_s=_achieved(level, latency, in_flight, float(finished.sum()) / span_s, all_ok),
        latency=latency,
        ttft=summarize(good.ttft_s) if streams else None,
        itl=summarize(good.itl_s[~np.isnan(good.itl_s)]) if streams else None,
        tokens_in_per_s=float(_tokens(ordered.tokens_in, ordered.tokens_in_asked)[finished].sum()) / span_s,
        tokens_out_per_s=float(_tokens(ordered.tokens_out, ordered.chunks * streams)[finished].sum()) / span_s,
        errors=_errors(ordered),
        in_flight=in_flight,
        little=_little(steady, span_s, in_flight),
        utilization=utilization,
        client=health,
        invalid=_invalid(ordered, health, max(LAG_FLOOR_S * time_scale, LAG_SHARE * _median(latency))),
        notes=_token_notes(good),
    )
    return Measured(stage, steady, ordered)


def summarize(values: Floats) -> Summary:
    """Mean and exact percentiles of values in seconds; NaN where there are none."""
    if not len(values):
        return Summary(0, *(math.nan,) * 6)
    p50, p90, p95, p99 = (float(v) for v in np.percentile(values, [50, 90, 95, 99]))
    return Summary(len(values), float(values.mean()), p50, p90, p95, p99, float(values.max()))


def _achieved(level: Level, latency: Summary, in_flight: float, completed_per_s: float, all_ok: bool) -> float:
    """Successes per second.

    A short closed loop completes in bursts, so counting is coarse; where all of its requests succeeded and were
    in flight throughout, N over the mean latency is the same by Little's law, and exact.
    """
    users = level.concurrency
    if users is None or not all_ok or not latency.n or abs(in_flight / users - 1) >= 0.1:
        return completed_per_s
    return users / latency.avg_s


def _window(ordered: RequestTable, level: Level) -> tuple[float, float]:
    """The steady part by intended start: from the MSER-5 cut, at least one median latency in, to the last send."""
    if not len(ordered):
        return 0.0, level.duration_s
    first, last = float(ordered.intended_s[0]), float(ordered.intended_s[-1])
    cut = statistics.warm_up(ordered.latency_s)
    median_s = float(np.median(ordered.latency_s))
    start_s = max(float(ordered.intended_s[cut]), first + min(median_s, (last - first) / 3))
    return start_s, last


def _health(table: RequestTable, cpu: float) -> ClientHealth:
    if not len(table):
        return ClientHealth(0.0, 0.0, 0.0, cpu)
    p50, p99 = (float(v) for v in np.percentile(table.lag_s, [50, 99]))
    return ClientHealth(p50, p99, float(table.lag_s.max()), cpu)


def _median(latency: Summary) -> float:
    return latency.p50_s if latency.n else 0.0


def _invalid(table: RequestTable, health: ClientHealth, material_s: float) -> str:
    if health.cpu > BUSY_CPU:
        return f"the client used {health.cpu:.0%} of a core and was itself the bottleneck"
    exhausted = int(np.count_nonzero(table.outcome == Outcome.EXHAUSTED))
    if exhausted:
        return f"the client had no file descriptor or port left for {exhausted} of the requests; raise ulimit -n"
    late = float(np.mean(table.lag_s > material_s)) if len(table) else 0.0
    if late > LATE_SHARE:
        return f"the client sent {late:.0%} of the requests late by more than {material_s * 1000:.0f} ms"
    return ""


def _errors(table: RequestTable) -> dict[str, int]:
    counts = {outcome: int(np.count_nonzero(table.outcome == outcome)) for outcome in Outcome}
    return {o.name.lower(): n for o, n in counts.items() if n and o not in (Outcome.OK, Outcome.CANCELLED)}


def _little(steady: RequestTable, span_s: float, in_flight: float) -> float:
    if in_flight <= 0 or len(steady) < 2:
        return 0.0
    return (in_flight - (len(steady) - 1) / span_s * float(steady.latency_s.mean())) / in_flight


def _tokens(reported: Ints, fallback: Ints) -> Ints:
    return np.where(reported >= 0, reported, fallback)


def _token_notes(good: RequestTable) -> tuple[str, ...]:
    notes = []
    for side, got, asked in (
        ("prompt", good.tokens_in, good.tokens_in_asked),
        ("output", good.tokens_out, good.tokens_out_asked),
    ):
        known = (got >= 0) & (asked > 0)
        if not known.any():
            continue
        ratio = float(got[known].sum()) / float(asked[known].sum())
        if abs(ratio - 1) > 0.05:
            notes.append(
                f"the server counted {got[known].mean():.0f} {side} tokens per request where {asked[known].mean():.0f} "
                f"were asked for ({ratio - 1:+.0%})"
            )
    return tuple(notes)
