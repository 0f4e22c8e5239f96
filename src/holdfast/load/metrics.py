"""Pages of metrics read: the names of engines and exporters mapped to the series of `model.server`.

A page of vLLM has about 100 kB, and a Prometheus parser in Python takes ten milliseconds and more for it, in which no
request is sent (benchmarks/watching_cost.py). So the lines that are known are picked first, and only those are parsed.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import parser
from prometheus_client.samples import Sample

from holdfast.model.server import SHARES


class Kind(enum.Enum):
    """What a metric's number is."""

    GAUGE = "gauge"  # the value at this moment
    COUNTER = "counter"  # a total that only grows; the series is its rate


@dataclass(frozen=True)
class Metric:
    """One name that is known: the quantity that it tells, and the factor to that quantity's unit.

    labels: only samples that carry these count.
    """

    name: str
    quantity: str
    kind: Kind = Kind.GAUGE
    factor: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()


_MIB = float(2**20)

METRICS = (
    # vLLM 0.33.0, vllm/v1/metrics/loggers.py. "KV-cache usage. 1 means 100 percent usage."
    Metric("vllm:num_requests_running", "running"),
    Metric("vllm:num_requests_waiting", "waiting"),
    Metric("vllm:kv_cache_usage_perc", "kv_usage"),
    # The name of the same share before it was renamed.
    Metric("vllm:gpu_cache_usage_perc", "kv_usage"),
    Metric("vllm:prefix_cache_queries_total", "prefix_queries", Kind.COUNTER),
    Metric("vllm:prefix_cache_hits_total", "prefix_hits", Kind.COUNTER),
    Metric("vllm:prompt_tokens_total", "tokens_in", Kind.COUNTER),
    Metric("vllm:generation_tokens_total", "tokens_out", Kind.COUNTER),
    Metric("vllm:num_preemptions_total", "preemptions", Kind.COUNTER),
    # holdfast's own servers, serving/families.py: wall seconds.
    Metric("holdfast_accelerator_busy_seconds_total", "busy", Kind.COUNTER),
    # NVIDIA/dcgm-exporter, etc/default-counters.csv: a ratio; GPU utilisation "(in %)"; "(in MiB)"; "(in W)".
    Metric("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "utilization"),
    Metric("DCGM_FI_DEV_GPU_UTIL", "utilization", factor=0.01),
    Metric("DCGM_FI_DEV_FB_USED", "memory_used_bytes", factor=_MIB),
    Metric("DCGM_FI_DEV_POWER_USAGE", "power_w"),
    # AWS neuron-monitor-prometheus.py divides neuron-monitor's per cent by 100; of the memory, "host" is no device.
    Metric("neuroncore_utilization_ratio", "utilization"),
    Metric("neuron_runtime_memory_used_bytes", "memory_used_bytes", labels=(("memory_location", "neuron_device"),)),
    # Triton Inference Server: "GPU utilization rate [0.0 - 1.0)"; requests awaiting execution; bytes; watts.
    Metric("nv_gpu_utilization", "utilization"),
    Metric("nv_inference_pending_request_count", "waiting"),
    Metric("nv_gpu_memory_used_bytes", "memory_used_bytes"),
    Metric("nv_gpu_power_usage", "power_w"),
)
"""The names that are known. Where a page has several of one quantity, the first of this list counts."""

_BEGINNINGS = tuple(metric.name.encode() + follows for metric in METRICS for follows in (b"{", b" "))

_BLANK = 2.0**47
"""From here on DCGM means "no value": DCGM_FP64_BLANK is 140737488355328, and DCGM_INT64_BLANK is larger."""

_MEANS = SHARES | {"busy"}


@dataclass(frozen=True)
class Selection:
    """Which samples of an exporter are meant: its devices, not the whole node's. Patterns match whole label values."""

    patterns: tuple[tuple[str, re.Pattern[str]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selection:
        """From `gpu="0",pod=~"llm-.*"`, as Prometheus writes it. Raises ValueError."""
        found = []
        for part in re.split(r",(?=\s*\w+\s*=)", text):
            match = re.fullmatch(r'\s*(\w+)\s*(=~?)\s*"([^"]*)"\s*', part)
            if match is None:
                raise ValueError(f'{part!r} is not a label; write it like gpu="0" or pod=~"llm-.*"')
            name, sign, value = match.groups()
            try:
                found.append((name, re.compile(value if sign == "=~" else re.escape(value))))
            except re.error as error:
                raise ValueError(f"{value!r} is not a pattern ({error})") from error
        return cls(tuple(found))

    def takes(self, labels: Mapping[str, str]) -> bool:
        return all(pattern.fullmatch(labels.get(name, "")) for name, pattern in self.patterns)


EVERYTHING = Selection()


def read(page: bytes, selection: Selection = EVERYTHING) -> dict[str, float]:
    """The known quantities of a page, engines and devices joined; empty when it has none.

    Gauges are in the unit of their series, counters are totals.
    """
    lines = [line for line in page.splitlines() if line.startswith(_BEGINNINGS)]
    try:
        families = list(parser.text_string_to_metric_families(b"\n".join(lines).decode("utf-8", "replace") + "\n"))
    except ValueError:
        return {}  # something else answers there, and one of its lines begins like ours
    samples: dict[str, list[Sample]] = {}
    for sample in (sample for family in families for sample in family.samples):
        samples.setdefault(sample.name, []).append(sample)
    found: dict[str, float] = {}
    for metric in METRICS:
        if metric.quantity not in found:
            values = _values(samples.get(metric.name, ()), metric, selection)
            if values:
                total = math.fsum(values) * metric.factor
                found[metric.quantity] = total / len(values) if metric.quantity in _MEANS else total
    return found


def _values(samples: Iterable[Sample], metric: Metric, selection: Selection) -> list[float]:
    return [
        sample.value
        for sample in samples
        if math.isfinite(sample.value)
        and abs(sample.value) < _BLANK
        and selection.takes(sample.labels)
        and all(sample.labels.get(name) == value for name, value in metric.labels)
    ]


COUNTERS = frozenset(metric.quantity for metric in METRICS if metric.kind is Kind.COUNTER)


def series(now: Mapping[str, float], before: Mapping[str, float], wall_s: float, time_scale: float) -> dict[str, float]:
    """Values of the series from a reading and the one before it, `wall_s` earlier on the wall clock (0: none).

    A counter that fell was set to zero by a restart, and has no rate until the next reading.
    time_scale: rates are per second of the target's time.
    """
    values = {name: value for name, value in now.items() if name not in COUNTERS}
    grown = {
        name: now[name] - before[name]
        for name in COUNTERS
        if name in now and name in before and now[name] >= before[name] and wall_s > 0
    }
    for name in ("tokens_in", "tokens_out", "preemptions", "prefix_queries"):
        if name in grown:
            values[f"{name}_per_s"] = grown[name] / (wall_s * time_scale)
    if grown.get("prefix_queries") and "prefix_hits" in grown:
        values["prefix_hit_rate"] = grown["prefix_hits"] / grown["prefix_queries"]
    if "busy" in grown:
        values.setdefault("utilization", grown["busy"] / wall_s)
    return {name: min(1.0, max(0.0, value)) if name in SHARES else value for name, value in values.items()}


def tells_utilization(reading: Mapping[str, float]) -> bool:
    """Whether a utilisation can be told from a page."""
    return "utilization" in reading or "busy" in reading
