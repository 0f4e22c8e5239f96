"""Estimates of how two runs differ, with errors that know that requests in a queue are not independent.

A figure of a level (a percentile, a rate) is made anew without each of b consecutive blocks of it in turn; how it
scatters tells its variance (the delete-a-group jackknife), for percentiles as well as for means. Blocks that are long
against the queue's memory are nearly independent; how long that is, nobody knows exactly. So it is done with 5, 8 and
20 blocks, each with its own degrees of freedom, and the widest interval (of 95 %) counts: long blocks see the slow
swings of a queue that short ones miss, and few blocks may by luck be alike where many are not.

Where both runs sent the same requests at the same moments, the same block is left out of both, and what the requests
have in common (a burst, a long prompt) cancels out.

Sources: J. Shao, C. F. J. Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17(3), 1989
(blocks, for percentiles); C. Chien, D. Goldsman, B. Melamed, "Large-sample results for batch means", Management Science
43(9), 1997; B. L. Welch, Biometrika 34, 1947 (degrees of freedom). How often an interval misses:
benchmarks/comparing.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from holdfast.limits import statistics
from holdfast.model.records import Floats, Ints

BLOCKS = (5, 8, 20)
FINE = 40
"""Blocks of which all of BLOCKS are unions."""


def two_sided(t: float, freedom: float) -> float:
    """P(|T| > t) of Student's t."""
    if math.isinf(freedom):
        return 2 * statistics.normal_cdf(-abs(t))
    return statistics.beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5) if t else 1.0


