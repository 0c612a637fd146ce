"""State of the naive twin, advancing time, moving money, and undoing chains.

The operations are in the other naive files, one for each part of docs/reference/ledger.md.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from sycee.core.records.layout import HoldState, Purpose, Role
from sycee.core.result_codes import Result
from sycee.testing.naive_record import Operation
from sycee.testing.naive_rows import (
    Account,
    Batch,
    Bound,
    Grant,
    Hold,
    Legs,
    Movement,
    Pay,
    Plan,
    Programme,
    Purse,
    PurseKey,
    Rules,
    RuleSet,
    Three,
    Transit,
)

LEG_MAX = 65_535  # leg numbers have sixteen bits and stop at the maximum
# The tables, except movements, that operations allowed in chains may change.
CHANGED_BY_CHAINS = ("accounts", "purses", "holds", "transits", "pays", "refunded", "bound")

Day: TypeAlias = tuple[int, int, int, int]  # currency, day, month and year number


class Refusal(Exception):
    """Refusal of an operation, raised before any change."""

    def __init__(self, code: Result) -> None:
        super().__init__(code.name)
        self.code = code


def refuse(code: Result, condition: object) -> None:
    if condition:
        raise Refusal(code)


def refuse_for(code: Result | None) -> None:
    if code is not None:
        raise Refusal(code)


class Book:
    """All state of docs/reference/ledger.md, in dictionaries."""

    def __init__(self) -> None:
        self.currencies: dict[int, bytes] = {}  # number to name of the time zone, 48 bytes
        self.groups: dict[int, set[int]] = {}
        self.rule_sets: dict[int, RuleSet] = {}
        self.accounts: dict[int, Account] = {}
        self.programmes: dict[int, Programme] = {}
        self.purses: dict[PurseKey, Purse] = {}
        self.holds: dict[int, Hold] = {}  # in the order of creation
        self.transits: dict[int, Transit] = {}
        self.batches: dict[int, Batch] = {}  # open batches only
        self.newest_batch = 0
        self.grants: dict[int, Grant] = {}
        self.authority_on = False
        self.rules = 0  # version, set by the last UPGRADE
        self.bound: dict[int, Bound] = {}
        self.pays: dict[int, Pay] = {}  # each successful TRANSFER, PAY and POST, by the operation's id
        # The amount of these that was refunded or reversed, or was missing at a REVERSE.
        self.refunded: dict[int, int] = {}
        self.movements: list[Movement] = []
        self.now = 0
        self.calendar: dict[int, Three] = {}
        self.place = 0
        self.leg = 0

    # ── Lookup ───────────────────────────────────────────────────────────────────────────────────────────────

    def account_or(self, code: Result, id: int) -> Account:
        """Return the account with this id, or raise Refusal(code)."""
        refuse(code, id not in self.accounts)
        return self.accounts[id]

    def rules_of(self, account: Account) -> Rules | None:
        """Return the version in effect of an account's rule set; None without a rule set."""
        return self.rule_sets[account.rule_set].current if account.rule_set != 0 else None

    def rules_of_programme(self, programme: int) -> Rules:
        """Return the version in effect of a programme's rule set."""
        return self.rule_sets[self.programmes[programme].rule_set].current

    def is_expired(self, programme: int) -> bool:
        return self.now >= self.rules_of_programme(programme).until_ns

    def purses_of(self, wallet: Account) -> list[Purse]:
        """Return all purses claimed for this wallet, including empty ones."""
        return [purse for purse in self.purses.values() if purse.wallet == wallet.id]

    def purses_in(self, operation: Operation) -> list[Purse]:
        """Return the purses that an operation names by `number`, `first` and `count`."""
        return [self.purses[operation.number, operation.first + at] for at in range(operation.count)]

    def receiver(self, account: Account, purpose: Purpose, otherwise: Purpose) -> tuple[Account, Purpose]:
        """Return the account, or its suspense account if it is closed or blocked; and the purpose to record."""
        if account.closed or account.credit_reasons:
            return self.accounts[account.suspense], otherwise
        return account, purpose

    def return_account(self, programme: int) -> tuple[Account, Purpose]:
        """Return the account for the rest of a programme's purses, and the purpose to record."""
        account = self.accounts[self.rules_of_programme(programme).return_account]
        return self.receiver(account, Purpose.RETURN, Purpose.RETURN_SUSPENSE)

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pass_time(self, now_ns: int, calendar: Iterable[Day] = ()) -> None:
        """Begin a frame: put scheduled rule sets into effect and release holds that have ended."""
        self.now = now_ns
        self.calendar = {currency: (day, month, year) for currency, day, month, year in calendar}
        for rule_set in self.rule_sets.values():
            if rule_set.scheduled is not None and rule_set.scheduled.effective_ns <= now_ns:
                rule_set.current, rule_set.scheduled = rule_set.scheduled, None
        self.update_authority()
        # `sorted` is stable: holds with equal ends are released in the order of creation.
        for hold in sorted(self.holds.values(), key=lambda hold: hold.end_ns):
            if hold.state is HoldState.OPEN and hold.end_ns <= now_ns:
                self.release(hold, HoldState.TIMED_OUT)

    def officers(self, without: int = 0) -> set[int]:
        """Return the persons who are board officers now, omitting one grant."""
        return {
            grant.person
            for grant in self.grants.values()
            if grant.role == Role.OFFICER and grant.currency == 0
            if grant.counts(self.now) and grant.id != without
        }

    def update_authority(self) -> None:
        """Turn authority on, permanently, once there are two board officers."""
        self.authority_on = self.authority_on or len(self.officers()) >= 2

    def release(self, hold: Hold, state: HoldState) -> None:
        """Release the rest of a hold, and subtract it from the limits it was counted in."""
        if hold.counted:
            self.subtract_use(self.accounts[hold.payer], hold.own, hold.periods)
        self.set_legs(hold, tuple((purse, 0) for purse, _ in hold.legs))
        hold.state = state

    def set_legs(self, hold: Hold, legs: Legs) -> None:
        """Set the legs of a hold, and the pending amounts on both sides."""
        for sign, changed in ((-1, hold.legs), (1, legs)):
            for purse, part in changed:
                if purse is None:
                    self.accounts[hold.payer].debits_pending += sign * part
                else:
                    self.purses[purse].pending += sign * part
                self.accounts[hold.payee].credits_pending += sign * part
        hold.legs = legs

    def subtract_use(self, account: Account, amount: int, periods: Three) -> None:
        """Subtract an amount from the use of those periods that are still current for the account."""
        day, month, year = (
            used - amount if then == now else used
            for used, then, now in zip(account.used, periods, account.periods, strict=True)
        )
        account.used = day, month, year

    # ── Movements ────────────────────────────────────────────────────────────────────────────────────────────

    def move(self, plan: Plan) -> None:
        for debit, credit, amount, purpose in plan:
            debit.debit(amount, purpose)
            credit.credit(amount, purpose)
            # Both balances are read after both changes: they agree if a suspense account refunds itself.
            self.movements.append(
                Movement(
                    debit.row, credit.row, amount, purpose, debit.balance, credit.balance, self.place,
                    min(self.leg, LEG_MAX),
                )
            )  # fmt: skip
            self.leg += 1

    # ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────

    def savepoint(self) -> dict[str, Any]:
        """Return a copy, row by row, of all state that a chain may change."""
        rows = {name: {key: copy.copy(row) for key, row in getattr(self, name).items()} for name in CHANGED_BY_CHAINS}
        return {**rows, "movements": list(self.movements)}

    def restore(self, saved: dict[str, Any]) -> None:
        for name, value in saved.items():
            setattr(self, name, value)


def period_numbers(calendar: dict[int, Three], account: Account) -> Iterator[tuple[int, int]]:
    """Yield for day, month and year: the current number, and the amount used in it."""
    today = calendar.get(account.currency, (0, 0, 0))
    for number, before, used in zip(today, account.periods, account.used, strict=True):
        yield (number, 0) if number > before else (before, used)
