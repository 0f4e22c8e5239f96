"""What objects of all kinds say of themselves: conditions, when they were made, when an Event last happened.

Everything optional may be missing or null.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.kube.kinds import Object
from holdfast.model import instants


def condition(found: Object, name: str) -> Object:
    """The condition of that type; empty where there is none."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == name), {})


def known_s(text: object) -> float | None:
    """The Unix seconds of a field that may be absent or null."""
    return instants.unix_s(text) if isinstance(text, str) and text else None


def labels_of(found: Object) -> Mapping[str, str]:
    return (found.get("metadata") or {}).get("labels") or {}


def annotations_of(found: Object) -> Mapping[str, str]:
    return (found.get("metadata") or {}).get("annotations") or {}


def is_going(found: Object) -> bool:
    """Whether it is being deleted."""
    return bool((found.get("metadata") or {}).get("deletionTimestamp"))


def created_s(found: Object) -> float | None:
    return known_s((found.get("metadata") or {}).get("creationTimestamp"))


def began_s(event: Object) -> float | None:
    """When an Event of events.k8s.io first happened, Unix seconds; None for one without any time."""
    said = (known_s(event.get("eventTime")), known_s(event.get("deprecatedFirstTimestamp")))
    return min((moment for moment in said if moment is not None), default=created_s(event))


def happened_s(event: Object) -> float | None:
    """When an Event of events.k8s.io last happened, Unix seconds; None for one without any time.

    Whoever writes core/v1 Events, as Karpenter and the Cluster Autoscaler do, has his times read under `deprecated…`,
    in whole seconds; eventTime is null then.
    """
    series = event.get("series") or {}
    said = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
    moments = [moment for moment in map(known_s, said) if moment is not None]
    return max(moments, default=known_s(event.get("deprecatedFirstTimestamp")) or created_s(event))
