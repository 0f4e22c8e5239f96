"""Whether a file in the Hub's cache is the one that was published: its size and its checksum.

The cache names a file by its checksum (sha256 of what lies in large-file storage, else git's sha1), so that this can
be told without the Hub. Hashing 16 GB took a minute of a busy core (0.27 GB/s), so that a note is left of each file
that was found whole, with its size and time of change; it is hashed again when either differs, or where the cache may
only be read and takes no notes. What rots on the disk without either changing is not noticed here; the header of a
safetensors file is checked at each start.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.serving.hosted.files import sources

NOTES = "holdfast-verified"
"""Folder of the notes, in the model's own folder of the cache, so that who deletes the model deletes them too."""

_THREADS = 4
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Published:
    """What the Hub says of a file. digest: sha256 in 64 hexadecimal digits, or git's sha1 of a blob in 40."""

    size: int
    digest: str


def corrupt(folder: Path, published: Mapping[str, Published | None]) -> list[str]:
    """Those of a snapshot's files that are not what was published: by what the Hub says or, where that is None, by
    the name that the cache gave them."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
        whole = pool.map(lambda name: _is_whole(folder, name, published[name]), published)
    return sorted(name for name, is_whole in zip(published, whole, strict=True) if not is_whole)


def digest(path: Path, like: str) -> str:
    """The checksum of a file, of the kind that `like` is."""
    with path.open("rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        start = b"blob %d\0" % path.stat().st_size
        return hashlib.file_digest(file, lambda: hashlib.sha1(start, usedforsecurity=False)).hexdigest()


def _is_whole(folder: Path, name: str, published: Published | None) -> bool:
    path = folder / name
    found = path.stat()
    if published is None:
        blob = sources.blob(folder, name)
        if blob is None or not _DIGEST.fullmatch(blob.name):
            return True
        published = Published(found.st_size, blob.name)
    if found.st_size != published.size:
        return False
    note = folder.parent.parent / NOTES / published.digest
    told = f"{found.st_size} {found.st_mtime_ns}\n"
    if note.is_file() and note.read_text() == told:
        return True
    if digest(path, published.digest) != published.digest:
        return False
    with contextlib.suppress(OSError):
        note.parent.mkdir(exist_ok=True)
        written = note.with_name(f"{note.name}.{os.getpid()}")
        written.write_text(told)
        written.replace(note)
    return True
