"""How much load an estimate has within an SLO.

An estimate is of means with N requests in flight (performance.estimate); between two of its points everything is taken
as straight in N, and N = rate x latency (Little).

A bound on a percentile needs more than a mean. What is known of the spread are the lengths of the requests: with so
many in flight a request of i input and o output tokens takes longer than the mean one by

    (i - mean i) P / (mean i) + (o - mean o) ITL

P being the time of one prefill. Lengths are normal, so this is too, with the root of the sum of the squares as its
standard deviation, each length cut at its maximum; where the workload has sizes, those are the distribution. What
queues and uneven batches add to the tail is not in it, and nothing that was published says how much that is: such a
limit is an upper one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from holdfast.model.fleet import Slo, TokenLengths, Workload
from holdfast.model.quantities import format_duration
from holdfast.performance.estimate import Estimate, Point

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Reached:
    """Where an estimate has the most in flight within the SLO, or, with a bound `broken`, its lowest load.

    rate_per_s: requests completed. latency_s: their mean.
    binds:      what takes most of the time: `compute`, `memory`, `link` or `overhead`.
    """

    in_flight: float
    rate_per_s: float
    latency_s: float
    binds: str
    broken: str = ""


def reach(made: Estimate, slo: Slo, workload: Workload) -> Reached | None:
    """The most that the estimate reaches within every latency bound of the SLO; None where the model does not fit."""
    if not made.points:
        return None
    first = made.points[0]
    prefill_s = first.ttft_s
    bounds = [tuple(_bounded(point, slo, workload, prefill_s)) for point in made.points]
    broken = [bound.words for bound in bounds[0] if bound.value_s > bound.most_s]
    if broken:
        return Reached(first.concurrency, first.rate_per_s, first.latency_s, first.binds, "; ".join(broken))
    for (here, low), (after, high) in itertools.pairwise(zip(made.points, bounds, strict=True)):
        part = _part_within(low, high)
        if part < 1:
            in_flight = here.concurrency + part * (after.concurrency - here.concurrency)
            latency_s = here.latency_s + part * (after.latency_s - here.latency_s)
            return Reached(in_flight, in_flight / latency_s, latency_s, here.binds)
    last = made.points[-1]
    return Reached(last.concurrency, last.rate_per_s, last.latency_s, last.binds)


@dataclass(frozen=True)
class _Bound:
    """A statistic of one point, and the most that the SLO allows it."""

    metric: str
    statistic: str
    value_s: float
    most_s: float

    @property
    def words(self) -> str:
        tail = "" if self.statistic == "avg" else " or more"
        return f"{self.metric} {self.statistic} of {self.value_s:.3g} s{tail}, above {format_duration(self.most_s)}"


def _part_within(low: tuple[_Bound, ...], high: tuple[_Bound, ...]) -> float:
    """How much of the way from a point that holds to the next one every bound holds, 0..1."""
    parts = [1.0]
    for here, after in zip(low, high, strict=True):
        if after.value_s > after.most_s:
            parts.append((here.most_s - here.value_s) / (after.value_s - here.value_s))
    return min(parts)


def _bounded(point: Point, slo: Slo, workload: Workload, prefill_s: float) -> Iterator[_Bound]:
    """The point's statistics that are bounded and that it has a figure for."""
    per_input_s = prefill_s / workload.input_tokens.mean if workload.input_tokens is not None else 0.0
    means = {
        "latency": (point.latency_s, per_input_s, point.itl_s or 0.0),
        "ttft": (point.ttft_s, per_input_s, 0.0),
        "itl": (point.itl_s, 0.0, 0.0),
    }
    for metric, (mean_s, input_s, output_s) in means.items():
        for statistic, most_s in getattr(slo, metric).bounds():
            if mean_s is not None:
                beyond_s = _beyond_mean_s(statistic, workload, input_s, output_s)
                yield _Bound(metric, statistic, mean_s + beyond_s, most_s)


def _beyond_mean_s(statistic: str, workload: Workload, input_s: float, output_s: float) -> float:
    """By how much the statistic is above the mean because requests differ in length, each token of them so long."""
    if statistic == "avg" or workload.input_tokens is None:
        return 0.0
    share, outputs = _QUANTILES[statistic], workload.output_tokens
    if workload.sizes:
        assert outputs is not None
        sized = sorted(
            (
                (size.input_tokens - workload.input_tokens.mean) * input_s
                + (size.output_tokens - outputs.mean) * output_s,
                size.share,
            )
            for size in workload.sizes
        )
        running = itertools.accumulate(part for _, part in sized)
        reached = (beyond_s for (beyond_s, _), sum_ in zip(sized, running, strict=True) if sum_ >= share - 1e-9)
        return max(0.0, next(reached, sized[-1][0]))
    return math.hypot(
        _beyond_mean(workload.input_tokens, share) * input_s,
        0.0 if outputs is None else _beyond_mean(outputs, share) * output_s,
    )


def _beyond_mean(lengths: TokenLengths, share: float) -> float:
    """Tokens between the mean length and the one that this share of requests does not exceed, 0 or more."""
    most = math.inf if lengths.max is None else lengths.max - lengths.mean
    return min(NormalDist().inv_cdf(share) * lengths.stddev, most)


def caveat(slo: Slo, workload: Workload) -> str:
    """What such a judgement leaves out, as part of a sentence; empty where the SLO bounds mean latencies alone."""
    unjudged = "" if slo.utilization is None else "utilization is not judged"
    named = [
        name if metric == "latency" else f"{metric} {name}"
        for metric in ("latency", "ttft", "itl")
        for name, _ in getattr(slo, metric).bounds()
        if name != "avg"
    ]
    if not named:
        return unjudged
    lengths = [known for known in (workload.input_tokens, workload.output_tokens) if known is not None]
    spread = bool(workload.sizes) or any(known.stddev for known in lengths)
    judged = "the mean and the spread of the lengths" if spread else "the mean, for no spread of lengths is declared"
    verb = "is" if len(named) == 1 else "are"
    return f"{', '.join(named)} {verb} judged by {judged}; what queues add to a tail is not in it" + (
        f"; {unjudged}" if unjudged else ""
    )
