"""Merging: by server-side apply (lists by their keys), and by JSON merge patch (RFC 7396)."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from kube_api import fields
from kube_api.fields import FieldPath
from kube_api.shapes import Form, Shape


def patched(value: Any, patch: Any) -> Any:
    """RFC 7396: null takes a field away, lists are replaced whole."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, inner in patch.items():
        if inner is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), inner)
    return result


def applied(live: Any, config: Any, shape: Shape) -> Any:
    """`config` over `live`; what is only in `live` stays."""
    if live is None or config is None or shape.form is Form.ATOM:
        return config
    if isinstance(config, dict) and isinstance(live, dict):
        return {
            **live,
            **{name: applied(live.get(name), inner, shape.child(name)) for name, inner in config.items()},
        }
    if shape.form in (Form.KEYED, Form.SET) and isinstance(config, list) and isinstance(live, list):
        return _interleaved(live, config, shape)
    return config


def _interleaved(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    """The order of `config`; items that are only in `live` keep their place before what followed them there."""
    old, new = fields.by_element(live, shape), fields.by_element(config, shape)
    olds, news = list(old), list(new)
    result: list[Any] = []
    merged: set[str] = set()
    i = j = 0
    while i < len(olds) or j < len(news):
        if i < len(olds) and j < len(news) and olds[i] == news[j]:
            result.append(applied(old[olds[i]], new[news[j]], shape.items))
            i, j = i + 1, j + 1
        elif i < len(olds) and olds[i] not in new:
            result.append(old[olds[i]])
            i += 1
        elif i < len(olds) and olds[i] in merged:
            i += 1
        else:
            result.append(applied(old.get(news[j]), new[news[j]], shape.items))
            merged.add(news[j])
            j += 1
    return result


def without(value: Any, paths: Set[FieldPath], shape: Shape, path: FieldPath = ()) -> Any:
    """The value without what is at these paths, and all below them."""
    if not any(p[: len(path)] == path for p in paths) or shape.form is Form.ATOM:
        return value
    if isinstance(value, dict):
        kept = {}
        for name, inner in value.items():
            below = (*path, f"f:{name}")
            if below not in paths:
                kept[name] = without(inner, paths, shape.child(name), below)
        return kept
    if isinstance(value, list) and shape.form in (Form.KEYED, Form.SET):
        below_all = [(item, (*path, fields.element(item, shape))) for item in value]
        return [without(item, paths, shape.items, below) for item, below in below_all if below not in paths]
    return value


def strategic(value: Any, patch: Any, shape: Shape) -> Any:
    """Strategic merge patch, as kubectl sends it: lists are merged by keys, `$patch: delete` takes an item out.

    Directives other than that one are not modelled; lists of scalars are replaced.
    """
    if isinstance(patch, dict):
        result = dict(value) if isinstance(value, dict) else {}
        for name, inner in patch.items():
            if inner is None:
                result.pop(name, None)
            elif not name.startswith("$"):
                result[name] = strategic(result.get(name), inner, shape.child(name))
        return result
    if isinstance(patch, list) and shape.form is Form.KEYED:
        items = fields.by_element(value, shape)
        for item in patch:
            key = fields.element(item, shape)
            if item.get("$patch") == "delete":
                items.pop(key, None)
            else:
                items[key] = strategic(items.get(key), item, shape.items)
        return list(items.values())
    return patch
