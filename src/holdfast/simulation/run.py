"""One run: a fleet, a scenario, a policy and a seed to an outcome.

Time goes from event to event; between two of them the compiled kernel carries every request. Events are those of the
scenario, the lives of replicas, looks of the controller, scrapes of its metrics, and reads of the recorder: every 10 s,
and every second for some minutes after capacity went, so that recovery is measured to the second.

Seeds: one for arrivals, one for what the traffic draws, one for the cluster; each from the seed of the run, so that a
policy does not change the load, and nothing depends on what else is running.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from holdfast.control.policies import Policy
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan
from holdfast.simulation import fleet, loads, settled, shell
from holdfast.simulation.autoscaler import Autoscaler
from holdfast.simulation.clock import Clock
from holdfast.simulation.cluster import Cluster
from holdfast.simulation.happenings import World
from holdfast.simulation.material import Material
from holdfast.simulation.measures import Bounds
from holdfast.simulation.outcome import Outcome, Recovery
from holdfast.simulation.recorder import Recorder
from holdfast.simulation.routing import Routing
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.shell import Pools, RateMeter, Settings, Shell, Violation
from holdfast.simulation.supply import Supply
from holdfast.simulation.traffic import Balance, Ingress, Traffic

READ_EVERY_S = 10.0
CLOSELY_S = 300.0
"""How long after capacity went the traffic is read every second."""

INTERVAL_S = 60.0
"""Of the timeline, and what an SLO minute is."""

NEW_SHORTAGE_S = 600.0
"""A shortage of a pool that had none for so long is an event of its own."""


def simulate(
    plan: Plan,
    scenario: Scenario,
    policy: Policy,
    seed: int,
    *,
    material: Material = Material(),  # noqa: B008 (frozen and empty)
    curves: Mapping[str, Curve] | None = None,
    ends: int = 0,
) -> Outcome:
    """What becomes of the plan's fleet in the scenario under the policy. The same arguments give the same outcome.

    material: the files that the scenario names. curves: load curves of one replica, by unit, instead of the plan's.
    ends: how many ends of single requests the outcome shall hold, the first ones.
    Raises InputError for a scenario that does not suit the plan.
    """
    return _Run(plan, scenario, policy, seed, material, curves or {}, ends).whole()


class _Run:
    """One run, and the controller that its events act on."""

    def __init__(
        self,
        plan: Plan,
        scenario: Scenario,
        policy: Policy,
        seed: int,
        material: Material,
        curves: Mapping[str, Curve],
        ends: int,
    ) -> None:
        spec = scenario.spec
        self._scenario, self._policy, self._seed = scenario, policy, seed
        for_load, for_traffic, for_cluster = (
            int(child.generate_state(1, np.uint64)[0]) for child in np.random.SeedSequence(seed).spawn(3)
        )
        self._pools = pools = fleet.pools(plan, scenario, curves)
        if not pools:
            raise InputError("the plan has no pools, so there is nothing to simulate", mend="plan the fleet anew")
        for change in material.changes:
            fleet.refuse_scope(change.scope, pools, spec.supply.file if spec.supply else "")
        self._bounds = Bounds(plan.fleet.spec.slo)
        self._source = loads.source(
            spec.load,
            spec.surges,
            spec.starts_at_s,
            duration_s=spec.duration_s,
            seed=for_load,
            trace=material.trace,
        )
        self._clock = Clock()
        self._traffic = Traffic(
            [pool.service for pool in pools],
            # Dead replicas that are still drawn, and draining ones, hold places beside those that serve.
            most_replicas=[4 * pool.max_replicas + 8 for pool in pools],
            balance=Balance[spec.data_plane.balance.upper().replace("-", "_")],
            retries=spec.data_plane.retries,
            ingress=Ingress.COMPOSITE if plan.fleet.spec.data_plane is DataPlane.LOCAL else Ingress.WEIGHTED,
            seed=for_traffic,
            late_s=self._bounds.late_s,
            ends=ends,
        )
        self._supply = Supply()
        self._cluster = Cluster(
            pools,
            self._supply,
            self._traffic,
            self._clock,
            spec.data_plane,
            death_s=spec.looks.death_s,
            shortage_s=spec.shortage_s,
            seed=for_cluster,
            changed=self._changed,
            short=self._short,
        )
        plan_weights = {pool.name: pool.weight for pool in pools}
        first_per_s = loads.first_rate_per_s(spec.load, spec.surges, spec.starts_at_s, material.trace)
        routing = plan.fleet.spec.routing.model_copy(update={"policy": policy.name})
        capacity = plan.fleet.spec.capacity
        counts, weights = settled.start(plan, pools, policy, routing, first_per_s)
        self._routing = Routing(
            spec.data_plane,
            [pool.name for pool in pools],
            self._clock,
            weigh=self._traffic.weights,
            routable=lambda pool: self._cluster.ready(pool) > 0,
        )
        self._recorder = Recorder(self._traffic, self._cluster, self._supply, self._bounds, weights, INTERVAL_S)
        self._autoscalers = [
            Autoscaler(spec.autoscaler, pool.limit_per_s * capacity.utilization_target, pool.kept, pool.max_replicas)
            for pool in pools
        ]
        self._meter = RateMeter(spec.looks)
        self._blind = self._cut_off = 0  # outages in force, of the metrics and of the API
        self._closely_until_s = 0.0
        self._capacity_events: list[tuple[float, str]] = []
        self._violations: list[Violation] = []
        self._short_s = dict.fromkeys(range(len(pools)), -NEW_SHORTAGE_S)
        self._seen: Pools | None = None
        self._shell: Shell | None = None
        self._cluster.begin(counts)
        self._routing.begin(weights)
        self._held = shell.at_rest(weights, routing)
        self._seen = Pools(pools, self._cluster, self._clock, -routing.dwell_s)
        self._settings = Settings(
            policy, routing, capacity, plan.fleet.spec.data_plane, plan_weights, scenario.spec.looks
        )
        self._start_controller()
        World(self._clock, self._cluster, self._supply, self, self._happened).schedule(scenario, material.changes)
        self._clock.after(READ_EVERY_S, self._read_again)
        self._clock.after(INTERVAL_S, self._close_interval)
        self._clock.after(spec.looks.rate_every_s, self._scrape)
        if not policy.scales:
            self._clock.after(spec.autoscaler.every_s, self._autoscale)

    def whole(self) -> Outcome:
        """Everything, to the end."""
        duration_s = self._scenario.spec.duration_s
        while self._clock.next_s <= duration_s:
            self._carry(self._clock.next_s)
            self._clock.act()
        self._carry(duration_s)
        self._recorder.read(duration_s)
        return self._outcome(duration_s)

    def _carry(self, until_s: float) -> None:
        """Every request up to then."""
        if until_s > self._traffic.now_s:
            self._traffic.run(until_s, *self._source.until(until_s))

    # What the controller of the events is asked for.

    def crash(self, for_s: float) -> None:
        """The controller dies; another one starts on what the cluster holds."""
        if self._shell is not None:
            self._shell.die()
            self._shell = None
            self._clock.after(for_s, self._start_controller)

    def api(self, works: bool) -> None:
        self._cut_off += -1 if works else 1
        if self._shell is not None:
            self._shell.api(not self._cut_off)
            self._shell.changed()

    def metrics(self, work: bool) -> None:
        self._blind += -1 if work else 1

    def repriced(self, pool: int, factor: float) -> None:
        if self._seen is not None:
            self._seen.repriced(pool, factor)
            self._changed(pool)

    def _start_controller(self) -> None:
        if self._seen is None:
            return
        self._shell = Shell(
            self._settings,
            self._held,
            self._seen,
            self._meter,
            self._cluster,
            self._clock,
            apply_weights=self._routing.apply,
            tell=self._recorder.decided,
            refuse=self._violations.append,
        )
        self._shell.api(not self._cut_off)
        self._shell.start()

    def _changed(self, pool: int) -> None:
        if self._seen is not None:
            self._seen.changed(pool)
        if self._shell is not None:
            self._shell.changed()

    def _short(self, pool: int) -> None:
        before_s, self._short_s[pool] = self._short_s[pool], self._clock.now_s
        if self._clock.now_s - before_s >= NEW_SHORTAGE_S:
            self._happened(self._pools[pool].name, f"{self._pools[pool].name} is short of capacity", True)

    def _happened(self, pool: str, text: str, capacity_went: bool) -> None:
        self._recorder.note(pool, text)
        if not capacity_went:
            return
        self._recorder.read(self._clock.now_s)
        self._capacity_events.append((self._clock.now_s, text))
        watching = self._closely_until_s > self._clock.now_s
        self._closely_until_s = self._clock.now_s + CLOSELY_S
        if not watching:
            self._clock.after(1.0, self._read_closely)

    def _read_again(self) -> None:
        self._recorder.read(self._clock.now_s)
        self._clock.after(READ_EVERY_S, self._read_again)

    def _read_closely(self) -> None:
        self._recorder.read(self._clock.now_s)
        if self._clock.now_s < self._closely_until_s:
            self._clock.after(1.0, self._read_closely)

    def _close_interval(self) -> None:
        self._recorder.read(self._clock.now_s)
        self._recorder.close_interval(self._clock.now_s)
        self._clock.after(INTERVAL_S, self._close_interval)

    def _scrape(self) -> None:
        now_s = self._clock.now_s
        if not self._blind:
            self._recorder.read(now_s)
            self._meter.scrape(now_s, self._recorder.arrived)
            for autoscaler, served in zip(self._autoscalers, self._recorder.served, strict=True):
                autoscaler.scrape(now_s, int(served))
        self._clock.after(self._scenario.spec.looks.rate_every_s, self._scrape)

    def _autoscale(self) -> None:
        if not self._cut_off:
            for number, autoscaler in enumerate(self._autoscalers):
                current = self._cluster.desired[number]
                self._cluster.scale(number, autoscaler.desired(self._clock.now_s, current))
        self._clock.after(self._scenario.spec.autoscaler.every_s, self._autoscale)

    def _outcome(self, duration_s: float) -> Outcome:
        recorder, cluster = self._recorder, self._cluster
        cluster.settle()
        if duration_s % INTERVAL_S:
            recorder.close_interval(duration_s)
        names = tuple(pool.name for pool in self._pools)
        return Outcome(
            policy=self._policy.name,
            seed=self._seed,
            duration_s=duration_s,
            pools=names,
            cost_usd=sum(cluster.usd),
            offered=recorder.arrived,
            served=int(recorder.served.sum()),
            failed=recorder.failed,
            refused=recorder.refused,
            late=recorder.late,
            unfinished=recorder.unfinished,
            latencies=recorder.latencies,
            slo_minutes_lost=sum(not interval.kept_slo for interval in recorder.intervals),
            switches=recorder.switches,
            weight_changes=recorder.weight_changes,
            looks=recorder.looks,
            recoveries=tuple(
                Recovery(at_s, what, recorder.windows.restored_s(at_s), recorder.windows.recovery_s(at_s))
                for at_s, what in self._capacity_events
            ),
            violations=tuple(self._violations),
            replica_s=dict(zip(names, cluster.replica_s, strict=True)),
            usd=dict(zip(names, cluster.usd, strict=True)),
            intervals=tuple(recorder.intervals),
            timeline=recorder.timeline(),
            ends=self._traffic.ends(),
        )
