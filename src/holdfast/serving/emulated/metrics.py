"""What the emulated accelerator publishes on /metrics.

Names that begin with `vllm:` mean what they mean in vLLM (0.33.0, vllm/v1/metrics/loggers.py); what vLLM does
not have begins with `holdfast_`. Units that make images leave out the token metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import prometheus_client
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from holdfast.model.metrics import ITL, LATENCY, TTFT
from holdfast.serving import families
from holdfast.serving.emulated.device import Ticket
from holdfast.serving.emulated.engine import Step
from holdfast.serving.families import Families
from holdfast.serving.occupancy import Occupancy

CONTENT_TYPE = families.CONTENT_TYPE


class Metrics(Collector):
    """The registry of one server. Counts are kept as plain numbers and shown at the scrape."""

    def __init__(self, *, unit: str, model: str, time_scale: float, has_tokens: bool) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._families = Families({"model_name": model, "engine": families.ENGINE})
        self._has_tokens = has_tokens
        times = _TIMES + (_TOKEN_TIMES if has_tokens else ())
        self._times = {name: families.tally(name) for name in times}
        self._gaps = families.tally(ITL)
        self._step_tokens = families.tally(families.STEP_TOKENS)
        self._prompts = families.tally(families.REQUEST_PROMPT)
        self._outputs = families.tally(families.REQUEST_OUTPUT)
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
            counts[families.GENERATION_TOKENS] += len(step.produced)
            counts[families.PREEMPTIONS] += len(step.preempted)
            counts[families.PREFIX_QUERIES] += step.queried_tokens
            counts[families.PREFIX_HITS] += step.hit_tokens
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
            self._counts[families.PROMPT_TOKENS] += prompt_tokens

    def request_ended(self, ticket: Ticket, finish_reason: str) -> None:
        """Count a request that got all its output."""
        self._ended[finish_reason] = self._ended.get(finish_reason, 0) + 1
        self._times[LATENCY].observe(ticket.end_s - ticket.arrived_s)
        self._times[families.QUEUE].observe(ticket.admitted_s - ticket.arrived_s)
        self._times[families.INFERENCE].observe(ticket.end_s - ticket.admitted_s)
        if self._has_tokens:
            self._times[TTFT].observe(ticket.first_s - ticket.arrived_s)
            self._times[families.PREFILL].observe(ticket.first_s - ticket.admitted_s)
            self._times[families.DECODE].observe(ticket.end_s - ticket.first_s)
            self._prompts.observe(ticket.prompt_tokens)
            self._outputs.observe(ticket.outputs)

    def fault(self, fate: str) -> None:
        """Count a request that was refused, stalled or reset on purpose."""
        self._refused[fate] = self._refused.get(fate, 0) + 1

    def collect(self) -> Iterator[Metric]:
        held, of = self._occupancy(), self._families
        yield of.gauge(families.RUNNING, held.running)
        yield of.gauge(families.WAITING, held.waiting)
        yield of.counters(families.SUCCESS, ("finished_reason",), _by(self._ended))
        yield of.counters(
            "holdfast_injected_faults", ("fate",), _by(self._refused), "Requests that were failed on purpose."
        )
        tallies = list(self._times.values())
        if self._has_tokens:
            yield of.gauge(families.KV_USAGE, held.kv_share)
            for name in _COUNTERS:
                yield of.counter(name, self._counts[name])
            tallies += [self._gaps, self._step_tokens, self._prompts, self._outputs]
        for tally in tallies:
            yield of.histogram(tally)
        yield of.counter(families.BUSY, self._busy_s())

    def exposition(self) -> bytes:
        """Everything in the Prometheus text format; its media type is CONTENT_TYPE."""
        return prometheus_client.generate_latest(self._registry)


_TIMES = (LATENCY, families.QUEUE, families.INFERENCE)
_TOKEN_TIMES = (TTFT, families.PREFILL, families.DECODE)
_COUNTERS = (
    families.PROMPT_TOKENS,
    families.GENERATION_TOKENS,
    families.PREFIX_QUERIES,
    families.PREFIX_HITS,
    families.PREEMPTIONS,
)


def _by(counts: dict[str, int]) -> dict[tuple[str, ...], float]:
    return {(value,): count for value, count in counts.items()}
