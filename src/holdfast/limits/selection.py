"""Exact percentiles of more float32 values than fit into memory, by two passes over them.

The bits of non-negative floats order like the floats. The first pass counts values by their upper 16 bits, which tells
in which bin each wanted rank lies; the second counts the lower 16 bits within those bins, which tells the value itself.
(Radix selection: D. E. Knuth, The Art of Computer Programming 3, section 5.2.5.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from holdfast.model.records import Floats32, Ints
from holdfast.model.stages import Summary

_BINS = 1 << 16
_SHARES = (0.50, 0.90, 0.95, 0.99)


def summarize_pieces(pieces: Callable[[], Iterable[Floats32]]) -> Summary:
    """The Summary of all values, in seconds and not below 0, that `pieces` gives; it is called twice.

    The percentiles are those of `numpy.percentile` over the values as float64.
    """
    upper, total, highest = np.zeros(_BINS, dtype=np.int64), 0.0, 0.0
    for piece in pieces():
        if len(piece):
            upper += np.bincount(piece.view(np.uint32) >> 16, minlength=_BINS)
            total += float(piece.sum(dtype=np.float64))
            highest = max(highest, float(piece.max()))
    n = int(upper.sum())
    if not n:
        return Summary(0, *(math.nan,) * 6)
    places = [(n - 1) * share for share in _SHARES]
    ranks = sorted({rank for place in places for rank in (math.floor(place), min(math.floor(place) + 1, n - 1))})
    values = _at_ranks(pieces, np.cumsum(upper), ranks)
    p50, p90, p95, p99 = (_between(values, place, n) for place in places)
    return Summary(n, total / n, p50, p90, p95, p99, highest)


def _at_ranks(pieces: Callable[[], Iterable[Floats32]], ends: Ints, ranks: list[int]) -> dict[int, float]:
    """The values at these ranks of the sorted whole; `ends` counts the values up to and with each upper bin."""
    bins = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
    lower = {upper: np.zeros(_BINS, dtype=np.int64) for upper in bins.values()}
    for piece in pieces():
        bits = piece.view(np.uint32)
        for upper, counts in lower.items():
            counts += np.bincount(bits[bits >> 16 == upper] & 0xFFFF, minlength=_BINS)
    values = {}
    for rank, upper in bins.items():
        before = int(ends[upper - 1]) if upper else 0
        low = int(np.searchsorted(np.cumsum(lower[upper]), rank - before, side="right"))
        values[rank] = float(np.array([upper << 16 | low], dtype=np.uint32).view(np.float32)[0])
    return values


def _between(values: dict[int, float], place: float, n: int) -> float:
    """Linear interpolation, rounded as numpy rounds it."""
    rank = math.floor(place)
    low, high, share = values[rank], values[min(rank + 1, n - 1)], place - rank
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
