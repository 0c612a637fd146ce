"""The naive twin's book: all that it keeps, how time passes, how money moves, how a chain is undone.

What each operation does to it is in the other files of this name, one for each part of docs/reference/ledger.md.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from sycee.core.result_codes import Result
from sycee.ledger.layout import HoldState, Purpose, Role
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

LEG_MAX = 65_535  # legs are counted in sixteen bits and stop there
# What the kinds that may stand in a chain change, beside the list of movements.
CHANGED_BY_CHAINS = ("accounts", "purses", "holds", "transits", "pays", "refunded", "bound")

Day: TypeAlias = tuple[int, int, int, int]  # currency, and its day, month and year number


class Refusal(Exception):
    """Why an operation is not done. It is raised before anything was changed."""

    def __init__(self, code: Result) -> None:
        super().__init__(code.name)
        self.code = code


def refuse(code: Result, condition: object) -> None:
    """Refuse with this code where the condition holds."""
    if condition:
        raise Refusal(code)


def refuse_for(code: Result | None) -> None:
    """Refuse with this code if there is one."""
    if code is not None:
        raise Refusal(code)


class Book:
    """Everything the state machine of docs/reference/ledger.md keeps, in dictionaries."""

    def __init__(self) -> None:
        self.currencies: dict[int, bytes] = {}  # number to name of the zone, 48 bytes
        self.groups: dict[int, set[int]] = {}
        self.rule_sets: dict[int, RuleSet] = {}
        self.accounts: dict[int, Account] = {}
        self.programmes: dict[int, Programme] = {}
        self.purses: dict[PurseKey, Purse] = {}
        self.holds: dict[int, Hold] = {}  # in the order in which they were made
        self.transits: dict[int, Transit] = {}
        self.batches: dict[int, Batch] = {}  # those that are open
        self.newest_batch = 0
        self.grants: dict[int, Grant] = {}
        self.authority_on = False
        self.rules = 0  # version, by the last UPGRADE
        self.bound: dict[int, Bound] = {}
        self.pays: dict[int, Pay] = {}  # each TRANSFER, PAY and POST that succeeded, by the operation's id
        self.refunded: dict[int, int] = {}  # what came back of these, and what was missing of a REVERSE
        self.movements: list[Movement] = []
        self.now = 0
        self.calendar: dict[int, Three] = {}
        self.place = 0
        self.leg = 0

    # ── Looking up ───────────────────────────────────────────────────────────────────────────────────────────

    def account_or(self, code: Result, id: int) -> Account:
        """The account of this id, or a refusal with this code."""
        refuse(code, id not in self.accounts)
        return self.accounts[id]

    def rules_of(self, account: Account) -> Rules | None:
        """The rules that an account lives under, in the version in effect; None if it lives under none."""
        return self.rule_sets[account.rule_set].current if account.rule_set != 0 else None

    def rules_of_programme(self, programme: int) -> Rules:
        """The same of a programme's purses."""
        return self.rule_sets[self.programmes[programme].rule_set].current

    def is_expired(self, programme: int) -> bool:
        """True from the end of a programme's rule set on."""
        return self.now >= self.rules_of_programme(programme).until_ns

    def purses_of(self, wallet: Account) -> list[Purse]:
        """All purses that were ever claimed for it."""
        return [purse for purse in self.purses.values() if purse.wallet == wallet.id]

    def purses_in(self, operation: Operation) -> list[Purse]:
        """The purses that an operation names by `number`, `first` and `count`."""
        return [self.purses[operation.number, operation.first + at] for at in range(operation.count)]

    def receiver(self, account: Account, purpose: Purpose, otherwise: Purpose) -> tuple[Account, Purpose]:
        """The account if it can be credited, else its operator's suspense account; and the purpose that says so."""
        if account.closed or account.credit_reasons:
            return self.accounts[account.suspense], otherwise
        return account, purpose

    def return_account(self, programme: int) -> tuple[Account, Purpose]:
        """Who gets the rest of a programme's purses."""
        account = self.accounts[self.rules_of_programme(programme).return_account]
        return self.receiver(account, Purpose.RETURN, Purpose.RETURN_SUSPENSE)

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────

    def pass_time(self, now_ns: int, calendar: Iterable[Day] = ()) -> None:
        """Begin a frame: what was to come takes effect, and holds that are over are let go."""
        self.now = now_ns
        self.calendar = {currency: (day, month, year) for currency, day, month, year in calendar}
        for rule_set in self.rule_sets.values():
            if rule_set.coming is not None and rule_set.coming.effective_ns <= now_ns:
                rule_set.current, rule_set.coming = rule_set.coming, None
        self.turn_authority_on()
        # `sorted` keeps the order of making among equal ends.
        for hold in sorted(self.holds.values(), key=lambda hold: hold.end_ns):
            if hold.state is HoldState.OPEN and hold.end_ns <= now_ns:
                self.let_go(hold, HoldState.TIMED_OUT)

    def officers(self, without: int = 0) -> set[int]:
        """The persons who are officers of the board, of no single currency, now, were it not for one grant."""
        return {
            grant.person
            for grant in self.grants.values()
            if grant.role == Role.OFFICER and grant.currency == 0
            if grant.counts(self.now) and grant.id != without
        }

    def turn_authority_on(self) -> None:
        """Two officers are enough; from then on it stays on."""
        self.authority_on = self.authority_on or len(self.officers()) >= 2

    def let_go(self, hold: Hold, state: HoldState) -> None:
        """What is still held is pending no more, and what of it was used up comes back."""
        if hold.counted:
            self.give_back(self.accounts[hold.payer], hold.own, hold.periods)
        self.keep(hold, tuple((purse, 0) for purse, _ in hold.legs))
        hold.state = state

    def keep(self, hold: Hold, legs: Legs) -> None:
        """Change what a hold keeps, and with it what is pending on both sides."""
        for sign, changed in ((-1, hold.legs), (1, legs)):
            for purse, part in changed:
                if purse is None:
                    self.accounts[hold.payer].debits_pending += sign * part
                else:
                    self.purses[purse].pending += sign * part
                self.accounts[hold.payee].credits_pending += sign * part
        hold.legs = legs

    def give_back(self, account: Account, amount: int, periods: Three) -> None:
        """Take an amount from what was used in those of the periods that the account is still in."""
        day, month, year = (
            used - amount if then == now else used
            for used, then, now in zip(account.used, periods, account.periods, strict=True)
        )
        account.used = day, month, year

    # ── Movements ────────────────────────────────────────────────────────────────────────────────────────────

    def move(self, plan: Plan) -> None:
        """Make these movements, in this order."""
        for debit, credit, amount, purpose in plan:
            debit.give(amount, purpose)
            credit.receive(amount, purpose)
            # Both balances are taken after both sides: they agree where a suspense account refunds itself.
            self.movements.append(
                Movement(
                    debit.row, credit.row, amount, purpose, debit.balance, credit.balance, self.place,
                    min(self.leg, LEG_MAX),
                )
            )  # fmt: skip
            self.leg += 1

    # ── Chains ───────────────────────────────────────────────────────────────────────────────────────────────

    def remember(self) -> dict[str, Any]:
        """All that a chain may change, copied row by row."""
        rows = {name: {key: copy.copy(row) for key, row in getattr(self, name).items()} for name in CHANGED_BY_CHAINS}
        return {**rows, "movements": list(self.movements)}

    def restore(self, remembered: dict[str, Any]) -> None:
        """Be again what was remembered."""
        for name, value in remembered.items():
            setattr(self, name, value)


def period_numbers(calendar: dict[int, Three], account: Account) -> Iterator[tuple[int, int]]:
    """Of day, month and year: the number that holds now and what the account used in it so far."""
    today = calendar.get(account.currency, (0, 0, 0))
    for number, before, used in zip(today, account.periods, account.used, strict=True):
        yield (number, 0) if number > before else (before, used)
