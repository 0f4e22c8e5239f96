"""What a fleet's servers do: their queues, caches and tokens, and the accelerators below them.

Names of vLLM 0.33 (vllm/v1/metrics/loggers.py), of dcgm-exporter 4 and of neuron-monitor's Prometheus exporter.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.observing import pod_monitor, series
from holdfast.manifests.observing.panels import Line, Panel, Row
from holdfast.manifests.placement import Placement
from holdfast.model import metrics

_JOB = "{{job}}"
_POD = "{{pod}}"


def rows(placed: Sequence[Placement]) -> tuple[Row, ...]:
    found = [Row("Requests", _requests(placed))]
    if any(placement.unit.runs_vllm for placement in placed):
        found += [Row("Tokens", _tokens(placed)), Row("KV cache", _cache(placed))]
    return (*found, Row("Accelerators", _accelerators(placed)))


def _all(placed: Sequence[Placement], name: str, **wanted: str) -> str:
    """Servers of all roles: here each is looked at for itself."""
    jobs = "|".join(pod_monitor.job(placement) for placement in placed)
    matched = "".join(f',{label}="{value}"' for label, value in wanted.items())
    return f'{name}{{job=~"{jobs}"{matched}}}'


def _requests(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    return (
        Panel("Running", "short", (Line(f"sum by (job) ({_all(placed, 'vllm:num_requests_running')})", _JOB),)),
        Panel("Waiting", "short", (Line(f"sum by (job) ({_all(placed, 'vllm:num_requests_waiting')})", _JOB),)),
        Panel("Latency, p95", "s", (_p95(placed, metrics.LATENCY),)),
        Panel(
            "Failed or turned away",
            "reqps",
            (
                Line(_by_job(placed, series.COMPLETED, finished_reason="error"), f"{_JOB}, failed"),
                Line(_by_job(placed, series.REJECTED), f"{_JOB}, turned away"),
            ),
        ),
    )


def _tokens(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    return (
        Panel("Prompt tokens per second", "short", (Line(_by_job(placed, "vllm:prompt_tokens_total"), _JOB),)),
        Panel("Generated tokens per second", "short", (Line(_by_job(placed, "vllm:generation_tokens_total"), _JOB),)),
        Panel("Time to first token, p95", "s", (_p95(placed, metrics.TTFT),)),
        Panel("Between tokens, p95", "s", (_p95(placed, metrics.ITL),)),
    )


def _cache(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    hits, queries = (_by_job(placed, f"vllm:prefix_cache_{what}_total") for what in ("hits", "queries"))
    return (
        Panel("In use", "percentunit", (Line(_all(placed, "vllm:kv_cache_usage_perc"), _POD),)),
        Panel("Prompt tokens found", "percentunit", (Line(f"{hits} / {queries}", _JOB),)),
        Panel(
            "Preemptions",
            "ops",
            (Line(_by_job(placed, "vllm:num_preemptions_total"), _JOB),),
            "Requests thrown out of execution for want of cache.",
        ),
    )


def _accelerators(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    found = []
    if any(placement.accelerator.vendor == "nvidia" for placement in placed):
        found += [
            Panel("GPU at work", "percent", (Line(_gpu(placed, "DCGM_FI_DEV_GPU_UTIL"), "{{modelName}}"),)),
            Panel("GPU memory", "decmbytes", (Line(_gpu(placed, "DCGM_FI_DEV_FB_USED"), "{{modelName}}"),)),
        ]
    if any(placement.accelerator.vendor == "aws" for placement in placed):
        found += [
            Panel(
                "NeuronCores at work",
                "percentunit",
                (Line("avg by (instance_type) (neuroncore_utilization_ratio)", "{{instance_type}}"),),
                "Of all nodes: the exporter knows no pods.",
            )
        ]
    return tuple(found)


def _gpu(placed: Sequence[Placement], name: str) -> str:
    """Prometheus calls the pod's namespace by another name where it would hide the exporter's own."""
    namespace = placed[0].fleet.metadata.namespace
    both = (series.select(name, **{label: namespace}) for label in ("namespace", "exported_namespace"))
    return f"avg by (modelName) ({' or '.join(both)})"


def _by_job(placed: Sequence[Placement], name: str, **wanted: str) -> str:
    return f"sum by (job) (rate({_all(placed, name, **wanted)}[1m]))"


def _p95(placed: Sequence[Placement], histogram: str) -> Line:
    buckets = f"sum by (le, job) (rate({_all(placed, f'{histogram}_bucket')}[5m]))"
    return Line(f"histogram_quantile(0.95, {buckets})", _JOB)
