"""The demo's wave, live and simulated: throughput and p95 of each pool and of the fleet, side by side.

    python benchmarks/live_and_simulated.py DEMO_FOLDER... [--seeds N]

A folder is what `holdfast demo --out DEMO_FOLDER` left: `wave.json`, every request of the live fleet and every look of
its controller, and the plan, with the load curves that the demo measured of its units. It is simulated through the
same scenario, made of the demo's own constants, with the very requests that the demo sent. What a data plane, a process
and a look take on the machine at hand is read from the live run. All times are emulated ones.

Nothing else is taken from the live run, and nothing of what the emulated units were told.

One live run is one draw: the load balancer's dice alone move a pool's share. So the simulation is drawn with many
seeds, and `noise` is what a mean of so many live runs may differ from it by chance: 1.96 standard deviations. A figure
`agrees` where the difference is at most 10 %, `differs` where it is more even after the noise, and is `unsure` between:
so many live runs cannot tell. Exit code 1 when one differs.

Seconds of the wall clock in which the client or the controller was late, and the ones after, are left out on both
sides: the machine stalled, and the fleet with it.
"""

from __future__ import annotations

import itertools
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from holdfast.control.policies import POLICIES
from holdfast.load.traces import Trace
from holdfast.local.demo import units, wave
from holdfast.local.demo.run import WAVE
from holdfast.local.demo.units import TIME_SCALE
from holdfast.local.demo.wave import Wave
from holdfast.local.envoy_config import RETRIES
from holdfast.local.fleet import RENEWALS
from holdfast.local.steer import RATE_WINDOW_S
from holdfast.model import codec
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan
from holdfast.simulation import kernel
from holdfast.simulation.material import Material
from holdfast.simulation.run import simulate
from holdfast.simulation.scenario import Scenario

ENOUGH = 40
"""Requests of a pool in each wave for a p95 of its own: two of them lie above it."""

BOUND = 0.10
"""Relative difference up to which live and simulated figures agree."""

SEEDS = 40

LATE_S = 0.05
"""Of the wall clock: half an emulated second, as long as the shortest service."""

Floats = NDArray[np.float64]
Figures = Mapping[tuple[str, str], float]
"""By phase and what it is: the requests per second that the pool of that name served, or P95 in seconds."""

P95 = "p95 of the fleet"


@dataclass(frozen=True)
class Live:
    """A demo's plan and wave."""

    plan: Plan
    wave: Wave

    @property
    def pools(self) -> list[str]:
        return [pool.unit for pool in self.plan.pools]

    @property
    def starts_s(self) -> Floats:
        """When requests were due."""
        return np.sort([answer.intended_s * TIME_SCALE for answer in self.wave.answers])

    @property
    def phases(self) -> dict[str, tuple[float, float]]:
        """From when to when; to the last request, as simulated time ends with it."""
        lost_s, back_s = self.wave.withdrawn_s * TIME_SCALE, self.wave.restored_s * TIME_SCALE
        first_s, last_s = float(self.starts_s[0]), float(self.starts_s[-1])
        return {
            "whole": (first_s, last_s),
            "before": (first_s, lost_s),
            "during": (lost_s, back_s),
            "after": (back_s, last_s),
        }


