"""What a new tree changes of one that is there, object by object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.manifests import yaml
from holdfast.manifests.checks import reading
from holdfast.manifests.checks.objects import Found
from holdfast.model.changes import Change, Field, How

_Key = tuple[str, str, str, str, int]
"""Kind, namespace, name, group, and how many files before have it too."""


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """Objects that `new` adds, removes and changes, of the files by path; files that hold no object are compared whole.

    An object is known by kind, namespace and name, whatever file it stands in; one that stands in several is compared
    in each, in their order. Order of keys and comments do not count.
    """
    before, after = _objects(old), _objects(new)
    found = [_change(key, before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())]
    others = [_file(path, old.get(path), new.get(path)) for path in sorted(_others(old) | _others(new))]
    return tuple(change for change in (*found, *others) if change is not None)


def _objects(files: Mapping[str, str]) -> dict[_Key, Found]:
    """All objects and Kustomizations by what singles them out; a Kustomization has its file for a name."""
    found: dict[_Key, Found] = {}
    times = Counter[tuple[str, ...]]()
    for one in sorted(_whole(files), key=lambda one: one.file):
        known = (one.kind, one.namespace, one.name or one.file, one.group)
        found[*known, times[known]] = one
        times[known] += 1
    return found


def _whole(files: Mapping[str, str]) -> list[Found]:
    parts = reading.parts(files)
    return [found for found in reading.documents(files) if found.file not in parts]


def _others(files: Mapping[str, str]) -> set[str]:
    return set(files) - {found.file for found in _whole(files)}


def _change(key: _Key, old: Found | None, new: Found | None) -> Change | None:
    there = new or old
    if there is None:
        return None
    kind, namespace, name, *_ = key
    if old is None or new is None:
        return Change(kind, namespace, name, there.file, How.ADDED if old is None else How.REMOVED, ())
    fields = tuple(_fields(old.body, new.body, ()))
    return Change(kind, namespace, name, new.file, How.CHANGED, fields) if fields else None


def _file(path: str, old: str | None, new: str | None) -> Change | None:
    if old == new:
        return None
    how = How.ADDED if old is None else How.REMOVED if new is None else How.CHANGED
    return Change("File", "", path, path, how, ())


def _fields(old: Any, new: Any, path: yaml.Path) -> Iterator[Field]:
    """The fields that differ; of lists whose entries have names or keys, entry by entry."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys(), key=str):
            yield from _part(old, new, key, path)
    elif isinstance(old, list) and isinstance(new, list):
        by_name = _named(old), _named(new)
        if by_name[0] is not None and by_name[1] is not None:
            yield from _fields(by_name[0], by_name[1], path)
        elif len(old) == len(new) and not all(isinstance(part, str | int | float | bool) for part in (*old, *new)):
            for index, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from _fields(one, other, (*path, index))
        elif old != new:
            yield Field(_plain(path), old, new)
    elif old != new or type(old) is not type(new):
        yield Field(_plain(path), old, new)


def _part(old: dict[str, Any], new: dict[str, Any], key: str, path: yaml.Path) -> Iterator[Field]:
    if key not in old or key not in new:
        yield Field(_plain((*path, key)), old.get(key), new.get(key))
    else:
        yield from _fields(old[key], new[key], (*path, key))


def _named(entries: list[Any]) -> dict[str, Any] | None:
    """Entries by their name or key, where all have one of their own."""
    for field in ("name", "key", "containerPort"):
        names = [f"[{entry[field]}]" for entry in entries if isinstance(entry, dict) and field in entry]
        if names and len(names) == len(entries) == len(set(names)):
            return dict(zip(names, entries, strict=True))
    return {} if not entries else None


def _plain(path: yaml.Path) -> str:
    """The path as people write it: `spec.triggers[0].metadata.threshold`, `containers[server].image`."""
    parts = [f"[{part}]" if isinstance(part, int) else part if part.startswith("[") else f".{part}" for part in path]
    return "".join(parts).lstrip(".")
