"""How many tokens each request asks for, drawn from a TokenLengths."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator

import numpy as np

from holdfast.model.fleet import TokenLengths

_BLOCK = 256
"""Lengths drawn at once: a call of numpy for every request would cost more than the length is worth."""


def draws(lengths: TokenLengths, chance: np.random.Generator, least: int = 1) -> Iterator[int]:
    """Whole numbers of tokens without end, at least `least`, from the normal distribution cut at min and max.

    The cut distribution is drawn from by inverting it, which heaps no requests at the ends as clipping would.
    """
    low, high = max(least, lengths.min or 1), lengths.max
    if not lengths.stddev:
        yield from itertools.repeat(max(low, round(lengths.mean)))
    normal = statistics.NormalDist(lengths.mean, lengths.stddev)
    # Half a token wider than the ends, so that these are drawn as often as the numbers between.
    share_low = normal.cdf(low - 0.5)
    share_high = 1.0 if high is None else normal.cdf(high + 0.5)
    while True:
        for share in chance.uniform(share_low, share_high, size=_BLOCK).tolist():
            drawn = round(normal.inv_cdf(share)) if 0 < share < 1 else low
            yield max(low, drawn if high is None else min(high, drawn))
