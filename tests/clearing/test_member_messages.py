"""Messages to the house besides payments: each kind is done once, for its sender alone, and answered."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest
from tests.clearing.test_gateway import CREATED, TODAY, transfer
from tests.clearing.world import (
    CNY,
    CODES,
    EAST_BANK,
    HKD,
    NORTH_BANK,
    SOUTH_BANK,
    Place,
    agree,
    message_key,
    place,
    uetr,
)

from sycee.clearing import account_days, gateway, instructions, member_messages, receiving
from sycee.clearing.intake import Answered
from sycee.clearing.tables import PARTICIPANTS
from sycee.core.keys import PublicKey
from sycee.database.transactions import write as store
from sycee.iso20022.bulk_credit_transfers import bank_code
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.cancellations import CancellationRequest, CancelledPayment
from sycee.iso20022.credit_transfer_messages import Settlement, Words
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Account, Actor, Institution, Original, StatusReason
from sycee.iso20022.liquidity import LiquidityTransfer, Receipt, ReceiptDetails
from sycee.iso20022.messages import Message, read, write
from sycee.iso20022.returns import ReturnedPayment, Returns
from sycee.iso20022.statements import ReportRequest, Request
from sycee.iso20022.statuses import AskedPayment, StatusRequest

NORTH, SOUTH, EAST = (Institution(bic=CODES[each]) for each in (NORTH_BANK, SOUTH_BANK, EAST_BANK))
HOUSE = "Clearing House"
RETURN = "pacs.004.001.09"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("messages")) as made:
        yield made
        assert made.bank.check() == []


def take(town: Place, *contents: bytes, participant: int = NORTH_BANK) -> Answered:
    content = contents[0] if len(contents) == 1 else gateway.pack(contents)
    signature = instructions.sign(
        content, message_key(participant), ledger_id=town.bank.stores.ledger.ledger_id, participant=participant
    )
    return town.bank.clearing.intake(HOUSE).take(participant, content, signature, who=town.person(participant))


def value_of(answered: Answered) -> Any:
    return read(answered.answer).value


def refusal(answered: Answered) -> tuple[str, str]:
    """The name of a refusal, and its words."""
    message = read(answered.answer)
    if message.name == "pacs.002.001.10":
        return message.name, " ".join(message.value.groups[0].reasons[0].information)
    if message.name == "camt.025.001.08":
        return message.name, " ".join(message.value.details[0].handling[0].reason.information)
    return message.name, f"{message.value.place} {message.value.description}"


def headed(name: str, value: Any, sender: Institution = NORTH) -> bytes:
    ends = End(institution=sender), End(institution=Institution(name=HOUSE))
    header = Header(sender=ends[0], receiver=ends[1], id=f"B-{value.id}", message=name, created=CREATED)
    return write(Message(name, value, header))


# --- camt.050 ---


def pay_out(id: str, minor: int, currency: str = "CNY", sender: Institution = NORTH, **named: Any) -> bytes:
    value = LiquidityTransfer(id=id, created=CREATED, end_to_end=id, amount=Amount(currency, minor), **named)
    return headed(member_messages.PAY_OUT, value, sender)


def handling(content: bytes) -> tuple[str, str]:
    (details,) = read(content).value.details
    return details.handling[0].status, details.handling[0].reason.code if details.handling[0].reason else ""


def test_liquidity_is_paid_out_when_the_house_acts(town: Place) -> None:
    vault, before = town.vault(EAST_BANK), town.funds(EAST_BANK).minor
    asked = pay_out("P1", 5_00, sender=EAST, debtor=EAST)
    first = take(town, asked, participant=EAST_BANK)
    assert (handling(first.answer), first.requests, town.vault(EAST_BANK)) == (("PDNG", ""), 1, vault)
    take(town, pay_out("P2", 10**9, sender=EAST), participant=EAST_BANK)
    pay_outs, requests = town.bank.clearing.pay_outs, town.bank.clearing.requests(HOUSE)
    assert pay_outs.perform(**town.signing) == (1, 1)
    assert pay_outs.perform(**town.signing) == (0, 0)
    assert (town.vault(EAST_BANK), town.funds(EAST_BANK).minor) == (vault + 5_00, before - 5_00)
    receipts = {handling(made): each for each, made in requests.receipts(at_ns=town.bank.stores.clock.now_ns())}
    assert sorted(receipts) == [("COMP", ""), ("REJT", "AM04")]
    for each in receipts.values():
        pay_outs.mark_answered(each.message)
    assert list(requests.receipts(at_ns=1)) == []
    assert take(town, asked, participant=EAST_BANK).answer == first.answer
    assert pay_outs.waiting() == []


def test_a_wrong_message_before_a_pay_out_does_not_stop_its_receipt(town: Place) -> None:
    wrong = pay_out("P4", 1).replace(b"<MsgId>P4<", b"<MsgId><")
    take(town, wrong, pay_out("P5", 1))
    pay_outs, requests = town.bank.clearing.pay_outs, town.bank.clearing.requests(HOUSE)
    assert pay_outs.perform(**town.signing) == (1, 0)
    ((paid, made),) = requests.receipts(at_ns=1)
    assert (handling(made), read(made).value.details[0].original) == (("COMP", ""), "P5")
    pay_outs.mark_answered(paid.message)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"debtor": SOUTH}, "Dbtr: SOUTCNB1XXX is not NORTCNB1XXX, which signed"),
        ({"creditor": SOUTH}, "Cdtr: SOUTCNB1XXX is not"),
        ({"currency": "MOP"}, "TrfdAmt/AmtWthCcy: operator 2 has no open position in MOP"),
        ({"debtor_account": Account(number="1")}, "DbtrAcct/Id: 1 is another account"),
        ({"creditor_account": Account(number="1")}, "CdtrAcct/Id: names an account"),
        ({"sender": SOUTH}, "AppHdr/Fr: SOUTCNB1XXX sends it"),
    ],
)
def test_a_pay_out_of_others_is_refused(town: Place, named: dict[str, Any], words: str) -> None:
    answered = take(town, pay_out("P3", 1, **named))
    name, found = refusal(answered)
    assert (name, answered.refused, words in found) == ("camt.025.001.08", 1, True), found
    assert town.bank.clearing.pay_outs.waiting() == []


# --- camt.056 ---


def cancel(id: str, *numbers: int, sender: Institution = NORTH) -> bytes:
    value = CancellationRequest(
        id=id, sender=Actor(institution=sender), receiver=Actor(institution=Institution(name=HOUSE)), created=CREATED,
        transactions=tuple(CancelledPayment(uetr=uetr(each)) for each in numbers),
    )  # fmt: skip
    return headed(member_messages.CANCEL, value, sender)


def test_a_payment_that_waits_is_cancelled(town: Place) -> None:
    take(town, transfer(100, minor=10**9), transfer(101, minor=1), transfer(102, receiver="NOBDCNB1XXX"))
    assert town.release()[0] == 1
    asked = cancel("C1", 100, 101, 102, 199)
    first = take(town, asked)
    found = value_of(first)
    assert (found.status, [each.status for each in found.transactions]) == ("PDCR", ["ACCR", "PDCR", "RJCR", "RJCR"])
    assert "pacs.004" in " ".join(found.transactions[1].reasons[0].information)
    assert found.transactions[3].reasons[0].code == "NOOR"
    assert town.states(100, 101, 102) == ["cancelled", "booked", "refused"]
    assert take(town, asked).answer == first.answer
    # A message of another kind may not use its id.
    other = take(town, headed(member_messages.STATUS, StatusRequest(id="C1", created=CREATED, payments=(
        AskedPayment(uetr=uetr(100)),
    ))))  # fmt: skip
    assert "is the id of a camt.056.001.08" in refusal(other)[1]


def test_nobody_cancels_the_payment_of_another_bank(town: Place) -> None:
    take(town, transfer(110, minor=10**9))
    found = value_of(take(town, cancel("C2", 110, sender=SOUTH), participant=SOUTH_BANK))
    assert (found.status, found.transactions[0].reasons[0].code) == ("RJCR", "NOOR")
    other = take(town, cancel("C3", 110), participant=SOUTH_BANK)
    assert "AppHdr/Fr: NORTCNB1XXX sends it, and SOUTCNB1XXX signed it" in refusal(other)[1]
    assert "named twice" in refusal(take(town, cancel("C4", 110, 110)))[1]
    assert value_of(take(town, cancel("C5", 110))).status == "CNCL"


# --- pacs.028 ---


def ask(id: str, *numbers: int, sender: Institution = NORTH, message: str = "") -> bytes:
    groups = (Original(id=message, name=gateway.TRANSFER),) if message else ()
    payments = tuple(AskedPayment(uetr=uetr(each)) for each in numbers)
    value = StatusRequest(id=id, created=CREATED, sender=sender, groups=groups, payments=payments)
    return headed(member_messages.STATUS, value, sender)


def test_the_status_of_payments_is_told_to_their_sender(town: Place) -> None:
    take(town, transfer(120, 121, minor=10**9), transfer(122, receiver="NOBDCNB1XXX"))
    asked = ask("S1", 120, 122, 199, message="M120")
    first = take(town, asked)
    rows = [(each.uetr, each.status, each.reasons[0].code if each.reasons else "") for each in value_of(first).payments]
    assert rows == [
        (uetr(120), "PDNG", ""), (uetr(122), "RJCT", "RC04"), (uetr(199), "", "NOOR"), (uetr(120), "PDNG", ""),
        (uetr(121), "PDNG", ""),
    ]  # fmt: skip
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(120), uetr(121)])
    assert take(town, asked).answer == first.answer
    assert value_of(take(town, ask("S2", 120))).payments[0].status == "CANC"
    other = value_of(take(town, ask("S3", 120, sender=SOUTH, message="M120"), participant=SOUTH_BANK))
    assert [each.reasons[0].code for each in other.payments] == ["NOOR", "NOOR"]


def test_a_status_of_too_many_payments_is_refused(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the messages that it names are few: each name in a request may stand for thousands of payments."""
    take(town, transfer(125, 126, minor=10**9))
    monkeypatch.setattr(member_messages, "ASKED_MAX", 3)
    assert len(value_of(take(town, ask("S4", 125, message="M125"))).payments) == 3
    name, found = refusal(take(town, ask("S5", 125, 126, message="M125")))
    assert (name, "asks for more than 3 payments" in found) == ("admi.002.001.01", True), found
    assert len(value_of(take(town, ask("S5", 125))).payments) == 1, "nothing is kept of the refused one"
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(125), uetr(126)])


