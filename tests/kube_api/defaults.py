"""What the server fills in: defaults of built-in kinds that matter here, and those of custom resources' schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kube_api.requests import Object, copied
from kube_api.shapes import Form, Shape


def of_schema(value: Any, shape: Shape) -> None:
    """Structural defaulting: also a null that the schema does not allow becomes the default."""
    if isinstance(value, dict):
        for name, schema in shape.declared.items():
            if "default" in schema and (
                name not in value or (value[name] is None and not schema.get("nullable", False))
            ):
                value[name] = copied(schema["default"])
        for name, inner in value.items():
            if shape.form is not Form.OPEN:
                of_schema(inner, shape.child(name))
    elif isinstance(value, list):
        for item in value:
            of_schema(item, shape.items)


def _set(found: Object, **values: Any) -> None:
    for name, value in values.items():
        if found.get(name) is None:
            found[name] = value


def _probe(probe: Object) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _set(probe["httpGet"], path="/", scheme="HTTP")


def _container(container: Object) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    pull = "Always" if image and "@" not in image and tag in ("", "latest") else "IfNotPresent"
    _set(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=pull,
    )
    for port in container.get("ports", ()):
        _set(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            _probe(container[name])
    for variable in container.get("env", ()):
        if "fieldRef" in (variable.get("valueFrom") or {}):
            _set(variable["valueFrom"]["fieldRef"], apiVersion="v1")


def pod_spec(spec: Object) -> None:
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if spec.get("serviceAccountName"):
        _set(spec, serviceAccount=spec["serviceAccountName"])
    for container in [*spec.get("initContainers", ()), *spec.get("containers", ())]:
        _container(container)
    for volume in spec.get("volumes", ()):
        for source, mode in (("configMap", 420), ("secret", 420), ("projected", 420), ("downwardAPI", 420)):
            if source in volume:
                _set(volume[source], defaultMode=mode)
        if "hostPath" in volume:
            _set(volume["hostPath"], type="")


def _pod(found: Object) -> None:
    _times(found, "lastProbeTime", "lastTransitionTime")
    spec = found.setdefault("spec", {})
    pod_spec(spec)
    _set(spec, enableServiceLinks=True)
    for container in [*spec.get("initContainers", ()), *spec.get("containers", ())]:
        if limits := container["resources"].get("limits"):
            container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}


def admit(kind: str, found: Object) -> None:
    """What is added to a new object late, and nobody owns."""
    if kind == "CustomResourceDefinition":
        names = found["spec"]["names"]
        conditions = [
            {"type": kind, "status": "True", "reason": "Accepted"} for kind in ("NamesAccepted", "Established")
        ]
        found["status"] = {"acceptedNames": names, "conditions": conditions, "storedVersions": []}
    if kind == "Namespace":
        _set(found["spec"], finalizers=["kubernetes"])
    if kind == "Pod":
        _set(found["spec"], preemptionPolicy="PreemptLowerPriority", priority=0)
        waits = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        _set(
            found["spec"],
            tolerations=[{"key": f"node.kubernetes.io/{what}", **waits} for what in ("not-ready", "unreachable")],
        )


def _deployment(found: Object) -> None:
    spec = found["spec"]
    _set(spec, replicas=1, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    _set(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        _set(spec["strategy"], rollingUpdate={})
        _set(spec["strategy"]["rollingUpdate"], maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _template(spec: Object) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def _replica_set(found: Object) -> None:
    _set(found["spec"], replicas=1)
    _template(found["spec"])


def _stateful_set(found: Object) -> None:
    spec = found["spec"]
    _set(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    _set(spec, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    _set(spec, persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})
    _template(spec)


def _daemon_set(found: Object) -> None:
    spec = found["spec"]
    _set(spec, updateStrategy={}, revisionHistoryLimit=10)
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={})
        _set(spec["updateStrategy"]["rollingUpdate"], maxUnavailable=1, maxSurge=0)
    _template(spec)


def _job(found: Object) -> None:
    _set(found["spec"], parallelism=1, completions=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(found["spec"], manualSelector=False, podReplacementPolicy="TerminatingOrFailed")
    _template(found["spec"])


def _service(found: Object) -> None:
    spec = found.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    if spec["type"] != "ExternalName":
        _set(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    for port in spec.get("ports", ()):
        _set(port, protocol="TCP")
        _set(port, targetPort=port.get("port"))
    if spec.get("clusterIP") == "None":
        _set(spec, clusterIPs=["None"])


def _autoscaler(found: Object) -> None:
    spec = found["spec"]
    found.setdefault("status", {}).setdefault("currentMetrics", None)
    _set(spec, minReplicas=1)
    _set(
        spec,
        metrics=[
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    )
    if (behavior := spec.get("behavior")) is not None:
        up = {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ],
        }
        down = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
        _set(behavior, scaleUp={}, scaleDown={})
        _set(behavior["scaleUp"], **up)
        _set(behavior["scaleDown"], **down)


def _network_policy(found: Object) -> None:
    spec = found["spec"]
    _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
        for port in rule.get("ports", ()):
            _set(port, protocol="TCP")


def _namespace(found: Object) -> None:
    _set(found, spec={})
    found["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = found["metadata"].get("name", "")


def _node(found: Object) -> None:
    _set(found, spec={})
    _times(found, "lastHeartbeatTime", "lastTransitionTime")


def _times(found: Object, *names: str) -> None:
    """Times that a condition does not say are null, and not absent."""
    for condition in found.get("status", {}).get("conditions", ()):
        for name in names:
            condition.setdefault(name, None)


def _secret(found: Object) -> None:
    _set(found, type="Opaque")


def _definition(found: Object) -> None:
    spec = found["spec"]
    _set(spec, conversion={"strategy": "None"})
    names = spec["names"]
    _set(names, singular=names["kind"].lower(), listKind=names["kind"] + "List")


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Job": _job,
    "Service": _service,
    "HorizontalPodAutoscaler": _autoscaler,
    "NetworkPolicy": _network_policy,
    "Namespace": _namespace,
    "Node": _node,
    "Secret": _secret,
    "CustomResourceDefinition": _definition,
}
NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
    "kubeProxyVersion", "operatingSystem", "architecture",
)  # fmt: skip
_BIRTH: dict[str, Object] = {
    "Deployment": {},
    "ReplicaSet": {"replicas": 0},
    "StatefulSet": {"availableReplicas": 0, "replicas": 0},
    "DaemonSet": {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0},
    "Job": {},
    "Service": {"loadBalancer": {}},
    "Ingress": {"loadBalancer": {}},
    "HorizontalPodAutoscaler": {"currentMetrics": None, "desiredReplicas": 0},
    "PodDisruptionBudget": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    "Namespace": {"phase": "Active"},
    "Pod": {"phase": "Pending", "qosClass": "BestEffort"},
}


def fill(kind: str, found: Object) -> None:
    if kind in _BY_KIND:
        _BY_KIND[kind](found)


def status_at_birth(kind: str, sent: Object | None) -> Object | None:
    """The status of a new object of a built-in kind with a status of its own. A node comes with one."""
    if kind == "Node":
        capacity = (sent or {}).get("capacity")
        unsaid = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": dict.fromkeys(NODE_INFO, "")}
        return {**unsaid, **({"allocatable": capacity} if capacity else {}), **(sent or {})}
    found: Object | None = copied(_BIRTH.get(kind))
    return found
