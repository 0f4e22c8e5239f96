"""What CloudWatch counts of target groups, minute by minute.

An Application Load Balancer reports once a minute, and only what is there: a minute without a request has no count. A
target group's dimension ends in an id that AWS makes up, so target groups are listed and told by how they begin. A new
one may be missing from the list for a quarter of an hour (CloudWatch API reference, ListMetrics).
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.model.errors import InputError
from holdfast.telemetry.errors import UnreadError

MINUTE_S = 60

_NAMESPACE = "AWS/ApplicationELB"
_BALANCER, _GROUP = "LoadBalancer", "TargetGroup"
_MOST_QUERIES = 500
"""In one GetMetricData (its API reference)."""

_CONNECT_S, _READ_S, _ATTEMPTS = 3, 10, 4
"""Of one request, and how often it is sent: in botocore's standard mode throttled ones wait up to 20 s between."""


class CloudWatch:
    """Asks through one boto3 client of the service, whose calls block: they run in threads."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def in_region(cls, region: str) -> CloudWatch:
        """With the credentials that boto3 finds. Raises InputError where boto3 is not installed, or refuses these."""
        try:
            import boto3
            import botocore.config
            import botocore.exceptions
        except ImportError as error:
            raise InputError(
                "CloudWatch is asked with boto3, which is not installed", mend="pip install 'holdfast[aws]'"
            ) from error
        config = botocore.config.Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        try:
            return cls(boto3.client("cloudwatch", region_name=region, config=config))
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise InputError(f"CloudWatch cannot be asked in {region}: {error}") from error

    async def minutes(
        self, metric: str, statistic: str, groups: Sequence[str], since_s: float, until_s: float
    ) -> dict[float, float]:
        """A metric of target groups, added up over them, by the Unix time at which each minute began.

        statistic: `Sum`, `SampleCount`, ... of each minute. groups: how the target groups begin, up to a `-` or `/`,
        e.g. `targetgroup/k8s-inferenc-sd21g5tr`. since_s, until_s: whole minutes; the last one is left out. Minutes of
        which nothing was reported are missing. Raises UnreadError.
        """
        import botocore.exceptions

        try:
            return await asyncio.to_thread(self._minutes, metric, statistic, groups, since_s, until_s)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise UnreadError(f"CloudWatch does not say {metric}: {error}.") from error

    def _minutes(
        self, metric: str, statistic: str, groups: Sequence[str], since_s: float, until_s: float
    ) -> dict[float, float]:
        found: dict[float, float] = {}
        listed = [each for each in self._listed(metric) if any(_begins(each[_GROUP], group) for group in groups)]
        for first in range(0, len(listed), _MOST_QUERIES):
            queries = [
                _query(number, metric, statistic, each)
                for number, each in enumerate(listed[first : first + _MOST_QUERIES])
            ]
            for at_s, value in self._data(metric, queries, since_s, until_s):
                found[at_s] = found.get(at_s, 0.0) + value
        return found

    def _listed(self, metric: str) -> list[dict[str, str]]:
        """Load balancers and target groups that have the metric. It is there by zone as well, which counts again."""
        pages = self._client.get_paginator("list_metrics").paginate(
            Namespace=_NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": name} for name in (_BALANCER, _GROUP)],
        )
        found = [each["Dimensions"] for page in pages for each in page["Metrics"] if len(each["Dimensions"]) == 2]
        named = [{dimension["Name"]: dimension["Value"] for dimension in dimensions} for dimensions in found]
        # By their names: what is listed twice, as across two pages, must not count twice.
        return list({(each[_BALANCER], each[_GROUP]): each for each in named}.values())

    def _data(
        self, metric: str, queries: Sequence[dict[str, Any]], since_s: float, until_s: float
    ) -> Iterator[tuple[float, float]]:
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=_moment(since_s), EndTime=_moment(until_s)
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                if result["StatusCode"] in ("InternalError", "Forbidden"):
                    raise UnreadError(f"CloudWatch does not say {metric}: {result['StatusCode']}.")
                for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                    if since_s <= moment.timestamp() < until_s:
                        yield moment.timestamp(), value


def _begins(group: str, begin: str) -> bool:
    return group.startswith((f"{begin}-", f"{begin}/"))


def _query(number: int, metric: str, statistic: str, of: dict[str, str]) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in of.items()]
    named = {"Namespace": _NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": f"m{number}", "MetricStat": {"Metric": named, "Period": MINUTE_S, "Stat": statistic}}


def _moment(at_s: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)
