"""A model of 700B over several nodes, from measurements to a tree of LeaderWorkerSets, as a user types it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLE = Path(__file__).parents[2] / "examples" / "deploy" / "moe-700b-lws.yaml"
"""Prefill and decode apart, each one group of 16 devices on two p5en.48xlarge: four nodes to a replica."""

MEASUREMENTS = """\
unit,accelerator,framework,tensor_parallel,concurrency,rate_per_s,input_tokens,output_tokens,latency_avg_s,latency_p95_s,ttft_p95_s
p5en,h200,vllm,16,32,1.60,3000,500,20,26,1.4
p5en,h200,vllm,16,64,2.56,3000,500,25,33,1.8
p5en,h200,vllm,16,128,3.66,3000,500,35,46,2.6
p5en,h200,vllm,16,192,3.84,3000,500,50,66,3.9
"""
"""Made up, and consistent: in flight is rate x latency. The last level breaks the example's SLO."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example with a price of our own, for its reserved instances have none in the catalogue."""
    text = EXAMPLE.read_text().replace("capacityType: reserved", "capacityType: reserved, price: $60/h")
    (tmp_path / "fleet.yaml").write_text(text.replace("  region:", "  capacity: {survive: none}\n  region:"))
    (tmp_path / "measurements.csv").write_text(MEASUREMENTS)
    return tmp_path


def test_measurements_become_a_plan_of_whole_replicas_and_a_tree_of_leader_worker_sets(
    holdfast: Run, folder: Path
) -> None:
    shown = holdfast("plan", "fleet.yaml", "--measurements", "measurements.csv", "--out", "plan.json")

    # 6/s at 80 % of 3.66/s are 2.05 replicas, so three; each takes four nodes at 60 USD/h.
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("feasible: $720.00/h holds 6 requests/s")
    assert "3 replicas of 3.66/s, 4 nodes to a replica, the cheapest per request" in " ".join(shown.stdout.split())
    assert re.search(r"^p5en +3 +12 +100 ", shown.stdout, re.MULTILINE)  # replicas, instances, weight
    assert max(map(len, shown.stdout.splitlines())) <= 80
    (pool,) = json.loads((folder / "plan.json").read_text())["pools"]
    (allotment,) = pool["allotments"]
    assert (allotment["instances_per_replica"], allotment["replicas"]) == (4, [3])

    assert holdfast("audit", "plan.json").returncode == 0
    assert holdfast("render", "plan.json", "--out", "tree").returncode == 0
    objects = [yaml.safe_load(path.read_text()) for path in (folder / "tree").glob("base/pools/p5en/leader-*.yaml")]
    assert [one["kind"] for one in objects] == ["LeaderWorkerSet"] * 2
    assert [one["spec"]["leaderWorkerTemplate"]["size"] for one in objects] == [2, 2]


def test_without_measurements_there_is_no_estimate_of_prefill_and_decode_apart(holdfast: Run, folder: Path) -> None:
    shown = holdfast("plan", "fleet.yaml")

    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.count("\n") == 1
    assert "serves prefill and decode apart, which is not estimated; measure it with holdfast limit" in shown.stderr


def test_one_server_over_two_nodes_is_planned_on_its_estimate(holdfast: Run, folder: Path) -> None:
    text = (folder / "fleet.yaml").read_text().replace(" disaggregated: {prefill: 1, decode: 1},", "")
    (folder / "fleet.yaml").write_text(text.replace("rate: 4/s, peak: 6/s", "rate: 1/s"))

    shown = holdfast("plan", "fleet.yaml", "--json")

    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    (pool,) = found["pools"]
    assert "2 nodes to a replica" in pool["reason"]
    assert found["cost_usd_per_h"] == pool["replicas"] * 2 * 60
    assert any("across 2 p5en.48xlarge" in finding["message"] for finding in found["findings"])
