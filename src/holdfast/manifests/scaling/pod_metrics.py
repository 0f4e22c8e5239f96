"""Metrics of single pods, as a plain HPA reads them: rules of prometheus-adapter, which makes them of series.

The rules name no fleet: one adapter serves a cluster, and pods of any fleet have these series.
Syntax: github.com/kubernetes-sigs/prometheus-adapter, docs/config.md (chart prometheus-adapter 5.3.0, 2026-08).
"""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.model.plan import ScalingTarget

PATH = "addons/values/prometheus-adapter.yaml"
"""Where the rules go, with the rest of the adapter's values (addons.scaling)."""

_NAMES = {
    "completed": "holdfast_completed_requests_per_s",
    "in flight": "holdfast_requests_in_flight",
    "waiting": "holdfast_requests_waiting",
    "KV cache": "holdfast_kv_cache_usage_ratio",
}

_SERIES = "{<<.LabelMatchers>>}"
_QUERIES = {
    "completed": ("vllm:request_success_total", f"sum(rate(vllm:request_success_total{_SERIES}[1m]))"),
    "in flight": (
        "vllm:num_requests_running",
        f"sum(avg_over_time(vllm:num_requests_running{_SERIES}[1m])) by (<<.GroupBy>>) + "
        f"sum(avg_over_time(vllm:num_requests_waiting{_SERIES}[1m]))",
    ),
    "waiting": ("vllm:num_requests_waiting", f"sum(avg_over_time(vllm:num_requests_waiting{_SERIES}[1m]))"),
    "KV cache": ("vllm:kv_cache_usage_perc", f"avg(avg_over_time(vllm:kv_cache_usage_perc{_SERIES}[1m]))"),
}


def name(target: ScalingTarget) -> str | None:
    """The name of the pods' metric for a target of a plan; None where pods have none."""
    return _NAMES.get(target.name) if target.system == "prometheus" else None


def rules() -> Object:
    """The key `rules` of prometheus-adapter's Helm values."""
    return {"default": False, "custom": [_rule(target) for target in _NAMES]}


def _rule(target: str) -> Object:
    series, query = _QUERIES[target]
    return {
        "seriesQuery": f'{series}{{namespace!="",pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"matches": ".*", "as": _NAMES[target]},
        "metricsQuery": f"{query} by (<<.GroupBy>>)",
    }
