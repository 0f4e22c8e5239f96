"""The InferenceFleet document: what a user declares, as YAML and as a Kubernetes custom resource.

    InferenceFleet
      spec: FleetSpec
        model: ServedModel          what is served
        workload: Workload          the shape of one request
        slo: Slo                    what a good answer is
        demand: Demand              how many requests come, all day or hour by hour
        units: (DeploymentUnit, ...)  the ways it can be served, each with its capacity pool
        capacity: CapacityPolicy    how far units are filled, which loss must be survived, quotas
        routing: RoutingPolicy      how traffic moves when capacity does

Keys are camelCase in YAML and snake_case here; fields that carry a unit say so in their Python name.
Unknown keys are refused. `document.py` reads the YAML and points at lines.
"""

from __future__ import annotations

import enum
import math
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field
from pydantic.alias_generators import to_camel

from holdfast.model import quantities
from holdfast.model.quantities import Duration, Price, Rate, Share, Vcpus
from holdfast.model.template import Template


class Document(pydantic.BaseModel):
    """Base of every part of the document: frozen, camelCase outside, unknown keys refused."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$")]
"""A DNS label that still leaves room for suffixes in a Kubernetes name (63 characters)."""


class Api(enum.Enum):
    """The HTTP interface that a request uses. POST is any other: a path and a JSON body of the user's."""

    COMPLETIONS = "completions"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    POST = "post"

    @property
    def path(self) -> str:
        """Where it is served, below the base of a URL; empty for POST, whose workload says where."""
        return _PATHS.get(self, "")

    @property
    def makes_tokens(self) -> bool:
        """Whether its answers are text, which can stream and has a length."""
        return self in (Api.COMPLETIONS, Api.CHAT)

    @property
    def takes_tokens(self) -> bool:
        """Whether the length of what is asked is known in tokens."""
        return self.makes_tokens or self is Api.EMBEDDINGS


_PATHS = {
    Api.COMPLETIONS: "/v1/completions",
    Api.CHAT: "/v1/chat/completions",
    Api.EMBEDDINGS: "/v1/embeddings",
    Api.IMAGES: "/v1/images/generations",
}


class ServedModel(Document):
    """What is served: a Hugging Face id (or any name the server answers to) and its task."""

    id: Annotated[str, Field(min_length=1)]
    task: Literal["text-generation", "text-to-image"] = "text-generation"


class TokenLengths(Document):
    """A token count per request: a normal distribution in tokens, cut at `min` and `max`.

    A standard deviation of 0 is a fixed length.
    """

    mean: Annotated[float, Field(gt=0, le=10_000_000)]
    stddev: Annotated[float, Field(ge=0, le=10_000_000)] = 0.0
    min: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    max: Annotated[int | None, Field(ge=1, le=10_000_000)] = None

    @pydantic.model_validator(mode="after")
    def _mean_is_between(self) -> Self:
        low, high = self.min if self.min is not None else 0, self.max if self.max is not None else math.inf
        if low > high:
            raise ValueError(f"the min of {low} tokens is above the max of {high}")
        if not low <= self.mean <= high:
            raise ValueError(f"the mean of {self.mean:g} tokens is not between min and max ({low} and {high:g})")
        return self


class RequestSize(Document):
    """Requests of one size: their share of all, and the tokens of one of them."""

    share: Share
    input_tokens: Annotated[float, Field(gt=0, le=10_000_000)]
    output_tokens: Annotated[float, Field(gt=0, le=10_000_000)]


