"""The demo as a user runs it, held against what its emulated units can truly sustain.

One run serves all tests of this file: `holdfast demo --json` in a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from benchmarks import live_and_simulated

from holdfast.model import codec
from holdfast.model.curve import Curve
from holdfast.model.plan import Plan
from holdfast.serving.emulated import profiles
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import LinearStep
from processes import alive, descendants, resident_mib

SLO_S = {"sd21": 3.0, "gpt-oss-20b": 8.0}
TOKENS_IN, TOKENS_OUT = 200, 126


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def ran(out: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """The demo's JSON, and the most memory that it and all its processes took at once, in MiB."""
    command = [sys.executable, "-m", "holdfast", "demo", "--json", "--out", str(out)]
    most_mib, log = 0.0, tmp_path_factory.mktemp("log")
    # What an earlier demo left is replaced.
    (out / ".holdfast-demo").touch()
    (out / "runs" / "sd21-g5-cuda").mkdir(parents=True)
    (out / "runs" / "sd21-g5-cuda" / "stages.json").write_text("{}")
    with (log / "stdout").open("w+") as stdout, (log / "stderr").open("w+") as stderr:
        with subprocess.Popen(command, stdout=stdout, stderr=stderr) as demo:
            deadline = time.monotonic() + 240
            while demo.poll() is None:
                most_mib = max(most_mib, resident_mib([demo.pid, *descendants(demo.pid)]))
                if time.monotonic() > deadline:
                    demo.terminate()
                time.sleep(1)
        assert demo.returncode == 0, (log / "stderr").read_text()
    return json.loads((log / "stdout").read_text()), most_mib


@pytest.fixture(scope="module")
def result(ran: tuple[dict[str, Any], float]) -> dict[str, Any]:
    return ran[0]


def sustainable_per_s(unit: str, bound_s: float) -> float:
    """What a unit sustains when requests come evenly, from its parameters alone."""
    device = profiles.load_profile(unit).device
    if isinstance(device, FixedWork):
        return device.slots / device.service_s if device.service_s <= bound_s else 0.0
    return _batching_limit(device, bound_s)


def _batching_limit(device: ContinuousBatching, bound_s: float) -> float:
    """The rate at which the fluid limit of continuous batching takes `bound_s` per request.

    At rate r a step takes t = (a + b B) / (1 - c P r): B sequences are decoded, and the prompts (P tokens) of
    the r t requests that arrive meanwhile are prefilled. A request takes half a step to be admitted and one step
    per token, L = (N + 1/2) t, and by Little's law B = r L.
    """
    step = device.step
    assert isinstance(step, LinearStep)

    def latency_s(rate: float) -> float:
        left = 1 - step.per_prefill_token_s * TOKENS_IN * rate
        growth = (TOKENS_OUT + 0.5) * step.per_sequence_s * rate / left if left > 0 else math.inf
        return (TOKENS_OUT + 0.5) * step.base_s / left / (1 - growth) if growth < 1 else math.inf

    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if latency_s(middle) <= bound_s else (low, middle)
    return low


def test_the_independent_limit_of_an_image_unit_is_its_published_rate() -> None:
    assert sustainable_per_s("sd21-inf2-neuronx", 3.0) * 60 == pytest.approx(105)
    assert sustainable_per_s("sd21-g6-triton", 0.9) == 0


def test_breaking_points_lie_within_ten_percent_of_what_each_unit_sustains(result: dict[str, Any]) -> None:
    found = result["breaking_points"]
    assert len(found) == 7
    for unit, point in found.items():
        truth = sustainable_per_s(unit, SLO_S["sd21" if unit.startswith("sd21") else "gpt-oss-20b"])
        assert point["rate_per_s"] == pytest.approx(truth, rel=0.10), unit
        assert point["cause"] in ("latency", "unstable", "plateau"), unit
        assert point["low_per_s"] <= point["rate_per_s"] <= point["high_per_s"]


def test_no_request_fails_while_the_cheapest_pool_is_killed_and_returned(result: dict[str, Any]) -> None:
    failover = result["failover"]
    assert failover["lost"] == "sd21-inf2-neuronx"
    assert failover["requests"] > 2000
    assert failover["failed"] == 0
    assert failover["refused_decisions"] == 0


