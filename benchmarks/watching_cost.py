"""What it costs to watch a load while it is sent: a page of metrics, a batch of rows, a look at the live table.

    python benchmarks/watching_cost.py

All of it happens about once a second, on the core that sends the load, so what counts is the milliseconds of one go.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, parser

from holdfast.cli import live
from holdfast.load import metrics
from holdfast.load.metrics import Kind
from holdfast.load.tally import Tally
from holdfast.model.records import RequestTable

ENGINES = 5
HISTOGRAMS = 20
ROWS = 1000


def page() -> bytes:
    """The known names of vLLM among as many histograms as it has, for a few engines."""
    registry = CollectorRegistry()
    labels = ("model_name", "engine")
    families: list[Gauge | Counter | Histogram] = [
        (Gauge if metric.kind is Kind.GAUGE else Counter)(metric.name, "A metric.", labels, registry=registry)
        for metric in metrics.METRICS
        if metric.name.startswith("vllm:")
    ]
    families += [
        Histogram(f"vllm:histogram_{n}", "A histogram.", labels, registry=registry, buckets=range(1, 21))
        for n in range(HISTOGRAMS)
    ]
    for family in families:
        for engine in range(ENGINES):
            child = family.labels("meta-llama/Llama-3.1-70B-Instruct", str(engine))
            child.observe(3) if isinstance(child, Histogram) else child.inc(3)
    return generate_latest(registry)


def batch(now_s: float) -> RequestTable:
    """A second of streams that have ended."""
    end_s = np.sort(np.random.default_rng(0).uniform(now_s - 1, now_s, ROWS))
    many = np.full(ROWS, 64)
    none = np.zeros(ROWS, dtype=int)
    return RequestTable(
        none, end_s - 1, end_s - 1, end_s - 0.9, end_s - 0.9, end_s, none.astype(float), many, many, many, many, many,
        none + 200, none,
    )  # fmt: skip


def median_ms(work: Callable[[], object], rounds: int = 30) -> float:
    """Processor time of one go."""
    taken = []
    for _ in range(rounds):
        begun_s = time.process_time()
        work()
        taken.append(time.process_time() - begun_s)
    return float(np.median(taken)) * 1e3


def main() -> None:
    text = page()
    print(f"{platform.machine()}, Python {platform.python_version()}; median processor time of 30 goes")
    whole = median_ms(lambda: list(parser.text_string_to_metric_families(text.decode())))
    print(f"a page of {len(text) / 1000:.0f} kB, {ENGINES} engines: {median_ms(lambda: metrics.read(text)):.2f} ms")
    print(f"  parsed whole it would be {whole:.1f} ms")
    tally, clock_s = Tally(), 0.0

    def take() -> None:
        nonlocal clock_s
        clock_s += 1.0
        rows = batch(clock_s)
        tally.take(lambda name: np.asarray(getattr(rows, name)), clock_s)

    print(f"a batch of {ROWS} rows, made and counted: {median_ms(take):.2f} ms")

    def look() -> None:
        take()
        live.table([("A", tally.glance(clock_s, 1000, 64))], clock_s, 600.0)

    print(f"  and a look at ten such seconds, laid out: {median_ms(look):.2f} ms")


if __name__ == "__main__":
    main()
