"""What checkers of other projects say of manifests, where they are installed: checkov, and terraform.

They run as their own commands, for a bounded time, and fetch nothing. A folder's `.checkov.yaml` says which checks do
not hold there and why; a rendered tree has one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model.findings import Checked, ObjectFinding, Severity

_FRAMEWORKS = ("kubernetes", "terraform", "dockerfile")
_CHECKOV = ["--skip-download", "--compact", "--quiet", "--output", "json", "--framework", *_FRAMEWORKS]
_MOST_S = 300


@dataclass(frozen=True)
class Said:
    """What one of them came to. undone: why it said nothing, a sentence; else empty."""

    checked: tuple[Checked, ...] = ()
    undone: tuple[str, ...] = ()


def checkov(paths: Sequence[Path]) -> Said:
    """checkov's failed checks on the folders and files."""
    command = shutil.which("checkov")
    if command is None:
        return Said(undone=("checkov: it is not installed (`pipx install checkov`).",))
    findings, judged = list[ObjectFinding](), 0
    for path in paths:
        kind = ["--directory", str(path)] if path.is_dir() else ["--file", str(path)]
        done = _run([command, *kind, *_CHECKOV])
        try:
            reports = json.loads(done)
        except ValueError:
            return Said(undone=(f"checkov: it gave no JSON for {path} ({done.strip()[:200] or 'nothing'}).",))
        # One report where there is one framework, a list of several, and of nothing a summary without results.
        for report in reports if isinstance(reports, list) else [reports]:
            failed = report.get("results", {}).get("failed_checks", [])
            findings += [_failed(found, path) for found in failed]
            judged += report.get("summary", report).get("resource_count", 0)
    return Said((Checked("checkov", judged, tuple(findings)),))


def terraform(paths: Sequence[Path]) -> Said:
    """Whether Terraform's files among the folders are formatted, and valid where they have been initialised."""
    folders = sorted({file.parent for path in paths if path.is_dir() for file in path.rglob("*.tf")})
    roots = [folder for folder in folders if not any(above in folders for above in folder.parents)]
    if not roots:
        return Said()
    command = shutil.which("terraform")
    if command is None:
        return Said(undone=("terraform: it is not installed, so that the .tf files were not checked.",))
    findings, undone = list[ObjectFinding](), list[str]()
    for root in roots:
        findings += _unformatted(command, root)
        if (root / ".terraform").is_dir():
            findings += _invalid(command, root)
        else:
            undone.append(f"terraform validate: {root} is not initialised; run `terraform init` there first.")
    return Said((Checked("terraform", len(roots), tuple(findings)),), tuple(undone))


def _failed(found: dict[str, Any], path: Path) -> ObjectFinding:
    file = found["file_path"].lstrip("/")
    return ObjectFinding(
        file=(path / file if path.is_dir() else path).as_posix(),
        row=found["file_line_range"][0],
        check="checkov",
        severity=Severity.SUSPICIOUS,
        found=found["check_id"],
        expected=found["check_name"],
        message=f"{found['resource']}: {found['check_name']} ({found['check_id']}); mend it, or skip the check with "
        "the reason in .checkov.yaml or on the object (checkov.io/skip1: ID=reason).",
        object=found["resource"],
    )


def _unformatted(command: str, root: Path) -> Iterator[ObjectFinding]:
    lines = _run([command, "fmt", "-check", "-recursive", str(root)]).splitlines()
    for file in (line for line in lines if Path(line).suffix in (".tf", ".tfvars")):  # warnings stand between them
        message = f"{file} is not formatted as terraform does; run `terraform fmt -recursive {root}`."
        yield ObjectFinding(file, 0, "terraform", Severity.SUSPICIOUS, "not formatted", "formatted", message)


def _invalid(command: str, root: Path) -> Iterator[ObjectFinding]:
    said = json.loads(_run([command, f"-chdir={root}", "validate", "-json"]))
    for found in said["diagnostics"]:
        severity = Severity.IMPOSSIBLE if found["severity"] == "error" else Severity.NOTE
        where = found.get("range") or {"filename": "", "start": {"line": 0}}
        message = " ".join(f"{found['summary']}. {found.get('detail', '')}".split())
        file = (root / where["filename"]).as_posix()
        yield ObjectFinding(file, where["start"]["line"], "terraform", severity, "", "valid", message)


def _run(command: Sequence[str]) -> str:
    """What it prints on standard output; an exit code other than 0 is an answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {_MOST_S} s"
    return done.stdout
