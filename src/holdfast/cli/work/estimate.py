"""What `holdfast estimate` does. Its flags are in `cli.estimate`."""

from __future__ import annotations

from dataclasses import replace

import click

from holdfast import catalog
from holdfast.catalog import models
from holdfast.cli import flags
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.model.packing import NETWORK_GBPS
from holdfast.performance import memory
from holdfast.performance.estimate import Estimate
from holdfast.performance.estimate import estimate as estimated
from holdfast.performance.memory import Fit
from holdfast.planning import candidates
from holdfast.planning.candidates import Load
from holdfast.reports import estimates, terminal


def estimate(
    model: str,
    instance: str,
    tp: int | None,
    pp: int,
    input_tokens: int | None,
    output_tokens: int | None,
    max_num_seqs: int | None,
    dtype: str | None,
    kv_dtype: str | None,
    framework: str | None,
    as_json: bool,
) -> None:
    """See `holdfast estimate --help`. Raises InputError."""
    architecture = _cached_as(_stored_as(models.architecture(model), dtype), kv_dtype)
    kind = catalog.instance_type(instance)
    device = catalog.accelerator(kind.accelerator)
    lengths = _lengths(architecture, input_tokens, output_tokens)
    if tp is None and pp > 1:
        raise InputError("--pp goes with --tp", mend="give both, or neither and the least that fits is found")
    chosen = _least(architecture, device, kind, sum(lengths)) if tp is None else None
    tensor = tp or (chosen.tensor_parallel if chosen else 1)
    pipeline = chosen.pipeline_parallel if chosen else pp
    found = estimated(
        architecture,
        device,
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        input_tokens=lengths[0],
        output_tokens=lengths[1],
        max_num_seqs=max_num_seqs,
        framework=framework,
        instance=kind,
    )
    least = None if found.fit.fits else _least(architecture, device, kind, sum(lengths))
    if as_json:
        flags.echo_json(_json(found, kind, lengths, least))
    elif found.fit.fits:
        click.echo(_heading(found, kind) + "\n")
        for table in (estimates.memory(found), estimates.speed(found), estimates.terms(found)):
            click.echo(terminal.text(terminal.table(table)))
    else:
        click.echo(_refusal(found, kind, least))
    if not found.fit.fits:
        raise click.exceptions.Exit(1)


def _stored_as(model: ModelArchitecture | FixedWork, dtype: str | None) -> ModelArchitecture | FixedWork:
    """The model with its matrices stored otherwise; a quantisation leaves the embeddings in 16 bits, as engines do."""
    if dtype is None:
        return model
    weights = Dtype(dtype)
    if isinstance(model, FixedWork):
        return replace(model, weight_dtype=weights)
    plain = model.embedding_parameters if weights.bytes < Dtype.BF16.bytes else 0.0
    return replace(model, weight_dtype=weights, plain_parameters=plain)


def _cached_as(model: ModelArchitecture | FixedWork, dtype: str | None) -> ModelArchitecture | FixedWork:
    if dtype is None:
        return model
    if isinstance(model, FixedWork):
        raise InputError(f"{model.name} keeps no KV cache", where="--kv-dtype", mend="leave it out")
    return replace(model, kv_dtype=Dtype(dtype))


def _lengths(
    model: ModelArchitecture | FixedWork, input_tokens: int | None, output_tokens: int | None
) -> tuple[int, int]:
    if isinstance(model, FixedWork):
        return input_tokens or 1, output_tokens or 1  # which a model of fixed work takes no notice of
    if input_tokens is None or output_tokens is None:
        flag = "--input-tokens" if input_tokens is None else "--output-tokens"
        raise InputError(
            f"how long requests are decides what fits and how fast it is; {flag} is missing", mend="give it"
        )
    return input_tokens, output_tokens


def _least(
    model: ModelArchitecture | FixedWork, device: Accelerator, kind: InstanceType, sequence_tokens: int
) -> Fit | None:
    """The least of one instance, else of several that have the network for it."""
    within = memory.smallest(model, device, sequence_tokens=sequence_tokens, sequences=1, most_devices=kind.devices)
    return within or candidates.fit_over_nodes(model, kind, device, Load(sequence_tokens, 1))


def _heading(found: Estimate, kind: InstanceType) -> str:
    ranks = found.tensor_parallel * found.pipeline_parallel
    used = -(-ranks // found.accelerator.ranks_per_device)
    pipeline = f" PP={found.pipeline_parallel}" if found.pipeline_parallel > 1 else ""
    several = f"{found.instances} x " if found.instances > 1 else ""
    return (
        f"{found.model.name} on {several}{kind.name}: TP={found.tensor_parallel}{pipeline} on {used} of "
        f"{found.instances * kind.devices} {found.accelerator.name}"
    )


def _refusal(found: Estimate, kind: InstanceType, least: Fit | None) -> str:
    if least is None:
        together = (kind.network_gbps or 0) >= NETWORK_GBPS
        several = f", nor on up to {candidates.NODE_COUNTS[-1]} together" if together else ""
        instead = f"no parallelism up to its {kind.devices} {found.accelerator.name} holds one such request{several}."
    else:
        pipeline = f" PP={least.pipeline_parallel}" if least.pipeline_parallel > 1 else ""
        instead = f"TP={least.tensor_parallel}{pipeline} holds {least.sequences:,} requests at a time."
    return (
        f"{found.model.name} does not fit with TP={found.tensor_parallel} ({found.fit.why}).\nOn {kind.name} {instead}"
    )


def _json(found: Estimate, kind: InstanceType, lengths: tuple[int, int], least: Fit | None) -> dict[str, object]:
    return {
        "model": found.model.name,
        "model_source": found.model.source,
        "instance_type": kind.name,
        "accelerator": found.accelerator.name,
        "tensor_parallel": found.tensor_parallel,
        "pipeline_parallel": found.pipeline_parallel,
        "instances": found.instances,
        "across": found.across or None,
        "input_tokens": lengths[0],
        "output_tokens": lengths[1],
        "fits": found.fit.fits,
        "least_that_fits": least,
        "memory": found.fit,
        "points": found.points,
        "physical_limit_tokens_per_s": found.physical_limit_tokens_per_s,
        "physical_limit_per_s": found.physical_limit_per_s,
        "coefficients_source": found.coefficients_source,
        "borrowed_from": found.borrowed or None,
        "error": found.error,
    }
