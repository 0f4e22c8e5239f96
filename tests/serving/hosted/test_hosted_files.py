"""Models in folders: found, checked, refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils._validators import validate_repo_id
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import find, hub
from holdfast.serving.hosted.tasks import Task
from serving.hosted.model_folders import bert, diffusion, llama, safetensors, sentences, text, vit, write

NEURON = {"compiler_type": "neuronx-cc", "static_batch_size": 2, "static_sequence_length": 16}


def archive() -> bytes:
    """What TorchScript writes is a zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as inside:
        inside.writestr("model/data.pkl", b"")
    return file.getvalue()


def refused(folder: Path, sentence: str, **asked: Any) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        find(str(folder), **asked)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "task"),
    [
        (bert(), Task.TEXT_CLASSIFICATION),
        (llama(), Task.TEXT_GENERATION),
        (vit(), Task.IMAGE_CLASSIFICATION),
        (sentences(), Task.EMBEDDINGS),
        (diffusion(), Task.TEXT_TO_IMAGE),
    ],
)
def test_a_folder_is_a_model(tmp_path: Path, files: dict[str, bytes], task: Task) -> None:
    found = find(str(write(tmp_path, files)))
    assert (found.task, found.folder, found.compiled, found.variant) == (task, tmp_path, False, None)
    assert found.config == json.loads(files.get("config.json") or files["model_index.json"])


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("", "neither a folder nor an id of the Hub"),
        ("./not/there", "neither a folder nor an id"),
        ("/not/there", "neither a folder nor an id"),
        ("a/b/c", "neither a folder nor an id"),
        ("..", "has neither config.json nor model_index.json"),
        ("a" * 5000, "neither a folder nor an id"),
        ("a\0b", "neither a folder nor an id"),
        ("org/na me", "neither a folder nor an id"),
        ("org/name.git", "neither a folder nor an id"),
        ("https://example.org/model", "neither a folder nor an id"),
    ],
)
def test_what_is_no_model_is_refused(
    model: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with pytest.raises(InputError, match=sentence):
        find(model, local_only=True)


@given(
    st.text("aZ0_.-/g it", min_size=1, max_size=12)
    | st.from_regex(r"[a-b.-]{1,4}/[a-b._-]{1,4}(\.git)?", fullmatch=True)
)
def test_what_is_taken_for_an_id_is_one_to_the_hubs_client(name: str) -> None:
    if hub.is_name(name):
        validate_repo_id(name)


def test_a_file_is_no_folder_and_a_folder_has_no_revisions(tmp_path: Path) -> None:
    write(tmp_path, bert())
    refused(tmp_path / "model.safetensors", "is no folder")
    refused(tmp_path, "is a folder, which has no revisions", revision="main")


def test_a_folder_that_vanishes_or_is_closed_beside_the_model_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (write(tmp_path, bert()) / "lost+found").mkdir()
    scandir = os.scandir

    def closed(path: Path) -> object:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert find(str(tmp_path))


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        ("config.json", "has neither config.json nor model_index.json"),
        ("tokenizer.json", "lacks a tokenizer"),
        (
            "model-00002-of-00002.safetensors",
            "lacks model-00002-of-00002.safetensors; give the folder of a whole model",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, without: str, sentence: str) -> None:
    files = llama()
    del files[without]
    refused(write(tmp_path, files), sentence)


def test_an_image_model_needs_its_processor_and_a_pipeline_its_parts(tmp_path: Path) -> None:
    (write(tmp_path / "vit", vit()) / "preprocessor_config.json").unlink()
    refused(tmp_path / "vit", "lacks preprocessor_config.json")
    files = {name: content for name, content in diffusion().items() if not name.startswith("vae/")}
    refused(write(tmp_path / "sd", files), "lacks the folder vae")


@pytest.mark.parametrize(
    ("instead", "sentence"),
    [
        ("pytorch_model.bin", r"has pickle weights alone \(pytorch_model.bin\), which can run code"),
        ("model.ckpt", "has pickle weights alone"),
        ("adapter_model.safetensors", "is an adapter, no whole model"),
        ("model.gguf", "lacks its weights, model.safetensors; model.gguf cannot be served"),
        ("notes.txt", "lacks its weights, model.safetensors; give"),
    ],
)
def test_weights_are_safetensors_or_refused(tmp_path: Path, instead: str, sentence: str) -> None:
    files = bert()
    files[instead] = files.pop("model.safetensors")
    refused(write(tmp_path, files), sentence)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "a/b.safetensors", "model.bin", 3, ".."])
