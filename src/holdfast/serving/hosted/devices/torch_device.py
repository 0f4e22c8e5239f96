"""PyTorch on a CPU or an NVIDIA GPU: the same code, of which only dtype, placement and waiting differ."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices import loading, memory
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.decoder import Decoder

BFLOAT16_FROM = (8, 0)
"""Compute capability from which a GPU multiplies bfloat16 in hardware: Ampere (NVIDIA, CUDA C++ Programming Guide,
"Arithmetic Instructions", read 2026-11-21)."""


class TorchDevice(Device):
    """A CPU or a GPU. dtype: of weights and activations; backend: what torch.compile builds with.

    Batches of one and of several, and the second length of a text, are compiled each once: three graphs in all, where
    PyTorch then takes sizes as variables.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str,
        framework: str,
        place: torch.device,
        dtype: torch.dtype,
        backend: str | Callable[..., Any] = "inductor",
    ) -> None:
        self.name = name
        self.kind = kind
        self.framework = framework
        self.place = place
        self.dtype = dtype
        self.backend = backend

    def encoder(self, files: ModelFiles) -> Any:
        model = self._placed(files)
        if self.framework == "compile":
            model.compile(backend=self.backend)
        return model

    def pipeline(self, files: ModelFiles) -> Any:
        with memory.telling(files.name, self.kind):
            pipe = loading.pipeline(files, self.dtype).to(self.place)
        for name, part in loading.parts(pipe).items():
            if name in {"unet", "vae"}:
                part.to(memory_format=torch.channels_last)
        if self.framework == "compile":
            self._compile(pipe)
        return pipe

    def decoder(self, files: ModelFiles, bounds: Bounds) -> Decoder:
        from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder

        model = self._placed(files)
        config = model.config.get_text_config()
        positions = min(bounds.max_tokens or config.max_position_embeddings, config.max_position_embeddings)
        memory.check_cache(
            slots=bounds.max_batch,
            positions=positions,
            bytes_per_token=memory.kv_bytes_per_token(config, self.dtype),
            free=memory.free_bytes(self.place),
            kind=self.kind,
        )
        with memory.telling(files.name, self.kind):
            return TorchDecoder(
                model,
                slots=bounds.max_batch,
                positions=positions,
                device=self.place,
                compiled=self.framework == "compile",
            )

    def shapes(self, files: ModelFiles) -> Mapping[str, int] | None:
        if files.compiled:
            raise InputError(
                f"holds artifacts for Neuron, and this is {self.name}",
                where=files.name,
                mend="give the model that they were compiled from",
            )
        return None

    def move(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            name: one.to(self.place, self.dtype if one.is_floating_point() else None) for name, one in tensors.items()
        }

    def synchronise(self) -> None:
        if self.place.type == "cuda":
            torch.cuda.synchronize(self.place)

    def _compile(self, pipe: Any) -> None:
        """Everything but the scheduler, which is arithmetic on few numbers. The autoencoder is entered by decode()."""
        for name, part in loading.parts(pipe).items():
            if name != "vae":
                part.compile(backend=self.backend)
        pipe.vae.decode = torch.compile(pipe.vae.decode, backend=self.backend)

    def _placed(self, files: ModelFiles) -> Any:
        self.shapes(files)
        with memory.telling(files.name, self.kind):
            return loading.model(files, self.dtype, self.place)


def cpu(framework: str, dtype: str | None = None) -> TorchDevice:
    """This machine's CPU; float32 unless dtype says otherwise."""
    wanted = torch.float32 if dtype is None else _dtype(dtype)
    return TorchDevice("cpu", kind=_cpu_kind(), framework=framework, place=torch.device("cpu"), dtype=wanted)


def cuda(framework: str, dtype: str | None = None) -> TorchDevice:
    """The first GPU that is visible (CUDA_VISIBLE_DEVICES says which); bfloat16 where it has that, else float16."""
    place = torch.device("cuda", 0)
    kind = torch.cuda.get_device_name(place)
    wanted = cuda_dtype(torch.cuda.get_device_capability(place), dtype, kind)
    return TorchDevice("cuda", kind=kind, framework=framework, place=place, dtype=wanted)


def cuda_dtype(capability: tuple[int, int], dtype: str | None, kind: str) -> torch.dtype:
    """Of a GPU of this compute capability. Raises InputError for bfloat16 where it would be emulated."""
    has_bfloat16 = capability >= BFLOAT16_FROM
    if dtype is None:
        return torch.bfloat16 if has_bfloat16 else torch.float16
    if dtype == "bfloat16" and not has_bfloat16:
        raise InputError(f"{kind} has no bfloat16 in hardware", where="--dtype", mend="give float16 or float32")
    return _dtype(dtype)


def _dtype(name: str) -> torch.dtype:
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def _cpu_kind(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """As Linux names it, e.g. "AMD EPYC 7R13 Processor"; on Arm, which has no name there, the architecture."""
    named = [
        line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    ]
    return named[0] if named else platform.machine()