# --- camt.060 ---


def report(
    id: str, wanted: str, sender: Institution = NORTH, owner: Institution | None = None, times: int = 1, **named: Any
) -> bytes:
    kind = "ALLL" if "first_day" in named else ""
    request = Request(wanted=wanted, owner=Actor(institution=owner or sender), kind=kind, **named)
    value = ReportRequest(id=id, created=CREATED, requests=(request,) * times)
    return headed(member_messages.REPORT, value, sender)


def test_a_report_has_what_was_booked(town: Place) -> None:
    before = town.funds(SOUTH_BANK).minor
    take(town, transfer(130, sender=SOUTH_BANK, receiver=CODES[EAST_BANK], minor=3_00), participant=SOUTH_BANK)
    take(town, transfer(131, minor=2_00))
    assert town.release()[0] == 2
    named = {"first_day": TODAY, "account": Account(currency="CNY", number=number_of(town, SOUTH_BANK, CNY))}
    asked = report("R1", "camt.052.001.08", SOUTH, **named)
    first = take(town, asked, participant=SOUTH_BANK)
    (found,) = value_of(first).reports
    assert [each.minor for each in found.balances][-1] == before - 3_00 + 2_00 == town.funds(SOUTH_BANK).minor
    last = found.entries[-2:]
    assert [(each.minor, each.details[0].transactions[0].uetr) for each in last] == [
        (-3_00, uetr(130)), (2_00, uetr(131)),
    ]  # fmt: skip
    assert last[1].details[0].transactions[0].sender.bic == CODES[NORTH_BANK]
    town.prefund(SOUTH_BANK, 1)
    assert take(town, asked, participant=SOUTH_BANK).answer == first.answer
    statements = value_of(take(town, report("R2", "camt.053.001.08", first_day=TODAY))).statements
    assert {each.account.currency for each in statements} == {"CNY", "HKD"}


