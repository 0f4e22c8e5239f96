"""What it costs to record a run: processor time per request and per token, and memory at a million requests.

    python benchmarks/recording.py [REQUESTS] [TOKENS]

Each line is a process of its own. `holdfast` is what `holdfast load` does: rows go to the journal while it runs, then
the level is measured and requests.parquet is made. `dataclasses` is the usual way: a list of objects, measured with
numpy and written at the end. Both record the same made-up streams, 1,000 at a time; rows are handed to the disk 2,000
at a time, as in a run of 2,000 requests a second. Processor time is of all threads; memory is the peak of the
resident set (ru_maxrss).
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import holdfast.cli.work.load  # what a run of load has in memory anyway
from holdfast.limits import measured
from holdfast.load.answers import Answer
from holdfast.load.http import Exchange
from holdfast.load.prompts import Ask
from holdfast.load.recorder import Recorder
from holdfast.load.rundir import RunDir, RunSpec, Status
from holdfast.model.records import Outcome, RequestRecord
from holdfast.model.stages import Arrivals, Level

STREAMS = 1000
FLUSHED = 2_000
SPEC = RunSpec("load", "http://127.0.0.1", "completions", "m", None, "closed", 0)
LEVEL = Level(Arrivals.CLOSED, concurrency=STREAMS, duration_s=1e6)


def streams(requests: int, tokens: int) -> Iterator[list[Exchange]]:
    """Finished streams, `STREAMS` at a time, in the same objects again and again, with arrival times of their own."""
    rng = np.random.default_rng(1)
    exchanges = [Exchange(b"", Answer(streams=True), lambda _: None) for _ in range(STREAMS)]
    for first in range(0, requests, STREAMS):
        sent_s = first / 5000 + np.arange(STREAMS) / 5000
        first_s = 0.5 if first < requests // 50 else 0.05  # the warm-up has to be found, too
        at_s = sent_s[:, None] + first_s + np.cumsum(rng.exponential(0.01, (STREAMS, tokens)), axis=1)
        for exchange, sent, times in zip(exchanges, sent_s, at_s, strict=True):
            answer = exchange.answer
            answer.times_s = array("d", times.tobytes())
            answer.first_token_s, answer.last_token_s = answer.times_s[0], answer.times_s[-1]
            answer.chunks = answer.tokens_out = tokens
            answer.tokens_in = 200
            exchange.sent_s, exchange.first_byte_s = float(sent), answer.first_token_s
            exchange.end_s, exchange.status, exchange.outcome = answer.last_token_s, 200, Outcome.OK
        yield exchanges


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def journal(requests: int, tokens: int) -> None:
    ask, spent_s, before_mb = Ask(b"", 200, tokens), 0.0, peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir.create(Path(folder) / "run", SPEC)
        recorder = Recorder(0.0, run.journal)
        for exchanges in streams(requests, tokens):
            begun_s = time.process_time()
            for exchange in exchanges:
                recorder.add(0, exchange.sent_s, ask, exchange)
            if len(recorder) % FLUSHED == 0:
                recorder.rows()  # waits for the disk, so that this loop cannot run ahead of it
            spent_s += time.process_time() - begun_s
        recorder.close()
        recorded_mb, begun_s = peak_mb(), time.process_time()
        stage = measured.measure(recorder.rows(), LEVEL, 0).stage
        measure_s, measured_mb, begun_s = time.process_time() - begun_s, peak_mb(), time.process_time()
        run.close(Status.DONE)
        close_s = time.process_time() - begun_s
        size_mb = (run.path / "requests.parquet").stat().st_size / 1e6
        show("holdfast", requests, tokens, spent_s, measure_s, close_s, before_mb, recorded_mb, measured_mb, size_mb)
        assert stage.ok == requests


def dataclasses(requests: int, tokens: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from holdfast.model.records import COLUMNS, RequestTable

    ask, spent_s, before_mb = Ask(b"", 200, tokens), 0.0, peak_mb()
    records, times = list[RequestRecord](), list[list[float]]()
    for exchanges in streams(requests, tokens):
        begun_s = time.process_time()
        for exchange in exchanges:
            answer = exchange.answer
            gap_s = (answer.last_token_s - answer.first_token_s) / (answer.chunks - 1) if answer.chunks > 1 else 0.0
            records.append(
                RequestRecord(
                    0, exchange.sent_s, exchange.sent_s, exchange.first_byte_s, answer.first_token_s, exchange.end_s,
                    gap_s, answer.chunks, answer.tokens_in, answer.tokens_out, ask.tokens_in, ask.tokens_out,
                    exchange.status, exchange.outcome,
                )
            )  # fmt: skip
            times.append(answer.times_s.tolist())
        spent_s += time.process_time() - begun_s
    recorded_mb, begun_s = peak_mb(), time.process_time()
    table = RequestTable.of(records)
    measured.measure(table, LEVEL, 0)
    gaps_s = np.concatenate([np.diff(each) for each in times])
    np.percentile(gaps_s if len(gaps_s) else np.zeros(1), [50, 90, 95, 99])
    measure_s, measured_mb, begun_s = time.process_time() - begun_s, peak_mb(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        columns = {name: pa.array(table.column(name)) for name in COLUMNS} | {"chunk_times_s": pa.array(times)}
        pq.write_table(pa.table(columns), Path(folder) / "requests.parquet", compression="zstd")
        size_mb = (Path(folder) / "requests.parquet").stat().st_size / 1e6
    close_s = time.process_time() - begun_s
    show("dataclasses", requests, tokens, spent_s, measure_s, close_s, before_mb, recorded_mb, measured_mb, size_mb)


def show(
    name: str, requests: int, tokens: int, spent_s: float, measure_s: float, close_s: float, *sizes: float
) -> None:
    before_mb, recorded_mb, measured_mb, size_mb = sizes
    print(
        f"{name:<12}{requests:>10,}{tokens:>8}{spent_s / requests * 1e6:>13.2f}{measure_s:>10.2f}{close_s:>10.2f}"
        f"{before_mb:>8.0f}{recorded_mb:>10.0f}{measured_mb:>10.0f}{peak_mb():>8.0f}{size_mb:>10.0f}",
        flush=True,
    )


def main() -> None:
    if len(sys.argv) == 4:
        name, requests, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
        if name == "holdfast":
            asyncio.run(journal(requests, tokens))
        else:
            dataclasses(requests, tokens)
        return
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    tokens = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    print(
        f"{'':<12}{'':>10}{'':>8}{'record':>13}{'measure':>10}{'close':>10}{'peak resident MB after':>36}{'file':>10}"
    )
    print(
        f"{'':<12}{'requests':>10}{'tokens':>8}{'us/request':>13}{'CPU s':>10}{'CPU s':>10}{'import':>8}{'record':>10}"
        f"{'measure':>10}{'close':>8}{'MB':>10}"
    )
    for name, most in (("holdfast", requests), ("dataclasses", requests // 10)):
        # The usual way with all tokens of a million requests would need gigabytes.
        one, many = measured_us(name, requests // 10, 1), measured_us(name, most, tokens)
        print(
            f"  {name}: {one:.2f} us a request of one token, {(many - one) / max(tokens - 1, 1):.3f} us a further token"
        )
    measured_us("dataclasses", requests, 1)


def measured_us(name: str, requests: int, tokens: int) -> float:
    """Runs one line in a process of its own, shows it, and gives its microseconds of processor time a request."""
    command = [sys.executable, __file__, name, str(requests), str(tokens)]
    line = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    print(line, end="", flush=True)
    return float(line.split()[3])


if __name__ == "__main__":
    assert holdfast.cli.work.load is not None
    main()
