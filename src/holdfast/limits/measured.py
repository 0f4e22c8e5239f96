"""From the requests of one level to its Stage: the steady part, rates, percentiles, Little's law."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from holdfast.limits import selection, statistics
from holdfast.model.fleet import Slo
from holdfast.model.records import COLUMNS, Bools, Column, Floats, Ints, Outcome, RequestTable, Rows
from holdfast.model.stages import ClientHealth, Level, Stage, Summary

LAG_SHARE = 0.10
"""A request that the client sent late by more than this share of the median latency measures the client."""
LAG_FLOOR_S = 0.005
"""Lag that is never material, in seconds of the wall clock: a busy machine wakes nobody more exactly."""
LATE_SHARE = 0.025
"""With more late requests than this the stage is invalid: half of what a bound on the 95th percentile allows."""
BUSY_CPU = 0.95
"""A client thread this close to a whole core queues by itself."""

MATERIAL = 0.05
"""Texts that the server counts as longer or shorter by more than this share are not those that were asked for."""

_UNKNOWN = ClientHealth()


@dataclass(frozen=True)
class Measured:
    """A stage and the rows it was made of: `kept` says which are of its steady part."""

    stage: Stage
    rows: Rows
    kept: Bools

    @functools.cached_property
    def table(self) -> RequestTable:
        """All rows by intended start, times in seconds from the stage's own start."""
        return self._ordered(np.ones(len(self.kept), dtype=bool))

    @functools.cached_property
    def steady(self) -> RequestTable:
        """The rows of the steady part by intended start."""
        return self._ordered(self.kept)

    def _ordered(self, chosen: Bools) -> RequestTable:
        table = RequestTable(**{name: self.rows.column(name)[chosen] for name in COLUMNS})
        return table.take(np.argsort(table.intended_s, kind="stable"))


def measure(
    rows: Rows,
    level: Level,
    index: int,
    *,
    client: ClientHealth = _UNKNOWN,
    slo: Slo | None = None,
    utilization: float | None = None,
    time_scale: float = 1.0,
) -> Measured:
    """The Stage of one level from its rows, whose times count from the start of the level.

    client:      what the client knows of itself; its lag is taken from the rows.
    slo:         what goodput is held against.
    utilization: the accelerator's own, 0..1, where known.
    time_scale:  how much faster than the wall clock the times of the rows run; the client lags in wall time.

    Columns are read one or two at a time and dropped: of a million rows about 40 MB are held at once.
    """
    outcome = rows.column("outcome")
    ok = np.equal(outcome, Outcome.OK)
    latency_s = _since(rows, "end_s", "intended_s", None)
    window_s = start_s, stop_s = _window(rows, latency_s, level)
    span_s = max(stop_s - start_s, 1e-9)
    kept = (rows.column("intended_s") >= start_s) & (rows.column("intended_s") <= stop_s)
    finished = ok & (rows.column("end_s") > start_s) & (rows.column("end_s") <= stop_s)
    good = kept & ok
    sent, steady = len(rows), int(np.count_nonzero(kept))
    in_flight = _in_flight(rows, window_s)
    little = _little(float(latency_s[kept].mean()), steady, span_s, in_flight) if steady else 0.0
    latency = summarize(latency_s[good])
    completed_per_s = float(np.count_nonzero(finished)) / span_s
    achieved_per_s = _achieved(level, latency, in_flight, completed_per_s, all_ok=bool(ok[kept].all()))
    del latency_s
    tokens_in = _tokens(rows.column("tokens_in"), rows.column("tokens_in_asked"))
    chunks = rows.column("chunks")
    streams = bool(np.any(chunks[good] > 1))
    tokens_out = _tokens(rows.column("tokens_out"), chunks * np.int32(streams))
    health, late = _health(rows, client, max(LAG_FLOOR_S * time_scale, LAG_SHARE * _median(latency)))
    stage = Stage(
        index=index,
        level=level,
        window_s=window_s,
        requests=sent,
        offered_per_s=max(steady - 1, 0) / span_s,
        achieved_per_s=achieved_per_s,
        latency=latency,
        ttft=summarize(_since(rows, "first_token_s", "intended_s", good)) if streams else None,
        itl=_gaps(rows, good) if streams else None,
        tokens_in_per_s=_total(tokens_in[finished]) / span_s,
        tokens_out_per_s=_total(tokens_out[finished]) / span_s,
        errors=_errors(outcome),
        in_flight=in_flight,
        little=little,
        utilization=utilization,
        client=health,
        invalid=_invalid(outcome, health, late),
        notes=tuple(_token_notes(rows, good)),
        ok=int(np.count_nonzero(ok)),
        tpot=_tpot(rows, good, tokens_out) if streams else None,
        goodput_per_s=_goodput(rows, finished, slo, achieved_per_s),
        tokens_in=_total(tokens_in[ok]),
        tokens_out=_total(tokens_out[ok]),
    )
    return Measured(stage, rows, kept)


