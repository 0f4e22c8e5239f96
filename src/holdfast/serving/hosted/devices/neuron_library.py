"""The interface of optimum-neuron 0.4 as far as we use it.

Written from the source of 0.4.5; tests hold every name and parameter here against a table that was read from it. The
library cannot be imported without AWS's Neuron packages, which exist for Neuron instances only.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

import torch

from holdfast.model.errors import InputError


class NeuronConfig(Protocol):
    """What a language model was compiled for (`NxDNeuronConfig`, neuron_config.json).

    batch_size: rows of a decoding step, and of the KV cache. sequence_length: tokens of a row.
    max_context_length: tokens of a prompt. tp_degree: NeuronCores that it is sharded over.
    on_device_sampling: forward() gives tokens instead of logits. output_logits: it gives both.
    continuous_batching: a prompt is prefilled into one row; without it a prefill writes all rows.
    speculation_length: tokens of a step that are verified together, 0 for none.
    """

    batch_size: int
    max_batch_size: int
    sequence_length: int
    max_context_length: int
    tp_degree: int
    torch_dtype: torch.dtype
    on_device_sampling: bool
    output_logits: bool
    continuous_batching: bool
    speculation_length: int


class CausalModel(Protocol):
    """`NxDModelForCausalLM`. More than one token per row, from position 0, is a prefill; one is a decoding step."""

    neuron_config: NeuronConfig

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        seq_ids: torch.Tensor,
        sampling_params: torch.Tensor,
    ) -> torch.Tensor: ...

    def save_pretrained(self, save_directory: str) -> None: ...


class CausalModelClass(Protocol):
    """`NeuronModelForCausalLM`."""

    def from_pretrained(self, model_id: str, *, local_files_only: bool) -> CausalModel: ...

    def get_neuron_config(
        self,
        model_name_or_path: str,
        config: Any,
        *,
        instance_type: str | None,
        batch_size: int,
        sequence_length: int,
        tensor_parallel_size: int,
    ) -> NeuronConfig: ...

    def export(
        self, model_id: str, neuron_config: NeuronConfig, config: Any, *, load_weights: bool, trust_remote_code: bool
    ) -> CausalModel: ...


class TracedModelClass(Protocol):
    """A subclass of `NeuronTracedModel`, or a pipeline of diffusers: what it makes is called as the original is."""

    def from_pretrained(self, model_id: str, *, local_files_only: bool, trust_remote_code: bool) -> Any: ...


class Neuron(Protocol):
    """The module `optimum.neuron`."""

    NeuronModelForSequenceClassification: TracedModelClass
    NeuronModelForFeatureExtraction: TracedModelClass
    NeuronSentenceTransformers: TracedModelClass
    NeuronModelForImageClassification: TracedModelClass
    NeuronModelForObjectDetection: TracedModelClass
    NeuronYolosForObjectDetection: TracedModelClass
    NeuronStableDiffusionPipeline: TracedModelClass
    NeuronStableDiffusionXLPipeline: TracedModelClass
    NeuronModelForCausalLM: CausalModelClass


class Exporters(Protocol):
    """The module `optimum.exporters.neuron`, which compiles what is traced; it needs no Neuron device."""

    def normalize_diffusers_input_shapes(self, args: dict[str, int]) -> dict[str, dict[str, int]]: ...

    def main_export(
        self,
        model_name_or_path: str,
        output: Path,
        compiler_kwargs: dict[str, str | None],
        *,
        tensor_parallel_size: int,
        task: str,
        local_files_only: bool,
        trust_remote_code: bool,
        do_validation: bool,
        library_name: str,
        **input_shapes: Any,
    ) -> None: ...


def neuron() -> Neuron:
    """Raises InputError where it is not installed."""
    return cast(Neuron, _module("optimum.neuron"))


def exporters() -> Exporters:
    """Raises InputError where it is not installed."""
    return cast(Exporters, _module("optimum.exporters.neuron"))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"optimum-neuron is not installed ({error})", mend="pip install 'optimum-neuron[neuronx]~=0.4.0'"
        ) from error
