"""holdfast render: writing, checking, comparing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.model import codec
from holdfast.model.plan import Plan

EXAMPLES = Path(__file__).parents[2] / "examples"
GOLDEN = Path(__file__).parents[1] / "manifests" / "golden"
CRDS = Path(__file__).parents[2].parent / "shared" / "data" / "crds"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fleet and the plan of its published measurements, made once."""
    folder, out = EXAMPLES / "sd21", tmp_path_factory.mktemp("planned") / "plan.json"
    command = [sys.executable, "-m", "holdfast", "plan", str(folder / "fleet.yaml"), "--out", str(out)]
    command += ["--measurements", str(folder / "measurements.csv")]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    fleet = (folder / "fleet.yaml").read_text(encoding="utf-8")
    return {"plan.json": out.read_text(encoding="utf-8"), "fleet.yaml": fleet}


@pytest.fixture
def plan(planned: dict[str, str], tmp_path: Path) -> str:
    """The plan, in the folder that commands run in."""
    for name, text in planned.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return "plan.json"


def change_image(tmp_path: Path, to: str) -> Path:
    """Gives the first server of the tree in deploy/ another image."""
    file = next((tmp_path / "deploy" / "base" / "pools").glob("*/deployment.yaml"))
    lines = file.read_text(encoding="utf-8").splitlines()
    changed = [line.partition("image:")[0] + f"image: {to}" if " image: " in line else line for line in lines]
    file.write_text("\n".join(changed) + "\n", encoding="utf-8")
    return file


def test_a_tree_is_written_and_checked(holdfast: Run, plan: str, tmp_path: Path) -> None:
    done = holdfast("render", plan, "-o", "deploy", "--check")
    assert done.returncode == 0, done.stdout
    assert "impossible" not in done.stdout
    assert "suspicious" not in done.stdout
    assert (tmp_path / "deploy" / "overlays" / "production" / "kustomization.yaml").exists()


