"""What the emulated accelerator publishes on /metrics.

Names that begin with `vllm:` mean what they mean in vLLM (0.33.0, vllm/v1/metrics/loggers.py); what vLLM does
not have begins with `holdfast_`. Units that make images leave out the token metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.model import metrics
from holdfast.serving.device import Ticket
from holdfast.serving.engine import Occupancy, Step

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_LABELS = ("model_name", "engine")
_ENGINE = "0"


class _DeviceState(Collector):
    """Gauges and the busy counter, read from the device at the moment of the scrape."""

    def __init__(
        self, labels: list[str], occupancy: Callable[[], Occupancy], busy_s: Callable[[], float], has_tokens: bool
    ) -> None:
        self._labels = labels
        self._occupancy = occupancy
        self._busy_s = busy_s
        self._has_tokens = has_tokens

    def collect(self) -> Iterator[Metric]:
        held = self._occupancy()
        yield self._gauge("vllm:num_requests_running", "Number of requests in model execution batches.", held.running)
        yield self._gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", held.waiting)
        if self._has_tokens:
            yield self._gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", held.kv_share)
        busy = CounterMetricFamily(
            "holdfast_accelerator_busy_seconds",
            "Wall seconds that the emulated accelerator was at work; the rate is its utilisation, 0..1.",
            labels=_LABELS,
        )
        busy.add_metric(self._labels, self._busy_s())
        yield busy

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        gauge = GaugeMetricFamily(name, text, labels=_LABELS)
        gauge.add_metric(self._labels, value)
        return gauge


class Metrics:
    """The registry of one server."""

    def __init__(self, *, unit: str, model: str, time_scale: float, has_tokens: bool) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._values = [model, _ENGINE]
        self._has_tokens = has_tokens
        self._success = prometheus_client.Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            (*_LABELS, "finished_reason"),
            registry=self._registry,
        )
        self._e2e = self._histogram(metrics.LATENCY, "Histogram of e2e request latency in seconds.")
        if has_tokens:
            self._ttft = self._histogram(metrics.TTFT, "Histogram of time to first token in seconds.")
            self._prompt = self._counter("vllm:prompt_tokens", "Number of prefill tokens processed.")
            self._generation = self._counter("vllm:generation_tokens", "Number of generation tokens processed.")
        prometheus_client.Info("holdfast_emulated_accelerator", "What is emulated here.", registry=self._registry).info(
            {"unit": unit, "model_name": model, "time_scale": f"{time_scale:g}"}
        )

    def _counter(self, name: str, text: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(name, text, _LABELS, registry=self._registry).labels(*self._values)

    def _histogram(self, name: str, text: str) -> prometheus_client.Histogram:
        family = prometheus_client.Histogram(
            name, text, _LABELS, registry=self._registry, buckets=metrics.SERVER_BUCKETS_S[name]
        )
        return family.labels(*self._values)

    def watch(self, occupancy: Callable[[], Occupancy], busy_s: Callable[[], float]) -> None:
        """Read the state of a device through these at every scrape."""
        self._registry.register(_DeviceState(self._values, occupancy, busy_s, self._has_tokens))

    def step_ended(self, step: Step) -> None:
        if self._has_tokens:
            self._prompt.inc(step.prompt_tokens)
            self._generation.inc(len(step.produced))

    def request_ended(self, ticket: Ticket, finish_reason: str) -> None:
        """Count a request that got all its output."""
        self._success.labels(*self._values, finish_reason).inc()
        self._e2e.observe(ticket.end_s - ticket.arrived_s)
        if self._has_tokens:
            self._ttft.observe(ticket.first_s - ticket.arrived_s)

    def exposition(self) -> bytes:
        """Everything in the Prometheus text format; its media type is CONTENT_TYPE."""
        return prometheus_client.generate_latest(self._registry)
