"""Random histories of a small world: frames of operations that often succeed and fail in every way.

A history is built from bytes: one string configures the stage, one more configures each step. The same builder serves a
seed (`random_history`) and hypothesis (`histories`), which shrinks a failure by dropping steps and lowering bytes; 0 is
always the simplest choice. `histories_world` defines accounts and ids, `histories_stage` the setup, `histories_steps`
and `histories_money` the fields of each kind of operation.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from sycee.core import ids
from sycee.core.limits import COHORT_MEMBERS_MAX, I64_MAX
from sycee.core.records.layout import LINKED, AccountKind, HoldState, Kind, PurseState, TransitState
from sycee.testing.histories_money import Steps
from sycee.testing.histories_stage import SETTING_BYTES
from sycee.testing.histories_world import (
    AMOUNTS,
    ANN,
    BANK,
    BOB,
    CAFE,
    CAT,
    CURRENCIES,
    FUNDER,
    ISSUANCE,
    PERSONS,
    RETURN,
    SHOP,
    SHOPS,
    Dice,
    Frame,
    Record,
    account_id,
    cuts,
    is_linked,
    member_id,
    record,
)
from sycee.testing.naive_limits import is_in_force

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "Frame", "Record", "account_id", "build", "cuts", "histories", "member_id", "random_history", "record",
]  # fmt: skip

STEP_BYTES = 40
Choices: TypeAlias = tuple[Kind | str, ...]

# Possible steps; repeated entries are more frequent. A step is an operation or a method of `Builder`.
COMMON: Choices = (
    *[Kind.PAY] * 9, *[Kind.REFUND] * 6, *[Kind.CLAIM] * 4, *[Kind.EXPIRE] * 3, *[Kind.DROP] * 3, *[Kind.TRANSFER] * 6,
    *[Kind.BLOCK_ACCOUNT] * 3, *[Kind.UNBLOCK_ACCOUNT] * 3, *[Kind.CLOSE_ACCOUNT] * 3, *[Kind.OPEN_ACCOUNT] * 2,
    *[Kind.OPEN_PROGRAMME] * 2, *[Kind.ADD_MEMBERS] * 2, *[Kind.SEAL_COHORT] * 2, *[Kind.DEFINE_RULE_SET] * 3,
    *[Kind.HOLD] * 8, *[Kind.POST] * 7, *[Kind.VOID] * 3, *[Kind.EXTEND] * 3, *[Kind.POST_HOLDS] * 3,
    *[Kind.VOID_HOLDS] * 3, *[Kind.REVERSE] * 4, *[Kind.SEND] * 6, *[Kind.CONFIRM] * 3, *[Kind.REJECT] * 3,
    *[Kind.STAGE] * 6, *[Kind.SETTLE] * 4, *[Kind.SET_RULE_SET] * 3, *[Kind.LINK_ACCOUNT] * 2, *[Kind.SET_KEY] * 2,
    *[Kind.GRANT_ROLE] * 3, *[Kind.REVOKE_ROLE] * 3, *[Kind.UPGRADE] * 2, *[Kind.DEFINE_CURRENCY] * 2,
    Kind.JOIN_GROUP, Kind.LEAVE_GROUP, Kind.DEFINE_GROUP,
    *["repeat"] * 6, *["leave"] * 2, *["chain"] * 8, *["wait"] * 2, *["overfill"] * 2, *["spend"] * 4, *["refill"] * 4,
    *["strand"] * 4, *["recover"] * 6, *["packet"] * 6,
)  # fmt: skip
# The theme of most steps, in some histories.
PURSES: Choices = (
    *[Kind.PAY] * 20, *[Kind.REFUND] * 14, *[Kind.CLAIM] * 10, *[Kind.EXPIRE] * 8, *[Kind.DROP] * 8, *["packet"] * 16,
)  # fmt: skip
HOLDS: Choices = (
    *[Kind.HOLD] * 30, *[Kind.POST] * 30, *[Kind.EXTEND] * 8, *[Kind.VOID] * 8, *[Kind.POST_HOLDS] * 8, "wait",
)  # fmt: skip
TRANSITS: Choices = (
    *[Kind.SEND] * 24, *[Kind.CONFIRM] * 16, *[Kind.REJECT] * 12, *[Kind.TRANSFER] * 20, *["overfill"] * 8,
    *["strand"] * 12,
)  # fmt: skip
LIMITS: Choices = (
    *["spend"] * 50, *[Kind.SET_RULE_SET] * 4, *[Kind.DEFINE_RULE_SET] * 6, *["overfill"] * 6, *["wait"] * 2,
)  # fmt: skip
SETTLING: Choices = (*[Kind.STAGE] * 40, *[Kind.SETTLE] * 20)
CHAINS: Choices = (*["chain"] * 50, *["repeat"] * 12)
ADMINISTRATION: Choices = (
    *[Kind.GRANT_ROLE] * 30, *[Kind.REVOKE_ROLE] * 26, *[Kind.UPGRADE] * 4, *[Kind.SET_KEY] * 4,
    *[Kind.DEFINE_CURRENCY] * 8, *[Kind.OPEN_ACCOUNT] * 12, *[Kind.OPEN_PROGRAMME] * 3, *[Kind.ADD_MEMBERS] * 3,
)  # fmt: skip
THEMES: tuple[Choices, ...] = ((), PURSES, HOLDS, TRANSITS, LIMITS, SETTLING, CHAINS, LIMITS, ADMINISTRATION)
# Number of accounts of a kind that most steps need.
WANTED = {
    AccountKind.FUNDER: 1, AccountKind.VAULT: 2, AccountKind.WALLET: 3, AccountKind.MERCHANT: 2,
    AccountKind.IN_TRANSIT: 2,
}  # fmt: skip
# Requirements of a step; if they are missing, the step creates them.
NEEDS: dict[Kind, Kind] = {
    Kind.REFUND: Kind.PAY, Kind.REVERSE: Kind.PAY, Kind.POST: Kind.HOLD, Kind.VOID: Kind.HOLD, Kind.EXTEND: Kind.HOLD,
    Kind.POST_HOLDS: Kind.HOLD, Kind.VOID_HOLDS: Kind.HOLD, Kind.CONFIRM: Kind.SEND, Kind.REJECT: Kind.SEND,
    Kind.SETTLE: Kind.STAGE, Kind.REVOKE_ROLE: Kind.GRANT_ROLE,
}  # fmt: skip


class Builder(Steps):
    """Builder of one history: set up the stage, then add steps."""

    def step(self, data: bytes) -> None:
        """Advance time or not, then add the operation chosen by these bytes."""
        dice = Dice(data)
        passed = dice.pick((*[0] * 12, 1, 1, 1, 1, 2, 5, 9))
        if passed:
            self._pass(passed)
        kind = dice.pick((*COMMON, *THEMES[self._theme]))
        if not isinstance(kind, Kind):
            getattr(self, f"_{kind}")(dice)
            return
        if kind in (Kind.DROP, Kind.CLAIM, Kind.EXPIRE):
            all_ended = all(self._guide.is_expired(number) for number in self._guide.programmes)
            if all_ended and dice.one_in(3):
                self._season(dice)
        if not self._has_what_it_needs(kind) and not dice.one_in(6):
            kind = NEEDS[kind]
        row = record(kind, self._next_id, **getattr(self, f"_step_{kind.name.lower()}")(dice))
        if dice.one_in(9):
            spoil(row, dice)
        self._append(row)

    def _has_what_it_needs(self, kind: Kind) -> bool:
        match NEEDS.get(kind):
            case Kind.PAY:
                return bool(self._open_pays())
            case Kind.HOLD:
                return any(hold.state is HoldState.OPEN for hold in self._guide.holds.values())
            case Kind.SEND:
                return any(transit.state is TransitState.OPEN for transit in self._guide.transits.values())
            case Kind.STAGE:
                return bool(self._guide.batches)
            case Kind.GRANT_ROLE:
                return any(not grant.revoked for grant in self._guide.grants.values())
        return True

    def _season(self, dice: Dice) -> None:
        """Open another programme and fund it, once the earlier programmes have ended."""
        for number, purse in sorted({purse.programme: purse for purse in self._guide.purses.values()}.items()):
            if purse.state is not PurseState.EXPIRED and self._guide.programmes[number].sealed:
                self._emit(Kind.EXPIRE, number=number, count=purse.member + 1)
        for group, member in ((1, SHOP), (2, CAFE)):
            self._emit(Kind.JOIN_GROUP, number=group, debit=self._who(member))
        number = 20 + len(self._seasons)
        self._seasons[number] = self._ticks - 2, self._ticks + dice.pick((40, 15, 80))
        for credit, amount in ((FUNDER, 30 * self._size(number)), (ANN, 100), (BOB, 50)):
            self._mint(0, credit, amount)
        self._emit(Kind.DEFINE_RULE_SET, **self._rules(number))
        self._emit(Kind.OPEN_PROGRAMME, **self._opening_programme(number))
        self._fill(number)
        self._seal_and_drop(number)

    def _recover(self, dice: Dice) -> None:
        """Repair some accounts: open new ones, remove blocks, change rules."""
        guide = self._guide
        for kind, wanted in WANTED.items():
            if len(self._open_ones(kind, CURRENCIES[0])) < wanted and guide.currencies:
                number = 20 + len(guide.accounts) % 57
                self._emit(Kind.OPEN_ACCOUNT, **self._opening(0, number, kind))
                if kind is AccountKind.IN_TRANSIT:
                    self._emit(Kind.LINK_ACCOUNT, debit=account_id(0, number), credit=self._who(BANK))
        opened = [account for account in guide.accounts.values() if not account.closed]
        blocked = [account for account in opened if account.debit_reasons or account.credit_reasons]
        for account in blocked[: dice.pick((2, 1, 4))]:
            for reason in range(1, 8):
                if (account.debit_reasons | account.credit_reasons) >> reason - 1 & 1:
                    self._emit(Kind.UNBLOCK_ACCOUNT, debit=account.id, flags=3, first=reason)
        lapsed = [account for account in opened if not is_in_force(guide, guide.rules_of(account))]
        for account in lapsed[:2]:
            self._emit(Kind.SET_RULE_SET, debit=account.id, rule_set=dice.pick((PERSONS, SHOPS, 0)))

    def _refill(self, dice: Dice) -> None:
        """Mint new money for an account."""
        debit, credit = account_id(0, ISSUANCE), self._account(dice, ANN, BOB, CAT, FUNDER, BANK, SHOP)
        self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=dice.pick((100, 30, 200)))

    def _wait(self, dice: Dice) -> None:
        """Add frames without operations."""
        for _ in range(dice.pick((1, 2, 1))):
            self._pass(dice.pick((1, 3, 7)))

    def _repeat(self, dice: Dice) -> None:
        """Repeat a request, reuse its id for other content, or repeat its content under a new id; of a chain, all or
        one.
        """
        said = [*(frame.records[at : at + 1] for frame in self._done for at in range(len(frame.records))), *self._rows]
        if not said:
            return
        at = len(said) - 1 - dice.below(min(len(said), 200))
        first = last = at
        while first > 0 and is_linked(said[first - 1]):
            first -= 1
        while last < len(said) - 1 and is_linked(said[last]):
            last += 1
        if first < last and dice.below(4) < 3:
            for row in said[first : last + 1]:
                self._append(row.copy())
            return
        row = said[at].copy()
        how = dice.below(5)
        if how == 2:
            row["code"] += 1
        elif how == 3:
            row["amount"] = dice.pick(AMOUNTS)
        elif how == 4:
            row["id_low"], row["id_high"] = ids.split(self._next_id)
        if first < last:
            row["flags"] &= ~LINKED & 0xFFFF
        self._append(row)

    def _leave(self, dice: Dice) -> None:
        """Empty an account and mostly close it, so that later refunds find it closed."""
        debit = self._who(dice.pick((SHOP, ANN, RETURN, CAFE, FUNDER, BOB)))
        credit = self._who(dice.pick((CAT, BOB, FUNDER)))
        if debit != credit and debit in self._guide.accounts and self._guide.accounts[debit].available > 0:
            self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=self._guide.accounts[debit].available)
        if dice.below(4) < 3:
            self._emit(Kind.CLOSE_ACCOUNT, debit=debit, first=3)

    def _strand(self, dice: Dice) -> None:
        """Block or close an account that may receive money back; then perhaps return money to it."""
        under_way = [transit for transit in self._guide.transits.values() if transit.state is TransitState.OPEN]
        pays = self._open_pays(transfers=True)
        ended = [
            purse for purse in self._guide.purses.values() if purse.left > 0 and self._guide.is_expired(purse.programme)
        ]
        fields: dict[str, Any]
        if ended and dice.below(2):
            purse = dice.newest(ended)
            kind, receiver = Kind.EXPIRE, self._guide.rules_of_programme(purse.programme).return_account
            fields = {"number": purse.programme, "first": purse.member, "count": 1}
        elif under_way and dice.below(2):
            transit = dice.newest(under_way)
            kind, receiver = dice.pick(((Kind.CONFIRM, transit.destination), (Kind.REJECT, transit.source)))
            fields = {"reference": transit.id}
        elif pays:
            id, pay = dice.newest(pays)
            kind, receiver = dice.pick((Kind.REFUND, Kind.REVERSE)), pay.payer
            fields = {"reference": id, "amount": 1}
        else:
            return
        account = self._guide.accounts[receiver]
        if account.available > 0 and dice.one_in(8):
            self._emit(Kind.TRANSFER, debit=receiver, credit=self._who(CAT), amount=account.available)
            self._emit(Kind.CLOSE_ACCOUNT, debit=receiver, first=4)
        reason = dice.pick((1, 6))
        self._emit(Kind.BLOCK_ACCOUNT, debit=receiver, flags=2, first=reason)
        if dice.below(4) < 3:
            self._emit(kind, **fields)
        if dice.below(8):
            self._emit(Kind.UNBLOCK_ACCOUNT, debit=receiver, flags=2, first=reason)

    def _spend(self, dice: Dice) -> None:
        """Spend own money of an account that may have limits."""
        debit, credit = self._who(dice.pick((ANN, ANN, BOB, CAT))), self._who(dice.pick((SHOP, CAFE)))
        amount = dice.pick((25, 45, 10, 30, 1))
        if dice.one_in(4):
            until_ns = self._ns(self._ticks + dice.pick((3, 10, 40)))
            self._emit(Kind.HOLD, debit=debit, credit=credit, amount=amount, flags=2, until_ns=until_ns)
        elif dice.one_in(3):
            self._emit(Kind.PAY, debit=debit, credit=credit, amount=amount, flags=2)
        else:
            self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=amount)

    def _packet(self, dice: Dice) -> None:
        """Spend from a purse, or hold money of it."""
        claimed = [
            purse for purse in self._guide.purses.values() if purse.state is PurseState.CLAIMED and purse.left > 0
        ]
        living = [purse for purse in claimed if not self._guide.is_expired(purse.programme)]
        if not living:
            return
        purse = dice.newest(living)
        fields = {
            "debit": purse.wallet,
            "credit": self._who(dice.pick((SHOP, CAFE)), self._currency_of(purse.programme)),
        }
        fields |= {"amount": dice.pick((10, purse.left, 5, purse.left + 5)), "flags": dice.pick((0, 1, 0))}
        if dice.one_in(3):
            self._emit(Kind.HOLD, **fields, until_ns=self._ns(self._ticks + dice.pick((10, 3, 100))))
        else:
            self._emit(Kind.PAY, **fields)

    def _overfill(self, dice: Dice) -> None:
        """Pay a wallet more than its highest balance, if it has one."""
        credit = self._who(dice.pick((ANN, SHOP, CAT)))
        debit = self._who(dice.pick((FUNDER, BOB, FUNDER)))
        kind = dice.pick((Kind.TRANSFER, Kind.PAY))
        self._emit(kind, debit=debit, credit=credit, amount=dice.pick((100, 60, 250)))


# Changes that make a record wrong: a field and its possible values. `same` copies debit to credit, `byte` changes any
# byte.
SPOILS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("id", (0,)),
    ("kind", (0, 99)),
    ("flags", (3, 4, 1, 65_535, LINKED)),
    ("amount", (0, -1, -(1 << 63), 1)),
    ("debit", (0,)),
    ("credit", (0, 5)),
    ("reference", (0, 5)),
    ("note", (1, (1 << 127) + 9)),
    ("code", (1, (1 << 32) - 1)),
    ("number", (0, 1_000, 4_097, 65_536, (1 << 32) - 1)),
    ("first", (0, 8, (1 << 32) - 1)),
    ("count", (0, 6, COHORT_MEMBERS_MAX + 1, (1 << 32) - 1)),
    ("rule_set", (0, 65_536, 1)),
    ("from_ns", (I64_MAX, 1)),
    ("until_ns", (-(1 << 63), 1)),
    ("same", (0,)),
    ("byte", (0,)),
    ("byte", (0,)),
)


def spoil(row: Record, dice: Dice) -> None:
    """Change one field of a record to a wrong or different value."""
    name, values = dice.pick(SPOILS)
    value = dice.pick(values)
    if name in ("id", "debit", "credit", "reference", "note"):
        row[f"{name}_low"], row[f"{name}_high"] = ids.split(value)
    elif name == "same":
        row["credit_low"], row["credit_high"] = row["debit_low"], row["debit_high"]
    elif name == "byte":
        row.view("u1")[24 + dice.below(104)] ^= dice.below(255) + 1
    else:
        row[name] = value
    # A programme with millions of members would be well-formed but too large for a test.
    if row["kind"][0] == Kind.OPEN_PROGRAMME and 7 < row["count"][0] <= COHORT_MEMBERS_MAX:
        row["count"] = COHORT_MEMBERS_MAX + 1


def build(setting: bytes, steps: Iterable[bytes]) -> list[Frame]:
    """Return the history for these bytes: frames with increasing times."""
    builder = Builder(setting)
    for step in steps:
        builder.step(step)
    return builder.frames()


def random_history(seed: int, operations: int) -> list[Frame]:
    """Return a setup frame and about `operations` random operations; the same seed gives the same history."""
    dice = random.Random(seed)
    return build(dice.randbytes(SETTING_BYTES), [dice.randbytes(STEP_BYTES) for _ in range(operations)])


def histories(operations_max: int = 60) -> SearchStrategy[list[Frame]]:
    """Return a hypothesis strategy of histories; hypothesis must be installed."""
    from hypothesis import strategies

    setting = strategies.binary(min_size=SETTING_BYTES, max_size=SETTING_BYTES)
    step = strategies.binary(min_size=STEP_BYTES, max_size=STEP_BYTES)
    return strategies.builds(build, setting, strategies.lists(step, max_size=operations_max))
