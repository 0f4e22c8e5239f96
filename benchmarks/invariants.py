"""Days of a fleet of five pools of up to 200 replicas with random losses, seed by seed: does any invariant break?

    python benchmarks/invariants.py [--seeds N] [--first SEED] [--hours H] [--policy NAME]

Everything that may befall a fleet, at random: unannounced losses, interruption notices, limits of supply, outages of
the API and the metrics, crashes of the controller, prices and surges, eight an hour, on a wave of load. Every decision
is checked against all that its policy promises, as the operator checks it; one that breaks something is refused and
printed. Replicas and events are many, and requests few (each takes minutes, as of a video), for decisions depend on
rates and replicas alone. Exit code 1 when an invariant broke.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from holdfast.control.policies import POLICIES
from holdfast.simulation.outcome import Outcome
from holdfast.simulation.run import simulate
from simulation import worlds

POOLS = 5
MOST_REPLICAS = 200
SLOWNESS = 100
"""A replica serves 2 requests in so many seconds."""


def days(seeds: range, hours: float, policy: str) -> Iterator[Outcome]:
    """The outcome of each seed; a shorter day has the same load and as many events an hour."""
    peak, low, high = (f"{rate / SLOWNESS:g}/s" for rate in (400, 100, 390))
    plan = worlds.plan(POOLS, peak=peak, most=MOST_REPLICAS, slowness=SLOWNESS)
    for seed in seeds:
        scenario = worlds.scenario(
            duration=f"{hours * 3600:.0f}s",
            load={"wave": {"low": low, "high": high, "period": f"{hours * 3600:.0f}s"}},
            events=worlds.random_losses(seed, hours, POOLS),
        )
        yield simulate(plan, scenario, POLICIES[policy], seed)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--seeds", type=int, default=1000, help="how many days (default 1000)")
    arguments.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    arguments.add_argument("--hours", type=float, default=24.0, help="of a day (default 24)")
    arguments.add_argument("--policy", choices=sorted(POLICIES), default="merit-order")
    given = arguments.parse_args()
    began_s, looks, replica_h, broken, done = time.process_time(), 0, 0.0, 0, 0
    for outcome in days(range(given.first, given.first + given.seeds), given.hours, given.policy):
        done, looks = done + 1, looks + outcome.looks
        replica_h += sum(outcome.replica_s.values()) / 3600
        broken += len(outcome.violations)
        for violation in outcome.violations:
            print(f"seed {outcome.seed} at {violation.t_s:.1f} s: {violation.text}", flush=True)
    print(
        f"{done} days of {given.hours:g} h under {given.policy}: {looks} decisions on {replica_h:.0f} replica-hours, "
        f"{broken} broken invariants, {time.process_time() - began_s:.0f} s of CPU"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
