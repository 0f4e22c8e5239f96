"""The mix of holdfast beside Mélange's formulation, checked by another solver; and how long large mixes take.

    pip install 'holdfast[bench]'; python benchmarks/mix.py [INSTANCES]

Mélange (Griggs et al. 2024, arXiv:2404.14527, sections 5.4 and 6.1): each of 60 buckets of request sizes (10 input x 6
output lengths) is cut into 8 slices, each slice goes to one accelerator type, counts are whole; CBC through PuLP, as
its authors do. holdfast divides the traffic of a bucket freely. Neither has anything else to keep here: no utilisation
target, no losses, no quotas. The divisible mix is also built anew from its formulas for SCIP, through OR-tools: the
optimum must agree.

Instances: 12 types whose compute is log-normal (sigma 1), bandwidth and price go with a power of it (0.8 and 0.9) and
noise of their own (0.4 and 0.25); a request takes as long as its input tokens at the compute and its output tokens at
the bandwidth. Shares of buckets are log-normal (sigma 1.2), rates 1 to 100 requests/s. The seed is the number.

Times are of processor, children included, from the instance as arrays to the answer; CBC and SCIP have 60 s.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.mixes.instances import LIMIT_S, Instance, Result, instance, timed
from benchmarks.mixes.melange import melange

from holdfast.model.fleet import CapacityType, Loss
from holdfast.planning.mix import Candidate, Requirement, Supply, cheapest_mix


def holdfast(given: Instance) -> Result:
    def solve() -> Result:
        candidates = [
            Candidate(f"type{index}", tuple(limits), (Supply(float(price)),), max_replicas=100_000)
            for index, (limits, price) in enumerate(zip(given.limits_per_s.tolist(), given.usd_per_h, strict=True))
        ]
        mix = cheapest_mix(candidates, Requirement((tuple(given.demand_per_s.tolist()),), 1.0))
        return Result(mix.cost_usd_per_h, 0.0, mix.gap < 1e-6)

    return timed(solve)


def scip(seed: int) -> Result:
    """The optimum by SCIP, in a process of its own (see mixes/scip.py)."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.mixes.scip", str(seed)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    usd_per_h, cpu_s, proved = told.stdout.split()
    return Result(float(usd_per_h), float(cpu_s), proved == "True")


def large(
    seed: int, hours: int, survive: frozenset[Loss], startup_s: float = 240.0
) -> tuple[list[Candidate], Requirement]:
    """40 units on 6 accelerators in 3 zones, on demand and as spot, 6 sizes of request; a day swings from 1 to 10."""
    drawn = instance(seed, types=40, inputs=6, outputs=1)
    draw = np.random.default_rng(seed + 1000)
    candidates = [
        Candidate(
            unit=f"u{index}",
            limits_per_s=tuple(drawn.limits_per_s[index].tolist()),
            supplies=tuple(
                Supply(float(drawn.usd_per_h[index] * part), zone, kind, max_replicas=8)
                for zone in "abc"
                for kind, part in ((CapacityType.ON_DEMAND, 1.0), (CapacityType.SPOT, draw.uniform(0.3, 0.7)))
            ),
            max_replicas=20,
            accelerator=f"a{index // 7}",
            instance_type=f"i{index}",
            startup_s=startup_s,
        )
        for index in range(40)
    ]
    swing = [0.55 - 0.45 * np.cos(hour / 24 * 2 * np.pi) for hour in range(24)] if hours > 1 else [1.0]
    shares = drawn.demand_per_s / drawn.demand_per_s.sum()
    demand = tuple(tuple((300 * part * shares).tolist()) for part in swing)
    return candidates, Requirement(demand, 0.8, survive)


def compare(count: int) -> None:
    """Prints a line per instance. Ends with an error where a mix costs more than another's, or is not proved."""
    rows, ratios, own, others = [], [], list[float](), list[float]()
    for seed in range(count):
        given = instance(seed)
        ours, theirs, check = holdfast(given), melange(given), scip(seed)
        if not ours.proved or ours.usd_per_h > theirs.usd_per_h * (1 + 1e-6):
            sys.exit(f"instance {seed}: {ours} is worse than {theirs}, or not proved")
        if check.proved and abs(check.usd_per_h / ours.usd_per_h - 1) > 1e-6:
            sys.exit(f"instance {seed}: SCIP finds {check}, holdfast {ours}")
        ratios.append(theirs.cpu_s / ours.cpu_s)
        own.append(ours.cpu_s)
        others.append(theirs.cpu_s)
        rows.append([str(seed), *_cells(ours), *_cells(theirs), f"{ratios[-1]:.0f}", *_cells(check)])
    print(table(["instance", "holdfast USD/h", "s", "Mélange USD/h", "s", "times", "SCIP USD/h", "s"], rows))
    ours_s, theirs_s = math.fsum(own), math.fsum(others)
    print(
        f"All {count}: {ours_s:.2f} s against {theirs_s:.1f} s, {theirs_s / ours_s:.0f} times as long; single ones "
        f"{min(ratios):.0f} to {max(ratios):.0f}, median {np.median(ratios):.0f}. * after {LIMIT_S} s.\n"
    )


def _cells(result: Result) -> tuple[str, str]:
    return f"{result.usd_per_h:.4f}{'' if result.proved else '*'}", f"{result.cpu_s:.2f}"


def scale() -> None:
    """Prints how long large mixes take to a gap of 5 %."""
    rows = []
    for hours in (24, 1):
        for kinds in ((), (Loss.ZONE, Loss.ACCELERATOR), (Loss.POOL,), tuple(Loss)):
            times, gaps = [], []
            for seed in range(3):
                candidates, asked = large(seed, hours, frozenset(kinds))
                before = time.process_time()
                mix = cheapest_mix(candidates, asked, gap=0.05, time_limit_s=60.0)
                times.append(time.process_time() - before)
                gaps.append(mix.gap)
            words = ", ".join(kind.value for kind in kinds) or "nothing"
            rows.append([f"40 x 3 x {hours} h", words, f"{max(times):.2f}", f"{max(gaps):.2%}"])
    print(table(["units x zones x hours", "survives any one", "cpu s", "gap"], rows))
    print("The worst of three instances each, for which a gap of 5 % was asked; 240 supplies, 6 sizes of request.")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Rows as a Markdown table, the first column to the left."""
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "".join(f"| {' | '.join(map(str.rjust, line, widths))} |\n" for line in lines)


def main() -> None:
    versions = {name: importlib.metadata.version(name) for name in ("highspy", "PuLP", "ortools")}
    print(
        f"{datetime.now(tz=UTC).date()}. {_processor()}, {os.cpu_count()} processors, "
        f"Python {platform.python_version()}, "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}.\n"
    )
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    scale()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
