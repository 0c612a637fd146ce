"""Random histories of a small world: frames of operations that succeed often enough to go deep, and fail in every way.

A history is built from bytes alone: one string of them sets the stage, one more says each step. So the same builder
serves a seed (`random_history`) and hypothesis (`histories`), which shrinks a failure by dropping steps and by making
bytes smaller; 0 is always the plainest choice. A naive ledger runs along, so that a step can aim: to refund a pay
that stands, to close an account that is empty.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from sycee.core.codes import Result
from sycee.core.limits import COHORT_MEMBERS_MAX, CURRENCIES_MAX, I64_MAX, MEMBERS_PER_RECORD_MAX, PURSES_PER_WALLET_MAX
from sycee.ledger.layout import MEMBER_WORDS, OPERATION, RULE_SET_OPERATION, AccountKind, Kind, PurseState
from sycee.testing.naive import NaiveLedger, cohort_digest
from sycee.testing.naive_rows import Pay

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Record: TypeAlias = npt.NDArray[Any]  # one OPERATION, shape (1,)
Frame: TypeAlias = tuple[int, npt.NDArray[Any]]  # now_ns, OPERATION records
Chosen = TypeVar("Chosen")

SETTING_BYTES = 24
STEP_BYTES = 24
START_NS = 1_000
CURRENCIES = (156, 978)
# Numbers of a currency's accounts; `account_id` makes ids of them.
ISSUANCE, SUSPENSE, FUNDER, RETURN, ANN, BOB, CAT, SHOP, CAFE, OTHER_SUSPENSE = range(10)
KINDS = (
    AccountKind.ISSUANCE, AccountKind.SUSPENSE, AccountKind.FUNDER, AccountKind.VAULT, AccountKind.WALLET,
    AccountKind.WALLET, AccountKind.WALLET, AccountKind.MERCHANT, AccountKind.MERCHANT, AccountKind.SUSPENSE,
)  # fmt: skip
NEW_ACCOUNTS = range(10, 16)
STRANGER = 77  # nobody has this number
AMOUNTS = (1, 10, 25, 30, 2, 7, 50, 3, 45, 100)
HUGE_AMOUNTS = (1 << 62, I64_MAX, (1 << 62) + (1 << 61), I64_MAX - 1_000, (1 << 62) - 1_000)


def record(kind: int, id: int, **fields: Any) -> Record:
    """One operation. Ids are Python ints; `zone`, `digest`, `members`, `groups`, `return_account` are the overlays."""
    row = np.zeros(1, OPERATION)
    words, raw = row.view("<u8"), row.view("u1")
    row["kind"] = kind
    for name, value in {"id": id, **fields}.items():
        if name in ("id", "debit", "credit", "reference", "note"):
            row[f"{name}_low"], row[f"{name}_high"] = _halves(value)
        elif name == "zone":
            raw[32 : 32 + len(value)] = np.frombuffer(value.encode("ascii"), np.uint8)
        elif name == "digest":
            raw[32:64] = np.frombuffer(value, np.uint8)
        elif name == "members":
            for at, member_id in zip(MEMBER_WORDS, value, strict=False):
                words[at : at + 2] = _halves(member_id)
        elif name == "groups":
            row.view(RULE_SET_OPERATION)["groups"][0, : len(value)] = value
        elif name == "return_account":
            words[6:8] = _halves(value)
        else:
            row[name] = value
    return row


def _halves(id: int) -> tuple[int, int]:
    return id & (1 << 64) - 1, id >> 64


def account_id(currency: int, number: int) -> int:
    """Ids whose order by low half, by high half and by number all differ."""
    number += 100 * currency + 100
    return number if number % 2 else number << 64 | 1_000 - number


def member_id(programme: int, member: int) -> int:
    """The person behind a purse: never an account's id."""
    number = 10_000 * programme + member
    return number if member % 3 else number << 64 | 77_777_777_777 - number


