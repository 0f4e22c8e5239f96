"""What the route of a fleet remembers of its routing: an annotation beside the weights, written by the same patch.

It is the truth about `Applied`. Weights of pools that share a target group are told apart nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import pydantic
from pydantic import Field

from holdfast.control.observation import MAX_WEIGHT, Applied
from holdfast.kube.kinds import Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import grouping, ingress
from holdfast.model import instants
from holdfast.model.errors import InputError
from holdfast.model.pools import RoutingMode

ROUTING = "holdfast.dev/routing"


@dataclass(frozen=True)
class Record:
    """The routing in force, and in which term of office (`kube.leases`) it was written.

    stood: whether the fleet has had all replicas that its traffic needs, once since its route was made.
    """

    applied: Applied
    term: int
    stood: bool = True


class _Written(pydantic.BaseModel):
    """The annotation's JSON. Keys that only a later version knows are passed over."""

    weights: dict[str, Annotated[int, Field(strict=True, ge=0, le=MAX_WEIGHT)]]
    mode: RoutingMode
    mode_since: Annotated[str, Field(alias="modeSince")]
    last_shift: Annotated[str, Field(alias="lastShift")]
    term: Annotated[int, Field(strict=True, ge=0)]
    stood: Annotated[bool, Field(strict=True)]


def text(record: Record) -> str:
    """The annotation; the same record gives the same text."""
    applied = record.applied
    written = {
        "weights": dict(sorted(applied.weights.items())),
        "mode": applied.mode.value,
        "modeSince": instants.rfc3339(applied.mode_since_s),
        "lastShift": instants.rfc3339(applied.last_shift_s),
        "term": record.term,
        "stood": record.stood,
    }
    return json.dumps(written, ensure_ascii=False)


def read(route: Object | None) -> Record | None:
    """The record on the route; None where there is no route, no annotation, or nonsense in it: nobody knows."""
    found = None if route is None else route["metadata"].get("annotations", {}).get(ROUTING)
    if found is None:
        return None
    try:
        written = _Written.model_validate_json(found)
        since_s, shift_s = instants.unix_s(written.mode_since), instants.unix_s(written.last_shift)
    except (pydantic.ValidationError, InputError):
        return None
    return Record(Applied(written.weights, written.mode, since_s, shift_s), written.term, written.stood)


def weights_of(route: Object, placed: Sequence[Placement]) -> dict[str, int] | None:
    """The weights by pool that the route itself has; None where they are not there to be read, or all 0.

    Pools of one target group share its weight in proportion to the plan's, the rest with the cheapest.
    """
    by_service = _by_service(route)
    if by_service is None:
        return None
    found: dict[str, int] = {}
    for group in grouping.groups(placed):
        weight = by_service.get(grouping.service(group), 0)
        whole = sum(member.pool.weight for member in group)
        shares = {member.unit.name: weight * member.pool.weight // whole if whole else 0 for member in group}
        shares[group[0].unit.name] += weight - sum(shares.values())
        found |= shares
    return found if any(found.values()) else None


def services(route: Object) -> tuple[str, ...]:
    """Names of the Services that the route forwards to by weight."""
    return tuple(_by_service(route) or ())


def with_weights(route: Object, by_service: Mapping[str, int]) -> Object:
    """The route with the weights of its Services changed to these, 0 for others."""
    if route["kind"] == "HTTPRoute":
        first, *rest = route["spec"]["rules"]
        backends = [one | {"weight": by_service.get(one["name"], 0)} for one in first["backendRefs"]]
        return route | {"spec": route["spec"] | {"rules": [first | {"backendRefs": backends}, *rest]}}
    annotations = route["metadata"]["annotations"]
    action = json.loads(annotations[ingress.FORWARDS])
    for group in action["forwardConfig"]["targetGroups"]:
        group["weight"] = by_service.get(group["serviceName"], 0)
    described = route["metadata"] | {"annotations": annotations | {ingress.FORWARDS: json.dumps(action)}}
    return route | {"metadata": described}


class _Forwarded(pydantic.BaseModel):
    """A target group of an Ingress' action, or a backend of an HTTPRoute's rule."""

    service: Annotated[str, Field(validation_alias=pydantic.AliasChoices("serviceName", "name"))]
    weight: Annotated[int, Field(strict=True, ge=0, le=MAX_WEIGHT)]


class _Forwards(pydantic.BaseModel):
    targets: Annotated[list[_Forwarded], Field(validation_alias=pydantic.AliasPath("forwardConfig", "targetGroups"))]


class _Rules(pydantic.BaseModel):
    targets: Annotated[list[_Forwarded], Field(validation_alias=pydantic.AliasPath("rules", 0, "backendRefs"))]


def _by_service(route: Object) -> dict[str, int] | None:
    try:
        if route["kind"] == "HTTPRoute":
            targets = _Rules.model_validate(route.get("spec")).targets
        else:
            targets = _Forwards.model_validate_json(
                route["metadata"].get("annotations", {}).get(ingress.FORWARDS, "")
            ).targets
    except pydantic.ValidationError:
        return None
    return {target.service: target.weight for target in targets}
