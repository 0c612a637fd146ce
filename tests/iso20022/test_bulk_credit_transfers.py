"""Bulk reading of pacs.009: the rows of the general reader, by patterns, for every message that they accept."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from tests.iso20022 import mutants, samples
from tests.iso20022.messages import UETR

from sycee.iso20022 import bulk_credit_transfers, messages
from sycee.iso20022.bulk_credit_transfers import NAME, TransferMessage, bank_code, columns, read_credit_transfers
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.credit_transfer_messages import (
    Covered,
    InstitutionTransfer,
    InstitutionTransfers,
    PaymentIds,
    Settlement,
)
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Account, Address, Customer, Institution
from sycee.iso20022.messages import Addresses, Message, write
from sycee.iso20022.reading import MessageError

ALDER, HOLLY = Institution(bic="BANKAAAA"), Institution(bic="BANKBBBBXXX")
HEADER = Header(
    sender=End(institution=ALDER),
    receiver=End(institution=HOLLY),
    id="BIZ-1",
    message=NAME,
    created="2026-11-25T09:30:00Z",
)


def transfer(number: int, **changes: Any) -> InstitutionTransfer:
    ids = PaymentIds(instruction=f"I-{number}", end_to_end=f"E-{number}", uetr=f"{number:08x}{UETR[8:]}")
    made = InstitutionTransfer(ids=ids, amount=Amount("USD", 100 + number), debtor=ALDER, creditor=HOLLY)
    return replace(made, **changes)


def message(*transactions: InstitutionTransfer, **changes: Any) -> InstitutionTransfers:
    made = InstitutionTransfers(
        id="MSG-1",
        created="2026-11-25T09:30:00Z",
        day=date(2026, 11, 26),
        settlement=Settlement(method="CLRG"),
        sender=ALDER,
        receiver=HOLLY,
        transactions=transactions or (transfer(1),),
    )
    return replace(made, **changes)


def content(made: InstitutionTransfers, header: Header | None = None) -> bytes:
    return write(Message(NAME, made, header))


def slowly(text: bytes) -> Any:
    """Return the rows of the general reader, or "refused"."""
    try:
        return bulk_credit_transfers._slow(text, "m", Addresses.ANY)
    except MessageError:
        return "refused"


COVERED = Covered(
    debtor=Customer(name="Ann Alder", address=Address(town="Town", country="AA")),
    debtor_agent=ALDER,
    creditor_agent=HOLLY,
    creditor=Customer(name="Bea Beech"),
    creditor_account=Account(iban="DE02120300000000202051"),
    instructed=Amount("JPY", 5),
)
NUMBERED = Institution(clearing_system="USPID", member="0001")
PLAIN = [
    message(),
    message(transfer(1), transfer(2), total=Amount("USD", 203)),
    message(transfer(1, covered=COVERED)),
    message(settlement=Settlement(method="COVE")),
    message(sender=NUMBERED, receiver=Institution(lei="5493001KJTIIGC8Y1R12")),
    message(transfer(1, sender=ALDER, receiver=NUMBERED, day=date(2026, 11, 30), urgency="URGT",
                     not_before="09:00:00+08:00", until="17:00:00+08:00"),
            day=None, sender=None, receiver=None),
]  # fmt: skip


@pytest.mark.parametrize("made", PLAIN)
@pytest.mark.parametrize("header", [None, HEADER])
def test_plain_messages_need_no_parser(
    made: InstitutionTransfers, header: Header | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = content(made, header)
    expected = slowly(text)

    def refuse(*_: object) -> None:
        raise AssertionError("this message is in plain form")

    monkeypatch.setattr(bulk_credit_transfers, "read", refuse)
    assert list(read_credit_transfers([text])) == [expected]


def test_rows_have_the_values_of_the_message() -> None:
    made = message(transfer(1), transfer(2, urgency="HIGH", covered=COVERED), id="MSG-9")
    (found,) = read_credit_transfers([content(made, HEADER)])
    assert isinstance(found, TransferMessage)
    assert (found.business_id, found.from_bank, found.message_id) == ("BIZ-1", "BANKAAAA", "MSG-9")
    assert found.use == made.use == "cover"
    first, second = found.rows
    assert first == (
        made.transactions[0].ids.uetr, "I-1", "E-1", "", "USD", 101, date(2026, 11, 26), "NORM",
        "BANKAAAA", "BANKBBBBXXX", "BANKAAAA", "BANKBBBBXXX", False, "", "", True, "",
    )  # fmt: skip
    assert (second.minor, second.urgency, second.is_cover) == (102, "HIGH", True)


def test_a_row_has_the_times_that_its_transaction_asks_for() -> None:
    (found,) = read_credit_transfers([content(PLAIN[-1])])
    assert isinstance(found, TransferMessage)
    assert (found.rows[0].not_before, found.rows[0].until) == ("09:00:00+08:00", "17:00:00+08:00")


@pytest.mark.parametrize(
    ("named", "is_plain"),
    [
        ({}, True),
        ({"intermediary1": ALDER}, False),
        ({"debtor_agent": ALDER}, False),
        ({"creditor_account": Account(number="1")}, False),
        ({"debtor": Institution(bic="BANKAAAA", lei="5493001KJTIIGC8Y1R12")}, False),
        ({"debtor": NUMBERED}, False),
    ],
)
def test_a_plain_row_names_four_banks_and_nobody_else(named: dict[str, Any], is_plain: bool) -> None:
    text = content(message(transfer(1, **named)))
    for found in (*read_credit_transfers([text]), slowly(text)):
        assert isinstance(found, TransferMessage)
        assert found.rows[0].is_plain is is_plain


def test_a_bank_is_named_by_its_best_code() -> None:
    assert bank_code(ALDER) == "BANKAAAA"
    assert bank_code(NUMBERED) == "USPID:0001"
    assert bank_code(Institution(lei="5493001KJTIIGC8Y1R12")) == "LEI:5493001KJTIIGC8Y1R12"
    assert bank_code(Institution(name="Alder")) == ""


def test_seeded_messages_give_the_rows_of_the_general_reader() -> None:
    for seed in range(40):
        made = samples.value(InstitutionTransfers, seed, (0, 0.1, 0.2, 0.4)[seed % 4])
        text = content(made, HEADER if seed % 2 else None)
        assert list(read_credit_transfers([text])) == [slowly(text)]


@pytest.mark.parametrize("seed", range(len(PLAIN)))
def test_patterns_accept_no_message_that_the_general_reader_refuses(seed: int) -> None:
    chance = random.Random(seed)
    text = content(PLAIN[seed], HEADER if seed % 2 else None)
    accepted = 0
    for _ in range(2_000):
        mutant = mutants.bytes_changed(text, chance)
        fast = bulk_credit_transfers.read_plain(mutant, Addresses.ANY)
        if fast is not None:
            accepted += 1
            assert fast == slowly(mutant), mutant
    assert accepted > 10  # texts of references, names and amounts may change


FACETS = [
    (b"2026-11-26", b"2026-11-31"),
    (b"09:30:00Z", b"24:30:00Z"),
    (b'Ccy="JPY">5<', b'Ccy="JPY">5.5<'),
    (b'Ccy="JPY">5<', b'Ccy="XAU">5<'),
    (b'Ccy="USD">1.01<', b'Ccy="USD">0.00<'),
    (b'Ccy="USD">1.01<', b'Ccy="USD">1.011<'),
    (b'Ccy="USD">1.01<', b'Ccy="USD">999999999999999999.99<'),
    (b"DE02120300000000202051", b"DE03120300000000202051"),
    (b"<NbOfTxs>1<", b"<NbOfTxs>2<"),
    (b"<NbOfTxs>1<", b"<NbOfTxs>1</NbOfTxs><CtrlSum>1.02</CtrlSum><NbOfTxs>1<"),
    (b"</NbOfTxs>", b"</NbOfTxs><CtrlSum>1.02</CtrlSum>"),
    (b"</NbOfTxs>", b'</NbOfTxs><TtlIntrBkSttlmAmt Ccy="USD">1.02</TtlIntrBkSttlmAmt>'),
    (b"</NbOfTxs>", b'</NbOfTxs><TtlIntrBkSttlmAmt Ccy="EUR">1.01</TtlIntrBkSttlmAmt>'),
    (b"<Dbtr>", b"<InstgAgt><FinInstnId><Nm>A</Nm></FinInstnId></InstgAgt><Dbtr>"),
    (b"</CdtTrfTxInf>", b"<SplmtryData/></CdtTrfTxInf>"),
    (b"</Document>", b"</Document><Document/>"),
    (b"<FICdtTrf>", b"<FICdtTrf><!DOCTYPE a>"),
    (b"pacs.009.001.08", b"pacs.009.001.09"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), FACETS)
def test_what_patterns_cannot_express_is_checked(old: bytes, new: bytes) -> None:
    text = content(PLAIN[2])
    assert old in text
    (found,) = read_credit_transfers([text.replace(old, new, 1)])
    assert isinstance(found, MessageError)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"</NbOfTxs>", b"</NbOfTxs><CtrlSum>01.010</CtrlSum>"),
        (b"</NbOfTxs>", b'</NbOfTxs><TtlIntrBkSttlmAmt Ccy="USD">1.01</TtlIntrBkSttlmAmt>'),
        (b"<FICdtTrf>", b"\r\n  <FICdtTrf>\t"),
        (b"<FICdtTrf>", b"<!-- a remark --><FICdtTrf>"),
        (b"E-1", b"E&amp;1"),
        (b"</Document>", b"</Document><?pi?>"),
    ],
)
def test_other_correct_forms_are_read_too(old: bytes, new: bytes) -> None:
    text = content(PLAIN[2]).replace(old, new, 1)
    (found,) = read_credit_transfers([text])
    assert isinstance(found, TransferMessage)
    assert found == slowly(text)


def test_a_bad_message_does_not_stop_the_others() -> None:
    good, bad = content(message()), content(message()).replace(b"E-1", b"")
    first, second, third = read_credit_transfers([good, bad, good])
    assert first == third
    assert isinstance(second, MessageError)
    assert (second.file, second.path) == ("message 2", "FICdtTrf/CdtTrfTxInf/PmtId/EndToEndId")


def test_another_message_is_refused() -> None:
    receipt = samples.value(messages.KINDS["camt.025.001.08"].of, 1, 0)
    (found,) = read_credit_transfers([write(Message("camt.025.001.08", receipt))])
    assert isinstance(found, MessageError)
    assert found.problem == "the message is a camt.025.001.08"


def test_addresses_are_judged_as_in_the_general_reader() -> None:
    covered = replace(COVERED, debtor=Customer(name="Ann", address=Address(lines=("Road 1",))))
    text = content(message(transfer(1, covered=covered)))
    (any_form,) = read_credit_transfers([text])
    (hybrid,) = read_credit_transfers([text], addresses=Addresses.HYBRID)
    assert isinstance(any_form, TransferMessage)
    assert isinstance(hybrid, MessageError)
    assert hybrid.path.endswith("Dbtr/PstlAdr/TwnNm")


def test_two_transactions_have_not_the_same_uetr() -> None:
    text = content(message(transfer(1), transfer(2))).replace(
        transfer(2).ids.uetr.encode(), transfer(1).ids.uetr.encode()
    )
    (found,) = read_credit_transfers([text])
    assert isinstance(found, MessageError)
    assert (found.reason, found.path) == ("AM05", "FICdtTrf/CdtTrfTxInf[2]/PmtId/UETR")


def test_columns_have_the_rows_in_order() -> None:
    made = message(transfer(1), transfer(2, amount=Amount("EUR", 7), urgency="URGT"), transfer(3))
    (found,) = read_credit_transfers([content(made)])
    assert isinstance(found, TransferMessage)
    table = columns(found.rows)
    assert (table.banks, table.currencies) == (("BANKAAAA", "BANKBBBBXXX"), ("USD", "EUR"))
    assert table.minor.tolist() == [101, 7, 103]
    assert table.currency.tolist() == [0, 1, 0]
    assert [table.banks[each] for each in table.sender] == ["BANKAAAA"] * 3
    assert [table.banks[each] for each in table.receiver] == ["BANKBBBBXXX"] * 3
    assert [table.banks[each] for each in table.debtor] == [each.debtor for each in found.rows]
    assert [table.banks[each] for each in table.creditor] == [each.creditor for each in found.rows]
    assert table.urgency.tolist() == [2, 0, 2]
    assert set(table.day.tolist()) == {date(2026, 11, 26).toordinal()}
    assert [bytes(each).hex() for each in table.uetr] == [one.uetr.replace("-", "") for one in found.rows]
    assert columns(()).uetr.shape == (0, 16)
    assert table.uetr.dtype == np.uint8
