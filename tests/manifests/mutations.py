"""Mistakes, each put into a sound tree: a name, the stored tree it goes into, what is done, and the check that sees it.

`setup` makes sound objects that the tree may not have; the test holds that nothing is found before the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from manifests.mutable import (
    ALB,
    ANNOTATIONS,
    GATEWAY,
    LLM_D,
    MOE,
    NODES,
    PILOT,
    PREFIX,
    Tree,
    artifacts,
    both,
    claims,
    cloudwatch,
    container,
    deployment,
    device,
    drop,
    hpa,
    inference_pool,
    instance_targets,
    instead,
    large_memory,
    metadata,
    monitor,
    no_address,
    on_trn2,
    public,
    put,
    rename_action,
    requirements,
    role,
    route,
    rule,
    scaled,
    secret,
    served,
    service_monitor,
    set_at,
    shared_selector,
    slow_disk,
    split,
    stick,
    take,
    texts,
    trigger,
    words,
    worker,
)


@dataclass(frozen=True)
class Mutation:
    """One mistake."""

    name: str
    tree: str
    check: str
    mistake: Callable[[Tree], object]
    setup: Callable[[Tree], object] = lambda tree: None


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
        lambda tree: set_at(deployment(tree), ("spec", "replicas"), 2),
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
        put("Ingress", *ANNOTATIONS, "kubernetes.io/ingress.class", value="alb"),
    ))  # fmt: skip
    yield Mutation(
        "plain HTTP from the internet", ALB, "alb-http",
        put("Ingress", *ANNOTATIONS, f"{PREFIX}listen-ports", value='[{"HTTP": 80}]'),
    )  # fmt: skip
    yield Mutation(
        "no readiness gates",
        ALB,
        "readiness-gate",
        take("Namespace", "metadata", "labels", "elbv2.k8s.aws/pod-readiness-gate-inject"),
    )
    yield Mutation("targets that are nodes", ALB, "alb-targets", instance_targets)
    yield Mutation(
        "a route's weight of 1000",
        GATEWAY,
        "gateway-weights",
        route(lambda refs: refs[0].update(weight=1000)),
        split,
    )
    yield Mutation(
        "a route to nowhere", GATEWAY, "gateway-references", route(lambda refs: refs[0].update(name="gone")), split
    )
    yield Mutation(
        "an InferencePool behind an ALB", GATEWAY, "gateway-references",
        route(lambda refs: refs[0].update(group="inference.networking.k8s.io", kind="InferencePool", name="pool")),
        both(split, inference_pool),
    )  # fmt: skip
    yield Mutation(
        "a route's targets that are nodes",
        GATEWAY,
        "gateway-targets",
        lambda tree: [
            one["spec"]["defaultConfiguration"].pop("targetType") for one in tree.all("TargetGroupConfiguration")
        ],
        split,
    )
    yield Mutation(
        "kubelet on a NodePool", ALB, "karpenter-fields", put("NodePool", *NODES, "kubelet", value={"maxPods": 20})
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
        "a nodeClassRef without group", ALB, "karpenter-class", take("NodePool", *NODES, "nodeClassRef", "group")
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
            put("NodePool", *NODES, "nodeClassRef", "group", value="eks.amazonaws.com"),
            put("NodePool", *NODES, "nodeClassRef", "kind", value="NodeClass"),
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

    yield from more()


def more() -> Iterator[Mutation]:
    """Mistakes that need objects which not every tree has."""
    yield Mutation(
        "one object in two files", ALB, "duplicates", lambda tree: tree.add("again.yaml", tree.one("Service"))
    )
    yield Mutation(
        "an HPA without a pace", GATEWAY, "hpa", take("HorizontalPodAutoscaler", "spec", "behavior"), instead
    )
    yield Mutation(
        "a Gateway on plain HTTP",
        GATEWAY,
        "gateway-listeners",
        put("Gateway", "spec", "listeners", 0, "protocol", value="HTTP"),
        public,
    )
    yield Mutation(
        "a check longer than its interval",
        ALB,
        "health-check",
        put("Service", *ANNOTATIONS, f"{PREFIX}healthcheck-timeout-seconds", value="15"),
    )
    yield Mutation(
        "a rollout that fails while it loads",
        ALB,
        "rollout-deadline",
        lambda tree: set_at(deployment(tree), ("spec", "progressDeadlineSeconds"), 600),
    )
    yield Mutation("requests while it loads", ALB, "readiness", lambda tree: container(tree).pop("readinessProbe"))
    yield Mutation(
        "a port by a name that is not there",
        ALB,
        "ports",
        put("Service", "spec", "ports", 0, "targetPort", value="web", name="sd21"),
    )
    yield Mutation(
        "a monitor of a Service without such labels",
        ALB,
        "service-monitor",
        put("ServiceMonitor", "spec", "selector", "matchLabels", value={"app": "gone"}),
        service_monitor,
    )
    yield Mutation(
        "a policy that lets nobody in",
        ALB,
        "network-policy",
        lambda tree: [policy["spec"].update(ingress=[]) for policy in tree.all("NetworkPolicy")],
    )
    yield Mutation(
        "a pool on a port that no pod has",
        GATEWAY,
        "inference-pool",
        put("InferencePool", "spec", "targetPorts", 0, "number", value=9000),
        inference_pool,
    )
    yield Mutation(
        "a role that no picker knows",
        GATEWAY,
        "inference-pool",
        lambda tree: deployment(tree)["spec"]["template"]["metadata"]["labels"].update({"llm-d.ai/role": "both"}),
        inference_pool,
    )
    yield Mutation(
        "a spread of other pods",
        ALB,
        "spread",
        served("topologySpreadConstraints", 0, "labelSelector", "matchLabels", value={"app": "gone"}),
    )
    yield Mutation("shared memory as large as the limit", LLM_D, "memory-volumes", large_memory)
    yield Mutation("an expiry in days", ALB, "karpenter-durations", put("NodePool", *NODES, "expireAfter", value="30d"))
    yield Mutation(
        "no disruption budget",
        ALB,
        "karpenter-durations",
        lambda tree: drop(tree.one("NodePool")["spec"]["disruption"]["budgets"]),
    )
    yield Mutation("parallel pull onto a slow disk", ALB, "image-pull", slow_disk)
    yield Mutation("a Secret with its values", ALB, "kept-secrets", secret)
    yield Mutation(
        "a directory of the node",
        ALB,
        "host",
        lambda tree: tree.server()["volumes"].append({"name": "dev", "hostPath": {"path": "/dev"}}),
    )
    yield Mutation("a token that nobody needs", ALB, "api-token", served("automountServiceAccountToken", value=True))
    yield Mutation(
        "a variable of old",
        LLM_D,
        "vllm",
        lambda tree: container(tree)["env"].append({"name": "VLLM_ATTENTION_BACKEND", "value": "FLASH_ATTN"}),
    )
    yield Mutation("NIXL without an address", MOE, "vllm", no_address)
    yield Mutation(
        "ranks without shared memory",
        LLM_D,
        "shared-memory",
        lambda tree: container(tree).update(
            volumeMounts=[mount for mount in container(tree)["volumeMounts"] if mount["mountPath"] != "/dev/shm"]
        ),
    )
    yield Mutation(
        "a worker without its rank", MOE, "leader-worker", lambda tree: words(worker(tree), "LWS_WORKER_INDEX", "RANK")
    )
    yield Mutation(
        "a worker that is asked for HTTP",
        MOE,
        "leader-worker",
        lambda tree: worker(tree).update(
            livenessProbe={"httpGet": {"path": "/health", "port": 8000}, "failureThreshold": 99}
        ),
    )


MUTATIONS = tuple(table())
