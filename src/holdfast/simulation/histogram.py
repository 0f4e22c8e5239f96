"""Latencies in logarithmic bins: any quantile within 1 %, in constant space, and sums of histograms are histograms.

Bin i, for i >= 1, holds latencies in [LOWEST_S g**(i-1), LOWEST_S g**i) with g = GROWTH; bin 0 all that are shorter,
the last bin all that are longer. A bin is read as its geometric middle, which is at most sqrt(g) - 1 < 1 % from
anything in it. The idea is DDSketch's: C. Masson, J. E. Rim, H. K. Lee, PVLDB 12 (2019), doi:10.14778/3352063.3352135.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.0199
LOWEST_S = 1e-4
BINS = 1200
"""Up to LOWEST_S * GROWTH**1198: some 1.8e6 s, three weeks."""


def middles_s() -> NDArray[np.float64]:
    """What each bin is read as, in seconds, shape (BINS,)."""
    return np.asarray(LOWEST_S * GROWTH ** (np.arange(BINS) - 0.5))


def quantile_s(counts: NDArray[np.int64], share: float) -> float:
    """The latency that `share` (0..1) of the counted requests do not exceed, within 1 %; NaN where none is counted.

    counts: shape (BINS,).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a quantile is a share between 0 and 1, not {share:g}")
    total = int(counts.sum())
    if not total:
        return math.nan
    rank = max(1, math.ceil(share * total))
    return float(middles_s()[np.searchsorted(np.cumsum(counts), rank)])
