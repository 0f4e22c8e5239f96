"""What if: the flags of `holdfast plan`, in process on the published Stable Diffusion units."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.plan import plan
from holdfast.model import codec
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

SD21 = Path(__file__).parents[2] / "examples" / "sd21"
GPT_OSS = Path(__file__).parents[2] / "examples" / "gpt-oss-20b-g5"


def asked(*flags: str, example: Path = SD21) -> Result:
    arguments = [str(example / "fleet.yaml"), "--measurements", str(example / "measurements.csv"), *flags]
    return CliRunner().invoke(plan, arguments, standalone_mode=False)


def answer(*flags: str) -> Any:
    result = asked(*flags, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.output)


def code(result: Result) -> int:
    """Without its standalone mode click hands back the code of an Exit."""
    assert result.exception is None, result.exception
    return int(result.return_value or 0)


def test_without_an_accelerator_its_units_are_gone_and_nobody_speaks_of_them() -> None:
    found = answer("--without", "inferentia2", "--without", "g5-cuda")

    assert [pool["unit"] for pool in found["pools"]] == ["trn1-neuronx", "g5-triton", "g6-triton"]
    assert found["cost_usd_per_h"] > answer()["cost_usd_per_h"]
    assert not any("inf2" in finding["message"] or finding["check"] == "left-out" for finding in found["findings"])


def test_on_spot_the_plan_is_cheaper_and_says_whose_price_is_what() -> None:
    found = answer("--spot")

    messages = [finding["message"] for finding in found["findings"] if finding["check"] == "spot-price"]
    assert found["cost_usd_per_h"] < answer()["cost_usd_per_h"]
    assert messages[0].startswith("Spot prices are of one moment") and "g5-triton 0.5445 USD/h" in messages[0]
    assert messages[1].endswith("inf2-neuronx (inf2.xlarge), trn1-neuronx (trn1.2xlarge), g6-triton (g6.xlarge).")
    assert any(finding["check"] == "price-age" for finding in found["findings"])


def test_old_prices_and_explanations_are_told_in_the_text_and_on_the_page(tmp_path: Path) -> None:
    text = asked("--spot", "--html", str(tmp_path / "plan.html")).output
    page = (tmp_path / "plan.html").read_text()

    # The package's spot prices have no date; what is printed wrong has its likeliest explanation.
    for shown in (text, page):
        flat = " ".join(shown.split())
        assert "The catalogue&#39;s prices of g5-triton, g5-cuda are of no known date" in flat.replace("'s", "&#39;s")
        assert "Likely: " in flat


def test_a_budget_gives_its_most_load_and_the_plan_for_it(tmp_path: Path) -> None:
    found = answer("--budget", "20$/h", "--out", str(tmp_path / "plan.json"))

    assert found["cost_usd_per_h"] <= 20
    assert found["demand_per_s"] == found["budget"]["rate_per_s"] == pytest.approx(22.78, rel=2e-3)
    assert (found["budget"]["holds"], found["budget"]["precision"]) == (True, 0.001)
    assert found["budget"]["binds"].startswith("The budget binds")
    written = codec.loads(Plan, (tmp_path / "plan.json").read_text(), where="plan.json")
    assert written.demand_per_s == found["demand_per_s"]


def test_a_budget_that_holds_nothing_is_an_answer_with_exit_code_1(tmp_path: Path) -> None:
    result = asked("--budget", "1$/h", "--json", "--out", str(tmp_path / "plan.json"))

    found = json.loads(result.output)
    assert code(result) == 1
    assert (found["status"], found["pools"], found["budget"]["rate_per_s"]) == ("infeasible", [], 0.0)
    assert not (tmp_path / "plan.json").exists()
    assert "1 USD/h holds no load at all" in asked("--budget", "1$/h").output


def test_one_rate_takes_the_place_of_the_demand() -> None:
    assert answer("--rate", "300/min")["demand_per_s"] == 5.0


def test_a_range_of_rates_is_a_cost_curve_as_table_page_and_json(tmp_path: Path) -> None:
    result = asked("--rate", "1/s..20/s", "--out", str(tmp_path / "cost.html"))

    assert code(result) == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert re.search(r"^ +20 +17\.62 +244\.68 ", result.output, re.M)
    page = (tmp_path / "cost.html").read_text()
    assert "Cost against demand" in page and "inf2-neuronx" in page
    points = answer("--rate", "1/s..20/s")["points"]
    assert (points[0]["rate_per_s"], points[-1]["rate_per_s"]) == (1, 20)
    assert points[-1]["cost_usd_per_h"] == pytest.approx(17.6166)
    assert points[-1]["cost_usd_per_h"] == pytest.approx(sum(pool["usd_per_h"] for pool in points[-1]["pools"]))


def test_a_cost_curve_beyond_the_capacity_says_where_it_ends_with_exit_code_1() -> None:
    result = asked("--rate", "100/s..200/s")

    assert code(result) == 1
    assert "Where there is no cost, no plan holds." in result.output
    assert "raise maxReplicas of" in result.output


def test_weights_of_another_policy_are_used_and_compared(tmp_path: Path) -> None:
    found = answer("--weights", "inverse-cost", "--out", str(tmp_path / "plan.json"))

    table = found["tables"]["weights"]
    assert [column["name"] for column in table["columns"]] == [
        "unit", "merit-order", "inverse-cost", "capacity-optimized"
    ]  # fmt: skip
    assert sum(pool["weight"] for pool in found["pools"]) == 100
    assert any(reason.startswith("Weights by inverse cost per request") for reason in found["reasons"])
    written = codec.loads(Plan, (tmp_path / "plan.json").read_text(), where="plan.json")
    assert written.fleet.spec.routing.weights.value == "inverse-cost"
    assert "weights" not in written.tables


def test_a_plan_is_compared_with_a_file(tmp_path: Path) -> None:
    asked("--out", str(tmp_path / "plan.json"))

    result = asked("--without", "g5-cuda", "--compare", str(tmp_path / "plan.json"))

    assert code(result) == 0
    assert "This plan and " in result.output
    row = next(line for line in result.output.splitlines() if re.match(r"g5-cuda +–", line))
    assert row.split()[1:5] == ["–", "1", "–", "1"]


def test_a_page_can_be_had_beside_the_plan(tmp_path: Path) -> None:
    assert code(asked("--out", str(tmp_path / "plan.json"), "--html", str(tmp_path / "plan.html"))) == 0

    assert "A fleet for" in (tmp_path / "plan.html").read_text()
    assert json.loads((tmp_path / "plan.json").read_text())["version"] == 1


@pytest.mark.parametrize(
    "flags",
    [(), ("--spot", "--weights", "capacity-optimized"), ("--budget", "30 USD/h"), ("--rate", "0.1/s..3/s")],
)
@pytest.mark.parametrize("example", [SD21, GPT_OSS], ids=["sd21", "gpt-oss"])
def test_every_answer_fits_eighty_columns(example: Path, flags: tuple[str, ...]) -> None:
    result = asked(*flags, example=example)

    assert result.exception is None, result.exception
    assert max(map(len, result.output.splitlines())) <= 80


def test_the_grid_and_its_choice_are_shown() -> None:
    output = " ".join(asked(example=GPT_OSS).output.split())

    assert "TP 4 is the smallest that fits and meets the SLO (TP 1: latency avg 5.06 s above 3 s at best)." in output
    assert "g5.12xlarge tp4 gives the most per dollar: 1.631 requests/s per USD/h, against 1.023" in output


def test_without_measurements_the_plan_is_of_estimates_and_says_so(tmp_path: Path) -> None:
    arguments = [str(GPT_OSS / "fleet.yaml"), "--out", str(tmp_path / "plan.json"), "--json"]

    result = CliRunner().invoke(plan, arguments, standalone_mode=False)

    found = json.loads(result.output)
    assert (found["status"], len(found["pools"])) == ("feasible", 4)
    assert "estimated" in {finding["check"] for finding in found["findings"]}
    assert {"grid", "tp_scaling"} <= set(found["tables"])
    made = codec.loads(Plan, (tmp_path / "plan.json").read_text(), where="plan.json")
    assert all(pool.limit_source.startswith("an estimate, not measured: ") for pool in made.pools)
    assert all(pool["estimate_error"] > 0 and "(an estimate; " in pool["reason"] for pool in found["pools"])
    assert any(reason.startswith("Every limit here is an estimate") for reason in found["reasons"])
    shown = CliRunner().invoke(plan, arguments[:1], standalone_mode=False).output
    assert "; by estimates alone" in shown.splitlines()[0] and "estimate ±24%" in shown


def test_estimates_fill_in_for_units_without_rows_and_are_marked(tmp_path: Path) -> None:
    rows = (GPT_OSS / "measurements.csv").read_text().splitlines(keepends=True)
    (tmp_path / "some.csv").write_text("".join(row for row in rows if not row.startswith("g5-8xlarge")))
    arguments = [str(GPT_OSS / "fleet.yaml"), "--measurements", str(tmp_path / "some.csv"), "--json"]

    def pools(*flags: str) -> dict[str, bool]:
        result = CliRunner().invoke(plan, [*arguments, *flags], standalone_mode=False)
        return {pool["unit"]: pool["estimate_error"] is not None for pool in json.loads(result.output)["pools"]}

    # g5-16xlarge has rows, none of which meets the SLO: that is a measurement, and no estimate takes its place.
    assert pools() == {"g5-8xlarge": True, "g5-12xlarge": False, "g5-48xlarge": False}
    assert pools("--measured-only") == {"g5-12xlarge": False, "g5-48xlarge": False}


def test_a_model_that_nobody_knows_cannot_be_estimated(tmp_path: Path) -> None:
    text = (GPT_OSS / "fleet.yaml").read_text().replace("openai/gpt-oss-20b", "openai/gpt-oss-21b")
    (tmp_path / "fleet.yaml").write_text(text)

    result = CliRunner().invoke(plan, [str(tmp_path / "fleet.yaml")], standalone_mode=False)

    assert isinstance(result.exception, InputError)
    assert "'openai/gpt-oss-21b' is neither a built-in model nor a path" in str(result.exception)


def test_beside_measurements_units_of_a_model_that_nobody_knows_are_left_out_with_the_reason(tmp_path: Path) -> None:
    text = (GPT_OSS / "fleet.yaml").read_text().replace("openai/gpt-oss-20b", "openai/gpt-oss-21b")
    rows = (GPT_OSS / "measurements.csv").read_text().splitlines(keepends=True)
    (tmp_path / "fleet.yaml").write_text(text)
    (tmp_path / "some.csv").write_text("".join(row for row in rows if not row.startswith("g5-8xlarge")))
    arguments = [str(tmp_path / "fleet.yaml"), "--measurements", str(tmp_path / "some.csv"), "--json"]

    found = json.loads(CliRunner().invoke(plan, arguments, standalone_mode=False).output)

    (message,) = [f["message"] for f in found["findings"] if "'g5-8xlarge' is left out" in f["message"]]
    assert found["status"] == "feasible"
    assert "nothing was measured of it, and 'openai/gpt-oss-21b' is neither a built-in model nor a path" in message


LEFT_OPEN = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: llama}
spec:
  model: {id: meta-llama/Llama-3.1-8B}
  workload: {api: completions, inputTokens: {mean: 500}, outputTokens: {mean: 100}}
  slo: {latency: {p95: 6s}}
  demand: {rate: 2/s}
  units:
    - {name: quad, accelerator: a10g, instanceType: g5.12xlarge, framework: vllm,
       tensorParallel: auto, maxNumSeqs: auto}
    - {name: eight, accelerator: a10g, instanceType: g5.48xlarge, framework: vllm, tensorParallel: 8}
"""