def test_an_index_that_points_elsewhere_is_refused(tmp_path: Path, name: object) -> None:
    files = llama() | {"model.safetensors.index.json": text({"weight_map": {"a": name}})}
    refused(write(tmp_path, files), "which is no safetensors file beside it")


def test_a_shard_without_a_tensor_of_its_index_is_named(tmp_path: Path) -> None:
    files = llama() | {"model-00002-of-00002.safetensors": safetensors(c=200)}
    refused(write(tmp_path, files), r"model-00002.*lacks the tensor 'b'")


def test_a_truncated_file_is_named_before_it_is_loaded(tmp_path: Path) -> None:
    files = bert()
    files["model.safetensors"] = files["model.safetensors"][:-1]
    refused(write(tmp_path, files), r"model\.safetensors: is truncated")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (b"no", "config.json: is not JSON"),
        (b"[]", "config.json: holds no JSON object"),
        (b"[" * 100_000, "config.json: is nested too deeply"),
        (b" " * (64 << 20) + b"{}", "config.json: has more than 64 MiB"),
        (b'{"a": 1, "a": 2}', "a key comes twice"),
        (b"\xff\xff", "is not JSON"),
    ],
)
def test_a_config_that_is_none_is_refused(tmp_path: Path, config: bytes, sentence: str) -> None:
    refused(write(tmp_path, bert() | {"config.json": config}), sentence)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", bert())
    files = bert()
    del files["model.safetensors"]
    write(tmp_path / "model", files)
    (tmp_path / "model" / "model.safetensors").symlink_to("../elsewhere/model.safetensors")
    refused(tmp_path / "model", "is a link out of the model's folder")


