"""Verification of a booked set: its certificate, its rows in SQL and the movements of the ledger say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sycee.clearing import certificate
from sycee.clearing.certificate import Certificate
from sycee.clearing.house import Position
from sycee.clearing.set_rows import Set, settle_id
from sycee.clearing.waiting import Nodes, Waiting, legs_of
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.limits import PLACE_INDEX_BITS
from sycee.core.result_codes import Result
from sycee.ledger.state import LedgerState


def verify(
    state: LedgerState, found: Set, made: Certificate, payments: Waiting, records: Array, positions: Sequence[Position]
) -> dict[str, Any]:
    """Check a booked set, and return the header of its certificate.

    `payments`, `records`: of the set as stored. Checked are: the certificate itself, with its bound; positions and
    lines at its frame; the chosen rows are the payments of the set; and the movements of its SETTLE are the records, in
    order. Raises IntegrityError for the first difference.
    """
    header = certificate.check(made)
    name = f"the set {ids.format(found.id)}"
    require(header["batch"] == found.batch and header["frame"] == found.frame, f"{name} has another certificate")
    _check_positions(state, header, positions, name)
    _check_chosen(header, made, payments, positions, name)
    _check_movements(state, found, records, name)
    return header


def _check_positions(state: LedgerState, header: Mapping[str, Any], positions: Sequence[Position], name: str) -> None:
    """Require that each position and its line had what the certificate says after its frame.

    The state has the floors and blocks of now alone: `journal_verification` compares those of that frame.
    """
    movements = state.movements.view(np.ndarray)
    end = int(np.searchsorted(movements["place"], np.uint64(header["frame"] + 1 << PLACE_INDEX_BITS)))
    before, lines = movements[:end], {each.account: each.line for each in positions}
    for node in header["nodes"]:
        account, line = int(node["account"], 16), int(node["line"], 16)
        if not account:
            continue  # a limit
        had = _balance(before, state.row(account))
        require(had == node["position"], f"{name}: {node['name']} had {had} then, not {node['position']}")
        require(line == lines.get(account), f"{name}: {node['name']} has another line than its certificate says")
        left = _balance(before, state.row(line))  # of which nothing can be drawn while its debits are blocked
        require(node["credit"] in (0, left), f"{name}: {node['name']} had {left} on its line, not {node['credit']}")


def _balance(before: Array, row: int) -> int:
    """Return the balance of an account after the last of these movements."""
    mine = np.flatnonzero((before["debit_row"] == row) | (before["credit_row"] == row))
    if not mine.size:
        return 0
    last = before[mine[-1]]
    return int(last["debit_balance"] if int(last["debit_row"]) == row else last["credit_balance"])


def _check_chosen(
    header: Mapping[str, Any], made: Certificate, payments: Waiting, positions: Sequence[Position], name: str
) -> None:
    """Require that the legs chosen between positions are those of the set's payments."""
    accounts = [int(node["account"], 16) for node in header["nodes"]]
    is_position = np.array([account > 0 for account in accounts])
    rows = made.rows[(made.rows["chosen"] == 1) & is_position[made.rows["sender"]]]
    legs = legs_of(payments, Nodes.of_positions(positions))
    own = np.array([each.account for each in positions], object)
    of = np.array(accounts, object)
    require(
        rows.size == legs.payments.size
        and rows["uetr"].tobytes() == payments.uetrs[legs.payments].tobytes()
        and np.array_equal(rows["amount"].astype(np.int64), legs.amounts)
        and _same(of[rows["sender"]], own[legs.senders])
        and _same(of[rows["receiver"]], own[legs.receivers]),
        f"{name}: other payments were booked than the certificate chose",
    )


def _check_movements(state: LedgerState, found: Set, records: Array, name: str) -> None:
    """Require that the movements of the SETTLE are the staged records, in order."""
    bound = state.bound_of(settle_id(found))
    is_settled = bound is not None and int(bound["result"]) == Result.CREATED
    require(is_settled, f"{name} is not settled on the ledger")
    assert bound is not None
    first, count = int(bound["first_movement"]) - 1, int(bound["movements"])
    moved = state.movements.view(np.ndarray)[first : first + count]
    require(
        count == records.size == found.records
        and np.array_equal(moved["amount"], records["amount"])
        and all(np.array_equal(moved[f"{side}_row"], state.rows(_ids(records, side))) for side in ("debit", "credit")),
        f"{name}: the ledger moved other money than the set has",
    )


def _ids(records: Array, side: str) -> Array:
    made = np.empty(records.size, ids.ID)
    made["low"], made["high"] = records[f"{side}_low"], records[f"{side}_high"]
    return made


def _same(one: Array, other: Array) -> bool:
    return bool(one.tolist() == other.tolist())
