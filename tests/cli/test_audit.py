"""The verb `audit`: kinds by content, exit codes, one line for what is clean, one sentence for what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from holdfast.cli.audit import audit
from holdfast.cli.plan import plan
from holdfast.load.rundir import RunDir, RunSpec, Status
from holdfast.model.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "examples"
CLEAN = "unit,concurrency,rate_per_s,latency_avg_s\nu,10,2.0,5.0\n"


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(audit, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    (tmp_path / "clean.csv").write_text(CLEAN)
    return tmp_path / "clean.csv"


def test_a_clean_file_is_one_sentence_that_says_what_was_checked(clean: Path) -> None:
    done = run(clean)

    assert done.exit_code == 0
    sentence = "".join(done.output.split())  # a long path is broken anywhere
    assert sentence.startswith(f"{clean}:1row,1check(nofiguresfor:offered-rate,")
    assert sentence.endswith("):nothingfound.")


def test_an_impossible_row_is_exit_code_1(clean: Path) -> None:
    clean.write_text(CLEAN.replace("2.0", "120"))

    done = run(clean)

    assert done.exit_code == 1
    assert "impossible littles-law" in done.output
    assert "Likely: the rate is per minute and labelled per second." in done.output


def test_a_suspicious_row_is_not(clean: Path) -> None:
    clean.write_text(CLEAN.replace("2.0", "1.6"))

    assert run(clean).exit_code == 0


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/*.csv")), ids=lambda file: file.parent.name + file.stem)
def test_every_example_reads_well_in_eighty_columns(file: Path) -> None:
    done = run(file)

    # The path of a checkout may be longer than a line.
    assert max(len(line) for line in done.output.splitlines() if str(EXAMPLES) not in line) <= 80


def test_json_has_the_keys_of_the_contract_and_what_was_checked(clean: Path) -> None:
    clean.write_text(CLEAN.replace("2.0", "120"))

    found = json.loads(run(clean, clean, "--json").output)

    assert [(one["kind"], one["rows"], one["checked"]["littles-law"]) for one in found["files"]] == [
        ("measurements", 1, 1)
    ] * 2
    assert len(found["findings"]) == 2
    assert set(found["findings"][0]) == {
        "file", "row", "check", "severity", "found", "expected", "message", "likely",
    }  # fmt: skip
    assert found["findings"][0]["severity"] == "impossible"


def test_a_plan_and_the_measurements_it_was_made_of_are_told_apart(tmp_path: Path) -> None:
    example = EXAMPLES / "gpt-oss-20b-g5"
    made = tmp_path / "plan.json"
    arguments = [str(example / "fleet.yaml"), "--measurements", str(example / "measurements.csv"), "--out", str(made)]
    assert CliRunner().invoke(plan, arguments).exit_code == 0

    found = json.loads(run(made, example / "measurements.csv", "--json").output)

    assert [one["kind"] for one in found["files"]] == ["plan", "measurements"]
    assert {f["check"] for f in found["findings"] if f["file"] == str(made)} == {"token-count"}


def test_a_plan_carries_the_findings_of_its_measurements() -> None:
    example = EXAMPLES / "gpt-oss-20b-g5"
    arguments = [str(example / "fleet.yaml"), "--measurements", str(example / "measurements.csv"), "--json"]

    findings = json.loads(CliRunner().invoke(plan, arguments).output)["findings"]

    assert {"littles-law", "token-count", "price", "idle-devices", "peers", "warm-up", "slo"} <= {
        finding["check"] for finding in findings
    }


def test_a_run_directory_is_audited(tmp_path: Path) -> None:
    spec = RunSpec("load", "http://x", "completions", "m", "p95<1s", "closed", 7)
    RunDir.create(tmp_path / "run", spec).close(Status.INTERRUPTED)

    done = run(tmp_path / "run")

    assert done.exit_code == 0
    assert "unfinished" in done.output


def test_rows_are_held_against_an_slo_that_is_given(clean: Path) -> None:
    assert "1 of 1 rows of u break the SLO" in " ".join(run(clean, "--slo", "avg<2s").output.split())


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no header and no rows"),
        ("unit,rate_per_s\nu,nan\n", "rate_per_s is nan"),
        ("unit,rate_per_s,price_usd_per_h\nu,1,-3\n", "price_usd_per_h is -3 and must be above 0"),
        ("unit,rps\nu,1\n", "unknown column 'rps'"),
        ('{"a": 1}', "cannot be read as part of a Plan"),
        ("apiVersion: holdfast.dev/v1alpha1\n", "this is a fleet document"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "file").write_text(text)

    with pytest.raises(InputError, match=said):
        run(tmp_path / "file")


def test_places_that_hold_nothing_to_audit_are_one_sentence(tmp_path: Path, clean: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "stages.json").write_text("{}")

    with pytest.raises(InputError, match="the file cannot be read"):
        run(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="this is a part of a run; give its folder"):
        run(tmp_path / "stages.json")
    with pytest.raises(InputError, match="no region 'mars'"):
        run(clean, "--region", "mars")


def test_zero_rates_are_no_figures_to_judge(clean: Path) -> None:
    clean.write_text("unit,rate_per_s\nu,0\n")

    assert "no check has figures to judge" in " ".join(run(clean).output.split())
