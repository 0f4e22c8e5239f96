"""What CloudWatch shows: a dashboard of the load balancer and the pods, and the add-on that measures the latter.

`aws cloudwatch put-dashboard --dashboard-name NAME --dashboard-body file://observing/cloudwatch-dashboard.json`
"""

from __future__ import annotations

import json
import re

from holdfast.manifests.manifest import Object, TextFile
from holdfast.manifests.routing import target_group
from holdfast.model.cluster import Scaler
from holdfast.model.fleet import DataPlane, InferenceFleet

FOLDER = "observing"

_COLUMNS, _HEIGHT = 24, 6
_SERVICES = "{ContainerInsights,ClusterName,Namespace,Service}"
_PODS = "{ContainerInsights,ClusterName,Namespace,PodName}"
_KEPT = 8
"""Letters and digits of a namespace that the load balancer controller keeps in the names of its target groups
(pkg/ingress/model_build_target_group.go, v3.5.0)."""


def dashboard(fleet: InferenceFleet) -> TextFile:
    """The body of a CloudWatch dashboard (CloudWatch API reference, "Dashboard body structure and syntax").

    The load balancer's target groups are found by how their names begin, as they end in hashes: with the namespace
    where the controller made them, with the fleet where its scaler needs names that are known.
    """
    widgets = [
        _balanced(fleet, "Requests per minute", "RequestCount", "Sum"),
        _balanced(fleet, "Response time, p95 (s)", "TargetResponseTime", "p95"),
        _balanced(fleet, "5XX of targets", "HTTPCode_Target_5XX_Count", "Sum"),
        _balanced(fleet, "Targets without a connection", "TargetConnectionErrorCount", "Sum"),
        _balanced(fleet, "Healthy targets", "HealthyHostCount", "Minimum"),
        _balanced(fleet, "Unhealthy targets", "UnHealthyHostCount", "Maximum"),
        _inside(fleet, "Running pods", "service_number_of_running_pods", _SERVICES),
        _inside(fleet, "Container restarts", "pod_number_of_container_restarts", _PODS),
        _inside(fleet, "CPU of pods (%)", "pod_cpu_utilization", _PODS),
        _inside(fleet, "Memory of pods (%)", "pod_memory_utilization", _PODS),
    ]
    body = {"start": "-PT6H", "periodOverride": "inherit", "widgets": _placed(widgets)}
    return TextFile(f"{FOLDER}/cloudwatch-dashboard.json", json.dumps(body, indent=2) + "\n")


def container_insights() -> TextFile:
    """Configuration of the EKS add-on amazon-cloudwatch-observability, for `--configuration-values`.

    The rendered Terraform installs it with the same. Accelerators are measured by exporters for Prometheus, once
    (CloudWatch user guide, "Install the CloudWatch agent with the Amazon CloudWatch Observability EKS add-on", read
    2026-11-21).
    """
    kubernetes = {"enhanced_container_insights": True, "accelerated_compute_metrics": False}
    values = {"agent": {"config": {"logs": {"metrics_collected": {"kubernetes": kubernetes}}}}}
    return TextFile(f"{FOLDER}/container-insights.json", json.dumps(values, indent=2) + "\n")


def _balanced(fleet: InferenceFleet, title: str, metric: str, statistic: str) -> Object:
    schema = "{AWS/ApplicationELB,TargetGroup,LoadBalancer}"
    # Without quotes, which would ask for a dimension that is this and nothing more (CloudWatch user guide, "CloudWatch
    # search expression examples": InstanceType=micro against InstanceType="t2.micro").
    search = f"SEARCH('{schema} MetricName=\"{metric}\" targetgroup/{_target_groups(fleet)}', '{statistic}', 60)"
    return _widget(fleet, title, search)


def _target_groups(fleet: InferenceFleet) -> str:
    spec = fleet.spec
    if spec.data_plane is DataPlane.GATEWAY_API and spec.cluster.scaler is Scaler.KEDA_CLOUDWATCH:
        return target_group.begins(fleet)
    return f"k8s-{re.sub(r'[^a-zA-Z0-9]', '', fleet.metadata.namespace)[:_KEPT]}"


def _inside(fleet: InferenceFleet, title: str, metric: str, schema: str) -> Object:
    cluster, namespace = fleet.spec.cluster.name, fleet.metadata.namespace
    wanted = f'MetricName="{metric}" ClusterName="{cluster}" Namespace="{namespace}"'
    return _widget(fleet, title, f"SEARCH('{schema} {wanted}', 'Average', 60)")


def _widget(fleet: InferenceFleet, title: str, search: str) -> Object:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "view": "timeSeries",
            "region": fleet.spec.region,
            "period": 60,
            "metrics": [[{"expression": search, "id": "found"}]],
            "yAxis": {"left": {"min": 0}},
        },
    }


def _placed(widgets: list[Object]) -> list[Object]:
    width = _COLUMNS // 2
    return [
        {"x": (index % 2) * width, "y": (index // 2) * _HEIGHT, "width": width, "height": _HEIGHT} | widget
        for index, widget in enumerate(widgets)
    ]
