"""From rows to a Stage: exact percentiles, times per token, goodput, and what the client knows of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.limits import measured, selection, statistics
from holdfast.model.fleet import parse_slo
from holdfast.model.records import Bools, Column, Floats32, Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, ClientHealth, Level

LEVEL = Level(Arrivals.CONSTANT, rate_per_s=10.0, duration_s=10.0)
SHARES = [50, 90, 95, 99]


def streams(latencies_s: list[float], tokens: int = 5, reported: int = 5) -> RequestTable:
    """Ten requests a second; the first token after a fifth of the latency."""
    return RequestTable.of(
        [
            RequestRecord(
                0, 0.1 * n, 0.1 * n, 0.1 * n + 0.2 * s, 0.1 * n + 0.2 * s, 0.1 * n + s, 0.8 * s / (tokens - 1), tokens,
                10, reported, 10, 5, 200, Outcome.OK,
            )
            for n, s in enumerate(latencies_s)
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class Timed:
    """Rows with chunk times: gaps of 10 ms, and one of a second in each."""

    table: RequestTable

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> Column:
        return self.table.column(name)

    def gaps(self, keep: Bools) -> Iterable[Floats32]:
        return (np.array([0.01, 1.0, 0.01, 0.01], dtype=np.float32) for _ in range(int(keep.sum())))


VALUES = st.lists(st.floats(0, 2.0**100, width=32), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 7))
def test_percentiles_in_pieces_are_those_of_numpy(values: list[float], size: int) -> None:
    array = np.array(values, dtype=np.float32)
    pieces = [array[first : first + size] for first in range(0, len(array), size)]
    found = selection.summarize_pieces(lambda: pieces)
    wide = array.astype(float)
    assert [found.p50_s, found.p90_s, found.p95_s, found.p99_s] == np.percentile(wide, SHARES).tolist()
    assert (found.n, found.max_s) == (len(values), wide.max())
    assert found.avg_s == pytest.approx(wide.mean())


def test_percentiles_of_many_values_are_those_of_numpy() -> None:
    values = np.random.default_rng(3).exponential(0.01, 300_000).astype(np.float32)
    found = selection.summarize_pieces(lambda: np.array_split(values, 7))
    assert [found.p50_s, found.p90_s, found.p95_s, found.p99_s] == np.percentile(values.astype(float), SHARES).tolist()


def test_no_values_have_no_percentiles() -> None:
    assert selection.summarize_pieces(tuple).n == 0


def test_time_per_output_token_leaves_out_the_first_token() -> None:
    stage = measured.measure(streams([1.0] * 50), LEVEL, 0).stage
    assert stage.tpot is not None
    assert stage.tpot.p50_s == pytest.approx(0.8 / 4)
    # Two tokens a chunk: usage tells more tokens than there were events.
    packed = measured.measure(streams([1.0] * 50, tokens=5, reported=9), LEVEL, 0).stage
    assert packed.tpot is not None
    assert packed.tpot.p50_s == pytest.approx(0.8 / 8)
    counted = measured.measure(streams([1.0] * 50, tokens=5, reported=-1), LEVEL, 0).stage
    assert counted.tpot == stage.tpot


def test_inter_token_latency_is_over_every_gap_and_not_over_means() -> None:
    stage = measured.measure(Timed(streams([1.0] * 50)), LEVEL, 0).stage
    assert stage.itl is not None
    assert stage.itl.n == 4 * round((stage.window_s[1] - stage.window_s[0]) * 10 + 1)
    assert stage.itl.p50_s == pytest.approx(0.01)
    assert stage.itl.p99_s == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("slo", "share"),
    [
        ("p95<2s", 1.0),
        ("p95<0.9s", 0.5),  # every second request takes 1 s, the others 0.5 s
        ("p99<2s, p50<0.9s", 0.5),  # of several bounds on one thing the strictest counts
        ("ttft p95<0.15s", 0.5),
        ("itl p95<0.15s", 0.5),
        ("p95<0.1s", 0.0),
        ("avg<0.1s", None),
    ],
)
def test_goodput_counts_what_meets_each_bound_for_itself(slo: str, share: float | None) -> None:
    stage = measured.measure(streams([0.5, 1.0] * 200), LEVEL, 0, slo=parse_slo(slo)).stage
    wanted = None if share is None else pytest.approx(share * stage.achieved_per_s, rel=0.03)
    assert stage.goodput_per_s == wanted


def test_there_is_no_goodput_without_an_slo() -> None:
    assert measured.measure(streams([1.0] * 50), LEVEL, 0).stage.goodput_per_s is None


def test_totals_are_of_the_whole_stage_and_of_what_was_answered() -> None:
    table = streams([1.0] * 50)
    outcome = table.outcome.copy()
    outcome[:5] = Outcome.TIMEOUT
    stage = measured.measure(replace(table, outcome=outcome), LEVEL, 0).stage
    assert (stage.requests, stage.ok, stage.errors) == (50, 45, {"timeout": 5})
    assert (stage.tokens_in, stage.tokens_out) == (450, 225)
    assert stage.warm_up_s == stage.window_s[0] > 0


def test_what_the_client_knows_of_itself_is_kept_and_held_sends_are_named_when_they_matter() -> None:
    client = ClientHealth(cpu=0.3, stall_max_s=0.04, stalls=2, held=30, connections=4)
    table = streams([1.0] * 50)
    stage = measured.measure(table, LEVEL, 0, client=client).stage
    assert stage.client == client
    assert stage.valid
    late = measured.measure(replace(table, sent_s=table.intended_s + 0.5), LEVEL, 0, client=client).stage
    assert late.client.lag_p50_s == pytest.approx(0.5)
    assert late.invalid.endswith("its bound on the number in flight put off 30 of them")


def test_a_stage_without_a_request_is_empty_and_no_error() -> None:
    stage = measured.measure(streams([]), LEVEL, 0, slo=parse_slo("p95<1s")).stage
    assert (stage.requests, stage.latency.n, stage.goodput_per_s) == (0, 0, 0.0)


@given(st.lists(st.floats(0.001, 100), min_size=20, max_size=400))
def test_the_warm_up_is_none_or_where_the_formula_of_mser_is_least(values: list[float]) -> None:
    array = np.array(values)
    means = array[: len(array) // 5 * 5].reshape(-1, 5).mean(axis=1)
    scores = [float(np.var(means[d:])) / (len(means) - d) for d in range(len(means) // 2 + 1)]
    found = statistics.warm_up(array) // 5
    assert found == 0 or scores[found] <= min(scores) + 1e-9 * float(means.mean()) ** 2


def test_the_warm_up_of_a_million_values_takes_no_time() -> None:
    constant = np.full(1_000_000, 0.1)
    assert statistics.warm_up(constant) == 0
