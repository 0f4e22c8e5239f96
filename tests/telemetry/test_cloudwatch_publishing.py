"""Counts of requests on their way to CloudWatch, against moto: what arrives, throttling, gaps, bounds, and a hang."""

from __future__ import annotations

import datetime
import io
import json
import random
import statistics
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from holdfast.model.errors import InputError
from holdfast.telemetry.publishing import datums, embedded
from holdfast.telemetry.publishing.backlog import OLDEST_S, Backlog
from holdfast.telemetry.publishing.cloudwatch import CloudWatchMetrics, UndeliveredError
from holdfast.telemetry.publishing.datums import Source
from holdfast.telemetry.publishing.interval import ERROR, REFUSED, STATUSES, SUCCESS, Interval, bucket_of, status_of
from holdfast.telemetry.publishing.publisher import LogLines, Publisher

SOURCE = Source(model="bert", unit="bert-g5", device="cuda", node_pool="gpu-spot", app="bert-g5")
NAMED = {"Model": "bert", "Unit": "bert-g5", "Device": "cuda", "NodePool": "gpu-spot"}


class Clock:
    """Unix time that a test sets: from now on, since moto and CloudWatch know what is too old."""

    def __init__(self) -> None:
        self.now_s = float(int(time.time()) // 60 * 60 - 1800)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="us-west-2")


def delivery() -> CloudWatchMetrics:
    return CloudWatchMetrics.in_region("us-west-2", SOURCE)


def of(clock: Clock, to: Any, **settings: Any) -> Publisher:
    return Publisher(to, clock=clock, chance=random.Random(1), **settings)


def turn(publisher: Publisher, clock: Clock, seconds: float = 60.0) -> None:
    """That much later, as the thread does it."""
    clock.now_s += seconds
    publisher._turn(clock.now_s, last=False)


def told(aws: Any, metric: str, statistic: str, **dimensions: str) -> list[float]:
    """A statistic of each minute, in their order."""
    now = datetime.datetime.now(datetime.UTC)
    points = aws.get_metric_statistics(
        Namespace="hw-agnostic-infer",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - datetime.timedelta(hours=2),
        EndTime=now + datetime.timedelta(hours=2),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return [point[statistic] for point in sorted(points, key=lambda point: point["Timestamp"])]


def answering(client: Any, *codes: str) -> list[str]:
    """The next calls of the client are refused with these codes, and then moto answers; what it has called."""
    left, called = list(codes), list[str]()

    def answer(model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        called.append(model.name)
        if not left:
            return None
        said = {"Error": {"Code": left.pop(0), "Message": "as the test wants"}}
        return AWSResponse("", 400, {}, None), said

    client.meta.events.register_first("before-call.cloudwatch", answer)
    return called


def test_requests_arrive_as_counts_rates_and_latencies_with_all_dimensions(aws: Any) -> None:
    clock = Clock()
    publisher = of(clock, delivery())
    for code, latency_s in ((200, 0.1), (200, 0.2), (200, 0.3), (429, 0.001), (500, 2.0)):
        publisher.count(code, latency_s)
    turn(publisher, clock)
    for status, count in ((SUCCESS, 3), (REFUSED, 1), (ERROR, 1)):
        assert told(aws, "RequestCount", "Sum", **NAMED, Status=status) == [count]
    assert told(aws, "RPS", "Average", **NAMED) == [pytest.approx(5 / 60)]
    assert told(aws, "TotalLatency_ms", "Average", **NAMED, Status=SUCCESS) == [pytest.approx(200, rel=0.01)]
    assert told(aws, "TotalLatency_ms", "SampleCount", **NAMED, Status=SUCCESS) == [3]
    assert told(aws, "TotalLatency_ms", "Maximum", **NAMED, Status=ERROR) == [pytest.approx(2000, rel=0.01)]


def test_scalers_of_the_published_guides_go_on_finding_their_counters(aws: Any) -> None:
    clock = Clock()
    publisher = of(clock, delivery())
    publisher.count(200, 0.5)
    publisher.count(500, 9.0)
    turn(publisher, clock)
    assert told(aws, "bert-g5-counter", "Sum") == told(aws, "gpu-spot", "Sum") == [1]
    assert told(aws, "bert-g5-latency", "Average") == [pytest.approx(0.5, rel=0.01)]


def test_without_the_guides_name_their_counters_are_left_out() -> None:
    source = Source(model="m", unit="", device="cpu", node_pool="")
    data = datums.of(Interval(0, 60, {}), source)
    assert [datum["MetricName"] for datum in data] == ["RPS", "RequestCount"]
    assert {each["Name"] for each in data[1]["Dimensions"]} == {"Model", "Device", "Status"}


def test_a_minute_without_requests_is_told_as_0(aws: Any) -> None:
    clock = Clock()
    publisher = of(clock, delivery())
    turn(publisher, clock)
    publisher.count(200, 0.1)
    turn(publisher, clock)
    turn(publisher, clock)
    assert told(aws, "RequestCount", "Sum", **NAMED, Status=SUCCESS) == [0, 1, 0]


@pytest.mark.parametrize("code", ["Throttling", "ThrottlingException", "InternalServiceFault", "AccessDenied"])
def test_what_is_not_taken_now_is_told_later_with_the_minute_that_it_is_of(aws: Any, code: str) -> None:
    clock, to = Clock(), delivery()
    called = answering(to._client, *[code] * 2)
    publisher = of(clock, to)
    for minute in range(1, 6):
        for _ in range(minute):
            publisher.count(200, 0.1)
        turn(publisher, clock)
    assert publisher.failures >= 1
    assert told(aws, "RequestCount", "Sum", **NAMED, Status=SUCCESS) == [1, 2, 3, 4, 5]
    assert (publisher.held, publisher.lost) == (0, 0)
    assert len(called) < 7


def test_while_it_is_throttled_attempts_become_fewer(aws: Any) -> None:
    clock = Clock()
    attempts: list[float] = []

    class Throttled:
        def deliver(self, backlog: Backlog) -> None:
            attempts.append(clock.now_s)
            raise UndeliveredError("Not now.")

    publisher = of(clock, Throttled(), every_s=10.0)
    for _ in range(360):
        turn(publisher, clock, 10.0)
    gaps_s = [later - earlier for earlier, later in pairwise(attempts)]
    assert len(attempts) < 30
    assert max(gaps_s) <= 310
    assert statistics.mean(gaps_s[-5:]) > 5 * gaps_s[0]
    assert publisher.failures == len(attempts)


def test_data_that_can_never_be_taken_do_not_hold_up_the_rest(aws: Any) -> None:
    clock, to = Clock(), delivery()
    answering(to._client, "InvalidParameterValueException")
    publisher = of(clock, to)
    for _ in range(2):
        publisher.count(200, 0.1)
        turn(publisher, clock)
    assert (publisher.lost, publisher.failures) == (1, 0)
    assert told(aws, "RequestCount", "Sum", **NAMED, Status=SUCCESS) == [1]


def test_a_day_without_aws_takes_bounded_memory_and_loses_no_request(aws: Any) -> None:
    clock, backlog = Clock(), Backlog(16)
    begin_s, total = clock.now_s, 0
    for minute in range(1440):
        total += minute % 7
        latencies = {SUCCESS: {bucket_of(0.1 + minute / 1000): minute % 7}}
        backlog.add(Interval(begin_s + 60 * minute, begin_s + 60 * minute + 60, latencies))
        assert len(backlog) <= 16
    held = list(backlog)
    assert sum(interval.requests(SUCCESS) for interval in held) == total
    assert all(first.end_s == second.begin_s for first, second in pairwise(held))
    assert backlog.joined > 0 and backlog.dropped == 0


def test_what_cloudwatch_would_not_take_for_its_age_is_dropped_and_counted() -> None:
    backlog = Backlog(4)
    backlog.add(Interval(0, 60, {}))
    backlog.add(Interval(OLDEST_S, OLDEST_S + 60, {}))
    backlog.drop_old(OLDEST_S + 61)
    assert (len(backlog), backlog.dropped) == (1, 1)


@given(st.lists(st.dictionaries(st.sampled_from(STATUSES), st.integers(0, 900)), min_size=1, max_size=12))
def test_no_request_is_larger_than_cloudwatch_takes_and_nothing_is_in_two(counts: list[dict[str, int]]) -> None:
    intervals = [
        Interval(60 * n, 60 * n + 60, {status: dict.fromkeys(range(many), 1) for status, many in each.items()})
        for n, each in enumerate(counts)
    ]
    found = list(datums.requests(intervals, SOURCE))
    assert [interval for some, _ in found for interval in some] == intervals
    for _, data in found:
        assert len(data) <= 1000
        assert sum(map(datums.size_of, data)) <= 1_000_000
        assert all(len(datum.get("Values", ())) <= 150 for datum in data)
    sums = [sum(d["Counts"]) for _, data in found for d in data if d["MetricName"] == "TotalLatency_ms"]
    assert sum(sums) == sum(sum(each.values()) for each in counts)


def test_a_request_is_no_larger_than_was_reckoned(aws: Any) -> None:
    """As JSON, and as the form that older clients send."""
    import urllib.parse

    interval = Interval(1.8e9, 1.8e9 + 60, {SUCCESS: dict.fromkeys(range(1200, 1700), 1_000_000)})
    data = datums.of(interval, SOURCE)
    form = []
    for n, datum in enumerate(data, 901):
        place = f"MetricData.member.{n}"
        form += [(f"{place}.MetricName", datum["MetricName"]), (f"{place}.Unit", datum["Unit"])]
        form += [(f"{place}.Timestamp", "2026-11-21T00:00:00Z"), (f"{place}.Value", str(datum.get("Value", 0)))]
        for m, each in enumerate(datum.get("Dimensions", ()), 1):
            form += [(f"{place}.Dimensions.member.{m}.{key}", text) for key, text in each.items()]
        for name in ("Values", "Counts"):
            form += [(f"{place}.{name}.member.{m}", str(each)) for m, each in enumerate(datum.get(name, ()), 1)]
    reckoned = sum(map(datums.size_of, data))
    assert reckoned / 4 < len(urllib.parse.urlencode(form)) <= reckoned
    assert len(json.dumps(data, default=str)) <= reckoned


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=50))
def test_a_latency_is_told_within_a_hundredth(latencies_s: list[float]) -> None:
    buckets: dict[int, int] = {}
    for latency_s in latencies_s:
        buckets[bucket_of(latency_s)] = buckets.get(bucket_of(latency_s), 0) + 1
    told_ms = [
        latency_ms for latency_ms, n in Interval(0, 1, {SUCCESS: buckets}).latencies_ms(SUCCESS) for _ in range(n)
    ]
    assert told_ms == pytest.approx([1000 * latency_s for latency_s in sorted(latencies_s)], rel=0.0101)


@pytest.mark.parametrize(
    ("http_status", "status"),
    [(200, SUCCESS), (304, SUCCESS), (400, ERROR), (404, ERROR), (429, REFUSED), (500, ERROR), (503, REFUSED)],
)
def test_what_became_of_a_request_is_one_of_three(http_status: int, status: str) -> None:
    assert status_of(http_status) == status


def test_log_lines_are_documents_of_the_embedded_format() -> None:
    stream, clock = io.StringIO(), Clock()
    publisher = of(clock, LogLines(stream, SOURCE))
    begin_s = clock.now_s
    for number in range(1, 1001):
        publisher.count(200, number / 1000)
    turn(publisher, clock)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    for document in documents:
        assert document["_aws"]["Timestamp"] == 1000 * begin_s
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "hw-agnostic-infer"
        assert all(dimension in document for dimension in directive["Dimensions"][0])
        assert all(metric["Name"] in document for metric in directive["Metrics"])
        assert len(directive["Dimensions"][0]) <= 30
    (served,) = [document for document in documents if document.get("Status") == SUCCESS]
    assert served["RequestCount"] == 1000
    latencies_ms = served["TotalLatency_ms"]
    assert len(latencies_ms) == embedded.MOST_VALUES
    assert statistics.quantiles(latencies_ms, n=20)[-1] == pytest.approx(950, rel=0.02)


def test_a_stream_that_is_closed_stops_nobody() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    clock = Clock()
    publisher = of(clock, LogLines(Full(), SOURCE))
    turn(publisher, clock)
    assert (publisher.failures, publisher.held) == (1, 1)


def test_what_was_counted_last_is_delivered_at_the_end(aws: Any) -> None:
    publisher = Publisher(delivery(), every_s=3600)
    publisher.start()
    for _ in range(7):
        publisher.count(200, 0.1)
    assert publisher.close(20)
    assert sum(told(aws, "RequestCount", "Sum", **NAMED, Status=SUCCESS)) == 7


def test_many_threads_count_and_nothing_is_lost() -> None:
    stream = io.StringIO()
    publisher = Publisher(LogLines(stream, SOURCE), every_s=0.01)
    publisher.start()

    def count() -> None:
        for _ in range(2000):
            publisher.count(200, 0.1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.close(10)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum(document["RequestCount"] for document in documents if "RequestCount" in document) == 8000


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    publisher = of(clock, LogLines(stream, SOURCE))
    publisher.count(200, 0.1)
    turn(publisher, clock, -30)
    publisher.count(200, 0.1)
    turn(publisher, clock, 90)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [document["RequestCount"] for document in documents if "RequestCount" in document] == [2]


@pytest.mark.parametrize("namespace", ["", "AWS/EC2", "a b", "n" * 256, "naïve"])
def test_a_namespace_that_cloudwatch_would_refuse_is_refused_at_the_start(namespace: str) -> None:
    with pytest.raises(InputError, match="namespace"):
        Source(model="m", unit="u", device="cpu", node_pool="n", namespace=namespace)


def test_a_name_of_the_guides_that_cloudwatch_would_refuse_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="name of a metric"):
        Source(model="m", unit="u", device="cpu", node_pool="n", app="my app")


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan"), 1e9])
def test_an_interval_of_no_use_is_refused(every_s: float) -> None:
    with pytest.raises(InputError, match="every"):
        Publisher(LogLines(io.StringIO(), SOURCE), every_s=every_s)


def test_names_that_are_not_ascii_are_told_with_question_marks() -> None:
    source = Source(model="modèle", unit="u", device="cpu", node_pool="n" * 2000)
    assert source.dimensions()["Model"] == "mod?le"
    assert len(source.dimensions()["NodePool"]) == 1024
