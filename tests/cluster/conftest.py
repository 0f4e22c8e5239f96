"""Where a scenario is played: on the tests' API server in virtual time, and on a real control plane where one is given.

`make test-cluster KUBECONFIG=...` plays them on that one alone (marker `cluster`). It is not taken from $KUBECONFIG of
whoever runs the tests: scenarios make and take nodes. Without one, there are no such tests to be skipped.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import virtual_time
from cluster import crds
from cluster.fleets import REAL, VIRTUAL
from cluster.operators import InProcess, Processes
from cluster.prometheus import PrometheusStandIn
from cluster.world import World
from holdfast.control.operator.listening import listening
from holdfast.kube.connection import Connection
from kube_api.api import Api
from kube_api.serving import Serving
from kube_api.transport import InProcess as Transport

CLUSTER = os.environ.get("HOLDFAST_TEST_KUBECONFIG", "")

Story = Callable[[World], Awaitable[None]]
Play = Callable[[Story], None]

VIRTUAL_LIMIT_S = 7200.0
REAL_LIMIT_S = 600.0


@pytest.fixture(params=["virtual", *([pytest.param("real", marks=pytest.mark.cluster)] if CLUSTER else [])])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Plays a story in a world of its own, and asserts that the fleet was all the time as it must be."""
    if request.param == "virtual":
        return lambda story: virtual_time.run(_virtual(story), limit_s=VIRTUAL_LIMIT_S)
    namespace = f"holdfast-{request.function.__name__.removeprefix('test_')[:40].replace('_', '-').strip('-')}"
    return lambda story: asyncio.run(_real(story, tmp_path, namespace))


async def _virtual(story: Story) -> None:
    clock = asyncio.get_running_loop().time
    serving = Serving(Api(crds.definitions(), now_s=clock()), clock)
    async with Connection("http://api.test", transport=Transport(serving)) as connection:
        operators = InProcess(lambda: Transport(serving), lambda: world.offered_per_s, clock)
        world = World(connection, clock, VIRTUAL, operators)
        await _told(story, world)


async def _real(story: Story, folder: Path, namespace: str) -> None:
    kubeconfig = Path(CLUSTER)
    async with Connection.from_environment(kubeconfig=kubeconfig) as connection, asyncio.timeout(REAL_LIMIT_S):
        operators = Processes(kubeconfig, namespace, folder)
        world = World(connection, time.time, REAL, operators, real=True, namespace=namespace)
        prometheus = PrometheusStandIn(world.metric, time.time)
        async with listening(prometheus.app, "127.0.0.1", 0) as address:
            world.prometheus = address
            try:
                await _told(story, world)
            finally:
                await world.clear()


async def _told(story: Story, world: World) -> None:
    async with world.running():
        try:
            await story(world)
        finally:
            await world.operators.close()
        assert world.witness.wrong(world.tolerated_s) == []
