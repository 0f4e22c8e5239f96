"""One load level of two runs: how each of its figures differs, as estimates, or why that cannot be told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from holdfast.limits import estimates, statistics
from holdfast.limits.change import RUN_TO_RUN, Change
from holdfast.limits.estimates import FINE, Contrast, Estimate, Sampled
from holdfast.model.comparison import ERRORS, ITL, LATENCY, THROUGHPUT, TTFT, Metric
from holdfast.model.records import Bools, Floats, Ints, Outcome, RequestTable
from holdfast.model.stages import Stage

_REMEMBERED = 20
"""Times the queue's memory that a level must last, for its blocks to say how it scatters."""

_WELL = 30
"""Times its memory that one run lasts, and _UNLIKE times as many as the other does, where only the queue of the other
did not come to rest: two runs of one server are hardly ever so unlike."""

_UNLIKE = 4

_LEAST = 100
"""Requests below which nothing is said."""

_BEYOND = 5
"""Requests that must lie beyond a percentile for it to be known at all."""

_SHARES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Held:
    """A level that was held: its stage, and all its requests by intended start, times from the start of the level.

    gaps: how many gaps between output events lie in each of GAP_BINS, by fine block of the requests `steady` gives;
    shape (FINE, len(GAP_BINS)). None where no chunk times were kept.
    """

    stage: Stage
    rows: RequestTable
    gaps: Callable[[Bools, Ints], Ints] | None = None

    def first(self, n: int) -> Held:
        """The first n requests of it."""
        whole, gaps = len(self.rows), self.gaps
        if n == whole:
            return self
        keep = np.arange(whole) < n

        def of_first(wanted: Bools, fine: Ints) -> Ints:
            assert gaps is not None
            more = whole - n
            return gaps(np.append(wanted, np.zeros(more, dtype=bool)), np.append(fine, np.zeros(more, dtype=np.int64)))

        return replace(self, rows=self.rows.where(keep), gaps=None if gaps is None else of_first)


GAP_BINS = np.exp(np.arange(math.log(1e-6), math.log(1e4), 1e-3))
"""Lower edges of bins of 0.1 % each, in seconds."""


def same_requests(before: RequestTable, after: RequestTable) -> int:
    """How many requests, from the first on, both sent alike at the same moments, rows by intended start.

    Of a run that was cut off, the last ones are there only as far as they had ended.
    """
    n = min(len(before), len(after))
    if n == 0:
        return 0
    # By the first request, as a level's own start is known to a millisecond only.
    moments = [rows.intended_s[:n] - rows.intended_s[0] for rows in (before, after)]
    alike = np.abs(moments[0] - moments[1]) < 1e-4
    for name in ("tokens_in_asked", "tokens_out_asked"):
        alike &= np.equal(before.column(name)[:n], after.column(name)[:n])
    return n if alike.all() else int(np.argmin(alike))


def changes(before: Held, after: Held, *, paired: bool) -> list[Change]:
    """How each metric of the level differs. paired: their rows are the same requests, one by one."""
    pair = _Pair.of(before, after, paired=paired)
    found = [pair.throughput(), _errors(before, after)]
    found += [pair.time(metric, lambda rows: rows.latency_s) for metric in LATENCY]
    if before.stage.ttft is not None and after.stage.ttft is not None:
        found += [pair.time(metric, lambda rows: rows.ttft_s) for metric in TTFT]
    if before.gaps is not None and after.gaps is not None:
        found += pair.itl()
    return found


