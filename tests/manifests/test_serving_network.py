"""Who may reach a pool's pods, and whom they may reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from holdfast.manifests import Manifest
from holdfast.model.cluster import Cluster
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]

GATEWAY = "gateway.networking.k8s.io/gateway-name"
OPEN: dict[str, Any] = {"edge": {"host": "sd21.example.com", "authentication": {"none": True}}}


def policy(tree: dict[str, Manifest], unit: str) -> dict[str, Any]:
    found = tree[f"pools/{unit}/network-policy.yaml"].object["spec"]
    assert isinstance(found, dict)
    return found


def cidrs(rules: list[dict[str, Any]], direction: str) -> set[str]:
    return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule.get(direction, []) if "ipBlock" in peer}


def namespaces(rules: list[dict[str, Any]], direction: str) -> set[str]:
    return {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for rule in rules
        for peer in rule.get(direction, [])
        if "namespaceSelector" in peer
    }


def test_a_policy_is_of_the_pods_of_its_pool(sd21: Plan, render_of: RenderOf) -> None:
    tree = render_of(sd21)
    for unit in ("inf2-neuron", "g5-triton"):
        deployment = tree[f"pools/{unit}/deployment.yaml"].object["spec"]
        assert policy(tree, unit)["podSelector"] == deployment["selector"]
        assert policy(tree, unit)["policyTypes"] == ["Ingress", "Egress"]


def test_requests_come_from_the_load_balancers_networks_to_the_serving_port(
    plan_of: PlanOf, render_of: RenderOf
) -> None:
    networks = ["10.1.0.0/20", "10.1.16.0/20"]
    tree = render_of(plan_of(cluster=OPEN | {"loadBalancerNetworks": networks}))
    rules = policy(tree, "g5-triton")["ingress"]
    assert cidrs(rules, "from") == set(networks)
    assert {port["port"] for rule in rules for port in rule["ports"]} == {8000}


def test_with_a_gateway_in_the_cluster_no_address_outside_is_let_in(
    example: Callable[[str], Plan], render_of: RenderOf
) -> None:
    rules = policy(render_of(example("llama-3.3-70b-llm-d")), "p5-tp8")["ingress"]
    assert cidrs(rules, "from") == set()
    assert {"podSelector": {"matchExpressions": [{"key": GATEWAY, "operator": "Exists"}]}} in rules[0]["from"]


def test_behind_a_cascade_the_fleets_own_pods_alone_reach_a_pool(
    example: Callable[[str], Plan], render_of: RenderOf
) -> None:
    tree = render_of(example("gpt-oss-20b-g5"))
    own = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gpt-oss"}}}
    assert policy(tree, "g5-spot")["ingress"][0]["from"] == [own]
    assert "loadBalancerNetworks" not in tree["pools/g5-spot/network-policy.yaml"].note

    assert "loadBalancerNetworks" in tree["cascade/network-policy.yaml"].note
    proxy = tree["cascade/network-policy.yaml"].object["spec"]["ingress"]
    assert proxy == [
        {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}, own], "ports": [{"port": 4000, "protocol": "TCP"}]}
    ]


def test_the_pickers_metrics_are_for_prometheus_alone(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    rules = render_of(example("llama-3.3-70b-llm-d"))["inference/picker-network-policy.yaml"].object["spec"]["ingress"]
    assert [namespaces([rule], "from") for rule in rules] == [set(), {"monitoring"}]
    assert all(rule["from"] for rule in rules)


@pytest.mark.parametrize("name", ["gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "moe-700b-lws", "sd21-five-units"])
def test_a_service_has_the_port_of_its_pods_as_the_vpc_cni_wants(
    name: str, example: Callable[[str], Plan], render_of: RenderOf
) -> None:
    services = [
        one.object["spec"]["ports"] for one in render_of(example(name)).values() if one.object["kind"] == "Service"
    ]
    assert services
    for port in (port for ports in services for port in ports):
        assert port["targetPort"] in (port["port"], port["name"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"monitoring"}),
        ({"prometheus": "http://prometheus.metrics.svc.cluster.local:9090"}, {"metrics"}),
        ({"prometheus": "https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1"}, set()),
    ],
)
def test_metrics_are_read_from_where_those_who_read_them_are(
    changes: dict[str, Any], expected: set[str], plan_of: PlanOf, render_of: RenderOf
) -> None:
    tree = render_of(plan_of(cluster=OPEN | changes))
    assert namespaces(policy(tree, "g5-triton")["ingress"], "from") == expected
    note = tree["pools/g5-triton/network-policy.yaml"].note
    assert ("Prometheus is not in the cluster" in note) == (not expected)


def test_only_names_and_files_are_fetched(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    rules = policy(render_of(example("sd21-five-units")), "g5-cuda")["egress"]
    found = {
        (peer["ipBlock"]["cidr"], rule["ports"][0]["port"])
        for rule in rules
        for peer in rule["to"]
        if "ipBlock" in peer
    }
    assert found == {("0.0.0.0/0", 443), ("169.254.170.23/32", 80)}
    assert namespaces(rules, "to") == {"kube-system"}


def test_a_pool_without_a_bucket_needs_no_identity(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    rules = policy(render_of(example("gpt-oss-20b-g5")), "g5-spot")["egress"]
    assert cidrs(rules, "to") == {"0.0.0.0/0"}


def test_on_auto_mode_names_are_asked_of_the_node(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    rules = policy(render_of(example("pilot-auto-mode")), "g6e")["egress"]
    assert [rule for rule in rules if "to" not in rule] == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    ]


def test_servers_that_work_together_may_use_any_port_among_themselves(
    example: Callable[[str], Plan], render_of: RenderOf
) -> None:
    found = policy(render_of(example("moe-700b-lws")), "p5en")
    assert {"from": [{"podSelector": found["podSelector"]}]} in found["ingress"]
    assert {"to": [{"podSelector": found["podSelector"]}]} in found["egress"]


@pytest.mark.parametrize("networks", [[], ["10.0.0.1/16"], ["vpc"], ["10.0.0.0/33"]])
def test_what_is_no_network_is_refused(networks: list[str]) -> None:
    with pytest.raises(pydantic.ValidationError, match="loadBalancerNetworks"):
        Cluster.model_validate({"loadBalancerNetworks": networks})


@pytest.mark.parametrize("version", ["1.32", "1", "v1.33", "1.033"])
def test_a_kubernetes_that_is_too_old_is_refused(version: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="kubernetesVersion"):
        Cluster.model_validate({"kubernetesVersion": version})
