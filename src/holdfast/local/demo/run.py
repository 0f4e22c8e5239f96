"""The demo in order: measure, plan, render, survive, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast import catalog, manifests
from holdfast.load import timelines as files
from holdfast.load.finding import Progress
from holdfast.local.demo import timelines, wave
from holdfast.local.demo.measure import measure
from holdfast.local.demo.staging import Staging
from holdfast.local.demo.wave import Wave
from holdfast.model import codec
from holdfast.model.errors import HoldfastError, InputError, OutputError
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.stages import LoadCurve
from holdfast.model.timeline import Timeline
from holdfast.planning import run_evidence
from holdfast.planning.plan import make_plan
from holdfast.reports import page
from holdfast.reports.contents import Measured, demo_page

MARK = ".holdfast-demo"

WAVE = "wave.json"
"""The whole record of the wave, a `wave.Wave`: every request and every look of the controller, on the wall clock."""


@dataclass(frozen=True)
class Voice:
    """Who hears of the demo's progress: headings and sentences, levels of the searches, and finished plans."""

    say: Callable[[str], None]
    level: Callable[[Progress], None]
    curve: Callable[[LoadCurve], None]
    plan: Callable[[Plan], None]


@dataclass(frozen=True)
class DemoResult:
    """What the demo found; all in the units' time except the wave, whose control ran on the wall clock."""

    curves: Mapping[str, LoadCurve]
    plans: tuple[Plan, ...]
    wave: Wave
    timeline: Timeline
    report: Path


async def run(staging: Staging, directory: Path, voice: Voice) -> DemoResult:
    """Runs the demo and writes its results below `directory`, which is made. Raises OutputError, HoldfastError."""
    _clear(_make(directory))
    for note in staging.provenance:
        voice.say(note)
    voice.say(staging.searching)
    curves = await measure(staging, _make(directory / "runs"), voice.level)
    demos = [staging.demanded(demo, curves) for demo in staging.fleets]
    plans = {demo.fleet.metadata.name: _plan(demo.fleet, curves) for demo in demos}
    for curve in curves.values():
        voice.curve(curve)
    for demo in demos:
        plan = plans[demo.fleet.metadata.name]
        voice.plan(plan)
        folder = directory / demo.fleet.metadata.name
        voice.say(f"{_write_plan(plan, folder)} manifests of this plan are in {folder / 'deploy'}.")
    chosen = next(plans[demo.fleet.metadata.name] for demo in demos if demo.fails_over)
    if chosen.status is not PlanStatus.FEASIBLE:
        raise HoldfastError(f"the measured units cannot carry the demand: {chosen.reasons[0]}")
    voice.say("The fleet under a wave of load, the cheapest pool withdrawn and returned:")
    rode = await wave.ride(staging, chosen, _make(directory / "fleet"), voice.say)
    _write(directory / WAVE, codec.dumps(rode))
    seen = timelines.timeline(rode, [pool.unit for pool in chosen.pools], staging.time_scale)
    files.write(seen, directory / "timeline.parquet")
    report = directory / "report.html"
    measured = [Measured(d.fleet, tuple(curves[u.name] for u in d.fleet.spec.units)) for d in demos]
    _write(report, page.render(demo_page(measured, tuple(plans.values()), seen, staging.provenance)))
    return DemoResult(curves, tuple(plans.values()), rode, seen, report)


def _plan(fleet: InferenceFleet, curves: Mapping[str, LoadCurve]) -> Plan:
    found, findings = run_evidence.from_breaking_points(
        fleet,
        {unit: [curve] for unit, curve in curves.items()},
        catalog.offerings_of(fleet),
        catalog.hardware_of(fleet),
    )
    return make_plan(fleet, found, findings=findings)


def _write_plan(plan: Plan, directory: Path) -> int:
    """Writes plan.json and, for a plan that holds, its manifests; the number of manifests."""
    _write(_make(directory) / "plan.json", codec.dumps(plan))
    if plan.status is not PlanStatus.FEASIBLE:
        return 0
    rendered = manifests.render(plan, catalog.equipment_of(plan.fleet))
    for file in rendered:
        path = directory / "deploy" / file.path
        _make(path.parent)
        _write(path, file.text)
    return len(rendered)


def _clear(directory: Path) -> None:
    """Removes the results of an earlier demo and marks the folder. Raises InputError for one that holds other files.

    Only the mark tells: a folder named `runs` may hold somebody's measurements.
    """
    held = list(directory.iterdir())
    if held and not (directory / MARK).is_file():
        raise InputError(
            "the folder holds files that are not of a demo", where=str(directory), mend="give another --out"
        )
    for path in held:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _write(directory / MARK, "Results of `holdfast demo`; the next demo into this folder removes them.\n")


def _make(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.of(directory, error) from error
    return directory


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError.of(path, error) from error