@pytest.mark.parametrize("target", ["model.safetensors", "not-there"])
def test_links_to_nothing_are_refused(tmp_path: Path, target: str) -> None:
    (write(tmp_path, bert()) / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").symlink_to(target)
    refused(tmp_path, "is a link to nothing")


def test_a_pipe_is_no_config(tmp_path: Path) -> None:
    (write(tmp_path, bert()) / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    refused(tmp_path, "is no regular file")


def test_links_of_a_mounted_volume_and_of_the_hubs_cache_are_followed(tmp_path: Path) -> None:
    write(tmp_path / "volume" / "..data", bert())
    for name in bert():
        (tmp_path / "volume" / name).symlink_to(Path("..data", name))
    assert find(str(tmp_path / "volume"))
    snapshot = tmp_path / "models--org--bert" / "snapshots" / "a"
    snapshot.mkdir(parents=True)
    for number, (name, content) in enumerate(bert().items()):
        write(tmp_path / "models--org--bert" / "blobs", {str(number): content})
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    assert find(str(snapshot))


@pytest.mark.parametrize(
    "files",
    [
        bert(auto_map={"AutoModel": "own.Own"}),
        bert() | {"tokenizer_config.json": text({"auto_map": {"AutoTokenizer": ["own.Own", None]}})},
        diffusion() | {"unet/config.json": text({"auto_map": {"AutoModel": "own.Own"}})},
        diffusion(unet=["own", "Unet"]) | {"unet/own.py": b""},
    ],
)
def test_code_of_the_models_own_runs_only_where_it_is_trusted(tmp_path: Path, files: dict[str, bytes]) -> None:
    refused(write(tmp_path, files), "Python code of its own .*; give --trust-remote-code")
    found = find(str(tmp_path), trust_remote_code=True)
    assert found.trust_remote_code


def test_modules_of_sentence_transformers_that_are_not_applied_are_refused(tmp_path: Path) -> None:
    modules = json.loads(sentences()["modules.json"])
    modules[2]["type"] = "sentence_transformers.models.Dense"
    refused(
        write(tmp_path, sentences() | {"modules.json": text(modules)}), "the module Dense in 2_Normalize is not served"
    )
    modules[2]["type"] = "own.Module"
    refused(write(tmp_path, {"modules.json": text(modules)}), "the module own.Module is code of the model's own")
    modules[2] = {"path": "../x", "type": "sentence_transformers.models.Pooling"}
    refused(write(tmp_path, {"modules.json": text(modules)}), "is no list of modules")


def test_the_fp16_variant_is_taken_where_it_is_alone_or_asked_for(tmp_path: Path) -> None:
    files = bert()
    files["model.fp16.safetensors"] = files["model.safetensors"]
    write(tmp_path, files)
    assert find(str(tmp_path)).variant is None
    assert find(str(tmp_path), variant="fp16").variant == "fp16"
    refused(tmp_path, "has no weights of the variant ema", variant="ema")
    refused(tmp_path, "is no variant of weights", variant="../x")
    (tmp_path / "model.safetensors").unlink()
    assert find(str(tmp_path)).variant == "fp16"


def test_what_was_compiled_for_neuron_is_known_with_its_shapes(tmp_path: Path) -> None:
    files = bert(neuron=NEURON) | {"model.neuron": archive()}
    del files["model.safetensors"]
    found = find(str(write(tmp_path, files)))
    assert (found.compiled, found.task, found.config["neuron"]) == (True, Task.TEXT_CLASSIFICATION, NEURON)
    write(tmp_path, {"model.neuron": b"cut off"})
    refused(tmp_path, r"model\.neuron: is no compiled artifact, or truncated")
    write(tmp_path, {"config.json": bert()["config.json"]})
    refused(tmp_path, "does not say what they were compiled for")
    write(tmp_path, {"config.json": files["config.json"], "other.neuron": archive()})
    refused(tmp_path, "has 2 artifacts for Neuron")


def test_a_compiled_decoder_needs_the_weights_of_all_its_cores(tmp_path: Path) -> None:
    files = {name: content for name, content in llama().items() if "safetensors" not in name}
    files |= {"model.pt": archive(), "neuron_config.json": text({"tp_degree": 2, "checkpoint_id": "org/llama"})}
    refused(write(tmp_path, files), "has no weights beside its compiled graph; they are those of org/llama")
    write(tmp_path, {"checkpoint/weights/tp0_sharded_checkpoint.safetensors": safetensors(a=1)})
    refused(tmp_path, "lacks checkpoint/weights/tp1_sharded_checkpoint.safetensors")
    write(tmp_path, {"checkpoint/weights/tp1_sharded_checkpoint.safetensors": safetensors(a=1)})
    found = find(str(tmp_path))
    assert (found.compiled, found.task, found.config["neuron"]["tp_degree"]) == (True, Task.TEXT_GENERATION, 2)
    write(tmp_path, {"neuron_config.json": text({"tp_degree": "all"})})
    refused(tmp_path, "has an impossible tp_degree all")


def test_a_compiled_pipeline_says_what_each_part_was_compiled_for(tmp_path: Path) -> None:
    files = {name: content for name, content in diffusion().items() if "safetensors" not in name and "vae" not in name}
    for part in ("unet", "text_encoder", "vae_decoder"):
        files |= {f"{part}/config.json": text({"neuron": NEURON}), f"{part}/model.neuron": archive()}
    write(tmp_path, files)
    found = find(str(tmp_path))
    assert found.compiled
    assert found.config["neuron"] == dict.fromkeys(("text_encoder", "unet", "vae_decoder"), NEURON)
    (tmp_path / "unet" / "model.neuron").unlink()
    refused(tmp_path, "has artifacts for Neuron of text_encoder, vae_decoder alone")
