"""The search of random arrivals: levels just below and just above the limit, which `estimate` reads all together.

Until enough is known for an estimate, loads go up while all is well and down while nothing is. An estimate from levels
on one side of it only says where to look next; one that contradicts what was plainly seen is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.limits import estimate, statistics
from holdfast.limits.estimate import Estimate
from holdfast.limits.options import Options
from holdfast.limits.told import CERTAIN, Known, Told
from holdfast.model.fleet import Slo
from holdfast.model.stages import BreakingPoint, Cause

_ASIDE = 0.04
"""Levels are held this far below and above the estimate in turn: near enough for the unit to behave there as at the
limit, far enough to see its queue build up."""

_FILLED = 12
"""A level lasts at least so many latencies: its first ones fill the unit."""

_SETTLED = 60
"""And near the limit so many: a queue takes long to come to its usual length."""

_LONGEST = 4
"""But no level is longer than so many of the longest that were asked for."""

_ROUGH = 1 / 3
"""Share of a full level that is enough to tell a rate that is far from the limit."""

_PATIENCE = 4
"""After so many rough levels full ones are held: what is over before a queue has built up misleads."""

_FEWEST = 20
"""Requests of the shortest level."""

_APART = 1.35
"""An estimate may lie this far outside the straits: levels begin empty, and short ones go well by luck."""

_REACH = 1.1
"""An estimate this little beyond the levels is no guess."""

_STRIDE = 1.6
"""A rate is at most this far from all that were held, whatever the estimate."""

_STRAINED = 6.0
"""A level this far above its bounds counts no more than that: how far a queue grew depends on the level's length."""

_STRAITS = 0.8
"""What is said of the interval between the straits: they come of verdicts on few levels."""

_FLOOR = 0.3
"""The first rate is at least this share of what one user alone was served: a guess from few requests may be far off."""

_WIDE = 2.0
"""An estimate with a wider interval than this says less than the straits."""

_LEVELS = 4
"""Fewer levels are not enough to end a search, however narrow the interval."""


