"""What is answered: how many replicas of what and when, what they cost, what is proved of it; or what would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast.model.fleet import CapacityType, Loss
from holdfast.model.plan import Allotment
from holdfast.planning.mix.problem import Candidate, Requirement, Supply


@dataclass(frozen=True)
class Binding:
    """A constraint that cannot be relaxed without effect, in words.

    kind:            `demand`, `loss`, `replicas`, `quota` or `pools`.
    worth_usd_per_h: what one more replica, vCPU or pool would save by the linear relaxation, which rounds nothing; None
                     where the relaxation says nothing of it.
    """

    kind: str
    words: str
    worth_usd_per_h: float | None


@dataclass(frozen=True)
class Relaxation:
    """New values of limits that would make an infeasible requirement feasible; empty where a limit stands.

    replicas: maxReplicas by unit. supplies: most replicas by (unit, zone, capacity type). quotas: vCPUs by class.
    dropped:  kinds of loss that can be survived by no number of replicas.
    """

    replicas: Mapping[str, int] = field(default_factory=dict)
    supplies: Mapping[tuple[str, str, CapacityType], int] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)
    max_pools: int | None = None
    dropped: frozenset[Loss] = frozenset()

    def applied(
        self, candidates: Sequence[Candidate], requirement: Requirement
    ) -> tuple[tuple[Candidate, ...], Requirement]:
        """The candidates and the requirement with the new values."""
        mended = replace(
            requirement,
            survive=requirement.survive - self.dropped,
            max_pools=requirement.max_pools if self.max_pools is None else self.max_pools,
            quotas={**requirement.quotas, **self.quotas},
        )
        return tuple(self._raised(candidate) for candidate in candidates), mended

    def _raised(self, candidate: Candidate) -> Candidate:
        def raised(supply: Supply) -> Supply:
            key = (candidate.unit, supply.zone, supply.capacity_type)
            return replace(supply, max_replicas=self.supplies.get(key, supply.max_replicas))

        return replace(
            candidate,
            max_replicas=self.replicas.get(candidate.unit, candidate.max_replicas),
            supplies=tuple(raised(supply) for supply in candidate.supplies),
        )


@dataclass(frozen=True)
class Mix:
    """The cheapest mix that was found, or as far as an infeasible one goes.

    allotments:     replicas of the supplies that have any, by period.
    traffic:        requests/s by unit, then by period and bucket; units without any are left out.
    cost_usd_per_h: mean over the periods, starts of replicas included.
    gap:            certified: no mix costs less than cost x (1 - gap); 1 for an infeasible mix, of which nothing is.
    binding:        the constraints that decide the cost.
    shortfalls:     what fails and by how much, and the smallest change that mends it; empty when feasible.
    relaxation:     that change as values; None when feasible, or when nothing mends it.
    """

    allotments: tuple[Allotment, ...]
    traffic: Mapping[str, tuple[tuple[float, ...], ...]]
    cost_usd_per_h: float
    cost_by_period_usd_per_h: tuple[float, ...]
    gap: float
    binding: tuple[Binding, ...] = ()
    shortfalls: tuple[str, ...] = ()
    relaxation: Relaxation | None = None

    @property
    def feasible(self) -> bool:
        return not self.shortfalls

    def replicas(self, unit: str, period: int) -> int:
        """Replicas of the unit in a period, 0..; in all its zones and capacity types."""
        return sum(allotment.replicas[period] for allotment in self.allotments if allotment.unit == unit)
