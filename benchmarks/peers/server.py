"""The near-free server as a process on a core of its own, and its clock."""

from __future__ import annotations

import csv
import http.client
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from benchmarks.peers.loads import Load

SOURCE = Path(__file__).parents[1] / "near_free_server.c"


@dataclass(frozen=True)
class Counts:
    """How much the server has answered so far."""

    requests: int
    tokens: int


@dataclass(frozen=True)
class Stamps:
    """Of every stream, in order of arrival, on the server's monotonic clock: when its request had been read, and
    how long after that the write of its first token began."""

    arrived_s: npt.NDArray[np.float64]
    ttft_ms: npt.NDArray[np.float64]

    def after(self, requests: int) -> Stamps:
        """Without so many at the start."""
        return Stamps(self.arrived_s[requests:], self.ttft_ms[requests:])

    def rate_per_s(self, ramp_s: float) -> float:
        """Requests per second: the slope of the count of arrivals over time, from ramp_s after the first.

        A slope, because the arrivals of a closed loop come in bursts, and counting would depend on where they are cut.
        """
        if not len(self.arrived_s):
            return float("nan")
        at = self.arrived_s[self.arrived_s >= self.arrived_s[0] + ramp_s]
        return float(np.polyfit(at - at[0], np.arange(len(at)), 1)[0]) if len(at) > 2 else float("nan")


@dataclass(frozen=True)
class Server:
    port: int
    stamp_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        values = dict(line.split() for line in connection.getresponse().read().decode().splitlines() if line[0] != "#")
        connection.close()
        return Counts(int(values["near_free_served_total"]), int(values["near_free_tokens_total"]))

    def stamps(self) -> Stamps:
        with self.stamp_file.open() as file:
            rows = sorted((int(r["read_monotonic_ns"]), int(r["first_monotonic_ns"])) for r in csv.DictReader(file))
        read, first = np.array(rows, dtype=float).reshape(-1, 2).T
        return Stamps(read / 1e9, (first - read) / 1e6)


def build(folder: Path) -> Path:
    """Compiles the server."""
    program = folder / "near_free_server"
    subprocess.run(["cc", "-O2", "-o", program, SOURCE], check=True)
    return program


@contextmanager
def serve(program: Path, load: Load, core: int, stamp_file: Path) -> Iterator[Server]:
    """The server with the timing of a load, on one core."""
    timing = [str(load.output_tokens), str(round(load.gap_s * 1e6)), str(round(load.first_s * 1e6))]
    process = subprocess.Popen(
        [program, "0", *timing, stamp_file],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), stamp_file)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
