"""The breaking point of a real vLLM: by `holdfast limit`, and by an exhaustive sweep with vLLM's own `bench serve`.

    python benchmarks/vllm_limit.py [--quick] [--keep FOLDER] [--into FILE.json]

Run `make .venv-vllm/.model` first, and nothing else meanwhile: the server has one core and whoever measures it the
other. About thirteen minutes; `--quick` is a trial of three, which tells nothing.

The SLO is taken from the server: a p95 end to end of three times what one request takes alone. vLLM's bench then holds
rate after rate, a GRID apart, with random arrivals, until two in a row break the SLO; its answer is the highest rate
below the first that broke. A level of 20 s decides by chance near the edge, so every rate is
held REPEATS times and the median of its p95 counts. holdfast searches with its defaults and a bounded budget. Both send
the same lengths, streamed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from holdfast.local.demo import servers
from holdfast.local.demo.measure import running_unit

ROOT = Path(__file__).parents[1]
SERVERS = ROOT / "examples" / "vllm-cpu" / "servers.yaml"
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
MODEL = ROOT / ".venv-vllm" / "models" / "30m"
UNIT, NAME = "many-slots", "random-llama-30m"
"""The unit of examples/vllm-cpu with batches of 16; it runs on core 1."""

CLIENT = ("taskset", "--cpu-list", "0")
TOKENS_IN, TOKENS_OUT = 64, 32
ALONE_TIMES = 3.0
GRID = 1.06
REPEATS = 2
FROM = 0.5
"""The first rate, as a share of what 16 in flight get."""
MOST_RATES = 20
AGREE = 0.10


@dataclass(frozen=True)
class Held:
    """One level of vLLM's bench: offered and served rate per second, median and p95 end to end in seconds."""

    rate_per_s: float
    served_per_s: float
    p50_s: float
    p95_s: float


@dataclass(frozen=True)
class Compared:
    """What both found at one SLO; rates per second. ratio: holdfast's over the sweep's.

    high_per_s: None where holdfast found no rate that broke.
    """

    slo_p95_s: float
    holdfast_per_s: float
    low_per_s: float
    high_per_s: float | None
    sweep_per_s: float
    levels: tuple[Held, ...]

    @property
    def ratio(self) -> float:
        return self.holdfast_per_s / self.sweep_per_s


DRIVER = """
import json, sys
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser

for line in sys.stdin:
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    print("RESULT " + json.dumps(serve.main(parser.parse_args(json.loads(line)))), flush=True)
"""
"""`vllm bench serve` for one load after another: importing it takes as long as half a level."""


