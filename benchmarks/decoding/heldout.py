"""What is held out, and how far the predictions of it are off."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.decoding.measured import Row

from holdfast.performance import coefficients, fitting
from holdfast.performance.coefficients import Coefficients, Fitted

LEAST_ROWS = 8
"""Fewer rows than this in the fitted half, and the other is not predicted."""

Group = tuple[str, str]


@dataclass(frozen=True)
class Predicted:
    """A held-out row, its decode step in seconds as measured and as predicted, and the same of its whole time.

    whole_*: of the batch with its prefill, where that is what was measured; else the step again.
    """

    row: Row
    step_s: float
    predicted_s: float
    whole_predicted_s: float

    @property
    def error(self) -> float:
        return abs(self.predicted_s / self.step_s - 1)

    @property
    def whole_error(self) -> float:
        return abs(self.whole_predicted_s / self.row.elapsed_s - 1)


SPLITS: dict[str, Callable[[Row], float]] = {
    "batch": lambda row: row.batch,
    "length": lambda row: row.input_tokens,
    "model": lambda row: row.model.parameters,
}
"""What the halves are made by: every other value of it is one half, the rest the other; each predicts the other."""


def of_group(rows: Sequence[Row], compute: float | None, source: str = "") -> Coefficients:
    """The coefficients fitted on these rows of one accelerator under one engine."""
    device = rows[0].accelerator
    assert device.memory_gb_per_s is not None
    link = (device.link_gb_per_s or 0) / device.memory_gb_per_s
    return fitting.fit([row.sample() for row in rows], compute=compute, link_per_memory=link, source=source)


def halves(rows: Sequence[Row], compute: float | None, split: str) -> Iterator[Predicted]:
    """Each half of one group as the other predicts it."""
    by = SPLITS[split]
    values = sorted({by(row) for row in rows})
    for half in (0, 1):
        fitted = [row for row in rows if values.index(by(row)) % 2 == half]
        held = [row for row in rows if values.index(by(row)) % 2 != half]
        yield from _predict(fitted, held, compute)


def more_devices(rows: Sequence[Row], compute: float | None) -> Iterator[Predicted]:
    """4 and 8 devices as 1 and 2 predict them."""
    yield from _predict([r for r in rows if r.devices <= 2], [r for r in rows if r.devices > 2], compute)


def by_kin(
    groups: Mapping[Group, Sequence[Row]], fitted: Sequence[Fitted], *, stranger: bool = False
) -> dict[Group, list[Predicted]]:
    """Each accelerator that can be predicted by its own rows, predicted by its nearest kin of the same vendor instead.

    `stranger`: by the nearest of another vendor.
    """
    found = {}
    for mine in fitted:
        others = [
            row
            for row in fitted
            if row.trusted and row.framework == mine.framework and row.accelerator != mine.accelerator
            and (row.vendor != mine.vendor) == stranger
        ]  # fmt: skip
        if others and mine.coefficients.error <= coefficients.TRUSTED_ERROR:
            kin = coefficients.kin(others, mine.vendor, mine.memory_gb_per_s, mine.bf16_dense_tflops)
            group = (mine.accelerator, mine.framework)
            found[group] = list(_with(kin.coefficients, groups[group], measured=mine.coefficients.compute))
    return found


def median_error(found: Sequence[Predicted]) -> float | None:
    return statistics.median(one.error for one in found) if found else None


def _predict(fitted: Sequence[Row], held: Sequence[Row], compute: float | None) -> Iterator[Predicted]:
    if len(fitted) >= LEAST_ROWS and held:
        given = of_group(fitted, compute)
        yield from _with(given, held, measured=given.compute)


def _with(given: Coefficients, rows: Sequence[Row], *, measured: float) -> Iterator[Predicted]:
    """The rows as these coefficients predict them; `measured` is the share of compute that takes the prefill off.

    A row whose prefill alone takes longer than all that was measured has no decode step to predict.
    """
    for row in rows:
        sample = row.sample()
        step_s, predicted_s = sample.step_s(measured), fitting.predicted_s(sample, given)
        if step_s > 0:
            whole_s = predicted_s * sample.steps + sample.prefill_peak_s / given.compute
            yield Predicted(row, step_s, predicted_s, whole_s)
