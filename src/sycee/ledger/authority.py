"""Who may do what: whether the operations of a frame are signed by those whose they are.

docs/reference/authority.md is exact. The first half of this file says whose signature an operation needs, the second
who gave one. It is judged when a frame is made, against the state before it, and can be judged again by anybody who
has the journal: the answer is never part of the state. Until two officers are named a ledger needs no signature.

Another record of the same frame may open or begin what an operation names. Then that record determines who must sign;
where two such records differ, no signature is enough in this frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.ids import ID
from sycee.core.result_codes import PRECEDENCE, Result
from sycee.ledger import envelopes as sealed
from sycee.ledger import kernels, signatures
from sycee.ledger.envelopes import Envelope
from sycee.ledger.layout import LINKED, AccountKind, Kind, Reason
from sycee.ledger.operation_table import TABLE, Authority, Subject
from sycee.ledger.signatures import Signer, Signers

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

Envelopes = Array | Sequence[Envelope]

# --- whose signature an operation needs ---


class Need(IntEnum):
    """Who must have signed."""

    NOTHING = 0  # no signature needed
    ANY_SIGNER = 1  # any signer that is known: the state will refuse the operation
    STAFF = 2  # any officer or operator
    OFFICER = 3
    OPERATOR = 4  # the operator of the number given, or an officer
    OWNER_OPERATOR = 5  # the operator of the number given: the account has no key
    OWNER_KEY = 6  # the account itself, in the row given
    TWO_OFFICERS = 7
    KEY_AND_OPERATOR = 8  # both the account itself, in the row given, and the operator of the number given
    NOBODY = 9  # it hangs on other records of its own frame in a way that only a later frame can judge


class Needs(NamedTuple):
    """Per operation: what it needs, of which operator's number, of the account in which row."""

    need: Array  # (n,) u1
    operator: Array  # (n,) i8, -1 for none
    row: Array  # (n,) i8, -1 for none
    currency: Array  # (n,) i8: an officer of this currency may sign as one of the board; 0: the board alone


_ACCOUNT_FIELDS: Final = {Subject.DEBIT: "debit", Subject.CREDIT: "credit", Subject.REFERENCE: "reference"}
# By kind, from its row in the operation table.
_RULE_OF: Final = np.zeros(kernels.KINDS, np.uint8)
_SUBJECT_OF: Final = np.zeros(kernels.KINDS, np.uint8)
for _kind, _row in TABLE.items():
    _RULE_OF[_kind], _SUBJECT_OF[_kind] = _row.authority, _row.subject

# Kinds that the owner of `debit` signs. A kind that is not known is none of them.
_IS_OWNERS: Final = np.zeros(1 << 16, np.bool_)
_IS_OWNERS[: kernels.KINDS] = (_RULE_OF == Authority.OWNER) & (_SUBJECT_OF == Subject.DEBIT)

# Accounts that no operator opens for itself: money is made from the one, and an operator's quota is on the other.
_OFFICERS_KINDS: Final = (AccountKind.ISSUANCE, AccountKind.VAULT)
# Blocks for these reasons are not the operator's to lift.
_OFFICERS_REASONS: Final = (Reason.COURT_ORDER, Reason.SANCTIONS)


def _needs(state: LedgerState, operations: Array, fresh: Array) -> Needs:
    """What each operation needs. operations: (n,) layout.OPERATION; fresh: (n,) bool, those that are to be judged.

    What is not fresh, malformed or known, changes nothing and so needs nothing.
    """
    if (payments := _plain_needs(state, operations, fresh)) is not None:
        return payments
    kinds = np.where(fresh, operations["kind"], Kind.UPGRADE)
    rules = _RULE_OF[kinds]
    subjects = _Subjects(state, operations, fresh, kinds)
    need = np.zeros(operations.size, np.uint8)
    for rule, plain in ((Authority.TWO_OFFICERS, Need.TWO_OFFICERS), (Authority.OFFICER, Need.OFFICER)):
        need[rules == rule] = plain
    # The ledger itself writes an UPGRADE when a release knows newer rules; any other is refused, and binds its id.
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
    # Whatever takes money from issuance makes money.
    need[guarded | (issuance & (rules >= Authority.GUARDED))] = Need.TWO_OFFICERS
    opened = rules == Authority.NEW_ACCOUNT
    need[opened] = np.where(np.isin(operations["first"][opened], _OFFICERS_KINDS), Need.TWO_OFFICERS, Need.OPERATOR)
    need[subjects.nobody] = Need.NOBODY
    named = rules == Authority.NAMED_OPERATOR
    need[named] = Need.OPERATOR
    operator = np.where(opened, operations["count"].astype(np.int64), subjects.operator)
    operator = np.where(named, operations["first"].astype(np.int64), operator)
    currency = np.where(opened, operations["number"].astype(np.int64), subjects.currency)
    return Needs(need, operator, subjects.row, currency)


