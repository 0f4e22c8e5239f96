"""`holdfast compile`: a model's artifacts for NeuronCores, made once, so that a server only loads them.

An artifact is of fixed shapes, one type of number, one kind of chip and one version of the compiler. All of these are
in its manifest, by whose key the same compilation is known again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import holdfast
from holdfast.model.errors import InputError, OutputError
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task

MANIFEST = "holdfast-compiled.json"
VERSION = 1
TARGETS = {"inf2": "trn1", "trn1": "trn1", "trn1n": "trn1", "trn2": "trn2"}
"""Families of instances, and the chip that is compiled for: NeuronCores of Inferentia2 and Trainium are the same
(optimum-neuron 0.4.5, utils/instance.py)."""

DTYPES = ("bfloat16", "float32")
PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
PRODUCT = Path("/sys/devices/virtual/dmi/id/product_name")
"""The instance type, where optimum-neuron itself reads it."""

_TEXTS = {Task.TEXT_CLASSIFICATION, Task.EMBEDDINGS}
_PICTURES = {Task.IMAGE_CLASSIFICATION, Task.OBJECT_DETECTION}
_NEEDED = {
    Task.TEXT_GENERATION: ("batch_size", "sequence_length"),
    Task.TEXT_TO_IMAGE: ("batch_size", "height", "width"),
    **dict.fromkeys(_TEXTS, ("batch_size", "sequence_length")),
    **dict.fromkeys(_PICTURES, ("batch_size",)),
}


@dataclass(frozen=True)
class Compilation:
    """What to compile for. batch_size: slots of a text generator, else requests at once. sequence_length: tokens of a
    prompt and its answer, or of a text. height, width: pixels of an image that is made. None where the task has none.

    tensor_parallel: NeuronCores that one copy of the model is sharded over. dtype: of the multiplications; weights and
    inputs stay float32 but in a text generator. target: a family of TARGETS.
    """

    batch_size: int | None
    sequence_length: int | None
    height: int | None
    width: int | None
    tensor_parallel: int
    dtype: str
    target: str

    @property
    def shapes(self) -> dict[str, int]:
        sizes = {name: getattr(self, name) for name in ("batch_size", "sequence_length", "height", "width")}
        return {name: size for name, size in sizes.items() if size is not None}


def check(wanted: Compilation, files: ModelFiles) -> None:
    """Raise InputError for shapes that the task lacks or does not have, and for those that the model cannot take."""
    needed = _NEEDED[files.task]
    if missing := [name for name in needed if name not in wanted.shapes]:
        raise InputError(
            f"{files.task.value} is compiled for a fixed {missing[0].replace('_', ' ')}", mend=_give(missing[0])
        )
    for name in sorted(wanted.shapes.keys() - set(needed)):
        reason = "its images have the size of its configuration" if files.task in _PICTURES else "the task has none"
        raise InputError(f"{files.task.value} takes no {_flag(name)} ({reason})", mend="leave it out")
    if files.compiled:
        raise InputError("is compiled already", where=files.name, mend="give the model that it was compiled from")
    longest = files.config.get("max_position_embeddings")
    if wanted.sequence_length is not None and longest is not None and wanted.sequence_length > longest:
        raise InputError(
            f"the model has {longest} positions", where="--sequence-length", mend=f"give at most {longest}"
        )
    for name in ("height", "width"):
        if wanted.shapes.get(name, 8) % 8:
            raise InputError("pixels are made 8 by 8", where=_flag(name), mend="give a multiple of 8")
    if files.task is not Task.TEXT_GENERATION and wanted.tensor_parallel > 1:
        raise InputError(f"{files.task.value} is not sharded", where="--tensor-parallel", mend="run more replicas")
    if files.task is Task.TEXT_TO_IMAGE and files.config.get("_class_name") not in PIPELINES:
        raise InputError(f"only {' and '.join(PIPELINES)} are compiled for Neuron", where=files.name)
    if wanted.target not in TARGETS:
        raise InputError(f"{wanted.target!r} has no NeuronCores", where="--target", mend=_give("target", *TARGETS))
    if wanted.dtype not in DTYPES:
        raise InputError(f"{wanted.dtype!r} is not compiled for Neuron", where="--dtype", mend=_give("dtype", *DTYPES))


def target_here(product: Path = PRODUCT) -> str:
    """The family of this instance. Raises InputError where it has no NeuronCores: it can compile, for a --target."""
    family = product.read_text(encoding="ascii").strip().split(".")[0] if product.exists() else ""
    if family not in TARGETS:
        raise InputError("this machine has no NeuronCores to compile for", mend=_give("target", *TARGETS))
    return family


def check_device(device: str) -> None:
    """Raise InputError where nothing can be compiled for it here: before a model of gigabytes is downloaded."""
    if device in {"cpu", "cuda"}:
        raise InputError(
            f"on {device} the server itself compiles, at its start (`holdfast serve --framework compile`)",
            where="--device",
            mend="to keep what it made between starts, set TORCHINDUCTOR_CACHE_DIR to a folder that outlives it",
        )
    if device != "neuron":
        raise InputError(f"{device!r} is no device", where="--device", mend="give neuron")
    for library in ("optimum-neuron", "neuronx-cc"):
        if _version(library) is None:
            raise InputError(f"{library} is not installed", mend="pip install 'optimum-neuron[neuronx]~=0.4.0'")


def manifest(wanted: Compilation, files: ModelFiles) -> dict[str, Any]:
    """What the artifact is of; `key` is the SHA-256 of all the rest but the model's name."""
    config = json.dumps(dict(files.config), sort_keys=True).encode()
    described = {
        "version": VERSION,
        "device": "neuron",
        "task": files.task.value,
        "shapes": wanted.shapes,
        "tensor_parallel": wanted.tensor_parallel,
        "dtype": wanted.dtype,
        "target": TARGETS[wanted.target],
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "versions": {name: _version(name) for name in ("optimum-neuron", "neuronx-cc", "torch-neuronx")},
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    return {"key": key, "model": files.name, **described, "holdfast": holdfast.__version__}


def compile_model(files: ModelFiles, wanted: Compilation, out: Path) -> tuple[dict[str, Any], bool]:
    """Write artifacts, tokenizer and manifest to a folder; the manifest, and whether anything had to be compiled: a
    folder that holds the same already is left as it is. Takes minutes to hours. Raises InputError, OutputError."""
    check(wanted, files)
    out = out.resolve()
    if files.folder.resolve() in (out, *out.parents):
        raise InputError("is inside the model's own folder", where=str(out), mend="give another --out")
    described = manifest(wanted, files)
    if _held_key(out) == described["key"]:
        return described, False
    _check_empty(out)
    partial = out.with_name(f"{out.name}.partial")
    os.environ["NEURON_PLATFORM_TARGET_OVERRIDE"] = TARGETS[wanted.target]  # read when the library is imported
    from holdfast.serving.hosted.devices import neuron_export

    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        neuron_export.export(files, wanted, partial)
        _copy_rest(files.folder, partial)
        (partial / MANIFEST).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise OutputError.of(out, error) from error
    return described, True


def _held_key(out: Path) -> str | None:
    """Of the artifact that is in the folder already."""
    file = out / MANIFEST
    if not file.is_file():
        return None
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("is no manifest of an artifact", where=str(file), mend="give another --out") from error


def _check_empty(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is not an empty folder, nor the same artifact", where=str(out), mend="give another --out")


def _copy_rest(source: Path, target: Path) -> None:
    """Tokenizers, image processors, schedulers and generation settings, where the library did not write its own: all
    but weights and configurations of networks."""
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source)
        weighty = any(file.parent.glob("*.safetensors")) and file.name == "config.json"
        kept = file.suffix in {".json", ".txt", ".model", ".jinja"} and not file.name.endswith(".index.json")
        if file.is_file() and kept and not weighty and not (target / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / name)


def line(made: dict[str, Any]) -> str:
    """A line for a person."""
    shapes = ", ".join(f"{name.replace('_', ' ')} {size}" for name, size in made["shapes"].items())
    return f"{made['model']} for {made['task']} on {made['target']}: {shapes}, {made['dtype']}"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _give(name: str, *values: str) -> str:
    return f"give {_flag(name)}" + (f", one of {', '.join(values)}" if values else "")
