"""Requests to Amazon Managed Service for Prometheus, which wants to know who asks: Signature Version 4.

Service name and form: Amazon Managed Service for Prometheus user guide, "Query using Prometheus-compatible APIs". The
credentials are those that botocore finds: in a cluster, of EKS Pod Identity.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx2

from holdfast.model.errors import InputError
from holdfast.telemetry.errors import UnreadError

_MANAGED = re.compile(r"https://aps-workspaces\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/")
_SIGNED = ("host", "content-type")


def of(address: str) -> httpx2.Auth | None:
    """What signs requests to that address; None where it is not Amazon's.

    Raises InputError where it is and botocore is not installed, or finds no credentials.
    """
    managed = _MANAGED.match(address)
    return None if managed is None else Signed(managed["region"])


class Signed(httpx2.Auth):
    """Signs with the credentials of the environment, renewed as they expire."""

    requires_request_body = True

    def __init__(self, region: str) -> None:
        try:
            # Here rather than with the first request, which has a few seconds: they take one to load.
            import botocore.auth
            import botocore.awsrequest
            import botocore.exceptions
            import botocore.session
        except ImportError as error:
            raise InputError(
                "Amazon's Prometheus takes signed requests, and botocore, which signs, is not installed",
                mend="pip install 'holdfast[aws]'",
            ) from error
        self._region = region
        self._auth, self._request = botocore.auth.SigV4Auth, botocore.awsrequest.AWSRequest
        self._fails: type[Exception] = botocore.exceptions.BotoCoreError
        self._credentials = botocore.session.get_session().get_credentials()
        if self._credentials is None:
            raise InputError(
                "Amazon's Prometheus takes signed requests, and there are no AWS credentials",
                mend="give the operator's service account a role by EKS Pod Identity",
            )

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        try:
            # They may have to be fetched anew, which blocks.
            credentials = await asyncio.to_thread(self._credentials.get_frozen_credentials)
        except self._fails as error:
            raise UnreadError(f"AWS credentials for Prometheus could not be renewed: {error}.") from error
        request.headers.update(self._headers(request, await request.aread(), credentials))
        yield request

    def _headers(self, request: httpx2.Request, body: bytes, credentials: Any) -> dict[str, str]:
        given = {name: request.headers[name] for name in _SIGNED}
        wanted = self._request(method=request.method, url=str(request.url), data=body, headers=given)
        self._auth(credentials, "aps", self._region).add_auth(wanted)
        return dict(wanted.headers.items())
