"""How far an estimate goes within an SLO, on means and on what lengths add to them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.catalog import models
from holdfast.model.fleet import Api, RequestSize, Slo, TokenLengths, Workload, parse_slo
from holdfast.performance.estimate import Estimate, estimate
from holdfast.planning.reach import caveat, reach

MADE = estimate(
    models.architecture("meta-llama/Llama-3.1-8B"),
    catalog.accelerator("a10g"),
    tensor_parallel=4,
    input_tokens=500,
    output_tokens=100,
    max_num_seqs=32,
)


def asking(input_stddev: float = 0, output_stddev: float = 0, most: int | None = None) -> Workload:
    return Workload(
        api=Api.COMPLETIONS,
        input_tokens=TokenLengths(mean=500, stddev=input_stddev),
        output_tokens=TokenLengths(mean=100, stddev=output_stddev, max=most),
    )


ALIKE = asking()


def bounded(**bounds: float) -> Slo:
    return parse_slo(", ".join(f"{name.replace('_', ' ')}<{value}s" for name, value in bounds.items()))


def in_flight(slo: Slo, workload: Workload = ALIKE, made: Estimate = MADE) -> float:
    found = reach(made, slo, workload)
    assert found is not None and not found.broken
    assert found.in_flight == pytest.approx(found.rate_per_s * found.latency_s)
    return found.in_flight


def test_a_bound_between_two_points_is_met_in_between_and_by_littles_law() -> None:
    low, high = MADE.points[2], MADE.points[3]

    found = reach(MADE, bounded(p95=(low.latency_s + high.latency_s) / 2), ALIKE)

    assert found is not None and not found.broken
    assert found.in_flight == pytest.approx((low.concurrency + high.concurrency) / 2)
    assert found.in_flight == pytest.approx(found.rate_per_s * found.latency_s)
    assert low.rate_per_s < found.rate_per_s < high.rate_per_s


def test_the_tightest_bound_decides() -> None:
    low, high = MADE.points[2], MADE.points[3]
    ttft_s = low.ttft_s + 0.1 * (high.ttft_s - low.ttft_s)

    found = in_flight(bounded(p95=high.latency_s, ttft_p95=ttft_s))

    assert found == pytest.approx(low.concurrency + 0.1 * (high.concurrency - low.concurrency))


def test_a_generous_bound_is_met_by_the_whole_batch() -> None:
    assert in_flight(bounded(avg=1000)) == MADE.points[-1].concurrency


def test_a_bound_that_one_request_alone_breaks_is_named() -> None:
    mean, tail = reach(MADE, bounded(avg=0.001), ALIKE), reach(MADE, bounded(p95=0.001), ALIKE)

    assert mean is not None and mean.broken.startswith("latency avg of ") and mean.broken.endswith(" s, above 1ms")
    assert tail is not None and tail.broken.endswith(" s or more, above 1ms")


def test_a_bound_that_the_estimate_has_no_figure_for_is_not_judged() -> None:
    alone = replace(MADE, points=tuple(replace(point, itl_s=None) for point in MADE.points))

    assert in_flight(bounded(itl_p95=1e-6), made=alone) == MADE.points[-1].concurrency


def test_longer_answers_than_the_mean_are_in_a_percentile_and_not_in_the_mean() -> None:
    point = MADE.points[3]
    assert point.itl_s is not None
    spread = asking(output_stddev=20)

    # The 95th percentile of the lengths is 1.645 x 20 tokens beyond the mean, each an inter-token latency long.
    bound_s = point.latency_s + 1.6449 * 20 * point.itl_s

    assert in_flight(bounded(p95=bound_s), spread) == pytest.approx(point.concurrency, rel=1e-3)
    assert in_flight(bounded(avg=point.latency_s), spread) == pytest.approx(point.concurrency)
    assert in_flight(bounded(p50=point.latency_s), spread) == pytest.approx(point.concurrency)
    assert in_flight(bounded(p99=bound_s), spread) < point.concurrency


def test_longer_prompts_delay_the_first_token_by_their_prefill() -> None:
    point, prefill_s = MADE.points[3], MADE.points[0].ttft_s

    found = in_flight(bounded(ttft_p95=point.ttft_s + 1.6449 * 100 * prefill_s / 500), asking(input_stddev=100))

    assert found == pytest.approx(point.concurrency, rel=1e-3)


def test_a_maximum_length_bounds_what_a_percentile_adds() -> None:
    point = MADE.points[3]
    assert point.itl_s is not None

    found = in_flight(bounded(p99=point.latency_s + 10 * point.itl_s), asking(output_stddev=50, most=110))

    assert found == pytest.approx(point.concurrency)


def test_sizes_are_the_distribution_where_they_are_given() -> None:
    sized = asking().model_copy(
        update={
            "sizes": (
                RequestSize(share="90%", input_tokens=500, output_tokens=80),
                RequestSize(share="10%", input_tokens=500, output_tokens=280),
            )
        }
    )
    point = MADE.points[3]
    assert point.itl_s is not None

    # A tenth of the requests is 180 tokens longer than the mean of 100: the p95 is theirs, the p90 is not.
    assert in_flight(bounded(p95=point.latency_s + 180 * point.itl_s), sized) == pytest.approx(point.concurrency)
    assert in_flight(bounded(p90=point.latency_s), sized) == pytest.approx(point.concurrency)


@given(st.floats(0, 200), st.floats(0, 80), st.floats(0.5, 20), st.sampled_from(["p50", "p90", "p95", "p99"]))
def test_a_spread_never_lets_more_in_and_a_higher_percentile_never_either(
    inputs: float, outputs: float, bound_s: float, statistic: str
) -> None:
    def rate(name: str, workload: Workload) -> float:
        found = reach(MADE, bounded(**{name: bound_s}), workload)
        assert found is not None
        return 0.0 if found.broken else found.rate_per_s

    wide = asking(inputs, outputs)

    assert rate(statistic, wide) <= rate(statistic, ALIKE) == rate("avg", wide)
    assert rate("p99", wide) <= rate(statistic, wide)


def test_what_is_left_out_is_said_only_where_something_is() -> None:
    assert caveat(bounded(avg=1), ALIKE) == ""
    assert caveat(parse_slo("avg<1s, utilization<80%"), ALIKE) == "utilization is not judged"
    assert caveat(bounded(p95=1), ALIKE) == (
        "p95 is judged by the mean, for no spread of lengths is declared; what queues add to a tail is not in it"
    )
    assert caveat(bounded(p95=1, ttft_p99=1), asking(10)).startswith("p95, ttft p99 are judged by the mean and the ")


def test_an_estimate_without_points_reaches_nothing() -> None:
    assert reach(replace(MADE, points=()), bounded(avg=9), ALIKE) is None