class Bench:
    """vLLM's bench script, in a process of its own."""

    def __init__(self, url: str, log: TextIO) -> None:
        self._arguments = (
            "--backend", "openai", "--base-url", url, "--endpoint", "/v1/completions", "--model", NAME,
            "--tokenizer", str(MODEL), "--dataset-name", "random", "--random-input-len", str(TOKENS_IN),
            "--random-output-len", str(TOKENS_OUT), "--ignore-eos", "--disable-tqdm",
            "--percentile-metrics", "ttft,e2el", "--metric-percentiles", "95",
        )  # fmt: skip
        command = [*CLIENT, str(PYTHON), "-c", DRIVER]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT
        )

    def hold(self, *load: str) -> Held:
        """One run; `load` says how many requests, and how fast or how many at once."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([*self._arguments, *load]) + "\n")
        self._process.stdin.flush()
        told = next((line for line in self._process.stdout if line.startswith("RESULT ")), None)
        if told is None:
            raise SystemExit("vllm bench serve has ended; its log is in the folder of --keep")
        result: dict[str, Any] = json.loads(told.removeprefix("RESULT "))
        # Its prompts are random tokens, decoded: some are one longer when they are encoded again.
        longer = result["total_input_tokens"] / (result["completed"] * TOKENS_IN) - 1 if result["completed"] else 0.0
        if result["failed"] or not 0 <= longer < 0.01:
            raise SystemExit(f"{result['failed']} requests failed; prompts are {longer:.1%} longer than asked for")
        p50_s, p95_s = result["median_e2el_ms"] / 1000, result["p95_e2el_ms"] / 1000
        return Held(float(result["request_rate"]), result["request_throughput"], p50_s, p95_s)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def sweep(bench: Bench, slo_s: float, from_per_s: float, level_s: float) -> tuple[Held, ...]:
    """Rates a GRID apart, ascending: down from `from_per_s` until one holds the SLO, up until two in a row break it."""
    found = [_held(bench, from_per_s, level_s)]
    while found[0].p95_s > slo_s and len(found) < MOST_RATES:
        found.insert(0, _held(bench, found[0].rate_per_s / GRID, level_s))
    broken = 0
    for level in found:
        broken = broken + 1 if level.p95_s > slo_s else 0
    while broken < 2 and len(found) < MOST_RATES:
        found.append(_held(bench, found[-1].rate_per_s * GRID, level_s))
        broken = broken + 1 if found[-1].p95_s > slo_s else 0
    return tuple(found)


def _held(bench: Bench, rate_per_s: float, level_s: float) -> Held:
    load = ("--request-rate", f"{rate_per_s:.4g}", "--num-prompts", str(round(rate_per_s * level_s)))
    tries = [bench.hold(*load, "--seed", str(seed)) for seed in range(REPEATS)]
    held = Held(
        rate_per_s,
        statistics.median(one.served_per_s for one in tries),
        statistics.median(one.p50_s for one in tries),
        statistics.median(one.p95_s for one in tries),
    )
    print(
        f"vllm bench  {held.rate_per_s:6.2f}/s  served {held.served_per_s:6.2f}/s  p95 {held.p95_s:.3f} s", flush=True
    )
    return held


def best_per_s(levels: Sequence[Held], slo_s: float) -> float:
    """The highest rate below the first that broke the SLO; 0 where all did."""
    best = 0.0
    for level in levels:
        if level.p95_s > slo_s:
            break
        best = level.rate_per_s
    return best


def limit(url: str, folder: Path, slo_s: float, budget_s: float) -> dict[str, Any]:
    """The breaking point by `holdfast limit`."""
    command = (
        *CLIENT, sys.executable, "-m", "holdfast", "limit", url, "--model", NAME, "--tokenizer", MODEL,
        "--input-tokens", TOKENS_IN, "--output-tokens", TOKENS_OUT, "--slo", f"p95<{slo_s:g}s",
        "--budget", f"{budget_s:g}s", "--settle", "1s", "--out", folder / "limit", "--json",
    )  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=1200, check=False)
    if done.returncode not in (0, 1):  # 1: not even the lowest rate held
        sys.exit(f"holdfast limit failed:\n{done.stderr[-2000:]}")
    point: dict[str, Any] = json.loads(done.stdout)["breaking_point"]
    high = "?" if point["high_per_s"] is None else f"{point['high_per_s']:.2f}"
    print(f"holdfast    {point['rate_per_s']:.2f}/s, between {point['low_per_s']:.2f} and {high}", flush=True)
    return point


def measure(url: str, folder: Path, *, quick: bool) -> Compared:
    """Both, one after the other, on the server at `url`."""
    level_s, budget_s = (6.0, 45.0) if quick else (20.0, 240.0)
    with (folder / "bench.log").open("w") as log, contextlib.closing(Bench(url, log)) as bench:
        bench.hold("--max-concurrency", "16", "--num-prompts", "150")
        alone = bench.hold("--max-concurrency", "1", "--num-prompts", "30")
        full = bench.hold("--max-concurrency", "16", "--num-prompts", "250")
        slo_s = round(ALONE_TIMES * alone.p50_s, 2)
        print(f"alone {alone.p50_s:.3f} s; 16 in flight {full.served_per_s:.2f}/s; SLO p95<{slo_s:g}s", flush=True)
        point = limit(url, folder, slo_s, budget_s)
        levels = sweep(bench, slo_s, FROM * full.served_per_s, level_s)
    best = best_per_s(levels, slo_s)
    return Compared(slo_s, point["rate_per_s"], point["low_per_s"], point["high_per_s"], best, levels)


async def compare(folder: Path, *, quick: bool) -> Compared:
    """Both on one server, which is gone afterwards."""
    async with running_unit(servers.staging(SERVERS), UNIT, folder / "server.log") as url:
        return await asyncio.to_thread(measure, url, folder, quick=quick)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", type=Path, help="Keep logs and the run directory in this folder.")
    parser.add_argument("--into", type=Path, help="Write the figures to this file.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(compare(folder, quick=asked.quick))
    if asked.into is not None:
        asked.into.write_text(json.dumps(asdict(found), indent=2) + "\n")
    if not found.sweep_per_s:
        sys.exit("Every rate of the sweep broke the SLO: there is nothing to compare with.")
    print(f"holdfast limit {found.holdfast_per_s:.2f}/s, vllm bench {found.sweep_per_s:.2f}/s: ratio {found.ratio:.3f}")
    if abs(found.ratio - 1) > AGREE:
        sys.exit(f"They do not agree within {AGREE:.0%}.")


if __name__ == "__main__":
    main()
