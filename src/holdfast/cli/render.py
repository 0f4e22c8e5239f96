"""holdfast render"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import flags


@click.command()
@click.argument("paths", metavar="PLAN | [DIR|FILE]...", nargs=-1, required=True, type=flags.THERE)
@click.option("-o", "--out", type=flags.OUT, help="Folder for the tree of the PLAN: new, or rendered before.")
@click.option("--check", is_flag=True, help="Check the tree of the PLAN, or the manifests at DIR and FILE.")
@click.option("--diff", "old", type=flags.OUT, help="Say what the PLAN changes of the tree in this folder.")
@click.option("--crds", type=flags.OUT, help="With --check: a folder of CRDs to hold objects against.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def render(**given: Any) -> None:
    """Render the manifests of a PLAN that `holdfast plan --out` wrote, and check any manifests.

    \b
    holdfast render plan.json -o deploy/ --check
    kubectl apply -k deploy/overlays/production
    holdfast render plan.json --diff deploy/
    holdfast render --check deploy/ more.yaml

    Checks need no cluster: schemas, KEDA triggers, ALB actions, probes, selectors, taints, devices, room on nodes.
    --diff compares objects, whatever file they stand in. Exit code 1 when a check found something beyond notes, or
    when --diff found a change.
    """
    from holdfast.cli.work import render as work

    work.render(**given)
