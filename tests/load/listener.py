"""A server on the test's own loop that keeps what it was asked, and answers as the path's API would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Listener:
    """By its count a letter is a token, of prompts and of `answer`, which is what it says in a stream."""

    answer: str = "yes"
    latency_s: float = 0.0
    status: str = "200 OK"
    heard: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    """Path, headers and body of each request, in the order in which they came."""
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.heard]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                method, path, _ = head[0].split(" ")
                if method == "GET":
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.heard.append((path, headers, body))
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                await asyncio.sleep(self.latency_s)
                self.in_flight -= 1
                kind, text = self._answer(path, body)
                top = f"HTTP/1.1 {self.status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}"
                writer.write(f"{top}\r\n\r\n{text}".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str, body: Any) -> tuple[str, str]:
        usage = {"prompt_tokens": tokens(body), "completion_tokens": len(self.answer)}
        if path.endswith("/embeddings"):
            return "application/json", json.dumps({"data": [{"embedding": [0.5]}], "usage": usage})
        if path.endswith("/generations"):
            return "application/json", json.dumps({"data": [{"b64_json": "AA=="}]})
        if not path.startswith("/v1/"):
            return "application/json", json.dumps({"generated_image": "AA=="})
        key = "delta" if "chat" in path else "text"
        events = [{"choices": [{key: {"content": c} if key == "delta" else c}]} for c in self.answer]
        lines = [json.dumps(event) for event in [*events, {"choices": [], "usage": usage}]]
        return "text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])


def tokens(body: Any) -> int:
    """Letters of everything that is asked."""
    if "messages" in body:
        return sum(len(message["content"]) for message in body["messages"])
    return len(body.get("prompt", body.get("input", "")))
