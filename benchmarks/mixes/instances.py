"""Instances for benchmarks/mix.py, what is said of one solution, and its time."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TYPES, INPUTS, OUTPUTS, SLICES = 12, 10, 6, 8

LIMIT_S = 60
"""After which CBC and SCIP are stopped."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Instance:
    """limits_per_s: (types, buckets). usd_per_h: by type. demand_per_s: by bucket."""

    limits_per_s: Floats
    usd_per_h: Floats
    demand_per_s: Floats


@dataclass(frozen=True)
class Result:
    usd_per_h: float
    cpu_s: float
    proved: bool = True


def instance(seed: int, types: int = TYPES, inputs: int = INPUTS, outputs: int = OUTPUTS) -> Instance:
    draw = np.random.default_rng(seed)
    compute = np.exp(draw.normal(0, 1, types))
    bandwidth = compute**0.8 * np.exp(draw.normal(0, 0.4, types))
    asked = np.repeat(np.geomspace(25, 16_000, inputs), outputs)
    answered = np.tile(np.geomspace(25, 1000, outputs), inputs)
    limits = 1 / (asked / (4000 * compute[:, None]) + answered / (250 * bandwidth[:, None]))
    price = 1.2 * compute**0.9 * np.exp(draw.normal(0, 0.25, types))
    shares = draw.lognormal(0, 1.2, inputs * outputs)
    return Instance(limits, price, 10 ** draw.uniform(0, 2) * shares / shares.sum())


def timed(solve: Callable[[], Result]) -> Result:
    """The result with the processor time that it took, that of child processes (CBC is one) included."""
    before = _cpu_s()
    result = solve()
    return Result(result.usd_per_h, _cpu_s() - before, result.proved)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
