"""The operator's rights in the namespace of a fleet are those that it needs to apply what fleets are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from control.desired_plans import all_of, desired_of, every_plan
from holdfast.kube import kinds
from holdfast.manifests import File, Manifest
from holdfast.model.plan import Plan

SEE = {"get", "list", "watch"}
APPLY = SEE | {"create", "patch", "delete"}

Granted = dict[tuple[str, str], set[str]]


def rights_in(files: dict[str, File], path: str) -> Granted:
    """Verbs by group and resource, of a role in the tree."""
    role = files[path]
    assert isinstance(role, Manifest)
    found: Granted = {}
    for rule in role.object["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


@pytest.fixture(scope="module")
def granted(example: Callable[[str], Plan], files_of: Callable[[Plan], dict[str, File]]) -> Granted:
    return rights_in(files_of(example("sd21-five-units")), "fleet/rights/role.yaml")


def test_there_is_a_right_for_every_kind_that_is_applied_and_none_besides(granted: Granted) -> None:
    applied = {kinds.of(found) for plan in every_plan() for found in all_of(desired_of(plan))}
    assert {what for what, verbs in granted.items() if verbs == APPLY} == {
        (kind.group, kind.plural) for kind in applied
    }
    assert all(kind.namespaced for kind in applied)


def test_besides_it_sees_pods_and_says_events(granted: Granted) -> None:
    others = {what: verbs for what, verbs in granted.items() if verbs != APPLY}
    assert others == {("", "pods"): SEE, ("events.k8s.io", "events"): SEE | {"create", "patch"}}


def test_all_fleets_of_a_namespace_give_it_the_same_rights(
    example: Callable[[str], Plan], files_of: Callable[[Plan], dict[str, File]], granted: Granted
) -> None:
    others = [rights_in(files_of(example(name)), "fleet/rights/role.yaml")
              for name in ("gpt-oss-20b-g5", "llama-3.3-70b-llm-d")]  # fmt: skip
    assert others == [granted, granted]


def test_it_sees_which_node_pools_are_there(
    example: Callable[[str], Plan], files_of: Callable[[Plan], dict[str, File]]
) -> None:
    cluster = rights_in(files_of(example("sd21-five-units")), "operator/rights/cluster/role.yaml")
    assert cluster["karpenter.sh", "nodepools"] == cluster["karpenter.sh", "nodeclaims"] == SEE
