"""Models of the Hub, fetched by its own client from a Hub on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download

from holdfast.model.errors import InputError, UnreachableError
from holdfast.serving.hosted.files import documents, find, verifying
from holdfast.serving.hosted.tasks import Task
from serving.hosted import model_folders
from serving.hosted.hub_server import COMMIT, Hub, serving, sha256

WEIGHTS = "model.safetensors"
UNNEEDED = {
    "pytorch_model.bin": b"pickle" * 100,
    "tf_model.h5": b"h5",
    "flax_model.msgpack": b"flax",
    "rust_model.ot": b"ot",
    "onnx/model.onnx": b"onnx",
    "onnx/config.json": b"{}",
    "openvino/openvino_model.bin": b"vino",
    "original/consolidated.00.pth": b"pth",
    "model.fp16.safetensors": model_folders.safetensors(a=3),
    "coreml/weights.bin": b"core",
    "LICENSE": b"text",
    ".gitattributes": b"text",
    "samples/cat.png": b"png",
    "modeling_own.py": b"raise SystemExit",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving({"org/bert": model_folders.bert()}) as hub:
        _settings(monkeypatch, hub.url, tmp_path / "cache")
        yield hub
    _forget_connections()


def _settings(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    for module in (constants, file_download):
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_test")


def _forget_connections() -> None:
    """The client keeps a pool for the process; an open socket would be a warning in another test."""
    close = getattr(huggingface_hub, "close_session", None)
    if close is not None:
        close()


def test_a_model_of_the_hub_is_fetched_and_told(hub: Hub) -> None:
    found = find("org/bert")
    assert (found.name, found.task, found.folder.name) == ("org/bert", Task.TEXT_CLASSIFICATION, COMMIT)
    assert (found.folder / WEIGHTS).read_bytes() == hub.models["org/bert"][WEIGHTS]


def test_only_what_is_needed_to_run_is_asked_for(hub: Hub) -> None:
    hub.models["org/bert"] |= UNNEEDED
    find("org/bert")
    assert hub.fetched() == set(model_folders.bert())


@pytest.mark.parametrize("make", [model_folders.llama, model_folders.vit, model_folders.sentences])
def test_shards_processors_and_pooling_are_needed(hub: Hub, make: object) -> None:
    assert callable(make)
    hub.models["org/other"] = make() | UNNEEDED
    find("org/other")
    assert hub.fetched() == set(make())


def test_of_a_pipeline_its_parts_are_fetched_but_no_safety_checker_nor_a_second_copy_of_the_weights(hub: Hub) -> None:
    hub.models["org/sd"] = {
        **model_folders.diffusion(),
        **UNNEEDED,
        "v1-5-pruned.ckpt": b"pickle",
        "v1-5-pruned.safetensors": model_folders.safetensors(a=9),
        "safety_checker/config.json": b"{}",
        "safety_checker/model.safetensors": model_folders.safetensors(a=5),
        "unet/diffusion_pytorch_model.fp16.safetensors": model_folders.safetensors(a=2),
        "unet/diffusion_pytorch_model.bin": b"pickle",
        "unet/diffusion_pytorch_model.non_ema.safetensors": model_folders.safetensors(a=2),
        "vae_1_0/config.json": b"{}",
    }
    found = find("org/sd")
    assert hub.fetched() == set(model_folders.diffusion())
    assert (found.task, found.variant) == (Task.TEXT_TO_IMAGE, None)


def test_the_readme_is_read_where_its_tag_may_decide(hub: Hub) -> None:
    hub.models["org/bert"]["config.json"] = model_folders.text({"model_type": "bert", "vocab_size": 8})
    hub.models["org/bert"]["README.md"] = b"---\npipeline_tag: text-classification\n---\n"
    assert find("org/bert").task is Task.TEXT_CLASSIFICATION


def test_a_second_start_fetches_nothing_and_hashes_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    find("org/bert")
    hub.forget()
    monkeypatch.setattr(verifying, "digest", None)
    find("org/bert")
    assert not hub.fetched()


def test_a_download_that_is_cut_off_goes_on_where_it_was(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    content = model_folders.safetensors(a=100_000)
    hub.models["org/bert"][WEIGHTS] = content
    hub.cut[WEIGHTS] = [150_000]
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    find("org/bert")
    assert hub.sent[WEIGHTS] == len(content)
    assert len(hub.ranges) == 1


def test_files_that_are_whole_are_not_fetched_again_by_the_next_start(hub: Hub) -> None:
    hub.models["org/llama"] = model_folders.llama()
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    hub.spoilt[second] = 2
    with pytest.raises(InputError, match=f"{second} came twice"):
        find("org/llama")
    assert first in hub.fetched()
    hub.forget()
    find("org/llama")
    assert hub.fetched() == {second}


def test_what_comes_corrupt_is_fetched_once_more(hub: Hub) -> None:
    hub.spoilt[WEIGHTS] = 1
    found = find("org/bert")
    assert (found.folder / WEIGHTS).read_bytes() == hub.models["org/bert"][WEIGHTS]
    assert hub.sent[WEIGHTS] == 2 * len(hub.models["org/bert"][WEIGHTS])


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json"])
def test_what_comes_corrupt_twice_is_an_error_that_names_it(hub: Hub, name: str) -> None:
    hub.spoilt[name] = 9
    with pytest.raises(InputError, match=f"{name} came twice with another checksum"):
        find("org/bert")
    left = [path for path in Path(constants.HF_HUB_CACHE).rglob("*") if path.name == name]
    assert not left
    with pytest.raises(InputError, match="is not downloaded"):
        find("org/bert", local_only=True)


def test_a_new_commit_that_is_not_whole_leaves_the_old_one_served(hub: Hub) -> None:
    old = find("org/bert").folder
    hub.commit = "b" * 40
    hub.models["org/bert"][WEIGHTS] = model_folders.safetensors(a=4)
    hub.spoilt[WEIGHTS] = 2
    with pytest.raises(InputError, match="came twice"):
        find("org/bert")
    assert find("org/bert", local_only=True).folder.resolve() == old.resolve()
    assert find("org/bert").folder.name == hub.commit
    assert find("org/bert", local_only=True).folder.name == hub.commit


def test_what_was_spoilt_in_the_cache_is_fetched_anew(hub: Hub) -> None:
    path = find("org/bert").folder / WEIGHTS
    good = path.read_bytes()
    path.resolve().write_bytes(good[:-1] + b"\1")
    os.utime(path.resolve(), ns=(1, 1))
    with pytest.raises(InputError, match=r"model\.safetensors in the cache is not what was published"):
        find("org/bert", local_only=True)
    assert find("org/bert").folder / WEIGHTS == path
    assert path.read_bytes() == good


def test_a_cache_that_takes_no_notes_is_hashed_at_each_start(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = find("org/bert").folder
    for note in (folder.parent.parent / verifying.NOTES).iterdir():
        note.unlink()
    hashed: list[str] = []
    digest = verifying.digest

    def noted(path: Path, like: str) -> str:
        hashed.append(like)
        return digest(path, like)

    monkeypatch.setattr(verifying, "digest", noted)
    find("org/bert", local_only=True)
    assert sha256(hub.models["org/bert"][WEIGHTS]) in hashed


def test_local_only_opens_no_connection(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = find("org/bert")
    hub.forget()
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(socket, "getaddrinfo", None)
    found = find("org/bert", local_only=True)
    assert (found.folder.resolve(), found.task) == (expected.folder.resolve(), expected.task)
    assert not hub.asked


def test_local_only_says_what_is_missing(hub: Hub) -> None:
    with pytest.raises(InputError, match=r"is not downloaded .*, nor a folder; run once without --local-only"):
        find("org/bert", local_only=True)
    (find("org/bert").folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"org/bert: lacks its weights, model\.safetensors; run once without"):
        find("org/bert", local_only=True)
    assert find("org/bert")


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, "RepoNotFound", r"neither a folder nor a model that http://.* shows to this user; look at its spelling"),
        (404, "RepoNotFound", r"neither a folder nor a model"),
        (401, "", r"neither a folder nor a model|answered 401; set another HF_TOKEN"),
        (403, "GatedRepo", r"is gated; accept its conditions on its page, and set HF_TOKEN"),
        (403, "", r"answered 403; ask for access"),
        (429, "", r"answered 429; wait, and set HF_TOKEN"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence_with_its_mend(hub: Hub, status: int, code: str, sentence: str) -> None:
    hub.status, hub.code = status, code
    with pytest.raises(InputError, match=sentence) as caught:
        find("org/bert")
    assert "\n" not in str(caught.value)


def test_a_gate_before_the_files_alone_is_named_too(hub: Hub) -> None:
    hub.status, hub.code, hub.where = 403, "GatedRepo", "/resolve/"
    with pytest.raises(InputError, match="is gated; accept its conditions"):
        find("org/bert")


def test_a_config_that_is_no_config_by_its_size_is_not_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 1 << 20)
    hub.models["org/bert"]["tokenizer.json"] = bytes(2 << 20)
    with pytest.raises(InputError, match=r"has more than 1 MiB of tokenizer\.json"):
        find("org/bert")
    assert "tokenizer.json" not in hub.fetched()


def test_the_clients_own_switch_is_local_only_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="run once without HF_HUB_OFFLINE"):
        find("org/bert")
    assert not hub.asked


@pytest.mark.parametrize("revision", ["../../x", "a/../../x", "", "-x", "x" * 200, "a b"])
def test_a_revision_that_is_no_name_is_refused(hub: Hub, revision: str) -> None:
    with pytest.raises(InputError, match="is no revision; give a branch"):
        find("org/bert", revision=revision)
    assert not hub.asked


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be downloaded to .*/file .*; give another folder by HF_HOME"):
        find("org/bert")


def test_a_revision_that_is_not_there_is_named(hub: Hub) -> None:
    with pytest.raises(InputError, match="has no revision v9; give a branch, a tag or a commit"):
        find("org/bert", revision="v9")


def test_the_token_is_sent_and_never_told(hub: Hub) -> None:
    find("org/bert")
    assert "Bearer hf_test" in hub.tokens
    hub.status = 403
    with pytest.raises(InputError) as caught:
        find("org/bert", revision="other")
    assert "hf_test" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(UnreachableError, match=r"does not answer .* or give --local-only"):
        find("org/bert")


def test_while_the_hub_is_down_what_was_downloaded_is_served_and_said(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    folder = find("org/bert").folder
    hub.status = 503
    assert find("org/bert").folder.resolve() == folder.resolve()
    assert f"the commit {COMMIT} is served" in caplog.text


def test_pickles_alone_are_refused_before_anything_large_is_fetched(hub: Hub) -> None:
    hub.models["org/bert"].pop(WEIGHTS)
    hub.models["org/bert"]["pytorch_model.bin"] = b"pickle"
    with pytest.raises(InputError, match=r"has pickle weights alone \(pytorch_model\.bin\)"):
        find("org/bert")
    assert "pytorch_model.bin" not in hub.fetched()


def test_code_of_strangers_is_refused_before_it_or_the_weights_are_fetched(hub: Hub) -> None:
    hub.models["org/bert"] |= {
        "tokenizer_config.json": model_folders.text({"auto_map": {"AutoTokenizer": ["own.Own", None]}}),
        "own.py": b"raise SystemExit",
    }
    with pytest.raises(InputError, match=r"Python code of its own in tokenizer_config\.json; give --trust-remote-code"):
        find("org/bert")
    assert not {WEIGHTS, "own.py"} & hub.fetched()
    assert (find("org/bert", trust_remote_code=True).folder / "own.py").is_file()


def test_artifacts_for_neuron_of_strangers_are_programs(hub: Hub) -> None:
    hub.models["org/bert"] |= {
        "model.neuron": b"program",
        "config.json": model_folders.text(model_folders.BERT | {"neuron": {"task": "text-classification"}}),
    }
    with pytest.raises(InputError, match="has artifacts for Neuron, which are programs"):
        find("org/bert")


def test_the_clients_own_settings_are_respected(hub: Hub, tmp_path: Path) -> None:
    program = "import sys; from holdfast.serving.hosted.files import find; "
    program += "print(find('org/bert').folder, 'torch' in sys.modules)"
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_other"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    folder, has_torch = done.stdout.split()
    assert Path(folder).is_relative_to(tmp_path / "home" / "hub")
    assert "Bearer hf_other" in hub.tokens
    assert has_torch == "False"