@dataclass(frozen=True)
class Served:
    """The requests that were served: when they ended, how long each took, and the number of its pool."""

    ends_s: Floats
    latencies_s: Floats
    pools: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One figure, live and simulated. noise: relative; what chance alone may move the live one by."""

    phase: str
    what: str
    live: float
    simulated: float
    noise: float

    @property
    def difference(self) -> float:
        """Of the simulated from the live figure, relative to the live one."""
        if self.simulated == self.live:
            return 0.0
        return self.simulated / self.live - 1 if self.live else math.inf

    @property
    def verdict(self) -> str:
        if abs(self.difference) <= BOUND:
            return "agrees"
        return "differs" if abs(self.difference) > BOUND + self.noise else "unsure"


def read(folder: Path) -> Live:
    """What a demo left in its folder. Raises InputError."""
    (plan,) = (
        codec.loads(Plan, _text(folder / demo.fleet.metadata.name / "plan.json"), where=str(folder))
        for demo in units.fleets()
        if demo.fails_over
    )
    if any(pool.curve is None for pool in plan.pools):
        raise InputError("the plan has no load curves", where=str(folder), mend="run the demo anew")
    return Live(plan, codec.loads(Wave, _text(folder / WAVE), where=str(folder / WAVE)))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(path), mend="name a folder that `holdfast demo` wrote"
        ) from error


def compare(lives: Sequence[Live], seeds: int) -> list[Row]:
    """Every figure of the live runs, their mean, beside that of the simulated ones."""
    seen = [figures(live, live_served(live)) for live in lives]
    drawn = [[figures(live, simulated_served(live, seed)) for seed in range(seeds)] for live in lives]
    rows = []
    for key in [key for key in seen[0] if all(key in each for each in (*seen, *itertools.chain(*drawn)))]:
        live = statistics.fmean(each[key] for each in seen)
        middle = statistics.fmean(each[key] for runs in drawn for each in runs)
        variance = statistics.fmean(statistics.variance([each[key] for each in runs]) for runs in drawn)
        noise = 1.96 * math.sqrt(variance / len(lives) * (1 + 1 / seeds))
        rows.append(Row(*key, live, middle, noise / live if live else 0.0))
    return rows


def figures(live: Live, served: Served) -> Figures:
    """Requests per second of each pool and the fleet's p95, over the quiet part of each phase; over the whole also the
    p95 of pools that served enough."""
    found: dict[tuple[str, str], float] = {}
    stalled = sorted(stalled_seconds(live.wave))
    quiet = ~np.isin(served.ends_s // TIME_SCALE, stalled)
    for phase, (from_s, to_s) in live.phases.items():
        here = (served.ends_s >= from_s) & (served.ends_s < to_s) & quiet
        left_out_s = sum(max(0.0, min(to_s, (n + 1) * TIME_SCALE) - max(from_s, n * TIME_SCALE)) for n in stalled)
        for number, pool in enumerate(live.pools):
            found[phase, pool] = float(np.sum(here & (served.pools == number))) / (to_s - from_s - left_out_s)
        found[phase, P95] = float(np.percentile(served.latencies_s[here], 95))
    for number, pool in enumerate(live.pools):
        mine = quiet & (served.pools == number)
        if sum(answer.pool == pool for answer in live.wave.answers) >= ENOUGH and mine.any():
            found["whole", f"p95 of {pool}"] = float(np.percentile(served.latencies_s[mine], 95))
    return found


def stalled_seconds(rode: Wave) -> set[int]:
    """The numbers of the seconds of the wall clock in which the machine stalled, and of those after."""
    rest_s = float(np.median(_usual_gaps_s(rode)))
    late = [answer.sent_s for answer in rode.answers if answer.sent_s - answer.intended_s > LATE_S]
    late += [b.now_s for a, b in itertools.pairwise(rode.ticks) if b.now_s - a.now_s - rest_s > LATE_S]
    return {int(at_s) + after for at_s in late for after in (0, 1)}


def live_served(live: Live) -> Served:
    answers = [answer for answer in live.wave.answers if answer.ok]
    ends_s = np.array([answer.end_s for answer in answers]) * TIME_SCALE
    starts_s = np.array([answer.intended_s for answer in answers]) * TIME_SCALE
    return Served(ends_s, ends_s - starts_s, np.array([live.pools.index(answer.pool) for answer in answers]))


def simulated_served(live: Live, seed: int) -> Served:
    """The same wave on virtual time. Its zero is the first request, as a trace's is."""
    first_s = float(live.starts_s[0])
    nothing = np.zeros(len(live.starts_s), np.int64)
    material = Material(Trace(live.starts_s - first_s, nothing, nothing + 1, source=WAVE))
    spec = live.plan.fleet.spec.model_copy(update={"data_plane": DataPlane.LOCAL})
    plan = replace(live.plan, fleet=live.plan.fleet.model_copy(update={"spec": spec}))
    # The live controller looks at fixed intervals, whatever its decision says. On which instant a look falls is chance,
    # and decides whether a crest that grazes the next replica's threshold is seen.
    every_s = float(np.random.default_rng(seed).choice(_usual_gaps_s(live.wave))) * TIME_SCALE
    policy = replace(POLICIES[spec.routing.policy], look_every_s=every_s)
    outcome = simulate(plan, scenario(live, every_s), policy, seed, material=material, ends=len(live.starts_s))
    ends = outcome.ends[outcome.ends["how"] == kernel.SERVED]
    return Served(ends["end_s"] + first_s, ends["end_s"] - ends["arrived_s"], ends["pool"].astype(np.int64))


