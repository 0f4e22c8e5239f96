"""Definitions of custom resources that come without a chart, from their projects at a tag."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.manifests.addons.chart import FOLDER
from holdfast.manifests.manifest import Manifest
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan


@dataclass(frozen=True)
class Definitions:
    """A folder with a kustomization in a public repository, at a tag.

    seen: when the tag was read.
    """

    name: str
    repository: str
    path: str
    tag: str
    seen: str
    reason: str


_GATEWAY_API = Definitions(
    "gateway-api-crds",
    "https://github.com/kubernetes-sigs/gateway-api",
    "config/crd",
    "v1.6.1",
    "2026-07-16",
    "Gateway and HTTPRoute, in the standard channel.",
)
_INFERENCE = Definitions(
    "inference-extension-crds",
    "https://github.com/kubernetes-sigs/gateway-api-inference-extension",
    "config/crd",
    "v1.6.0",
    "2026-08-10",
    "InferencePool, which a route names in place of a Service.",
)
_LLM_D = Definitions(
    "llm-d-crds",
    "https://github.com/llm-d/llm-d-router",
    "config/crd/bases",
    "v0.10.0",
    "2026-08-17",
    "InferenceObjective and InferenceModelRewrite, which the endpoint picker watches.",
)


def needed(plan: Plan) -> tuple[Definitions, ...]:
    """The definitions that the fleet's data plane needs."""
    spec = plan.fleet.spec
    gateway = (_GATEWAY_API,) if spec.data_plane is DataPlane.GATEWAY_API else ()
    return gateway + ((_INFERENCE, _LLM_D) if spec.cluster.kv_aware_routing else ())


_BASES = ("llm-d.ai_inferencemodelrewrites.yaml", "llm-d.ai_inferenceobjectives.yaml")
"""Of llm-d's folder, whose own kustomization would bring InferencePool at another version."""


def kustomization(definitions: tuple[Definitions, ...]) -> Manifest:
    """What `kubectl apply --server-side -k` fetches and applies."""
    listing = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [resource for found in definitions for resource in _resources(found)],
    }
    note = "\n".join(f"{found.name} {found.tag} ({found.seen}): {found.reason}" for found in definitions)
    return Manifest(f"{FOLDER}/crds/kustomization.yaml", listing, note)


def _resources(found: Definitions) -> list[str]:
    if found is not _LLM_D:
        return [f"{found.repository}/{found.path}?ref={found.tag}"]
    raw = found.repository.replace("https://github.com", "https://raw.githubusercontent.com")
    return [f"{raw}/{found.tag}/{found.path}/{file}" for file in _BASES]
