"""One figure from Prometheus, or from what speaks its HTTP API (Thanos, Mimir, Amazon Managed Service for Prometheus).

The API: prometheus.io/docs/prometheus/latest/querying/api, "Instant queries". An instant vector comes with the time at
which it was evaluated, not with that of its samples, which may be five minutes old (the look-back): so the age of what
a figure is made of is asked for by a query of its own.
"""

from __future__ import annotations

import asyncio
import json
import math
import types
from typing import Any, Self

import httpx2

from holdfast.telemetry.errors import NoFigureError, UnreadError

TIMEOUT_S = 5.0
"""For one question and its whole answer; a third of the usual time between two scrapes."""

MOST_BYTES = 65_536
"""Of an answer. One figure has a few hundred; a query that answers with thousands of series is a mistake."""

_QUOTED = 200


class Prometheus:
    """Asks one server; an async context manager.

    address:   e.g. `http://prometheus-operated.monitoring.svc:9090`.
    auth:      of the requests (`signed.of` for Amazon's). transport: what carries them, where it is not the network.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float = TIMEOUT_S,
        auth: httpx2.Auth | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = address.rstrip("/")
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(auth=auth, timeout=timeout_s, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def value(self, query: str) -> float:
        """The figure that an instant query gives now: a scalar, or a vector of one series.

        Raises UnreadError where the server does not answer or refuses the query, or where it gives several series; and
        NoFigureError for no series, or a figure that is no finite number.
        """
        return self._figure(await self._ask(query))

    async def age_s(self, *selectors: str) -> float:
        """The age of the newest sample of the selected series, by the server's clock. Raises UnreadError as `value`.

        Each selects by itself: of anything else, `or` included, `timestamp` gives the time of the evaluation.
        """
        newest = " or ".join(f"timestamp({selector})" for selector in selectors)
        return max(0.0, await self.value(f"time() - max({newest})"))

    async def _ask(self, query: str) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                status, body = await self._post(query)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise self._unread(f"gave no answer within {self._timeout_s:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._unread(f"does not answer ({error or type(error).__name__})") from error
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise self._unread(f"answered {status} without JSON, which is not its API") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            said = answer.get("error") if isinstance(answer, dict) else None
            raise self._unread(f"refused the query with {status}: {str(said or 'it does not say why')[:_QUOTED]}")
        return answer.get("data")

    async def _post(self, query: str) -> tuple[int, bytes]:
        body = bytearray()
        async with self._client.stream("POST", f"{self._address}/api/v1/query", data={"query": query}) as response:
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise self._unread(f"answered with more than {MOST_BYTES} bytes, where one figure was asked for")
        return response.status_code, bytes(body)

    def _figure(self, data: Any) -> float:
        answer = data if isinstance(data, dict) else {}
        kind, found = answer.get("resultType"), answer.get("result") or []
        if kind == "vector" and not found:
            raise NoFigureError(f"Prometheus at {self._address} has no series for the query: nobody measures it.")
        if kind == "vector" and len(found) > 1:
            raise self._unread(f"has {len(found)} series for the query, where one figure was asked for")
        try:
            text = found[1] if kind == "scalar" else found[0]["value"][1]
            figure = float(text)
        except (LookupError, TypeError, ValueError) as error:
            raise self._unread(f"answered with a {kind}, where one figure was asked for") from error
        if not math.isfinite(figure):
            raise NoFigureError(f"Prometheus at {self._address} has {text} for the query: there is nothing to measure.")
        return figure

    def _unread(self, why: str) -> UnreadError:
        return UnreadError(f"Prometheus at {self._address} {why}.")
