"""How an accelerator spends its time on requests: plain state and arithmetic, with time as an argument.

Two kinds stand behind the Engine interface: `slots`, on which every output (an image) takes one of several servers for
a fixed time, and `batching`, on which all running sequences advance by one token per step.

An engine is driven by whoever owns the clock, a server on wall time (`device`) or a test, a fit or a simulation on
virtual time (`virtual`): `advance(now)` first, which reports every step that has ended by `now`, then `submit`,
`cancel` or `stall` at that same `now`. Steps follow each other at the exact times that the arithmetic gives, however
late `advance` is called, so lateness of the driver never adds up. All times are seconds on the driver's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from holdfast.serving.occupancy import Occupancy


@dataclass(frozen=True, slots=True)
class Job:
    """What the engine has to know of a request.

    key:           names it; unique among the jobs that have not ended.
    prompt_tokens: tokens to prefill; 0 for images.
    outputs:       output tokens, or images, that complete it.
    names:         of its full KV blocks, prompt and output, in order: equal names mean equal tokens up to there
                   (`blocks.chain`). Without names it shares nothing with any other.
    """

    key: int
    prompt_tokens: int
    outputs: int
    names: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.outputs < 1 or self.prompt_tokens < 0:
            raise ValueError(f"a job has at least 1 output and no negative prompt, not {self}")


@dataclass(frozen=True, slots=True)
class Step:
    """One ended piece of device work.

    produced:       keys that got an output in it, one token each (for images: the job's images, all at once).
    finished:       those of `produced` that are now complete; the engine has forgotten them.
    prompt_tokens:  tokens prefilled in it: of prompts, and of what was preempted and is computed again.
    admitted:       keys that left the queue for it, the first time or after a preemption.
    preempted:      keys that had to give up their KV blocks before it began, and wait again.
    began:          those of `produced` whose prefill ended in it; the others got their last token one step before.
    queried_tokens: tokens of newly admitted requests that were looked up in the prefix cache, and hit_tokens: found.
    """

    start_s: float
    end_s: float
    produced: tuple[int, ...]
    finished: tuple[int, ...]
    prompt_tokens: int = 0
    admitted: tuple[int, ...] = ()
    preempted: tuple[int, ...] = ()
    began: tuple[int, ...] = ()
    queried_tokens: int = 0
    hit_tokens: int = 0


class Engine(Protocol):
    """See the module docstring for the order of calls. A call with a time before a due step raises ValueError."""

    def submit(self, job: Job, now_s: float) -> bool:
        """Take the job, or say False when as many are held as may run and wait together."""

    def cancel(self, key: int, now_s: float) -> bool:
        """Forget the job and free what it holds; False when it had already ended."""

    def stall(self, for_s: float, now_s: float) -> None:
        """Stand still: what is under way ends so much later, and what is not begun begins no earlier than that."""

    def advance(self, now_s: float) -> list[Step]:
        """The steps that have ended by `now_s`, in order of their ends."""

    def next_s(self) -> float:
        """When the next step ends; infinite when there is no work."""

    def busy_s(self, now_s: float) -> float:
        """Device time spent up to `now_s`; with several slots, the mean over them. Its rate is the utilisation."""

    def occupancy(self) -> Occupancy:
        """What is held as of the last call."""


def check_order(due_s: float, now_s: float) -> None:
    """Raises ValueError where a step is due before `now_s`."""
    if due_s < now_s:
        raise ValueError(f"a step ended at {due_s} s; advance the engine before acting on it at {now_s} s")


def require(holds: bool, name: str, value: float, bound: str) -> None:
    """Raises ValueError that names a parameter which is out of its bounds."""
    if not holds:
        raise ValueError(f"{name} must be {bound}, not {value}")


def between(value: float, low: float, high: float = math.inf) -> bool:
    """Whether low <= value < high; NaN is not."""
    return low <= value < high
