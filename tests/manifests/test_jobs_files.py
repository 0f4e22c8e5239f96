"""Jobs that measure in the cluster: valid, suspended, let in, understood by holdfast, and true to its exit code."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from holdfast.cli.limit import limit
from holdfast.cli.load import load
from holdfast.cli.merge import merge
from holdfast.manifests import File, Manifest
from holdfast.model import document
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan

ExampleOf = Callable[[str], Plan]
FilesOf = Callable[[Plan], dict[str, File]]

S3, VOLUME, NOTHING = "sd21-five-units", "gpt-oss-20b-g5", "pilot-auto-mode"
VERBS: dict[str, click.Command] = {"limit": limit, "load": load, "merge": merge}


def jobs(files: dict[str, File]) -> dict[str, dict[str, Any]]:
    found = {path: file.object for path, file in files.items() if isinstance(file, Manifest)}
    return {path: made for path, made in found.items() if path.startswith("jobs/") and made["kind"] == "Job"}


def containers(job: dict[str, Any]) -> list[dict[str, Any]]:
    pod = job["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def holdfast_arguments(job: dict[str, Any]) -> list[str]:
    (container,) = (found for found in containers(job) if found["name"] == "holdfast")
    arguments: list[str] = container["args"]
    return arguments if container["command"] == ["holdfast"] else arguments[2:]


@pytest.fixture(scope="module", params=[S3, VOLUME, "llama-3.3-70b-llm-d", "moe-700b-lws"])
def files(request: pytest.FixtureRequest, example: ExampleOf, files_of: FilesOf) -> dict[str, File]:
    return files_of(example(request.param))


def test_every_object_is_valid(files: dict[str, File]) -> None:
    checked = 0
    for path, file in files.items():
        if isinstance(file, Manifest) and path.startswith("jobs/") and not path.endswith("kustomization.yaml"):
            kubernetes_validate.validate(yaml.safe_load(file.text), "1.33", strict=True)
            checked += 1
    assert checked >= 5


def test_each_pool_has_a_search_a_load_and_what_joins_it(files: dict[str, File]) -> None:
    pools = {path.split("/")[1] for path in jobs(files)}
    assert set(jobs(files)) == {f"jobs/{pool}/{kind}.yaml" for pool in pools for kind in ("limit", "load", "merge")}


def test_nothing_starts_when_it_is_applied(files: dict[str, File]) -> None:
    assert all(job["spec"]["suspend"] and job["spec"]["backoffLimit"] == 0 for job in jobs(files).values())


def test_holdfast_understands_its_arguments(files: dict[str, File], tmp_path: Path) -> None:
    values = {"JOB_COMPLETION_INDEX": "1", "START_AT": "2026-11-21T10:00:00Z"}
    for path, job in jobs(files).items():
        verb, *arguments = holdfast_arguments(job)
        given = [re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], argument) for argument in arguments]
        given = [argument.replace("/runs/", f"{tmp_path}/") for argument in given]
        if verb == "merge":
            for folder in given[:-1]:
                Path(folder).mkdir(parents=True)
        assert path.endswith(f"{verb}.yaml")
        VERBS[verb].make_context(verb, given)


def test_the_shards_of_a_load_are_all_of_it(files: dict[str, File]) -> None:
    for path, job in jobs(files).items():
        if path.endswith("load.yaml"):
            shards = job["spec"]["completions"]
            assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["parallelism"] == shards
            assert f"--shard=$(JOB_COMPLETION_INDEX)/{shards}" in holdfast_arguments(job)
            merged = holdfast_arguments(jobs(files)[path.replace("load.yaml", "merge.yaml")])
            assert len([argument for argument in merged if "shard-" in argument]) == shards


def test_requests_go_to_a_service_of_the_pool(files: dict[str, File]) -> None:
    services = {
        f"http://{file.object['metadata']['name']}.{file.object['metadata']['namespace']}.svc.cluster.local"
        f":{file.object['spec']['ports'][0]['port']}"
        for file in files.values()
        if isinstance(file, Manifest) and file.object.get("kind") == "Service"
    }
    asked = {holdfast_arguments(job)[1] for path, job in jobs(files).items() if not path.endswith("merge.yaml")}
    assert asked and asked <= services


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_pools_let_the_pods_in_and_send_them_no_requests(files: dict[str, File]) -> None:
    (labels,) = {tuple(sorted(job["spec"]["template"]["metadata"]["labels"].items())) for job in jobs(files).values()}
    for path, file in files.items():
        if not isinstance(file, Manifest) or not path.startswith("base/pools/"):
            continue
        if file.object.get("kind") == "NetworkPolicy":
            let_in = [
                peer["podSelector"].get("matchLabels", {"nobody": ""})
                for rule in file.object["spec"]["ingress"]
                for peer in rule["from"]
                if "podSelector" in peer
            ]
            assert any(selects(selector, dict(labels)) for selector in let_in)
        if file.object.get("kind") == "Service":
            assert not selects(file.object["spec"]["selector"], dict(labels))


def test_the_policy_of_the_jobs_is_about_their_pods(files: dict[str, File]) -> None:
    policy = files["jobs/network-policy.yaml"]
    assert isinstance(policy, Manifest)
    selector = policy.object["spec"]["podSelector"]["matchLabels"]
    for job in jobs(files).values():
        assert selects(selector, job["spec"]["template"]["metadata"]["labels"])
    servers = [path for path in files if path.endswith(("deployment.yaml", "leader-worker-set-decode.yaml"))]
    assert servers
    for path in servers:
        assert '"app.kubernetes.io/component"' not in files[path].text


def test_pods_have_no_rights(files: dict[str, File]) -> None:
    for job in jobs(files).values():
        pod = job["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in containers(job):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_runs_go_beside_the_model_when_nothing_else_is_said(example: ExampleOf, files_of: FilesOf) -> None:
    job = jobs(files_of(example(S3)))["jobs/g5-cuda/limit.yaml"]
    assert containers(job)[-1]["args"][-1] == "s3://models.example.com/results/sd21/g5-cuda/limit"


def test_runs_on_a_volume_need_one_that_several_nodes_write_to(example: ExampleOf, files_of: FilesOf) -> None:
    files = files_of(example(VOLUME))
    claim = files["jobs/volume-claim.yaml"]
    assert isinstance(claim, Manifest)
    assert claim.object["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim.object["spec"]["storageClassName"] == "efs-runs"
    assert all(len(containers(job)) == 1 for job in jobs(files).values())


def test_a_fleet_without_an_image_is_told_what_to_give(example: ExampleOf, files_of: FilesOf) -> None:
    files = files_of(example(NOTHING))
    assert [path for path in files if path.startswith("jobs/")] == ["jobs/README.md"]
    assert "cluster.holdfast.image" in files["jobs/README.md"].text


def test_the_readme_names_objects_that_are_there(files: dict[str, File]) -> None:
    text = files["jobs/README.md"].text
    names = {job["metadata"]["name"] for job in jobs(files).values()}
    assert set(re.findall(r"patch job (\S+)", text)) <= names
    scaled = {
        file.object["metadata"]["name"]
        for file in files.values()
        if isinstance(file, Manifest) and file.object.get("kind") == "ScaledObject"
    }
    assert set(re.findall(r"annotate scaledobject (\S+)", text)) <= scaled


def tool(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_answer_outlives_the_upload(code: int, example: ExampleOf, files_of: FilesOf, tmp_path: Path) -> None:
    job = jobs(files_of(example(S3)))["jobs/g5-cuda/limit.yaml"]
    tool(tmp_path, "holdfast", f'echo "$1" > {tmp_path}/verb; exit {code}')
    tool(tmp_path, "aws", f'echo "$@" > {tmp_path}/uploaded')
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    codes = []
    for container in containers(job):
        arguments = [argument.replace("/scratch/", f"{tmp_path}/") for argument in container["args"]]
        done = subprocess.run([*container["command"], *arguments], env=environment, timeout=10, check=False)
        codes.append(done.returncode)
    assert codes == [0, code]
    assert (tmp_path / "verb").read_text() == "limit\n"
    assert "s3://models.example.com/results/sd21/g5-cuda/limit" in (tmp_path / "uploaded").read_text()


def test_an_upload_that_fails_fails_the_job(example: ExampleOf, files_of: FilesOf, tmp_path: Path) -> None:
    job = jobs(files_of(example(S3)))["jobs/g5-cuda/limit.yaml"]
    tool(tmp_path, "aws", "exit 1")
    keep = containers(job)[-1]
    arguments = [argument.replace("/scratch/", f"{tmp_path}/") for argument in keep["args"]]
    (tmp_path / "exit-code").write_text("0\n")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run([*keep["command"], *arguments], env=environment, timeout=10, check=False).returncode == 1


FLEET = (Path(__file__).parents[2] / "examples" / "deploy" / f"{VOLUME}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{image: registry.example.com/holdfast}", "not pinned"),
        ("{image: registry.example.com/holdfast:latest}", "not pinned"),
        ("{runs: {storageClass: efs-runs}}", "'spec.cluster.holdfast.image' is missing"),
        ("{image: a/b:1, runs: {}}", "give one of the two"),
        ("{image: a/b:1, runs: {s3: 's3://abc', storageClass: efs}}", "give one of the two"),
        ("{image: a/b:1, runs: {s3: 'bucket/x'}}", "spec.cluster.holdfast.runs.s3"),
    ],
)
def test_nonsense_about_holdfast_itself_is_one_sentence(written: str, said: str) -> None:
    text = re.sub(r"holdfast: \{.*\}$", f"holdfast: {written}", FLEET, flags=re.MULTILINE)
    with pytest.raises(InputError, match=re.escape(said)):
        document.read_fleet(text, where="fleet.yaml")
