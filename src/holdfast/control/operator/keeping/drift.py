"""Whether a live object is as it was applied.

Two things stand in the object itself, so that an operator that has just started knows as much as one that has run for
weeks, and need not write to find out:

- the annotation `holdfast.dev/applied`, a digest of all that was applied. Another digest than that of what is wanted
  now: the plan, the decision or the fleet has changed since.
- the managed fields. An API server takes a field from its owner when somebody else changes or removes it
  (kubernetes.io/docs/reference/using-api/server-side-apply). What we applied and own no more, was changed.

No values are compared: servers write quantities and defaults in their own way, webhooks have their say, and each would
look like drift at every look. The fields of others are not ours, whatever they hold. What is not seen is somebody who
applies under our own name, digest and all.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.kube.kinds import Object

APPLIED = "holdfast.dev/applied"
MANAGER = "holdfast"

_NAMED = {"name", "namespace"}
"""Parts of the metadata by which an object is found, which nobody owns."""

_SHOWN = 3


class Difference(enum.Enum):
    """What is between an object and what it should be."""

    ABSENT = "it is not there"
    OUTDATED = "what is declared has changed since it was applied"
    CHANGED = "somebody else changed it"


@dataclass(frozen=True)
class Drift:
    """An object that must be applied (again). fields: that somebody else changed, as dotted paths."""

    difference: Difference
    fields: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """A clause for people."""
        if not self.fields:
            return self.difference.value
        more = len(self.fields) - _SHOWN
        return f"{self.difference.value}: {', '.join(self.fields[:_SHOWN])}{f' and {more} more' if more > 0 else ''}"


def stamped(wanted: Object) -> Object:
    """The object as it is applied: with the digest of all the rest of it."""
    text = json.dumps(wanted, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    described = wanted["metadata"]
    return wanted | {"metadata": described | {"annotations": described.get("annotations", {}) | {APPLIED: digest}}}


def of(wanted: Object, live: Object | None) -> Drift | None:
    """Why the live object must be applied; None for one that is as it was applied.

    wanted: as `stamped` gave it. live: as the API server has it, managed fields and all; None where there is none.
    """
    if live is None:
        return Drift(Difference.ABSENT)
    described = live["metadata"]
    if described.get("annotations", {}).get(APPLIED) != wanted["metadata"]["annotations"][APPLIED]:
        return Drift(Difference.OUTDATED)
    lost = tuple(_lost(_ownable(wanted), _owned(described.get("managedFields", [])), ""))
    return Drift(Difference.CHANGED, lost) if lost else None


def _ownable(wanted: Object) -> Object:
    content = {key: value for key, value in wanted.items() if key not in ("apiVersion", "kind")}
    described = {key: value for key, value in wanted["metadata"].items() if key not in _NAMED}
    return content | {"metadata": described}


def _owned(entries: list[Object]) -> Object | None:
    """What we own by having applied it; None where we never have."""
    for entry in entries:
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) == (MANAGER, "Apply", ""):
            fields: Object = entry["fieldsV1"]
            return fields
    return None


def _lost(wanted: Any, owned: Object | None, path: str) -> Iterator[str]:
    """The paths of what is wanted and not owned.

    owned: a node of `fieldsV1`: `f:` and a name for a field, `k:` and its keys for an item of a list that has keys,
    `v:` and its value for one of a set; without any, all that is below is owned as one.
    """
    if owned is None:
        yield path or "all of it"
    elif not owned:
        return
    elif isinstance(wanted, dict):
        for name, value in wanted.items():
            node = owned.get(f"f:{name}")
            # Most fields are owned as one: what is below is looked into only where it may be lost.
            if node is None or node:
                yield from _lost(value, node, f"{path}.{name}" if path else name)
    elif isinstance(wanted, list):
        by_keys = {_keys(name): node for name, node in owned.items() if name.startswith("k:")}
        for item in wanted:
            name, node = _item(item, by_keys) if by_keys else (str(item), owned.get(f"v:{json.dumps(item)}"))
            yield from _lost(item, node, f"{path}[{name}]")


def _item(item: Object, by_keys: dict[_Keys, Object]) -> tuple[str, Object | None]:
    """What the item of a list with keys is called, and its node.

    A server that defaults a part of the keys, such as the protocol of a port, has more in the node than is applied.
    """
    names = [key for key, _ in next(iter(by_keys))]
    given = tuple((key, item[key]) for key in names if key in item)
    node = by_keys.get(given)
    if node is None:
        node = next((found for keys, found in by_keys.items() if set(given) <= set(keys)), None)
    return ",".join(str(value) for _, value in given), node


_Keys = tuple[tuple[str, Any], ...]


@functools.lru_cache(maxsize=4096)
def _keys(name: str) -> _Keys:
    """The keys of an item and their values, from its node's name. A server writes them in one order for all."""
    return tuple(json.loads(name[2:]).items())
