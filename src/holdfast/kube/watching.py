"""The objects of one kind, as the API server last told them.

A list says what is there, a watch from its version what becomes of it. Where a stream breaks, it is resumed from the
last version told (a bookmark moves that version while nothing happens); only where the server has forgotten the version
is everything listed anew, and the differences are told as if they had been watched. What was known stays known
meanwhile.

    list -> watch -> broken        -> wait -> watch from the last version
                  -> 410 Gone      -> wait -> list
                  -> 404, 403, other refusals -> wait 30 s -> list
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType

from holdfast.kube import errors
from holdfast.kube.answers import WatchEvent
from holdfast.kube.connection import WATCH_S, Connection
from holdfast.kube.kinds import Kind, Object

BACK_OFF_S = 0.2
MOST_S = 10.0
"""The nth failure in a row is followed by a wait of 0 to min(MOST_S, BACK_OFF_S x 2^n), evenly drawn ("full jitter",
Brooker, AWS Architecture Blog, 2015-03-04)."""
RETRY_AFTER_MOST_S = 60.0
REFUSED_S = 30.0
"""A kind that is not installed, or that we may not see, is looked at again after this."""
STEADY_S = 10.0
"""A stream that was open for this long did not fail at once: what ended it counts as the first failure."""
UNHEARD = 3
"""After so many streams in a row without a word, not even a bookmark, all is listed anew. Of a kind to which nothing
happens the version grows older than the five minutes that the server remembers; and one that was restored from a backup
keeps a stream from its own future open, in silence."""

_LOG = logging.getLogger("holdfast.kube")


class Watched:
    """`objects` by (namespace, name) of one kind, in one namespace or all, that match the selectors.

    changed(object, deleted): called for each object that came, changed or went, in order, when `objects` has it
    already; what is told again is not called twice. kept: what of an object is remembered and told; its name, uid and
    version must be. clock: Unix seconds. seed: of the waits.
    """

    def __init__(
        self,
        connection: Connection,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        changed: Callable[[Object, bool], None],
        clock: Callable[[], float],
        kept: Callable[[Object], Object] = lambda whole: whole,
        seed: int = 0,
    ) -> None:
        self.kind = kind
        self.problem: errors.KubeError | None = None
        """Why there is no stream; None while there is one, or none was lost."""
        self.missing = False
        """The kind is not installed in the cluster."""
        self._connection = connection
        self._namespace = namespace
        self._selectors = {"labels": labels, "fields": fields}
        self._changed = changed
        self._clock = clock
        self._kept = kept
        self._random = random.Random(f"{seed} {kind.plural} {namespace} {labels} {fields}")
        self._objects: dict[tuple[str, str], Object] = {}
        self._version: str | None = None
        self._whole = asyncio.Event()
        self._lost_s: float | None = -float("inf")
        self._failures = 0
        self._unheard = 0

    @property
    def objects(self) -> Mapping[tuple[str, str], Object]:
        return MappingProxyType(self._objects)

    @property
    def synced(self) -> bool:
        """Whether a list was whole since the start, and the kind is installed."""
        return self._whole.is_set()

    async def sync(self) -> None:
        """Waits until `synced`."""
        await self._whole.wait()

    def age_s(self, now_s: float) -> float:
        """0 while a stream is open, else the time since it broke, or since the last list; inf before the first."""
        return 0.0 if self._lost_s is None else max(0.0, now_s - self._lost_s)

    async def run(self) -> None:
        """Lists and watches, for ever. What `changed` raises ends it."""
        while True:
            wait_s = await self._attempt()
            await asyncio.sleep(wait_s)

    async def _attempt(self) -> float:
        """One stream, with the list before it where one is needed, to its end. Gives how long to wait then."""
        began_s = asyncio.get_running_loop().time()
        problem: errors.KubeError | None = None
        try:
            if self._version is None:
                await self._list()
            await self._follow(self._version or "")
        except errors.KubeError as error:
            problem = error
        if self._lost_s is None:
            self._lost_s = self._clock()
        if asyncio.get_running_loop().time() - began_s >= STEADY_S:
            self._failures = 0
        self._say(problem)
        if isinstance(problem, errors.NotFoundError):
            self._not_installed()
        if isinstance(problem, errors.NotFoundError | errors.RefusedError):
            self._version = None
            return REFUSED_S
        if problem is None or problem.status == 504:
            self._unheard += 1
        if isinstance(problem, errors.GoneError) or self._unheard >= UNHEARD:
            self._version = None
            self._unheard = 0
        return self._wait_s(problem)

    def _wait_s(self, problem: errors.KubeError | None) -> float:
        drawn_s = self._random.uniform(0.0, min(MOST_S, BACK_OFF_S * 2.0 ** min(self._failures, 10)))
        self._failures += 1
        if isinstance(problem, errors.UnavailableError) and problem.retry_after_s is not None:
            return min(problem.retry_after_s, RETRY_AFTER_MOST_S) + drawn_s
        return drawn_s

    async def _list(self) -> None:
        listing = await self._connection.list(self.kind, self._namespace, **self._selectors)
        found = {_key(item): item for item in listing.items}
        for key in [key for key in self._objects if key not in found]:
            self._changed(self._objects.pop(key), True)
        for key, item in found.items():
            known = self._objects.get(key)
            if known is not None and known["metadata"]["uid"] != item["metadata"]["uid"]:
                self._changed(self._objects.pop(key), True)
            self._put(key, item)
        self._version = listing.resource_version
        self._lost_s = self._clock()
        self.missing = False
        self._whole.set()

    async def _follow(self, version: str) -> None:
        # Ends of streams that began together are spread, so that not all are opened anew at one moment.
        lasts_s = round(WATCH_S * self._random.uniform(1.0, 2.0))
        stream = self._connection.watch(
            self.kind,
            self._namespace,
            resource_version=version,
            lasts_s=lasts_s,
            opened=self._opened,
            **self._selectors,
        )
        async with aclosing(stream) as events:
            async for event in events:
                self._take(event)

    def _opened(self) -> None:
        self._lost_s = None
        if self.problem is not None:
            _LOG.info("%s are watched again", self.kind.plural)
        self.problem = None

    def _take(self, event: WatchEvent) -> None:
        self._unheard = 0
        key = _key(event.object)
        if event.type == "DELETED":
            known = self._objects.pop(key, None)
            if known is not None:
                self._changed(self._kept(event.object), True)
        elif event.type != "BOOKMARK":
            self._put(key, event.object)
        self._version = event.resource_version

    def _put(self, key: tuple[str, str], item: Object) -> None:
        known = self._objects.get(key)
        if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            self._objects[key] = kept = self._kept(item)
            self._changed(kept, False)

    def _not_installed(self) -> None:
        """Only when it is said a second time do objects go: a server that starts may not know its kinds for a
        moment."""
        self._whole.clear()
        if self.missing:
            for key in list(self._objects):
                self._changed(self._objects.pop(key), True)
        self.missing = True

    def _say(self, problem: errors.KubeError | None) -> None:
        known = self.problem
        if problem is None:
            return
        self.problem = problem
        if known is None or (type(known), known.reason) != (type(problem), problem.reason):
            # Few clusters have all kinds; who needs one that is missing says so himself.
            unknown = isinstance(problem, errors.NotFoundError)
            level = logging.INFO if unknown else logging.WARNING
            why = f"the cluster does not know them; they are looked for every {REFUSED_S:g} s" if unknown else problem
            _LOG.log(level, "%s are not watched: %s", self.kind.plural, why)


def _key(item: Object) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")
