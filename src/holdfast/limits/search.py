"""The search for a unit's breaking point, as ask and tell.

    search = Search(Options())
    while (level := search.ask()) is not None:
        search.tell(level, stage, verdict)       # of a real server, or of one on virtual time
    search.result()

Three phases. *Probe*: closed loops of 1, 2, 4, ... in flight find roughly where throughput stops rising or
the SLO breaks; a closed loop cannot overrun the server, so this is quick and safe. *Bracket*: an open-loop
rate near that is tried and moved by growing steps until one rate holds and a higher one does not. *Narrow*: the
geometric middle is tried until the interval is as tight as asked. An unclear verdict is asked again, and the
evidence is added up; the two ends of the final interval are confirmed in the same way.

It sends nothing, reads no clock, and is told every outcome.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from holdfast.limits.verdict import Verdict
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, Level, Stage

_PLATEAU = 1.1
"""Doubling the concurrency must bring this much more throughput, or it has stopped rising."""


@dataclass(frozen=True)
class Options:
    """How a search is done.

    arrivals:     of the open-loop levels; Poisson is what independent users do.
    precision:    the interval is narrowed until high / low <= 1 + precision.
    requests:     least number of requests of an open-loop level.
    least_s, most_s: bounds on the duration of an open-loop level.
    confidence:   a verdict below this is asked again, up to `repeats` times.
    invalid_repeats: how often a level that the client spoilt is tried again before it counts as out of reach.
    levels:       most levels in all.
    concurrency:  most requests in flight that a probe tries.
    """

    arrivals: Arrivals = Arrivals.POISSON
    precision: float = 0.05
    requests: int = 200
    least_s: float = 5.0
    most_s: float = 60.0
    confidence: float = 0.9
    repeats: int = 2
    invalid_repeats: int = 4
    levels: int = 40
    concurrency: int = 1024

    def __post_init__(self) -> None:
        if self.arrivals is Arrivals.CLOSED:
            raise ValueError("the levels of a breaking-point search are open loop: constant or Poisson")
        if not 0.005 <= self.precision <= 1:
            raise ValueError(f"the precision must be between 0.5% and 100%, not {self.precision:.2%}")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"the confidence must be between 50% and 100%, not {self.confidence:.0%}")
        if not 0 < self.least_s <= self.most_s:
            raise ValueError("the least duration of a level must be positive and not above the most")
        if self.requests < 20 or self.levels < 3 or self.concurrency < 1 or self.repeats < 0:
            raise ValueError("a search needs at least 20 requests a level, 3 levels and 1 request in flight")


@dataclass
class Tried:
    """What is known of one rate: the summed log-odds that it holds, and the last reason each way."""

    rate_per_s: float
    log_odds: float = 0.0
    times: int = 0
    cause: Cause = Cause.NONE
    why: str = ""

    def add(self, verdict: Verdict) -> None:
        # A single level never counts as certain: what it could not see (the next noisy neighbour) is worth 1 %.
        sure = min(verdict.confidence, 0.99)
        self.log_odds += (1 if verdict.holds else -1) * math.log(sure / (1 - sure))
        self.times += 1
        if not self.why or verdict.holds == self.holds:
            self.cause, self.why = verdict.cause, verdict.why

    @property
    def holds(self) -> bool:
        return self.log_odds > 0

    @property
    def confidence(self) -> float:
        return 1 / (1 + math.exp(-abs(self.log_odds)))


@dataclass(frozen=True)
class Probed:
    """One closed-loop probe: throughput and median latency at a concurrency, and whether the SLO held."""

    concurrency: int
    rate_per_s: float
    latency_s: float
    verdict: Verdict


@dataclass
class Search:
    """See the module docstring."""

    options: Options = field(default_factory=Options)
    _probes: list[Probed] = field(default_factory=list)
    _tried: dict[float, Tried] = field(default_factory=dict)
    _asked: int = 0
    _ended: str = ""
    _spoilt: str = ""
    _invalid: dict[Level, int] = field(default_factory=dict)
    _probing_ended: bool = False
    _ceiling: float = math.inf

    def ask(self) -> Level | None:
        """The next level to hold; None when the search is over."""
        if self._ended or self._asked >= self.options.levels:
            return None
        if not self._probing_over():
            return self._probe_level()
        rate = self._next_rate()
        return None if rate is None else self._open_level(rate)

    def tell(self, level: Level, stage: Stage, verdict: Verdict) -> None:
        """What happened at a level that was asked for."""
        self._asked += 1
        if not stage.valid:
            self._note_invalid(level, stage)
        elif level.concurrency is not None:
            self._note_probe(level.concurrency, stage, verdict)
        else:
            assert level.rate_per_s is not None
            if level.rate_per_s >= self._ceiling:
                self._ceiling = math.inf  # it was in reach after all
            self._tried.setdefault(level.rate_per_s, Tried(level.rate_per_s)).add(verdict)

    def _note_invalid(self, level: Level, stage: Stage) -> None:
        """An invalid stage is never evidence about the server: it is tried again, then it bounds the search."""
        self._invalid[level] = self._invalid.get(level, 0) + 1
        if self._invalid[level] <= self.options.invalid_repeats:
            return
        self._spoilt = stage.invalid
        if level.rate_per_s is None:
            self._probing_ended = True
        else:
            self._ceiling = min(self._ceiling, level.rate_per_s)
        high = self.high
        if not self._probes or (high is not None and self._ceiling < high.rate_per_s):
            self._ended = f"the measurement is invalid at {level.name}: {stage.invalid}"

    def _note_probe(self, concurrency: int, stage: Stage, verdict: Verdict) -> None:
        latency_s = stage.latency.p50_s if stage.latency.n else math.inf
        self._probes.append(Probed(concurrency, stage.achieved_per_s, latency_s, verdict))
        if concurrency == 1 and not verdict.holds and verdict.confidence >= self.options.confidence:
            self._ended = f"not even one request at a time meets the SLO: {verdict.why}"

    def stop(self, reason: str) -> None:
        """Ends the search early, e.g. because its budget is spent; the result is what is known so far."""
        self._ended = self._ended or reason

    @property
    def asked(self) -> int:
        """How many levels were told."""
        return self._asked

    @property
    def low(self) -> Tried | None:
        """The highest rate that held with no failing rate at or below it."""
        high = self.high
        held = [t for t in self._tried.values() if t.holds and (high is None or t.rate_per_s < high.rate_per_s)]
        return max(held, key=lambda t: t.rate_per_s, default=None)

    @property
    def high(self) -> Tried | None:
        """The lowest rate that did not hold."""
        return min((t for t in self._tried.values() if not t.holds), key=lambda t: t.rate_per_s, default=None)

    def result(self) -> BreakingPoint:
        """The breaking point as far as it is known."""
        low, high = self.low, self.high
        if not self._tried and self._probes and not self._probes[0].verdict.holds:
            first = self._probes[0]
            return BreakingPoint(
                0.0,
                0.0,
                first.rate_per_s,
                first.verdict.confidence,
                first.verdict.cause,
                self._ended or first.verdict.why,
            )
        if high is None:
            held = low.rate_per_s if low else 0.0
            why = self._ended or self._spoilt or "nothing broke it up to the highest rate that was tried"
            return BreakingPoint(held, held, math.inf, low.confidence if low else 0.0, Cause.NONE, why)
        held, sure = (low.rate_per_s, low.confidence) if low else (0.0, 1.0)
        why = f"{high.why}; the search ended early: {self._ended}" if self._ended else high.why
        return BreakingPoint(held, held, high.rate_per_s, sure * high.confidence, high.cause, why)

    def _probing_over(self) -> bool:
        if self._probing_ended:
            return True
        if not self._probes:
            return False
        last = self._probes[-1]
        rising = len(self._probes) < 2 or last.rate_per_s > _PLATEAU * self._probes[-2].rate_per_s
        return not last.verdict.holds or not rising or 2 * last.concurrency > self.options.concurrency

    def _probe_level(self) -> Level:
        concurrency = 2 * self._probes[-1].concurrency if self._probes else 1
        return Level(
            Arrivals.CLOSED, concurrency=concurrency, requests=max(10, 3 * concurrency), duration_s=self.options.most_s
        )

    def _open_level(self, rate: float) -> Level:
        options = self.options
        latency_s = max(p.latency_s for p in self._probes if math.isfinite(p.latency_s))
        # Six latencies: the first fill the server, the rest are measured.
        wanted_s = max(options.requests / rate, 6 * latency_s, options.least_s)
        return Level(options.arrivals, rate_per_s=rate, duration_s=min(wanted_s, options.most_s))

    def _next_rate(self) -> float | None:
        low, high = self.low, self.high
        if low is None and high is None:
            # Below what the client itself could not send, where that has been seen.
            return min(self._first_rate(), self._ceiling / 2)
        unclear = self._unclear(low, high)
        if unclear is not None:
            return unclear.rate_per_s
        if high is None:
            assert low is not None
            higher = low.rate_per_s * self._step(holding=True)
            return higher if higher < self._ceiling else None
        if low is None:
            lower = high.rate_per_s / self._step(holding=False)
            least = min(p.rate_per_s for p in self._probes) / 100
            return lower if lower > least else None
        if high.rate_per_s / low.rate_per_s <= 1 + self.options.precision:
            return None
        return math.sqrt(high.rate_per_s * low.rate_per_s)

    def _unclear(self, low: Tried | None, high: Tried | None) -> Tried | None:
        """An end of the bracket that should be asked again before anything is built on it."""
        for end in (high, low):
            if end is not None and end.confidence < self.options.confidence and end.times <= self.options.repeats:
                return end
        return None

    def _first_rate(self) -> float:
        """From the probes: between the last concurrency that held and the first that did not, or at the plateau."""
        held = [p.rate_per_s for p in self._probes if p.verdict.holds]
        top = max(p.rate_per_s for p in self._probes)
        if held and self._probes[-1].verdict.holds:
            # The throughput stopped rising within the SLO. Random arrivals queue well below saturation.
            return top * (0.95 if self.options.arrivals is Arrivals.CONSTANT else 0.8)
        return math.sqrt((max(held) if held else top / 2) * top)

    def _step(self, *, holding: bool) -> float:
        """Bracketing steps grow: 1.1, 1.2, 1.4, 1.8, ..."""
        same = sum(1 for tried in self._tried.values() if tried.holds == holding)
        return min(1 + 0.1 * 2.0 ** (same - 1), 2.0)
