"""The search of evenly spaced rates, and of numbers in flight: a bracket, halved until it is as tight as asked.

A load is tried and moved by growing steps until one holds and a higher one does not; then the geometric middle is
tried. An unclear verdict is asked again, and the evidence is added up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.limits.options import Options
from holdfast.limits.told import Known, Told
from holdfast.limits.verdict import EXCESS
from holdfast.model.stages import Arrivals, BreakingPoint, Cause

_FILLED = 6
"""However long it may be, a level that is over before the unit has filled, so many latencies, tells nothing."""


@dataclass
class Tried:
    """What is known of one load: the summed log-odds that it holds, and the last reason each way."""

    load: float
    log_odds: float = 0.0
    times: int = 0
    cause: Cause = Cause.NONE
    why: str = ""
    rate_per_s: float = 0.0

    def add(self, told: Told) -> None:
        # A single level never counts as certain: what it could not see (the next noisy neighbour) is worth 1 %.
        verdict = told.verdict
        sure = min(verdict.confidence, 0.99)
        self.log_odds += (1 if verdict.holds else -1) * math.log(sure / (1 - sure))
        self.times += 1
        self.rate_per_s = told.level.rate_per_s or told.stage.achieved_per_s
        if not self.why or verdict.holds == self.holds:
            self.cause, self.why = verdict.cause, verdict.why

    @property
    def holds(self) -> bool:
        return self.log_odds > 0

    @property
    def confidence(self) -> float:
        return 1 / (1 + math.exp(-abs(self.log_odds)))


@dataclass(frozen=True)
class Bracket:
    """Where the limit lies between loads that held and loads that did not."""

    options: Options
    known: Known

    @property
    def low(self) -> Tried | None:
        """The highest load that held with no failing load at or below it."""
        high = self.high
        held = [t for t in self._tried() if t.holds and (high is None or t.load < high.load)]
        return max(held, key=lambda t: t.load, default=None)

    @property
    def high(self) -> Tried | None:
        """The lowest load that did not hold."""
        return min((t for t in self._tried() if not t.holds), key=lambda t: t.load, default=None)

    @property
    def interval(self) -> tuple[float, float]:
        """Between which rates the limit is, as far as that is known by now."""
        low, high = self.low, self.high
        return low.rate_per_s if low else 0.0, high.rate_per_s if high else math.inf

    @property
    def first_rate_per_s(self) -> float:
        """From the probes: between the last concurrency that held and the first that did not, or at the plateau."""
        held = [p.stage.achieved_per_s for p in self.known.probes if p.verdict.holds]
        top = self.known.probed_per_s
        if held and self.known.probes[-1].verdict.holds:
            return top * 0.95  # the throughput stopped rising within the SLO
        return math.sqrt((max(held) if held else top / 2) * top)

    def next_load(self) -> float | None:
        """The next load to hold; None when the bracket is as tight as asked, or cannot be made tighter."""
        low, high, ceiling = self.low, self.high, self.known.ceiling
        if low is None and high is None:
            # Below what the client itself could not send, where that has been seen.
            return min(1.0, max(ceiling / 2, 1.0)) if self._whole else min(self.first_rate_per_s, ceiling / 2)
        unclear = self._unclear(low, high)
        if unclear is not None:
            return unclear.load
        if high is None:
            assert low is not None
            higher = min(low.load * (2.0 if self._whole else self._step(holding=True)), self._most)
            return higher if low.load < higher < ceiling else None
        if low is None:
            return self._lower(high)
        return self._middle(low, high)

    def duration_s(self, load: float) -> float:
        """How long to hold a rate."""
        options, high = self.options, self.high
        wanted_s = max(min(options.requests / load, options.most_s), _FILLED * self.known.latency_s)
        sure = high is not None and (high.times > 1 or self._is_long(high))
        if high is not None and sure and load < high.load <= load * (1 + options.precision):
            wanted_s = max(wanted_s, options.most_s)
        return max(wanted_s, options.least_s)

    def point(self, ended: str, spoilt: str) -> BreakingPoint:
        """The breaking point as far as it is known. ended, spoilt: why the search ended early, and what was invalid."""
        low, high = self.low, self.high
        if high is None:
            held, sure = (low.rate_per_s, low.confidence) if low else (0.0, 0.0)
            why = (
                "; ".join(part for part in (spoilt, ended) if part)
                or "nothing broke it up to the highest load that was tried"
            )
            return BreakingPoint(held, held, math.inf, sure, Cause.NONE, why, self._users(low))
        why = f"{high.why}; {ended}" if ended else high.why
        if low is None:
            return BreakingPoint(0.0, 0.0, high.rate_per_s, high.confidence, high.cause, why)
        # Evenly spaced load cannot tell a smaller excess from none.
        least = low.rate_per_s if self._whole else low.rate_per_s / (1 + EXCESS)
        return BreakingPoint(
            low.rate_per_s, least, max(high.rate_per_s, low.rate_per_s), low.confidence * high.confidence,
            high.cause, why, self._users(low),
        )  # fmt: skip

    @property
    def _whole(self) -> bool:
        """Whether loads are numbers in flight, which are whole."""
        return self.options.arrivals is Arrivals.CLOSED

    @property
    def _most(self) -> float:
        return float(self.options.concurrency) if self._whole else math.inf

    def _users(self, low: Tried | None) -> int | None:
        return round(low.load) if low is not None and self._whole else None

    def _lower(self, high: Tried) -> float | None:
        if self._whole:
            return max(round(high.load / 2), 1) if high.load > 1 else None
        lower = min(high.load / self._step(holding=False), 0.95 * self.known.served_per_s)
        least = min((p.stage.achieved_per_s for p in self.known.probes), default=high.load) / 100
        return lower if lower > least else None

    def _middle(self, low: Tried, high: Tried) -> float | None:
        if high.load / low.load <= 1 + self.options.precision or (self._whole and high.load - low.load <= 1):
            # What broke first may have broken a unit that was still cold: the end of the search asks once more.
            # And what held may have held on credit (a burst allowance): its last level is a long one.
            if high.times < 2 and not self._is_long(high):
                return high.load
            return None if self._whole or self._is_long(low) else low.load
        middle = math.sqrt(high.load * low.load)
        return min(max(round(middle), low.load + 1), high.load - 1) if self._whole else middle

    def _is_long(self, tried: Tried) -> bool:
        long_s = self.options.most_s / 2
        return any(told.load == tried.load and told.level.duration_s >= long_s for told in self.known.levels)

    def _unclear(self, low: Tried | None, high: Tried | None) -> Tried | None:
        """An end of the bracket that should be asked again before anything is built on it."""
        for end in (high, low):
            if end is not None and end.confidence < self.options.confidence and end.times <= self.options.repeats:
                return end
        return None

    def _step(self, *, holding: bool) -> float:
        """Bracketing steps grow: 1.1, 1.3, 1.9, 2, ..."""
        same = sum(1 for tried in self._tried() if tried.holds == holding)
        return min(1 + 0.1 * 3.0 ** (same - 1), 2.0)

    def _tried(self) -> list[Tried]:
        tried: dict[float, Tried] = {}
        longest: dict[float, float] = {}
        for told in self.known.levels:
            longest[told.load] = max(longest.get(told.load, 0.0), told.level.duration_s)
        for told in self.known.levels:
            if told.level.duration_s > longest[told.load] / 2:  # a much longer level knows better
                tried.setdefault(told.load, Tried(told.load)).add(told)
        return list(tried.values())
