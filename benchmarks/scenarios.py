"""Every scenario of examples/scenarios under every policy, with and without a reserve: the tables of docs/simulate.md.

    python benchmarks/scenarios.py [--seeds N] [--into docs/simulate.md]

Runs `holdfast simulate` as a user does, on examples/sd21/wave.yaml as it is (`survive: none`) and, under merit order,
planned to survive the loss of any one pool. Each figure is the mean over the seeds; requests lost are those that failed
and those that were refused.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FLEET = ROOT / "examples" / "sd21" / "wave.yaml"
MEASURED = ROOT / "examples" / "sd21" / "measurements.csv"
PUBLISHED = ("l4-supply-limit", "inf2-insufficient")
BEGIN, END = "<!-- scenarios: begin -->\n", "<!-- scenarios: end -->"
POLICIES = ("merit-order", "two-mode", "round-robin")


def simulated(fleet: Path, scenarios: list[Path], policies: tuple[str, ...], seeds: int) -> dict[str, dict[str, Any]]:
    """By scenario: by policy what `holdfast simulate --json` says of it."""
    command = [sys.executable, "-m", "holdfast", "simulate", str(fleet), "--measurements", str(MEASURED), "--json"]
    command += ["--policy", ",".join(policies), "--seeds", str(seeds)]
    for scenario in scenarios:
        command += ["--scenario", str(scenario)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")
    whole = json.loads(done.stdout)
    return {each["scenario"]: each["policies"] for each in whole.get("simulations", [whole])}


def seconds(value: float | None) -> str:
    return "not by the end" if value is None else f"{value:.0f}"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def lost(of: dict[str, Any]) -> float:
    return float(of["failed"] + of["refused"])


def published(found: dict[str, dict[str, Any]]) -> list[str]:
    """The table of the published experiments."""
    heads = ["scenario", "policy", "cost [USD]", "requests lost", "SLO minutes lost", "mode switches", "p95 [s]"]
    heads += ["served again [s]", "within SLO again [s]", "of optimum"]
    lines = [row(heads), row(["---"] * len(heads))]
    for name in PUBLISHED:
        for policy, of in found[name].items():
            share = of["share_of_optimum"]
            lines.append(
                row(
                    [
                        f"`{name}`" if policy == POLICIES[0] else "",
                        policy,
                        f"{of['cost_usd']:.0f}",
                        f"{lost(of):,.0f} of {of['offered']:,.0f}",
                        f"{of['slo_minutes_lost']:.4g}",
                        f"{of['switches']:.4g}",
                        f"{of['latency_p95_s']:.3g}",
                        seconds(of["restored_s"]),
                        seconds(of["recovery_s"]),
                        "–" if share is None else f"{share:.1%}",
                    ]
                )
            )
    return lines


def others(plain: dict[str, dict[str, Any]], reserve: dict[str, dict[str, Any]]) -> list[str]:
    """The table of all other scenarios: cost, requests lost, SLO minutes lost."""

    def cell(of: dict[str, Any]) -> str:
        return f"{of['cost_usd']:.0f} USD, {lost(of):,.0f} lost, {of['slo_minutes_lost']:.3g} min"

    heads = ["scenario", "merit-order", "merit-order with a reserve", "two-mode"]
    lines = [row(heads), row(["---"] * len(heads))]
    for name in plain:
        if name not in PUBLISHED:
            of = plain[name]
            lines.append(
                row([f"`{name}`", cell(of["merit-order"]), cell(reserve[name]["merit-order"]), cell(of["two-mode"])])
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--into", type=Path)
    asked = parser.parse_args()
    paths = sorted((ROOT / "examples" / "scenarios").glob("*.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        safe = Path(folder) / "wave-with-a-reserve.yaml"
        text, changed = re.subn(r"survive: none\}", "survive: one-pool}", FLEET.read_text("utf-8"))
        assert changed == 1, "examples/sd21/wave.yaml no longer ends a line of capacity with survive: none"
        safe.write_text(text, "utf-8")
        plain = simulated(FLEET, paths, POLICIES, asked.seeds)
        reserve = simulated(safe, paths, POLICIES[:1], asked.seeds)
    insured = {name: reserve[name]["merit-order"] for name in PUBLISHED}
    lines = [
        f"Means over {asked.seeds} seeds, by `python benchmarks/scenarios.py --seeds {asked.seeds}`.",
        "",
        *published(plain),
        "",
        "With `survive: one-pool` merit order costs "
        + " and ".join(f"{of['cost_usd']:.0f} USD in `{name}`" for name, of in insured.items())
        + ", and loses "
        + " and ".join(f"{lost(of):,.0f} requests and {of['slo_minutes_lost']:.3g} minutes" for of in insured.values())
        + ".",
        "",
        "The other scenarios: cost, requests lost, and SLO minutes lost.",
        "",
        *others(plain, reserve),
        "",
    ]
    if asked.into is None:
        print("\n".join(lines))
        return
    page = asked.into.read_text("utf-8")
    before, rest = page.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    asked.into.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
