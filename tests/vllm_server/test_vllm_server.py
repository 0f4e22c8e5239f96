"""What holdfast says and expects of a vLLM server, held against one."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric

from holdfast.load import metrics
from holdfast.load.serverlog import read_server
from holdfast.model.metrics import LATENCY, VLLM_BUCKETS_S
from holdfast.model.server import SERIES
from holdfast.serving.emulated import profiles
from holdfast.serving.emulated.metrics import Metrics
from vllm_server.real import MAX_LENGTH, MODEL, NAME, Server, holdfast

FINER = {
    LATENCY,
    *(f"vllm:request_{phase}_time_seconds" for phase in ("queue", "inference", "prefill", "decode")),
}
"""Histograms that holdfast's servers keep with finer buckets than vLLM, on purpose: model.metrics.SERVER_BUCKETS_S."""

BY_LENGTH = {"vllm:request_prompt_tokens", "vllm:request_generation_tokens"}
"""Those whose buckets end at the longest request in vLLM."""


def emulated() -> dict[str, Metric]:
    """The page of an emulated LLM unit that has answered."""
    unit = profiles.load_profile("gpt-oss-20b-g5-8xlarge")
    published = Metrics(unit=unit.name, model=NAME, time_scale=1.0, has_tokens=True)
    published.watch(lambda: unit.device.engine().occupancy(), lambda: 0.0)
    families = parser.text_string_to_metric_families(published.exposition().decode())
    return {family.name: family for family in families if family.name.startswith("vllm:")}


def labels(family: Metric) -> set[str]:
    return {name for sample in family.samples for name in sample.labels} - {"le"}


def bounds(family: Metric) -> list[float]:
    first = {name: value for name, value in family.samples[0].labels.items() if name != "le"}
    mine = [s for s in family.samples if s.name.endswith("_bucket") and first.items() <= s.labels.items()]
    return [float(sample.labels["le"]) for sample in mine]


def test_every_metric_that_the_emulator_publishes_under_vllms_names_is_vllms(server: Server) -> None:
    real, ours = server.metrics(), emulated()
    assert len(ours) > 15
    for name, family in ours.items():
        assert name in real
        assert family.type == real[name].type, name
        if family.samples:
            assert labels(family) == labels(real[name]), name


def test_histograms_have_vllms_buckets(server: Server) -> None:
    real, ours = server.metrics(), emulated()
    for name, expected in VLLM_BUCKETS_S.items():
        assert bounds(real[name]) == [*expected, float("inf")], name
    same = [name for name, family in ours.items() if family.type == "histogram" and name not in FINER | BY_LENGTH]
    assert len(same) >= 3
    for name in same:
        assert bounds(ours[name]) == bounds(real[name]), name
    for name in BY_LENGTH:
        until = [bound for bound in bounds(real[name]) if bound <= MAX_LENGTH]
        assert bounds(ours[name])[: len(until)] == until


def test_every_name_of_vllm_that_is_read_for_series_is_there(server: Server) -> None:
    page = {sample.name: family.type for family in server.metrics().values() for sample in family.samples}
    former = {"vllm:gpu_cache_usage_perc"}
    read = {metric.name: metric.kind.value for metric in metrics.METRICS if metric.name.startswith("vllm:")}
    assert {name for name in read if name not in page} == former
    assert all(page[name] == kind for name, kind in read.items() if name in page)


@pytest.mark.parametrize(("tokens_in", "tokens_out"), [(1, 1), (17, 3), (128, 40)])
def test_usage_is_what_was_asked_for(server: Server, tmp_path: Path, tokens_in: int, tokens_out: int) -> None:
    asked = ("--input-tokens", str(tokens_in), "--output-tokens", str(tokens_out), "--tokenizer", MODEL)
    load = ("--concurrency", "4", "--duration", "2s", "--out", tmp_path / "run")
    holdfast("load", server.url, "--model", NAME, *asked, *load)
    rows = pq.read_table(tmp_path / "run" / "requests.parquet").to_pylist()
    assert len(rows) > 5
    assert {(row["tokens_in"], row["tokens_out"]) for row in rows if row["stage"] >= 0} == {(tokens_in, tokens_out)}


def test_load_reads_the_servers_series(server: Server, tmp_path: Path) -> None:
    load = ("--concurrency", "8", "--duration", "6s", "--tokenizer", MODEL, "--out", tmp_path / "run")
    shape = ("--input-tokens", "64", "--output-tokens", "64")
    stage = holdfast("load", server.url, "--model", NAME, *shape, *load)["stage"]
    table = read_server(tmp_path / "run")
    assert table is not None
    of_devices = {"utilization", "memory_used_bytes", "power_w"}
    assert set(table.series.tolist()) == set(SERIES) - of_devices
    means = {name: max(table.of_series(name)["target"][1]) for name in ("running", "kv_usage", "tokens_out_per_s")}
    assert 4 <= means["running"] <= 8
    assert 0 < means["kv_usage"] <= 1
    assert means["tokens_out_per_s"] == pytest.approx(stage["tokens_out_per_s"], rel=0.5)


def test_health_is_answered(server: Server) -> None:
    assert server.get("/health") == (200, "")


def test_a_request_whose_client_has_left_is_aborted(server: Server) -> None:
    connection = _ask(server, tokens_in=8, tokens_out=2000, stream=True)
    answer = connection.getresponse()
    answer.read(100)
    assert server.total("vllm:num_requests_running") == 1
    answer.close()
    connection.close()
    deadline = time.monotonic() + 10
    while server.total("vllm:num_requests_running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # vLLM counts it nowhere: not as finished by "abort" either.
    made = server.total("vllm:generation_tokens_total")
    time.sleep(0.5)
    assert server.total("vllm:generation_tokens_total") == made


def test_requests_beyond_the_cache_are_preempted_and_still_get_all_their_tokens(server: Server) -> None:
    before = server.total("vllm:num_preemptions_total")
    ended: list[int] = []

    def one() -> None:
        with contextlib.closing(_ask(server, tokens_in=32, tokens_out=288, stream=False)) as connection:
            ended.append(json.loads(connection.getresponse().read())["usage"]["completion_tokens"])

    # 16 of 320 tokens want 160 blocks, and there are 100.
    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == [288] * 16
    assert server.total("vllm:num_preemptions_total") > before


def _ask(server: Server, *, tokens_in: int, tokens_out: int, stream: bool) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    prompt = [100 + time.monotonic_ns() % 1000] * tokens_in
    body = {"model": NAME, "prompt": prompt, "max_tokens": tokens_out, "ignore_eos": True, "stream": stream}
    connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
    return connection
