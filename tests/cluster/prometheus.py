"""A Prometheus that answers instant queries with what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Value = Callable[[str], float | None]
"""Of a query, now; None where it has no series."""


@dataclass
class PrometheusStandIn:
    """Answers `/api/v1/query`, GET and POST, as Prometheus does: a vector of one sample, of now, or of none.

    Unlike it, it parses no query: `value` makes of its text what it likes. Run by uvicorn or an ASGI transport.
    """

    value: Value
    clock: Callable[[], float]

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/api/v1/query", self._query, methods=["GET", "POST"])])

    async def _query(self, request: Request) -> JSONResponse:
        text = (await request.body()).decode() if request.method == "POST" else request.url.query
        value = self.value(parse_qs(text)["query"][0])
        sample = [] if value is None else [{"metric": {}, "value": [self.clock(), str(value)]}]
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": sample}})
