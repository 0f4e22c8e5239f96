"""A run's tallies as a Prometheus endpoint.

Whatever is scraped was counted before, in the batches of `load.tally`; a scrape reads and formats, in the thread of
prometheus_client's server, and touches nothing that load is sent with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from holdfast.load.tally import BOUNDS_S, Spread, Tally
from holdfast.model.errors import InputError
from holdfast.model.records import Outcome


@dataclass(frozen=True)
class Published:
    """One target: its tally, how many requests are in flight, and the rate that is asked for now, in 1/s."""

    tally: Tally
    in_flight: Callable[[], int]
    rate_per_s: Callable[[], float]


class _Run(Collector):
    def __init__(self, targets: Sequence[Published]) -> None:
        self._targets = targets

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "holdfast_load_requests", "Requests that have ended, by outcome.", labels=("target", "outcome")
        )
        read = CounterMetricFamily("holdfast_load_prompt_tokens", "By the server's usage.", labels=("target",))
        made = CounterMetricFamily(
            "holdfast_load_output_tokens", "By the server's usage, else counted.", labels=("target",)
        )
        in_flight = GaugeMetricFamily(
            "holdfast_load_in_flight", "Requests that wait for an answer.", labels=("target",)
        )
        asked = GaugeMetricFamily(
            "holdfast_load_offered_per_second", "The rate that is asked for now.", labels=("target",)
        )
        latency = _histogram("latency", "Of successful requests, from their intended start to the last byte.")
        ttft = _histogram("ttft", "Of successful streams, from their intended start to the first output.")
        lag = _histogram("send_lag", "How late the client itself sent.")
        for target in self._targets:
            totals, name = target.tally.totals, target.tally.name
            for outcome in Outcome:
                requests.add_metric((name, outcome.name.lower()), totals.of(outcome))
            read.add_metric((name,), totals.tokens_in)
            made.add_metric((name,), totals.tokens_out)
            in_flight.add_metric((name,), target.in_flight())
            asked.add_metric((name,), target.rate_per_s())
            _add(latency, name, totals.latency)
            _add(ttft, name, totals.ttft)
            _add(lag, name, totals.lag)
        yield from (requests, read, made, in_flight, asked, latency, ttft, lag)


def _histogram(what: str, text: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"holdfast_load_{what}_seconds", text, labels=("target",))


def _add(family: HistogramMetricFamily, target: str, spread: Spread) -> None:
    bounds = (*map(floatToGoString, BOUNDS_S), "+Inf")
    below, buckets = 0, []
    for bound, count in zip(bounds, spread.counts, strict=True):
        below += count
        buckets.append((bound, below))
    family.add_metric((target,), buckets, spread.sum_s)


@contextlib.contextmanager
def published(targets: Sequence[Published], host: str, port: int) -> Iterator[str]:
    """Serves the targets' tallies at the URL that it gives, until the end of the block; port 0 picks a free one.

    Raises InputError when it cannot listen there.
    """
    registry = CollectorRegistry()
    registry.register(_Run(targets))
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"metrics cannot be served at {host}:{port} ({getattr(error, 'strerror', None) or error})",
            where="--metrics-port",
            mend="give another port",
        ) from error
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
