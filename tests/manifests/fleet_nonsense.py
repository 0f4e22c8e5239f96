"""Fleets that no API server may take, as changes to the spec of examples/deploy/gpt-oss-20b-g5.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Change = Callable[[dict[str, Any]], Any]

NONSENSE: dict[str, Change] = {
    "a rate without a unit": lambda spec: spec["demand"].update(rate=12),
    "a rate in RPS": lambda spec: spec["demand"].update(rate="12 RPS"),
    "a share of no unit": lambda spec: spec["slo"].update(errorRate="0.01"),
    "no units": lambda spec: spec.update(units=[]),
    "a unit without a name": lambda spec: spec["units"][0].pop("name"),
    "a name in capitals": lambda spec: spec["units"][0].update(name="G5"),
    "no replicas at all": lambda spec: spec["units"][0].update(maxReplicas=0),
    "replicas as text": lambda spec: spec["units"][0].update(maxReplicas="12"),
    "an unknown way to buy": lambda spec: spec["units"][0].update(capacityType="stolen"),
    "an unknown data plane": lambda spec: spec.update(dataPlane="nginx"),
    "an unknown api": lambda spec: spec["workload"].update(api="telepathy"),
    "tokens below zero": lambda spec: spec["workload"]["inputTokens"].update(mean=0),
    "an issuer without TLS": lambda spec: spec["cluster"]["edge"].update(
        authentication={"jwt": {"issuer": "http://x", "jwksEndpoint": "https://x"}}
    ),
    "an old Kubernetes": lambda spec: spec["cluster"].update(kubernetesVersion="1.29"),
    "no objective": lambda spec: spec.pop("slo"),
    "a number of ranks that is a word": lambda spec: spec["units"][0].update(tensorParallel="many"),
    "a number of ranks in quotes": lambda spec: spec["units"][0].update(tensorParallel="4"),
    "no ranks": lambda spec: spec["units"][0].update(tensorParallel=0),
    "half a sequence": lambda spec: spec["units"][0].update(maxNumSeqs=1.5),
    "truth for a number of sequences": lambda spec: spec["units"][0].update(maxNumSeqs=True),
    "more ranks than there are": lambda spec: spec["units"][0].update(tensorParallel=1025),
    "an unknown planner": lambda spec: spec.update(planning="magic"),
    "a bound without a unit": lambda spec: spec.update(replanBound="0.1"),
}
"""Refused by the schema alone."""

BROKEN_RULES: dict[str, Change] = {
    "the data plane of one machine": lambda spec: spec.update(dataPlane="local"),
    "nobody says who may ask": lambda spec: spec["cluster"]["edge"].pop("authentication"),
    "two ways to authenticate": lambda spec: spec["cluster"]["edge"]["authentication"].update(
        jwt={"issuer": "https://x", "jwksEndpoint": "https://x"}
    ),
    "routes by KV cache on an ALB": lambda spec: (
        spec["cluster"].update(kvAwareRouting=True),
        spec.pop("dataPlane", 0),
    ),
    "routes by sizes that there are not": lambda spec: spec.update(routing={"bySize": True}),
    "fewer replicas at most than at least": lambda spec: spec["units"][0].update(minReplicas=9, maxReplicas=2),
    "fewer replicas at most than at least by default": lambda spec: (
        spec["units"][0].pop("maxReplicas"),
        spec["units"][0].update(minReplicas=101),
    ),
    "bought in a way that is not among those": lambda spec: spec["units"][0].update(
        capacityType="spot", capacityTypes=["on-demand"]
    ),
    "a zone that the fleet has not": lambda spec: (
        spec.update(zones=["us-west-2a"]),
        spec["units"][0].update(zones=["us-west-2b"]),
    ),
    "a price of a way that it is not bought": lambda spec: spec["units"][0].update(prices={"reserved": "1 USD/h"}),
    "what Neuron's compiler is told of a GPU": lambda spec: spec["units"][0].update(neuronConfig={"a": 1}),
    "devices of ranks that are left to the plan": lambda spec: spec["units"][0].update(
        tensorParallel="auto", devices=4
    ),
    "two units of one name": lambda spec: spec["units"].append(dict(spec["units"][0])),
    "no bound of any latency": lambda spec: spec.update(slo={"latency": {}, "errorRate": "1%"}),
    "a day of three hours": lambda spec: (spec["demand"].pop("peak", 0), spec["demand"].update(day=["1/s"] * 3)),
    "a mean above the most": lambda spec: spec["workload"]["inputTokens"].update(mean=9, max=8),
    "images with tokens": lambda spec: spec["workload"].update(api="images"),
    "a path of an api that has one": lambda spec: spec["workload"].update(path="/x"),
}
"""Refused by rules in CEL, which only an API server can judge (tests/cluster)."""