@dataclass(frozen=True)
class _Pair:
    """The steady parts of both, as (n,) masks of their rows."""

    sides: tuple[Held, Held]
    steady: tuple[Bools, Bools]
    paired: bool

    @classmethod
    def of(cls, before: Held, after: Held, *, paired: bool) -> _Pair:
        windows = [before.stage.window_s, after.stage.window_s]
        masks = (_within(before), _within(after))
        if paired:
            # The same requests are looked at in both: those of the steady part of both.
            windows = [(max(start for start, _ in windows), min(end for _, end in windows))] * 2
            masks = (masks[0] & masks[1],) * 2
        sides = tuple(
            replace(held, stage=replace(held.stage, window_s=window))
            for held, window in zip((before, after), windows, strict=True)
        )
        first, second = sides
        return cls((first, second), masks, paired)

    def throughput(self) -> Change:
        counts = [_completions(held) for held in self.sides]
        spans_s = [held.stage.window_s[1] - held.stage.window_s[0] for held in self.sides]
        if min(int(count.sum()) for count in counts) < _LEAST or min(spans_s) <= 0:
            before, after = (held.stage.achieved_per_s for held in self.sides)
            return Change(THROUGHPUT, before, after, why=f"fewer than {_LEAST} requests were answered")
        rates = [
            Sampled.of_counts(count, partial(_rate, span_s=span_s))
            for count, span_s in zip(counts, spans_s, strict=True)
        ]
        return self._change(THROUGHPUT, rates, paired=self.paired)

    def time(self, metric: Metric, of: Callable[[RequestTable], Floats]) -> Change:
        name = metric.name.rpartition(".")[2]
        statistic = _mean if name == "mean" else partial(_quantile, share=_SHARES[name])
        tables = [held.rows.where(steady) for held, steady in zip(self.sides, self.steady, strict=True)]
        good = [table.ok & np.isfinite(of(table)) for table in tables]
        if self.paired:
            good = [good[0] & good[1]] * 2
        values = [of(table)[keep] for table, keep in zip(tables, good, strict=True)]
        fine = [estimates.fine_blocks(len(keep))[keep] for keep in good]
        why = self._untold(values, _SHARES.get(name, 0.5)) or _gathered(fine)
        if why:
            before, after = (statistic(each) if len(each) else math.nan for each in values)
            return Change(metric, before, after, why=why)
        sampled = [Sampled.of(each, own, statistic) for each, own in zip(values, fine, strict=True)]
        return self._judged(metric, sampled, values)

    def itl(self) -> list[Change]:
        """Over every gap between output events; blocks are of requests, as gaps within an answer are alike."""
        counts = list[Ints]()
        for held, steady in zip(self.sides, self.steady, strict=True):
            assert held.gaps is not None
            keep = steady & held.rows.ok
            fine = np.zeros(len(steady), dtype=np.int64)
            fine[steady] = estimates.fine_blocks(int(steady.sum()))
            counts.append(held.gaps(keep, fine))
        if min(int(count.sum()) for count in counts) == 0:
            return []
        latencies = [held.rows.where(steady).latency_s for held, steady in zip(self.sides, self.steady, strict=True)]
        found = []
        for metric in ITL:
            share = _SHARES[metric.name.rpartition(".")[2]]
            sampled = [Sampled.of_counts(count, partial(_binned_quantile, quantile=share)) for count in counts]
            why = self._untold(latencies, 0.5)
            before, after = sampled
            untold = Change(metric, before.value, after.value, why=why)
            found.append(untold if why else self._judged(metric, sampled, latencies))
        return found

    def _change(self, metric: Metric, sampled: Sequence[Sampled], *, paired: bool, lasted: float = math.inf) -> Change:
        before, after = sampled
        told = partial(estimates.contrast, before, after, paired=paired, lasted=lasted)
        return _floored(metric, before.value, after.value, told, estimates.alone(after, lasted))

    def _judged(self, metric: Metric, sampled: Sequence[Sampled], latencies: Sequence[Floats]) -> Change:
        """The change of a time, as far as the queues came to rest."""
        for paired in {self.paired: None, False: None}:
            lasted = self._lasted(latencies, paired=paired)
            if min(lasted) >= _REMEMBERED:
                return self._change(metric, sampled, paired=paired, lasted=min(lasted))
        before, after = sampled
        settled, other = (0, 1) if lasted[0] > lasted[1] else (1, 0)
        if lasted[settled] >= max(_WELL, _UNLIKE * lasted[other]) and sampled[other].value > sampled[settled].value:
            told = partial(estimates.against, before, after, settled=settled)
            change = _floored(metric, before.value, after.value, told, estimates.alone(after, _REMEMBERED))
            remark = f"the queue of {'AB'[other]} did not come to rest, so the change may be larger than can be told"
            return replace(change, own=change.own if other == 0 else None, remark=remark)
        why = (
            f"the level lasted {min(lasted):.0f} times as long as its queue remembers, and it takes {_REMEMBERED}: "
            "hold it longer, or below saturation"
        )
        return Change(metric, before.value, after.value, why=why)

    def _untold(self, values: Sequence[Floats], share: float) -> str:
        """Why a percentile of latencies cannot be told; empty where it can."""
        n = min(len(each) for each in values)
        needed = max(_LEAST, math.ceil(_BEYOND / (1 - share)))
        if n < needed:
            return f"{n} answers of the {needed} that it takes"
        if any(np.any(held.rows.outcome == Outcome.CANCELLED) for held in self.sides):
            return "the level was ended when it was decided"
        return ""

    def _lasted(self, values: Sequence[Floats], *, paired: bool) -> list[float]:
        """How many times as long as its queue remembers each side lasted."""
        return [len(each) / length for each, length in zip(values, self._memory(values, paired=paired), strict=True)]

    def _memory(self, values: Sequence[Floats], *, paired: bool) -> list[float]:
        """How many consecutive requests the queue of each side remembers.

        The number in flight shows it where the latencies do not: they are noisy, and hide a slow swing of the queue.
        """
        present = [_in_flight(held.rows)[steady] for held, steady in zip(self.sides, self.steady, strict=True)]
        if paired:
            length = max(statistics.correlation_length(present[1] - present[0]), _length(values[1] - values[0]))
            return [length] * 2
        return [max(_length(each), _length(own)) for each, own in zip(values, present, strict=True)]


