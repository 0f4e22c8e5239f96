"""holdfast merge"""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli import flags, progress
from holdfast.load import merging, rundir
from holdfast.load.merging import Part
from holdfast.load.rundir import RunDir
from holdfast.reports import tabulate, terminal


@click.command()
@click.argument("runs", metavar="RUN...", type=flags.FILE, nargs=-1, required=True)
@click.option("--out", type=flags.OUT, required=True, help="Run directory of the whole.")
@click.option("--partial", is_flag=True, help="Also when runs of some shards are missing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def merge(runs: tuple[Path, ...], out: Path, partial: bool, as_json: bool) -> None:
    """Join the RUN directories of shards to the one run that they were parts of.

    \b
    holdfast merge runs/shard-0 runs/shard-1 runs/shard-2 runs/shard-3 --out runs/whole

    Every figure is measured anew from the requests of all; the client's health is the worst shard's.
    """
    whole = merging.merge([_read(run) for run in runs], partial=partial)
    folder = RunDir(out, whole.spec, started_unix_s=whole.started_unix_s)
    folder.write_requests(whole.rows)
    folder.write_curve(whole.curve)
    if as_json:
        flags.echo_json({"stages": whole.curve.stages, "run_dir": str(out)})
        return
    click.echo(terminal.text(terminal.table(tabulate.stages(whole.curve))))
    for note in dict.fromkeys(note for stage in whole.curve.stages for note in stage.notes):
        progress.say(f"Note: {note}.")
    click.echo(f"run directory: {out}")


def _read(run: Path) -> Part:
    return Part(
        where=str(run),
        spec=rundir.read_spec(run),
        started_unix_s=rundir.read_started_unix_s(run),
        curve=rundir.read_curve(run),
        rows=rundir.read_requests(run),
    )
