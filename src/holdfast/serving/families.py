"""Metric families of servers, for the Prometheus text format; those of vLLM under its names, with its words and bounds.

vLLM 0.33.0, vllm/v1/metrics/loggers.py. Counters are named without the `_total` that the format adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from holdfast.model.metrics import ITL, LATENCY, SERVER_BUCKETS_S, TTFT, VLLM_BUCKETS_S
from holdfast.serving.tally import Tally

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

ENGINE = "0"
"""What vLLM calls its first and, but for data parallelism, only engine."""

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
KV_USAGE = "vllm:kv_cache_usage_perc"
SUCCESS, REJECTIONS = "vllm:request_success", "vllm:admission_rejections"
PROMPT_TOKENS, GENERATION_TOKENS = "vllm:prompt_tokens", "vllm:generation_tokens"
PREFIX_QUERIES, PREFIX_HITS = "vllm:prefix_cache_queries", "vllm:prefix_cache_hits"
PREEMPTIONS = "vllm:num_preemptions"
QUEUE, INFERENCE = "vllm:request_queue_time_seconds", "vllm:request_inference_time_seconds"
PREFILL, DECODE = "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds"
STEP_TOKENS = "vllm:iteration_tokens_total"
REQUEST_PROMPT, REQUEST_OUTPUT = "vllm:request_prompt_tokens", "vllm:request_generation_tokens"
BUSY = "holdfast_accelerator_busy_seconds"

TEXTS = {
    RUNNING: "Number of requests in model execution batches.",
    WAITING: "Number of requests waiting to be processed.",
    KV_USAGE: "KV-cache usage. 1 means 100 percent usage.",
    SUCCESS: "Count of successfully processed requests.",
    REJECTIONS: "Number of admission attempts rejected by a queue limit, by reason.",
    PROMPT_TOKENS: "Number of prefill tokens processed.",
    GENERATION_TOKENS: "Number of generation tokens processed.",
    PREFIX_QUERIES: "Prefix cache queries, in terms of number of queried tokens.",
    PREFIX_HITS: "Prefix cache hits, in terms of number of cached tokens.",
    PREEMPTIONS: "Cumulative number of preemption from the engine.",
    LATENCY: "Histogram of e2e request latency in seconds.",
    TTFT: "Histogram of time to first token in seconds.",
    ITL: "Histogram of inter-token latency in seconds.",
    QUEUE: "Histogram of time spent in WAITING phase for request.",
    INFERENCE: "Histogram of time spent in RUNNING phase for request.",
    PREFILL: "Histogram of time spent in PREFILL phase for request.",
    DECODE: "Histogram of time spent in DECODE phase for request.",
    STEP_TOKENS: "Histogram of number of tokens per engine_step.",
    REQUEST_PROMPT: "Number of prefill tokens processed.",
    REQUEST_OUTPUT: "Number of generation tokens processed.",
    BUSY: "Wall seconds that the accelerator was at work; the rate is its utilisation, 0..1.",
}

_STEP_SIZES = (1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)
_LENGTHS = tuple(float(digit * 10**power) for power in range(6) for digit in (1, 2, 5))
_BOUNDS: dict[str, Sequence[float]] = {
    ITL: VLLM_BUCKETS_S[ITL],
    STEP_TOKENS: _STEP_SIZES,
    REQUEST_PROMPT: _LENGTHS,
    REQUEST_OUTPUT: _LENGTHS,
}


def tally(name: str) -> Tally:
    """The histogram of that name; times of requests have the buckets of holdfast's servers."""
    return Tally(name, TEXTS[name], _BOUNDS.get(name, SERVER_BUCKETS_S[LATENCY]))


class Families:
    """Makes families of samples which all carry the same labels."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._names = tuple(labels)
        self._values = tuple(labels.values())

    def gauge(self, name: str, value: float, text: str | None = None) -> Metric:
        family = GaugeMetricFamily(name, text or TEXTS[name], labels=self._names)
        family.add_metric(self._values, value)
        return family

    def counter(self, name: str, value: float, text: str | None = None) -> Metric:
        family = CounterMetricFamily(name, text or TEXTS[name], labels=self._names)
        family.add_metric(self._values, value)
        return family

    def counters(
        self, name: str, labels: Sequence[str], counts: Mapping[tuple[str, ...], float], text: str | None = None
    ) -> Metric:
        """A counter for each value of more labels."""
        family = CounterMetricFamily(name, text or TEXTS[name], labels=(*self._names, *labels))
        for values, count in counts.items():
            family.add_metric((*self._values, *values), count)
        return family

    def histogram(self, tally: Tally) -> Metric:
        return tally.family(self._names, [(self._values, tally)])

    def histograms(self, labels: Sequence[str], tallies: Mapping[tuple[str, ...], Tally]) -> Metric:
        """One histogram for each value of more labels; at least one, as they have the same name."""
        first = next(iter(tallies.values()))
        return first.family(
            (*self._names, *labels), [((*self._values, *values), tally) for values, tally in tallies.items()]
        )
