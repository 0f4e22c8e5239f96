"""Names and units of engines and exporters, mapped to one vocabulary."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.load import metrics
from holdfast.load.metrics import Selection
from holdfast.model.server import SERIES
from load.pages import DCGM, DCGM_PROFILING, NEURON, TRITON, Vllm

NAMES_0_33 = Path(os.environ.get("HOLDFAST_FIELD_DATA", "shared/data")) / "vllm_metrics_0.33.0.csv"
"""A list of vLLM's names, drawn from its wheel, for those who have it."""


def values(page: bytes, text: str = "") -> dict[str, float]:
    selection = Selection.parse(text) if text else metrics.EVERYTHING
    return metrics.series(metrics.read(page, selection), {}, 0.0, 1.0)


def test_gpu_utilisation_in_per_cent_becomes_a_share_and_memory_becomes_bytes() -> None:
    assert values(DCGM) == {"utilization": 0.46, "memory_used_bytes": 20480 * 2**20, "power_w": 168.0}


def test_the_ratio_of_the_profiling_counters_is_taken_before_the_per_cent() -> None:
    assert values(DCGM_PROFILING)["utilization"] == pytest.approx(0.45)


def test_only_the_chosen_devices_of_an_exporter_count() -> None:
    assert values(DCGM, 'gpu="0"') == {"utilization": 0.92, "memory_used_bytes": 20480 * 2**20, "power_w": 151.5}
    assert values(DCGM, 'gpu=~"0|1",Hostname="n"')["utilization"] == 0.46
    assert values(DCGM, 'gpu="7"') == {}


@pytest.mark.parametrize("text", ["gpu", "gpu=0", 'gpu=~"("', 'gpu="0",,'])
def test_a_selection_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        Selection.parse(text)


def test_neuron_cores_are_a_ratio_already_and_host_memory_is_no_device_memory() -> None:
    assert values(NEURON) == {"utilization": pytest.approx(0.51005), "memory_used_bytes": 2.5e9}


def test_triton_says_how_many_wait_and_how_busy_its_gpu_is() -> None:
    assert values(TRITON) == {"waiting": 7, "utilization": 0.25}


def test_engines_sum_their_queues_and_average_their_caches() -> None:
    vllm = Vllm("0", "1")
    vllm.set("0", running=3, waiting=10, kv=0.9)
    vllm.set("1", running=1, waiting=2, kv=0.5)
    assert values(vllm.page()) == {"running": 4, "waiting": 12, "kv_usage": 0.7}


def test_an_older_vllm_names_its_cache_otherwise() -> None:
    vllm = Vllm(kv_name="vllm:gpu_cache_usage_perc")
    vllm.set(kv=0.25)
    assert values(vllm.page())["kv_usage"] == 0.25


def test_counters_become_rates_and_two_of_them_a_hit_rate() -> None:
    vllm = Vllm()
    vllm.set(prompt=1000, generated=500, queries=1000, hits=100, preempted=1)
    before = metrics.read(vllm.page())
    vllm.set(prompt=300, generated=100, queries=300, hits=120)
    found = metrics.series(metrics.read(vllm.page()), before, 2.0, 1.0)
    assert found["tokens_in_per_s"] == 150
    assert found["tokens_out_per_s"] == 50
    assert found["preemptions_per_s"] == 0
    assert found["prefix_hit_rate"] == pytest.approx(0.4)


def test_under_a_time_scale_rates_are_in_the_targets_time_and_utilisation_is_a_share_of_wall_time() -> None:
    before, now = {"tokens_out": 0.0, "busy": 1.0}, {"tokens_out": 600.0, "busy": 2.5}
    assert metrics.series(now, before, 2.0, 10.0) == {"tokens_out_per_s": 30.0, "utilization": 0.75}


def test_a_counter_that_a_restart_set_back_has_no_rate() -> None:
    assert metrics.series({"tokens_in": 10.0, "busy": 0.1}, {"tokens_in": 5000.0, "busy": 99.0}, 1.0, 1.0) == {}


def test_what_dcgm_marks_as_blank_is_no_value() -> None:
    page = b'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 9223372036854775794\nDCGM_FI_DEV_POWER_USAGE{gpu="0"} 140737488355328.000\n'
    assert values(page) == {}


@pytest.mark.parametrize("page", [b"", b"<html>no metrics</html>", b"vllm:num_requests_running{ 3\n", b"\xff\xfe{} 1"])
def test_a_page_of_something_else_has_nothing(page: bytes) -> None:
    assert metrics.read(page) == {}


@given(st.binary())
def test_no_page_makes_it_fail(page: bytes) -> None:
    metrics.read(b"vllm:num_requests_running " + page)


@given(st.dictionaries(st.sampled_from(sorted({m.quantity for m in metrics.METRICS})), st.floats(0, 1e9)))
def test_every_series_that_comes_out_is_in_the_vocabulary(now: dict[str, float]) -> None:
    assert metrics.series(now, dict.fromkeys(now, 0.0), 1.0, 1.0).keys() <= SERIES.keys()


@pytest.mark.skipif(not NAMES_0_33.exists(), reason="the list of vLLM's names is not on this machine")
def test_the_names_of_vllm_are_those_of_its_release() -> None:
    with NAMES_0_33.open(newline="") as file:
        kinds = {row["metric_exposed"]: row["type"] for row in csv.DictReader(file)}
    ours = [metric for metric in metrics.METRICS if re.match("vllm:(?!gpu_cache)", metric.name)]
    for metric in ours:
        assert kinds[metric.name] == metric.kind.value
    print(f"checked {len(ours)} names against {NAMES_0_33.name}")  # noqa: T201
    assert len(ours) == 8
