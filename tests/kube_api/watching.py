"""A watch: the lines of one stream, as they come due."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kube_api.requests import Object, encoded
from kube_api.resources import Resource
from kube_api.selectors import Wanted
from kube_api.store import Change, Stored

BOOKMARK_EVERY_S = 60.0
FIRST_END_S = 1800.0
"""Where the client names no `timeoutSeconds`; the real server takes a random time from 30 to 60 minutes."""
EVENTS_END = "k8s.io/initial-events-end"


class Subscription:
    """What one client watches. `notify` is called when there are lines to `take`."""

    def __init__(
        self,
        resource: Resource,
        namespace: str,
        wanted: Wanted,
        *,
        now_s: float,
        timeout_s: float,
        bookmarks: bool,
        shown: Callable[[Resource, Stored], bytes],
    ) -> None:
        self.resource = resource
        self.ended = False
        self.revision = 0
        """Up to which the client has been told, or need not be."""
        self.notify: Callable[[], None] = lambda: None
        self._namespace = namespace
        self._wanted = wanted
        self._lines: deque[bytes] = deque()
        self._ends_s = now_s + timeout_s
        self._bookmark_s = now_s + BOOKMARK_EVERY_S if bookmarks else float("inf")
        self._shown = shown

    @property
    def due_s(self) -> float:
        """When to `take` at the latest."""
        return min(self._bookmark_s, self._ends_s)

    def take(self, now_s: float) -> list[bytes]:
        """The lines that are due; none left after `ended`."""
        if not self.ended and now_s >= self._bookmark_s:
            self._bookmark_s = now_s + BOOKMARK_EVERY_S
            self._lines.append(self._bookmark())
        if now_s >= self._ends_s:
            self.ended = True
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def tell(self, change: Change) -> None:
        if change.storage != self.resource.storage or change.revision <= self.revision:
            return
        self.revision = change.revision
        was, is_ = (self._concerns(side) for side in (change.before, change.after))
        if is_ and change.after is not None:
            self._say("MODIFIED" if was else "ADDED", change.after)
        elif was:
            # An object that the selector no longer takes is deleted for this client, as it was before.
            self._say("DELETED", Change(change.revision, change.storage, change.before, None).last)

    def begin(self, found: list[Stored], revision: int, *, told_end: bool) -> None:
        """What is there already, as if it were new."""
        for stored in found:
            if self._concerns(stored):
                self._say("ADDED", stored)
        self.revision = revision
        if told_end:
            self._lines.append(self._bookmark({"annotations": {EVENTS_END: "true"}}))

    def reach(self, revision: int) -> None:
        """The client need not hear of anything up to this revision: bookmarks say so."""
        self.revision = max(self.revision, revision)

    def fail(self, status: Object) -> None:
        """An error inside the stream, and its end."""
        self._lines.append(encoded({"type": "ERROR", "object": status}) + b"\n")
        self.end()

    def end(self) -> None:
        self.ended = True
        self.notify()

    def _concerns(self, stored: Stored | None) -> bool:
        return stored is not None and self._namespace in ("", stored.key[0]) and self._wanted(stored.object)

    def _say(self, what: str, stored: Stored) -> None:
        shown = self._shown(self.resource, stored)
        self._lines.append(b'{"type":"' + what.encode() + b'","object":' + shown + b"}\n")
        self.notify()

    def _bookmark(self, more: Object | None = None) -> bytes:
        kind = {"kind": self.resource.kind, "apiVersion": self.resource.api_version}
        metadata = {"resourceVersion": str(self.revision), **(more or {})}
        return encoded({"type": "BOOKMARK", "object": {**kind, "metadata": metadata}}) + b"\n"
