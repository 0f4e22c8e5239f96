"""What was counted in a while: requests and their latencies, by what became of them.

Latencies are kept in buckets whose bounds are 2 % apart, each told by its geometric middle, so that what is told is
within 1 % of what was measured, in any unit of time and for any number of requests.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

SUCCESS, REFUSED, ERROR = "Success", "Refused", "Error"
STATUSES = (SUCCESS, REFUSED, ERROR)

_RATIO = 1.02
_LEAST_S, _MOST_S = 1e-4, 1e5
"""Latencies outside are told as these, so that there are about a thousand buckets at most."""


def status_of(http_status: int) -> str:
    """Success below 400; Refused where the server was full, loading or draining (429, 503); else Error."""
    if http_status in (429, 503):
        return REFUSED
    return SUCCESS if http_status < 400 else ERROR


@dataclass(frozen=True)
class Interval:
    """begin_s, end_s: Unix times; latencies: by status, how many requests were in each bucket."""

    begin_s: float
    end_s: float
    latencies: Mapping[str, Mapping[int, int]]

    def __post_init__(self) -> None:
        if not self.begin_s < self.end_s:
            raise ValueError(f"an interval of {self.end_s - self.begin_s:g} s")

    @property
    def seconds(self) -> float:
        return self.end_s - self.begin_s

    def requests(self, status: str) -> int:
        return sum(self.latencies.get(status, {}).values())

    def latencies_ms(self, status: str) -> list[tuple[float, int]]:
        """Latencies and how many requests had each, ascending."""
        buckets = self.latencies.get(status, {})
        return [(1000 * _middle_s(bucket), buckets[bucket]) for bucket in sorted(buckets)]

    def joined(self, later: Interval) -> Interval:
        """Both as one; what was between them counts as quiet time."""
        both = {status: Counter(self.latencies.get(status, {})) for status in {*self.latencies, *later.latencies}}
        for status, buckets in later.latencies.items():
            both[status].update(buckets)
        return Interval(min(self.begin_s, later.begin_s), max(self.end_s, later.end_s), both)


def bucket_of(latency_s: float) -> int:
    return math.floor(math.log(min(max(latency_s, _LEAST_S), _MOST_S), _RATIO))


def _middle_s(bucket: int) -> float:
    return math.pow(_RATIO, bucket + 0.5)
