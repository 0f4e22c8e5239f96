"""What holdfast's own load generator costs, and how far its times are from the truth.

    python benchmarks/client_cost.py [SECONDS]

Starts near_free_server.c (compiled here) on one core and every client in a process of its own on another. holdfast's
figures are of all that `holdfast load` does per request and token: prompts, sending, reading, recording, measuring.
Beside it runs a floor: epoll and recv in Python, which counts `data:` and keeps nothing. CPU is the process's, user and
system together.

Streams: 200 users, 64 tokens each, one per read every 20 ms. Unary: 8 users, answers of 300 bytes at once. Lag: an open
loop of 200 streams/s; of sending against the intended start, of receiving against the server's own stamp of the first
token on the same clock (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from holdfast.load import pacers
from holdfast.load.bench import Bench
from holdfast.load.generator import Generator
from holdfast.load.http import Client, Target
from holdfast.load.prompts import Ask
from holdfast.load.recorder import Recorder
from holdfast.load.stalls import Stalls
from holdfast.load.subject import Subject
from holdfast.model.fleet import Api, TokenLengths, Workload
from holdfast.model.records import RequestTable
from holdfast.model.stages import Arrivals, Level

STREAMS, TOKENS, GAP_US = 200, 64, 20_000
UNARY_USERS = 8
RATE_PER_S = 200
SOURCE = Path(__file__).with_name("near_free_server.c")
TEXT = Workload(api=Api.COMPLETIONS, input_tokens=TokenLengths(mean=10), output_tokens=TokenLengths(mean=TOKENS))


@dataclass(frozen=True)
class Cost:
    """Of one client: what it did, the CPU that took, and its memory at the end."""

    requests: int
    tokens: int
    cpu_s: float
    wall_s: float
    resident_mb: float

    @classmethod
    def since(cls, cpu_s: float, start_s: float, requests: int, tokens: int) -> Cost:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return cls(requests, tokens, time.process_time() - cpu_s, time.perf_counter() - start_s, peak_mb)


def holdfast(url: str, seconds: float, stream: bool) -> Cost:
    """A closed loop through the bench, as `holdfast load --concurrency` runs it."""

    async def run() -> Cost:
        bench = Bench(Subject("unit", Target.parse(url), TEXT, "near-free", stream=stream), None, seed=1)
        level = Level(Arrivals.CLOSED, concurrency=STREAMS if stream else UNARY_USERS, duration_s=seconds)
        try:
            await bench.preflight()
            cpu_s, start_s, before = time.process_time(), time.perf_counter(), len(bench.requests)
            await bench.hold(level, 0)
            table = bench.requests
            rows = np.arange(len(table)) >= before
            assert table.ok[rows].all(), np.unique(table.outcome, return_counts=True)
            return Cost.since(cpu_s, start_s, int(rows.sum()), int(table.chunks[rows].sum()))
        finally:
            await bench.close()

    return uvloop.run(run())


def floor(url: str, seconds: float, stream: bool) -> Cost:
    """The least that Python can do: a loop over epoll, one recv per event, one count per recv."""
    target = Target.parse(url)
    body = {"prompt": "the " * 10, "max_tokens": TOKENS} | (
        {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    )
    payload = target.request("POST", Api.COMPLETIONS.path, json.dumps(body).encode())
    end = b"\r\n0\r\n\r\n" if stream else b"}}"
    poll, open_sockets = select.epoll(), dict[int, socket.socket]()
    for _ in range(STREAMS if stream else UNARY_USERS):
        connected = socket.create_connection((target.host, target.port))
        connected.setblocking(False)
        open_sockets[connected.fileno()] = connected
        poll.register(connected, select.EPOLLIN)
    cpu_s, start_s, requests, tokens = time.process_time(), time.perf_counter(), 0, 0
    left, starting = len(open_sockets), list(open_sockets.values())
    while left:
        # Users start over a tenth of the time, as holdfast's do: bursts of tokens would be cheaper to read.
        while starting and time.perf_counter() - start_s > seconds / 10 * (1 - len(starting) / len(open_sockets)):
            starting.pop().send(payload)
        for number, _ in poll.poll(0.001 if starting else 1.0):
            data = open_sockets[number].recv(65536)
            now_s = time.perf_counter()
            tokens += data.count(b"\ndata:")
            if data.endswith(end):
                requests += 1
                if now_s - start_s < seconds:
                    open_sockets[number].send(payload)
                else:
                    left -= 1
    tokens -= 2 * requests  # usage and [DONE]
    cost = Cost.since(cpu_s, start_s, requests, tokens if stream else requests)
    for connected in open_sockets.values():
        connected.close()
    return cost


def lag(url: str, seconds: float, stamps: Path) -> dict[str, list[float]]:
    """Lags in ms, p50, p99 and the largest: of sending, and of receiving the first token."""

    def numbered() -> Iterator[Ask]:
        serial = 0
        while True:
            body = {"prompt": "x", "max_tokens": TOKENS, "stream": True, "request_id": str(serial)}
            yield Ask(json.dumps(body).encode(), serial, TOKENS)  # its number comes back in tokens_in_asked
            serial += 1

    async def run() -> tuple[RequestTable, float, Stalls]:
        client, recorder = Client(Target.parse(url), timeout_s=30), Recorder(time.perf_counter())
        generator = Generator(client, TEXT, "near-free", recorder, asks=numbered())
        times_s = pacers.schedule(pacers.Constant(RATE_PER_S), seconds, 1, pacers.poisson_points)
        try:
            await generator.offer(times_s, stage=0, patience_s=10)
        finally:
            await client.close()
        return recorder.table(), recorder.zero_s, generator.stalls

    table, zero_s, stalls = uvloop.run(run())
    truth_s = {}
    for line in stamps.read_text().splitlines()[1:]:
        number, *_, first_mono_ns = line.split(",")
        truth_s[int(number)] = int(first_mono_ns) / 1e9
    true_s = np.array([truth_s[number] for number in table.tokens_in_asked.tolist()])
    late_s = table.first_token_s + zero_s - true_s
    return {
        "send": np.quantile(table.lag_s * 1e3, [0.5, 0.99, 1.0]).tolist(),
        "receive": np.quantile(late_s * 1e3, [0.5, 0.99, 1.0]).tolist(),
        "stalls": [stalls.count, stalls.worst_s * 1e3, stalls.total_s * 1e3],
    }


@contextmanager
def server(binary: Path, first_us: int, stamps: Path) -> Iterator[str]:
    """The near-free server on the first core."""
    arguments = [str(binary), "0", str(TOKENS), str(GAP_US), str(first_us), str(stamps)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _pin(process.pid, 0)
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def _pin(pid: int, index: int) -> None:
    """To the first or the last core that this process may use, where the system has affinities and two cores."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(pid, {cores[index]})


