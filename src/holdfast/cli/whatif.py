"""The flags that ask what a plan would be under other circumstances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import flags
from holdfast.cli.sections import option
from holdfast.model import quantities
from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.model.fleet import WeightPolicy

_SECTION = "What if"


@dataclass(frozen=True)
class Question:
    """What is asked about.

    without:        units, accelerators or families to leave out.
    policy:         how to share traffic out instead of as declared.
    rates_per_s:    the lowest and the highest demand to plan for; equal for a single one.
    budget_usd_per_h: to find the most load for.
    compare:        a plan file to hold the answer against.
    """

    without: tuple[str, ...]
    spot: bool
    policy: WeightPolicy | None
    rates_per_s: tuple[float, float] | None
    budget_usd_per_h: float | None
    compare: Path | None

    @property
    def asks_for_curve(self) -> bool:
        return self.rates_per_s is not None and self.rates_per_s[0] < self.rates_per_s[1]


def _rates(text: str) -> tuple[float, float]:
    """`10/s`, or from one rate to another: `1/s..100/s`."""
    from holdfast.planning import whatif

    low, dots, high = text.partition("..")
    rates = quantities.rate_per_s(low), quantities.rate_per_s(high if dots else low)
    if not all(whatif.LEAST_PER_S <= rate <= whatif.MOST_PER_S for rate in rates):
        raise ValueError(f"{text!r} is not between one request in ten days and ten million per second")
    if rates[0] > rates[1]:
        raise ValueError(f"{text!r} goes down; write the lower rate first")
    return rates


OPTIONS = (
    option(
        _SECTION,
        "--without",
        metavar="NAME",
        multiple=True,
        help="Leave out a unit, accelerator or family. Repeatable.",
    ),
    option(_SECTION, "--spot", is_flag=True, help="At spot prices, for units that the catalogue has one for."),
    option(
        _SECTION,
        "--weights",
        type=click.Choice(["merit-order", "inverse-cost", "capacity-optimized"]),
        help="Share traffic out by this policy, and compare it with the others.",
    ),
    option(
        _SECTION,
        "--rate",
        type=flags.Quantity("rate", _rates),
        metavar="RATE|LOW..HIGH",
        help="For this demand, as 10/s; or the cost curve, as 1/s..100/s.",
    ),
    option(
        _SECTION,
        "--budget",
        type=flags.Quantity("price", quantities.price_usd_per_h),
        metavar="PRICE",
        help="The most load that this holds, as 20$/h.",
    ),
    option(_SECTION, "--compare", type=flags.FILE, metavar="PLAN", help="Beside another plan.json, pool by pool."),
)


def question(
    *,
    without: tuple[str, ...],
    spot: bool,
    weights: str | None,
    rate: tuple[float, float] | None,
    budget: float | None,
    compare: Path | None,
) -> Question:
    """The question that the flags ask. Raises InputError where they contradict each other."""
    from holdfast.model.fleet import WeightPolicy

    asked = Question(without, spot, WeightPolicy(weights) if weights else None, rate, budget, compare)
    if rate is not None and budget is not None:
        raise InputError("give either --rate or --budget", mend="a budget finds its rate by itself")
    if asked.asks_for_curve and compare is not None:
        raise InputError("--compare takes one plan, and a range of rates has many", mend="give a single --rate")
    return asked
