"""The tree of a small plan, compared with the stored one.

After a change that is meant, write the stored tree anew: `HOLDFAST_GOLDEN=write pytest tests/manifests`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.manifests import Manifest
from holdfast.model.plan import Plan

GOLDEN = Path(__file__).parent / "golden"

RenderOf = Callable[..., dict[str, Manifest]]


@pytest.mark.parametrize("name", ["sd21", "gateway"])
def test_the_tree_is_the_stored_one(name: str, request: pytest.FixtureRequest, render_of: RenderOf) -> None:
    tree = {path: manifest.text for path, manifest in render_of(request.getfixturevalue(name)).items()}
    folder = GOLDEN / name
    if os.environ.get("HOLDFAST_GOLDEN") == "write":
        for path, text in tree.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    stored = {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.yaml"))
    }
    assert tree.keys() == stored.keys()
    for path, text in tree.items():
        assert text == stored[path], path


def test_rendering_twice_gives_the_same_bytes(sd21: Plan, render_of: RenderOf) -> None:
    first, second = render_of(sd21), render_of(sd21)
    assert [(path, manifest.text) for path, manifest in first.items()] == [
        (path, manifest.text) for path, manifest in second.items()
    ]