@pytest.mark.parametrize(
    ("wanted", "named", "words"),
    [
        ("camt.054.001.08", {}, "ReqdMsgNmId"),
        ("camt.053.001.08", {"owner": SOUTH}, "AcctOwnr"),
        ("camt.053.001.08", {"account": Account(number="0")}, "0 is no position of NORTCNB1XXX"),
        ("camt.053.001.08", {"first_day": date(2026, 11, 3), "last_day": TODAY}, "RptgPrd/FrToDt"),
        ("camt.052.001.08", {"first_day": TODAY, "from_time": "10:00:00", "to_time": "09:00:00"}, "RptgPrd/FrToTm"),
    ],
)
def test_a_wrong_report_is_refused(town: Place, wanted: str, named: dict[str, Any], words: str) -> None:
    named = {"first_day": TODAY} | named
    name, found = refusal(take(town, report("R3", wanted, **named)))
    assert (name, words in found) == ("admi.002.001.01", True), found


def test_a_report_that_is_too_long_is_refused_by_itself(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    take(town, transfer(135))
    assert town.release()[0] == 1
    asked = report("R8", "camt.052.001.08", first_day=TODAY)
    with monkeypatch.context() as patch:
        patch.setattr(account_days, "ENTRIES_MAX", 0)
        answered = take(town, transfer(136, minor=10**9), asked)
    names = [read(each).name for each in gateway.unpack(answered.answer)]
    assert (names, answered.stored, answered.refused) == (["pacs.002.001.10", "admi.002.001.01"], 1, 1)
    # Nothing of it is kept: the report is given when it fits, and once it is given it stays.
    given = take(town, asked)
    assert read(given.answer).name == "camt.052.001.08"
    monkeypatch.setattr(account_days, "ENTRIES_MAX", 0)
    assert take(town, asked).answer == given.answer
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(136)])