def student(surprise: float, freedom: float) -> float:
    """The t that Student's |T| exceeds with probability `surprise`, 0 < surprise < 1."""
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > surprise:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) > surprise else (low, middle)
    return high


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and the degrees of freedom of that.

    open_to: inf where the truth may be further up than any interval says, -inf where further down, else 0.
    """

    value: float
    error: float
    freedom: float = math.inf
    open_to: float = 0.0

    def interval(self, surprise: float) -> tuple[float, float]:
        """What holds the truth with probability 1 - surprise."""
        reach = student(surprise, self.freedom) * self.error
        low, high = self.value - reach, self.value + reach
        return min(low, self.open_to or low), max(high, self.open_to or high)

    def surprise(self, bound: float = 0.0) -> float:
        """How probable an estimate so far from `bound` is, either way, where that is the truth."""
        distance = abs(self.value - bound)
        if self.error == 0:
            return 0.0 if distance else 1.0
        return two_sided(distance / self.error, self.freedom)

    def beyond(self, bound: float, *, above: bool) -> float:
        """How probable such an estimate is at most, where the truth is not above (or below) the bound."""
        if self.open_to and (self.open_to > 0) is not above:
            return 1.0
        half = self.surprise(bound) / 2
        return half if (self.value > bound) is above and self.value != bound else 1 - half

    def with_error(self, error: float) -> Estimate:
        """The same with another, independent error added."""
        return replace(self, error=math.hypot(self.error, error))


@dataclass(frozen=True)
class Sampled:
    """A figure of one run, and what it is without each block: for each of BLOCKS, shape (b,)."""

    value: float
    without: tuple[Floats, ...]

    @classmethod
    def of(cls, values: Floats, fine: Ints, statistic: Callable[[Floats], float]) -> Sampled:
        """A statistic of values that lie in these fine blocks, 0..FINE - 1."""
        return cls(
            statistic(values),
            tuple(
                np.array([statistic(values[fine * blocks // FINE != block]) for block in range(blocks)])
                for blocks in BLOCKS
            ),
        )

    @classmethod
    def of_counts(cls, counts: Ints, statistic: Callable[[Floats, float], float]) -> Sampled:
        """A statistic of counts, shape (FINE, ...), added up over fine blocks, and of the share of blocks in them."""
        whole = counts.sum(axis=0).astype(float)
        parts = (counts.reshape(blocks, FINE // blocks, *counts.shape[1:]).sum(axis=1) for blocks in BLOCKS)
        return cls(
            statistic(whole, 1.0),
            tuple(np.array([statistic(whole - own, 1 - 1 / len(part)) for own in part]) for part in parts),
        )


def fine_blocks(n: int) -> Ints:
    """The fine block of each of n requests in order."""
    return np.arange(n) * FINE // max(n, 1)


Contrast = Callable[[Floats, Floats], Floats]


def relative(before: Floats, after: Floats) -> Floats:
    return np.asarray(np.log(after) - np.log(before))


def absolute(before: Floats, after: Floats) -> Floats:
    return after - before


def contrast(before: Sampled, after: Sampled, of: Contrast, *, paired: bool, lasted: float = math.inf) -> Estimate:
    """The estimate of `of(before, after)`.

    paired: the blocks of both hold the same requests. lasted: how many times as long as the queue remembers, above 11.
    """
    one, two = np.array(before.value), np.array(after.value)
    errors = list[tuple[float, float]]()
    for without_one, without_two in zip(before.without, after.without, strict=True):
        freedom = len(without_one) - 1.0
        if paired:
            errors.append((math.sqrt(_variance(of(without_one, without_two))), freedom))
            continue
        parts = (_variance(of(without_one, two)), _variance(of(one, without_two)))
        errors.append((math.sqrt(sum(parts)), _welch(parts, freedom)))
    return _widest(float(of(one, two)), errors, lasted)


def against(before: Sampled, after: Sampled, of: Contrast, *, settled: int) -> Estimate:
    """The estimate of `of(before, after)` where only one of them (0 or 1) was long enough for its errors to be known.

    If the server of the other were the same, its errors would be so too; that is what is held against it, doubled, as
    one looks so at runs that went astray. How far it really is from there, nobody can say.
    """
    one, two = np.array(before.value), np.array(after.value)
    without = [(cut, two) for cut in before.without] if settled == 0 else [(one, cut) for cut in after.without]
    errors = [(2 * math.sqrt(2 * _variance(of(*sides))), len(sides[settled]) - 1.0) for sides in without]
    return replace(_widest(float(of(one, two)), errors), open_to=math.inf if settled == 0 else -math.inf)


def alone(sampled: Sampled, lasted: float = math.inf) -> Estimate:
    """The estimate of a figure above 0 of one run, as a logarithm. lasted: see contrast."""
    errors = [(math.sqrt(_variance(np.log(without))), len(without) - 1.0) for without in sampled.without]
    return _widest(math.log(sampled.value), errors, lasted)


_USUAL = 0.05
"""Of which surprise the interval is that is the widest; far out in the tails the few blocks would always be."""


def _widest(value: float, errors: Sequence[tuple[float, float]], lasted: float = math.inf) -> Estimate:
    """The estimate with the widest interval of these standard errors and degrees of freedom, fewest blocks first.

    Neighbouring blocks are not quite independent. Of a first-order autoregression that lasts L times its memory, b
    blocks show 1 - (b + 1) / 2L of the variance of its mean; the errors are larger by that.
    """
    freedom = errors[-1][1]
    shown = [math.sqrt(1 - (blocks + 1) / (2 * lasted)) for blocks in BLOCKS]
    reach = max(student(_USUAL, own) * error / share for (error, own), share in zip(errors, shown, strict=True))
    return Estimate(value, reach / student(_USUAL, freedom), freedom)


def _variance(without: Floats) -> float:
    return float((len(without) - 1) * without.var())


def _welch(parts: Sequence[float], freedom: float) -> float:
    spread = sum(part**2 for part in parts) / freedom
    return sum(parts) ** 2 / spread if spread else freedom


def holm(surprises: Sequence[float], alpha: float) -> list[tuple[bool, float]]:
    """Of each: whether it is significant with the probability of any false one at most alpha, and its own alpha.

    An interval at one's own alpha holds 0 just where it is not significant. Source: S. Holm, "A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    judged = [(False, alpha)] * len(surprises)
    stopped = 0.0
    for place, index in enumerate(sorted(range(len(surprises)), key=surprises.__getitem__)):
        own = stopped or alpha / (len(surprises) - place)
        significant = not stopped and surprises[index] < own
        stopped = stopped or (0.0 if significant else own)
        judged[index] = (significant, own)
    return judged
