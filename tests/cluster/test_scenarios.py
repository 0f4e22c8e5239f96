"""The life of a fleet in a cluster, as its users and its platform team would see it."""

from __future__ import annotations

from cluster.conftest import Play
from cluster.fleets import sd21
from cluster.world import World

SLOW_S = 600.0


def test_declared_pools_become_ready_and_serve(play: Play) -> None:
    async def story(world: World) -> None:
        await world.operators.start("a")
        await world.declare(sd21(world.pace, world.namespace))
        await world.until(lambda: len([n for n in world.witness.now.ready.values() if n]) == 5, SLOW_S, "all ready")
        await world.until_condition("Ready", "True", SLOW_S)

    play(story)