def test_the_reports_of_one_message_have_a_limit_in_all(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    take(town, transfer(138))
    assert town.release()[0] == 1
    named = {"first_day": TODAY, "account": Account(currency="CNY", number=number_of(town, NORTH_BANK, CNY))}
    (found,) = value_of(take(town, report("R9", "camt.052.001.08", **named))).reports
    monkeypatch.setattr(account_days, "ENTRIES_MAX", 2 * len(found.entries))
    twice = take(town, report("R10", "camt.052.001.08", times=2, **named))
    assert [len(each.entries) for each in value_of(twice).reports] == [len(found.entries)] * 2
    name, words = refusal(take(town, report("R11", "camt.052.001.08", times=3, **named)))
    assert (name, "of a message of reports" in words, "RptgReq[3]" in words) == ("admi.002.001.01", True, True), words


@pytest.mark.parametrize("code", ["LEI:529900T8BM49AURSDO55", "HKNCC:012"])
def test_banks_without_a_bic_are_named_by_their_codes(town: Place, code: str) -> None:
    number = 600 if code.startswith("LEI") else 602
    take(town, transfer(number))
    take(town, transfer(number + 1, sender=SOUTH_BANK, receiver=CODES[EAST_BANK]), participant=SOUTH_BANK)
    assert town.release()[0] == 2
    try:
        rename(town, code)
        (found, *_) = value_of(take(town, report(f"R-{code[:3]}", "camt.052.001.08", first_day=TODAY))).reports
        assert bank_code(found.entries[-1].details[0].transactions[0].receiver) == code
        sent = town.bank.clearing.payments.get(uetr(number + 1))
        ((_, told),) = town.bank.clearing.gateway().reports([sent], now_ns=10**18)
        assert bank_code(read(told).value.receiver) == code
    finally:
        rename(town, CODES[SOUTH_BANK])


def rename(town: Place, code: str) -> None:
    statement = PARTICIPANTS.update().where(PARTICIPANTS.c.participant == SOUTH_BANK).values(code=code)
    store(town.bank.stores.engine, lambda connection: connection.execute(statement))


def number_of(town: Place, participant: int, currency: int) -> str:
    return account_days.number_of(town.bank.clearing.register.position(participant, currency))


# --- pacs.004 ---


def returned(id: str, *numbers: int, sender: Institution = SOUTH, receiver: Institution = NORTH, minor: int = 1_00,
             currency: str = "CNY") -> bytes:  # fmt: skip
    made = tuple(
        ReturnedPayment(
            id=f"{id}-{each}", uetr=uetr(each), amount=Amount(currency, minor),
            reasons=(StatusReason(code="AC04"),),
        )
        for each in numbers
    )  # fmt: skip
    value = Returns(
        id=id, created=CREATED, day=TODAY, settlement=Settlement(method="CLRG", system_own="HOUSE"), sender=sender,
        receiver=receiver, transactions=made,
    )  # fmt: skip
    return headed(RETURN, value, sender)


def status_rows(answered: Answered) -> list[tuple[str, str, str]]:
    return [
        (each.uetr, each.status, each.reasons[0].code if each.reasons else "") for each in value_of(answered).payments
    ]


def test_a_booked_payment_is_returned_by_message(town: Place) -> None:
    take(town, transfer(140), transfer(141))
    take(town, transfer(142, minor=10**9))
    town.release()
    before = town.balances()
    asked = returned("T1", 140, 142, 199)
    first = take(town, asked, participant=SOUTH_BANK)
    assert (first.stored, status_rows(first)) == (
        3, [(uetr(140), "PDNG", ""), (uetr(142), "RJCT", "ARDT"), (uetr(199), "RJCT", "ARDT")],
    )  # fmt: skip
    assert status_rows(take(town, returned("T2", 141, minor=2_00), participant=SOUTH_BANK)) == [
        (uetr(141), "RJCT", "ARDT")
    ]
    assert town.release()[0] == 1
    assert (town.states(140, 141), town.balances()) == (["returned", "booked"], [before[0] + 1_00, before[1] - 1_00,
                                                                                   before[2]])  # fmt: skip
    assert take(town, asked, participant=SOUTH_BANK).answer == first.answer
    assert status_rows(take(town, returned("T3", 140), participant=SOUTH_BANK)) == [(uetr(140), "RJCT", "ARDT")]
    reports = dict(town.bank.clearing.gateway().reports(town.bank.clearing.payments.unanswered(), now_ns=1))
    told = {each.uetr: each.status for each in read(reports[SOUTH_BANK]).value.payments}
    assert told[uetr(140)] in ("ACSC", "RJCT")
    town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(142)])