def summarize(values: Floats) -> Summary:
    """Mean and exact percentiles of values in seconds; NaN where there are none."""
    if not len(values):
        return Summary(0, *(math.nan,) * 6)
    p50, p90, p95, p99 = (float(v) for v in np.percentile(values, [50, 90, 95, 99]))
    return Summary(len(values), float(values.mean()), p50, p90, p95, p99, float(values.max()))


def _achieved(level: Level, latency: Summary, in_flight: float, completed_per_s: float, *, all_ok: bool) -> float:
    """Successes per second.

    A short closed loop completes in bursts, so counting is coarse; where all of its requests succeeded and were
    in flight throughout, N over the mean latency is the same by Little's law, and exact.
    """
    users = level.concurrency
    if users is None or not all_ok or not latency.n or abs(in_flight / users - 1) >= 0.1:
        return completed_per_s
    return users / latency.avg_s


def _window(rows: Rows, latency_s: Floats, level: Level) -> tuple[float, float]:
    """The steady part by intended start: from the MSER-5 cut, at least one median latency in, to the last send."""
    intended_s = rows.column("intended_s")
    if not len(intended_s):
        return 0.0, level.duration_s
    first, last = float(intended_s.min()), float(intended_s.max())
    order = np.argsort(intended_s, kind="stable")
    cut_s = float(intended_s[order[statistics.warm_up(latency_s[order])]])
    del intended_s, order
    return max(cut_s, first + min(float(np.median(latency_s)), (last - first) / 3)), last


def _in_flight(rows: Rows, window_s: tuple[float, float]) -> float:
    """Mean number in flight over the window."""
    overlap_s = np.minimum(rows.column("end_s"), window_s[1])
    overlap_s -= np.maximum(rows.column("intended_s"), window_s[0])
    np.clip(overlap_s, 0, None, out=overlap_s)
    return float(overlap_s.sum()) / max(window_s[1] - window_s[0], 1e-9)


def _since(rows: Rows, end: str, begin: str, keep: Bools | None) -> Floats:
    """Seconds from one moment of each request that is kept (None: of all) to another."""
    wanted = slice(None) if keep is None else keep
    since_s: Floats = rows.column(end)[wanted] - rows.column(begin)[wanted]
    return since_s


def _gaps(rows: Rows, good: Bools) -> Summary | None:
    gaps = selection.summarize_pieces(lambda: rows.gaps(good))
    return gaps if gaps.n else None


def _tpot(rows: Rows, good: Bools, tokens_out: Ints) -> Summary:
    several = good & (tokens_out > 1)
    return summarize(_since(rows, "end_s", "first_token_s", several) / (tokens_out[several] - 1))