class Workload(Document):
    """The shape of one request.

    input_tokens:  due for `completions`, `chat` and `embeddings`; for `post`, of what `{prompt}` stands for.
    output_tokens: due for `completions` and `chat`; for `post`, what `{max_tokens}` stands for.
    path, body:    of `post`: where it goes, below the base of the URL, and its JSON (see model.template).
    sizes:         what the requests are made of where one mean does not describe them; for planning only. Shares add up
                   to 100%.
    """

    api: Api
    input_tokens: TokenLengths | None = None
    output_tokens: TokenLengths | None = None
    path: Annotated[str | None, Field(max_length=2000)] = None
    body: pydantic.JsonValue = None
    sizes: Annotated[tuple[RequestSize, ...], Field(max_length=100)] = ()

    @pydantic.model_validator(mode="after")
    def _sizes_are_whole(self) -> Self:
        if self.sizes and not (self.input_tokens and self.output_tokens):
            raise ValueError("sizes are in tokens; they need inputTokens and outputTokens, the means over all sizes")
        if self.sizes and not math.isclose(math.fsum(size.share for size in self.sizes), 1.0, abs_tol=1e-6):
            total = quantities.format_share(math.fsum(size.share for size in self.sizes))
            raise ValueError(f"the shares of the sizes add up to {total}; make them 100%")
        for kind, lengths in (("input_tokens", self.input_tokens), ("output_tokens", self.output_tokens)):
            mean = math.fsum(size.share * getattr(size, kind) for size in self.sizes)
            if self.sizes and lengths and not math.isclose(mean, lengths.mean, rel_tol=0.05):
                key = to_camel(kind)
                raise ValueError(f"the sizes have {mean:g} {key} on average, and {key} has a mean of {lengths.mean:g}")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_api(self) -> Self:
        if self.api is Api.POST:
            self._check_post()
            return self
        name = self.api.value
        if self.path is not None or self.body is not None:
            raise ValueError(f"the {name} API has its own path and body; remove path and body, or use the post API")
        if self.api.makes_tokens and (self.input_tokens is None or self.output_tokens is None):
            raise ValueError(f"the {name} API needs inputTokens and outputTokens, e.g. {{mean: 200}}")
        if self.api.takes_tokens and self.input_tokens is None:
            raise ValueError(f"the {name} API needs inputTokens, e.g. {{mean: 200}}")
        if not self.api.takes_tokens and (self.input_tokens or self.output_tokens):
            raise ValueError(f"the {name} API has no inputTokens or outputTokens; remove them")
        if not self.api.makes_tokens and self.output_tokens:
            raise ValueError(f"the {name} API has no outputTokens; remove them")
        return self

    def _check_post(self) -> None:
        if self.path is None or self.body is None:
            raise ValueError("the post API needs a path and a body, e.g. path: /generate, body: {prompt: '{prompt}'}")
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable() or " " in self.path:
            raise ValueError(f"{self.path!r} is not a path; it begins with / and has no blank")
        names = Template.of(self.body).names
        for placeholder, lengths, key in (
            ("prompt", self.input_tokens, "inputTokens"),
            ("max_tokens", self.output_tokens, "outputTokens"),
        ):
            if placeholder in names and lengths is None:
                raise ValueError(f"the body has {{{placeholder}}}, and {key} does not say how long it is")

    @property
    def request_path(self) -> str:
        """Where requests of this workload go, below the base of a URL."""
        return self.path or self.api.path


class Percentiles(Document):
    """Upper bounds in seconds on the mean and on percentiles of one latency; None where unbounded."""

    avg_s: Annotated[Duration | None, Field(alias="avg")] = None
    p50_s: Annotated[Duration | None, Field(alias="p50")] = None
    p90_s: Annotated[Duration | None, Field(alias="p90")] = None
    p95_s: Annotated[Duration | None, Field(alias="p95")] = None
    p99_s: Annotated[Duration | None, Field(alias="p99")] = None

    @pydantic.model_validator(mode="after")
    def _positive(self) -> Self:
        for name, value in self.bounds():
            if value <= 0:
                raise ValueError(f"a bound of 0 on {name} can never hold; give a positive duration")
        return self

    def bounds(self) -> tuple[tuple[str, float], ...]:
        """The bounds that are set, as (statistic, seconds) with statistic one of avg p50 p90 p95 p99."""
        given = ((name, getattr(self, f"{name}_s")) for name in ("avg", "p50", "p90", "p95", "p99"))
        return tuple((name, value) for name, value in given if value is not None)


class Slo(Document):
    """What a good answer is. At least one latency bound; error rate defaults to 1 %.

    latency:     end-to-end, from the intended start of a request to its last byte.
    ttft:        time to first token, from the intended start.
    itl:         inter-token latency, between consecutive chunks of a stream.
    error_rate:  share of requests that may fail, 0..1.
    utilization: ceiling on the accelerator's own utilisation, 0..1; None where unbounded or unknown.
    """

    latency: Percentiles = Percentiles()
    ttft: Percentiles = Percentiles()
    itl: Percentiles = Percentiles()
    error_rate: Share = 0.01
    utilization: Share | None = None

    @pydantic.model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if not (self.latency.bounds() or self.ttft.bounds() or self.itl.bounds()):
            raise ValueError("the SLO bounds no latency; give one, e.g. latency: {p95: 0.9s}")
        return self


