"""A run's tallies scraped as Prometheus scrapes them."""

from __future__ import annotations

import math
import socket
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client import parser

from holdfast.load.exporter import Published, published
from holdfast.load.tally import Tally
from holdfast.model.errors import InputError
from holdfast.model.records import Outcome
from load.test_tally import batch, record

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found: Samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"holdfast_load_{name}", frozenset(labels.items())]


@pytest.fixture
def tally() -> Tally:
    return Tally("A")


@pytest.fixture
def url(tally: Tally) -> Iterator[str]:
    targets = [Published(tally, lambda: 3, lambda: 12.5), Published(Tally("B"), lambda: 0, lambda: 1.0)]
    with published(targets, "127.0.0.1", 0) as url:
        yield url


def test_a_scrape_has_what_the_records_have(tally: Tally, url: str) -> None:
    latencies_s = np.random.default_rng(1).gamma(2.0, 0.3, size=500)
    records = [record(10.0 + n / 100, float(latency_s), chunks=5) for n, latency_s in enumerate(latencies_s)]
    tally.take(batch(*records, record(16.0, 9.0, Outcome.TIMEOUT)), 16.0)
    samples = scraped(url)
    assert value(samples, "requests_total", target="A", outcome="ok") == 500
    assert value(samples, "requests_total", target="A", outcome="timeout") == 1
    assert value(samples, "latency_seconds_count", target="A") == 500
    assert value(samples, "latency_seconds_sum", target="A") == pytest.approx(latencies_s.sum())
    assert value(samples, "latency_seconds_bucket", target="A", le="0.5") == (latencies_s <= 0.5).sum()
    assert value(samples, "latency_seconds_bucket", target="A", le="+Inf") == 500
    assert value(samples, "ttft_seconds_sum", target="A") == pytest.approx(latencies_s.sum() / 2)
    assert value(samples, "send_lag_seconds_count", target="A") == 501
    assert value(samples, "in_flight", target="A") == 3
    assert value(samples, "offered_per_second", target="A") == 12.5
    assert value(samples, "output_tokens_total", target="A") == 2500
    assert value(samples, "prompt_tokens_total", target="A") == 3500


def test_every_target_and_outcome_is_there_from_the_beginning(url: str) -> None:
    samples = scraped(url)
    for target in ("A", "B"):
        for outcome in Outcome:
            assert value(samples, "requests_total", target=target, outcome=outcome.name.lower()) == 0
        assert value(samples, "latency_seconds_sum", target=target) == 0
    assert not any(math.isnan(number) for number in samples.values())


def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=r"--metrics-port: metrics cannot be served at 127.0.0.1:\d+ \(Address"),
            published([], "127.0.0.1", port),
        ):
            pass


def test_after_the_block_the_port_is_free_again(tally: Tally) -> None:
    with published([], "127.0.0.1", 0) as url:
        port = int(url.split(":")[2].split("/")[0])
    with published([], "127.0.0.1", port):
        pass
