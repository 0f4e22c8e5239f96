"""holdfast report"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import flags
from holdfast.model import quantities

if TYPE_CHECKING:
    from holdfast.limits.conditions import Condition


def _confidence(text: str) -> float:
    share = quantities.share(text)
    if not 0.5 <= share <= 0.999:
        raise ValueError(f"{text!r} is not a confidence; give one from 50% to 99.9%")
    return share


def _condition(text: str) -> Condition:
    from holdfast.limits.conditions import Condition

    return Condition.parse(text)


@click.command()
@click.argument("paths", metavar="PATH...", type=flags.FILE, nargs=-1, required=True)
@click.option("--out", type=flags.OUT, help="The page.  [default: report.html; none with --compare]")
@click.option("--compare", is_flag=True, help="Hold the second of two run directories against the first.")
@click.option("--json", "as_json", is_flag=True, help="With --compare: print one JSON document instead of text.")
@click.option("--markdown", "as_markdown", is_flag=True, help="With --compare: print Markdown for a pull request.")
@click.option(
    "--fail-if",
    type=flags.Quantity("condition", _condition),
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
def report(paths: tuple[Path, ...], compare: bool, **given: Any) -> None:
    """Write one self-contained page of PATH: a run directory, a plan.json, the folder of a simulation or a
    timeline.parquet. Or compare two run directories.

    \b
    holdfast report holdfast-runs/limit-20261121-120000 --out limit.html
    holdfast report runs/main runs/change --compare --fail-if 'p95 > +5%'
    """
    for path in paths:
        (flags.RUN if compare else flags.THERE).check(path)
    from holdfast.cli.work import report as work

    work.report(paths, compare=compare, **given)
