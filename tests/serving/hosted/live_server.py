"""`holdfast serve` in a process of its own, on loopback, with a tiny model."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from serving.hosted.running import PATIENCE_S, until

_COMMAND = "from holdfast.cli.main import main; main()"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


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

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels."""
        samples = re.findall(
            rf"^{re.escape(name)}(?:\{{([^}}]*)\}})? (\S+)$", self.client.get("/metrics").text, re.MULTILINE
        )
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(value) for given, value in samples if all(one in given for one in wanted))

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