def _plain_needs(state: LedgerState, operations: Array, fresh: Array) -> Needs | None:
    """The same for payments out of accounts that are there and are not the issuer's, which most frames consist of.

    None where the frame holds anything else.
    """
    if not _IS_OWNERS[operations["kind"]].all() or not fresh.all():
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
    """Per operation, the account by which it is judged: where it stands, or what its opening in this frame says."""

    def __init__(self, state: LedgerState, operations: Array, fresh: Array, kinds: Array) -> None:
        size = operations.size
        self._state = state
        self._operations = operations
        self._frame = _Frame(operations, fresh)
        self._ids = np.zeros(size, ID)
        self.row = np.full(size, -1, np.int64)
        self.nobody = np.zeros(size, np.bool_)
        subjects = _SUBJECT_OF[kinds]
        for subject, name in _ACCOUNT_FIELDS.items():
            chosen = subjects == subject
            for half in ("low", "high"):
                self._ids[half][chosen] = operations[f"{name}_{half}"][chosen]
        self._look_up_the_rare(subjects)
        named = np.flatnonzero((self._ids["low"] != 0) | (self._ids["high"] != 0))
        if named.size:
            self.row[named] = state.rows(self._ids[named])
        self.found = self.row >= 0
        accounts = state.tables.accounts
        # Row 0 stands in where there is none; the table is never of length 0.
        rows = np.where(self.found, self.row, 0)
        self.kind = np.where(self.found, accounts["kind"][rows], 0)
        self.operator = np.where(self.found, accounts["operator"][rows].astype(np.int64), -1)
        self.currency = np.where(self.found, accounts["currency"][rows].astype(np.int64), 0)
        self.keyed = self.found & (accounts["key"][rows] != 0)
        for index in named[~self.found[named]].tolist():
            self._from_opening(index)

    def _look_up_the_rare(self, subjects: Array) -> None:
        """Kinds that name no account but something that has one."""
        if int(subjects.max(initial=0)) < Subject.PAYEE:
            return
        for index in np.flatnonzero(subjects == Subject.PAYEE).tolist():
            self._note(index, *self._payee(ids.of_record(self._operations[index], "reference")))
        for index in np.flatnonzero(subjects == Subject.TRANSIT).tolist():
            self._note(index, *self._through(ids.of_record(self._operations[index], "reference")))
        for index in np.flatnonzero(subjects == Subject.REVERSED).tolist():
            self.row[index] = self._paid(ids.of_record(self._operations[index], "reference"))
        programmes = subjects == Subject.FUNDER
        for number in np.unique(self._operations["number"][programmes]).tolist():
            row, accounts, unclear = self._funder(number)
            self._note(programmes & (self._operations["number"] == number), row, accounts, unclear)

    def _note(self, where: int | Array, row: int, accounts: set[int], unclear: bool) -> None:
        """The account of these operations: in a row, or one that other records of the frame name."""
        self.row[where] = row
        self.nobody[where] = unclear or len(accounts) > 1
        if len(accounts) == 1:
            (account,) = accounts
            self._ids["low"][where], self._ids["high"][where] = ids.split(account)

    def _payee(self, original: int) -> tuple[int, set[int], bool]:
        """Who would give back a PAY, POST or HOLD: (row or -1, ids named in this frame, whether it cannot be told)."""
        bound = self._state.bound_of(original)
        if bound is not None:
            # Whether a hold was posted is not looked at: this frame may do it.
            if (hold := self._state.hold(original)) is not None:
                return -1, {hold.payee}, False
            moved = bound["kind"] in (Kind.PAY, Kind.POST) and bound["result"] == Result.CREATED
            return (
                int(self._state.movements[int(bound["first_movement"]) - 1]["credit_row"]) if moved else -1,
                set(),
                False,
            )
        records = self._frame.records(original)
        payees = {ids.of_record(record, "credit") for record in records if record["kind"] in (Kind.PAY, Kind.HOLD)}
        return -1, payees, any(record["kind"] == Kind.POST for record in records)

    def _paid(self, original: int) -> int:
        """Row of the account that an operation of an earlier frame paid; -1 where it paid none."""
        bound = self._state.bound_of(original)
        if bound is None or bound["result"] != Result.CREATED:
            return -1
        if (hold := self._state.hold(original)) is not None:
            return self._state.row(hold.payee)
        paid = bound["kind"] in (Kind.TRANSFER, Kind.PAY, Kind.POST)
        return int(self._state.movements[int(bound["first_movement"]) - 1]["credit_row"]) if paid else -1

    def _through(self, begun_by: int) -> tuple[int, set[int], bool]:
        """The IN_TRANSIT account through which money is on its way, likewise."""
        transit = self._state.transit_of(begun_by)
        if transit is not None:
            return -1, {transit.through}, False
        records = self._frame.records(begun_by) if self._state.bound_of(begun_by) is None else []
        accounts = {ids.of_record(record, "reference") for record in records if record["kind"] == Kind.SEND}
        return -1, accounts, any(record["kind"] in (Kind.TRANSFER, Kind.PAY, Kind.POST) for record in records)

    def _funder(self, number: int) -> tuple[int, set[int], bool]:
        """The account that funds a programme, likewise."""
        row = int(self._state.programme_funder(number))
        return row, set() if row >= 0 else self._frame.funders(number), False

    def _from_opening(self, index: int) -> None:
        """The account was not there before the frame: go by the records that open it, if they agree."""
        openings = self._frame.openings(ids.to_int(self._ids[index]))
        if len(openings) > 1:
            self.nobody[index] = True
        for operator, kind, currency in openings:
            self.found[index], self.operator[index], self.kind[index] = True, operator, kind
            self.currency[index] = currency


