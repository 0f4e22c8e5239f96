"""What is stored: every object's last state, every change since the last compaction, one counter of revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from kube_api.requests import Object, encoded

Key = tuple[str, str]
"""Namespace ("" for what has none) and name."""


@dataclass(frozen=True)
class Stored:
    """An object in one state. `object` is shared and never changed."""

    object: Object
    revision: int

    @cached_property
    def json(self) -> bytes:
        return encoded(self.object)

    @cached_property
    def bare_json(self) -> bytes:
        """Without saying its kind, as in lists of built-in kinds."""
        return encoded({name: value for name, value in self.object.items() if name not in ("kind", "apiVersion")})

    @property
    def key(self) -> Key:
        metadata = self.object["metadata"]
        return metadata.get("namespace", ""), metadata["name"]


@dataclass(frozen=True)
class Change:
    """before: None where the object is new. after: None where it is gone."""

    revision: int
    storage: str
    before: Stored | None
    after: Stored | None

    @cached_property
    def last(self) -> Stored:
        """The object as the change shows it; a deleted one as it was, at the revision of its deletion."""
        if self.after is not None:
            return self.after
        assert self.before is not None
        before = self.before.object
        metadata = {**before["metadata"], "resourceVersion": str(self.revision)}
        return Stored({**before, "metadata": metadata}, self.revision)


class Store:
    """All objects by storage name. The newest `kept` changes are remembered."""

    def __init__(self, *, kept: int = 20_000) -> None:
        self.revision = 1
        self.compacted = 0
        """Changes up to this revision are forgotten."""
        self.changed: Callable[[Change], None] = lambda change: None
        self._kept = kept
        self._objects: dict[str, dict[Key, Stored]] = {}
        self._log: list[Change] = []

    def fork(self) -> Store:
        """Another with the same objects, and no history: who watches from before has to list anew."""
        twin = Store(kept=self._kept)
        twin.revision = twin.compacted = self.revision
        twin._objects = {storage: dict(found) for storage, found in self._objects.items()}
        return twin

    def get(self, storage: str, key: Key) -> Stored | None:
        return self._objects.get(storage, {}).get(key)

    def all(self, storage: str) -> list[Stored]:
        """In the order of namespace and name."""
        found = self._objects.get(storage, {})
        return [found[key] for key in sorted(found)]

    def everything(self) -> Iterator[tuple[str, Stored]]:
        for storage, found in list(self._objects.items()):
            for stored in list(found.values()):
                yield storage, stored

    def put(self, storage: str, found: Object) -> Stored:
        """Takes the object over, and gives it its resource version."""
        self.revision += 1
        found["metadata"]["resourceVersion"] = str(self.revision)
        stored = Stored(found, self.revision)
        objects = self._objects.setdefault(storage, {})
        before = objects.get(stored.key)
        objects[stored.key] = stored
        self._record(Change(self.revision, storage, before, stored))
        return stored

    def remove(self, storage: str, key: Key) -> Stored:
        self.revision += 1
        before = self._objects[storage].pop(key)
        change = Change(self.revision, storage, before, None)
        self._record(change)
        return change.last

    def since(self, storage: str, revision: int) -> list[Change]:
        return [change for change in self._log if change.revision > revision and change.storage == storage]

    def compact(self) -> None:
        """Forgets all changes up to now: who watches from before has to list anew."""
        self.compacted = self.revision
        self._log.clear()

    def _record(self, change: Change) -> None:
        self._log.append(change)
        if len(self._log) > 2 * self._kept:
            del self._log[: -self._kept]
            self.compacted = self._log[0].revision - 1
        self.changed(change)
