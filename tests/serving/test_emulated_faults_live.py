"""What goes wrong on purpose, seen by clients of a live server; and flags that change a unit."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections import Counter
from typing import Any

import pytest

from holdfast.model.errors import InputError
from holdfast.serving.emulated.faults import Draw, Fate, Faults, Kind

UNIT = "gpt-oss-20b-g5-12xlarge"
MODEL = "openai/gpt-oss-20b"
ASK = {"model": MODEL, "prompt": [1] * 10, "max_tokens": 5, "ignore_eos": True}


def test_errors_come_at_their_share_and_in_openai_s_shape(start: Any) -> None:
    flags = ("--error-share", "30%", "--error-kinds", "server_error,rate_limit", "--seed", "4", "--time-scale", "50")
    live = start(UNIT, *flags)
    answers = [live.ask("/v1/completions", ASK) for _ in range(60)]
    statuses = Counter(status for status, _, _ in answers)
    assert set(statuses) == {200, 500, 429}
    assert 10 <= statuses[500] + statuses[429] <= 26
    error = next(json.loads(body)["error"] for status, _, body in answers if status == 500)
    assert (error["type"], error["code"]) == ("server_error", "server_error")
    assert live.metric("holdfast_injected_faults_total") == statuses[500] + statuses[429]
    assert live.metric("vllm:request_success_total") == statuses[200]


def test_faults_are_changed_while_it_runs(start: Any) -> None:
    live = start(UNIT, "--time-scale", "50")
    assert live.ask("/v1/completions", ASK)[0] == 200
    status, _, body = live.ask("/emulation/faults", {"error_share": 1.0, "error_kinds": ["unavailable"]})
    assert (status, json.loads(body)["error_share"]) == (200, 1.0)
    assert live.ask("/v1/completions", ASK)[0] == 503
    assert json.loads(live.ask("/emulation/faults")[2])["error_kinds"] == ["unavailable"]
    nonsense: list[object] = [{"error_share": 2}, {"error_share": "x"}, {"eror": 1}, {"error_kinds": ["odd"]}, []]
    for wrong in nonsense:
        assert live.ask("/emulation/faults", wrong)[0] == 400
    live.ask("/emulation/faults", {"error_share": 0})
    assert live.ask("/v1/completions", ASK)[0] == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_reset_is_a_reset_and_not_an_end(start: Any, stream: bool) -> None:
    live = start(UNIT, "--time-scale", "50", "--reset-share", "100%")
    connection = live.send("/v1/completions", {**ASK, "stream": stream})
    with contextlib.closing(connection), pytest.raises(ConnectionResetError):
        connection.getresponse().read()
    live.until(lambda: live.metric("vllm:num_requests_running") == 0)
    assert live.metric("vllm:kv_cache_usage_perc") == 0


def test_a_stalled_stream_stops_after_its_first_token_and_then_goes_on(start: Any) -> None:
    live = start(UNIT, "--time-scale", "10", "--stall-share", "100%", "--stall-time", "8s")
    with contextlib.closing(live.send("/v1/completions", {**ASK, "stream": True})) as connection:
        response = connection.getresponse()
        assert response.readline().startswith(b"data: {")
        began_s = time.monotonic()
        rest = response.read()
    assert 0.7 < time.monotonic() - began_s < 5
    assert rest.count(b"data: {") == 4


def test_a_stall_of_the_device_holds_everybody_up(start: Any) -> None:
    live = start(UNIT, "--time-scale", "50")
    assert live.ask("/emulation/stall", {"for_s": 0.6})[0] == 202
    began_s = time.monotonic()
    assert live.ask("/v1/completions", ASK)[0] == 200
    assert 0.5 < time.monotonic() - began_s < 5


def test_a_crash_takes_the_requests_in_flight_with_it(start: Any) -> None:
    live = start(UNIT)
    with contextlib.closing(live.send("/v1/completions", {**ASK, "max_tokens": 4000, "stream": True})) as connection:
        response = connection.getresponse()
        response.readline()
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            live.ask("/emulation/crash", {})
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            response.read()
    assert live.process.wait(timeout=20) == 139


@pytest.mark.parametrize(
    ("flags", "status"),
    [(("--crash-after", "3s"), 139), (("--withdraw-after", "2s", "--withdraw-notice", "1s"), 137)],
)
def test_a_server_ends_when_it_was_told_to(start: Any, flags: tuple[str, ...], status: int) -> None:
    live = start(UNIT, "--time-scale", "10", *flags)
    assert live.process.wait(timeout=20) == status


def test_a_slow_start_is_slow_at_first(start: Any) -> None:
    live = start(UNIT, "--slow-factor", "20", "--slow-time", "1h")
    began_s = time.monotonic()
    live.ask("/v1/completions", ASK)
    # 5 steps of 12 ms, twenty times as long.
    assert time.monotonic() - began_s > 1.1


def test_preemption_and_prefix_cache_show_in_the_metrics(start: Any) -> None:
    few = ("--max-model-len", "320", "--kv-blocks", "20", "--block-size", "16", "--max-num-seqs", "4")
    live = start(UNIT, "--time-scale", "5", *few)
    with contextlib.ExitStack() as stack:
        asks = [
            stack.enter_context(
                contextlib.closing(live.send("/v1/completions", {**ASK, "prompt": [key] * 60, "max_tokens": 200}))
            )
            for key in range(4)
        ]
        for ask in asks:
            assert json.loads(ask.getresponse().read())["usage"]["completion_tokens"] == 200
    assert live.metric("vllm:num_preemptions_total") > 0
    assert live.metric("vllm:generation_tokens_total") == 800
    assert live.metric("vllm:inter_token_latency_seconds_count") == 4 * 199
    assert live.metric("vllm:prompt_tokens_total") == 240
    hits = live.metric("vllm:prefix_cache_hits_total")
    live.ask("/v1/completions", {**ASK, "prompt": [99] * 64})
    live.ask("/v1/completions", {**ASK, "prompt": [99] * 64})
    assert live.metric("vllm:prefix_cache_hits_total") - hits == 48
    assert live.metric("vllm:prefix_cache_queries_total") == 240 + 128


def test_a_served_name_and_a_longer_body_than_allowed(start: Any) -> None:
    live = start(UNIT, "--time-scale", "50", "--served-model-name", "kelp", "--max-body-mib", "0.01")
    status, _, body = live.ask("/v1/completions", {**ASK, "model": "kelp"})
    assert (status, json.loads(body)["model"]) == (200, "kelp")
    assert [model["id"] for model in json.loads(live.ask("/v1/models")[2])["data"]] == [MODEL, "kelp"]
    assert live.ask("/v1/completions", {**ASK, "prompt": [1] * 8000})[0] == 413


def test_fates_come_at_their_shares() -> None:
    draw = Draw(Faults(error_share=0.2, stall_share=0.1, reset_share=0.3), seed=1)
    fates = Counter(draw.fate() for _ in range(10_000))
    assert fates[Fate.REFUSED] == pytest.approx(2000, rel=0.1)
    assert fates[Fate.STALLED] == pytest.approx(1000, rel=0.1)
    assert fates[Fate.RESET] == pytest.approx(3000, rel=0.1)


def test_every_kind_of_error_has_a_status_of_http() -> None:
    assert {kind.status for kind in Kind} == {400, 401, 404, 429, 500, 503}


@pytest.mark.parametrize(
    "shares", [{"error_share": 1.1}, {"error_share": 0.6, "reset_share": 0.6}, {"stall_share": float("nan")}]
)
def test_shares_that_are_none_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Faults(**shares)  # type: ignore[arg-type]
