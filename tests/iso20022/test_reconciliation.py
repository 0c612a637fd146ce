"""A statement against our books: agreement, and each cause of a break."""

from __future__ import annotations

import random
from datetime import date, timedelta
from uuid import UUID

import pytest

from sycee.iso20022.elements import Amount
from sycee.iso20022.messages import Message, read, write
from sycee.iso20022.reconciliation import Booked, Cause, Reconciliation, reconcile
from sycee.iso20022.statements import Balance, Detail, Details, Entry, OwnedAccount, Statement, Statements

pytestmark = pytest.mark.fast
DAY = date(2026, 11, 26)
NEXT = DAY + timedelta(1)


def uetr(number: int) -> str:
    return str(UUID(int=number, version=4))


def ours(number: int, minor: int, day: date = DAY, reference: str | None = None) -> Booked:
    return Booked(f"P-{number}", (reference or uetr(number), f"E-{number}"), minor, day)


def side(minor: int) -> str:
    return "CRDT" if minor >= 0 else "DBIT"


def detail(reference: str, minor: int) -> Detail:
    amount = Amount("EUR", abs(minor))
    if reference.startswith("E-"):
        return Detail(end_to_end=reference, amount=amount, side=side(minor))
    return Detail(uetr=reference, amount=amount, side=side(minor))


def theirs(reference: str, minor: int, day: date = DAY, status: str = "BOOK") -> Entry:
    details = (Details(transactions=(detail(reference, minor),)),) if reference else ()
    return Entry(amount=Amount("EUR", abs(minor)), side=side(minor), status=status, booked_day=day, details=details)


def batch(*parts: tuple[str, int]) -> Entry:
    total = sum(minor for _, minor in parts)
    details = Details(transactions=tuple(detail(*each) for each in parts))
    return Entry(amount=Amount("EUR", abs(total)), side=side(total), status="BOOK", booked_day=DAY, details=(details,))


def statement(*entries: Entry) -> Statement:
    balance = Balance(type="OPBD", amount=Amount("EUR", 0), side="CRDT", day=DAY)
    return Statement(id="S-1", account=OwnedAccount(number="1"), balances=(balance,), entries=entries)


def only(result: Reconciliation) -> tuple[Cause, list[int], list[str], int]:
    (one,) = result.breaks
    return one.cause, [each.entry for each in one.stated], [each.id for each in one.booked], one.minor


