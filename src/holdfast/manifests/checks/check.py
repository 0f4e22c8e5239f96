"""What a check is: a name, and a function from one subject to findings whose docstring says what is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.manifests.checks.trees import Tree
from holdfast.manifests.metadata import ACCEPT
from holdfast.model.findings import Checked, ObjectFinding, Severity


@dataclass(frozen=True)
class Check:
    """One check. subjects: what of a tree it judges; judge: what is wrong with one of them."""

    name: str
    subjects: Callable[[Tree], Sequence[Any]]
    judge: Callable[[Tree, Any], Iterator[ObjectFinding]]

    @property
    def holds(self) -> str:
        """What is held, in a sentence or two."""
        return " ".join((self.judge.__doc__ or "").split("\n\n")[0].split())

    def on(self, tree: Tree) -> Checked:
        """The findings on a tree, each once; what an object accepts with a reason is a note."""
        subjects = self.subjects(tree)
        wrong = [finding for subject in subjects for finding in self.judge(tree, subject)]
        if not wrong:
            return Checked(self.name, len(subjects), ())
        accepted = {found.title: found.annotations.get(f"{ACCEPT}{self.name}") for found in tree.objects}
        found = dict.fromkeys(
            _told(replace(finding, check=self.name), accepted.get(finding.object)) for finding in wrong
        )
        return Checked(self.name, len(subjects), tuple(found))


def _told(finding: ObjectFinding, reason: object) -> ObjectFinding:
    if finding.severity is not Severity.SUSPICIOUS or not isinstance(reason, str) or not reason.strip():
        return finding
    return replace(finding, severity=Severity.NOTE, likely=f"Accepted: {reason.strip()}")
