"""holdfast render"""

from __future__ import annotations

from pathlib import Path

import click

from holdfast import catalog, manifests
from holdfast.cli import flags
from holdfast.model.errors import InputError


@click.command()
@click.argument("plan", type=flags.FILE)
@click.option("-o", "--out", type=flags.OUT, required=True, help="Folder for the Kustomize tree; must be new or empty.")
def render(plan: Path, out: Path) -> None:
    """Render the manifests of a PLAN that `holdfast plan --out` wrote.

    \b
    holdfast render plan.json -o deploy/
    kubectl apply -k deploy/overlays/production
    """
    made = flags.read_plan(plan)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        # Files of an older plan would be applied along with the new ones.
        raise InputError("the folder is not empty", where=str(out), mend="give a new one, or empty it")
    rendered = manifests.render(made, catalog.equipment_of(made.fleet))
    for file in rendered:
        flags.write_text(out / file.path, file.text)
    click.echo(f"{len(rendered)} files in {out}; apply them with: kubectl apply -k {out}/overlays/{manifests.OVERLAY}")
