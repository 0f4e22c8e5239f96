"""An emulated unit from a model and an instance type, where nobody published how fast it is.

Memory, batch limits and the time of a step are what `performance` says of them: estimates, with the error that is
known of its coefficients. A model of fixed work (images) takes its requests one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.architecture import FixedWork as FixedModel
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator, InstanceType
from holdfast.performance import coefficients, engines, memory, roofline
from holdfast.performance.roofline import Placement
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.calibration import Split
from holdfast.serving.emulated.profiles import Profile
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import RooflineStep

MAX_QUEUED = 512
ANSWER_TOKENS = 512
"""Choices, as in the built-in profiles: requests that may wait, and where an answer ends that nothing bounds."""

_BLOCK_SIZE = 16
"""Tokens in a KV block: vLLM's default on GPUs (vllm/config/cache.py)."""

_LONGEST = 8192
"""Tokens of prompt and answer, unless the model or the caller says less: as in the built-in profiles."""


@dataclass(frozen=True)
class Wanted:
    """What is to be emulated.

    tensor_parallel, max_model_len: None takes the least that fits, and 8192 or what the model takes.
    """

    model: ModelArchitecture | FixedModel
    instance: InstanceType
    accelerator: Accelerator
    framework: str = coefficients.DEFAULT_FRAMEWORK
    tensor_parallel: int | None = None
    max_model_len: int | None = None


def profile(wanted: Wanted) -> Profile:
    """The unit. Raises InputError where the model does not fit, or no source states the peaks of the accelerator."""
    given = coefficients.of(wanted.accelerator, wanted.framework)
    if isinstance(wanted.model, FixedModel):
        image_s = roofline.image(wanted.model, wanted.accelerator, given).total_s
        device: FixedWork | ContinuousBatching = FixedWork(slots=1, service_s=image_s, max_queued=MAX_QUEUED)
        ranks, about = 1, "arithmetic or reading of the weights, whichever takes longer"
    else:
        ranks = _ranks(wanted, wanted.model)
        placed = Placement(wanted.model, wanted.accelerator, ranks, 1, given)
        device = _batching(wanted, wanted.model, ranks, placed)
        about = f"decode steps are off by {given.error:.0%} in the median"
    return Profile(
        name=f"{wanted.model.name}-{wanted.instance.name}".replace("/", "-").lower(),
        model=wanted.model.name,
        accelerator=wanted.accelerator.name,
        instance_type=wanted.instance.name,
        framework=wanted.framework,
        tensor_parallel=ranks,
        device=device,
        cold_start_s=0.0,
        answer_tokens=0 if isinstance(wanted.model, FixedModel) else ANSWER_TOKENS,
        source=f"an estimate, not a measurement; coefficients: {given.source}",
        caveats=(
            f"The step time is a roofline's: {about}.",
            "Ready at once: no cold start is known. The queue's bound and where an unbounded answer ends are choices.",
        ),
        published=(),
    )


def split(wanted: Wanted, prompt_tokens: float) -> Split:
    """What of a measured slope is prefill and what KV cache: as the roofline has them for the same unit."""
    if isinstance(wanted.model, FixedModel):
        raise InputError(f"{wanted.model.name} has no tokens to calibrate by", mend="calibrate a language model")
    ranks = _ranks(wanted, wanted.model)
    placed = Placement(
        wanted.model, wanted.accelerator, ranks, 1, coefficients.of(wanted.accelerator, wanted.framework)
    )
    return Split(
        per_prefill_token_s=max(0.0, placed.prefill(prompt_tokens).compute_s / prompt_tokens),
        per_kv_token_s=placed.decode(1, prompt_tokens).cache_s / prompt_tokens,
        source=f"the roofline of {wanted.model.name} on {wanted.accelerator.name}",
    )


def _ranks(wanted: Wanted, model: ModelArchitecture) -> int:
    length = _length(wanted, model)
    if wanted.tensor_parallel is not None:
        fit = memory.fit(model, wanted.accelerator, tensor_parallel=wanted.tensor_parallel, sequence_tokens=length)
        most = wanted.instance.devices * wanted.accelerator.ranks_per_device
        if wanted.tensor_parallel > most:
            raise InputError(
                f"{wanted.instance.name} has {most} {wanted.accelerator.rank_name}s, not {wanted.tensor_parallel}",
                mend="give a smaller --tp",
            )
        if not fit.fits:
            raise InputError(f"{model.name} does not fit: {fit.why}", mend="give a larger --tp or instance type")
        return wanted.tensor_parallel
    found = memory.smallest(
        model, wanted.accelerator, sequence_tokens=length, sequences=1, most_devices=wanted.instance.devices
    )
    if found is None or found.pipeline_parallel > 1:
        raise InputError(
            f"{model.name} does not fit on {wanted.instance.name} with {length} tokens",
            mend="give a larger instance type, or a smaller --max-model-len",
        )
    return found.tensor_parallel


def _length(wanted: Wanted, model: ModelArchitecture) -> int:
    return wanted.max_model_len or min(_LONGEST, model.max_length)


def _batching(wanted: Wanted, model: ModelArchitecture, ranks: int, placed: Placement) -> ContinuousBatching:
    length, engine = _length(wanted, model), engines.engine(wanted.accelerator)
    fit = memory.fit(model, wanted.accelerator, tensor_parallel=ranks, sequence_tokens=length)
    room_gib = engine.share * fit.memory_gib - fit.weights_gib - fit.activations_gib - fit.overhead_gib
    tokens = math.floor(room_gib / fit.kv_gib_per_sequence * length)
    return ContinuousBatching(
        step=RooflineStep(placed),
        max_num_seqs=engine.max_sequences,
        max_num_batched_tokens=engine.batched_tokens or max(length, engine.max_sequences),
        max_model_len=length,
        kv_blocks=max(tokens // _BLOCK_SIZE, math.ceil(length / _BLOCK_SIZE)),
        max_queued=MAX_QUEUED,
        block_size=_BLOCK_SIZE,
    )
