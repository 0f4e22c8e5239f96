"""holdfast render"""

from __future__ import annotations

from pathlib import Path

import click

from holdfast import catalog, manifests
from holdfast.cli import flags
from holdfast.manifests import Cluster
from holdfast.model.errors import InputError

_DEFAULTS = Cluster()


@click.command()
@click.argument("plan", type=flags.FILE)
@click.option("-o", "--out", type=flags.OUT, required=True, help="Folder for the Kustomize tree; must be new or empty.")
@click.option("--cluster", default=_DEFAULTS.name, show_default=True, help="Name of the EKS cluster.")
@click.option("--prometheus", default=_DEFAULTS.prometheus, show_default=True, help="Address that KEDA queries.")
@click.option("--certificate-arn", help="TLS certificate of the load balancer's listener.")
def render(plan: Path, out: Path, cluster: str, prometheus: str, certificate_arn: str | None) -> None:
    """Render the manifests of a PLAN that `holdfast plan --out` wrote.

    \b
    holdfast render plan.json -o deploy/ && kubectl apply -k deploy/
    """
    made = flags.read_plan(plan)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        # Files of an older plan would be applied along with the new ones.
        raise InputError("the folder is not empty", where=str(out), mend="give a new one, or empty it")
    target = Cluster(name=cluster, prometheus=prometheus, certificate_arn=certificate_arn)
    rendered = manifests.render(made, catalog.equipment_of(made.fleet), target)
    for manifest in rendered:
        flags.write_text(out / manifest.path, manifest.text)
    click.echo(f"{len(rendered)} files in {out}; apply them with: kubectl apply -k {out}")
