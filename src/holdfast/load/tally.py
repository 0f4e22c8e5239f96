"""A run while it lasts: totals that only grow, and the last ten seconds.

Nothing here is told of a single request. The recorder hands on its rows about once a second, and a tally takes such a
batch with a few array operations: a request costs it nothing where load is sent.

Times are those of the records: seconds of the run's clock, in the target's time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from holdfast.model.records import Floats, Outcome

Batch = Callable[[str], npt.NDArray[Any]]
"""Rows that have ended: gives the column of a RequestTable by its name."""

WINDOW_S = 10.0
"""What `glance` looks back on, in seconds of the wall clock."""

_BEHIND_S = 1.5
"""A row is handed on within a second of its end; what ended before this long ago has come, or there is none."""

BOUNDS_S = tuple(step * 10.0**decade for decade in range(-3, 3) for step in (1, 2, 5))
"""Upper bounds of the buckets: 1, 2, 5 of each decade from a millisecond to 500 s."""


@dataclass(frozen=True)
class Spread:
    """How many values lie in each bucket (the last one above every bound), and their sum in seconds."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    sum_s: float = 0.0

    def plus(self, values_s: Floats) -> Self:
        # A value that equals a bound lies below it, as Prometheus's `le` says.
        fresh = np.bincount(np.searchsorted(BOUNDS_S, values_s, side="left"), minlength=len(self.counts))
        counts = tuple(int(old + new) for old, new in zip(self.counts, fresh, strict=True))
        return replace(self, counts=counts, sum_s=self.sum_s + float(values_s.sum()))


@dataclass(frozen=True)
class Totals:
    """Since the run began. Latency is that of successes, and counts from the intended start; lag is that of all."""

    outcomes: tuple[int, ...] = (0,) * (max(Outcome) + 1)
    latency: Spread = Spread()
    ttft: Spread = Spread()
    lag: Spread = Spread()
    tokens_in: int = 0
    tokens_out: int = 0

    def of(self, outcome: Outcome) -> int:
        return self.outcomes[outcome]

    @property
    def errors(self) -> dict[str, int]:
        """Failures by outcome, those that happened; what the client cancelled is none."""
        return {
            outcome.name.lower(): self.of(outcome)
            for outcome in Outcome
            if self.of(outcome) and outcome not in (Outcome.OK, Outcome.CANCELLED)
        }


@dataclass(frozen=True)
class Glance:
    """The last ten seconds of one target, as one row. NaN where nothing was seen."""

    offered_per_s: float
    served_per_s: float
    in_flight: int
    latency_p50_s: float
    latency_p95_s: float
    ttft_p50_s: float
    ttft_p95_s: float
    tokens_per_s: float
    lag_p99_s: float
    errors: dict[str, int] = field(default_factory=dict)
    """Of the whole run, by outcome."""


@dataclass(frozen=True)
class _Recent:
    """Columns of rows that ended of late, shape (n,)."""

    end_s: Floats
    ok: npt.NDArray[np.bool_]
    latency_s: Floats
    ttft_s: Floats
    lag_s: Floats
    tokens: Floats

    def since(self, start_s: float) -> _Recent:
        keep = self.end_s > start_s
        return _Recent(*(column[keep] for column in vars(self).values()))

    @classmethod
    def joined(cls, batches: list[_Recent]) -> _Recent:
        return cls(*(np.concatenate(columns) for columns in zip(*(vars(b).values() for b in batches), strict=True)))


_NOTHING = _Recent(np.empty(0), np.empty(0, dtype=bool), *(np.empty(0) for _ in range(4)))


class Tally:
    """The tally of one target. Batches may come from another thread than questions do: values are replaced whole."""

    def __init__(self, name: str = "", time_scale: float = 1.0) -> None:
        """time_scale: how much faster than the wall clock the times of the records run."""
        self.name = name
        self.totals = Totals()
        self._scale = time_scale
        self._recent = _NOTHING
        self._taken_s = 0.0
        self._sent: deque[tuple[float, int]] = deque()

    def take(self, batch: Batch, now_s: float) -> None:
        """Counts rows that have ended by `now_s`; those of no stage, sent before the load began, are left out."""
        keep = batch("stage") >= 0
        outcome, end_s, intended_s = batch("outcome")[keep], batch("end_s")[keep], batch("intended_s")[keep]
        streams = batch("chunks")[keep] > 1
        ok = outcome == Outcome.OK
        tokens = batch("tokens_out")[keep]
        tokens = np.where(tokens >= 0, tokens, batch("chunks")[keep] * streams)
        fresh = _Recent(
            end_s,
            ok,
            end_s - intended_s,
            np.where(streams, batch("first_token_s")[keep] - intended_s, np.nan),
            batch("sent_s")[keep] - intended_s,
            tokens.astype(float),
        )
        counted = np.bincount(outcome, minlength=len(self.totals.outcomes))
        read = batch("tokens_in")[keep][ok]
        self.totals = replace(
            self.totals,
            outcomes=tuple(int(a + b) for a, b in zip(self.totals.outcomes, counted, strict=True)),
            latency=self.totals.latency.plus(fresh.latency_s[ok]),
            ttft=self.totals.ttft.plus(fresh.ttft_s[ok & streams]),
            lag=self.totals.lag.plus(_known(fresh.lag_s)),
            tokens_in=self.totals.tokens_in + int(read[read > 0].sum()),
            tokens_out=self.totals.tokens_out + int(tokens[ok].sum()),
        )
        self._recent = _Recent.joined([self._recent, fresh]).since(now_s - WINDOW_S * self._scale)
        self._taken_s = now_s

    def glance(self, now_s: float, sent: int, in_flight: int) -> Glance:
        """The last ten seconds at `now_s`; `sent` counts all requests that were sent. Ask about once a second."""
        end_s = max(self._taken_s, now_s - _BEHIND_S * self._scale)
        span_s = max(1e-9, min(WINDOW_S * self._scale, end_s - self._began_s(now_s, sent)))
        rows = self._recent.since(end_s - span_s)
        then_s, before = self._sent[0]
        latency_s, ttft_s = rows.latency_s[rows.ok], _known(rows.ttft_s[rows.ok])
        return Glance(
            offered_per_s=(sent - before) / (now_s - then_s) if now_s > then_s else np.nan,
            served_per_s=int(rows.ok.sum()) / span_s,
            in_flight=in_flight,
            latency_p50_s=_percentile(latency_s, 50),
            latency_p95_s=_percentile(latency_s, 95),
            ttft_p50_s=_percentile(ttft_s, 50),
            ttft_p95_s=_percentile(ttft_s, 95),
            tokens_per_s=float(rows.tokens[rows.ok].sum()) / span_s,
            lag_p99_s=_percentile(_known(rows.lag_s), 99),
            errors=self.totals.errors,
        )

    def _began_s(self, now_s: float, sent: int) -> float:
        """Notes how many were sent by now, and gives the earliest note of the window."""
        self._sent.append((now_s, sent))
        while self._sent[0][0] < now_s - WINDOW_S * self._scale and len(self._sent) > 2:
            self._sent.popleft()
        return self._sent[0][0]


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _percentile(values: Floats, percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else np.nan
