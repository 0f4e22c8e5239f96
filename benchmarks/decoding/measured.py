"""Reading the published measurements, and leaving out what they cannot mean.

What the columns of LLM-Inference-Bench are was found from the rows: input and output have the same length each;
Latency is of a whole batch, in seconds; Throughput is batch x (input + output) / Latency, to the last digit, under
every engine but llama.cpp. There it is that divided by the batch, and a batch of 16 is done before a batch of 1: what
is called batch there is no number of sequences at once.
"""

from __future__ import annotations

import csv
import functools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.decoding.hardware import ACCELERATORS, MODELS

from holdfast.catalog import models
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator
from holdfast.performance.coefficients import PEAKS
from holdfast.performance.fitting import Sample
from holdfast.performance.roofline import Placement, prefill_flops

TTFT = Path(__file__).parents[1] / "data" / "llm_inference_bench_ttft.csv"
USABLE_MEMORY = 0.92
"""Share of a device's memory above which a batch is taken to have run in several goes."""
LEAST_GROWTH = 1.7
"""Times as long that twice the tokens must take at least; otherwise the time has a start-up in it."""


@dataclass(frozen=True)
class Row:
    """One configuration and its time in seconds; repeats are joined by their median.

    prefill_s: measured by itself; None where elapsed_s has it in it, and elapsed_s is then of a whole batch.
    """

    accelerator: Accelerator
    framework: str
    devices: int
    model: ModelArchitecture
    input_tokens: int
    output_tokens: int
    batch: int
    elapsed_s: float
    prefill_s: float | None = None

    @property
    def group(self) -> tuple[str, str]:
        return self.accelerator.name, self.framework

    @property
    def placement(self) -> Placement:
        return Placement(self.model, self.accelerator, self.devices, 1, PEAKS)

    @property
    def prefill_peak_s(self) -> float:
        """Seconds that the arithmetic of the batch's prefill takes at the peak."""
        flops = self.batch * prefill_flops(self.model, self.input_tokens)
        tflops = self.accelerator.bf16_dense_tflops
        assert tflops is not None
        return flops / (self.devices * tflops * 1e12)

    def sample(self) -> Sample:
        whole = self.prefill_s is None
        return Sample(
            peak=self.placement.decode(self.batch, self.input_tokens + self.output_tokens / 2),
            all_reduces=2 * self.model.layers if self.devices > 1 else 0,
            layers=self.model.layers,
            sequences=self.batch,
            elapsed_s=self.elapsed_s,
            steps=self.output_tokens - 1 if whole else 1,
            prefill_peak_s=self.prefill_peak_s if whole else 0.0,
        )

    def least_s(self) -> float:
        """What the peaks allow: all arithmetic, or all reading of a batch that shares its experts."""
        one = self.placement.decode(1, self.input_tokens + self.output_tokens / 2)
        steps = self.output_tokens - 1 if self.prefill_s is None else 1
        reading_s = steps * (one.weights_s + self.batch * one.cache_s)
        return max(reading_s, self.sample().prefill_peak_s + steps * self.batch * one.compute_s)

    def needs_gib(self) -> float:
        tokens = self.input_tokens + self.output_tokens
        return (self.model.weight_bytes + self.batch * self.model.kv_bytes(tokens)) / 2**30


@dataclass(frozen=True)
class Read:
    """Rows that can be used, how many the files have, and why how many of those were left out, by engine."""

    rows: tuple[Row, ...]
    total: int
    left_out: Counter[tuple[str, str]]


def inference_bench(folder: Path) -> Read:
    """The rows of llm_inference_bench.csv. One configuration is a row, so repeats are counted as left out."""
    left_out: Counter[tuple[str, str]] = Counter()
    times = defaultdict(list)
    cells = _cells(folder / "llm_inference_bench.csv")
    for cell in cells:
        batch, length = int(cell["Batch Size"]), int(cell["Input Output Length"])
        said = float(cell["Throughput"]) * float(cell["Latency"]) / (batch * 2 * length)
        place = f"{cell['Hardware']}, {cell['Framework']}"
        if cell["Framework"] == "llama.cpp":
            why = "throughput is not batch x tokens / latency" if abs(said - 1) > 0.01 else "batch of 1 beside those"
            left_out[why, place] += 1
        elif abs(said - 1) > 0.01:
            left_out["throughput is not batch x tokens / latency", place] += 1
        elif _model(cell["Model"]) is None:
            left_out["no configuration of the model is at hand", cell["Model"]] += 1
        else:
            key = (cell["Hardware"], cell["Framework"], int(cell["Num of Hardware"]), cell["Model"], length, batch)
            times[key].append(float(cell["Latency"]))
    rows = []
    for (hardware, framework, devices, model, length, batch), latencies in times.items():
        architecture = _model(model)
        assert architecture is not None
        left_out["repeat of another row, joined by the median", f"{hardware}, {framework}"] += len(latencies) - 1
        rows.append(
            Row(
                ACCELERATORS[hardware],
                framework.lower(),
                devices,
                architecture,
                length,
                length,
                batch,
                statistics.median(latencies),
            )
        )
    return Read(tuple(_possible(rows, left_out)), len(cells), +left_out)


