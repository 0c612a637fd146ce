"""Sets: payments that settle together from what the positions have, with a certificate, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import sqlalchemy
from tests.bank.world import ANN, NORTH, SOUTH
from tests.clearing.world import (
    CNY,
    EAST,
    EAST_BANK,
    HKD,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    Sent,
    agree,
    place,
    uetr,
)

from sycee.clearing import certificate, decisions
from sycee.clearing.set_rows import stored_records
from sycee.clearing.tables import CERTIFICATES, DRAWS, MEMBERS, PAYMENTS, SETS
from sycee.clearing.waiting import Nodes
from sycee.core import ids
from sycee.core.errors import BusyError, IntegrityError
from sycee.core.records import layout, operations
from sycee.core.records.layout import Reason
from sycee.core.result_codes import Result
from sycee.database.tables import INTENT_RECORDS
from sycee.database.transactions import write
from sycee.netting.optimise import NettingResult, optimise
from sycee.netting.queue import Queue
from tools import clearing_checker

pytest.importorskip("highspy")
SHORT = {"seconds": 0.05}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("sets")) as made:
        yield made


@pytest.fixture
def town(shared: Place) -> Iterator[Place]:
    """Each test begins with an empty queue, and leaves the same money in the house and sets that can be verified."""
    total = sum(shared.balances())
    yield shared
    chosen = sqlalchemy.select(SETS.c.id).where(SETS.c.kind == "net", SETS.c.state == "done")
    with shared.bank.stores.engine.connect() as connection:
        done = list(connection.scalars(chosen))
    assert [shared.bank.clearing.sets.verify(id)["chosen"] > 0 for id in done] == [True] * len(done)
    shared.bank.clearing.payments.cancel_waiting()
    assert sum(shared.balances()) == total
    assert shared.bank.check() == []


def shortly(queue: Queue) -> NettingResult:
    return optimise(queue, seconds=0.05)


def test_a_ring_settles_without_money(town: Place) -> None:
    before = town.balances()
    large = 10**9
    town.send(NORTH_BANK, Sent(1, SOUTH_BANK, large))
    town.send(SOUTH_BANK, Sent(2, EAST_BANK, large))
    town.send(EAST_BANK, Sent(3, NORTH_BANK, large))
    assert town.release() == (0, 0, 0)
    settled = town.settle(**SHORT)
    assert (settled.payments, settled.minor, settled.reason) == (3, 3 * large, "")
    assert (town.states(1, 2, 3), town.balances()) == (["booked"] * 3, before)
    assert town.settle(**SHORT).payments == 0


def test_a_certificate_proves_the_set_and_names_the_batch(town: Place) -> None:
    own = town.balances()[0]
    town.send(NORTH_BANK, *(Sent(10 + each, SOUTH_BANK, own // 2 + 1) for each in range(3)))
    settled = town.settle(**SHORT)
    assert (settled.payments, settled.minor) == (1, own // 2 + 1)
    sets = town.bank.clearing.sets
    header, rows = sets.export(settled.set_id)
    assert header.parent == town.bank.folder.clearing
    clearing_checker.check(json.loads(header.read_bytes()), rows.read_bytes())
    proven = certificate.check(certificate.read(header, rows))
    stored = sets.get(settled.set_id)
    assert (proven["batch"], proven["frame"]) == (stored.batch, stored.frame)
    assert (proven["chosen"], proven["payments"]) == (1, 3)
    (booked,) = sets.payments(settled.set_id).uetrs
    weighed = certificate.read(header, rows).rows
    assert weighed["uetr"][weighed["chosen"] == 1].tobytes() == booked.tobytes()
    north = next(each for each in proven["nodes"] if (each["name"], each["currency"]) == ("NORTCNB1XXX", "CNY"))
    assert (north["position"], north["net"]) == (own, own // 2 + 1)


def test_balance_ten_settles_one_of_three_tens(town: Place) -> None:
    own = town.balances()[2]
    town.send(EAST_BANK, *(Sent(20 + each, NORTH_BANK, own) for each in range(3)))
    assert town.settle(**SHORT).payments == 1
    assert sorted(town.states(20, 21, 22)) == ["booked", "queued", "queued"]
    town.send(NORTH_BANK, Sent(23, EAST_BANK, own))
    assert town.settle(**SHORT).payments == 2
    town.send(NORTH_BANK, Sent(24, EAST_BANK, own))
    town.bank.clearing.payments.cancel(EAST_BANK, [uetr(each) for each in (20, 21, 22)])
    assert town.settle(**SHORT).payments == 1


def test_a_set_that_the_ledger_refuses_is_decided_anew_without_the_cause(town: Place) -> None:
    """South is blocked between the decision and the booking: its payments wait, those of the others settle."""
    before, sets = town.balances(), town.bank.clearing.sets
    town.send(SOUTH_BANK, Sent(30, NORTH_BANK, 3))
    town.send(NORTH_BANK, Sent(31, EAST_BANK, 5), Sent(32, SOUTH_BANK, 7))
    first = sets.decide(shortly, who=town.signing["who"])
    assert town.states(30, 31, 32) == ["decided"] * 3
    nodes = Nodes.of(town.bank.clearing.positions.funds())
    with pytest.raises(BusyError):
        town.bank.clearing.gross.book(sets.payments(first), nodes, **town.signing)
    block(town)
    settled = sets.book(first, **town.signing)
    assert (settled.payments, settled.reason) == (0, "DEBIT_ACCOUNT_BLOCKED")
    assert (sets.get(first).state, town.states(30, 31, 32)) == ("discarded", ["queued"] * 3)
    assert sets.book(first, **town.signing) == settled
    settled = town.settle(**SHORT)
    assert (settled.payments, town.states(30, 31, 32)) == (2, ["queued", "booked", "booked"])
    assert town.balances() == [before[0] - 12, before[1] + 7, before[2] + 5]
    block(town, lift=True)
    assert town.settle(**SHORT).payments == 1


def test_a_payment_is_not_decided_twice(town: Place) -> None:
    sets = town.bank.clearing.sets
    town.send(NORTH_BANK, Sent(40, SOUTH_BANK, 1))
    first = sets.decide(shortly, who=town.signing["who"])
    assert sets.decide(shortly, who=town.signing["who"]) == 0
    assert town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(40)])[0].state == "decided"
    assert sets.finish(**town.signing) == 1
    assert (sets.get(first).state, town.states(40), sets.finish(**town.signing)) == ("done", ["booked"], 0)


def test_what_ends_during_the_search_is_left_out(town: Place) -> None:
    payments, sets = town.bank.clearing.payments, town.bank.clearing.sets
    sizes: list[int] = []

    def cancelling(*numbers: int) -> Callable[[Queue], NettingResult]:
        """Decide while the sender cancels one payment after another."""
        left = [uetr(each) for each in numbers]

        def decide(queue: Queue) -> NettingResult:
            sizes.append(queue.amounts.size)
            if left:
                payments.cancel(NORTH_BANK, [left.pop(0)])
            return shortly(queue)

        return decide

    town.send(NORTH_BANK, *(Sent(each, SOUTH_BANK, 1) for each in (41, 42, 43, 44)))
    with pytest.raises(BusyError, match="1 of 3 payments are not queued any more, or ended"):
        sets.settle_by(cancelling(41, 42), **town.signing)
    assert (sizes, town.states(41, 42, 43, 44)) == ([4, 3], ["cancelled", "cancelled", "queued", "queued"])
    assert sets.settle_by(cancelling(43), **town.signing).payments == 1
    assert (sizes, town.states(43, 44)) == ([4, 3, 2, 1], ["cancelled", "booked"])


def test_another_operator_takes_the_number_of_the_batch(town: Place) -> None:
    sets, bank = town.bank.clearing.sets, town.bank
    town.send(NORTH_BANK, Sent(50, SOUTH_BANK, 1))
    first = sets.decide(shortly, who=town.signing["who"])
    vaults = [bank.registry.operator(each).accounts.vault for each in (NORTH_BANK, SOUTH_BANK)]
    taken = operations.stage(
        bank.stores.new_id(), batch=sets.get(first).batch, debit=vaults[0], credit=vaults[1], amount=1
    )
    assert town.submitted(taken, NORTH) == Result.CREATED
    settled = sets.book(first, **town.signing)
    assert (settled.reason, town.states(50)) == ("BATCH_OF_ANOTHER_OPERATOR", ["queued"])
    assert town.settle(**SHORT).payments == 1
    record = operations.settle(
        bank.stores.new_id(), batch=sets.get(first).batch, payments=1, total=1, operator=NORTH_BANK, discard=True
    )
    assert town.submitted(record, NORTH) == Result.CREATED  # the set's end left the other's batch alone


def test_a_line_is_drawn_in_the_set_and_repaid_by_a_later_one(town: Place) -> None:
    bank, register = town.bank, town.bank.clearing.register
    agree(bank, bank.issuance.credit_reserves(EAST_BANK, 70_00, maker=town.maker))
    agree(bank, register.pledge(EAST_BANK, 70_00, maker=town.maker), EAST)
    own = town.funds(EAST_BANK).minor
    town.send(EAST_BANK, Sent(60, NORTH_BANK, own + 60_00))
    assert town.release() == (0, 0, 0)
    settled = town.settle(**SHORT)
    assert settled.payments == 1
    found = town.funds(EAST_BANK)
    assert (found.minor, found.line_minor, found.drawn_minor, found.limit_minor) == (0, 10_00, 60_00, 10_00)
    header, rows = bank.clearing.sets.export(settled.set_id)
    clearing_checker.check(json.loads(header.read_bytes()), rows.read_bytes())
    town.send(NORTH_BANK, Sent(61, EAST_BANK, own + 60_00))
    assert town.settle(**SHORT).payments == 1
    found = town.funds(EAST_BANK)
    assert (found.minor, found.line_minor, found.drawn_minor) == (own, 70_00, 0)
    town.send(EAST_BANK, Sent(62, NORTH_BANK, own + 5_00))
    assert town.settle(**SHORT).payments == 1
    assert bank.clearing.positions.repay(**town.signing) == 0
    town.send(NORTH_BANK, Sent(63, EAST_BANK, 2_00))
    assert town.release()[0] == 1  # a payment by itself repays nothing
    assert (bank.clearing.positions.repay(**town.signing), town.funds(EAST_BANK).drawn_minor) == (2_00, 3_00)
    town.send(NORTH_BANK, Sent(64, EAST_BANK, own + 3_00))
    assert town.settle(**SHORT).payments == 1
    assert (town.funds(EAST_BANK).minor, town.funds(EAST_BANK).drawn_minor) == (own, 0)


def test_pairs_of_currencies_settle_in_a_set_without_a_leg_alone(town: Place) -> None:
    """North pays yuan for Hong Kong dollars that South gets only from East, which wants the yuan."""
    agree(town.bank, town.bank.clearing.register.issue(EAST_BANK, "HKD", 100, maker=town.maker))
    own = town.balances()[0]
    start = town.balances(HKD)
    town.send(NORTH_BANK, Sent(70, SOUTH_BANK, own, back=(HKD, 100)))
    town.send(SOUTH_BANK, Sent(70, NORTH_BANK, 100, currency=HKD, back=(CNY, own)))
    assert town.settle(**SHORT).payments == 0  # South has no dollars
    town.send(EAST_BANK, Sent(71, SOUTH_BANK, 100, currency=HKD, back=(CNY, own)))
    town.send(SOUTH_BANK, Sent(71, EAST_BANK, own, back=(HKD, 100)))
    assert town.settle(**SHORT).payments == 2
    assert town.balances(HKD) == [start[0] + 100, start[1], start[2] - 100]
    assert (town.balances()[0], town.states(70, 71)) == (0, ["booked", "booked"])
    town.send(EAST_BANK, Sent(72, NORTH_BANK, own))
    assert town.settle(**SHORT).payments == 1


def test_the_order_of_senders_is_kept(town: Place) -> None:
    """The largest set in order: South's first payment is too large, so its second waits, and urgent ones go first."""
    own = town.balances()[1]
    town.send(SOUTH_BANK, Sent(90, EAST_BANK, own + 3), Sent(91, NORTH_BANK, 1), Sent(92, NORTH_BANK, 1, priority=0))
    town.send(NORTH_BANK, Sent(93, SOUTH_BANK, 2))
    sets = town.bank.clearing.sets
    assert sets.settle_in_order(**town.signing, between=(NORTH_BANK, SOUTH_BANK)).payments == 3
    assert town.states(90, 91, 92, 93) == ["queued", "booked", "booked", "booked"]
    town.send(SOUTH_BANK, Sent(94, NORTH_BANK, 1), Sent(95, NORTH_BANK, 1, priority=0))
    assert sets.settle_in_order(**town.signing).payments == 1
    assert (town.states(94, 95), sets.settle_in_order(**town.signing).payments) == (["queued", "booked"], 0)
    assert town.settle(**SHORT).payments == 1


