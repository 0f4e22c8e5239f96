"""What `holdfast report` does. Its flags are in `cli.report`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags
from holdfast.cli.work import simulate
from holdfast.limits.conditions import Condition
from holdfast.load import comparing, runs, timelines
from holdfast.load.serverlog import read_server
from holdfast.model import fleet
from holdfast.model.comparison import Answer, Comparison, Outcome
from holdfast.model.errors import InputError
from holdfast.reports import comparison_page, comparisons, page, terminal
from holdfast.reports.contents import plan_page, run_page, timeline_page


@dataclass(frozen=True)
class _Comparing:
    """How a comparison is shown and judged."""

    as_json: bool
    as_markdown: bool
    fail_if: tuple[Condition, ...]
    strict: bool
    confidence: float

    def asked_for(self) -> bool:
        return self.as_json or self.as_markdown or bool(self.fail_if) or self.strict


def report(paths: tuple[Path, ...], out: Path | None, compare: bool, **how: Any) -> None:
    """See `holdfast report --help`. Raises InputError."""
    comparing_how = _Comparing(**how)
    if compare:
        _compare(paths, out, comparing_how)
        return
    if len(paths) != 1:
        raise InputError(f"{len(paths)} paths were given", mend="give one, or two run directories and --compare")
    if comparing_how.asked_for():
        raise InputError("--json, --markdown, --fail-if and --strict are for comparisons", mend="add --compare")
    out = out or Path("report.html")
    flags.write_text(out, page.render(_content(paths[0])))
    click.echo(str(out))


def _compare(paths: tuple[Path, ...], out: Path | None, how: _Comparing) -> None:
    if len(paths) != 2:
        raise InputError(f"--compare holds two run directories against each other, not {len(paths)}", mend="give two")
    if how.as_json and how.as_markdown:
        raise InputError("--json and --markdown exclude each other", mend="give one of them")
    if how.strict and not how.fail_if:
        raise InputError("--strict is about conditions", mend="add --fail-if")
    found = comparing.compare(paths[0], paths[1], how.confidence, how.fail_if)
    if out is not None:
        flags.write_text(out, page.render(comparison_page.page(found)))
    if how.as_json:
        flags.echo_json(_document(found))
    elif how.as_markdown:
        click.echo(comparisons.markdown(found), nl=False)
    else:
        _show(found, out)
    failed = [each for each in found.answers if _fails(each, strict=how.strict)]
    if failed:
        if how.as_json or how.as_markdown:
            click.echo("\n".join(f"{each.sentence}." for each in failed), err=True)
        sys.exit(1)


def _fails(answer: Answer, *, strict: bool) -> bool:
    return answer.outcome is Outcome.BROKEN or (strict and answer.outcome is Outcome.UNSURE)


def _show(found: Comparison, out: Path | None) -> None:
    first, *rest = comparisons.lines(found)
    click.echo(terminal.text(terminal.answer(first)), nl=False)
    for line in rest:
        click.echo(terminal.text(terminal.prose(line)), nl=False)
    for table in comparisons.tables(found):
        click.echo()
        click.echo(terminal.text(terminal.table(table)), nl=False)
    click.echo()
    for note in comparisons.notes(found):
        click.echo(terminal.text(terminal.prose(note)), nl=False)
    for answer in found.answers:
        click.echo(terminal.text(terminal.answer(f"{answer.sentence}.")), nl=False)
    if out is not None:
        click.echo(str(out))


def _document(found: Comparison) -> dict[str, Any]:
    return {
        "version": 1,
        "before": found.before,
        "after": found.after,
        "verdict": comparisons.verdict(found),
        "confidence": found.confidence,
        "compared": found.asked,
        "departures": found.departures,
        "remarks": [*found.remarks, *found.alone],
        "levels": found.levels,
        "limit": found.limit,
        "answers": found.answers,
    }


def _content(path: Path) -> page.Page:
    if path.suffix == ".parquet":
        return timeline_page(timelines.read(path), provenance=(f"Read from {path.name}.",))
    if (path / simulate.SIMULATION).is_file():
        return simulate.read(path)
    return _run(path) if path.is_dir() else _plan(path)


def _run(path: Path) -> page.Page:
    run = runs.read(path)
    spec = run.record.spec
    bounds = fleet.parse_slo(spec.slo) if spec.slo else None
    measured = f"Measured at {spec.url}: {spec.api}, {spec.model}, {spec.arrivals} arrivals."
    return run_page(run.curve, bounds, (measured,), read_server(path), run.cut_off)


def _plan(path: Path) -> page.Page:
    made = flags.read_plan(path)
    return plan_page(made, (f"Planned from {path.name}; every figure's source stands beside it.",))
