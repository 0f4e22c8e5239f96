"""The search for a unit's breaking point, as ask and tell.

    search = Search(slo, Options())
    while (level := search.ask()) is not None:
        search.tell(level, measured, verdict)       # of a real server, or of one on virtual time
    search.result()

First it *probes*: closed loops of 1, 2, 4, ... in flight find roughly where throughput stops rising or the SLO breaks;
a closed loop cannot overrun the server, so this is quick and safe. Then rates near that are held: of evenly spaced
arrivals a `bracket` is halved, of random arrivals levels on both sides of the limit are read together (`approach`). A
search for a number in flight is a bracket from the start.

A level that contradicts an earlier one for certain shows that the unit has changed (it was cold; it is throttled):
what was told before is dropped. The search sends nothing, reads no clock, and is told every outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.limits.approach import Approach
from holdfast.limits.bracket import Bracket
from holdfast.limits.estimate import Seen
from holdfast.limits.measured import Measured
from holdfast.limits.options import Options
from holdfast.limits.told import Known, Told
from holdfast.limits.verdict import Verdict
from holdfast.model.fleet import Slo
from holdfast.model.stages import Arrivals, BreakingPoint, Level

__all__ = ["Options", "Search"]

_PROBE = 16
"""Requests of a probe at least; and four for each user."""


_REST = 1.5
"""The budget being short of so many levels, one is held."""


@dataclass
class Search:
    """See the module docstring."""

    slo: Slo
    options: Options = field(default_factory=Options)
    _known: Known = field(init=False)
    _way: Bracket | Approach = field(init=False)
    _asked: int = 0
    _spent_s: float = 0.0
    _sent: int = 0
    _ended: str = ""
    _spoilt: str = ""
    _invalid: dict[tuple[float, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = Known(self.options)
        random = self.options.arrivals is Arrivals.POISSON
        self._way = Approach(self.options, self.slo, self._known) if random else Bracket(self.options, self._known)

    def ask(self) -> Level | None:
        """The next level to hold; None when the search is over."""
        if not self._ended and self._asked >= self.options.levels:
            self._ended = f"{self._asked} levels were held"
        if self._ended:
            return None
        if self._closed:
            level = self._closed_level(self._way.next_load(), self.options.requests)
        elif not self._known.probed:
            users = 2.0 * (self._known.probes[-1].level.concurrency or 1) if self._known.rises else 1.0
            level = self._closed_level(users, _PROBE)
        else:
            level = self._open_level(self._way.next_load())
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
        elif self._is_probe(level):
            self._note_probe(told)
        else:
            changed = self._known.add(told)
            if isinstance(self._way, Approach):
                self._way.note(changed=changed)

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
    def interval(self) -> tuple[float, float]:
        """Between which rates the limit is, as far as that is known by now."""
        return self._way.interval

    def result(self) -> BreakingPoint:
        """The breaking point as far as it is known."""
        probes = self._known.probes
        if not self._known.levels and probes and not probes[-1].verdict.holds:
            last = probes[-1]
            return BreakingPoint(
                0.0, 0.0, last.stage.achieved_per_s, last.verdict.confidence, last.verdict.cause,
                self._ended or last.verdict.why,
            )  # fmt: skip
        return self._way.point(self._ended, self._spoilt)

    @property
    def _closed(self) -> bool:
        """Whether a number in flight is searched for, not a rate."""
        return self.options.arrivals is Arrivals.CLOSED

    def _is_probe(self, level: Level) -> bool:
        return not self._closed and level.concurrency is not None

    def _note_invalid(self, told: Told) -> None:
        """An invalid stage is never evidence about the server: it is tried again, then it bounds the search."""
        level, key = told.level, (told.load, int(told.level.rate_per_s is None))
        self._invalid[key] = self._invalid.get(key, 0) + 1
        if self._invalid[key] <= self.options.invalid_repeats:
            return
        self._spoilt = told.stage.invalid
        if self._is_probe(level):
            self._known.probing_ended = True
        else:
            self._known.ceiling = min(self._known.ceiling, told.load)
        broke = min((t.load for t in self._known.levels if not t.verdict.holds), default=None)
        nothing = not self._known.probes and not self._closed
        if nothing or (broke is not None and self._known.ceiling < broke):
            self._ended, self._spoilt = f"the measurement is invalid at {level.name}: {told.stage.invalid}", ""

    def _note_probe(self, told: Told) -> None:
        if not self._known.rises:
            self._known.probes.clear()  # the first one, again
        self._known.probes.append(told)
        if not self._known.rises and self._spent_s >= self.options.settle_s:
            self._ended = f"not even one request at a time meets the SLO: {told.verdict.why}"

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
        # What would be too little for another level is better spent on this one.
        wanted_s = left_s if level.rate_per_s is not None and left_s < _REST * level.duration_s else level.duration_s
        return replace(level, duration_s=min(wanted_s, left_s))

    def _closed_level(self, load: float | None, least: int) -> Level | None:
        if load is None:
            return None
        concurrency = round(load)
        return Level(
            Arrivals.CLOSED,
            concurrency=concurrency,
            requests=max(least, 4 * concurrency),
            duration_s=self.options.most_s,
        )

    def _open_level(self, rate: float | None) -> Level | None:
        if rate is None:
            return None
        return Level(self.options.arrivals, rate_per_s=rate, duration_s=self._way.duration_s(rate))