def test_no_covered_payment_is_left_beside_a_large_one() -> None:
    """The set of the two large payments leaves one of 1, which fits beside them; one of 7 does not."""
    column = np.array
    queue = Queue(column([0, 1, 0, 0]), column([1, 0, 1, 1]), column([10**15, 10**15, 1, 7]), column([3, 0]))
    large = NettingResult(column([True, True, False, False]), 2 * 10**15, 2 * 10**15 + 3, column([0, 0]), "by hand")
    found = decisions.completed(queue, large)
    assert (found.chosen.tolist(), found.value) == ([True, True, True, False], 2 * 10**15 + 1)
    assert decisions.completed(queue, found).chosen.tolist() == found.chosen.tolist()


def test_notes_are_the_uetr_and_the_digest(town: Place) -> None:
    town.send(NORTH_BANK, Sent(80, SOUTH_BANK, 1))
    settled = town.settle(**SHORT)
    header, rows = town.bank.clearing.sets.export(settled.set_id)
    with town.bank.stores.engine.connect() as connection:
        positions = town.bank.clearing.register.positions("open")
        staged = stored_records(connection, town.bank.clearing.sets.get(settled.set_id), positions)
        query = sqlalchemy.select(INTENT_RECORDS.c.records).where(INTENT_RECORDS.c.id == settled.set_id)
        record = np.frombuffer(connection.execute(query).scalar_one(), layout.OPERATION)
    assert [ids.format(each) for each in ids.of_records(staged, "note")] == [uetr(80)]
    assert ids.of_records(record, "note")[-1] == certificate.read(header, rows).note


