"""docs/audit.md and the last column of docs/published-errata.md are what the audit says today.

After a change that is meant, write the page anew: `HOLDFAST_GOLDEN=write pytest tests/examples/test_audit_page.py`.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.auditing import audit_measurements
from holdfast.cli.audit import audit
from holdfast.model.measurements import read_measurements

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "audit.md"
FOLDERS = {"Stable Diffusion": "sd21", "gpt-oss-20b": "gpt-oss-20b-g5", "Llama-3.1-8B": "llama-3.1-8b"}
NO_MACHINE = ("no: ", "nothing to find")


def said(arguments: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(audit, shlex.split(arguments))
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.output


def test_the_page_shows_what_the_audit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.compile(r"```console\n\$ holdfast audit (.*)\n(?:.*\n)*?```")
    fresh = blocks.sub(lambda at: f"```console\n$ holdfast audit {at[1]}\n{said(at[1], monkeypatch)}```", page)
    if os.environ.get("HOLDFAST_GOLDEN") == "write":
        PAGE.write_text(fresh, encoding="utf-8")

    assert len(blocks.findall(page)) == 4
    assert PAGE.read_text(encoding="utf-8") == fresh


def test_every_table_of_the_examples_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for file in sorted((ROOT / "examples").glob("*/*.csv")):
        assert str(file.relative_to(ROOT)) in page


def test_every_check_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = read_measurements("unit,rate_per_s\nu,1", where="m.csv")

    for checked in audit_measurements(rows, "m.csv").checked:
        assert f"`{checked.check}`" in page


def errata() -> list[tuple[str, str, str]]:
    """Folder of the example, what was printed, and what the last column says, of each row of the errata."""
    found, folder = [], ""
    page = (ROOT / "docs" / "published-errata.md").read_text(encoding="utf-8")
    for line in page.split("## Every published table")[0].splitlines():
        if line.startswith("## "):
            folder = next((name for key, name in FOLDERS.items() if key in line), "")
        elif line.startswith("| ") and not line.startswith(("| printed", "| ---")):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.append((folder, cells[0], cells[-1]))
    return found


@pytest.mark.parametrize("folder, printed, by", errata(), ids=lambda value: value[:40])
def test_each_erratum_is_found_by_the_check_that_is_named_or_says_why_not(folder: str, printed: str, by: str) -> None:
    if by.startswith(NO_MACHINE):
        return
    file = ROOT / "examples" / folder / (re.search(r"\((\S+\.csv)\)", by) or ["", "measurements.csv"])[1]
    made = audit_measurements(read_measurements(file.read_text(encoding="utf-8"), where=file.name), file.name)
    named = re.findall(r"`([a-z-]+)`", by)
    assert named

    if by.endswith("judges it and finds nothing"):
        (checked,) = [checked for checked in made.checked if checked.check in named]
        assert checked.judged and not checked.findings
    else:
        assert set(named) <= {finding.check for finding in made.findings}


def test_more_than_a_third_of_the_errata_are_found_by_the_audit() -> None:
    found = [by for _, _, by in errata() if not by.startswith(NO_MACHINE)]

    assert len(errata()) == 48
    assert len(found) == 17
