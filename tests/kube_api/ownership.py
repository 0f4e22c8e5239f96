"""Who owns which fields of an object (`metadata.managedFields`), and server-side apply by it.

The rules are those of structured-merge-diff: an apply owns what it says; a change takes a field from whoever owned
it; what an apply no longer says goes, where nobody else owns it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kube_api import fields, merging
from kube_api.fields import Fields
from kube_api.requests import Object, Refusal
from kube_api.shapes import Shape

BEFORE_FIRST_APPLY = "before-first-apply"


@dataclass(frozen=True, order=True)
class Owner:
    """operation: `Apply` or `Update`. subresource: such as `status`."""

    operation: str
    manager: str
    api_version: str
    subresource: str = ""


@dataclass(frozen=True)
class Entry:
    fields: Fields
    time: str


Owners = dict[Owner, Entry]


def read(managed: list[Object]) -> Owners:
    return {
        Owner(entry["operation"], entry["manager"], entry["apiVersion"], entry.get("subresource", "")): Entry(
            fields.decode(entry.get("fieldsV1", {})), entry.get("time", "")
        )
        for entry in managed
    }


def written(owners: Mapping[Owner, Entry]) -> list[Object]:
    def order(item: tuple[Owner, Entry]) -> tuple[str, str, str, str, str]:
        owner, entry = item
        return owner.operation, entry.time, owner.manager, owner.api_version, owner.subresource

    return [
        {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.encode(entry.fields),
            **({"subresource": owner.subresource} if owner.subresource else {}),
        }
        for owner, entry in sorted(owners.items(), key=order)
        if entry.fields
    ]


def updated(owners: Owners, who: Owner, time: str, before: Object, after: Object, shape: Shape, keep: Fields) -> Owners:
    """After somebody wrote `after` over `before`, not by an apply. keep: what this write could not have changed."""
    change = fields.difference(before, after, shape)
    changed = frozenset(p for p in change.changed if not _below(p, keep))
    if not changed and not change.removed:
        return owners
    result = {
        owner: Entry(entry.fields - changed - change.removed, entry.time) if owner != who else entry
        for owner, entry in owners.items()
    }
    mine = owners[who].fields if who in owners else frozenset()
    owned = (mine - change.removed) | changed
    if owned != mine or who not in owners:
        result[who] = Entry(owned, time)
    return {owner: entry for owner, entry in result.items() if entry.fields}


def _below(path: fields.FieldPath, roots: Fields) -> bool:
    return any(path[: len(root)] == root for root in roots)


@dataclass(frozen=True)
class Applied:
    object: Object
    owners: Owners


def apply(live: Object, owners: Owners, config: Object, who: Owner, time: str, shape: Shape, *, force: bool) -> Applied:
    """`config` applied to `live`. Raises Refusal on a conflict."""
    said = fields.of(config, shape)
    before = owners[who].fields if who in owners else frozenset()
    merged = merging.applied(live, config, shape)
    others = {owner: entry for owner, entry in owners.items() if owner != who}
    if before:
        kept = _named(said.union(*(entry.fields for entry in others.values())))
        gone = {path for path in _named(before) if path not in kept and path not in fields.UNOWNED}
        merged = merging.without(merged, gone, shape)
    change = fields.difference(live, merged, shape)
    taken = {owner: entry.fields & change.changed for owner, entry in others.items()}
    if not force and any(taken.values()):
        raise _conflict({owner: paths for owner, paths in taken.items() if paths})
    result = {
        owner: Entry(left, entry.time)
        for owner, entry in others.items()
        if (left := entry.fields - taken[owner] - change.removed)
    }
    if said:
        result[who] = owners[who] if said == before else Entry(said, time)
    return Applied(merged, result)


def _named(paths: Fields) -> set[fields.FieldPath]:
    """These and the objects that they are in, down from the root; items of lists only where they are owned."""
    found = set(paths)
    for path in paths:
        found.update(path[:n] for n in range(1, len(path)) if path[n - 1].startswith("f:"))
    return found


def _conflict(taken: Mapping[Owner, Fields]) -> Refusal:
    causes = []
    lines = []
    for owner in sorted(taken, key=lambda owner: owner.manager):
        how = f' with subresource "{owner.subresource}"' if owner.subresource else ""
        using = f'"{owner.manager}"{how}' + (f" using {owner.api_version}" if owner.operation == "Update" else "")
        paths = sorted(fields.spoken(path) for path in taken[owner])
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {using}", "field": path} for path in paths
        ]
        lines.append((using, paths))
    count = len(causes)
    if count == 1:
        text = f"conflict with {lines[0][0]}: {lines[0][1][0]}"
    else:
        text = "\n".join(f"conflicts with {using}:\n" + "\n".join(f"- {p}" for p in paths) for using, paths in lines)
    message = f"Apply failed with {count} conflict{'s' * (count > 1)}: {text}"
    return Refusal(409, "Conflict", message, {"causes": causes})
