"""Two run directories held against each other: no change where nothing changed, and no evidence from what is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.load import comparing
from holdfast.load.rundir import Status
from holdfast.model.comparison import METRICS, Comparison, Difference, Finding
from holdfast.model.errors import InputError
from holdfast.model.records import Outcome
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, ClientHealth, Level
from holdfast.reports import comparison_page, comparisons
from holdfast.reports.page import render
from limits import virtual
from limits.virtual import Slots
from reports.virtual_runs import SPEC, poisson, rows_of, write

LEVEL = poisson(25.0, 2000)
OTHER_SEED = replace(SPEC, seed=8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one level: main, again and other alike, slow a fifth slower, failing with an error in fifty."""
    root = tmp_path_factory.mktemp("runs")
    for name, run, slower, spec in (
        ("main", 1, 1.0, SPEC),
        ("again", 2, 1.0, SPEC),
        ("slow", 3, 1.2, SPEC),
        ("collapsed", 4, 1.8, SPEC),
        ("other", 5, 1.0, OTHER_SEED),
        ("busy", 6, 1.0, SPEC),
    ):
        client = ClientHealth(cpu=0.99) if name == "busy" else None
        write(root / name, [(LEVEL, rows_of(LEVEL, spec, run, slower))], spec, client=client)
    rows = rows_of(LEVEL, SPEC, 7)
    outcome = np.where(np.arange(len(rows)) % 50 == 0, Outcome.HTTP_ERROR, rows.outcome)
    write(root / "failing", [(LEVEL, replace(rows, outcome=outcome))])
    return root


def of(compared: Comparison, metric: str, level: int = 0) -> Difference:
    (found,) = [each for each in compared.levels[level].differences if each.metric.name == metric]
    return found


def test_of_two_runs_of_one_server_no_change_is_said(runs: Path) -> None:
    compared = comparing.compare(runs / "main", runs / "again")
    assert compared.count(Finding.CHANGED) == 0
    assert of(compared, "p50").found is Finding.SAME
    assert comparisons.verdict(compared).startswith("With 95% confidence over all figures together, no change.")


def test_runs_with_one_seed_are_compared_request_by_request(runs: Path) -> None:
    assert comparing.compare(runs / "main", runs / "again").levels[0].same_requests
    assert not comparing.compare(runs / "main", runs / "other").levels[0].same_requests


def test_a_schedule_that_began_a_millisecond_later_is_the_same_one(tmp_path: Path, runs: Path) -> None:
    rows = rows_of(LEVEL, SPEC, 2)
    later = write(tmp_path / "later", [(LEVEL, rows.shifted(-0.0007))])
    compared = comparing.compare(runs / "main", later)
    assert compared.levels[0].same_requests
    assert compared.count(Finding.CHANGED) == 0


def test_prompts_that_one_server_had_in_its_cache_are_said(tmp_path: Path) -> None:
    warm = write(tmp_path / "warm", [(LEVEL, rows_of(LEVEL, SPEC, 2))])
    cold = write(tmp_path / "cold", [(LEVEL, rows_of(LEVEL, SPEC, 1))])
    for path, hits in ((warm, 0.96), (cold, 0.0)):
        document = json.loads((path / "stages.json").read_text(encoding="utf-8"))
        document["stages"][0]["server"] = {"prefix_hit_rate": hits}
        (path / "stages.json").write_text(json.dumps(document), encoding="utf-8")
    assert "the prefix cache held 0% of A's prompts and 96% of B's" in comparing.compare(cold, warm).remarks[0]
    assert comparing.compare(cold, cold).remarks == ()


def test_a_run_is_the_same_as_itself(runs: Path) -> None:
    compared = comparing.compare(runs / "main", runs / "main")
    assert {each.change for _, each in compared.differences} == {0.0}
    assert compared.count(Finding.SAME) == len(compared.differences) == len(METRICS) - 1


def test_a_slower_server_is_found_and_its_interval_holds_the_factor(runs: Path) -> None:
    mean = of(comparing.compare(runs / "main", runs / "slow"), "mean")
    assert mean.found is Finding.CHANGED
    assert 0.05 < mean.low < 0.2 < mean.high
    assert mean.confidence > 0.99


