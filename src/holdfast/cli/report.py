"""holdfast report"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags, simulate
from holdfast.limits.conditions import Condition
from holdfast.load import comparing, runs, timelines
from holdfast.load.serverlog import read_server
from holdfast.model import fleet, quantities
from holdfast.model.comparison import Answer, Comparison, Outcome
from holdfast.model.errors import InputError
from holdfast.reports import comparison_page, comparisons, page, terminal
from holdfast.reports.contents import plan_page, run_page, timeline_page


def _confidence(text: str) -> float:
    share = quantities.share(text)
    if not 0.5 <= share <= 0.999:
        raise ValueError(f"{text!r} is not a confidence; give one from 50% to 99.9%")
    return share


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


@click.command()
@click.argument("paths", metavar="PATH...", type=flags.FILE, nargs=-1, required=True)
@click.option("--out", type=flags.OUT, help="The page.  [default: report.html; none with --compare]")
@click.option("--compare", is_flag=True, help="Hold the second of two run directories against the first.")
@click.option("--json", "as_json", is_flag=True, help="With --compare: print one JSON document instead of text.")
@click.option("--markdown", "as_markdown", is_flag=True, help="With --compare: print Markdown for a pull request.")
@click.option(
    "--fail-if",
    type=flags.Quantity("condition", Condition.parse),
    multiple=True,
    help="With --compare: exit 1 when surely so, such as 'p95 > +5%', 'throughput < -3%', 'errors > 1%'.",
)
@click.option("--strict", is_flag=True, help="With --fail-if: exit 1 also when there is not enough data to be sure.")
@click.option(
    "--confidence",
    type=flags.Quantity("confidence", _confidence),
    default="95%",
    show_default=True,
    help="With --compare: probability that nothing is called changed by chance.",
)
def report(paths: tuple[Path, ...], out: Path | None, compare: bool, **how: Any) -> None:
    """Write one self-contained page of PATH: a run directory, a plan.json, the folder of a simulation or a
    timeline.parquet. Or compare two run directories.

    \b
    holdfast report holdfast-runs/limit-20261121-120000 --out limit.html
    holdfast report runs/main runs/change --compare --fail-if 'p95 > +5%'
    """
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
