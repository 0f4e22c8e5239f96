"""Tables that are right are let through, whatever they are of; each thing that people get wrong is found and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from auditing.published import EXAMPLE, REGION, Server, closed_loop, coarser, open_loop, read
from holdfast.auditing import audit_measurements
from holdfast.model.findings import Finding, Severity

Rows = list[dict[str, str]]

servers = st.builds(
    Server,
    model=st.sampled_from(["meta-llama/Llama-3.1-8B", "openai/gpt-oss-20b", "Qwen/Qwen3-0.6B", "Qwen/Qwen3-32B"]),
    instance_type=st.sampled_from(["g5.12xlarge", "g6e.12xlarge", "p4d.24xlarge", "p5.48xlarge"]),
    tensor_parallel=st.just(4),
    input_tokens=st.integers(1, 4000),
    output_tokens=st.integers(20, 2000),
    slots=st.integers(1, 128),
    slack=st.floats(1.2, 20),
    decimals=st.sampled_from([2, 3, None]),
)
some = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def found(rows: Rows) -> tuple[Finding, ...]:
    return audit_measurements(read(rows), "table.csv", region=REGION).findings


def worst(rows: Rows) -> list[str]:
    return [finding.message for finding in found(rows) if finding.severity is Severity.IMPOSSIBLE]


def printable(rows: Rows) -> bool:
    """A figure that rounds to nothing is not published."""
    names = ("rate_per_s", "latency_p50_s", "cost_of_inference", "output_tokens_per_s_per_usd_per_h")
    return all(float(row[name]) > 0 for row in rows for name in names)


@some
@given(servers, st.lists(st.integers(1, 400), min_size=1, max_size=5, unique=True), st.sampled_from([0.0, 0.5, 30.0]))
def test_nothing_is_impossible_in_a_consistent_closed_loop(server: Server, users: list[int], think_s: float) -> None:
    rows = closed_loop(server, sorted(users), think_s)

    assume(printable(rows))

    assert not worst(rows)


@some
@given(servers, st.lists(st.floats(0.05, 0.95), min_size=1, max_size=5))
def test_nothing_is_impossible_in_a_consistent_open_loop(server: Server, loads: list[float]) -> None:
    rows = open_loop(server, sorted(loads))

    assume(printable(rows))

    assert not worst(rows)


@pytest.mark.parametrize("server", [EXAMPLE, coarser(EXAMPLE)], ids=["two decimals", "three digits"])
def test_a_table_that_is_right_and_full_has_nothing_found_but_its_idle_devices(server: Server) -> None:
    rows = closed_loop(server, [4, 8, 16, 32, 64], 0.0)

    assert {finding.check for finding in found(rows)} <= {"cost-of-inference", "tokens-per-dollar"}
    assert all(finding.severity is Severity.NOTE for finding in found(rows))


def times(column: str, factor: float) -> Callable[[Rows], Rows]:
    def changed(rows: Rows) -> Rows:
        return [row | {column: f"{float(row[column]) * factor:.4f}"} for row in rows]

    return changed


def swapped(one: str, other: str) -> Callable[[Rows], Rows]:
    return lambda rows: [row | {one: row[other], other: row[one]} for row in rows]


ERRORS = [
    ("littles-law", "the rate is per minute and labelled per second", times("rate_per_s", 60)),
    ("littles-law", "a count per five minutes", times("rate_per_s", 300)),
    ("littles-law", "the rate is per second and labelled per minute", times("rate_per_s", 1 / 60)),
    ("littles-law", "the latency is in milliseconds", times("latency_avg_s", 1000)),
    ("littles-law", "of different windows", times("rate_per_s", 1.3)),
    ("offered-rate", "several requests in flight", times("rate_per_s", 1.3)),
    ("percentile-order", "swapped", swapped("latency_p50_s", "latency_p99_s")),
    ("percentile-order", "swapped", swapped("latency_p95_s", "latency_p99_s")),
    ("percentile-order", "mean and percentiles", times("latency_avg_s", 0.3)),
    ("price", "half the listed price", times("price_usd_per_h", 0.5)),
    ("cost-of-inference", "other figures", times("cost_of_inference", 1.3)),
    ("cost-of-inference", "twice or half the price", times("price_usd_per_h", 0.5)),
    ("tokens-per-dollar", "other figures", times("output_tokens_per_s_per_usd_per_h", 1.3)),
    ("token-count", "counted twice", times("output_tokens_per_s", 2)),
    ("token-count", "prompt tokens are counted", times("output_tokens_per_s", 3)),  # 200 + 100 over 100
    ("token-count", "tokenizer of another model", times("output_tokens_per_s", 1.25)),
    ("physical-limit", "", times("output_tokens", 2000)),
    ("caption", "no place in its table", times("latency_avg_s", 3)),
]


@pytest.mark.parametrize("check, said, spoil", ERRORS, ids=[f"{check}-{n}" for n, (check, _, _) in enumerate(ERRORS)])
def test_each_error_is_found_and_named(check: str, said: str, spoil: Callable[[Rows], Rows]) -> None:
    rows = spoil(closed_loop(EXAMPLE, [8, 16, 32], 0.0))

    hits = [finding for finding in found(rows) if finding.check == check]

    assert hits
    assert any(said in finding.likely.lower() for finding in hits), [finding.likely for finding in hits]


@some
@given(servers, st.sampled_from([60.0, 300.0, 3600.0]))
def test_a_wrong_period_is_impossible_on_every_row_of_every_table(server: Server, factor: float) -> None:
    rows = times("rate_per_s", factor)(closed_loop(server, [4, 40], 0.0))

    assume(printable(rows))
    lines = {f.row for f in found(rows) if f.check == "littles-law" and f.severity is Severity.IMPOSSIBLE}

    assert lines == {2, 3}


def test_a_wrong_period_without_any_concurrency_is_found_by_what_the_hardware_can_do() -> None:
    (finding,) = [f for f in found(times("rate_per_s", 60)(open_loop(EXAMPLE, [0.8]))) if f.check == "physical-limit"]

    assert finding.severity is Severity.SUSPICIOUS  # 4-bit arithmetic on cached prompts would do it
    assert finding.likely == "The rate is per minute and labelled per second."
