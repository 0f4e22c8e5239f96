"""What a server publishes: names that Prometheus and our queries take, labels on every sample, nothing unbounded."""

from __future__ import annotations

import csv
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from holdfast.load import metrics as known
from holdfast.manifests.observing import series
from holdfast.model.errors import InputError
from holdfast.model.metrics import ITL, LATENCY, SERVER_BUCKETS_S, TTFT, VLLM_BUCKETS_S
from holdfast.planning import autoscaling
from holdfast.serving import families
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.metrics import HttpAnswer, Labels, Published
from holdfast.serving.occupancy import Occupancy

VLLM = Path(__file__).parents[4] / "shared" / "data" / "vllm_metrics_0.33.0.csv"
PROMTOOL = shutil.which("promtool")
LABELS = Labels(unit="bert-g5", model="bert-base", device="cuda", node_pool="gpu-spot")
NAMED = {"model_name": "bert-base", "engine": "0", "unit": "bert-g5", "device": "cuda", "node_pool": "gpu-spot"}


def used(has_tokens: bool) -> Published:
    """Everything has happened to it once."""
    published = Published(LABELS, has_tokens=has_tokens)
    published.watch(lambda: Occupancy(3, 5, kv_share=0.25))
    published.watch_readiness(lambda: True)
    published.batch_ran(3, 0.5, tokens=40)
    published.began(0.02)
    if has_tokens:
        published.first_token(0.1, 12)
        published.token_gap(0.03)
    published.ended("stop", 1.5, 1.25, prompt_tokens=12, output_tokens=2)
    published.ended("abort", 0.1, 0.0)
    published.answered("/v1/embeddings", "POST", 200, 1.5)
    published.answered("/v1/embeddings", "POST", 429, 0.001)
    published.answered("other", "GET", 404, 0.001)
    return published


def found(published: Published) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(published.exposition().decode())}


