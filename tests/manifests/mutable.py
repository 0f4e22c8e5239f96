"""A stored tree whose objects can be changed, and the changes that people make by mistake."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from holdfast.manifests import yaml

GOLDEN = Path(__file__).parent / "golden"
ALB, GATEWAY, LLM_D, PILOT, MOE = (
    "sd21-five-units",
    "gpt-oss-20b-g5",
    "llama-3.3-70b-llm-d",
    "pilot-auto-mode",
    "moe-700b-lws",
)
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
    return lambda tree: set_at(tree.one(kind, name), path, value)


def take(kind: str, *path: str | int, name: str = "") -> Callable[[Tree], object]:
    """Takes a field away."""

    def change(tree: Tree) -> None:
        place: Any = tree.one(kind, name)
        for part in path[:-1]:
            place = place[part]
        del place[path[-1]]

    return change


def set_at(place: Any, path: tuple[Any, ...], value: object) -> None:
    for part in path[:-1]:
        place = place[part] if isinstance(place, list) else place.setdefault(part, {})
    place[path[-1]] = value


def served(*path: str | int, value: object, name: str = "") -> Callable[[Tree], object]:
    """Sets a field of the first server's pod."""
    return lambda tree: set_at(tree.server(name), path, value)


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


def split(tree: Tree) -> None:
    """Lets the first route split its traffic between the pools, each with a target group of pods."""
    served = [one for one in tree.all("Service") if one["spec"]["selector"] in _pods(tree)]
    rule = tree.one("HTTPRoute")["spec"]["rules"][0]
    rule["backendRefs"] = [{"name": one["metadata"]["name"], "port": 80, "weight": 50} for one in served]
    there = {one["spec"]["targetReference"]["name"] for one in tree.all("TargetGroupConfiguration")}
    for service in served:
        name = service["metadata"]["name"]
        spec = {"targetReference": {"kind": "Service", "name": name}, "defaultConfiguration": target_group()}
        found = {"apiVersion": "gateway.k8s.aws/v1", "kind": "TargetGroupConfiguration", "spec": spec}
        if name not in there:
            tree.add(f"{name}-target-group.yaml", found | {"metadata": dict(service["metadata"])})


def target_group() -> Object:
    delay = {"key": "deregistration_delay.timeout_seconds", "value": "30"}
    return {"targetType": "ip", "targetGroupAttributes": [delay]}


def _pods(tree: Tree) -> list[Object]:
    """The selectors of Deployments with accelerators."""
    return [
        one["spec"]["selector"]["matchLabels"]
        for one in tree.all("Deployment")
        if devices(one["spec"]["template"]["spec"]["containers"][0])
    ]


def _weighted(tree: Tree) -> list[Object]:
    rules = (rule for route in tree.all("HTTPRoute") for rule in route["spec"]["rules"])
    found: list[Object] = next(rule["backendRefs"] for rule in rules if len(rule.get("backendRefs", [])) > 1)
    return found


def _hpa(tree: Tree) -> Object:
    down = {"scaleDown": {"stabilizationWindowSeconds": 300}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": _name(tree)}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "behavior": down}
    found = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
    return found | {"metadata": {"name": "hpa", "namespace": deployment(tree)["metadata"]["namespace"]}}


def hpa(tree: Tree) -> None:
    tree.add("hpa.yaml", _hpa(tree))


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


ANNOTATIONS = ("metadata", "annotations")
NODES = ("spec", "template", "spec")
PREFIX = "alb.ingress.kubernetes.io/"


def rename_action(tree: Tree) -> None:
    told = tree.one("Ingress")["metadata"]["annotations"]
    key = next(key for key in told if "/actions." in key and "forwardConfig" in told[key])
    told[f"{PREFIX}actions.all-pools"] = told.pop(key)


def instance_targets(tree: Tree) -> None:
    for found in (*tree.all("Ingress"), *tree.all("Service")):
        found["metadata"]["annotations"].pop(f"{PREFIX}target-type", None)


def stick(tree: Tree) -> None:
    told = tree.one("Ingress")["metadata"]["annotations"]
    key = next(key for key in told if "/actions." in key and "forwardConfig" in told[key])
    action = json.loads(told[key])
    action["forwardConfig"]["targetGroupStickinessConfig"] = {"enabled": True, "durationSeconds": 3600}
    told[key] = json.dumps(action)


def drop(place: list[Any]) -> None:
    del place[:]


def instead(tree: Tree) -> None:
    """An HPA instead of whatever scales the first server."""
    found, made = scaled(tree), _hpa(tree)
    found.clear()
    found.update(made)


def public(tree: Tree) -> None:
    for found in tree.all("LoadBalancerConfiguration"):
        found["spec"]["scheme"] = "internet-facing"


def service_monitor(tree: Tree) -> None:
    service = tree.one("Service", "sd21")
    labels = {"app.kubernetes.io/instance": service["metadata"]["labels"]["app.kubernetes.io/instance"]}
    spec = {"selector": {"matchLabels": labels}, "endpoints": [{"port": service["spec"]["ports"][0]["name"]}]}
    found = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "spec": spec}
    tree.add("monitor.yaml", found | {"metadata": {"name": "more", "namespace": service["metadata"]["namespace"]}})


def large_memory(tree: Tree) -> None:
    limit = container(tree)["resources"]["limits"]["memory"]
    next(one for one in tree.server()["volumes"] if "medium" in one.get("emptyDir", {}))["emptyDir"]["sizeLimit"] = (
        limit
    )


def slow_disk(tree: Tree) -> None:
    spec = tree.one("EC2NodeClass")["spec"]
    spec.pop("instanceStorePolicy", None)
    spec["userData"] = "kind: NodeConfig\nspec: {featureGates: {FastImagePull: true}}\n"
    spec["blockDeviceMappings"][0]["ebs"]["throughput"] = 125


def secret(tree: Tree) -> None:
    found = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": "hf_x"}}
    tree.add("secret.yaml", found | {"metadata": {"name": "s", "namespace": "inference"}})


def groups(tree: Tree, template: str) -> list[Object]:
    """The serving containers of that template, of all LeaderWorkerSets."""
    templates = [found["spec"]["leaderWorkerTemplate"][template] for found in tree.all("LeaderWorkerSet")]
    return [one["spec"]["containers"][0] for one in templates]


def worker(tree: Tree) -> Object:
    return groups(tree, "workerTemplate")[0]


def words(place: Object, old: str, new: str) -> None:
    """Replaces a word in command and arguments."""
    for key in ("command", "args"):
        if key in place:
            place[key] = [word.replace(old, new) for word in place[key]]


def no_address(tree: Tree) -> None:
    for place in groups(tree, "leaderTemplate"):
        place["env"] = [entry for entry in place["env"] if entry["name"] != "VLLM_NIXL_SIDE_CHANNEL_HOST"]
