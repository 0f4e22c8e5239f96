"""`holdfast compile`: what it refuses before it begins, what it writes, and that it is not done twice."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click.testing
import pytest
import torch
import transformers

from holdfast.cli.compile import compile as verb
from holdfast.model.errors import InputError, OutputError
from holdfast.serving.hosted import compiling, files
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.compiling import Compilation
from holdfast.serving.hosted.devices import neuron_library
from holdfast.serving.hosted.devices.neuron import NeuronDevice
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.tasks import Task
from serving.hosted.fake_neuron import FakeNeuron
from serving.hosted.test_hosted_neuron_interface import TRACED

torch.set_num_threads(1)
TINY = {"vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
TEXTS = Compilation(4, 16, None, None, 1, "bfloat16", "inf2")
PICTURES = replace(TEXTS, sequence_length=None)
IMAGES = replace(PICTURES, height=64, width=64)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> FakeNeuron:
    """The fake, installed as pip would see it."""
    site = tmp_path_factory.mktemp("site")
    for name in ("optimum_neuron", "neuronx_cc"):
        (site / f"{name}-0.4.5.dist-info").mkdir()
        (site / f"{name}-0.4.5.dist-info/METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.4.5\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("NEURON_PLATFORM_TARGET_OVERRIDE", "")
    fake = FakeNeuron()
    fake.install(monkeypatch, TRACED)
    return fake


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("llama")
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(max_position_embeddings=16, **TINY))
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return ModelFiles("tiny-llama", folder, Task.TEXT_GENERATION, json.loads((folder / "config.json").read_text()))


def _files(task: Task, **config: Any) -> ModelFiles:
    return ModelFiles("tiny", Path("/nowhere"), task, config)


@pytest.mark.parametrize(
    ("task", "wanted", "said"),
    [
        (Task.TEXT_GENERATION, PICTURES, "a fixed sequence length; give --sequence-length"),
        (Task.EMBEDDINGS, replace(TEXTS, batch_size=None), "a fixed batch size; give --batch-size"),
        (Task.EMBEDDINGS, replace(TEXTS, sequence_length=1024), "give at most 512"),
        (Task.EMBEDDINGS, replace(TEXTS, height=8), "takes no --height"),
        (Task.TEXT_TO_IMAGE, replace(IMAGES, width=None), "a fixed width"),
        (Task.TEXT_TO_IMAGE, replace(IMAGES, height=100), "--height: pixels are made 8 by 8"),
        (Task.TEXT_TO_IMAGE, IMAGES, "only StableDiffusionPipeline and StableDiffusionXLPipeline"),
        (Task.IMAGE_CLASSIFICATION, IMAGES, "size of its configuration"),
        (Task.IMAGE_CLASSIFICATION, replace(PICTURES, tensor_parallel=2), "is not sharded; run more replicas"),
        (Task.OBJECT_DETECTION, replace(PICTURES, target="p5"), "'p5' has no NeuronCores"),
        (Task.OBJECT_DETECTION, replace(PICTURES, dtype="int8"), "give --dtype, one of bfloat16, float32"),
    ],
)
def test_shapes_that_make_no_sense_are_refused_before_anything_is_compiled(
    task: Task, wanted: Compilation, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        compiling.check(wanted, _files(task, max_position_embeddings=512))


def test_what_is_compiled_already_is_not_compiled_again() -> None:
    with pytest.raises(InputError, match="give the model that it was compiled from"):
        compiling.check(TEXTS, replace(_files(Task.EMBEDDINGS), compiled=True))


def test_a_language_model_is_compiled_to_give_logits_and_can_be_served(
    library: FakeNeuron, llama: ModelFiles, tmp_path: Path
) -> None:
    made, compiled = compiling.compile_model(llama, replace(TEXTS, tensor_parallel=2), tmp_path / "out")

    told = json.loads((tmp_path / "out/neuron_config.json").read_text())
    assert compiled and library.calls == [("export", {"load_weights": False, "trust_remote_code": False})]
    assert not told["on_device_sampling"] and told["continuous_batching"]
    assert (told["tp_degree"], told["torch_dtype"]) == (2, "torch.bfloat16")
    assert (tmp_path / "out/tokenizer.json").exists()
    assert not (tmp_path / "out/model.safetensors").exists()
    assert json.loads((tmp_path / "out" / compiling.MANIFEST).read_text()) == made
    assert made["shapes"] == {"batch_size": 4, "sequence_length": 16}
    assert made["versions"]["optimum-neuron"] == "0.4.5"

    artifact = ModelFiles("out", tmp_path / "out", Task.TEXT_GENERATION, llama.config, compiled=True)
    neuron = neuron_library.neuron().NeuronModelForCausalLM
    config = transformers.AutoConfig.from_pretrained(llama.folder)
    config.dtype = torch.bfloat16
    again = neuron.get_neuron_config(
        "x", config, instance_type=None, batch_size=4, sequence_length=16, tensor_parallel_size=2
    )
    again.on_device_sampling = False
    library.loaded["NeuronModelForCausalLM"] = neuron.export(
        str(llama.folder), again, config, load_weights=False, trust_remote_code=False
    )
    assert NeuronDevice().decoder(artifact, Bounds()).slots == 4


@pytest.mark.parametrize(("dtype", "cast"), [("bfloat16", ("matmul", "bf16")), ("float32", (None, None))])
def test_an_encoder_is_traced_by_transformers_at_its_shapes(
    library: FakeNeuron, tmp_path: Path, dtype: str, cast: tuple[str | None, str | None]
) -> None:
    (tmp_path / "bert/1_Pooling").mkdir(parents=True)
    (tmp_path / "bert/config.json").write_text(json.dumps({"max_position_embeddings": 16}))
    (tmp_path / "bert/1_Pooling/config.json").write_text("{}")
    (tmp_path / "bert/model.safetensors").write_bytes(b"")
    bert = ModelFiles("bert", tmp_path / "bert", Task.EMBEDDINGS, {"max_position_embeddings": 16})

    compiling.compile_model(bert, replace(TEXTS, dtype=dtype), tmp_path / "out")

    ((_, told),) = library.calls
    assert (told["auto_cast"], told["auto_cast_type"]) == cast
    assert (told["task"], told["library_name"], told["instance_type"]) == ("feature-extraction", "transformers", "trn1")
    config = json.loads((tmp_path / "out/config.json").read_text())
    shapes = NeuronDevice().shapes(ModelFiles("out", tmp_path / "out", Task.EMBEDDINGS, config, compiled=True))
    assert shapes == {"batch_size": 4, "sequence_length": 16}
    assert (tmp_path / "out/1_Pooling/config.json").exists()
    assert not (tmp_path / "out/model.safetensors").exists()


def test_the_same_is_not_compiled_twice_and_another_is_not_written_over_it(
    library: FakeNeuron, llama: ModelFiles, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first, _ = compiling.compile_model(llama, TEXTS, out)
    assert compiling.compile_model(llama, TEXTS, out) == (first, False)
    assert len(library.calls) == 1

    for other in (replace(TEXTS, batch_size=2), replace(TEXTS, dtype="float32"), replace(TEXTS, target="trn2")):
        with pytest.raises(InputError, match="is not an empty folder, nor the same artifact"):
            compiling.compile_model(llama, other, out)
    assert compiling.manifest(replace(TEXTS, target="trn1"), llama)["key"] == first["key"]  # the same NeuronCores


def test_an_artifact_is_not_written_into_the_model(library: FakeNeuron, llama: ModelFiles) -> None:
    for out in (llama.folder, llama.folder / "neuron"):
        with pytest.raises(InputError, match="is inside the model's own folder"):
            compiling.compile_model(llama, TEXTS, out)


@pytest.mark.parametrize("held", ["[]", "{", "{}"])
def test_a_folder_whose_manifest_is_none_is_refused(
    library: FakeNeuron, llama: ModelFiles, tmp_path: Path, held: str
) -> None:
    (tmp_path / compiling.MANIFEST).write_text(held)

    with pytest.raises(InputError, match=r"holdfast-compiled\.json: is no manifest of an artifact"):
        compiling.compile_model(llama, TEXTS, tmp_path)


def test_a_place_that_cannot_be_written_to_is_said(library: FakeNeuron, llama: ModelFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot write results"):
        compiling.compile_model(llama, TEXTS, tmp_path / "file" / "out")
    with pytest.raises(InputError, match="is not an empty folder"):
        compiling.compile_model(llama, TEXTS, tmp_path / "file")


def test_the_verb_is_read_without_pytorch() -> None:
    code = (
        "import sys, holdfast.cli.compile, holdfast.serving.hosted.devices.choose as c; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_compilation_that_fails_leaves_nothing_where_the_artifact_would_be(
    library: FakeNeuron, llama: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise ValueError("Model type llama is not supported.\nMore.")

    monkeypatch.setattr(neuron_library.neuron().NeuronModelForCausalLM, "export", refuse)
    with pytest.raises(InputError, match=r"cannot compile it \(Model type llama is not supported\)"):
        compiling.compile_model(llama, TEXTS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(verb, list(arguments))


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cpu", "set TORCHINDUCTOR_CACHE_DIR"),
        ("cuda", "holdfast serve --framework compile"),
        ("tpu", "'tpu' is no device"),
        ("neuron", "optimum-neuron is not installed"),
    ],
)
def test_the_verb_says_what_it_cannot_compile_for(device: str, said: str) -> None:
    result = _run("model", "--out", "out", "--device", device)

    assert isinstance(result.exception, InputError) and said in str(result.exception)


def test_the_verb_wants_a_target_where_the_machine_has_no_neuron_cores(library: FakeNeuron) -> None:
    result = _run("model", "--out", "out")

    assert isinstance(result.exception, InputError) and "give --target, one of inf2, trn1" in str(result.exception)


def test_the_verb_tells_what_it_wrote(
    library: FakeNeuron, llama: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find", lambda model, **_: llama)
    asked = ["tiny-llama", "--out", str(tmp_path / "out"), "--target", "inf2", "--batch-size", "2"]
    asked += ["--sequence-length", "8"]

    assert _run(*asked).stdout == (
        "tiny-llama for text-generation on trn1: batch size 2, sequence length 8, bfloat16\n"
        f"written to {tmp_path / 'out'}\n"
    )
    again = json.loads(_run(*asked, "--json").stdout)
    assert (again["compiled"], again["target"], again["shapes"]["batch_size"]) == (False, "trn1", 2)