class Dice:
    """Choices read from bytes; when they run out every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, bound: int) -> int:
        """A number from 0 to bound − 1, at most 255."""
        return next(self._data, 0) % bound

    def one_in(self, bound: int) -> bool:
        """True rarely, and never where the bytes are zero."""
        return self.below(bound) == bound - 1

    def pick(self, options: Sequence[Chosen]) -> Chosen:
        """One of the options."""
        return options[self.below(len(options))]


class Builder:
    """Builds one history: sets the stage, then takes steps. `frames` is what came of it."""

    def __init__(self, setting: bytes) -> None:
        self.frames: list[tuple[int, list[Record]]] = [(START_NS, [])]
        self._guide = NaiveLedger()
        self._next_id = 1
        dice = Dice(setting)
        self._bareness = dice.pick((*[0] * 20, 1, 2))  # 0 all is set up, 1 no programmes, 2 nothing
        self._crowded = dice.one_in(6)  # so many purses that one wallet can hold too many
        self._huge = dice.pick((None, None, None, ANN, FUNDER))  # who starts with most of what 64 bits hold
        self._many_currencies = dice.one_in(5)
        self._currencies = 2 - dice.one_in(3)
        self._sizes = [7] * 3 if self._crowded else [dice.pick((3, 1, 7, 2, 5, 6)) for _ in range(3)]
        self._until_ns = [START_NS + dice.pick((30, 12, 20, 60, 200)) for _ in range(3)]
        self._from_ns = [START_NS - dice.pick((10, 10, 0, -8)) for _ in range(3)]
        self._returns_to = dice.pick((RETURN, FUNDER, RETURN, SHOP))
        self._late = dice.pick((0, 0, 4)) * (not self._crowded)  # how long the second programme's claims must wait
        self._dropped_part = dice.pick((1, 1, 2))  # the first drop is for all, or for this part of the members
        self._last = dice.pick(("sealed", "sealed", "filled", "opened"))  # how far the last programme is set up
        self._set_up()

    # ── The stage ────────────────────────────────────────────────────────────────────────────────────────────

    def _set_up(self) -> None:
        if self._bareness == 2:
            return
        for currency in range(self._currencies):
            self._emit(Kind.DEFINE_CURRENCY, number=CURRENCIES[currency], zone="Asia/Shanghai")
            for number, kind in sorted(enumerate(KINDS), key=lambda entry: entry[1]):  # suspense before its wallets
                self._emit(Kind.OPEN_ACCOUNT, **self._opening(currency, number, kind))
            for number, amount in ((FUNDER, 1_000), (ANN, 200), (BOB, 100), (SHOP, 20)):
                self._mint(currency, number, amount)
        if self._huge is not None:
            self._mint(0, self._huge, (1 << 62) + (1 << 61))
        if self._many_currencies:
            for number in range(1, CURRENCIES_MAX + 1 - self._currencies):
                self._emit(Kind.DEFINE_CURRENCY, number=number, zone="UTC")
        for group in (1, 2, 3):
            self._emit(Kind.DEFINE_GROUP, number=group)
        self._emit(Kind.JOIN_GROUP, number=1, debit=account_id(0, SHOP))
        self._emit(Kind.JOIN_GROUP, number=2, debit=account_id(0, CAFE))
        if self._bareness == 1:
            return
        for programme in (1, 2, 3):
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
        self._emit(Kind.SEAL_COHORT, number=programme, digest=self._digest(programme))
        funder = account_id(self._currency_of(programme), FUNDER)
        amount = 30 if self._huge != FUNDER or programme != 1 else (self._guide.balance(funder) - 700) // size
        count = size if self._crowded else -(-size // self._dropped_part)
        seal = self._guide.programmes[programme].seal
        self._emit(Kind.DROP, number=programme, count=count, amount=amount, reference=seal)
        claimed = min(size, PURSES_PER_WALLET_MAX - size * (programme - 1)) if self._crowded else size // 2
        for member in range(claimed):
            number = ANN if self._crowded or member % 2 == 0 else BOB
            self._emit(Kind.CLAIM, **self._claim_of(programme, member, number))

    def _mint(self, currency: int, number: int, amount: int) -> None:
        debit, credit = account_id(currency, ISSUANCE), account_id(currency, number)
        self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=amount)

    def _currency_of(self, programme: int) -> int:
        return 1 if programme == 3 and self._currencies == 2 and not self._crowded else 0

    def _opening(self, currency: int, number: int, kind: int) -> dict[str, Any]:
        self_suspended = kind in (AccountKind.ISSUANCE, AccountKind.SUSPENSE)
        credit = 0 if self_suspended else account_id(currency, OTHER_SUSPENSE if number == BOB else SUSPENSE)
        debit = account_id(currency, number)
        return {"debit": debit, "credit": credit, "number": CURRENCIES[currency], "first": kind, "count": 9}

    def _rules(self, rule_set: int) -> dict[str, Any]:
        groups = {1: (), 2: (1,), 3: (2, 0, 3)}.get(rule_set, (1, 2))
        index = min(rule_set, 3) - 1
        returns_to = account_id(self._currency_of(rule_set), self._returns_to)
        window = {"from_ns": self._from_ns[index], "until_ns": self._until_ns[index]}
        return {"number": rule_set, "groups": groups, "return_account": returns_to, **window}

    def _opening_programme(self, programme: int) -> dict[str, Any]:
        index = min(programme, 3) - 1
        funder = account_id(self._currency_of(programme), FUNDER)
        window = {"from_ns": START_NS + self._late * (index == 1), "until_ns": START_NS + (20, 60, 40)[index]}
        return {"number": programme, "debit": funder, "rule_set": programme, "count": self._sizes[index], **window}

    def _chunk(self, programme: int, first: int) -> dict[str, Any]:
        count = max(1, min(MEMBERS_PER_RECORD_MAX, self._size(programme) - first))
        members = [member_id(programme, member) for member in range(first, first + count)]
        return {"number": programme, "first": first, "count": count, "members": members}

    def _claim_of(self, programme: int, member: int, number: int) -> dict[str, Any]:
        wallet = account_id(self._currency_of(programme), number)
        return {"number": programme, "first": member, "reference": member_id(programme, member), "credit": wallet}

    def _size(self, programme: int) -> int:
        return self._sizes[min(programme, 3) - 1]

    def _digest(self, programme: int) -> bytes:
        return cohort_digest(member_id(programme, member) for member in range(self._size(programme)))

    # ── The steps ────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, data: bytes) -> None:
        """Let time pass or not, then add the operation that these bytes say."""
        dice = Dice(data)
        passed = dice.pick((0, 0, 0, 0, 0, 0, 1, 1, 2, 5, 11))
        if passed:
            self.frames.append((self.frames[-1][0] + passed, []))
        kind = dice.pick(STEPS)
        if not isinstance(kind, Kind):
            (self._repeat if kind == "repeat" else self._leave)(dice)
            return
        if kind is Kind.REFUND and not self._open_pays() and not dice.one_in(6):
            kind = Kind.PAY  # so that there will be something to refund
        fields = getattr(self, f"_step_{kind.name.lower()}")(dice)
        row = record(kind, self._next_id, **fields)
        if dice.one_in(7):
            spoil(row, dice)
        self._append(row)

    def _repeat(self, dice: Dice) -> None:
        """The same request again, one after it under its id, or its content under a new id."""
        said = [row for _, rows in self.frames for row in rows]
        if not said:
            return
        row = said[-1 - dice.below(min(len(said), 200))].copy()
        how = dice.below(5)
        if how == 2:
            row["code"] += 1
        elif how == 3:
            row["amount"] = dice.pick(AMOUNTS)
        elif how == 4:
            row["id_low"], row["id_high"] = _halves(self._next_id)
        self._append(row)

    def _leave(self, dice: Dice) -> None:
        """An account gives all it has to another and mostly is closed: what comes back later finds it so."""
        debit = account_id(0, dice.pick((SHOP, ANN, RETURN, CAFE, FUNDER, BOB)))
        credit = account_id(0, dice.pick((CAT, BOB, FUNDER)))
        if debit != credit and debit in self._guide.accounts and self._guide.balance(debit) > 0:
            self._emit(Kind.TRANSFER, debit=debit, credit=credit, amount=self._guide.balance(debit))
        if dice.below(4) < 3:
            self._emit(Kind.CLOSE_ACCOUNT, debit=debit)

    def _emit(self, kind: Kind, **fields: Any) -> None:
        self._append(record(kind, self._next_id, **fields))

    def _append(self, row: Record) -> None:
        now_ns, rows = self.frames[-1]
        rows.append(row)
        self._guide.apply(len(self.frames), now_ns, row)
        # Some ids are above 64 bits, and their order is not the order in which they come.
        self._next_id = len(rows) * 7 % 11 << 64 | (self._next_id & 0xFFFF_FFFF) + 1

    def _account(self, dice: Dice, *numbers: int) -> int:
        """Mostly one of these; at times anyone, of the other currency, or nobody."""
        number = dice.pick(numbers)
        strange = dice.below(32)
        if strange == 23:
            number = STRANGER
        elif strange in (21, 22):
            number = dice.below(16)
        return account_id(1 if strange == 20 else 0, number)

    def _amount(self, dice: Dice, debit: int) -> int:
        how = dice.below(16)
        if how in (10, 11) and debit in self._guide.accounts and self._guide.balance(debit) > 0:
            return self._guide.balance(debit)
        if how == 15 or (how > 11 and self._huge is not None):
            return dice.pick(HUGE_AMOUNTS)
        return dice.pick(AMOUNTS)

    def _programme(self, dice: Dice) -> int:
        return dice.pick((1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4))

    def _step_define_currency(self, dice: Dice) -> dict[str, Any]:
        number = dice.pick((*CURRENCIES, dice.below(20) + 1))
        return {"number": number, "zone": dice.pick(("Asia/Shanghai", "UTC", "Europe/Zurich", ""))}

    def _step_define_group(self, dice: Dice) -> dict[str, Any]:
        return {"number": dice.pick((4, 1, 4_096, 2, 5))}

    def _step_join_group(self, dice: Dice) -> dict[str, Any]:
        return {"number": dice.pick((1, 2, 3, 4, 4_096)), "debit": self._account(dice, SHOP, CAFE, BOB)}

    _step_leave_group = _step_join_group

    def _step_define_rule_set(self, dice: Dice) -> dict[str, Any]:
        fields = self._rules(dice.pick((4, 5, 1, 2, 3, 6)))
        strange = dice.below(10)
        if strange in (6, 7):
            fields["return_account"] = 0
        elif strange == 8:
            fields["return_account"] = account_id(0, STRANGER)
        elif strange == 9:
            fields["groups"] = (1, dice.pick((4, 4_096, 77)))
        return fields

    def _step_open_account(self, dice: Dice) -> dict[str, Any]:
        currency = dice.pick((0, 0, 0, 1))
        kind = dice.pick((AccountKind.WALLET, AccountKind.MERCHANT, *AccountKind))
        fields = self._opening(currency, dice.pick((*NEW_ACCOUNTS, ANN, SHOP, ISSUANCE, SUSPENSE)), kind)
        if dice.one_in(24):
            fields["first"] = dice.pick((0, 8, 65_536))
        if fields["credit"] and dice.one_in(4):
            fields["credit"] = self._account(dice, SUSPENSE, ANN, STRANGER)
        if dice.one_in(6):
            fields["number"] = dice.pick((CURRENCIES[1 - currency], 1, 999))
        fields["rule_set"] = dice.pick((0, 0, 1, 2, 65_535))
        return fields

    def _step_block_account(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, self._returns_to, ANN, SHOP, BOB, CAFE, FUNDER, RETURN, SUSPENSE)
        return {"debit": debit, "flags": dice.pick((0, 2, 1, 0, 0, 2, 3))}

    def _step_close_account(self, dice: Dice) -> dict[str, Any]:
        empty = [id for id, account in sorted(self._guide.accounts.items()) if account.balance == 0]
        if empty and dice.below(3) < 2:
            return {"debit": dice.pick(empty)}
        return {"debit": self._account(dice, ANN, self._returns_to, CAFE, BOB, RETURN, SUSPENSE, ISSUANCE)}

    def _step_open_programme(self, dice: Dice) -> dict[str, Any]:
        programme = dice.pick((4, 5, 3, 4, 5, 1, 2))
        fields = self._opening_programme(programme)
        if fields["rule_set"] not in self._guide.rule_sets and self._guide.rule_sets and not dice.one_in(6):
            fields["rule_set"] = dice.pick(sorted(self._guide.rule_sets))
        strange = dice.below(8)
        if strange == 7:
            fields["debit"] = self._account(dice, ANN, STRANGER, FUNDER)
        elif strange in (5, 6):
            fields["rule_set"] = dice.pick((1, 2, 4, 5, 65_535))
        return fields

    def _step_add_members(self, dice: Dice) -> dict[str, Any]:
        number = self._unsealed_programme(dice)
        programme = self._guide.programmes.get(number)
        first = programme.filled if programme is not None else 0
        return self._chunk(number, dice.pick((first, first, first, first, 0, 1, 5, 1 << 31)))

    def _step_seal_cohort(self, dice: Dice) -> dict[str, Any]:
        number = self._unsealed_programme(dice)
        return {"number": number, "digest": bytes(32) if dice.one_in(3) else self._digest(number)}

    def _unsealed_programme(self, dice: Dice) -> int:
        unsealed = [number for number, programme in self._guide.programmes.items() if not programme.sealed]
        return dice.pick(unsealed) if unsealed and not dice.one_in(8) else dice.pick((4, 1, 2, 3))

    def _step_drop(self, dice: Dice) -> dict[str, Any]:
        number = self._programme(dice)
        programme = self._guide.programmes.get(number)
        seal = programme.seal if programme is not None and not dice.one_in(12) else 0
        return {
            **self._range(number, dice),
            "amount": self._amount(dice, account_id(0, FUNDER)),
            "reference": seal or 1,
        }

    def _step_claim(self, dice: Dice) -> dict[str, Any]:
        number = self._programme(dice)
        fields = self._claim_of(number, dice.below(self._size(number) + (2 if dice.one_in(4) else 0)), ANN)
        programme = self._guide.programmes.get(number)
        if programme is not None and dice.below(2) == 0:
            waiting = [purse.member for purse in programme.purses if purse.state is PurseState.DROPPED]
            if waiting:
                fields = self._claim_of(number, dice.pick(waiting), ANN)
        # Three in four go to a wallet of the programme's currency, and most of these to Ann.
        if dice.below(4) == 3:
            fields["credit"] = self._account(dice, BOB, CAT, ANN)
        if dice.one_in(12):
            fields["reference"] = member_id(number, 99)
        return fields

    def _step_expire(self, dice: Dice) -> dict[str, Any]:
        return self._range(self._programme(dice), dice)

    def _range(self, number: int, dice: Dice) -> dict[str, Any]:
        size = self._size(number)
        first = dice.pick((0, 0, 0, dice.below(size)))
        count = dice.pick((size - first, max(1, (size - first) // 2), size - first, 1))
        return {"number": number, "first": first, "count": count + (1 if dice.one_in(16) else 0)}

    def _step_transfer(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, ANN, ISSUANCE, BOB, SHOP, CAT, FUNDER, SUSPENSE)
        credit = self._account(dice, BOB, FUNDER, ANN, CAFE, SHOP, CAT, ISSUANCE)
        return {"debit": debit, "credit": credit, "amount": self._amount(dice, debit)}

    def _step_pay(self, dice: Dice) -> dict[str, Any]:
        debit = self._account(dice, ANN, ANN, BOB, ANN, CAT)
        credit = self._account(dice, SHOP, CAFE, SHOP, SHOP, BOB, SUSPENSE)
        if self._currencies == 2 and dice.one_in(8):  # the other currency has purses of its own
            debit, credit = account_id(1, ANN), account_id(1, CAFE)
        flags = dice.pick((0, 0, 0, 0, 0, 1, 2))
        return {"debit": debit, "credit": credit, "flags": flags, "amount": self._amount(dice, debit)}

    def _step_refund(self, dice: Dice) -> dict[str, Any]:
        open_pays = self._open_pays()
        strange = dice.below(16)
        if strange == 15 or not open_pays:
            # Any of the newest, which are pays, refused pays and others; or nothing.
            references = [*self._guide.bound][-20:]
            return {"reference": dice.pick([*references, 999_999]), "amount": dice.pick(AMOUNTS)}
        id, pay = open_pays[-1 - dice.below(min(len(open_pays), 200))]
        left = pay.amount - pay.refunded
        return {"reference": id, "amount": max(1, dice.pick((left, left // 2, 1, left // 3, left, left + 1)))}

    def _open_pays(self) -> list[tuple[int, Pay]]:
        return [(id, pay) for id, pay in self._guide.pays.items() if pay.refunded < pay.amount]


# What a step may be, as often as it stands here: an operation, or one of the two that `step` explains.
STEPS: tuple[Kind | str, ...] = (
    *[Kind.PAY] * 13, *[Kind.REFUND] * 9, *[Kind.CLAIM] * 6, *[Kind.EXPIRE] * 4, *[Kind.DROP] * 4, *[Kind.TRANSFER] * 5,
    *[Kind.BLOCK_ACCOUNT] * 3, *[Kind.CLOSE_ACCOUNT] * 3, *[Kind.OPEN_ACCOUNT] * 2, *[Kind.OPEN_PROGRAMME] * 2,
    *[Kind.ADD_MEMBERS] * 2, *[Kind.SEAL_COHORT] * 2, *[Kind.DEFINE_RULE_SET] * 2, *["repeat"] * 4, *["leave"] * 2,
    Kind.JOIN_GROUP, Kind.LEAVE_GROUP, Kind.DEFINE_GROUP, *[Kind.DEFINE_CURRENCY] * 2,
)  # fmt: skip

# Ways to make a record wrong: the field and the values it may get. `same` copies debit over credit, `byte` changes any.
SPOILS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("id", (0,)),
    ("kind", (0, 99)),
    ("flags", (3, 4, 1, 65_535)),
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
    """Make one field of a record wrong, or at least other."""
    name, values = dice.pick(SPOILS)
    value = dice.pick(values)
    if name in ("id", "debit", "credit", "reference", "note"):
        row[f"{name}_low"], row[f"{name}_high"] = _halves(value)
    elif name == "same":
        row["credit_low"], row["credit_high"] = row["debit_low"], row["debit_high"]
    elif name == "byte":
        row.view("u1")[24 + dice.below(104)] ^= dice.below(255) + 1
    else:
        row[name] = value
    # A programme of millions of members would be well-formed, and no test could hold it.
    if row["kind"][0] == Kind.OPEN_PROGRAMME and 7 < row["count"][0] <= COHORT_MEMBERS_MAX:
        row["count"] = COHORT_MEMBERS_MAX + 1


def build(setting: bytes, steps: Iterable[bytes]) -> list[Frame]:
    """The history that these bytes say: frames of (now_ns, OPERATION records), times rising."""
    builder = Builder(setting)
    for step in steps:
        builder.step(step)
    return [(now_ns, np.concatenate(rows)) for now_ns, rows in builder.frames if rows]


def random_history(seed: int, operations: int) -> list[Frame]:
    """A history of a set-up frame and about `operations` random operations, the same for the same seed."""
    dice = random.Random(seed)
    return build(dice.randbytes(SETTING_BYTES), [dice.randbytes(STEP_BYTES) for _ in range(operations)])


def histories(operations_max: int = 60) -> SearchStrategy[list[Frame]]:
    """The same for hypothesis, which must be installed: it shrinks by dropping steps and by plainer choices."""
    from hypothesis import strategies

    setting = strategies.binary(min_size=SETTING_BYTES, max_size=SETTING_BYTES)
    step = strategies.binary(min_size=STEP_BYTES, max_size=STEP_BYTES)
    return strategies.builds(build, setting, strategies.lists(step, max_size=operations_max))


def coverage(many: Iterable[list[Frame]]) -> Counter[tuple[str, Result]]:
    """How often each kind of operation was answered with each code; kinds that are none count as UNKNOWN."""
    names = {int(kind): kind.name for kind in Kind}
    counts: Counter[tuple[str, Result]] = Counter()
    for history in many:
        ledger = NaiveLedger()
        for sequence, (now_ns, operations) in enumerate(history, 1):
            answers = ledger.apply(sequence, now_ns, operations)
            for kind, (code, _) in zip(operations["kind"].tolist(), answers, strict=True):
                counts[names.get(kind, "UNKNOWN"), code] += 1
    return counts
