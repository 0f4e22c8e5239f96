"""Loading artifacts for NeuronCores, on a fake of the library: the right class, the shapes of each, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from holdfast.model.errors import InputError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.neuron import NeuronDevice
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task
from serving.hosted.fake_neuron import FakeCausalModel, FakeNeuron, FakeSentenceTransformer, FakeTraced, neuron_config
from serving.hosted.test_hosted_neuron_interface import TRACED

torch.set_num_threads(1)
STATIC = {"static_batch_size": 2, "static_sequence_length": 8}
TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeNeuron:
    fake = FakeNeuron()
    fake.install(monkeypatch, TRACED)
    return fake


def _files(folder: Path, task: Task, **config: Any) -> ModelFiles:
    return ModelFiles("tiny", folder, task, config, compiled=True)


@pytest.mark.parametrize(
    ("task", "config", "name"),
    [
        (Task.TEXT_CLASSIFICATION, {}, "NeuronModelForSequenceClassification"),
        (Task.EMBEDDINGS, {}, "NeuronModelForFeatureExtraction"),
        (Task.IMAGE_CLASSIFICATION, {"model_type": "vit"}, "NeuronModelForImageClassification"),
        (Task.OBJECT_DETECTION, {"model_type": "yolos"}, "NeuronYolosForObjectDetection"),
        (Task.OBJECT_DETECTION, {"model_type": "detr"}, "NeuronModelForObjectDetection"),
    ],
)
def test_each_task_has_its_class_of_the_library(
    library: FakeNeuron, tmp_path: Path, task: Task, config: dict[str, Any], name: str
) -> None:
    library.loaded[name] = object()

    assert NeuronDevice().encoder(_files(tmp_path, task, neuron=STATIC, **config)) is library.loaded[name]


def test_an_encoder_takes_the_shapes_that_were_compiled(library: FakeNeuron, tmp_path: Path) -> None:
    bert = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=16, **TINY))
    fake = FakeTraced(bert, {"input_ids": (2, 8), "attention_mask": (2, 8)})
    library.loaded["NeuronModelForSequenceClassification"] = fake
    device, files = NeuronDevice(), _files(tmp_path, Task.TEXT_CLASSIFICATION, neuron=STATIC)

    shapes = device.shapes(files)
    tokens = torch.ones(shapes["batch_size"], shapes["sequence_length"], dtype=torch.long)
    answer = device.encoder(files)(**device.move({"input_ids": tokens, "attention_mask": tokens}))

    assert answer.logits.shape == (2, 2)
    with pytest.raises(ValueError, match="compiled was"):
        device.encoder(files)(input_ids=tokens[:1], attention_mask=tokens[:1])


def test_a_model_traced_by_sentence_transformers_gives_hidden_states_too(library: FakeNeuron, tmp_path: Path) -> None:
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=16, **TINY))
    library.loaded["NeuronSentenceTransformers"] = FakeSentenceTransformer(bert, {"input_ids": (2, 8)})
    files = _files(tmp_path, Task.EMBEDDINGS, neuron=STATIC | {"model_type": "transformer"})

    answer = NeuronDevice().encoder(files)(input_ids=torch.ones(2, 8, dtype=torch.long))

    assert answer.last_hidden_state.shape == (2, 8, 8)


@pytest.mark.parametrize(
    ("task", "config", "shapes"),
    [
        (Task.EMBEDDINGS, {"neuron": STATIC}, {"batch_size": 2, "sequence_length": 8}),
        (
            Task.IMAGE_CLASSIFICATION,
            {"neuron": {"static_batch_size": 4}, "image_size": 224},
            {"batch_size": 4, "height": 224, "width": 224},
        ),
        (
            Task.OBJECT_DETECTION,
            {"neuron": {"static_batch_size": 1}, "image_size": [512, 864]},
            {"batch_size": 1, "height": 512, "width": 864},
        ),
    ],
)
def test_shapes_are_read_off_the_artifact(
    tmp_path: Path, task: Task, config: dict[str, Any], shapes: dict[str, int]
) -> None:
    assert NeuronDevice().shapes(_files(tmp_path, task, **config)) == shapes


def _pipeline(folder: Path, **config: Any) -> ModelFiles:
    parts = {
        "text_encoder": {"neuron": {"static_batch_size": 2}},
        "unet": {"neuron": {"static_batch_size": 2, "static_height": 64, "static_width": 48}},
        "vae_decoder": {"neuron": {}, "block_out_channels": [128, 256, 512, 512]},
    }
    for name, part in parts.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(part))
    return _files(folder, Task.TEXT_TO_IMAGE, **config)


def test_a_pipeline_has_the_pixels_of_its_latent_image(tmp_path: Path) -> None:
    assert NeuronDevice().shapes(_pipeline(tmp_path)) == {"batch_size": 2, "height": 512, "width": 384}


def test_a_pipeline_is_loaded_in_silence_by_its_class(library: FakeNeuron, tmp_path: Path) -> None:
    class Pipe:
        quiet = False

        def set_progress_bar_config(self, *, disable: bool) -> None:
            self.quiet = disable

    library.loaded["NeuronStableDiffusionXLPipeline"] = pipe = Pipe()
    assert NeuronDevice().pipeline(_pipeline(tmp_path, _class_name="NeuronStableDiffusionXLPipeline")) is pipe
    assert pipe.quiet
    with pytest.raises(InputError, match="is a FluxPipeline, and on Neuron StableDiffusionPipeline and"):
        NeuronDevice().pipeline(_files(tmp_path, Task.TEXT_TO_IMAGE, _class_name="NeuronFluxPipeline"))


def test_a_text_generator_has_the_slots_that_were_compiled(library: FakeNeuron, tmp_path: Path) -> None:
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=16, max_position_embeddings=8, **TINY))
    library.loaded["NeuronModelForCausalLM"] = FakeCausalModel(llama, neuron_config(4, 8))
    (tmp_path / "neuron_config.json").write_text(json.dumps({"batch_size": 4, "sequence_length": 8}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6]}))
    files = _files(tmp_path, Task.TEXT_GENERATION, eos_token_id=2)

    decoder = NeuronDevice().decoder(files, Bounds(max_batch=8, max_tokens=6))

    assert (decoder.slots, decoder.positions, decoder.eos_ids) == (4, 6, frozenset({5, 6}))
    assert NeuronDevice().shapes(files) == {"batch_size": 4, "sequence_length": 8}
    assert decoder.prefill(1, [3, 4]).shape == (16,)


def test_ends_are_the_models_own_without_generation_settings(library: FakeNeuron, tmp_path: Path) -> None:
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=16, max_position_embeddings=8, **TINY))
    library.loaded["NeuronModelForCausalLM"] = FakeCausalModel(llama, neuron_config(1, 8))

    assert NeuronDevice().decoder(_files(tmp_path, Task.TEXT_GENERATION, eos_token_id=2), Bounds()).eos_ids == {2}


def _load(files: ModelFiles) -> Any:
    match files.task:
        case Task.TEXT_GENERATION:
            return NeuronDevice().decoder(files, Bounds())
        case Task.TEXT_TO_IMAGE:
            return NeuronDevice().pipeline(files)
        case _:
            return NeuronDevice().encoder(files)


@pytest.mark.parametrize("task", list(Task))
def test_a_server_never_compiles_by_itself(tmp_path: Path, task: Task) -> None:
    files = ModelFiles("org/model", tmp_path, task, {})
    said = f"holdfast compile org/model --device neuron --task {task.value} --out"

    with pytest.raises(InputError, match=said):
        NeuronDevice().shapes(files)
    with pytest.raises(InputError, match=said):
        _load(files)


def test_what_the_library_refuses_is_said_in_its_words(library: FakeNeuron, tmp_path: Path) -> None:
    refusal = ValueError("The model was compiled for trn2 but the current instance type is trn1.\nMore.")
    library.loaded["NeuronModelForCausalLM"] = refusal

    with pytest.raises(InputError, match=r"tiny: optimum-neuron cannot load it \(The model was compiled for trn2 .*\)"):
        NeuronDevice().decoder(_files(tmp_path, Task.TEXT_GENERATION), Bounds())


def test_without_the_library_the_mend_is_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip install 'optimum-neuron\[neuronx\]"):
        NeuronDevice().encoder(_files(tmp_path, Task.EMBEDDINGS, neuron=STATIC))


def test_the_kind_is_the_chip_and_the_instance(tmp_path: Path) -> None:
    (tmp_path / "product_name").write_text("inf2.8xlarge\n")

    assert NeuronDevice(tmp_path / "product_name").kind == "Inferentia2 (inf2.8xlarge)"
    assert NeuronDevice(tmp_path / "nowhere").kind == "Neuron"
