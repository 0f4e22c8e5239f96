"""Every rendered object against the schema of its kind, strictly: an unknown field is an error.

Kubernetes' own kinds are checked against its 1.33 schemas (package kubernetes-validate). The others are
checked against their CRDs where those lie beside the repository. CEL rules are not evaluated.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from holdfast.manifests import File, Manifest
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

CRDS = Path(__file__).parents[2].parent / "shared" / "data" / "crds"
BUILT_IN = {
    "v1",
    "apps/v1",
    "autoscaling/v2",
    "policy/v1",
    "networking.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "rbac.authorization.k8s.io/v1",
}
UNCHECKED = {"agentgateway.dev/v1alpha1", "eks.amazonaws.com/v1"}
"""Of CRDs that are not at hand."""

KUBERNETES = "1.33"
CERTIFICATE = "arn:aws:acm:us-west-2:111122223333:certificate/example"
WEB_ACL = "arn:aws:wafv2:us-west-2:111122223333:regional/webacl/example/1"
OIDC = {
    "oidc": {
        "issuer": "https://id.example.com",
        "authorizationEndpoint": "https://id.example.com/authorize",
        "tokenEndpoint": "https://id.example.com/token",
        "userInfoEndpoint": "https://id.example.com/me",
        "secret": "sign-in",
    }
}
NAMES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "moe-700b-lws", "pilot-auto-mode"]

RenderOf = Callable[..., dict[str, Manifest]]
FilesOf = Callable[[Plan], dict[str, File]]
Schemas = dict[tuple[str, str], dict[str, Any]]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural schema of a CRD as JSON Schema that refuses fields it does not declare."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: value for key, value in schema.items() if key not in ("properties", "items", "nullable")}
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = strict(schema["additionalProperties"])
    if "properties" in schema:
        closed["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    if "items" in schema:
        closed["items"] = strict(schema["items"])
    return closed


def crd_schemas() -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """(apiVersion, kind) and strict schema of every served version of the CRDs that rendering uses.

    Karpenter's NodePool is there twice; the provider's, with the rules of AWS, is the one that is installed.
    """
    folders = (
        "karpenter-provider-aws",
        "keda",
        "gateway-api",
        "gateway-api-inference-extension",
        "aws-load-balancer-controller",
        "prometheus-operator",
        "lws",
    )
    for folder in folders:
        for file in sorted((CRDS / folder).glob("*.yaml")):
            spec = yaml.load(file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))[
                "spec"
            ]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                yield (f"{spec['group']}/{version['name']}", spec["names"]["kind"]), schema


@pytest.fixture(scope="module")
def custom() -> Schemas:
    return dict(crd_schemas())


@pytest.fixture(scope="module")
def objects(
    sd21: Plan,
    llama: Plan,
    gateway: Plan,
    plan_of: Callable[..., Plan],
    example: Callable[[str], Plan],
    render_of: RenderOf,
) -> list[dict[str, Any]]:
    """What the plans render, read back from its YAML; the examples, both data planes, edges."""
    edge = {"certificateArn": CERTIFICATE, "authentication": {"none": True}}
    secure: dict[str, Any] = {"cluster": {"name": "prod", "edge": edge}}
    trees = [render_of(plan) for plan in (sd21, llama, gateway)]
    trees += [render_of(example(name)) for name in NAMES]
    guarded: dict[str, Any] = {"edge": edge | {"authentication": OIDC, "redirectHttp": True, "webAcl": WEB_ACL}}
    trees += [render_of(plan_of(data_plane=DataPlane.GATEWAY_API, cluster=guarded))]
    trees += [render_of(plan_of(data_plane=plane, **secure)) for plane in (DataPlane.ALB, DataPlane.GATEWAY_API)]
    return [
        yaml.safe_load(manifest.text)
        for tree in trees
        for path, manifest in tree.items()
        if not path.endswith("kustomization.yaml")
    ]


def check_built_in(found: dict[str, Any]) -> None:
    kubernetes_validate.validate(found, KUBERNETES, strict=True)


def check_custom(found: dict[str, Any], schemas: Schemas) -> None:
    jsonschema.Draft202012Validator(schemas[found["apiVersion"], found["kind"]]).validate(found)


def report(capsys: pytest.CaptureFixture[str], checked: list[dict[str, Any]], against: str) -> None:
    kinds = {found["kind"] for found in checked}
    with capsys.disabled():
        sys.stdout.write(f"\n{len(checked)} objects of {len(kinds)} kinds checked against {against}\n")


def test_every_object_of_kubernetes_is_valid(objects: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    checked = [found for found in objects if found["apiVersion"] in BUILT_IN]
    for found in checked:
        check_built_in(found)
    kinds = {found["kind"] for found in checked}
    report(capsys, checked, f"Kubernetes {KUBERNETES}")
    assert kinds >= {
        "Namespace",
        "ServiceAccount",
        "DaemonSet",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "Ingress",
        "ConfigMap",
        "NetworkPolicy",
        "Role",
        "RoleBinding",
        "HorizontalPodAutoscaler",
        "ResourceClaimTemplate",
    }


@pytest.mark.skipif(not CRDS.exists(), reason="the CRDs are not here")
def test_every_custom_object_is_valid(
    objects: list[dict[str, Any]], custom: Schemas, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = [found for found in objects if found["apiVersion"] not in BUILT_IN | UNCHECKED]
    for found in checked:
        check_custom(found, custom)
    kinds = {found["kind"] for found in checked}
    report(capsys, checked, f"{len(custom)} CRD versions")
    assert kinds >= {
        "NodePool",
        "EC2NodeClass",
        "ScaledObject",
        "PodMonitor",
        "GatewayClass",
        "Gateway",
        "HTTPRoute",
        "LoadBalancerConfiguration",
        "TargetGroupConfiguration",
        "LeaderWorkerSet",
        "ListenerRuleConfiguration",
        "InferencePool",
        "TriggerAuthentication",
    }


def fields(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every mapping in `found` that holds declared fields, not free labels or quantities."""
    if isinstance(found, dict) and not {"annotations", "matchLabels", "limits"} & set(path):
        yield path
        for key, value in found.items():
            if key not in ("metadata", "labels", "nodeSelector", "requests", "tags", "selector"):
                yield from fields(value, (*path, key))
    elif isinstance(found, list):
        for index, item in enumerate(found):
            yield from fields(item, (*path, index))


