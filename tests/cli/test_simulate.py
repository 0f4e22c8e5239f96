"""`holdfast simulate`: the contract of its JSON, its tables and files, and what it says of nonsense."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import holdfast
from holdfast.cli.report import report
from holdfast.cli.simulate import simulate
from holdfast.control.policies import MERIT_ORDER, POLICIES
from holdfast.load import timelines
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError
from holdfast.model.stages import Arrivals, ClientHealth, Level, LoadCurve, Stage, Summary
from holdfast.simulation import kernel
from simulation.small_fleets import LOSS, plan, scenario_text

SD21 = Path(__file__).parents[2] / "examples" / "sd21"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_text(codec.dumps(plan()))
    (tmp_path / "lost.yaml").write_text(scenario_text("16min", "lost", events=[LOSS]))
    (tmp_path / "calm.yaml").write_text(scenario_text("4min", "calm"))
    return tmp_path


def asked(folder: Path, *arguments: str, scenario: str = "lost.yaml", fleet: str = "plan.json") -> Result:
    given = [str(folder / fleet), "--scenario", str(folder / scenario), "--workers", "1", *arguments]
    return CliRunner().invoke(simulate, given, standalone_mode=False)


def answer(folder: Path, *arguments: str) -> Any:
    result = asked(folder, *arguments, "--json")
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def refusal(result: Result) -> str:
    assert isinstance(result.exception, InputError), result.exception
    return str(result.exception)


def test_the_json_has_the_contract_s_figures_for_each_policy(folder: Path) -> None:
    found = answer(folder)
    assert list(found["policies"]) == ["merit-order", "two-mode"]
    for figures in found["policies"].values():
        assert {
            "cost_usd", "offered", "served", "failed", "late", "latency_p95_s", "switches", "recovery_s",
            "share_of_optimum",
        } <= set(figures)  # fmt: skip
        assert figures["offered"] == sum(figures[part] for part in ("served", "failed", "refused", "unfinished"))
        assert figures["share_of_optimum"] < 1
        assert figures["objective"] == pytest.approx(figures["share_of_optimum"] * found["optimum"]["objective"])


def test_several_seeds_give_means_within_their_intervals(folder: Path) -> None:
    found = answer(folder, "--policy", "static", "--seed", "5", "--seeds", "3")
    figures = found["policies"]["static"]
    low, high = figures["intervals"]["offered"]
    assert found["seeds"] == [5, 6, 7]
    assert low < figures["offered"] < high
    text = asked(folder, "--policy", "static", "--seeds", "3").output
    assert "means over 3 seeds" in text and "Student" in text


def test_the_same_seed_gives_the_same_and_another_one_does_not(folder: Path) -> None:
    first, again, other = (answer(folder, "--seed", seed) for seed in ("3", "3", "4"))
    assert first == again != other


def test_several_scenarios_are_a_list_of_the_same_documents(folder: Path) -> None:
    found = answer(folder, "--scenario", str(folder / "calm.yaml"), "--policy", "static")
    assert [each["scenario"] for each in found["simulations"]] == ["lost", "calm"]
    assert all(list(each["policies"]) == ["static"] for each in found["simulations"])


VARIED = ("--set", "spec.dataPlane.delay=5s,30s", "--set", "spec.routing.dwell=60s,120s", "--policy", "static")


def test_a_sweep_has_a_row_and_a_document_for_each_combination(folder: Path) -> None:
    found = answer(folder, *VARIED)["simulations"]
    assert [each["scenario"] for each in found] == ["lost-1", "lost-2", "lost-3", "lost-4"]
    assert found[2]["set"] == {"spec.dataPlane.delay": "30s", "spec.routing.dwell": "60s"}
    output = asked(folder, *VARIED, "--out", str(folder / "swept")).output
    assert max(len(line) for line in output.splitlines() if not line.startswith(str(folder))) <= 80
    assert all(f"lost-{number} static" in output for number in range(1, 5))
    assert len(list((folder / "swept").rglob("timeline.parquet"))) == 4
    assert "All side by side" in (folder / "swept" / "report.html").read_text()


def test_tables_fit_eighty_columns(folder: Path) -> None:
    output = asked(folder, "--policy", ",".join(POLICIES)).output
    assert max(len(line) for line in output.splitlines() if not line.startswith(str(folder))) <= 80
    assert all(name in output for name in (*POLICIES, "optimum", "of optimum"))


def test_the_folder_has_timelines_and_a_page_that_report_makes_again(folder: Path) -> None:
    out = folder / "out"
    assert asked(folder, "--out", str(out)).exception is None
    line = timelines.read(out / "lost" / "two-mode" / "timeline.parquet")
    assert {point.pool for point in line.pools} == {"cheap", "dear"}
    assert line.fleet[-1].t_s == 960
    again = CliRunner().invoke(report, [str(out), "--out", str(folder / "again.html")], standalone_mode=False)
    assert again.exception is None, again.exception
    assert (folder / "again.html").read_text() == (out / "report.html").read_text()
    one = [str(out / "lost" / "two-mode" / "timeline.parquet"), "--out", str(folder / "line.html")]
    assert CliRunner().invoke(report, one, standalone_mode=False).exception is None


def test_a_fleet_is_planned_on_its_measurements_first(folder: Path) -> None:
    given = ("--measurements", str(SD21 / "measurements.csv"), "--policy", "merit-order", "--json")
    (folder / "fleet.yaml").write_text((SD21 / "fleet.yaml").read_text())
    found = json.loads(asked(folder, *given, scenario="calm.yaml", fleet="fleet.yaml").stdout)
    assert found["policies"]["merit-order"]["served"] > 500


def test_a_decision_that_breaks_a_promise_is_told_and_the_exit_code_is_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(MERIT_ORDER, promises=(lambda look, decision: ["it is a test"],))
    assert isinstance(POLICIES, dict)
    monkeypatch.setitem(POLICIES, "merit-order", broken)
    result = asked(folder, "--policy", "merit-order", scenario="calm.yaml")
    assert result.return_value == 1
    assert "decisions refused" in result.output and "it is a test" in result.output


def test_who_waits_for_the_compiler_is_told_so_and_nobody_else(folder: Path) -> None:
    # A copy of the package, so that no other test waits for a compiler of its own.
    fresh = shutil.ignore_patterns("__pycache__")
    package = Path(shutil.copytree(Path(holdfast.__file__).parent, folder / "copy" / "holdfast", ignore=fresh))
    code = "from holdfast.simulation import kernel; print(kernel.kept())"

    def kept(**environment: str) -> str:
        around = os.environ | {"PYTHONPATH": str(folder / "copy"), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        return subprocess.run(
            [sys.executable, "-c", code], env=around, capture_output=True, text=True, check=True
        ).stdout

    assert kept().strip() == "False"
    (package / "simulation" / "__pycache__").rmdir()
    (package / "simulation" / "__pycache__").write_text("no folder")
    assert kept(HOME=os.devnull, XDG_CACHE_HOME=os.devnull).strip() == "None"


@pytest.mark.parametrize(("kept", "said"), [(True, ""), (False, "this once"), (None, "NUMBA_CACHE_DIR may name one")])
def test_compiling_is_told_on_stderr(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kept: bool | None, said: str
) -> None:
    monkeypatch.setattr(kernel, "kept", lambda: kept)
    result = asked(folder, "--policy", "static", scenario="calm.yaml")
    assert result.stderr.count("\n") == (1 if said else 0) and said in result.stderr


def test_lambda_is_what_is_given(folder: Path) -> None:
    found = answer(folder, "--lambda", "0", "--policy", "static")
    figures = found["policies"]["static"]
    assert figures["objective"] == figures["served"] - figures["late"]
    assert found["lambda_reason"] == "as given"


def a_run(path: Path, *levels: tuple[int, float], api: str = "images") -> str:
    """A run of closed loops, of (in flight, rate) pairs."""
    health, slo = ClientHealth(), "p95<3s"
    stages: list[Stage] = []
    for number, rate_per_s in levels:
        each_s = number / rate_per_s
        latency = Summary(99, each_s, each_s, each_s, each_s, each_s, each_s)
        level = Level(Arrivals.CLOSED, concurrency=number)
        stages.append(
            Stage(
                len(stages), level, (0.0, 9.0), 99, rate_per_s, rate_per_s, latency, None, None, 0.0, 0.0, {},
                float(number), 0.0, None, health,
            )
        )  # fmt: skip
    with RunDir.create(path, RunSpec("sweep", "http://x", api, plan().fleet.spec.model.id, slo, "closed", 1)) as run:
        run.write_curve(LoadCurve.of("http://x", stages))
    return str(path)


def test_a_run_beside_a_plan_gives_the_load_curve_of_its_unit(folder: Path) -> None:
    quick = a_run(folder / "quick", (1, 10.0), (2, 20.0), (4, 20.0))
    alone, beside = answer(folder), answer(folder, "--run", f"dear={quick}")
    assert beside["policies"]["merit-order"]["latency_p50_s"] < alone["policies"]["merit-order"]["latency_p50_s"] - 0.1
    assert [said.split(":")[0] for said in alone["caveats"]] == ["No load curve of cheap, dear"]
    assert [said.split(":")[0] for said in beside["caveats"]] == ["No load curve of cheap"]


def test_a_run_of_something_else_and_one_that_says_nothing_are_told(folder: Path) -> None:
    text = a_run(folder / "text", (1, 1.0), (2, 2.0), api="completions")
    told = asked(folder, "--run", f"cheap={text}", "--policy", "static").stderr
    assert "Unit 'cheap' was measured with api completions, and the fleet has images." in told
    assert "given twice" in refusal(asked(folder, "--run", f"cheap={text}", "--run", f"cheap={text}"))
    assert "no level of the run says anything" in refusal(asked(folder, "--run", f"cheap={a_run(folder / 'none')}"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--policy", "merit-oder"], "there is no policy 'merit-oder'; did you mean 'merit-order'"),
        (["--policy", "xyzzy"], "there is no policy 'xyzzy'; known: merit-order, two-mode, round-robin, static"),
        (["--lambda", "nan"], "'nan' is not a number of requests"),
        (["--lambda", "-1"], "'-1' is not a number of requests"),
        (["--measurements", "m.csv"], "a plan is made already"),
        (["--set", "delay=5s"], "'delay' is not the path of a field"),
        (["--set", "spec.routing.dwel=5s"], "--set spec.routing.dwel: unknown key 'spec.routing.dwel'"),
        (["--run", "none=x"], "names no unit of the fleet; write UNIT=DIR with cheap, dear"),
    ],
)
def test_nonsense_is_told_in_a_sentence(folder: Path, arguments: list[str], sentence: str) -> None:
    assert sentence in refusal(asked(folder, *arguments))


def test_files_that_are_not_what_they_should_be_are_told(folder: Path) -> None:
    assert "cannot be read" in refusal(asked(folder, scenario="none.yaml"))
    assert "Is a directory" in refusal(asked(folder, scenario=""))
    assert "unknown key 'version'" in refusal(asked(folder, scenario="plan.json"))
    assert "named lost too" in refusal(asked(folder, "--scenario", str(folder / "lost.yaml")))
    blocked = asked(folder, "--out", str(folder / "lost.yaml"))
    assert isinstance(blocked.exception, OutputError) and "this is a file" in str(blocked.exception)


def test_a_scenario_of_another_fleet_is_told_with_the_nearest_name(folder: Path) -> None:
    other = LOSS["limit"] | {"unit": "cheep"}
    (folder / "other.yaml").write_text(scenario_text(events=[{"limit": other}]))
    assert "no unit 'cheep'; did you mean 'cheap'" in refusal(asked(folder, scenario="other.yaml"))


def test_plans_that_do_not_hold_or_know_no_latency_are_told(folder: Path) -> None:
    made = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(made | {"status": "infeasible", "reasons": ["too much is asked."]}))
    assert "the plan is infeasible: too much is asked;" in refusal(asked(folder))
    made["pools"][0]["latency_s"] = None
    (folder / "plan.json").write_text(json.dumps(made))
    assert "no mean latency" in refusal(asked(folder))


@pytest.mark.parametrize("arguments", [["--seeds", "-3"], ["--seed", "nan"], ["--workers", "0"], ["--seeds", "0"]])
def test_numbers_out_of_range_are_refused(folder: Path, arguments: list[str]) -> None:
    assert "not" in str(asked(folder, *arguments).exception)
