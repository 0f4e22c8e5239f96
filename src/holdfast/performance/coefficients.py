"""What an accelerator reaches of its peaks, and what every step costs besides.

The figures are fitted on published measurements by `benchmarks/decode_step.py`, which writes `data/coefficients.csv`:
a row for an accelerator under a framework. An accelerator without a row borrows those of its nearest kin:

    1. of the rows of the framework (of vLLM's, where the framework has none) those whose held-out error is at most 15
       %, and whose weights per device spanned a factor of 3: else slow memory and a long overhead look alike; 2. of
       these the ones of the same vendor, if there are any; 3. of these the least |ln(memory bandwidths' ratio)| +
       |ln(FLOP/s ratio)|.

That is an estimate of an estimate, and its error is wider: the median error of predicting measured accelerators by
their kin, as if they had not been measured, whichever accelerator has the largest.
"""

from __future__ import annotations

import csv
import functools
import importlib.resources
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.hardware import Accelerator

DEFAULT_FRAMEWORK = "vllm"
TRUSTED_ERROR = 0.15
TRUSTED_SPAN = 3.0


@dataclass(frozen=True)
class Coefficients:
    """Shares of the peaks, 0 < share <= 1, and seconds of overhead.

    compute:      of the dense peak FLOP/s, in a prefill.
    memory:       of memory bandwidth, reading weights. cache: the same, reading the KV cache.
    link:         of the bandwidth between devices.
    all_reduce_s: latency of one all-reduce, two to a layer; it did not grow with the devices that take part.
    layer_s, sequence_s, step_s: what each layer, each sequence of the batch, and the step itself cost.
    link_per_memory: link over memory bandwidth of the accelerator that was measured, for one whose link is not stated.
    error:        median relative error of the decode step on measurements that were held out, 0.07 is 7 %; NaN for
    peaks.
    source:       on what they were fitted. borrowed: of which accelerator, where it is the nearest kin's; else empty.
    """

    compute: float
    memory: float
    cache: float
    link: float
    all_reduce_s: float
    layer_s: float
    sequence_s: float
    step_s: float
    link_per_memory: float
    error: float
    source: str
    borrowed: str = ""


PEAKS = Coefficients(
    compute=1.0,
    memory=1.0,
    cache=1.0,
    link=1.0,
    all_reduce_s=0.0,
    layer_s=0.0,
    sequence_s=0.0,
    step_s=0.0,
    link_per_memory=math.inf,
    error=math.nan,
    source="the peaks that the catalogue states",
)
"""Every share 1 and no overhead. A link that is not stated takes no time, so that a limit stays a limit."""


@dataclass(frozen=True)
class Fitted:
    """A row of the table: coefficients, and the peaks of the accelerator that they are shares of.

    span:           largest over smallest weights per device of what was fitted.
    kin_error:      median relative error of predicting an accelerator by its nearest kin of the same vendor.
    stranger_error: the same by the nearest of another vendor.
    """

    accelerator: str
    vendor: str
    framework: str
    memory_gb_per_s: float
    bf16_dense_tflops: float
    span: float
    kin_error: float
    stranger_error: float
    coefficients: Coefficients

    @property
    def trusted(self) -> bool:
        """Whether others may borrow from it."""
        return self.coefficients.error <= TRUSTED_ERROR and self.span >= TRUSTED_SPAN


@functools.cache
def table() -> tuple[Fitted, ...]:
    """What has been fitted, in the order of `data/coefficients.csv`."""
    text = importlib.resources.files("holdfast.performance").joinpath("data", "coefficients.csv").read_text("utf-8")
    return tuple(_fitted(row) for row in csv.DictReader(line for line in text.splitlines() if line[0] != "#"))


def of(device: Accelerator, framework: str | None = None) -> Coefficients:
    """The coefficients of an accelerator under a framework, else of its nearest kin, and then marked so.

    Raises InputError where the catalogue states no memory bandwidth or FLOP/s of the accelerator.
    """
    memory_gb_per_s, tflops = peaks(device)
    wanted = (framework or DEFAULT_FRAMEWORK).lower()
    rows = [row for row in table() if row.framework == wanted]
    if not rows:
        instead = of(device)
        return replace(instead, source=f"{instead.source} (nothing was measured under {wanted})")
    for row in rows:
        if row.accelerator == device.name:
            return replace(row.coefficients, source=f"{device.name} under {wanted}: {row.coefficients.source}")
    return borrow(kin(rows, device.vendor, memory_gb_per_s, tflops), device)


def kin(rows: Sequence[Fitted], vendor: str, memory_gb_per_s: float, bf16_dense_tflops: float) -> Fitted:
    """The row nearest to an accelerator with these peaks, by the rule at the top."""
    trusted = [row for row in rows if row.trusted]
    alike = [row for row in trusted if row.vendor == vendor] or trusted
    return min(
        alike,
        key=lambda row: (
            abs(math.log(row.memory_gb_per_s / memory_gb_per_s))
            + abs(math.log(row.bf16_dense_tflops / bf16_dense_tflops))
        ),
    )


def borrow(row: Fitted, borrower: Accelerator) -> Coefficients:
    """A row's coefficients for an accelerator that has none, with the wider error and where they come from."""
    wider = row.kin_error if row.vendor == borrower.vendor else row.stranger_error
    return replace(
        row.coefficients,
        error=max(wider, row.coefficients.error),
        source=f"{row.accelerator} under {row.framework}: {row.coefficients.source}; {borrower.name} was not measured, "
        "and it is the nearest kin",
        borrowed=row.accelerator,
    )


def peaks(device: Accelerator) -> tuple[float, float]:
    """Memory bandwidth in 1e9 bytes/s and dense bf16 in 1e12 FLOP/s. Raises InputError where one is not stated."""
    if device.memory_gb_per_s is None or device.bf16_dense_tflops is None:
        raise InputError(
            f"no source states the memory bandwidth and the FLOP/s of {device.name}",
            mend="its speed cannot be estimated; measure it with holdfast limit",
        )
    return device.memory_gb_per_s, device.bf16_dense_tflops


def _fitted(row: dict[str, str]) -> Fitted:
    memory_gb_per_s = float(row["memory_gb_per_s"])
    return Fitted(
        accelerator=row["accelerator"],
        vendor=row["vendor"],
        framework=row["framework"],
        memory_gb_per_s=memory_gb_per_s,
        bf16_dense_tflops=float(row["bf16_dense_tflops"]),
        span=float(row["span"]),
        kin_error=float(row["kin_error"]),
        stranger_error=float(row["stranger_error"]),
        coefficients=Coefficients(
            compute=float(row["compute"]),
            memory=float(row["memory"]),
            cache=float(row["cache"]),
            link=float(row["link"]),
            all_reduce_s=float(row["all_reduce_s"]),
            layer_s=float(row["layer_s"]),
            sequence_s=float(row["sequence_s"]),
            step_s=float(row["step_s"]),
            link_per_memory=float(row["link_gb_per_s"]) / memory_gb_per_s,
            error=float(row["error"]),
            source=row["source"],
        ),
    )