@dataclass
class Approach:
    """Where the limit of random arrivals is, and where to look next."""

    options: Options
    slo: Slo
    known: Known
    found: Estimate | None = None

    def note(self, *, changed: bool) -> None:
        """A level was added to what is known; changed: what was told before was dropped."""
        before = None if changed else self.found
        levels = [(told.seen, told.load) for told in self.known.levels]
        low, high = self._straits(self.known.levels)
        centre = before.rate_per_s if before else math.sqrt((low or high) * (high if high < math.inf else low))
        found = estimate.limit(levels, self.slo, centre, self.known.probed_per_s)
        # A model that contradicts what was plainly seen is wrong of this unit; of short levels nothing is plain.
        low, high = self._straits([told for told in self.known.levels if 2 * told.level.duration_s >= self._settled_s])
        found = found or before
        agrees = found is not None and low / _APART <= found.rate_per_s <= high * _APART
        self.found = found if agrees else None

    @property
    def interval(self) -> tuple[float, float]:
        """Between which rates the limit is, as far as that is known by now."""
        if self.found is not None and self._is_answer(self.found):
            return self.found.low_per_s, self.found.high_per_s
        return self._straits(self.known.levels)

    def next_load(self) -> float | None:
        """The next rate to hold; None when the interval is as narrow as asked, or no rate would tell more."""
        if not self.known.levels:
            return min(self._first_rate(), self.known.ceiling / 2)
        return self._towards_limit() if self.found is None else self._near(self.found)

    def duration_s(self, load: float) -> float:
        """How long to hold a rate."""
        options = self.options
        wanted_s = min(options.requests / load, options.most_s)
        if self._is_close:
            wanted_s = max(wanted_s, self._settled_s)
        else:
            rough_s = min(max(wanted_s * _ROUGH, _FEWEST / load), options.most_s)
            wanted_s = max(rough_s, _FILLED * self.known.latency_s)
        return max(wanted_s, options.least_s)

    def point(self, ended: str, spoilt: str) -> BreakingPoint:
        """The breaking point as far as it is known. ended, spoilt: why the search ended early, and what was invalid."""
        found = self.found
        if found is not None and self._is_answer(found):
            narrow = found.width <= 1 + self.options.precision
            why = found.why if narrow else f"{found.why}; {ended or 'levels spent'}"
            return BreakingPoint(
                found.rate_per_s, found.low_per_s, found.high_per_s, estimate.CONFIDENCE, found.cause, why
            )
        low_per_s, high_per_s = self._straits(self.known.levels)
        broke = [told.verdict for told in self.known.levels if not told.verdict.holds]
        if high_per_s == math.inf:
            sure = max((t.verdict.confidence for t in self.known.levels if t.load == low_per_s), default=0.0)
            why = (
                "; ".join(part for part in (spoilt, ended) if part)
                or "nothing broke it up to the highest load that was tried"
            )
            return BreakingPoint(low_per_s, low_per_s, math.inf, sure, Cause.NONE, why)
        last = broke[-1] if broke else self.known.levels[-1].verdict
        why = f"{last.why}; {ended}" if ended else last.why
        if not low_per_s:
            return BreakingPoint(0.0, 0.0, high_per_s, last.confidence, last.cause, why)
        rate = math.sqrt(low_per_s * high_per_s)
        return BreakingPoint(rate, low_per_s / (1 + _ASIDE), high_per_s * (1 + _ASIDE), _STRAITS, last.cause, why)

    def _is_answer(self, found: Estimate) -> bool:
        """Whether the estimate is more than a hint where to look."""
        loads = [told.load for told in self.known.levels]
        return found.width <= _WIDE and min(loads) / _REACH <= found.rate_per_s <= max(loads) * _REACH

    @property
    def _is_close(self) -> bool:
        """Whether levels must be long from now on: the limit is between some, or seems to be and cannot be told."""
        if self.found is not None and self.found.firm:
            return True
        low, high = self._straits(self.known.levels)
        return len(self.known.levels) >= _PATIENCE and low > 0 and high < math.inf

    @property
    def _settled_s(self) -> float:
        """How long a unit takes to behave as it will."""
        return min(_SETTLED * self.known.latency_s, _LONGEST * self.options.most_s)

    def _straits(self, levels: Sequence[Told]) -> tuple[float, float]:
        """The highest load within the bounds and the lowest above them, all these levels taken together.

        A load that went well while a lower one did not is no contradiction but luck: both count for what they are
        worth.
        """
        if not levels:
            return 0.0, math.inf
        told = sorted(levels, key=lambda each: each.load)
        sizes = np.array([float(each.stage.requests) for each in told])
        strains = np.array([min(estimate.strain(each.seen, self.slo), _STRAINED) for each in told])
        within = statistics.rising(sizes * strains, sizes) <= 1
        low = max((each.load for each, fine in zip(told, within, strict=True) if fine), default=0.0)
        high = min((each.load for each, fine in zip(told, within, strict=True) if not fine), default=math.inf)
        return low, high

    def _first_rate(self) -> float:
        """From the probes: where they would make random arrivals break, else below the plateau."""
        probes = self.known.probes
        guess = estimate.guess([(probe.seen, probe.level.concurrency or 1) for probe in probes], self.slo)
        if guess is not None:
            return max(guess, _FLOOR * probes[0].stage.achieved_per_s)
        return 0.8 * self.known.probed_per_s  # random arrivals queue well below saturation

    def _towards_limit(self) -> float | None:
        """Up while all is well, down while nothing is, else between the two: until something can be estimated."""
        low, high = self._straits(self.known.levels)
        last = self.known.levels[-1]
        if high == math.inf:
            strain = max(estimate.strain(told.seen, self.slo) for told in self.known.levels if told.load == low)
            higher = low * (1.1 if strain > 0.3 else 1.3 if strain > 0.03 else 1.6)
            return higher if higher < self.known.ceiling else None
        if low == 0:
            lower = min(high / (1.1 if last.verdict.confidence < CERTAIN else 1.3), 0.95 * self.known.served_per_s)
            return lower if lower > self.known.probes[0].stage.achieved_per_s / 100 else None
        if high / low > 1 + 2 * _ASIDE:
            return math.sqrt(low * high)
        return high * (1 + _ASIDE) if last.load <= low else low * (1 - _ASIDE)

    def _near(self, found: Estimate) -> float | None:
        """Just below and just above the limit in turn."""
        narrow = found.width <= 1 + self.options.precision
        if found.firm and narrow and found.levels >= _LEVELS:
            return None
        loads = [told.load for told in self.known.levels]
        centre = min(max(found.rate_per_s, min(loads) / _STRIDE), max(loads) * _STRIDE)
        near = [load for load in loads if abs(math.log(load / centre)) < 2 * _ASIDE]
        below = sum(1 for load in near if load < centre)
        rate = centre * (1 + _ASIDE if len(near) - below < below else 1 - _ASIDE)
        return rate if rate < self.known.ceiling else min(centre, self.known.ceiling) * (1 - _ASIDE)
