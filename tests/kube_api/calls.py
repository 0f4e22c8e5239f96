"""A write as it was asked for, what came of it, and how a body that cannot be read is refused."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from kube_api import requests
from kube_api.requests import Cause, Refusal
from kube_api.resources import Resource
from kube_api.store import Stored


def rfc3339(now_s: float) -> str:
    return datetime.datetime.fromtimestamp(int(now_s), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Call:
    """A write: of what, by whom, how strictly."""

    resource: Resource
    namespace: str
    name: str
    subresource: str
    manager: str
    now_s: float
    dry_run: bool = False
    strict: bool = False

    @property
    def refusal_names(self) -> tuple[str, str, str]:
        return self.resource.group, self.resource.plural, self.name


@dataclass(frozen=True)
class Written:
    """stored: as the client is shown it. created, removed: what happened beside a change of it."""

    stored: Stored
    created: bool = False
    removed: bool = False
    warnings: tuple[str, ...] = ()


def unknown(call: Call, unknown: list[str], *, patched: bool) -> Refusal:
    """What strict validation says."""
    kind, version = call.resource.kind, call.resource.version
    text = "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)
    if patched:
        return requests.invalid("", "", "", [Cause("patch", f"Invalid value: the patched object: {text}")])
    return requests.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {text}')


def unreadable(call: Call, path: str, *, patched: bool) -> Refusal:
    """A value of the wrong type: Go says it in its own way, of which this is the sense."""
    kind, version = call.resource.kind, call.resource.version
    text = f"json: cannot unmarshal into Go struct field {path}"
    if patched:
        return requests.invalid("", "", "", [Cause("patch", f"Invalid value: the patched object: {text}")])
    return requests.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {text}')


def undeclared(call: Call, namespace: str, unknown: list[str]) -> Refusal:
    resource = call.resource
    text = ", ".join(f".{path}: field not declared in schema" for path in unknown)
    what = f"{namespace}/{call.name}; {resource.group}/{resource.version}, Kind={resource.kind}"
    return Refusal(500, "", f"failed to create typed patch object ({what}): {text}")
