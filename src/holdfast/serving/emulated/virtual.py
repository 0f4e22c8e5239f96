"""An engine on virtual time, under load generators that cost nothing: closed loops as benchmarks run them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.serving.emulated.engine import Engine, Job


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent, got its first output, and its last, in seconds; and how many outputs."""

    sent_s: float
    first_s: float
    end_s: float
    outputs: int

    @property
    def latency_s(self) -> float:
        return self.end_s - self.sent_s


def closed_loop(engine: Engine, clients: int, jobs: Iterable[Job], think_s: float = 0.0) -> list[Answered]:
    """So many clients, each sending a request `think_s` after its last has ended, until all jobs are done.

    The answers come in the order of their ends. The engine is idle and its time is 0, and the jobs' keys differ. The
    first requests are spread over `think_s`. Raises ValueError where the engine turns one away.
    """
    left = iter(jobs)
    sent: dict[int, tuple[float, int]] = {}
    first: dict[int, float] = {}
    answers: list[Answered] = []
    waking = [think_s * number / clients for number in range(clients)]
    while waking or sent:
        now_s = min(engine.next_s(), waking[0] if waking else engine.next_s())
        for step in engine.advance(now_s):
            for key in step.began:
                first.setdefault(key, step.end_s)
            for key in step.finished:
                sent_s, outputs = sent.pop(key)
                answers.append(Answered(sent_s, first.pop(key), step.end_s, outputs))
                heapq.heappush(waking, step.end_s + think_s)
        while waking and waking[0] <= now_s:
            heapq.heappop(waking)
            job = next(left, None)
            if job is None:
                continue
            if not engine.submit(job, now_s):
                raise ValueError(f"the engine does not take {clients} requests at once")
            sent[job.key] = (now_s, job.outputs)
    return answers
