"""Two runs held against each other: what differs, by how much, how sure that is, and what was asked of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.model.codec import OrInfinite, OrNaN
from holdfast.model.stages import LoadCurve


class Kind(enum.Enum):
    """What a metric counts in."""

    TIME = "s"
    RATE = "1/s"
    SHARE = "share"


@dataclass(frozen=True)
class Metric:
    """A figure of a level that two runs can be compared by. name: as a condition names it."""

    name: str
    words: str
    kind: Kind

    @property
    def relative(self) -> bool:
        """Whether its change is a share of what it was; an error rate is 0 as a rule, and its change a difference."""
        return self.kind is not Kind.SHARE


THROUGHPUT = Metric("throughput", "throughput", Kind.RATE)
ERRORS = Metric("errors", "error rate", Kind.SHARE)
LIMIT = Metric("limit", "breaking point", Kind.RATE)
LATENCY = tuple(Metric(name, f"latency {name}", Kind.TIME) for name in ("mean", "p50", "p90", "p95", "p99"))
TTFT = tuple(Metric(f"ttft.{name}", f"TTFT {name}", Kind.TIME) for name in ("p50", "p95", "p99"))
ITL = tuple(Metric(f"itl.{name}", f"ITL {name}", Kind.TIME) for name in ("p50", "p95", "p99"))
METRICS = {metric.name: metric for metric in (THROUGHPUT, ERRORS, *LATENCY, *TTFT, *ITL, LIMIT)}


class Finding(enum.Enum):
    """What is said of a difference."""

    CHANGED = "changed"
    SAME = "no change"
    UNKNOWN = "not enough data"


@dataclass(frozen=True)
class Difference:
    """How a metric of one run differs from that of another.

    before, after: in seconds, 1/s, or as a share 0..1.
    change, low, high: after / before - 1 and its interval; of an error rate after - before.
    confidence:    of the interval, 0..1; more than was asked for where several differences are looked at.
    found:         CHANGED where the interval does not hold 0.
    why:           why nothing can be said; empty where something is.
    remark:        what is to be said beside the figures.
    """

    metric: Metric
    before: OrNaN
    after: OrNaN
    change: OrNaN
    low: OrNaN
    high: OrInfinite
    confidence: float
    found: Finding
    why: str = ""
    remark: str = ""


@dataclass(frozen=True)
class LevelPair:
    """A load level that both runs held.

    same_requests: both runs sent the same requests at the same moments, and are compared request by request.
    why:           why they are not compared; empty where they are.
    """

    name: str
    same_requests: bool
    differences: tuple[Difference, ...]
    why: str = ""


@dataclass(frozen=True)
class Departure:
    """Something that the second run was asked to do otherwise. alike: whether figures still mean the same."""

    what: str
    before: str
    after: str
    alike: bool


class Outcome(enum.Enum):
    """What became of a condition."""

    BROKEN = "broken"
    HELD = "held"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Answer:
    """What the runs say of one condition. sentence: that, for people."""

    condition: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Run `after` held against run `before`.

    begun:      when each run began, in UTC.
    departures: what the runs did otherwise.
    alone:      sentences on levels that only one run held.
    limit:      the breaking points' difference; None where a run searched for none.
    asked, confidence: how many differences could be told, and the probability that none of those called changed is
                chance (Holm's method over all of them).
    """

    before: str
    after: str
    begun: tuple[str, str]
    departures: tuple[Departure, ...]
    remarks: tuple[str, ...]
    levels: tuple[LevelPair, ...]
    alone: tuple[str, ...]
    limit: Difference | None
    asked: int
    confidence: float
    curves: tuple[LoadCurve, LoadCurve]
    answers: tuple[Answer, ...] = ()

    @property
    def differences(self) -> tuple[tuple[str, Difference], ...]:
        """Every difference with the name of its level; that of the breaking points has an empty one."""
        limit = (("", self.limit),) if self.limit is not None else ()
        return (*limit, *((level.name, each) for level in self.levels for each in level.differences))

    def count(self, found: Finding) -> int:
        return sum(each.found is found for _, each in self.differences)
