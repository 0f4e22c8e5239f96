"""Which answers CloudWatch is told of, and that a CloudWatch which hangs costs requests nothing."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator

import boto3
import botocore.config
import pytest

from holdfast.serving.hosted.cloudwatch import is_inference, tell
from holdfast.serving.hosted.metrics import HttpAnswer, Labels, Published
from holdfast.telemetry.publishing.cloudwatch import CloudWatchMetrics
from holdfast.telemetry.publishing.datums import Source
from holdfast.telemetry.publishing.publisher import LogLines, Publisher

SOURCE = Source(model="bert", unit="bert-g5", device="cuda", node_pool="gpu-spot")


def published() -> Published:
    return Published(Labels("bert-g5", "bert", "cuda", "gpu-spot"), has_tokens=False)


@pytest.mark.parametrize(
    ("route", "method", "counts"),
    [
        ("/v1/embeddings", "POST", True),
        ("/genimage", "POST", True),
        ("/load/{n_runs}/infer/{n_inf}", "GET", True),
        ("/health", "GET", False),
        ("/metrics", "GET", False),
        ("/serve", "POST", False),
        ("other", "POST", False),
    ],
)
def test_requests_for_inference_count_and_probes_do_not(route: str, method: str, counts: bool) -> None:
    assert is_inference(HttpAnswer(route, method, 200, 0.1)) is counts


def test_what_is_answered_is_published_and_nothing_was_lost() -> None:
    stream, server = io.StringIO(), published()
    publisher = Publisher(LogLines(stream, SOURCE), every_s=3600)
    tell(server, publisher)
    publisher.start()
    for status in (200, 200, 429):
        server.answered("/v1/embeddings", "POST", status, 0.1)
    server.answered("/health", "GET", 200, 0.1)
    assert publisher.close(10)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    counts = {document["Status"]: document["RequestCount"] for document in documents if "Status" in document}
    assert counts == {"Success": 2, "Refused": 1}
    page = server.exposition().decode()
    assert "holdfast_publishing_failures_total{" in page
    assert "holdfast_publishing_lost_intervals_total{" in page


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


def test_a_cloudwatch_that_hangs_costs_requests_nothing_and_the_end_does_not_wait_for_it(silent: socket.socket) -> None:
    client = boto3.client(
        "cloudwatch",
        region_name="us-west-2",
        endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(read_timeout=30, retries={"total_max_attempts": 1}),
    )
    server, publisher = published(), Publisher(CloudWatchMetrics(client, SOURCE), every_s=0.01)
    tell(server, publisher)
    publisher.start()
    hanging, _ = silent.accept()
    with hanging:
        longest_s, began_s = 0.0, time.thread_time()
        for _ in range(5000):
            at_s = time.thread_time()
            server.answered("/v1/embeddings", "POST", 200, 0.1)
            longest_s = max(longest_s, time.thread_time() - at_s)
        assert (time.thread_time() - began_s) / 5000 < 100e-6
        assert longest_s < 0.05
        closing_s = time.monotonic()
        assert not publisher.close(0.1)
        assert time.monotonic() - closing_s < 5
        silent.close()
    publisher._thread.join(10)
    assert publisher.failures == 2, "once while it ran, and once at its end"
