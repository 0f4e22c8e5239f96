"""ListenerRuleConfiguration: authentication of a route, for Gateway API on an ALB."""

from __future__ import annotations

from holdfast.manifests import metadata, names
from holdfast.manifests.manifest import BASE, Manifest, Object
from holdfast.manifests.routing import authentication
from holdfast.manifests.routing.edge import checked
from holdfast.model.plan import Plan


def manifests(plan: Plan) -> tuple[Manifest, ...]:
    """What the route's rule does before it forwards; nothing where everyone is let in."""
    action = _action(plan)
    if action is None:
        return ()
    rule = {
        "apiVersion": "gateway.k8s.aws/v1",
        "kind": "ListenerRuleConfiguration",
        "metadata": metadata.of_fleet(plan, _name(plan)),
        "spec": {"actions": [action]},
    }
    return (Manifest(f"{BASE}/listener-rule.yaml", rule),)


def filters(plan: Plan) -> list[Object]:
    """The filters by which the route's rule refers to it."""
    if _action(plan) is None:
        return []
    reference = {"group": "gateway.k8s.aws", "kind": "ListenerRuleConfiguration", "name": _name(plan)}
    return [{"type": "ExtensionRef", "extensionRef": reference}]


def _action(plan: Plan) -> Object | None:
    asked = checked(plan.fleet.spec.cluster.edge).authentication
    return None if asked is None else authentication.of_rule(asked)


def _name(plan: Plan) -> str:
    return names.label(plan.fleet.metadata.name)
