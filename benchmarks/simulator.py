"""How many requests the simulator carries for a second of processor time, beside simpy on the same fleet.

    python benchmarks/simulator.py [--requests N] [--simpy N] [--rounds N] [--into docs/benchmarks.md]

5 pools of 200 replicas under a wave of load, with a control tick every 10 s of virtual time. A replica dies every
20 s and is drawn for 5 s more; every 10 minutes a pool loses a third of its replicas at once; each one comes back after
a cold start. A tick reads all counts and sets weights by what is ready. Drawing the arrivals and the work is counted,
compiling is not. Both sides are given the same arrivals and the same events; the median of the rounds is printed.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.simpy_fleet import SimpyFleet

from holdfast.load.pacers import Cosine
from holdfast.model.records import Floats
from holdfast.simulation.arrivals import Drawn, Exponential, Lognormal, Work
from holdfast.simulation.histogram import quantile_s
from holdfast.simulation.traffic import Balance, Counts, Service, Traffic

POOLS, REPLICAS = 5, 200
TICK_S, NOTICE_S, DEATH_S, LOSS_S, COLD_START_S = 10.0, 5.0, 20.0, 600.0, (60.0, 240.0)
RETRIES = 2
BEGIN, END = "<!-- simulator: begin -->", "<!-- simulator: end -->"


@dataclass(frozen=True)
class Fleet:
    """Pools that differ in speed, and the load they get: its mean rate as a share of what all replicas sustain."""

    name: str
    services: tuple[Service, ...]
    work: Work
    share: float = 0.65

    @property
    def limits_per_s(self) -> list[float]:
        return [service.slots / service.seconds[-1] for service in self.services]

    @property
    def rate_per_s(self) -> float:
        return self.share * REPLICAS * sum(self.limits_per_s)


def fleets() -> tuple[Fleet, Fleet]:
    speeds = (0.7, 0.85, 1.0, 1.2, 1.5)
    images = tuple(Service(1, (0.8 * speed,), 8) for speed in speeds)
    # A decode step with n sequences takes 1 + n / 48 of what it takes with one: some 200 tokens at 20 ms and more.
    llm = tuple(Service(64, tuple(4 * speed * (1 + n / 48) for n in range(64)), 64) for speed in speeds)
    return Fleet("images, 1 slot", images, Lognormal(0.1)), Fleet("LLM, 64 slots", llm, Exponential())


class Carrier(Protocol):
    def add(self, pool: int) -> int: ...
    def kill(self, pool: int, replica: int, *, noticed: bool) -> None: ...
    def notice(self, pool: int, replica: int) -> None: ...
    def weights(self, weights: Sequence[float]) -> None: ...
    def run(self, until_s: float, arrivals_s: Floats, work: Floats) -> None: ...
    def read(self) -> Any: ...


@dataclass(frozen=True)
class Drive:
    """What a run cost and what came of it."""

    requests: int
    events: int
    cpu_s: float
    reads: list[Any]


def drive(fleet: Fleet, carrier: Carrier, requests: int) -> Drive:
    """Carry about so many requests through outages, cold starts and ticks."""
    end_s = requests / fleet.rate_per_s
    wave = Cosine(0.6 * fleet.rate_per_s, 1.4 * fleet.rate_per_s, min(3600.0, end_s))
    source, chance = Drawn(wave, fleet.work, seed=3), np.random.default_rng(5)
    ready = [[carrier.add(pool) for _ in range(REPLICAS)] for pool in range(POOLS)]
    order = itertools.count()
    due = [(0.0, next(order), "tick", 0, 0), (DEATH_S, next(order), "death", 0, 0), (LOSS_S, next(order), "loss", 0, 0)]
    reads, carried, cpu_s = [], 0, time.process_time()

    def later(t_s: float, what: str, pool: int = 0, replica: int = 0) -> None:
        heapq.heappush(due, (t_s, next(order), what, pool, replica))

    while due[0][0] < end_s:
        now_s, _, what, pool, replica = heapq.heappop(due)
        arrivals_s, work = source.until(now_s)
        carried += len(arrivals_s)
        carrier.run(now_s, arrivals_s, work)
        if what == "tick":
            reads.append(carrier.read())
            carrier.weights([len(up) * limit for up, limit in zip(ready, fleet.limits_per_s, strict=True)])
            later(now_s + TICK_S, "tick")
        elif what in ("death", "loss"):
            pool = int(chance.integers(POOLS))
            for _ in range(1 if what == "death" else REPLICAS // 3):
                if len(ready[pool]) > 1:
                    dead = ready[pool].pop(int(chance.integers(len(ready[pool]))))
                    carrier.kill(pool, dead, noticed=False)
                    later(now_s + NOTICE_S, "notice", pool, dead)
                    later(now_s + NOTICE_S + chance.uniform(*COLD_START_S), "start", pool)
            later(now_s + (DEATH_S if what == "death" else LOSS_S), what)
        elif what == "notice":
            carrier.notice(pool, replica)
        else:
            ready[pool].append(carrier.add(pool))
    arrivals_s, work = source.until(end_s)
    carrier.run(end_s, arrivals_s, work)
    reads.append(carrier.read())
    return Drive(carried + len(arrivals_s), next(order), time.process_time() - cpu_s, reads)


def traffic(fleet: Fleet, balance: Balance, seed: int) -> Traffic:
    return Traffic(
        fleet.services, most_replicas=[REPLICAS] * POOLS, balance=balance, retries=RETRIES, seed=seed, late_s=math.inf
    )


def table(requests: int, of_simpy: int, rounds: int) -> list[str]:
    lines = [
        "| fleet | simulator | requests | mean latency | p95 | lost | requests per CPU-second | times simpy |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for fleet in fleets():
        peer_per_s = []
        for round_ in range(rounds):
            peer = SimpyFleet(fleet.services, retries=RETRIES, seed=round_)
            driven = drive(fleet, peer, of_simpy)
            peer_per_s.append(driven.requests / driven.cpu_s)
        base = statistics.median(peer_per_s)
        lines.append(
            f"| {fleet.name} | simpy, two choices | {driven.requests:,} | {peer.latency_s / peer.served:.3f} s | |"
            f" {peer.lost} | {base:,.0f} | 1 |"
        )
        # The same short stretch as simpy's, to see that both say the same; then the long ones.
        for balance, n in [(Balance.TWO_CHOICES, of_simpy), *((balance, requests) for balance in Balance)]:
            drives = [drive(fleet, traffic(fleet, balance, round_), n) for round_ in range(rounds)]
            per_s = statistics.median(driven.requests / driven.cpu_s for driven in drives)
            counts: list[Counts] = drives[-1].reads
            mean_s = sum(c.latency_s.sum() for c in counts) / sum(c.served.sum() for c in counts)
            p95_s = quantile_s(np.sum([c.latencies.sum(axis=0) for c in counts], axis=0), 0.95)
            lost = sum(int(c.failed.sum() + c.refused.sum()) for c in counts)
            lines.append(
                f"| {fleet.name} | holdfast, {balance.name.lower().replace('_', ' ')} | {drives[-1].requests:,} |"
                f" {mean_s:.3f} s | {p95_s:.3f} s | {lost} | {per_s:,.0f} |"
                f" {f'{per_s / base:.0f}' if balance is Balance.TWO_CHOICES else ''} |"
            )
    return lines


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--requests", type=int, default=4_000_000, help="of a long run (default 4,000,000)")
    asked.add_argument("--simpy", type=int, default=300_000, help="of simpy's, and of ours beside it (default 300,000)")
    asked.add_argument("--rounds", type=int, default=3, help="of which the median is printed (default 3)")
    asked.add_argument("--into", type=Path, help="replace the figures in this document")
    given = asked.parse_args()
    for fleet in fleets():
        drive(fleet, traffic(fleet, Balance.RANDOM, 0), 50_000)
    versions = f"Python {platform.python_version()}, numba {version('numba')}, simpy {version('simpy')}"
    lines = [*table(given.requests, given.simpy, given.rounds), "", f"One core of {platform.machine()}; {versions}."]
    print("\n".join(lines))
    if given.into:
        text = given.into.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        given.into.write_text("\n".join([f"{before}{BEGIN}", *lines, f"{END}{after}"]))


if __name__ == "__main__":
    main()
