"""How the model's files come to a pod."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.manifests import Manifest
from holdfast.manifests.serving import model_files
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

PlanOf = Callable[..., Plan]
RenderOf = Callable[..., dict[str, Manifest]]

FAKE_AWS = """#!/bin/bash
# `aws s3 cp --only-show-errors FROM TO`, from a folder instead of a bucket.
mkdir -p "$(dirname "$5")" && cp "$BUCKET/${4#s3://bucket/prefix/}" "$5"
"""


def pod_of(tree: dict[str, Manifest], unit: str) -> dict[str, Any]:
    found = tree[f"pools/{unit}/deployment.yaml"].object["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def fill(folder: Path, contents: dict[str, str]) -> str:
    """Writes the files and their SHA256SUMS; gives the checksum of that."""
    sums = ""
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        sums += f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n"
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return hashlib.sha256(sums.encode()).hexdigest()


class Bucket:
    """A folder that stands for a bucket, and a machine on which `aws` reads from it."""

    def __init__(self, where: Path) -> None:
        self.folder, self.there, self.programs = where / "bucket", where / "models", where / "bin"
        for folder in (self.folder, self.there, self.programs):
            folder.mkdir()
        (self.programs / "aws").write_text(FAKE_AWS, encoding="utf-8")
        (self.programs / "aws").chmod(0o755)

    def download(self, sha256: str, *patterns: str, artifacts: str = "") -> subprocess.CompletedProcess[str]:
        script = Path(model_files.__file__).with_name("download.sh").read_text(encoding="utf-8")
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "BUCKET": str(self.folder),
            "SOURCE": "s3://bucket/prefix",
            "SHA256": sha256,
            "DESTINATION": str(self.there),
            "ARTIFACTS": artifacts,
        }
        return subprocess.run(
            ["bash", "-c", script, "download", *patterns],
            env=environment, capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip

    def brought(self) -> set[str]:
        found = {file.relative_to(self.there).as_posix() for file in self.there.rglob("*") if file.is_file()}
        return found - {"SHA256SUMS", ".wanted"}


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path)


MODEL = {"config.json": "{}", "a.safetensors": "aaa", "b.safetensors": "bbb", "sub/c d.json": "c", "notes.md": "n"}


def test_all_files_that_the_sums_list_are_brought(bucket: Bucket) -> None:
    sha256 = fill(bucket.folder, MODEL)
    (bucket.folder / "planted.py").write_text("evil", encoding="utf-8")
    done = bucket.download(sha256, "*")
    assert (done.returncode, bucket.brought()) == (0, set(MODEL)), done.stderr


def test_more_files_than_are_fetched_at_once_are_all_brought(bucket: Bucket) -> None:
    files = {f"model-{index:05}.safetensors": str(index) for index in range(11)}
    done = bucket.download(fill(bucket.folder, files), "*")
    assert (done.returncode, bucket.brought()) == (0, set(files)), done.stderr


def test_only_the_files_that_a_pattern_names_are_brought(bucket: Bucket) -> None:
    done = bucket.download(fill(bucket.folder, MODEL), "*.safetensors", "*.json")
    assert (done.returncode, bucket.brought()) == (0, set(MODEL) - {"notes.md"}), done.stderr


def test_of_compiled_artifacts_those_of_this_configuration_are_brought(bucket: Bucket) -> None:
    compiled = {f"neuron/{name}/model.pt": name for name in ("0123", "4567")}
    done = bucket.download(fill(bucket.folder, MODEL | compiled), "*", artifacts="neuron/0123")
    assert (done.returncode, bucket.brought()) == (0, {*MODEL, "neuron/0123/model.pt"}), done.stderr


def test_a_file_that_was_changed_stops_the_pod(bucket: Bucket) -> None:
    sha256 = fill(bucket.folder, MODEL)
    (bucket.folder / "a.safetensors").write_text("aab", encoding="utf-8")
    done = bucket.download(sha256, "*")
    assert done.returncode != 0
    assert "a.safetensors: FAILED" in done.stdout + done.stderr


def test_a_list_that_was_changed_stops_the_pod_before_a_file_is_fetched(bucket: Bucket) -> None:
    fill(bucket.folder, MODEL)
    done = bucket.download("0" * 64, "*")
    assert (done.returncode != 0, bucket.brought()) == (True, set())


def test_a_file_that_is_missing_stops_the_pod(bucket: Bucket) -> None:
    sha256 = fill(bucket.folder, MODEL)
    (bucket.folder / "b.safetensors").unlink()
    assert bucket.download(sha256, "*").returncode != 0


def test_patterns_that_nothing_matches_stop_the_pod(bucket: Bucket) -> None:
    done = bucket.download(fill(bucket.folder, MODEL), "*.gguf")
    assert (done.returncode, done.stderr) == (1, "SHA256SUMS lists no file like *.gguf\n")


def test_a_pod_that_starts_again_fetches_nothing_twice(bucket: Bucket) -> None:
    sha256 = fill(bucket.folder, MODEL)
    assert bucket.download(sha256, "*").returncode == 0
    (bucket.folder / "a.safetensors").unlink()
    assert bucket.download(sha256, "*").returncode == 0


def test_files_of_a_bucket_come_without_keys(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    pod = pod_of(render_of(example("sd21-five-units")), "g5-cuda")
    (fetch,) = pod["initContainers"]
    found = variables(fetch)
    assert found["SOURCE"] == "s3://models.example.com/sd21"
    assert not any("KEY" in name or "TOKEN" in name for name in found)
    assert {"name": "model", "mountPath": "/models"} in pod["containers"][0]["volumeMounts"]
    assert fetch["securityContext"] == pod["containers"][0]["securityContext"]


def test_the_token_is_where_files_are_fetched_and_the_server_is_offline(
    example: Callable[[str], Plan], render_of: RenderOf
) -> None:
    pod = pod_of(render_of(example("llama-3.3-70b-llm-d")), "p5-tp8")
    (fetch,), (server,) = pod["initContainers"], pod["containers"]
    assert variables(fetch)["HF_TOKEN"] == {"secretKeyRef": {"name": "hugging-face", "key": "token"}}
    assert "HF_TOKEN" not in variables(server)
    assert variables(server)["HF_HUB_OFFLINE"] == "1"
    revision = "6f6073b423013f6a7d4d9f39144961bfbfbc386b"
    assert revision in fetch["args"]
    assert f"--revision={revision}" in server["args"]


def test_only_the_files_asked_for_come_from_hugging_face(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    pod = pod_of(render_of(example("gpt-oss-20b-g5")), "g5-spot")
    fetch = pod["initContainers"][0]
    assert fetch["image"] == pod["containers"][0]["image"]
    assert fetch["args"][1:] == ["openai/gpt-oss-20b", "", "*.safetensors", "*.json"]
    assert "ignore_patterns=['original/*']" in fetch["args"][0]


def test_a_model_whose_commit_is_open_is_said_to_be(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    notes = {
        name: render_of(example(name))[f"pools/{unit}/deployment.yaml"].note
        for name, unit in (("gpt-oss-20b-g5", "g5-spot"), ("llama-3.3-70b-llm-d", "p5-tp8"))
    }
    assert "No commit is stated" in notes["gpt-oss-20b-g5"]
    assert "No commit" not in notes["llama-3.3-70b-llm-d"]


def test_an_image_that_fetches_its_model_itself_has_the_token(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = with_source(plan_of(), token_secret="hub")
    pod = pod_of(render_of(plan), "g5-triton")
    assert "initContainers" not in pod
    assert "HF_TOKEN" in variables(pod["containers"][0])


def test_files_that_an_image_would_not_heed_are_refused(plan_of: PlanOf, render_of: RenderOf) -> None:
    other = {"name": "tgi", "accelerator": "a10g", "instanceType": "g5.xlarge", "framework": "tgi", "image": "a/tgi:1"}
    with pytest.raises(InputError, match=r"fetches its model itself.*model\.source\.s3"):
        render_of(with_source(plan_of((other,)), files=("*.safetensors",)))


def test_the_disk_holds_the_weights(example: Callable[[str], Plan], render_of: RenderOf) -> None:
    pod = pod_of(render_of(example("llama-3.3-70b-llm-d")), "p5-tp8")
    mib = int(pod["containers"][0]["resources"]["requests"]["ephemeral-storage"].removesuffix("Mi"))
    assert 70.6e9 * 2 < mib * 2**20 < 70.6e9 * 2 * 1.5


def test_a_model_of_unknown_size_asks_for_no_disk_and_says_so(plan_of: PlanOf, render_of: RenderOf) -> None:
    plan = with_model(plan_of(), "someone/something")
    deployment = render_of(plan)["pools/g5-triton/deployment.yaml"]
    requests = deployment.object["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert "ephemeral-storage" not in requests
    assert "does not know the size" in deployment.note


def with_source(plan: Plan, **changes: Any) -> Plan:
    model = plan.fleet.spec.model
    return _with(plan, model.model_copy(update={"source": model.source.model_copy(update=changes)}))


def with_model(plan: Plan, name: str) -> Plan:
    return _with(plan, plan.fleet.spec.model.model_copy(update={"id": name}))


def _with(plan: Plan, model: Any) -> Plan:
    spec = plan.fleet.spec.model_copy(update={"model": model})
    return replace(plan, fleet=plan.fleet.model_copy(update={"spec": spec}))
