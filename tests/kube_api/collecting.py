"""What a controller manager clears away: dependents of owners that are gone, and what is in dying namespaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kube_api.calls import Call
from kube_api.requests import Object
from kube_api.resources import Resource
from kube_api.store import Store, Stored
from kube_api.writing import Writer

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def collect(store: Store, writer: Writer, served: Iterable[Resource], now_s: float) -> bool:
    """One round. Whether anything changed: then another may be due."""
    by_storage = {resource.storage: resource for resource in served}
    before = store.revision
    alive = {stored.object["metadata"]["uid"]: stored for _, stored in store.everything()}
    for storage, stored in store.everything():
        metadata = stored.object["metadata"]
        if store.get(storage, stored.key) is not stored or storage not in by_storage:
            continue
        call = Call(by_storage[storage], *stored.key, "", "garbage-collector", now_s)
        if _abandoned(stored, alive):
            if "deletionTimestamp" not in metadata:
                writer.delete(call, {})
        elif ORPHAN in metadata.get("finalizers", ()):
            for dependent_storage, dependent in store.everything():
                if dependent_storage in by_storage and _owned_by(dependent.object, metadata["uid"]):
                    served_as = by_storage[dependent_storage]
                    _disown(writer, replace(call, resource=served_as), dependent, metadata["uid"])
            _finish(writer, call, stored, ORPHAN)
        elif FOREGROUND in metadata.get("finalizers", ()):
            _foreground(store, writer, by_storage, call, stored, now_s)
        elif call.resource.kind == "Namespace" and "deletionTimestamp" in metadata:
            _empty(store, writer, by_storage, stored, now_s)
    return store.revision != before


def _abandoned(stored: Stored, alive: dict[str, Stored]) -> bool:
    """All its owners are gone."""
    owners = stored.object["metadata"].get("ownerReferences", ())
    return bool(owners) and not any(owner["uid"] in alive for owner in owners)


def _owned_by(found: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences", ()))


def _foreground(
    store: Store, writer: Writer, by_storage: dict[str, Resource], call: Call, owner: Stored, now_s: float
) -> None:
    uid = owner.object["metadata"]["uid"]
    blocking = False
    for storage, stored in store.everything():
        if _owned_by(stored.object, uid) and storage in by_storage:
            writer.delete(Call(by_storage[storage], *stored.key, "", "garbage-collector", now_s), {})
            blocking |= store.get(storage, stored.key) is not None
    if not blocking:
        _finish(writer, call, owner, FOREGROUND)


def _finish(writer: Writer, call: Call, stored: Stored, finalizer: str) -> None:
    left = [name for name in stored.object["metadata"]["finalizers"] if name != finalizer]
    writer.merge(call, {"metadata": {"finalizers": left or None}})


def _disown(writer: Writer, call: Call, stored: Stored, uid: str) -> None:
    namespace, name = stored.key
    left = [owner for owner in stored.object["metadata"]["ownerReferences"] if owner["uid"] != uid]
    writer.merge(replace(call, namespace=namespace, name=name), {"metadata": {"ownerReferences": left or None}})


def _empty(store: Store, writer: Writer, by_storage: dict[str, Resource], namespace: Stored, now_s: float) -> None:
    inside = [(s, o) for s, o in store.everything() if o.key[0] == namespace.key[1] and s in by_storage]
    for storage, stored in inside:
        writer.delete(
            Call(by_storage[storage], *stored.key, "", "namespace-controller", now_s), {"gracePeriodSeconds": 0}
        )
    if not inside:
        store.remove("namespaces.", namespace.key)
