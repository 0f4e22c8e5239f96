"""Impossible fleets and calls are refused in a sentence."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from holdfast.simulation.traffic import Balance, Service, Traffic

ONE = Service(1, (1.0,), 1)


def fleet(
    services: tuple[Service, ...] = (ONE, ONE),
    most: tuple[int, ...] = (2, 2),
    retries: int = 0,
    seed: int = 1,
    late_s: float = 1.0,
) -> Traffic:
    return Traffic(services, most_replicas=most, balance=Balance.RANDOM, retries=retries, seed=seed, late_s=late_s)


def running() -> Traffic:
    traffic = fleet()
    traffic.add(0)
    traffic.weights([1, 0])
    traffic.run(10.0, np.array([1.0]), np.array([1.0]))
    return traffic


def run(arrivals_s: list[float], work: list[float], until_s: float = 20.0) -> None:
    running().run(until_s, np.array(arrivals_s), np.array(work))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Service(0, (), 1), "at least 1 slot, not 0"),
        (lambda: Service(2, (1.0,), 1), "2 slots, 1 entries"),
        (lambda: Service(2, (1.0, math.nan), 1), "not nan with 2 in service"),
        (lambda: Service(1, (0.0,), 1), "not 0 with 1 in service"),
        (lambda: Service(1, (1.0,), -1), "0 requests or more, not -1"),
        (lambda: fleet(services=()), "between 1 and 32 pools, not 0"),
        (lambda: fleet(most=(1,)), "2 services and 1 numbers"),
        (lambda: fleet(most=(1, -1)), "0 replicas or more, not -1"),
        (lambda: fleet(retries=-1), "0 times or more, not -1"),
        (lambda: fleet(late_s=math.nan), "above 0 seconds, not nan"),
        (lambda: fleet(seed=-1), "seed is between"),
        (lambda: fleet().weights([1]), "2 pools and 1 weights"),
        (lambda: fleet().weights([0, 0]), "at least one pool needs a weight"),
        (lambda: fleet().weights([1, math.nan]), "finite and at least 0: 1, nan"),
        (lambda: fleet().weights([1, -1]), "finite and at least 0: 1, -1"),
        (lambda: fleet().add(2), "there is no pool 2"),
        (lambda: fleet(most=(0, 0)).add(1), "pool 1 has all of its 0 replicas"),
        (lambda: fleet().run(1.0, np.array([0.5]), np.array([1.0])), "before any pool has a weight"),
        (lambda: running().kill(0, 1, noticed=True), "replica 1 of pool 0 does not live"),
        (lambda: running().drain(0, 5), "replica 5 of pool 0 takes no traffic"),
        (lambda: running().notice(0, 0), "is not dead and unnoticed"),
        (lambda: running().drain(-1, 0), "there is no pool -1"),
        (lambda: run([11.0, 10.5], [1, 1]), "ascending times in \\[10, 20\\)"),
        (lambda: run([9.0], [1]), "ascending times"),
        (lambda: run([20.0], [1]), "ascending times"),
        (lambda: run([11.0, math.nan, 12.0], [1, 1, 1]), "ascending times"),
        (lambda: run([11.0], [0]), "work is finite and above 0"),
        (lambda: run([11.0], [math.nan]), "work is finite and above 0"),
        (lambda: run([11.0], [1, 1]), "pieces of work"),
        (lambda: run([], [], until_s=9.0), "it is 10 s already"),
        (lambda: run([], [], until_s=math.nan), "cannot run to nan s"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()


def test_a_call_that_was_refused_changes_nothing() -> None:
    traffic, other = running(), running()
    with pytest.raises(ValueError, match="ascending"):
        traffic.run(20.0, np.array([12.0, 11.0]), np.ones(2))
    for each in (traffic, other):
        each.run(20.0, np.array([11.0, 11.5]), np.ones(2))
    assert traffic.read().latency_s.sum() == other.read().latency_s.sum()


def test_without_numba_a_sentence_says_what_to_install() -> None:
    script = "import sys; sys.modules['numba'] = None; import holdfast.simulation.traffic"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "simulating takes numba, which is not installed; install it with" in ended.stderr