def test_two_messages_of_one_id_in_a_delivery_do_not_refuse_the_others(town: Place) -> None:
    take(town, transfer(610, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK]), participant=SOUTH_BANK)
    assert town.release()[0] == 1
    back = returned("T9", 610, sender=NORTH, receiver=SOUTH)
    same = transfer(612, minor=10**9).replace(b">M612<", b">M611<")
    answered = take(town, transfer(611, minor=10**9), same, back)
    names = [read(each).value for each in gateway.unpack(answered.answer)]
    assert [[each.status for each in value.payments] for value in names] == [["PDNG"], [], ["PDNG"]]
    (reason,) = names[1].groups[0].reasons
    assert (reason.code, "M611 is the id of message 1 of the delivery, too" in " ".join(reason.information)) == (
        "DU01", True,
    )  # fmt: skip
    assert (answered.stored, answered.refused) == (2, 1)
    take(town, cancel("C10", 611))
    assert town.release()[0] == 1


def test_only_the_receiver_returns(town: Place) -> None:
    take(town, transfer(150))
    town.release()
    answered = take(town, returned("T5", 150, sender=EAST), participant=EAST_BANK)
    assert status_rows(answered) == [(uetr(150), "RJCT", "ARDT")]
    assert "AppHdr/Fr: SOUTCNB1XXX sends it" in refusal(take(town, returned("T6", 150), participant=EAST_BANK))[1]
    assert "is returned twice" in refusal(take(town, returned("T7", 150, 150), participant=SOUTH_BANK))[1]
    assert town.states(150) == ["booked"]


