"""Messages at the house: pacs.009 in, pacs.002 out, and what is refused."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.bank.world import HOUR_NS, START_NS
from tests.clearing.world import CODES, NORTH_BANK, SOUTH_BANK, Place, message_key, place, uetr

from sycee.clearing import gateway, instructions
from sycee.clearing.gateway import Delivered, Signed
from sycee.core.errors import UsageError
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.credit_transfer_messages import InstitutionTransfer, InstitutionTransfers, PaymentIds, Settlement
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import Message, read, write
from sycee.iso20022.reading_ahead import MESSAGES_MIN

TODAY = date(2026, 11, 2)
CREATED = "2026-11-02T08:00:00+08:00"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("gateway")) as made:
        yield made
        assert made.bank.check() == []


def transfer(
    *numbers: int, sender: int = NORTH_BANK, receiver: str = CODES[SOUTH_BANK], minor: int = 1_00,
    day: date = TODAY, urgency: str = "NORM", currency: str = "CNY", **times: str,
) -> bytes:  # fmt: skip
    """A pacs.009 with one transaction for each number."""
    ends = (Institution(bic=CODES[sender]), Institution(bic=receiver))
    made = tuple(
        InstitutionTransfer(
            ids=PaymentIds(instruction=f"I{each}", end_to_end=f"E{each}", uetr=uetr(each)),
            amount=Amount(currency, minor), urgency=urgency, debtor=ends[0], creditor=ends[1],
            **times,
        )
        for each in numbers
    )  # fmt: skip
    value = InstitutionTransfers(
        id=f"M{numbers[0]}", created=CREATED, day=day, settlement=Settlement(method="CLRG", system_own="HOUSE"),
        sender=ends[0], receiver=ends[1], transactions=made,
    )  # fmt: skip
    header = Header(
        sender=End(institution=ends[0]), receiver=End(institution=ends[1]), id=value.id, message=gateway.TRANSFER,
        created=CREATED,
    )  # fmt: skip
    return write(Message(gateway.TRANSFER, value, header))


def signed(town: Place, content: bytes, participant: int = NORTH_BANK) -> Signed:
    signature = instructions.sign(
        content, message_key(participant), ledger_id=town.bank.stores.ledger.ledger_id, participant=participant
    )
    return Signed(participant, content, signature, town.person(participant))


def deliver(town: Place, content: bytes, participant: int = NORTH_BANK) -> Delivered:
    (delivered,) = town.bank.clearing.gateway().deliver_all([signed(town, content, participant)], workers=0)
    return delivered


def test_messages_become_payments_and_payments_reports(town: Place) -> None:
    content = gateway.pack(
        [transfer(1, 2, urgency="URGT"), transfer(3, day=date(2026, 11, 9)), transfer(4, minor=10**9)]
    )
    delivered = deliver(town, content)
    assert (delivered.uetrs, delivered.errors) == (tuple(uetr(each) for each in (1, 2, 3, 4)), {})
    assert town.states(1, 2, 3, 4) == ["queued", "queued", "cleared", "queued"]
    payments = town.bank.clearing.payments
    assert [payments.get(uetr(each)).priority for each in (1, 4)] == [0, 4]
    assert deliver(town, content).receipt.numbers.tolist() == delivered.receipt.numbers.tolist()
    assert town.release()[0] == 2
    payments.cancel(NORTH_BANK, [uetr(4)])
    ended = payments.unanswered()
    ((sender, report),) = town.bank.clearing.gateway().reports(ended, now_ns=town.bank.stores.clock.now_ns())
    value = read(report).value
    assert (sender, value.receiver.bic) == (NORTH_BANK, CODES[NORTH_BANK])
    assert [(each.uetr, each.status) for each in value.payments] == [
        (uetr(1), "ACSC"), (uetr(2), "ACSC"), (uetr(4), "RJCT"),
    ]  # fmt: skip
    assert value.payments[2].reasons[0].code == "DS02"
    payments.mark_answered([each.number for each in ended])
    assert payments.unanswered() == []


@pytest.mark.parametrize("workers", [0, 1])
def test_deliveries_are_read_ahead(town: Place, workers: int) -> None:
    """A wrong message is refused alone, a wrong signature after what came before; -9 of the reader loses nothing."""
    first, size = 2_000 + 500 * workers, MESSAGES_MIN
    groups = [range(at, at + size) for at in range(first, first + 5 * size, size)]
    made = [[transfer(each) for each in group] for group in groups]
    made[1][3] = made[1][3].replace(b"<UETR>", b"<UETR>x")
    sent = [signed(town, gateway.pack(each)) for each in made]
    wrong = sent[3]._replace(signature=sent[2].signature)
    delivered = town.bank.clearing.gateway().deliver_all([*sent[:3], wrong, sent[4]], workers=workers)
    found = [next(delivered), next(delivered)]
    for child in children("sycee.iso20022.reading_worker"):
        os.kill(child, signal.SIGKILL)
    found.append(next(delivered))
    with pytest.raises(UsageError, match="signature"):
        next(delivered)
    assert [sorted(each.errors) for each in found] == [[], [3], []]
    assert [each.uetrs for each in found[::2]] == [tuple(map(uetr, group)) for group in groups[:3:2]]
    assert len(found[1].uetrs) == size - 1
    again = list(town.bank.clearing.gateway().deliver_all([*sent[:3], sent[4]], workers=workers))
    assert [each.receipt.is_new.any() for each in again if each.receipt] == [False, False, False, True]
    assert children("sycee.iso20022.reading_worker") == []


def children(module: str) -> list[int]:
    """Return the ids of this process's children that run a module."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(each) for each in found if module in Path(f"/proc/{each}/cmdline").read_text()]