def _goodput(rows: Rows, finished: Bools, slo: Slo | None, achieved_per_s: float) -> float | None:
    """The share of what was achieved whose requests met the SLO each for itself.

    A bound on a percentile is one on each request, a bound on a mean is none. A request without a gap between its
    tokens meets any bound on such gaps.
    """
    if slo is None:
        return None
    met = None
    for bounds, values_s in (
        (slo.latency.bounds(), lambda: _since(rows, "end_s", "intended_s", finished)),
        (slo.ttft.bounds(), lambda: _since(rows, "first_token_s", "intended_s", finished)),
        (slo.itl.bounds(), lambda: np.nan_to_num(rows.column("itl_s")[finished])),
    ):
        strictest_s = min((bound_s for statistic, bound_s in bounds if statistic != "avg"), default=None)
        if strictest_s is not None:
            within = values_s() <= strictest_s
            met = within if met is None else met & within
    if met is None:
        return None
    return achieved_per_s * float(met.mean()) if len(met) else 0.0


def _health(rows: Rows, client: ClientHealth, material_s: float) -> tuple[ClientHealth, str]:
    """The client's health with its lag, and what is to be said of that; empty when it is not material."""
    if not len(rows):
        return client, ""
    lag_s = _since(rows, "sent_s", "intended_s", None)
    p50, p99 = (float(v) for v in np.percentile(lag_s, [50, 99]))
    health = replace(client, lag_p50_s=p50, lag_p99_s=p99, lag_max_s=float(lag_s.max()))
    late = float(np.mean(lag_s > material_s))
    if late <= LATE_SHARE:
        return health, ""
    held = f"; its bound on the number in flight put off {client.held} of them" if client.held else ""
    return health, f"the client sent {late:.0%} of the requests late by more than {material_s * 1000:.0f} ms{held}"


def _median(latency: Summary) -> float:
    return latency.p50_s if latency.n else 0.0


def _invalid(outcome: Column, health: ClientHealth, late: str) -> str:
    if health.cpu > BUSY_CPU:
        return f"the client used {health.cpu:.0%} of a core and was itself the bottleneck"
    exhausted = int(np.count_nonzero(outcome == Outcome.EXHAUSTED))
    if exhausted:
        return f"the client had no file descriptor or port left for {exhausted} of the requests; raise ulimit -n"
    return late


def _errors(outcome: Column) -> dict[str, int]:
    counts = {kind: int(np.count_nonzero(outcome == kind)) for kind in Outcome}
    return {o.name.lower(): n for o, n in counts.items() if n and o not in (Outcome.OK, Outcome.CANCELLED)}


def _little(latency_s: float, steady: int, span_s: float, in_flight: float) -> float:
    if in_flight <= 0 or steady < 2:
        return 0.0
    return (in_flight - (steady - 1) / span_s * latency_s) / in_flight


def _tokens(reported: Ints, fallback: Ints) -> Ints:
    return np.where(reported >= 0, reported, fallback)


def _total(counts: Ints) -> int:
    return int(counts.sum(dtype=np.int64))


def _token_notes(rows: Rows, good: Bools) -> Iterator[str]:
    for side, name in (("prompt", "tokens_in"), ("output", "tokens_out")):
        drift = length_drift(rows, good, name)
        if abs(drift) > MATERIAL:
            got, asked, requests = _counted(rows, good, name)
            yield (
                f"the server counted {got / requests:.0f} {side} tokens per request where {asked / requests:.0f} "
                f"were asked for ({drift:+.0%})"
            )


def length_drift(rows: Rows, keep: Bools, name: str) -> float:
    """How much longer `tokens_in` or `tokens_out` are, of the rows to keep, than was asked: 0.1 for a tenth.

    0 where the server counts nothing, or nothing was asked.
    """
    got, asked, requests = _counted(rows, keep, name)
    return got / asked - 1 if requests else 0.0


def _counted(rows: Rows, keep: Bools, name: str) -> tuple[int, int, int]:
    """Tokens by the server, tokens that were asked for, and the requests of which both are known."""
    got, asked = rows.column(name), rows.column(f"{name}_asked")
    known = keep & (got >= 0) & (asked > 0)
    return _total(got[known]), _total(asked[known]), int(np.count_nonzero(known))
