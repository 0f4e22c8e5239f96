"""Prometheus for tests: a real one where it is installed, and answers that one gave, from a server of a few lines.

The answers were recorded from Prometheus 2.42.0 on 2026-11-21.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

INSTALLED = shutil.which("prometheus") is not None and shutil.which("promtool") is not None

SEVERAL = 'label_replace(vector(1), "a", "b", "", "") or vector(2)'
AT_S = 1795293923.0


def _vector(*series: tuple[dict[str, str], str]) -> tuple[int, Any]:
    result = [{"metric": labels, "value": [AT_S, value]} for labels, value in series]
    return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}


def _refused(status: int, kind: str, text: str) -> tuple[int, Any]:
    return status, {"status": "error", "errorType": kind, "error": text}


RECORDED: dict[str, tuple[int, Any]] = {
    "1.5": (200, {"status": "success", "data": {"resultType": "scalar", "result": [AT_S, "1.5"]}}),
    "vector(2)": _vector(({}, "2")),
    "nothing_here": _vector(),
    SEVERAL: _vector(({"a": "b"}, "1"), ({}, "2")),
    "vector(0)/0": _vector(({}, "NaN")),
    "vector(1)/0": _vector(({}, "+Inf")),
    '"text"': (200, {"status": "success", "data": {"resultType": "string", "result": [AT_S, "text"]}}),
    "up[1m]": (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}),
    "sum(": _refused(400, "bad_data", 'invalid parameter "query": 1:5: parse error: unclosed left parenthesis'),
    'label_join(vector(1), "a+", "b")': _refused(
        422, "execution", "invalid destination label name in label_join(): a+"
    ),
}


@asynccontextmanager
async def answering(answer: bytes | None = None, *, after_s: float = 0.0) -> AsyncIterator[str]:
    """The address of a server that knows RECORDED, or that answers everything with the bytes that are given."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-len"))
        (query,) = urllib.parse.parse_qs((await reader.readexactly(length)).decode())["query"]
        try:
            await asyncio.sleep(after_s)
            writer.write(whole(*RECORDED[query]) if answer is None else answer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def whole(status: int, answer: Any) -> bytes:
    """A response of HTTP: of bytes as they are, of anything else as JSON."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return b"HTTP/1.1 %d -\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


@contextmanager
def real(folder: Path, history: str = "") -> Iterator[str]:
    """The address of a real Prometheus with this history (OpenMetrics with times), which reads nothing itself."""
    data = folder / "data"
    if history:
        (folder / "history").write_text(history + "# EOF\n")
        made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history"), str(data)]
        subprocess.run(made, check=True, capture_output=True, timeout=30)
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={data}"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stderr=log)
        try:
            yield _address(folder / "log")
        finally:
            running.kill()
            running.wait()


def _address(log: Path) -> str:
    for _ in range(200):
        for line in log.read_text().splitlines():
            found = next((word for word in line.split() if word.startswith("address=127.0.0.1:")), "")
            if "Listening on" in line and found and _is_ready(url := f"http://{found.removeprefix('address=')}"):
                return url
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False
