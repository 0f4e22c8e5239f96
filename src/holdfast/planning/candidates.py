"""Which priced instance types hold a model, and what they would cost: cheapest first."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.packing import NETWORK_GBPS
from holdfast.performance import memory
from holdfast.performance.memory import Fit

NODE_COUNTS = (2, 4, 8)
"""Nodes that a replica is tried on."""


class Holder(enum.Enum):
    """The least that holds a replica."""

    DEVICE = "device"
    NODE = "node"
    NODES = "nodes"
    NONE = "none"


@dataclass(frozen=True)
class Load:
    """What must fit at once: so many sequences of so many tokens, prompt and answer together."""

    sequence_tokens: int
    sequences: int


@dataclass(frozen=True)
class Candidate:
    """An offering that holds the model.

    devices:  that one replica takes on each of its nodes. nodes: that one replica takes.
    replicas: that share one instance; 1 where a replica takes several.
    """

    offering: Offering
    instance: InstanceType
    fit: Fit
    devices: int
    nodes: int
    replicas: int

    @property
    def price_usd_per_h(self) -> float:
        """What must be bought for the first replica: whole instances."""
        return self.offering.price_usd_per_h * self.nodes

    @property
    def replica_usd_per_h(self) -> float:
        """The price of one replica when all that share the instance are used."""
        return self.price_usd_per_h / self.replicas

    @property
    def holder(self) -> Holder:
        if self.nodes > 1:
            return Holder.NODES
        return Holder.NODE if self.devices > 1 else Holder.DEVICE


@dataclass(frozen=True)
class Market:
    """What can be bought, and of what kind it is: offerings, and instance types and accelerators by name."""

    offerings: Sequence[Offering]
    instances: Mapping[str, InstanceType]
    accelerators: Mapping[str, Accelerator]

    def within(self, accelerators: Collection[str]) -> Iterator[tuple[Offering, InstanceType, Accelerator]]:
        for offering in self.offerings:
            instance = self.instances[offering.instance_type]
            if instance.accelerator in accelerators:
                yield offering, instance, self.accelerators[instance.accelerator]


def in_a_node(
    model: ModelArchitecture | FixedWork, market: Market, accelerators: Collection[str], load: Load
) -> tuple[Candidate, ...]:
    """The offerings with one of `accelerators` that hold the model on one instance, with the fewest devices each."""
    found = []
    for offering, instance, device in market.within(accelerators):
        fit = memory.smallest(
            model,
            device,
            sequence_tokens=load.sequence_tokens,
            sequences=load.sequences,
            most_devices=instance.devices,
        )
        if fit is not None:
            devices = -(-fit.ranks // device.ranks_per_device)
            found.append(Candidate(offering, instance, fit, devices, 1, instance.devices // devices))
    return _by_price(found)


def over_nodes(
    model: ModelArchitecture | FixedWork, market: Market, accelerators: Collection[str], load: Load
) -> tuple[Candidate, ...]:
    """The offerings that hold the model over the fewest of 2, 4 or 8 instances. See `fit_over_nodes`."""
    found = []
    for offering, instance, device in market.within(accelerators):
        fit = fit_over_nodes(model, instance, device, load)
        if fit is not None:
            devices = -(-fit.tensor_parallel // device.ranks_per_device)
            found.append(Candidate(offering, instance, fit, devices, fit.pipeline_parallel, 1))
    return _by_price(found)


def fit_over_nodes(
    model: ModelArchitecture | FixedWork, instance: InstanceType, device: Accelerator, load: Load
) -> Fit | None:
    """The fit over the fewest of 2, 4 or 8 instances, a pipeline stage on each; None where none holds the load.

    Tensor parallelism stays within a node and takes as much of it as the attention heads divide by; pipeline
    parallelism goes over the nodes. Instances with less than 400 Gbit/s of network hold nothing together.
    """
    if isinstance(model, FixedWork) or (instance.network_gbps or 0) < NETWORK_GBPS:
        return None
    tensor = _largest_division(model.heads, instance.devices * device.ranks_per_device)
    for nodes in NODE_COUNTS:
        if nodes > model.layers:
            break
        fit = memory.fit(
            model, device, tensor_parallel=tensor, pipeline_parallel=nodes, sequence_tokens=load.sequence_tokens
        )
        if fit.sequences >= load.sequences:
            return fit
    return None


def leanest(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Of those with as many of the same devices the cheapest: the others cost more for processors and memory alone."""
    kept: dict[tuple[str, int, int], Candidate] = {}
    for one in found:
        kept.setdefault((one.instance.accelerator, one.instance.devices, one.nodes), one)
    return tuple(kept.values())


def _largest_division(heads: int, ranks: int) -> int:
    """The largest power of two of at most `ranks` that divides the heads."""
    powers = (1 << exponent for exponent in range(ranks.bit_length()))
    return max(power for power in powers if heads % power == 0)


def _by_price(found: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(found, key=lambda one: (one.price_usd_per_h, one.replica_usd_per_h, one.instance.name)))