def scenario(live: Live, look_every_s: float) -> Scenario:
    """The wave as a scenario."""
    first_s, last_s = float(live.starts_s[0]), float(live.starts_s[-1])
    in_force_s, up_s = weights_in_force_s(live.wave), up_after_s(live.wave)
    return Scenario.model_validate(
        {
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "demo-wave"},
            "spec": {
                "duration": _s(last_s - first_s),
                "load": {"trace": {"file": WAVE}},
                "coldStart": {
                    "any": {
                        "node": "0s",
                        "pull": _s(up_s - units.COLD_START_S),
                        "load": _s(units.COLD_START_S),
                    }
                },
                "replica": {"queue": units.MAX_QUEUED},
                "dataPlane": {
                    "delay": _s(in_force_s),
                    # Endpoints reach Envoy as weights do: by a file.
                    "notice": _s(in_force_s),
                    "drain": _s(wave.GRACE_S * TIME_SCALE),
                    "retries": RETRIES,
                    "balance": "two-choices",
                },
                "looks": {
                    "rateWindow": _s(RATE_WINDOW_S * TIME_SCALE),
                    "rateEvery": _s(look_every_s),
                    "rateLag": "0s",
                    "death": "0s",
                },
                # The local fleet asks again when capacity is back; the simulated one when it may ask again.
                "shortage": _s(wave.SHORTAGE_S / RENEWALS * TIME_SCALE),
                "events": [
                    # The live fleet has just come up, and leaves the plan's weights until its pools have dwelt.
                    {"crash": {"at": "0s", "for": _s(live.plan.fleet.spec.routing.dwell_s)}},
                    {
                        "limit": {
                            "unit": live.wave.lost,
                            "replicas": 0,
                            "from": _s(live.wave.withdrawn_s * TIME_SCALE - first_s),
                            "to": _s(live.wave.restored_s * TIME_SCALE - first_s),
                            "beyond": "lose",
                        }
                    },
                ],
            },
        },
        by_alias=True,
        by_name=False,
    )


def _s(seconds: float) -> str:
    return f"{seconds:.6f}s"


def _usual_gaps_s(rode: Wave) -> Floats:
    """Between looks of the live controller, the middle half: its rest, and what a look takes."""
    gaps_s = np.sort(np.diff([tick.now_s for tick in rode.ticks]))
    return np.asarray(gaps_s[len(gaps_s) // 4 : -(len(gaps_s) // 4)])


def weights_in_force_s(rode: Wave) -> float:
    """From a look that changed the weights until Envoy had them."""
    changed = [b for a, b in itertools.pairwise(rode.ticks) if a.decision.weights != b.decision.weights]
    return statistics.median(tick.done_s - tick.now_s for tick in changed) * TIME_SCALE


def up_after_s(rode: Wave) -> float:
    """From asking for a replica until it was ready, of a pool whose capacity was never withdrawn."""
    return statistics.median(_ups_s(rode)) * TIME_SCALE


def _ups_s(rode: Wave) -> Iterator[float]:
    for number, pool in enumerate(rode.ticks[0].observation.pools):
        asked_s: float | None = None
        for tick in rode.ticks:
            waits = tick.observation.pools[number].pending > 0
            if waits and asked_s is None:
                asked_s = tick.now_s
            elif not waits and asked_s is not None:
                if pool.name != rode.lost:
                    yield tick.now_s - asked_s
                asked_s = None


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [
        "| phase | what | live | simulated | difference | noise | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        unit = "s" if row.what.startswith("p95") else "/s"
        lines.append(
            f"| {row.phase} | {row.what} | {row.live:.2f} {unit} | {row.simulated:.2f} {unit} | {row.difference:+.1%} "
            f"| {row.noise:.1%} | {row.verdict} |"
        )
    return "\n".join(lines)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--seeds", type=click.IntRange(2, 10_000), default=SEEDS, show_default=True, help="Simulated draws.")
def main(folders: tuple[Path, ...], seeds: int) -> None:
    """Compare the waves of demos with their simulation."""
    try:
        lives = [read(folder) for folder in folders]
        rows = compare(lives, seeds)
    except InputError as error:
        click.echo(f"live_and_simulated: {error}", err=True)
        sys.exit(2)
    click.echo(table(rows))
    for folder, live in zip(folders, lives, strict=True):
        click.echo(f"{folder}: {len(stalled_seconds(live.wave))} s left out, as the machine stalled in them", err=True)
    sys.exit(1 if any(row.verdict == "differs" for row in rows) else 0)


if __name__ == "__main__":
    main()
