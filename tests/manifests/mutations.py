"""Mistakes, each put into a sound tree: a name, the stored tree it goes into, what is done, and the check that sees it.

`setup` makes sound objects that the tree may not have; the test holds that nothing is found before the mistake.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.manifests import yaml

GOLDEN = Path(__file__).parent / "golden"
ALB, GATEWAY, LLM_D, PILOT = "sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode"

Object = dict[str, Any]


class Tree:
    """The files of a stored tree; objects are taken out, changed in place, and written back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts = dict(_texts(name))
        self._objects = copy.deepcopy(_objects(name))

    @property
    def files(self) -> dict[str, str]:
        """The texts; of what was not changed, as they are stored."""
        changed = {path: value for path, value in self._objects.items() if value != _objects(self.name).get(path)}
        return self.texts | {path: yaml.dump(value) for path, value in changed.items()}

    def all(self, kind: str) -> list[Object]:
        return [found for found in self._objects.values() if found["kind"] == kind]

    def one(self, kind: str, name: str = "") -> Object:
        """The first object of the kind whose name contains `name`."""
        return next(found for found in self.all(kind) if name in found.get("metadata", {}).get("name", ""))

    def server(self, name: str = "") -> Object:
        """The pod spec of the first Deployment that serves on accelerators."""
        served = (
            found["spec"]["template"]["spec"]
            for found in self.all("Deployment")
            if name in found["metadata"]["name"] and devices(found["spec"]["template"]["spec"]["containers"][0])
        )
        return next(served)

    def add(self, path: str, value: Object) -> None:
        self._objects[f"base/{path}"] = value
        self._objects["base/kustomization.yaml"]["resources"].append(path)

    def action(self, change: Callable[[list[Object]], object]) -> None:
        """Changes the target groups of the Ingress's weighted action."""
        told = self.one("Ingress")["metadata"]["annotations"]
        key = next(key for key in told if "/actions." in key and "forwardConfig" in told[key])
        action = json.loads(told[key])
        change(action["forwardConfig"]["targetGroups"])
        told[key] = json.dumps(action)


@cache
def _texts(name: str) -> dict[str, str]:
    folder = GOLDEN / name
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8") for file in files}


@cache
def _objects(name: str) -> dict[str, Object]:
    """The objects of the base by their files."""
    return {
        path: document.value
        for path, text in _texts(name).items()
        if path.startswith("base/") and path.endswith(".yaml")
        for document in yaml.load_all(text)
    }


def devices(container: Object) -> list[str]:
    limits = container.get("resources", {}).get("limits", {})
    return [name for name in limits if name.startswith(("nvidia.com/", "aws.amazon.com/neuron"))]


@dataclass(frozen=True)
class Mutation:
    """One mistake."""

    name: str
    tree: str
    check: str
    mistake: Callable[[Tree], object]
    setup: Callable[[Tree], object] = lambda tree: None


def deployment(tree: Tree) -> Object:
    """The Deployment of the first server."""
    pod = tree.server()
    return next(found for found in tree.all("Deployment") if found["spec"]["template"]["spec"] is pod)


def scaled(tree: Tree) -> Object:
    """A ScaledObject on the first server, with a sound Prometheus trigger, instead of whatever scales it."""
    target = deployment(tree)["metadata"]
    trigger = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": "http://prometheus-operated.monitoring.svc:9090",
            "query": "sum(vllm:num_requests_waiting)",
            "threshold": "4",
        },
    }
    name, namespace = target["name"], target["namespace"]
    for scaler in (*tree.all("ScaledObject"), *tree.all("HorizontalPodAutoscaler")):
        if scaler["spec"]["scaleTargetRef"]["name"] == name:
            scaler.clear()
            scaler.update(_scaled_object(name, namespace, trigger))
            return scaler
    raise AssertionError("nothing scales the server")


def _scaled_object(name: str, namespace: str, trigger: Object) -> Object:
    down = {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicaCount": 1,
            "maxReplicaCount": 4,
            "fallback": {"failureThreshold": 3, "replicas": 2},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": down}},
            "triggers": [trigger],
        },
    }


