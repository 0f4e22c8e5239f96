"""Whom the operator asks for the rate of a fleet, and as whom."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

import httpx2
import pytest

from holdfast import catalog
from holdfast.control.operator.metrics import sources
from holdfast.control.operator.metrics.sources import Sources
from holdfast.manifests.placement import Placement, placements
from holdfast.model.errors import InputError
from holdfast.telemetry.prometheus import Prometheus
from manifests.conftest import _plan as plan_of

AMAZONS = "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1"
IN_THE_CLUSTER = "http://prometheus-operated.monitoring.svc:9090"


def placed(address: str) -> list[Placement]:
    plan = plan_of(cluster={"prometheus": address, "edge": {"host": "a.example", "authentication": {"none": True}}})
    return list(placements(plan, catalog.equipment_of(plan.fleet)))


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def asked(address: str, monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Request]:
    """The requests of one reading."""
    requests: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(
            200, content=json.dumps({"status": "success", "data": {"resultType": "scalar", "result": [0, "1.5"]}})
        )

    monkeypatch.setattr(sources, "Prometheus", partial(Prometheus, transport=httpx2.MockTransport(answer)))

    async def read() -> None:
        async with Sources() as found:
            await (await found.of(placed(address))).reading(0.0)

    asyncio.run(read())
    return requests


def test_amazons_prometheus_hears_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    requests = asked(AMAZONS, monkeypatch)
    assert requests
    for request in requests:
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
        assert str(request.url) == f"{AMAZONS}/api/v1/query"


def test_a_prometheus_in_the_cluster_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = asked(IN_THE_CLUSTER, monkeypatch)
    assert requests
    assert not [request for request in requests if "authorization" in request.headers]


def test_without_credentials_it_says_what_to_give() -> None:
    async def find() -> None:
        async with Sources() as found:
            await found.of(placed(AMAZONS))

    with pytest.raises(InputError, match="Pod Identity"):
        asyncio.run(find())


def test_fleets_that_ask_the_same_server_at_once_share_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(address: str, **more: object) -> Prometheus:
        made.append(address)
        return Prometheus(address)

    monkeypatch.setattr(sources, "Prometheus", counted)

    async def find() -> None:
        async with Sources() as found:
            await asyncio.gather(*(found.of(placed(IN_THE_CLUSTER)) for _ in range(5)))

    asyncio.run(find())
    assert made == [IN_THE_CLUSTER]
