"""What inputs of one shape have cost the device, and how they come: whether the next is worth waiting for.

A batch of n takes about `a + b n` seconds. While the device is free and n wait, they may go at once, or wait a gap of g
for one more. Going at once, the one more waits for the rest of that batch, a + b n - g, and then takes a + b alone.
Waiting costs each of the n the gap and one more input, g + b; the one more takes a + b (n + 1) from when it comes, so
it saves a - g. Together they save

    (a - g) - n (g + b),    which is above 0 where    g < (a - n b) / (n + 1)

Nobody knows the next gap. One more is waited for only where the median of the latest is shorter than that, and then no
longer than that: a burst is gathered, and a lonely request goes at once. Gaps run from when one could have waited: from
an arrival, or from the end of a batch during which others came, as clients that ask again upon an answer come then.
Triton, TorchServe and TensorFlow Serving wait a time that is configured; BentoML fits the same line, and waits as long
as a target latency allows (benchmarks/dynamic_batching.py holds this against the first kind).
"""

from __future__ import annotations

import collections
import math
import statistics

_GAPS = 15
"""Of which the median is taken. A burst of a few is seen in half of them."""

_KEEP = 0.95
"""Weight of the batches so far when one more is measured: the last twenty count most."""


class Patience:
    """Of one shape. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._gaps_s: collections.deque[float] = collections.deque(maxlen=_GAPS)
        self._since_s = -math.inf
        # Weighted sums over batches: 1, n, n^2, t, n t.
        self._sums = [0.0] * 5

    def arrived(self, now_s: float) -> None:
        self._gaps_s.append(now_s - self._since_s)
        self._since_s = now_s

    def freed(self, now_s: float) -> None:
        """The device has nothing to do, and inputs wait."""
        self._since_s = now_s

    def ran(self, size: int, seconds: float) -> None:
        """A batch of so many took so long."""
        new = (1.0, size, size * size, seconds, size * seconds)
        self._sums = [_KEEP * so_far + one for so_far, one in zip(self._sums, new, strict=True)]

    def cost_s(self) -> tuple[float, float]:
        """a and b, by weighted least squares; neither is below 0.

        (0, 0) before the first batch. b is 0 where all were of one size: that more cost nothing is then tried.
        """
        weight, n, nn, t, nt = self._sums
        if weight == 0:
            return 0.0, 0.0
        spread = weight * nn - n * n
        slope_s = max(0.0, (weight * nt - n * t) / spread) if spread > 1e-6 * weight * nn else 0.0
        slope_s = min(slope_s, t / n)
        return (t - slope_s * n) / weight, slope_s

    def goes_s(self, waiting: int) -> float:
        """Until when one more is waited for, while so many wait; -inf: not at all."""
        fixed_s, each_s = self.cost_s()
        worth_s = (fixed_s - waiting * each_s) / (waiting + 1)
        if worth_s <= 0 or not self._gaps_s or statistics.median(self._gaps_s) >= worth_s:
            return -math.inf
        return self._since_s + worth_s
