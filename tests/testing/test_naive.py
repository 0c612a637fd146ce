"""The naive twin says what the reference says: tables that read like the ledger, and random histories that add up."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings

from sycee.core.codes import PRECEDENCE, Result
from sycee.core.errors import IntegrityError
from sycee.ledger.layout import AccountKind, Kind, Purpose, PurseState
from sycee.testing.histories import Frame, coverage, histories, member_id, random_history, record
from sycee.testing.naive import NaiveLedger, cohort_digest
from sycee.testing.naive_rows import Account, Movement

pytestmark = pytest.mark.fast

BLOCKS = {"none": 0, "debit": 1, "credit": 2, "both": 3}
PAY_FLAGS = {"purses": 1, "own": 2}


class Table:
    """Plays a table. A line is an operation and its result (CREATED unless it says otherwise), or a question."""

    def __init__(self) -> None:
        self.ledger = NaiveLedger()
        self.now_ns = 0
        self.sequence = 0
        self.ids: dict[str, int] = {}
        self.last: list[Movement] = []
        self.said = 0

    def play(self, text: str) -> Table:
        for line in text.strip().splitlines():
            words = line.split("#")[0].split()
            if words:
                try:
                    self._line(*words)
                except AssertionError as error:
                    raise AssertionError(f"{line.strip()}\n{error}") from error
        self._all_named()
        self.ledger.check()
        return self

    def _all_named(self) -> None:
        assert self.said == len(self.last), f"movements that the table does not name: {self.last[self.said :]}"

    def id(self, name: str) -> int:
        return self.ids.setdefault(name, 1_000 + len(self.ids))

    def _line(self, *words: str) -> None:
        if words[0] in ("at", "balance", "purse", "moved"):
            getattr(self, f"_{words[0]}")(*words[1:])
            return
        expected = Result.CREATED
        if words[-1] in Result.__members__:
            *rest, name = words
            words, expected = tuple(rest), Result[name]
        label = f"operation {self.sequence}"
        if words[0].endswith(":"):
            label, words = words[0][:-1], words[1:]
        kind, fields = getattr(self, f"_{words[0]}")(*words[1:])
        self._all_named()
        self.sequence += 1
        before = len(self.ledger.movements)
        ((code, _),) = self.ledger.apply(self.sequence, self.now_ns, record(kind, self.id(label), **fields))
        self.last, self.said = self.ledger.movements[before:], 0
        if kind is Kind.TRANSFER:
            self.said = len(self.last)  # a transfer's one movement goes without saying
        assert code is expected, code.name

    def _at(self, now: str) -> None:
        self.now_ns = int(now)

    def _balance(self, name: str, amount: str) -> None:
        assert self.ledger.balance(self.id(name)) == int(amount), self.ledger.balance(self.id(name))

    def _purse(self, name: str, left: str, state: str) -> None:
        purse = self.ledger.purse(*map(int, name.split(".")))
        assert (purse.left, purse.state.name) == (int(left), state), purse

    def _moved(self, debit: str, credit: str, amount: str, purpose: str) -> None:
        movement = self.last[self.said]
        rows = tuple(
            ("purse", *map(int, name.split("."))) if "." in name else ("account", self.id(name))
            for name in (debit, credit)
        )
        wanted = (*rows, int(amount), Purpose[purpose])
        assert (movement.debit, movement.credit, movement.amount, movement.purpose) == wanted, movement
        assert movement.leg == self.said
        self.said += 1

    def _currency(self, number: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.DEFINE_CURRENCY, {"number": int(number), "zone": "Asia/Shanghai"}

    def _open(self, name: str, kind: str, suspense: str = "") -> tuple[Kind, dict[str, Any]]:
        credit = self.id(suspense) if suspense else 0
        return Kind.OPEN_ACCOUNT, {"debit": self.id(name), "credit": credit, "number": 156, "first": AccountKind[kind]}

    def _group(self, number: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.DEFINE_GROUP, {"number": int(number)}

    def _join(self, number: str, name: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.JOIN_GROUP, {"number": int(number), "debit": self.id(name)}

    def _leave(self, number: str, name: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.LEAVE_GROUP, {"number": int(number), "debit": self.id(name)}

    def _rules(self, number: str, start: str, end: str, returns_to: str, *groups: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.DEFINE_RULE_SET, {
            "number": int(number), "from_ns": int(start), "until_ns": int(end),
            "return_account": 0 if returns_to == "-" else self.id(returns_to), "groups": tuple(map(int, groups)),
        }  # fmt: skip

    def _programme(self, number: str, rules: str, funder: str, members: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.OPEN_PROGRAMME, {
            "number": int(number), "rule_set": int(rules), "debit": self.id(funder), "count": int(members),
            "from_ns": 0, "until_ns": 900,
        }  # fmt: skip

    def _members(self, programme: str, first: str, count: str) -> tuple[Kind, dict[str, Any]]:
        start, members = int(first), int(count)
        ids = [member_id(int(programme), member) for member in range(start, start + members)]
        return Kind.ADD_MEMBERS, {"number": int(programme), "first": start, "count": members, "members": ids}

    def _seal(self, programme: str, members: str) -> tuple[Kind, dict[str, Any]]:
        digest = cohort_digest(member_id(int(programme), member) for member in range(int(members)))
        return Kind.SEAL_COHORT, {"number": int(programme), "digest": digest}

    def _drop(self, programme: str, first: str, count: str, amount: str, seal: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.DROP, {
            "number": int(programme), "first": int(first), "count": int(count), "amount": int(amount),
            "reference": self.id(seal),
        }  # fmt: skip

    def _claim(self, purse: str, wallet: str) -> tuple[Kind, dict[str, Any]]:
        programme, member = map(int, purse.split("."))
        named = {"reference": member_id(programme, member), "credit": self.id(wallet)}
        return Kind.CLAIM, {"number": programme, "first": member, **named}

    def _expire(self, programme: str, first: str, count: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.EXPIRE, {"number": int(programme), "first": int(first), "count": int(count)}

    def _transfer(self, debit: str, credit: str, amount: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.TRANSFER, {"debit": self.id(debit), "credit": self.id(credit), "amount": int(amount)}

    def _pay(self, debit: str, credit: str, amount: str, only: str = "") -> tuple[Kind, dict[str, Any]]:
        flags = PAY_FLAGS.get(only, 0)
        return Kind.PAY, {"debit": self.id(debit), "credit": self.id(credit), "amount": int(amount), "flags": flags}

    def _refund(self, pay: str, amount: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.REFUND, {"reference": self.id(pay), "amount": int(amount)}

    def _block(self, name: str, what: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.BLOCK_ACCOUNT, {"debit": self.id(name), "flags": BLOCKS[what]}

    def _close(self, name: str) -> tuple[Kind, dict[str, Any]]:
        return Kind.CLOSE_ACCOUNT, {"debit": self.id(name)}


ACCOUNTS = """
    currency  156
    open      mint      ISSUANCE
    open      suspense  SUSPENSE
    open      city      FUNDER    suspense
    open      vault     VAULT     suspense
    open      ann       WALLET    suspense
    open      bob       WALLET    suspense
    open      shop      MERCHANT  suspense
    open      cafe      MERCHANT  suspense
    transfer  mint      city      1000
    transfer  mint      ann       100
