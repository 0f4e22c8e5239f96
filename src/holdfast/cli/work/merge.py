"""What `holdfast merge` does. Its flags are in `cli.merge`."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from holdfast.cli import flags, progress
from holdfast.load import merging, rundir, runs
from holdfast.load.merging import Part
from holdfast.load.rundir import RunDir
from holdfast.load.serverlog import read_server
from holdfast.reports import tabulate, terminal


def merge(shards: tuple[Path, ...], out: Path, partial: bool, as_json: bool) -> None:
    """See `holdfast merge --help`. Raises InputError."""
    parts = [_read(run) for run in shards]
    merging.check(parts, partial=partial)
    with RunDir.joined(out, merging.first_of(parts).record) as run:
        curve = merging.merge(parts, run.journal)
        run.observe(merging.series_of(parts))
        run.write_curve(curve)
    run.check()
    if as_json:
        flags.echo_json({"stages": curve.stages, "run_dir": str(out)})
        return
    click.echo(terminal.text(terminal.table(tabulate.stages(curve))))
    for note in dict.fromkeys(note for stage in curve.stages for note in stage.notes):
        progress.say(f"Note: {note}.")
    click.echo(f"run directory: {out}")


def _read(run: Path) -> Part:
    read = runs.read(run)
    began_s = {begun.index: begun.began_s for begun in rundir.read_levels(run)}
    return Part(
        str(run),
        read.record,
        began_s,
        read.curve,
        functools.partial(rundir.append_requests, run),
        read.cut_off,
        read_server(run),
    )
