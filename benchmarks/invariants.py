"""Days of a fleet of five pools of up to 200 replicas with random losses, seed by seed: does any invariant break?

    python benchmarks/invariants.py [--seeds N] [--first SEED] [--hours H] [--policy NAME] [--keep FILE]

Everything that may befall a fleet, at random: unannounced losses, interruption notices, limits of supply, outages of
the API and the metrics, crashes of the controller, prices and surges, eight an hour, on a wave of load. Every decision
is checked against all that its policy promises, as the operator checks it (every tenth for what a restart changes);
one that breaks something is refused and printed. With --keep, a run that was cut off goes on where it was.
Replicas and events are many, and requests few (each takes minutes, as of a video), for decisions depend on rates and
replicas alone. Exit code 1 when an invariant broke.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
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


EVERY = 50
"""Days between two lines of progress."""


@dataclass(frozen=True)
class Day:
    """What came of one seed; a line of the file that `--keep` names."""

    policy: str
    hours: float
    seed: int
    looks: int
    replica_h: float
    violations: tuple[str, ...]
    cpu_s: float


def days(seeds: Iterable[int], hours: float, policy: str) -> Iterator[Outcome]:
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


def day(outcome: Outcome, hours: float, cpu_s: float) -> Day:
    """What is kept of an outcome."""
    replica_h = sum(outcome.replica_s.values()) / 3600
    found = tuple(f"at {violation.t_s:.1f} s: {violation.text}" for violation in outcome.violations)
    return Day(outcome.policy, hours, outcome.seed, outcome.looks, replica_h, found, cpu_s)


def kept(path: Path | None, hours: float, policy: str) -> dict[int, Day]:
    """The days of that length and policy in the file, by seed; none where there is no file yet."""
    if path is None or not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    found = [Day(**row | {"violations": tuple(row["violations"])}) for row in rows]
    return {day.seed: day for day in found if (day.policy, day.hours) == (policy, hours)}


def account(done: Iterable[Day], hours: float, policy: str) -> str:
    """A sentence about all of them."""
    known = list(done)
    return (
        f"{len(known)} days of {hours:g} h under {policy}: {sum(day.looks for day in known)} decisions on "
        f"{sum(day.replica_h for day in known):.0f} replica-hours, {sum(len(day.violations) for day in known)} broken "
        f"invariants, {sum(day.cpu_s for day in known):.0f} s of CPU"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--seeds", type=int, default=1000, help="how many days (default 1000)")
    arguments.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    arguments.add_argument("--hours", type=float, default=24.0, help="of a day (default 24)")
    arguments.add_argument("--policy", choices=sorted(POLICIES), default="merit-order")
    arguments.add_argument("--keep", type=Path, help="a file of the days that are done; it is gone on with")
    given = arguments.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    done = {seed: day for seed, day in kept(given.keep, given.hours, given.policy).items() if seed in seeds}
    began_s = time.process_time()
    for outcome in days((seed for seed in seeds if seed not in done), given.hours, given.policy):
        now_s = time.process_time()
        new = done[outcome.seed] = day(outcome, given.hours, now_s - began_s)
        began_s = now_s
        if given.keep is not None:
            with given.keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(new)) + "\n")
        for violation in new.violations:
            print(f"seed {new.seed} {violation}", flush=True)
        if len(done) % EVERY == 0:
            print(account(done.values(), given.hours, given.policy), flush=True)
    print(account(done.values(), given.hours, given.policy))
    return 1 if any(day.violations for day in done.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
