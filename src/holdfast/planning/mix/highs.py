"""Linear and mixed-integer programs for HiGHS: the one place that speaks to it.

HiGHS: Huangfu & Hall (2018), doi:10.1007/s12532-017-0130-5.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import highspy
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOLERANCE = 1e-9
"""What a row may lack: limits are products of floats, and 3 x 0.1 is not 0.3. Rows are scaled to be about 1."""

FEASIBLE = 1e-6
"""What the solver may lack on top of that, HiGHS's default for whole-number programs: a mix carries its demand to a
millionth. Tighter is no better: at 1e-9 and 1e-7 HiGHS 1.15.1 prunes the optimum of some small programs, which property
tests found and its issue 3258 explains (a bound of some 1e-10 that is taken at its word)."""

_FEW = 120
"""Whole-number columns up to which a program's own tree is quicker than programs within it: see `_IN_SMALL_ONES`."""

_NODES = 500
"""Of that tree, after which the program is begun anew with all that HiGHS has: where counts go into the hundred
thousands, the tree alone finds no good mix."""

_IN_SMALL_ONES: dict[str, float | bool] = {
    "mip_max_nodes": _NODES,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_allow_restart": False,
}
"""Without the searches for a solution that solve programs of their own, and without starting anew at the root, programs
with few whole columns are done in a third of the time: 30 of benchmarks/mix.py in 0.75 s for 2.0 s (highspy 1.15.1). In
large ones, such as a period of 40 units in 3 zones with starts to pay, no solution is found without them."""


@dataclass
class Program:
    """A program under construction: minimise cost x values, rows and columns within their bounds.

    Columns and rows are added by blocks; both calls give the indices that the block was given.
    """

    _columns: list[tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]] = field(default_factory=list)
    _rows: list[tuple[Floats, Floats]] = field(default_factory=list)
    _entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    column_count: int = 0
    whole_count: int = 0
    row_count: int = 0

    def columns(
        self,
        count: int,
        *,
        cost: Floats | float = 0.0,
        lower: Floats | float = 0.0,
        upper: Floats | float = math.inf,
        integer: bool = False,
    ) -> Ints:
        """Adds `count` columns."""
        self._columns.append((_full(cost, count), _full(lower, count), _full(upper, count), np.full(count, integer)))
        self.column_count += count
        self.whole_count += count if integer else 0
        return np.arange(self.column_count - count, self.column_count)

    def rows(
        self,
        count: int,
        *terms: tuple[Ints | Sequence[int] | int, Ints, Floats | float],
        lower: Floats | float = -math.inf,
        upper: Floats | float = math.inf,
    ) -> Ints:
        """Adds `count` rows. A term is (row within the block, column, coefficient), arrays that broadcast."""
        for row, column, value in terms:
            at, to, what = np.broadcast_arrays(np.asarray(row) + self.row_count, column, value)
            self._entries.append((at.ravel().astype(np.int64), to.ravel().astype(np.int64), what.ravel().astype(float)))
        self._rows.append((_full(lower, count), _full(upper, count)))
        self.row_count += count
        return np.arange(self.row_count - count, self.row_count)

    def compiled(self, *, relaxed: bool) -> highspy.HighsLp:
        """The program in HiGHS's arrays, its matrix by rows; without integrality when `relaxed`."""
        cost, lower, upper, integer = (np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        row_lower, row_upper = (np.concatenate(parts) for parts in zip(*self._rows, strict=True))
        row, column, value = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        order = np.argsort(row, kind="stable")
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.column_count, self.row_count
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
        lp.row_lower_, lp.row_upper_ = row_lower, row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.searchsorted(row[order], np.arange(self.row_count + 1)).astype(np.int32)
        lp.a_matrix_.index_ = column[order].astype(np.int32)
        lp.a_matrix_.value_ = value[order]
        if not relaxed:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(whole)] for whole in integer]
        return lp


class Status(enum.Enum):
    """SOLVED: to the gap that was asked for. STOPPED: by the time limit, with a solution. NOTHING: without one."""

    SOLVED = "solved"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Solution:
    """Values of the columns, and what is proved of the objective: no solution is below `bound`.

    row_worth: of a relaxed program, what one unit of a row's bound is worth (HiGHS's duals); empty otherwise.
    seconds:   that the solver ran.
    """

    status: Status
    values: Floats
    objective: float
    bound: float
    row_worth: Floats
    seconds: float

    @property
    def found(self) -> bool:
        return self.status in (Status.SOLVED, Status.STOPPED)


def solve(
    program: Program,
    *,
    relaxed: bool = False,
    gap: float = 0.0,
    gap_usd: float = 0.0,
    time_limit_s: float = 10.0,
    start: Floats | None = None,
) -> Solution:
    """The least-cost solution, to a relative gap of 0..1, or one in US dollars, or until the time is up.

    start: a solution to begin with; of continuous columns any value will do.

    Small programs are begun twice (see `_NODES`); what the first time found and proved is kept. One thread and a fixed
    seed: the same program has the same solution, and nothing outlives the call.
    """
    options: dict[str, float | bool] = {
        "threads": 1,
        "random_seed": 0,
        "mip_rel_gap": gap,
        "mip_abs_gap": max(gap_usd, 1e-6),
        "mip_feasibility_tolerance": FEASIBLE,
    }
    left_s, spent_s, first = max(time_limit_s, 0.01), 0.0, None
    if not relaxed and program.whole_count <= _FEW:
        solver = _run(program, {**options, **_IN_SMALL_ONES, "time_limit": left_s}, relaxed, start)
        spent_s = solver.getRunTime()
        first = _solution(solver, relaxed, spent_s)
        if solver.getModelStatus() != highspy.HighsModelStatus.kSolutionLimit:
            return first
        start = first.values if first.found else start
    solver = _run(program, {**options, "time_limit": max(left_s - spent_s, 0.01)}, relaxed, start)
    found = _solution(solver, relaxed, spent_s + solver.getRunTime())
    if first is None or not first.found:
        return found
    if found.status is Status.NOTHING:
        return replace(first, seconds=found.seconds)
    return replace(found, bound=min(max(found.bound, first.bound), found.objective))


def _run(program: Program, options: Mapping[str, float | bool], relaxed: bool, start: Floats | None) -> highspy.Highs:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    for name, value in options.items():
        solver.setOptionValue(name, value)
    solver.passModel(program.compiled(relaxed=relaxed))
    if start is not None:
        given = highspy.HighsSolution()
        given.col_value = start.tolist()
        solver.setSolution(given)
    solver.run()
    return solver


def _solution(solver: highspy.Highs, relaxed: bool, seconds: float) -> Solution:
    status, info = solver.getModelStatus(), solver.getInfo()
    nothing = np.empty(0)
    if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
        return Solution(Status.INFEASIBLE, nothing, math.inf, math.inf, nothing, seconds)
    if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
        return Solution(Status.NOTHING, nothing, math.inf, -math.inf, nothing, seconds)
    solved = status == highspy.HighsModelStatus.kOptimal
    found = solver.getSolution()
    if not relaxed:
        bound = min(info.mip_dual_bound, info.objective_function_value)
    else:
        bound = info.objective_function_value if solved else -math.inf
    return Solution(
        status=Status.SOLVED if solved else Status.STOPPED,
        values=np.array(found.col_value),
        objective=info.objective_function_value,
        bound=bound,
        row_worth=np.array(found.row_dual) if relaxed else nothing,
        seconds=seconds,
    )


def _full(value: Floats | float, count: int) -> Floats:
    return np.broadcast_to(np.asarray(value, dtype=float), (count,)).copy()
