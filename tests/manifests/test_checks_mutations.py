"""Mistakes of the kind that people make, put into the stored trees: each is found, and told in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from holdfast.manifests import checks
from holdfast.model.findings import Finding, Severity
from manifests.mutable import GOLDEN, Tree
from manifests.mutations import MUTATIONS, Mutation

CRDS = Path(__file__).parents[2].parent / "shared" / "data" / "crds"


WITHOUT_CRD = {"Application", "NodeClass", "AgentgatewayParameters"}
"""Kinds of Argo CD, EKS Auto Mode and agentgateway, whose CRDs do not lie with the others."""


def mistakes(tree: Tree) -> list[Finding]:
    found = checks.inspect(tree.files).findings
    return [finding for finding in found if finding.severity is not Severity.NOTE]


@cache
def mistakes_before(name: str, setup: Callable[[Tree], object]) -> list[Finding]:
    tree = Tree(name)
    setup(tree)
    return mistakes(tree)


def test_there_are_at_least_forty_mistakes_of_many_kinds() -> None:
    assert len(MUTATIONS) >= 40
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    assert len({mutation.check for mutation in MUTATIONS}) >= 30


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_found_and_told_in_a_sentence(mutation: Mutation) -> None:
    assert mistakes_before(mutation.tree, mutation.setup) == []
    tree = Tree(mutation.tree)
    mutation.setup(tree)
    mutation.mistake(tree)
    found = [finding for finding in mistakes(tree) if finding.check == mutation.check]
    assert found, [finding.message for finding in mistakes(tree)]
    for finding in found:
        assert finding.message[0].isupper()
        assert finding.message.endswith(".")
        assert ";" in finding.message, "the mend comes after a semicolon"
        assert finding.file in tree.files


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda folder: folder.name)
def test_nothing_is_found_in_a_rendered_tree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crds = {file.as_posix(): file.read_text(encoding="utf-8") for file in sorted(CRDS.rglob("*.yaml"))}
    done = checks.inspect(Tree(folder.name).files, crds=crds)
    judged = {checked.check: checked.judged for checked in done.checked}
    with capsys.disabled():
        against = f"{len(crds)} files of CRDs" if crds else "no CRDs"
        print(f"\n{folder.name}: {done.objects} objects, {judged['schema']} held against schemas, {against}")  # noqa: T201
    assert [finding.message for finding in done.findings if finding.severity is not Severity.NOTE] == []
    if crds:
        without = set(re.findall(r"(\w+) of ", " ".join(line for line in done.undone if line.startswith("schemas"))))
        assert without <= WITHOUT_CRD