def _gathered(fine: Sequence[Ints]) -> str:
    """Why blocks do not tell how answers scatter, where these came in a part of the level only; else empty."""
    return "answers came in a part of the level only" if min(len(np.unique(own)) for own in fine) < FINE // 2 else ""


def _length(values: Floats) -> float:
    return statistics.correlation_length(values)


def _within(held: Held) -> Bools:
    start_s, end_s = held.stage.window_s
    # A moment that was written and read again may differ in its last digit.
    return np.asarray((held.rows.intended_s >= start_s - 1e-6) & (held.rows.intended_s <= end_s + 1e-6))


def _in_flight(rows: RequestTable) -> Floats:
    """The number in flight that each request found, shape (n,)."""
    ended = np.searchsorted(np.sort(rows.end_s), rows.intended_s)
    return (np.arange(len(rows)) - ended).astype(float)


def _completions(held: Held) -> Ints:
    """How many requests were answered in each fine block of time, shape (FINE,)."""
    start_s, end_s = held.stage.window_s
    ends_s = held.rows.end_s[held.rows.ok]
    inside = ends_s[(ends_s > start_s) & (ends_s <= end_s)]
    counts, _ = np.histogram(inside, bins=FINE, range=(start_s, max(end_s, start_s + 1e-9)))
    return np.asarray(counts, dtype=np.int64)


def _rate(count: Floats, share: float, span_s: float) -> float:
    return max(float(count), 0.5) / (span_s * share)


def _mean(values: Floats) -> float:
    return float(values.mean())


def _quantile(values: Floats, share: float) -> float:
    return float(np.quantile(values, share))


def _binned_quantile(counts: Floats, _: float, quantile: float) -> float:
    ends = np.cumsum(counts)
    return float(GAP_BINS[min(int(np.searchsorted(ends, quantile * ends[-1])), len(GAP_BINS) - 1)])


def _floored(
    metric: Metric, before: float, after: float, told: Callable[[Contrast], Estimate], own: Estimate
) -> Change:
    least = RUN_TO_RUN * max(before, after)
    return Change(
        metric,
        before,
        after,
        told(estimates.relative).with_error(RUN_TO_RUN),
        told(estimates.absolute).with_error(least),
        own.with_error(RUN_TO_RUN),
    )


def _errors(before: Held, after: Held) -> Change:
    """Failures of all requests of the level, as many independent ones as their clumps leave.

    Source: A. Agresti, B. Caffo, "Simple and effective confidence intervals for proportions and differences of
    proportions", The American Statistician 54(4), 2000: one success and one failure are added to each.
    """
    shares, centres, errors = list[float](), list[float](), list[float]()
    for held in (before, after):
        known = held.rows.failed[np.not_equal(held.rows.outcome, Outcome.CANCELLED)].astype(float)
        if len(known) < _LEAST:
            why = f"fewer than {_LEAST} requests ended"
            return Change(ERRORS, before.stage.error_rate, after.stage.error_rate, why=why)
        independent = len(known) / statistics.correlation_length(known)
        centre = (float(known.mean()) * independent + 1) / (independent + 2)
        shares.append(float(known.mean()))
        centres.append(centre)
        errors.append(math.sqrt(centre * (1 - centre) / (independent + 2)))
    difference = Estimate(centres[1] - centres[0], math.hypot(*errors))
    own = Estimate(centres[1], errors[1])
    return Change(ERRORS, shares[0], shares[1], absolute=difference, own=own)
