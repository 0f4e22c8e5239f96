"""From runs to the figures that are compared, and the targets that they meet or do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from benchmarks.peers.loads import Load, Reported
from benchmarks.peers.processes import Run
from benchmarks.peers.server import Counts, Stamps

RAMP_S = 1.0
"""Of each run, left out of the achieved rate."""


@dataclass(frozen=True)
class Ttft:
    """Reported against true, in ms, over the same requests. The truth is by the server's clock."""

    reported_p50_ms: float
    reported_p99_ms: float
    true_p50_ms: float
    true_p99_ms: float

    @property
    def error_p50_ms(self) -> float:
        return self.reported_p50_ms - self.true_p50_ms

    @property
    def error_p99_ms(self) -> float:
        return self.reported_p99_ms - self.true_p99_ms


@dataclass(frozen=True)
class Cost:
    """Processor time in us of one token, or of one request.

    sending: while load was being sent: between a tenth and 95 % of what the server answered.
    to_end:  from the first answer until the command ended: its reports are in it, its start-up is not.
    """

    sending_us: float
    to_end_us: float

    def ratio_to(self, other: Cost) -> float:
        """How many times the other's; the smaller by the two ways to count."""
        ratios = [self.sending_us / other.sending_us, self.to_end_us / other.to_end_us]
        return min((ratio for ratio in ratios if not math.isnan(ratio)), default=math.nan)


@dataclass(frozen=True)
class Result:
    """What one tool did with one load. ttft is None for answers that do not stream."""

    load: Load
    cost: Cost
    achieved_per_s: float
    peak_mib: float
    ttft: Ttft | None


def cost(run: Run, units: Callable[[Counts], int]) -> Cost:
    """The cost of a unit (a token, a request) in a run. NaN where a run was too short to tell."""
    total = units(run.counts)
    seen = [(units(sample.counts), sample.cpu_s) for sample in run.samples if units(sample.counts)]
    during = [(answered, cpu_s) for answered, cpu_s in seen if 0.1 * total < answered < 0.95 * total]
    if len(during) < 2 or during[-1][0] == during[0][0]:
        return Cost(math.nan, math.nan)
    sending_s = (during[-1][1] - during[0][1]) / (during[-1][0] - during[0][0])
    to_end_s = (run.cpu_s - seen[0][1]) / (total - seen[0][0])
    return Cost(sending_s * 1e6, to_end_s * 1e6)


def ttft(reported: Reported, stamps: Stamps) -> Ttft | None:
    """The reported percentiles beside those of the server, over the requests that the tool counts."""
    if reported.ttft_p50_ms is None or reported.ttft_p99_ms is None:
        return None
    p50, p99 = np.percentile(stamps.after(reported.checks + reported.skipped).ttft_ms, [50, 99])
    return Ttft(reported.ttft_p50_ms, reported.ttft_p99_ms, float(p50), float(p99))


@dataclass(frozen=True)
class Target:
    """A claim of the issue, what was found, and whether it holds; None when it was not measured."""

    claim: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "not met", None: "not measured"}[self.met]


LEAST_RATIO = 5.0
MOST_ERROR_MS = 2.0
MOST_TOKEN_US = 12.0
MOST_REQUEST_US = 60.0


def targets(closed: dict[str, Result], short: dict[str, Result]) -> list[Target]:
    """The issue's targets. Of the two ways to count a cost, the one that is worse for holdfast judges."""
    return [
        *(_cheaper_than(peer, closed) for peer in ("aiperf", "guidellm")),
        *(_true(name, closed) for name in ("holdfast", "aiperf", "guidellm")),
        _at_most("streamed token", closed.get("holdfast"), MOST_TOKEN_US),
        _at_most("short request", short.get("holdfast"), MOST_REQUEST_US),
    ]


def _cheaper_than(peer: str, closed: dict[str, Result]) -> Target:
    claim = f"{peer} takes at least {LEAST_RATIO:g} times the processor time per streamed token"
    if peer not in closed or "holdfast" not in closed:
        return Target(claim, "", None)
    ratio = closed[peer].cost.ratio_to(closed["holdfast"].cost)
    return Target(claim, f"{ratio:.1f} times", None if math.isnan(ratio) else ratio >= LEAST_RATIO)


def _true(name: str, closed: dict[str, Result]) -> Target:
    """holdfast's percentile has to be true, a peer's has to be not."""
    ours = name == "holdfast"
    claim = f"{name}'s p99 TTFT is {'' if ours else 'not '}within {MOST_ERROR_MS:g} ms of the truth"
    seen = closed[name].ttft if name in closed else None
    if seen is None:
        return Target(claim, "", None)
    within = abs(seen.error_p99_ms) <= MOST_ERROR_MS
    return Target(claim, f"{seen.error_p99_ms:+.2f} ms", within == ours)


def _at_most(unit: str, ours: Result | None, most_us: float) -> Target:
    claim = f"holdfast takes at most {most_us:g} us of processor time per {unit}"
    if ours is None:
        return Target(claim, "", None)
    spent_us = max(ours.cost.sending_us, ours.cost.to_end_us)
    return Target(claim, f"{spent_us:.1f} us", None if math.isnan(spent_us) else spent_us <= most_us)
