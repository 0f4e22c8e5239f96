"""Consistent tables as people publish them: made by formulas, rounded as people round, read back as CSV.

A closed loop of N users with think time Z on a server of c slots and service time S has X = min(N / (S + Z), c / S) and
R = N / X - Z (the asymptotes of mean value analysis); an open loop on c slots is an M/M/c queue (Erlang C).
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from holdfast import catalog
from holdfast.auditing import equipment, physics
from holdfast.model.architecture import ModelArchitecture
from holdfast.model.fleet import CapacityType
from holdfast.model.measurements import Measurement, read_measurements

REGION = "us-east-1"
SPREAD = 0.4
"""Sigma of the log-normal latencies."""


@dataclass(frozen=True)
class Server:
    """What a table was measured on; slack: how far the server stays below what its hardware can do, above 1."""

    model: str
    instance_type: str
    tensor_parallel: int
    input_tokens: int
    output_tokens: int
    slots: int
    slack: float
    decimals: int | None

    @property
    def price_usd_per_h(self) -> float:
        return catalog.price(self.instance_type, REGION, CapacityType.ON_DEMAND).price_usd_per_h

    @property
    def service_s(self) -> float:
        model = equipment.known_model(self.model)
        device = catalog.accelerator(catalog.instance_type(self.instance_type).accelerator)
        assert isinstance(model, ModelArchitecture) and device.memory_gb_per_s and device.bf16_dense_tflops
        context = self.input_tokens + self.output_tokens
        read = physics.active_weight_bytes(model) + model.kv_bytes(context)
        step_s = read / (self.tensor_parallel * device.memory_gb_per_s * 1e9)
        work_s = physics.answer_token_flops(model) * context / (self.tensor_parallel * device.bf16_dense_tflops * 1e12)
        return self.slack * (self.output_tokens * step_s + self.slots * work_s)

    def rounded(self, value: float) -> str:
        """To so many decimals, or to three significant digits."""
        if self.decimals is None:
            return f"{float(f'{value:.3g}'):.10g}" if value >= 1 else f"{value:.3g}"
        return f"{value:.{self.decimals}f}"


def closed_loop(server: Server, users: list[int], think_s: float) -> list[dict[str, str]]:
    """One row for each number of users."""
    service_s, slots = server.service_s, server.slots
    rows = []
    for count in users:
        rate = min(count / (service_s + think_s), slots / service_s)
        rows.append(_row(server, rate, count / rate - think_s) | {"concurrency": str(count), "clients": str(count)})
        rows[-1]["think_time_s"] = f"{think_s:g}"
    return rows


def open_loop(server: Server, loads: list[float]) -> list[dict[str, str]]:
    """One row for each load, a share of the capacity below 1."""
    rows = []
    for load in loads:
        offered = load * server.slots
        waits = erlang_c(server.slots, offered)
        latency_s = server.service_s * (1 + waits / (server.slots - offered))
        rows.append(_row(server, offered / server.service_s, latency_s) | {"utilization": f"{load:.3f}"})
    return rows


def erlang_c(servers: int, offered: float) -> float:
    """The share of arrivals that wait in an M/M/c queue with `offered` erlangs."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


def read(rows: list[dict[str, str]]) -> tuple[Measurement, ...]:
    """The rows as the program reads them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return read_measurements(out.getvalue(), where="table.csv")


def _row(server: Server, rate_per_s: float, latency_s: float) -> dict[str, str]:
    median_s = latency_s * math.exp(-(SPREAD**2) / 2)
    tokens_per_s = rate_per_s * server.output_tokens
    percentiles = {
        f"latency_p{share}_s": server.rounded(median_s * math.exp(SPREAD * NormalDist().inv_cdf(share / 100)))
        for share in (50, 90, 95, 99)
    }
    return {
        "unit": "u",
        "model": server.model,
        "instance_type": server.instance_type,
        "accelerator": catalog.instance_type(server.instance_type).accelerator,
        "tensor_parallel": str(server.tensor_parallel),
        "replicas": "1",
        "max_num_seqs": str(server.slots),
        "rate_per_s": server.rounded(rate_per_s),
        "input_tokens": str(server.input_tokens),
        "output_tokens": str(server.output_tokens),
        "output_tokens_per_s": server.rounded(tokens_per_s),
        "latency_avg_s": server.rounded(latency_s),
        **percentiles,
        "requests": "100000",
        "price_usd_per_h": f"{server.price_usd_per_h:.4f}",
        "cost_of_inference": f"{server.price_usd_per_h / (rate_per_s * 60):.5f}",
        "output_tokens_per_s_per_usd_per_h": f"{tokens_per_s / server.price_usd_per_h:.1f}",
        "caption": f"average latency < {math.ceil(latency_s * 1.02 + 0.5)} s",
    }


EXAMPLE = Server("meta-llama/Llama-3.1-8B", "g5.12xlarge", 4, 200, 100, 32, 2.0, 2)
"""A table that a person could check."""


def coarser(server: Server) -> Server:
    """The same server, printed to three significant digits."""
    return replace(server, decimals=None)
