"""An httpx2 transport that asks the server in the same process: no sockets, so time may jump."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2

from kube_api.requests import Answer, Request
from kube_api.serving import ConnectionLost, Serving


class InProcess(httpx2.AsyncBaseTransport):
    """Obeys the read timeout of a request, as a socket would."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        target = request.url.raw_path.decode()
        headers = {name.decode().lower(): value.decode() for name, value in request.headers.raw}
        asked = Request.to(request.method, target, headers, body)
        read_s = request.extensions.get("timeout", {}).get("read")
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(read_s):
                answer = await self._serving.answer(asked)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("", request=request) from error
        except ConnectionLost as error:
            raise httpx2.ReadError("", request=request) from error
        if isinstance(answer, Answer):
            return httpx2.Response(answer.status, headers=dict(answer.headers), content=answer.body, request=request)
        stream = _Stream(answer, read_s, request)
        return httpx2.Response(200, headers={"content-type": "application/json"}, stream=stream, request=request)


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, lines: AsyncIterator[bytes], read_s: float | None, request: httpx2.Request) -> None:
        self._lines = lines
        self._read_s = read_s
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._read_s):
                    line = await anext(self._lines, None)
            except TimeoutError as error:
                raise httpx2.ReadTimeout("", request=self._request) from error
            except ConnectionLost as error:
                raise httpx2.ReadError("", request=self._request) from error
            if line is None:
                return
            yield line

    async def aclose(self) -> None:
        await self._lines.aclose()  # type: ignore[attr-defined]
