"""Coefficients from measured decode steps: least squares of the logarithm, without negative terms, deaf to outliers.

With the shares of compute and memory given, the time of a step is linear in what is left,

    step = max(compute / c, weights / m) + cache / k + link / l + all_reduces a + layers b + sequences s + o

so that coordinate descent within bounds finds 1/k, 1/l, a, b, s and o, and a search over m (and c, where no prefill
was measured) finds the rest. Each row is weighted so that its squared relative error is its squared log error, and
less beyond 10 % (Huber), because a file of measurements has rows that no model should follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.performance.coefficients import Coefficients
from holdfast.performance.roofline import Terms

Floats = NDArray[np.float64]

LEAST_SHARE = {"memory": 0.3, "cache": 0.2, "link": 1 / 3, "compute": 0.15}
"""Lowest shares that a fit may give. The link's keeps it from standing in for costs that grow with the batch alone: a
decode step's messages are short, and the same share must serve the long ones of a prefill."""

_MOST_S = 0.1
_HUBER = 0.1
_ROUNDS, _SWEEPS = 30, 30


@dataclass(frozen=True)
class Sample:
    """One measured batch of decode steps.

    peak:       one step at peaks. all_reduces, layers, sequences: what its overhead is counted in.
    elapsed_s:  of `steps` steps and of prefills whose arithmetic takes `prefill_peak_s` at the peak, 0 where they were
                not in the measurement.
    """

    peak: Terms
    all_reduces: int
    layers: int
    sequences: float
    elapsed_s: float
    steps: int
    prefill_peak_s: float = 0.0

    def step_s(self, compute: float) -> float:
        """Seconds of a step, with the prefill taken off at that share of the peak; may come out negative."""
        return (self.elapsed_s - self.prefill_peak_s / compute) / self.steps


def fit(samples: Sequence[Sample], *, compute: float | None, link_per_memory: float, source: str) -> Coefficients:
    """The coefficients nearest to these samples; their error is NaN, for it is not theirs to tell.

    compute: the share of the peak that prefills were measured to reach; None to find it from the samples.
    """
    shares = [compute] if compute is not None else list(np.arange(LEAST_SHARE["compute"], 0.96, 0.1))
    tried = []
    for share in shares:
        coarse = [_at(samples, share, memory) for memory in np.linspace(LEAST_SHARE["memory"], 1.0, 8)]
        near = min(coarse, key=lambda one: one.loss).memory
        fine = np.clip(np.linspace(near - 0.08, near + 0.08, 9), LEAST_SHARE["memory"], 1.0)
        tried += coarse + [_at(samples, share, memory) for memory in fine]
    best = min(tried, key=lambda one: one.loss)
    cache, link, all_reduce_s, layer_s, sequence_s, step_s = best.rest
    return Coefficients(
        compute=float(best.compute),
        memory=float(best.memory),
        cache=float(1 / cache),
        link=float(1 / link),
        all_reduce_s=float(all_reduce_s),
        layer_s=float(layer_s),
        sequence_s=float(sequence_s),
        step_s=float(step_s),
        link_per_memory=link_per_memory,
        error=math.nan,
        source=source,
    )


def predicted_s(sample: Sample, given: Coefficients) -> float:
    """Seconds of one of the sample's steps by these coefficients."""
    peak = sample.peak
    return (
        max(peak.compute_s / given.compute, peak.weights_s / given.memory)
        + peak.cache_s / given.cache
        + peak.link_s / given.link
        + sample.all_reduces * given.all_reduce_s
        + sample.layers * given.layer_s
        + sample.sequences * given.sequence_s
        + given.step_s
    )


@dataclass(frozen=True)
class _Trial:
    loss: float
    compute: float
    memory: float
    rest: Floats


def _at(samples: Sequence[Sample], compute: float, memory: float) -> _Trial:
    """The best of the linear part for these shares. Rows whose prefill alone would take longer count as outliers."""
    measured = np.array([one.step_s(compute) for one in samples])
    possible = measured > 0
    core = np.array([max(one.peak.compute_s / compute, one.peak.weights_s / memory) for one in samples])
    columns = np.array(
        [
            (one.peak.cache_s, one.peak.link_s, one.all_reduces, one.layers, one.sequences, 1.0)
            for one in samples
        ]
    )  # fmt: skip
    most = np.array([1 / LEAST_SHARE["cache"], 1 / LEAST_SHARE["link"], *[_MOST_S] * 4])
    least = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    scale = measured[possible]
    rest, loss = _bounded(columns[possible] / scale[:, None], core[possible] / scale, least, most)
    return _Trial(loss + float(np.mean(~possible)), compute, memory, rest)


def _bounded(columns: Floats, core: Floats, least: Floats, most: Floats) -> tuple[Floats, float]:
    """x within bounds that brings log(core + columns x) nearest to 0, and the mean Huber loss of it."""
    weights, x = np.ones(len(core)), least.copy()
    for _ in range(_ROUNDS):
        before = x.copy()
        normal = (columns * weights[:, None]).T @ columns
        right = (columns * weights[:, None]).T @ (1 - core)
        for _ in range(_SWEEPS):
            for j in np.flatnonzero(normal.diagonal() > 0):
                x[j] = min(most[j], max(least[j], x[j] + (right[j] - normal[j] @ x) / normal[j, j]))
        ratio = core + columns @ x
        off = np.abs(np.log(ratio))
        exact = np.abs(ratio - 1) < 1e-6
        weights = np.where(exact, 1.0, (off / np.where(exact, 1.0, ratio - 1)) ** 2)
        weights *= np.minimum(1.0, _HUBER / np.maximum(off, _HUBER))
        if np.max(np.abs(x - before) / (x + 1e-9)) < 1e-4:
            break
    return x, float(np.mean(np.where(off < _HUBER, off**2 / 2, _HUBER * (off - _HUBER / 2))))
