"""An accelerator on which each output takes the same time, as images do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from holdfast.serving.emulated.engine import Engine, Job, Step, between, check_order, require
from holdfast.serving.emulated.pace import Pace, Stretch
from holdfast.serving.occupancy import Occupancy


@dataclass(frozen=True)
class FixedWork:
    """An accelerator with a fixed time per output.

    slots:      jobs served at once, at least 1.
    service_s:  seconds per output in one slot, above 0.
    max_queued: jobs that may wait, first come first served; one more is refused.
    """

    slots: int
    service_s: float
    max_queued: int
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        require(self.slots >= 1, "slots", self.slots, "at least 1")
        require(0 < self.service_s < math.inf, "service_s", self.service_s, "positive")
        require(between(self.max_queued, 0), "max_queued", self.max_queued, "at least 0")

    def scaled(self, time_scale: float) -> FixedWork:
        """The same accelerator, `time_scale` times as fast."""
        return replace(self, service_s=self.service_s / time_scale, pace=self.pace.scaled(time_scale))

    def engine(self, ready_s: float = 0.0) -> Engine:
        """A fresh one. ready_s: when a slow start begins, on the driver's clock."""
        return SlotEngine(self, ready_s)


class SlotEngine:
    """The Engine of FixedWork."""

    def __init__(self, shape: FixedWork, ready_s: float) -> None:
        self._shape = shape
        self._stretch = Stretch(shape.pace, ready_s)
        self._waiting: dict[int, Job] = {}
        self._running: dict[int, tuple[float, float]] = {}
        self._busy_s = 0.0
        self._stalled_until_s = -math.inf

    def submit(self, job: Job, now_s: float) -> bool:
        self._check(job.key, now_s)
        if len(self._running) < self._shape.slots:
            self._start(job, now_s)
        elif len(self._waiting) < self._shape.max_queued:
            self._waiting[job.key] = job
        else:
            return False
        return True

    def _check(self, key: int, now_s: float) -> None:
        check_order(self.next_s(), now_s)
        if key in self._running or key in self._waiting:
            raise ValueError(f"a job with the key {key} has not ended yet")

    def _start(self, job: Job, start_s: float) -> None:
        work_s = self._stretch.of(self._shape.service_s * job.outputs, start_s)
        self._running[job.key] = (start_s, max(start_s, self._stalled_until_s) + work_s)

    def cancel(self, key: int, now_s: float) -> bool:
        check_order(self.next_s(), now_s)
        if self._waiting.pop(key, None) is not None:
            return True
        if key not in self._running:
            return False
        start_s, _ = self._running.pop(key)
        self._busy_s += now_s - start_s
        self._fill(now_s)
        return True

    def _fill(self, start_s: float) -> None:
        if self._waiting:
            self._start(self._waiting.pop(next(iter(self._waiting))), start_s)

    def stall(self, for_s: float, now_s: float) -> None:
        check_order(self.next_s(), now_s)
        self._stalled_until_s = max(self._stalled_until_s, now_s) + for_s
        self._running = {key: (start_s, end_s + for_s) for key, (start_s, end_s) in self._running.items()}

    def advance(self, now_s: float) -> list[Step]:
        steps = []
        while self.next_s() <= now_s:
            key = min(self._running, key=lambda running: self._running[running][1])
            start_s, end_s = self._running.pop(key)
            self._busy_s += end_s - start_s
            self._fill(end_s)
            steps.append(Step(start_s, end_s, (key,), (key,), admitted=(key,), began=(key,)))
        return steps

    def next_s(self) -> float:
        return min((end_s for _, end_s in self._running.values()), default=math.inf)

    def busy_s(self, now_s: float) -> float:
        under_way = sum(now_s - start_s for start_s, _ in self._running.values())
        return (self._busy_s + under_way) / self._shape.slots

    def occupancy(self) -> Occupancy:
        return Occupancy(len(self._running), len(self._waiting))
