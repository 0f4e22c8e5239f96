"""The files that images are built by, as text: no container runtime is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import holdfast.manifests.images
from holdfast.manifests import File
from holdfast.model.plan import Plan

FilesOf = Callable[[Plan], dict[str, File]]
Example = Callable[[str], Plan]

REPOSITORY = Path(__file__).parents[2]
BUILD = Path(holdfast.manifests.images.__file__).parent / "build"
DOCKERFILES = sorted(BUILD.glob("*.Dockerfile"))
EXAMPLES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]


def instructions(file: Path) -> list[tuple[str, str]]:
    """Instruction and arguments, with continued lines joined and comments left out."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in joined.splitlines()]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_every_base_is_pinned_to_a_version(file: Path) -> None:
    stages: set[str] = set()
    for name, arguments in instructions(file):
        if name == "FROM":
            base, *alias = arguments.split(" AS ")
            assert base in stages or re.fullmatch(r"[^:@\s]+:[0-9][^:@\s]*(@sha256:[0-9a-f]{64})?", base), base
            stages.update(alias)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_every_image_runs_as_a_user_that_kubernetes_can_tell_is_not_root(file: Path) -> None:
    last = [name for name, _ in instructions(file)][::-1]
    users = [arguments for name, arguments in instructions(file)[len(last) - last.index("FROM") :] if name == "USER"]
    assert users == ["1000:1000"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_packages_are_of_pinned_versions_those_that_build_too(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "PIP_CONSTRAINT=/source/constraints.txt" in text
    pinned = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^hatchling==", pinned, re.MULTILINE)
    assert "apt-get" not in text


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_what_is_copied_is_in_the_context(file: Path) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, arguments in instructions(file):
        if name == "COPY" and not arguments.startswith("--from"):
            for source in arguments.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert f"!{source}" in ignored, source


def test_the_repositorys_own_dockerfile_is_the_one_that_is_rendered() -> None:
    assert (REPOSITORY / "Dockerfile").resolve() == BUILD / "holdfast.Dockerfile"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_fleet_has_the_images_that_it_runs_and_no_others(name: str, example: Example, files_of: FilesOf) -> None:
    files = files_of(example(name))
    dockerfiles = {Path(path).stem for path in files if path.endswith(".Dockerfile")}
    deployed = [yaml.safe_load(file.text) for path, file in files.items() if path.endswith("deployment.yaml")]
    run = {item["spec"]["template"]["spec"]["containers"][0]["image"] for item in deployed}
    ours = {found[0] for image in run if (found := re.search(r"holdfast-serve-[a-z]+", image))}
    assert dockerfiles == {"holdfast"} | ours


def test_terraform_makes_a_repository_for_each_image(example: Example, files_of: FilesOf) -> None:
    files = files_of(example("sd21-five-units"))
    dockerfiles = sorted(Path(path).stem for path in files if path.endswith(".Dockerfile"))
    assert yaml.safe_load(files["terraform/terraform.tfvars.json"].text)["repositories"] == dockerfiles


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")
def test_a_bill_of_materials_is_made_of_each_image_before_it_is_pushed() -> None:
    told = ["make", "--dry-run", "push", "SOURCE=.", "REGISTRY=registry.example/prod", "TAG=1.0.0"]
    done = subprocess.run(told, cwd=BUILD, capture_output=True, text=True, timeout=20, check=True)
    steps = [line.split()[0:2] for line in done.stdout.splitlines() if line.startswith(("docker", "syft"))]
    assert steps == [["docker", "build"], ["syft", "scan"], ["docker", "push"]] * len(DOCKERFILES)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")
def test_images_are_not_pushed_to_nowhere() -> None:
    done = subprocess.run(["make", "push", "SOURCE=.", "TAG=1"], cwd=BUILD, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "give REGISTRY" in done.stdout
