"""Who leads: a Lease that its holder renews, and that another takes when it was not renewed for its whole duration.

Clocks of machines differ, so nobody compares the times that another wrote. A candidate counts from when it saw the
record change, on its own monotonic clock; the holder counts from when it sent the last renewal that was answered, and
stops leading `deadline_s` later by time alone, without needing an answer. As deadline_s < duration_s, two never lead at
once while their clocks run equally fast (client-go, tools/leaderelection, has the same rules and the same condition).

    candidate --takes it--> leader --renewed--> leader
                                   --no renewal for deadline_s--> candidate
                                   --the record names another--> candidate
                                   --cancelled: gives it back--> gone

That alone fences nothing: a request that was sent in time may arrive late. What is changed carries `term`, which rises
with each holder, and a resource version as its precondition.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from holdfast.kube import errors
from holdfast.kube.connection import Connection
from holdfast.kube.kinds import LEASE, Object

_LOG = logging.getLogger("holdfast.kube")


def identity(host: str) -> str:
    """One that no other process has, nor this one after a restart: it must not take its predecessor's lease for its
    own."""
    return f"{host}_{uuid.uuid4()}"


class Leadership:
    """A candidate for the Lease `name`, which it creates where there is none.

    identity: see there. clock: Unix seconds. duration_s: others take over when they saw no renewal for this long (whole
    seconds, as a Lease has them). deadline_s: leading ends so long after the last renewal was sent. retry_s: between
    renewals, and between a candidate's looks. Raises ValueError unless 2 retry_s <= deadline_s < duration_s.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        namespace: str,
        identity: str,
        *,
        clock: Callable[[], float],
        duration_s: float = 6.0,
        deadline_s: float = 4.0,
        retry_s: float = 1.0,
    ) -> None:
        if not 0.0 < 2.0 * retry_s <= deadline_s < duration_s or not duration_s.is_integer():
            raise ValueError(
                f"{retry_s=}, {deadline_s=}, {duration_s=}: not 2 retry_s <= deadline_s < whole duration_s"
            )
        self.identity = identity
        self.term = 0
        """leaseTransitions as we last wrote it: above that of every holder before."""
        self.renewed_s = -math.inf
        """Unix seconds when the API server last answered one of our renewals."""
        self.changed = asyncio.Event()
        """Set when leading begins or ends, and when the term changed; who waits for it clears it."""
        self.problem: errors.KubeError | None = None
        """Why the last attempt came to nothing; None where it did not."""
        self._connection = connection
        self._name = name
        self._namespace = namespace
        self._clock = clock
        self._duration_s = duration_s
        self._deadline_s = deadline_s
        self._retry_s = retry_s
        self._until_s = -math.inf
        self._lapse_timer: asyncio.TimerHandle | None = None
        self._ours: Object | None = None
        self._seen: Object | None = None
        self._seen_s = 0.0
        self._least_term = 1
        self._hurry = asyncio.Event()

    def leads(self, now_s: float) -> bool:
        """Whether this process may act at `now_s`, Unix seconds."""
        return now_s < self._until_s

    def surpass(self, term: int) -> None:
        """Rises above a term that was found in the cluster, by the next renewal, which is sent at once.

        Where the Lease was deleted, or holdfast installed anew, counting began again, and routes carry higher terms
        than ours. Who does not hold the lease cannot rise: its renewal conflicts.
        """
        self._least_term = max(self._least_term, term + 1)
        self._hurry.set()

    async def run(self) -> None:
        """Stands for election and renews, for ever. Cancelled, it gives the lease back: first stop what acts by it."""
        try:
            while True:
                pause_s = await self._attempt()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._hurry.wait()
                self._hurry.clear()
        finally:
            self._lapse()
            with suppress(errors.KubeError, TimeoutError):
                async with asyncio.timeout(self._retry_s):
                    await self._give_back()

    async def _attempt(self) -> float:
        """Renews, or takes the lease where it may be had. Gives how long to wait then."""
        problem: errors.KubeError | None = None
        try:
            # Short enough that a renewal that hangs leaves time for a second before the deadline.
            async with asyncio.timeout((self._deadline_s - self._retry_s) / 2.0):
                await self._stand()
        except errors.KubeError as error:
            problem = error
        except TimeoutError:
            problem = errors.UnavailableError(f"lease {self._name}: no answer in time")
        self._say(problem)
        if problem is None:
            return self._retry_s if self._ours is not None else min(self._retry_s, self._left_s())
        asked_s = problem.retry_after_s if isinstance(problem, errors.UnavailableError) else None
        return max(asked_s or 0.0, self._retry_s / 4.0 if self.leads(self._clock()) else self._retry_s)

    async def _stand(self) -> None:
        if self._ours is not None:
            try:
                return await self._write(self._ours)
            except (errors.ConflictError, errors.NotFoundError):
                # Another has it, or our own renewal arrived whose answer did not: the record says which.
                self._ours = None
        try:
            lease = await self._connection.get(LEASE, self._name, self._namespace)
        except errors.NotFoundError:
            return await self._write(None)
        spec = lease["spec"]
        if spec != self._seen:
            self._seen, self._seen_s = spec, asyncio.get_running_loop().time()
        holder = spec.get("holderIdentity")
        if holder and holder != self.identity:
            self._lapse()
            if self._left_s() > 0.0:
                return None
        try:
            await self._write(lease)
        except errors.ConflictError:
            # Another candidate was faster. The next look sees whom.
            return None

    def _left_s(self) -> float:
        """How long the record that was seen still holds."""
        lasts_s = float((self._seen or {}).get("leaseDurationSeconds") or self._duration_s)
        return self._seen_s + lasts_s - asyncio.get_running_loop().time()

    async def _write(self, lease: Object | None) -> None:
        """Creates, takes or renews it. Leading begins, or goes on, when that is answered."""
        loop = asyncio.get_running_loop()
        sent_s, sent_loop_s = self._clock(), loop.time()
        spec = {} if lease is None else lease["spec"]
        renewal = spec.get("holderIdentity") == self.identity
        transitions = int(spec.get("leaseTransitions") or 0)
        term = transitions if renewal else max(transitions, self.term) + 1
        wanted = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._duration_s),
            "acquireTime": spec["acquireTime"] if renewal else _time(sent_s),
            "renewTime": _time(sent_s),
            "leaseTransitions": max(term, self._least_term),
        }
        if lease is None:
            whole = {
                "apiVersion": LEASE.api_version,
                "kind": LEASE.kind,
                "metadata": {"name": self._name},
                "spec": wanted,
            }
            written = await self._connection.create(LEASE, whole, self._namespace)
        else:
            written = await self._connection.replace(LEASE, lease | {"spec": spec | wanted}, self._namespace)
        term = int(written["spec"]["leaseTransitions"])
        news = not self.leads(sent_s) or term != self.term
        self._ours, self.term = written, term
        self.renewed_s, self._until_s = self._clock(), sent_s + self._deadline_s
        if self._lapse_timer is not None:
            self._lapse_timer.cancel()
        # The clock of the wall may be set back while we lead; the loop's may not.
        self._lapse_timer = loop.call_at(sent_loop_s + self._deadline_s, self._lapse)
        if news:
            _LOG.info("%s leads, term %d", self.identity, term)
            self.changed.set()

    def _lapse(self) -> None:
        if self._until_s > -math.inf:
            _LOG.info("%s leads no longer", self.identity)
            self.changed.set()
        self._until_s = -math.inf
        if self._lapse_timer is not None:
            self._lapse_timer.cancel()
            self._lapse_timer = None

    async def _give_back(self) -> None:
        """So that the next leader need not wait for the lease to run out."""
        if self.term == 0:
            return
        lease = await self._connection.get(LEASE, self._name, self._namespace)
        if lease["spec"].get("holderIdentity") != self.identity:
            return
        spec = lease["spec"] | {"leaseDurationSeconds": 1, "renewTime": _time(self._clock())}
        del spec["holderIdentity"]
        await self._connection.replace(LEASE, lease | {"spec": spec}, self._namespace)

    def _say(self, problem: errors.KubeError | None) -> None:
        if problem is not None and self.problem is None:
            _LOG.warning("lease %s: %s", self._name, problem)
        self.problem = problem


def _time(at_s: float) -> str:
    """Unix seconds as a MicroTime."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
