"""A way to serve the model, and how its instances are bought."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Self

import pydantic
from pydantic import Field

from holdfast.model.cluster import Nodes
from holdfast.model.declaration import Document, Name, Zone
from holdfast.model.fields import Duration, Price

VLLM = "vllm"
VLLM_NEURON = "vllm-neuron"
"""vLLM, and vLLM with AWS Neuron's backend."""

OWN_SERVER = {"eager": "eager", "cuda": "eager", "compile": "compile", "triton": "compile", "neuronx": "neuronx"}
"""Frameworks that holdfast's own server runs, by what it calls them: published fleets call PyTorch on a GPU `cuda`, and
with its compiler, which writes Triton kernels, `triton`."""


class CapacityType(enum.Enum):
    """How an instance is bought; the values are Karpenter's `karpenter.sh/capacity-type` labels."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    RESERVED = "reserved"


def _or_auto(most: int, *others: dict[str, str]) -> pydantic.WithJsonSchema:
    """The document may leave the number to the plan (document.Declared); the value never does."""
    whole: dict[str, object] = {"type": "integer", "minimum": 1, "maximum": most}
    return pydantic.WithJsonSchema({"anyOf": [whole, {"const": "auto"}, *others]})


class Disaggregated(Document):
    """Prefill and decode on servers of their own, which hand KV caches over; the numbers of each in one replica.

    prefill: servers that read prompts.
    decode:  servers that write answers.
    """

    prefill: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    decode: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1


class DeploymentUnit(Document):
    """(model, accelerator, framework) with its serving configuration, and the pool it draws replicas from.

    name:           of the unit and its pool; names of objects are made of it.
    accelerator:    by its name in the catalogue (`holdfast catalog`).
    instance_type:  of EC2, or of nodes of one's own.
    framework:      `vllm`, `vllm-neuron`; of holdfast's own server `eager` (or `cuda`), `compile` (or `triton`) and
                    `neuronx`; or any name of a server that `image` brings.
    tensor_parallel: ranks that share each layer; `auto` leaves it to the plan.
    pipeline_parallel: stages that share the layers out.
    max_num_seqs:   most requests in one batch of a server; `auto` leaves it to the plan.
    max_model_len:  most tokens of a prompt and its answer together; the model's own when absent.
    capacity_type:  how its instances are bought.
    min_replicas, max_replicas: bounds of what is planned and of what a scaler may ask for.
    image:          of its server; the framework's when absent, and of holdfast's own server the one beside the fleet's.
    endpoint:       URL of a server of the unit to measure; for the reader's notes, nothing is sent there by itself.
    devices: accelerator devices of one server, which is a replica unless it is disaggregated; by default TP x PP. On
    Neuron a tensor-parallel rank is a logical core: a plan states the devices that its ranks take where the document
    does not (planning.cores).
    price_usd_per_h: price of one *instance* of the capacity type; the catalogue's price in the region when absent.
    capacity_types: all ways in which instances may be bought, where there are several; capacity_type is one of them.
    prices_usd_per_h: prices of one instance of the others; the catalogue's when absent.
    zones:          where its instances can be had; all zones of the fleet when absent.
    nodes:          who brings its nodes; as the fleet's cluster says when absent.
    dra:            whether devices are claimed by Dynamic Resource Allocation instead of a device plugin.
    disaggregated:  prefill and decode on servers of their own; one server does both when absent.
    neuron_config:  of vLLM on Neuron, what its compiler is told beyond what follows from the other keys, e.g.
                    `enable_bucketing: false`; the names are Neuron's and have underscores.
    startup_s:      from the start of an instance until its replica serves; it is paid for and carries nothing.
    """

    name: Name
    accelerator: str
    instance_type: str
    framework: str
    tensor_parallel: Annotated[int, Field(strict=True, ge=1, le=1024), _or_auto(1024)] = 1
    pipeline_parallel: Annotated[int, Field(strict=True, ge=1, le=1024)] = 1
    devices: Annotated[int | None, Field(strict=True, ge=1, le=1024)] = None
    max_num_seqs: Annotated[
        int | None, Field(strict=True, ge=1, le=1_000_000), _or_auto(1_000_000, {"type": "null"})
    ] = None
    max_model_len: Annotated[int | None, Field(strict=True, ge=1, le=100_000_000)] = None
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    price_usd_per_h: Annotated[Price | None, Field(alias="price")] = None
    capacity_types: tuple[CapacityType, ...] = ()
    prices_usd_per_h: Annotated[dict[CapacityType, Price], Field(alias="prices")] = Field(default={})
    zones: tuple[Zone, ...] = ()
    startup_s: Annotated[Duration, Field(alias="startup")] = 0.0
    min_replicas: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 1
    max_replicas: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 100
    image: str | None = None
    nodes: Nodes | None = None
    dra: Annotated[bool, Field(strict=True)] = False
    disaggregated: Disaggregated | None = None
    neuron_config: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], pydantic.JsonValue] = Field(default={})
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

    @pydantic.model_validator(mode="after")
    def _configures_what_it_runs(self) -> Self:
        if self.neuron_config and not self.runs_vllm_neuron:
            raise ValueError(f"neuronConfig is of framework {VLLM_NEURON}, and this is {self.framework}; remove it")
        return self

    @property
    def ways(self) -> tuple[CapacityType, ...]:
        """The capacity types that its instances may be bought in, the main one first."""
        return (self.capacity_type, *(other for other in self.capacity_types if other is not self.capacity_type))

    @property
    def runs_vllm(self) -> bool:
        """Whether it takes vLLM's arguments and exports vLLM's metrics."""
        return self.framework == VLLM or self.runs_vllm_neuron

    @property
    def runs_vllm_neuron(self) -> bool:
        return self.framework == VLLM_NEURON

    @property
    def own_framework(self) -> str | None:
        """What holdfast's own server calls the framework; None where another server runs it."""
        return OWN_SERVER.get(self.framework)

    @property
    def devices_per_server(self) -> int:
        return self.devices or self.tensor_parallel * self.pipeline_parallel

    @property
    def devices_per_stage(self) -> int:
        """Of one stage of a server's pipeline, which is a tensor-parallel group."""
        return math.ceil(self.devices_per_server / self.pipeline_parallel)

    @property
    def devices_per_replica(self) -> int:
        both = self.disaggregated
        return self.devices_per_server * (1 if both is None else both.prefill + both.decode)
