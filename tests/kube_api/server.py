"""The server over HTTP/1.1 on loopback, for clients in other processes.

By hand, from the folder `tests`: `python -m kube_api.server PORT [DEFINITIONS.yaml...]`, then
`kubectl -s http://127.0.0.1:PORT apply --server-side --validate=false -f ...`. kubectl's generators (such as
`create configmap`) speak protobuf, which is not served; it prints names and ages only, for there are no tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import h11
import yaml

from kube_api.api import Api
from kube_api.requests import Answer, Request
from kube_api.serving import ConnectionLost, Serving

KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{{name: tests, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: tests, user: {{}}}}]
contexts: [{{name: tests, context: {{cluster: tests, user: tests}}}}]
current-context: tests
"""
JSON_STREAM = [("content-type", "application/json"), ("transfer-encoding", "chunked")]


class Server:
    """Serves `serving` on a free port (or `port`) while entered."""

    def __init__(self, serving: Serving, *, port: int = 0) -> None:
        self.serving = serving
        self.port = port
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write_kubeconfig(self, path: Path) -> None:
        path.write_text(KUBECONFIG.format(port=self.port))

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.serving.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._speak(reader, writer)
        except (ConnectionLost, ConnectionError, h11.RemoteProtocolError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._clients.discard(task)
            writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await _next_request(connection, reader)
            if request is None:
                return
            answer = await self.serving.answer(request)
            if isinstance(answer, Answer):
                headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
                parts = (
                    h11.Response(status_code=answer.status, headers=headers),
                    h11.Data(data=answer.body if request.method != "HEAD" else b""),
                    h11.EndOfMessage(),
                )
                writer.write(b"".join(connection.send(part) or b"" for part in parts))
                await writer.drain()
            else:
                await self._stream(connection, writer, reader, answer)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _stream(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        lines: AsyncIterator[bytes],
    ) -> None:
        """A watch; a client that leaves ends it, also while nothing happens."""
        writer.write(connection.send(h11.Response(status_code=200, headers=JSON_STREAM)) or b"")
        watching = asyncio.current_task()
        assert watching is not None

        async def leave() -> None:
            await reader.read()
            watching.cancel()

        leaving = asyncio.create_task(leave(), name="watch client")
        try:
            async for line in lines:
                writer.write(connection.send(h11.Data(data=line)) or b"")
                await writer.drain()
        finally:
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            await lines.aclose()  # type: ignore[attr-defined]
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """None at the end of the connection."""
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Request.to(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None


async def _serve(port: int, definitions: list[Path]) -> None:
    found = [one for path in definitions for one in yaml.safe_load_all(path.read_text()) if one]
    api = Api(found, now_s=time.time())
    async with Server(Serving(api, time.time), port=port) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
