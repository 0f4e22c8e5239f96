"""What a model server publishes on /metrics: vLLM's names where the meaning is the same, else holdfast's."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import prometheus_client
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import holdfast
from holdfast.model.metrics import ITL, LATENCY, SERVER_BUCKETS_S, TTFT
from holdfast.serving import families
from holdfast.serving.families import Families
from holdfast.serving.occupancy import Occupancy
from holdfast.serving.tally import Tally

OTHER = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_ROUTES = 100
"""Anything may be asked for: what is beyond these is counted as other, so that series stay few."""

_BATCH_SIZES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0)


@dataclass(frozen=True)
class Labels:
    """On every sample, so that fleets can be told apart: unit of the fleet document, model, device, node pool."""

    unit: str
    model: str
    device: str
    node_pool: str


@dataclass(frozen=True)
class HttpAnswer:
    """An answer that ended, as Published tells it to whoever listens. seconds: from the request to the answer's end."""

    route: str
    method: str
    status: int
    seconds: float


class Published(Collector):
    """Counts are plain numbers that the event loop writes; shown at the scrape.

    has_tokens: whether it generates text; the metrics of tokens and of the cache are left out where it does not, but
    for the tokens of encoders' inputs, which are shown once there are some.
    """

    def __init__(self, labels: Labels, *, has_tokens: bool) -> None:
        named = {
            "model_name": labels.model,
            "engine": families.ENGINE,
            "unit": labels.unit,
            "device": labels.device,
            "node_pool": labels.node_pool,
        }
        self._families = Families(named)
        self._build = Families(
            named
            | {"version": holdfast.__version__, "python": platform.python_version(), "machine": platform.machine()}
        )
        self._has_tokens = has_tokens
        self._registry = prometheus_client.CollectorRegistry()
        self._occupancy: Callable[[], Occupancy] = lambda: Occupancy(0, 0)
        self._ready: Callable[[], bool] = lambda: False
        self._listeners: list[Callable[[HttpAnswer], None]] = []
        self._more: list[tuple[str, str, Callable[[], float]]] = []
        names: tuple[str, ...] = (LATENCY, families.QUEUE, families.INFERENCE)
        if has_tokens:
            names += (TTFT, ITL, families.STEP_TOKENS, families.REQUEST_PROMPT, families.REQUEST_OUTPUT)
        self._tallies = {name: families.tally(name) for name in names}
        self._batches = Tally("holdfast_batch_size", "Requests that the device took at once.", _BATCH_SIZES)
        self._busy_s = 0.0
        self._prompt_tokens = 0
        self._generated_tokens = 0
        self._ended: dict[tuple[str, ...], float] = {("stop",): 0, ("length",): 0, ("abort",): 0, ("error",): 0}
        self._requests: dict[tuple[str, ...], float] = {}
        self._durations: dict[tuple[str, ...], Tally] = {}
        self._refused = 0
        self._routes: set[str] = set()
        self._registry.register(self)

    def watch(self, occupancy: Callable[[], Occupancy]) -> None:
        """Read what is in hand through this at every scrape."""
        self._occupancy = occupancy

    def watch_readiness(self, ready: Callable[[], bool]) -> None:
        """Read at every scrape whether /readiness says 200."""
        self._ready = ready

    def watch_counter(self, name: str, text: str, count: Callable[[], float]) -> None:
        """Publish one more counter, read at every scrape; name: without _total."""
        self._more.append((name, text, count))

    def listen(self, listener: Callable[[HttpAnswer], None]) -> None:
        """Tell of each HTTP answer, on the event loop: it must not block."""
        self._listeners.append(listener)

    def batch_ran(self, size: int, seconds: float, tokens: int = 0) -> None:
        """One pass of the device: its requests, how long it took, and tokens made and prefilled in it."""
        self._batches.observe(size)
        self._busy_s += seconds
        if self._has_tokens:
            self._tallies[families.STEP_TOKENS].observe(tokens)

    def began(self, queued_s: float) -> None:
        """A request left the queue for the device after so long."""
        self._tallies[families.QUEUE].observe(queued_s)

    def first_token(self, seconds: float, prompt_tokens: int) -> None:
        """Since it arrived."""
        self._tallies[TTFT].observe(seconds)
        self._prompt_tokens += prompt_tokens
        self._generated_tokens += 1

    def token_gap(self, seconds: float) -> None:
        """Between two tokens of one answer."""
        self._tallies[ITL].observe(seconds)
        self._generated_tokens += 1

    def ended(
        self,
        finish_reason: str,
        latency_s: float,
        inference_s: float,
        *,
        prompt_tokens: int = 0,
        output_tokens: int = 0,
    ) -> None:
        """A request is over; finish_reason: stop, length, abort (the client left), error (the model failed on it).

        Times and lengths are those of whole answers: who gave up early, or failed, would make them look short.
        """
        self._ended[(finish_reason,)] += 1
        if finish_reason not in ("stop", "length"):
            return
        self._tallies[LATENCY].observe(latency_s)
        self._tallies[families.INFERENCE].observe(inference_s)
        if self._has_tokens:
            self._tallies[families.REQUEST_PROMPT].observe(prompt_tokens)
            self._tallies[families.REQUEST_OUTPUT].observe(output_tokens)
        else:
            self._prompt_tokens += prompt_tokens

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP answer ended, on any path; route: the template, or "other" for a path that is not served."""
        if len(self._routes) < _MOST_ROUTES:
            self._routes.add(route)
        route = route if route in self._routes else OTHER
        method = method if method in _METHODS else OTHER
        key = (route, method, str(status))
        self._requests[key] = self._requests.get(key, 0) + 1
        if (route, method) not in self._durations:
            self._durations[route, method] = Tally(*_DURATION, SERVER_BUCKETS_S[LATENCY])
        self._durations[route, method].observe(seconds)
        self._refused += status == 429
        answer = HttpAnswer(route, method, status, seconds)
        for listener in self._listeners:
            listener(answer)

    def collect(self) -> Iterator[Metric]:
        held, of = self._occupancy(), self._families
        yield of.gauge("holdfast_ready", self._ready(), "1 while /readiness says 200, else 0.")
        yield of.gauge(families.RUNNING, held.running)
        yield of.gauge(families.WAITING, held.waiting)
        yield of.counters(families.SUCCESS, ("finished_reason",), self._ended)
        yield of.counters(families.REJECTIONS, ("reason",), {("queue_full",): self._refused})
        if self._has_tokens:
            yield of.gauge(families.KV_USAGE, held.kv_share)
            yield of.counter(families.GENERATION_TOKENS, self._generated_tokens)
        if self._has_tokens or self._prompt_tokens:
            yield of.counter(families.PROMPT_TOKENS, self._prompt_tokens)
        for tally in (*self._tallies.values(), self._batches):
            yield of.histogram(tally)
        yield of.counter(families.BUSY, self._busy_s)
        yield of.counters("holdfast_http_requests", ("route", "method", "status"), self._requests, _REQUESTS)
        if self._durations:
            yield of.histograms(("route", "method"), self._durations)
        for name, text, count in self._more:
            yield of.counter(name, count(), text)
        yield self._build.gauge("holdfast_build_info", 1, "What this server is made of; always 1.")

    def exposition(self) -> bytes:
        """Everything, in the Prometheus text format; its media type is families.CONTENT_TYPE."""
        return prometheus_client.generate_latest(self._registry)


_REQUESTS = "HTTP answers that ended, on any path."
_DURATION = (
    "holdfast_http_request_duration_seconds",
    "From an HTTP request to the end of its answer, on any path.",
)
