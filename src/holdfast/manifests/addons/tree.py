"""The files of what the cluster runs beside the fleet."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import kustomization
from holdfast.manifests.addons import (
    application,
    auto_mode,
    custom_resources,
    edge,
    helmfile,
    karpenter,
    neuron,
    neuron_monitor,
    nvidia,
    readme,
    scaling,
    spanning,
    watching,
)
from holdfast.manifests.addons.application import ARGO_FOLDER
from holdfast.manifests.addons.chart import FOLDER, Chart
from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan


def charts(plan: Plan, placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """The charts that the fleet needs, and no other; those that others come after first."""
    return (
        *watching.charts(plan),
        *karpenter.charts(plan, placed),
        *edge.charts(plan),
        *nvidia.charts(placed),
        *neuron.charts(placed),
        *spanning.charts(placed),
        *scaling.charts(plan, placed),
    )


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """Values, the list for helmfile and for Argo CD, definitions, and objects that no chart has."""
    needed = charts(plan, placed)
    definitions = custom_resources.needed(plan)
    applications = [
        *(application.of_chart(plan, chart, needed) for chart in needed),
        *(application.of_definitions(plan, found) for found in definitions),
    ]
    objects = [*neuron_monitor.manifests(plan, placed), *auto_mode.manifests(plan, placed)]
    return (
        *(chart.values_file() for chart in needed),
        helmfile.manifest(needed),
        *applications,
        kustomization.of_folder(ARGO_FOLDER, applications),
        *objects,
        *([kustomization.of_folder(f"{FOLDER}/objects", objects)] if objects else []),
        *([custom_resources.kustomization(definitions)] if definitions else []),
        readme.file(plan, needed, definitions, bool(objects)),
    )
