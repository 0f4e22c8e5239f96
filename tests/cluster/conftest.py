"""Where a scenario is played: on the tests' API server in virtual time, and on a real control plane where one is given.

`make test-cluster KUBECONFIG=...` plays them on that one alone (marker `cluster`). It is not taken from $KUBECONFIG of
whoever runs the tests: scenarios make and take nodes. Without one, there are no such tests to be skipped.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import scenes
from cluster.fleets import REAL, VIRTUAL, sd21
from cluster.operators import Processes
from cluster.prometheus import PrometheusStandIn
from cluster.scenes import Scene, Story
from cluster.world import World
from holdfast.control.operator.telling.listening import listening
from holdfast.kube.connection import Connection

CLUSTER = os.environ.get("HOLDFAST_TEST_KUBECONFIG", "")
REAL_LIMIT_S = 900.0

collect_ignore = [] if CLUSTER else ["test_fleet_resource_cluster.py", "test_rights_cluster.py"]
"""Tests that need a real API server and have no meaning on another."""

Play = Callable[[Story], None]


@functools.cache
def serving_already() -> Scene:
    return scenes.served(sd21(VIRTUAL, "inference"))


SERVERS = ["virtual", *([pytest.param("real", marks=pytest.mark.cluster)] if CLUSTER else [])]


@pytest.fixture(params=SERVERS)
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Plays a story in a world of its own, where in virtual time the fleet serves already."""
    return _play(request, tmp_path, serving_already)


@pytest.fixture(params=SERVERS)
def play_from_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """As `play`, in a cluster without a fleet."""
    return _play(request, tmp_path, scenes.empty)


def _play(request: pytest.FixtureRequest, folder: Path, begun: Callable[[], Scene]) -> Play:
    if request.param == "virtual":
        return lambda story: _discard(scenes.play(story, begun()))
    namespace = f"holdfast-{request.function.__name__.removeprefix('test_')[:24].replace('_', '-').strip('-')}"
    return lambda story: asyncio.run(_real(story, folder, namespace))


async def _real(story: Story, folder: Path, namespace: str) -> None:
    kubeconfig = Path(CLUSTER)
    async with Connection.from_environment(kubeconfig=kubeconfig) as connection, asyncio.timeout(REAL_LIMIT_S):
        operators = Processes(kubeconfig, namespace, folder)
        world = World(connection, time.time, REAL, operators, real=True, namespace=namespace)
        prometheus = PrometheusStandIn(world.metric, time.time)
        async with listening(prometheus.app, "127.0.0.1", 0) as address:
            world.prometheus = address
            try:
                await scenes.told(story, world)
            finally:
                await world.clear()


def _discard(_: Scene) -> None:
    return None
