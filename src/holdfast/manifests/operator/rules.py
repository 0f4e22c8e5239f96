"""What a fleet must be beyond the types of its fields, in CEL: the API server refuses what breaks one.

They say what the model's own validators say, as far as CEL can: quantities such as `0.9s` are strings to it, and are
compared by the operator alone. Absent fields have the model's defaults.
"""

from __future__ import annotations

from holdfast.manifests.operator.structural import Bounded, Rule
from holdfast.model.unit import VLLM_NEURON, DeploymentUnit

LISTS = {
    "units": Bounded(64, "map", "name"),
    "zones": Bounded(16, "set"),
    "capacityTypes": Bounded(3, "set"),
    "files": Bounded(256),
    "day": Bounded(24),
    "sizes": Bounded(100),
    "allowFrom": Bounded(64),
    "loadBalancerNetworks": Bounded(16),
    "pools": Bounded(64, "map", "unit"),
    "conditions": Bounded(16, "map", "type"),
}
"""Bounds of lists by field. A fleet has at most 64 units as a resource, and so many as one likes in a file."""

_FIELDS = DeploymentUnit.model_fields
_LEAST, _MOST = _FIELDS["min_replicas"].default, _FIELDS["max_replicas"].default
_BOUGHT = f"(has(self.capacityType) ? self.capacityType : '{_FIELDS['capacity_type'].default.value}')"

_STATISTICS = ("avg", "p50", "p90", "p95", "p99")
_BOUNDED = " || ".join(
    f"(has(self.{kind}) && ({' || '.join(f'has(self.{kind}.{statistic})' for statistic in _STATISTICS)}))"
    for kind in ("latency", "ttft", "itl")
)

_TOKENS = "(has(self.inputTokens) && has(self.outputTokens))"

RULES: dict[str, tuple[Rule, ...]] = {
    "FleetSpec": (
        Rule(
            "!has(self.dataPlane) || self.dataPlane != 'local'",
            "dataPlane local is for one machine (holdfast up); choose alb or gateway-api",
        ),
        Rule(
            "has(self.cluster) && has(self.cluster.edge) && has(self.cluster.edge.authentication)",
            "cluster.edge.authentication does not say who may send requests; give jwt, oidc or cognito, or none: true",
        ),
        Rule(
            "!(has(self.cluster) && has(self.cluster.kvAwareRouting) && self.cluster.kvAwareRouting) || "
            "(has(self.dataPlane) && self.dataPlane == 'gateway-api')",
            "cluster.kvAwareRouting needs dataPlane gateway-api",
        ),
        Rule(
            "!(has(self.routing) && has(self.routing.bySize) && self.routing.bySize) || "
            "(has(self.workload.sizes) && size(self.workload.sizes) > 0)",
            "routing.bySize has no workload.sizes to route by",
        ),
        Rule(
            "!has(self.zones) || size(self.zones) == 0 || "
            "self.units.all(unit, !has(unit.zones) || unit.zones.all(zone, zone in self.zones))",
            "a unit is in a zone that is not among the fleet's zones",
        ),
    ),
    "DeploymentUnit": (
        Rule(
            f"(has(self.minReplicas) ? self.minReplicas : {_LEAST}) <= "
            f"(has(self.maxReplicas) ? self.maxReplicas : {_MOST})",
            f"minReplicas ({_LEAST} when absent) is above maxReplicas ({_MOST} when absent)",
        ),
        Rule(
            f"!has(self.capacityTypes) || size(self.capacityTypes) == 0 || {_BOUGHT} in self.capacityTypes",
            "capacityType is not among capacityTypes",
        ),
        Rule(
            "!has(self.prices) || self.prices.all(way, "
            f"has(self.capacityTypes) && way in self.capacityTypes && way != {_BOUGHT})",
            "prices are of the capacityTypes other than capacityType, whose price is `price`",
        ),
        Rule(
            f"!has(self.neuronConfig) || self.framework == '{VLLM_NEURON}'",
            f"neuronConfig is of framework {VLLM_NEURON}",
        ),
        Rule(
            "!(has(self.devices) && has(self.tensorParallel) && type(self.tensorParallel) == string)",
            "devices follow from tensorParallel, which is auto; remove devices",
        ),
    ),
    "Slo": (Rule(_BOUNDED, "the SLO bounds no latency; give one, e.g. latency: {p95: 0.9s}"),),
    "Demand": (
        Rule("!has(self.day) || size(self.day) in [0, 24]", "a day has 24 rates, one for each hour"),
        Rule(
            "!(has(self.peak) && has(self.day) && size(self.day) > 0)",
            "both peak and day are given; the day says what its peak is",
        ),
    ),
    "ModelFiles": (
        Rule("has(self.s3) == has(self.sha256)", "s3 and sha256 go together: files from a bucket are verified"),
        Rule(
            "!has(self.s3) || !(has(self.revision) || has(self.tokenSecret))",
            "revision and tokenSecret are of Hugging Face; remove them, or s3",
        ),
    ),
    "TokenLengths": (
        Rule("!(has(self.min) && has(self.max)) || self.min <= self.max", "min is above max"),
        Rule(
            "(!has(self.min) || double(self.min) <= self.mean) && (!has(self.max) || self.mean <= double(self.max))",
            "the mean is not between min and max",
        ),
    ),
    "Workload": (
        Rule(f"!(self.api in ['completions', 'chat']) || {_TOKENS}", "this api needs inputTokens and outputTokens"),
        Rule("self.api != 'embeddings' || has(self.inputTokens)", "the embeddings api needs inputTokens"),
        Rule("self.api in ['completions', 'chat', 'post'] || !has(self.outputTokens)", "this api has no outputTokens"),
        Rule("self.api != 'images' || !has(self.inputTokens)", "the images api has no inputTokens"),
        Rule("(self.api == 'post') == has(self.path)", "path is of the post api, which needs one"),
        Rule(f"!has(self.sizes) || size(self.sizes) == 0 || {_TOKENS}", "sizes need inputTokens and outputTokens"),
    ),
    "Authentication": (
        Rule(
            "[has(self.jwt), has(self.oidc), has(self.cognito), has(self.none) && self.none].exists_one(way, way)",
            "authentication is one of jwt, oidc, cognito, or none: true",
        ),
    ),
    "Edge": (
        Rule(
            "!(has(self.plainHttp) && self.plainHttp && has(self.certificateArn))",
            "plainHttp has no use for a certificateArn",
        ),
        Rule(
            "!(has(self.plainHttp) && self.plainHttp && has(self.redirectHttp) && self.redirectHttp)",
            "plainHttp has no TLS for redirectHttp to lead to",
        ),
        Rule(
            "!(has(self.plainHttp) && self.plainHttp) || !has(self.authentication) || "
            "(has(self.authentication.none) && self.authentication.none)",
            "an ALB verifies who asks on TLS listeners only; remove plainHttp, or authenticate none",
        ),
    ),
    "Runs": (Rule("has(self.s3) != has(self.storageClass)", "runs are kept in s3 or on a storageClass"),),
}
"""By definition of the model."""

NAMED = Rule(
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$')",
    "the name has at most 53 characters, so that names of its pools' objects can be made of it",
)
"""Of the resource itself."""
