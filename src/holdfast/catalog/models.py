"""The architectures of models: built in, or from a `config.json`."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.catalog import configs
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One model of `data/models.json`: its fields of `config.json`, or its fixed work, with source and date.

    also: ids of models of the same architecture, such as the one tuned to instructions.
    """

    id: str
    also: tuple[str, ...]
    source: str
    date: str
    config: Mapping[str, Any] | None
    work: Mapping[str, Any] | None

    def architecture(self) -> ModelArchitecture | FixedWork:
        source = f"{self.source}, {self.date}"
        if self.config is not None:
            return configs.read(self.config, name=self.id, where=f"catalogue entry {self.id}", source=source)
        work = dict(self.work or {})
        return FixedWork(name=self.id, weight_dtype=Dtype(work.pop("weight_dtype")), source=source, **work)


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every built-in model, in the order of `data/models.json`."""
    text = importlib.resources.files("holdfast.catalog").joinpath("data", "models.json").read_text(encoding="utf-8")
    return tuple(
        Entry(
            id=row["id"],
            also=tuple(row.get("also", ())),
            source=row["source"],
            date=row["date"],
            config=row.get("config"),
            work=row.get("fixed_work"),
        )
        for row in json.loads(text)["models"]
    )


def architecture(name_or_path: str) -> ModelArchitecture | FixedWork:
    """The architecture of a built-in model by its Hugging Face id, or of a local `config.json`.

    An id may be in any case, and without its owner: `llama-3.1-8b`. A path is the file itself, or the folder that holds
    it, as a download from Hugging Face leaves it. Raises InputError for what is neither, and for a configuration that
    cannot be read.
    """
    name = name_or_path.strip()
    table = _table()
    if name.lower() in table:
        return table[name.lower()].architecture()
    if name and _exists(Path(name)):
        return _local(Path(name))
    near = difflib.get_close_matches(name.lower(), table, n=3, cutoff=0.6)
    raise InputError(
        f"{name!r} is neither a built-in model nor a path",
        mend=(f"did you mean {' or '.join(near)}, or " if near else "")
        + "give the folder of a Hugging Face config.json",
    )


def built_in(id: str) -> ModelArchitecture | FixedWork | None:
    """The architecture of the built-in model with exactly that Hugging Face id; None where there is none."""
    entry = next((entry for entry in entries() if id in (entry.id, *entry.also)), None)
    return None if entry is None else entry.architecture()


@functools.cache
def _table() -> Mapping[str, Entry]:
    ids = {id.lower(): entry for entry in entries() for id in (entry.id, *entry.also)}
    return {id.rpartition("/")[2]: entry for id, entry in ids.items()} | ids


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name longer than any file's, or a folder that may not be looked into
        return False


def _local(given: Path) -> ModelArchitecture:
    path = given / "config.json" if given.is_dir() else given
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})", where=str(path), mend="give config.json or the folder that holds it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is not JSON", where=str(path), mend="give the model's config.json") from error
    if not isinstance(values, dict):
        raise InputError("is JSON, but no object", where=str(path), mend="give the model's config.json")
    return configs.read(values, name=path.resolve().parent.name, where=str(path), source=str(path))
