"""README of the add-ons: what is there and why, and the commands."""

from __future__ import annotations

from holdfast.manifests.addons.chart import FOLDER, Chart
from holdfast.manifests.addons.custom_resources import Definitions
from holdfast.manifests.manifest import TextFile
from holdfast.model.plan import Plan


def file(plan: Plan, charts: tuple[Chart, ...], definitions: tuple[Definitions, ...], has_objects: bool) -> TextFile:
    """The page for who installs them."""
    rows = [f"| {chart.name} | {chart.version} | {chart.reason} | {chart.seen} |" for chart in charts]
    rows += [
        f"| {found.name} | {found.tag} | {found.reason} | {found.repository}, {found.seen} |" for found in definitions
    ]
    objects = "kubectl apply --server-side -k addons/objects\n" if has_objects else ""
    crds = "kubectl apply --server-side -k addons/crds\n" if definitions else ""
    text = f"""# What fleet {plan.fleet.metadata.name} needs in its cluster

By Helm, with helmfile:

```
{crds}helmfile -f addons/helmfile.yaml apply
{objects}```

By Argo CD, which has everything but the objects of `addons/objects` in its Applications:

```
kubectl apply -k addons/argocd
{objects}```

By Flux, or by Helm alone: `values/` has each chart's values.

| what | version | why | where the version was read |
| --- | --- | --- | --- |
{chr(10).join(rows)}

Terraform brings the EKS add-ons and the IAM roles. Roles belong to service accounts by EKS Pod Identity:
{_accounts(charts)}.

A cluster with several fleets has these once: take the union of their lists, and of their values.
"""
    return TextFile(f"{FOLDER}/README.md", text)


def _accounts(charts: tuple[Chart, ...]) -> str:
    return ", ".join(f"`{chart.namespace}/{chart.account}`" for chart in charts if chart.account)
