"""The little statistics that verdicts need: how many independent samples, and how sure."""

from __future__ import annotations

import math

import numpy as np

from holdfast.model.records import Floats


def normal_cdf(z: float) -> float:
    """P(Z <= z) of a standard normal."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) for X ~ Beta(a, b), by the continued fraction of DLMF 8.17.22 (modified Lentz)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away(1 + even * d, tiny), _away(1 + even / c, tiny)
        fraction *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away(1 + odd * d, tiny), _away(1 + odd / c, tiny)
        fraction *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return front * fraction


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


_ENOUGH = 1 << 16
"""Values that tell the correlation of any number of them; a transform of a million takes 200 MB."""


def correlation_length(values: Floats) -> float:
    """How many consecutive values count as one independent sample, 1 to n / 5.

    Latencies near saturation are strongly autocorrelated: a queue remembers. The integrated autocorrelation is
    summed up to where the sum of two neighbours is no longer positive, and is made monotone. Source: C. J. Geyer,
    "Practical Markov Chain Monte Carlo", Statistical Science 7(4), 1992, section 3.3 (initial monotone sequence).
    """
    values = values[:_ENOUGH]
    n = len(values)
    centred = values - values.mean() if n else values
    if n < 10 or not np.any(centred):
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * n)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    correlation = correlation / correlation[0]
    pairs = correlation[0 : n // 2 * 2 : 2] + correlation[1 : n // 2 * 2 : 2]
    ends = np.flatnonzero(pairs <= 0)
    positive = pairs[: ends[0]] if len(ends) else pairs
    total = 2 * float(np.minimum.accumulate(positive).sum()) - 1 if len(positive) else 1.0
    return min(max(total, 1.0), n / 5)


def slope(times_s: Floats, values: Floats, batches: int = 10) -> tuple[float, float]:
    """The straight-line slope of values over time and its standard error, from batch means.

    (0, inf) with fewer than 4 batches of 2: nothing can be said.
    """
    batches = min(batches, len(values) // 2)
    if batches < 4:
        return 0.0, math.inf
    size = len(values) // batches
    x = times_s[: size * batches].reshape(batches, size).mean(axis=1)
    y = values[: size * batches].reshape(batches, size).mean(axis=1)
    deviation = x - x.mean()
    spread = float(deviation @ deviation)
    if spread == 0:
        return 0.0, math.inf
    gradient = float(deviation @ y) / spread
    residual = y - y.mean() - gradient * deviation
    return gradient, math.sqrt(float(residual @ residual) / (batches - 2) / spread)


def warm_up(values: Floats) -> int:
    """How many values to drop at the start for the rest to be steady (MSER-5, and only where it is no chance).

    The cut d minimises var(values[d:]) / (n - d) over batches of 5, in the first half. By itself that would also cut
    away a busy spell that happened to come early, and make the server look better than it is: so the means before and
    after the cut must differ by more than three standard errors. Source: K. P. White, "An effective truncation
    heuristic for bias reduction in simulation output", Simulation 69(6), 1997.
    """
    batches = len(values) // 5
    if batches < 4:
        return 0
    means = values[: batches * 5].reshape(batches, 5).mean(axis=1)
    # All variances at once from the sums of what is left, centred so that they keep their digits.
    centred = means - means.mean()
    left = batches - np.arange(batches // 2 + 1)
    sums, squares = (np.cumsum(part[::-1])[::-1][: len(left)] for part in (centred, centred**2))
    variances = squares / left - (sums / left) ** 2
    # A spread at the edge of what floats resolve is none.
    variances[variances < (1e-12 * means.mean()) ** 2] = 0.0
    cut = 5 * int(np.argmin(variances / left))
    if cut == 0:
        return 0
    before, after = values[:cut], values[cut:]
    spread = float(after.var()) * correlation_length(after)
    error = math.sqrt(spread / cut + spread / len(after))
    return cut if abs(float(before.mean() - after.mean())) > 3 * error else 0


def rising(totals: Floats, weights: Floats) -> Floats:
    """The non-decreasing curve nearest to totals / weights (pool adjacent violators)."""
    values, shares, widths = list[float](), list[float](), list[int]()
    for total, weight in zip(totals.tolist(), weights.tolist(), strict=True):
        if weight <= 0 and values:
            widths[-1] += 1
            continue
        values.append(total)
        shares.append(max(weight, 1e-9))
        widths.append(1)
        while len(values) > 1 and values[-2] * shares[-1] >= values[-1] * shares[-2]:
            values[-2:], shares[-2:], widths[-2:] = [sum(values[-2:])], [sum(shares[-2:])], [sum(widths[-2:])]
    return np.repeat(np.array(values) / np.array(shares), widths)


def nonnegative(gram: Floats, moments: Floats) -> Floats:
    """The x >= 0 that minimises x'Gx / 2 - m'x; gram: shape (n, n), positive definite; moments: shape (n,).

    Source: C. L. Lawson, R. J. Hanson, Solving Least Squares Problems (1974), chapter 23 (NNLS), on normal equations.
    """
    n = len(moments)
    found, free = np.zeros(n), np.zeros(n, dtype=bool)
    tolerance = 1e-10 * float(np.abs(moments).max(initial=0.0))
    for _ in range(3 * n):
        gradient = np.where(free, -np.inf, moments - gram @ found)
        best = int(np.argmax(gradient))
        if gradient[best] <= tolerance:
            break
        free[best] = True
        while free.any():
            trial = np.zeros(n)
            trial[free] = np.linalg.solve(gram[np.ix_(free, free)], moments[free])
            blocked = free & (trial <= 0)
            if not blocked.any():
                found = trial
                break
            # As far towards the trial as all stay positive; what has become zero is bound again.
            steps = found[blocked] / np.maximum(found[blocked] - trial[blocked], 1e-300)
            found = found + float(steps.min()) * (trial - found)
            free &= found > 1e-12 * float(found.max(initial=0.0))
            found[~free] = 0.0
    return found
