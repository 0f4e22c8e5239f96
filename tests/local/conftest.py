"""What the tests of the local fleet share: the stand-in unit, a small client, and a look at processes."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.local.envoy_config import POOL_HEADER
from holdfast.local.fleet import PoolSpec
from processes import alive

STANDIN = str(Path(__file__).with_name("standin.py"))


@dataclass(frozen=True)
class Reply:
    """One answer as a client saw it; `whole` when its body came to its proper end."""

    status: int
    pool: str
    attempts: int
    body: bytes
    whole: bool

    @property
    def pid(self) -> int:
        return int(json.loads(self.body)["pid"])


class Client:
    """A client that opens a connection per request and never retries by itself."""

    async def post(self, url: str, path: str = "/v1/images/generations") -> Reply:
        host, _, port = url.removeprefix("http://").rpartition(":")
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"
                writer.write(head.encode() + b"{}")
                return _reply(await _until_closed(reader))
            finally:
                writer.close()

    async def steady(self, url: str, count: int, every_s: float) -> list[Reply]:
        """`count` requests, one each `every_s`, whatever becomes of those before."""
        tasks = []
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                tasks.append(group.create_task(self.post(url)))
                await asyncio.sleep(every_s)
        return [task.result() for task in tasks]


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while chunk := await reader.read(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def _reply(received: bytes) -> Reply:
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    chunked = headers.get("transfer-encoding") == "chunked"
    whole = body.endswith(b"0\r\n\r\n") if chunked else len(body) == int(headers.get("content-length", "0"))
    attempts = int(headers.get("x-envoy-attempt-count", "0"))
    return Reply(int(lines[0].split()[1]), headers.get(POOL_HEADER, ""), attempts, body, whole)


@pytest.fixture
def client() -> Client:
    return Client()


def standin(*options: str) -> list[str]:
    """The command of a stand-in unit."""
    return [sys.executable, STANDIN, *options]


def spec(name: str, *options: str, planned: int = 1, argv: Sequence[str] = ()) -> PoolSpec:
    """A pool of stand-ins (or of `argv`) that may grow to 4."""
    command = list(argv) or standin(*options)
    return PoolSpec(name, lambda number: command, 5.0, 10.0, planned, 0, 4)


@pytest.fixture(name="spec")
def spec_fixture() -> Callable[..., PoolSpec]:
    return spec


@pytest.fixture(name="standin")
def standin_fixture() -> Callable[..., list[str]]:
    return standin


@pytest.fixture(name="alive")
def alive_fixture() -> Callable[[int], bool]:
    return alive
