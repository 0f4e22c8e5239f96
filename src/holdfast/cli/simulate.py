"""holdfast simulate"""

from __future__ import annotations

import difflib
from typing import Any

import click

from holdfast.cli import flags

DEFAULT_POLICIES = "merit-order,two-mode"


def _policies(text: str) -> tuple[str, ...]:
    from holdfast.control.policies import POLICIES

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in POLICIES:
            near = difflib.get_close_matches(name, POLICIES, n=1, cutoff=0.4)
            mend = f"did you mean {near[0]!r}" if near else f"known: {', '.join(POLICIES)}"
            raise ValueError(f"there is no policy {name!r}; {mend}")
    return names


def _requests_per_usd(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e12:
        raise ValueError(f"{text!r} is not a number of requests that a dollar is worth, from 0 to 1e12")
    return value


def _parameter(text: str) -> Any:
    from holdfast.simulation import parameters  # only here: it loads what documents are checked with

    return parameters.parse(text)


_POLICIES = flags.Quantity("policies", _policies)
_PARAMETER = flags.Quantity("KEY=VALUE[,VALUE...]", _parameter)
_REQUESTS_PER_USD = flags.Quantity("requests/USD", _requests_per_usd)


@click.command()
@click.argument("fleet", type=flags.THERE)
@click.option("--scenario", "scenarios", type=flags.THERE, multiple=True, required=True, help="May be repeated.")
@click.option(
    "--policy",
    "policies",
    type=_POLICIES,
    default=DEFAULT_POLICIES,
    show_default=True,
    help="Of merit-order, two-mode, round-robin, static; several with commas.",
)
@click.option(
    "--set",
    "varied",
    type=_PARAMETER,
    multiple=True,
    help="Values of a field of the scenario, or of the fleet's spec.routing, in turn. If repeated, all combinations.",
)
@click.option("--seed", type=click.IntRange(0, 2**62), default=1, show_default=True, help="The first seed.")
@click.option(
    "--seeds", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many seeds; >1 gives intervals."
)
@click.option("--measurements", "file", type=flags.FILE, help="A CSV of measurements to plan the fleet on.")
@click.option("--run", "runs", metavar="UNIT=DIR", multiple=True, help="A run: for the plan, and its load curve.")
@click.option(
    "--lambda",
    "requests_per_usd",
    type=_REQUESTS_PER_USD,
    help="Requests that a dollar is worth.  [default: half of what it buys on the dearest pool]",
)
@click.option("--out", type=flags.OUT, help="A folder for report.html, simulation.json and timelines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Processes to run in.  [default: one for each core]")
@click.option("--ray", "ray_address", metavar="ADDRESS", help="Run on this Ray cluster instead; `local` starts one.")
def simulate(**given: Any) -> None:
    """Run FLEET, a fleet.yaml or a plan.json, through scenarios of load and mishaps, request by request.

    \b
    holdfast simulate plan.json --scenario zone-loss.yaml --out simulated
    holdfast simulate fleet.yaml --measurements m.csv --scenario s.yaml \\
      --policy merit-order,two-mode,static --seeds 20
    holdfast simulate plan.json --scenario s.yaml \\
      --set spec.dataPlane.delay=5s,30s --set spec.routing.dwell=60s,120s

    A fleet is planned first. Exit code 1 when a decision broke an invariant that its policy promises (it is refused).
    """
    from holdfast.cli.work import simulate as work

    work.simulate(**given)
