"""Prefill and decode on servers of their own: KV caches go from one to the other by NIXL.

llm-d's endpoint picker chooses a decode server and a prefill server for a request. The request reaches the decode pod's
routing proxy, which has the prefill server work on the prompt, and then its own server fetch the KV cache and decode.
"""

from __future__ import annotations

import json

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, Role

SERVER_PORT = 8200
"""Where a decode server listens, behind its proxy; the proxy's own default (llm-d-router v0.10.0)."""

SIDE_CHANNEL_PORT = 5600
"""Where NIXL's handshake is; vLLM's own default."""

_PROXY_IMAGE = "ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.10.0"
"""llm-d/llm-d-router, tag v0.10.0 of 2026-08-17; the image's name is in its release instructions."""

_KEEP_ALIVE_S = 120
"""The proxy keeps idle connections for 90 s (Go's default): a server that closes them sooner breaks requests."""

_PROXY_CPU, _PROXY_MEMORY = "500m", "512Mi"
"""An assumption: the proxy copies bytes, and holds no more than the requests in flight."""


def arguments(placement: Placement, role: Role | None) -> list[str]:
    """What vLLM is told of its role."""
    if role is None:
        return []
    transfer: dict[str, object] = {
        "kv_connector": "NixlConnector",
        "kv_role": "kv_producer" if role is Role.PREFILL else "kv_consumer",
    }
    if placement.fabric_interfaces:
        # UCX, the default, does not speak EFA (vLLM, "NixlConnector Usage Guide"; llm-d, guide for AWS).
        transfer["kv_connector_extra_config"] = {"backends": ["LIBFABRIC"]}
    return [f"--kv-transfer-config={json.dumps(transfer)}"]


def environment(role: Role | None) -> list[Object]:
    if role is None:
        return []
    return [
        {"name": "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "value": str(_KEEP_ALIVE_S)},
        # The default is localhost, which the other side would look for on itself.
        {"name": "VLLM_NIXL_SIDE_CHANNEL_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "VLLM_NIXL_SIDE_CHANNEL_PORT", "value": str(SIDE_CHANNEL_PORT)},
    ]


def proxy(port: int) -> Object:
    """The routing proxy of a decode pod, listening on `port`: it starts before the server, and ends after it."""
    return {
        "name": "routing-proxy",
        "image": _PROXY_IMAGE,
        "restartPolicy": "Always",
        "args": [
            f"--port={port}",
            f"--model-server-port={SERVER_PORT}",
            "--kv-connector=nixlv2",
            # Without TLS, as the servers are: the network policy says who may connect.
            "--secure-proxy=false",
        ],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": _PROXY_CPU, "memory": _PROXY_MEMORY},
            "limits": {"memory": _PROXY_MEMORY},
        },
    }