def child(client: str, *arguments: str) -> None:
    """One client in this process; prints its result as JSON."""
    _pin(0, -1)
    url, seconds = arguments[0], float(arguments[1])
    runs: dict[str, Callable[[], object]] = {
        "holdfast-stream": lambda: vars(holdfast(url, seconds, True)),
        "holdfast-unary": lambda: vars(holdfast(url, seconds, False)),
        "floor-stream": lambda: vars(floor(url, seconds, True)),
        "floor-unary": lambda: vars(floor(url, seconds, False)),
        "lag": lambda: lag(url, seconds, Path(arguments[2])),
    }
    print(json.dumps(runs[client]()))


def measured(client: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", client, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        sys.exit(f"{client} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "near_free_server"
        subprocess.run(["cc", "-O2", "-o", str(binary), str(SOURCE)], check=True)
        print(f"{'':24}{'requests':>10}{'tokens':>10}{'CPU us/token':>14}{'CPU us/request':>16}{'peak MB':>9}")
        for kind, first_us in (("stream", 50_000), ("unary", 0)):
            each = {}
            for client in ("holdfast", "floor"):
                with server(binary, first_us, Path(folder) / "stamps") as url:
                    cost = Cost(**measured(f"{client}-{kind}", url, str(seconds)))
                each[client] = cost.cpu_s / cost.requests
                print(
                    f"{client + ', ' + kind:24}{cost.requests:10}{cost.tokens:10}{cost.cpu_s / cost.tokens * 1e6:14.1f}"
                    f"{each[client] * 1e6:16.1f}{cost.resident_mb:9.0f}"
                )
            print(f"{'holdfast / floor':24}{each['holdfast'] / each['floor']:34.2f}")
        stamps = Path(folder) / "lag"
        with server(binary, 50_000, stamps) as url:
            lags = measured("lag", url, str(seconds), str(stamps))
        print(f"\n{'':24}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}")
        for name in ("send", "receive"):
            p50, p99, most = lags[name]
            print(f"{name + ' lag':24}{p50:10.3f}{p99:10.3f}{most:10.3f}")
        count, worst_ms, total_ms = lags["stalls"]
        print(f"event loop blocked for over 10 ms: {count} times, worst {worst_ms:.0f} ms, {total_ms:.0f} ms in all")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
