"""The hardware that a model runs on, as the rest of the server sees it: one noun, three behind it."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import torch

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.decoder import Decoder


class Device(abc.ABC):
    """A CPU, a CUDA GPU or NeuronCores. Everything here blocks, and is called from the one thread of the device.

    name:      cpu, cuda or neuron.
    kind:      what it is, e.g. "NVIDIA H100 80GB HBM3".
    framework: eager, compile (torch.compile) or neuronx.
    """

    name: str
    kind: str
    framework: str

    @abc.abstractmethod
    def encoder(self, files: ModelFiles) -> Any:
        """The model of a task whose inputs are encoded once (classification, embeddings, detection), in evaluation
        mode: a callable of named tensors that gives a transformers ModelOutput."""

    @abc.abstractmethod
    def pipeline(self, files: ModelFiles) -> Any:
        """The diffusers pipeline of a text-to-image model: a callable as StableDiffusionPipeline is."""

    @abc.abstractmethod
    def decoder(self, files: ModelFiles, bounds: Bounds) -> Decoder:
        """A text generator of bounds.max_batch slots and bounds.max_tokens positions each."""

    @abc.abstractmethod
    def shapes(self, files: ModelFiles) -> Mapping[str, int] | None:
        """What inputs must be padded to exactly (batch_size, sequence_length, height, width), where the model was
        compiled for fixed shapes; None where any shape is taken."""

    @abc.abstractmethod
    def move(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Inputs, where the model wants them; floating point ones in its dtype."""

    @abc.abstractmethod
    def synchronise(self) -> None:
        """Return when all that was asked of the device is done."""
