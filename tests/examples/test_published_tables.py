"""The published derived figures, to the printed digit; where one is wrong, the right one (docs/published-errata.md)."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from holdfast import catalog
from holdfast.model.document import read_fleet
from holdfast.model.findings import Severity
from holdfast.model.fleet import CapacityType
from holdfast.model.measurements import read_measurements
from holdfast.model.tables import Table
from holdfast.planning import tables

Examples = Callable[[str], Any]


def printed(table: Table, name: str) -> dict[str, str]:
    """The cells of a column as people read them, by unit."""
    index = [column.name for column in table.columns].index(name)
    return {str(row[0]): table.text(n, index) for n, row in enumerate(table.rows)}


def test_cost_of_inference_of_stable_diffusion(example: Examples) -> None:
    found = printed(tables.cost(example("sd21").evidence()), "cost of inference")

    assert found == {
        "inf2-neuronx": "0.00722",  # printed 0.00733
        "trn1-neuronx": "0.01034",  # printed 0.01023
        "g5-triton": "0.01118",
        "g6-triton": "0.01319",  # printed 0.01320
        "g5-cuda": "0.01677",
    }


def test_exactly_the_wrong_costs_of_inference_are_found(example: Examples) -> None:
    found = {
        finding.message.split()[5]: finding.severity
        for finding in example("sd21").findings()
        if finding.check == "cost-of-inference"
    }

    assert found == {
        "inf2-neuronx": Severity.IMPOSSIBLE,
        "trn1-neuronx": Severity.IMPOSSIBLE,
        "g6-triton": Severity.NOTE,
    }


def test_adjusted_throughput_of_stable_diffusion(example: Examples) -> None:
    table = tables.adjusted_throughput(example("sd21").evidence())

    assert printed(table, "adjusted per minute") == {
        "inf2-neuronx": "89.2",
        "trn1-neuronx": "89.2",
        "g5-triton": "89.2",
        "g6-triton": "61.0",
        "g5-cuda": "60.0",
    }
    assert printed(table, "latency")["inf2-neuronx"] == "0.67"


def test_stable_diffusion_rates_fit_a_server_of_one_request_only_per_minute(example: Examples) -> None:
    in_flight = {row.unit: row.rate_per_s * row.latency_avg_s for row in example("sd21").rows}

    assert {unit: round(value, 2) for unit, value in in_flight.items()} == {
        "inf2-neuronx": 1.17,
        "trn1-neuronx": 1.1,
        "g5-triton": 1.02,
        "g6-triton": 0.98,
        "g5-cuda": 0.92,
    }


def test_peak_tokens_per_dollar_of_gpt_oss(example: Examples) -> None:
    table = tables.peak(example("gpt-oss-20b-g5").priced)

    assert printed(table, "peak") == {
        "g5-8xlarge": "961",
        "g5-12xlarge": "1,910",
        "g5-16xlarge": "985",
        "g5-48xlarge": "1,401",
    }
    assert table.column("concurrency") == (120, 120, 120, 80)
    assert printed(table, "per dollar") == {
        "g5-8xlarge": "392.6",
        "g5-12xlarge": "336.7",  # printed 336.8
        "g5-16xlarge": "226.3",
        "g5-48xlarge": "86.0",
    }


def test_low_latency_rows_of_gpt_oss_are_those_within_the_bound(example: Examples) -> None:
    table = tables.low_latency(example("gpt-oss-20b-g5").priced, "avg", 3.0)

    # The published table lists 5.23 s and 5.06 s under "< 3 s", and takes C10 of g5.48xlarge though C20 is within too.
    assert table.column("unit") == ("g5-12xlarge", "g5-48xlarge")
    assert table.column("concurrency") == (20, 20)
    assert printed(table, "per dollar") == {"g5-12xlarge": "210.3", "g5-48xlarge": "65.9"}  # printed 210.4 and 47.9
    assert "g5-8xlarge, g5-16xlarge" in table.notes[0]


@pytest.mark.parametrize(
    "unit, concurrency, per_dollar",
    [
        ("g5-8xlarge", 20, "183.0"),
        ("g5-12xlarge", 20, "210.3"),  # printed 210.4
        ("g5-16xlarge", 20, "104.1"),
        ("g5-48xlarge", 10, "47.9"),
    ],
)
def test_tokens_per_dollar_of_the_published_low_latency_rows(
    example: Examples, unit: str, concurrency: int, per_dollar: str
) -> None:
    row = example("gpt-oss-20b-g5").row(unit, concurrency)

    assert printed(tables.peak([row]), "per dollar") == {unit: per_dollar}


@pytest.mark.parametrize(
    "budget, unit, times, tokens, price",
    [
        (14.69, "g5-8xlarge", 6, "5,766", "14.69"),
        (17.14, "g5-8xlarge", 7, "6,727", "17.14"),
        (17.41, "g5-16xlarge", 4, "3,940", "17.41"),
        # What the price of one g5.48xlarge really buys: six and three, not the published seven and four.
        (16.288, "g5-8xlarge", 6, "5,766", "14.69"),
        (16.288, "g5-16xlarge", 3, "2,955", "13.06"),
    ],
)
def test_multi_instance_alternatives_of_gpt_oss(
    example: Examples, budget: float, unit: str, times: int, tokens: str, price: str
) -> None:
    table = tables.equal_budget(example("gpt-oss-20b-g5").priced, budget)

    assert dict(zip(table.column("unit"), table.column("times"), strict=True))[unit] == times
    assert printed(table, "throughput")[unit] == tokens
    assert printed(table, "price")[unit] == price


def test_data_parallel_scaling_of_llama(example: Examples) -> None:
    table = example("llama-3.1-8b").grid_tables["data_parallel"]
    gpu, inferentia = "g5.12xlarge bs8-tp4", "inf2.48xlarge bs8-tp8"

    assert printed(table, "replicas") == {gpu: "1", inferentia: "3"}
    assert printed(table, "throughput") == {gpu: "36.00", inferentia: "114.00"}
    assert printed(table, "price") == {gpu: "5.6720", inferentia: "12.9813"}
    assert printed(table, "RPS per $") == {gpu: "6.35", inferentia: "8.78"}
    assert printed(table, "throughput gain")[inferentia] == "3.17"
    assert printed(table, "cost increase")[inferentia] == "2.29"
    assert printed(table, "efficiency")[inferentia] == "1.38"
    # "All 4 GPUs used", "4 Neuron devices (8 cores)": nothing is left over on either.
    assert printed(table, "devices") == {gpu: "4", inferentia: "12"}
    assert printed(table, "idle devices") == {gpu: "0", inferentia: "0"}


def test_the_tp_rule_takes_the_size_that_the_low_latency_rows_of_gpt_oss_point_to(example: Examples) -> None:
    table = example("gpt-oss-20b-g5").grid_tables["grid"]

    assert printed(table, "verdict") == {
        "g5.8xlarge tp1": "latency avg 5.23 s above 3 s",
        "g5.16xlarge tp1": "latency avg 5.06 s above 3 s",
        "g5.12xlarge tp4": "chosen",
        "g5.48xlarge tp4": "meets the SLO",
    }
    assert printed(table, "replicas per instance")["g5.48xlarge tp4"] == "2"


def test_four_devices_of_gpt_oss_give_less_than_twice_one(example: Examples) -> None:
    table = example("gpt-oss-20b-g5").grid_tables["tp_scaling"]

    # 1,910 over 985 tokens/s.
    assert printed(table, "speed-up")["g5.12xlarge tp4"] == "1.94"
    assert printed(table, "efficiency")["g5.12xlarge tp4"] == "48.5"


def test_the_published_multiples_of_g5_48xlarge(example: Examples) -> None:
    found = example("gpt-oss-20b-g5")
    small, large = (
        found.row(unit, level).output_tokens_per_s for unit, level in (("g5-8xlarge", 120), ("g5-48xlarge", 80))
    )

    assert f"{7 * small / large:.1f}" == "4.8"
    assert f"{6 * small / large:.1f}" == "4.1"
    # "3.4x more expensive": by the hour 2.9, per token at low latency 4.4.
    fast, slow = found.row("g5-48xlarge", 10), found.row("g5-12xlarge", 20)
    assert f"{fast.price_usd_per_h / slow.price_usd_per_h:.1f}" == "2.9"
    per_token = [row.price_usd_per_h / row.output_tokens_per_s for row in (fast, slow)]
    assert f"{per_token[0] / per_token[1]:.1f}" == "4.4"


def test_the_autoscaling_target_of_inf2_leaves_headroom_where_the_published_one_leaves_none(example: Examples) -> None:
    pool = example("sd21").plan().pool("inf2-neuronx")
    (received,) = [target for target in pool.autoscaling.targets if target.name == "received"]

    # Published: targetMetricValue "105", the whole breaking point.
    assert (received.statistic, received.period_s, received.unit) == ("sum", 60, "requests/min")
    assert received.value == pytest.approx(0.8 * 105)


@pytest.mark.parametrize(
    "instance, devices, vcpus, memory_gib",
    [
        ("g5.8xlarge", 1, 32, 128),
        ("g5.12xlarge", 4, 48, 192),
        ("g5.16xlarge", 1, 64, 256),
        ("g5.48xlarge", 8, 192, 768),
    ],
)
def test_the_published_instance_specifications_are_those_of_the_catalogue(
    instance: str, devices: int, vcpus: int, memory_gib: float
) -> None:
    known = catalog.instance_type(instance)

    assert (known.devices, known.vcpus, known.memory_gib) == (devices, vcpus, memory_gib)
    # "24GB", "96GB", "192GB": the data sheet's figure, of which EC2 reports 22.35 GiB.
    assert catalog.accelerator(known.accelerator).memory_gib * 1.024**3 == pytest.approx(24, abs=0.01)


@pytest.mark.parametrize(
    "instances, printed_gb",
    [
        (("g5.xlarge", "g5.48xlarge"), (24, 192)),
        (("g6e.xlarge", "g6e.48xlarge"), (48, 384)),
        (("p4d.24xlarge",), (320,)),
        (("p5.48xlarge",), (640,)),
        (("p5e.48xlarge",), (1128,)),
    ],
)
def test_the_published_memory_totals_are_devices_times_data_sheet(
    instances: tuple[str, ...], printed_gb: tuple[int, ...]
) -> None:
    # EC2 reports the memory of A10G and L40S in GiB below the data sheet's round figure, 24 GB being 22.35 GiB.
    found = []
    for name in instances:
        known = catalog.instance_type(name)
        each = catalog.accelerator(known.accelerator).memory_gib
        found.append(known.devices * (each if each == int(each) else round(each * 1.024**3)))

    assert tuple(found) == printed_gb


def test_the_published_range_of_g5_prices_and_two_nodes_for_a_month() -> None:
    prices = [
        catalog.price(f"g5.{size}", "us-east-1", CapacityType.ON_DEMAND).price_usd_per_h
        for size in ("xlarge", "48xlarge")
    ]

    assert [f"{price:.2f}" for price in prices] == ["1.01", "16.29"]
    assert f"{2 * 98.32 * 720:,.0f}" == "141,581"


def test_rps_per_dollar_of_a_pod_is_that_of_its_instance(example: Examples) -> None:
    found = printed(tables.cost(example("llama-3.1-8b").evidence()), "RPS per $")

    assert found == {"inf2-bs8-tp8": "8.78", "a10g-bs8-tp4": "6.35"}


def test_rows_of_gpt_oss_that_break_littles_law_are_found(example: Examples) -> None:
    found = example("gpt-oss-20b-g5")
    by_line = {row.row: (row.unit, row.concurrency) for row in found.rows}
    breakers = {by_line[finding.row] for finding in found.findings() if finding.check == "littles-law"}

    assert breakers == {
        *(("g5-8xlarge", level) for level in (40, 80, 120, 200)),
        *(("g5-12xlarge", level) for level in (80, 120, 200)),
        *(("g5-16xlarge", level) for level in (40, 80, 120, 200)),
        *(("g5-48xlarge", level) for level in (120, 200)),
    }


def test_every_gpt_oss_size_counts_more_tokens_than_were_asked_for(example: Examples) -> None:
    rows = example("gpt-oss-20b-g5").rows
    per_request = [row.output_tokens_per_s / row.rate_per_s for row in rows]

    assert 121 < min(per_request) < max(per_request) < 131
    assert sum(finding.check == "token-count" for finding in example("gpt-oss-20b-g5").findings()) == 4


def test_tensor_parallelism_gains_two_to_three_times_at_the_lowest_levels_only(example: Examples) -> None:
    found = example("gpt-oss-20b-g5")
    gains = {
        level: found.row("g5-8xlarge", level).latency_avg_s / found.row("g5-12xlarge", level).latency_avg_s
        for level in (10, 20, 40, 80, 120, 200)
    }

    assert {level: round(gain, 2) for level, gain in gains.items()} == {
        10: 2.37,
        20: 2.47,
        40: 1.85,
        80: 1.61,
        120: 1.45,
        200: 1.88,
    }


def test_the_published_price_of_g5_16xlarge_is_that_of_another_family(example: Examples) -> None:
    row = example("gpt-oss-20b-g5").row("g5-16xlarge", 120)

    assert row.price_usd_per_h == 4.352
    assert catalog.price("g4dn.16xlarge", "us-east-1", CapacityType.ON_DEMAND).price_usd_per_h == 4.352
    assert catalog.price("g5.16xlarge", "us-east-1", CapacityType.ON_DEMAND).price_usd_per_h == 4.096


@pytest.mark.parametrize("unit", ["g5-8xlarge", "g5-12xlarge", "g5-48xlarge"])
def test_the_other_published_g5_prices_are_those_of_the_catalogue(example: Examples, unit: str) -> None:
    found = example("gpt-oss-20b-g5")
    listed = catalog.price(found.fleet.unit(unit).instance_type, "us-east-1", CapacityType.ON_DEMAND)

    assert found.row(unit, 10).price_usd_per_h == listed.price_usd_per_h


def test_the_published_test_parameters_are_neither_the_scripts_nor_the_measured(example: Examples) -> None:
    printed_prompts = {20: 100, 40: 200, 80: 400, 120: 600, 200: 1000}
    by_script = {level: 100 * level // 10 for level in printed_prompts}
    rate_per_s = {row.concurrency: row.rate_per_s for row in example("gpt-oss-20b-g5").rows if row.unit == "g5-8xlarge"}

    assert by_script == {level: 2 * prompts for level, prompts in printed_prompts.items()}
    assert 10 in rate_per_s and 10 not in printed_prompts
    # "~2-3 minutes", "~10-12 minutes".
    assert f"{printed_prompts[20] / rate_per_s[20]:.0f} s" == "28 s"
    assert f"{printed_prompts[200] / rate_per_s[200] / 60:.1f} min" == "2.6 min"


def test_the_published_configurations_of_qwen_are_the_units_of_the_example() -> None:
    folder = Path(__file__).parents[2] / "examples" / "qwen3-0.6b-trn2"
    fleet = read_fleet((folder / "fleet.yaml").read_text(encoding="utf-8"), where="fleet.yaml")

    assert {unit.name: unit.tensor_parallel for unit in fleet.spec.units} == {
        "qwen-tp1": 1,
        "qwen-tp2": 2,
        "qwen-tp4": 4,
    }


SEEDS = Path(__file__).parents[3] / "shared" / "seeds"


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the published documents are not beside the repository")
def test_the_measurement_files_hold_what_is_printed(
    example: Examples, record_property: Callable[[str, int], None]
) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("*.txt")))
    checked = 0
    for row in example("gpt-oss-20b-g5").rows:
        section = text.split(f"#### G5.{row.unit.removeprefix('g5-')} (")[1].split("#### ")[0]
        (line,) = [line for line in section.splitlines() if line.startswith(f"| {row.concurrency} ")]
        figures = [float(cell.strip().rstrip("s").replace(",", "")) for cell in line.strip("|").split("|")]
        assert figures == [
            row.concurrency, row.rate_per_s, row.output_tokens_per_s, row.latency_avg_s, row.latency_p99_s
        ]  # fmt: skip
        checked += 1
    for row in example("sd21").rows:
        device, framework = row.unit.replace("neuronx", "neuron").split("-")
        line = next(line for line in text.splitlines() if line.startswith(f"| (sd21, {device}, {framework})"))
        figures = [float(cell.split("$")[-1]) for cell in line.strip("|").split("|")[1:]]
        assert figures == [row.price_usd_per_h, pytest.approx(row.rate_per_s * 60), row.cost_of_inference]
        checked += 1
    for row in example("llama-3.1-8b").rows:
        (line,) = [line for line in text.splitlines() if f"× `{row.unit}`" in line]
        figures = [float(cell.split("×")[0].strip().lstrip("$")) for cell in line.strip("|").split("|")[1:4]]
        assert figures == [row.replicas, row.rate_per_s, row.price_usd_per_h]
        checked += 1
    record_property("rows checked", checked)
    assert checked == 24 + 5 + 2


def published() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("*.txt"))).replace("&nbsp;", " ")


def table_after(text: str, heading: str) -> list[list[str]]:
    """The rows below the header of the first table behind the heading."""
    lines = text.split(heading, 1)[1].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the published documents are not beside the repository")
def test_the_second_table_of_stable_diffusion_is_that_of_the_example(
    example: Examples, record_property: Callable[[str, int], None]
) -> None:
    rows = table_after(published(), "\\text{Max Throughput}_i)$$")
    adjusted = printed(tables.adjusted_throughput(example("sd21").evidence()), "adjusted per minute")
    for unit, latency, rate, cost, share in rows:
        _, device, framework = unit.strip("()").split(", ")
        row = example("sd21").row(f"{device}-{framework.replace('neuron', 'neuronx')}")
        assert [float(latency), float(cost)] == [row.latency_avg_s, row.cost_of_inference]
        assert float(rate) == pytest.approx(row.rate_per_s * 60)
        assert share == adjusted[row.unit]
    record_property("cells checked", 4 * len(rows))
    assert len(rows) == 5


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the published documents are not beside the repository")
@pytest.mark.parametrize(
    "heading, file",
    [("#### Peak Throughput Comparison", "peak.csv"), ("#### Low Latency Comparison", "low-latency.csv")],
)
def test_the_derived_tables_of_gpt_oss_are_those_of_the_examples(heading: str, file: str) -> None:
    place = Path(__file__).parents[2] / "examples" / "gpt-oss-20b-g5" / file
    rows = {row.instance_type: row for row in read_measurements(place.read_text(encoding="utf-8"), where=file)}
    for cells in table_after(published(), heading):
        row = rows.pop(cells[0].lower())
        figures = [float(cell.split(" (")[0].replace(",", "").lstrip("$")) for cell in cells[1:4] if "@" not in cell]
        if file == "low-latency.csv":
            latency, level = cells[1].split("s @ C")
            assert [float(latency), int(level)] == [row.latency_avg_s, row.concurrency]
            figures.append(float(cells[4]))
        else:
            assert cells[1].endswith(f"(C{row.concurrency})")
        assert figures == [row.output_tokens_per_s, row.price_usd_per_h, row.output_tokens_per_s_per_usd_per_h]
    assert not rows


def listed_tables() -> list[list[str]]:
    """The cells of the list of all published tables."""
    page = (Path(__file__).parents[2] / "docs" / "published-errata.md").read_text(encoding="utf-8")
    lines = page.split("## Every published table")[1].splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| published", "| ---"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the published documents are not beside the repository")
def test_every_published_table_is_on_the_list() -> None:
    lines = published().splitlines()
    headers = [above for above, line in pairwise(lines) if set(line.strip()) <= set("|- ") and line.startswith("|-")]
    headers += [above for above, line in pairwise(lines) if line.startswith("| --")]
    columns = [", ".join(cell.strip(" *\\") for cell in line.strip("|").split("|")) for line in headers]

    assert sorted(columns) == sorted(row[1].strip("`") for row in listed_tables())
    assert len(columns) == 17


def test_each_table_names_a_test_that_there_is_or_says_why_not() -> None:
    root = Path(__file__).parents[1]
    defined = "".join(
        (root / place).read_text(encoding="utf-8")
        for place in ("examples/test_published_tables.py", "planning/test_advice.py")
    )
    for name, _, by, _ in listed_tables():
        named = re.findall(r"`(test_\w+)`", by)
        assert named or by.startswith(("the same", "nothing: ")), name
        assert all(f"def {test}(" in defined for test in named), name


def test_every_erratum_that_a_test_pins_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "published-errata.md").read_text(encoding="utf-8")

    for figure in (
        "0.00722",
        "0.01034",
        "0.01319",
        "336.7",
        "210.3",
        "65.9",
        "4.80",
        "48.5",
        "**17**",
        "**84**",
        "4.096",
        "2.37",
        "0.92",
    ):
        assert figure in page