def splitwise(folder: Path) -> Read:
    """The rows of splitwise_perf_model.csv: five repeats of each configuration. Its times are milliseconds."""
    left_out: Counter[tuple[str, str]] = Counter()
    times = defaultdict(list)
    cells = _cells(folder / "splitwise_perf_model.csv")
    for cell in cells:
        if cell["hardware"] not in ACCELERATORS:  # of the power-capped H100 every token time is the H100's
            left_out["token times copied from the same device without its power cap", cell["hardware"]] += 1
            continue
        key = (cell["hardware"], int(cell["tensor_parallel"]), cell["model"])
        sizes = (int(cell["prompt_size"]), int(cell["token_size"]), int(cell["batch_size"]))
        times[key, sizes].append((float(cell["prompt_time"]) / 1e3, float(cell["token_time"]) / 1e3))
    rows = []
    for ((hardware, devices, model), (prompt, tokens, batch)), pairs in times.items():
        left_out["repeat of another row, joined by the median", hardware] += len(pairs) - 1
        architecture = _model(MODELS[model])
        assert architecture is not None
        prompt_s, token_s = (statistics.median(times) for times in zip(*pairs, strict=True))
        rows.append(
            Row(ACCELERATORS[hardware], "splitwise", devices, architecture, prompt, tokens, batch, token_s, prompt_s)
        )
    return Read(tuple(_possible(rows, left_out)), len(cells), +left_out)


def prefill_shares(folder: Path) -> dict[tuple[str, str], float]:
    """Share of the peak FLOP/s that prefills reach, by accelerator and engine: the median of what was measured.

    From times to first token of 16 x 1024 tokens, and of Splitwise's from prompts of 1024 tokens and more at a time.
    """
    shares = defaultdict(list)
    for cell in _cells(TTFT):
        model = _model(cell["model"])
        assert model is not None
        row = Row(
            ACCELERATORS[cell["hardware"]], cell["framework"].lower(), int(cell["devices"]), model,
            int(cell["input_tokens"]), 2, int(cell["batch"]), float(cell["ttft_s"]),
        )  # fmt: skip
        shares[row.group].append(row.prefill_peak_s / row.elapsed_s)
    for row in splitwise(folder).rows:
        if row.batch * row.input_tokens >= 1024 and row.prefill_s is not None:
            shares[row.group].append(row.prefill_peak_s / row.prefill_s)
    return {group: statistics.median(found) for group, found in shares.items()}


def _possible(rows: Iterable[Row], left_out: Counter[tuple[str, str]]) -> Iterator[Row]:
    """The rows that pass every check, in the order in which one wrong row must not condemn another."""
    passing = []
    for row in rows:
        room_gib = USABLE_MEMORY * row.accelerator.memory_gib * row.devices
        if row.elapsed_s < row.least_s():
            left_out["faster than the peaks allow", _place(row)] += 1
        elif row.needs_gib() > room_gib:
            left_out["more than the memory holds at once", _place(row)] += 1
        else:
            passing.append(row)
    known = {_key(row): row for row in passing}
    for row in passing:
        smaller = [
            known.get(_key(replace(row, batch=batch))) for batch in (1, 2, 4, 8, 16, 32, 64, 128) if batch < row.batch
        ]
        if any(other is not None and _faster(row, other) for other in smaller):
            left_out["faster than a smaller batch", _place(row)] += 1
        elif row.prefill_s is None and _has_start_up(row, known):
            left_out["twice the tokens take hardly longer", _place(row)] += 1
        else:
            yield row


def _faster(row: Row, smaller: Row) -> bool:
    prefill = row.prefill_s is not None and smaller.prefill_s is not None and row.prefill_s < 0.95 * smaller.prefill_s
    return prefill or row.elapsed_s < 0.95 * smaller.elapsed_s


def _has_start_up(row: Row, known: dict[tuple[object, ...], Row]) -> bool:
    half = known.get(_key(replace(row, input_tokens=row.input_tokens // 2, output_tokens=row.output_tokens // 2)))
    double = known.get(_key(replace(row, input_tokens=row.input_tokens * 2, output_tokens=row.output_tokens * 2)))
    return (half is not None and row.elapsed_s < LEAST_GROWTH * half.elapsed_s) or (
        double is not None and double.elapsed_s < LEAST_GROWTH * row.elapsed_s
    )


def _key(row: Row) -> tuple[object, ...]:
    return (*row.group, row.devices, row.model.name, row.input_tokens, row.output_tokens, row.batch)


def _place(row: Row) -> str:
    return f"{row.accelerator.name}, {row.framework}"


@functools.cache
def _model(name: str) -> ModelArchitecture | None:
    try:
        found = models.architecture(name)
    except InputError:
        return None
    assert isinstance(found, ModelArchitecture)
    return found


def _cells(path: Path) -> list[dict[str, str]]:
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return list(csv.DictReader(lines))
