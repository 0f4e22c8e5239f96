"""`holdfast serve` in a process of its own, on loopback, with a tiny model."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from serving.hosted.running import PATIENCE_S, until

_COMMAND = "from holdfast.cli.main import main; main()"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Seen:
    """One look at a server that starts: statuses of /health, /readiness and then of a request, and its seconds."""

    health: int
    readiness: int
    phase: str
    answer: int
    retry_after: str | None
    seconds: float


@dataclass
class LiveServer:
    """process: the server's; event: what it printed when it listened; errors: where its stderr goes."""

    process: subprocess.Popen[str]
    event: dict[str, Any]
    client: httpx2.Client
    errors: Path

    def readiness(self) -> tuple[int, str]:
        answer = self.client.get("/readiness")
        return answer.status_code, answer.json()["status"]

    def until_ready(self) -> None:
        until(lambda: self.readiness() == (200, "ready"), 60.0)

    def until_taken(self) -> None:
        """Connections are taken in their order: once this one is answered, those before it were."""
        assert httpx2.get(f"{self.client.base_url}/health", timeout=PATIENCE_S).status_code == 200

    def watched_until_ready(self, path: str, body: bytes) -> list[Seen]:
        """Looks at it until it is ready; the last look is the first at which it was."""
        seen: list[Seen] = []

        def look() -> bool:
            health, (readiness, phase), began_s = self.client.get("/health"), self.readiness(), time.monotonic()
            answer = self.client.post(path, content=body, headers={"content-type": "application/json"})
            after, took_s = answer.headers.get("retry-after"), time.monotonic() - began_s
            seen.append(Seen(health.status_code, readiness, phase, answer.status_code, after, took_s))
            return readiness == 200

        until(look, 60.0, every_s=0.05)
        return seen

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What is sent meanwhile waits in the kernel, and is found all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample of that name, a regular expression."""
        found = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", self.client.get("/metrics").text, re.MULTILINE)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in found]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels."""
        samples = self.samples(re.escape(name))
        return sum(value for given, value in samples if given.items() >= labels.items())

    def log(self) -> str:
        return self.errors.read_text(encoding="utf-8")

    def connect(self) -> socket.socket:
        url = self.client.base_url
        return socket.create_connection((url.host, url.port or 0), timeout=PATIENCE_S)


@contextlib.contextmanager
def serving(folder: Path, errors: Path, *flags: str) -> Iterator[LiveServer]:
    """A server of that model, killed at the end if it has not ended by then."""
    command = [sys.executable, "-c", _COMMAND, "serve", str(folder), "--device", "cpu", "--port", "0", "--local-only"]
    with (
        errors.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*command, *flags], stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | _ONE_THREAD
        ) as process,
    ):
        try:
            assert process.stdout is not None
            event = json.loads(process.stdout.readline())
            with httpx2.Client(base_url=event["url"], timeout=PATIENCE_S) as client:
                yield LiveServer(process, event, client, errors)
        except Exception as error:
            error.add_note(errors.read_text(encoding="utf-8")[-2000:])
            raise
        finally:
            process.kill()
