"""What a simulation cannot say, in sentences that come before its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.model.fleet import Slo
from holdfast.model.plan import Plan
from holdfast.simulation.fleet import Pool

SCATTER = 0.02
"""Share by which a limit and a load curve of the same replica may differ for no reason."""

ALL_OF_IT = 0.95
"""Share of the SLO's bound from which on the least wait is too long."""


def sentences(plan: Plan, pools: Sequence[Pool]) -> tuple[str, ...]:
    """Of a plan's fleet. None where its figures say what they seem to."""
    slo = plan.fleet.spec.slo
    of_curves = (*_without_curve(pools), *_below_limit(pools))
    return (*_tokens(slo), *_sizes(plan), *_estimates(plan, pools), *of_curves, *_always_late(slo, pools))


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


def _estimates(plan: Plan, pools: Sequence[Pool]) -> Iterator[str]:
    limits = [pool.unit for pool in plan.pools if pool.estimate_error is not None]
    curves = [pool.name for pool in pools if pool.curve is not None and pool.curve.estimated]
    told = (("Limits and load curves", limits),) if limits == curves else (("Limits", limits), ("Load curves", curves))
    for what, names in told:
        if names:
            yield f"{what} that were estimated, not measured, and so all that follows from them: {', '.join(names)}."


def _without_curve(pools: Sequence[Pool]) -> Iterator[str]:
    names = [pool.name for pool in pools if pool.curve is None]
    if names:
        yield (
            f"No load curve of {', '.join(names)}: a replica is taken to serve as many at once as its limit and its "
            "mean latency there imply (Little's law), each as slowly at any load. That is wrong where requests "
            "queued when the limit was measured; a run (--run UNIT=DIR) gives the curve."
        )


def _below_limit(pools: Sequence[Pool]) -> Iterator[str]:
    for pool in pools:
        if pool.service.most_per_s < (1 - SCATTER) * pool.limit_per_s:
            yield (
                f"By its load curve a replica of {pool.name} does {pool.service.most_per_s:.3g}/s, less than the "
                f"{pool.limit_per_s:.3g}/s of the plan, which policies go by."
            )


def _always_late(slo: Slo, pools: Sequence[Pool]) -> Iterator[str]:
    """Where no curve says that a replica is quicker at low load, its mean latency at the limit is that at any load."""
    tightest_s = min(bound_s for _, bound_s in slo.latency.bounds())
    slow = [pool.name for pool in pools if pool.service.seconds[0] >= ALL_OF_IT * tightest_s and pool.curve is None]
    if slow:
        yield (
            f"Late requests and SLO minutes say little about {', '.join(slow)}: at any load they take "
            f"{ALL_OF_IT:.0%} or more of the {tightest_s:g} s that the SLO allows."
        )