def test_times_of_the_day_are_kept(town: Place) -> None:
    """The bank's clock begins at 8 in the morning of the house's zone."""
    deliver(town, transfer(30, not_before="09:00:00"))
    deliver(town, transfer(31, until="10:00:00+09:00"))
    assert town.states(30, 31) == ["cleared", "queued"]
    found = [town.bank.clearing.payments.get(uetr(each)) for each in (30, 31)]
    assert (found[0].from_ns, found[0].until_ns) == (START_NS + HOUR_NS, 0)
    assert found[1].until_ns == START_NS + HOUR_NS
    deliver(town, transfer(32, until="07:59:00"))
    assert town.bank.clearing.payments.get(uetr(32)).reason == "TM01"


def test_a_wrong_message_is_refused_by_itself(town: Place) -> None:
    bad = transfer(10).replace(b"<UETR>", b"<UETR>x")
    other = transfer(11, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK])
    delivered = deliver(town, gateway.pack([bad, transfer(12), other]))
    assert (delivered.uetrs, sorted(delivered.errors)) == ((uetr(12),), [0, 2])
    assert delivered.errors[0].path.endswith("UETR")
    assert "SOUTCNB1XXX sends it, and NORTCNB1XXX signed it" in delivered.errors[2].message
    alone = deliver(town, bad)
    assert (alone.receipt, list(alone.errors)) == (None, [0])
    unknown = deliver(town, transfer(13, receiver="NOBDCNB1XXX"))
    assert town.bank.clearing.payments.get(unknown.uetrs[0]).reason == "RC04"


def test_an_advice_moves_no_money(town: Place) -> None:
    advice = transfer(30).replace(b"<SttlmMtd>CLRG<", b"<SttlmMtd>COVE<")
    delivered = deliver(town, gateway.pack([advice, transfer(31)]))
    assert (delivered.uetrs, list(delivered.errors)) == ((uetr(31),), [0])
    assert (delivered.errors[0].reason, delivered.errors[0].path) == ("AG03", "FICdtTrf/GrpHdr/SttlmInf/SttlmMtd")


def test_a_payment_waits_for_its_time_and_is_refused_after_it(town: Place) -> None:
    now = datetime.fromtimestamp(town.bank.stores.clock.now_ns() / 10**9, ZoneInfo("Asia/Shanghai"))
    assert now.date() == TODAY
    later, earlier = (f"{(now + timedelta(hours=each)):%H:%M:%S}+08:00" for each in (1, -1))

    def timed(number: int, times: str) -> bytes:
        end = b"</SttlmPrty>"
        return transfer(number).replace(end, end + f"<SttlmTmReq>{times}</SttlmTmReq>".encode())

    delivered = deliver(
        town,
        gateway.pack(
            [
                timed(40, f"<FrTm>{later}</FrTm>"),
                timed(41, f"<TillTm>{later}</TillTm>"),
                timed(42, f"<TillTm>{earlier}</TillTm>"),
                timed(43, f"<TillTm>{later[:8]}</TillTm>"),  # in the zone of the house
            ]
        ),
    )
    assert delivered.errors == {}
    assert town.states(40, 41, 42, 43) == ["cleared", "queued", "refused", "queued"]
    payments = town.bank.clearing.payments
    assert payments.get(uetr(42)).reason == "TM01"
    assert payments.get(uetr(41)).until_ns == payments.get(uetr(43)).until_ns > town.bank.stores.clock.now_ns()


def test_a_delivery_that_was_cut_is_refused(town: Place) -> None:
    content = gateway.pack([transfer(20), transfer(21)])
    for cut in (content[:-1], content[: len(gateway.pack([transfer(20)])) + 2], gateway.pack([])):
        with pytest.raises(UsageError):
            deliver(town, cut)
    assert gateway.unpack(content) == [transfer(20), transfer(21)]
    assert gateway.unpack(b"<a/>") == [b"<a/>"]
