"""A unit that was measured at each size of the workload's requests is planned with its limits at these sizes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.document import read_fleet
from holdfast.model.errors import InputError
from holdfast.model.fleet import InferenceFleet
from holdfast.model.measurements import Measurement
from holdfast.model.stages import Arrivals, BreakingPoint, Cause, ClientHealth, Level, LoadCurve, Stage, Summary
from holdfast.planning import each_size
from holdfast.planning.evidence import from_measurements
from holdfast.planning.plan import make_plan
from holdfast.planning.run_evidence import from_breaking_points

TEXT = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: sized}
spec:
  model: {id: some/model}
  workload:
    api: completions
    inputTokens: {mean: 560}
    outputTokens: {mean: 140}
    sizes: [{share: 80%, inputTokens: 200, outputTokens: 100}, {share: 20%, inputTokens: 2000, outputTokens: 300}]
  slo: {latency: {p95: 10s}}
  demand: {rate: 4/s}
  units:
    - {name: g5, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, price: $1/h}
  capacity: {survive: none}
"""
SHORT, LONG = (200, 100), (2000, 300)


def fleet(text: str = TEXT) -> InferenceFleet:
    return read_fleet(text, where="fleet.yaml")


def row(line: int, size: tuple[float, float], rate_per_s: float, p95_s: float = 5.0) -> Measurement:
    return Measurement(
        row=line,
        unit="g5",
        rate_per_s=rate_per_s,
        input_tokens=size[0],
        output_tokens=size[1],
        output_tokens_per_s=rate_per_s * size[1],
        latency_avg_s=p95_s / 2,
        latency_p95_s=p95_s,
    )


def test_the_limit_at_each_size_is_its_best_row_within_the_slo() -> None:
    rows = [row(2, SHORT, 2.0), row(3, (205, 96), 3.0, 8.0), row(4, LONG, 0.4, 9.0), row(5, LONG, 0.6, 15.0)]

    (known,), findings = from_measurements(fleet(), rows, {}, {}, "m.csv")
    (pool,) = make_plan(fleet(), [known]).pools

    assert pool.limits_by_size_per_s == (3.0, 0.4)
    assert pool.limit_per_s == pytest.approx(1 / (0.8 / 3 + 0.2 / 0.4))
    assert pool.latencies_by_size_s == (4.0, 4.5)
    assert pool.latency_s == pytest.approx(0.8 * 4.0 + 0.2 * 4.5)
    assert known.tokens_out_per_s == pytest.approx(pool.limit_per_s * (0.8 * 96 + 0.2 * 300))
    assert pool.limit_source.startswith("200 + 100 tokens: m.csv:3: ") and "; 2000 + 300 tokens: m.csv:4: " in (
        pool.limit_source
    )
    assert findings == ()


def test_rows_of_other_lengths_are_put_aside() -> None:
    rows = [row(2, SHORT, 2.0), row(3, (560, 140), 1.1), row(4, LONG, 0.4)]

    (known,), (finding,) = from_measurements(fleet(), rows, {}, {}, "m.csv")

    assert known.limits_by_size_per_s == (2.0, 0.4)
    assert (finding.row, finding.check) == (3, "size")


def test_limits_at_several_sizes_are_of_one_set_up_that_carries_the_most() -> None:
    small = [replace(one, max_num_seqs=8) for one in (row(2, SHORT, 2.0), row(3, LONG, 0.5))]
    large = [replace(one, max_num_seqs=32) for one in (row(4, SHORT, 4.0), row(5, LONG, 0.4))]
    broken = [replace(one, max_num_seqs=64) for one in (row(6, SHORT, 9.0), row(7, LONG, 0.9, 11.0))]

    (known,), _ = from_measurements(fleet(), [*small, *large, *broken], {}, {}, "m.csv")

    assert known.limits_by_size_per_s == (4.0, 0.4)  # 1.43/s of the mixture, and the small batch 1.25/s


def test_a_unit_that_breaks_the_slo_at_one_size_is_left_out_with_that_size() -> None:
    known, findings = from_measurements(fleet(), [row(2, SHORT, 2.0), row(3, LONG, 0.4, 11.0)], {}, {}, "m.csv")

    assert known == ()
    assert [finding.message for finding in findings] == [
        "Unit 'g5' is left out of the plan: at 2000 + 300 tokens none of its 1 rows meets the SLO; the nearest: "
        "latency p95 11 s above 10 s."
    ]


