"""Kubernetes objects as they stand in files, whoever wrote them, and reading them without trusting their shape.

Of a value that may be anything, `at` gives what lies at a path, and `mapping`, `items`, `text` and `number` give it
when it has that shape, else an empty one: what has the wrong shape is for the schemas to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from holdfast.manifests.yaml import Document, Path
from holdfast.model.findings import ObjectFinding, Severity

Mapping = dict[str, Any]


def at(value: Any, *path: str | int) -> Any:
    """What lies at `path` below `value`; None where there is nothing."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def mapping(value: Any, *path: str | int) -> Mapping:
    found = at(value, *path)
    return {key: part for key, part in found.items() if isinstance(key, str)} if isinstance(found, dict) else {}


def items(value: Any, *path: str | int) -> list[Any]:
    found = at(value, *path)
    return found if isinstance(found, list) else []


def text(value: Any, *path: str | int) -> str:
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number(value: Any, *path: str | int) -> float | None:
    """A number that is written as one."""
    found = at(value, *path)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


@dataclass(frozen=True, eq=False)
class Found:
    """One object and the file that it stands in. body: the object, as JSON knows it."""

    file: str
    document: Document

    @cached_property
    def body(self) -> Mapping:
        return mapping(self.document.value)

    @cached_property
    def api_version(self) -> str:
        return text(self.body, "apiVersion")

    @cached_property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @cached_property
    def kind(self) -> str:
        return text(self.body, "kind")

    @cached_property
    def name(self) -> str:
        return text(self.body, "metadata", "name")

    @cached_property
    def namespace(self) -> str:
        return text(self.body, "metadata", "namespace")

    @cached_property
    def labels(self) -> Mapping:
        return mapping(self.body, "metadata", "labels")

    @cached_property
    def annotations(self) -> Mapping:
        return mapping(self.body, "metadata", "annotations")

    @cached_property
    def identity(self) -> tuple[str, str, str, str]:
        """What singles it out in a cluster: a version of its API does not."""
        return self.group, self.kind, self.namespace, self.name

    @cached_property
    def title(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {name}".strip() or "The document"

    def at(self, *path: str | int) -> Any:
        return at(self.body, *path)

    def wrong(
        self,
        path: Path,
        found: object,
        expected: object,
        what: str,
        mend: str,
        severity: Severity = Severity.IMPOSSIBLE,
    ) -> ObjectFinding:
        """A finding at `path`. what, mend: clauses without a full stop. Whoever runs a check puts in its name."""
        return ObjectFinding(
            file=self.file,
            row=self.document.row(path),
            check="",
            severity=severity,
            found=str(found),
            expected=str(expected),
            message=f"{self.title}: {what}; {mend}.",
            object=self.title,
        )

    def doubtful(self, path: Path, found: object, expected: object, what: str, mend: str) -> ObjectFinding:
        """`wrong`, of what is applied and rarely meant."""
        return self.wrong(path, found, expected, what, mend, Severity.SUSPICIOUS)

    def noted(self, path: Path, found: object, what: str, mend: str) -> ObjectFinding:
        """`wrong`, of what a reader should know."""
        return self.wrong(path, found, "", what, mend, Severity.NOTE)


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value below `value` with its path, itself first."""
    yield path, value
    if isinstance(value, dict):
        for key, part in value.items():
            yield from walk(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from walk(part, (*path, index))
