"""holdfast render --check: what checkov and terraform say of the same files."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: n}\n"

REPORT: dict[str, Any] = {
    "check_type": "kubernetes",
    "summary": {"passed": 3, "failed": 1, "skipped": 0, "resource_count": 1, "checkov_version": "3.3.30"},
    "results": {
        "failed_checks": [
            {
                "check_id": "CKV_K8S_21",
                "check_name": "The default namespace should not be used",
                "file_path": "/config.yaml",
                "file_line_range": [1, 3],
                "resource": "ConfigMap.n.c",
            }
        ]
    },
}
"""As checkov 3.3.30 printed it, cut down to what is read."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str) -> Path:
    """A command named checkov that prints what it is given and writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command, called = folder / "checkov", tmp_path / "called"
    (folder / "printed").write_text(printed, encoding="utf-8")
    command.write_text(f'#!/bin/sh\necho "$@" > {called}\ncat {folder / "printed"}\nexit 1\n', encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return called


@pytest.mark.parametrize("several", [True, False])
def test_what_checkov_finds_is_a_finding(
    several: bool, holdfast: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = stand_in(tmp_path, monkeypatch, json.dumps([REPORT] if several else REPORT))
    done = holdfast("render", "--check", str(config), "--json")
    assert done.returncode == 1
    (finding,) = [one for one in json.loads(done.stdout)["findings"] if one["check"] == "checkov"]
    assert (finding["found"], finding["row"]) == ("CKV_K8S_21", 1)
    assert finding["file"] == (config / "config.yaml").as_posix()
    assert "--skip-download" in called.read_text(encoding="utf-8")


def test_a_checkov_that_says_nothing_readable_is_told_as_undone(
    holdfast: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "Segmentation fault")
    undone = json.loads(holdfast("render", "--check", str(config), "--json").stdout)["undone"]
    assert any("Segmentation fault" in line for line in undone)


def test_without_checkov_the_output_says_so(
    holdfast: Run, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    undone = json.loads(holdfast("render", "--check", str(config), "--json").stdout)["undone"]
    assert any(line.startswith("checkov: it is not installed") for line in undone)


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_that_is_not_formatted_is_a_finding(holdfast: Run, config: Path) -> None:
    (config / "main.tf").write_text('variable   "a" {\n type=string\n}\n', encoding="utf-8")
    done = holdfast("render", "--check", str(config), "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    (finding,) = [one for one in told["findings"] if one["check"] == "terraform"]
    assert finding["file"].endswith("main.tf")
    assert any("is not initialised" in line for line in told["undone"])
