"""Payments across a border: none is queued without a permit of compliance, and a stale permit is asked for again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.bank.world import DAY_NS
from tests.clearing import declared
from tests.clearing.declared import MIDDLE
from tests.clearing.test_gateway import deliver, signed, transfer
from tests.clearing.test_inbox import customers
from tests.clearing.test_member_messages import east_side, north_side, returned, status_rows, take
from tests.clearing.world import CNY, CODES, EAST_BANK, HKD, NORTH_BANK, SOUTH_BANK, Place, Sent, place, uetr

from sycee.clearing import chains, gateway
from sycee.core.errors import UsageError
from sycee.database.events import EventKind, events_after, newest_event
from sycee.iso20022.credit_transfer_messages import Covered
from sycee.iso20022.credit_transfers import Agent, Party
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Address, Customer, Institution

DIRECT = (CODES[NORTH_BANK], CODES[EAST_BANK])
EAST_CODE = CODES[EAST_BANK]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Path]]:
    folder = tmp_path_factory.mktemp("permits")
    with place(folder, compliance="true") as made:
        yield made, folder
        assert made.bank.check() == []


@pytest.fixture
def desk(town: tuple[Place, Path]) -> tuple[Place, Path]:
    """The bank, in which all banks are declared and admitted."""
    place, folder = town
    declared.admit_all(place.bank, folder)
    return place, folder


def digests(place: Place, number: int) -> tuple[str, ...]:
    return place.bank.clearing.permits.digests(place.bank.clearing.payments.get(uetr(number)).number)


def reason(place: Place, number: int) -> tuple[str, str]:
    found = place.bank.clearing.payments.get(uetr(number))
    return found.state, found.reason


def test_nothing_crosses_before_anything_is_declared(town: tuple[Place, Path]) -> None:
    place, _ = town
    deliver(place, gateway.pack([transfer(1), transfer(2, receiver=EAST_CODE)]))
    assert place.states(1, 2) == ["queued", "valid"]
    assert place.release() == (1, 1_00, 0)
    assert place.states(1, 2) == ["booked", "valid"]


def test_a_transfer_of_a_customer_is_screened_with_its_parties(desk: tuple[Place, Path]) -> None:
    place, _ = desk
    at_home = customers((100, CODES[SOUTH_BANK]))
    abroad = customers((101, CODES[SOUTH_BANK])).replace(b"<CtryOfRes>CN<", b"<CtryOfRes>HK<")
    deliver(place, gateway.pack([at_home, abroad]))
    assert (place.states(100, 101), digests(place, 100)) == (["queued", "queued"], ())
    chain = place.bank.clearing.permits.chain(place.bank.clearing.payments.get(uetr(101)).number)
    assert chain is not None
    assert [each.states for each in chain.parties] == [("CN",), ("HK",)]
    assert len(digests(place, 101)) >= 1
    assert place.release()[0] >= 2


def test_a_message_is_screened_before_it_queues(desk: tuple[Place, Path]) -> None:
    place, _ = desk
    deliver(place, gateway.pack([transfer(10), transfer(11, receiver=EAST_CODE)]))
    assert place.states(10, 11) == ["queued", "queued"]
    assert digests(place, 10) == ()
    compliance = declared.declare(place.bank)
    assert digests(place, 11) == tuple(each.digest for each in compliance.screenings(uetr(11)))
    assert place.release()[0] >= 2
    assert place.states(10, 11) == ["booked", "booked"]


def test_many_deliveries_are_screened_together(desk: tuple[Place, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """All that are stored are screened, also before a wrong signature, and where the caller stops."""
    place, _ = desk
    monkeypatch.setattr(gateway, "ASKED_MIN", 2)
    sent = [signed(place, transfer(each, receiver=EAST_CODE)) for each in range(200, 206)]
    deliver_all = place.bank.clearing.gateway().deliver_all
    delivered = deliver_all(sent[:4], workers=0)
    next(delivered)
    assert place.states(200) == ["valid"]
    next(delivered)
    assert place.states(200, 201) == ["queued", "queued"]
    next(delivered)
    delivered.close()  # type: ignore[attr-defined]
    assert place.states(202) == ["queued"]
    wrong = sent[5]._replace(signature=sent[3].signature)
    with pytest.raises(UsageError, match="signature"):
        list(deliver_all([sent[4], wrong], workers=0))
    assert place.states(204) == ["queued"]
    place.release()


def between(*numbers: int, bic: str = MIDDLE, **named: object) -> bytes:
    return transfer(*numbers, receiver=EAST_CODE, intermediary1=Institution(bic=bic), **named)  # type: ignore[arg-type]


def test_an_excluded_agent_in_the_middle_stops_the_payment(desk: tuple[Place, Path]) -> None:
    place, folder = desk
    deliver(place, between(20))
    assert place.states(20) == ["queued"]
    # North to South, which is in the same state, by way of a third bank: the chain crosses, not its ends.
    deliver(place, transfer(21, intermediary1=Institution(bic=MIDDLE)))
    assert (place.states(21), len(digests(place, 21))) == (["queued"], 3)
    declared.exclude(place.bank, folder, ["owner-of-middle"])
    deliver(place, gateway.pack([between(22), transfer(23, receiver=EAST_CODE)]))
    assert (reason(place, 22), place.states(23)) == (("refused", "RR04"), ["queued"])
    assert len(digests(place, 22)) == 3
    assert place.states(20, 21) == ["queued", "queued"]
    place.release()
    assert [reason(place, each) for each in (20, 21)] == [("refused", "RR04")] * 2


def test_a_bank_that_nobody_declared_stops_the_payment(desk: tuple[Place, Path]) -> None:
    place, _ = desk
    deliver(place, between(30, bic="NOBDSGS1XXX"))
    assert reason(place, 30) == ("refused", "CH16")
    told = events_after(place.bank.stores.engine, newest_event(place.bank.stores.engine) - 1, most=1)[0]
    assert (told.kind, told.operator, told.data) == (
        EventKind.CLEARING_CANCELLED, NORTH_BANK, {"payments": 1, "reason": "CH16"},
    )  # fmt: skip
    (report,) = place.bank.clearing.gateway().reports(
        [place.bank.clearing.payments.get(uetr(30))], now_ns=place.bank.stores.clock.now_ns()
    )
    assert b"<TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>CH16</Cd>" in report[1]


@pytest.mark.parametrize("as_set", [False, True])
def test_permits_are_renewed_before_each_booking(desk: tuple[Place, Path], as_set: bool) -> None:
    place, _ = desk
    number = 40 + as_set
    place.send(NORTH_BANK, Sent(number, EAST_BANK, 1_00, passes=DIRECT))
    permits = place.bank.clearing.permits
    assert (permits.ask(), permits.withdraw_stale(), place.states(number)) == ((1, 0), 0, ["queued"])
    first = digests(place, number)
    declared.declare(place.bank, "middle")  # what judges changed, and nothing about this payment
    assert (permits.withdraw_stale(), place.states(number)) == (1, ["valid"])
    permits.renew()
    assert (place.states(number), digests(place, number) != first) == (["queued"], True)
    declared.declare(place.bank, "east")
    assert (place.settle(seconds=0.05).payments if as_set else place.release()[0]) == 0
    assert reason(place, number) == ("refused", "CH16")


def test_chains_are_kept_without_names() -> None:
    party = Party("Leung", ("HK",), identified=True)
    chain = chains.Chain((Agent("NORTCNB1XXX", states=("CN",)), Agent(lei="5299")), (party,), True, Amount("HKD", 7))
    again = chains.parse(chain.text)
    assert (again.agents, again.instructed, again.has_accounts) == (chain.agents, chain.instructed, True)
    assert again.parties == (Party("", ("HK",), identified=True),)
    assert "Leung" not in chain.text


@pytest.mark.parametrize(
    ("bics", "crosses"),
    [((CODES[NORTH_BANK], CODES[SOUTH_BANK]), False), (DIRECT, True), ((CODES[NORTH_BANK], ""), True)],
)
def test_a_chain_crosses_unless_all_of_it_is_in_one_state(bics: tuple[str, ...], crosses: bool) -> None:
    made = chains.Chain(tuple(Agent(each, states=(each[4:6],) if each else ()) for each in bics))
    assert made.crosses is crosses


def test_customers_of_a_cover_count(desk: tuple[Place, Path]) -> None:
    """The banks are in one state; a covered transfer of a customer abroad crosses the border, of one at home not."""
    place, _ = desk

    def covers(number: int, country: str) -> bytes:
        ends = [Customer(name="A Customer", address=Address(country=each)) for each in ("CN", country)]
        agents = [Institution(bic=CODES[each]) for each in (NORTH_BANK, SOUTH_BANK)]
        covered = Covered(debtor=ends[0], debtor_agent=agents[0], creditor_agent=agents[1], creditor=ends[1])
        return transfer(number, covered=covered)  # type: ignore[arg-type]

    deliver(place, gateway.pack([covers(50, "CN"), covers(51, "US")]))
    assert (digests(place, 50), len(digests(place, 51))) == ((), 1)


def test_a_return_is_screened_on_the_chain_of_its_payment(desk: tuple[Place, Path]) -> None:
    place, folder = desk
    deliver(place, between(70))
    place.release()
    assert place.states(70) == ["booked"]
    declared.exclude(place.bank, folder, ["owner-of-middle"])
    back = returned("T1", 70, sender=Institution(bic=EAST_CODE), receiver=Institution(bic=CODES[NORTH_BANK]))
    assert status_rows(take(place, back, participant=EAST_BANK)) == [(uetr(70), "RJCT", "RR04")]
    assert place.states(70) == ["booked"]


def test_both_sides_of_a_payment_against_payment_are_screened(desk: tuple[Place, Path]) -> None:
    place, folder = desk
    take(place, north_side(80, 81))
    take(place, east_side(81, 80), participant=EAST_BANK)
    compliance = declared.compliance_of(place.bank)
    stored = [each.digest for number in (80, 81) for each in compliance.screenings(uetr(number))]
    assert (place.states(80), digests(place, 80), len(stored)) == (["queued"], tuple(stored), 2)
    place.bank.clearing.payments.cancel(EAST_BANK, [uetr(81)])
    take(place, north_side(82, 83))
    declared.exclude(place.bank, folder, ["owner-of-middle"])
    side = east_side(83, 82, intermediary1=Institution(bic=MIDDLE))
    assert status_rows(take(place, side, participant=EAST_BANK)) == [(uetr(83), "RJCT", "RR04")]
    assert reason(place, 82) == ("refused", "RR04")


def test_both_sides_with_the_same_uetr_are_screened(desk: tuple[Place, Path]) -> None:
    """Only the second message names a bank of another state: the payment needs a permit by it."""
    place, folder = desk
    place.send(NORTH_BANK, Sent(90, SOUTH_BANK, 7_00, back=(HKD, 5_00)))
    way = (CODES[SOUTH_BANK], MIDDLE, CODES[NORTH_BANK])
    place.send(SOUTH_BANK, Sent(90, NORTH_BANK, 5_00, HKD, (CNY, 7_00), passes=way))
    assert place.states(90) == ["valid"]
    place.send(NORTH_BANK, Sent(91, EAST_BANK, 7_00, back=(HKD, 5_00), passes=DIRECT))
    way = (CODES[EAST_BANK], MIDDLE, CODES[NORTH_BANK])
    place.send(EAST_BANK, Sent(91, NORTH_BANK, 5_00, HKD, (CNY, 7_00), passes=way))
    place.bank.clearing.permits.ask()
    assert place.states(90, 91) == ["queued", "queued"]
    assert (len(digests(place, 90)), len(digests(place, 91))) == (2, 3)
    declared.exclude(place.bank, folder, ["owner-of-middle"])
    place.bank.clearing.permits.renew()
    assert [reason(place, each) for each in (90, 91)] == [("refused", "RR04")] * 2


def test_callers_at_the_same_time_ask_once(desk: tuple[Place, Path]) -> None:
    place, _ = desk
    for number in range(300, 340):
        place.send(NORTH_BANK, Sent(number, EAST_BANK, 1_00, passes=DIRECT))
    together = threading.Barrier(4)

    def ask() -> int:
        together.wait()
        return place.bank.clearing.permits.ask()[0]

    with ThreadPoolExecutor(4) as threads:
        counts = [each.result() for each in [threads.submit(ask) for _ in range(4)]]
    stored = declared.compliance_of(place.bank).screenings
    assert (sum(counts), {len(stored(uetr(number))) for number in range(300, 340)}) == (40, {1})


def test_a_permit_ends_with_its_day(desk: tuple[Place, Path]) -> None:
    place, _ = desk
    permits = place.bank.clearing.permits
    place.send(NORTH_BANK, Sent(60, EAST_BANK, 10**12, passes=DIRECT))
    assert permits.ask() == (1, 0)
    end = date(2027, 1, 1)  # of the list
    place.bank.set_clock((end - timedelta(days=1) - date(1970, 1, 1)).days * DAY_NS)
    assert permits.withdraw_stale() == 0
    place.bank.set_clock((end - date(1970, 1, 1)).days * DAY_NS)
    assert (permits.withdraw_stale() >= 1, place.states(60)) == (True, ["valid"])
    permits.ask()
    assert place.states(60) == ["refused"]  # the list has ended, so nothing is known


def test_a_bank_without_compliance_asks_nothing(tmp_path: Path) -> None:
    with place(tmp_path) as without:
        deliver(without, transfer(1, receiver=EAST_CODE))
        assert (without.states(1), digests(without, 1)) == (["queued"], ())
