"""A live emulated accelerator in its own process, on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

PATIENCE_S = 20.0
_COMMAND = "from holdfast.cli.emulate import emulate; emulate()"


@dataclass
class Live:
    """A running emulated unit. `process` is its process, `event` what it printed when it listened."""

    process: subprocess.Popen[str]
    event: dict[str, Any]

    def connect(self) -> http.client.HTTPConnection:
        host, port = self.event["url"].removeprefix("http://").split(":")
        return http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)

    def send(self, path: str, fields: object = None) -> http.client.HTTPConnection:
        """Send a request (POST with a body, GET without) and leave the answer to be read."""
        connection = self.connect()
        if fields is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(fields), {"content-type": "application/json"})
        return connection

    def ask(self, path: str, fields: object = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        with contextlib.closing(self.send(path, fields)) as connection:
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def readiness(self) -> tuple[int, str]:
        status, _, body = self.ask("/readiness")
        return status, json.loads(body)["status"]

    def metric(self, name: str) -> float:
        """The sum of the samples of that name."""
        text = self.ask("/metrics")[2].decode()
        samples = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        assert samples, f"{name} is not published"
        return sum(map(float, samples))

    def until(self, holds: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
        deadline_s = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline_s, "it did not come about in time"
            time.sleep(0.005)

    def until_ready(self) -> None:
        self.until(lambda: self.readiness() == (200, "ready"))


@contextlib.contextmanager
def emulated(unit: str, *flags: str) -> Iterator[Live]:
    """A live server that is killed at the end if it has not ended by then."""
    with subprocess.Popen(
        [sys.executable, "-c", _COMMAND, unit, *flags],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield Live(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture
def start() -> Iterator[Callable[..., Live]]:
    """Starts emulated units that live until the test ends; ready ones unless a cold start is asked for."""
    with contextlib.ExitStack() as stack:

        def start_one(unit: str, *flags: str, cold_start: str | None = None) -> Live:
            live = stack.enter_context(emulated(unit, *flags, "--cold-start", cold_start or "1ms"))
            if cold_start is None:
                live.until_ready()
            return live

        yield start_one


@pytest.fixture(scope="module")
def llm() -> Iterator[Live]:
    """A ready language unit, 20 times as fast."""
    with emulated("gpt-oss-20b-g5-12xlarge", "--time-scale", "20", "--cold-start", "1ms") as live:
        live.until_ready()
        yield live


@pytest.fixture(scope="module")
def images() -> Iterator[Live]:
    """A ready image unit, 50 times as fast: 11.4 ms per image."""
    with emulated("sd21-inf2-neuronx", "--time-scale", "50", "--cold-start", "1ms") as live:
        live.until_ready()
        yield live
