"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kube_api.requests import Object, bad_request

Wanted = Callable[[Object], bool]
_TERM = re.compile(r"^\s*(?:(!)\s*)?([\w./-]+)\s*(?:(==|=|!=)\s*([\w.-]*)|(in|notin)\s*\(([^)]*)\))?\s*$")


def everything(found: Object) -> bool:
    return True


def labels(text: str) -> Wanted:
    """Raises Refusal for what is no selector."""
    terms = [_label_term(term) for term in re.split(r",(?![^(]*\))", text)] if text.strip() else []
    if not terms:
        return everything
    return lambda found: all(term(found["metadata"].get("labels") or {}) for term in terms)


def _label_term(text: str) -> Callable[[Mapping[str, str]], bool]:
    match = _TERM.match(text)
    if match is None:
        raise bad_request(f"unable to parse requirement: found '{text.strip()}', expected: identifier")
    absent, key, operator, value, among, values = match.groups()
    if absent:
        return lambda labels: key not in labels
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if operator:
        return lambda labels: labels.get(key) == value
    if among:
        listed = {part.strip() for part in values.split(",")}
        return lambda labels: (key in labels and labels[key] in listed) is (among == "in")
    return lambda labels: key in labels


def fields(text: str, selectable: tuple[str, ...]) -> Wanted:
    """`metadata.name` and `metadata.namespace`, and what the resource has beside. Raises Refusal."""
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.match(r"^([\w.\[\]]+)(==|=|!=)(.*)$", part)
        if match is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, operator, value = match.groups()
        if path not in ("metadata.name", "metadata.namespace", *selectable):
            if selectable:
                raise bad_request(f"field label not supported: {path}")
            known = '"metadata.name", "metadata.namespace"'
            raise bad_request(f'"{path}" is not a known field selector: only {known}')
        terms.append((path, operator != "!=", value))
    if not terms:
        return everything
    return lambda found: all((_text(at(found, path)) == value) is wanted for path, wanted, value in terms)


def at(found: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