def block(town: Place, *, lift: bool = False) -> None:
    who = {"signers": town.bank.signers(ANN), "who": town.maker} if lift else town.signing
    outcome = town.bank.clearing.positions.block(SOUTH_BANK, reason=Reason.OPERATOR, lift=lift, **who)
    assert outcome.created


def test_what_was_changed_since_the_booking_is_found(town: Place) -> None:
    """A payment, a draw, a batch or a member that is another one now; the table of certificates is append-only."""
    town.send(NORTH_BANK, Sent(110, SOUTH_BANK, 3), Sent(111, EAST_BANK, 4))
    id, sets, engine = town.settle(**SHORT).set_id, town.bank.clearing.sets, town.bank.stores.engine
    number = town.bank.clearing.payments.get(uetr(110)).number
    drawn = DRAWS.insert().values(set_id=id, participant=EAST_BANK, currency=CNY, minor=1)
    mine = PAYMENTS.c.number == number
    for change, back in (
        (PAYMENTS.update().where(mine).values(minor=2), PAYMENTS.update().where(mine).values(minor=3)),
        (PAYMENTS.update().where(mine).values(receiver=5), PAYMENTS.update().where(mine).values(receiver=SOUTH_BANK)),
        (drawn, DRAWS.delete().where(DRAWS.c.set_id == id)),
        (SETS.update().where(SETS.c.id == id).values(batch=1), _number(town, id)),
        (
            MEMBERS.delete().where(MEMBERS.c.payment == number),
            MEMBERS.insert().values(payment=number, set_id=id, place=_place(town, number)),
        ),
    ):
        write(engine, lambda connection, statement=change: connection.execute(statement))
        with pytest.raises(IntegrityError):
            sets.verify(id)
        write(engine, lambda connection, statement=back: connection.execute(statement))
        assert sets.verify(id)["chosen"] == 2
    with pytest.raises(IntegrityError, match="append-only"):
        write(engine, lambda connection: connection.execute(CERTIFICATES.update().values(digest="")))


