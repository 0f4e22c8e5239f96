"""What an ALB is told of target groups and listeners, by annotations of the AWS Load Balancer Controller (3.5)."""

from __future__ import annotations

import json
from typing import Any

from holdfast.manifests.checks.keda import figure
from holdfast.manifests.checks.objects import Found, Mapping, items, mapping, text
from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.yaml import Path

PREFIX = "alb.ingress.kubernetes.io/"
DEFAULT_DELAY_S = 300
"""An ALB's deregistration delay where none is stated (docs.aws.amazon.com, "Edit target group attributes")."""


def annotation(key: str) -> Path:
    return ("metadata", "annotations", f"{PREFIX}{key}")


def is_alb(ingress: Found) -> bool:
    """Whether an Ingress is the controller's: by its class, or by any of its annotations."""
    name = text(ingress.body, "spec", "ingressClassName") or text(ingress.annotations, "kubernetes.io/ingress.class")
    return name == "alb" or any(key.startswith(PREFIX) for key in ingress.annotations)


def pairs(value: Any) -> dict[str, str]:
    """`a=1,b=2` as a mapping."""
    parts = [part.partition("=") for part in value.split(",")] if isinstance(value, str) else []
    return {key.strip(): worth.strip() for key, _, worth in parts if key.strip()}


def read_json(value: Any) -> Any:
    """The JSON in an annotation; None when it is none."""
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def target_group(tree: Tree, service: Found) -> dict[str, str]:
    """Attributes of a Service's target group: of its TargetGroupConfiguration, the Ingresses over it, or its own."""
    found: dict[str, str] = {}
    for ingress in tree.of("Ingress"):
        if ingress.namespace == service.namespace and service.name in json.dumps(mapping(ingress.body)):
            found |= pairs(ingress.annotations.get(f"{PREFIX}target-group-attributes"))
    found |= pairs(service.annotations.get(f"{PREFIX}target-group-attributes"))
    for configuration in configurations(tree, service.namespace, service.name):
        for attribute in items(configuration.body, "spec", "defaultConfiguration", "targetGroupAttributes"):
            found[text(attribute, "key")] = text(attribute, "value")
    return found


def deregistration_delay_s(tree: Tree, service: Found) -> float:
    stated = target_group(tree, service).get("deregistration_delay.timeout_seconds")
    delay_s = figure(stated)
    return DEFAULT_DELAY_S if delay_s is None else delay_s


def configurations(tree: Tree, namespace: str, service: str) -> list[Found]:
    """The TargetGroupConfigurations of a Service."""
    return [
        found
        for found in tree.of("TargetGroupConfiguration")
        if found.namespace == namespace
        and text(found.body, "spec", "targetReference", "name") == service
        and (text(found.body, "spec", "targetReference", "kind") or "Service") == "Service"
    ]


def behind_load_balancer(tree: Tree) -> list[Found]:
    """The Services that an ALB sends requests to: named by an Ingress of it, or by a route of Gateway API on it."""
    named: set[tuple[str, str]] = set()
    for ingress in tree.of("Ingress"):
        if is_alb(ingress):
            named |= {(ingress.namespace, name) for name in (*backends(ingress), *acted_on(ingress))}
    for service in tree.of("Service"):
        if configurations(tree, service.namespace, service.name):
            named.add((service.namespace, service.name))
    return [service for service in tree.of("Service") if (service.namespace, service.name) in named]


def backends(ingress: Found) -> list[str]:
    """The Services of an Ingress's rules; the names of actions too, which have no Service."""
    return [text(backend, "service", "name") for _, backend in rule_backends(ingress)]


def rule_backends(ingress: Found) -> list[tuple[Path, Mapping]]:
    found: list[tuple[Path, Mapping]] = []
    default = mapping(ingress.body, "spec", "defaultBackend")
    if default:
        found.append((("spec", "defaultBackend"), default))
    for index, rule in enumerate(items(ingress.body, "spec", "rules")):
        for number, path in enumerate(items(rule, "http", "paths")):
            where: Path = ("spec", "rules", index, "http", "paths", number, "backend")
            found.append((where, mapping(path, "backend")))
    return found


def actions(ingress: Found) -> dict[str, Any]:
    """The text of each `actions.NAME` annotation, by name."""
    begin = f"{PREFIX}actions."
    return {key.removeprefix(begin): value for key, value in ingress.annotations.items() if key.startswith(begin)}


def acted_on(ingress: Found) -> list[str]:
    """The Services that the actions of an Ingress forward to."""
    return [text(group, "serviceName") for value in actions(ingress).values() for group in groups(read_json(value))]


def groups(action: Any) -> list[Mapping]:
    """The target groups of an action's JSON; the controller takes its keys in camel and in Pascal case."""
    small = lower_first(action)
    found = [mapping(group) for group in items(small, "forwardConfig", "targetGroups")]
    return found or ([{"serviceName": small["serviceName"]}] if text(small, "serviceName") else [])


def lower_first(value: Any) -> Any:
    """`value` with the first letter of all keys in lower case."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: lower_first(part) for key, part in value.items()}
    if isinstance(value, list):
        return [lower_first(part) for part in value]
    return value
