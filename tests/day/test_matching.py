"""Matching of statements, and the breaks that it opens and closes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.bank import world
from tests.day import town
from tests.wallets import world as wallets

from sycee.bank.bank import Bank
from sycee.core import ids, money
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Block, Reason
from sycee.day import statements_csv
from sycee.day.matching import LedgerLine, Stated, match
from sycee.day.statements_csv import ImportedStatement
from sycee.identity.duties import Duty

MONDAY, TUESDAY = town.MONDAY, date(2026, 11, 3)
A, B, C, D = town.WALLETS
CNY = money.currency("CNY")
CUTOFF_NS = 1_000_000

LEDGER = [LedgerLine(1, 500, 10), LedgerLine(2, -300, 20), LedgerLine(3, 500, CUTOFF_NS - 1)]
WATERFALL = [LedgerLine(4, 9, 30), LedgerLine(4, -7, 30)]  # a payment, and what exceeded the limit


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([(1, 500), (2, -300), (3, 500)], []),
        ([(0, 500), (0, 500), (0, -300)], []),  # without operations, by amount
        ([(1, 500), (3, 500)], [("statement-lacks", 2, -300, "not booked")]),
        ([(1, 500), (2, -300)], [("statement-lacks", 3, 500, "near the cut-off: on the party's next day")]),
        ([(1, 500), (2, -30), (3, 500)], [("amount-differs", 2, -270, "one of the two has a wrong amount")]),
        ([(1, 500), (2, -300), (3, 500), (9, 7)], [("ledger-lacks", 9, -7, "elsewhere")]),
        ([(1, 500), (2, -300), (3, 500), (0, 7)], [("ledger-lacks", 0, -7, "no movement of this amount is left")]),
        ([(1, 500), (1, 500), (2, -300), (3, 500)], [("ledger-lacks", 1, -500, "elsewhere")]),  # twice
    ],
)
def test_lines_match_by_operation_then_by_amount(
    stated: list[tuple[int, int]], expected: list[tuple[str, int, int, str]]
) -> None:
    found = match(
        LEDGER,
        [Stated(*each) for each in stated],
        party="operator 2",
        account=77,
        cutoff_ns=CUTOFF_NS,
        near_ns=100,
        elsewhere=lambda _: "elsewhere",
    )
    assert [(each.kind, each.operation, each.minor, each.cause) for each in found] == expected
    assert {(each.party, each.account) for each in found} <= {("operator 2", 77)}


def test_a_wrong_amount_is_compared_with_a_movement_of_its_direction() -> None:
    found = match(
        WATERFALL, [Stated(4, -6), Stated(4, 9)], party="operator 2", account=77, cutoff_ns=CUTOFF_NS, near_ns=100,
        elsewhere=str,
    )  # fmt: skip
    assert [(each.kind, each.operation, each.minor) for each in found] == [("amount-differs", 4, -1)]


def statement(*lines: tuple[int, int, int, str]) -> ImportedStatement:
    """A statement of (account, minor, operation, reference)."""
    rows = [",".join(statements_csv.COLUMNS)]
    for account, minor, operation, reference in lines:
        direction, amount = ("in", minor) if minor > 0 else ("out", -minor)
        known = ids.format(operation) if operation else ""
        rows.append(f"{ids.format(account)},{direction},{money.format(amount, CNY, grouped=False)},{known},{reference}")
    return statements_csv.parse("\n".join(rows).encode(), "north.csv", CNY)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    with town.bank(tmp_path) as made:
        yield made


def breaks(bank: Bank, day: date, *statements: ImportedStatement) -> list[tuple[str, str, int, int, str]]:
    town.after(bank, day)
    pack = bank.day.close(day, town.CAROL, statements=statements)
    return [
        (each["kind"], each["party"], int(each["minor"]), each["age_days"], each["cause"])
        for each in pack.body["breaks"]
    ]


def test_a_statement_of_vault_and_wallet_agrees(bank: Bank) -> None:
    paid = town.pay(bank, A, C, 30_00)
    vault = bank.registry.operator(2).accounts.vault
    lines = [
        (vault, 1000_00, 0, ""),
        (vault, -100_00, 0, f"OPEN-{A}"),
        (vault, -100_00, 0, f"OPEN-{B}"),
        (A, 100_00, 0, f"OPEN-{A}"),  # the wallet got it by the confirmation
        (A, -30_00, paid, ""),
    ]
    assert breaks(bank, MONDAY, statement(*lines)) == []
    (stored,) = bank.day.pack(MONDAY).body["statements"]
    assert (stored["lines"], stored["accounts"], stored["credits_minor"]) == (5, 2, "110000")


def test_a_break_closes_when_the_other_side_arrives(bank: Bank) -> None:
    paid = town.pay(bank, A, C, 30_00)
    late = [(A, 100_00, 0, "")]
    assert breaks(bank, MONDAY, statement(*late)) == [("statement-lacks", "operator 2", -3000, 0, "not booked")]
    number = bank.day.breaks.list()[0].number
    assert breaks(bank, TUESDAY, statement((A, -30_00, paid, ""))) == []
    closed = bank.day.breaks.list(open_only=False)
    assert [(each.number, each.closed_day, each.closed_as) for each in closed] == [
        (number, TUESDAY, "the other side arrived")
    ]


def test_old_transits_age_until_they_are_decided(bank: Bank) -> None:
    sent = bank.issuance.fund(2, B, 5_00, "LATE", signers=bank.signers(world.NORTH), who=town.person(bank, world.NORTH))
    assert sent.created
    assert breaks(bank, MONDAY) == []  # younger than a day
    cause = "the bank neither confirmed nor rejected it"
    assert breaks(bank, TUESDAY) == [("old-transit", "operator 2", 500, 0, cause)]
    assert breaks(bank, date(2026, 11, 4)) == [("old-transit", "operator 2", 500, 1, cause)]
    (one,) = bank.day.breaks.list()
    owned = bank.day.breaks.assign(one.number, town.person(bank, world.NORTH), by=town.person(bank, town.CAROL))
    assert owned.owner == town.person(bank, world.NORTH)
    assert bank.day.pack(date(2026, 11, 4)).body["transits_open"] == {"count": "1", "minor": "500"}
    funding = bank.issuance.funding(2, "LATE").id
    technical = bank.signers(world.technical(bank))
    assert bank.issuance.confirm(funding, signers=technical, who=town.person(bank, world.NORTH)).created
    assert breaks(bank, date(2026, 11, 5)) == []
    assert bank.day.breaks.get(one.number).closed_as == "no longer found"


def test_money_on_a_suspense_account_is_a_break_with_a_cause(bank: Bank) -> None:
    sent = bank.issuance.fund(
        2, A, 5_00, "REJECTED", signers=bank.signers(world.NORTH), who=town.person(bank, world.NORTH)
    )
    assert sent.created
    blocked = operations.block_account(ids.new(1), account=A, sides=Block.CREDIT, reason=Reason.OPERATOR)
    bank.stores.ledger.signed_by(*bank.signers(world.NORTH)).submit(blocked)
    funding = bank.issuance.funding(2, "REJECTED").id
    technical = bank.signers(world.technical(bank))
    assert bank.issuance.confirm(funding, signers=technical, who=town.person(bank, world.NORTH)).created
    cause = "money in transit found its payee closed or blocked"
    assert breaks(bank, MONDAY) == [("suspense", "operator 2", 500, 0, cause)]
    assert bank.day.pack(MONDAY).body["positions"]["2"]["parts"]["suspense"] == "500"


def test_a_break_is_closed_by_hand_with_a_reason(bank: Bank) -> None:
    assert len(breaks(bank, MONDAY, statement((A, 100_00, 0, ""), (A, 1_00, 99, "")))) == 1
    (one,) = bank.day.breaks.list()
    assert one.cause == "the ledger never received it"
    carol, dave = town.person(bank, town.CAROL), town.person(bank, town.DAVE)
    with pytest.raises(UsageError, match=r"may not request day\.break"):
        bank.day.breaks.close(one.number, "error", day=TUESDAY, by=dave)
    with pytest.raises(UsageError, match="the reason has 36 characters"):
        bank.day.breaks.close(one.number, "x" * 36, day=TUESDAY, by=carol)
    bank.day.breaks.close(one.number, "error of the party", day=TUESDAY, by=carol)
    with pytest.raises(UsageError, match="break 1 was closed on 2026-11-03"):
        bank.day.breaks.assign(one.number, carol, by=carol)
    with pytest.raises(UsageError, match="there is no break 2"):
        bank.day.breaks.get(2)


def test_a_statement_of_another_bank_is_refused(bank: Bank) -> None:
    with pytest.raises(UsageError, match=r"north\.csv names 1 accounts that this bank does not have"):
        breaks(bank, MONDAY, statement((0xDEAD, 1, 0, "")))
    assert bank.day.days() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("account,amount\n", "the first row is another one"),
        ("{head}\n1,in\n", "row 2 has 2 fields"),
        ("{head}\nMallory,in,1.00,,\n", "row 2: account is no id"),
        ("{head}\n{a},between,1.00,,\n", "row 2: direction is wrong"),
        ("{head}\n{a},in,Mallory,,\n", "row 2: amount is wrong"),
        ("{head}\n{a},in,-1.00,,\n", "row 2: amount is wrong"),
        ("{head}\n{a},in,1.00,Mallory,\n", "row 2: operation is no id"),
        ("{head}\n{a},in,1.00,,Mallory" + "y" * 30 + "\n", "row 2: reference is too long"),
        ('{head}\n{a},in,1.00,,"Mallory\n', "a quotation mark is not closed"),
    ],
)
def test_errors_of_a_statement_name_the_row_and_repeat_no_text(text: str, message: str) -> None:
    content = text.format(head=",".join(statements_csv.COLUMNS), a=ids.format(A))
    with pytest.raises(UsageError, match=message) as raised:
        statements_csv.parse(content.encode(), "north.csv", CNY)
    assert "Mallory" not in f"{raised.value} {raised.value.hint}"


def test_a_sweep_is_matched_by_its_bank_reference(tmp_path: Path) -> None:
    with wallets.bank("", tmp_path) as shop:
        made = shop.bank
        town.appoint(made, Duty.CLOSER, town.CAROL)
        paid = made.payments.pay(
            shop.leo, shop.shop, 19_00, signers=shop.signer(shop.leo, wallets.LEO_KEY), who=shop.holder(shop.leo)
        )
        assert paid.is_paid
        sweep = made.sweeps.sweep(shop.tea, signers=shop.operator, who=shop.north)
        first = statement((shop.shop, 19_00, 0, ""), (shop.shop, -19_00, 0, sweep.bank_reference))
        assert breaks(made, MONDAY, first) == []


def test_a_waterfall_is_matched_by_its_bank_reference(tmp_path: Path) -> None:
    with wallets.bank("", tmp_path) as shop:
        made = shop.bank
        town.appoint(made, Duty.CLOSER, town.CAROL)
        shop.fund(shop.ned, 10_000_00, "N-8")
        made.sweeps.link(shop.ned, "CN00 0000", signers=shop.operator, who=shop.north)
        leo = {"signers": shop.signer(shop.leo, wallets.LEO_KEY), "who": shop.holder(shop.leo)}
        paid = [made.payments.pay(shop.leo, shop.ned, minor, **leo).operation for minor in (5_00, 7_00)]
        right, wrong = (each.bank_reference for each in made.waterfalls.open(2, by=shop.north))
        lines = [
            (shop.ned, 10_000_00, 0, "N-8"),
            (shop.ned, -5_00, 0, right),
            (shop.ned, -6_00, 0, wrong),  # before the payment, which has the same operation
            (shop.ned, 5_00, 0, ""),
            (shop.ned, 7_00, paid[1], ""),
            (shop.ned, -9_00, 0, f"WF-{shop.ned:032X}"),  # names no waterfall
        ]
        assert breaks(made, MONDAY, statement(*lines)) == [
            ("amount-differs", "operator 2", -1_00, 0, "one of the two has a wrong amount"),
            ("ledger-lacks", "operator 2", 9_00, 0, "no movement of this amount is left"),
        ]
        assert [each.operation for each in made.day.breaks.list()] == [paid[1], 0]


def test_a_day_closes_while_an_operator_is_joining(bank: Bank) -> None:
    ann = town.person(bank, world.ANN)
    owner = ids.new(world.START_NS // 1_000_000)
    institution = bank.institutions.add("operator", "East Bank", by=ann, owners={owner: 1_000_000})
    for kind in ("papers", "owners"):
        passed = bank.institutions.decide(institution, kind, "passed", maker=ann)
        assert bank.proposals.sign(passed.id, world.ANN, world.BOB).needs == ()
    until_ns = world.START_NS + 365 * world.DAY_NS
    bank.issuance.join(institution, quota_minor=1, key=world.OTHERS[5].public, until_ns=until_ns, maker=ann)
    assert breaks(bank, MONDAY) == []
    assert bank.day.pack(MONDAY).body["quotas"] == {"2": "500000", "3": "500000"}
