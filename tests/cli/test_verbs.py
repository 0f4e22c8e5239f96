"""The verbs as a user types them: what they print, their exit codes, and one sentence for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from holdfast.cli.main import cli

EXAMPLES = Path(__file__).parents[2] / "examples"
SD21 = EXAMPLES / "sd21"
Run = Callable[..., subprocess.CompletedProcess[str]]


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and one sentence on stderr that holds these words."""
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stderr.startswith("holdfast: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def edited(tmp_path: Path, old: str, new: str) -> str:
    text = (SD21 / "fleet.yaml").read_text()
    assert old in text
    (tmp_path / "fleet.yaml").write_text(text.replace(old, new))
    return str(tmp_path / "fleet.yaml")


def test_help_lists_every_verb(holdfast_process: Run) -> None:
    done = holdfast_process("--help")
    assert done.returncode == 0
    verbs = (
        "limit load sweep merge plan simulate audit estimate advise render report export demo emulate prices catalog"
    )
    for verb in [*verbs.split(), "schema"]:
        assert f"  {verb} " in done.stdout
        shown = CliRunner().invoke(cli, [verb, "--help"], terminal_width=80)
        assert shown.exit_code == 0
        assert max(map(len, shown.output.splitlines())) <= 80, verb


def test_the_schema_accepts_every_example_fleet(holdfast: Run) -> None:
    schema = json.loads(holdfast("schema").stdout)
    fleets = sorted(EXAMPLES.glob("*/fleet.yaml"))
    assert len(fleets) >= 4
    for fleet in fleets:
        jsonschema.validate(yaml.safe_load(fleet.read_text()), schema)


def test_a_process_ends_with_the_code_of_the_verb(holdfast_process: Run) -> None:
    refused(holdfast_process("plan", "nowhere.yaml", "--measurements", "x.csv"), "nowhere.yaml", "cannot be read")


def test_a_plan_of_published_measurements_renders_and_reports(holdfast: Run, tmp_path: Path) -> None:
    fleet, rows = str(SD21 / "fleet.yaml"), str(SD21 / "measurements.csv")
    done = holdfast("plan", fleet, "--measurements", rows, "--out", "plan.json", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["status"] == "feasible"
    assert sum(pool["weight"] for pool in plan["pools"]) == 100
    assert {"unit", "replicas", "weight", "limit_per_s", "usd_per_million_requests", "autoscaling", "reason"} <= set(
        plan["pools"][0]
    )
    assert holdfast("render", "plan.json", "-o", "deploy").returncode == 0
    base = tmp_path / "deploy" / "base"
    tree = yaml.safe_load((base / "kustomization.yaml").read_text())
    assert all((base / resource).exists() for resource in tree["resources"])
    assert holdfast("report", "plan.json", "--out", "plan.html").returncode == 0
    assert "inf2-neuronx" in (tmp_path / "plan.html").read_text()


@pytest.mark.parametrize("example", ["sd21", "gpt-oss-20b-g5", "llama-3.1-8b"])
def test_plan_reads_well_in_eighty_columns(holdfast: Run, example: str) -> None:
    folder = EXAMPLES / example
    done = holdfast("plan", str(folder / "fleet.yaml"), "--measurements", str(folder / "measurements.csv"))
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_an_infeasible_plan_is_an_answer_with_exit_code_1(holdfast: Run, tmp_path: Path) -> None:
    fleet = edited(tmp_path, "peak: ", "peak: 999")
    done = holdfast("plan", fleet, "--measurements", str(SD21 / "measurements.csv"), "--json")
    assert done.returncode == 1, done.stderr
    plan = json.loads(done.stdout)
    assert plan["status"] == "infeasible"
    assert "short by" in " ".join(plan["reasons"])


def test_a_run_of_limit_can_be_planned_with(holdfast: Run, tmp_path: Path) -> None:
    refused(holdfast("plan", str(SD21 / "fleet.yaml"), "--run", "nobody=runs"), "names no unit of the fleet", "g5-cuda")
    refused(holdfast("plan", str(SD21 / "fleet.yaml"), "--run", "g5-cuda=runs"), "there is no run to read")


@pytest.fixture
def emulated() -> Iterator[str]:
    """The URL of an emulated unit that runs twenty times faster than the wall clock."""
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "emulate",
        "sd21-inf2-neuronx",
        "--time-scale",
        "20",
        "--cold-start",
        "0s",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as unit:
        assert unit.stdout is not None
        yield json.loads(unit.stdout.readline())["url"]
        unit.terminate()


def test_a_limit_is_found_planned_with_and_reported(holdfast: Run, tmp_path: Path, emulated: str) -> None:
    slo = ("--slo", "p95<3s, errors<1%")
    model = ("--api", "images", "--model", "stabilityai/stable-diffusion-2-1-base")
    levels = ("--arrivals", "constant", "--requests", "40", "--longest", "30s", "--precision", "10%")
    search = (*levels, "--time-scale", "20", "--budget", "200s", "--out", "run")
    done = holdfast("limit", emulated, *model, *slo, *search)
    assert done.returncode == 0, done.stderr
    assert "Breaking point: 1." in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80

    fleet = edited(tmp_path, "rate: 12/s, peak: 20/s", "rate: 1/s, peak: 2/s")
    text = Path(fleet).read_text()
    Path(fleet).write_text(
        text.replace("survive: one-pool", "survive: none").replace("inf2.xlarge, ", 'inf2.xlarge, price: "$0.7582/h", ')
    )
    planned = holdfast("plan", fleet, "--run", "inf2-neuronx=run", "--measured-only", "--json")
    assert planned.returncode == 0, planned.stderr
    (pool,) = json.loads(planned.stdout)["pools"]
    (mismatch,) = (f for f in json.loads(planned.stdout)["findings"] if f["check"] == "run")
    assert "was measured with slo p95<3s, errors<1%, and the fleet has avg<1s" in mismatch["message"]
    assert (pool["unit"], pool["replicas"], pool["weight"]) == ("inf2-neuronx", 2, 100)

    assert holdfast("report", "run", "--out", "run.html").returncode == 0
    assert "p95&lt;3s, errors&lt;1%" in (tmp_path / "run.html").read_text()


def test_load_prints_what_it_measured(holdfast: Run, emulated: str) -> None:
    model = ("--api", "images", "--model", "stabilityai/stable-diffusion-2-1-base", "--time-scale", "20")
    done = holdfast(
        "load",
        emulated,
        *model,
        "--rate",
        "0.5/s",
        "--wave-to",
        "1.5/s",
        "--arrivals",
        "constant",
        "--duration",
        "30s",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    stage = json.loads(done.stdout)["stage"]
    assert stage["requests"] == 30
    assert stage["errors"] == {}
    assert 0.5 < stage["latency"]["p50_s"] < 1.5
    wrong = holdfast("load", emulated, "--api", "images", "--model", "another", "--rate", "1/s", "--duration", "5s")
    refused(wrong, "answered with HTTP 404", "check --model and --api")


def test_the_catalogue_is_listed_with_its_sources(holdfast: Run) -> None:
    done = holdfast("catalog", "--accelerator", "l4", "--region", "us-west-2", "--json")
    assert done.returncode == 0, done.stderr
    assert "g6.xlarge" in done.stdout
    assert "source" in done.stdout
    refused(holdfast("catalog", "--accelerator", "l5"), "'l5'", "l4")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("framework: neuronx", "framwork: neuronx", ("fleet.yaml:", "unknown key", "did you mean 'framework'")),
        ("errorRate: 1%", "errorRate: 1", ("fleet.yaml:", "has no unit", "'80%'")),
        ("errorRate: 1%", "errorRate: 300%", ("fleet.yaml:", "more than 100%")),
        ("kind: InferenceFleet", "kind: [", ("fleet.yaml:", "not YAML")),
        ("instanceType: g6.xlarge", "instanceType: g6.tiny", ("g6.tiny", "g6.")),
    ],
)
def test_a_wrong_fleet_is_one_sentence(
    holdfast: Run, tmp_path: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    fleet = edited(tmp_path, old, new)
    refused(holdfast("plan", fleet, "--measurements", str(SD21 / "measurements.csv")), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("no header and no rows",)),
        ("unit,rate_per_s\n", ("a header and no rows",)),
        ("unit,rate_per_sec\na,1\n", (":1:", "unknown column 'rate_per_sec'", "'rate_per_s'")),
        ("unit,rate_per_s\ninf2-neuronx,nan\n", (":2:", "rate_per_s is nan")),
        ("unit,rate_per_s\ninf2-neuronx,-3\n", (":2:", "must be at least 0")),
        ("unit,rate_per_s,utilization\ninf2-neuronx,3,80\n", (":2:", "write 80% as 0.8")),
        ("unit,rate_per_s\nsomething-else,3\n", ("no row is of a unit of the fleet",)),
    ],
)
def test_a_wrong_measurement_file_is_one_sentence(
    holdfast: Run, tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    refused(holdfast("plan", str(SD21 / "fleet.yaml"), "--measurements", "rows.csv"), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan", "nowhere.yaml", "--measurements", "x.csv"), ("nowhere.yaml", "cannot be read")),
        (("plan", "nowhere.yaml"), ("nowhere.yaml", "cannot be read")),
        (("render", "nowhere.json", "-o", "deploy"), ("nowhere.json", "cannot be read")),
        (("report", "nowhere"), ("nowhere", "cannot be read")),
        (("emulate", "sd21-inf3"), ("sd21-inf3", "sd21-inf2-neuronx")),
        (("limit", "http://127.0.0.1:9", "--model", "m", "--slo", "p95<1"), ("--slo", "has no unit")),
        (("limit", "http://127.0.0.1:9", "--model", "m", "--slo", "p95<1s"), ("127.0.0.1:9", "no connection")),
        (("limit", "127.0.0.1:9", "--model", "m", "--slo", "p95<1s"), ("is not an http(s) URL",)),
        (("limit", "http://x", "--model", "m", "--slo", "p95<1s", "--token-from", "NO_SUCH"), ("NO_SUCH",)),
        (("limit", "http://me:secret@x", "--model", "m", "--slo", "p95<1s"), ("must not carry credentials",)),
        (("limit", "http://x", "--model", "m", "--slo", "p95<1s", "--input-tokens", "-3"), ("not a token length",)),
        (("load", "http://127.0.0.1:9", "--model", "m", "--rate", "12"), ("--rate", "has no unit", "12/s")),
        (("limit", "http://x/v1/completions", "--model", "m", "--slo", "p95<1s"), ("names an API's path",)),
        (("limit", "http://x/?a=b", "--model", "m", "--slo", "p95<1s"), ("has a blank, a query",)),
        (("load", "http://x", "--model", "m", "--rate", "1/s", "--duration", "0s"), ("--duration", "not between")),
        (("load", "http://x", "--model", "m", "--rate", "1e99999999/s"), ("--rate", "is not a rate")),
        (("load", "http://x", "--model", "m", "--rate", "1e9/s", "--duration", "1h"), ("more than 5,000,000",)),
        (("load", "http://x", "--model", "m", "--rate", "1/s", "--time-scale", "nan"), ("--time-scale",)),
        (("limit", "http://a..b", "--model", "m", "--slo", "p95<1s"), ("no connection",)),
        (("load", "http://127.0.0.1:9", "--model", "m"), ("give one of --rate, --steps, --trace and --concurrency",)),
        (("load", "http://127.0.0.1:9", "--model", "m", "--rate", "2/s"), ("no connection",)),
    ],
)
def test_nonsense_gets_one_sentence(holdfast: Run, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(holdfast(*arguments), *words)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_place_that_cannot_be_written_is_one_sentence(holdfast: Run, tmp_path: Path) -> None:
    fleet, rows = str(SD21 / "fleet.yaml"), str(SD21 / "measurements.csv")
    refused(holdfast("plan", fleet, "--measurements", rows, "--out", "/dev/full"), "/dev/full", "No space left")
    (tmp_path / "file").write_text("in the way")
    refused(holdfast("demo", "--out", "file/demo"), "cannot write results (Not a directory)", "--out")
    arguments = ("limit", "http://127.0.0.1:9", "--model", "m", "--slo", "p95<1s", "--out", "file/run")
    refused(holdfast(*arguments), "cannot write results")


def test_a_demo_never_clears_a_folder_that_is_not_of_a_demo(holdfast: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "runs").mkdir(parents=True)
    (tmp_path / "mine" / "runs" / "stages.json").write_text("measured for hours")
    refused(holdfast("demo", "--out", "mine"), "mine: the folder holds files that are not of a demo")
    assert (tmp_path / "mine" / "runs" / "stages.json").read_text() == "measured for hours"


def test_a_plan_is_not_rendered_over_other_files(holdfast: Run, tmp_path: Path) -> None:
    fleet, rows = str(SD21 / "fleet.yaml"), str(SD21 / "measurements.csv")
    assert holdfast("plan", fleet, "--measurements", rows, "--out", "plan.json").returncode == 0
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "old.yaml").write_text("")
    refused(holdfast("render", "plan.json", "-o", "deploy"), "files that holdfast did not render")


def test_a_plan_file_of_something_else_is_one_sentence(holdfast: Run, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"version": 1}')
    refused(holdfast("render", "plan.json", "-o", "deploy"), "plan.json", "cannot be read as part of a Plan")