def planned_of(fleet: str, tmp_path: Path, rows: str = "") -> Plan:
    (tmp_path / "fleet.yaml").write_text(fleet)
    arguments = [str(tmp_path / "fleet.yaml"), "--out", str(tmp_path / "plan.json")]
    if rows:
        (tmp_path / "rows.csv").write_text(rows)
        arguments += ["--measurements", str(tmp_path / "rows.csv")]
    result = CliRunner().invoke(plan, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    return codec.loads(Plan, (tmp_path / "plan.json").read_text(), where="plan.json")


def test_what_a_unit_leaves_to_the_plan_is_a_number_in_its_fleet(tmp_path: Path) -> None:
    made = planned_of(LEFT_OPEN, tmp_path)

    assert (made.fleet.unit("quad").tensor_parallel, made.fleet.unit("quad").max_num_seqs) == (1, 16)
    (settled,) = [one.message for one in made.findings if "leaves tensorParallel and maxNumSeqs" in one.message]
    assert "which takes tensorParallel 1, maxNumSeqs 16" in settled
    assert "chosen for quad" in made.tables["grid"].column("verdict")
    assert any("'eight' is planned with tensorParallel 8; the TP rule takes" in one.message for one in made.findings)


def test_measurements_settle_what_is_left_to_the_plan_before_estimates_do(tmp_path: Path) -> None:
    rows = """unit,tensor_parallel,max_num_seqs,rate_per_s,latency_p95_s
quad,1,8,1,7
quad,2,8,2,5
quad,2,16,3,5.5
quad,4,8,4,4
"""

    made = planned_of(LEFT_OPEN, tmp_path, rows)

    quad = made.fleet.unit("quad")
    assert (quad.tensor_parallel, quad.max_num_seqs, made.pool("quad").limit_per_s) == (2, 16, 3)
    assert made.pool("quad").limit_source.startswith(f"{tmp_path / 'rows.csv'}:4: latency p95 5.5 s within 6 s")
    assert (made.pool("quad").estimate_error, made.pool("eight").estimate_error is None) == (None, False)


def test_a_run_cannot_settle_what_is_left_to_the_plan(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(LEFT_OPEN)
    result = CliRunner().invoke(plan, [str(tmp_path / "fleet.yaml"), "--run", "quad=somewhere"], standalone_mode=False)

    assert "unit 'quad' leaves maxNumSeqs and tensorParallel to the plan, and a run does not" in str(result.exception)


def test_measured_only_without_measurements_is_refused() -> None:
    result = CliRunner().invoke(plan, [str(GPT_OSS / "fleet.yaml"), "--measured-only"], standalone_mode=False)

    assert str(result.exception) == "--measured-only leaves nothing to plan with; give --measurements or --run."


def test_where_every_unit_lacks_a_price_that_is_asked_for(tmp_path: Path) -> None:
    example = SD21.parent / "qwen3-0.6b-trn2" / "fleet.yaml"
    result = CliRunner().invoke(plan, [str(example)], standalone_mode=False)

    assert str(result.exception).startswith("spec.units.qwen-tp1: unit 'qwen-tp1' has no price")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--without", "inf3"), ("--without:", "'inf3'", "inf2")),
        (("--without", ""), ("--without:", "''")),
        (("--without", "inf2", "--without", "trn1", "--without", "a10g", "--without", "l4"), ("no unit is left",)),
        (("--budget", "20"), ("--budget:", "has no unit", "$1.006/h")),
        (("--budget", "0$/h"), ("--budget:", "is not above 0")),
        (("--budget", "-5$/h"), ("--budget:", "is not a price")),
        (("--budget", "nan$/h"), ("--budget:", "is not a price")),
        (("--budget", "20$/d"), ("--budget:", "not a unit of a price")),
        (("--rate", "5"), ("--rate:", "has no unit")),
        (("--rate", "0/s"), ("--rate:", "not between one request in ten days")),
        (("--rate", "0/s..5/s"), ("--rate:", "not between one request in ten days")),
        (("--rate", "9/s..1/s"), ("--rate:", "goes down")),
        (("--rate", "1/s..1e9/s"), ("--rate:", "ten million per second")),
        (("--rate", "nan/s"), ("--rate:", "is not a rate")),
        (("--rate", "1/s.."), ("--rate:", "is not a rate")),
        (("--rate", "..5/s"), ("--rate:", "is not a rate")),
        (("--rate", "5/s", "--budget", "20$/h"), ("give either --rate or --budget",)),
        (("--rate", "1/s..5/s", "--compare", "plan.json"), ("--compare takes one plan",)),
        (("--compare", "nowhere.json"), ("nowhere.json: the file cannot be read",)),
        (("--compare", str(SD21)), ("Is a directory",)),
        (("--compare", str(SD21 / "fleet.yaml")), ("fleet.yaml", "cannot be read as part of a Plan")),
        (("--run", "g5-cuda=x"), ("give either --measurements or --run",)),
        (("--out", "/proc/nowhere/x.html"), ("cannot write results",)),
    ],
)
def test_nonsense_is_one_sentence(flags: tuple[str, ...], words: tuple[str, ...]) -> None:
    result = asked(*flags)

    assert isinstance(result.exception, InputError), result.output
    sentence = str(result.exception)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence


def test_a_policy_that_does_not_exist_is_told_the_known_ones() -> None:
    result = asked("--weights", "best")

    assert "'merit-order', 'inverse-cost', 'capacity-optimized'" in str(result.exception)
