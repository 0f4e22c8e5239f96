"""What `holdfast render` does. Its flags are in `cli.render`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from holdfast import catalog, manifests
from holdfast.cli import flags, others, rerender, trees
from holdfast.manifests import File, checks
from holdfast.model import codec
from holdfast.model.changes import Change
from holdfast.model.errors import InputError
from holdfast.model.findings import Inspection
from holdfast.reports import inspections, terminal


def render(
    paths: tuple[Path, ...], out: Path | None, check: bool, old: Path | None, crds: Path | None, as_json: bool
) -> None:
    """See `holdfast render --help`. Raises InputError."""
    if crds is not None and not check:
        raise InputError("--crds is for checking", mend="add --check, or leave it out")
    if old is not None:
        if out is not None or check:
            raise InputError("--diff writes and checks nothing", mend="leave out --out and --check")
        _show_changes(_changes(_one(paths), old), old, as_json)
    elif out is not None:
        rendered = _rendered(_one(paths))
        kept = rerender.write({file.path: file.text for file in rendered}, out)
        if check:
            _show(_inspected([out], crds), str(out), as_json)
        elif as_json:
            flags.echo_json({"out": str(out), "files": [file.path for file in rendered], "kept": kept})
        else:
            click.echo(_written(rendered, kept, out))
    elif check and len(paths) == 1 and _is_plan(paths[0]):
        _show(_inspected_plan(paths[0], crds), str(paths[0]), as_json)
    elif check:
        _show(_inspected(paths, crds), ", ".join(str(path) for path in paths), as_json)
    else:
        raise InputError("there is nothing to do with it", mend="give --out, --check or --diff")


def _one(paths: Sequence[Path]) -> Path:
    if len(paths) != 1:
        raise InputError(
            f"{len(paths)} paths were given, and one plan is rendered at a time", mend="give one plan.json"
        )
    return paths[0]


def _rendered(plan: Path) -> tuple[File, ...]:
    made = flags.read_plan(plan)
    return manifests.render(made, catalog.equipment_of(made.fleet))


def _written(rendered: Sequence[File], kept: Sequence[str], out: Path) -> str:
    yours = "".join(f"{path} is yours and was left as it is.\n" for path in kept)
    apply = f"kubectl apply -k {out}/overlays/{manifests.OVERLAY}"
    kept_standing = "or have holdfast's operator keep it standing, as README.md says"
    return f"{yours}{len(rendered)} files in {out}; apply the fleet with: {apply}\n{kept_standing}."


def _is_plan(path: Path) -> bool:
    """Whether a file is a plan, told by its content: JSON that is no Kubernetes object."""
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        return False
    try:
        found = json.loads(flags.read_text(path))
    except ValueError:
        return False
    return isinstance(found, dict) and "pools" in found and "apiVersion" not in found


def _inspected(paths: Sequence[Path], crds: Path | None) -> Inspection:
    files = trees.manifests(paths)
    return _with_others(checks.inspect(files, trees.built(files), _crds(crds)), paths)


def _with_others(done: Inspection, paths: Sequence[Path]) -> Inspection:
    """And what checkov and terraform say of the same files."""
    said = (others.checkov(paths), others.terraform(paths))
    return replace(
        done,
        checked=(*done.checked, *(checked for one in said for checked in one.checked)),
        undone=(*done.undone, *(line for one in said for line in one.undone)),
    )


def _inspected_plan(plan: Path, crds: Path | None) -> Inspection:
    """The checks of the tree that a plan would be rendered to; kubectl builds from files, which go when it is done."""
    files = {file.path: file.text for file in _rendered(plan)}
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        for path, text in files.items():
            flags.write_text(Path(folder) / path, text)
        done = checks.inspect(files, trees.built(files, Path(folder)), _crds(crds))
        return _with_others(done, [Path(folder)])


def _crds(folder: Path | None) -> Mapping[str, str]:
    if folder is None:
        return {}
    found = trees.manifests([folder])
    if not any("kind: CustomResourceDefinition" in text for text in found.values()):
        raise InputError("there is no CustomResourceDefinition there", where=str(folder), mend="give a folder of CRDs")
    return found


def _show(done: Inspection, where: str, as_json: bool) -> None:
    if as_json:
        flags.echo_json(_json(done))
    else:
        click.echo(terminal.text(inspections.inspection(done, where)), nl=False)
    if done.mistaken:
        raise click.exceptions.Exit(1)


def _json(done: Inspection) -> dict[str, Any]:
    return {
        "files": done.files,
        "objects": done.objects,
        "findings": [codec.to_jsonable(finding) for finding in done.findings],
        "checked": {checked.check: checked.judged for checked in done.checked},
        "undone": list(done.undone),
    }


def _changes(plan: Path, old: Path) -> tuple[Change, ...]:
    new = {file.path: file.text for file in _rendered(plan) if not trees.is_hidden(file.path)}
    return checks.changes(trees.everything(old), new)


def _show_changes(changed: Sequence[Change], old: Path, as_json: bool) -> None:
    if as_json:
        flags.echo_json({"changes": [codec.to_jsonable(change) for change in changed]})
    else:
        click.echo(terminal.text(inspections.changes(changed, str(old))), nl=False)
    if changed:
        raise click.exceptions.Exit(1)