def cloudwatch(tree: Tree) -> Object:
    """`scaled`, with a sound CloudWatch trigger: requests per minute."""
    found = scaled(tree)
    namespace = found["metadata"]["namespace"]
    found["spec"]["triggers"] = [
        {
            "type": "aws-cloudwatch",
            "metricType": "AverageValue",
            "authenticationRef": {"name": "by-pod-identity"},
            "metadata": {
                "namespace": "holdfast/fleet",
                "metricName": "Requests",
                "dimensionName": "Pool",
                "dimensionValue": "a",
                "targetMetricValue": "84",
                "minMetricValue": "0",
                "awsRegion": "us-west-2",
                "metricStat": "Sum",
                "metricStatPeriod": "60",
                "metricCollectionTime": "300",
                "metricEndTimeOffset": "60",
            },
        }
    ]
    identity = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": "by-pod-identity", "namespace": namespace},
        "spec": {"podIdentity": {"provider": "aws"}},
    }
    tree.add("by-pod-identity.yaml", identity)
    return found


def trigger(tree: Tree) -> Object:
    found: Object = next(one for one in tree.all("ScaledObject") if one["metadata"]["name"] == _name(tree))["spec"][
        "triggers"
    ][0]
    return found


def _name(tree: Tree) -> str:
    name: str = deployment(tree)["metadata"]["name"]
    return name


def metadata(**changed: object) -> Callable[[Tree], object]:
    """Changes a trigger's metadata; None takes a key out."""

    def change(tree: Tree) -> None:
        found = trigger(tree)["metadata"]
        found.update(changed)
        for key in [key for key, value in changed.items() if value is None]:
            del found[key]

    return change


def both(*changes: Callable[[Tree], object]) -> Callable[[Tree], object]:
    return lambda tree: [change(tree) for change in changes]


def put(kind: str, *path: str | int, value: object, name: str = "") -> Callable[[Tree], object]:
    """Sets a field of the first object of the kind."""
    return lambda tree: _put(tree.one(kind, name), path, value)


def take(kind: str, *path: str | int, name: str = "") -> Callable[[Tree], object]:
    """Takes a field away."""

    def change(tree: Tree) -> None:
        place: Any = tree.one(kind, name)
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]

    return change


def _put(place: Any, path: tuple[Any, ...], value: object) -> None:
    for part in path[:-1]:
        place = place[part] if isinstance(place, list) else place.setdefault(part, {})
    place[path[-1]] = value


def served(*path: str | int, value: object, name: str = "") -> Callable[[Tree], object]:
    """Sets a field of the first server's pod."""
    return lambda tree: _put(tree.server(name), path, value)


def container(tree: Tree, name: str = "") -> Object:
    found: Object = tree.server(name)["containers"][0]
    return found


def device(asked: str, name: str, *, requests: bool = True) -> Callable[[Tree], object]:
    """Lets the server of that name ask for another resource instead of its devices."""

    def change(tree: Tree) -> None:
        resources = container(tree, name)["resources"]
        for part in ("limits", "requests") if requests else ("requests",):
            for old in devices({"resources": {"limits": resources[part]}}):
                del resources[part][old]
            resources[part][asked] = "1"

    return change


def on_trn2(tree: Tree) -> None:
    """Moves the pool of trn1 to trn2."""
    pool = next(one for one in tree.all("NodePool") if "trn1" in json.dumps(one["spec"]))
    for requirement in pool["spec"]["template"]["spec"]["requirements"]:
        if requirement["key"] == "node.kubernetes.io/instance-type":
            requirement["values"] = ["trn2.48xlarge"]


def role(tree: Tree) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    found = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [rule]}
    tree.add("role.yaml", found | {"metadata": {"name": "reader", "namespace": "inference"}})


