"""The Scenario document: what load and what events a fleet meets, and how everything around the decisions behaves.

    Scenario
      spec: ScenarioSpec
        load: Load                requests over time
        coldStart: {...}          how long a replica takes to come up, by unit, framework, or `any`
        replica: ReplicaModel     what bounds a replica's queue
        dataPlane: DataPlaneModel what lies between a decided weight and a request
        autoscaler: AutoscalerModel  the HPA of policies that only route
        looks: LooksModel         what the controller sees, and how late
        shortage: Duration        how long nothing is asked for where capacity was refused
        supply: SupplyFile        capacity over time from a CSV
        events: (Event, ...)      what befalls the fleet

Times are from the start. `startsAt` says which time of the day that is: where in its day a wave is, and a plan by the
hour.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.control import shortages
from holdfast.model.fields import Duration, Share
from holdfast.model.fleet import Document, Metadata
from holdfast.simulation.events import Beyond, Event, Surge
from holdfast.simulation.loads import Load
from holdfast.simulation.moments import Moment

LONGEST_S = 366 * 86400.0


class ColdStart(Document):
    """From asking for a replica to its first request: stages one after the other, each off by up to ±`spread`.

    node_s:    the instance is launched and joins the cluster; it is paid from the launch on.
    pull_s:    the image. load_s: the model. compile_s: its graph.
    """

    node_s: Annotated[Duration, Field(alias="node")]
    pull_s: Annotated[Duration, Field(alias="pull")]
    load_s: Annotated[Duration, Field(alias="load")]
    compile_s: Annotated[Duration, Field(alias="compile")] = 0.0
    spread: Share = 0.0

    @property
    def starting_s(self) -> float:
        """What comes after the node."""
        return self.pull_s + self.load_s + self.compile_s

    @property
    def longest_s(self) -> float:
        """All of it, at the worst."""
        return (self.node_s + self.starting_s) * (1 + self.spread)


class ReplicaModel(Document):
    """queue: requests that wait at one replica while it is full; more are refused (vLLM has no bound of its own)."""

    queue: Annotated[int, Field(strict=True, ge=0, le=100_000)] = 100


class Stickiness(Document):
    """A share of the clients keeps to the pool that it was first sent to, for `lasts` on average.

    After a change of weights their traffic follows exponentially with that mean. A pool without a replica is left.
    """

    share: Share
    lasts_s: Annotated[Duration, Field(alias="lasts", gt=0)]


class DataPlaneModel(Document):
    """What lies between a decision and a request.

    delay_s:  from a decided weight to the first request that is routed by it; an estimate for an ALB whose rule is
              changed by its controller.
    notice_s: from the death of a replica until it gets no more requests: health checks of 10 s, of which 3 must fail.
    drain_s:  how long a replica that is taken away may still serve what it has (the deregistration delay).
    retries:  further attempts of a request that went wrong. An ALB makes none; Envoy and the Gateway API can.
    balance:  within a pool: `round-robin` as an ALB does by default, and as rendered.
    """

    delay_s: Annotated[Duration, Field(alias="delay")] = 5.0
    notice_s: Annotated[Duration, Field(alias="notice")] = 30.0
    drain_s: Annotated[Duration, Field(alias="drain")] = 30.0
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 0
    balance: Literal["random", "round-robin", "least-outstanding", "two-choices"] = "round-robin"
    stickiness: Stickiness | None = None


class AutoscalerModel(Document):
    """KEDA and the HPA, for policies that do not scale: each pool follows its own rate against limit x target.

    every_s:  between syncs (Kubernetes: 15 s). lag_s: age of the metric at a sync. window_s: that it is a rate over.
    tolerance: share by which the metric must be off before anything happens (Kubernetes: 10 %).
    stabilization_s: a pool shrinks only to the most that was wanted within it (Kubernetes: 300 s).
    up, up_replicas, down, down_replicas: most change within a minute, as a share and in replicas, the larger counts; as
              rendered into the ScaledObject.
    """

    every_s: Annotated[Duration, Field(alias="every", gt=0)] = 15.0
    lag_s: Annotated[Duration, Field(alias="lag")] = 30.0
    window_s: Annotated[Duration, Field(alias="window", gt=0)] = 60.0
    tolerance: Share = 0.1
    stabilization_s: Annotated[Duration, Field(alias="stabilization")] = 300.0
    up: Share = 0.5
    up_replicas: Annotated[int, Field(strict=True, ge=1, le=1000)] = 2
    down: Share = 0.1
    down_replicas: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1


class LooksModel(Document):
    """What a controller sees.

    rate_window_s: that the offered rate is counted over. rate_every_s: between scrapes. rate_lag_s: age of the newest
              reading when it can first be seen.
    death_s:  from the death of a replica until it is seen; Kubernetes marks a silent node after 40 s.
    watch_s:  from a change of the pools until the controller sees it and looks; a policy with a fixed interval does not
              watch, and sees it at its next look.
    """

    rate_window_s: Annotated[Duration, Field(alias="rateWindow", gt=0)] = 60.0
    rate_every_s: Annotated[Duration, Field(alias="rateEvery", gt=0)] = 15.0
    rate_lag_s: Annotated[Duration, Field(alias="rateLag")] = 5.0
    death_s: Annotated[Duration, Field(alias="death")] = 40.0
    watch_s: Annotated[Duration, Field(alias="watch")] = 1.0


class SupplyFile(Document):
    """A CSV of (time, pool or zone, available replicas) beside the scenario; simulation/supply.py says which columns.

    beyond: what becomes of replicas when fewer become available than stand.
    """

    file: Annotated[str, Field(min_length=1)]
    beyond: Beyond = Beyond.RECLAIM


class ScenarioSpec(Document):
    duration_s: Annotated[Duration, Field(alias="duration", gt=0, le=LONGEST_S)]
    starts_at_s: Annotated[Moment, Field(alias="startsAt", lt=86400)] = 0.0
    load: Load
    cold_start: Annotated[dict[str, ColdStart], Field(min_length=1)]
    replica: ReplicaModel = ReplicaModel()
    data_plane: DataPlaneModel = DataPlaneModel()
    autoscaler: AutoscalerModel = AutoscalerModel()
    looks: LooksModel = LooksModel()
    shortage_s: Annotated[Duration, Field(alias="shortage", gt=0)] = shortages.HOLD_S
    supply: SupplyFile | None = None
    events: Annotated[tuple[Event, ...], Field(max_length=10_000)] = ()

    @pydantic.model_validator(mode="after")
    def _surges_have_a_rate(self) -> Self:
        if self.load.trace and self.surges:
            raise ValueError("a surge multiplies a rate, and a trace has none; give the trace another rate instead")
        return self

    @property
    def surges(self) -> tuple[Surge, ...]:
        return tuple(event.surge for event in self.events if event.surge)

    def cold_start_of(self, unit: str, framework: str) -> ColdStart | None:
        """That of the unit, of its framework, or of any; None where none is given."""
        return next((self.cold_start[key] for key in (unit, framework, "any") if key in self.cold_start), None)


class Scenario(Document):
    """What a fleet is simulated through. See the module docstring for its tree."""

    api_version: Literal["holdfast.dev/v1alpha1"]
    kind: Literal["Scenario"]
    metadata: Metadata
    spec: ScenarioSpec