def test_the_check_of_kubernetes_refuses_a_field_it_does_not_know(objects: list[dict[str, Any]]) -> None:
    deployment = next(found for found in objects if found["kind"] == "Deployment")
    for path in fields(deployment):
        broken = copy.deepcopy(deployment)
        place = broken
        for part in path:
            place = place[part]
        place["noSuchField"] = 1
        with pytest.raises(kubernetes_validate.ValidationError):
            check_built_in(broken)


@pytest.mark.skipif(not CRDS.exists(), reason="the CRDs are not here")
@pytest.mark.parametrize("kind", ["NodePool", "EC2NodeClass", "HTTPRoute", "TargetGroupConfiguration"])
def test_the_check_of_crds_refuses_a_field_it_does_not_know(
    kind: str, objects: list[dict[str, Any]], custom: Schemas
) -> None:
    whole = next(found for found in objects if found["kind"] == kind)
    for path in fields(whole):
        broken = copy.deepcopy(whole)
        place = broken
        for part in path:
            place = place[part]
        place["noSuchField"] = 1
        with pytest.raises(jsonschema.ValidationError):
            check_custom(broken, custom)


def test_no_two_objects_have_one_name(sd21: Plan, gateway: Plan, render_of: RenderOf) -> None:
    for plan in (sd21, gateway):
        names = [
            (manifest.object["kind"], manifest.object["metadata"]["name"])
            for path, manifest in render_of(plan).items()
            if not path.endswith("kustomization.yaml")
        ]
        assert len(names) == len(set(names))


def test_every_object_gives_its_reason(objects: list[dict[str, Any]]) -> None:
    assert all(found["metadata"]["annotations"]["holdfast.dev/reason"] for found in objects)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_the_overlay(tmp_path: Path, sd21: Plan, files_of: FilesOf) -> None:
    files = files_of(sd21)
    for path, file in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(file.text, encoding="utf-8")
    overlay = tmp_path / "overlays" / "production"
    built = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, timeout=60, check=True
    )
    found = list(yaml.safe_load_all(built.stdout))
    assert len(found) == len(yaml.safe_load(files["base/kustomization.yaml"].text)["resources"])
    assert not re.search("warning", built.stderr, re.IGNORECASE)
