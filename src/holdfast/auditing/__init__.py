"""Are these numbers possible? Checks on measurement files, run directories and plans.

measurements  every check on rows      runs         a run's stages against its requests      plans   all on plans
plan_shape    what sums need           plan_sums    weights, traffic, cost     plan_capacity  demand, losses, quotas
plan_scaling  autoscaling targets      plan_tables  tables that repeat the plan
littles_law   in flight, and what clients can offer     latencies    order of percentiles, means, samples
physics       what no hardware can do                   limits       rows held against it, and memory
reach         what no measured server comes near
hardware      parallelism that fits, idle devices       equipment    what the catalogue knows of a row
tokens        counted alike                             derived      columns that follow from others
prices        against the catalogue                     captions     what a table says of its rows
levels        warm-up, plateau, equal units             held         against an SLO
recount       a stage's figures from its requests       rounding     what printed digits leave open
unit_errors   which mix-up explains a factor

A check is a plain function from values to `model.findings.Checked`, with its formula and source in its docstring.
"""

from holdfast.auditing.measurements import audit_measurements, audit_rows
from holdfast.auditing.plans import audit_plan
from holdfast.auditing.runs import RunFigures, audit_run

__all__ = ["RunFigures", "audit_measurements", "audit_plan", "audit_rows", "audit_run"]
