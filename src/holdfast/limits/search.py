"""The search for a unit's breaking point, as ask and tell.

    search = Search(slo, Options())
    while (level := search.ask()) is not None:
        search.tell(level, measured, verdict)       # of a real server, or of one on virtual time
    search.result()

Three phases. *Probe*: closed loops of 1, 2, 4, ... in flight find roughly where throughput stops rising or
the SLO breaks; a closed loop cannot overrun the server, so this is quick and safe. *Bracket*: an open-loop
rate near that is tried and moved by growing steps until one rate holds and a higher one does not. *Narrow*:

- of random arrivals, levels just below and just above the limit are held, and `flow` says from all of them together
where
  the limit is and how sure that is, until the interval is as tight as asked;
- of evenly spaced arrivals and of a number in flight, the geometric middle is tried until the interval is as tight as
asked.
  An unclear verdict is asked again, and the evidence is added up.

A level that contradicts an earlier one for certain shows that the unit has changed (it was cold; it is throttled):
what was told before is dropped. The search sends nothing, reads no clock, and is told every outcome.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from holdfast.limits import estimate, statistics
from holdfast.limits.estimate import Estimate, Seen
from holdfast.limits.measured import Measured
from holdfast.limits.verdict import EXCESS, Verdict
from holdfast.model.fleet import Slo
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, Level, Stage

_PLATEAU = 1.25
"""Doubling the concurrency twice must bring this much more throughput, or it has stopped rising."""

_ASIDE = 0.04
"""Levels of random arrivals are held this far below and above the estimate in turn: near enough for the unit to behave
there as at the limit, far enough to see its queue build up."""

_CERTAIN = 0.9
"""Two verdicts this sure that contradict each other show that the unit has changed between them."""

_CHANGE = 1.3
"""A median latency that differs by this factor at a load that should make it differ the other way shows it, too."""

_LATENCIES = 12
"""A level of random arrivals lasts at least so many latencies: its first ones fill the unit."""

_APART = 1.2
"""An estimate may lie this far outside the straits: near the limit they are narrowed by luck."""

_STRAINED = 6.0
"""A level this far above its bounds counts no more than that: how far a queue grew depends on the level's length."""

_STRAITS = 0.8
"""What is said of the interval between the straits: they come of verdicts on few levels."""

_FLOOR = 0.3
"""The first rate is at least this share of what one user alone was served: a guess from few requests may be far off."""

_FEWEST = 20
"""Requests of the shortest level."""

_WIDE = 2.0
"""An estimate with a wider interval than this says less than the bracket."""

_ROUGH = 1 / 3
"""Share of a full level that is enough to tell a rate that is far from the limit."""


@dataclass(frozen=True)
class Options:
    """How a search is done.

    arrivals:     Poisson is what independent users do; constant; closed finds the most in flight instead of a rate.
    precision:    the interval is narrowed until high / low <= 1 + precision.
    requests:     least number of requests of an open-loop level.
    least_s, most_s: bounds on the duration of a level; a slow unit's are longer, as it must be filled.
    confidence:   a verdict below this is asked again, up to `repeats` times.
    invalid_repeats: how often a level that the client spoilt is tried again before it counts as out of reach.
    levels:       most levels in all.
    concurrency:  most requests in flight that a probe tries.
    budget_s:     seconds of load in all; budget_requests: requests in all. The search ends with what it knows by then.
    settle_s:     a unit that breaks its SLO from the first request on is given this long to warm up.
    """

    arrivals: Arrivals = Arrivals.POISSON
    precision: float = 0.05
    requests: int = 200
    least_s: float = 5.0
    most_s: float = 60.0
    confidence: float = 0.9
    repeats: int = 2
    invalid_repeats: int = 4
    levels: int = 60
    concurrency: int = 1024
    budget_s: float = math.inf
    budget_requests: float = math.inf
    settle_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.005 <= self.precision <= 1:
            raise ValueError(f"the precision must be between 0.5% and 100%, not {self.precision:.2%}")
        if not 0.5 <= self.confidence < 1:
            raise ValueError(f"the confidence must be between 50% and 100%, not {self.confidence:.0%}")
        if not 0 < self.least_s <= self.most_s:
            raise ValueError("the least duration of a level must be positive and not above the most")
        if self.requests < 20 or self.levels < 3 or self.concurrency < 1 or self.repeats < 0:
            raise ValueError("a search needs at least 20 requests a level, 3 levels and 1 request in flight")
        if not (self.budget_s > 0 and self.budget_requests > 0 and self.settle_s >= 0):
            raise ValueError("the budget must be positive, and the time to settle not negative")


