"""Every example is read, is complete, and gives a plan that holds."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import catalog
from holdfast.model import codec
from holdfast.model.document import read_fleet
from holdfast.model.measurements import Measurement
from holdfast.model.plan import Plan, PlanStatus

ROOT = Path(__file__).parents[2]
MEASURED = ("sd21", "gpt-oss-20b-g5", "llama-3.1-8b")
Examples = Callable[[str], Any]


def published(marker: str) -> str:
    """The published document that contains the marker; skips where the documents are not at hand."""
    for path in sorted((ROOT.parent / "shared" / "seeds").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        if marker in text:
            return text
    pytest.skip("the published documents are not at hand")


@pytest.mark.parametrize(
    "folder", sorted(file.parent for file in (ROOT / "examples").glob("*/fleet.yaml")), ids=lambda path: path.name
)
def test_every_unit_names_an_instance_type_and_an_accelerator_of_the_catalogue(folder: Path) -> None:
    fleet = read_fleet((folder / "fleet.yaml").read_text(encoding="utf-8"), where=folder.name)

    for unit in fleet.spec.units:
        instance = catalog.instance_type(unit.instance_type)
        assert instance.accelerator == catalog.accelerator(unit.accelerator).name
        assert unit.devices_per_replica <= instance.devices


@pytest.mark.parametrize("name, rows", [("sd21", 5), ("gpt-oss-20b-g5", 24), ("llama-3.1-8b", 2)])
def test_every_row_says_where_it_is_from(example: Examples, name: str, rows: int) -> None:
    found = example(name)

    assert len(found.rows) == rows
    assert {row.unit for row in found.rows} == {unit.name for unit in found.fleet.spec.units}
    assert all(row.source and row.price_usd_per_h for row in found.rows)


@pytest.mark.parametrize("name", MEASURED)
def test_the_plan_is_feasible_certified_and_survives_json(example: Examples, name: str) -> None:
    plan = example(name).plan()

    assert plan.status is PlanStatus.FEASIBLE
    assert plan.gap == pytest.approx(0, abs=1e-6)
    assert sum(pool.weight for pool in plan.pools) == 100
    assert not [finding for finding in plan.findings if finding.check == "configuration"]
    assert codec.loads(Plan, codec.dumps(plan), where="plan.json") == plan


@pytest.mark.parametrize("name", MEASURED)
def test_the_plan_survives_the_loss_of_any_pool(example: Examples, name: str) -> None:
    plan = example(name).plan()

    for lost in plan.pools:
        rest = [pool for pool in plan.pools if pool is not lost]
        assert sum(pool.replicas * pool.limit_per_s for pool in rest) >= plan.demand_per_s


def test_stable_diffusion_is_planned_on_all_five_units_in_requests_per_second(example: Examples) -> None:
    plan = example("sd21").plan()

    assert plan.pool("inf2-neuronx").limit_per_s == pytest.approx(105 / 60)
    assert plan.pool("inf2-neuronx").usd_per_million_requests == pytest.approx(120.349, abs=1e-3)
    # At least what the sum of the limits asks for: 20/s at 80 %, and no more than half as much again for the insurance.
    assert 25 * 0.433 < plan.cost_usd_per_h < 25 * 1.006
    assert len(plan.pools) == 5


def test_at_the_published_bound_two_of_the_five_published_units_drop_out(example: Examples) -> None:
    plan = example("sd21").with_slo("avg<900ms").plan()

    assert [pool.unit for pool in plan.pools] == ["inf2-neuronx", "trn1-neuronx", "g5-triton"]
    assert {f.message for f in plan.findings if f.check == "left-out"} == {
        "Unit 'g6-triton' is left out of the plan: none of its 1 rows meets the SLO; "
        "the nearest: latency avg 0.96 s above 0.9 s.",
        "Unit 'g5-cuda' is left out of the plan: none of its 1 rows meets the SLO; "
        "the nearest: latency avg 0.92 s above 0.9 s.",
    }


def test_single_gpu_sizes_cannot_hold_the_low_latency_bound(example: Examples) -> None:
    plan = example("gpt-oss-20b-g5").plan()

    assert {pool.unit: pool.limit_per_s for pool in plan.pools} == {"g5-12xlarge": 9.25, "g5-48xlarge": 8.33}
    assert any(reason.startswith("g5-8xlarge, g5-16xlarge are left out") for reason in plan.reasons)


def test_at_ten_seconds_every_size_is_planned_at_its_published_peak(example: Examples) -> None:
    evidence = example("gpt-oss-20b-g5").with_slo("avg<10s").evidence()

    assert {known.unit: known.tokens_out_per_s for known in evidence} == {
        "g5-8xlarge": 961,
        "g5-12xlarge": 1910,
        "g5-16xlarge": 985,
        "g5-48xlarge": 1401,
    }


def test_llama_is_planned_by_the_pod_and_paid_by_the_instance(example: Examples) -> None:
    plan = example("llama-3.1-8b").plan()

    inf2 = plan.pool("inf2-bs8-tp8")
    assert (inf2.limit_per_s, inf2.price_usd_per_h) == (38.0, pytest.approx(12.9813 / 3))
    assert inf2.replicas % 3 == 0
    assert plan.cost_usd_per_h == pytest.approx(
        inf2.replicas / 3 * 12.9813 + plan.pool("a10g-bs8-tp4").replicas * 5.672
    )
    assert "taken on trust" in inf2.limit_source


def as_published(row: Measurement) -> tuple[str, ...]:
    return (
        str(row.concurrency),
        f"{row.rate_per_s:.2f}",
        f"{row.output_tokens_per_s:,.0f}",
        f"{row.latency_avg_s:.2f}s",
        f"{row.latency_p99_s:.2f}s",
    )


def test_the_24_rows_are_the_published_ones_digit_by_digit(example: Examples) -> None:
    text = published("# AWS EKS LLM Performance Test")
    found = {}
    for size, body in re.findall(r"#### G5\.(\w+) .*?\n(.*?)(?=\n###)", text, re.DOTALL):
        cells = [tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in body.splitlines()]
        found[f"g5-{size}"] = [line for line in cells if line[0].isdigit()]
    rows = example("gpt-oss-20b-g5").rows

    assert {unit: [as_published(row) for row in rows if row.unit == unit] for unit in found} == found


def test_the_stable_diffusion_rows_are_the_published_ones(example: Examples) -> None:
    text = published("Deployment unit cost of inference").replace("&nbsp;", " ")
    names = {"inf2, neuron": "inf2-neuronx", "trn1, neuron": "trn1-neuronx", "g5, triton": "g5-triton"}
    names |= {"g6, triton": "g6-triton", "g5, cuda": "g5-cuda"}
    cost = re.findall(r"\(sd21, (.*?)\) +\| (\S+) / \$([\d.]+) +\| (\d+) +\| ([\d.]+) ", text)
    latency = dict(re.findall(r"\(sd21, (.*?)\) +\| ([\d.]+) +\|", text))
    rows = {row.unit: row for row in example("sd21").rows}

    assert len(cost) == len(latency) == 5
    for name, instance, price, rate, printed in cost:
        row = rows[names[name]]
        assert (row.instance_type, row.price_usd_per_h) == (instance, float(price))
        assert row.rate_per_s == pytest.approx(float(rate) / 60)
        assert (row.cost_of_inference, row.latency_avg_s) == (float(printed), float(latency[name]))


def test_the_llama_rows_are_the_published_ones(example: Examples) -> None:
    text = published("## Data Parallel Scaling")
    lines = re.findall(r"\| `(\S+)` +\| (\d) × `(\S+)` *\| (\d+) +\| \$([\d.]+) ", text)
    rows = {row.unit: row for row in example("llama-3.1-8b").rows}

    assert len(lines) == 2
    for instance, replicas, unit, rate, price in lines:
        row = rows[unit]
        assert (row.instance_type, row.replicas, row.rate_per_s, row.price_usd_per_h) == (
            instance,
            int(replicas),
            float(rate),
            float(price),
        )
