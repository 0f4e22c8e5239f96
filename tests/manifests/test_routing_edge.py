"""The edge: how it listens, whom it asks, and what it lets through, on both kinds of load balancer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pydantic
import pytest

from holdfast.manifests import File, Manifest
from holdfast.model.cluster import Edge
from holdfast.model.fleet import DataPlane, Workload
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]

ALB = "alb.ingress.kubernetes.io"
JWT = {"jwt": {"issuer": "https://id.example.com", "jwksEndpoint": "https://id.example.com/jwks"}}
OIDC = {
    "oidc": {
        "issuer": "https://id.example.com",
        "authorizationEndpoint": "https://id.example.com/authorize",
        "tokenEndpoint": "https://id.example.com/token",
        "userInfoEndpoint": "https://id.example.com/me",
        "secret": "sign-in",
    }
}
POOL_ARN = "arn:aws:cognito-idp:us-west-2:111122223333:userpool/us-west-2_a"
COGNITO = {"cognito": {"userPoolArn": POOL_ARN, "clientId": "abc", "domain": "people"}}
WEB_ACL = "arn:aws:wafv2:us-west-2:111122223333:regional/webacl/example/1"


@pytest.fixture
def edged(plan_of: PlanOf, render_of: RenderOf) -> RenderOf:
    """The tree of a fleet with that data plane and edge."""

    def tree(plane: DataPlane, **edge: Any) -> dict[str, Manifest]:
        whole = {"host": "sd21.example.com", "authentication": {"none": True}} | edge
        return render_of(plan_of(data_plane=plane, cluster={"edge": whole}))

    return tree


def said(tree: dict[str, Manifest]) -> dict[str, str]:
    found = tree["ingress.yaml"].object["metadata"]["annotations"]
    assert isinstance(found, dict)
    return found


def test_an_ingress_verifies_tokens(edged: RenderOf) -> None:
    found = said(edged(DataPlane.ALB, authentication=JWT))
    assert json.loads(found[f"{ALB}/jwt-validation"]) == JWT["jwt"]
    assert f"{ALB}/auth-type" not in found


def test_an_ingress_signs_people_in_with_a_secret_of_its_namespace(edged: RenderOf) -> None:
    found = said(edged(DataPlane.ALB, authentication=OIDC))
    provider = json.loads(found[f"{ALB}/auth-idp-oidc"])
    assert (found[f"{ALB}/auth-type"], provider["secretName"]) == ("oidc", "sign-in")
    assert provider["issuer"] == OIDC["oidc"]["issuer"]
    assert found[f"{ALB}/auth-on-unauthenticated-request"] == "authenticate"


def test_an_ingress_spells_cognito_as_its_annotation_does(edged: RenderOf) -> None:
    found = said(edged(DataPlane.ALB, authentication=COGNITO))
    assert found[f"{ALB}/auth-type"] == "cognito"
    assert json.loads(found[f"{ALB}/auth-idp-cognito"]) == {
        "userPoolARN": POOL_ARN,
        "userPoolClientID": "abc",
        "userPoolDomain": "people",
    }


@pytest.mark.parametrize(
    ("asked", "kind", "field"),
    [
        (JWT, "jwt-validation", "jwtValidationConfig"),
        (OIDC, "authenticate-oidc", "authenticateOIDCConfig"),
        (COGNITO, "authenticate-cognito", "authenticateCognitoConfig"),
    ],
)
def test_a_route_authenticates_by_its_listener_rule(
    asked: dict[str, Any], kind: str, field: str, edged: RenderOf
) -> None:
    tree = edged(DataPlane.GATEWAY_API, authentication=asked)
    rule = tree["listener-rule.yaml"].object
    (action,) = rule["spec"]["actions"]
    assert action.keys() == {"type", field}
    assert action["type"] == kind
    (reference,) = tree["http-route.yaml"].object["spec"]["rules"][0]["filters"]
    assert reference["extensionRef"]["name"] == rule["metadata"]["name"]


def test_an_open_door_has_no_rule(edged: RenderOf) -> None:
    tree = edged(DataPlane.GATEWAY_API)
    assert "listener-rule.yaml" not in tree
    assert "filters" not in tree["http-route.yaml"].object["spec"]["rules"][0]


def test_the_clear_port_is_closed_unless_it_is_asked_to_lead_to_tls(edged: RenderOf) -> None:
    closed, leading = edged(DataPlane.ALB), edged(DataPlane.ALB, redirectHttp=True)
    assert json.loads(said(closed)[f"{ALB}/listen-ports"]) == [{"HTTPS": 443}]
    assert f"{ALB}/ssl-redirect" not in said(closed)
    assert json.loads(said(leading)[f"{ALB}/listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert said(leading)[f"{ALB}/ssl-redirect"] == "443"


def test_a_gateway_leads_to_tls_by_a_route_of_its_clear_listener(edged: RenderOf) -> None:
    assert "http-route-to-tls.yaml" not in edged(DataPlane.GATEWAY_API)
    tree = edged(DataPlane.GATEWAY_API, redirectHttp=True)
    listeners = {one["name"]: one["port"] for one in tree["gateway.yaml"].object["spec"]["listeners"]}
    assert listeners == {"http": 80, "https": 443}
    redirect = tree["http-route-to-tls.yaml"].object["spec"]
    assert redirect["parentRefs"][0]["sectionName"] == "http"
    assert redirect["rules"][0]["filters"][0]["requestRedirect"]["scheme"] == "https"
    assert tree["http-route.yaml"].object["spec"]["parentRefs"][0]["sectionName"] == "https"


def test_networks_and_a_web_acl_stand_before_both(edged: RenderOf) -> None:
    asked = {"allowFrom": ["10.0.0.0/8", "2001:db8::/32"], "webAcl": WEB_ACL}
    found = said(edged(DataPlane.ALB, **asked))
    assert found[f"{ALB}/inbound-cidrs"] == "10.0.0.0/8,2001:db8::/32"
    assert found[f"{ALB}/wafv2-acl-arn"] == WEB_ACL
    spec = edged(DataPlane.GATEWAY_API, **asked)["load-balancer-configuration.yaml"].object["spec"]
    assert spec["sourceRanges"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert spec["wafV2"] == {"webACL": WEB_ACL}


def test_only_the_api_is_let_through(edged: RenderOf) -> None:
    (path,) = edged(DataPlane.ALB)["ingress.yaml"].object["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/v1", "Prefix")
    rule = edged(DataPlane.GATEWAY_API)["http-route.yaml"].object["spec"]["rules"][0]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/v1"}}]


def test_an_api_of_the_users_own_is_one_path(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = plan_of()
    workload = Workload.model_validate({"api": "post", "path": "/generate?fast=1", "body": {"steps": 4}})
    spec = plan.fleet.spec.model_copy(update={"workload": workload})
    tree = render_of(replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec})))
    (path,) = tree["ingress.yaml"].object["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/generate", "Exact")


def test_a_host_is_the_only_one_that_is_answered(edged: RenderOf) -> None:
    assert edged(DataPlane.ALB)["ingress.yaml"].object["spec"]["rules"][0]["host"] == "sd21.example.com"
    assert edged(DataPlane.GATEWAY_API)["http-route.yaml"].object["spec"]["hostnames"] == ["sd21.example.com"]


@pytest.mark.parametrize(
    ("edge", "sentence"),
    [
        ({"allowFrom": ["10.0.0.1/8"]}, "'10.0.0.1/8' is not a network"),
        ({"plainHttp": True, "redirectHttp": True}, "no TLS for redirectHttp to lead to"),
    ],
)
def test_an_edge_that_cannot_be_is_refused(edge: dict[str, Any], sentence: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=sentence):
        Edge.model_validate(edge)


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ({}, [{"protocolPort": "HTTPS:443", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}]),
        ({"redirectHttp": True}, [{"protocolPort": "HTTPS:443", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"}]),
        ({"plainHttp": True}, None),
    ],
)
def test_a_gateway_whose_certificate_is_found_by_host_refuses_old_tls_too(
    edge: dict[str, Any], expected: object, edged: RenderOf
) -> None:
    tree = edged(DataPlane.GATEWAY_API, **edge)
    assert tree["load-balancer-configuration.yaml"].object["spec"].get("listenerConfigurations") == expected


def test_the_readme_says_which_secrets_are_to_be_made(
    plan_of: PlanOf, files_of: Callable[..., dict[str, File]]
) -> None:
    plan = plan_of(cluster={"edge": {"host": "sd21.example.com", "authentication": OIDC}})
    wanted = "create secret generic sign-in --from-file=clientID --from-file=clientSecret"
    assert wanted in files_of(plan)["README.md"].text
    none = plan_of(cluster={"edge": {"host": "sd21.example.com", "authentication": {"none": True}}})
    assert "create secret" not in files_of(none)["README.md"].text
