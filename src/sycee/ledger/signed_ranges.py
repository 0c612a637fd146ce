"""Frames whose envelopes each cover payments from one account, or members or drops of one programme.

The fast path of `authority.authorise` for them: one check for each envelope instead of one for each operation. Their
signers follow from an account that exists before the frame, whatever else the frame contains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.records.layout import LINKED, OPERATION, AccountKind, Kind
from sycee.core.records.operation_table import TABLE, Authority, Subject
from sycee.ledger.signatures import Signers

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

_OF_PROGRAMMES: Final = (Kind.ADD_MEMBERS, Kind.DROP)
_HEAD: Final = 4  # number of the 32-bit word of `kind` and `flags`
_DEBIT: Final = 4  # number of the first 64-bit word of `debit`
RANGES_MAX: Final = 8  # envelopes of a frame that are examined one by one

# Kinds that the owner of `debit` signs, indexed by any u16: an unknown kind is not one of them.
OWNER_SIGNS: Final = np.zeros(1 << 16, np.bool_)
for _kind, _row in TABLE.items():
    OWNER_SIGNS[_kind] = _row.authority == Authority.OWNER and _row.subject == Subject.DEBIT


def signed_by_owners(state: LedgerState, operations: Array, envelopes: Array, signers: Signers) -> bool:
    """Return whether each operation of a frame has exactly one valid envelope, in order, by the signer it needs.

    False also for more than 8 envelopes and for other records. `operations`, (n,) layout.OPERATION, are a whole frame,
    and `state` the state before it. envelopes: (m,) envelopes.ENVELOPE; signers: of these envelopes.
    """
    if not 0 < envelopes.size <= RANGES_MAX or signers.code.any():  # CREATED is 0
        return False
    firsts = envelopes["first"].tolist()
    ranges = list(zip(firsts, [*firsts[1:], operations.size], strict=True))
    if firsts[0] or envelopes["count"].tolist() != [end - first for first, end in ranges]:
        return False
    return all(
        _may_sign_all(state, operations[first:end], signers, number) for number, (first, end) in enumerate(ranges)
    )


def _may_sign_all(state: LedgerState, records: Array, signers: Signers, number: int) -> bool:
    """Return whether the signer of envelope `number` may sign all `records`, the range of this envelope.

    False for linked records, for records that are neither payments from one account nor members or drops of one
    programme, and if that account or programme does not exist before the frame.
    """
    first = records[0]
    kind = int(first["kind"])
    # In most ranges all records have the kind and the flags of the first, which one comparison shows.
    heads = records.view(np.uint32).reshape(records.size, -1)[:, _HEAD]
    alike = first if records.size == 1 or (heads == heads[0]).all() else records
    if np.any(alike["flags"] & LINKED):
        return False
    if kind in _OF_PROGRAMMES:
        row, equal = int(state.programme_funder(int(first["number"]))), records["number"] == first["number"]
        equal &= records["kind"] == kind
    elif np.all(OWNER_SIGNS[alike["kind"]]):
        row, debits = int(state.row(ids.of_record(first, "debit"))), records.view(np.uint64).reshape(records.size, -1)
        equal = debits[:, _DEBIT : _DEBIT + 2] == debits[0, _DEBIT : _DEBIT + 2]
    else:
        return False
    if row < 0 or not equal.all():
        return False
    account = state.tables.accounts[row]
    if kind != Kind.ADD_MEMBERS:  # money of the account moves
        if account["kind"] == AccountKind.ISSUANCE:
            return False
        if account["key"]:
            return int(signers.row[number]) == row
    person = int(signers.person[number])
    return person >= 0 and int(account["operator"]) in signers.people[person].operators


assert OPERATION.fields
assert (OPERATION.fields["kind"][1], OPERATION.fields["flags"][1]) == (4 * _HEAD, 4 * _HEAD + 2)
assert (OPERATION.fields["debit_low"][1], OPERATION.fields["debit_high"][1]) == (8 * _DEBIT, 8 * _DEBIT + 8)
