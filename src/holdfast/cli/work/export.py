"""What `holdfast export` does. Its flags are in `cli.export`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from holdfast.load import runs
from holdfast.load.runs import Run
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.reports import exports


def export(path: Path, kind: str, requests: bool, unit: str | None, out: Path | None) -> None:
    """See `holdfast export --help`. Raises InputError."""
    if requests and kind == "json":
        raise InputError("requests are exported as csv or vllm", where="--requests", mend="give --format csv")
    if unit is not None and (kind != "csv" or requests):
        raise InputError("only a measurement CSV names a unit", where="--unit", mend="give --format csv")
    run = runs.read(path)
    _write(out, _text(run, kind, requests, unit))
    if run.cut_off:
        click.echo(f"holdfast: {run.cut_off}.", err=True)


def _text(run: Run, kind: str, requests: bool, unit: str | None) -> Iterable[str]:
    if kind == "json":
        return (codec.dumps({"run": run.record, "cut_off": run.cut_off} | vars(run.curve)),)
    if kind == "vllm":
        return _vllm(run, requests)
    if requests:
        return exports.requests_csv(runs.requests(run))
    source = f"holdfast {run.record.holdfast}, {run.path.name}, {run.record.started}"
    return exports.measurement_csv(run.curve, unit=unit or run.curve.unit, model=run.record.spec.model, source=source)


def _vllm(run: Run, detailed: bool) -> Iterator[str]:
    spec = run.record.spec
    date = run.record.started.replace("-", "").replace(":", "").replace("T", "-").removesuffix("Z")
    backend = {"completions": "openai", "chat": "openai-chat"}.get(spec.api, spec.api)
    for stage in sorted(run.curve.stages, key=lambda stage: stage.index):
        requests = exports.LevelRequests(*runs.level(run, stage.index))
        result = exports.vllm_result(
            stage, requests, model=spec.model, url=spec.url, backend=backend, date=date, detailed=detailed
        )
        yield json.dumps(codec.to_jsonable(result)) + "\n"


def _write(out: Path | None, pieces: Iterable[str]) -> None:
    if out is None:
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise OutputError.of(out, error) from error
