"""What became of a fleet under a policy: the answer of a simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.model.timeline import Timeline
from holdfast.simulation import histogram
from holdfast.simulation.shell import Violation
from holdfast.simulation.traffic import Ints


@dataclass(frozen=True)
class Recovery:
    """An event that took capacity, or a shortage, and how long until the fleet served its load within the SLO again.

    restored_s: until the load was served again, however late. recovery_s: until within the SLO. Both are 0 when it
                never ceased to be, and None when it was not by the end; `measures` says how they are told.
    """

    at_s: float
    what: str
    restored_s: float | None
    recovery_s: float | None


@dataclass(frozen=True)
class Interval:
    """One interval of the timeline, for reckoning: what was spent, and what could have been had.

    available: replicas by pool that supply allowed at its end, at most the pool's maximum.
    standing:  replicas by pool that were paid for at its end.
    """

    end_s: float
    offered: int
    served: int
    usd: float
    kept_slo: bool
    available: tuple[int, ...]
    standing: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """One run.

    offered = served + failed + refused + unfinished.
    failed:      lost with a replica for good. refused: answered 429 or 503 for good.
    late:        of the served, those above the SLO's bound of its highest percentile (or of the mean, where alone).
    unfinished:  in service or waiting when time was up.
    latencies:   of the served, in the bins of `simulation.histogram`.
    slo_minutes_lost: minutes in which the fleet broke its SLO.
    switches:    changes of the routing mode. weight_changes: times that weights were rewritten.
    replica_s:   replica-seconds that were paid for, by pool; usd: what they cost.
    violations:  decisions that broke an invariant that their policy promises; they were refused.
    ends:        how single requests ended, as rows of `rows.END`, as many as were asked for; pools by number.
    """

    policy: str
    seed: int
    duration_s: float
    pools: tuple[str, ...]
    cost_usd: float
    offered: int
    served: int
    failed: int
    refused: int
    late: int
    unfinished: int
    latencies: Ints
    slo_minutes_lost: int
    switches: int
    weight_changes: int
    looks: int
    recoveries: tuple[Recovery, ...]
    violations: tuple[Violation, ...]
    replica_s: Mapping[str, float]
    usd: Mapping[str, float]
    intervals: tuple[Interval, ...]
    timeline: Timeline
    ends: NDArray[np.void]

    def latency_s(self, share: float) -> float:
        """The latency that `share` (0..1) of the served do not exceed, within 1 %; NaN where none was served."""
        return histogram.quantile_s(self.latencies, share)

    @property
    def lost(self) -> int:
        """Requests that were not answered."""
        return self.failed + self.refused

    @property
    def recovered(self) -> bool:
        """Whether the fleet had recovered from every event by the end."""
        return all(each.recovery_s is not None for each in self.recoveries)

    @property
    def worst_recovery_s(self) -> float | None:
        """The longest; None when there was no event, or when one was not recovered from."""
        if not self.recovered:
            return None
        return max((each.recovery_s for each in self.recoveries if each.recovery_s is not None), default=None)
