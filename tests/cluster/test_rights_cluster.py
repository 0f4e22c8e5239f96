"""The operator's rights on a real control plane: enough for every object of every plan, and for nothing else.

Run by `make test-cluster KUBECONFIG=...` on a control plane that may be thrown away: the resource definitions of what
fleets use, namespaces and the operator's rights are left there.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from control.desired_plans import all_of
from holdfast import catalog
from holdfast.control.operator.keeping import desired, drift
from holdfast.control.operator.keeping.desired import Desired
from holdfast.control.operator.keeping.drift import Difference, Drift
from holdfast.kube import kinds
from holdfast.kube.kinds import Object
from holdfast.manifests.operator import resource_definition, rights, surroundings
from holdfast.model.plan import Plan
from manifests.conftest import EXAMPLES
from manifests.conftest import _example as example
from manifests.test_manifest_golden import NAMES

CLUSTER = os.environ.get("HOLDFAST_TEST_KUBECONFIG", "")
CRDS = Path(__file__).parents[2].parent / "shared" / "data" / "crds"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not CRDS.is_dir(), reason="no resource definitions of what fleets use are beside the repository"
    ),
]

USED = ["gateway-api", "prometheus-operator", "lws", "aws-load-balancer-controller", "gateway-api-inference-extension",
        "karpenter-provider-aws", "keda"]  # fmt: skip

UNPUBLISHED = [
    ("agentgateway.dev", "v1alpha1", "AgentgatewayParameters", "agentgatewayparameters", "Namespaced"),
    ("eks.amazonaws.com", "v1", "NodeClass", "nodeclasses", "Cluster"),
]


def kubectl(*arguments: str, given: Any = None, config: str = CLUSTER) -> subprocess.CompletedProcess[str]:
    text = None if given is None else json.dumps(given)
    command = ["kubectl", f"--kubeconfig={config}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def done(*arguments: str, given: Any = None, config: str = CLUSTER) -> str:
    answer = kubectl(*arguments, given=given, config=config)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def apply(objects: list[Object], config: str = CLUSTER, manager: str = "people") -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    done(
        "apply",
        "--server-side",
        "--force-conflicts",
        f"--field-manager={manager}",
        "-f",
        "-",
        given=listed,
        config=config,
    )


def open_definition(group: str, version: str, kind: str, plural: str, scope: str) -> Object:
    """A resource definition that takes any object, for kinds whose own is not at hand."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": scope, "names": names, "versions": [served]},
    }


def its_own(plan: Plan) -> list[Object]:
    """The operator's identity, and its rights where the plan's fleet is."""
    kinds_of_identity = ("Namespace", "ServiceAccount")
    around = [file.object for file in surroundings.manifests(plan) if file.object["kind"] in kinds_of_identity]
    granted = (*rights.manifests(), *rights.of_fleet(plan, "fleet"))
    return [*around, *(file.object for file in granted)]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kubeconfig of the operator, with the rights that its trees give it."""
    for folder in USED:
        done("apply", "--server-side", "--force-conflicts", "-f", str(CRDS / folder))
    apply([open_definition(*kind) for kind in UNPUBLISHED])
    plans = [example(name) for name in NAMES]
    namespaces = {plan.fleet.metadata.namespace for plan in plans} | {"elsewhere"}
    apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(namespaces)])
    apply([resource_definition.manifest("").object])
    for plan in plans:
        apply(its_own(plan))
    token = done("create", "token", "holdfast-operator", "--namespace=holdfast-system", "--duration=1h").strip()
    config = json.loads(done("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    config["users"][0]["user"] = {"token": token}
    file = tmp_path_factory.mktemp("operator") / "kubeconfig"
    file.write_text(json.dumps(config), encoding="utf-8")
    return str(file)


@pytest.fixture(params=NAMES)
def wanted(request: pytest.FixtureRequest, operator: str) -> Iterator[Desired]:
    """What is wanted of an example's fleet, which is there; it goes with all that it owns."""
    plan = example(request.param)
    declared = yaml.safe_load((EXAMPLES / f"{request.param}.yaml").read_text(encoding="utf-8"))
    apply([declared])
    named = plan.fleet.metadata
    where = ["inferencefleets.holdfast.dev", named.name, f"--namespace={named.namespace}"]
    fleet = json.loads(done("get", *where, "--output=json"))
    yield desired.desired(plan, catalog.equipment_of(plan.fleet), fleet)
    done("delete", *where, "--cascade=foreground", "--timeout=60s")


def served(objects: list[Object]) -> list[Object]:
    """Those of versions that this server has: a fleet says which Kubernetes it is for."""
    versions = set(done("api-versions").split())
    return [found for found in objects if found["apiVersion"] in versions]


