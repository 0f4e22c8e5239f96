"""Where the rate of a fleet is read: Prometheus, Amazon's too, or CloudWatch where its scaler goes by that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from holdfast.control.operator.metrics import rates, reading
from holdfast.control.operator.metrics.rates import Queries
from holdfast.control.operator.seeing.seen import Reading
from holdfast.manifests.placement import Placement
from holdfast.telemetry import signed
from holdfast.telemetry.cloudwatch import CloudWatch
from holdfast.telemetry.prometheus import Prometheus

PROMETHEUS_S = 10.0
"""Between two readings: pods are scraped every 15 s."""

CLOUDWATCH_S = 30.0
"""It has a figure a minute, and is paid by the query."""


class Source(Protocol):
    """Metrics of one fleet. every_s: between two readings. Both raise UnreadError."""

    @property
    def every_s(self) -> float: ...

    async def reading(self, now_s: float) -> Reading: ...

    async def highest_per_s(self, now_s: float) -> float | None:
        """Highest rate of the last day; None where nobody knows."""
        ...


class Sources:
    """Finds the source of a fleet; fleets that ask the same server share its connections. An async context manager."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._servers: dict[str, Prometheus] = {}
        self._regions: dict[str, CloudWatch] = {}

    async def __aenter__(self) -> Sources:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def of(self, placed: Sequence[Placement]) -> Source:
        """Of the fleet with these pools, of which there is one at least. Raises InputError where it cannot be asked."""
        spec = placed[0].fleet.spec
        if rates.is_counted_by_cloudwatch(placed[0].fleet):
            return _LoadBalancer(await self._region(spec.region), rates.target_groups(placed))
        return _Servers(await self._server(spec.cluster.prometheus), rates.queries(placed))

    async def _region(self, name: str) -> CloudWatch:
        if name in self._regions:
            return self._regions[name]
        # Loading boto3 and finding credentials of AWS block.
        found = await asyncio.to_thread(CloudWatch.in_region, name)
        return self._regions.setdefault(name, found)

    async def _server(self, address: str) -> Prometheus:
        if address in self._servers:
            return self._servers[address]
        # Credentials of AWS may have to be fetched, which blocks.
        auth = await asyncio.to_thread(signed.of, address)
        if address not in self._servers:
            self._servers[address] = Prometheus(address, auth=auth)
            await self._open.enter_async_context(self._servers[address])
        return self._servers[address]


class _Servers:
    every_s = PROMETHEUS_S

    def __init__(self, server: Prometheus, asked: Queries) -> None:
        self._server, self._asked = server, asked

    async def reading(self, now_s: float) -> Reading:
        return await reading.of_prometheus(self._server, self._asked)

    async def highest_per_s(self, now_s: float) -> float | None:
        return await reading.highest_of_prometheus(self._server, self._asked)


class _LoadBalancer:
    every_s = CLOUDWATCH_S

    def __init__(self, source: CloudWatch, groups: Sequence[str]) -> None:
        self._source, self._groups = source, groups

    async def reading(self, now_s: float) -> Reading:
        return await reading.of_cloudwatch(self._source, self._groups, now_s)

    async def highest_per_s(self, now_s: float) -> float | None:
        return await reading.highest_of_cloudwatch(self._source, self._groups, now_s)
