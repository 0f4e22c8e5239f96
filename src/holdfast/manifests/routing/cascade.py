"""The cascade's configuration for LiteLLM: first the fleet's pools, then a model of Amazon Bedrock.

A request goes to one of the pools by the plan's weights. A pool that refuses, fails or cannot be reached is passed
over: the request goes to another pool, to those without a weight last, and when all were tried to Bedrock. A pool that
keeps failing is left out for a while (docs.litellm.ai/docs/router/learn/reliability, 2026-11-05;
`enable_weighted_failover` and `order` as in LiteLLM 1.96's router.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import names
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import inference_gateway
from holdfast.manifests.serving import drain, service
from holdfast.model.cluster import Cascade
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, InferenceFleet

KEY_VARIABLE = "LITELLM_MASTER_KEY"

_FIRST, _LAST = 1, 2
"""Orders of pools with a weight, and of those without."""


def checked(fleet: InferenceFleet) -> Cascade | None:
    """The fleet's cascade, None without one. Raises InputError for an API that Bedrock does not have."""
    cascade = fleet.spec.cluster.cascade
    if cascade is not None and not fleet.spec.workload.api.takes_tokens:
        raise InputError(
            f"a cascade to Bedrock needs an API of text, and the fleet's is {fleet.spec.workload.api.value}",
            where="spec.cluster.cascade",
            mend=f"use {', '.join(api.value for api in Api if api.takes_tokens)}, or remove cascade",
        )
    return cascade


def attempts(fleet: InferenceFleet, pools: int) -> int:
    """Servers that one request may be sent to, one after the other."""
    if fleet.spec.cluster.cascade is None:
        return 1
    return 2 if fleet.spec.cluster.kv_aware_routing else pools + 1


def configuration(cascade: Cascade, placed: Sequence[Placement]) -> Object:
    """LiteLLM's file: clients ask for the fleet's model under its own name."""
    fleet = placed[0].fleet
    model = fleet.spec.model.id
    fallback = names.label(fleet.metadata.name, "bedrock")
    bedrock = {"model": f"bedrock/{cascade.bedrock_model}", "aws_region_name": fleet.spec.region}
    own = [_deployment(model, *server) for server in _servers(fleet, placed)]
    return {
        "model_list": [*own, {"model_name": fallback, "litellm_params": bedrock}],
        "router_settings": {
            "routing_strategy": "simple-shuffle",
            "enable_weighted_failover": True,
            # A pool that failed is not asked again for the same request.
            "num_retries": 0,
            "max_fallbacks": attempts(fleet, len(placed)),
            "timeout": drain.longest_request_s(fleet.spec.slo),
            "fallbacks": [{model: [fallback]}],
        },
        # Parameters that one side does not know are left out instead of refused: the two are different servers.
        "litellm_settings": {"drop_params": True},
        "general_settings": {"master_key": f"os.environ/{KEY_VARIABLE}"},
    }


def _servers(fleet: InferenceFleet, placed: Sequence[Placement]) -> list[tuple[str, int, int]]:
    """Host, port and weight of what serves the fleet's own model."""
    if fleet.spec.cluster.kv_aware_routing:
        target = inference_gateway.target(fleet)
        return [(f"{target.service}.{fleet.metadata.namespace}.svc", target.port, target.weight)]
    merit = sorted(placed, key=lambda placement: (placement.pool.usd_per_million_requests, placement.unit.name))
    return [
        (f"{placement.name}.{fleet.metadata.namespace}.svc", service.PORT, placement.pool.weight) for placement in merit
    ]


def _deployment(model: str, host: str, port: int, weight: int) -> Object:
    parameters = {
        "model": f"hosted_vllm/{model}",
        "api_base": f"http://{host}:{port}/v1",
        "weight": weight,
        "order": _FIRST if weight > 0 else _LAST,
    }
    return {"model_name": model, "litellm_params": parameters}
