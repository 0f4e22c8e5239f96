"""Checks of checkov that do not hold for what is rendered, each with its reason: a file that the tree brings along."""

from __future__ import annotations

from pathlib import Path

from holdfast.manifests.manifest import TextFile

_FILE = Path(__file__).parent / "checkov.yaml"


def file() -> TextFile:
    """`.checkov.yaml`, which checkov reads from the folder that it scans."""
    return TextFile(".checkov.yaml", _FILE.read_text(encoding="utf-8"))