def inference_pool(tree: Tree) -> None:
    """A sound InferencePool over the first server."""
    found = deployment(tree)
    labels = found["spec"]["selector"]["matchLabels"]
    spec = {"selector": {"matchLabels": labels}, "targetPorts": [{"number": 8000}]}
    spec["endpointPickerRef"] = {"name": tree.all("Service")[0]["metadata"]["name"], "port": {"number": 9002}}
    pool = {"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool", "spec": spec}
    tree.add("pool.yaml", pool | {"metadata": {"name": "pool", "namespace": found["metadata"]["namespace"]}})


def claims(tree: Tree) -> None:
    request = {"name": "gpu", "deviceClassName": "gpu.nvidia.com"}
    found: Object = {"apiVersion": "resource.k8s.io/v1beta1", "kind": "ResourceClaimTemplate"}
    found |= {"spec": {"spec": {"devices": {"requests": [request]}}}, "metadata": {"name": "gpus", "namespace": "llm"}}
    tree.add("claims.yaml", found)


def artifacts(path: str) -> Callable[[Tree], object]:
    return lambda tree: container(tree, "inf2")["env"].append({"name": "NEURON_COMPILED_ARTIFACTS", "value": path})


def route(change: Callable[[list[Object]], object]) -> Callable[[Tree], object]:
    return lambda tree: change(_weighted(tree))


def _weighted(tree: Tree) -> list[Object]:
    rules = (rule for route in tree.all("HTTPRoute") for rule in route["spec"]["rules"])
    found: list[Object] = next(rule["backendRefs"] for rule in rules if len(rule.get("backendRefs", [])) > 1)
    return found


def hpa(tree: Tree) -> None:
    down = {"scaleDown": {"stabilizationWindowSeconds": 300}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": _name(tree)}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "behavior": down}
    found = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
    tree.add("hpa.yaml", found | {"metadata": {"name": "hpa", "namespace": deployment(tree)["metadata"]["namespace"]}})


def monitor(tree: Tree) -> None:
    """A second PodMonitor over all pods of the fleet."""
    labels = {"app.kubernetes.io/name": deployment(tree)["metadata"]["labels"]["app.kubernetes.io/name"]}
    spec = {"selector": {"matchLabels": labels}, "podMetricsEndpoints": [{"port": "http"}]}
    found = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "spec": spec}
    tree.add("all.yaml", found | {"metadata": {"name": "all", "namespace": deployment(tree)["metadata"]["namespace"]}})


def rule(query: str) -> Callable[[Tree], object]:
    """A recording rule."""
    spec = {"groups": [{"name": "g", "rules": [{"record": "r", "expr": query}]}]}
    found = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "spec": spec}
    return lambda tree: tree.add("rules.yaml", found | {"metadata": {"name": "more", "namespace": "llm"}})


def shared_selector(kind: str, *path: str) -> Callable[[Tree], object]:
    """Widens a pool's selector to the pods of the whole fleet."""

    def change(tree: Tree) -> None:
        place: Any = next(one for one in tree.all(kind) if one["metadata"]["name"] == _name(tree))
        for part in path:
            place = place[part]
        for key in [key for key in place if key != "app.kubernetes.io/name"]:
            del place[key]

    return change


def texts(path: str, change: Callable[[str], str]) -> Callable[[Tree], object]:
    """Changes the text of a file."""

    def write(tree: Tree) -> None:
        tree.texts[path] = change(tree.files[path])

    return write


def requirements(label: str, **changed: object) -> Callable[[Tree], object]:
    def change(tree: Tree) -> None:
        there = tree.one("NodePool")["spec"]["template"]["spec"]["requirements"]
        next(one for one in there if one["key"] == label).update(changed)

    return change


_INGRESS = ("metadata", "annotations")
_NODES = ("spec", "template", "spec")
_ANNOTATION = "alb.ingress.kubernetes.io/"


def rename_action(tree: Tree) -> None:
    told = tree.one("Ingress")["metadata"]["annotations"]
    key = next(key for key in told if "/actions." in key and "forwardConfig" in told[key])
    told[f"{_ANNOTATION}actions.all-pools"] = told.pop(key)


def instance_targets(tree: Tree) -> None:
    for found in (*tree.all("Ingress"), *tree.all("Service")):
        found["metadata"]["annotations"].pop(f"{_ANNOTATION}target-type", None)


