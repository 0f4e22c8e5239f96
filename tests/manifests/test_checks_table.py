"""The table of checks in the documentation is the code's."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.manifests.checks import CHECKS
from manifests.mutations import MUTATIONS

PAGE = Path(__file__).parents[2] / "docs" / "manifests.md"


def test_the_documented_checks_are_those_there_are() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Checks")[2]
    documented = re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", section, re.MULTILINE)
    assert documented == [(check.name, check.holds) for check in CHECKS]


def test_each_check_has_a_name_of_its_own_and_says_what_it_holds() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.holds.endswith(".") for check in CHECKS)


def test_every_check_that_finds_more_than_notes_has_a_mistake() -> None:
    wrong = {check.name for check in CHECKS} - {"secrets"}
    assert {mutation.check for mutation in MUTATIONS} == wrong | {"yaml", "kustomize", "schema"}
