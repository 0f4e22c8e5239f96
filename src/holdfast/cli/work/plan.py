"""What `holdfast plan` does. Its flags are in `cli.plan`."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import flags, known
from holdfast.cli.known import Circumstances, Known
from holdfast.cli.whatif import Question
from holdfast.model import codec
from holdfast.model.cost_curve import CostCurve
from holdfast.model.document import Declared
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan, PlanStatus
from holdfast.planning import budget, weights, whatif
from holdfast.planning.budget import MostLoad
from holdfast.planning.difference import difference
from holdfast.planning.plan import plan_json
from holdfast.reports import findings, plan_tables, terminal

if TYPE_CHECKING:
    from holdfast.reports import page

_PROVENANCE = ("Planned by `holdfast plan`; every figure’s source stands beside it.",)


@dataclass(frozen=True)
class _Output:
    """Where the answer goes: a file (a page if it is named so), a page, and the terminal, as JSON or text."""

    out: Path | None
    html: Path | None
    as_json: bool

    def write(self, document: str, content: Callable[[], page.Page]) -> None:
        """Writes the files. Raises OutputError."""
        is_page = self.out is not None and self.out.suffix.lower() == ".html"
        for path in {path for path in (self.html, self.out if is_page else None) if path is not None}:
            from holdfast.reports import page  # only here: it loads plotly

            flags.write_text(path, page.render(content()))
        if self.out is not None and not is_page:
            flags.write_text(self.out, document)


def plan(
    asked: Question,
    declared: Declared,
    file: Path | None,
    runs: tuple[str, ...],
    measured_only: bool,
    out: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """See `holdfast plan --help`. Raises InputError."""
    if file is not None and runs:
        raise InputError("give either --measurements or --run", mend="one kind of evidence at a time")
    if measured_only and file is None and not runs:
        raise InputError("--measured-only leaves nothing to plan with", mend="give --measurements or --run")
    output = _Output(out, html, as_json)
    declared = _routed(declared, asked)
    other = None if asked.compare is None else flags.read_plan(asked.compare)
    today = datetime.datetime.now(tz=datetime.UTC).date()
    circumstances = Circumstances(declared, asked.without, asked.spot, measured_only, today)
    found = known.from_runs(circumstances, runs) if file is None else known.from_file(circumstances, file)
    if asked.rates_per_s is not None and asked.asks_for_curve:
        rates = whatif.spread(*asked.rates_per_s)
        _answer_curve(whatif.cost_curve(found.fleet, found.plan_of, rates), found, output)
    elif asked.budget_usd_per_h is not None:
        most = budget.most_load(found.fleet, found.plan_of, asked.budget_usd_per_h)
        _answer_budget(most, replace(found, fleet=most.plan.fleet), asked, other, output)
    else:
        at = found.fleet if asked.rates_per_s is None else whatif.at_rate(found.fleet, asked.rates_per_s[0])
        _answer(replace(found, fleet=at).plan(), asked, other, output)


def _routed(declared: Declared, asked: Question) -> Declared:
    if asked.policy is None:
        return declared
    spec = declared.fleet.spec
    routing = spec.routing.model_copy(update={"weights": asked.policy})
    fleet = declared.fleet.model_copy(update={"spec": spec.model_copy(update={"routing": routing})})
    return replace(declared, fleet=fleet)


def _answer(made: Plan, asked: Question, other: Plan | None, output: _Output, most: MostLoad | None = None) -> None:
    shown = _with_comparisons(made, asked, other)
    output.write(codec.dumps(made), lambda: _page(shown))
    if output.as_json:
        flags.echo_json(plan_json(shown) | ({} if most is None else {"budget": most.json()}))
    else:
        if most is not None:
            click.echo(terminal.text(terminal.answer(most.sentence)))
        click.echo(terminal.text(terminal.plan(shown)))
        for table in shown.tables.values():
            click.echo(terminal.text(terminal.table(table)))
    if made.status is not PlanStatus.FEASIBLE:
        raise click.exceptions.Exit(1)


def _page(shown: Plan) -> page.Page:
    from holdfast.reports import contents

    return contents.plan_page(shown, _PROVENANCE)


def _curve_page(curve: CostCurve, found: Known) -> page.Page:
    from holdfast.reports import contents

    return contents.cost_curve_page(curve, found.findings, _sources(found))


def _with_comparisons(made: Plan, asked: Question, other: Plan | None) -> Plan:
    """The plan with the tables that were asked for, which are no part of what is written for `render`."""
    tables = {}
    if other is not None and asked.compare is not None:
        tables["difference"] = difference(made, other, asked.compare.name)
    if asked.policy is not None:
        tables["weights"] = weights.compare(made)
    return replace(made, tables={**tables, **made.tables})


def _answer_budget(most: MostLoad, found: Known, asked: Question, other: Plan | None, output: _Output) -> None:
    if most.holds:
        _answer(found.plan(), asked, other, output, most)
        return
    if output.as_json:
        none = {"status": PlanStatus.INFEASIBLE.value, "reasons": [most.binds], "pools": [], "budget": most.json()}
        flags.echo_json(plan_json(most.plan) | none)
    else:
        click.echo(terminal.text(terminal.answer(most.sentence)))
    raise click.exceptions.Exit(1)


def _sources(found: Known) -> tuple[str, ...]:
    return tuple(
        f"{one.unit}: {one.limit_per_s:.4g} requests/s per replica ({one.limit_source}), "
        f"{one.price_usd_per_h:.4g} USD/h ({one.price_source})."
        for one in found.evidence
    )


def _answer_curve(curve: CostCurve, found: Known, output: _Output) -> None:
    document = codec.to_jsonable(curve)
    for drawn, point in zip(document["points"], curve.points, strict=True):
        drawn["usd_per_million_requests"] = point.usd_per_million_requests if point.holds else None
    output.write(codec.dumps(document), lambda: _curve_page(curve, found))
    if output.as_json:
        flags.echo_json(document)
    else:
        click.echo(terminal.text(terminal.table(plan_tables.cost_curve(curve, most_rows=25))))
        click.echo(terminal.text(findings.listed(found.findings)), nl=False)
    if not curve.holds:
        raise click.exceptions.Exit(1)