class _Frame:
    """What the frame's own records say, read when it is first asked for."""

    def __init__(self, operations: Array, fresh: Array) -> None:
        self._operations = operations
        self._fresh = fresh
        self._openings: dict[int, set[tuple[int, int, int]]] | None = None
        self._places: dict[int, list[int]] | None = None

    def openings(self, account: int) -> set[tuple[int, int, int]]:
        """Operator, kind and currency, as the frame's OPEN_ACCOUNTs of this id say."""
        if self._openings is None:
            self._openings = {}
            records = self._operations[self._fresh & (self._operations["kind"] == Kind.OPEN_ACCOUNT)]
            said = (records[name].tolist() for name in ("count", "first", "number"))
            for opened, operator, kind, currency in zip(ids.of_records(records, "debit"), *said, strict=True):
                self._openings.setdefault(opened, set()).add((operator, kind, currency))
        return self._openings.get(account, set())

    def records(self, operation: int) -> list[np.void]:
        """The frame's records with this operation id."""
        if self._places is None:
            self._places = {}
            fresh = np.flatnonzero(self._fresh)
            for place, identifier in zip(fresh.tolist(), ids.of_records(self._operations[fresh], "id"), strict=True):
                self._places.setdefault(identifier, []).append(place)
        return [self._operations[place] for place in self._places.get(operation, ())]

    def funders(self, programme: int) -> set[int]:
        """The funders that the frame's OPEN_PROGRAMMEs of this number name."""
        opened = self._fresh & (self._operations["kind"] == Kind.OPEN_PROGRAMME)
        return set(ids.of_records(self._operations[opened & (self._operations["number"] == programme)], "debit"))


# --- who signed ---

_RANKS: Final = np.array([PRECEDENCE.index(result) for result in sorted(Result)])  # by code: highest first
_CODES: Final = np.array(PRECEDENCE, np.uint16)  # by rank
_TAKEN: Final = PRECEDENCE.index(Result.CREATED)

# What each need says to an officer of the board, to any other officer or operator, and to any other known signer.
_OFFICER_MAY: Final = np.isin(
    list(Need), (Need.NOTHING, Need.ANY_SIGNER, Need.STAFF, Need.OFFICER, Need.OPERATOR, Need.TWO_OFFICERS)
)
_STAFF_MAY: Final = np.isin(list(Need), (Need.NOTHING, Need.ANY_SIGNER, Need.STAFF))
_ANYBODY_MAY: Final = np.isin(list(Need), (Need.NOTHING, Need.ANY_SIGNER))
_OF_ITS_CURRENCY: Final = np.isin(list(Need), (Need.OFFICER, Need.OPERATOR, Need.TWO_OFFICERS))
_OF_ITS_OPERATOR: Final = np.isin(list(Need), (Need.OPERATOR, Need.OWNER_OPERATOR, Need.KEY_AND_OPERATOR))
_OF_ITS_KEY: Final = np.isin(list(Need), (Need.OWNER_KEY, Need.KEY_AND_OPERATOR))
# The halves of KEY_AND_OPERATOR, as bits.
_KEYS_HALF: Final = 1
_OPERATORS_HALF: Final = 2

