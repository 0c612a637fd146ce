"""Payments that arrive: booked at once, or in a set with queued payments of the same two participants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count, product

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.clearing.test_gateway import transfer
from tests.clearing.world import (
    BANKS,
    CNY,
    CODES,
    EAST_BANK,
    HKD,
    HOUSE_OPERATOR,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    message_key,
    place,
    uetr,
)

from sycee.clearing import instructions, precedence
from sycee.clearing.arrivals import Offset
from sycee.clearing.payments import Payment
from sycee.clearing.tables import SETS
from sycee.core.errors import Refused, SyceeError, UsageError
from sycee.identity.people import DutyMissing
from sycee.iso20022.messages import read
from tools import clearing_checker

pytest.importorskip("highspy")
NUMBERS = count(1)
LARGE = 10**9
AMOUNT = some.one_of(some.integers(1, 30_00), some.integers(80_00, 400_00))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("arrivals")) as made:
        for number in (NORTH_BANK, SOUTH_BANK):
            agree(made.bank, made.bank.clearing.register.issue(number, "HKD", 5_00, maker=made.maker))
        yield made


@pytest.fixture
def town(shared: Place) -> Iterator[Place]:
    """Each test begins with an empty queue, and leaves sets that can be verified."""
    shared.bank.clearing.payments.cancel_waiting()
    yield shared
    shared.bank.clearing.payments.cancel_waiting()
    for each in sets_of(shared):
        assert shared.bank.clearing.sets.verify(each)["chosen"] > 0
    assert shared.bank.check() == []


def sets_of(town: Place) -> list[int]:
    chosen = sqlalchemy.select(SETS.c.id).where(SETS.c.kind == "net", SETS.c.state == "done").order_by(SETS.c.id)
    with town.bank.stores.engine.connect() as connection:
        return list(connection.scalars(chosen))


def arrive(town: Place, sender: int, *sent: Sent) -> Offset:
    """Deliver payments, and let the house settle them on arrival."""
    numbers = town.send(sender, *sent).numbers.tolist()
    return town.bank.clearing.arrivals.settle(numbers, **town.signing)  # type: ignore[arg-type]


def payment(town: Place, number: int) -> Payment:
    return town.bank.clearing.payments.get(uetr(number))


def test_a_payment_settles_on_arrival_alone_or_with_opposite_ones(town: Place) -> None:
    before, (one, two, three, four) = town.balances(), (next(NUMBERS) for _ in range(4))
    assert arrive(town, NORTH_BANK, Sent(one, SOUTH_BANK, 5)) == Offset(single=1)
    assert arrive(town, SOUTH_BANK, Sent(two, NORTH_BANK, LARGE)) == Offset()
    assert arrive(town, EAST_BANK, Sent(three, NORTH_BANK, LARGE)) == Offset()
    assert arrive(town, NORTH_BANK, Sent(four, SOUTH_BANK, LARGE + 3)) == Offset(together=2, sets=1)
    assert town.states(one, two, three, four) == ["booked", "booked", "queued", "booked"]
    assert town.balances() == [before[0] - 8, before[1] + 8, before[2]]
    header, rows = town.bank.clearing.sets.export(sets_of(town)[-1])
    made = json.loads(header.read_bytes())
    clearing_checker.check(made, rows.read_bytes())
    assert (made["method"], made["payments"], made["chosen"], made["claims_best"]) == ("bilateral", 2, 2, True)


def test_payment_against_payment_is_offset_with_both_legs(town: Place) -> None:
    one, two = next(NUMBERS), next(NUMBERS)
    town.send(NORTH_BANK, Sent(one, SOUTH_BANK, LARGE, back=(HKD, 7)))
    assert arrive(town, SOUTH_BANK, Sent(one, NORTH_BANK, 7, currency=HKD, back=(CNY, LARGE))) == Offset()
    assert arrive(town, SOUTH_BANK, Sent(two, NORTH_BANK, LARGE)) == Offset(together=2, sets=1)
    assert town.states(one, two) == ["booked", "booked"]


def test_a_limit_and_a_line_count(town: Place) -> None:
    register, limits, maker = town.bank.clearing.register, town.bank.clearing.limits, town.maker
    one, two, three = (next(NUMBERS) for _ in range(3))
    north = town.person(NORTH_BANK)
    limits.set(NORTH_BANK, "CNY", "bilateral", 10, other=SOUTH_BANK, who=north)
    town.send(SOUTH_BANK, Sent(one, NORTH_BANK, LARGE))
    assert arrive(town, NORTH_BANK, Sent(two, SOUTH_BANK, LARGE + 11)) == Offset()
    limits.set(NORTH_BANK, "CNY", "bilateral", None, other=SOUTH_BANK, who=north)
    assert town.bank.clearing.arrivals.offset(**town.signing) == Offset(together=2, sets=1)  # type: ignore[arg-type]
    agree(town.bank, register.fill(EAST_BANK, "HKD", 50, maker=maker))
    assert arrive(town, EAST_BANK, Sent(three, SOUTH_BANK, 30, currency=HKD)) == Offset(together=1, sets=1)
    assert town.funds(EAST_BANK, HKD).drawn_minor == 30


def test_money_that_is_earmarked_for_a_large_payment_to_another_bank_stays(town: Place) -> None:
    own = town.balances()[0]
    large, one, two, three = (next(NUMBERS) for _ in range(4))
    town.send(NORTH_BANK, Sent(large, EAST_BANK, own + 10))
    town.bank.set_clock(town.bank.stores.clock.now_ns() + precedence.EARMARKED_AFTER_NS)
    town.send(SOUTH_BANK, Sent(one, NORTH_BANK, LARGE))
    assert arrive(town, NORTH_BANK, Sent(two, SOUTH_BANK, LARGE + 1), Sent(three, SOUTH_BANK, 2)) == Offset()
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(large)])
    found = town.bank.clearing.arrivals.settle([payment(town, two).number], **town.signing)  # type: ignore[arg-type]
    assert found == Offset(single=1, together=2, sets=1)


def test_the_whole_queue_is_searched_for_pairs(town: Place) -> None:
    ends = [(NORTH_BANK, SOUTH_BANK), (SOUTH_BANK, NORTH_BANK), (EAST_BANK, SOUTH_BANK), (SOUTH_BANK, EAST_BANK)]
    ends += [(NORTH_BANK, EAST_BANK), (NORTH_BANK, EAST_BANK), (SOUTH_BANK, EAST_BANK)]
    numbers = [next(NUMBERS) for _ in ends]
    for at, (each, (sender, receiver)) in enumerate(zip(numbers, ends, strict=True)):
        town.send(sender, Sent(each, receiver, LARGE, priority=0 if at in (2, 3) else 4))
    offset = town.bank.clearing.arrivals.offset
    assert offset(priority_max=0, **town.signing) == Offset(together=2, sets=1)  # type: ignore[arg-type]
    assert town.states(*numbers[2:4]) == ["booked", "booked"]
    assert offset(**town.signing) == Offset(together=2, sets=1)  # type: ignore[arg-type]
    assert town.states(*numbers) == ["booked"] * 4 + ["queued"] * 3
    assert offset(**town.signing) == Offset()  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        offset(signers=(), who=town.person(NORTH_BANK))


@settings(max_examples=10, deadline=None)
@given(some.lists(some.tuples(some.booleans(), AMOUNT), min_size=2, max_size=7))
def test_the_set_is_the_best_of_all_sets_of_the_pair(shared: Place, sent: list[tuple[bool, int]]) -> None:
    """Compared with every set in plain integers, from the positions after what is covered was booked."""
    town = shared
    town.bank.clearing.payments.cancel_waiting()
    numbers = [next(NUMBERS) for _ in sent]
    for number, (is_out, minor) in zip(numbers, sent, strict=True):
        sender, receiver = (NORTH_BANK, SOUTH_BANK) if is_out else (SOUTH_BANK, NORTH_BANK)
        town.send(sender, Sent(number, receiver, minor))
    town.release()
    left = [payment(town, each) for each in numbers if payment(town, each).state == "queued"]
    north, south, _ = town.balances()
    best = 0
    for bits in product([0, 1], repeat=len(left)):
        chosen = [each for bit, each in zip(bits, left, strict=True) if bit]
        net = sum(each.minor if each.sender == NORTH_BANK else -each.minor for each in chosen)
        if -south <= net <= north:
            best = max(best, sum(each.minor for each in chosen))
    town.bank.clearing.arrivals.offset(**town.signing)  # type: ignore[arg-type]
    booked = [each.minor for each in left if payment(town, payment_number(each)).state == "booked"]
    assert sum(booked) == best
    assert town.bank.check() == []
    town.bank.clearing.payments.cancel_waiting()


def payment_number(of: Payment) -> int:
    """The number that `uetr` makes a UETR of."""
    return int(of.uetr.replace("-", ""), 16) >> 80


def deliver(town: Place, number: int, sender: int, receiver: int, minor: int = LARGE) -> list[tuple[str, str]]:
    """Deliver one payment, and return what its answer says."""
    content = transfer(number, sender=sender, receiver=CODES[receiver], minor=minor)
    ledger_id = town.bank.stores.ledger.ledger_id
    signature = instructions.sign(content, message_key(sender), ledger_id=ledger_id, participant=sender)
    answered = town.bank.clearing.intake("House").take(sender, content, signature, who=town.person(sender))
    return [(each.uetr, each.status) for each in read(answered.answer).value.payments]


def test_a_delivery_is_answered_with_what_settled(town: Place) -> None:
    town.bank.clearing.settle_on_arrival(**town.signing)  # type: ignore[arg-type]
    for _ in range(2):
        assert deliver(town, 901, SOUTH_BANK, NORTH_BANK) == [(uetr(901), "PDNG")]
    for _ in range(2):
        assert deliver(town, 902, NORTH_BANK, SOUTH_BANK) == [(uetr(902), "ACSC")]


def test_a_delivery_is_answered_although_the_house_cannot_settle(town: Place) -> None:
    """With the key of another institution the ledger refuses; the payment waits until the house signs."""
    clearing, failures = town.bank.clearing, list[SyceeError]()
    wrong = town.bank.signers(BANKS[NORTH_BANK])
    with pytest.raises(DutyMissing):
        clearing.settle_on_arrival(signers=wrong, who=town.person(NORTH_BANK))
    clearing.settle_on_arrival(signers=wrong, who=town.person(HOUSE_OPERATOR), failed=failures.append)
    assert deliver(town, 903, SOUTH_BANK, NORTH_BANK, minor=1_00) == [(uetr(903), "PDNG")]
    assert [type(each) for each in failures] == [Refused]
    clearing.settle_on_arrival(**town.signing)  # type: ignore[arg-type]
    assert deliver(town, 904, SOUTH_BANK, NORTH_BANK, minor=1_00) == [(uetr(904), "ACSC")]
    assert town.states(903, 904) == ["booked", "booked"]


class Stop(Exception):
    """Instead of a kill: the process goes no further."""


def test_the_same_delivery_books_what_a_crash_left_decided(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Stop

    town.bank.clearing.settle_on_arrival(**town.signing)  # type: ignore[arg-type]
    assert deliver(town, 911, SOUTH_BANK, NORTH_BANK) == [(uetr(911), "PDNG")]
    with monkeypatch.context() as patch:
        patch.setattr(town.bank.clearing.sets, "book", stop)
        with pytest.raises(Stop):
            deliver(town, 912, NORTH_BANK, SOUTH_BANK)
    assert town.states(911, 912) == ["decided", "decided"]
    assert deliver(town, 912, NORTH_BANK, SOUTH_BANK) == [(uetr(912), "ACSC")]
    assert town.states(911, 912) == ["booked", "booked"]
