"""What batching gains, and what waiting for a batch costs: a batch of one, a fixed wait, no wait, and the pace of ours.

    python benchmarks/dynamic_batching.py

The policies are held against the same requests on virtual time, on devices whose batch of n takes a + b n seconds, with
the queue that the model server ships (`serving.hosted.predicting.batches`). A batch of one is what the servers of the
published guides do; a fixed wait is Triton's max_queue_delay_microseconds and TorchServe's maxBatchDelay; no wait is
Triton's default.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.serving.hosted.predicting.batches import Queue

MAX_BATCH = 8
MAX_WAIT_S = 0.005
REQUESTS = 6_000
SEED = 7
OVERLOADED = 1.03
"""As many times the last arrival as the last answer may take."""


@dataclass(frozen=True)
class Cost:
    """Of a batch of n: fixed_s + each_s n."""

    name: str
    fixed_s: float
    each_s: float

    def seconds(self, size: int) -> float:
        return self.fixed_s + self.each_s * size

    @property
    def most_per_s(self) -> float:
        return MAX_BATCH / self.seconds(MAX_BATCH)


class FixedWait(Queue[int]):
    """Begins a batch when it is full or its oldest has waited, whatever that gains."""

    def _ready_s(self, shape: object) -> float:
        waiting = self._waiting[shape]
        since_s = next(iter(waiting.values())).since_s
        return since_s if len(waiting) >= self._max_batch else since_s + self._max_wait_s


COSTS = (
    Cost("accelerator: 20 ms + 1 ms n", 0.020, 0.001),
    Cost("small encoder: 4 ms + 0.5 ms n", 0.004, 0.0005),
    Cost("CPU: 2 ms + 18 ms n", 0.002, 0.018),
)
POLICIES: dict[str, Callable[[], Queue[int]]] = {
    "batch of one": lambda: Queue(1, 0.0),
    "fixed wait": lambda: FixedWait(MAX_BATCH, MAX_WAIT_S),
    "no wait": lambda: Queue(MAX_BATCH, 0.0),
    "holdfast": lambda: Queue(MAX_BATCH, MAX_WAIT_S),
}


def poisson(rate_per_s: float) -> Iterator[float]:
    chance, now_s = random.Random(SEED), 0.0
    for _ in range(REQUESTS):
        now_s += chance.expovariate(rate_per_s)
        yield now_s


def bursts(rate_per_s: float) -> Iterator[float]:
    """Six within a millisecond or so, as a page with six pictures asks for."""
    for begin_s in itertools.islice(poisson(rate_per_s / 6), REQUESTS // 6):
        chance = random.Random(begin_s)
        yield from sorted(begin_s + chance.uniform(0, 0.001) for _ in range(6))


def latencies_s(queue: Queue[int], cost: Cost, arrivals: Sequence[float], users: int = 0) -> tuple[list[float], float]:
    """Of each request, and when the last ended. users: they ask again within 0.4 ms of an answer, without arrivals."""
    coming = [0.0002 * user for user in range(users)] if users else list(arrivals)
    heapq.heapify(coming)
    total = len(coming) if not users else REQUESTS
    chance = random.Random(SEED)
    arrived: list[float] = []
    found_s: list[float] = []
    running: list[int] = []
    now_s = ends_s = 0.0
    while len(found_s) < total:
        begins_s = queue.begins_s()
        next_s = ends_s if running else math.inf if begins_s is None else max(begins_s, now_s)
        if coming and coming[0] < next_s:
            now_s = heapq.heappop(coming)
            queue.add(len(arrived), "one shape", now_s)
            arrived.append(now_s)
        elif running:
            now_s = ends_s
            queue.ran("one shape", len(running), cost.seconds(len(running)), now_s)
            found_s += [now_s - arrived[number] for number in running]
            if users:
                for _ in running:
                    heapq.heappush(coming, now_s + chance.uniform(0, 0.0004))
            running = []
        else:
            now_s = next_s
            running = queue.take(now_s)
            ends_s = now_s + cost.seconds(len(running))
    return found_s, now_s


def main() -> None:
    print(f"batches of up to {MAX_BATCH}, waits of up to {1000 * MAX_WAIT_S:g} ms, {REQUESTS} requests each")
    print("each cell: requests/s served, mean / 99th percentile of the latency in ms\n")
    against_better = []
    for cost in COSTS:
        print(f"{cost.name} (at most {cost.most_per_s:.0f}/s)")
        print(f"  {'load':<16}" + "".join(f"{name:>21}" for name in POLICIES))
        for load, arrivals, users in loads(cost):
            means = show(cost, load, arrivals, users)
            against_better.append(means["holdfast"] / min(means["fixed wait"], means["no wait"]))
        print()
    print(
        f"holdfast's mean latency, against the better of a fixed wait and no wait: {min(against_better):.2f} to "
        f"{max(against_better):.2f} times that, over {len(against_better)} rows."
    )


def loads(cost: Cost) -> Iterator[tuple[str, list[float], int]]:
    """Their names, and when their requests arrive, or how many users they are of."""
    for share in (0.05, 0.2, 0.5, 0.8, 0.95):
        rate_per_s = share * cost.most_per_s
        yield f"random {rate_per_s:.0f}/s", list(poisson(rate_per_s)), 0
    rate_per_s = 0.3 * cost.most_per_s
    yield f"bursts {rate_per_s:.0f}/s", list(bursts(rate_per_s)), 0
    for users in (1, 4, 8, 16):
        yield f"{users} users", [], users


def show(cost: Cost, load: str, arrivals: Sequence[float], users: int) -> dict[str, float]:
    """One row; the mean latency of each policy, in seconds."""
    cells, means = [], {}
    for name, queue in POLICIES.items():
        found_s, end_s = latencies_s(queue(), cost, arrivals, users)
        means[name] = float(np.mean(found_s))
        told = f"{1000 * means[name]:6.1f}/{1000 * np.quantile(found_s, 0.99):6.1f}"
        # Where the queue grows without end, its latency says only how long one has looked.
        grows = not users and end_s > OVERLOADED * arrivals[-1]
        cells.append(f"{len(found_s) / end_s:5.0f} {'overloaded' if grows else told:>14}")
    print(f"  {load:<16}" + "".join(f"{cell:>21}" for cell in cells))
    return means


if __name__ == "__main__":
    main()