def test_a_delivery_of_many_messages_is_verified_and_compressed_once(
    town: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[int] = []
    verified: list[bytes] = []
    verifies = PublicKey.verifies

    def compress(content: bytes, level: int) -> bytes:
        compressed.append(len(content))
        return zlib.compress(content, level)

    def counted(key: PublicKey, signature: bytes, message: bytes) -> bool:
        verified.append(message)
        return verifies(key, signature, message)

    monkeypatch.setattr(receiving, "zlib", SimpleNamespace(compress=compress, decompress=zlib.decompress))
    monkeypatch.setattr(PublicKey, "verifies", counted)
    parts = [returned(f"T{each}", each) for each in (195, 196)]
    parts += [transfer(197, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=10**9)]
    parts += [ask("S12", 197, sender=SOUTH), cancel("C12", 197, sender=SOUTH)]
    answered = take(town, *parts, participant=SOUTH_BANK)
    assert (answered.stored, answered.requests, len(compressed), len(verified)) == (3, 2, 1, 1)
    assert town.states(197) == ["cancelled"]


# --- payment against payment ---


def paired(number: int, other: int, back: str, **named: Any) -> bytes:
    """A payment that names its other side."""
    return transfer(number, for_next_agent=(Words(words=f"/PVP/{uetr(other)}/{back}"),), **named)


def north_side(number: int, other: int, back: str = "HKD5.00") -> bytes:
    return paired(number, other, back, receiver=CODES[EAST_BANK], minor=7_00)


def east_side(number: int, other: int, minor: int = 5_00, **named: Any) -> bytes:
    ends = {"sender": EAST_BANK, "receiver": CODES[NORTH_BANK]}
    return paired(number, other, "CNY7.00", minor=minor, currency="HKD", **ends, **named)


def test_two_messages_that_name_each_other_settle_together(town: Place) -> None:
    before = town.balances(CNY)
    first = take(town, north_side(160, 161))
    assert (status_rows(first), town.states(160)) == ([(uetr(160), "PDNG", "")], ["unmatched"])
    second = take(town, east_side(161, 160), participant=EAST_BANK)
    assert (second.stored, status_rows(second)) == (1, [(uetr(161), "PDNG", "")])
    assert town.states(160, 161) == ["queued", "queued"]
    assert town.release()[0] == 0  # East has no dollars: neither side is booked
    assert (town.states(160, 161), town.balances(CNY)) == (["queued", "queued"], before)
    assert take(town, east_side(161, 160), participant=EAST_BANK).answer == second.answer
    again = take(town, east_side(161, 160).replace(b">M161<", b">M961<"), participant=EAST_BANK)
    assert (again.stored, again.duplicates, again.answer) == (0, 1, second.answer)
    agree(town.bank, town.bank.clearing.register.issue(EAST_BANK, "HKD", 5_00, maker=town.maker))
    assert town.release()[0] == 1
    assert town.states(160, 161) == ["booked", "booked"]
    assert town.balances(CNY) == [before[0] - 7_00, before[1], before[2] + 7_00]
    assert town.balances(HKD)[0] == 5_00
    chosen = [town.bank.clearing.payments.get(uetr(160))]
    told = {who: status_of(made) for who, made in town.bank.clearing.gateway().reports(chosen, now_ns=10**18)}
    assert told == {NORTH_BANK: (uetr(160), "ACSC"), EAST_BANK: (uetr(161), "ACSC")}
    # Its UETR is used.
    assert status_rows(take(town, transfer(161)))[0][1:] == ("RJCT", "DU03")


def status_of(report: bytes) -> tuple[str, str]:
    (found,) = read(report).value.payments
    return found.uetr, found.status


def test_sides_that_differ_do_not_settle(town: Place) -> None:
    take(town, north_side(170, 171))
    assert status_rows(take(town, east_side(171, 170, minor=4_99), participant=EAST_BANK)) == [
        (uetr(171), "RJCT", "AM09")
    ]
    # The other message names another payment, or a third bank sends it.
    other = east_side(171, 179).replace(b">M171<", b">M971<")
    assert status_rows(take(town, other, participant=EAST_BANK)) == [(uetr(171), "PDNG", "")]
    assert town.states(170, 171) == ["unmatched", "unmatched"]
    assert value_of(take(town, cancel("C7", 170))).status == "CNCL"
    assert town.release()[0] == 0


def test_a_message_without_stored_payments_keeps_its_first_answer(town: Place) -> None:
    take(town, north_side(172, 173))
    wrong = east_side(173, 172, minor=4_99)
    first = take(town, wrong, participant=EAST_BANK)
    assert status_rows(first) == [(uetr(173), "RJCT", "AM09")]
    assert take(town, wrong, participant=EAST_BANK).answer == first.answer
    packed = take(town, wrong, ask("S10", 173, sender=EAST), participant=EAST_BANK)  # in another delivery
    assert gateway.unpack(packed.answer)[0] == first.answer
    assert answer_of(town, EAST_BANK, "M173") == first.answer
    # Another message with its id is none of these, and all payments of a duplicate are of the first one.
    other = transfer(174, sender=EAST_BANK).replace(b">M174<", b">M173<")
    assert status_rows(take(town, other, participant=EAST_BANK)) == [(uetr(174), "RJCT", "DU01")]
    paid = take(town, transfer(175, minor=10**9))
    again = transfer(175, minor=10**9).replace(b">M175<", b">M975<")
    assert [take(town, again).answer, answer_of(town, NORTH_BANK, "M975")] == [paid.answer] * 2
    for number in (172, 175):
        town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(number)])


