"""`holdfast report A B --compare`: an answer for people, machines and pull requests, and an exit code for CI."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.limits.conditions import Condition
from holdfast.load.rundir import RunDir, Status
from holdfast.model.comparison import METRICS
from reports.virtual_runs import SPEC, poisson, rows_of, write

Run = Callable[..., subprocess.CompletedProcess[str]]

LEVEL = poisson(25.0, 1500)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path) -> None:
    for name, run, slower in (("main", 1, 1.0), ("again", 2, 1.0), ("slow", 3, 1.3)):
        write(tmp_path / name, [(LEVEL, rows_of(LEVEL, SPEC, run, slower))])


def test_people_get_the_answer_first_and_tables_of_80_columns(holdfast: Run) -> None:
    done = holdfast("report", "main", "again", "--compare")
    assert done.returncode == 0
    assert done.stdout.startswith("With 95% confidence over all figures together, no change.")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_machines_get_every_difference(holdfast: Run) -> None:
    done = holdfast("report", "main", "slow", "--compare", "--json", "--fail-if", "errors > 1%")
    document = json.loads(done.stdout)
    (level,) = document["levels"]
    mean = next(each for each in level["differences"] if each["metric"]["name"] == "mean")
    assert mean["low"] < mean["change"] < mean["high"]
    assert mean["found"] == "changed"
    assert [answer["outcome"] for answer in document["answers"]] == ["held"]
    assert document["compared"] == len(level["differences"])


def test_a_pull_request_gets_a_table(holdfast: Run) -> None:
    done = holdfast("report", "main", "slow", "--compare", "--markdown", "--fail-if", "mean > +5%")
    assert "| 25/s  | latency mean |" in done.stdout
    assert "- ❌ mean \\> +5%: yes, 95% confident" in done.stdout
    assert done.stderr.startswith("mean > +5%: yes, 95% confident: at 25/s latency mean")
    assert done.returncode == 1


def test_a_page_is_written_beside_what_is_printed(holdfast: Run, tmp_path: Path) -> None:
    done = holdfast("report", "main", "slow", "--compare", "--out", "pages/change.html")
    assert done.stdout.splitlines()[-1] == "pages/change.html"
    assert "What changed from one run to another" in (tmp_path / "pages/change.html").read_text(encoding="utf-8")


def test_without_compare_a_run_gets_its_page_as_before(holdfast: Run, tmp_path: Path) -> None:
    assert holdfast("report", "main").stdout == "report.html\n"
    assert (tmp_path / "report.html").exists()


def test_what_has_not_changed_fails_nothing_and_what_is_unsure_only_when_strict(holdfast: Run) -> None:
    assert holdfast("report", "main", "again", "--compare", "--fail-if", "mean > +20%", "--strict").returncode == 0
    unsure = ("report", "main", "again", "--compare", "--fail-if", "p99 > +2%")
    done = holdfast(*unsure)
    assert (done.returncode, "p99 > +2%: unsure, there is not enough data" in " ".join(done.stdout.split())) == (
        0,
        True,
    )
    assert holdfast(*unsure, "--strict").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("main", "again"), "2 paths were given; give one, or two run directories and --compare"),
        (("main", "--compare"), "--compare holds two run directories against each other, not 1"),
        (("main", "again", "slow", "--compare"), "not 3"),
        (("main", "--json"), "are for comparisons; add --compare"),
        (("main", "again", "--compare", "--strict"), "--strict is about conditions; add --fail-if"),
        (("main", "again", "--compare", "--json", "--markdown"), "exclude each other"),
        (("main", "nowhere", "--compare"), "nowhere: there is no run to read"),
        (("main", "main/run.json", "--compare"), "main/run.json: there is no run to read"),
        (("main", ".", "--compare"), "there is no run to read"),
        (("main", "again", "--compare", "--fail-if", "p95 > 5%"), "'5%' of what?"),
        (("main", "again", "--compare", "--fail-if", "speed > +5%"), "there is no metric 'speed'"),
        (("main", "again", "--compare", "--fail-if", "limit < -5%"), "no breaking point in common"),
        (("main", "again", "--compare", "--confidence", "100%"), "is not a confidence"),
        (("main", "again", "--compare", "--confidence", "nan"), "not a percentage"),
        (("main", "again", "--compare", "--out", "main/run.json/x.html"), "cannot write results"),
    ],
)
def test_nonsense_gets_one_sentence_and_exit_code_2(holdfast: Run, arguments: tuple[str, ...], said: str) -> None:
    done = holdfast("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_runs_that_did_not_do_the_same_are_compared_with_a_warning_and_judged_by_no_condition(
    holdfast: Run, tmp_path: Path
) -> None:
    spec = replace(SPEC, time_scale=10.0)
    write(tmp_path / "scaled", [(LEVEL, rows_of(LEVEL, spec, 2))], spec)
    assert "The runs did not do the same (time scale)" in holdfast("report", "main", "scaled", "--compare").stdout
    judged = holdfast("report", "main", "scaled", "--compare", "--fail-if", "p95 > +5%")
    assert (judged.returncode, "did not do the same" in judged.stderr) == (2, True)


def test_a_run_without_a_level_is_refused(holdfast: Run, tmp_path: Path) -> None:
    RunDir.create(tmp_path / "empty", SPEC).close(Status.INTERRUPTED)
    done = holdfast("report", "main", "empty", "--compare")
    assert (done.returncode, done.stderr) == (2, "holdfast: empty: the run held no level; measure again.\n")


def test_the_documented_conditions_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    written = [*re.findall(r"--fail-if '([^']+)'", page), *re.findall(r"`([a-z0-9.]+ [<>] [^`]+)`", page)]
    assert len(written) >= 9
    assert {Condition.parse(each).text for each in written} == set(written)
    assert all(f"`{name}`" in page for name in METRICS)
