"""The best set by branch and bound (HiGHS), for small queues or a small part of a queue."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.extras import extra
from sycee.netting.queue import Chosen, Queue
from sycee.netting.solver import quiet_solver

with extra("clearing"):
    import highspy

NODES_MAX: Final = 2_000  # of the search tree: a number and no time, so that the answer does not depend on the machine


def solve(queue: Queue, start: Chosen, free: NDArray[np.int64], *, nodes: int = NODES_MAX) -> tuple[Chosen, bool]:
    """Return the best set found in which only the payments `free` differ from the set `start`, feasible or not.

    Returns
    -------
    tuple[bool [payments], bool]
        The set, which is `start` if no better one was found, and whether the solver proved that none is better. The
        solver calculates in floating point: the set is checked in integers, the proof is the solver's claim.

    """
    if not len(free):
        return start, True
    room = queue.limits - queue.outflows(start)
    is_feasible = not np.any(room < 0)
    is_free = np.zeros(queue.count, np.bool_)
    is_free[free] = True
    place = np.cumsum(is_free) - 1
    legs = np.flatnonzero(is_free[queue.payments])
    room = room + queue.outflows(start & is_free)
    amounts = queue.amounts[legs].astype(float)
    scale = float(np.median(amounts))
    columns = np.repeat(place[queue.payments[legs]], 2)
    rows = np.column_stack([queue.senders[legs], queue.receivers[legs]]).ravel()
    values = np.column_stack([amounts, -amounts]).ravel() / scale
    keys, places = np.unique(columns * queue.nodes + rows, return_inverse=True)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(free), queue.nodes
    lp.sense_ = highspy.ObjSense.kMaximize
    chosen_free = np.flatnonzero(is_free)
    lp.col_cost_ = queue.weights[chosen_free] / scale
    lp.col_lower_, lp.col_upper_ = np.zeros(len(free)), np.ones(len(free))
    lp.row_lower_ = np.full(queue.nodes, -highspy.kHighsInf)
    lp.row_upper_ = room / scale
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(free)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.searchsorted(keys // queue.nodes, np.arange(len(free) + 1)).astype(np.int32)
    lp.a_matrix_.index_ = (keys % queue.nodes).astype(np.int32)
    lp.a_matrix_.value_ = np.bincount(places, values, len(keys)).astype(np.float64)
    solver = quiet_solver()
    solver.setOptionValue("mip_max_nodes", nodes)
    solver.setOptionValue("mip_rel_gap", 0.0)
    solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
    solver.passModel(lp)
    warm = highspy.HighsSolution()
    warm.col_value = start[chosen_free].astype(float)
    solver.setSolution(warm)
    solver.run()
    proven = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    values = np.asarray(solver.getSolution().col_value)
    if len(values) != len(free):
        return start, False
    found = start.copy()
    found[chosen_free] = values > 0.5
    if np.any(queue.outflows(found) > queue.limits):  # floating point let a set through that integers do not
        return start, False
    is_better = not is_feasible or queue.value(found) > queue.value(start)
    return (found if is_better else start), proven
