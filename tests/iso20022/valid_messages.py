"""One correct message of each kind that the table of bad messages changes, made up."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.iso20022.messages import UETR

from sycee.iso20022.business_header import End, Header
from sycee.iso20022.cancellations import CancellationRequest, CancelledPayment
from sycee.iso20022.credit_transfer_messages import (
    Covered,
    CustomerTransfer,
    CustomerTransfers,
    InstitutionTransfer,
    InstitutionTransfers,
    PaymentIds,
    PaymentType,
    Settlement,
)
from sycee.iso20022.elements import Amount
from sycee.iso20022.initiation import Initiation, OrderedTransfer, Orders
from sycee.iso20022.institutions import (
    Account,
    Actor,
    Address,
    Customer,
    Firm,
    Institution,
    OtherNumber,
    Person,
    StatusReason,
)
from sycee.iso20022.liquidity import LiquidityTransfer
from sycee.iso20022.messages import Message, write
from sycee.iso20022.returns import ReturnedPayment, Returns
from sycee.iso20022.statements import Balance, Entry, OwnedAccount, Statement, Statements
from sycee.iso20022.statuses import AskedPayment, StatusRequest

CREATED = "2026-11-25T09:30:00+01:00"
DAY = date(2026, 11, 26)
LEI = "5493001KJTIIGC8Y1R12"
IBAN = "DE02120300000000202051"
OTHER_UETR = "8a562c67-ca16-48ba-b074-65581be6f002"
ALDER = Institution(bic="BANKAAAA", lei=LEI)
HOLLY = Institution(bic="BANKBBBB", clearing_system="USPID", member="0002")
ANN = Customer(
    name="Ann Alder",
    address=Address(street="Road", town="Town", country="AA", lines=("Room 1",)),
    person=Person(others=(OtherNumber(id="AA-123", scheme="NIDN"),)),
)
BEA = Customer(name="Bea Beech", firm=Firm(bic="BEECHBBB"), residence="BB")
CLEARED = Settlement(method="CLRG", system_own="HOUSE")
SHARED: dict[str, Any] = {"id": "MSG-1", "created": CREATED, "day": DAY, "sender": ALDER, "receiver": HOLLY}


def header(name: str) -> Header:
    ends = (End(institution=ALDER), End(institution=Institution(bic="CLEACCCC")))
    return Header(sender=ends[0], receiver=ends[1], id="BIZ-1", message=name, created=CREATED)


def ids(uetr: str = UETR) -> PaymentIds:
    return PaymentIds(instruction="I-1", end_to_end="E-1", uetr=uetr)


COVER = Covered(
    debtor=ANN,
    debtor_account=Account(iban=IBAN),
    debtor_agent=ALDER,
    creditor_agent=HOLLY,
    creditor=BEA,
    instructed=Amount("EUR", 99),
)
VALUES: dict[str, Any] = {
    "pacs.009.001.08": InstitutionTransfers(
        **SHARED,
        settlement=CLEARED,
        total=Amount("USD", 123_450),
        transactions=(
            InstitutionTransfer(ids=ids(), amount=Amount("USD", 123_400), urgency="HIGH", debtor=ALDER, creditor=HOLLY,
                                covered=COVER),
            InstitutionTransfer(ids=ids(OTHER_UETR), amount=Amount("USD", 50), debtor=ALDER, creditor=HOLLY),
        ),
    ),
    "pacs.008.001.08": CustomerTransfers(
        **SHARED,
        settlement=CLEARED,
        transactions=(
            CustomerTransfer(
                ids=ids(), type=PaymentType(priority="HIGH"), amount=Amount("JPY", 5_000), charge_bearer="SHAR",
                debtor=ANN, debtor_agent=ALDER, creditor_agent=HOLLY, creditor=BEA,
                creditor_account=Account(number="1"), remittance=("Invoice 1",),
            ),
        ),
    ),
    "pacs.004.001.09": Returns(
        **SHARED,
        settlement=CLEARED,
        transactions=(
            ReturnedPayment(uetr=UETR, original_amount=Amount("EUR", 1_000), amount=Amount("EUR", 900),
                            reasons=(StatusReason(code="AC04"),)),
        ),
    ),
    "pacs.028.001.03": StatusRequest(
        id="MSG-1", created=CREATED, sender=ALDER, receiver=HOLLY, payments=(AskedPayment(uetr=UETR),)
    ),
    "camt.050.001.07": LiquidityTransfer(id="MSG-1", end_to_end="E-1", amount=Amount("HKD", 100), day=DAY),
    "camt.053.001.08": Statements(
        id="MSG-1",
        created=CREATED,
        statements=(
            Statement(
                id="S-1",
                account=OwnedAccount(iban=IBAN, currency="EUR"),
                balances=(
                    Balance(type="OPBD", amount=Amount("EUR", 1_000), side="CRDT", day=DAY),
                    Balance(type="CLBD", amount=Amount("EUR", 700), side="CRDT", day=DAY),
                ),
                entries=(Entry(amount=Amount("EUR", 300), side="DBIT", status="BOOK", booked_day=DAY),),
            ),
        ),
    ),
    "camt.056.001.08": CancellationRequest(
        id="C-1",
        sender=Actor(institution=ALDER),
        receiver=Actor(institution=HOLLY),
        created=CREATED,
        transactions=(CancelledPayment(uetr=UETR, reasons=(StatusReason(code="DUPL"),)),),
    ),
    "pain.001.001.09": Initiation(
        id="MSG-1",
        created=CREATED,
        initiator=ANN,
        orders=(
            Orders(
                id="P-1", method="TRF", day=DAY, debtor=ANN, debtor_account=Account(iban=IBAN), debtor_agent=ALDER,
                transfers=(OrderedTransfer(end_to_end="E-1", amount=Amount("EUR", 1), creditor=BEA),),
            ),
        ),
    ),
}  # fmt: skip


def content(name: str) -> str:
    """Return the text of the correct message of a kind, in an envelope with its header."""
    return write(Message(name, VALUES[name], header(name))).decode()
