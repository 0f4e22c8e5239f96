"""What the target says of itself: its /metrics before and after a level."""

from __future__ import annotations

import time
from dataclasses import dataclass

from prometheus_client import parser

from holdfast.load.http import Client

_BUSY = "holdfast_accelerator_busy_seconds_total"


@dataclass(frozen=True)
class Reading:
    """Device-busy seconds so far at `at_s`; None when the target publishes none."""

    at_s: float
    busy_s: float | None


async def read(client: Client) -> Reading:
    """One reading of the target's metrics; empty when it publishes none that are known."""
    status, body = await client.get("/metrics")
    at_s = time.perf_counter()
    if status != 200:
        return Reading(at_s, None)
    try:
        families = list(parser.text_string_to_metric_families(body.decode("utf-8", "replace")))
    except ValueError:
        return Reading(at_s, None)  # something else answers at /metrics
    busy = [sample.value for family in families for sample in family.samples if sample.name == _BUSY]
    return Reading(at_s, sum(busy) / len(busy) if busy else None)


def utilization(before: Reading, after: Reading) -> float | None:
    """Utilisation between two readings, 0..1; None when the target publishes nothing to tell it from."""
    if before.busy_s is None or after.busy_s is None or after.at_s <= before.at_s:
        return None
    return min(1.0, max(0.0, (after.busy_s - before.busy_s) / (after.at_s - before.at_s)))
