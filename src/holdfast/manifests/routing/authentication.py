"""Authentication at an Application Load Balancer: before a request is forwarded, on TLS listeners only.

Sources: AWS Load Balancer Controller 3.5, docs/guide/ingress/annotations.md ("Authentication", "Token Validation") and
docs/guide/gateway/listenerruleconfig.md, read 2026-11-21.
"""

from __future__ import annotations

import json

from holdfast.manifests.manifest import Object
from holdfast.model.cluster import Authentication, Cognito, Jwt, Oidc

_PREFIX = "alb.ingress.kubernetes.io"


def of_ingress(authentication: Authentication) -> dict[str, str]:
    """Annotations of an Ingress; none where everyone is let in."""
    if authentication.jwt is not None:
        return {f"{_PREFIX}/jwt-validation": json.dumps(_jwt(authentication.jwt))}
    if authentication.oidc is not None:
        return _people("oidc", _oidc(authentication.oidc) | {"secretName": authentication.oidc.secret})
    if authentication.cognito is not None:
        cognito = authentication.cognito
        # The annotation spells ARN and ID otherwise than the ListenerRuleConfiguration does.
        provider = {
            "userPoolARN": cognito.user_pool_arn,
            "userPoolClientID": cognito.client_id,
            "userPoolDomain": cognito.domain,
        }
        return _people("cognito", provider)
    return {}


def of_rule(authentication: Authentication) -> Object | None:
    """Action of a ListenerRuleConfiguration; None where everyone is let in."""
    if authentication.jwt is not None:
        return {"type": "jwt-validation", "jwtValidationConfig": _jwt(authentication.jwt)}
    if authentication.oidc is not None:
        config = _oidc(authentication.oidc) | {"secret": {"name": authentication.oidc.secret}}
        return {"type": "authenticate-oidc", "authenticateOIDCConfig": config}
    if authentication.cognito is not None:
        return {"type": "authenticate-cognito", "authenticateCognitoConfig": _cognito(authentication.cognito)}
    return None


def _people(kind: str, provider: Object) -> dict[str, str]:
    return {
        f"{_PREFIX}/auth-type": kind,
        f"{_PREFIX}/auth-idp-{kind}": json.dumps(provider),
        f"{_PREFIX}/auth-on-unauthenticated-request": "authenticate",
    }


def _jwt(jwt: Jwt) -> Object:
    return {"issuer": jwt.issuer, "jwksEndpoint": jwt.jwks_endpoint}


def _oidc(oidc: Oidc) -> Object:
    return {
        "issuer": oidc.issuer,
        "authorizationEndpoint": oidc.authorization_endpoint,
        "tokenEndpoint": oidc.token_endpoint,
        "userInfoEndpoint": oidc.user_info_endpoint,
    }


def _cognito(cognito: Cognito) -> Object:
    return {
        "userPoolArn": cognito.user_pool_arn,
        "userPoolClientId": cognito.client_id,
        "userPoolDomain": cognito.domain,
    }