def test_a_plan_is_checked_without_writing(holdfast: Run, plan: str, tmp_path: Path) -> None:
    done = holdfast("render", plan, "--check", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told.keys() == {"files", "objects", "findings", "checked", "undone"}
    assert told["checked"]["selectors"] > 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["fleet.yaml", "plan.json"]


def test_a_mistake_in_ones_own_files_is_told_with_its_line(holdfast: Run, plan: str, tmp_path: Path) -> None:
    holdfast("render", plan, "-o", "deploy")
    file = change_image(tmp_path, "serve:latest")
    done = holdfast("render", "--check", "deploy/")
    assert done.returncode == 1
    assert "suspicious images" in done.stdout
    row = next(n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if "image:" in line)
    told = json.loads(holdfast("render", "--check", "deploy", "--json").stdout)["findings"]
    (one,) = [finding for finding in told if finding["check"] == "images"]
    assert (one["file"], one["row"]) == (file.relative_to(tmp_path).as_posix(), row)
    assert one["object"].startswith("Deployment ")


@pytest.mark.skipif(not CRDS.exists(), reason="the CRDs are not here")
def test_objects_are_held_against_the_crds_of_a_folder(holdfast: Run, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(
        holdfast("render", "--check", str(GOLDEN / "sd21-five-units"), "--crds", str(CRDS), "--json").stdout
    )
    with capsys.disabled():
        print(f"\n{told['checked']['schema']} objects held against Kubernetes and CRDs")  # noqa: T201
    without = json.loads(holdfast("render", "--check", str(GOLDEN / "sd21-five-units"), "--json").stdout)
    assert told["checked"]["schema"] > without["checked"]["schema"]
    assert "ScaledObject" in " ".join(without["undone"])
    assert "ScaledObject" not in " ".join(told["undone"])


def test_the_same_plan_changes_nothing(holdfast: Run, plan: str) -> None:
    holdfast("render", plan, "-o", "deploy")
    done = holdfast("render", plan, "--diff", "deploy")
    assert (done.returncode, done.stdout) == (0, "deploy: nothing changes.\n")


def test_what_a_plan_changes_is_told_object_by_object(holdfast: Run, plan: str, tmp_path: Path) -> None:
    holdfast("render", plan, "-o", "deploy")
    file = change_image(tmp_path, "serve:0.9")
    (tmp_path / "deploy" / "base" / "namespace.yaml").unlink()
    (tmp_path / "deploy" / "notes.txt").write_text("mine", encoding="utf-8")
    done = holdfast("render", plan, "--diff", "deploy", "--json")
    assert done.returncode == 1
    changes = {change["how"]: change for change in json.loads(done.stdout)["changes"]}
    assert changes["added"]["kind"] == "Namespace"
    assert (changes["removed"]["kind"], changes["removed"]["name"]) == ("File", "notes.txt")
    assert changes["changed"]["file"] == file.relative_to(tmp_path / "deploy").as_posix()
    (field,) = changes["changed"]["fields"]
    assert field["path"] == "spec.template.spec.containers[server].image"
    assert field["old"] == "serve:0.9"
    assert "serve:0.9 ->" in holdfast("render", plan, "--diff", "deploy").stdout


def test_a_file_that_moved_is_no_change(holdfast: Run, plan: str, tmp_path: Path) -> None:
    holdfast("render", plan, "-o", "deploy")
    base = tmp_path / "deploy" / "base"
    (base / "namespace.yaml").rename(base / "ns.yaml")
    told = json.loads(holdfast("render", plan, "--diff", "deploy", "--json").stdout)["changes"]
    assert told == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.json", "-o", "deploy"], "gone.json: the file cannot be read"),
        (["plan.json"], "there is nothing to do with it; give --out, --check or --diff"),
        (["plan.json", "plan.json", "-o", "deploy"], "one plan is rendered at a time"),
        (["plan.json", "-o", "."], "files that holdfast did not render"),
        (["plan.json", "--diff", "gone"], "gone: this is no folder"),
        (["plan.json", "--diff", "plan.json"], "plan.json: this is no folder"),
        (["plan.json", "--diff", ".", "--check"], "leave out --out and --check"),
        (["plan.json", "-o", "deploy", "--crds", "."], "add --check"),
        (["--check", "gone"], "gone: the file cannot be read"),
        (["--check", "empty"], "there is no YAML and no JSON file there"),
        (["--check", "empty", "--crds", "empty"], "there is no YAML and no JSON file there"),
        (["--check", "fleet.yaml", "--crds", "fleet.yaml"], "there is no CustomResourceDefinition there"),
        (["--check", "binary.yaml"], "it is not UTF-8 text"),
        (["fleet.yaml", "-o", "deploy"], "fleet.yaml"),
    ],
)
def test_nonsense_ends_in_one_sentence(
    arguments: list[str], said: str, holdfast: Run, plan: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    done = holdfast("render", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


def test_a_plan_written_by_hand_is_not_taken_for_a_manifest(holdfast: Run, plan: str, tmp_path: Path) -> None:
    made = codec.loads(Plan, (tmp_path / plan).read_text(encoding="utf-8"), where=plan)
    (tmp_path / "other.json").write_text(json.dumps(codec.to_jsonable(made) | {"version": 99}), encoding="utf-8")
    done = holdfast("render", "--check", "other.json")
    assert done.returncode == 2
    assert "version 99" in done.stderr


def rendered(holdfast: Run, plan: str) -> subprocess.CompletedProcess[str]:
    return holdfast("render", plan, "-o", "deploy")


def without_a_pool(tmp_path: Path) -> None:
    """Takes the last pool out of the plan in tmp_path."""
    plan = codec.loads(Plan, (tmp_path / "plan.json").read_text(encoding="utf-8"), where="plan.json")
    (tmp_path / "plan.json").write_text(codec.dumps(replace(plan, pools=plan.pools[:-1])), encoding="utf-8")


def test_a_new_plan_is_rendered_over_the_old_tree_and_what_is_gone_goes(
    holdfast: Run, plan: str, tmp_path: Path
) -> None:
    assert rendered(holdfast, plan).returncode == 0
    pools = tmp_path / "deploy" / "base" / "pools"
    before = {folder.name for folder in pools.iterdir()}
    without_a_pool(tmp_path)
    assert rendered(holdfast, plan).returncode == 0
    after = {folder.name for folder in pools.iterdir()}
    assert len(before - after) == 1
    assert after < before
    assert holdfast("render", plan, "--diff", "deploy").returncode == 0
    subprocess.run(
        ["sha256sum", "--check", ".rendered.sha256"], cwd=tmp_path / "deploy", capture_output=True, check=True
    )


def test_what_a_team_wrote_is_kept_when_a_plan_is_rendered_anew(holdfast: Run, plan: str, tmp_path: Path) -> None:
    assert rendered(holdfast, plan).returncode == 0
    overlay = tmp_path / "deploy" / "overlays" / "production" / "kustomization.yaml"
    own = tmp_path / "deploy" / "terraform" / "team.auto.tfvars"
    overlay.write_text(overlay.read_text() + "namePrefix: eu-\n")
    own.write_text('api_allowed_cidrs = ["10.0.0.0/8"]\n')
    without_a_pool(tmp_path)
    done = rendered(holdfast, plan)
    assert done.returncode == 0
    assert "overlays/production/kustomization.yaml is yours" in done.stdout
    assert "namePrefix: eu-" in overlay.read_text()
    assert "10.0.0.0/8" in own.read_text()


def test_an_overlay_that_nobody_touched_follows_the_plan(holdfast: Run, plan: str, tmp_path: Path) -> None:
    assert rendered(holdfast, plan).returncode == 0
    without_a_pool(tmp_path)
    assert "is yours" not in rendered(holdfast, plan).stdout


def test_a_change_in_the_base_stops_the_rendering_before_anything_is_written(
    holdfast: Run, plan: str, tmp_path: Path
) -> None:
    assert rendered(holdfast, plan).returncode == 0
    changed = change_image(tmp_path, "registry.example.com/mine:2")
    before = {file: file.read_bytes() for file in (tmp_path / "deploy").rglob("*") if file.is_file()}
    without_a_pool(tmp_path)
    done = rendered(holdfast, plan)
    assert done.returncode == 2
    assert changed.relative_to(tmp_path / "deploy").as_posix() in done.stderr
    assert "was changed by somebody" in done.stderr
    assert {file: file.read_bytes() for file in (tmp_path / "deploy").rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("record", ["nonsense", f"{'0' * 64}  ../../etc/passwd", f"{'0' * 64}  /etc/passwd"])
def test_a_spoilt_record_of_what_was_rendered_is_one_sentence(
    record: str, holdfast: Run, plan: str, tmp_path: Path
) -> None:
    assert rendered(holdfast, plan).returncode == 0
    (tmp_path / "deploy" / ".rendered.sha256").write_text(record)
    done = rendered(holdfast, plan)
    assert done.returncode == 2
    assert "this is no list of checksums" in done.stderr


def test_the_tree_that_the_documentation_walks_through_is_as_it_says(holdfast: Run, tmp_path: Path) -> None:
    text = (EXAMPLES.parent / "docs" / "manifests.md").read_text(encoding="utf-8")
    fleet, rows = str(EXAMPLES / "deploy" / "sd21-five-units.yaml"), str(EXAMPLES / "sd21" / "measurements.csv")
    assert holdfast("plan", fleet, "--measurements", rows, "--out", "plan.json").returncode == 0
    told = json.loads(holdfast("render", "plan.json", "-o", "deploy", "--check", "--json").stdout)
    written = json.loads(holdfast("render", "plan.json", "-o", "deploy", "--json").stdout)["files"]
    assert f"{len(written)} files with {told['objects']} Kubernetes objects" in text
    for step in ("terraform/terraform.tfvars.json", "base/pools/inf2-neuronx/scaled-object.yaml", "base/ingress.yaml"):
        assert step in written
    values = json.loads((tmp_path / "deploy" / "terraform" / "terraform.tfvars.json").read_text())
    assert values["vcpus"]["Inf"] == 21 * 4
    scaled = (tmp_path / "deploy" / "base" / "pools" / "inf2-neuronx" / "scaled-object.yaml").read_text()
    assert "targetMetricValue: '84'" in scaled


def test_an_object_that_stands_in_two_files_is_compared_in_both(holdfast: Run, plan: str, tmp_path: Path) -> None:
    holdfast("render", plan, "-o", "deploy")
    for folder in ("base", "fleet"):
        file = tmp_path / "deploy" / folder / "namespace.yaml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("enabled", "disabled"), encoding="utf-8")
        (change,) = json.loads(holdfast("render", plan, "--diff", "deploy", "--json").stdout)["changes"]
        assert (change["kind"], change["file"], change["how"]) == ("Namespace", f"{folder}/namespace.yaml", "changed")
        file.write_text(text, encoding="utf-8")