def stick(tree: Tree) -> None:
    told = tree.one("Ingress")["metadata"]["annotations"]
    key = next(key for key in told if "/actions." in key and "forwardConfig" in told[key])
    action = json.loads(told[key])
    action["forwardConfig"]["targetGroupStickinessConfig"] = {"enabled": True, "durationSeconds": 3600}
    told[key] = json.dumps(action)


def drop(place: list[Any]) -> None:
    del place[:]


def table() -> Iterator[Mutation]:
    """All mistakes."""
    yield Mutation(
        "a 300 s period against a target per minute", ALB, "keda-window",
        metadata(metricStatPeriod="300"), cloudwatch,
    )  # fmt: skip
    yield Mutation("a period left to KEDA's default", ALB, "keda-window", metadata(metricStatPeriod=None), cloudwatch)
    yield Mutation("a datapoint that still fills", ALB, "keda-window", metadata(metricEndTimeOffset=None), cloudwatch)
    yield Mutation("a window that KEDA refuses", ALB, "keda-window", metadata(metricCollectionTime="90"), cloudwatch)
    yield Mutation("no minMetricValue", ALB, "keda-keys", metadata(minMetricValue=None), cloudwatch)
    yield Mutation(
        "no pod identity", ALB, "keda-identity", lambda tree: trigger(tree).pop("authenticationRef"), cloudwatch
    )
    yield Mutation("a string that must be quoted", GATEWAY, "keda-values", metadata(threshold=1.4), scaled)
    yield Mutation("a misspelt key", GATEWAY, "keda-keys", metadata(serverAdress="http://p:9090"), scaled)
    yield Mutation(
        "a share as percent", GATEWAY, "keda-metric",
        metadata(query="sum(vllm:kv_cache_usage_perc)", threshold="80"), scaled,
    )  # fmt: skip
    yield Mutation(
        "a percentile divided by replicas", GATEWAY, "keda-metric",
        metadata(query="histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))"),
        scaled,
    )  # fmt: skip
    yield Mutation("no most", GATEWAY, "keda-bounds", take("ScaledObject", "spec", "maxReplicaCount"), scaled)
    yield Mutation("no fallback", GATEWAY, "keda-bounds", take("ScaledObject", "spec", "fallback"), scaled)
    yield Mutation("no pace of going down", GATEWAY, "keda-bounds", take("ScaledObject", "spec", "advanced"), scaled)
    yield Mutation(
        "a scale target that is not there", GATEWAY, "scale-target",
        put("ScaledObject", "spec", "scaleTargetRef", "name", value="gone"), scaled,
    )  # fmt: skip
    yield Mutation("two scalers", GATEWAY, "scale-target", hpa, scaled)
    yield Mutation(
        "replicas that reset a scaler",
        ALB,
        "scale-target",
        lambda tree: _put(deployment(tree), ("spec", "replicas"), 2),
    )
    yield Mutation(
        "a sixth target group",
        ALB,
        "alb-weights",
        lambda tree: tree.action(lambda groups: groups.append(dict(groups[0]))),
    )
    yield Mutation(
        "a target group without weight",
        ALB,
        "alb-weights",
        lambda tree: tree.action(lambda groups: groups[0].pop("weight")),
    )
    yield Mutation(
        "a weight of 1000", ALB, "alb-weights", lambda tree: tree.action(lambda groups: groups[0].update(weight=1000))
    )
    yield Mutation("an action by another name", ALB, "alb-action", rename_action)
    yield Mutation(
        "an action to a Service that is not there", ALB, "alb-action",
        lambda tree: tree.action(lambda groups: groups[0].update(serviceName="gone")),
    )  # fmt: skip
    yield Mutation("stickiness", ALB, "alb-stickiness", stick)
    yield Mutation("the class as an annotation", ALB, "alb-class", both(
        take("Ingress", "spec", "ingressClassName"),
        put("Ingress", *_INGRESS, "kubernetes.io/ingress.class", value="alb"),
    ))  # fmt: skip
    yield Mutation(
        "plain HTTP from the internet", ALB, "alb-http",
        put("Ingress", *_INGRESS, f"{_ANNOTATION}listen-ports", value='[{"HTTP": 80}]'),
    )  # fmt: skip
    yield Mutation(
        "no readiness gates",
        ALB,
        "readiness-gate",
        take("Namespace", "metadata", "labels", "elbv2.k8s.aws/pod-readiness-gate-inject"),
    )
    yield Mutation("targets that are nodes", ALB, "alb-targets", instance_targets)
    yield Mutation(
        "a route's weight of 1000", GATEWAY, "gateway-weights", route(lambda refs: refs[0].update(weight=1000))
    )
    yield Mutation("a route to nowhere", GATEWAY, "gateway-references", route(lambda refs: refs[0].update(name="gone")))
    yield Mutation(
        "an InferencePool behind an ALB", GATEWAY, "gateway-references",
        route(lambda refs: refs[0].update(group="inference.networking.k8s.io", kind="InferencePool", name="pool")),
        inference_pool,
    )  # fmt: skip
    yield Mutation(
        "a route's targets that are nodes",
        GATEWAY,
        "gateway-targets",
        take("TargetGroupConfiguration", "spec", "defaultConfiguration", "targetType"),
    )
    yield Mutation(
        "kubelet on a NodePool", ALB, "karpenter-fields", put("NodePool", *_NODES, "kubelet", value={"maxPods": 20})
    )
    yield Mutation(
        "no consolidateAfter", ALB, "karpenter-fields", take("NodePool", "spec", "disruption", "consolidateAfter")
    )
    yield Mutation(
        "expireAfter where it was in v1beta1",
        ALB,
        "karpenter-fields",
        put("NodePool", "spec", "disruption", "expireAfter", value="720h"),
    )
    yield Mutation(
        "a nodeClassRef without group", ALB, "karpenter-class", take("NodePool", *_NODES, "nodeClassRef", "group")
    )
    yield Mutation(
        "a NodePool of v1beta1", ALB, "api-version", put("NodePool", "apiVersion", value="karpenter.sh/v1beta1")
    )
    yield Mutation(
        "an AMI that moves",
        ALB,
        "ami",
        put("EC2NodeClass", "spec", "amiSelectorTerms", 0, "alias", value="al2023@latest"),
    )
    yield Mutation(
        "reserved capacity that is not selected",
        ALB,
        "karpenter-requirements",
        requirements("karpenter.sh/capacity-type", values=["reserved"]),
    )
    yield Mutation(
        "Karpenter's label in Auto Mode", PILOT, "karpenter-requirements",
        both(
            put("NodePool", *_NODES, "nodeClassRef", "group", value="eks.amazonaws.com"),
            put("NodePool", *_NODES, "nodeClassRef", "kind", value="NodeClass"),
            requirements("karpenter.sh/capacity-type", key="karpenter.k8s.aws/instance-gpu-name", values=["l40s"]),
        ),
    )  # fmt: skip
    yield Mutation(
        "nodes without a taint",
        ALB,
        "taints",
        lambda tree: drop(tree.one("NodePool")["spec"]["template"]["spec"]["taints"]),
    )
    yield Mutation("a limit on CPU only", ALB, "pool-limits", put("NodePool", "spec", "limits", value={"cpu": "84"}))
    yield Mutation(
        "a probe that kills a loading model", ALB, "loading", lambda tree: container(tree).pop("startupProbe")
    )
    yield Mutation(
        "a minute to load", ALB, "loading", lambda tree: container(tree)["startupProbe"].update(failureThreshold=6)
    )
    yield Mutation(
        "a timeout longer than its period",
        ALB,
        "probes",
        lambda tree: container(tree)["readinessProbe"].update(timeoutSeconds=30),
    )
    yield Mutation(
        "a Deployment that selects two units",
        ALB,
        "selectors",
        shared_selector("Deployment", "spec", "selector", "matchLabels"),
    )
    yield Mutation(
        "a Service that selects two units", ALB, "split-pods", shared_selector("Service", "spec", "selector")
    )
    yield Mutation("two monitors of one pod", ALB, "overlap", monitor)
    yield Mutation(
        "a budget of no pods",
        ALB,
        "selects-pods",
        put("PodDisruptionBudget", "spec", "selector", "matchLabels", value={"app": "gone"}),
    )
    yield Mutation(
        "a budget that lets nobody go",
        ALB,
        "disruption-budget",
        put("PodDisruptionBudget", "spec", "maxUnavailable", value=0),
    )
    yield Mutation(
        "a hook shorter than the deregistration delay",
        ALB,
        "deregistration",
        lambda tree: container(tree)["lifecycle"].update(preStop={"sleep": {"seconds": 5}}),
    )
    yield Mutation(
        "a grace period shorter than the hook", ALB, "grace-period", served("terminationGracePeriodSeconds", value=30)
    )
    yield Mutation("a taint that is not tolerated", ALB, "tolerations", lambda tree: drop(tree.server()["tolerations"]))
    yield Mutation(
        "nodes that nobody brings",
        ALB,
        "node-selector",
        served("nodeSelector", value={"karpenter.sh/nodepool": "gone"}),
    )
    yield Mutation("GPUs on inf2", ALB, "devices", device("nvidia.com/gpu", "inf2"))
    yield Mutation("neuroncore on trn2", ALB, "devices", device("aws.amazon.com/neuroncore", "trn1"), on_trn2)
    yield Mutation(
        "a device requested and not limited",
        ALB,
        "devices",
        lambda tree: container(tree)["resources"]["requests"].update({"nvidia.com/gpu": "2"}),
    )
    yield Mutation(
        "more memory than the node has",
        ALB,
        "fits",
        lambda tree: [part.update(memory="64Gi") for part in container(tree)["resources"].values()],
    )
    yield Mutation(
        "an image that moves",
        ALB,
        "images",
        served("containers", 0, "image", value="registry.example.com/serve:latest"),
    )
    yield Mutation(
        "packages installed at start",
        ALB,
        "installs",
        served("containers", 0, "command", value=["sh", "-c", "pip install vllm && serve"]),
    )
    yield Mutation(
        "a role that reads every Secret",
        ALB,
        "rbac",
        lambda tree: tree.one("Role", "reader")["rules"][0].update(resources=["secrets"]),
        role,
    )
    yield Mutation(
        "a privileged server",
        ALB,
        "privileges",
        lambda tree: container(tree)["securityContext"].update(privileged=True),
    )
    yield Mutation(
        "a claim that is not there",
        ALB,
        "references",
        lambda tree: tree.server()["volumes"].append({"name": "w", "persistentVolumeClaim": {"claimName": "gone"}}),
    )
    yield Mutation(
        "claims of v1 on Kubernetes 1.33",
        GATEWAY,
        "api-version",
        put("ResourceClaimTemplate", "apiVersion", value="resource.k8s.io/v1"),
        claims,
    )
    yield Mutation("a series that is gone", GATEWAY, "series", rule("max(vllm:gpu_cache_usage_perc)"))
    yield Mutation("artifacts of any configuration", ALB, "neuron", artifacts("/cache/compiled"))
    yield Mutation(
        "more ranks than GPUs",
        LLM_D,
        "parallelism",
        lambda tree: container(tree)["args"].append("--data-parallel-size=2"),
    )
    yield Mutation(
        "a label that is no text", ALB, "strings", put("Service", "metadata", "labels", "canary", value=True)
    )
    yield Mutation("a field that there is not", ALB, "schema", lambda tree: tree.server().update(nodeselector={}))
    yield Mutation("a key twice", ALB, "yaml", texts("base/namespace.yaml", lambda text: text + "kind: Namespace\n"))
    yield Mutation(
        "a file that is not there",
        ALB,
        "kustomize",
        lambda tree: tree.one("Kustomization")["resources"].append("gone.yaml"),
    )


MUTATIONS = tuple(table())
