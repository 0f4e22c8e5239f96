"""What of stored objects a request wants, and how they are shown."""

from __future__ import annotations

import base64

from kube_api import selectors, writing
from kube_api.requests import Answer, Object, Request, encoded
from kube_api.resources import Resource
from kube_api.selectors import Wanted
from kube_api.store import Stored


def listed(resource: Resource, found: list[Stored], metadata: Object) -> Answer:
    head = encoded({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata})
    items = b",".join(item_view(resource, stored) for stored in found)
    return Answer(200, head[:-1] + b',"items":[' + items + b"]}")


def wanted(request: Request, resource: Resource) -> Wanted:
    by_label = selectors.labels(request.query.get("labelSelector", ""))
    by_field = selectors.fields(request.query.get("fieldSelector", ""), resource.selectable)
    if by_field is selectors.everything:
        return by_label
    return lambda found: by_label(found) and by_field(resource.shown(found))


def is_token(text: str) -> bool:
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.urlsafe_b64decode(padded).startswith(b"page/")
    except ValueError:
        return False


def options(request: Request) -> Object:
    found: Object = writing.read_body(request)
    for name in ("propagationPolicy", "gracePeriodSeconds"):
        if name in request.query:
            found[name] = request.query[name]
    return found


def view(resource: Resource, stored: Stored) -> bytes:
    """As the API shows a stored object."""
    shown = resource.shown(stored.object)
    if shown["apiVersion"] != resource.api_version:
        shown = {**shown, "apiVersion": resource.api_version}
    return stored.json if shown is stored.object else encoded(shown)


def item_view(resource: Resource, stored: Stored) -> bytes:
    """In a list: those of built-in kinds do not say their kind again."""
    if not resource.typed:
        return view(resource, stored)
    shown = resource.shown(stored.object)
    return (stored if shown is stored.object else Stored(shown, stored.revision)).bare_json
