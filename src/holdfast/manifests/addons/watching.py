"""Prometheus, and what goes with it."""

from __future__ import annotations

from holdfast.manifests.addons.chart import Chart
from holdfast.model.cluster import Cluster
from holdfast.model.plan import Plan

RELEASE = "kube-prometheus-stack"

_OWN = Cluster().prometheus
"""The Prometheus that the stack makes. A fleet that names another one has its operator already."""


def charts(plan: Plan) -> tuple[Chart, ...]:
    """The Prometheus operator's stack, unless the fleet's cluster names a Prometheus of its own."""
    if plan.fleet.spec.cluster.prometheus != _OWN:
        return ()
    return (
        Chart(
            name=RELEASE,
            namespace="monitoring",
            repository="https://prometheus-community.github.io/helm-charts",
            chart="kube-prometheus-stack",
            version="88.5.3",
            seen="charts/kube-prometheus-stack/Chart.yaml of github.com/prometheus-community/helm-charts, 2026-08-22",
            reason="Reads the pools' metrics, evaluates their rules and shows their dashboards.",
            values={
                "prometheus": {
                    "prometheusSpec": {
                        # Monitors and rules of every namespace, not only of this release.
                        "podMonitorSelectorNilUsesHelmValues": False,
                        "serviceMonitorSelectorNilUsesHelmValues": False,
                        "ruleSelectorNilUsesHelmValues": False,
                    }
                },
                # EKS runs these where no Prometheus can reach them.
                "kubeControllerManager": {"enabled": False},
                "kubeEtcd": {"enabled": False},
                "kubeScheduler": {"enabled": False},
                # It answers on its node's loopback address only.
                "kubeProxy": {"enabled": False},
            },
        ),
    )
