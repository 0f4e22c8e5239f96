"""Emulated units in processes of their own, spoken to over HTTP on loopback."""

from __future__ import annotations

import contextlib
import csv
import http.client
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from holdfast.cli.emulate import emulate
from holdfast.model.errors import InputError
from holdfast.serving.emulated.profiles import load_profile, profile_names

MODEL = "openai/gpt-oss-20b"
SD21 = "stabilityai/stable-diffusion-2-1-base"
VLLM_METRICS = Path(__file__).parents[2].parent / "shared" / "data" / "vllm_metrics_0.33.0.csv"
LONG = {"model": MODEL, "prompt": [1] * 10, "max_tokens": 400, "ignore_eos": True, "stream": True}


def data_lines(body: bytes) -> list[str]:
    return [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]


def test_listening_is_told_in_one_json_line(start: Any) -> None:
    live = start("sd21-g5-cuda", "--time-scale", "4")
    assert live.event["event"] == "listening"
    assert (live.event["unit"], live.event["time_scale"]) == ("sd21-g5-cuda", 4.0)
    assert live.event["pid"] == live.process.pid
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", live.event["url"])


def test_readiness_tells_loading_then_ready_after_the_scaled_cold_start(start: Any) -> None:
    live = start("sd21-inf2-neuronx", "--time-scale", "10", cold_start="15s")
    began_s = time.monotonic()
    status, headers, body = live.ask("/readiness")
    assert (status, json.loads(body)["status"]) == (503, "loading")
    assert "1.5 s" in json.loads(body)["reason"]
    assert headers["x-holdfast-emulated"] == "sd21-inf2-neuronx"
    assert live.ask("/health")[0] == 200
    refused, headers, _ = live.ask("/v1/images/generations", {"model": SD21, "prompt": "kelp"})
    assert (refused, headers["retry-after"]) == (503, "1")
    live.until_ready()
    assert 1.0 < time.monotonic() - began_s < 10
    assert live.ask("/v1/images/generations", {"model": SD21, "prompt": "kelp"})[0] == 200


@pytest.mark.parametrize("chat", [False, True])
def test_a_stream_has_an_event_per_token_then_usage_then_done(llm: Any, chat: bool) -> None:
    path = "/v1/chat/completions" if chat else "/v1/completions"
    content = {"messages": [{"role": "user", "content": "one two three"}]} if chat else {"prompt": "one two three"}
    fields = {"model": MODEL, **content, "max_tokens": 30, "stream": True, "stream_options": {"include_usage": True}}
    status, headers, body = llm.ask(path, fields)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *chunks, usage, done = data_lines(body)
    assert done == "[DONE]"
    texts = [json.loads(chunk)["choices"][0] for chunk in chunks]
    words = [choice["delta"].get("content") if chat else choice["text"] for choice in texts]
    assert [word for word in words if word] == [" kelp"] * 30
    assert texts[-1]["finish_reason"] == "length"
    assert json.loads(usage)["usage"] == {"prompt_tokens": 3, "completion_tokens": 30, "total_tokens": 33}


