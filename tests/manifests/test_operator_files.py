"""The operator's objects: valid, with the rights it needs and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml

from holdfast.manifests import File, Manifest
from holdfast.model.plan import Plan

ExampleOf = Callable[[str], Plan]
FilesOf = Callable[[Plan], dict[str, File]]
Objects = dict[str, dict[str, Any]]

CUSTOM = {"monitoring.coreos.com/v1", "kustomize.config.k8s.io/v1beta1"}


@pytest.fixture(scope="module")
def objects(example: ExampleOf, files_of: FilesOf) -> Objects:
    files = files_of(example("sd21-five-units"))
    return {
        path.removeprefix("operator/"): yaml.safe_load(file.text)
        for path, file in files.items()
        if isinstance(file, Manifest) and path.startswith("operator/")
    }


def rights(objects: Objects, kind: str, namespace: str | None) -> dict[tuple[str, str], set[str]]:
    """Verbs by group and resource, of the roles in a namespace."""
    found: dict[tuple[str, str], set[str]] = {}
    for made in objects.values():
        if made["kind"] == kind and made["metadata"].get("namespace") == namespace:
            for rule in made["rules"]:
                for resource in rule["resources"]:
                    found.setdefault((*rule["apiGroups"], resource), set()).update(rule["verbs"])
    return found


def test_every_object_is_valid(objects: Objects) -> None:
    checked = [made for made in objects.values() if made["apiVersion"] not in CUSTOM]
    for made in checked:
        kubernetes_validate.validate(made, "1.33", strict=True)
    assert {made["kind"] for made in checked} == {
        "Namespace", "ServiceAccount", "Deployment", "PodDisruptionBudget", "NetworkPolicy", "ClusterRole",
        "ClusterRoleBinding", "Role", "RoleBinding", "CustomResourceDefinition",
    }  # fmt: skip


def test_no_right_is_to_secrets_to_everything_or_to_rights(objects: Objects) -> None:
    for made in objects.values():
        for rule in made.get("rules", []):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"secrets", "roles", "rolebindings", "pods/exec", "serviceaccounts/token"} & set(
                rule["resources"]
            )
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


def test_in_the_whole_cluster_it_writes_nothing_but_the_status_of_fleets(objects: Objects) -> None:
    see = {"get", "list", "watch"}
    writes = {what: verbs - see for what, verbs in rights(objects, "ClusterRole", None).items() if verbs - see}
    assert writes == {
        ("holdfast.dev", "inferencefleets/status"): {"patch"},
        ("holdfast.dev", "inferencefleets/finalizers"): {"update"},
    }


def test_it_sees_the_refusals_of_capacity(objects: Objects) -> None:
    assert rights(objects, "Role", "default") == {("events.k8s.io", "events"): {"get", "list", "watch"}}
    assert rights(objects, "ClusterRole", None)["karpenter.sh", "nodeclaims"] == {"get", "list", "watch"}


def test_only_its_own_lease_may_be_changed(objects: Objects) -> None:
    rules = objects["rights/leader/role.yaml"]["rules"]
    assert [rule for rule in rules if "resourceNames" not in rule] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}
    ]
    container = objects["deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]
    (lease,) = next(rule["resourceNames"] for rule in rules if "resourceNames" in rule)
    assert f"--lease={lease}" in container["args"]


def test_every_right_is_given_to_the_account_of_its_pods(objects: Objects) -> None:
    account = objects["service-account.yaml"]["metadata"]
    assert objects["deployment.yaml"]["spec"]["template"]["spec"]["serviceAccountName"] == account["name"]
    bindings = [made for made in objects.values() if made["kind"].endswith("RoleBinding")]
    roles = {(made["kind"], made["metadata"]["name"]) for made in objects.values() if "rules" in made}
    assert len(bindings) == len(roles) == 3
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles


def test_selectors_find_its_pods(objects: Objects) -> None:
    labels = objects["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    assert objects["deployment.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["pod-disruption-budget.yaml"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["network-policy.yaml"]["spec"]["podSelector"]["matchLabels"] == labels
    assert objects["pod-monitor.yaml"]["spec"]["selector"]["matchLabels"] == labels


def test_one_replica_may_go_and_none_of_them_is_root(objects: Objects) -> None:
    spec = objects["deployment.yaml"]["spec"]
    assert spec["replicas"] == 2 and objects["pod-disruption-budget.yaml"]["spec"]["minAvailable"] == 1
    assert spec["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["template"]["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_operator_of_two_fleets_is_one(example: ExampleOf, files_of: FilesOf) -> None:
    """It is the same, whichever tree is applied last."""
    trees = [files_of(example(name)) for name in ("gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "sd21-five-units")]
    for path in (path for path in trees[0] if path.startswith("operator/")):
        assert trees[0][path].text == trees[1][path].text == trees[2][path].text, path


def test_a_fleet_without_an_image_has_the_resource_alone(example: ExampleOf, files_of: FilesOf) -> None:
    files = files_of(example("pilot-auto-mode"))
    assert sorted(path for path in files if path.startswith("operator/")) == [
        "operator/README.md",
        "operator/kustomization.yaml",
        "operator/resource-definition.yaml",
    ]
