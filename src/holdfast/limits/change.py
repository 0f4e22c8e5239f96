"""How one figure of a run differs from that of another."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.limits.estimates import Estimate
from holdfast.model.comparison import Metric

RUN_TO_RUN = 0.005
"""Least standard error of a change, as a share: two runs of one server differ by about so much for reasons that do not
vary within a run (clock rates, neighbours, where memory lies), and that no interval made of one run can see."""


@dataclass(frozen=True)
class Change:
    """How one metric of a level differs.

    before, after: the figure in each run, NaN where there is none.
    relative: log(after / before); None for shares. absolute: after - before.
    own:      `after`, as a logarithm unless a share.
    why:      why there is no estimate; then all three are None.
    remark:   what is to be said beside an estimate.
    """

    metric: Metric
    before: float
    after: float
    relative: Estimate | None = None
    absolute: Estimate | None = None
    own: Estimate | None = None
    why: str = ""
    remark: str = ""

    @property
    def estimate(self) -> Estimate | None:
        """The one that the metric's change is told by."""
        return self.relative if self.metric.relative else self.absolute
