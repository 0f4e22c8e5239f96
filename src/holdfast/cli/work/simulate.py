"""What `holdfast simulate` does. Its flags are in `cli.simulate`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click

from holdfast.cli import flags
from holdfast.cli.simulated_fleet import Evidence
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.simulation import Study
from holdfast.reports import page, simulation_figures, simulation_tables, simulations, terminal

if TYPE_CHECKING:
    from holdfast.simulation.parameters import Parameter
    from holdfast.simulation.study import Found

SIMULATION, REPORT, TIMELINE = "simulation.json", "report.html", "timeline.parquet"


def simulate(
    fleet: Path,
    scenarios: tuple[Path, ...],
    policies: tuple[str, ...],
    varied: tuple[Parameter, ...],
    seed: int,
    seeds: int,
    file: Path | None,
    runs: tuple[str, ...],
    requests_per_usd: float | None,
    out: Path | None,
    as_json: bool,
    workers: int | None,
    ray_address: str | None,
) -> None:
    """See `holdfast simulate --help`. Raises InputError."""
    evidence = Evidence(file, runs)
    if out is not None and out.exists() and not out.is_dir():
        raise OutputError("results go to a folder, and this is a file", where=str(out), mend="give another --out")
    plan = evidence.plan(fleet)
    study = _study()
    cases = study.cases(plan, scenarios, evidence.curves(plan), varied)
    asked = study.Asked(policies, tuple(range(seed, seed + seeds)), requests_per_usd)
    carry = study.place(workers or len(os.sched_getaffinity(0)), ray_address, asked.count * len(cases))
    _tell_of_compiling()
    found = study.run(cases, asked, carry, _progress(asked.count * len(cases)))
    if out is not None:
        _write(found, out)
    if as_json:
        report = None if out is None else str(out / REPORT)
        flags.echo_json(simulation_figures.document(found.study) | {"report": report})
    else:
        _say(found.study, out)
    if any(one.violations for one in found.study.simulations):
        raise click.exceptions.Exit(1)


def _study() -> ModuleType:
    """What simulates. Raises InputError where the extra that it needs is not installed."""
    try:
        return importlib.import_module("holdfast.simulation.study")
    except ModuleNotFoundError as error:
        if error.name not in ("numba", "llvmlite"):
            raise
        mend = "pip install 'holdfast[simulate]'"
        raise InputError("the simulator’s compiler is not installed", mend=mend) from error


def _tell_of_compiling() -> None:
    """The first run waits for the compiler, and whoever waits should know why."""
    from holdfast.simulation import kernel

    kept = kernel.kept()
    if kept is None:
        click.echo(
            "compiling the simulator, some 10 s in every process: no folder to keep it in can be written to; "
            "NUMBA_CACHE_DIR may name one",
            err=True,
        )
    elif not kept:
        click.echo("compiling the simulator, this once: some 10 s", err=True)


def _progress(runs: int) -> Callable[[int], None]:
    """Tells a person who waits how many of the runs are made; nobody else."""
    if runs < 2 or not sys.stderr.isatty():
        return lambda made: None
    return lambda made: click.echo(f"\r{made} of {runs} runs" + ("\n" if made == runs else ""), nl=False, err=True)


def _write(found: Found, out: Path) -> None:
    """Raises OutputError."""
    from holdfast.load import timelines  # only here: it takes pyarrow, 30 MB

    for scenario, by_policy in found.timelines.items():
        for policy, timeline in by_policy.items():
            timelines.write(timeline, out / scenario / policy / TIMELINE)
    flags.write_text(out / SIMULATION, codec.dumps(found.study))
    flags.write_text(out / REPORT, page.render(simulations.page(found.study, found.timelines)))


def read(folder: Path) -> page.Page:
    """The page of a folder that was written here. Raises InputError."""
    from holdfast.load import timelines

    path = folder / SIMULATION
    study = codec.loads(Study, flags.read_text(path), where=str(path))
    lines = {
        one.scenario: {
            each.policy: timelines.read(folder / one.scenario / each.policy / TIMELINE) for each in one.policies
        }
        for one in study.simulations
    }
    return simulations.page(study, lines)


def _say(study: Study, out: Path | None) -> None:
    for caveat in dict.fromkeys(each for found in study.simulations for each in found.caveats):
        click.echo(terminal.text(terminal.answer(caveat)))
    if study.varied:
        fleet = study.simulations[0].fleet.metadata.name
        click.echo(terminal.text(terminal.answer(f"{fleet} through {len(study.simulations)} combinations")))
        click.echo(terminal.text(terminal.table(simulation_tables.comparison(study))))
    for found in study.simulations:
        if not study.varied:
            click.echo(terminal.text(terminal.answer(f"{found.fleet.metadata.name} through {found.scenario}")))
            for table in simulation_tables.summary(found):
                click.echo(terminal.text(terminal.table(table)))
        for one in found.policies:
            broken = [text for run in one.runs for text in run.violations]
            if broken:
                click.echo(
                    f"{found.scenario}, {one.policy}: {len(broken)} decisions refused, as they broke a promise; "
                    f"{broken[0]}"
                )
    if out is not None:
        click.echo(str(out / REPORT))
