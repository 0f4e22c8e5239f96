"""A study as `holdfast simulate --json` prints it: the figures of every policy, by the contract's names."""

from __future__ import annotations

from typing import Any

from holdfast.model.simulation import PolicyResult, Simulation, Study

_CONTRACT = (
    "cost_usd",
    "offered",
    "served",
    "failed",
    "refused",
    "unfinished",
    "late",
    "latency_p50_s",
    "latency_p95_s",
    "slo_minutes_lost",
    "switches",
    "weight_changes",
    "restored_s",
    "recovery_s",
    "objective",
    "share_of_optimum",
)
"""Figures of a policy in --json: of the one seed, or means."""


def document(study: Study) -> dict[str, Any]:
    """One simulation as the contract has it; several as a list of such."""
    documents = [_simulation(found) for found in study.simulations]
    return documents[0] if len(documents) == 1 else {"simulations": documents}


def _simulation(found: Simulation) -> dict[str, Any]:
    best = found.best_spreads
    return {
        "scenario": found.scenario,
        "set": dict(found.setting),
        "caveats": found.caveats,
        "fleet": found.fleet.metadata.name,
        "duration_s": found.duration_s,
        "seeds": found.seeds,
        "requests_per_usd": found.requests_per_usd,
        "lambda_reason": found.lambda_reason,
        "policies": {one.policy: _figures(one) for one in found.policies},
        "optimum": {name: best[name].mean for name in ("objective", "served", "cost_usd")},
    }


def _figures(one: PolicyResult) -> dict[str, Any]:
    single = one.runs[0] if len(one.runs) == 1 else None
    return {
        **{name: getattr(single, name) if single else one.mean(name) for name in _CONTRACT},
        "violations": [text for run in one.runs for text in run.violations],
        "recovered": all(run.recovered for run in one.runs),
        "intervals": {name: one.spreads[name].interval for name in _CONTRACT if not single},
    }
