"""The CustomResourceDefinitions that a fleet's objects need.

holdfast's own as rendered. Those of others as they publish them, where a folder of them lies beside the repository
(`../shared/data/crds`); else open ones, which take any object of the kind.
"""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from holdfast.kube import kinds
from holdfast.kube.kinds import Kind, Object
from holdfast.manifests.operator import resource_definition

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "crds"

OTHERS = (
    kinds.SCALED_OBJECT,
    kinds.TRIGGER_AUTHENTICATION,
    kinds.NODE_POOL,
    kinds.NODE_CLAIM,
    kinds.POD_MONITOR,
    kinds.PROMETHEUS_RULE,
    kinds.LEADER_WORKER_SET,
    kinds.GATEWAY,
    kinds.HTTP_ROUTE,
)

WITH_STATUS = (kinds.SCALED_OBJECT, kinds.NODE_POOL, kinds.NODE_CLAIM, kinds.LEADER_WORKER_SET, kinds.HTTP_ROUTE)


@functools.cache
def definitions() -> tuple[Object, ...]:
    """All of them, ours first."""
    return resource_definition.manifest("crd.yaml").object, *(_published(kind) or _open(kind) for kind in OTHERS)


def _published(kind: Kind) -> Object | None:
    files = sorted(PUBLISHED.glob(f"*/{kind.group}_{kind.plural}.yaml"))
    return yaml.load(files[0].read_text(encoding="utf-8"), yaml.CSafeLoader) if files else None


def _open(kind: Kind) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}} if kind in WITH_STATUS else {},
                }
            ],
        },
    }