def live(found: Object, config: str) -> Object | None:
    kind = kinds.of(found)
    named = found["metadata"]
    where = [f"{kind.plural}.{kind.version}.{kind.group}" if kind.group else kind.plural, named["name"]]
    answer = done("get", *where, f"--namespace={named['namespace']}", "--ignore-not-found", "--show-managed-fields",
                  "--output=json", config=config)  # fmt: skip
    there: Object | None = json.loads(answer) if answer else None
    return there


def test_it_applies_every_object_and_sees_that_it_did(wanted: Desired, operator: str) -> None:
    objects = all_of(wanted)
    there = served(objects)
    assert len(objects) - len(there) <= 1, "at most the device claims of an older Kubernetes"
    apply(there, config=operator, manager=drift.MANAGER)
    for found in there:
        now = live(found, operator)
        assert now is not None and now["metadata"]["ownerReferences"][0]["uid"] == wanted.owner["uid"]
        assert drift.of(found, now) is None, found["kind"]


def test_what_is_left_to_people_is_taken_too(wanted: Desired) -> None:
    apply(list(wanted.needed))


@pytest.mark.parametrize("wanted", ["sd21-five-units", "moe-700b-lws"], indirect=True)
def test_it_sees_what_others_change_of_it_and_nothing_else(wanted: Desired, operator: str) -> None:
    objects = served(all_of(wanted))
    apply(objects, config=operator, manager=drift.MANAGER)
    for found in objects:
        kind, named = kinds.of(found), found["metadata"]
        where = [
            f"{kind.plural}.{kind.group}" if kind.group else kind.plural,
            named["name"],
            "--namespace",
            named["namespace"],
        ]
        done("annotate", *where, "example.com/note=theirs")
        if found["kind"] == "Deployment" and "replicas" not in found["spec"]:
            done("scale", "deployment", *where[1:], "--replicas=7")
        assert drift.of(found, live(found, operator)) is None, f"{found['kind']}: an annotation and replicas are theirs"
        done("label", *where, "--overwrite", "app.kubernetes.io/part-of=theirs")
        assert drift.of(found, live(found, operator)) == Drift(
            Difference.CHANGED, ("metadata.labels.app.kubernetes.io/part-of",)
        )
        apply([found], config=operator, manager=drift.MANAGER)
        now = live(found, operator)
        assert now is not None and drift.of(found, now) is None
        assert now["metadata"]["annotations"]["example.com/note"] == "theirs"
        if found["kind"] == "Deployment" and "replicas" not in found["spec"]:
            assert now["spec"]["replicas"] == 7
        done("delete", *where, "--wait=false", config=operator)
        assert drift.of(found, live(found, operator)) in (None, Drift(Difference.ABSENT)), "or held by a finalizer"


REFUSED = {
    "secrets": ["get", "secrets", "--namespace=inference"],
    "a named secret": ["get", "secret", "any", "--namespace=holdfast-system"],
    "rights": ["create", "role", "any", "--verb=get", "--resource=secrets", "--namespace=inference"],
    "bindings": ["create", "rolebinding", "any", "--clusterrole=admin", "--user=me", "--namespace=inference"],
    "tokens": ["create", "token", "default", "--namespace=inference"],
    "what runs elsewhere": ["get", "deployments", "--namespace=elsewhere"],
    "running elsewhere": ["create", "deployment", "any", "--image=any", "--namespace=elsewhere"],
    "its own deployment": ["delete", "deployment", "holdfast-operator", "--namespace=holdfast-system"],
    "pods": ["delete", "pod", "any", "--namespace=inference"],
    "a pod of its own": ["run", "any", "--image=any", "--namespace=inference"],
    "node pools": ["delete", "nodepools.karpenter.sh", "any"],
    "node claims": ["delete", "nodeclaims.karpenter.sh", "any"],
    "nodes": ["delete", "nodes", "any"],
    "namespaces": ["create", "namespace", "any"],
    "definitions": ["get", "customresourcedefinitions"],
    "fleets": ["apply", "--server-side", "-f", "-"],
    "a fleet's deletion": ["delete", "inferencefleets.holdfast.dev", "sd21", "--namespace=inference"],
    "other leases": ["create", "--raw=/apis/coordination.k8s.io/v1/namespaces/inference/leases", "-f", "-"],
}


GIVEN = {
    "fleets": {
        "apiVersion": kinds.FLEET.api_version,
        "kind": kinds.FLEET.kind,
        "metadata": {"name": "any", "namespace": "inference"},
    },
    "other leases": {"apiVersion": kinds.LEASE.api_version, "kind": kinds.LEASE.kind, "metadata": {"name": "any"}},
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_rest_is_refused(what: str, operator: str) -> None:
    answer = kubectl(*REFUSED[what], given=GIVEN.get(what), config=operator)
    assert answer.returncode != 0 and "forbidden" in answer.stderr.lower(), answer.stderr or answer.stdout