def test_tokens_arrive_as_they_are_made_and_not_all_at_the_end(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge")
    with contextlib.closing(live.send("/v1/completions", {**LONG, "max_tokens": 20})) as connection:
        response = connection.getresponse()
        arrivals_s = []
        while response.readline():
            arrivals_s.append(time.monotonic())
    # 19 steps of 35 ms lie between the first and the last token.
    assert arrivals_s[-1] - arrivals_s[0] > 0.5


def test_a_whole_answer_carries_usage(llm: Any) -> None:
    status, headers, body = llm.ask("/v1/completions", {"model": MODEL, "prompt": [1] * 200, "max_tokens": 12})
    assert status == 200
    assert int(headers["content-length"]) == len(body)
    answer = json.loads(body)
    assert answer["usage"] == {"prompt_tokens": 200, "completion_tokens": 12, "total_tokens": 212}
    assert answer["choices"][0]["finish_reason"] == "length"


def test_every_answer_says_that_it_is_emulated(llm: Any) -> None:
    for path, fields in [
        ("/health", None),
        ("/metrics", None),
        ("/nowhere", None),
        ("/v1/completions", {"model": "other"}),
        ("/v1/completions", {"model": MODEL, "prompt": "a"}),
        ("/v1/completions", LONG),
    ]:
        assert llm.ask(path, fields)[1]["x-holdfast-emulated"] == "gpt-oss-20b-g5-12xlarge"
    model = json.loads(llm.ask("/v1/models")[2])["data"][0]
    assert (model["id"], model["emulated"]["unit"]) == (MODEL, "gpt-oss-20b-g5-12xlarge")
    assert model["emulated"]["time_scale"] == 20.0
    assert llm.metric("holdfast_emulated_accelerator_info") == 1


@pytest.mark.parametrize(
    ("path", "fields", "status", "kind"),
    [
        ("/v1/completions", {"model": MODEL, "prompt": "a", "max_tokens": -1}, 400, "invalid_request_error"),
        ("/v1/completions", {"model": "other", "prompt": "a"}, 404, "not_found_error"),
        ("/v1/completions", None, 405, "invalid_request_error"),
        ("/v1/images/generations", {"model": MODEL, "prompt": "a"}, 404, "not_found_error"),
        ("/nowhere", None, 404, "not_found_error"),
        ("/emulation/withdraw", {"notice_s": -1}, 400, "invalid_request_error"),
        ("/emulation/withdraw", {"notice_s": "now"}, 400, "invalid_request_error"),
        ("/emulation/withdraw", [], 400, "invalid_request_error"),
    ],
)
def test_errors_have_openai_s_shape(llm: Any, path: str, fields: object, status: int, kind: str) -> None:
    answered, _, body = llm.ask(path, fields)
    error = json.loads(body)["error"]
    assert (answered, error["type"]) == (status, kind)
    assert error["message"]


def test_images_come_at_the_service_rate_however_they_are_offered(images: Any) -> None:
    busy_s = images.metric("holdfast_accelerator_busy_seconds_total")
    fields = {"model": SD21, "prompt": "kelp"}
    began_s = time.monotonic()
    waiting = [images.send("/v1/images/generations", fields) for _ in range(30)]
    for connection in waiting:
        with contextlib.closing(connection):
            response = connection.getresponse()
            assert response.status == 200
            assert len(json.loads(response.read())["data"]) == 1
    elapsed_s = time.monotonic() - began_s
    service_s = 30 * 60 / 105 / 50
    assert service_s <= elapsed_s < service_s + 2.0
    assert images.metric("holdfast_accelerator_busy_seconds_total") - busy_s == pytest.approx(service_s, abs=1e-6)
    assert images.metric("vllm:request_success_total") >= 30


def test_past_the_queue_s_bound_requests_are_turned_away(start: Any) -> None:
    live = start("sd21-g5-cuda", "--max-queued", "2")
    fields = {"model": SD21, "prompt": "kelp"}
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(contextlib.closing(live.send("/v1/images/generations", fields)))
        live.until(lambda: live.metric("vllm:num_requests_waiting") == 2)
        status, headers, body = live.ask("/v1/images/generations", fields)
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body)["error"]["type"] == "rate_limit_error"


def test_a_client_that_goes_away_frees_its_slot(start: Any) -> None:
    live = start("sd21-g5-cuda", "--time-scale", "0.01")  # 100 s per image: nothing ends by itself here
    fields = {"model": SD21, "prompt": "kelp"}
    first, second = (live.send("/v1/images/generations", fields) for _ in range(2))
    live.until(lambda: live.metric("vllm:num_requests_waiting") == 1)
    first.close()
    live.until(lambda: live.metric("vllm:num_requests_waiting") == 0)
    assert live.metric("vllm:num_requests_running") == 1
    second.close()
    live.until(lambda: live.metric("vllm:num_requests_running") == 0)