def value(published: Published, name: str, **labels: str) -> float:
    samples = [sample for family in found(published).values() for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


@pytest.mark.parametrize("has_tokens", [True, False])
def test_every_sample_says_which_unit_model_device_and_node_pool_it_is_of(has_tokens: bool) -> None:
    samples = [sample for family in found(used(has_tokens)).values() for sample in family.samples]
    assert len(samples) > 100
    assert all(NAMED.items() <= sample.labels.items() for sample in samples)


@pytest.mark.parametrize("has_tokens", [True, False])
def test_names_that_begin_with_vllm_are_vllms_and_of_its_kind(has_tokens: bool) -> None:
    if not VLLM.exists():
        pytest.skip("vLLM's names are not beside the repository")
    with VLLM.open(encoding="utf-8") as file:
        theirs = {row["metric_exposed"].partition("|")[0].removesuffix("_bucket"): row for row in csv.DictReader(file)}
    ours = [family for name, family in found(used(has_tokens)).items() if name.startswith("vllm:")]
    for family in ours:
        row = theirs[family.name + ("_total" if family.type == "counter" else "")]
        assert row["type"] == family.type
        assert row["doc"] == family.documentation
    # 2 gauges, 2 counters, 3 histograms; with tokens 1, 2 and 5 more, and the tokens of an encoder's inputs without.
    assert len(ours) == (15 if has_tokens else 8)


def test_buckets_of_tokens_are_vllms_and_those_of_whole_answers_finer() -> None:
    page = found(used(True))

    def bounds(name: str) -> tuple[float, ...]:
        finite = [float(sample.labels["le"]) for sample in page[name].samples if sample.name.endswith("_bucket")]
        return tuple(bound for bound in finite if bound < math.inf)

    assert (bounds(TTFT), bounds(ITL)) == (VLLM_BUCKETS_S[TTFT], VLLM_BUCKETS_S[ITL])
    assert bounds(LATENCY) == SERVER_BUCKETS_S[LATENCY]
    assert set(bounds("holdfast_http_request_duration_seconds")) == set(SERVER_BUCKETS_S[LATENCY])


def test_what_the_load_generator_asks_a_server_for_is_there() -> None:
    read = known.read(used(True).exposition())
    assert read == {"running": 3, "waiting": 5, "kv_usage": 0.25, "tokens_in": 12, "tokens_out": 2, "busy": 0.5}
    assert known.tells_utilization(known.read(used(False).exposition()))


@pytest.mark.parametrize(
    "name",
    [
        series.COMPLETED,
        series.REJECTED,
        autoscaling._QUEUE,
        autoscaling._RUNNING,
        f"{LATENCY}_bucket",
        f"{TTFT}_bucket",
    ],
)
def test_what_rules_and_autoscalers_ask_servers_for_is_there(name: str) -> None:
    names = {sample.name for family in found(used(True)).values() for sample in family.samples}
    assert name in names


def test_counts_are_there_from_the_first_scrape_so_that_their_first_rise_is_seen() -> None:
    fresh = Published(LABELS, has_tokens=True)
    samples = {sample.name for family in found(fresh).values() for sample in family.samples}
    assert {series.COMPLETED, series.REJECTED, "vllm:prompt_tokens_total", "holdfast_batch_size_count"} <= samples
    assert value(fresh, "holdfast_ready") == 0


def test_who_left_or_failed_is_counted_and_not_among_the_times_of_answers() -> None:
    published = used(False)
    published.ended("error", 0.1, 0.1)
    assert value(published, series.COMPLETED, finished_reason="abort") == 1
    assert value(published, series.COMPLETED, finished_reason="error") == 1
    assert value(published, f"{LATENCY}_count") == 1


def test_http_answers_are_counted_on_every_path_and_429_as_turned_away() -> None:
    published = used(False)
    requests = "holdfast_http_requests_total"
    assert value(published, requests, route="/v1/embeddings", method="POST", status="200") == 1
    assert value(published, requests, route="other", method="GET", status="404") == 1
    assert value(published, series.REJECTED, reason="queue_full") == 1
    assert value(published, "holdfast_http_request_duration_seconds_count", route="/v1/embeddings") == 2


def test_no_client_can_make_series_without_end() -> None:
    published = Published(LABELS, has_tokens=False)
    for number in range(1000):
        published.answered(f"/{number}", f"M{number}", 200, 0.1)
    page = found(published)
    assert len(page["holdfast_http_requests"].samples) <= 101
    assert value(published, "holdfast_http_requests_total") == 1000


def test_listeners_are_told_of_each_answer() -> None:
    published, told = Published(LABELS, has_tokens=False), list[HttpAnswer]()
    published.listen(told.append)
    published.answered("/genimage", "POST", 200, 0.5)
    assert told == [HttpAnswer("/genimage", "POST", 200, 0.5)]


@settings(max_examples=20)
@given(
    st.text(min_size=1, max_size=20),
    st.lists(st.tuples(st.sampled_from(["stop", "length", "abort"]), st.floats(0, 1e4)), max_size=20),
)
def test_any_label_and_any_times_make_a_page_that_can_be_read(name: str, ended: list[tuple[str, float]]) -> None:
    published = Published(Labels(name, name, name, name), has_tokens=True)
    for reason, seconds in ended:
        published.ended(reason, seconds, seconds)
    whole = sum(reason != "abort" for reason, _ in ended)
    assert value(published, f"{LATENCY}_count") == whole
    assert value(published, series.COMPLETED) == len(ended)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("has_tokens", [True, False])
def test_promtool_takes_the_page(has_tokens: bool) -> None:
    assert PROMTOOL is not None
    page = used(has_tokens).exposition()
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, timeout=30, check=False)
    # It says of vLLM's colons and its histogram called _total that they are no good style; those are vLLM's.
    complaints = [line for line in done.stderr.decode().splitlines() if not line.startswith(("vllm:", "error while"))]
    assert complaints == []


def test_texts_are_sentences_and_no_name_is_written_twice() -> None:
    assert all(text.endswith(".") for text in families.TEXTS.values())
    assert all(re.fullmatch(r"[a-z_:0-9]+", name) for name in families.TEXTS)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"max_batch": 0}, "max_batch is 0"),
        ({"max_wait_s": -1.0}, "max_wait_s is -1"),
        ({"max_wait_s": math.nan}, "max_wait_s is nan"),
        ({"max_body_mib": math.inf}, "max_body_mib is inf"),
        ({"max_queued": -3}, "max_queued is -3"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_side": 4}, "max_side is 4 pixels"),
    ],
)
def test_bounds_that_nobody_can_hold_to_are_refused(bounds: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Bounds(**bounds)  # type: ignore[arg-type]


def test_a_batch_need_not_wait_and_tokens_need_no_bound() -> None:
    assert Bounds(max_wait_s=0.0, max_tokens=None).max_wait_s == 0
