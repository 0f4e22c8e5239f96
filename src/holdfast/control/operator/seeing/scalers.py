"""Which scalers of a fleet say of themselves that they cannot scale.

Replicas are theirs to make: while one cannot, what a decision asks for is not there, and load brings none.

- A ScaledObject whose condition Ready is False, as when a trigger of it is wrong
  (github.com/kedacore/keda, apis/keda/v1alpha1/condition_types.go).
- A HorizontalPodAutoscaler whose AbleToScale or ScalingActive is False, as when a metric cannot be read; but for one
  that is disabled because its target has no replicas (k8s.io/kubernetes, pkg/controller/podautoscaler/horizontal.go).
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.control.operator.seeing import stamps
from holdfast.control.operator.seeing.seen import Seen
from holdfast.kube.kinds import Object

_SCALED_OBJECT = "ScaledObject"
_AT_ZERO = "ScalingDisabled"


def troubles(seen: Seen) -> tuple[str, ...]:
    """A clause for each, without its full stop."""
    return tuple(_of_scaled_objects(seen)) + tuple(_of_autoscalers(seen))


def _of_scaled_objects(seen: Seen) -> Iterator[str]:
    for (kind, name), found in sorted(seen.managed.items()):
        ready = stamps.condition(found, "Ready")
        if kind == _SCALED_OBJECT and ready.get("status") == "False":
            yield f"{kind} {name} does not scale: {_why(ready)}"


def _of_autoscalers(seen: Seen) -> Iterator[str]:
    for name, found in sorted(seen.autoscalers.items()):
        for said in (stamps.condition(found, "AbleToScale"), stamps.condition(found, "ScalingActive")):
            if said.get("status") == "False" and said.get("reason") != _AT_ZERO:
                yield f"HorizontalPodAutoscaler {name} does not scale: {_why(said)}"


def _why(condition: Object) -> str:
    return str(condition.get("message") or condition.get("reason") or "it does not say why").rstrip(".")
