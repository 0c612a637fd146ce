"""From the relaxation to nearly whole payments: fix the largest partial payments, solve again, until none is partial.

A solved programme has at most one partial payment for each node. Each time, the largest are fixed to the nearer of all
and nothing, and the solver goes on from its last answer. The small ones are decided last and make good what the large
ones missed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee.core.extras import extra
from sycee.netting.queue import Chosen, Queue
from sycee.netting.solver import quiet_solver

with extra("clearing"):
    import highspy

PARTIAL: Final = 1e-7  # a share this far from 0 and 1 is partial
AT_ONCE: Final = 4  # payments that are fixed between two solutions


def dive(queue: Queue, *, steps: int) -> Chosen:
    """Return whole payments after at most `steps` solutions: bool [payments].

    The set may exceed a limit by little, as rounding at the end and floating point leave it.
    """
    solver, count = _programme(queue), queue.count
    solver.run()
    amounts = queue.amounts[queue.first_legs]
    shares = np.asarray(solver.getSolution().col_value)
    for _ in range(steps):
        partial = np.flatnonzero((shares > PARTIAL) & (shares < 1 - PARTIAL))
        if not len(partial):
            break
        largest = partial[np.argsort(-amounts[partial], kind="stable")[:AT_ONCE]]
        if not _fix(solver, largest, np.rint(shares[largest])) and not _fix(solver, largest, np.zeros(len(largest))):
            break
        shares = np.asarray(solver.getSolution().col_value)
        if len(shares) != count:
            break
    return shares > 0.5


def _fix(solver: Any, payments: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> bool:
    """Fix payments to values and solve again; return whether that has a solution."""
    solver.changeColsBounds(len(payments), payments.astype(np.int32), values, values)
    solver.run()
    return bool(solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)


def _programme(queue: Queue) -> Any:
    """Return a solver with one column for each payment."""
    scale = float(queue.amounts.mean())
    keys = queue.payments.astype(np.int64) * queue.nodes
    keys = np.concatenate([keys + queue.senders, keys + queue.receivers])
    entries, places = np.unique(keys, return_inverse=True)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = queue.count, queue.nodes
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.col_cost_ = queue.weights / float(queue.weights.mean())
    lp.col_lower_, lp.col_upper_ = np.zeros(queue.count), np.ones(queue.count)
    lp.row_lower_ = np.full(queue.nodes, -highspy.kHighsInf)
    lp.row_upper_ = queue.limits / scale
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.searchsorted(entries // queue.nodes, np.arange(queue.count + 1)).astype(np.int32)
    lp.a_matrix_.index_ = (entries % queue.nodes).astype(np.int32)
    values = np.bincount(places, np.concatenate([queue.amounts, -queue.amounts]) / scale, len(entries))
    lp.a_matrix_.value_ = values.astype(np.float64)
    solver = quiet_solver()
    solver.setOptionValue("presolve", "off")
    solver.passModel(lp)
    return solver
