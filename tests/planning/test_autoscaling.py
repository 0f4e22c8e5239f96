"""One breaking point in the unit and period of each metric that may be scraped."""

import csv
from pathlib import Path

import pytest

from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.plan import ScalingTarget
from holdfast.planning.autoscaling import autoscaling

NAMES = Path(__file__).parents[3] / "shared" / "data" / "vllm_metrics_0.33.0.csv"


def targets(
    fleet: InferenceFleet, unit: str = "quad", latency_s: float | None = None, period_s: float = 60
) -> dict[str, ScalingTarget]:
    """Of a unit that breaks at 6/s and is filled to 80 %."""
    scaling = autoscaling(fleet.unit(unit), 6.0, fleet.spec.capacity, latency_s, period_s)
    return {one.name: one for one in scaling.targets}


def batched(fleet: InferenceFleet, sequences: int) -> DeploymentUnit:
    return fleet.unit("quad").model_copy(update={"max_num_seqs": sequences})


def test_the_target_is_the_limit_times_the_utilisation_target(fleet: InferenceFleet) -> None:
    found = autoscaling(fleet.unit("quad"), 6.0, fleet.spec.capacity)

    assert (found.metric, found.unit) == ("requests_per_replica", "requests/s")
    assert found.target == pytest.approx(4.8)
    assert (found.min_replicas, found.max_replicas) == (1, 10)


def test_a_rate_and_a_sum_of_the_same_load_differ_by_the_period(fleet: InferenceFleet) -> None:
    found = targets(fleet)

    assert found["completed"].statistic == "rate"
    assert found["completed"].value == pytest.approx(4.8)
    received = found["received"]
    assert (received.system, received.metric) == ("cloudwatch", "AWS/ApplicationELB RequestCountPerTarget")
    assert (received.statistic, received.period_s, received.unit) == ("sum", 60, "requests/min")
    assert received.value == pytest.approx(288)


def test_a_sum_over_another_period_says_which(fleet: InferenceFleet) -> None:
    received = targets(fleet, period_s=300)["received"]

    assert received.value == pytest.approx(1440)
    assert (received.unit, received.period_s) == ("requests per 300 s", 300)


def test_what_is_in_flight_follows_from_littles_law_and_is_unknown_without_a_latency(fleet: InferenceFleet) -> None:
    assert targets(fleet, latency_s=2.5)["in flight"].value == pytest.approx(12)
    assert "in flight" not in targets(fleet)


@pytest.mark.parametrize(
    "sequences, waiting, words",
    [
        (8, 4.0, "12 in flight at the target, 8 of them in the batch (maxNumSeqs)."),
        (16, 1.0, "holds all 12 in flight at the target"),
    ],
)
def test_the_queue_is_what_does_not_fit_into_the_batch(
    fleet: InferenceFleet, sequences: int, waiting: float, words: str
) -> None:
    found = autoscaling(batched(fleet, sequences), 6.0, fleet.spec.capacity, 2.5).targets
    (target,) = [one for one in found if one.name == "waiting"]

    assert target.value == pytest.approx(waiting)
    assert words in target.reason


def test_an_engine_without_a_batch_has_no_queue_and_no_cache(fleet: InferenceFleet) -> None:
    other = fleet.unit("quad").model_copy(update={"framework": "tgi", "max_num_seqs": 8})

    found = autoscaling(other, 6.0, fleet.spec.capacity, 2.5).targets

    assert [one.name for one in found] == ["completed", "received", "in flight"]


def test_vllm_on_neuron_has_a_queue_and_no_cache_that_preempts(fleet: InferenceFleet) -> None:
    neuron = batched(fleet, 8).model_copy(update={"framework": "vllm-neuron"})

    found = autoscaling(neuron, 6.0, fleet.spec.capacity, 2.5).targets

    assert [one.name for one in found] == ["completed", "received", "in flight", "waiting"]
    assert {one.exporter for one in found} == {"vLLM", "the load balancer"}


def test_a_server_that_is_not_vllm_is_said_to_have_to_export_its_names(fleet: InferenceFleet) -> None:
    other = fleet.unit("quad").model_copy(update={"framework": "tgi"})

    completed, received, in_flight = autoscaling(other, 6.0, fleet.spec.capacity, 2.5).targets

    assert completed.exporter == in_flight.exporter == "the unit's own server, under vLLM's name"
    assert "which a tgi server has to export too" in completed.reason
    assert "Triton Inference Server has nv_inference_request_success instead" in completed.reason
    assert received.exporter == "the load balancer"


def test_every_target_says_metric_statistic_period_unit_and_reason(fleet: InferenceFleet) -> None:
    for one in autoscaling(batched(fleet, 8), 6.0, fleet.spec.capacity, 2.5).targets:
        assert one.metric and one.exporter and one.statistic in ("rate", "sum", "average") and one.period_s > 0
        assert one.unit and one.value > 0 and one.reason.endswith(".")


@pytest.mark.skipif(not NAMES.exists(), reason="vLLM's metric names are not beside the repository")
def test_the_names_are_those_of_vllm(fleet: InferenceFleet) -> None:
    with NAMES.open(encoding="utf-8") as file:
        known = {row["metric_exposed"] for row in csv.DictReader(file)}
    found = autoscaling(batched(fleet, 8), 6.0, fleet.spec.capacity, 2.5).targets
    used = [name for one in found if one.system == "prometheus" for name in one.metric.split(" + ")]

    assert len(used) == 5
    assert set(used) <= known
