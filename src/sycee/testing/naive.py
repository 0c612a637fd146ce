"""The ledger's naive twin: the same rules in dictionaries and plain integers, slow and obviously right.

It is written from docs/reference/ledger.md alone, in the order of that page, and shares no code with the kernels
but the lists of numbers in `core` and `ledger.layout`. Where twin and kernel differ, one of them or the page is wrong.

Every operation is one function that reads as its paragraph does: refusals in their order, then what changes.
Nothing is changed before the last refusal, so there is nothing to undo. What it keeps is in `naive_rows`, how it
reads a record and what it finds malformed in `naive_record`.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from sycee.core import limits
from sycee.core.codes import Result
from sycee.core.errors import require
from sycee.core.limits import I64_MAX
from sycee.ledger.layout import AccountKind, Block, Kind, PayFlag, Purpose, PurseState
from sycee.testing.naive_record import SELF_SUSPENDED, Operation, malformed
from sycee.testing.naive_rows import Account, Bound, Movement, Pay, Plan, Programme, Purse, Row, RuleSet

LEG_MAX = 65_535  # legs are counted in sixteen bits and stop there
RETURNS = (Purpose.RETURN, Purpose.RETURN_SUSPENSE)


class NaiveLedger:
    """The state machine of docs/reference/ledger.md. Everything it keeps is in the dictionaries below."""

    def __init__(self) -> None:
        self.currencies: dict[int, bytes] = {}  # number to name of the zone, 48 bytes
        self.groups: dict[int, set[int]] = {}
        self.rule_sets: dict[int, RuleSet] = {}
        self.accounts: dict[int, Account] = {}
        self.programmes: dict[int, Programme] = {}
        self.bound: dict[int, Bound] = {}
        self.pays: dict[int, Pay] = {}  # those that succeeded, by the operation's id
        self.movements: list[Movement] = []
        self._now = 0
        self._place = 0
        self._leg = 0

    def apply(self, sequence: int, now_ns: int, operations: npt.NDArray[Any]) -> list[tuple[Result, Result]]:
        """Apply one frame: an array of layout.OPERATION. Gives (code, first code) for each operation."""
        answers = []
        for index, record in enumerate(np.ascontiguousarray(operations)):
            self._now = now_ns
            self._place = sequence << limits.PLACE_INDEX_BITS | index
            self._leg = 0
            answers.append(self._answer(Operation.read(record.tobytes())))
        return answers

    def _answer(self, operation: Operation) -> tuple[Result, Result]:
        refusal = malformed(operation)
        if refusal is not None:
            return refusal, Result.CREATED
        known = self.bound.get(operation.id)
        if known is not None:
            same = known.content == operation.content
            return Result.EXISTS if same else Result.EXISTS_WITH_DIFFERENT_CONTENT, known.result
        kind = Kind(operation.kind)
        judge: Callable[[Operation], Result] = getattr(self, f"_{kind.name.lower()}")
        result = judge(operation)
        self.bound[operation.id] = Bound(operation.content, kind, result)
        return result, Result.CREATED

    # ── Questions ────────────────────────────────────────────────────────────────────────────────────────────

    def balance(self, account_id: int) -> int:
        """Credits less debits of one account."""
        return self.accounts[account_id].balance

    def purse(self, programme: int, member: int) -> Purse:
        """One member's purse, as it is now."""
        return self.programmes[programme].purses[member]

    def supply(self, currency: int) -> int:
        """Money in circulation: the debit balance of the currency's issuance account."""
        return -sum(
            a.balance for a in self.accounts.values() if (a.kind, a.currency) == (AccountKind.ISSUANCE, currency)
        )

    def _purses(self) -> Iterator[Purse]:
        for _, programme in sorted(self.programmes.items()):
            yield from programme.purses

    # ── §3 Accounts ──────────────────────────────────────────────────────────────────────────────────────────

    def _define_currency(self, operation: Operation) -> Result:
        if operation.number in self.currencies:
            return Result.CURRENCY_EXISTS
        if len(self.currencies) == limits.CURRENCIES_MAX:
            return Result.TOO_MANY_CURRENCIES
        self.currencies[operation.number] = operation.zone
        return Result.CREATED

    def _define_group(self, operation: Operation) -> Result:
        if operation.number in self.groups:
            return Result.GROUP_EXISTS
        self.groups[operation.number] = set()
        return Result.CREATED

    def _join_group(self, operation: Operation) -> Result:
        if operation.number not in self.groups:
            return Result.GROUP_NOT_FOUND
        if operation.debit not in self.accounts:
            return Result.ACCOUNT_NOT_FOUND
        self.groups[operation.number].add(operation.debit)
        return Result.CREATED

    def _leave_group(self, operation: Operation) -> Result:
        if operation.number not in self.groups:
            return Result.GROUP_NOT_FOUND
        if operation.debit not in self.accounts:
            return Result.ACCOUNT_NOT_FOUND
        self.groups[operation.number].discard(operation.debit)
        return Result.CREATED

    def _open_account(self, operation: Operation) -> Result:
        kind = AccountKind(operation.first)
        if operation.number not in self.currencies:
            return Result.CURRENCY_NOT_FOUND
        if operation.rule_set != 0 and operation.rule_set not in self.rule_sets:
            return Result.RULE_SET_NOT_FOUND
        if operation.debit in self.accounts:
            return Result.ACCOUNT_EXISTS
        if kind is AccountKind.ISSUANCE and any(
            (other.kind, other.currency) == (kind, operation.number) for other in self.accounts.values()
        ):
            return Result.ISSUANCE_EXISTS
        if kind not in SELF_SUSPENDED:
            suspense = self.accounts.get(operation.credit)
            if suspense is None or suspense.kind != AccountKind.SUSPENSE or suspense.currency != operation.number:
                return Result.SUSPENSE_NOT_FOUND
        self.accounts[operation.debit] = Account(
            id=operation.debit,
            currency=operation.number,
            kind=kind,
            operator=operation.count,
            rule_set=operation.rule_set,
            suspense=operation.debit if kind in SELF_SUSPENDED else operation.credit,
        )
        return Result.CREATED

    def _block_account(self, operation: Operation) -> Result:
        account = self.accounts.get(operation.debit)
        if account is None:
            return Result.ACCOUNT_NOT_FOUND
        if account.kind == AccountKind.SUSPENSE:
            return Result.ACCOUNT_MUST_STAY_OPEN
        if account.is_closed:
            return Result.ACCOUNT_CLOSED
        account.blocks = operation.flags
        return Result.CREATED

    def _close_account(self, operation: Operation) -> Result:
        account = self.accounts.get(operation.debit)
        if account is None:
            return Result.ACCOUNT_NOT_FOUND
        if account.kind in SELF_SUSPENDED:
            return Result.ACCOUNT_MUST_STAY_OPEN
        if account.is_closed:
            return Result.ACCOUNT_CLOSED
        if account.balance != 0:
            return Result.ACCOUNT_NOT_EMPTY
        account.blocks |= Block.CLOSED
        return Result.CREATED

    def _transfer(self, operation: Operation) -> Result:
        debit, credit = self.accounts.get(operation.debit), self.accounts.get(operation.credit)
        if debit is None:
            return Result.DEBIT_ACCOUNT_NOT_FOUND
        if credit is None:
            return Result.CREDIT_ACCOUNT_NOT_FOUND
        refusal = between(debit, credit)
        if refusal is not None:
            return refusal
        if debit.overflows_debits(operation.amount):
            return Result.OVERFLOWS_DEBITS
        if credit.overflows_credits(operation.amount):
            return Result.OVERFLOWS_CREDITS
        if not debit.has(operation.amount):
            return Result.EXCEEDS_BALANCE
        self._move([(debit, credit, operation.amount, Purpose.TRANSFER)])
        return Result.CREATED

    # ── §4 Rule sets ─────────────────────────────────────────────────────────────────────────────────────────

    def _define_rule_set(self, operation: Operation) -> Result:
        if any(group != 0 and group not in self.groups for group in operation.groups):
            return Result.GROUP_NOT_FOUND
        if operation.number in self.rule_sets:
            return Result.RULE_SET_EXISTS
        if operation.return_account != 0 and operation.return_account not in self.accounts:
            return Result.RETURN_ACCOUNT_NOT_FOUND
        self.rule_sets[operation.number] = RuleSet(
            operation.groups, operation.return_account, operation.from_ns, operation.until_ns
        )
        return Result.CREATED

    # ── §5 Programmes ────────────────────────────────────────────────────────────────────────────────────────

    def _open_programme(self, operation: Operation) -> Result:
        rules, funder = self.rule_sets.get(operation.rule_set), self.accounts.get(operation.debit)
        if rules is None:
            return Result.RULE_SET_NOT_FOUND
        if operation.number in self.programmes:
            return Result.PROGRAMME_EXISTS
        if rules.return_account == 0:
            return Result.RETURN_ACCOUNT_NOT_FOUND
        if funder is None:
            return Result.DEBIT_ACCOUNT_NOT_FOUND
        if funder.currency != self.accounts[rules.return_account].currency:
            return Result.CURRENCIES_MUST_MATCH
        self.programmes[operation.number] = Programme(
            rule_set=operation.rule_set,
            funder=funder.id,
            currency=funder.currency,
            claim_from_ns=operation.from_ns,
            claim_until_ns=operation.until_ns,
            purses=[Purse(operation.number, member) for member in range(operation.count)],
        )
        return Result.CREATED

    def _add_members(self, operation: Operation) -> Result:
        programme = self.programmes.get(operation.number)
        if programme is None:
            return Result.PROGRAMME_NOT_FOUND
        if programme.sealed:
            return Result.COHORT_SEALED
        if operation.first + operation.count > len(programme.purses):
            return Result.MEMBER_NOT_FOUND
        if operation.first != programme.filled:
            return Result.MEMBERS_OUT_OF_ORDER
        for purse, member_id in zip(programme.range(operation), operation.members, strict=True):
            purse.member_id = member_id
        programme.filled += operation.count
        return Result.CREATED

    def _seal_cohort(self, operation: Operation) -> Result:
        programme = self.programmes.get(operation.number)
        if programme is None:
            return Result.PROGRAMME_NOT_FOUND
        if programme.sealed:
            return Result.COHORT_SEALED
        if programme.filled != len(programme.purses):
            return Result.COHORT_INCOMPLETE
        if operation.digest != cohort_digest(purse.member_id for purse in programme.purses):
            return Result.COHORT_DIGEST_DIFFERS
        programme.sealed, programme.seal = True, operation.id
        return Result.CREATED

    def _drop(self, operation: Operation) -> Result:
        programme = self.programmes.get(operation.number)
        if programme is None:
            return Result.PROGRAMME_NOT_FOUND
        if not programme.sealed:
            return Result.COHORT_NOT_SEALED
        if programme.seal != operation.reference:
            return Result.SEAL_DIFFERS
        if operation.first + operation.count > len(programme.purses):
            return Result.MEMBER_NOT_FOUND
        funder = self.accounts[programme.funder]
        if funder.is_closed:
            return Result.DEBIT_ACCOUNT_CLOSED
        if funder.blocks & Block.DEBIT:
            return Result.DEBIT_ACCOUNT_BLOCKED
        if self._is_expired(programme):
            return Result.PROGRAMME_EXPIRED
        to_fill = [purse for purse in programme.range(operation) if purse.state is PurseState.EMPTY]
        total = operation.amount * len(to_fill)
        if total > I64_MAX or funder.overflows_debits(total):
            return Result.OVERFLOWS_DEBITS
        if not funder.has(total):
            return Result.EXCEEDS_BALANCE
        for purse in to_fill:
            purse.state = PurseState.DROPPED
        self._move([(funder, purse, operation.amount, Purpose.DROP) for purse in to_fill])
        return Result.CREATED

    def _claim(self, operation: Operation) -> Result:
        programme, wallet = self.programmes.get(operation.number), self.accounts.get(operation.credit)
        if programme is None:
            return Result.PROGRAMME_NOT_FOUND
        if wallet is None:
            return Result.CREDIT_ACCOUNT_NOT_FOUND
        if not programme.sealed:
            return Result.COHORT_NOT_SEALED
        if operation.first >= len(programme.purses):
            return Result.MEMBER_NOT_FOUND
        purse = programme.purses[operation.first]
        if purse.member_id != operation.reference:
            return Result.MEMBER_DIFFERS
        if wallet.currency != programme.currency:
            return Result.CURRENCIES_MUST_MATCH
        if wallet.is_closed:
            return Result.CREDIT_ACCOUNT_CLOSED
        if wallet.blocks & Block.CREDIT:
            return Result.CREDIT_ACCOUNT_BLOCKED
        if purse.state is PurseState.EMPTY:
            return Result.PURSE_NOT_DROPPED
        if purse.wallet != 0:
            return Result.PURSE_CLAIMED
        if self._is_expired(programme) or purse.state is PurseState.EXPIRED:
            return Result.PROGRAMME_EXPIRED
        if self._now < programme.claim_from_ns:
            return Result.CLAIM_WINDOW_NOT_OPEN
        if self._now >= programme.claim_until_ns:
            return Result.CLAIM_WINDOW_CLOSED
        if (
            len([p for p in self._purses_of(wallet) if p.state is not PurseState.EXPIRED])
            >= limits.PURSES_PER_WALLET_MAX
        ):
            return Result.TOO_MANY_PURSES
        purse.state, purse.wallet = PurseState.CLAIMED, wallet.id
        return Result.CREATED

    def _pay(self, operation: Operation) -> Result:
        payer, payee = self.accounts.get(operation.debit), self.accounts.get(operation.credit)
        if payer is None:
            return Result.DEBIT_ACCOUNT_NOT_FOUND
        if payee is None:
            return Result.CREDIT_ACCOUNT_NOT_FOUND
        refusal = between(payer, payee)
        if refusal is not None:
            return refusal
        usable = [] if operation.flags & PayFlag.OWN_ONLY else self._usable_purses(payer, payee)
        own = operation.amount
        legs: list[tuple[Purse | None, int]] = []
        for purse in usable:
            part = min(purse.left, own)
            if part > 0:
                legs.append((purse, part))
                own -= part
        sources: list[Account | Purse] = [payer, *(purse for purse, _ in legs if purse)]
        if any(source.overflows_debits(operation.amount) for source in sources):
            return Result.OVERFLOWS_DEBITS
        if payee.overflows_credits(operation.amount):
            return Result.OVERFLOWS_CREDITS
        if own > 0 and (operation.flags & PayFlag.PURSES_ONLY or not payer.has(own)):
            return Result.EXCEEDS_BALANCE
        plan: Plan = [(purse, payee, part, Purpose.PAY_PURSE) for purse, part in legs if purse]
        if own > 0:
            legs.append((None, own))
            plan.append((payer, payee, own, Purpose.PAY_OWN))
        self.pays[operation.id] = Pay(payer.id, payee.id, operation.amount, legs)
        self._move(plan)
        return Result.CREATED

    def _refund(self, operation: Operation) -> Result:
        original = self.bound.get(operation.reference)
        if original is None:
            return Result.ORIGINAL_NOT_FOUND
        if original.kind is not Kind.PAY:
            return Result.ORIGINAL_IS_NOT_A_PAY
        if original.result is not Result.CREATED:
            return Result.ORIGINAL_WAS_REFUSED
        pay = self.pays[operation.reference]
        payee = self.accounts[pay.payee]
        if payee.is_closed:
            return Result.DEBIT_ACCOUNT_CLOSED
        if payee.blocks & Block.DEBIT:
            return Result.DEBIT_ACCOUNT_BLOCKED
        if pay.refunded + operation.amount > pay.amount:
            return Result.EXCEEDS_REFUNDABLE
        plan = self._plan_refund(pay, payee, operation.amount)
        if payee.overflows_debits(operation.amount):
            return Result.OVERFLOWS_DEBITS
        if any(receiver.overflows_credits(operation.amount) for _, receiver, _, _ in plan):
            return Result.OVERFLOWS_CREDITS
        if not payee.has(operation.amount):
            return Result.EXCEEDS_BALANCE
        pay.refunded += operation.amount
        self._move(plan)
        return Result.CREATED

    def _plan_refund(self, pay: Pay, payee: Account, amount: int) -> Plan:
        """Lay the legs end to end, own money first, then purses last to first; take [refunded, refunded + amount)."""
        own = [leg for leg in pay.legs if leg[0] is None]
        purses = [leg for leg in pay.legs if leg[0] is not None]
        plan: Plan = []
        begin = 0
        for purse, length in own + purses[::-1]:
            end = begin + length
            part = min(end, pay.refunded + amount) - max(begin, pay.refunded)
            begin = end
            if part <= 0:
                continue
            if purse is None:
                payer = self.accounts[pay.payer]
                receiver, purpose = self._receiver(payer, Purpose.REFUND_OWN, Purpose.REFUND_SUSPENSE)
                plan.append((payee, receiver, part, purpose))
                continue
            plan.append((payee, purse, part, Purpose.REFUND_PURSE))
            programme = self.programmes[purse.programme]
            if purse.state is PurseState.EXPIRED or self._is_expired(programme):
                receiver, purpose = self._returns_to(programme)
                plan.append((purse, receiver, part, purpose))
        return plan

    def _expire(self, operation: Operation) -> Result:
        programme = self.programmes.get(operation.number)
        if programme is None:
            return Result.PROGRAMME_NOT_FOUND
        if not programme.sealed:
            return Result.COHORT_NOT_SEALED
        if operation.first + operation.count > len(programme.purses):
            return Result.MEMBER_NOT_FOUND
        if not self._is_expired(programme):
            return Result.PROGRAMME_NOT_EXPIRED
        receiver, purpose = self._returns_to(programme)
        ending = [purse for purse in programme.range(operation) if purse.state is not PurseState.EXPIRED]
        if receiver.overflows_credits(sum(purse.left for purse in ending)):
            return Result.OVERFLOWS_CREDITS
        for purse in ending:
            purse.state = PurseState.EXPIRED
        self._move([(purse, receiver, purse.left, purpose) for purse in ending if purse.left > 0])
        return Result.CREATED

    def _is_expired(self, programme: Programme) -> bool:
        return self._now >= self.rule_sets[programme.rule_set].until_ns

    def _purses_of(self, wallet: Account) -> list[Purse]:
        return [purse for purse in self._purses() if purse.wallet == wallet.id]

    def _usable_purses(self, payer: Account, payee: Account) -> list[Purse]:
        """The payer's purses that may pay this payee now: earliest end first, then programme, then member."""
        usable = []
        for purse in self._purses_of(payer):
            rules = self.rule_sets[self.programmes[purse.programme].rule_set]
            groups = [group for group in rules.groups if group != 0]
            allowed = not groups or any(payee.id in self.groups[group] for group in groups)
            in_window = rules.from_ns <= self._now < rules.until_ns
            if purse.state is PurseState.CLAIMED and purse.left > 0 and in_window and allowed:
                usable.append((rules.until_ns, purse.programme, purse.member, purse))
        return [purse for *_, purse in sorted(usable, key=lambda entry: entry[:3])]

    def _receiver(self, account: Account, purpose: Purpose, otherwise: Purpose) -> tuple[Account, Purpose]:
        """The account if it can be credited, else its operator's suspense account; and the purpose that says so."""
        if account.blocks & (Block.CLOSED | Block.CREDIT):
            return self.accounts[account.suspense], otherwise
        return account, purpose

    def _returns_to(self, programme: Programme) -> tuple[Account, Purpose]:
        return_account = self.accounts[self.rule_sets[programme.rule_set].return_account]
        return self._receiver(return_account, Purpose.RETURN, Purpose.RETURN_SUSPENSE)

    # ── §6 Movements ─────────────────────────────────────────────────────────────────────────────────────────

    def _move(self, plan: Plan) -> None:
        for debit, credit, amount, purpose in plan:
            debit.give(amount, purpose)
            credit.receive(amount, purpose)
            # Both balances are taken after both sides: they agree where a suspense account refunds itself.
            self.movements.append(
                Movement(
                    debit.row, credit.row, amount, purpose, debit.balance, credit.balance, self._place,
                    min(self._leg, LEG_MAX),
                )
            )  # fmt: skip
            self._leg += 1

    # ── §3 Invariants ────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Add everything up again from the movements; raise IntegrityError, naming the row, where a sum is off."""
        balances: dict[Row, int] = defaultdict(int)
        moved: dict[tuple[Row, str], int] = defaultdict(int)
        for movement in self.movements:
            require(movement.amount > 0, f"{movement} moves nothing")
            balances[movement.debit] -= movement.amount
            balances[movement.credit] += movement.amount
            moved[movement.debit, "returned" if movement.purpose in RETURNS else "spent"] += movement.amount
            moved[movement.credit, "dropped" if movement.purpose is Purpose.DROP else "refunded"] += movement.amount
            require(balances[movement.debit] == movement.debit_balance, f"{movement.debit}: balance after {movement}")
            require(
                balances[movement.credit] == movement.credit_balance, f"{movement.credit}: balance after {movement}"
            )
        sums: dict[int, int] = defaultdict(int)
        for account in self.accounts.values():
            row = account.row
            sums[account.currency] += account.balance
            require(account.balance == balances[row], f"{row}: balance {account.balance}, moved {balances[row]}")
            require(account.has(0), f"{row}: balance {account.balance} is below zero")
            require(max(account.debits_posted, account.credits_posted) <= I64_MAX, f"{row}: passes 64 bits")
        for purse in self._purses():
            row = purse.row
            sums[self.programmes[purse.programme].currency] += purse.left
            for name in ("dropped", "spent", "refunded", "returned"):
                require(getattr(purse, name) == moved[row, name], f"{row}: {name} is not what moved")
                require(getattr(purse, name) <= I64_MAX, f"{row}: {name} passes 64 bits")
            require(purse.left == balances[row], f"{row}: left {purse.left}, moved {balances[row]}")
            require(purse.left >= 0, f"{row}: left {purse.left} is below zero")
            require(purse.state is not PurseState.EXPIRED or purse.left == 0, f"{row}: is EXPIRED and not empty")
        for currency, total in sums.items():
            require(total == 0, f"currency {currency}: all rows sum to {total}")

    # ── §7 State digest ──────────────────────────────────────────────────────────────────────────────────────

    def digest(self) -> bytes:
        """BLAKE3-256 over the whole state, in the order of numbers and ids."""
        sections = (
            self._currency_bytes,
            self._group_bytes,
            self._rule_set_bytes,
            self._account_bytes,
            self._programme_bytes,
            self._purse_bytes,
            self._bound_bytes,
        )
        digest = blake3(b"sycee.state.v1")
        for section in sections:
            rows = list(section())
            digest.update(struct.pack("<Q", len(rows)))
            digest.update(b"".join(rows))
        return digest.digest()

    def _currency_bytes(self) -> Iterator[bytes]:
        for number, zone in sorted(self.currencies.items()):
            yield struct.pack("<H48s", number, zone)

    def _group_bytes(self) -> Iterator[bytes]:
        for number, members in sorted(self.groups.items()):
            yield struct.pack("<IQ", number, len(members)) + b"".join(map(id_bytes, sorted(members)))

    def _rule_set_bytes(self) -> Iterator[bytes]:
        for number, rules in sorted(self.rule_sets.items()):
            yield (
                struct.pack("<IH4I", number, 0, *rules.groups)
                + id_bytes(rules.return_account)
                + struct.pack("<7q", rules.from_ns, rules.until_ns, 0, 0, 0, 0, 0)
            )

    def _account_bytes(self) -> Iterator[bytes]:
        for _, a in sorted(self.accounts.items()):
            # The zeros: two pending, three used, and the day, month and year they were used in. All are to come.
            yield (
                id_bytes(a.id)
                + struct.pack("<HHHII", a.currency, a.kind, a.blocks, a.operator, a.rule_set)
                + id_bytes(a.suspense)
                + struct.pack("<qqqqqqqihh", a.debits_posted, a.credits_posted, 0, 0, 0, 0, 0, 0, 0, 0)
            )

    def _programme_bytes(self) -> Iterator[bytes]:
        for number, p in sorted(self.programmes.items()):
            yield (
                struct.pack("<II", number, p.rule_set)
                + id_bytes(p.funder)
                + struct.pack("<IIH", len(p.purses), p.filled, p.sealed)
                + id_bytes(p.seal)
                + struct.pack("<qq", p.claim_from_ns, p.claim_until_ns)
            )

    def _purse_bytes(self) -> Iterator[bytes]:
        for p in self._purses():
            yield (
                struct.pack("<II", p.programme, p.member)
                + id_bytes(p.member_id)
                + id_bytes(p.wallet)
                + struct.pack("<5qH", p.dropped, p.spent, p.refunded, p.returned, 0, p.state)
            )

    def _bound_bytes(self) -> Iterator[bytes]:
        for id, bound in sorted(self.bound.items()):
            refunded = self.pays[id].refunded if id in self.pays else 0
            yield id_bytes(id) + struct.pack("<HHq", bound.kind, bound.result, refunded)


def between(debit: Account, credit: Account) -> Result | None:
    """Why no money may go from one account to the other, whatever the amount."""
    if debit.currency != credit.currency:
        return Result.CURRENCIES_MUST_MATCH
    if debit.is_closed:
        return Result.DEBIT_ACCOUNT_CLOSED
    if credit.is_closed:
        return Result.CREDIT_ACCOUNT_CLOSED
    if debit.blocks & Block.DEBIT:
        return Result.DEBIT_ACCOUNT_BLOCKED
    if credit.blocks & Block.CREDIT:
        return Result.CREDIT_ACCOUNT_BLOCKED
    return None


def id_bytes(id: int) -> bytes:
    """An id in 16 bytes, low half first."""
    return id.to_bytes(16, "little")


def cohort_digest(member_ids: Iterable[int]) -> bytes:
    """What SEAL_COHORT must name: BLAKE3-256 over the member ids in order."""
    return blake3(b"".join(map(id_bytes, member_ids))).digest()
