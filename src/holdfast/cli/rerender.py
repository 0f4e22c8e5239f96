"""Writing a rendered tree, also over an older one: what people changed or added there is never lost.

A tree has `.rendered.sha256` (as `sha256sum` writes it, and checks it) of what was rendered. Files of it that are no
longer rendered are removed. A file that somebody changed stops everything before anything is written, except below
`overlays/`, which is the team's once it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.cli import flags
from holdfast.model.errors import InputError

RECORD = ".rendered.sha256"
TEAMS = "overlays/"
"""What is below is written once, and then left to the team."""


def write(files: Mapping[str, str], out: Path) -> tuple[str, ...]:
    """Writes the texts by path into the folder; gives the paths of those that were left as they are, the team's.

    Raises InputError, before anything is written, for a folder of other files, and for changes that would be lost.
    """
    known = _known(out)
    kept = tuple(
        path for path in files if path.startswith(TEAMS) and _differs(out / path, files[path], known.get(path, ""))
    )
    _refuse_changes(files, known, out)
    for path in known.keys() - files.keys():
        if not path.startswith(TEAMS):
            _remove(out, path)
    for path, text in files.items():
        if path not in kept:
            flags.write_text(out / path, text)
    record = "".join(f"{_sum(text)}  {path}\n" for path, text in sorted(files.items()))
    flags.write_text(out / RECORD, record)
    return kept


def _known(out: Path) -> dict[str, str]:
    """Checksums by path of what an earlier rendering wrote there; empty for a new folder. Raises InputError."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return {}
    record = out / RECORD
    if not out.is_dir() or not record.exists():
        raise InputError(
            "the folder has files that holdfast did not render",
            where=str(out),
            mend="give a new folder, or one that was rendered before",
        )
    lines = [line.partition("  ") for line in flags.read_text(record).splitlines()]
    for checksum, _, path in lines:
        inside = path and not Path(path).is_absolute() and ".." not in Path(path).parts
        if len(checksum) != hashlib.sha256().digest_size * 2 or not inside:
            raise InputError(
                "this is no list of checksums", where=str(record), mend="restore it, or render into a new folder"
            )
    return {path: checksum for checksum, _, path in lines}


def _refuse_changes(files: Mapping[str, str], known: Mapping[str, str], out: Path) -> None:
    """Raises InputError where writing the files would overwrite or remove what somebody wrote."""
    changed = [
        path
        for path in sorted(files.keys() | known.keys())
        if not path.startswith(TEAMS) and _differs(out / path, files.get(path), known.get(path, ""))
    ]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(
            f"{changed[0]}{more} would be overwritten, and was changed by somebody since it was rendered",
            where=str(out),
            mend=f"move the change to {TEAMS}, or remove the file",
        )


def _differs(file: Path, text: str | None, checksum: str) -> bool:
    """Whether a file is there that is neither what is to be written nor what was."""
    if not file.exists():
        return False
    found = _sum(flags.read_text(file))
    return found != checksum and (text is None or found != _sum(text))


def _remove(out: Path, path: str) -> None:
    """Removes the file, and the folders above it that are then empty."""
    file = out / path
    file.unlink(missing_ok=True)
    for folder in _above(file, out):
        if not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _above(file: Path, out: Path) -> Sequence[Path]:
    return [folder for folder in file.parents if out in folder.parents]


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
