"""Authority: whether the operations of a frame carry the signatures they need.

docs/reference/authority.md is exact. The first half of this module computes whose signature an operation needs, the
second half who signed it. The check is made once per frame, against the state before it, and can be repeated by anyone
who has the journal: its result is never part of the state. A ledger with fewer than two officers needs no signatures.

An operation may refer to something that another record of the same frame opens or begins. That record then determines
who must sign; where several such records differ, no signature is sufficient in this frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.ids import ID
from sycee.core.records import envelopes as envelope_format
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import LINKED, AccountKind, Kind, Reason
from sycee.core.records.operation_table import TABLE, Authority, Subject
from sycee.core.result_codes import PRECEDENCE, Result
from sycee.ledger import signatures
from sycee.ledger.administration import OFFICERS_MIN, count_officers
from sycee.ledger.kernels import constants
from sycee.ledger.signatures import Signer, Signers
from sycee.ledger.signed_ranges import OWNER_SIGNS, signed_by_owners

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

Envelopes = Array | Sequence[Envelope]

# --- required signatures ---


class Need(IntEnum):
    """Required signer of an operation."""

    NOTHING = 0  # no signature needed
    ANY_SIGNER = 1  # any signer with a grant or a key: the state will refuse the operation
    STAFF = 2  # any officer or operator
    OFFICER = 3
    OPERATOR = 4  # the operator of this number, or an officer
    OWNER_OPERATOR = 5  # the operator of this number: the account has no key
    OWNER_KEY = 6  # the key of the account in this row
    TWO_OFFICERS = 7
    KEY_AND_OPERATOR = 8  # the key of the account in this row, and the operator of this number
    LATER_FRAME = 9  # nobody: the signer depends on other records of the frame; it is known after the frame


class Needs(NamedTuple):
    """Required signers of n operations."""

    need: Array  # (n,) u1 of Need
    operator: Array  # (n,) i8, -1 for none
    row: Array  # (n,) i8: row of the account, -1 for none
    currency: Array  # (n,) i8: officers of this currency may sign as officers; 0: only the board


_ACCOUNT_FIELDS: Final = {Subject.DEBIT: "debit", Subject.CREDIT: "credit", Subject.REFERENCE: "reference"}
# By kind, from its row in the operation table.
_RULE_OF: Final = np.zeros(constants.KINDS, np.uint8)
_SUBJECT_OF: Final = np.zeros(constants.KINDS, np.uint8)
for _kind, _row in TABLE.items():
    _RULE_OF[_kind], _SUBJECT_OF[_kind] = _row.authority, _row.subject

# Accounts that no operator opens alone: one kind creates money, the other kind has an operator's quota.
_OFFICERS_KINDS: Final = (AccountKind.ISSUANCE, AccountKind.VAULT)
# An operator cannot lift blocks for these reasons.
_OFFICERS_REASONS: Final = (Reason.COURT_ORDER, Reason.SANCTIONS)


class Requirement(NamedTuple):
    """Required signer of one or more operations of a frame."""

    need: Need
    operator: int  # -1 for none
    currency: int  # officers of this currency may sign as officers; 0: only the board


def requirements(state: LedgerState, now_ns: int, operations: Array) -> list[Requirement]:
    """Return the distinct required signers of a frame's operations, sorted; none while authority is not on.

    operations: (n,) layout.OPERATION, a whole frame of time `now_ns`; `state` is the state before it.
    """
    fresh = state.resolve(operations)[0]["code"] == constants.PENDING
    if not authority_is_on(state, now_ns):
        return []
    needs = _needs(state, operations, fresh)
    found = zip(needs.need.tolist(), needs.operator.tolist(), needs.currency.tolist(), strict=True)
    return sorted({Requirement(Need(need), operator, currency) for need, operator, currency in found if need})


def _needs(state: LedgerState, operations: Array, fresh: Array) -> Needs:
    """Return the required signers. operations: (n,) layout.OPERATION; fresh: (n,) bool.

    An operation that is not fresh is malformed or bound already; it changes nothing and needs no signature.
    """
    if (payments := _needs_of_payments(state, operations, fresh)) is not None:
        return payments
    kinds = np.where(fresh, operations["kind"], Kind.UPGRADE)
    rules = _RULE_OF[kinds]
    subjects = _Subjects(state, operations, fresh, kinds)
    need = np.zeros(operations.size, np.uint8)
    for rule, plain in ((Authority.TWO_OFFICERS, Need.TWO_OFFICERS), (Authority.OFFICER, Need.OFFICER)):
        need[rules == rule] = plain
    # The ledger itself writes an UPGRADE to newer rules. Any other UPGRADE is refused, which binds its id.
    need[fresh & (rules == Authority.FREE) & (operations["number"] <= state.rules)] = Need.ANY_SIGNER
    administered = (rules >= Authority.ADMINISTRATION) & (rules <= Authority.GUARDED)
    owned = rules >= Authority.OWNER
    need[(rules == Authority.STAFF) | (administered & ~subjects.found)] = Need.STAFF
    need[administered & subjects.found] = Need.OPERATOR
    need[owned & ~subjects.found] = Need.ANY_SIGNER
    need[owned & subjects.found] = Need.OWNER_OPERATOR
    need[owned & subjects.keyed] = Need.OWNER_KEY
    need[(rules == Authority.OWNER_AND_OPERATOR) & subjects.keyed] = Need.KEY_AND_OPERATOR
    issuance = subjects.found & (subjects.kind == AccountKind.ISSUANCE)
    guarded = (rules == Authority.GUARDED) & subjects.found & (subjects.kind == AccountKind.VAULT)
    strict = (subjects.kind == AccountKind.VAULT) | np.isin(operations["first"], _OFFICERS_REASONS)
    need[(kinds == Kind.UNBLOCK_ACCOUNT) & subjects.found & strict] = Need.OFFICER
    # Every debit of an issuance account creates money.
    need[guarded | (issuance & (rules >= Authority.GUARDED))] = Need.TWO_OFFICERS
    opened = rules == Authority.NEW_ACCOUNT
    need[opened] = np.where(np.isin(operations["first"][opened], _OFFICERS_KINDS), Need.TWO_OFFICERS, Need.OPERATOR)
    need[subjects.unclear] = Need.LATER_FRAME
    named = rules == Authority.NAMED_OPERATOR
    need[named] = Need.OPERATOR
    operator = np.where(opened, operations["count"].astype(np.int64), subjects.operator)
    operator = np.where(named, operations["first"].astype(np.int64), operator)
    currency = np.where(opened, operations["number"].astype(np.int64), subjects.currency)
    return Needs(need, operator, subjects.row, currency)


def _needs_of_payments(state: LedgerState, operations: Array, fresh: Array) -> Needs | None:
    """Return the required signers of a frame of payments from existing accounts; None for any other frame.

    This fast path covers most frames. No debited account may be an issuance account.
    """
    if not OWNER_SIGNS[operations["kind"]].all() or not fresh.all():
        return None
    debits = np.empty(operations.size, ID)
    debits["low"], debits["high"] = operations["debit_low"], operations["debit_high"]
    rows = state.rows(debits)
    if rows.size and rows.min() < 0:
        return None
    accounts = state.tables.accounts.view(np.ndarray)[rows]
    if (accounts["kind"] == AccountKind.ISSUANCE).any():
        return None
    need = np.where(accounts["key"] != 0, np.uint8(Need.OWNER_KEY), np.uint8(Need.OWNER_OPERATOR))
    return Needs(need, accounts["operator"].astype(np.int64), rows, accounts["currency"].astype(np.int64))


class _Subjects:
    """Account that determines the signer of each operation: an account of the state, or one opened in the frame."""

    def __init__(self, state: LedgerState, operations: Array, fresh: Array, kinds: Array) -> None:
        size = operations.size
        self._state = state
        self._operations = operations
        self._frame = _FrameRecords(operations, fresh)
        self._ids = np.zeros(size, ID)
        self.row = np.full(size, -1, np.int64)
        self.unclear = np.zeros(size, np.bool_)
        subjects = _SUBJECT_OF[kinds]
        for subject, name in _ACCOUNT_FIELDS.items():
            chosen = subjects == subject
            for half in ("low", "high"):
                self._ids[half][chosen] = operations[f"{name}_{half}"][chosen]
        self._look_up_indirect(subjects)
        named = np.flatnonzero(~ids.is_zero(self._ids))
        if named.size:
            self.row[named] = state.rows(self._ids[named])
        self.found = self.row >= 0
        accounts = state.tables.accounts
        # Row 0 is a placeholder for operations without an account; the table is never of length 0.
        rows = np.where(self.found, self.row, 0)
        self.kind = np.where(self.found, accounts["kind"][rows], 0)
        self.operator = np.where(self.found, accounts["operator"][rows].astype(np.int64), -1)
        self.currency = np.where(self.found, accounts["currency"][rows].astype(np.int64), 0)
        self.keyed = self.found & (accounts["key"][rows] != 0)
        for index in named[~self.found[named]].tolist():
            self._use_opening(index)

    def _look_up_indirect(self, subjects: Array) -> None:
        """Look up the account of kinds that name another operation or a programme."""
        if int(subjects.max(initial=0)) < Subject.PAYEE:
            return
        look_ups = ((Subject.PAYEE, self._payee), (Subject.TRANSIT, self._transit), (Subject.REVERSED, self._reversed))
        for subject, look_up in look_ups:
            for index in np.flatnonzero(subjects == subject).tolist():
                self._set(index, *look_up(ids.of_record(self._operations[index], "reference")))
        programmes = subjects == Subject.FUNDER
        for number in np.unique(self._operations["number"][programmes]).tolist():
            row = int(self._state.programme_funder(number))
            accounts = set() if row >= 0 else self._frame.funders(number)
            self._set(programmes & (self._operations["number"] == number), row, accounts, False)

    def _set(self, where: int | Array, row: int, accounts: set[int], unclear: bool) -> None:
        """Set the account of the operations `where`: its row, or the id that records of the frame name for it."""
        self.row[where] = row
        self.unclear[where] = unclear or len(accounts) > 1
        if len(accounts) == 1:
            self._ids["low"][where], self._ids["high"][where] = ids.split(accounts.pop())

    def _payee(self, original: int) -> tuple[int, set[int], bool]:
        """Return the payee of a PAY, POST or HOLD: (row or -1, ids named in this frame, whether it is unclear)."""
        bound = self._state.bound_of(original)
        if bound is None:
            records = self._frame.records(original)
            payees = {ids.of_record(record, "credit") for record in records if record["kind"] in (Kind.PAY, Kind.HOLD)}
            return -1, payees, any(record["kind"] == Kind.POST for record in records)
        # A hold need not be posted yet: this frame may post it.
        if (hold := self._state.hold(original)) is not None:
            return -1, {hold.payee}, False
        return self._credited_row(bound, (Kind.PAY, Kind.POST)), set(), False

    def _reversed(self, original: int) -> tuple[int, set[int], bool]:
        """Return the account that an operation of an earlier frame paid: (row or -1, no ids, never unclear)."""
        bound = self._state.bound_of(original)
        if bound is None or bound["result"] != Result.CREATED:
            return -1, set(), False
        if (hold := self._state.hold(original)) is not None:
            return self._state.row(hold.payee), set(), False
        return self._credited_row(bound, (Kind.TRANSFER, Kind.PAY, Kind.POST)), set(), False

    def _credited_row(self, bound: np.void, kinds: Sequence[Kind]) -> int:
        """Return the row that a bound operation of one of these kinds credited, -1 for none."""
        if bound["kind"] not in kinds or bound["result"] != Result.CREATED:
            return -1
        return int(self._state.movements[int(bound["first_movement"]) - 1]["credit_row"])

    def _transit(self, begun_by: int) -> tuple[int, set[int], bool]:
        """Return the IN_TRANSIT account of a transit: (-1, ids, whether it is unclear)."""
        transit = self._state.transit_of(begun_by)
        if transit is not None:
            return -1, {transit.through}, False
        records = self._frame.records(begun_by) if self._state.bound_of(begun_by) is None else []
        accounts = {ids.of_record(record, "reference") for record in records if record["kind"] == Kind.SEND}
        return -1, accounts, any(record["kind"] in (Kind.TRANSFER, Kind.PAY, Kind.POST) for record in records)

    def _use_opening(self, index: int) -> None:
        """Read operator, kind and currency of an account from the records of the frame that open it, if they agree."""
        openings = self._frame.openings.get(ids.to_int(self._ids[index]), set())
        if len(openings) > 1:
            self.unclear[index] = True
        for operator, kind, currency in openings:
            self.found[index], self.operator[index], self.kind[index] = True, operator, kind
            self.currency[index] = currency


class _FrameRecords:
    """Indexes of a frame's fresh records, built at first use."""

    def __init__(self, operations: Array, fresh: Array) -> None:
        self._operations, self._fresh = operations, fresh

    @cached_property
    def _records(self) -> Array:
        records: Array = self._operations[self._fresh]
        return records

    @cached_property
    def openings(self) -> dict[int, set[tuple[int, int, int]]]:
        """Return operator, kind and currency in the frame's OPEN_ACCOUNT records, by account id."""
        found: dict[int, set[tuple[int, int, int]]] = {}
        opened = self._records[self._records["kind"] == Kind.OPEN_ACCOUNT]
        values = zip(*(opened[name].tolist() for name in ("count", "first", "number")), strict=True)
        for account, value in zip(ids.of_records(opened, "debit"), values, strict=True):
            found.setdefault(account, set()).add(value)
        return found

    @cached_property
    def _by_id(self) -> dict[int, list[np.void]]:
        found: dict[int, list[np.void]] = {}
        for id, record in zip(ids.of_records(self._records, "id"), self._records, strict=True):
            found.setdefault(id, []).append(record)
        return found

    def records(self, operation: int) -> list[np.void]:
        """Return the records with this operation id."""
        return self._by_id.get(operation, [])

    def funders(self, programme: int) -> set[int]:
        """Return the funders in the frame's OPEN_PROGRAMME records of this number."""
        chosen = (self._records["kind"] == Kind.OPEN_PROGRAMME) & (self._records["number"] == programme)
        return set(ids.of_records(self._records[chosen], "debit"))


