"""A model through optimum-neuron's compiler to a folder of artifacts. Needs neuronx-cc, but no Neuron device."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.compiling import TARGETS, Compilation
from holdfast.serving.hosted.devices import neuron_library
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task


def export(files: ModelFiles, wanted: Compilation, out: Path) -> None:
    """Raises InputError where the library is not there or refuses the model."""
    try:
        if files.task is Task.TEXT_GENERATION:
            _language_model(files, wanted, out)
        else:
            _traced(files, wanted, out)
    except (ValueError, KeyError, RuntimeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"optimum-neuron cannot compile it ({said})", where=files.name) from error


def _language_model(files: ModelFiles, wanted: Compilation, out: Path) -> None:
    """With sampling taken out of the graph, which the library has in by default: seeds and temperatures are of each
    request, and tokens must be those of the other devices."""
    library = neuron_library.neuron().NeuronModelForCausalLM
    dtype = torch.bfloat16 if wanted.dtype == "bfloat16" else torch.float32
    folder = str(files.folder)
    config = transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=files.trust_remote_code
    )
    config = config.get_text_config()
    config.dtype = dtype
    compiled = library.get_neuron_config(
        folder,
        config,
        instance_type=wanted.target,
        batch_size=wanted.shapes["batch_size"],
        sequence_length=wanted.shapes["sequence_length"],
        tensor_parallel_size=wanted.tensor_parallel,
    )
    compiled.torch_dtype = dtype
    compiled.on_device_sampling = False
    model = library.export(folder, compiled, config, load_weights=False, trust_remote_code=files.trust_remote_code)
    model.save_pretrained(str(out))
    if not any((out / "checkpoint/weights").glob("*.safetensors")):
        raise InputError("optimum-neuron wrote graphs without weights", where=files.name)


def _traced(files: ModelFiles, wanted: Compilation, out: Path) -> None:
    """Embeddings too are traced by transformers, not by sentence-transformers: pooling is ours, the same on all
    devices."""
    exporters = neuron_library.exporters()
    painting = files.task is Task.TEXT_TO_IMAGE
    shapes = exporters.normalize_diffusers_input_shapes(wanted.shapes) if painting else wanted.shapes
    cast = wanted.dtype == "bfloat16"
    exporters.main_export(
        str(files.folder),
        out,
        {
            "auto_cast": "matmul" if cast else None,
            "auto_cast_type": "bf16" if cast else None,
            "instance_type": TARGETS[wanted.target],
        },
        tensor_parallel_size=wanted.tensor_parallel,
        task=files.task.value,
        local_files_only=True,
        trust_remote_code=files.trust_remote_code,
        do_validation=False,
        library_name="diffusers" if painting else "transformers",
        **shapes,
    )
