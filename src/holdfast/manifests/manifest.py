"""One object and the file it goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.manifests import yaml

BASE = "base"
"""Folder of all that serves: what an overlay applies."""

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON knows it."""


@dataclass(frozen=True)
class Manifest:
    """One file of the rendered tree.

    path: relative to the tree's root, with `/` between its parts.
    note: what a reader of the file should know; stands above the object as comments.
    """

    path: str
    object: Object
    note: str = ""

    @property
    def text(self) -> str:
        """The file's content: the same object gives the same bytes."""
        return yaml.dump(self.object, self.note)


@dataclass(frozen=True)
class TextFile:
    """A file of the rendered tree that is no object: Terraform, a Dockerfile, values of a chart, a README."""

    path: str
    text: str


File = Manifest | TextFile