def test_traffic_leaves_the_lost_pool_within_two_seconds_and_comes_back(result: dict[str, Any]) -> None:
    assert result["failover"]["left_s"] < 2
    assert result["failover"]["back_s"] < 20


def test_shares_follow_ready_capacity_from_two_seconds_after_the_loss(result: dict[str, Any], out: Path) -> None:
    rows = pq.read_table(out / "timeline.parquet").to_pylist()
    plan = codec.loads(Plan, (out / "sd21" / "plan.json").read_text(), where="plan.json")
    limits = {pool.unit: pool.limit_per_s for pool in plan.pools}
    # Intervals of one second of the wall clock are ten emulated ones.
    lost_s, back_s = result["failover"]["withdrawn_s"] * 10 + 20, result["failover"]["restored_s"] * 10
    between = [row for row in rows if row["pool"] is not None and lost_s + 10 <= row["t_s"] <= back_s]
    assert len(between) >= 5 * 5
    assert all(row["served_per_s"] == 0 for row in between if row["pool"] == "sd21-inf2-neuronx")
    for unit, limit in limits.items():
        served = sum(row["served_per_s"] for row in between if row["pool"] == unit)
        ready = sum(row["ready"] * limit for row in between if row["pool"] == unit)
        assert served <= 1.1 * ready, unit


def test_the_live_and_the_simulated_wave_agree_within_ten_percent(result: dict[str, Any], out: Path) -> None:
    """As far as one wave can tell; `benchmarks/live_and_simulated.py` takes several, and docs/simulate.md has them."""
    live = live_and_simulated.read(out)
    stalled = len(live_and_simulated.stalled_seconds(live.wave))
    if stalled > live.wave.duration_s / 3:
        pytest.skip(f"the machine stalled in {stalled} s of the wave")
    whole = [row for row in live_and_simulated.compare([live], seeds=20) if row.phase == "whole"]
    assert len(whole) > 6
    assert [row for row in whole if row.verdict == "differs"] == []
    assert sum(row.noise < live_and_simulated.BOUND for row in whole) >= 2


def quicker(curve: Curve | None) -> Curve | None:
    """The curve of a unit that does half as much again."""
    if curve is None:
        return None
    return dataclasses.replace(curve, rates_per_s=tuple(1.5 * rate for rate in curve.rates_per_s))


def test_units_of_another_speed_do_not_agree_with_the_live_ones(result: dict[str, Any], out: Path) -> None:
    live = live_and_simulated.read(out)
    faster = [dataclasses.replace(pool, curve=quicker(pool.curve), held=quicker(pool.held)) for pool in live.plan.pools]
    plan = dataclasses.replace(live.plan, pools=tuple(faster))
    rows = live_and_simulated.compare([dataclasses.replace(live, plan=plan)], seeds=20)
    assert "differs" in [row.verdict for row in rows if row.phase == "whole"]


def test_the_report_holds_the_whole_story_without_the_network(result: dict[str, Any], out: Path) -> None:
    page = (out / "report.html").read_text()
    assert result["report"] == str(out / "report.html")
    for words in (
        "Emulated",
        "10 times faster",
        "aws-samples/scalable-hw-agnostic-inference",
        *result["breaking_points"],
    ):
        assert words in page
    assert 'src="http' not in page
    assert '<link rel="stylesheet"' not in page


def test_manifests_of_both_plans_are_rendered(result: dict[str, Any], out: Path) -> None:
    for fleet in result["plans"]:
        files = {path.name for path in (out / fleet / "deploy").rglob("*.yaml")}
        assert "kustomization.yaml" in files
        assert len(files) > 10


def test_the_demo_stays_within_three_minutes_and_a_gibibyte_and_a_half(ran: tuple[dict[str, Any], float]) -> None:
    result, most_mib = ran
    assert result["took_s"] < 180
    assert 200 < most_mib < 1536  # ten units, Envoy and the demo itself take well over 200


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast", "demo", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        deadline = time.monotonic() + 30
        while len(started := descendants(demo.pid)) < 7:
            assert time.monotonic() < deadline, "the units did not start"
            time.sleep(0.1)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert said.strip() == "holdfast: interrupted"
    assert [pid for pid in started if alive(pid)] == []
