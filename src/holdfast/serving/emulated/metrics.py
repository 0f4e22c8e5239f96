"""What the emulated accelerator publishes on /metrics.

Names that begin with `vllm:` mean what they mean in vLLM (0.33.0, vllm/v1/metrics/loggers.py); what vLLM does
not have begins with `holdfast_`. Units that make images leave out the token metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from holdfast.model.metrics import ITL, LATENCY, SERVER_BUCKETS_S, TTFT, VLLM_BUCKETS_S
from holdfast.serving.emulated.device import Ticket
from holdfast.serving.emulated.engine import Occupancy, Step
from holdfast.serving.emulated.tally import Tally

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_LABELS = ("model_name", "engine")
_ENGINE = "0"
_PHASE_BUCKETS_S = SERVER_BUCKETS_S[LATENCY]
_STEP_TOKENS = (1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)
_LENGTHS = tuple(float(digit * 10**power) for power in range(6) for digit in (1, 2, 5))


class _Seconds(dict[str, Tally]):
    """The histograms of requests' times, by name."""

    def __init__(self, has_tokens: bool) -> None:
        super().__init__()
        self._add(LATENCY, "Histogram of e2e request latency in seconds.")
        self._add("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.")
        self._add("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.")
        if has_tokens:
            self._add(TTFT, "Histogram of time to first token in seconds.")
            self._add("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.")
            self._add("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.")

    def _add(self, name: str, text: str) -> None:
        self[name] = Tally(name, text, _PHASE_BUCKETS_S)


class Metrics(Collector):
    """The registry of one server. Counts are kept as plain numbers and shown at the scrape."""

    def __init__(self, *, unit: str, model: str, time_scale: float, has_tokens: bool) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._values = [model, _ENGINE]
        self._has_tokens = has_tokens
        self._times = _Seconds(has_tokens)
        self._gaps = Tally(ITL, "Histogram of inter-token latency in seconds.", VLLM_BUCKETS_S[ITL])
        self._step_tokens = Tally(
            "vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.", _STEP_TOKENS
        )
        self._prompts = Tally("vllm:request_prompt_tokens", "Number of prefill tokens processed.", _LENGTHS)
        self._outputs = Tally("vllm:request_generation_tokens", "Number of generation tokens processed.", _LENGTHS)
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._ended: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._last_end_s = 0.0
        self._occupancy: Callable[[], Occupancy] = lambda: Occupancy(0, 0)
        self._busy_s: Callable[[], float] = lambda: 0.0
        prometheus_client.Info("holdfast_emulated_accelerator", "What is emulated here.", registry=self._registry).info(
            {"unit": unit, "model_name": model, "time_scale": f"{time_scale:g}"}
        )

    def watch(self, occupancy: Callable[[], Occupancy], busy_s: Callable[[], float]) -> None:
        """Read the state of a device through these at every scrape."""
        self._occupancy = occupancy
        self._busy_s = busy_s
        self._registry.register(self)

    def step_ended(self, step: Step) -> None:
        if self._has_tokens:
            counts = self._counts
            counts["vllm:generation_tokens"] += len(step.produced)
            counts["vllm:num_preemptions"] += len(step.preempted)
            counts["vllm:prefix_cache_queries"] += step.queried_tokens
            counts["vllm:prefix_cache_hits"] += step.hit_tokens
            self._step_tokens.observe(step.prompt_tokens + len(step.produced) - len(step.began))
            # Those that had a token in the step before; device.Ticket knows the gap of one that was preempted.
            self._gaps.observe(step.end_s - self._last_end_s, len(step.produced) - len(step.began))
            self._last_end_s = step.end_s

    def resumed(self, gap_s: float) -> None:
        """A preempted request got its next token so much after its last."""
        self._gaps.observe(gap_s)

    def prefilled(self, prompt_tokens: int) -> None:
        """A request of so many prompt tokens got its first output."""
        if self._has_tokens:
            self._counts["vllm:prompt_tokens"] += prompt_tokens

    def request_ended(self, ticket: Ticket, finish_reason: str) -> None:
        """Count a request that got all its output."""
        self._ended[finish_reason] = self._ended.get(finish_reason, 0) + 1
        self._times[LATENCY].observe(ticket.end_s - ticket.arrived_s)
        self._times["vllm:request_queue_time_seconds"].observe(ticket.admitted_s - ticket.arrived_s)
        self._times["vllm:request_inference_time_seconds"].observe(ticket.end_s - ticket.admitted_s)
        if self._has_tokens:
            self._times[TTFT].observe(ticket.first_s - ticket.arrived_s)
            self._times["vllm:request_prefill_time_seconds"].observe(ticket.first_s - ticket.admitted_s)
            self._times["vllm:request_decode_time_seconds"].observe(ticket.end_s - ticket.first_s)
            self._prompts.observe(ticket.prompt_tokens)
            self._outputs.observe(ticket.outputs)

    def fault(self, fate: str) -> None:
        """Count a request that was refused, stalled or reset on purpose."""
        self._refused[fate] = self._refused.get(fate, 0) + 1

    def collect(self) -> Iterator[Metric]:
        held = self._occupancy()
        yield self._gauge("vllm:num_requests_running", "Number of requests in model execution batches.", held.running)
        yield self._gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", held.waiting)
        yield self._by(
            "vllm:request_success", "Count of successfully processed requests.", "finished_reason", self._ended
        )
        yield self._by("holdfast_injected_faults", "Requests that were failed on purpose.", "fate", self._refused)
        tallies = list(self._times.values())
        if self._has_tokens:
            yield self._gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", held.kv_share)
            for name, text in _COUNTERS.items():
                yield self._counter(name, text, self._counts[name])
            tallies += [self._gaps, self._step_tokens, self._prompts, self._outputs]
        for tally in tallies:
            yield tally.family(_LABELS, self._values)
        text = "Wall seconds that the emulated accelerator was at work; the rate is its utilisation, 0..1."
        yield self._counter("holdfast_accelerator_busy_seconds", text, self._busy_s())

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, text, labels=_LABELS)
        family.add_metric(self._values, value)
        return family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(name, text, labels=_LABELS)
        family.add_metric(self._values, value)
        return family

    def _by(self, name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
        family = CounterMetricFamily(name, text, labels=(*_LABELS, label))
        for value, count in counts.items():
            family.add_metric([*self._values, value], count)
        return family

    def exposition(self) -> bytes:
        """Everything in the Prometheus text format; its media type is CONTENT_TYPE."""
        return prometheus_client.generate_latest(self._registry)


_COUNTERS = {
    "vllm:prompt_tokens": "Number of prefill tokens processed.",
    "vllm:generation_tokens": "Number of generation tokens processed.",
    "vllm:prefix_cache_queries": "Prefix cache queries, in terms of number of queried tokens.",
    "vllm:prefix_cache_hits": "Prefix cache hits, in terms of number of cached tokens.",
    "vllm:num_preemptions": "Cumulative number of preemption from the engine.",
}
