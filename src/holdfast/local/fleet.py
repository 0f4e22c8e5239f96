"""Pools of replicas on this machine, supervised, with Envoy in front.

Supervision is level-triggered: whatever happened, `_reconcile` compares the replicas that are wanted with
those that live, starts and retires the difference, and tells Envoy which ones are ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.control import shortages
from holdfast.local.envoy import Envoy
from holdfast.local.envoy_config import READINESS_PATH, Timeouts
from holdfast.local.loopback import Address
from holdfast.local.replica import Phase, Replica
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.plan import PoolPlan
from holdfast.model.pools import CapacityPool, Shortage
from holdfast.processes import children

Clock = Callable[[], float]

_SHORTEST_REST_S = 0.01

RENEWALS = 4
"""Times that a shortage is renewed before it would expire, while capacity is withdrawn and wanted."""


@dataclass(frozen=True)
class PoolSpec:
    """One pool: how to start a replica, what it can do, and how many there may be.

    argv: the command of the replica with this number; numbers count up from 0 and are never used twice.
    readiness: the path that a replica answers with 200 while it takes requests.
    The other fields mean what they mean in CapacityPool.
    """

    name: str
    argv: Callable[[int], Sequence[str]]
    limit_per_s: float
    usd_per_million_requests: float
    planned: int
    min_replicas: int
    max_replicas: int
    at_once: int = 1
    readiness: str = READINESS_PATH

    def __post_init__(self) -> None:
        if not 0 <= self.min_replicas <= self.planned <= self.max_replicas:
            raise InputError(
                f"{self.planned} planned replicas are not between {self.min_replicas} and {self.max_replicas}",
                where=f"pool {self.name}",
            )

    @classmethod
    def of(cls, plan: PoolPlan, argv: Callable[[int], Sequence[str]], readiness: str = READINESS_PATH) -> PoolSpec:
        """The pool that a plan asks for."""
        return cls(
            name=plan.unit,
            argv=argv,
            limit_per_s=plan.limit_per_s,
            usd_per_million_requests=plan.usd_per_million_requests,
            planned=plan.replicas,
            min_replicas=plan.autoscaling.min_replicas,
            max_replicas=plan.autoscaling.max_replicas,
            at_once=plan.at_once,
            readiness=readiness,
        )


@dataclass(frozen=True)
class Patience:
    """How long the fleet waits for its replicas, in seconds.

    start_s:    until a replica must listen.
    grace_s:    for a replica that is asked to go to finish its requests.
    shortage_s: for which a refused start is remembered; renewed while the pool is withdrawn and wanted.
                Karpenter remembers 3 minutes; here a demonstration should see capacity come back.
    """

    start_s: float = 30.0
    grace_s: float = 10.0
    shortage_s: float = 10.0


@dataclass(frozen=True)
class Restarts:
    """When a pool whose replicas crash may start one again: 0.1 s after the first crash, doubling up to 5 s.

    A replica that lived for 10 s ends the series; replicas that crash together count once.
    """

    crashes: int = 0
    not_before_s: float = 0.0

    def after_crash(self, now_s: float, lived_s: float) -> Restarts:
        if now_s < self.not_before_s:
            return self
        crashes = 1 if lived_s >= 10 else self.crashes + 1
        return Restarts(crashes, now_s + min(0.1 * 2.0 ** (crashes - 1), 5.0))


@dataclass
class _Pool:
    """What the fleet remembers of one pool."""

    spec: PoolSpec
    wanted: int
    ready_since_s: float
    obtained_s: float | None = None
    ready: int = 0
    started: int = 0
    withdrawn: bool = False
    shortage: Shortage | None = None
    restarts: Restarts = Restarts()
    replicas: list[Replica] = field(default_factory=list)

    @property
    def staying(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.phase not in (Phase.DRAINING, Phase.DEAD)]

    @property
    def missing(self) -> int:
        return self.wanted - len(self.staying)

    def note_ready(self, now_s: float) -> None:
        ready = sum(replica.phase is Phase.READY for replica in self.replicas)
        if ready < self.ready or (ready and not self.ready):
            self.ready_since_s = now_s
        self.ready = ready

    def addresses(self) -> tuple[Address, ...]:
        ready = (replica.address for replica in self.replicas if replica.phase is Phase.READY)
        return tuple(address for address in ready if address)

    def surplus(self) -> list[Replica]:
        """The replicas beyond the wanted number: those that are not ready first, then the youngest."""
        by_worth = sorted(self.staying, key=lambda replica: replica.phase is not Phase.READY)
        return by_worth[self.wanted :]


class LocalFleet:
    """A running fleet; made by `running`. Replicas that crash are started again after a while (Restarts)."""

    def __init__(
        self,
        specs: Sequence[PoolSpec],
        envoy: Envoy,
        directory: Path,
        tasks: asyncio.TaskGroup,
        patience: Patience,
        clock: Clock,
    ) -> None:
        self.envoy = envoy
        self._directory = directory
        self._tasks = tasks
        self._patience = patience
        self._clock = clock
        self._pools = {spec.name: _Pool(spec, spec.planned, clock()) for spec in specs}
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._reconciling = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.envoy.url

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the fleet: Envoy's and the replicas'."""
        replicas = (replica.pid for pool in self._pools.values() for replica in pool.replicas)
        return (self.envoy.pid, *(pid for pid in replicas if pid is not None))

    async def scale(self, pool: str, replicas: int) -> None:
        """Want this many replicas, 0 up to the pool's maximum. Returns when they are being started or retired.

        Replicas that go are first taken from Envoy, then finish their requests. Raises InputError.
        """
        found = self._pool(pool)
        if not 0 <= replicas <= found.spec.max_replicas:
            raise InputError(
                f"{replicas} replicas are not between 0 and {found.spec.max_replicas}", where=f"pool {pool}"
            )
        found.wanted = replicas
        await self._reconcile()

    async def withdraw(self, pool: str) -> None:
        """Supply goes: the pool's replicas die at once by SIGKILL, and new ones are refused until `restore`.

        A refused start is a Shortage that expires, renewed as long as replicas are wanted. Raises InputError.
        """
        found = self._pool(pool)
        found.withdrawn = True
        for replica in found.replicas:
            replica.kill()
        self._refuse(found)
        await self._reconcile()

    def restore(self, pool: str) -> None:
        """Supply is back: the replicas that are wanted start. The last shortage is left to expire."""
        found = self._pool(pool)
        found.withdrawn = False
        found.restarts = Restarts()
        self._settle()
        self._wake.set()

    def observe(self, now: float) -> tuple[CapacityPool, ...]:
        """The pools as they are, in their order; `now` is a time of the fleet's clock, in seconds."""
        return tuple(self._observed(pool, now) for pool in self._pools.values())

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until every pool that is not withdrawn has the replicas that are wanted, and Envoy uses them.

        Raises HoldfastError with the last words of a replica when that takes longer than `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
                await self.envoy.until_healthy(
                    {name: pool.wanted for name, pool in self._pools.items() if not pool.withdrawn}
                )
        except TimeoutError as error:
            lacking = "; ".join(self._lack(pool) for pool in self._lacking())
            raise HoldfastError(f"after {timeout_s:g} s the fleet is not ready: {lacking}") from error

    async def supervise(self) -> None:
        """Keep the fleet as it is wanted, until cancelled."""
        while True:
            self._wake.clear()
            await self._reconcile()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s()):
                    await self._wake.wait()

    async def retire(self) -> None:
        """Ask all replicas to go and wait until they are gone, about the grace time at most."""
        async with asyncio.TaskGroup() as tasks:
            for pool in self._pools.values():
                pool.wanted = 0
                for replica in pool.replicas:
                    tasks.create_task(replica.terminate(self._patience.grace_s), name=f"retire {replica.name}")

    def _pool(self, name: str) -> _Pool:
        if name not in self._pools:
            raise InputError(f"there is no pool {name!r}", mend=f"known: {', '.join(self._pools)}")
        return self._pools[name]

    async def _reconcile(self) -> None:
        async with self._reconciling:
            leaving = []
            for pool in self._pools.values():
                self._launch_missing(pool)
                leaving += pool.surplus()
            for replica in leaving:
                replica.drain()
            await self.envoy.set_endpoints({name: pool.addresses() for name, pool in self._pools.items()})
            for replica in leaving:
                self._tasks.create_task(replica.terminate(self._patience.grace_s), name=f"retire {replica.name}")
            self._settle()

    def _launch_missing(self, pool: _Pool) -> None:
        if pool.missing > 0 and pool.withdrawn:
            self._refuse(pool)
        elif self._clock() >= pool.restarts.not_before_s:
            for _ in range(pool.missing):
                self._launch(pool)

    def _launch(self, pool: _Pool) -> None:
        number, start_s = pool.started, self._patience.start_s
        name, log = f"{pool.spec.name}-{number}", self._log(pool.spec.name, number)
        replica = Replica(
            name,
            pool.spec.argv(number),
            log,
            lambda: self._changed(pool),
            start_s=start_s,
            readiness=pool.spec.readiness,
        )
        pool.obtained_s = self._clock()
        pool.started += 1
        pool.replicas.append(replica)
        self._tasks.create_task(self._live(pool, replica), name=f"replica {name}")

    async def _live(self, pool: _Pool, replica: Replica) -> None:
        born_s = self._clock()
        await replica.run()
        pool.replicas.remove(replica)
        if not replica.was_drained and not pool.withdrawn:
            now = self._clock()
            pool.restarts = pool.restarts.after_crash(now, now - born_s)
        self._wake.set()

    def _refuse(self, pool: _Pool) -> None:
        now, last_s = self._clock(), self._patience.shortage_s
        pool.shortage = Shortage(pool.spec.name, now, now + last_s, "the pool's capacity was withdrawn")

    def _changed(self, pool: _Pool) -> None:
        pool.note_ready(self._clock())
        if self._lacking():
            self._settled.clear()
        self._wake.set()

    def _rest_s(self) -> float:
        """How long supervision may rest: until a crashed pool may start again or a shortage needs renewal."""
        now = self._clock()
        held_up = [pool for pool in self._pools.values() if pool.missing > 0 and not pool.withdrawn]
        waits = [max(pool.restarts.not_before_s - now, _SHORTEST_REST_S) for pool in held_up]
        return min([self._patience.shortage_s / RENEWALS, *waits])

    def _observed(self, pool: _Pool, now: float) -> CapacityPool:
        spec = pool.spec
        return CapacityPool(
            name=spec.name,
            limit_per_s=spec.limit_per_s,
            usd_per_million_requests=spec.usd_per_million_requests,
            ready=pool.ready,
            pending=max(0, pool.wanted - pool.ready),
            planned=spec.planned,
            min_replicas=spec.min_replicas,
            max_replicas=spec.max_replicas,
            ready_since_s=pool.ready_since_s,
            shortages=shortages.remembered((pool.shortage,) if pool.shortage else (), now),
            starting=max(0, len(pool.staying) - pool.ready),
            obtained_s=pool.obtained_s,
            at_once=spec.at_once,
        )

    def _settle(self) -> None:
        if self._lacking():
            self._settled.clear()
        else:
            self._settled.set()

    def _lacking(self) -> list[_Pool]:
        return [pool for pool in self._pools.values() if pool.ready < pool.wanted and not pool.withdrawn]

    def _lack(self, pool: _Pool) -> str:
        # The youngest may only just have been started again; then the one before it has said why.
        recent = range(pool.started - 1, max(-1, pool.started - 4), -1)
        said = (children.tail(self._log(pool.spec.name, number), lines=2) for number in recent)
        words = next(filter(None, said), "no last words")
        return f"pool {pool.spec.name} has {pool.ready} of {pool.wanted} replicas ({words})"

    def _log(self, pool: str, number: int) -> Path:
        return self._directory / f"{pool}-{number}.log"


@contextlib.asynccontextmanager
async def running(
    specs: Sequence[PoolSpec],
    directory: Path,
    *,
    weights: Mapping[str, int] | None = None,
    port: int = 0,
    timeouts: Timeouts | None = None,
    patience: Patience | None = None,
    clock: Clock = time.monotonic,
) -> AsyncIterator[LocalFleet]:
    """A fleet with the planned replicas starting; on the way out it drains and nothing stays behind.

    specs:     the pools; those before help out before those after.
    directory: logs of the replicas, and Envoy's files in a folder of it.
    weights:   first traffic weights; without, requests are answered 503 until `fleet.envoy.set_weights`.

    Raises InputError when Envoy cannot start, and HoldfastError in the body's place when it dies.
    """
    names, readiness = [spec.name for spec in specs], {spec.name: spec.readiness for spec in specs}
    envoy = Envoy(names, directory / "envoy", port=port, timeouts=timeouts, readiness=readiness)
    try:
        await envoy.start()
        await envoy.set_weights(weights or {})
        async with asyncio.TaskGroup() as tasks:
            fleet = LocalFleet(specs, envoy, directory, tasks, patience or Patience(), clock)
            guards = [tasks.create_task(envoy.watch(), name="watch Envoy")]
            guards.append(tasks.create_task(fleet.supervise(), name="supervise the fleet"))
            try:
                yield fleet
            finally:
                for guard in guards:
                    guard.cancel()
                await envoy.stop()
                await fleet.retire()
    except BaseExceptionGroup as group:
        # What the body raised, or the first of the errors that follow from Envoy's death, goes by its own name.
        first = group.exceptions[0]
        if len(group.exceptions) == 1 or all(isinstance(error, HoldfastError) for error in group.exceptions):
            raise first from first.__cause__
        raise
    finally:
        await envoy.stop()
