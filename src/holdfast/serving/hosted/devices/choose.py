"""Which device a server runs on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.model.errors import InputError

if TYPE_CHECKING:
    from holdfast.serving.hosted.devices.device import Device

NAMES = ("auto", "cpu", "cuda", "neuron")
FRAMEWORKS = {"cpu": ("eager", "compile"), "cuda": ("eager", "compile"), "neuron": ("neuronx",)}
"""Of each device; the first is its own."""

DTYPES = ("float32", "bfloat16", "float16")
OPTIMUM_NEURON = "0.4"
"""The series whose interface `neuron_library` describes."""


@dataclass(frozen=True)
class Present:
    """What this machine has.

    neuron:         the driver shows a Neuron device.
    optimum_neuron: the version of the library that is installed, None without it.
    nvidia:         the driver shows an NVIDIA GPU.
    cuda:           PyTorch can compute on it.
    compiler:       what torch.compile builds with on a CPU (C++) is there.
    triton:         what it builds with on a GPU is there.
    """

    neuron: bool = False
    optimum_neuron: str | None = None
    nvidia: bool = False
    cuda: bool = False
    compiler: bool = False
    triton: bool = False


def choose(name: str, framework: str | None = None, dtype: str | None = None) -> Device:
    """name: auto, cpu, cuda or neuron; auto takes what is there, Neuron before CUDA before CPU.
    framework: eager, compile or neuronx; None is the device's own. dtype: one of DTYPES; None is the device's own.
    Raises InputError."""
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"{dtype!r} is no dtype", where="--dtype", mend=f"give one of {', '.join(DTYPES)}")
    if importlib.util.find_spec("torch") is None:
        raise InputError("PyTorch is not installed", mend="pip install 'holdfast[serve]'")
    device, framework = decide(name, framework, look())
    if device == "neuron":
        from holdfast.serving.hosted.devices.neuron import NeuronDevice

        if dtype is not None:
            raise InputError("an artifact keeps the dtype it was compiled for", where="--dtype", mend="leave it out")
        return NeuronDevice()
    from holdfast.serving.hosted.devices import torch_device

    made = torch_device.cuda if device == "cuda" else torch_device.cpu
    return made(framework, dtype)


def decide(name: str, framework: str | None, present: Present) -> tuple[str, str]:
    """The device, and its framework. Raises InputError for what the machine lacks: hardware that cannot be used is not
    passed over in silence for a slower device."""
    if name not in NAMES:
        raise InputError(f"{name!r} is no device", where="--device", mend=f"give one of {', '.join(NAMES)}")
    device = _auto(present, framework) if name == "auto" else name
    frameworks = FRAMEWORKS[device]
    framework = frameworks[0] if framework is None else framework
    if framework not in frameworks:
        raise InputError(f"no framework {framework!r} on {device}", mend=f"give --framework {' or '.join(frameworks)}")
    if device == "neuron":
        _check_neuron(present)
    elif device == "cuda":
        _check_cuda(present)
    if framework == "compile":
        _check_compile(device, present)
    return device, framework


def look(machine: Path = Path("/")) -> Present:
    """What this machine has; machine: the root of its files. Asks PyTorch, which takes seconds to import."""
    import torch

    return Present(
        neuron=(machine / "dev/neuron0").exists(),
        optimum_neuron=_version("optimum-neuron"),
        nvidia=(machine / "dev/nvidia0").exists(),
        cuda=torch.cuda.is_available(),
        compiler=any(shutil.which(one) for one in (os.environ.get("CXX", "g++"), "g++", "clang++")),
        triton=importlib.util.find_spec("triton") is not None,
    )


def _auto(present: Present, framework: str | None) -> str:
    if framework == "neuronx" or (present.neuron and framework is None):
        return "neuron"
    return "cuda" if present.cuda or present.nvidia else "cpu"


def _check_neuron(present: Present) -> None:
    if not present.neuron:
        raise InputError(
            "this machine shows no Neuron device (/dev/neuron0)",
            where="--device",
            mend="run on inf2, trn1 or trn2 with the Neuron driver, in Kubernetes with aws.amazon.com/neuron requested",
        )
    if present.optimum_neuron is None:
        raise InputError(
            "this machine has NeuronCores, but optimum-neuron is not installed",
            mend=f"pip install 'optimum-neuron[neuronx]~={OPTIMUM_NEURON}.0', or give --device cpu",
        )
    if not present.optimum_neuron.startswith(f"{OPTIMUM_NEURON}."):
        raise InputError(
            f"optimum-neuron {present.optimum_neuron} is installed, and {OPTIMUM_NEURON} is what this server speaks to",
            mend=f"pip install 'optimum-neuron[neuronx]~={OPTIMUM_NEURON}.0'",
        )


def _check_cuda(present: Present) -> None:
    if present.cuda:
        return
    if present.nvidia:
        raise InputError(
            "this machine has an NVIDIA GPU that the installed PyTorch cannot use",
            mend="install PyTorch's build for the driver's CUDA version, or give --device cpu",
        )
    raise InputError(
        "this machine shows no NVIDIA GPU",
        where="--device",
        mend="run where one is (in Kubernetes with nvidia.com/gpu requested), or give --device cpu",
    )


def _check_compile(device: str, present: Present) -> None:
    if device == "cpu" and not present.compiler:
        raise InputError("torch.compile needs a C++ compiler", where="--framework", mend="install g++, or give eager")
    if device == "cuda" and not present.triton:
        raise InputError("torch.compile needs Triton on a GPU", where="--framework", mend="pip install triton")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
