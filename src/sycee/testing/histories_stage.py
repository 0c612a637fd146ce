"""Stage of a random history: choices of its setting bytes, and the operations that set it up.

A naive ledger, the guide, applies the same operations, so that steps can be aimed, for example at an open pay or an
empty account.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sycee.core.limits import CURRENCIES_MAX, MEMBERS_PER_RECORD_MAX, PURSES_PER_WALLET_MAX
from sycee.core.records.layout import AccountKind, Kind
from sycee.testing.histories_world import (
    ACCOUNT_RULES,
    ANN,
    BANK,
    BOB,
    BRIEF,
    CAFE,
    CAT,
    CURRENCIES,
    FAR_TICKS,
    FUNDER,
    ISSUANCE,
    KINDS,
    NARROW,
    OPERATOR,
    OTHER_OPERATOR,
    OTHER_SUSPENSE,
    OTHER_WAY,
    PERSONS,
    RETURN,
    SECOND_NS,
    SHOP,
    SHOPS,
    START_NS,
    SUSPENSE,
    WAY,
    Dice,
    Frame,
    Record,
    account_id,
    calendar_at,
    is_linked,
    member_id,
    record,
)
from sycee.testing.naive import NaiveLedger, cohort_digest
from sycee.testing.naive_rows import Account

SETTING_BYTES = 64


class Stage:
    """Frames so far, and the guide that applied them. Creating a Stage sets it up."""

    def __init__(self, setting: bytes) -> None:
        self._guide = NaiveLedger()
        self._done: list[Frame] = []
        self._rows: list[Record] = []  # records of the current frame
        self._waiting: list[Record] = []  # rows of a chain without its last operation so far
        self._ticks = 0
        self._calendar: tuple[tuple[int, int, int, int], ...] = ()
        self._next_id = 1
        self._seasons: dict[int, tuple[int, int]] = {}  # window, in ticks, of each programme opened by later steps
        self._choose(Dice(setting))
        self._set_up()

    def _choose(self, dice: Dice) -> None:
        self._bareness = dice.pick((*[0] * 40, 1, 2))  # 0: everything is set up, 1: no programmes, 2: nothing
        self._crowded = dice.one_in(5)  # enough purses that one wallet can have too many
        self._huge = dice.pick((None, None, None, ANN, FUNDER))  # the account that starts near the 64-bit maximum
        self._many_currencies = dice.one_in(4)
        self._currencies = 2 - dice.one_in(3)
        self._tick_ns = dice.pick((1, 1, SECOND_NS // 2))
        self._backwards = dice.pick((*CURRENCIES, 0))
        self._sizes = [7] * 3 if self._crowded else [dice.pick((3, 1, 7, 2, 5, 6)) for _ in range(3)]
        self._until = [dice.pick((30, 12, 20, 60, 200)) for _ in range(3)]
        self._from = [-dice.pick((10, 10, 0, -8)) for _ in range(3)]
        self._returns_to = dice.pick((RETURN, FUNDER, RETURN, SHOP))
        self._late = dice.pick((0, 0, 4)) * (not self._crowded)  # delay, in ticks, of the second programme's claims
        self._dropped_part = dice.pick((1, 1, 2))  # the first drop is for all, or for this part of the members
        self._last = dice.pick(("sealed", "sealed", "filled", "opened"))  # setup steps done for the last programme
        self._purse_rules = [
            {
                "flags": dice.pick((0, 0, 0, 1, 2, 8, 8, 10)),
                "single_max": dice.pick((0, 0, 20)),
                "balance_max": dice.pick((0, 40)),
                "refund_reserve": dice.pick((0, 0, 10, 25)),  # with flag 8: the least payment
            }
            for _ in range(3)
        ]
        self._account_rules = {number: self._limits(number, dice) for number in ACCOUNT_RULES}
        self._lives_under = {
            ANN: dice.pick((0, PERSONS, PERSONS, NARROW)),
            BOB: dice.pick((0, PERSONS, NARROW, 0, BRIEF)),
            CAT: dice.pick((0, PERSONS)),
            SHOP: dice.pick((0, SHOPS, SHOPS, 0, BRIEF)),
            CAFE: dice.pick((0, SHOPS, 0, BRIEF)),
        }
        # The theme of most steps; `histories` lists the themes. A crowded wallet uses purses.
        self._theme = 1 if self._crowded else dice.below(9)
        self._lives_under[FUNDER] = dice.pick((0, 0, 0, 0, PERSONS, SHOPS))
        self._lives_under[BANK] = dice.pick((0, 0, SHOPS, BRIEF))

    def _limits(self, number: int, dice: Dice) -> dict[str, Any]:
        """Return the fields of an account's rule set; all-zero dice give one without limits."""
        day, month, year = dice.pick(((0, 0, 0), (90, 150, 0), (60, 0, 0), (0, 70, 100), (0, 0, 70), (50, 80, 110)))
        fields: dict[str, Any] = {}
        if number in (PERSONS, NARROW):
            fields |= {"single_max": dice.pick((0, 45, 60)), "balance_max": dice.pick((0, 250, 220))}
            fields |= {"day_max": day, "month_max": month, "year_max": year}
        if number == SHOPS:
            fields |= {"refund_reserve": dice.pick((0, 15, 40)), "refund_window_s": dice.pick((0, 1, 2))}
            fields |= {"balance_max": dice.pick((0, 0, 150)), "day_max": dice.pick((0, 0, 80))}
            fields |= {"flags": dice.pick((0, 0, 4, 12))}
        if number == NARROW:
            fields |= {"groups": dice.pick(((), (1,), (1, 2))), "flags": dice.pick((0, 1, 2, 3, 4, 2))}
        start, end = -10, FAR_TICKS
        if number == BRIEF:
            start, end = dice.pick(((-5, 15), (-5, 25), (6, FAR_TICKS)))
        return {**fields, "from_ns": self._ns(start), "until_ns": self._ns(end)}

    def _ns(self, ticks: int) -> int:
        """Return the time of `ticks` after the start, in nanoseconds."""
        return START_NS + ticks * self._tick_ns

    @property
    def _now_ns(self) -> int:
        return self._ns(self._ticks)

    # ── Frames ───────────────────────────────────────────────────────────────────────────────────────────────

    def frames(self) -> list[Frame]:
        """Return the history so far."""
        self._flush()
        return [*self._done, self._frame()]

    def _frame(self) -> Frame:
        rows = np.concatenate(self._rows) if self._rows else record(0, 0)[:0]
        return Frame(self._now_ns, rows, self._calendar)

    def _pass(self, ticks: int) -> None:
        """End the frame and begin another `ticks` later."""
        self._flush()
        self._done.append(self._frame())
        self._rows = []
        self._ticks += ticks
        self._calendar = calendar_at(self._ticks, self._guide.currencies, backwards=self._backwards)
        self._guide.pass_time(self._now_ns, self._calendar)

    def _flush(self) -> None:
        """Apply pending records to the guide: a chain when it is complete or its frame ends."""
        if self._waiting:
            rows = np.concatenate(self._waiting)
            self._waiting = []
            self._guide.apply(len(self._done) + 1, self._now_ns, rows, self._calendar)

    def _emit(self, kind: Kind, **fields: Any) -> int:
        """Add an operation and return its id: the given id or the next one."""
        id: int = fields.pop("id", self._next_id)
        self._append(record(kind, id, **fields))
        return id

    def _append(self, row: Record) -> None:
        self._rows.append(row)
        self._waiting.append(row)
        if not is_linked(row):
            self._flush()
        self._next_id = self._id_after(self._next_id, len(self._rows))

    def _id_after(self, id: int, rows: int) -> int:
        """Return the next id. Some ids exceed 64 bits and are not in order of creation."""
        return rows * 7 % 11 << 64 | (id & 0xFFFF_FFFF) + 1

    # ── Setup ────────────────────────────────────────────────────────────────────────────────────────────────

    def _set_up(self) -> None:
        if self._bareness == 2:
            return
        for currency in range(self._currencies):
            self._emit(Kind.DEFINE_CURRENCY, number=CURRENCIES[currency], zone="Asia/Shanghai")
            for number, kind in sorted(enumerate(KINDS), key=lambda entry: entry[1]):  # suspense before its wallets
                self._emit(Kind.OPEN_ACCOUNT, **self._opening(currency, number, kind))
            for number, amount in ((FUNDER, 1_000), (ANN, 200), (BOB, 100), (CAT, 60), (SHOP, 20), (BANK, 100)):
                self._mint(currency, number, amount)
            for number, other in ((ANN, WAY), (SHOP, WAY), (CAT, OTHER_WAY), (WAY, BANK), (OTHER_WAY, RETURN)):
                self._emit(Kind.LINK_ACCOUNT, debit=account_id(currency, number), credit=account_id(currency, other))
        if self._huge is not None:
            self._mint(0, self._huge, (1 << 62) + (1 << 61))
        if self._many_currencies:
            for number in range(1, CURRENCIES_MAX + 1 - self._currencies):
                self._emit(Kind.DEFINE_CURRENCY, number=number, zone="UTC")
        for group in (1, 2, 3):
            self._emit(Kind.DEFINE_GROUP, number=group)
        self._emit(Kind.JOIN_GROUP, number=1, debit=account_id(0, SHOP))
        self._emit(Kind.JOIN_GROUP, number=2, debit=account_id(0, CAFE))
        for number in ACCOUNT_RULES:
            self._emit(Kind.DEFINE_RULE_SET, **self._rules(number))
        for number, rule_set in self._lives_under.items():
            if rule_set:
                self._emit(Kind.SET_RULE_SET, debit=account_id(0, number), rule_set=rule_set)
        if self._bareness == 0:
            for programme in (1, 2, 3):
                self._set_up_programme(programme)

    def _set_up_programme(self, programme: int) -> None:
        self._emit(Kind.DEFINE_RULE_SET, **self._rules(programme))
        self._emit(Kind.OPEN_PROGRAMME, **self._opening_programme(programme))
        done = self._last if programme == 3 else "sealed"
        if done != "opened":
            self._fill(programme)
        if done == "sealed":
            self._seal_and_drop(programme)

    def _fill(self, programme: int) -> None:
        for first in range(0, self._size(programme), MEMBERS_PER_RECORD_MAX):
            self._emit(Kind.ADD_MEMBERS, **self._chunk(programme, first))

    def _seal_and_drop(self, programme: int) -> None:
        size = self._size(programme)
        seal = self._emit(Kind.SEAL_COHORT, number=programme, digest=self._digest(programme))
        funder = account_id(self._currency_of(programme), FUNDER)
        amount = 30
        if self._huge == FUNDER and programme == 1 and self._purse_rules[0]["balance_max"] == 0:
            amount = (self._guide.balance(funder) - 700) // size
        count = size if self._crowded else -(-size // self._dropped_part)
        self._emit(Kind.DROP, number=programme, count=count, amount=amount, reference=seal)
        claimed = min(size, PURSES_PER_WALLET_MAX - size * (programme - 1)) if self._crowded else size // 2
        for member in range(claimed):
            number = ANN if self._crowded or member % 2 == 0 else BOB
            self._emit(Kind.CLAIM, **self._claim_of(programme, member, number))

    def _mint(self, currency: int, number: int, amount: int) -> None:
        debit, credit = account_id(currency, ISSUANCE), self._who(number, currency)
        self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=amount)

    # ── Fields of setup operations, also for steps ───────────────────────────────────────────────────────────

    def _who(self, number: int, currency: int = 0) -> int:
        """Return the id of this account, or of an open one of its kind if it is closed, so that long histories
        continue.
        """
        id = account_id(currency, number)
        account = self._guide.accounts.get(id)
        if account is None or not account.closed:
            return id
        heirs = self._open_ones(account.kind, account.currency)
        return heirs[number % len(heirs)].id if heirs else id

    def _open_ones(self, kind: int, currency: int) -> list[Account]:
        same = (kind, currency, 0)
        return [other for other in self._guide.accounts.values() if (other.kind, other.currency, other.closed) == same]

    def _currency_of(self, programme: int) -> int:
        return 1 if programme == 3 and self._currencies == 2 and not self._crowded else 0

    def _opening(self, currency: int, number: int, kind: int) -> dict[str, Any]:
        self_suspended = kind in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
        credit = 0 if self_suspended else account_id(currency, OTHER_SUSPENSE if number in (BOB, CAT) else SUSPENSE)
        debit = account_id(currency, number)
        operator = {CAT: OTHER_OPERATOR, OTHER_SUSPENSE: 0}.get(number, OPERATOR)
        return {"debit": debit, "credit": credit, "number": CURRENCIES[currency], "first": kind, "count": operator}

    def _rules(self, rule_set: int) -> dict[str, Any]:
        if rule_set in self._account_rules:
            return {"number": rule_set, **self._account_rules[rule_set]}
        groups = {1: (), 2: (1,), 3: (2, 0, 3)}.get(rule_set, (1, 2))
        index = min(rule_set, 3) - 1
        returns_to = account_id(self._currency_of(rule_set), self._returns_to)
        start, end = self._seasons.get(rule_set, (self._from[index], self._until[index]))
        window = {"from_ns": self._ns(start), "until_ns": self._ns(end)}
        limits = self._purse_rules[index] if rule_set <= 3 else {}
        return {"number": rule_set, "groups": groups, "return_account": returns_to, **window, **limits}

    def _opening_programme(self, programme: int) -> dict[str, Any]:
        index = min(programme, 3) - 1
        funder = self._who(FUNDER, self._currency_of(programme))
        claims = (self._late * (index == 1), (20, 60, 40)[index])
        start, end = self._seasons.get(programme, claims)
        window = {"from_ns": self._ns(start), "until_ns": self._ns(end)}
        return {"number": programme, "debit": funder, "rule_set": programme, "count": self._sizes[index], **window}

    def _chunk(self, programme: int, first: int) -> dict[str, Any]:
        count = max(1, min(MEMBERS_PER_RECORD_MAX, self._size(programme) - first))
        members = [member_id(programme, member) for member in range(first, first + count)]
        return {"number": programme, "first": first, "count": count, "members": members}

    def _claim_of(self, programme: int, member: int, number: int) -> dict[str, Any]:
        wallet = self._who(number, self._currency_of(programme))
        return {"number": programme, "first": member, "reference": member_id(programme, member), "credit": wallet}

    def _size(self, programme: int) -> int:
        return self._sizes[min(programme, 3) - 1]

    def _digest(self, programme: int) -> bytes:
        return cohort_digest(member_id(programme, member) for member in range(self._size(programme)))