def test_a_stream_s_client_that_goes_away_frees_its_cache(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge")
    connection = live.send("/v1/completions", {**LONG, "max_tokens": 4000})
    with contextlib.closing(connection):
        response = connection.getresponse()
        response.readline()
        assert live.metric("vllm:kv_cache_usage_perc") > 0
        response.close()
    live.until(lambda: live.metric("vllm:num_requests_running") == 0)
    assert live.metric("vllm:kv_cache_usage_perc") == 0


def test_counters_and_histograms_count_tokens_and_requests(start: Any) -> None:
    live = start("gpt-oss-20b-g5-12xlarge", "--time-scale", "50")
    for _ in range(3):
        live.ask("/v1/completions", {**LONG, "max_tokens": 40})
    assert live.metric("vllm:prompt_tokens_total") == 30
    assert live.metric("vllm:generation_tokens_total") == 120
    assert live.metric("vllm:request_success_total") == 3
    assert live.metric("vllm:time_to_first_token_seconds_count") == 3
    ttft_s = live.metric("vllm:time_to_first_token_seconds_sum") / 3
    device = load_profile("gpt-oss-20b-g5-12xlarge").scaled(50).device
    assert ttft_s == pytest.approx(device.step.step_s(1, 10, 0), rel=1e-6)  # type: ignore[union-attr]
    e2e_s = live.metric("vllm:e2e_request_latency_seconds_sum") / 3
    assert e2e_s == pytest.approx(ttft_s + 39 * device.step.step_s(1, 0, 0), rel=1e-6)  # type: ignore[union-attr]


@pytest.mark.skipif(not VLLM_METRICS.exists(), reason="the list of vLLM's metrics is not at hand")
def test_metrics_named_after_vllm_s_exist_there(llm: Any) -> None:
    with VLLM_METRICS.open(encoding="utf-8") as file:
        known = {row["metric_exposed"].split("_bucket|")[0]: row["type"] for row in csv.DictReader(file)}
    text = llm.ask("/metrics")[2].decode()
    families = dict(re.findall(r"^# TYPE (vllm:\S+) (\S+)$", text, re.MULTILINE))
    # prometheus_client adds a gauge with the time of creation to each counter and histogram, in vLLM as here.
    published = {name: kind for name, kind in families.items() if not name.endswith("_created")}
    assert len(published) >= 8
    assert published == {name: known.get(name) for name in published}


def test_sigterm_drains_without_losing_a_request(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge", "--time-scale", "8")  # 400 tokens take 1.9 s
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(contextlib.closing(live.send("/v1/completions", LONG))) for _ in range(8)]
        live.until(lambda: live.metric("vllm:num_requests_running") == 8)
        live.process.send_signal(signal.SIGTERM)
        live.until(lambda: live.readiness() == (503, "draining"))
        assert live.ask("/v1/completions", LONG)[0] == 503
        for stream in streams:
            lines = data_lines(stream.getresponse().read())
            assert (len(lines), lines[-1]) == (401, "[DONE]")
    assert live.process.wait(timeout=20) == 0


def test_sigterm_ends_an_idle_or_a_loading_server(start: Any) -> None:
    live = start("sd21-g5-cuda", cold_start="1h")
    assert live.readiness() == (503, "loading")
    live.process.send_signal(signal.SIGTERM)
    assert live.process.wait(timeout=20) == 0


def test_a_drain_ends_at_its_timeout(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge", "--drain-timeout", "300ms")
    with contextlib.closing(live.send("/v1/completions", {**LONG, "max_tokens": 4000})) as connection:
        connection.getresponse().readline()
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(timeout=20) == 1


def test_a_drain_ends_at_a_second_signal(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge", "--drain-timeout", "1h")
    with contextlib.closing(live.send("/v1/completions", {**LONG, "max_tokens": 4000})) as connection:
        connection.getresponse().readline()
        live.process.send_signal(signal.SIGTERM)
        live.until(lambda: live.readiness() == (503, "draining"))
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(timeout=20) == 1


def test_withdrawal_without_notice_kills_at_once(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge")
    with contextlib.closing(live.send("/v1/completions", {**LONG, "max_tokens": 4000})) as connection:
        response = connection.getresponse()
        response.readline()
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            live.ask("/emulation/withdraw", {"notice_s": 0})
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            response.read()
    assert live.process.wait(timeout=20) == 137


def test_withdrawal_with_notice_drains_and_then_kills_what_is_left(start: Any) -> None:
    live = start("gpt-oss-20b-g5-8xlarge", "--time-scale", "20")
    short = live.send("/v1/completions", LONG)  # 0.7 s
    long = live.send("/v1/completions", {**LONG, "max_tokens": 4000})  # 7 s
    with contextlib.closing(short), contextlib.closing(long):
        live.until(lambda: live.metric("vllm:num_requests_running") == 2)
        began_s = time.monotonic()
        assert live.ask("/emulation/withdraw", {"notice_s": 2.5})[0] == 202
        assert live.readiness() == (503, "draining")
        assert data_lines(short.getresponse().read())[-1] == "[DONE]"
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            long.getresponse().read()
        assert live.process.wait(timeout=20) == 137
    assert time.monotonic() - began_s >= 2.5


def test_a_server_stays_under_60_mb(llm: Any) -> None:
    llm.ask("/v1/completions", LONG)
    status = Path(f"/proc/{llm.process.pid}/status")
    if not status.exists():
        pytest.skip("this system has no /proc")
    resident = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    assert resident is not None
    assert int(resident[1]) < 60_000


def test_the_list_names_every_unit() -> None:
    result = CliRunner().invoke(emulate, ["--list"], catch_exceptions=False)
    assert [line.split()[0] for line in result.output.splitlines()] == list(profile_names())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no unit is given"),
        (["sd21-inf"], "nearest are sd21-inf2-neuronx"),
        (["sd21-g5-cuda", "--cold-start", "5"], "has no unit"),
        (["sd21-g5-cuda", "--time-scale", "0"], "no time scale"),
        (["sd21-g5-cuda", "--time-scale", "nan"], "no time scale"),
        (["sd21-g5-cuda", "--time-scale", "fast"], "no time scale"),
        (["sd21-g5-cuda", "--drain-timeout", "soon"], "--drain-timeout"),
        (["sd21-g5-cuda", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
    ],
)
def test_bad_input_is_told_in_a_sentence(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(emulate, arguments, catch_exceptions=False)