def test_the_figures_are_those_of_the_runs(runs: Path) -> None:
    compared = comparing.compare(runs / "main", runs / "other")
    (stage,) = compared.curves[0].stages
    assert of(compared, "p95").before == pytest.approx(stage.latency.p95_s)
    assert of(compared, "throughput").before == pytest.approx(stage.achieved_per_s, rel=0.01)
    assert stage.ttft is not None
    assert stage.itl is not None
    assert of(compared, "ttft.p95").before == pytest.approx(stage.ttft.p95_s)
    assert of(compared, "itl.p95").before == pytest.approx(stage.itl.p95_s, rel=0.003)


def test_a_queue_that_never_came_to_rest_is_a_change_without_an_upper_end(runs: Path) -> None:
    p95 = of(comparing.compare(runs / "main", runs / "collapsed"), "p95")
    assert (p95.found, p95.high) == (Finding.CHANGED, float("inf"))
    assert p95.low > 0.5
    assert "did not come to rest" in p95.remark
    better = of(comparing.compare(runs / "collapsed", runs / "main"), "p95")
    assert (better.found, better.low) == (Finding.CHANGED, -1.0)


def test_errors_that_came_are_told_in_percentage_points(runs: Path) -> None:
    errors = of(comparing.compare(runs / "main", runs / "failing"), "errors")
    assert (errors.before, errors.after, errors.found) == (0.0, 0.02, Finding.CHANGED)
    assert 0.005 < errors.low < 0.02 < errors.high < 0.04


def test_a_level_whose_client_was_the_bottleneck_is_not_compared(runs: Path) -> None:
    compared = comparing.compare(runs / "main", runs / "busy")
    (level,) = compared.levels
    assert not level.differences
    assert "invalid in busy: the client used 99% of a core" in level.why
    assert comparisons.verdict(compared).startswith("Not enough data")


def test_too_short_a_level_says_that_there_is_not_enough_data(tmp_path: Path) -> None:
    level = poisson(25.0, 60)
    one, two = (write(tmp_path / str(run), [(level, rows_of(level, SPEC, run))]) for run in (1, 2))
    p95 = of(comparing.compare(one, two), "p95")
    assert p95.found is Finding.UNKNOWN
    assert p95.why.endswith("answers of the 100 that it takes")


def test_a_level_that_one_run_alone_held_is_said(tmp_path: Path) -> None:
    more = poisson(30.0, 1000)
    one = write(tmp_path / "one", [(LEVEL, rows_of(LEVEL, SPEC, 1))])
    two = write(tmp_path / "two", [(LEVEL, rows_of(LEVEL, SPEC, 2)), (more, rows_of(more, SPEC, 2))])
    compared = comparing.compare(one, two)
    assert [level.name for level in compared.levels] == ["25/s"]
    assert compared.alone == ("B alone held 30/s.",)


def test_runs_without_a_level_in_common_are_refused(tmp_path: Path) -> None:
    more = poisson(30.0, 1000)
    one = write(tmp_path / "one", [(LEVEL, rows_of(LEVEL, SPEC, 1))])
    two = write(tmp_path / "two", [(more, rows_of(more, SPEC, 2))])
    with pytest.raises(InputError, match="held no level in common"):
        comparing.compare(one, two)


def test_closed_loops_are_paired_by_their_number_in_flight(tmp_path: Path) -> None:
    def closed(name: str, users: int, seed: int, mean_s: float = 0.2) -> Path:
        level = Level(Arrivals.CLOSED, concurrency=users, requests=1500)
        server = Slots(8, virtual.exponential(mean_s))
        return write(tmp_path / name, [(level, virtual.hold(server, level, np.random.default_rng(seed)))])

    compared = comparing.compare(closed("a", 16, 1), closed("b", 16, 2, 0.4))
    assert compared.levels[0].name == "16 in flight"
    assert of(compared, "throughput").found is Finding.CHANGED
    assert of(compared, "throughput").change == pytest.approx(-0.5, abs=0.06)


