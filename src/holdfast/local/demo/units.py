"""The demo on emulated units: which there are, how their processes are started, how they are measured."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources

from holdfast.limits.search import Options
from holdfast.local.demo.staging import Course, DemoFleet, Staging
from holdfast.model import document
from holdfast.model.fleet import InferenceFleet
from holdfast.model.stages import Arrivals
from holdfast.serving.emulated import profiles

TIME_SCALE = 10.0
"""Emulated time runs this much faster than the clock on the wall: the shortest service time of the fleet,
0.46 s, becomes 46 ms, which a busy two-core machine still keeps to within a few per cent."""

COLD_START_S = 15.0
"""Emulated seconds from the start of a replica to readiness. The published 5 to 15 minutes would be 30 to 90 s
here, longer than the whole wave; the report says so."""


DURATION_S = 46.0
WITHDRAW_S = 15.0
RESTORE_S = 25.0
"""Of the wall clock, from the start of the wave: the loss comes on the rising flank, the return after the crest."""

_START_S = 60.0

BUDGET_S = 800.0
"""Emulated seconds of load for each search: a machine that stalls the client must not make the demo endless."""

IMAGES = Options(
    arrivals=Arrivals.CONSTANT, requests=80, least_s=45.0, most_s=90.0, repeats=1, invalid_repeats=20, budget_s=BUDGET_S
)
"""Emulated seconds. Even arrivals: a short level then has a sharp edge at what the unit sustains, and the plan's
utilisation target leaves the room that uneven arrivals need."""

TEXT = Options(
    arrivals=Arrivals.CONSTANT,
    requests=200,
    least_s=40.0,
    most_s=60.0,
    repeats=1,
    invalid_repeats=20,
    concurrency=256,
    budget_s=BUDGET_S,
)


def fleets() -> tuple[DemoFleet, ...]:
    """The Stable Diffusion fleet and the LLM pair."""
    return DemoFleet(_read("sd21"), True), DemoFleet(_read("gpt-oss-20b"), False)


def _read(name: str) -> InferenceFleet:
    file = resources.files("holdfast.local.demo").joinpath(f"fleets/{name}.yaml")
    return document.read_fleet(file.read_text("utf-8"), where=f"{name}.yaml")


MAX_QUEUED = 256
"""Requests that wait at one replica; more are refused."""


def argv(unit: str) -> Sequence[str]:
    """The command of one emulated replica of a unit."""
    return (
        sys.executable, "-m", "holdfast", "emulate", unit,
        "--time-scale", str(TIME_SCALE), "--cold-start", f"{COLD_START_S}s", "--max-queued", str(MAX_QUEUED),
    )  # fmt: skip


def staging() -> Staging:
    """The demo on emulated units."""
    found = fleets()
    return Staging(
        fleets=found,
        command=argv,
        options=lambda fleet: TEXT if fleet.spec.workload.api.makes_tokens else IMAGES,
        provenance=provenance(found),
        course=Course(DURATION_S, WITHDRAW_S, RESTORE_S),
        start_s=_START_S + COLD_START_S / TIME_SCALE,
        time_scale=TIME_SCALE,
    )


def provenance(demos: tuple[DemoFleet, ...]) -> tuple[str, ...]:
    """What is emulated, after which source, and how fast; what is real."""
    names = [unit.name for demo in demos for unit in demo.fleet.spec.units]
    found = [profiles.load_profile(name) for name in names]
    sources: dict[str, list[str]] = {}
    for profile in found:
        sources.setdefault(profile.source.partition(":")[0], []).append(profile.name)
    return (
        f"Emulated: the {len(found)} accelerators. Each is a process on this machine that answers HTTP with the timing "
        "published for that unit; no model runs.",
        f"Time-scaled: emulated time runs {TIME_SCALE:g} times faster than the clock on the wall. Rates, latencies and "
        "times below are emulated ones unless they say otherwise.",
        f"Shortened: replicas are ready {COLD_START_S:g} emulated seconds after their start, not after the published "
        "5 to 15 minutes.",
        "Real: the HTTP load and the search, which knows nothing of what the emulation was told; the plan; the "
        "manifests; Envoy as the data plane; the failover decision as shipped.",
        *(f"Timing of {', '.join(units_of)}: {source}." for source, units_of in sources.items()),
    )
