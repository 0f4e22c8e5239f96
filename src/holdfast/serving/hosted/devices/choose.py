"""Which device a server runs on."""

from __future__ import annotations

from holdfast.serving.hosted.devices.device import Device


def choose(name: str, framework: str | None = None, dtype: str | None = None) -> Device:
    """name: auto, cpu, cuda or neuron; auto takes what is there, Neuron before CUDA before CPU.
    framework: eager, compile or neuronx; None is the device's own. Raises InputError."""
    raise NotImplementedError