class Demand(Document):
    """Requests per second that the fleet must serve: usual rate, and what is planned for.

    peak_per_s: the highest rate, which replicas are planned for all day.
    day_per_s:  instead of a peak, the rate of each of the 24 hours; replicas are planned hour by hour.
    """

    rate_per_s: Annotated[Rate, Field(alias="rate")]
    peak_per_s: Annotated[Rate | None, Field(alias="peak")] = None
    day_per_s: Annotated[tuple[Rate, ...], Field(alias="day")] = ()

    @pydantic.model_validator(mode="after")
    def _day_is_whole(self) -> Self:
        if self.day_per_s and len(self.day_per_s) != 24:
            raise ValueError(f"a day has 24 rates, one for each hour, and {len(self.day_per_s)} are given")
        if self.day_per_s and self.peak_per_s is not None:
            raise ValueError("both peak and day are given; the day says what its peak is, so remove peak")
        if any(rate < 1e-6 for rate in self.day_per_s):
            raise ValueError("an hour of the day has no demand to plan for; give it the least rate that must be served")
        if self.day_per_s and max(self.day_per_s) < self.rate_per_s:
            raise ValueError("every hour of the day is below rate; give the usual rate of the day as rate")
        return self

    @pydantic.model_validator(mode="after")
    def _peak_is_highest(self) -> Self:
        if self.rate_per_s < 1e-6:
            raise ValueError("the demand is below one request in ten days; there is nothing to plan")
        if self.planned_per_s > 1e7:
            raise ValueError("the demand is above ten million requests per second")
        if self.peak_per_s is not None and self.peak_per_s < self.rate_per_s:
            raise ValueError("peak is below rate; give the highest rate as peak")
        return self

    @property
    def planned_per_s(self) -> float:
        """The highest rate that is planned for."""
        return max(self.periods_per_s)

    @property
    def periods_per_s(self) -> tuple[float, ...]:
        """The rates that replicas are planned for, one after the other: of each hour, or the one of all day."""
        if self.day_per_s:
            return self.day_per_s
        return (self.peak_per_s if self.peak_per_s is not None else self.rate_per_s,)


class Loss(enum.Enum):
    """What may go at once: a zone, every device of one accelerator, a spot pool (the spot instances of one type in one
    zone), or the replicas of one unit."""

    ZONE = "zone"
    ACCELERATOR = "accelerator"
    SPOT = "spot"
    POOL = "pool"


class CapacityType(enum.Enum):
    """How an instance is bought; the values are Karpenter's `karpenter.sh/capacity-type` labels."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVED = "reserved"


Zone = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""An availability zone, e.g. `us-west-2a`."""


class DeploymentUnit(Document):
    """(model, accelerator, framework) with its serving configuration, and the pool it draws replicas from.

    devices: accelerator devices of one replica; by default TP x PP for GPUs. On Neuron a tensor-parallel
    rank is a core, so give the devices when they differ from TP x PP.
    price_usd_per_h: price of one *instance* of the capacity type; the catalogue's price in the region when absent.
    capacity_types: all ways in which instances may be bought, where there are several; capacity_type is one of them.
    prices_usd_per_h: prices of one instance of the others; the catalogue's when absent.
    zones:          where its instances can be had; all zones of the fleet when absent.
    startup_s:      from the start of an instance until its replica serves; it is paid for and carries nothing.
    """

    name: Name
    accelerator: str
    instance_type: str
    framework: str
    tensor_parallel: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    pipeline_parallel: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    devices: Annotated[int | None, Field(strict=True, ge=1, le=1024)] = None
    max_num_seqs: Annotated[int | None, Field(strict=True, ge=1, le=1_000_000)] = None
    max_model_len: Annotated[int | None, Field(strict=True, ge=1, le=100_000_000)] = None
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    price_usd_per_h: Annotated[Price | None, Field(alias="price")] = None
    capacity_types: tuple[CapacityType, ...] = ()
    prices_usd_per_h: Annotated[dict[CapacityType, Price], Field(alias="prices")] = {}
    zones: tuple[Zone, ...] = ()
    startup_s: Annotated[Duration, Field(alias="startup")] = 0.0
    min_replicas: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 1
    max_replicas: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 100
    image: str | None = None
    endpoint: str | None = None

    @pydantic.model_validator(mode="after")
    def _replicas_in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is above maxReplicas {self.max_replicas}")
        return self

    @pydantic.model_validator(mode="after")
    def _is_bought_in_known_ways(self) -> Self:
        for kind, values in (("capacityTypes", self.capacity_types), ("zones", self.zones)):
            if len(set(values)) < len(values):
                raise ValueError(f"{kind} names one twice")
        if self.capacity_types and self.capacity_type not in self.capacity_types:
            raise ValueError(f"capacityType {self.capacity_type.value} is not among capacityTypes; make it one of them")
        for capacity_type in self.prices_usd_per_h:
            if capacity_type is self.capacity_type:
                raise ValueError(f"the {capacity_type.value} price is `price`; `prices` are of the other capacityTypes")
            if capacity_type not in self.capacity_types:
                raise ValueError(f"prices has {capacity_type.value}, which is not among capacityTypes")
        return self

    @property
    def ways(self) -> tuple[CapacityType, ...]:
        """The capacity types that its instances may be bought in, the main one first."""
        return (self.capacity_type, *(other for other in self.capacity_types if other is not self.capacity_type))

    @property
    def devices_per_replica(self) -> int:
        return self.devices or self.tensor_parallel * self.pipeline_parallel


