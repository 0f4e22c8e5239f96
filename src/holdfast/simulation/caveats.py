"""What a simulation cannot say, in sentences that come before its figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from holdfast.model.fleet import Slo
from holdfast.model.plan import Plan
from holdfast.simulation.fleet import Pool

ALL_OF_IT = 0.95
"""Share of the SLO's bound from which on the least wait is too long."""


def sentences(plan: Plan, pools: Sequence[Pool], measured: Collection[str]) -> tuple[str, ...]:
    """Of a plan's fleet; measured: units that have a load curve. None where its figures say what they seem to."""
    slo = plan.fleet.spec.slo
    return (*_tokens(slo), *_sizes(plan), *_estimates(plan), *_always_late(slo, pools, measured))


def _tokens(slo: Slo) -> Iterator[str]:
    bounded = [name for name, bounds in (("ttft", slo.ttft), ("itl", slo.itl)) if bounds.bounds()]
    if bounded:
        yield f"Tokens are not simulated, so the SLO's bounds on {' and '.join(bounded)} are not judged."


def _sizes(plan: Plan) -> Iterator[str]:
    if plan.fleet.spec.routing.by_size:
        yield (
            "Requests are simulated as if all were alike: a pool's limit and latency are those of the sizes that the "
            "plan gives it (bySize), also where a policy sends it what another pool was given."
        )


def _estimates(plan: Plan) -> Iterator[str]:
    names = [pool.unit for pool in plan.pools if pool.estimate_error is not None]
    if names:
        yield f"Limits that were estimated, not measured, and so all that follows from them: {', '.join(names)}."


def _always_late(slo: Slo, pools: Sequence[Pool], measured: Collection[str]) -> Iterator[str]:
    """Where no curve says that a replica is quicker at low load, its mean latency at the limit is that at any load."""
    tightest_s = min(bound_s for _, bound_s in slo.latency.bounds())
    names = [
        pool.name for pool in pools if pool.name not in measured and pool.service.seconds[0] >= ALL_OF_IT * tightest_s
    ]
    if names:
        yield (
            f"Late requests and SLO minutes say little about {', '.join(names)}: without a load curve "
            f"(--run UNIT=DIR) they are as slow at any load as at their limit, which takes {ALL_OF_IT:.0%} or more "
            f"of the {tightest_s:g} s that the SLO allows."
        )
