"""The life of a fleet in a cluster, as its users and its platform team would see it."""

from __future__ import annotations

import itertools

from cluster.conftest import Play
from cluster.fleets import changed, sd21
from cluster.view import labels, name
from cluster.witness import ACTION, Moment
from cluster.world import SLOW_S, SOON_S, World
from holdfast.kube import kinds

INF2 = "inf2-neuronx"
TAKEOVER_S = 12.0
"""A lease of 6 s, a look, and what a process of a busy machine needs to notice."""


def test_declared_pools_become_ready_and_serve(play_from_nothing: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        await world.rest(3.0)
        status = (await world.fleet())["status"]
        assert (status["poolsReady"], status["mode"]) == ("5/5", "cost-optimized")

    play_from_nothing(story)


def test_weights_leave_withdrawn_capacity_others_scale_and_it_comes_back_by_steps(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        before = world.witness.now
        others = sum(count for unit, count in before.ready.items() if unit != INF2)
        await world.karpenter.withdraw(world.pool(INF2))
        await world.until(lambda: world.witness.weight(INF2) == 0, world.pace.reaction_s, "weight has left it")
        await world.until_condition("FailedOver", "True", SOON_S)
        world.offered_per_s = 30.0
        await world.until(
            lambda: sum(world.witness.now.ready.values()) > others, SLOW_S, "the others have spilled over"
        )
        world.offered_per_s = 12.0
        restored_s = world.clock()
        world.karpenter.restore(world.pool(INF2))
        weight = (before.weights or {})[INF2]
        await world.until(lambda: world.witness.weight(INF2) >= weight - 5, SLOW_S, "it has its weight again")
        await world.until_condition("FailedOver", "False", SLOW_S)
        ramp = [moment for moment in world.witness.shifts(restored_s) if (moment.weights or {}).get(INF2)]
        climbs(ramp, world)

    play(story)


def climbs(ramp: list[Moment], world: World) -> None:
    """A failback only goes up, by no more than its step, and no step comes early."""
    for earlier, later in itertools.pairwise(ramp):
        assert earlier.weights is not None
        assert later.weights is not None
        assert later.weights[INF2] >= earlier.weights[INF2]
        gained = [later.weights[unit] - earlier.weights[unit] for unit in later.weights]
        assert sum(gain for gain in gained if gain > 0) <= 25
        assert later.at_s - earlier.at_s >= world.pace.ramp_s - 1.0


def test_a_spot_interruption_moves_traffic_before_the_nodes_go(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        count = world.witness.now.ready[INF2]
        await world.karpenter.interrupt(world.pool(INF2), count)
        await world.until(lambda: world.witness.weight(INF2) == 0, SOON_S, "weight has left it")
        world.karpenter.restore(world.pool(INF2))

    play(story)


def test_another_leads_on_when_the_leader_dies_in_a_shift(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        await world.operators.start("b")
        await world.until_stands_by("b")
        world.tolerated_s = TAKEOVER_S
        await world.karpenter.withdraw(world.pool(INF2))
        await world.operators.kill("a")
        await world.until(lambda: world.witness.weight(INF2) == 0, TAKEOVER_S, "another has shifted")
        await world.operators.stop("b")

    play(story)


def test_a_leader_that_ends_gives_its_lease_back(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        await world.operators.start("b")
        await world.until_stands_by("b")
        await world.operators.stop("a")
        await world.karpenter.withdraw(world.pool(INF2))
        world.tolerated_s = 4.0
        await world.until(lambda: world.witness.weight(INF2) == 0, 4.0, "another has shifted")

    play(story)


def test_a_deposed_leader_writes_nothing(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        await world.operators.start("b")
        await world.until_stands_by("b")
        world.tolerated_s = TAKEOVER_S
        await world.operators.pause("a")
        await world.karpenter.withdraw(world.pool(INF2))
        await world.until(lambda: world.witness.weight(INF2) == 0, TAKEOVER_S, "another has shifted")
        route = await world.connection.get(kinds.INGRESS, "sd21", world.namespace)
        await world.operators.resume("a")
        await world.rest(5.0)
        after = await world.connection.get(kinds.INGRESS, "sd21", world.namespace)
        assert (
            after["metadata"]["annotations"]["holdfast.dev/routing"]
            == (route["metadata"]["annotations"]["holdfast.dev/routing"])
        )

    play(story)


def test_a_fleet_that_is_deleted_goes_with_all_that_is_its_own_and_comes_back(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        await world.connection.delete(kinds.FLEET, "sd21", world.namespace)
        await world.until_gone(
            kinds.DEPLOYMENT, kinds.SERVICE, kinds.INGRESS, kinds.SCALED_OBJECT, kinds.DISRUPTION_BUDGET, kinds.POD
        )
        await world.declare(sd21(world.pace, world.namespace))
        await world.settled(5)

    play(story)


def test_a_unit_is_added_and_demand_raised_without_a_moment_of_loss(play_from_nothing: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace, units=3))
        world.offered_per_s = 18.0
        await world.declare(sd21(world.pace, world.namespace, units=5, rate="18/s", peak="26/s"))
        await world.settled(5)
        assert set(world.witness.now.weights or {}) == set(world.witness.now.ready)

    play_from_nothing(story)


def test_a_spec_that_cannot_be_planned_leaves_what_runs(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        before = world.witness.now
        fleet = sd21(world.pace, world.namespace)
        await world.declare(changed(fleet, demand={"rate": "900/s", "peak": "2000/s"}), platform=False)
        await world.until_reason("PlanInfeasible", SOON_S)
        await world.rest(20.0)
        assert world.witness.now.ready == before.ready
        assert world.witness.now.weights == before.weights
        await world.declare(fleet)
        await world.until_condition("Ready", "True", SOON_S)

    play(story)


def test_what_somebody_changes_or_deletes_is_put_back_and_what_he_adds_stays(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        weights = world.witness.now.weights
        assert weights is not None
        theirs = {"annotations": {"team.example.com/owner": "vision"}, "labels": {"team.example.com/cost": "42"}}
        await world.connection.merge(kinds.INGRESS, "sd21", world.namespace, {"metadata": theirs})
        route = await world.connection.get(kinds.INGRESS, "sd21", world.namespace)
        skewed = route["metadata"]["annotations"][ACTION].replace(f'"weight": {weights[INF2]}', '"weight": 90')
        patch = {"metadata": {"annotations": {ACTION: skewed}}}
        world.witness.forgive()
        await world.connection.merge(kinds.INGRESS, "sd21", world.namespace, patch)
        await world.until(lambda: meddled(world), SOON_S, "somebody has changed a weight")
        await world.until(lambda: world.witness.now.weights == weights, SOON_S, "the weights are put back")
        world.witness.forgive()
        service = await world.connection.get(kinds.SERVICE, f"sd21-{INF2}", world.namespace)
        await world.connection.delete(kinds.SERVICE, name(service), world.namespace)
        await world.until_there(kinds.SERVICE, name(service), not_uid=service["metadata"]["uid"])
        route = await world.connection.get(kinds.INGRESS, "sd21", world.namespace)
        assert route["metadata"]["annotations"]["team.example.com/owner"] == "vision"
        assert labels(route)["team.example.com/cost"] == "42"

    play(story)


def meddled(world: World) -> bool:
    return any((moment.weights or {}).get(INF2) == 90 for moment in world.witness.moments)


def test_without_the_api_server_weights_are_held_and_what_was_missed_is_made_good(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        weights = world.witness.now.weights
        await world.operators.cut("a")
        await world.rest(20.0)
        assert world.witness.now.weights == weights
        await world.operators.mend("a")
        world.tolerated_s = TAKEOVER_S + 10.0
        await world.karpenter.withdraw(world.pool(INF2))
        await world.until(lambda: world.witness.weight(INF2) == 0, TAKEOVER_S + 10.0, "weight has left it")

    play(story)


def test_without_a_rate_weights_are_held_and_it_says_so(play: Play) -> None:
    async def story(world: World) -> None:
        await world.serving(sd21(world.pace, world.namespace))
        weights = world.witness.now.weights
        world.offered_per_s = None
        stale = await world.until_condition("Stale", "True", 150.0)
        assert stale["reason"] == "RateUnknown"
        assert world.witness.now.weights == weights

    play(story)