CASES = [
    ("missing here", [theirs(uetr(1), 5)], [], (Cause.MISSING_HERE, [1], [], 5)),
    ("missing there", [], [ours(1, -5)], (Cause.MISSING_THERE, [], ["P-1"], 5)),
    ("amount", [theirs(uetr(1), 6)], [ours(1, 5)], (Cause.AMOUNT, [1], ["P-1"], 1)),
    ("side", [theirs(uetr(1), -5)], [ours(1, 5)], (Cause.SIDE, [1], ["P-1"], -10)),
    ("date", [theirs(uetr(1), 5, NEXT)], [ours(1, 5)], (Cause.DATE, [1], ["P-1"], 0)),
    ("stated twice", [theirs(uetr(1), 5), theirs(uetr(1), 5)], [ours(1, 5)], (Cause.DUPLICATE_THERE, [2], [], 5)),
    ("booked twice", [theirs(uetr(1), 5)], [ours(1, 5), ours(2, 5, reference=uetr(1))],
     (Cause.DUPLICATE_HERE, [], ["P-2"], -5)),
    ("another reference", [theirs("E-9", 5)], [ours(1, 5)], (Cause.UNKNOWN_REFERENCE, [1], ["P-1"], 0)),
    ("no reference", [theirs("", 5)], [ours(1, 5)], (Cause.UNKNOWN_REFERENCE, [1], ["P-1"], 0)),
    ("netted there", [theirs("", 7)], [ours(1, 10), ours(2, -3)], (Cause.NETTED_THERE, [1], ["P-1", "P-2"], 0)),
    ("netted here", [theirs("E-8", 4), theirs("E-9", 3)], [ours(1, 7)], (Cause.NETTED_HERE, [1, 2], ["P-1"], 0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "booked", "expected"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_each_cause(
    entries: list[Entry], booked: list[Booked], expected: tuple[Cause, list[int], list[str], int]
) -> None:
    assert only(reconcile(statement(*entries), booked)) == expected
    assert {each[3][0] for each in CASES} == set(Cause)


def test_what_agrees_is_no_break() -> None:
    made = statement(theirs(uetr(1), 5), theirs("E-2", -6), batch((uetr(3), 7), (uetr(4), -8)))
    booked = [ours(4, -8), ours(3, 7), ours(2, -6), ours(1, 5)]
    assert reconcile(made, booked) == Reconciliation(4, (), 0)


def test_pending_entries_are_only_counted() -> None:
    assert reconcile(statement(theirs(uetr(1), 5, status="PDNG")), []) == Reconciliation(0, (), 1)


def test_details_that_do_not_add_up_are_one_entry() -> None:
    entry = batch((uetr(1), 5), (uetr(2), 6))
    short = Entry(amount=Amount("EUR", 12), side="CRDT", status="BOOK", booked_day=DAY, details=entry.details)
    found = reconcile(statement(short), [ours(1, 5), ours(2, 6)])
    assert [each.cause for each in found.breaks] == [Cause.MISSING_HERE, Cause.MISSING_THERE, Cause.MISSING_THERE]
    assert found.minor == 1


def test_a_sum_of_which_there_are_two_is_not_proposed() -> None:
    found = reconcile(statement(theirs("", 7)), [ours(1, 3), ours(2, 4), ours(3, 5), ours(4, 2)])
    assert {each.cause for each in found.breaks} == {Cause.MISSING_HERE, Cause.MISSING_THERE}


def test_an_exact_pair_is_preferred_to_a_differing_one() -> None:
    found = reconcile(statement(theirs(uetr(1), 6), theirs(uetr(1), 5)), [ours(1, 5)])
    assert only(found) == (Cause.DUPLICATE_THERE, [1], [], 6)
    assert found.agreed == 1


def test_the_search_for_sums_is_bounded() -> None:
    booked = [ours(number, 3**number) for number in range(40)]
    found = reconcile(statement(theirs("", 2)), booked)
    assert len(found.breaks) == 41


def test_one_object_may_be_booked_twice() -> None:
    twice = ours(1, 5)
    assert only(reconcile(statement(theirs(uetr(1), 5)), [twice, twice])) == (Cause.DUPLICATE_HERE, [], ["P-1"], -5)


def change(entries: list[Entry], booked: list[Booked], chance: random.Random) -> None:
    """Change one side, as the causes do."""
    at = chance.randrange(len(entries))
    kind = chance.randrange(4)
    if kind == 0:
        del entries[at]
    elif kind == 1:
        entries.insert(at, entries[chance.randrange(len(entries))])
    elif kind == 2:
        entries[at] = theirs(uetr(chance.randrange(900, 999)), chance.randint(-99, 99))
    else:
        del booked[chance.randrange(len(booked))]


@pytest.mark.parametrize("seed", range(20))
def test_breaks_explain_the_whole_difference_and_each_entry_once(seed: int) -> None:
    chance = random.Random(seed)
    booked = [ours(number, chance.randint(-50, 50)) for number in range(12)]
    entries = [theirs(each.references[0], each.minor) for each in booked]
    for _ in range(chance.randint(0, 5)):
        change(entries, booked, chance)
    made = statement(*entries)
    found = reconcile(made, booked)
    assert found.minor == sum(each.minor for each in entries) - sum(each.minor for each in booked)
    stated = [each.entry for one in found.breaks for each in one.stated]
    mine = [each.id for one in found.breaks for each in one.booked]
    assert len(set(stated)) == len(stated) == len(entries) - found.agreed
    assert len(set(mine)) == len(mine) == len(booked) - found.agreed
    text = write(Message("camt.053.001.08", Statements(id="M", created="2026-11-27T00:00:00Z", statements=(made,))))
    assert reconcile(read(text).value.statements[0], booked) == found
