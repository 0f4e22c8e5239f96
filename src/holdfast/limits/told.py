"""What a search was told: every valid level that was held."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from holdfast.limits.estimate import Seen
from holdfast.limits.options import Options
from holdfast.limits.verdict import Verdict
from holdfast.model.stages import Level, Stage

CERTAIN = 0.9
"""Two verdicts this sure that contradict each other show that the unit has become faster between them."""

_PLAIN = 0.97
"""That it has become slower takes more: a busy spell of random arrivals looks like that, too."""

_CHANGE = 1.3
"""A median latency that differs by this factor at a load that should make it differ the other way shows it, too."""

_PLATEAU = 1.25
"""Doubling the concurrency twice must bring this much more throughput, or it has stopped rising."""


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
class Known:
    """All that was told and still counts.

    probes:  closed loops of 1, 2, 4, ... in flight, in their order; probing_ended: the client can hold no more.
    levels:  what the search is about: rates, or numbers in flight.
    ceiling: the client itself could not send this load.
    """

    options: Options
    probes: list[Told] = field(default_factory=list)
    levels: list[Told] = field(default_factory=list)
    ceiling: float = math.inf
    probing_ended: bool = False

    @property
    def rises(self) -> bool:
        """Whether the unit meets its SLO with one request in flight, as far as that is known."""
        if not self.probes:
            return False
        first = self.probes[0]
        return first.verdict.holds or first.verdict.confidence < self.options.confidence

    @property
    def probed(self) -> bool:
        """Whether closed loops have told what they can."""
        if self.probing_ended or not self.rises:
            return self.probing_ended
        last = self.probes[-1]
        concurrency = last.level.concurrency or 1
        plateau = len(self.probes) > 2 and (
            last.stage.achieved_per_s <= _PLATEAU * self.probes[-3].stage.achieved_per_s
        )
        broken = not last.verdict.holds and last.verdict.confidence >= self.options.confidence
        return broken or plateau or 2 * concurrency > self.options.concurrency

    @property
    def latency_s(self) -> float:
        """The usual latency of a busy unit that still holds; 0 when unknown."""
        held = [p.latency_s for p in self.probes if p.verdict.holds or p is self.probes[0]]
        return max((latency_s for latency_s in held if math.isfinite(latency_s)), default=0.0)

    @property
    def probed_per_s(self) -> float:
        """The most that probes completed; 0 without any."""
        return max((probe.stage.achieved_per_s for probe in self.probes), default=0.0)

    @property
    def served_per_s(self) -> float:
        """What the unit served at most; no rate above it can be held."""
        return max((told.stage.achieved_per_s for told in self.levels), default=math.inf) or math.inf

    def add(self, told: Told) -> bool:
        """Takes a level; what a changed unit makes untrue is dropped, and then it says so."""
        if told.load >= self.ceiling:
            self.ceiling = math.inf  # it was in reach after all
        changed = [n for n, earlier in enumerate(self.levels) if contradict(earlier, told)]
        if changed:
            del self.levels[: changed[-1] + 1]
        self.levels.append(told)
        return bool(changed)


def contradict(earlier: Told, later: Told) -> bool:
    """Whether a later level shows that the unit is no longer what it was: it held more than broke it, or the reverse.

    Both verdicts must be sure and the usual latency must have changed with them; luck alone changes the tail.
    """
    sure = min(earlier.verdict.confidence, later.verdict.confidence)
    faster = later.load >= earlier.load and _CHANGE * later.latency_s < earlier.latency_s
    slower = later.load <= earlier.load and later.latency_s > _CHANGE * earlier.latency_s
    better = later.verdict.holds and not earlier.verdict.holds and faster
    worse = earlier.verdict.holds and not later.verdict.holds and slower
    return (better and sure >= CERTAIN) or (worse and sure >= _PLAIN)