_WANTED: Final = {
    Need.ANY_SIGNER: "any signer that the ledger knows",
    Need.STAFF: "an officer or an operator",
    Need.OFFICER: "an officer of {officers}",
    Need.OPERATOR: "operator {operator} or an officer of {officers}",
    Need.OWNER_OPERATOR: "operator {operator}",
    Need.OWNER_KEY: "the account itself",
    Need.TWO_OFFICERS: "two officers of {officers}",
    Need.KEY_AND_OPERATOR: "both the account itself and operator {operator}",
    Need.NOBODY: "a later frame, since it hangs on what this frame begins",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Who signed how much, over any number of frames."""

    by_role: Counter[str] = field(default_factory=Counter)  # envelopes
    by_signer: Counter[int] = field(default_factory=Counter)  # envelopes by id of person or account
    needed: Counter[bool] = field(default_factory=Counter)  # operations, by whether they needed a signature

    def sentences(self) -> tuple[str, ...]:
        """For people, one sentence each."""
        if not self.by_signer and not self.needed[True]:
            return ("the ledger names no authorities: nothing in it had to be signed",)
        roles = ", ".join(f"{count:,} by {role}s" for role, count in sorted(self.by_role.items()))
        return (
            f"{self.by_signer.total():,} signatures hold, of {len(self.by_signer):,} signers: {roles or 'none'}",
            f"{self.needed[True]:,} operations needed a signature and had it; {self.needed[False]:,} needed none",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judgement:
    codes: Array  # (n,) u2
    needs: Needs
    signers: Signers
    verdicts: Array  # (m,) u2: per envelope, on the envelope itself


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
    """Say of each operation whether it is signed well enough: (n,) u2 of Result, CREATED where it is.

    `operations`, (n,) layout.OPERATION, are a whole frame as it was gathered, `now_ns` is its time, and `state` the
    state before it: what an operation names may be opened by another record of the frame. Operations that are
    malformed or known need nothing and are given CREATED; their answer is `LedgerState.resolve`'s. Whoever takes
    refused records out of the frame only weakens what the others need, so that they need not be judged again; but a
    signature covers all of its range, so records leave a frame by whole ranges.

    checks: (m,) signatures.CHECK, what `Jobs.checks` learned of these envelopes over these records at any time before;
    a signature that was not tried under the key that counts in this frame is verified here. fresh: (n,) bool, the
    operations that `resolve` found PENDING; None: `resolve` is called here.

    An envelope whose range holds no record of the frame changes nothing here. Raises UsageError for envelopes that are
    no such array, or a ledger id that is not 16 bytes.
    """
    array = sealed.as_array(envelopes)
    if not array.size and not authority_is_on(state, now_ns):
        return np.zeros(operations.size, np.uint16)
    are_payments = bool(_IS_OWNERS[operations["kind"]].all())
    if are_payments and signatures.all_signed_by_payers(state, now_ns, operations, array, checks):
        return np.zeros(operations.size, np.uint16)
    return _judge(state, ledger_id, now_ns, operations, array, checks, fresh).codes


def authority_is_on(state: LedgerState, now_ns: int) -> bool:
    """Whether a frame of this time needs signatures: two persons are the board, or there were two once."""
    if state.authority_on:
        return True
    return len({grant.person for grant in state.grants.values() if grant.is_board and grant.counts(now_ns)}) > 1


def verify_frame(
    state: LedgerState,
    ledger_id: bytes,
    sequence: int,
    now_ns: int,
    operations: Array,
    envelopes: Envelopes | bytes = (),
    report: Report | None = None,
) -> None:
    """Judge a journaled frame again. `state` is the state before it; `report` counts what was found.

    Every envelope must hold and every operation have what it needs. Raises IntegrityError that names the frame and
    the operation, with the code that it should have been answered.
    """
    try:
        array = sealed.decode(envelopes) if isinstance(envelopes, (bytes, memoryview)) else sealed.as_array(envelopes)
    except UsageError as error:
        raise IntegrityError(f"frame {sequence}: {error.message}") from error
    beyond = np.flatnonzero((array["count"] == 0) | (array["first"] >= operations.size))
    if beyond.size:
        raise IntegrityError(f"frame {sequence}: envelope {beyond[0]} covers no operation of the frame")
    judgement = _judge(state, ledger_id, now_ns, operations, array)
    bad = np.flatnonzero(judgement.verdicts)
    if bad.size:
        number = int(bad[0])
        first, signer = int(array["first"][number]), ids.from_int(sealed.signer_of(array[number]))
        raise IntegrityError(
            f"frame {sequence}, from operation {first} on: envelope {number}, signed by {ids.format(signer)}: "
            f"{Result(int(judgement.verdicts[number])).name}"
        )
    refused = np.flatnonzero(judgement.codes)
    if refused.size:
        at = int(refused[0])
        operator, currency = int(judgement.needs.operator[at]), int(judgement.needs.currency[at])
        officers = f"the board or of currency {currency:03}" if currency else "the board"
        wanted = _WANTED[Need(int(judgement.needs.need[at]))].format(operator=operator, officers=officers)
        kind = Kind(int(operations["kind"][at])).name
        code = Result(int(judgement.codes[at])).name
        raise IntegrityError(f"frame {sequence}, operation {at} ({kind}): {code}, since it needs {wanted}")
    if report is not None:
        for envelope, person in zip(array, judgement.signers.person.tolist(), strict=True):
            # Every envelope holds; one that no person signed was signed by the account that it names.
            report.by_role[judgement.signers.people[person].role if person >= 0 else "account"] += 1
            report.by_signer[sealed.signer_of(envelope)] += 1
        signed = int(np.count_nonzero(judgement.needs.need))
        report.needed[True] += signed
        report.needed[False] += operations.size - signed


def _judge(
    state: LedgerState,
    ledger_id: bytes,
    now_ns: int,
    operations: Array,
    envelopes: Array,
    checks: Array | None = None,
    fresh: Array | None = None,
) -> _Judgement:
    if fresh is None:
        fresh = state.resolve(operations)[0]["code"] == kernels.PENDING
    found = _needs(state, operations, fresh & authority_is_on(state, now_ns))
    signers = signatures.find_signers(state, ledger_id, now_ns, operations, envelopes, checks)
    vouching = _Vouching(operations, envelopes, found, signers)
    single = envelopes["count"] == 1
    vouching.let_single(np.flatnonzero(single))
    for number in np.flatnonzero(~single).tolist():
        vouching.let_one(number)
    satisfied, worst = vouching.satisfied, vouching.worst
    lacking = np.where(vouching.first_officer >= 0, _RANKS[Result.TWO_PERSONS_MUST_SIGN], _RANKS[Result.NOT_AUTHORISED])
    worst = np.where(satisfied, worst, np.minimum(worst, lacking))
    codes = np.where(fresh, _CODES[worst], np.uint16(Result.CREATED))
    return _Judgement(codes, found, signers, vouching.verdicts)


class _Vouching:
    """What a frame's operations need, and what its envelopes give them, one envelope or many at a time."""

    def __init__(self, operations: Array, envelopes: Array, found: Needs, signers: Signers) -> None:
        self._envelopes, self._found, self._signers = envelopes, found, signers
        self._chains = _chains(operations)
        self._officers: dict[int, int] = {}
        self.verdicts = signers.code.copy()
        self.worst = np.full(operations.size, _TAKEN)
        self.satisfied = found.need == Need.NOTHING
        self.first_officer = np.full(operations.size, -1)  # who signed for it, as a number among the officers seen
        self._halves = np.zeros(operations.size, np.uint8)  # which of the two signed, where KEY_AND_OPERATOR must

    def let_single(self, numbers: Array) -> None:
        """Have the envelopes that cover one record each vouch for it. numbers: (k,) which."""
        if not numbers.size:
            return
        at = self._envelopes["first"][numbers].astype(np.int64)
        within = at < self.worst.size
        numbers, at = numbers[within], at[within]
        need, row, person = self._found.need[at], self._signers.row[numbers], self._signers.person[numbers]
        vouched = (row >= 0) & (_ANYBODY_MAY[need] | (_OF_ITS_KEY[need] & (self._found.row[at] == row)))
        for each in np.unique(person[person >= 0]).tolist():
            mine = person == each
            vouched[mine] = _vouches(self._signers.people[each], self._found, at[mine])
        chains = self._chains
        vouched &= (at == 0) | (chains[at - 1] != chains[at])
        vouched &= (at == chains.size - 1) | (chains[np.minimum(at + 1, chains.size - 1)] != chains[at])
        two = vouched & (need == Need.TWO_OFFICERS)
        both = vouched & (need == Need.KEY_AND_OPERATOR)
        self.satisfied[at[vouched & ~two & ~both]] = True
        if both.any():
            self._let_half(at[both], np.where(row[both] >= 0, _KEYS_HALF, _OPERATORS_HALF))
        for place, each in zip(at[two].tolist(), person[two].tolist(), strict=True):
            self._let_officer(slice(place, place + 1), np.ones(1, np.bool_), self._signers.people[each])
        self._settle(numbers, vouched)
        np.minimum.at(self.worst, at, _RANKS[self.verdicts[numbers]])

    def let_one(self, number: int) -> None:
        """Have one envelope vouch for its range."""
        first, count = int(self._envelopes["first"][number]), int(self._envelopes["count"][number])
        covered = slice(first, first + count)
        row, person = int(self._signers.row[number]), int(self._signers.person[number])
        if row >= 0 or person >= 0:
            signer = self._signers.people[person] if person >= 0 else Signer(0, row=row)
            need = self._found.need[covered]
            vouched = _vouches(signer, self._found, covered)
            vouched &= _covers_whole(self._chains, covered)
            two = vouched & (need == Need.TWO_OFFICERS)
            both = vouched & (need == Need.KEY_AND_OPERATOR)
            self.satisfied[covered] |= vouched & ~two & ~both
            if two.any():
                self._let_officer(covered, two, signer)
            if both.any():
                half = _KEYS_HALF if row >= 0 else _OPERATORS_HALF
                self._let_half(first + np.flatnonzero(both), np.full(np.count_nonzero(both), half))
            self._settle(np.array([number]), np.array([vouched.any()]))
        self.worst[covered] = np.minimum(self.worst[covered], _RANKS[self.verdicts[number]])

    def _let_officer(self, covered: slice, two: Array, signer: Signer) -> None:
        """Count an officer for those of the operations that need `two`: the second one satisfies them."""
        officer, earlier = self._officers.setdefault(signer.id, len(self._officers)), self.first_officer[covered]
        self.satisfied[covered] |= two & (earlier >= 0) & (earlier != officer)
        earlier[two & (earlier < 0)] = officer

    def _let_half(self, at: Array, halves: Array) -> None:
        """Note which half signed for these operations; one may be named twice. The second half satisfies them."""
        np.bitwise_or.at(self._halves, at, halves.astype(np.uint8))
        self.satisfied[at] = self._halves[at] == _KEYS_HALF | _OPERATORS_HALF

    def _settle(self, numbers: Array, vouched: Array) -> None:
        """Refuse the envelopes that vouch for nothing: a mistake, or an attempt, that must not pass unseen."""
        at = numbers[~vouched]
        at = at[self.verdicts[at] == Result.CREATED]
        self.verdicts[at] = Result.NOT_AUTHORISED


def _chains(operations: Array) -> Array:
    """Per operation the number of the chain that it stands in, (n,) i8; one that stands alone is a chain of its own."""
    goes_on = (operations["flags"] & LINKED) != 0
    return np.cumsum(np.concatenate(([False], ~goes_on[:-1])))[: operations.size]


def _covers_whole(chains: Array, covered: slice) -> Array:
    """Return which operations have their whole chain among these: a signature for one counts for all of its chain."""
    mine = chains[covered]
    whole = np.ones(mine.size, np.bool_)
    if covered.start > 0:
        whole &= mine != chains[covered.start - 1]
    if covered.stop < chains.size:
        whole &= mine != chains[covered.stop]
    return whole


def _vouches(signer: Signer, found: Needs, at: slice | Array) -> Array:
    """For which of the operations `at` a signer has the authority, or one half of it."""
    need = found.need[at]
    if signer.row >= 0:
        own: Array = _OF_ITS_KEY[need] & (found.row[at] == signer.row)
        return _ANYBODY_MAY[need] | own
    is_staff = signer.currencies or signer.operators
    may: Array = (_OFFICER_MAY if signer.is_board else _STAFF_MAY if is_staff else _ANYBODY_MAY)[need]
    for number in signer.currencies:
        may |= _OF_ITS_CURRENCY[need] & (found.currency[at] == number)
    for number in signer.operators:
        may |= _OF_ITS_OPERATOR[need] & (found.operator[at] == number)
    return may
