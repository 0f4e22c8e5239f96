"""What the target says of itself: its /metrics before and after a level."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prometheus_client import parser

from holdfast.load.http import Client

_BUSY = "holdfast_accelerator_busy_seconds_total"
_GPU = "DCGM_FI_DEV_GPU_UTIL"


@dataclass(frozen=True)
class Reading:
    """Device-busy seconds so far, the GPU utilisation gauge (0..1), either None when not published, at `at_s`."""

    at_s: float
    busy_s: float | None
    gpu: float | None


async def read(client: Client) -> Reading:
    """One reading of the target's metrics; empty when it publishes none that are known."""
    status, body = await client.get("/metrics")
    at_s = time.perf_counter()
    if status != 200:
        return Reading(at_s, None, None)
    values: dict[str, list[float]] = {_BUSY: [], _GPU: []}
    try:
        for family in parser.text_string_to_metric_families(body.decode("utf-8", "replace")):
            for sample in family.samples:
                if sample.name in values:
                    values[sample.name].append(sample.value)
    except ValueError:
        return Reading(at_s, None, None)  # something else answers at /metrics
    busy, gpu = values[_BUSY], values[_GPU]
    return Reading(at_s, sum(busy) / len(busy) if busy else None, sum(gpu) / len(gpu) / 100 if gpu else None)


def utilization(before: Reading, after: Reading) -> float | None:
    """Utilisation between two readings, 0..1; None when the target publishes nothing to tell it from."""
    if before.busy_s is not None and after.busy_s is not None and after.at_s > before.at_s:
        return min(1.0, max(0.0, (after.busy_s - before.busy_s) / (after.at_s - before.at_s)))
    return after.gpu
