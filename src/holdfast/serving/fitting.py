"""Step-time coefficients of continuous batching from a published concurrency table.

With n requests always in flight, all of them running, each step takes

    step_s = base_s + n * (per_sequence_s + per_prefill_token_s * prompt_tokens / output_tokens)

because a share n / output_tokens of the requests starts in it and brings its prompt. A request takes
output_tokens steps, so that its residence, which by Little's law is n / rate, is a straight line in n. A
table over concurrency alone therefore yields two numbers; how much of the slope is prefill (and how much is
reading the KV cache) cannot be told from it and has to be given.

The line is fitted by weighted least squares on the relative miss of the rate, reweighted by Lawson's rule
(C. L. Lawson, 1961: each weight times its own miss) until the worst miss is as small as a line allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.model.measurements import Measurement

_ROUNDS = 200


@dataclass(frozen=True)
class StepFit:
    """Fitted coefficients in seconds, and `misses`: fitted over published rate, less 1, point by point."""

    base_s: float
    per_sequence_s: float
    misses: tuple[float, ...]

    @property
    def worst_miss(self) -> float:
        return max(abs(miss) for miss in self.misses)


def fit_step(
    points: Sequence[Measurement], *, prompt_tokens: float, output_tokens: float, per_prefill_token_s: float
) -> StepFit:
    """The fit to at least two closed-loop points with concurrency and rate. Raises ValueError when it has no sense."""
    levels = [float(point.concurrency) for point in points if point.concurrency and point.rate_per_s]
    rates = [point.rate_per_s for point in points if point.concurrency and point.rate_per_s]
    if len(set(levels)) < 2:
        raise ValueError("a fit needs two levels of concurrency, each with a rate")
    residences_s = [level / rate for level, rate in zip(levels, rates, strict=True)]
    fixed_s, slope_s = _line(levels, residences_s)
    base_s = fixed_s / output_tokens
    per_sequence_s = (slope_s - per_prefill_token_s * prompt_tokens) / output_tokens
    if base_s <= 0 or per_sequence_s < 0:
        raise ValueError(f"the table gives base_s {base_s} and per_sequence_s {per_sequence_s}; lower the prefill cost")
    return StepFit(base_s, per_sequence_s, tuple(_misses(levels, residences_s, fixed_s, slope_s)))


def _line(levels: Sequence[float], residences_s: Sequence[float]) -> tuple[float, float]:
    weights = [1.0] * len(levels)
    fitted_s = list(residences_s)
    for _ in range(_ROUNDS):
        # A miss of the rate is relative to the fitted residence, hence the division by its square.
        relative = [weight / value**2 for weight, value in zip(weights, fitted_s, strict=True)]
        fixed_s, slope_s = _weighted_line(levels, residences_s, relative)
        fitted_s = [fixed_s + slope_s * level for level in levels]
        sizes = [abs(miss) for miss in _misses(levels, residences_s, fixed_s, slope_s)]
        total = sum(weight * size for weight, size in zip(weights, sizes, strict=True))
        if total < 1e-12:
            break
        weights = [weight * size / total for weight, size in zip(weights, sizes, strict=True)]
    return fixed_s, slope_s


def _weighted_line(xs: Sequence[float], ys: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    rows = list(zip(xs, ys, weights, strict=True))
    weight = sum(weights)
    mean_x = sum(w * x for x, _, w in rows) / weight
    mean_y = sum(w * y for _, y, w in rows) / weight
    slope = sum(w * (x - mean_x) * (y - mean_y) for x, y, w in rows) / sum(w * (x - mean_x) ** 2 for x, _, w in rows)
    return mean_y - slope * mean_x, slope


def _misses(levels: Sequence[float], residences_s: Sequence[float], fixed_s: float, slope_s: float) -> list[float]:
    return [
        residence_s / (fixed_s + slope_s * level) - 1 for level, residence_s in zip(levels, residences_s, strict=True)
    ]