Quota = Literal["G", "P", "Inf", "Trn", "DL", "G spot", "P spot", "Inf spot", "Trn spot", "DL spot"]
"""EC2's classes of vCPU quotas for instances with accelerators, on demand and as spot."""

_SHORT = {"none": (), "one-pool": (Loss.POOL,)}


def _losses(value: object) -> object:
    """The short forms of `survive` as lists."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str) or value not in _SHORT:
        kinds = ", ".join(kind.value for kind in Loss)
        raise ValueError(f"{value!r} is neither none nor one-pool, nor a list of {kinds}")
    return _SHORT[value]


def _short_losses(value: tuple[Loss, ...]) -> str | list[str]:
    return next((short for short, losses in _SHORT.items() if value == losses), [kind.value for kind in value])


Losses = Annotated[
    tuple[Loss, ...],
    pydantic.BeforeValidator(_losses),
    pydantic.PlainSerializer(_short_losses),
    pydantic.WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_SHORT)},
                {"type": "array", "items": {"enum": [kind.value for kind in Loss]}, "uniqueItems": True},
            ]
        }
    ),
]


class CapacityPolicy(Document):
    """How full a unit is planned, which loss the plan must survive, and what bounds it.

    utilization_target: share of a unit's breaking point that it is planned to carry, 0..1.
    headroom: share of the demand that is planned for on top of it.
    survive:  kinds of loss (`zone`, `accelerator`, `spot`, `pool`), `one-pool` for [pool], or `none`. Any one loss of
        these kinds may strike: the rest, filled to their breaking points, still carry the planned demand.
    max_pools: most units with replicas; a plan for an ALB needs 5 or fewer. Any number when absent.
    quotas:   vCPUs by class of EC2 quota (`G`, `P`, `Inf`, `Trn`, `DL`; `G spot` and so on for spot); unbounded when
        absent. EC2 counts spot of the P class by generation: give the quota of the generation that the units use.
    """

    utilization_target: Share = 0.8
    headroom: Share = 0.0
    survive: Losses = (Loss.POOL,)
    max_pools: Annotated[int | None, Field(strict=True, ge=1, le=1000)] = None
    quotas: dict[Quota, Vcpus] = {}

    @pydantic.model_validator(mode="after")
    def _target_is_positive(self) -> Self:
        if self.utilization_target <= 0:
            raise ValueError("a utilizationTarget of 0% leaves no capacity to plan with")
        if len(set(self.survive)) < len(self.survive):
            raise ValueError("survive names a kind of loss twice")
        return self


class Ramp(Document):
    """Failback goes by steps: `step` of the total weight every `every`."""

    step: Share = 0.25
    every_s: Annotated[Duration, Field(alias="every")] = 30.0

    @pydantic.model_validator(mode="after")
    def _moves(self) -> Self:
        if self.step <= 0:
            raise ValueError("a ramp step of 0% never fails back")
        return self


class WeightPolicy(enum.Enum):
    """How the plan shares traffic out among pools; planning.weights says what each is."""

    MERIT_ORDER = "merit-order"
    INVERSE_COST = "inverse-cost"
    CAPACITY_OPTIMIZED = "capacity-optimized"


class RoutingPolicy(Document):
    """How traffic moves when capacity does.

    policy:    `merit-order` fails over pool by pool; `two-mode`, `round-robin` and `static` are there to compare with
        (control/policies.py says what each does and promises).
    weights:   how the plan shares traffic out.
    min_share: share that every ready pool keeps so that it stays warm and measured.
    by_size:   whether whoever routes knows the size of a request (workload.sizes) and sends each where the plan says.
        Weights know nothing of it: without, every pool gets all sizes in the same mixture.
    dwell_s:   least time between a mode change and the failback from it.
    """

    policy: Literal["merit-order", "two-mode", "round-robin", "static"] = "merit-order"
    weights: WeightPolicy = WeightPolicy.MERIT_ORDER
    min_share: Share = 0.01
    by_size: Annotated[bool, Field(strict=True)] = False
    dwell_s: Annotated[Duration, Field(alias="dwell")] = 120.0
    ramp: Ramp = Ramp()


class DataPlane(enum.Enum):
    """What carries the traffic: an ALB Ingress, a Gateway API route, or Envoy on this machine."""

    ALB = "alb"
    GATEWAY_API = "gateway-api"
    LOCAL = "local"


class Metadata(Document):
    name: Name
    namespace: Name = "default"


class FleetSpec(Document):
    model: ServedModel
    workload: Workload
    slo: Slo
    demand: Demand
    region: str = "us-west-2"
    zones: tuple[Zone, ...] = ()
    units: Annotated[tuple[DeploymentUnit, ...], Field(min_length=1)]
    capacity: CapacityPolicy = CapacityPolicy()
    routing: RoutingPolicy = RoutingPolicy()
    data_plane: DataPlane = DataPlane.ALB

    @pydantic.model_validator(mode="after")
    def _unit_names_differ(self) -> Self:
        names = [unit.name for unit in self.units]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two units are named {twice[0]!r}; give each its own name")
        return self

    @pydantic.model_validator(mode="after")
    def _zones_are_known(self) -> Self:
        if len(set(self.zones)) < len(self.zones):
            raise ValueError("zones names one twice")
        if Loss.ZONE in self.capacity.survive and not all(unit.zones or self.zones for unit in self.units):
            raise ValueError("capacity.survive has zone, and zones does not say which there are, e.g. [us-west-2a]")
        for unit in self.units:
            strange = sorted(set(unit.zones) - set(self.zones)) if self.zones else []
            if strange:
                raise ValueError(f"unit {unit.name!r} is in zone {strange[0]}, which is not among the fleet's zones")
        if self.routing.by_size and not self.workload.sizes:
            raise ValueError("routing.bySize has no workload.sizes to route by; give them, or remove it")
        return self


class InferenceFleet(Document):
    """The user's declaration of a fleet. See the module docstring for its tree."""

    api_version: Literal["holdfast.dev/v1alpha1"]
    kind: Literal["InferenceFleet"]
    metadata: Metadata
    spec: FleetSpec

    def unit(self, name: str) -> DeploymentUnit:
        """The unit of that name. Raises KeyError."""
        for unit in self.spec.units:
            if unit.name == name:
                return unit
        raise KeyError(name)


