"""Naive check of signatures, written from docs/reference/authority.md, for the simulator.

Shares no code with `sycee.ledger.authority`, and queries the naive twin where that module queries the tables. If the
two differ, one of them or the page is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from blake3 import blake3

from sycee.core.keys import PublicKey
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind, Kind, Reason, Role
from sycee.core.result_codes import PRECEDENCE, Result
from sycee.testing.naive import NaiveLedger, chains
from sycee.testing.naive_record import Operation

OFFICERS_KINDS: Final = (Kind.DEFINE_CURRENCY, Kind.DEFINE_GROUP)
TWO_OFFICERS_KINDS: Final = (Kind.GRANT_ROLE, Kind.REVOKE_ROLE, Kind.DEFINE_RULE_SET, Kind.REVERSE)
GUARDED_KINDS: Final = (Kind.SET_RULE_SET, Kind.SET_KEY, Kind.LINK_ACCOUNT)
OPERATORS_KINDS: Final = (
    Kind.BLOCK_ACCOUNT, Kind.UNBLOCK_ACCOUNT, Kind.CLOSE_ACCOUNT, Kind.JOIN_GROUP, Kind.LEAVE_GROUP, Kind.CONFIRM,
    Kind.REJECT, Kind.OPEN_PROGRAMME, Kind.ADD_MEMBERS, Kind.SEAL_COHORT, Kind.CLAIM, *GUARDED_KINDS,
)  # fmt: skip
OFFICERS_ACCOUNTS: Final = (AccountKind.ISSUANCE, AccountKind.VAULT)
OFFICERS_REASONS: Final = (Reason.COURT_ORDER, Reason.SANCTIONS)
KEY_FLAGS: Final = (1, 2, 6)


class Need(NamedTuple):
    """Required signers: `who`, of the named operator or account."""

    # nobody, any, staff, officer, operator (or an officer), own operator, key, key and operator, two officers,
    # impossible
    who: str
    operator: int = -1
    account: int = 0
    currency: int = 0  # currency whose officers may sign besides the board; 0 for none


NOBODY: Final = Need("nobody")


class Subject(NamedTuple):
    """The account that decides the signers of an operation."""

    id: int
    kind: int
    operator: int
    currency: int
    has_key: bool


class Signed(NamedTuple):
    """The role in which a valid envelope counts."""

    person: int = 0
    account: int = 0
    board: bool = False
    currencies: frozenset[int] = frozenset()  # currency of the officer
    operators: frozenset[int] = frozenset()


def is_on(twin: NaiveLedger, now_ns: int) -> bool:
    """Return whether a frame at this time needs signatures."""
    board = [g for g in twin.grants.values() if g.role == Role.OFFICER and not g.currency]
    return twin.authority_on or len({g.person for g in board if g.counts(now_ns)}) > 1


class Judge:
    """Check of the operations of one frame against the twin before the frame."""

    def __init__(
        self, twin: NaiveLedger, ledger_id: bytes, now_ns: int, operations: Sequence[Operation], fresh: Sequence[bool]
    ) -> None:
        self._twin = twin
        self._ledger_id = ledger_id
        self._now_ns = now_ns
        self._operations = operations
        self._fresh = fresh
        self._chains = chains_of(operations)
        self._new = [operation for operation, new in zip(operations, fresh, strict=True) if new]
        on = is_on(twin, now_ns)
        self.needs = [self._need(each) if on and new else NOBODY for each, new in zip(operations, fresh, strict=True)]

    # ── §3 Signatures needed by each operation ───────────────────────────────────────────────────────────────

    def _need(self, operation: Operation) -> Need:
        kind = Kind(operation.kind)
        if kind is Kind.UPGRADE:
            return NOBODY if operation.number > self._twin.rules else Need("any")
        if kind is Kind.REVERSE:
            return Need("two officers", currency=self._currency_paid(operation.reference))
        if kind in TWO_OFFICERS_KINDS:
            return Need("two officers")
        if kind in OFFICERS_KINDS:
            return Need("officer")
        if kind is Kind.EXPIRE:
            return Need("staff")
        if kind is Kind.SETTLE:
            return Need("operator", operation.first)
        if kind is Kind.OPEN_ACCOUNT:
            if operation.first in OFFICERS_ACCOUNTS:
                return Need("two officers", currency=operation.number)
            return Need("operator", operation.count, currency=operation.number)
        subjects = self._subjects(operation)
        if subjects is None or len(subjects) > 1:
            return Need("impossible")
        subject = next(iter(subjects), None)
        if kind in OPERATORS_KINDS:
            if subject is None:
                return Need("staff")
            if subject.kind in OFFICERS_ACCOUNTS and kind in GUARDED_KINDS:
                return Need("two officers", currency=subject.currency)
            is_vault = subject.kind == AccountKind.VAULT
            if kind is Kind.UNBLOCK_ACCOUNT and (is_vault or operation.first in OFFICERS_REASONS):
                return Need("officer", currency=subject.currency)
            return Need("operator", subject.operator, currency=subject.currency)
        if subject is None:
            return Need("any")
        if subject.kind == AccountKind.ISSUANCE:
            return Need("two officers", currency=subject.currency)
        if subject.has_key and kind is Kind.STAGE:
            return Need("key and operator", subject.operator, subject.id)
        if subject.has_key:
            return Need("key", account=subject.id)
        return Need("own operator", subject.operator)

    def _subjects(self, operation: Operation) -> set[Subject] | None:
        """Return the accounts that may decide the signers: none, one, or several if records of the frame differ; None
        if unknown.
        """
        kind = Kind(operation.kind)
        if kind is Kind.REFUND:
            named = self._payees(operation.reference)
        elif kind in (Kind.CONFIRM, Kind.REJECT):
            named = self._accounts_in_transit(operation.reference)
        elif kind in (Kind.ADD_MEMBERS, Kind.SEAL_COHORT, Kind.DROP):
            named = self._funders(operation.number)
        elif kind is Kind.CLAIM:
            named = {operation.credit}
        elif kind in (Kind.POST_HOLDS, Kind.VOID_HOLDS):
            named = {operation.reference}
        else:
            named = {operation.debit}
        if named is None:
            return None
        found: list[set[Subject]] = [self._account(id) for id in named]
        if len(named) > 1:
            return None
        return found[0] if found else set()

    def _account(self, id: int) -> set[Subject]:
        account = self._twin.accounts.get(id)
        if account is not None:
            return {Subject(id, account.kind, account.operator, account.currency, account.key_flags != 0)}
        return {
            Subject(id, each.first, each.count, each.number, False)
            for each in self._new
            if each.kind == Kind.OPEN_ACCOUNT and each.debit == id
        }

    def _currency_paid(self, original: int) -> int:
        """Return the currency paid by an operation of an earlier frame; 0 if it paid nothing."""
        if original in self._twin.holds:
            return self._twin.accounts[self._twin.holds[original].payee].currency
        paid = self._twin.pays.get(original)
        return self._twin.accounts[paid.payee].currency if paid else 0

    def _payees(self, original: int) -> set[int] | None:
        bound = self._twin.bound.get(original)
        if bound is not None:
            if original in self._twin.holds:
                return {self._twin.holds[original].payee}
            moved = bound.kind in (Kind.PAY, Kind.POST) and bound.result is Result.CREATED
            return {self._twin.pays[original].payee} if moved else set()
        same = [each for each in self._new if each.id == original]
        if any(each.kind == Kind.POST for each in same):
            return None
        return {each.credit for each in same if each.kind in (Kind.PAY, Kind.HOLD)}

    def _accounts_in_transit(self, begun_by: int) -> set[int] | None:
        if begun_by in self._twin.transits:
            return {self._twin.transits[begun_by].through}
        if begun_by in self._twin.bound:
            return set()
        same = [each for each in self._new if each.id == begun_by]
        if any(each.kind in (Kind.TRANSFER, Kind.PAY, Kind.POST) for each in same):
            return None
        return {each.reference for each in same if each.kind == Kind.SEND}

    def _funders(self, number: int) -> set[int] | None:
        programme = self._twin.programmes.get(number)
        if programme is not None:
            return {programme.funder}
        return {each.debit for each in self._new if each.kind == Kind.OPEN_PROGRAMME and each.number == number}

    # ── §4 Signatures present ────────────────────────────────────────────────────────────────────────────────

    def codes(self, envelopes: Iterable[Envelope]) -> list[Result]:
        """Return the code of each operation: CREATED if its signatures suffice."""
        worst = [Result.CREATED] * len(self._operations)
        satisfied = [need.who == "nobody" for need in self.needs]
        officers: list[set[int]] = [set() for _ in self._operations]
        halves: list[set[str]] = [set() for _ in self._operations]
        for envelope in envelopes:
            verdict, signed = self._verdict(envelope)
            covered = range(envelope.first, envelope.first + envelope.count)
            if signed is not None:
                mine = [(at, self._chains[at]) for at in covered]
                whole = [at for at, it in mine if covered.start <= it.start and it.stop <= covered.stop]
                vouched = [at for at in whole if is_authorised(signed, self.needs[at])]
                for at in vouched:
                    if self.needs[at].who == "two officers":
                        officers[at].add(signed.person)
                    elif self.needs[at].who == "key and operator":
                        halves[at].add("key" if signed.account else "operator")
                    else:
                        satisfied[at] = True
                if not vouched:
                    verdict = Result.NOT_AUTHORISED
            for at in covered:
                worst[at] = higher(worst[at], verdict)
        for at in range(len(self.needs)):
            if len(officers[at]) > 1 or len(halves[at]) > 1:
                satisfied[at] = True
            if not satisfied[at]:
                lacking = Result.TWO_PERSONS_MUST_SIGN if officers[at] else Result.NOT_AUTHORISED
                worst[at] = higher(worst[at], lacking)
        return [code if new else Result.CREATED for code, new in zip(worst, self._fresh, strict=True)]

    def _verdict(self, envelope: Envelope) -> tuple[Result, Signed | None]:
        if envelope.flags not in KEY_FLAGS or (envelope.currency == 0 and envelope.key_epoch != 0):
            return Result.SIGNATURE_INVALID, None
        verdict, signed = self._account_verdict(envelope) if envelope.currency else self._person_verdict(envelope)
        if verdict is not Result.SIGNATURE_INVALID and envelope.valid_until_ns <= self._now_ns:
            verdict = Result.SIGNATURE_EXPIRED
        return verdict, signed if verdict is Result.CREATED else None

    def _account_verdict(self, envelope: Envelope) -> tuple[Result, Signed | None]:
        account = self._twin.accounts.get(envelope.signer)
        if account is None or not account.key_flags:
            return Result.SIGNER_NOT_FOUND, None
        if (account.currency, account.key_epoch) != (envelope.currency, envelope.key_epoch):
            return Result.KEY_EPOCH_DIFFERS, None
        if account.key_flags != envelope.flags or not self._holds(account.key, envelope):
            return Result.SIGNATURE_INVALID, None
        return Result.CREATED, Signed(account=account.id)

    def _person_verdict(self, envelope: Envelope) -> tuple[Result, Signed | None]:
        grants = [g for g in self._twin.grants.values() if g.person == envelope.signer and g.counts(self._now_ns)]
        if not grants:
            return Result.SIGNER_NOT_FOUND, None
        for grant in grants:
            if grant.flags == envelope.flags and self._holds(grant.key, envelope):
                mine = [each for each in grants if (each.flags, each.key) == (grant.flags, grant.key)]
                currencies = frozenset(each.currency for each in mine if each.role == Role.OFFICER)
                operators = frozenset(each.operator for each in mine if each.role == Role.OPERATOR)
                return Result.CREATED, Signed(
                    envelope.signer, board=0 in currencies, currencies=currencies - {0}, operators=operators
                )
        return Result.SIGNATURE_INVALID, None

    def _holds(self, key: bytes, envelope: Envelope) -> bool:
        covered = self._operations[envelope.first : envelope.first + envelope.count]
        message = signed_message(self._ledger_id, envelope, b"".join(each.record for each in covered))
        return PublicKey(envelope.flags, key).verifies(envelope.signature, message)


def chains_of(operations: Sequence[Operation]) -> list[range]:
    """Return the chain of each operation; a single operation is its own chain."""
    found: list[range] = []
    for chain in chains(list(operations)):
        found += [range(len(found), len(found) + len(chain))] * len(chain)
    return found


def signed_message(ledger_id: bytes, envelope: Envelope, records: bytes) -> bytes:
    """Return the 112 bytes that are signed, §2."""
    return (
        b"sycee.envelope.v1".ljust(32, b"\0")
        + ledger_id
        + envelope.signer.to_bytes(16, "little")
        + struct.pack("<qIHH", envelope.valid_until_ns, envelope.key_epoch, envelope.currency, envelope.count)
        + blake3(records).digest()
    )


def is_authorised(signed: Signed, need: Need) -> bool:
    """Return whether a signer has the needed authority, or is one of the two that must sign."""
    if need.who in ("nobody", "any"):
        return True
    if signed.account:
        return need.who in ("key", "key and operator") and need.account == signed.account
    if need.who in ("operator", "own operator", "key and operator") and need.operator in signed.operators:
        return True
    if need.who == "staff":
        return signed.board or bool(signed.currencies | signed.operators)
    of_it = signed.board or need.currency in signed.currencies
    return of_it and need.who in ("officer", "operator", "two officers")


def higher(one: Result, other: Result) -> Result:
    return min(one, other, key=PRECEDENCE.index)
