"""What CloudWatch counts of target groups, against moto: which count, gaps, pages, refusals; and the Reading of it."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterable, Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from holdfast.control.operator.metrics import reading
from holdfast.telemetry.cloudwatch import CloudWatch
from holdfast.telemetry.errors import NoFigureError, UnreadError

NOON_S = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC).timestamp()
NOW_S = NOON_S + 130
GROUPS = ("targetgroup/k8s-ml-sdinf2", "targetgroup/k8s-ml-sdg5")
ONE, OTHER = "targetgroup/k8s-ml-sdinf2-0a1b2c3d4e/5f", "targetgroup/k8s-ml-sdg5-1a1b2c3d4e/6f"


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudWatch]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield CloudWatch.in_region("us-west-2")


def put(metric: str, group: str, at_s: float, *values: float, zone: str = "") -> None:
    put_all(datum(metric, group, at_s, value, zone) for value in values)


def put_all(data: Iterable[dict[str, Any]]) -> None:
    client = boto3.client("cloudwatch", region_name="us-west-2")
    client.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=list(data))


def datum(metric: str, group: str, at_s: float, value: float, zone: str = "") -> dict[str, Any]:
    dimensions = [{"Name": "TargetGroup", "Value": group}, {"Name": "LoadBalancer", "Value": "app/k8s-ml/77"}]
    dimensions += [{"Name": "AvailabilityZone", "Value": zone}] if zone else []
    moment = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    return {"MetricName": metric, "Dimensions": dimensions, "Timestamp": moment, "Value": value}


def counted(source: CloudWatch) -> dict[float, float]:
    return asyncio.run(source.minutes("RequestCount", "Sum", GROUPS, NOON_S - 300, NOON_S + 60))


def test_the_target_groups_of_the_fleet_are_added_up_minute_by_minute(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S, 60)
    put("RequestCount", OTHER, NOON_S, 30)
    put("RequestCount", OTHER, NOON_S - 120, 12)
    put("RequestCount", OTHER, NOON_S + 60, 9)  # the minute that is left out
    assert counted(source) == {NOON_S - 120: 12, NOON_S: 90}


def test_other_target_groups_and_counts_by_zone_are_left_out(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S, 60)
    put("RequestCount", ONE, NOON_S, 25, zone="us-west-2a")
    put("RequestCount", "targetgroup/k8s-ml-sdinf2other-0a/5f", NOON_S, 500)
    put("RequestCount", "targetgroup/k8s-another-sdinf2-0a/5f", NOON_S, 500)
    assert counted(source) == {NOON_S: 60}


def test_without_anything_counted_there_is_nothing(source: CloudWatch) -> None:
    assert counted(source) == {}


def test_more_target_groups_than_a_page_holds_are_all_counted(source: CloudWatch) -> None:
    put_all(datum("RequestCount", f"targetgroup/k8s-ml-sdg5-{number}/0", NOON_S, 2) for number in range(510))
    assert counted(source) == {NOON_S: 1020}


def refusing(source: CloudWatch, times: int) -> list[str]:
    """The next requests are refused so often; afterwards moto answers."""
    refused: list[str] = []

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        if len(refused) >= times:
            return None
        refused.append(request.url)
        return AWSResponse(request.url, 503, {}, _Raw())

    source._client.meta.events.register_first("before-send.cloudwatch", answer)
    return refused


class _Raw:
    """An empty body, as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        return iter(())


def test_a_refused_request_is_sent_again_after_a_while(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S, 60)
    refused = refusing(source, 1)
    assert counted(source) == {NOON_S: 60}
    assert len(refused) == 1


def test_what_stays_refused_is_one_sentence(source: CloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    refused = refusing(source, 99)
    with pytest.raises(UnreadError, match="CloudWatch does not say RequestCount: ") as raised:
        counted(source)
    assert "\n" not in str(raised.value)
    assert len(refused) == 4


def test_credentials_that_are_not_there_are_one_sentence() -> None:
    with pytest.raises(UnreadError, match="Unable to locate credentials"):
        counted(CloudWatch.in_region("us-west-2"))


def told(source: CloudWatch, now_s: float = NOW_S) -> tuple[float | None, float, float | None]:
    found = asyncio.run(reading.of_cloudwatch(source, GROUPS, now_s))
    return found.rate_per_s, found.age_s, found.latency_s


def test_the_rate_is_that_of_the_last_whole_minute_which_cloudwatch_shows(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S - 60, 600)
    put("RequestCount", ONE, NOON_S, 60)
    put("RequestCount", OTHER, NOON_S, 30)
    put("RequestCount", OTHER, NOON_S + 60, 9)  # not over yet for a minute
    put("TargetResponseTime", ONE, NOON_S, 1.0, 2.0)
    put("TargetResponseTime", OTHER, NOON_S, 4.5)
    assert told(source) == (1.5, 10.0, 2.5)


def test_a_minute_that_is_missing_makes_the_rate_older(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S - 60, 60)
    assert told(source) == (1.0, 70.0, None)


def test_a_minute_without_requests_is_0_where_targets_were_counted(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S - 60, 60)
    put("HealthyHostCount", ONE, NOON_S, 2)
    assert told(source) == (0.0, 10.0, None)


def test_where_nothing_was_told_for_minutes_nobody_knows(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S - 600, 60)
    with pytest.raises(NoFigureError, match="no RequestCount of targetgroup/k8s-ml-sdinf2"):
        told(source)


def test_the_highest_rate_is_that_of_the_busiest_minute_of_the_day(source: CloudWatch) -> None:
    put("RequestCount", ONE, NOON_S - 3600, 300)
    put("RequestCount", OTHER, NOON_S - 3600, 300)
    put("RequestCount", ONE, NOON_S, 60)
    put("RequestCount", ONE, NOON_S - 90_000, 6000)
    assert asyncio.run(reading.highest_of_cloudwatch(source, GROUPS, NOW_S)) == 10.0
    assert asyncio.run(reading.highest_of_cloudwatch(source, ("targetgroup/none",), NOW_S)) is None
