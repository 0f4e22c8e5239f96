"""The figures of benchmarks/load_generators.py, from runs small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.peers import figures, table
from benchmarks.peers.figures import Cost, Result, Ttft
from benchmarks.peers.loads import Load, Reported
from benchmarks.peers.processes import Run, Sample
from benchmarks.peers.server import Counts, Stamps

LOAD = Load("200 streams", duration_s=20, first_s=0.050, concurrency=200)


def _result(us: float, error_ms: float) -> Result:
    return Result(LOAD, Cost(us, us), 294.0, 80, Ttft(50.0, 50.0 + error_ms, 50.0, 50.0))


def test_an_ideal_client_of_200_streams_of_64_tokens_makes_294_requests_a_second() -> None:
    assert LOAD.ideal_per_s == pytest.approx(200 / 0.680)


def test_start_up_costs_nothing_and_reports_count_only_to_the_end() -> None:
    # 3 s of start-up, 10 us a token while sending, and 2 s of report over 900,000 tokens after the first sample
    samples = [Sample(0.0, 3.0, Counts(0, 0))]
    samples += [Sample(float(i), 3.0 + i, Counts(i * 1000, i * 100_000)) for i in range(1, 11)]
    cost = figures.cost(Run(15.0, 0, tuple(samples), Counts(10_000, 1_000_000), ""), lambda counts: counts.tokens)
    assert cost.sending_us == pytest.approx(10.0)
    assert cost.to_end_us == pytest.approx((15 - 4) / 900_000 * 1e6)


def test_a_run_too_short_to_tell_has_no_cost_and_no_verdict() -> None:
    cost = figures.cost(Run(1.0, 0, (), Counts(5, 320), ""), lambda counts: counts.tokens)
    closed = {"holdfast": Result(LOAD, cost, 0, 0, None), "aiperf": _result(90, 300)}
    assert {target.met for target in figures.targets(closed, {}) if "time per" in target.claim} == {None}


def test_the_rate_of_a_closed_loop_does_not_depend_on_its_bursts() -> None:
    bursts = np.repeat(np.arange(30) * 0.680, 200)
    assert Stamps(bursts, bursts).rate_per_s(1.0) == pytest.approx(294.1, rel=0.005)


def test_the_truth_leaves_out_the_requests_that_the_tool_left_out() -> None:
    stamps = Stamps(np.arange(103.0), np.array([9.0] + [500.0] * 2 + [50.0] * 100))
    seen = figures.ttft(Reported(102, 0, 51.0, 53.0, checks=1, skipped=2), stamps)
    assert seen is not None
    assert (seen.true_p99_ms, seen.error_p99_ms) == (50.0, 3.0)


@pytest.mark.parametrize(
    ("ours_us", "theirs_us", "ours_ms", "theirs_ms", "met"),
    [
        (10, 90, 0.5, 300, [True, True, True]),
        (20, 90, -2.5, 1, [False, False, False]),  # 4.5 times; an error to either side; a peer that is true as well
    ],
)
def test_verdicts_follow_from_the_figures(
    ours_us: float, theirs_us: float, ours_ms: float, theirs_ms: float, met: list[bool]
) -> None:
    found = figures.targets({"holdfast": _result(ours_us, ours_ms), "aiperf": _result(theirs_us, theirs_ms)}, {})
    by_claim = {target.claim: target.met for target in found}
    assert [value for claim, value in by_claim.items() if claim.startswith(("aiperf", "holdfast's"))] == met
    assert by_claim["guidellm takes at least 5 times the processor time per streamed token"] is None


def test_a_printed_table_of_four_tools_fits_a_hundred_columns() -> None:
    results = {name: _result(137.5, 1666.1) for name in ("holdfast", "aiperf", "guidellm", "vllm")}
    assert max(len(line) for line in table.closed(results, markdown=False).splitlines()) <= 100