def test_a_crash_before_the_answer_does_not_change_it(town: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is stored, and the process ends before its answer is."""
    take(town, north_side(176, 177))
    take(town, transfer(178, minor=10**9))
    other_amount = east_side(177, 176, minor=4_99)
    same_uetr = transfer(178, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK])
    not_booked = returned("T8", 178, sender=SOUTH)
    accepted = transfer(179, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=10**9)
    for content, participant, expected in (
        (other_amount, EAST_BANK, (uetr(177), "RJCT", "AM09")),
        (same_uetr, SOUTH_BANK, (uetr(178), "RJCT", "DU03")),
        (not_booked, SOUTH_BANK, (uetr(178), "RJCT", "ARDT")),
        (accepted, SOUTH_BANK, (uetr(179), "PDNG", "")),
    ):
        crashed(town, monkeypatch, content, participant)
        after = take(town, content, participant=participant)
        assert status_rows(after) == [expected]
        assert take(town, content, participant=participant).answer == after.answer
    for participant, number in ((NORTH_BANK, 176), (NORTH_BANK, 178), (SOUTH_BANK, 179)):
        town.bank.clearing.payments.cancel(participant, [uetr(number)])


def crashed(town: Place, monkeypatch: pytest.MonkeyPatch, content: bytes, participant: int = NORTH_BANK) -> None:
    """Deliver, and end before the answer is stored."""
    with monkeypatch.context() as crash:
        crash.setattr(receiving.Receiving, "store_answers", interrupted)
        with pytest.raises(InterruptedError):
            take(town, content, participant=participant)


def status_rows_of(answer: bytes) -> list[tuple[str, str, str]]:
    return status_rows(Answered(answer, 0, 0, 0))


def interrupted(*_: object) -> bytes:
    raise InterruptedError("the process ends")


def answer_of(town: Place, participant: int, business_id: str) -> bytes | None:
    found, has_more = town.bank.clearing.messages.page(participant)
    assert not has_more
    return next(each.answer for each in found if each.business_id == business_id)


def test_either_side_cancels_both(town: Place) -> None:
    take(town, north_side(180, 181))
    take(town, east_side(181, 180), participant=EAST_BANK)
    assert town.states(180) == ["queued"]
    assert value_of(take(town, cancel("C8", 181, sender=EAST), participant=EAST_BANK)).status == "CNCL"
    assert town.states(180, 181) == ["cancelled", "cancelled"]


@pytest.mark.parametrize(
    ("back", "words"),
    [("5.00", "is not of the form /PVP/UETR/CURRENCYAMOUNT"), ("CNY5.00", "both sides are in CNY"),
     ("HKD0.00", "nothing comes back"), ("HKD5.001", "3 decimals"), ("ZZZ5", "ZZZ")],
)  # fmt: skip
def test_a_wrong_other_side_is_refused(town: Place, back: str, words: str) -> None:
    name, found = refusal(take(town, north_side(190, 191, back)))
    assert (name, words in found, "InstrForNxtAgt/InstrInf" in found) == ("pacs.002.001.10", True, True), found


# --- all of them ---


def test_a_delivery_may_have_messages_of_all_kinds(town: Place) -> None:
    answered = take(
        town, transfer(200, minor=10**9), ask("S9", 200), cancel("C9", 200), b"<a/>",
        headed("camt.025.001.08", receipt_value()), report("R9", "camt.052.001.08"), pay_out("P9", 1),
    )  # fmt: skip
    names = [read(each).name for each in gateway.unpack(answered.answer)]
    assert names == [
        "pacs.002.001.10", "pacs.002.001.10", "camt.029.001.09", "admi.002.001.01", "admi.002.001.01",
        "camt.052.001.08", "camt.025.001.08",
    ]  # fmt: skip
    assert (answered.stored, answered.refused, answered.requests) == (1, 2, 4)


@pytest.mark.parametrize("kind", [member_messages.CANCEL, RETURN, gateway.TRANSFER])
@pytest.mark.parametrize("is_payment", [False, True])
def test_a_comment_that_names_another_kind_is_refused(town: Place, kind: str, is_payment: bool) -> None:
    content = transfer(620) if is_payment else pay_out("P6", 1)
    tag = f'<!-- <Document xmlns="urn:iso:std:iso:20022:tech:xsd:{kind}"> -->'.encode()
    wrong = content.replace(b"?>\n", b"?>\n" + tag, 1)
    answered = take(town, wrong)
    if is_payment and kind == gateway.TRANSFER:
        assert (answered.stored, answered.refused) == (1, 0)
        town.bank.clearing.payments.cancel(NORTH_BANK, [uetr(620)])
    else:
        assert (answered.stored, answered.refused) == (0, 1)
        assert "is a " in refusal(answered)[1]


def receipt_value() -> Any:
    return Receipt(id="X1", created=CREATED, details=(ReceiptDetails(original="1"),))
