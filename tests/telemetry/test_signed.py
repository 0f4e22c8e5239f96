"""Requests to Amazon's Prometheus carry a signature that the same credentials give again."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json

import httpx2
import pytest

from holdfast.model.errors import InputError
from holdfast.telemetry import signed
from holdfast.telemetry.prometheus import Prometheus

ADDRESS = "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1"
SECRET = "secret"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")


def signature(request: httpx2.Request) -> str:
    """AWS Signature Version 4 worked out by hand (IAM user guide, "Create a signed AWS API request")."""
    _, _, fields = request.headers["authorization"].partition(" ")
    given = dict(field.split("=", 1) for field in fields.split(", "))
    _, day, region, service, _ = given["Credential"].split("/")
    names = given["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    body = hashlib.sha256(request.read()).hexdigest()
    canonical = "\n".join(["POST", request.url.path, "", headers, ";".join(names), body])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    assert (region, service) == ("us-west-2", "aps")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


@pytest.mark.usefixtures("credentials")
def test_a_request_is_signed_for_its_region_and_body() -> None:
    def verify(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"].endswith(f"Signature={signature(request)}")
        result = {"resultType": "scalar", "result": [0, "1.5"]}
        return httpx2.Response(200, content=json.dumps({"status": "success", "data": result}))

    async def asked() -> float:
        carrier = httpx2.MockTransport(verify)
        async with Prometheus(ADDRESS, timeout_s=60, auth=signed.of(f"{ADDRESS}/"), transport=carrier) as server:
            return await server.value('sum(up{job="a/b"})')

    assert asyncio.run(asked()) == 1.5


def test_other_servers_are_asked_without_a_signature() -> None:
    assert signed.of("http://prometheus-operated.monitoring.svc:9090") is None


def test_without_credentials_it_is_said_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="EKS Pod Identity"):
        signed.of(f"{ADDRESS}/")