# --- signatures given ---

PAIRS_MAX: Final = 1 << 17  # of envelope and covered operation, examined together: bounds the memory of one step

_RANKS: Final = np.array([PRECEDENCE.index(result) for result in sorted(Result)])  # by code: highest first
_CODES: Final = np.array(PRECEDENCE, np.uint16)  # by rank
_CREATED_RANK: Final = PRECEDENCE.index(Result.CREATED)

# By need: may an officer of the board sign, any other officer or operator, any other signer?
_BOARD_MAY: Final = np.isin(
    list(Need), (Need.NOTHING, Need.ANY_SIGNER, Need.STAFF, Need.OFFICER, Need.OPERATOR, Need.TWO_OFFICERS)
)
_STAFF_MAY: Final = np.isin(list(Need), (Need.NOTHING, Need.ANY_SIGNER, Need.STAFF))
_ANY_SIGNER_MAY: Final = np.isin(list(Need), (Need.NOTHING, Need.ANY_SIGNER))
# By need: may the currency's officer sign, the account's operator, the account's key?
_CURRENCY_MAY: Final = np.isin(list(Need), (Need.OFFICER, Need.OPERATOR, Need.TWO_OFFICERS))
_OPERATOR_MAY: Final = np.isin(list(Need), (Need.OPERATOR, Need.OWNER_OPERATOR, Need.KEY_AND_OPERATOR))
_KEY_MAY: Final = np.isin(list(Need), (Need.OWNER_KEY, Need.KEY_AND_OPERATOR))
# The two signatures of KEY_AND_OPERATOR, as bits.
_KEY_SIGNED: Final = 1
_OPERATOR_SIGNED: Final = 2