def parse_slo(text: str) -> Slo:
    """An Slo from a flag: comma-separated bounds such as `p95<1.5s, ttft p99<2s, errors<1%, utilization<80%`.

    Raises ValueError with a sentence.
    """
    parts: dict[str, object] = {}
    for clause in filter(None, (piece.strip() for piece in text.split(","))):
        left, less, right = clause.replace("<=", "<").partition("<")
        words = left.replace("_", " ").lower().split()
        if not less or not words or not right.strip():
            raise ValueError(f"{clause!r} is not a bound; write it like 'p95<1.5s' or 'ttft p95<2s'")
        if words in (["errors"], ["error", "rate"], ["utilization"]):
            parts["utilization" if words == ["utilization"] else "error_rate"] = right.strip()
            continue
        metric = words[0] if len(words) == 2 else "latency"
        statistic = words[-1]
        if metric not in ("latency", "ttft", "itl") or statistic not in ("avg", "p50", "p90", "p95", "p99"):
            raise ValueError(
                f"{left.strip()!r} is not something an SLO bounds; known: [latency|ttft|itl] avg|p50|p90|p95|p99, "
                "errors, utilization"
            )
        bounds = parts.setdefault(metric, {})
        assert isinstance(bounds, dict)
        bounds[statistic] = right.strip()
    try:
        return Slo.model_validate(parts)
    except pydantic.ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def format_slo(slo: Slo) -> str:
    """The Slo in the words of `parse_slo`, e.g. `p95<1.5s, errors<1%`."""
    clauses = []
    for metric in ("latency", "ttft", "itl"):
        for statistic, bound_s in getattr(slo, metric).bounds():
            name = statistic if metric == "latency" else f"{metric} {statistic}"
            clauses.append(f"{name}<{quantities.format_duration(bound_s)}")
    clauses.append(f"errors<{quantities.format_share(slo.error_rate)}")
    if slo.utilization is not None:
        clauses.append(f"utilization<{quantities.format_share(slo.utilization)}")
    return ", ".join(clauses)