def test_a_run_that_was_cut_off_is_compared_by_what_is_there(tmp_path: Path, runs: Path) -> None:
    rows = rows_of(LEVEL, SPEC, 2)
    cut = write(tmp_path / "cut", [(LEVEL, rows.where(rows.end_s < 60))], status=Status.INTERRUPTED)
    compared = comparing.compare(runs / "main", cut)
    assert compared.levels[0].same_requests
    assert of(compared, "p50").found is Finding.SAME
    assert "was interrupted" in compared.remarks[0]


def test_what_the_runs_did_otherwise_comes_first(tmp_path: Path, runs: Path) -> None:
    spec = replace(SPEC, model="n", workload={"inputTokens": {"mean": 500}})
    two = write(tmp_path / "two", [(LEVEL, rows_of(LEVEL, spec, 2))], spec)
    compared = comparing.compare(runs / "main", two)
    assert [(each.what, each.alike) for each in compared.departures] == [
        ("model", True),
        ("workload inputTokens", False),
    ]
    assert not compared.levels[0].same_requests
    assert comparisons.remarks(compared)[0].startswith("The runs did not do the same (workload inputTokens)")


@pytest.fixture
def limits(tmp_path: Path) -> Callable[..., Comparison]:
    def compared(before: BreakingPoint, after: BreakingPoint) -> Comparison:
        rows = rows_of(LEVEL, SPEC, 1)
        one, two = (write(tmp_path / f"{found.rate_per_s}", [(LEVEL, rows)], point=found) for found in (before, after))
        return comparing.compare(one, two)

    return compared


def point(rate_per_s: float, spread: float = 1.05, cause: Cause = Cause.LATENCY) -> BreakingPoint:
    high = float("inf") if cause is Cause.NONE else rate_per_s * spread
    return BreakingPoint(rate_per_s, rate_per_s / spread, high, 0.9, cause, "")


def test_breaking_points_with_overlapping_intervals_are_no_change(limits: Callable[..., Comparison]) -> None:
    limit = limits(point(30.0), point(31.0)).limit
    assert limit is not None
    assert (limit.found, limit.low < 0 < limit.high) == (Finding.SAME, True)


def test_breaking_points_far_apart_have_changed(limits: Callable[..., Comparison]) -> None:
    limit = limits(point(30.0), point(20.0)).limit
    assert limit is not None
    assert limit.found is Finding.CHANGED
    assert limit.change == pytest.approx(-1 / 3)


def test_a_server_that_was_not_broken_has_no_limit_to_compare(limits: Callable[..., Comparison]) -> None:
    limit = limits(point(30.0), point(40.0, cause=Cause.NONE)).limit
    assert limit is not None
    assert (limit.found, limit.why) == (Finding.UNKNOWN, "a run did not break its server")


def test_markdown_fits_a_pull_request_and_escapes_what_is_from_outside(tmp_path: Path, runs: Path) -> None:
    spec = replace(SPEC, model="<b>|m|")
    two = write(tmp_path / "two|<i>", [(LEVEL, rows_of(LEVEL, spec, 2))], spec)
    text = comparisons.markdown(comparing.compare(runs / "main", two))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert max(map(len, rows)) <= 100
    assert {line.replace(r"\|", "").count("|") for line in rows} == {8}
    assert "<b>" not in text
    assert "<i>" not in text


def test_the_page_has_every_difference_and_the_data_of_every_chart(runs: Path, parse: Callable[[str], Any]) -> None:
    compared = comparing.compare(runs / "main", runs / "slow")
    page = parse(render(comparison_page.page(compared)))
    assert len(page.table("At 25/s").rows()) == len(compared.levels[0].differences)
    data = page.csvs()
    assert len(data) == len(page.figures()) == 4
    change = next(rows for name, rows in data.items() if "change" in name)
    assert float(change[3][3]) == pytest.approx(of(compared, "mean").change * 100)
    assert json.dumps(page.figures()).count("latency p95") >= 1
