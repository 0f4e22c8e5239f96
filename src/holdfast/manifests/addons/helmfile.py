"""helmfile.yaml: all charts as one list, for those who install by Helm (helmfile.readthedocs.io)."""

from __future__ import annotations

from holdfast.manifests.addons.chart import FOLDER, Chart
from holdfast.manifests.manifest import Manifest, Object


def manifest(charts: tuple[Chart, ...]) -> Manifest:
    """The releases with their repositories, in the order in which they need each other."""
    repositories = {_repository(chart): chart.repository for chart in charts if not chart.is_oci}
    listing = {
        "helmDefaults": {"createNamespace": True, "wait": True, "timeout": 600},
        "repositories": [{"name": name, "url": url} for name, url in sorted(repositories.items())],
        "releases": [_release(chart, charts) for chart in charts],
    }
    return Manifest(f"{FOLDER}/helmfile.yaml", listing, "helmfile -f addons/helmfile.yaml apply")


def _release(chart: Chart, charts: tuple[Chart, ...]) -> Object:
    before = [other for other in charts if other.name in chart.after]
    release: Object = {
        "name": chart.name,
        "namespace": chart.namespace,
        "chart": f"{chart.repository if chart.is_oci else _repository(chart)}/{chart.chart}",
        "version": chart.version,
        "values": [f"values/{chart.name}.yaml"],
    }
    return release | ({"needs": [f"{other.namespace}/{other.name}" for other in before]} if before else {})


def _repository(chart: Chart) -> str:
    """A name for the repository: that of its owner, by its address."""
    host, *path = chart.repository.removeprefix("https://").split("/")
    return "-".join([host.replace(".", "-"), *path])
