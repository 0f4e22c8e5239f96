"""What the stand-ins see of the cluster, and how they wait for it to change.

As in a controller-manager, each kind is watched once for all of them. A stand-in is level-triggered: it looks at
what is there, does what is due, and says when something will be due of itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from holdfast.kube.connection import Connection
from holdfast.kube.errors import ConflictError, NotFoundError, UnavailableError
from holdfast.kube.kinds import Kind, Object
from holdfast.kube.watching import Watched

Clock = Callable[[], float]
Step = Callable[[float], Awaitable[float]]
"""Does what is due at a time, and returns for how many seconds nothing is unless something changes."""

REST_S = 3600.0
"""Until something changes; so long only."""

TOLD_S = 2.0
"""A watch that has not told of a write by then lags, or somebody has undone it."""

AGAIN_S = 0.2
"""After an answer that a stale view explains, or none."""


@dataclass
class View:
    """The objects of some kinds, in all namespaces. Waiting uses the event loop's time: a virtual one jumps."""

    connection: Connection
    clock: Clock = time.time
    _watched: dict[Kind, Watched] = field(default_factory=dict)
    _waiting: dict[Kind, list[asyncio.Event]] = field(default_factory=dict)

    def watch(self, *kinds: Kind) -> None:
        """Before `run`: these kinds are seen."""
        for kind in kinds:
            if kind not in self._watched:
                self._waiting[kind] = []
                self._watched[kind] = Watched(self.connection, kind, changed=self._tell(kind), clock=self.clock)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind, watched in self._watched.items():
                group.create_task(watched.run(), name=f"stand-ins watch {kind.plural}")

    @property
    def synced(self) -> bool:
        return all(watched.synced for watched in self._watched.values())

    def all(self, kind: Kind) -> list[Object]:
        """Ordered by namespace and name."""
        objects = self._watched[kind].objects
        return [objects[key] for key in sorted(objects)]

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        return self._watched[kind].objects.get((namespace, name))

    async def follow(self, kinds: Sequence[Kind], step: Step) -> None:
        """Takes a step now, whenever one of the kinds has changed, and when it asked for it. Never returns."""
        changed = asyncio.Event()
        for kind in kinds:
            self._waiting[kind].append(changed)
        while True:
            changed.clear()
            wait_s = AGAIN_S
            if self.synced:
                # What a stand-in saw may be older than what is there: the next step sees the difference.
                with suppress(ConflictError, NotFoundError, UnavailableError):
                    wait_s = await step(self.clock())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await changed.wait()

    async def until(self, kind: Kind, so: Callable[[], bool]) -> None:
        """Waits until the watch has told of what was just written, at most TOLD_S: others write too."""
        changed = asyncio.Event()
        self._waiting[kind].append(changed)
        with suppress(TimeoutError):
            async with asyncio.timeout(TOLD_S):
                while not so():
                    await changed.wait()
                    changed.clear()
        self._waiting[kind].remove(changed)

    def _tell(self, kind: Kind) -> Callable[[Object, bool], None]:
        def changed(_object: Object, _deleted: bool) -> None:
            for waiting in self._waiting[kind]:
                waiting.set()

        return changed


def stamp(at_s: float) -> str:
    """As most times of the API are, in whole seconds."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp(at_s: float) -> str:
    """As the API's MicroTime is: leases and new events."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str) -> float:
    """Either stamp, as Unix seconds."""
    return datetime.fromisoformat(text).timestamp()


def name(found: Object) -> str:
    return str(found["metadata"]["name"])


def namespace(found: Object) -> str:
    return str(found["metadata"].get("namespace", ""))


def labels(found: Object) -> dict[str, str]:
    return dict(found["metadata"].get("labels", {}))


def condition(found: Object, kind: str) -> Object | None:
    """The condition of that type, of a pod or anything else that has some."""
    conditions: list[Object] = found.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(found: Object, kind: str) -> bool:
    said = condition(found, kind)
    return said is not None and said["status"] == "True"


def leaving(found: Object) -> bool:
    return "deletionTimestamp" in found["metadata"]


def serves(pod: Object) -> bool:
    """Whether a load balancer sends requests to the pod: it is Ready and not on its way out."""
    return is_true(pod, "Ready") and not leaving(pod)
