"""Whether requests were served within the SLO, and how long until they were again.

Latencies are end to end, as the simulator has no tokens: bounds on ttft and itl are not judged, and an SLO that has no
other is refused. A window of time keeps the SLO when each of its bounds holds over the requests that ended in it, and
no larger share of them went wrong than the SLO's error rate.

Two recoveries from an event, each until the first moment from which on, for 10 minutes, every window is a good one:

    restored   at least 95 % of what was offered in it was served; it is 5 to 60 s long, by the rate
    recovered  at least 95 % of what was offered in 30 s was served, and the latencies keep the bounds

So a backlog that is still worked off counts against the second only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.simulation import histogram
from holdfast.simulation.traffic import Counts, Floats, Ints

Bools = npt.NDArray[np.bool_]

WINDOW_S = 30.0
SETTLED_S = 600.0
SERVED_SHARE = 0.95
NOISE = 110.0
"""A window of this many requests per root of the rate: what is in flight at its two ends moves by chance, by about
sqrt(2 x rate x latency); at a latency of 0.6 s, 5 % of such a window is five times that."""

_SHARES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Tally:
    """Requests of a window. over: of the served, those above each bound of the SLO, in the order of its bounds."""

    arrived: int
    served: int
    bad: int
    latency_s: float
    over: tuple[int, ...]

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.arrived + other.arrived,
            self.served + other.served,
            self.bad + other.bad,
            self.latency_s + other.latency_s,
            tuple(a + b for a, b in zip(self.over, other.over, strict=True)),
        )


class Bounds:
    """The end-to-end bounds of an SLO. Raises InputError when it has none."""

    def __init__(self, slo: Slo) -> None:
        self._bounds = slo.latency.bounds()
        self._error_rate = slo.error_rate
        if not self._bounds:
            raise InputError(
                "the SLO bounds no end-to-end latency, and the simulator has no tokens to time",
                where="spec.slo",
                mend="add one, e.g. latency: {p95: 5s}",
            )
        middles = histogram.middles_s()
        self._first_over = [int(np.searchsorted(middles, bound_s, side="right")) for _, bound_s in self._bounds]

    @property
    def late_s(self) -> float:
        """What a single request is late beyond: the bound of the highest percentile, or that of the mean alone."""
        return self._bounds[-1][1]

    @property
    def count(self) -> int:
        return len(self._bounds)

    def tally(self, counts: Counts) -> Tally:
        latencies = counts.latencies.sum(axis=0)
        return Tally(
            arrived=int(counts.arrived.sum()),
            served=int(counts.served.sum()),
            bad=int(counts.failed.sum() + counts.refused.sum()),
            latency_s=float(counts.latency_s.sum()),
            over=tuple(int(latencies[first:].sum()) for first in self._first_over),
        )

    def kept(self, tally: Tally) -> bool:
        """Whether the window kept the SLO; one without requests did."""
        ended = tally.served + tally.bad
        if not ended:
            return not tally.arrived
        of_one = (np.array([figure]) for figure in (tally.served, tally.latency_s, *tally.over))
        return tally.bad <= self._error_rate * ended and bool(self.quick(*of_one)[0])

    def quick(self, served: Floats, latency_s: Floats, *over: Floats) -> Bools:
        """Whether the latencies of the served keep the bounds, window by window; they do where nothing was served.

        The figures are those of a `Tally`, each of all windows.
        """
        kept = np.ones(len(served), dtype=bool)
        for (statistic, bound_s), beyond in zip(self._bounds, over, strict=True):
            if statistic == "avg":
                kept &= latency_s <= bound_s * served
            else:
                kept &= beyond <= (1 - _SHARES[statistic]) * served
        kept |= served == 0
        return kept


class Windows:
    """Tallies from moment to moment, summed over any stretch between two of them."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._ends_s = [0.0]
        self._known_s = np.zeros(0)
        self._known_sums = np.zeros((0, 4 + bounds.count))
        self._sums: list[tuple[float, ...]] = [(0.0,) * (4 + bounds.count)]

    def add(self, end_s: float, tally: Tally) -> None:
        if end_s > self._ends_s[-1]:
            row = (tally.arrived, tally.served, tally.bad, tally.latency_s, *tally.over)
            self._ends_s.append(end_s)
            self._sums.append(tuple(a + b for a, b in zip(self._sums[-1], row, strict=True)))

    def recovery_s(self, event_s: float) -> float | None:
        """From the event until the fleet had recovered; None when it had not before the end."""
        return self._until_good_s(event_s, WINDOW_S, quick=True)

    def restored_s(self, event_s: float) -> float | None:
        """From the event until the load was served again, however late; None when it was not before the end."""
        before = max(1, int(np.searchsorted(self._times_s(), event_s)))
        since = max(0, int(np.searchsorted(self._times_s(), event_s - SETTLED_S)))
        span_s = self._ends_s[before] - self._ends_s[since] if before < len(self._ends_s) else 0.0
        arrived = self._sums[before][0] - self._sums[since][0] if span_s > 0 else 0.0
        window_s = NOISE / math.sqrt(arrived / span_s) if arrived else 60.0
        return self._until_good_s(event_s, min(60.0, max(5.0, window_s)), quick=False)

    def _until_good_s(self, event_s: float, window_s: float, *, quick: bool) -> float | None:
        ends_s = self._times_s()
        first = int(np.searchsorted(ends_s, event_s - 1e-9))
        ends = np.searchsorted(ends_s, ends_s[first:] + window_s - 1e-9)
        ends = ends[ends < len(ends_s)]
        good_from_s = event_s
        for start, good in enumerate(self._good(first, ends, quick).tolist(), start=first):
            if ends_s[start] >= good_from_s + SETTLED_S:
                break
            if not good:
                good_from_s = float(ends_s[start + 1])
        unproved = good_from_s > event_s and good_from_s + window_s > ends_s[-1]
        return None if unproved else good_from_s - event_s

    def _times_s(self) -> Floats:
        if len(self._known_s) != len(self._ends_s):
            self._known_s = np.array(self._ends_s)
            self._known_sums = np.array(self._sums)
        return self._known_s

    def _good(self, first: int, ends: npt.NDArray[np.intp], quick: bool) -> Bools:
        """Of the windows that begin at `first` and the moments after it, each with its end, whether each was good."""
        between = self._known_sums[ends] - self._known_sums[first : first + len(ends)]
        arrived, served, _, latency_s, *over = between.T
        good: Bools = served >= SERVED_SHARE * arrived
        if quick:
            good &= self._bounds.quick(served, latency_s, *over)
        return good


def percentile_s(latencies: Ints, share: float) -> float:
    """Of a histogram; NaN when it is empty."""
    return histogram.quantile_s(latencies, share) if latencies.any() else math.nan
