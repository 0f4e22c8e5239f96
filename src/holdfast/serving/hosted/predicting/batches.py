"""Which requests make the next batch, and when it begins. Pure: time is told.

Only inputs of equal shape go together. Once the device is free a batch begins when it is full, when it has waited its
time, or when nothing is gained by waiting (`patience`): another shape waits too, or nobody is expected soon. Of shapes
that may begin, the one whose first input came first does, so that a rare shape is not starved by a common one.
"""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.serving.hosted.predicting.patience import Patience

Item = TypeVar("Item")

_MOST_PATIENCES = 64
"""Shapes that are remembered when none of them waits; the one not used for longest is forgotten."""


@dataclass(frozen=True)
class _Entry(Generic[Item]):
    key: int
    item: Item
    since_s: float


class Queue(Generic[Item]):
    """Inputs that wait, by shape, in the order in which they came. Bounds as in Bounds."""

    def __init__(self, max_batch: int, max_wait_s: float) -> None:
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        # In each shape first come, first served; a key is its place in the order of all.
        self._waiting: dict[object, dict[int, _Entry[Item]]] = {}
        self._shape_of: dict[int, object] = {}
        self._patiences: collections.OrderedDict[object, Patience] = collections.OrderedDict()
        self._next_key = 0
        self._freed_s = -math.inf

    def __len__(self) -> int:
        return len(self._shape_of)

    def add(self, item: Item, shape: object, now_s: float) -> int:
        """Queue it; the key by which it may be removed."""
        key = self._next_key
        self._next_key += 1
        self._shape_of[key] = shape
        self._waiting.setdefault(shape, {})[key] = _Entry(key, item, now_s)
        self._patience(shape).arrived(now_s)
        return key

    def remove(self, key: int) -> bool:
        """Nobody waits for it any more; False where it is no longer queued."""
        if key not in self._shape_of:
            return False
        self._forget(key)
        return True

    def clear(self) -> list[Item]:
        """Everything that waits, which does not any more."""
        found = [entry.item for waiting in self._waiting.values() for entry in waiting.values()]
        self._waiting.clear()
        self._shape_of.clear()
        return found

    def begins_s(self) -> float | None:
        """When the next batch should begin if nothing else comes and the device is free; None where nothing waits."""
        return min((self._ready_s(shape) for shape in self._waiting), default=None)

    def take(self, now_s: float) -> list[Item]:
        """The batch that should begin now, in the order in which its inputs came; empty where none should."""
        ready = [shape for shape in self._waiting if self._ready_s(shape) <= now_s]
        if not ready:
            return []
        oldest = min(ready, key=lambda shape: next(iter(self._waiting[shape])))
        batch = list(self._waiting[oldest].values())[: self._max_batch]
        for entry in batch:
            self._forget(entry.key)
        return [entry.item for entry in batch]

    def ran(self, shape: object, size: int, seconds: float, now_s: float) -> None:
        """A batch ended, and the device is free."""
        self._patience(shape).ran(size, seconds)
        self._freed_s = now_s
        for waiting in self._waiting:
            self._patience(waiting).freed(now_s)

    def _ready_s(self, shape: object) -> float:
        waiting = self._waiting[shape]
        since_s = next(iter(waiting.values())).since_s
        if len(waiting) >= self._max_batch or len(self._waiting) > 1:
            return since_s
        # The time for which the device was busy was no choice.
        latest_s = max(since_s, self._freed_s) + self._max_wait_s
        return max(since_s, min(latest_s, self._patience(shape).goes_s(len(waiting))))

    def _forget(self, key: int) -> None:
        shape = self._shape_of.pop(key)
        waiting = self._waiting[shape]
        del waiting[key]
        if not waiting:
            del self._waiting[shape]

    def _patience(self, shape: object) -> Patience:
        patience = self._patiences.setdefault(shape, Patience())
        self._patiences.move_to_end(shape)
        if len(self._patiences) > _MOST_PATIENCES:
            self._patiences.popitem(last=False)
        return patience
