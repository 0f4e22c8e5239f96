"""Worlds in virtual time. Each goes on from where a fleet serves: what leads there is played once for all of them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import virtual_time
from cluster import crds
from cluster.fleets import VIRTUAL, Pace
from cluster.operators import InProcess
from cluster.world import World
from holdfast.kube.connection import Connection
from holdfast.kube.kinds import Object
from kube_api import faults
from kube_api.api import Api
from kube_api.faults import Faults
from kube_api.serving import Serving
from kube_api.transport import InProcess as Transport

Story = Callable[[World], Awaitable[None]]

LIMIT_S = 7200.0


@dataclass(frozen=True)
class Scene:
    """A cluster at a moment, which nobody changes: it is forked."""

    api: Api
    at_s: float


@functools.cache
def empty() -> Scene:
    """With the definitions of all kinds, and nothing else."""
    return Scene(Api(crds.definitions(), now_s=virtual_time.START_S), virtual_time.START_S)


def play(
    story: Story,
    scene: Scene | None = None,
    *,
    faults: Faults = faults.none,
    pace: Pace = VIRTUAL,
    renew_s: float = 1.0,
    read_s: float = 10.0,
) -> Scene:
    """Plays a story from a scene on, and gives how it ends; the fleet was all the time as it must be.

    faults: of the operators' requests, not of those of others. renew_s, read_s: of operators.InProcess. Raises what
    the story, a stand-in or an operator raises.
    """
    begun = scene or empty()

    async def played() -> Scene:
        clock = asyncio.get_running_loop().time
        api = begun.api.fork()
        serving, faulty = Serving(api, clock), Serving(api, clock, faults=faults)
        async with Connection("http://api.test", transport=Transport(serving)) as connection:
            operators = InProcess(lambda: Transport(faulty), clock, renew_s, read_s)
            world = World(connection, clock, pace, operators)
            operators.offered = lambda: world.offered_per_s
            await told(story, world)
        return Scene(api, clock())

    return virtual_time.run(played(), start_s=begun.at_s, limit_s=LIMIT_S)


async def told(story: Story, world: World) -> None:
    """A story in its world, and the judgement of the witness."""
    async with world.running():
        try:
            await story(world)
        finally:
            await world.operators.close()
        assert world.witness.wrong(world.tolerated_s) == []


def served(fleet: Object, *, pace: Pace = VIRTUAL, offered_per_s: float = 12.0) -> Scene:
    """A scene in which the fleet serves on all its pools and its weights have come to rest; nobody leads."""

    async def story(world: World) -> None:
        world.offered_per_s = offered_per_s
        await world.operators.start("first")
        await world.declare(fleet)
        await world.settled(len(fleet["spec"]["units"]))
        await world.operators.stop("first")

    return play(story, pace=pace)