_DESCRIPTIONS: Final = {
    Need.ANY_SIGNER: "any person with a grant, or any account with a key",
    Need.STAFF: "an officer or an operator",
    Need.OFFICER: "an officer of {officers}",
    Need.OPERATOR: "operator {operator} or an officer of {officers}",
    Need.OWNER_OPERATOR: "operator {operator}",
    Need.OWNER_KEY: "the account itself",
    Need.TWO_OFFICERS: "two officers of {officers}",
    Need.KEY_AND_OPERATOR: "both the account itself and operator {operator}",
    Need.LATER_FRAME: "a later frame, because the signer depends on other records of this frame",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Number of signatures by signer, over any number of frames."""

    by_role: Counter[str] = field(default_factory=Counter)  # envelopes
    by_signer: Counter[int] = field(default_factory=Counter)  # envelopes by id of person or account
    needed: Counter[bool] = field(default_factory=Counter)  # operations, by whether they needed a signature

    def sentences(self) -> tuple[str, ...]:
        """Return the report as text, one sentence each."""
        if not self.by_signer and not self.needed[True]:
            return ("the ledger has no officers: no operation needed a signature",)
        roles = ", ".join(f"{count:,} by {role}s" for role, count in sorted(self.by_role.items()))
        return (
            f"{self.by_signer.total():,} signatures are valid, from {len(self.by_signer):,} signers: {roles or 'none'}",
            f"{self.needed[True]:,} operations needed signatures and had them; {self.needed[False]:,} needed none",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Decision:
    codes: Array  # (n,) u2
    needs: Needs
    signers: Signers
    verdicts: Array  # (m,) u2: code of each envelope


def authorise(
    state: LedgerState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Envelopes = (),
    *,
    checks: Array | None = None,
    fresh: Array | None = None,
) -> Array:
    """Return a code per operation, (n,) u2 of Result: CREATED where the required signatures are present.

    `operations`, (n,) layout.OPERATION, are a whole frame, `now_ns` is its time, and `state` the state before the
    frame. Operations that are malformed or bound already need no signature and get CREATED; `LedgerState.resolve`
    answers them. Removing refused records from a frame never adds requirements to the others, so no second check is
    needed; because a signature covers its whole range, records are removed by whole ranges.

    checks: (m,) signatures.CHECK, the result of an earlier `Jobs.checks` for these envelopes over these records; a
    signature that was not tried with the key that counts in this frame is verified here. fresh: (n,) bool, the
    operations that `resolve` found PENDING; None: `resolve` is called here.

    An envelope whose range holds no record of the frame has no effect. Raise UsageError for envelopes of another type
    and for a ledger id that has not 16 bytes.
    """
    array = envelope_format.as_array(envelopes)
    if not array.size and not authority_is_on(state, now_ns):
        return np.zeros(operations.size, np.uint16)
    are_payments = array.size == operations.size and OWNER_SIGNS[operations["kind"]].all()
    if are_payments and signatures.all_signed_by_payers(state, now_ns, operations, array, checks):
        return np.zeros(operations.size, np.uint16)
    signers = signatures.find_signers(state, ledger_id, now_ns, operations, array, checks)
    if signed_by_owners(state, operations, array, signers):
        return np.zeros(operations.size, np.uint16)
    return _decide(state, now_ns, operations, array, signers, fresh).codes


def authority_is_on(state: LedgerState, now_ns: int) -> bool:
    """Return whether a frame of this time needs signatures: the board has two persons, or had two persons before."""
    if state.authority_on or not state.grants:
        return state.authority_on
    return count_officers(state, now_ns) >= OFFICERS_MIN


def verify_frame(
    state: LedgerState,
    ledger_id: bytes,
    sequence: int,
    now_ns: int,
    operations: Array,
    envelopes: Envelopes | bytes = (),
    report: Report | None = None,
) -> None:
    """Verify the signatures of a journaled frame. `state` is the state before the frame; `report` counts signatures.

    Every envelope must be valid and every operation must have its required signatures. Raise IntegrityError with the
    frame, the operation and the code otherwise.
    """
    try:
        array = (
            envelope_format.decode(envelopes)
            if isinstance(envelopes, (bytes, memoryview))
            else envelope_format.as_array(envelopes)
        )
    except UsageError as error:
        raise IntegrityError(f"frame {sequence}: {error.message}") from error
    beyond = np.flatnonzero((array["count"] == 0) | (array["first"] >= operations.size))
    if beyond.size:
        raise IntegrityError(f"frame {sequence}: envelope {beyond[0]} covers no operation of the frame")
    signers = signatures.find_signers(state, ledger_id, now_ns, operations, array)
    decision = _decide(state, now_ns, operations, array, signers)
    bad = np.flatnonzero(decision.verdicts)
    if bad.size:
        number = int(bad[0])
        first, signer = int(array["first"][number]), ids.format(envelope_format.signer_of(array[number]))
        code = Result(int(decision.verdicts[number])).name
        raise IntegrityError(
            f"frame {sequence}, envelope {number} (from operation {first} on, signed by {signer}): {code}"
        )
    refused = np.flatnonzero(decision.codes)
    if refused.size:
        at = int(refused[0])
        operator, currency = int(decision.needs.operator[at]), int(decision.needs.currency[at])
        officers = f"the board or of currency {currency:03}" if currency else "the board"
        needed = _DESCRIPTIONS[Need(int(decision.needs.need[at]))].format(operator=operator, officers=officers)
        kind, code = Kind(int(operations["kind"][at])).name, Result(int(decision.codes[at])).name
        raise IntegrityError(f"frame {sequence}, operation {at} ({kind}): {code}; it needs {needed}")
    if report is not None:
        for envelope, person in zip(array, decision.signers.person.tolist(), strict=True):
            report.by_role[decision.signers.people[person].role if person >= 0 else "account"] += 1
            report.by_signer[envelope_format.signer_of(envelope)] += 1
        signed = int(np.count_nonzero(decision.needs.need))
        report.needed[True] += signed
        report.needed[False] += operations.size - signed


def _decide(
    state: LedgerState,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    signers: Signers,
    fresh: Array | None = None,
) -> _Decision:
    if fresh is None:
        fresh = state.resolve(operations)[0]["code"] == constants.PENDING
    needs = _needs(state, operations, fresh & authority_is_on(state, now_ns))
    approvals = _Approvals(operations, envelopes, needs, signers)
    approvals.add_all()
    lacking = np.where(
        approvals.first_officer >= 0, _RANKS[Result.TWO_PERSONS_MUST_SIGN], _RANKS[Result.NOT_AUTHORISED]
    )
    worst = np.where(approvals.satisfied, approvals.worst, np.minimum(approvals.worst, lacking))
    codes = np.where(fresh, _CODES[worst], np.uint16(Result.CREATED))
    return _Decision(codes, needs, signers, approvals.verdicts)


class _Approvals:
    """Approvals of a frame's operations by its envelopes.

    An envelope approves an operation if its signer has the required authority, or half of it where two must sign, and
    if the envelope covers the operation's whole chain.
    """

    def __init__(self, operations: Array, envelopes: Array, needs: Needs, signers: Signers) -> None:
        size = operations.size
        self._needs, self._signers = needs, signers
        self._firsts = np.minimum(envelopes["first"].astype(np.int64), size)
        self._ends = np.minimum(self._firsts + envelopes["count"], size)
        self._chain_firsts, self._chain_ends = _chain_bounds(operations)
        persons = {signer.id: number for number, signer in enumerate(signers.people)}
        self._person_of = np.array([persons[signer.id] for signer in signers.people], np.int64)  # one per id
        self.verdicts = signers.code.copy()
        self.worst = np.full(size, _CREATED_RANK)
        self.satisfied = needs.need == Need.NOTHING
        self.first_officer = np.full(size, -1)  # person who signed first where two officers must sign
        self._halves = np.zeros(size, np.uint8)  # signatures so far where KEY_AND_OPERATOR must sign

    def add_all(self) -> None:
        """Add all envelopes, in groups of about PAIRS_MAX covered operations."""
        group = np.cumsum(self._ends - self._firsts) // PAIRS_MAX
        for numbers in np.split(np.arange(group.size), np.flatnonzero(np.diff(group)) + 1):
            self._add(numbers)

    def _add(self, numbers: Array) -> None:
        """Add the envelopes `numbers`, (k,). The arrays below have one element per envelope and covered operation."""
        sizes = self._ends[numbers] - self._firsts[numbers]
        number = np.repeat(numbers, sizes)
        at = np.arange(number.size) + np.repeat(self._firsts[numbers] - (np.cumsum(sizes) - sizes), sizes)
        need, row, person = self._needs.need[at], self._signers.row[number], self._signers.person[number]
        approved = (row >= 0) & (_ANY_SIGNER_MAY[need] | (_KEY_MAY[need] & (self._needs.row[at] == row)))
        for each in set(self._signers.person[numbers].tolist()) - {-1}:
            mine = person == each
            approved[mine] = self._may_sign(self._signers.people[each], at[mine])
        # A signature for one operation of a chain counts only if it covers the whole chain.
        approved &= (self._chain_firsts[at] >= self._firsts[number]) & (self._chain_ends[at] <= self._ends[number])
        two, both = approved & (need == Need.TWO_OFFICERS), approved & (need == Need.KEY_AND_OPERATOR)
        self.satisfied[at[approved & ~two & ~both]] = True
        officer = self._person_of[person[two]]
        for each in set(officer.tolist()):
            self._add_officer(at[two][officer == each], each)
        if both.any():
            signed = np.where(row[both] >= 0, _KEY_SIGNED, _OPERATOR_SIGNED).astype(np.uint8)
            np.bitwise_or.at(self._halves, at[both], signed)
            self.satisfied[at[both]] = self._halves[at[both]] == _KEY_SIGNED | _OPERATOR_SIGNED
        # An envelope that approves nothing is a mistake or an attack, and is refused.
        approves = np.bincount(number[approved], minlength=self.verdicts.size) > 0
        useless = numbers[~approves[numbers] & (self.verdicts[numbers] == Result.CREATED)]
        self.verdicts[useless] = Result.NOT_AUTHORISED
        bad = self.verdicts[number] != Result.CREATED
        if bad.any():
            np.minimum.at(self.worst, at[bad], _RANKS[self.verdicts[number[bad]]])

    def _add_officer(self, at: Array, officer: int) -> None:
        """Add an officer to the operations `at`, which need two: the second person satisfies them."""
        earlier = self.first_officer[at]
        self.satisfied[at] |= (earlier >= 0) & (earlier != officer)
        self.first_officer[at] = np.where(earlier < 0, officer, earlier)

    def _may_sign(self, signer: Signer, at: Array) -> Array:
        """Return for which of the operations `at` a person has the authority, or half of it."""
        need = self._needs.need[at]
        is_staff = signer.currencies or signer.operators
        may: Array = (_BOARD_MAY if signer.is_board else _STAFF_MAY if is_staff else _ANY_SIGNER_MAY)[need]
        for number in signer.currencies:
            may |= _CURRENCY_MAY[need] & (self._needs.currency[at] == number)
        for number in signer.operators:
            may |= _OPERATOR_MAY[need] & (self._needs.operator[at] == number)
        return may


def _chain_bounds(operations: Array) -> tuple[Array, Array]:
    """Return the first operation and the end of each operation's chain, (n,) i8 each. Alone is a chain of one."""
    linked = (operations["flags"] & LINKED) != 0
    each = np.arange(linked.size)
    if not linked[:-1].any():
        return each, each + 1
    ends = np.append(each[1:][~linked[:-1]], linked.size)
    chain = np.searchsorted(ends, each, "right")
    return np.append(0, ends)[chain], ends[chain]
