"""The trees of the fleets in examples/deploy, compared with the stored ones.

After a change that is meant, write the stored tree anew: `HOLDFAST_GOLDEN=write pytest tests/manifests`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.manifests import File
from holdfast.model.plan import Plan

GOLDEN = Path(__file__).parent / "golden"

FilesOf = Callable[[Plan], dict[str, File]]


NAMES = ["sd21-five-units", "gpt-oss-20b-g5", "llama-3.3-70b-llm-d", "pilot-auto-mode", "moe-700b-lws"]
"""Of the fleets in examples/deploy."""


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_the_stored_one(name: str, example: Callable[[str], Plan], files_of: FilesOf) -> None:
    tree = {path: file.text for path, file in files_of(example(name)).items() if not _is_the_same_for_all(path)}
    folder = GOLDEN / name
    if os.environ.get("HOLDFAST_GOLDEN") == "write":
        shutil.rmtree(folder, ignore_errors=True)
        for path, text in tree.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    stored = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    assert tree.keys() == stored.keys()
    for path, text in tree.items():
        assert text == stored[path], path


def _is_the_same_for_all(path: str) -> bool:
    """Whether a file is one of the package, which no plan changes."""
    of_terraform = path.startswith("terraform/") and not path.endswith(".json")
    return of_terraform or path.startswith("images/") or path == ".checkov.yaml"


def test_rendering_twice_gives_the_same_bytes(sd21: Plan, files_of: FilesOf) -> None:
    first, second = files_of(sd21), files_of(sd21)
    assert [(path, file.text) for path, file in first.items()] == [(path, file.text) for path, file in second.items()]
