"""What a replica should reach: latency and throughput against concurrency, from the roofline.

N clients ask without a pause, each for the same lengths, and the engine batches continuously: a prompt is read as
soon as a sequence has ended, while no step runs, and every step gives each of the N sequences a token. In the time L
of one request each of the N is therefore prefilled once, and o - 1 steps run for the o output tokens:

    L = P + (N - 1) P / PP + (o - 1) S(N)          rate = N / L  (Little's law, exactly)

P is the time of one prefill, S(N) of a step of N, PP the stages of a pipeline, of which each reads another prompt.
Where the others' ends are spread evenly over the steps, (N - 1) / (o - 1) of them end in the same one and are
prefilled together:

    TTFT = P + (N - 1) / (o - 1) P / PP            ITL = (L - TTFT) / (o - 1)

These are means. A queue forms only beyond the number of sequences that memory holds, and the points end there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.packing import instances_per_server, obstacle
from holdfast.performance import coefficients, engines, memory, roofline
from holdfast.performance.coefficients import Coefficients
from holdfast.performance.memory import Fit
from holdfast.performance.roofline import Network, Placement, Terms


@dataclass(frozen=True)
class Point:
    """A replica with so many requests in flight, on average over them.

    rate_per_s:  requests completed; concurrency = rate_per_s x latency_s.
    output_tokens_per_s: 0 for images.
    ttft_s:      from sending to the first token; of an image to the image.
    itl_s:       between tokens, prefills of others included; None where a request has one token, or is an image.
    binds:       what takes most of the time: `compute`, `memory`, `link` or `overhead`.
    terms:       seconds of the replica that one request takes, by what they are spent on; together 1 / rate_per_s.
    """

    concurrency: int
    rate_per_s: float
    output_tokens_per_s: float
    ttft_s: float
    itl_s: float | None
    latency_s: float
    binds: str
    terms: Terms


@dataclass(frozen=True)
class Estimate:
    """What one replica of a model on an accelerator should reach.

    points:      for 1, 2, 4, ... requests in flight up to the batch limit and what memory holds; none where the model
                 does not fit.
    physical_limit_tokens_per_s: output tokens per second at the peaks with everything hidden behind the longest; of
                 images requests per second are limited, and it is 0. physical_limit_per_s: the same in requests.
    coefficients_source: on what the coefficients were fitted, and whose they are.
    error:       median relative error of the decode step on held-out measurements, 0.07 is 7 %; where the coefficients
                 are borrowed, the largest such median that borrowing had among measured accelerators.
    borrowed:    of which accelerator the coefficients are, where this one was not measured; else empty.
    instances:   that one replica takes; of several, `across` says what is assumed of the network between them.
    """

    model: ModelArchitecture | FixedWork
    accelerator: Accelerator
    tensor_parallel: int
    pipeline_parallel: int
    fit: Fit
    points: tuple[Point, ...]
    physical_limit_tokens_per_s: float
    physical_limit_per_s: float
    coefficients_source: str
    error: float
    borrowed: str = ""
    instances: int = 1
    across: str = ""


def estimate(
    model: ModelArchitecture | FixedWork,
    device: Accelerator,
    *,
    tensor_parallel: int,
    pipeline_parallel: int = 1,
    input_tokens: int,
    output_tokens: int,
    max_num_seqs: int | None = None,
    framework: str | None = None,
    instance: InstanceType | None = None,
) -> Estimate:
    """The estimate for requests of these lengths, served by vLLM unless another framework is named.

    On Neuron `tensor_parallel` counts logical cores. The batch limit `max_num_seqs` is the engine's own unless it is
    given. A model of fixed work takes no notice of lengths. instance: whose devices they are; with more ranks than it
    carries a replica takes several, and all are on one where it is not given. Raises InputError for lengths below 1, a
    parallelism that the model cannot be divided by or that cannot be placed on such instances, and where no source
    states the peaks of the accelerator or, of several instances, the network between them.
    """
    if input_tokens < 1 or output_tokens < 1:
        raise InputError(
            f"{input_tokens} input and {output_tokens} output tokens make no request", mend="give 1 or more of each"
        )
    if max_num_seqs is not None and max_num_seqs < 1:
        raise InputError(f"a batch limit of {max_num_seqs} lets nothing run", mend="give 1 or more")
    found = memory.fit(
        model,
        device,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        sequence_tokens=input_tokens + output_tokens,
    )
    given = coefficients.of(device, framework)
    instances, network = _placed(device, tensor_parallel, pipeline_parallel, instance)
    most = min(found.sequences, max_num_seqs or engines.engine(device).max_sequences)
    if isinstance(model, FixedWork):
        points = tuple(_image(model, device, given, number) for number in _concurrencies(most))
        peak = roofline.image(model, device, coefficients.PEAKS)
        limit_per_s = 1 / max(peak.compute_s / roofline.narrow_speedup(model.weight_dtype), peak.weights_s)
        limit_tokens_per_s = 0.0
    else:
        placed = Placement(model, device, tensor_parallel, pipeline_parallel, given, network)
        points = tuple(_point(placed, input_tokens, output_tokens, number) for number in _concurrencies(most))
        limit_per_s = roofline.limit_per_s(
            model,
            device,
            tensor_parallel=tensor_parallel,
            pipeline_parallel=pipeline_parallel,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            sequences=max(1, most),
        )
        limit_tokens_per_s = limit_per_s * output_tokens
    return Estimate(
        model=model,
        accelerator=device,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        fit=found,
        points=points,
        physical_limit_tokens_per_s=limit_tokens_per_s if points else 0.0,
        physical_limit_per_s=limit_per_s if points else 0.0,
        coefficients_source=given.source,
        error=given.error,
        borrowed=given.borrowed,
        instances=instances,
        across="" if network is None or instance is None else _across(instances, instance, network),
    )


def _placed(
    device: Accelerator, tensor_parallel: int, pipeline_parallel: int, instance: InstanceType | None
) -> tuple[int, Network | None]:
    """Instances of a replica, and the network between them where there are several."""
    if instance is None:
        return 1, None
    stage = math.ceil(tensor_parallel / device.ranks_per_device)
    ranks = tensor_parallel * pipeline_parallel
    needed = f"a parallelism of {ranks} needs {ranks} {device.rank_name}s"
    why_not = obstacle(stage, instance)
    if why_not:
        there = instance.devices * device.ranks_per_device
        raise InputError(
            f"{needed}, and {instance.name} has {there}; {why_not}",
            mend="give less, or a larger size",
        )
    instances = instances_per_server(stage, pipeline_parallel, instance)
    if instances == 1:
        return 1, None
    if instance.network_gbps is None:
        raise InputError(
            f"{needed} on {instances} {instance.name}, and no source states their network",
            mend="give less, or another instance type",
        )
    return instances, Network(instance.devices, instance.network_gbps)


def _across(instances: int, instance: InstanceType, network: Network) -> str:
    return (
        f"across {instances} {instance.name} at {network.gbps:,.0f} Gbit/s each, an assumption: no measurement of "
        "several instances was fitted"
    )


def _concurrencies(most: int) -> list[int]:
    """1, 2, 4, ... below `most`, and `most`."""
    numbers = []
    number = 1
    while number < most:
        numbers.append(number)
        number *= 2
    return [*numbers, most] if most else []


def _point(placed: Placement, input_tokens: int, output_tokens: int, concurrency: int) -> Point:
    steps, others, stages = output_tokens - 1, concurrency - 1, placed.pipeline_parallel
    prefill = placed.prefill(input_tokens)
    step = placed.decode(concurrency, roofline.mean_context(input_tokens, output_tokens))
    spent = prefill.times(1 + others / stages).plus(step.times(steps))
    latency_s = prefill.total_s * (1 + others / stages) + steps * step.total_s
    together = others / steps if steps else others
    ttft_s = prefill.total_s * (1 + together / stages)
    return Point(
        concurrency=concurrency,
        rate_per_s=concurrency / latency_s,
        output_tokens_per_s=concurrency / latency_s * output_tokens,
        ttft_s=ttft_s,
        itl_s=(latency_s - ttft_s) / steps if steps else None,
        latency_s=latency_s,
        binds=spent.binds,
        terms=spent.times(1 / concurrency),
    )


def _image(model: FixedWork, device: Accelerator, given: Coefficients, concurrency: int) -> Point:
    """One image after the other: a batch of them saves no arithmetic, and the arithmetic is nearly all."""
    one = roofline.image(model, device, given)
    latency_s = concurrency * one.total_s
    return Point(concurrency, 1 / one.total_s, 0.0, latency_s, None, latency_s, one.binds, one.counted)