@pytest.mark.parametrize(
    "rows, said",
    [
        ([row(2, SHORT, 2.0)], "at 1 of the workload's 2 sizes, but not at 2000 + 300 tokens"),
        (
            [row(2, SHORT, 2.0), replace(row(3, LONG, 0.4), replicas=2)],
            "at 2 of the workload's 2 sizes, but never of one set-up",
        ),
    ],
)
def test_a_unit_measured_at_some_sizes_is_scaled_as_before_and_says_so(rows: list[Measurement], said: str) -> None:
    (known,), findings = from_measurements(fleet(), rows, {}, {}, "m.csv")

    assert known.limits_by_size_per_s == ()
    assert [finding.check for finding in findings if said in finding.message] == ["size"]


def test_two_prices_of_one_replica_are_refused() -> None:
    rows = [replace(row(2, SHORT, 2.0), price_usd_per_h=1.0), replace(row(3, LONG, 0.4), price_usd_per_h=2.0)]

    with pytest.raises(InputError, match="costs 1 USD/h by the rows of one size and 2 USD/h by those of another"):
        from_measurements(fleet(TEXT.replace(", price: $1/h", "")), rows, {}, {}, "m.csv")


@given(st.lists(st.tuples(st.sampled_from([SHORT, LONG, (560, 140)]), st.floats(0.1, 9), st.floats(1, 20)), max_size=8))
def test_a_limit_at_a_size_is_the_rate_of_a_row_of_that_size_within_the_slo(
    levels: list[tuple[tuple[int, int], float, float]],
) -> None:
    rows = [row(line, *level) for line, level in enumerate(levels, 2)]
    known, _ = from_measurements(fleet(), rows, {}, {}, "m.csv")

    holding = [{one[1] for one in levels if one[0] == size and one[2] <= 10} for size in (SHORT, LONG)]
    for one in known:
        if one.limits_by_size_per_s:
            assert one.limits_by_size_per_s == tuple(map(max, holding))
    if all(holding):
        assert known[0].limits_by_size_per_s


def run(size: tuple[float, float], limit_per_s: float) -> LoadCurve:
    """A run of requests of that size with its breaking point."""
    latency = Summary(100, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    stage = Stage(
        index=0,
        level=Level(Arrivals.POISSON, rate_per_s=limit_per_s),
        window_s=(0.0, 10.0),
        requests=100,
        offered_per_s=limit_per_s,
        achieved_per_s=limit_per_s,
        latency=latency,
        ttft=None,
        itl=None,
        tokens_in_per_s=limit_per_s * size[0],
        tokens_out_per_s=limit_per_s * size[1],
        errors={},
        in_flight=1.0,
        little=0.0,
        utilization=None,
        client=ClientHealth(0.0, 0.0, 0.0, 0.1),
        invalid="",
    )
    point = BreakingPoint(limit_per_s, limit_per_s, math.inf, 0.9, Cause.LATENCY, "p95 rose")
    return LoadCurve("g5", (stage,), point)


def test_runs_at_each_size_give_a_limit_at_each_size_in_any_order() -> None:
    (known,), findings = from_breaking_points(fleet(), {"g5": [run(LONG, 0.4), run((210, 98), 3.0)]}, {}, {})

    assert known.limits_by_size_per_s == (3.0, 0.4)
    assert known.latencies_by_size_s == (0.5, 0.5)
    assert findings == ()


def test_one_run_that_holds_no_load_at_its_size_leaves_the_unit_out() -> None:
    known, (finding,) = from_breaking_points(
        fleet(),
        {
            "g5": [
                run(SHORT, 3.0),
                replace(run(LONG, 0.4), breaking_point=BreakingPoint(0, 0, 1, 0.9, Cause.LATENCY, "slow")),
            ]
        },
        {},
        {},
    )

    assert known == ()
    assert "at 2000 + 300 tokens it holds no load at all" in finding.message


@pytest.mark.parametrize(
    "text, runs, said",
    [
        (TEXT, [run(SHORT, 3.0), run(SHORT, 2.0)], "2 runs, 2 of them with 200 [+] 100 tokens"),
        (TEXT, [run(SHORT, 3.0), run((9000, 9), 2.0)], "2 runs, none of them with 2000 [+] 300 tokens"),
        (TEXT, [run(SHORT, 3.0), run(LONG, 2.0), run((9, 9), 2.0)], "3 runs, and the workload has 2 sizes"),
        (
            "\n".join(line for line in TEXT.splitlines() if "sizes" not in line),
            [run(SHORT, 3.0), run(LONG, 2.0)],
            "2 runs, and the workload has no sizes",
        ),
    ],
)
def test_runs_that_are_not_one_at_each_size_are_refused(text: str, runs: list[LoadCurve], said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_breaking_points(fleet(text), {"g5": runs}, {}, {})


def test_a_workload_without_sizes_was_measured_at_none() -> None:
    workload = fleet(TEXT.replace(TEXT[TEXT.index("    sizes:") : TEXT.index("  slo:")], "")).spec.workload

    assert each_size.measured([row(2, SHORT, 2.0)], workload) == ()