"""
# Rules 1 and 2 let money be spent until 200 and 100; 1 anywhere, 2 at group 1. Ann holds purses 1.0, 2.0 and 2.1.
PURSES = (
    ACCOUNTS
    + """
    group     1
    join      1  shop
    rules     1  0  200  vault
    rules     2  0  100  vault  1
    programme 1  1  city  3
    programme 2  2  city  2
    members   1  0  3
    members   2  0  2
    seal1: seal 1  3
    seal2: seal 2  2
    drop      1  0  3  30  seal1
    moved     city  1.0  30  DROP
    moved     city  1.1  30  DROP
    moved     city  1.2  30  DROP
    drop      2  0  2  20  seal2
    moved     city  2.0  20  DROP
    moved     city  2.1  20  DROP
    claim     1.0  ann
    claim     2.1  ann
    claim     2.0  ann
"""
)
PAID = (
    PURSES
    + """
    dinner: pay  ann  shop  90
    moved     2.0   shop  20  PAY_PURSE
    moved     2.1   shop  20  PAY_PURSE
    moved     1.0   shop  30  PAY_PURSE
    moved     ann   shop  20  PAY_OWN
"""
)

TABLES = {
    "money is made by issuance and moves once": ACCOUNTS
    + """
        balance   mint   -1100
        pay       ann    shop  101  EXCEEDS_BALANCE
        t: transfer ann  bob   60
        t: transfer ann  bob   60   EXISTS
        t: transfer ann  bob   61   EXISTS_WITH_DIFFERENT_CONTENT
        transfer  ann    bob   41   EXCEEDS_BALANCE
        balance   ann    40
        balance   bob    60
    """,
    "a refusal binds its id": ACCOUNTS
    + """
        late: transfer ann bob 200  EXCEEDS_BALANCE
        transfer  mint   ann   500
        late: transfer ann bob 200  EXISTS
        balance   bob    0
    """,
    "a malformed request binds nothing": ACCOUNTS
    + """
        t: transfer ann  bob  0     AMOUNT_MUST_BE_POSITIVE
        t: transfer ann  ann  5     ACCOUNTS_MUST_BE_DIFFERENT
        t: transfer ann  bob  5
    """,
    "blocks and closing, in order of precedence": ACCOUNTS
    + """
        close     ann                ACCOUNT_NOT_EMPTY
        block     ann   debit
        block     bob   credit
        transfer  ann   bob   999    DEBIT_ACCOUNT_BLOCKED
        block     ann   none
        transfer  ann   bob   999    CREDIT_ACCOUNT_BLOCKED
        close     bob
        close     bob                ACCOUNT_CLOSED
        block     bob   none         ACCOUNT_CLOSED
        transfer  ann   bob   999    CREDIT_ACCOUNT_CLOSED
        close     suspense           ACCOUNT_MUST_STAY_OPEN
        block     suspense  both     ACCOUNT_MUST_STAY_OPEN
        close     mint               ACCOUNT_MUST_STAY_OPEN
    """,
    "amounts stop at 64 bits": ACCOUNTS
    + """
        transfer  mint  bob   9223372036854775807  OVERFLOWS_DEBITS
        transfer  mint  bob   6000000000000000000
        transfer  bob   shop  6000000000000000000
        transfer  shop  bob   6000000000000000000  OVERFLOWS_CREDITS
    """,
    "pay takes purses by end, programme and member, then own money": PAID
    + """
        balance   ann   80
        purse     1.0   0  CLAIMED
        pay       ann   shop  1  purses  EXCEEDS_BALANCE
    """,
    "pay takes only purses that allow the payee": PURSES
    + """
        pay       ann   cafe  40
        moved     1.0   cafe  30  PAY_PURSE
        moved     ann   cafe  10  PAY_OWN
        join      1     cafe
        pay       ann   cafe  25
        moved     2.0   cafe  20  PAY_PURSE
        moved     2.1   cafe  5   PAY_PURSE
        leave     1     cafe
        pay       ann   cafe  15  purses  EXCEEDS_BALANCE
    """,
    "a flag narrows what a pay may take": PURSES
    + """
        pay       ann   shop  71  purses  EXCEEDS_BALANCE
        pay       ann   shop  101  own    EXCEEDS_BALANCE
        pay       ann   shop  10  own
        moved     ann   shop  10  PAY_OWN
        pay       ann   shop  40  purses
        moved     2.0   shop  20  PAY_PURSE
        moved     2.1   shop  20  PAY_PURSE
    """,
    "a purse is spent before its end, not at it": PURSES
    + """
        at        99
        pay       ann   shop  5
        moved     2.0   shop  5  PAY_PURSE
        at        100
        pay       ann   shop  5
        moved     1.0   shop  5  PAY_PURSE
        at        200
        pay       ann   shop  5
        moved     ann   shop  5  PAY_OWN
    """,
    "a purse is not spent before its beginning": ACCOUNTS
    + """
        rules     1  50  200  vault
        programme 1  1   city  1
        members   1  0   1
        seal1: seal 1  1
        drop      1  0   1  30  seal1
        moved     city  1.0  30  DROP
        claim     1.0  ann
        at        49
        pay       ann  shop  10  purses  EXCEEDS_BALANCE
        at        50
        pay       ann  shop  10  purses
        moved     1.0  shop  10  PAY_PURSE
    """,
    "refunds are slices: own money first, then purses last to first": PAID
    + """
        refund    dinner  15
        moved     shop  ann  15  REFUND_OWN
        refund    dinner  15
        moved     shop  ann  5   REFUND_OWN
        moved     shop  1.0  10  REFUND_PURSE
        refund    dinner  45
        moved     shop  1.0  20  REFUND_PURSE
        moved     shop  2.1  20  REFUND_PURSE
        moved     shop  2.0  5   REFUND_PURSE
        refund    dinner  16  EXCEEDS_REFUNDABLE
        refund    dinner  15
        moved     shop  2.0  15  REFUND_PURSE
        refund    dinner  1   EXCEEDS_REFUNDABLE
        balance   ann   100
        balance   shop  0
        purse     2.1   20  CLAIMED
    """,
    "a refund names a pay that stands, and takes from who was paid": PAID
    + """
        refund    nothing  1  ORIGINAL_NOT_FOUND
        refund    seal1    1  ORIGINAL_IS_NOT_A_PAY
        dear: pay ann  cafe  5000  EXCEEDS_BALANCE
        refund    dear     1  ORIGINAL_WAS_REFUSED
        transfer  shop  bob  85
        refund    dinner   6  EXCEEDS_BALANCE
        block     shop  debit
        refund    dinner  91  DEBIT_ACCOUNT_BLOCKED
        block     shop  none
        transfer  shop  bob  5
        close     shop
        refund    dinner  91  DEBIT_ACCOUNT_CLOSED
    """,
    "refund after the end: through the purse and back at once, expired or not yet": PAID
    + """
        at        100
        expire    2  0  1
        refund    dinner  75
        moved     shop  ann    20  REFUND_OWN
        moved     shop  1.0    30  REFUND_PURSE
        moved     shop  2.1    20  REFUND_PURSE
        moved     2.1   vault  20  RETURN
        moved     shop  2.0    5   REFUND_PURSE
        moved     2.0   vault  5   RETURN
        purse     2.0   0  EXPIRED
        purse     2.1   0  CLAIMED
        purse     1.0   30  CLAIMED
    """,
    "refund to a payer who is closed goes to suspense, purses get theirs": PAID
    + """
        transfer  ann   bob  80
        close     ann
        refund    dinner  30
        moved     shop  suspense  20  REFUND_SUSPENSE
        moved     shop  1.0       10  REFUND_PURSE
    """,
    "refund to a payer who is credit-blocked goes to suspense": PAID
    + """
        block     ann   credit
        refund    dinner  1
        moved     shop  suspense  1  REFUND_SUSPENSE
        block     ann   debit
        refund    dinner  1
        moved     shop  ann       1  REFUND_OWN
    """,
    "suspense refunds a closed payer by paying itself": ACCOUNTS
    + """
        fine: pay ann   suspense  100
        moved     ann   suspense  100  PAY_OWN
        close     ann
        refund    fine  40
        moved     suspense  suspense  40  REFUND_SUSPENSE
        balance   suspense  100
    """,
    "what expires returns, in parts": PURSES
    + """
        expire    1  0  3  PROGRAMME_NOT_EXPIRED
        at        100
        expire    2  1  2  MEMBER_NOT_FOUND
        expire    2  1  1
        moved     2.1  vault  20  RETURN
        expire    2  0  2
        moved     2.0  vault  20  RETURN
        expire    2  0  2
        claim     2.0  bob  PURSE_CLAIMED
        balance   vault  40
    """,
    "a blocked or closed return account: its suspense takes it": PURSES
    + """
        at        200
        block     vault  credit
        expire    2  0  1
        moved     2.0  suspense  20  RETURN_SUSPENSE
        block     vault  none
        close     vault
        expire    1  0  2
        moved     1.0  suspense  30  RETURN_SUSPENSE
        moved     1.1  suspense  30  RETURN_SUSPENSE
        claim     1.2  bob  PROGRAMME_EXPIRED
        claim     1.1  bob  PROGRAMME_EXPIRED
    """,
    "a drop pays all or none, and nobody twice": ACCOUNTS
    + """
        rules     1  0  100  vault
        programme 1  1  city  3
        drop      1  0  3  10  early  COHORT_NOT_SEALED
        members   1  1  2   MEMBERS_OUT_OF_ORDER
        members   1  0  4   MEMBER_NOT_FOUND
        members   1  0  2
        seal      1  3      COHORT_INCOMPLETE
        members   1  2  1
        seal      1  2      COHORT_DIGEST_DIFFERS
        seal1: seal 1 3
        members   1  2  1   COHORT_SEALED
        drop      1  0  3  10   seal2  SEAL_DIFFERS
        drop      1  0  3  334  seal1  EXCEEDS_BALANCE
        purse     1.0  0  EMPTY
        claim     1.0  ann  PURSE_NOT_DROPPED
        drop      1  1  1  333  seal1
        moved     city  1.1  333  DROP
        drop      1  0  3  333  seal1
        moved     city  1.0  333  DROP
        moved     city  1.2  333  DROP
        drop      1  0  3  333  seal1
        balance   city  1
        at        100
        drop      1  0  3  333  seal1  PROGRAMME_EXPIRED
    """,
}


@pytest.mark.parametrize("table", TABLES.values(), ids=[name.replace(" ", "-") for name in TABLES])
def test_table(table: str) -> None:
    Table().play(table)


def test_exists_tells_the_first_result() -> None:
    table = Table().play(ACCOUNTS)
    refused = record(Kind.TRANSFER, 7, debit=table.id("ann"), credit=table.id("bob"), amount=101)
    other = record(Kind.TRANSFER, 7, debit=table.id("ann"), credit=table.id("bob"), amount=101, note=1)
    malformed = record(Kind.TRANSFER, 7, debit=table.id("ann"), credit=table.id("bob"), amount=101, number=1)
    assert table.ledger.apply(99, 5, np.concatenate([refused, refused, other, malformed])) == [
        (Result.EXCEEDS_BALANCE, Result.CREATED),
        (Result.EXISTS, Result.EXCEEDS_BALANCE),
        (Result.EXISTS_WITH_DIFFERENT_CONTENT, Result.EXCEEDS_BALANCE),
        (Result.FIELD_MUST_BE_ZERO, Result.CREATED),
    ]


MALFORMED = [
    (Result.ID_MUST_NOT_BE_ZERO, record(99, 0)),
    (Result.KIND_UNKNOWN, record(99, 1, flags=1)),
    (Result.FLAGS_UNKNOWN, record(Kind.PAY, 1, flags=3, number=1)),
    (Result.FLAGS_UNKNOWN, record(Kind.DEFINE_RULE_SET, 1, flags=1, amount=1)),
    (Result.FIELD_MUST_BE_ZERO, record(Kind.TRANSFER, 1, number=1)),
    (Result.FIELD_MUST_BE_ZERO, record(Kind.DEFINE_RULE_SET, 1, note=1)),
    (Result.FIELD_MUST_BE_ZERO, record(Kind.OPEN_ACCOUNT, 1, first=AccountKind.ISSUANCE, credit=1)),
    (Result.FIELD_MUST_BE_ZERO, record(Kind.ADD_MEMBERS, 1, number=1, count=1, members=(1, 2))),
    (Result.AMOUNT_MUST_BE_POSITIVE, record(Kind.REFUND, 1, amount=-1)),
    (Result.ACCOUNT_ID_MUST_NOT_BE_ZERO, record(Kind.REFUND, 1, amount=1)),
    (Result.ACCOUNT_ID_MUST_NOT_BE_ZERO, record(Kind.ADD_MEMBERS, 1, count=2, members=(1, 0))),
    (Result.ACCOUNT_ID_MUST_NOT_BE_ZERO, record(Kind.OPEN_ACCOUNT, 1, debit=1, first=8)),
    (Result.ACCOUNTS_MUST_BE_DIFFERENT, record(Kind.OPEN_ACCOUNT, 1, debit=1, credit=1, first=8)),
    (Result.NUMBER_OUT_OF_RANGE, record(Kind.DEFINE_GROUP, 1, number=4_097)),
    (Result.NUMBER_OUT_OF_RANGE, record(Kind.OPEN_ACCOUNT, 1, debit=1, credit=2, number=1_000, first=8)),
    (Result.NUMBER_OUT_OF_RANGE, record(Kind.OPEN_PROGRAMME, 1, debit=1, number=1)),
    (Result.NUMBER_OUT_OF_RANGE, record(Kind.DEFINE_RULE_SET, 1, number=1, groups=(0, 4_097))),
    (Result.COUNT_OUT_OF_RANGE, record(Kind.ADD_MEMBERS, 1, number=1, count=6)),
    (Result.COUNT_OUT_OF_RANGE, record(Kind.OPEN_PROGRAMME, 1, debit=1, number=1, rule_set=1)),
    (Result.ACCOUNT_KIND_UNKNOWN, record(Kind.OPEN_ACCOUNT, 1, debit=1, credit=2, number=1, first=8)),
    (Result.WINDOW_MUST_END_AFTER_START, record(Kind.DEFINE_RULE_SET, 1, number=1, from_ns=5, until_ns=5)),
    (Result.ZONE_MUST_NOT_BE_EMPTY, record(Kind.DEFINE_CURRENCY, 1, number=1)),
]


@pytest.mark.parametrize(
    ("code", "row"), MALFORMED, ids=[f"{code.name}-{at}" for at, (code, _) in enumerate(MALFORMED)]
)
def test_malformed_changes_nothing(code: Result, row: np.ndarray) -> None:
    ledger = NaiveLedger()
    assert ledger.apply(1, 5, row) == [(code, Result.CREATED)]
    assert ledger.digest() == NaiveLedger().digest()


def test_every_malformed_code_has_a_row() -> None:
    binding = PRECEDENCE.index(Result.EXISTS_WITH_DIFFERENT_CONTENT)
    assert {code for code, _ in MALFORMED} == set(PRECEDENCE[:binding])


def test_digest_of_the_empty_ledger() -> None:
    assert NaiveLedger().digest() == blake3(b"sycee.state.v1" + bytes(7 * 8)).digest()


def test_movements_are_numbered_by_place_and_leg() -> None:
    table = Table().play(PAID)
    legs = table.ledger.movements[-4:]
    assert [movement.leg for movement in legs] == [0, 1, 2, 3]
    assert {movement.place for movement in legs} == {table.sequence << 13}
    assert legs[-1].credit_balance == 90
    assert table.ledger.supply(156) == 1_100


@pytest.mark.parametrize("break_it", ["account", "purse", "below", "movement"])
def test_check_names_the_row(break_it: str) -> None:
    ledger = Table().play(PAID).ledger
    if break_it == "account":
        next(iter(ledger.accounts.values())).credits_posted += 1
    elif break_it == "purse":
        ledger.purse(1, 0).spent -= 1
    elif break_it == "movement":
        ledger.movements.pop()
    else:
        ledger.accounts[5] = Account(5, 156, AccountKind.WALLET, 0, 0, 5, debits_posted=1)
    with pytest.raises(IntegrityError, match=r"^\('(account|purse)', "):
        ledger.check()


def play(history: list[Frame]) -> NaiveLedger:
    ledger = NaiveLedger()
    for sequence, (now_ns, operations) in enumerate(history, 1):
        ledger.apply(sequence, now_ns, operations)
        ledger.check()
    return ledger


def reframed(history: list[Frame], seed: int) -> list[Frame]:
    """The same operations at the same times, cut into frames at random."""
    dice = random.Random(seed)
    return [
        (now_ns, part)
        for now_ns, operations in history
        for part in np.split(operations, sorted(dice.sample(range(len(operations) + 1), min(2, len(operations)))))
        if len(part)
    ]


@settings(max_examples=30)
@given(history=histories(operations_max=40))
def test_any_history_adds_up(history: list[Frame]) -> None:
    assert play(reframed(history, len(history))).digest() == play(history).digest()


def test_a_seed_is_a_history() -> None:
    first, second = random_history(5, 30), random_history(5, 30)
    assert [(now_ns, rows.tobytes()) for now_ns, rows in first] == [(now_ns, rows.tobytes()) for now_ns, rows in second]
    assert play(first).digest() == play(second).digest() != play(random_history(6, 30)).digest()


def test_histories_reach_every_code_and_every_kind_of_success() -> None:
    counts = coverage(random_history(seed, 40) for seed in range(120))
    codes: Counter[Result] = Counter()
    for (_, code), count in counts.items():
        codes[code] += count
    assert {code.name: codes[code] for code in Result if codes[code] == 0} == {}
    assert {kind.name for kind in Kind if counts[kind.name, Result.CREATED] < 10} == set()


def test_histories_make_every_kind_of_movement() -> None:
    ledgers = [play(random_history(seed, 60)) for seed in range(20)]
    assert {movement.purpose for ledger in ledgers for movement in ledger.movements} == set(Purpose)
    assert {purse.state for ledger in ledgers for p in ledger.programmes.values() for purse in p.purses} == set(
        PurseState
    )
