"""What `holdfast audit` does. Its flags are in `cli.audit`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from holdfast import auditing, catalog
from holdfast.cli import flags
from holdfast.model import codec, fleet, measurements
from holdfast.model.errors import InputError
from holdfast.model.findings import Audit
from holdfast.model.fleet import Slo
from holdfast.reports import audits, terminal


def audit(files: tuple[Path, ...], slo: Slo | None, region: str | None, as_json: bool) -> None:
    """See `holdfast audit --help`. Raises InputError."""
    if region is not None:
        catalog.offerings(region)
    audited = [_audit(path, slo, region) for path in files]
    if as_json:
        flags.echo_json(_json(audited))
    else:
        for one in audited:
            click.echo(terminal.text(audits.audit(one)), nl=False)
    if any(one.impossible for one in audited):
        raise click.exceptions.Exit(1)


def _audit(path: Path, slo: Slo | None, region: str | None) -> Audit:
    """The audit of what the path holds, told by its content. Raises InputError."""
    if path.is_dir():
        return _run(path, slo)
    if path.suffix in (".json", ".parquet") and (path.parent / "run.json").exists():
        raise InputError("this is a part of a run", where=str(path), mend=f"give its folder, {path.parent}")
    text = flags.read_text(path)
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return auditing.audit_plan(flags.read_plan(path), str(path), today=_today(), region=region)
    if "apiVersion:" in text:
        raise InputError(
            "this is a fleet document, in which nothing was measured",
            where=str(path),
            mend="give a measurement CSV, a run directory or a plan.json",
        )
    rows = measurements.read_measurements(text, where=str(path))
    return auditing.audit_measurements(rows, str(path), slo=slo, region=region)


def _run(path: Path, slo: Slo | None) -> Audit:
    # Only here: reading runs loads the client too, which takes a tenth of a second.
    from holdfast.load import rundir, runs

    run = runs.read(path)
    searched = run.record.spec.slo
    figures = auditing.RunFigures(
        curve=run.curve,
        began_s={begun.index: begun.began_s for begun in rundir.read_levels(path)},
        requests=runs.requests(run),
        slo=fleet.parse_slo(searched) if searched else None,
        cut_off=run.cut_off,
    )
    return auditing.audit_run(figures, str(path), slo=slo)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _json(audited: list[Audit]) -> dict[str, Any]:
    """The findings of all files, and of each file what was looked at."""
    return {
        "findings": [codec.to_jsonable(finding) for one in audited for finding in one.findings],
        "files": [
            {
                "file": one.file,
                "kind": one.kind.value,
                "rows": one.rows,
                "checked": {checked.check: checked.judged for checked in one.checked},
            }
            for one in audited
        ],
    }
