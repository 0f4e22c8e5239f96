"""The offered rate: what is asked is PromQL, and gives what was offered, in overload too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import promql_parser
import pytest

from control.operator_objects import BY_UNIT, FLEET, PLACED
from holdfast.control.operator.metrics import rates, reading
from holdfast.control.operator.seeing.seen import Reading
from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement
from holdfast.model.fleet import DataPlane
from holdfast.telemetry.errors import NoFigureError
from holdfast.telemetry.prometheus import Prometheus
from telemetry import prometheus_servers as servers

installed = pytest.mark.skipif(not servers.INSTALLED, reason="prometheus and promtool are not installed")


@pytest.mark.parametrize("placed", [PLACED, [BY_UNIT["inf2"]], [BY_UNIT["apart"]]], ids=["all", "plain", "apart"])
def test_what_is_asked_is_promql(placed: Sequence[Placement]) -> None:
    asked = rates.queries(placed)
    for query in (asked.rate, asked.latency, asked.highest, *asked.counted):
        promql_parser.parse(query)


SERVERS = ('job="ml/sd-inf2",pod="a"', 'job="ml/sd-groups",pod="b"', 'job="ml/sd-apart",llm_d_ai_role="decode",pod="c"')
"""Servers that are counted; a prefill server would count each request again."""
PREFILL = 'job="ml/sd-apart",llm_d_ai_role="prefill",pod="d"'
ANOTHER = 'job="ml/another",pod="e"'


def history(minutes: int, *, completed: float, refused: float, waiting: float, all_of: Sequence[str] = SERVERS) -> str:
    """Scrapes of each server until now: per second so many completed and refused, and so many more that wait."""
    now_s, lines = time.time() - 3, []
    names = {
        "vllm:request_success_total": completed,
        "vllm:admission_rejections_total": refused,
        "vllm:num_requests_waiting": waiting,
        "vllm:num_requests_running": 0.0,
        "vllm:e2e_request_latency_seconds_sum": completed * 2.5,
        "vllm:e2e_request_latency_seconds_count": completed,
    }
    for name, growth in names.items():
        for server in (*all_of, PREFILL, ANOTHER):
            for at_s in range(0, minutes * 60, pod_monitor.INTERVAL_S):
                value = 8 if name.endswith("running") else 1000 + growth * at_s
                lines.append(f"{name}{{{server}}} {value} {now_s - minutes * 60 + pod_monitor.INTERVAL_S + at_s:.3f}")
    return "\n".join(lines) + "\n"


def read(folder: Path, text: str) -> tuple[Reading, float | None]:
    async def asked(address: str) -> tuple[Reading, float | None]:
        async with Prometheus(address, timeout_s=60) as server:
            told = await reading.of_prometheus(server, rates.queries(PLACED))
            return told, await reading.highest_of_prometheus(server, rates.queries(PLACED))

    with servers.real(folder, text) as address:
        return asyncio.run(asked(address))


@installed
def test_requests_are_conserved_where_servers_are_overloaded(tmp_path: Path) -> None:
    """Each server is offered 4 requests/s, completes 1.5, refuses 0.5, and lets 2 wait."""
    told, highest_per_s = read(tmp_path, history(5, completed=1.5, refused=0.5, waiting=2.0))
    assert told.rate_per_s == pytest.approx(3 * 4.0, rel=1e-3)
    assert highest_per_s == pytest.approx(3 * 4.0, rel=1e-3)
    assert told.latency_s == pytest.approx(2.5, rel=1e-3)
    assert 2 <= told.age_s < 60


@installed
def test_a_queue_that_is_worked_off_is_not_offered_again(tmp_path: Path) -> None:
    """Each completes 1.5 requests/s, of which 1 had waited."""
    told, _ = read(tmp_path, history(5, completed=1.5, refused=0.0, waiting=-1.0))
    assert told.rate_per_s == pytest.approx(3 * 0.5, rel=1e-2)


@installed
def test_a_fleet_without_requests_has_a_rate_and_no_latency(tmp_path: Path) -> None:
    told, highest_per_s = read(tmp_path, history(3, completed=0.0, refused=0.0, waiting=0.0))
    assert (told.rate_per_s, told.latency_s, highest_per_s) == (0.0, None, 0.0)


@installed
def test_a_server_that_has_no_counters_yet_has_a_rate(tmp_path: Path) -> None:
    lines = history(3, completed=0.0, refused=0.0, waiting=2.0).splitlines()
    gauges = "\n".join(line for line in lines if "num_requests" in line) + "\n"
    assert read(tmp_path, gauges)[0].rate_per_s == pytest.approx(6.0, rel=1e-3)


@installed
def test_without_any_server_nobody_knows_the_rate(tmp_path: Path) -> None:
    with pytest.raises(NoFigureError):
        read(tmp_path, history(3, completed=1.0, refused=0.0, waiting=0.0, all_of=()))


def test_target_groups_are_named_as_the_controller_names_them() -> None:
    assert rates.target_groups([BY_UNIT["inf2"], BY_UNIT["groups"]]) == (
        "targetgroup/k8s-ml-sdinf2",
        "targetgroup/k8s-ml-sdgroups",
    )
    gateway = FLEET.model_copy(update={"spec": FLEET.spec.model_copy(update={"data_plane": DataPlane.GATEWAY_API})})
    (group,) = rates.target_groups([replace(BY_UNIT["inf2"], fleet=gateway)])
    assert group.startswith("targetgroup/sd-inf2-")


def test_pools_that_share_a_target_group_are_counted_once() -> None:
    units = [BY_UNIT["inf2"].unit.model_copy(update={"name": f"inf2-{number}"}) for number in range(7)]
    pools = [replace(BY_UNIT["inf2"], unit=unit, pool=replace(BY_UNIT["inf2"].pool, unit=unit.name)) for unit in units]
    assert len(rates.target_groups(pools)) < len(pools)
