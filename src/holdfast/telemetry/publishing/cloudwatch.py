"""Delivers intervals by CloudWatch's PutMetricData, through one boto3 client. Its calls block: a thread makes them."""

from __future__ import annotations

import logging
from typing import Any

from holdfast.model.errors import HoldfastError, InputError
from holdfast.telemetry.publishing.backlog import Backlog
from holdfast.telemetry.publishing.datums import Source, requests

_log = logging.getLogger(__name__)

_CONNECT_S, _READ_S, _ATTEMPTS = 3, 10, 2
"""Of one request, and how often botocore sends it; what fails is sent again later."""

_NEVER = frozenset(
    {
        "InvalidFormat",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingRequiredParameter",
        "MissingParameter",
        "RequestEntityTooLarge",
        "SerializationException",
        "ValidationError",
    }
)
"""Codes (API reference, PutMetricData and "Common Errors") of requests that are refused however often they are sent."""


class UndeliveredError(HoldfastError):
    """Metrics could not be delivered now; the text is a sentence."""


class CloudWatchMetrics:
    """A Delivery by PutMetricData."""

    def __init__(self, client: Any, source: Source) -> None:
        self._client = client
        self._source = source

    @classmethod
    def in_region(cls, region: str | None, source: Source) -> CloudWatchMetrics:
        """With the credentials that boto3 finds, and its region where none is given. Raises InputError."""
        try:
            import boto3
            import botocore.config
            import botocore.exceptions
        except ImportError as error:
            raise InputError(
                "metrics are published to CloudWatch with boto3, which is not installed",
                mend="pip install 'holdfast[aws]'",
            ) from error
        config = botocore.config.Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        try:
            return cls(boto3.client("cloudwatch", region_name=region, config=config), source)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise InputError(f"metrics cannot be published to CloudWatch: {error}") from error

    def deliver(self, backlog: Backlog) -> None:
        """All that is held, the oldest first. Raises UndeliveredError; what was delivered before is no longer held.

        A request that was taken and whose answer was lost counts twice: CloudWatch cannot be asked whether it has it.
        """
        import botocore.exceptions

        for intervals, data in requests(tuple(backlog), self._source):
            try:
                self._client.put_metric_data(Namespace=self._source.namespace, MetricData=data)
            except botocore.exceptions.ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code.removesuffix("Exception") not in _NEVER:
                    raise UndeliveredError(f"CloudWatch does not take metrics now: {error}.") from error
                _log.error("CloudWatch refuses metrics for good: %s", error)
                backlog.refused(intervals)
            except botocore.exceptions.BotoCoreError as error:
                raise UndeliveredError(f"CloudWatch cannot be told metrics now: {error}.") from error
            else:
                backlog.delivered(intervals)
