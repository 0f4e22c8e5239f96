"""Letting a server come to rest between two levels: until one request alone is as quick as at first."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Protocol

from holdfast.limits.measured import Measured
from holdfast.load.subject import Subject
from holdfast.model.stages import Arrivals, Level

BETWEEN = -1
"""The stage of rows that are of no level: preflight, warm-up, and the single requests of a cool-down."""

BACK = 1.5
"""A single request has its first latency back when it takes at most this many times as long: lengths vary by a tenth
or two and so do machines, and what waits behind even one other request takes about twice as long."""

_NOISE_S = 0.005
"""Above that, in seconds of the wall clock: what a busy machine adds."""

_ALONE = 3
"""Requests, one at a time, that tell how long one takes on an idle server."""

_LOOK_S = 1.0
"""Between two single requests of a cool-down."""


class Holder(Protocol):
    """A bench, or a crew of them."""

    subject: Subject

    async def hold(self, level: Level, index: int) -> Measured:
        """Holds one level and measures it."""
        ...


@dataclass(frozen=True)
class CoolDown:
    """How a cool-down went, in the target's time.

    latency_s: of the last single request; first_s: of those before the first level.
    back:      whether the server was found to be as quick as then.
    """

    waited_s: float
    latency_s: float
    first_s: float
    back: bool

    @property
    def sentence(self) -> str:
        if self.back:
            return f"idle again after {_s(self.waited_s)}: one request alone takes {_s(self.latency_s)}"
        alone = f"takes {_s(self.latency_s)}" if math.isfinite(self.latency_s) else "gets no answer"
        return f"not idle after {_s(self.waited_s)}: one request alone {alone}, at first it took {_s(self.first_s)}"


async def cool(bench: Holder, most_s: float, first_s: float) -> CoolDown:
    """Waits until one request alone is as quick as at first, for about `most_s` of the target's time.

    Nothing is in flight when a level is over, so what it waits for is in the server: queues, caches, heat, replicas.
    """
    scale, start_s = bench.subject.time_scale, time.perf_counter()
    while True:
        latency_s = await alone(bench, 1)
        waited_s = (time.perf_counter() - start_s) * scale
        back = latency_s <= BACK * first_s + _NOISE_S * scale
        if back or waited_s >= most_s:
            return CoolDown(waited_s, latency_s, first_s, back)
        await asyncio.sleep(min(_LOOK_S, (most_s - waited_s) / scale))


async def alone(bench: Holder, requests: int = _ALONE) -> float:
    """Median latency of requests that are sent one at a time, in the target's time; infinite when none succeeds."""
    longest_s = requests * bench.subject.timeout_s * bench.subject.time_scale
    level = Level(Arrivals.CLOSED, concurrency=1, duration_s=longest_s, requests=requests)
    latency = (await bench.hold(level, BETWEEN)).stage.latency
    return latency.p50_s if latency.n else math.inf


def _s(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"
