"""Argo CD Applications: one for each chart, one for each set of definitions (argo-cd.readthedocs.io).

Values stand in the Application: a reference to the values file would need the address of the user's own repository.
"""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.addons.chart import FOLDER, Chart, wave
from holdfast.manifests.addons.custom_resources import Definitions
from holdfast.manifests.manifest import Manifest, Object
from holdfast.model.plan import Plan

ARGO_FOLDER = f"{FOLDER}/argocd"

_NAMESPACE = "argocd"

_FIRST = -1
"""Definitions come before the charts whose objects are of them."""

_RETRY: Object = {"limit": 10, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"}}
"""Waves order Applications only within an Application of Applications. Applied at once, those whose monitors wait for
Prometheus' definitions fail first: here they try for some twenty minutes, where Argo CD's own five times last two and a
half (argo-cd.readthedocs.io/en/stable/user-guide/auto_sync)."""


def of_chart(plan: Plan, chart: Chart, charts: tuple[Chart, ...]) -> Manifest:
    """The chart at its version, with its values."""
    source = {
        # Argo CD knows an OCI registry by its address without a scheme.
        "repoURL": chart.repository.removeprefix("oci://"),
        "chart": chart.chart,
        "targetRevision": chart.version,
        "helm": {"releaseName": chart.name, "valuesObject": chart.values},
    }
    order = wave(chart, charts)
    return _manifest(plan, chart.name, source, chart.namespace, order, f"{chart.reason}\n{chart.seen}")


def of_definitions(plan: Plan, found: Definitions) -> Manifest:
    """The folder of definitions at its tag."""
    source = {"repoURL": found.repository, "path": found.path, "targetRevision": found.tag}
    return _manifest(plan, found.name, source, "default", _FIRST, f"{found.reason}\nTag {found.tag}, {found.seen}")


def _manifest(plan: Plan, name: str, source: Object, namespace: str, order: int, note: str) -> Manifest:
    described = metadata.of_fleet(plan, name) | {"namespace": _NAMESPACE}
    described["annotations"]["argocd.argoproj.io/sync-wave"] = str(order)
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": described,
        "spec": {
            "project": "default",
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {
                # What was removed from the list stays in the cluster until somebody removes it there.
                "automated": {"prune": False, "selfHeal": True},
                # Definitions of Prometheus' operator are too long for the annotation of a client-side apply.
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                "retry": _RETRY,
            },
        },
    }
    return Manifest(f"{ARGO_FOLDER}/{name}.yaml", application, note)
