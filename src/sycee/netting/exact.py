"""Branch and bound (HiGHS): payments that are decided whole, beside others that may still settle in part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.extras import extra
from sycee.netting.queue import Chosen, Indexes, Queue
from sycee.netting.relaxation import matrix
from sycee.netting.solver import quiet_solver

with extra("clearing"):
    import highspy

NODES_MAX: Final = 2_000  # of the search tree: a number and no time, so that the answer does not depend on the machine
FOREVER: Final = 1e9  # seconds
GAP_MIN: Final = 1e-6  # of the mean weight: the solver calculates in floating point


@dataclass(frozen=True)
class Answer:
    """What the solver found.

    Attributes
    ----------
    chosen : bool [payments], or None
        The payments that settle whole, without those of `partial`; None if the solver found nothing. The solver
        calculates in floating point, so limits may be exceeded.
    shares : float64 [columns]
        Which share of the `partial` payments of each column settles.
    value : float
        Weight of what settles, whole or in part, less penalties.
    bound : float
        The weight that no set exceeds: the solver's claim.
    seconds : float
        Time that the solver needed.
    is_proven, is_stopped : bool
        Whether the solver claims that no set is better, and whether the limit of time stopped it.

    """

    chosen: Chosen | None
    shares: NDArray[np.float64]
    value: float
    bound: float
    seconds: float
    is_proven: bool
    is_stopped: bool


def solve(
    queue: Queue,
    start: Chosen,
    free: NDArray[np.int64],
    *,
    partial: NDArray[np.int64] | None = None,
    columns: Indexes | None = None,
    gap: float = 0.0,
    nodes: int = NODES_MAX,
    seconds: float = FOREVER,
    penalty: float = 0.0,
    is_whole: bool = True,
    is_search: bool = True,
) -> Answer:
    """Search for the best set in which only the payments `free` and `partial` differ from the set `start`.

    Parameters
    ----------
    queue, start
        The payments, and a set: bool [payments]. If it is feasible, the search begins with it.
    free
        Payments that are decided, ascending: int64.
    partial
        Payments that may settle in part for now: int64.
    columns
        The column of each payment, as `relaxation.Relaxation.columns`; needed if there are `partial` payments.
    gap
        End the search when the set is known to be this near the best, in units of weight.
    nodes, seconds
        The most of the search tree, and of the clock.
    penalty
        What one unit above the limit of a node costs, in units of weight; 0: limits hold. Payments outside `free` may
        leave a node without a feasible set, and the solver may find none in time.
    is_whole
        Decide the `free` payments as whole ones. False: they may settle in part too, which needs little time; those
        that settle by more than half are then in the set, which may exceed limits.
    is_search
        Look for sets. False: all effort is for the bound.

    """
    rest = np.empty(0, np.int64) if partial is None else partial
    column_of = np.zeros(queue.count, np.int32) if columns is None else columns
    is_open = np.zeros(queue.count, np.bool_)
    is_open[free], is_open[rest] = True, True
    kept = start & ~is_open
    kinds, example, inverse = np.unique(column_of[rest], return_index=True, return_inverse=True)
    both = np.concatenate([free, rest[example]])
    legs, ends = queue.first_legs, np.append(queue.first_legs[1:], len(queue.amounts))
    sums = np.bincount(inverse, queue.amounts[legs[rest]].astype(float), len(kinds))
    worth = np.bincount(inverse, queue.weights[rest].astype(float), len(kinds))
    scale = float(np.median(queue.amounts[legs[both]])) if len(both) else 1.0
    unit = float(queue.weights[both].mean()) if len(both) else 1.0
    solver = model(
        matrix(queue, legs[both], ends[both]),
        # A binary column counts payments, a continuous one units of money.
        np.concatenate([queue.amounts[legs[free]] / scale, np.ones(len(kinds))]),
        np.concatenate([queue.weights[free] / unit, worth / np.maximum(sums, 1.0) * scale / unit]),
        np.concatenate([np.ones(len(free)), sums / scale]),
        len(free) if is_whole else 0,
        (queue.limits - queue.outflows(kept)) / scale,
        penalty * scale / unit,
    )
    for name, value in (
        ("mip_max_nodes", nodes),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", max(gap / unit, GAP_MIN)),
        ("mip_feasibility_tolerance", 1e-9),
        ("time_limit", max(seconds, 0.01)),
    ):
        solver.setOptionValue(name, value)
    if not is_search:
        solver.setOptionValue("mip_heuristic_effort", 0.0)
        for name in ("rins", "rens", "root_reduced_cost", "feasibility_jump"):
            solver.setOptionValue(f"mip_heuristic_run_{name}", False)
    if not np.any(queue.outflows(start) > queue.limits):
        warm = highspy.HighsSolution()
        settled = np.bincount(inverse, (queue.amounts[legs[rest]] * start[rest]).astype(float), len(kinds))
        above = np.zeros(queue.nodes if penalty > 0.0 else 0)
        warm.col_value = np.concatenate([start[free].astype(float), settled / scale, above])
        solver.setSolution(warm)
    solver.run()
    status, values = solver.getModelStatus(), np.asarray(solver.getSolution().col_value)
    shares = np.zeros(int(column_of.max(initial=-1)) + 1)
    found = None
    if solver.getSolution().value_valid and len(values):
        found = kept.copy()
        found[free] = values[: len(free)] > 0.5
        shares[kinds] = np.clip(values[len(free) : len(both)] * scale / np.maximum(sums, 1.0), 0.0, 1.0)
    info = solver.getInfo()
    value = queue.value(kept) + float(info.objective_function_value) * unit
    bound = queue.value(kept) + float(info.mip_dual_bound) * unit if is_whole else value
    is_proven = status == highspy.HighsModelStatus.kOptimal and not gap
    is_stopped = status == highspy.HighsModelStatus.kTimeLimit
    return Answer(found, shares, value, bound, float(solver.getRunTime()), is_proven, is_stopped)


def model(
    columns: tuple[NDArray[np.int32], Indexes, NDArray[np.float64]],
    measure: NDArray[np.float64],
    worth: NDArray[np.float64],
    upper: NDArray[np.float64],
    binaries: int,
    slack: NDArray[np.float64],
    penalty: float,
) -> Any:
    """Return a solver with a programme of `columns`, from `relaxation.matrix`, and the `slack` of each node.

    `measure` are the units of money of one unit of each column, `worth` its weight, `upper` its maximum. The first
    `binaries` columns are 0 or 1. With a penalty each node has one more column: the units above its slack.
    """
    starts, index, value = columns
    value = value * np.repeat(measure, np.diff(starts))
    nodes = len(slack)
    if penalty > 0.0:
        worth, upper = np.append(worth, np.full(nodes, -penalty)), np.append(upper, np.full(nodes, highspy.kHighsInf))
        starts = np.append(starts, starts[-1] + 1 + np.arange(nodes, dtype=np.int32))
        index, value = np.append(index, np.arange(nodes, dtype=np.int32)), np.append(value, np.full(nodes, -1.0))
    count = len(worth)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, nodes
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = worth, np.zeros(count), upper
    lp.row_lower_, lp.row_upper_ = np.full(nodes, -highspy.kHighsInf), slack
    kinds = highspy.HighsVarType
    if binaries:
        lp.integrality_ = [kinds.kInteger] * binaries + [kinds.kContinuous] * (count - binaries)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = starts, index
    lp.a_matrix_.value_ = value
    solver = quiet_solver()
    solver.passModel(lp)
    return solver
