"""Step-time coefficients of continuous batching from how long requests took.

With m requests in flight on average, all of them running, of p prompt and o output tokens each, a step takes

    step_s = base_s + m (per_sequence_s + per_prefill_token_s p / o + per_kv_token_s (p + o / 2))

because a share m / o of the requests starts in it and brings its prompt, and a request looks back at p + o / 2 tokens
on average. A request takes o steps. Its residence is therefore linear in the four coefficients:

    residence_s = o base_s + m o per_sequence_s + m p per_prefill_token_s + m o (p + o / 2) per_kv_token_s

Where all requests have the same lengths, this is a straight line in m: a table over concurrency alone yields two
numbers, and how much of the slope is prefill or reading the KV cache has to be given.

The fit makes the worst miss as small as such coefficients allow: weighted least squares, reweighted by Lawson's rule
(C. L. Lawson, 1961: each weight times its own miss). A miss is of the rate, or of rate and latency alike: then it is
the logarithm of their ratio to what was published, so that twice as long and half as long are equally wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.model.measurements import Measurement
from holdfast.serving.emulated.step_time import LinearStep

_ROUNDS = 200


@dataclass(frozen=True)
class Held:
    """A level: requests in flight on average, what one takes in seconds, and its prompt and output tokens."""

    in_flight: float
    residence_s: float
    prompt_tokens: float
    output_tokens: float


@dataclass(frozen=True)
class StepFit:
    """Fitted coefficients, and `misses`: fitted over published rate, less 1, level by level."""

    step: LinearStep
    misses: tuple[float, ...]

    @property
    def worst_miss(self) -> float:
        return max(abs(miss) for miss in self.misses)


def fit_table(
    points: Sequence[Measurement], *, prompt_tokens: float, output_tokens: float, per_prefill_token_s: float
) -> StepFit:
    """The fit to the rates of closed loops that were full all the time, so that concurrency over rate is the residence.

    Raises ValueError when it has no sense.
    """
    levels = [
        Held(float(point.concurrency), point.concurrency / point.rate_per_s, prompt_tokens, output_tokens)
        for point in points
        if point.concurrency and point.rate_per_s
    ]
    return fit_line(levels, per_prefill_token_s=per_prefill_token_s, per_kv_token_s=0.0, of_rate=True)


def fit_line(
    levels: Sequence[Held], *, per_prefill_token_s: float, per_kv_token_s: float, of_rate: bool = False
) -> StepFit:
    """base_s and per_sequence_s, where the rest is given. Raises ValueError where they come out as nonsense."""
    _require_two(levels)
    taken_s, terms = _taken_s(levels), _terms(levels)
    given_s = terms[:, 2:] @ np.array([per_prefill_token_s, per_kv_token_s])
    base_s, per_sequence_s = _minimax(terms[:, :2], taken_s, given_s, of_rate)
    if base_s <= 0 or per_sequence_s < 0:
        raise ValueError(f"the table gives base_s {base_s} and per_sequence_s {per_sequence_s}; lower the prefill cost")
    return _fitted(levels, (base_s, per_sequence_s, per_prefill_token_s, per_kv_token_s))


def fit_all(levels: Sequence[Held]) -> StepFit:
    """All four coefficients, each at least 0, from levels of different lengths. Raises ValueError where none do."""
    _require_two(levels)
    taken_s, terms = _taken_s(levels), _terms(levels)
    best: StepFit | None = None
    for count in range(4):
        for kept in itertools.combinations((1, 2, 3), count):
            columns = (0, *kept)
            if np.linalg.matrix_rank(terms[:, columns]) < len(columns):
                continue
            found = dict(zip(columns, _minimax(terms[:, columns], taken_s, 0.0, False), strict=True))
            values = tuple(found.get(column, 0.0) for column in range(4))
            if values[0] > 0 and min(values) >= 0:
                fit = _fitted(levels, values)
                best = fit if best is None or fit.worst_miss < best.worst_miss else best
    if best is None:
        raise ValueError("no step time makes sense of these levels: requests take less the more are in flight")
    return best


def residences_s(step: LinearStep, levels: Sequence[Held]) -> list[float]:
    """What the formula at the top gives for each level, of its own residence regardless."""
    values = (step.base_s, step.per_sequence_s, step.per_prefill_token_s, step.per_kv_token_s)
    return [float(residence_s) for residence_s in _terms(levels) @ np.array(values)]


def _require_two(levels: Sequence[Held]) -> None:
    if len({level.in_flight for level in levels}) < 2:
        raise ValueError("a fit needs two levels of concurrency, each with a rate")


def _taken_s(levels: Sequence[Held]) -> NDArray[np.float64]:
    return np.array([level.residence_s for level in levels])


def _terms(levels: Sequence[Held]) -> NDArray[np.float64]:
    """What each coefficient is multiplied with (the formula at the top), a row per level."""
    return np.array(
        [
            (
                level.output_tokens,
                level.in_flight * level.output_tokens,
                level.in_flight * level.prompt_tokens,
                level.in_flight * level.output_tokens * (level.prompt_tokens + level.output_tokens / 2),
            )
            for level in levels
        ]
    )


def _minimax(
    terms: NDArray[np.float64],
    taken_s: NDArray[np.float64],
    given_s: NDArray[np.float64] | float,
    of_rate: bool,
) -> list[float]:
    weights = np.ones(len(taken_s))
    fitted_s = taken_s
    # Columns differ by orders of magnitude, which the solver would take for rank deficiency.
    sizes = np.abs(terms).max(axis=0)
    values = np.zeros(terms.shape[1])
    for _ in range(_ROUNDS):
        # A miss of the rate is relative to the fitted residence, of the latency to the published one.
        relative = np.sqrt(weights) / (fitted_s if of_rate else np.sqrt(fitted_s * taken_s))
        values = np.linalg.lstsq(terms / sizes * relative[:, None], (taken_s - given_s) * relative, rcond=None)[0]
        fitted_s = terms / sizes @ values + given_s
        if fitted_s.min() <= 0:
            break
        ratio = taken_s / fitted_s
        misses = np.abs(ratio - 1 if of_rate else np.log(ratio))
        total = float(weights @ misses)
        if total < 1e-12:
            break
        weights = weights * misses / total
    return [float(value) for value in values / sizes]


def _fitted(levels: Sequence[Held], values: Sequence[float]) -> StepFit:
    step = LinearStep(*values)
    fitted_s = residences_s(step, levels)
    return StepFit(step, tuple(level.residence_s / each_s - 1 for level, each_s in zip(levels, fitted_s, strict=True)))
