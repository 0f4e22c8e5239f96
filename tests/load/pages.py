"""Pages of metrics as engines and exporters write them, shortened."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

DCGM = b"""# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA A10G",Hostname="n"} 92
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA A10G",Hostname="n"} 0
# HELP DCGM_FI_DEV_FB_USED Framebuffer memory used (in MiB).
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA A10G",Hostname="n"} 20480
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA A10G",Hostname="n"} 0
# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-a",device="nvidia0",modelName="NVIDIA A10G",Hostname="n"} 151.5
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA A10G",Hostname="n"} 16.5
"""

DCGM_PROFILING = (
    DCGM
    + b"""# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-a",device="nvidia0",Hostname="n"} 0.880000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-b",device="nvidia1",Hostname="n"} 0.020000
"""
)

NEURON = b"""# HELP neuron_runtime_memory_used_bytes Runtime memory used bytes
# TYPE neuron_runtime_memory_used_bytes gauge
neuron_runtime_memory_used_bytes{instance_type="inf2.xlarge",memory_location="host",runtime_tag="367"} 9.043968e+06
neuron_runtime_memory_used_bytes{instance_type="inf2.xlarge",memory_location="neuron_device",runtime_tag="367"} 2.5e+09
# HELP neuroncore_utilization_ratio NeuronCore utilization ratio
# TYPE neuroncore_utilization_ratio gauge
neuroncore_utilization_ratio{instance_type="inf2.xlarge",neuroncore="0",runtime_tag="367"} 0.4201
neuroncore_utilization_ratio{instance_type="inf2.xlarge",neuroncore="1",runtime_tag="367"} 0.6
"""

TRITON = b"""# HELP nv_inference_pending_request_count Instantaneous number of pending requests awaiting execution.
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="sd21",version="1"} 7
# HELP nv_gpu_utilization GPU utilization rate [0.0 - 1.0)
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-0e9fdafb"} 0.25
"""


class Vllm:
    """What vLLM's engines publish, with a histogram or three around it. Figures may be changed between pages."""

    def __init__(self, *engines: str, kv_name: str = "vllm:kv_cache_usage_perc") -> None:
        self._registry = CollectorRegistry()
        self._engines = engines or ("0",)
        labels = ("model_name", "engine")
        self.running = Gauge("vllm:num_requests_running", "Number of requests.", labels, registry=self._registry)
        self.waiting = Gauge("vllm:num_requests_waiting", "Number of requests.", labels, registry=self._registry)
        self.kv = Gauge(kv_name, "KV-cache usage. 1 means 100 percent usage.", labels, registry=self._registry)
        self.queries = Counter("vllm:prefix_cache_queries", "In tokens.", labels, registry=self._registry)
        self.hits = Counter("vllm:prefix_cache_hits", "In tokens.", labels, registry=self._registry)
        self.prompt = Counter("vllm:prompt_tokens", "Prefill tokens.", labels, registry=self._registry)
        self.generated = Counter("vllm:generation_tokens", "Generation tokens.", labels, registry=self._registry)
        self.preempted = Counter("vllm:num_preemptions", "Preemptions.", labels, registry=self._registry)
        for name in ("request_prompt_tokens", "e2e_request_latency_seconds", "inter_token_latency_seconds"):
            histogram = Histogram(f"vllm:{name}", "A histogram.", labels, registry=self._registry)
            for engine in self._engines:
                histogram.labels("m", engine).observe(0.3)

    def set(self, engine: str = "0", **figures: float) -> None:
        """Sets gauges and adds to counters by attribute name."""
        for name, figure in figures.items():
            metric = getattr(self, name).labels("m", engine)
            metric.set(figure) if isinstance(getattr(self, name), Gauge) else metric.inc(figure)

    def page(self) -> bytes:
        return generate_latest(self._registry)
