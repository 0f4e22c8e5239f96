"""Where files come from: a folder, or the Hub with its cache. Both tell names first, and fetch what is asked for."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import documents


class Source(Protocol):
    """A model's files.

    place:  as a person knows it, for sentences.
    remote: whether strangers wrote them, as far as we know: they come from the Hub.
    names:  of all its files that might matter, relative to the folder, with slashes.
    mend:   what to do where one is missing.
    """

    place: str
    remote: bool
    names: frozenset[str]
    mend: str

    @property
    def folder(self) -> Path:
        """Where what was fetched is."""

    def fetch(self, names: Iterable[str]) -> None:
        """Have these files in the folder, whole. Raises InputError."""

    def settle(self) -> None:
        """All that is needed was fetched and checked."""


class OnDisk:
    """A folder of the user's."""

    remote = False
    mend = "give the folder of a whole model"

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self.folder = folder.resolve()
        self.names = names_in(self.folder)

    def fetch(self, names: Iterable[str]) -> None:
        for name in names:
            check_regular(self.folder, name)

    def settle(self) -> None:
        pass


def read(source: Source, name: str) -> Any:
    """The value of one of its JSON files."""
    source.fetch([name])
    return documents.read(source.folder / name)


def read_object(source: Source, name: str) -> dict[str, Any]:
    """One of its JSON files, which must hold an object."""
    source.fetch([name])
    return dict(documents.read_object(source.folder / name))


def names_in(folder: Path) -> frozenset[str]:
    """Files in a folder and, where it is a model's, down to its subfolders' subfolders; none lies deeper in any layout
    that is served. Links to folders are not followed. Raises InputError where the folder may not be read."""
    found: list[str] = []
    try:
        level = _look(folder, "", found)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(folder), mend="give another folder") from error
    if not {"config.json", "model_index.json"} & set(found):
        return frozenset(found)
    for _ in range(2):
        below, level = level, []
        for name in below:
            with contextlib.suppress(
                OSError
            ):  # lost+found of a volume, which is root's; what is needed is missed by name
                level += _look(folder, name, found)
    return frozenset(found)


def _look(folder: Path, below: str, found: list[str]) -> list[str]:
    """Note the files of a subfolder; its own subfolders."""
    entries = list(os.scandir(folder / below))
    found += [below + entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
    return [f"{below}{entry.name}/" for entry in entries if entry.is_dir(follow_symlinks=False)]


def check_regular(folder: Path, name: str) -> None:
    """Raises InputError unless this is a file in the folder, or a link as the Hub's cache has them: into its blobs."""
    path = folder / name
    try:
        target = path.resolve(strict=True)
        regular = stat.S_ISREG(target.stat().st_mode)
    except (OSError, RuntimeError) as error:
        raise InputError(
            "is a link to nothing, or cannot be read", where=str(path), mend="copy the file there"
        ) from error
    if not target.is_relative_to(folder) and blob(folder, name) is None:
        raise InputError("is a link out of the model's folder", where=str(path), mend="copy the file there")
    if not regular:
        raise InputError("is no regular file", where=str(path), mend="copy the file there")
    if not os.access(path, os.R_OK):
        raise InputError("may not be read", where=str(path), mend="give this user the right to")


def blob(folder: Path, name: str) -> Path | None:
    """The blob that a file of a snapshot in the Hub's cache is a link to: named by the file's checksum."""
    path = folder / name
    if folder.parent.name != "snapshots" or not path.is_symlink():
        return None
    target = Path(os.path.normpath(path.parent / path.readlink()))
    return target if target.parent == folder.parent.parent / "blobs" else None
