"""Manifests on disk: the files of folders, and what kubectl builds of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from holdfast.cli import flags
from holdfast.manifests import checks
from holdfast.manifests.checks import Built
from holdfast.model.errors import InputError

_MANIFESTS = (".yaml", ".yml", ".json")
_MOST = 20_000
_BUILD_S = 60


def manifests(paths: Sequence[Path]) -> dict[str, str]:
    """The texts of the manifests at `paths`, files and folders, by path. Raises InputError when there are none."""
    found = {
        file.as_posix(): flags.read_text(file) for path in paths for file in _files(path) if _is_manifest(file, path)
    }
    if not found:
        raise InputError(
            "there is no YAML and no JSON file there",
            where=", ".join(str(path) for path in paths),
            mend="give the folder or the files of manifests",
        )
    return found


def everything(folder: Path) -> dict[str, str]:
    """The texts of all files in a folder that are not hidden, by path within it. Raises InputError."""
    if not folder.is_dir():
        raise InputError("this is no folder", where=str(folder), mend="give the folder of a rendered tree")
    return {file.relative_to(folder).as_posix(): flags.read_text(file) for file in _files(folder)}


def built(files: Mapping[str, str], within: Path = Path()) -> dict[str, Built]:
    """What `kubectl kustomize` gives for each root among files; nothing without kubectl. within: what is above."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return {}
    return {root: _built(kubectl, within / root) for root in checks.roots(files)}


def _built(kubectl: str, folder: Path) -> Built:
    try:
        done = subprocess.run(
            [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=_BUILD_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Built(error=f"it took more than {_BUILD_S} s")
    return Built(output=done.stdout) if done.returncode == 0 else Built(error=done.stderr or "it gave no reason")


def _is_manifest(file: Path, given: Path) -> bool:
    return file == given or file.suffix in _MANIFESTS or file.name == "Kustomization"


def _files(path: Path) -> Iterator[Path]:
    """The file, or those of a folder in order, hidden ones left out."""
    if not path.is_dir():
        yield path
        return
    for count, file in enumerate(sorted(path.rglob("*"))):
        if count > _MOST:
            raise InputError(f"the folder has more than {_MOST:,} files", where=str(path), mend="give a smaller one")
        if file.is_file() and not is_hidden(file.relative_to(path).as_posix()):
            yield file


def is_hidden(path: str) -> bool:
    """Whether the file or a folder above it is hidden: of git, of tools, a record of ours."""
    return any(part.startswith(".") for part in path.split("/"))