def test_what_a_line_covers_is_booked_as_a_small_set(town: Place) -> None:
    """A single booking draws on no line; a set of what position and line cover one after another does."""
    bank, sets = town.bank, town.bank.clearing.sets
    town.send(NORTH_BANK, Sent(120, SOUTH_BANK, 1))
    agree(bank, bank.issuance.credit_reserves(SOUTH_BANK, 20_00, maker=town.maker))
    agree(bank, bank.clearing.register.pledge(SOUTH_BANK, 20_00, maker=town.maker), SOUTH)
    own = town.funds(SOUTH_BANK).minor
    town.send(SOUTH_BANK, Sent(121, EAST_BANK, own + 15_00, priority=0))
    assert town.release() == (1, 1, 0)
    assert sets.settle_covered(**town.signing, priority_max=0).payments == 1
    assert (town.states(121), town.funds(SOUTH_BANK).drawn_minor) == (["booked"], 14_99)
    town.send(SOUTH_BANK, Sent(122, NORTH_BANK, 10_00))
    assert sets.settle_covered(**town.signing).payments == 0  # the line has less
    town.send(EAST_BANK, Sent(123, SOUTH_BANK, town.balances()[2]))
    found = sets.settle_covered(**town.signing)
    assert (found.payments, town.states(122, 123)) == (2, ["booked", "booked"])
    assert sets.verify(found.set_id)["method"] == "release"
    assert town.funds(SOUTH_BANK).drawn_minor == 0  # repaid by the set that brought money
    assert sets.settle_covered(**town.signing).set_id == 0


def _number(town: Place, id: int) -> sqlalchemy.Update:
    return SETS.update().where(SETS.c.id == id).values(batch=town.bank.clearing.sets.get(id).batch)


def _place(town: Place, number: int) -> int:
    with town.bank.stores.engine.connect() as connection:
        query = sqlalchemy.select(MEMBERS.c.place).where(MEMBERS.c.payment == number)
        return int(connection.execute(query).scalar_one())
