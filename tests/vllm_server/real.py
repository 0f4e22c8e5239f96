"""A vLLM server as the tests see it, and how they start one.

It has few KV blocks: 16 requests of 320 tokens do not fit into them, and those of the sweeps do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import parser
from prometheus_client.metrics_core import Metric

from holdfast.local import loopback

ENVIRONMENT = os.environ.get("HOLDFAST_TEST_VLLM", "")
"""The folder of `make test-vllm`: a virtual environment with vLLM, and the model below it."""

MODEL = Path(ENVIRONMENT) / "models" / "30m"
NAME = "random-llama-30m"
MAX_SEQS, MAX_LENGTH, BLOCK_TOKENS, BLOCKS = 16, 2048, 32, 100
START_S = 240.0


@dataclass(frozen=True)
class Server:
    """A server that takes requests, and the words of it."""

    url: str
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.status, answer.read().decode()

    def metrics(self) -> dict[str, Metric]:
        """Its page of metrics, by name."""
        families = parser.text_string_to_metric_families(self.get("/metrics")[1])
        return {family.name: family for family in families}

    def total(self, name: str, **labels: str) -> float:
        """The value of a counter or gauge over all samples with these labels."""
        samples = (sample for family in self.metrics().values() for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def holdfast(*arguments: str | Path) -> dict[str, Any]:
    """The JSON document of a verb, which has to succeed."""
    command = [sys.executable, "-m", "holdfast", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextlib.contextmanager
def running(log: Path) -> Iterator[Server]:
    """A server that takes requests; it is gone on the way out."""
    address = loopback.free_address()
    command: list[str | Path] = [
        Path(ENVIRONMENT) / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server",
        "--model", MODEL, "--served-model-name", NAME, "--host", address.host, "--port", str(address.port),
        "--max-num-seqs", str(MAX_SEQS), "--max-model-len", str(MAX_LENGTH), "--enforce-eager",
        "--distributed-executor-backend", "uni",
        "--block-size", str(BLOCK_TOKENS), "--num-gpu-blocks-override", str(BLOCKS), "--disable-uvicorn-access-log",
    ]  # fmt: skip
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    found = Server(address.url, log)
    with log.open("w") as words:
        process = subprocess.Popen(
            command, stdout=words, stderr=words, env=os.environ | settings, start_new_session=True
        )
    try:
        _wait(found, process)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if server.get("/health")[0] == 200:
                return
        except (urllib.error.URLError, ConnectionError):
            words = server.log.read_text()[-2000:]
            assert process.poll() is None, words
            assert time.monotonic() < deadline, words
            time.sleep(0.5)
