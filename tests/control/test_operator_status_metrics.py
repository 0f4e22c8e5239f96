"""What the operator exports, and where it answers."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from holdfast.control.operator.telling import listening
from holdfast.control.operator.telling.exported import Exported
from holdfast.control.operator.telling.status import status
from holdfast.model import metrics
from holdfast.model.errors import InputError

from .accounts import FLEET, LOST, NOW_S, WELL, account


def registry_of(exported: Exported) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(exported)
    return registry


def after_two_looks() -> Exported:
    exported = Exported()
    exported.lead(True)
    first = status(account(*WELL), None)
    exported.look(account(*WELL, acted=True), None, first)
    exported.look(account(*LOST, acted=True), first, status(account(*LOST), first))
    exported.reacted("inference", "sd21", 0.3)
    return exported


def sample(exported: Exported, name: str, **labels: str) -> float | None:
    known = {"fleet_namespace": "inference", "fleet": "sd21"} if name != metrics.LEADING.name else {}
    return registry_of(exported).get_sample_value(name, known | labels)


def test_exactly_the_metrics_of_the_model_are_exported() -> None:
    text = generate_latest(registry_of(after_two_looks())).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for one in family.samples for label in one.labels} - {"le"}
        found[name] = (family.type, labels, family.documentation)
    assert found == {one.name: (one.kind.value, set(one.labels), one.text) for one in metrics.OPERATOR}


def test_a_histogram_has_the_bounds_of_the_model() -> None:
    text = generate_latest(registry_of(after_two_looks())).decode()
    [family] = [one for one in text_string_to_metric_families(text) if one.name == metrics.REACTION.name]
    bounds = [float(one.labels["le"]) for one in family.samples if one.name.endswith("_bucket")]
    assert tuple(bounds[:-1]) == metrics.REACTION.buckets_s
    counts = [one.value for one in family.samples if one.name.endswith("_bucket")]
    assert counts == [0, 0, 0, *[1] * 8]  # 0.3 s is above 0.25 and within 0.5


def test_a_look_is_exported_as_it_was() -> None:
    exported = after_two_looks()
    assert sample(exported, "holdfast_fleet_mode", mode="capacity-optimized") == 1
    assert sample(exported, "holdfast_fleet_condition", type="FailedOver") == 1
    assert sample(exported, "holdfast_pool_weight", pool="g5") == 100
    assert sample(exported, "holdfast_pool_shortages_total", pool="inf2") == 1
    assert sample(exported, "holdfast_decisions_total", result="applied") == 2
    assert sample(exported, "holdfast_fleet_cost_usd_per_hour") == pytest.approx(4.024)
    assert sample(exported, "holdfast_fleet_observed_timestamp_seconds") == NOW_S - 5.0  # as old as the rate


def test_a_fleet_that_is_not_seen_keeps_the_time_when_it_was() -> None:
    exported = after_two_looks()
    blind = account(*LOST, now_s=NOW_S + 300, pools_age_s=300.0)
    exported.look(blind, None, status(blind, None))
    assert sample(exported, "holdfast_fleet_observed_timestamp_seconds") == NOW_S - 5.0
    assert sample(exported, "holdfast_fleet_condition", type="Stale") == 1


def test_refused_and_failed_decisions_are_counted_apart() -> None:
    exported = after_two_looks()
    refused = account(*LOST, refused=("1. traffic to the dead",))
    exported.look(refused, None, status(refused, None))
    assert sample(exported, "holdfast_decisions_total", result="refused") == 1
    assert sample(exported, "holdfast_decisions_total", result="failed") == 0


def test_a_deleted_fleet_vanishes_and_another_stays() -> None:
    exported = after_two_looks()
    other = replace(account(*WELL), fleet=FLEET | {"metadata": FLEET["metadata"] | {"name": "other"}})
    exported.look(other, None, status(other, None))
    exported.forget("inference", "sd21")
    assert sample(exported, "holdfast_fleet_cost_usd_per_hour") is None
    assert sample(exported, "holdfast_fleet_cost_usd_per_hour", fleet="other") is not None


def test_only_who_leads_exports_fleets() -> None:
    exported = after_two_looks()
    assert sample(exported, "holdfast_operator_leading") == 1
    exported.lead(False)
    assert sample(exported, "holdfast_operator_leading") == 0
    exported.look(account(*WELL), None, status(account(*WELL), None))  # the look that was going on
    exported.reacted("inference", "sd21", 0.1)
    assert "sd21" not in generate_latest(registry_of(exported)).decode()


def asking(*, beat_age_s: float = 0.0, unready: str = "") -> TestClient:
    registry = registry_of(after_two_looks())
    return TestClient(listening.app(registry, beat_age_s=lambda: beat_age_s, unready=lambda: unready))


def test_it_is_alive_while_its_loop_turns() -> None:
    assert asking().get("/healthz").status_code == 200
    hung = asking(beat_age_s=31.0).get("/healthz")
    assert (hung.status_code, hung.text) == (503, "the loop has not turned for 31 s")


def test_it_is_ready_when_it_has_seen_everything() -> None:
    assert asking().get("/readyz").status_code == 200
    waiting = asking(unready="pods of inference are not listed yet").get("/readyz")
    assert (waiting.status_code, waiting.text) == (503, "pods of inference are not listed yet")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("*/*", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
def test_metrics_come_in_the_format_that_is_asked_for(accept: str, content_type: str) -> None:
    answer = asking().get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(content_type)
    assert 'holdfast_pool_weight{fleet="sd21",fleet_namespace="inference",pool="g5"} 100.0' in answer.text


def test_it_listens_on_a_socket_until_the_block_ends() -> None:
    async def scene() -> tuple[int, str]:
        app = listening.app(registry_of(Exported()), beat_age_s=lambda: 0.0, unready=lambda: "")
        async with asyncio.timeout(5), listening.listening(app, "127.0.0.1", 0) as url:
            answer = await asyncio.to_thread(urllib.request.urlopen, f"{url}/healthz", timeout=3)
            answer.close()
            return answer.status, url

    code, url = asyncio.run(scene())
    assert code == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/healthz", timeout=1)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("no-such-host.invalid", 8080), ("203.0.113.1", 0)])
def test_where_nobody_can_listen_is_a_sentence(host: str, port: int) -> None:
    async def scene() -> None:
        async with listening.listening(asking().app, host, port):  # type: ignore[arg-type]
            pass

    with pytest.raises(InputError, match="--listen: "):
        asyncio.run(scene())
