"""The architectures of models: built in, or from a `config.json`."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.catalog import configs, lookup
from holdfast.model.architecture import Dtype, FixedWork, ModelArchitecture
from holdfast.model.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One model of `data/models.json`: its fields of `config.json`, or its fixed work, with source and date."""

    id: str
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
        Entry(row["id"], row["source"], row["date"], row.get("config"), row.get("fixed_work"))
        for row in json.loads(text)["models"]
    )


def architecture(name_or_path: str) -> ModelArchitecture | FixedWork:
    """The architecture of a built-in model by its Hugging Face id, whatever its case, or of a local `config.json`.

    A path is the file itself, or the folder that holds it, as `huggingface-cli download` writes it. Raises InputError
    for what is neither, and for a configuration that cannot be read.
    """
    known = {entry.id.lower(): entry for entry in entries()}
    name = name_or_path.strip()
    if name.lower() in known:
        return known[name.lower()].architecture()
    if "\0" not in name and name and (path := Path(name).expanduser()).exists():
        return _local(path / "config.json" if path.is_dir() else path)
    short = {key.rpartition("/")[2]: entry for key, entry in known.items()}
    if name.lower() in short:
        return short[name.lower()].architecture()
    return _unknown(name, tuple(entry.id for entry in entries()))


def _unknown(name: str, ids: tuple[str, ...]) -> ModelArchitecture | FixedWork:
    try:
        lookup.find("model", name, {id.lower(): id for id in ids})
    except InputError as error:
        raise InputError(error.what, mend=f"{error.mend}, or give the folder of a Hugging Face config.json") from None
    raise AssertionError(name)


def _local(path: Path) -> ModelArchitecture:
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
    return configs.read(values, name=path.parent.name or str(path), where=str(path), source=str(path))
