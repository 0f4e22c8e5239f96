"""AWS NeuronCores (Inferentia2, Trainium) by optimum-neuron. Artifacts are compiled before; this loads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.compiling import PIPELINES, PRODUCT
from holdfast.serving.hosted.devices import neuron_library
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.devices.neuron_decoder import NeuronDecoder
from holdfast.serving.hosted.devices.neuron_library import TracedModelClass
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.decoder import Decoder
from holdfast.serving.hosted.tasks import Task

NEURON_CONFIG = "neuron_config.json"


class NeuronDevice(Device):
    """The NeuronCores that this process sees (NEURON_RT_VISIBLE_CORES, NEURON_RT_NUM_CORES). Tensors stay on the host:
    the library carries them over."""

    name = "neuron"
    framework = "neuronx"

    def __init__(self, product: Path = PRODUCT) -> None:
        instance = product.read_text(encoding="ascii").strip() if product.exists() else ""
        chips = {"inf2": "Inferentia2", "trn1": "Trainium", "trn1n": "Trainium", "trn2": "Trainium2"}
        chip = chips.get(instance.split(".")[0], "Neuron")
        self.kind = f"{chip} ({instance})" if instance else chip

    def encoder(self, files: ModelFiles) -> Any:
        model_class = _encoder_class(files)
        with _telling(files):
            model = model_class.from_pretrained(
                str(files.folder), local_files_only=True, trust_remote_code=files.trust_remote_code
            )
        return _hidden_states_of(model) if _is_sentence_transformer(files) else model

    def pipeline(self, files: ModelFiles) -> Any:
        _check_compiled(files)
        library = neuron_library.neuron()
        made = (library.NeuronStableDiffusionPipeline, library.NeuronStableDiffusionXLPipeline)
        classes = dict(zip(PIPELINES, made, strict=True))
        named = str(files.config.get("_class_name", "")).removeprefix("Neuron")
        if named not in classes:
            raise InputError(
                f"is a {named or 'pipeline without a name'}, and on Neuron {' and '.join(classes)} are served",
                where=files.name,
            )
        with _telling(files):
            pipe = classes[named].from_pretrained(
                str(files.folder), local_files_only=True, trust_remote_code=files.trust_remote_code
            )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def decoder(self, files: ModelFiles, bounds: Bounds) -> Decoder:
        """As many slots as were compiled: a step takes the same time whether they are filled or not."""
        _check_compiled(files)
        with _telling(files):
            model = neuron_library.neuron().NeuronModelForCausalLM.from_pretrained(
                str(files.folder), local_files_only=True
            )
        return NeuronDecoder(model, eos_ids=_eos_ids(files), name=files.name, max_tokens=bounds.max_tokens)

    def shapes(self, files: ModelFiles) -> Mapping[str, int]:
        """height and width in pixels. Raises InputError where nothing was compiled."""
        _check_compiled(files)
        if files.task is Task.TEXT_GENERATION:
            compiled = _read(files.folder / NEURON_CONFIG)
            return {name: int(compiled[name]) for name in ("batch_size", "sequence_length")}
        if files.task is Task.TEXT_TO_IMAGE:
            return _pipeline_shapes(files)
        static = _static(files.config)
        if files.task in {Task.IMAGE_CLASSIFICATION, Task.OBJECT_DETECTION}:
            side = files.config.get("image_size")
            height, width = side if isinstance(side, list) else (side, side)
            static = {"height": height, "width": width} | static
        wanted = ("batch_size", "sequence_length", "height", "width")
        return {name: int(static[name]) for name in wanted if static.get(name) is not None}

    def move(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: one.float() if one.is_floating_point() else one for name, one in tensors.items()}

    def synchronise(self) -> None:
        """Nothing to wait for: results are on the host when a call returns."""


def _encoder_class(files: ModelFiles) -> TracedModelClass:
    _check_compiled(files)
    library = neuron_library.neuron()
    match files.task:
        case Task.TEXT_CLASSIFICATION:
            return library.NeuronModelForSequenceClassification
        case Task.EMBEDDINGS if _is_sentence_transformer(files):
            return library.NeuronSentenceTransformers
        case Task.EMBEDDINGS:
            return library.NeuronModelForFeatureExtraction
        case Task.IMAGE_CLASSIFICATION:
            return library.NeuronModelForImageClassification
        case Task.OBJECT_DETECTION if files.config.get("model_type") == "yolos":
            return library.NeuronYolosForObjectDetection
        case Task.OBJECT_DETECTION:
            return library.NeuronModelForObjectDetection
        case _:
            raise ValueError(f"{files.task.value} is no task of an encoder")


def _is_sentence_transformer(files: ModelFiles) -> bool:
    """Whether optimum-neuron traced it through sentence-transformers, which names this kind of model so."""
    return files.task is Task.EMBEDDINGS and files.config.get("neuron", {}).get("model_type") == "transformer"


def _hidden_states_of(model: Any) -> Any:
    """Such a model as one of transformers; pooling is ours, the same on all devices."""

    def call(**tensors: torch.Tensor) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=model(**tensors).token_embeddings)

    return call


def _pipeline_shapes(files: ModelFiles) -> dict[str, int]:
    """Of a pipeline the text encoder has as many rows as prompts; sides of the denoiser are of the latent image."""
    denoiser = next(one for one in ("unet", "transformer") if (files.folder / one / "config.json").exists())
    latent = _static(_read(files.folder / denoiser / "config.json"))
    blocks = _read(files.folder / "vae_decoder" / "config.json")["block_out_channels"]
    scale = 2 ** (len(blocks) - 1)
    prompts = _static(_read(files.folder / "text_encoder" / "config.json"))
    return {
        "batch_size": int(prompts["batch_size"]),
        "height": int(latent["height"]) * scale,
        "width": int(latent["width"]) * scale,
    }


def _static(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("static_"): value for key, value in config["neuron"].items() if key.startswith("static_")}


def _eos_ids(files: ModelFiles) -> frozenset[int]:
    """As generate() takes them: of generation_config.json, else of config.json."""
    generation = files.folder / "generation_config.json"
    told = _read(generation).get("eos_token_id") if generation.exists() else None
    ids = files.config.get("eos_token_id") if told is None else told
    return frozenset() if ids is None else frozenset(ids if isinstance(ids, list) else [ids])


def _check_compiled(files: ModelFiles) -> None:
    if not files.compiled:
        raise InputError(
            "is not compiled for Neuron, which takes minutes to hours and is not done at the start of a server",
            where=files.name,
            mend=f"run `holdfast compile {files.name} --device neuron --task {files.task.value} --out FOLDER` once",
        )


@contextmanager
def _telling(files: ModelFiles) -> Iterator[None]:
    """The library's refusals (another instance type, compiler or number of cores) as the user's sentence."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(f"optimum-neuron cannot load it ({said})", where=files.name) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("the artifact lacks this file", where=str(file), mend="compile it anew") from error
    return read