@dataclass(frozen=True)
class Told:
    """One valid level that was held, its load being a rate (open loop) or a number in flight (closed loop)."""

    level: Level
    seen: Seen
    verdict: Verdict

    @property
    def stage(self) -> Stage:
        return self.seen.stage

    @property
    def load(self) -> float:
        return self.level.rate_per_s if self.level.rate_per_s is not None else float(self.level.concurrency or 0)

    @property
    def latency_s(self) -> float:
        return self.stage.latency.p50_s if self.stage.latency.n else math.inf


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


@dataclass
class Search:
    """See the module docstring."""

    slo: Slo
    options: Options = field(default_factory=Options)
    _probes: list[Told] = field(default_factory=list)
    _told: list[Told] = field(default_factory=list)
    _asked: int = 0
    _spent_s: float = 0.0
    _sent: int = 0
    _ended: str = ""
    _spoilt: str = ""
    _invalid: dict[tuple[float, int], int] = field(default_factory=dict)
    _probing_ended: bool = False
    _ceiling: float = math.inf
    _estimate: Estimate | None = None

    def ask(self) -> Level | None:
        """The next level to hold; None when the search is over."""
        if not self._ended and self._asked >= self.options.levels:
            self._ended = f"{self._asked} levels were held"
        if self._ended:
            return None
        if self.options.arrivals is Arrivals.CLOSED:
            level = self._closed_level(self._next_load(first=1.0, whole=True))
        elif not self._probing_over():
            level = self._closed_level(2.0 * (self._probes[-1].level.concurrency or 1) if self._rising() else 1.0)
        else:
            level = self._open_level(self._next_load(first=self._first_rate(), whole=False))
        return None if level is None else self._within_budget(level)

    def tell(self, level: Level, measured: Measured, verdict: Verdict) -> None:
        """What happened at a level that was asked for."""
        stage = measured.stage
        self._asked += 1
        self._spent_s += stage.window_s[1]
        self._sent += stage.requests
        told = Told(level, Seen(stage, measured.table), verdict)
        if not stage.valid:
            self._note_invalid(told)
        elif self.options.arrivals is not Arrivals.CLOSED and level.concurrency is not None:
            self._note_probe(told)
        else:
            self._note_level(told)

    def stop(self, reason: str) -> None:
        """Ends the search early, e.g. because it was interrupted; the result is what is known so far."""
        self._ended = self._ended or reason

    @property
    def asked(self) -> int:
        """How many levels were told."""
        return self._asked

    @property
    def sent(self) -> int:
        """How many requests these levels sent."""
        return self._sent

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
        if self._estimate is not None:
            return self._estimate.low_per_s, self._estimate.high_per_s
        if self.options.arrivals is Arrivals.POISSON:
            return self._straits() if self._told else (0.0, math.inf)
        low, high = self.low, self.high
        return low.rate_per_s if low else 0.0, high.rate_per_s if high else math.inf

    def result(self) -> BreakingPoint:
        """The breaking point as far as it is known."""
        if self._estimate is not None and self._estimate.width <= _WIDE:
            return self._estimated(self._estimate)
        if self.options.arrivals is Arrivals.POISSON and self._told and self.high is not None and self._straits()[0]:
            return self._between_straits(self.high)
        low, high = self.low, self.high
        if not self._told and self._probes and not self._probes[-1].verdict.holds:
            last = self._probes[-1]
            return BreakingPoint(
                0.0, 0.0, last.stage.achieved_per_s, last.verdict.confidence, last.verdict.cause,
                self._ended or last.verdict.why,
            )  # fmt: skip
        if high is None:
            held, sure = (low.rate_per_s, low.confidence) if low else (0.0, 0.0)
            why = self._ended or self._spoilt or "nothing broke it up to the highest load that was tried"
            return BreakingPoint(held, held, math.inf, sure, Cause.NONE, why, _users(low, self.options))
        why = f"{high.why}; {self._ended}" if self._ended else high.why
        if low is None:
            return BreakingPoint(0.0, 0.0, high.rate_per_s, high.confidence, high.cause, why)
        # Evenly spaced load cannot tell a smaller excess from none.
        least = low.rate_per_s / (1 + EXCESS) if self.options.arrivals is Arrivals.CONSTANT else low.rate_per_s
        return BreakingPoint(
            low.rate_per_s, least, max(high.rate_per_s, low.rate_per_s), low.confidence * high.confidence,
            high.cause, why, _users(low, self.options),
        )  # fmt: skip

    def _estimated(self, found: Estimate) -> BreakingPoint:
        why = (
            found.why if found.width <= 1 + self.options.precision else f"{found.why}; {self._ended or 'levels spent'}"
        )
        return BreakingPoint(found.rate_per_s, found.low_per_s, found.high_per_s, estimate.CONFIDENCE, found.cause, why)

    def _between_straits(self, high: Tried) -> BreakingPoint:
        """What is known of random load that no estimate could be made for: where it went well and where not."""
        low_per_s, high_per_s = self._straits()
        if high_per_s == math.inf:
            return BreakingPoint(low_per_s, low_per_s, math.inf, high.confidence, Cause.NONE, self._ended or high.why)
        rate = math.sqrt(low_per_s * high_per_s)
        why = f"{high.why}; {self._ended}" if self._ended else high.why
        return BreakingPoint(rate, low_per_s / (1 + _ASIDE), high_per_s * (1 + _ASIDE), _STRAITS, high.cause, why)

    def _note_invalid(self, told: Told) -> None:
        """An invalid stage is never evidence about the server: it is tried again, then it bounds the search."""
        level, key = told.level, (told.load, int(told.level.rate_per_s is None))
        self._invalid[key] = self._invalid.get(key, 0) + 1
        if self._invalid[key] <= self.options.invalid_repeats:
            return
        self._spoilt = told.stage.invalid
        if level.rate_per_s is None and self.options.arrivals is not Arrivals.CLOSED:
            self._probing_ended = True
        else:
            self._ceiling = min(self._ceiling, told.load)
        high = self.high
        nothing = not self._probes and self.options.arrivals is not Arrivals.CLOSED
        if nothing or (high is not None and self._ceiling < high.load):
            self._ended = f"the measurement is invalid at {level.name}: {told.stage.invalid}"

    def _note_probe(self, told: Told) -> None:
        if not self._rising():
            self._probes.clear()  # the first one, again
        self._probes.append(told)
        if not self._rising() and self._spent_s >= self.options.settle_s:
            self._ended = f"not even one request at a time meets the SLO: {told.verdict.why}"

    def _note_level(self, told: Told) -> None:
        if told.load >= self._ceiling:
            self._ceiling = math.inf  # it was in reach after all
        changed = [n for n, earlier in enumerate(self._told) if _contradict(earlier, told)]
        if changed:
            del self._told[: changed[-1] + 1]
            self._estimate = None
        self._told.append(told)
        if self.options.arrivals is Arrivals.POISSON:
            levels = [(told.seen, told.load) for told in self._told]
            low, high = self._straits()
            centre = math.sqrt((low or high) * (high if high < math.inf else low))
            before = self._estimate.rate_per_s if self._estimate else centre
            served = max((p.stage.achieved_per_s for p in self._probes), default=0.0)
            found = estimate.limit(levels, self.slo, before, served) or estimate.limit(levels, self.slo, centre, served)
            # A model that contradicts what was plainly seen is wrong of this unit.
            agrees = found is not None and low / _APART <= found.rate_per_s <= high * _APART
            self._estimate = found if agrees else None

    def _straits(self) -> tuple[float, float]:
        """Of random levels: the highest load within the bounds and the lowest above them, all levels taken together.

        A load that went well while a lower one did not is no contradiction but luck: both count for what they are
        worth.
        """
        told = sorted(self._told, key=lambda each: each.load)
        sizes = np.array([float(each.stage.requests) for each in told])
        strains = np.array([min(estimate.strain(each.seen, self.slo), _STRAINED) for each in told])
        within = statistics.rising(sizes * strains, sizes) <= 1
        low = max((each.load for each, fine in zip(told, within, strict=True) if fine), default=0.0)
        high = min((each.load for each, fine in zip(told, within, strict=True) if not fine), default=math.inf)
        return low, high

    def _rising(self) -> bool:
        """Whether the unit meets its SLO with one request in flight, as far as that is known."""
        if not self._probes:
            return False
        first = self._probes[0]
        return first.verdict.holds or first.verdict.confidence < self.options.confidence

    def _probing_over(self) -> bool:
        if self._probing_ended:
            return True
        if not self._rising():
            return False
        last = self._probes[-1]
        concurrency = last.level.concurrency or 1
        plateau = len(self._probes) > 2 and (
            last.stage.achieved_per_s <= _PLATEAU * self._probes[-3].stage.achieved_per_s
        )
        broken = not last.verdict.holds and last.verdict.confidence >= self.options.confidence
        return broken or plateau or 2 * concurrency > self.options.concurrency

    def _tried(self) -> list[Tried]:
        tried: dict[float, Tried] = {}
        longest: dict[float, float] = {}
        for told in self._told:
            longest[told.load] = max(longest.get(told.load, 0.0), told.level.duration_s)
        for told in self._told:
            if told.level.duration_s > longest[told.load] / 2:  # a much longer level knows better
                tried.setdefault(told.load, Tried(told.load)).add(told)
        return list(tried.values())

    def _within_budget(self, level: Level) -> Level | None:
        options = self.options
        left_s = options.budget_s - self._spent_s
        left = options.budget_requests - self._sent
        if level.rate_per_s is not None:
            left_s = min(left_s, left / level.rate_per_s)
        least_s = min(options.least_s, level.duration_s)
        if left_s < least_s or left <= 0:
            self._ended = "the budget was spent"
            return None
        return replace(level, duration_s=min(level.duration_s, left_s))

    def _closed_level(self, load: float | None) -> Level | None:
        if load is None:
            return None
        concurrency = round(load)
        least = self.options.requests if self.options.arrivals is Arrivals.CLOSED else 16
        return Level(
            Arrivals.CLOSED,
            concurrency=concurrency,
            requests=max(least, 4 * concurrency),
            duration_s=self.options.most_s,
        )

    def _open_level(self, rate: float | None) -> Level | None:
        if rate is None:
            return None
        options = self.options
        held = [p.latency_s for p in self._probes if p.verdict.holds or p is self._probes[0]]
        latency_s = max((latency_s for latency_s in held if math.isfinite(latency_s)), default=0.0)
        random = options.arrivals is Arrivals.POISSON
        wanted_s = min(options.requests / rate, options.most_s)
        if random and self._estimate is None:
            wanted_s = min(max(wanted_s * _ROUGH, _FEWEST / rate), options.most_s)
        # However long it may be, a level that is over before the unit has filled tells nothing.
        wanted_s = max(wanted_s, (_LATENCIES if random and self._estimate is not None else 6) * latency_s)
        high = self.high
        sure = high is not None and (high.times > 1 or self._is_long(high))
        if not random and high is not None and sure and rate < high.load <= rate * (1 + options.precision):
            wanted_s = max(wanted_s, options.most_s)
        return Level(options.arrivals, rate_per_s=rate, duration_s=max(wanted_s, options.least_s))

    def _next_load(self, *, first: float, whole: bool) -> float | None:
        low, high = self.low, self.high
        if low is None and high is None:
            # Below what the client itself could not send, where that has been seen.
            return min(first, max(self._ceiling / 2, 1.0) if whole else self._ceiling / 2)
        if self.options.arrivals is Arrivals.POISSON:
            return self._towards_limit() if self._estimate is None else self._near_estimate(self._estimate)
        unclear = self._unclear(low, high)
        if unclear is not None:
            return unclear.load
        if high is None:
            assert low is not None
            higher = min(low.load * (2.0 if whole else self._step(holding=True)), self._most(whole))
            return higher if low.load < higher < self._ceiling else None
        if low is None:
            lower = high.load / 2 if whole else min(high.load / self._step(holding=False), 0.95 * self._most_achieved())
            least = 1.0 if whole else min((p.stage.achieved_per_s for p in self._probes), default=high.load) / 100
            return max(round(lower), 1) if whole and high.load > 1 else lower if lower > least else None
        return self._middle(low, high, whole=whole)

    def _middle(self, low: Tried, high: Tried, *, whole: bool) -> float | None:
        if high.load / low.load <= 1 + self.options.precision or (whole and high.load - low.load <= 1):
            # What broke first may have broken a unit that was still cold: the end of the search asks once more.
            # And what held may have held on credit (a burst allowance): its last level is a long one.
            if high.times < 2 and not self._is_long(high):
                return high.load
            return None if whole or self._is_long(low) else low.load
        middle = math.sqrt(high.load * low.load)
        return min(max(round(middle), low.load + 1), high.load - 1) if whole else middle

    def _is_long(self, tried: Tried) -> bool:
        return any(told.load == tried.load and 2 * told.level.duration_s >= self.options.most_s for told in self._told)

    def _towards_limit(self) -> float | None:
        """Up while all is well, down while nothing is, else between the two: until something can be estimated."""
        low, high = self._straits()
        last = self._told[-1]
        if high == math.inf:
            strain = max(estimate.strain(told.seen, self.slo) for told in self._told if told.load == low)
            higher = low * (1.1 if strain > 0.3 else 1.3 if strain > 0.03 else 1.6)
            return higher if higher < self._ceiling else None
        if low == 0:
            lower = min(high / (1.1 if last.verdict.confidence < _CERTAIN else 1.3), 0.95 * self._most_achieved())
            return lower if lower > self._probes[0].stage.achieved_per_s / 100 else None
        if high / low > 1 + 2 * _ASIDE:
            return math.sqrt(low * high)
        return high * (1 + _ASIDE) if last.load <= low else low * (1 - _ASIDE)

    def _near_estimate(self, found: Estimate) -> float | None:
        """Just below and just above the limit in turn."""
        if found.firm and found.width <= 1 + self.options.precision and found.levels >= 4:
            return None
        near = [told.load for told in self._told if abs(math.log(told.load / found.rate_per_s)) < 2 * _ASIDE]
        below = sum(1 for load in near if load < found.rate_per_s)
        above = len(near) - below
        rate = found.rate_per_s * (1 + _ASIDE if above < below else 1 - _ASIDE)
        return rate if rate < self._ceiling else found.rate_per_s * (1 - _ASIDE)

    def _most(self, whole: bool) -> float:
        return float(self.options.concurrency) if whole else math.inf

    def _unclear(self, low: Tried | None, high: Tried | None) -> Tried | None:
        """An end of the bracket that should be asked again before anything is built on it."""
        for end in (high, low):
            if end is not None and end.confidence < self.options.confidence and end.times <= self.options.repeats:
                return end
        return None

    def _first_rate(self) -> float:
        """From the probes: between the last concurrency that held and the first that did not, or at the plateau."""
        if self.options.arrivals is Arrivals.POISSON:
            known = [(probe.seen, probe.level.concurrency or 1) for probe in self._probes]
            guess = estimate.guess(known, self.slo)
            if guess is not None:
                return max(guess, _FLOOR * self._probes[0].stage.achieved_per_s)
        held = [p.stage.achieved_per_s for p in self._probes if p.verdict.holds]
        top = max(p.stage.achieved_per_s for p in self._probes)
        if held and self._probes[-1].verdict.holds:
            # The throughput stopped rising within the SLO. Random arrivals queue well below saturation.
            return top * (0.95 if self.options.arrivals is Arrivals.CONSTANT else 0.8)
        return math.sqrt((max(held) if held else top / 2) * top)

    def _most_achieved(self) -> float:
        """What the unit served at most; no rate above it can be held."""
        return max((told.stage.achieved_per_s for told in self._told), default=math.inf) or math.inf

    def _step(self, *, holding: bool) -> float:
        """Bracketing steps grow: 1.1, 1.3, 1.9, 2, ..."""
        same = sum(1 for tried in self._tried() if tried.holds == holding)
        return min(1 + 0.1 * 3.0 ** (same - 1), 2.0)


def _users(low: Tried | None, options: Options) -> int | None:
    return round(low.load) if low is not None and options.arrivals is Arrivals.CLOSED else None


def _contradict(earlier: Told, later: Told) -> bool:
    """Whether a later level shows that the unit is no longer what it was: it held more than broke it, or the reverse.

    Both verdicts must be sure and the usual latency must have changed with them; luck alone changes the tail.
    """
    sure = earlier.verdict.confidence >= _CERTAIN and later.verdict.confidence >= _CERTAIN
    faster = later.load >= earlier.load and _CHANGE * later.latency_s < earlier.latency_s
    slower = later.load <= earlier.load and later.latency_s > _CHANGE * earlier.latency_s
    better = later.verdict.holds and not earlier.verdict.holds and faster
    worse = earlier.verdict.holds and not later.verdict.holds and slower
    return sure and (better or worse)
