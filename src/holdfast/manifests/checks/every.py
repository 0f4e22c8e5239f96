"""All checks, and running them over files."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.manifests.checks import (
    alb,
    attributes,
    drain,
    engines,
    gateway,
    images,
    karpenter,
    keda,
    probes,
    reach,
    reading,
    references,
    rights,
    scaling,
    scheduling,
    schemas,
    selectors,
    strings,
    versions,
)
from holdfast.manifests.checks.check import Check
from holdfast.manifests.checks.reading import Built
from holdfast.manifests.checks.trees import Tree
from holdfast.model.findings import Checked, Inspection, ObjectFinding

CHECKS = (
    Check("api-version", versions.objects, versions.served),
    Check("duplicates", references.everything, references.once),
    Check("strings", strings.objects, strings.quoted),
    Check("keda-values", keda.triggers, keda.values),
    Check("keda-keys", keda.known_triggers, keda.keys),
    Check("keda-window", keda.cloudwatch, keda.window),
    Check("keda-metric", keda.known_triggers, keda.metric),
    Check("keda-bounds", keda.scaled_objects, keda.bounds),
    Check("keda-identity", keda.cloudwatch, keda.identities),
    Check("scale-target", scaling.scalers, scaling.targets),
    Check("hpa", scaling.autoscalers, scaling.behaviour),
    Check("alb-class", alb.ingresses, alb.classes),
    Check("alb-action", alb.ingresses, alb.action),
    Check("alb-weights", alb.ingresses, alb.weights),
    Check("alb-stickiness", alb.ingresses, alb.stickiness),
    Check("alb-targets", alb.ingresses, alb.targets),
    Check("alb-http", alb.ingresses, alb.plain_http),
    Check("readiness-gate", alb.ingresses, alb.readiness_gate),
    Check("health-check", attributes.behind_load_balancer, alb.health_checks),
    Check("gateway-weights", gateway.routes, gateway.weights),
    Check("gateway-references", gateway.routes, gateway.references),
    Check("gateway-targets", gateway.routes, gateway.targets),
    Check("gateway-listeners", gateway.gateways, gateway.listeners),
    Check("probes", probes.containers, probes.arithmetic),
    Check("loading", probes.servers, probes.loading),
    Check("rollout-deadline", probes.deployments, probes.progress),
    Check("readiness", probes.services, probes.readiness),
    Check("grace-period", drain.pods, drain.grace),
    Check("deregistration", attributes.behind_load_balancer, drain.deregistration),
    Check("selectors", selectors.controllers, selectors.own_pods),
    Check("selects-pods", selectors.selecting, selectors.something),
    Check("split-pods", reach.splits, reach.apart),
    Check("overlap", selectors.workloads, selectors.overlapping),
    Check("ports", selectors.ported, selectors.ports),
    Check("service-monitor", selectors.service_monitors, selectors.monitored),
    Check("disruption-budget", selectors.budgets, selectors.evictable),
    Check("network-policy", reach.policies, reach.reachable),
    Check("inference-pool", reach.inference_pools, reach.pooled),
    Check("spread", selectors.workloads, selectors.spread),
    Check("node-selector", scheduling.placed, scheduling.selected),
    Check("tolerations", scheduling.placed, scheduling.tolerated),
    Check("taints", scheduling.pools, scheduling.tainted),
    Check("pool-limits", scheduling.pools, scheduling.bounded),
    Check("devices", scheduling.containers, scheduling.devices),
    Check("fits", scheduling.known, scheduling.fits),
    Check("memory-volumes", scheduling.memory_volumes, scheduling.shared_memory),
    Check("karpenter-fields", karpenter.pools, karpenter.places),
    Check("karpenter-class", karpenter.pools, karpenter.references),
    Check("karpenter-requirements", karpenter.pools, karpenter.requirements),
    Check("karpenter-durations", karpenter.pools, karpenter.durations),
    Check("ami", karpenter.classes, karpenter.images),
    Check("image-pull", karpenter.classes, karpenter.image_pull),
    Check("references", references.workloads, references.present),
    Check("secrets", references.workloads, references.secrets),
    Check("kept-secrets", references.plain_secrets, references.kept_secret),
    Check("images", images.containers, images.pinned),
    Check("installs", images.containers, images.installed),
    Check("privileges", rights.containers, rights.confined),
    Check("host", rights.workloads, rights.hosted),
    Check("api-token", rights.workloads, rights.token),
    Check("rbac", rights.roles, rights.secrets),
    Check("vllm", engines.servers, engines.arguments),
    Check("parallelism", engines.parallel, engines.parallelism),
    Check("shared-memory", engines.parallel, engines.shared_memory),
    Check("neuron", engines.neuron, engines.neuron_settings),
    Check("leader-worker", engines.groups, engines.ranks),
    Check("series", engines.telling, engines.series),
)
"""In the order in which their findings are told; before them come `yaml`, `kustomize` and `schema`."""


def inspect(
    files: Mapping[str, str], built: Mapping[str, Built] | None = None, crds: Mapping[str, str] | None = None
) -> Inspection:
    """Every check on the manifests among `files`, the texts of files by path.

    built: by folder, what `kubectl kustomize` gave for the roots among them. crds: the texts of files with CRDs.

    Raises InputError for a file of CRDs that is not YAML.
    """
    made = built or {}
    read = reading.read(files, made)
    kinds = [found for found in read.objects if found.kind not in _OURS]
    schema, unjudged = schemas.check(kinds, crds or {})
    undone = (*read.undone, *unjudged)
    checked = (_told("yaml", len(files), read.findings), _told("kustomize", len(made), read.findings), schema)
    return Inspection(
        len(files), len(read.objects), (*checked, *(_over(read.trees, check) for check in CHECKS)), undone
    )


_OURS = ("InferenceFleet",)
"""Kinds that holdfast itself reads strictly, by its own schema."""


def _told(name: str, judged: int, findings: tuple[ObjectFinding, ...]) -> Checked:
    return Checked(name, judged, tuple(finding for finding in findings if finding.check == name))


def _over(trees: tuple[Tree, ...], check: Check) -> Checked:
    """One check over all trees; what two overlays have in common is told once."""
    done = [check.on(tree) for tree in trees]
    findings = dict.fromkeys(finding for checked in done for finding in checked.findings)
    return Checked(check.name, sum(checked.judged for checked in done), tuple(findings))
