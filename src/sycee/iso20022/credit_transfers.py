"""Credit transfers between financial institutions: pacs.008 (of customers) and pacs.009 (of the institutions).

Only elements that a reader of this package needs are read. They have the same names and forms in all `VERSIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.core import money
from sycee.core.errors import UsageError
from sycee.iso20022.credit_transfer_messages import (
    CustomerTransfer,
    CustomerTransfers,
    InstitutionTransfer,
    InstitutionTransfers,
)
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Customer, Institution
from sycee.iso20022.messages import Message
from sycee.iso20022.reading import Element, read

CUSTOMER: Final = "pacs.008.001"
INSTITUTION: Final = "pacs.009.001"
# The first and the last version that is read, and the element below the document.
VERSIONS: Final = {CUSTOMER: (8, 14, "FIToFICstmrCdtTrf"), INSTITUTION: (8, 13, "FICdtTrf")}

_BIC: Final = re.compile("[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
_LEI: Final = re.compile("[A-Z0-9]{18}[0-9]{2}")
_COUNTRY: Final = re.compile("[A-Z]{2}")
_CURRENCY: Final = re.compile("[A-Z]{3}")
_UETR: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_AMOUNT: Final = re.compile(r"(?=[0-9.]{1,19}$)[0-9]{1,18}(\.[0-9]{1,5})?")
_COUNT: Final = re.compile("[0-9]{1,15}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_MAX_35: Final = re.compile(r"[^\r\n]{1,35}")
_MAX_140: Final = re.compile(r"[^\r\n]{1,140}")

_BIC_RIGHT: Final = "8 or 11 capital letters and digits, such as BANKDEFF (ISO 9362)"
_LEI_RIGHT: Final = "18 capital letters and digits, and two check digits (ISO 17442)"
_COUNTRY_RIGHT: Final = "two capital letters, such as DE (ISO 3166)"
_MAX_35_RIGHT: Final = "a text of 1 to 35 characters on one line"

_PREVIOUS: Final = ("PrvsInstgAgt1", "PrvsInstgAgt2", "PrvsInstgAgt3")
_BETWEEN: Final = ("IntrmyAgt1", "IntrmyAgt2", "IntrmyAgt3")
_PARTIES: Final = ("UltmtDbtr", "InitgPty", "Dbtr", "Cdtr", "UltmtCdtr")
_ACCOUNTS: Final = ("DbtrAcct", "CdtrAcct")
_ADDRESS: Final = "PstlAdr/Ctry"


@dataclass(frozen=True, slots=True)
class Agent:
    """A financial institution by its codes, empty where not given, and the states of its addresses."""

    bic: str = ""
    lei: str = ""
    clearing: str = ""  # its number in a national clearing system
    name: str = ""
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """A person or firm. `states` are of its residence and its address; `identified`: it has a number or contact."""

    name: str = ""
    states: tuple[str, ...] = ()
    identified: bool = False


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """One transaction. References are empty where not given.

    `agents` are the institutions that it passes, from the first to the last. `parties` are the persons and firms that
    it names; none where institutions transfer their own money. `instructed` is the amount before any exchange.
    """

    uetr: str
    instruction_id: str
    end_to_end_id: str
    transaction_id: str
    amount: Amount
    instructed: Amount | None
    settlement_day: date | None
    agents: tuple[Agent, ...]
    parties: tuple[Party, ...]
    has_accounts: bool
    line: int


@dataclass(frozen=True, slots=True)
class CreditTransfers:
    """A message. `name` is that of its version, `created` the text of its time."""

    name: str
    id: str
    created: str
    sender: Agent | None
    receiver: Agent | None
    transactions: tuple[CreditTransfer, ...]


def parse(content: bytes, file: str = "the message") -> CreditTransfers:
    """Return the credit transfers of a pacs.008 or pacs.009 message; `file` is the name for errors.

    Raise MessageError for another message, and for an element that is missing, repeated or of a wrong form.
    """
    name, document = read(content, file)
    kind, _, version = name.rpartition(".")
    first, last, element = VERSIONS.get(kind, (0, -1, ""))
    if not first <= int(version) <= last:
        versions = ", ".join(f"{each}.{low:02} to .{high:02}" for each, (low, high, _) in VERSIONS.items())
        raise document.error(f"the message is a {name}", f"messages that are read: {versions}")
    body = document.need(element)
    header = body.need("GrpHdr")
    found = body.all("CdtTrfTxInf")
    if not found:
        raise body.error("is missing", "one transaction or more", below="CdtTrfTxInf")
    count = header.need("NbOfTxs")
    if int(count.value(_COUNT, "the number of transactions")) != len(found):
        right = f"NbOfTxs {len(found)}, if none was lost"
        raise count.error(f"there are {len(found):,} transactions, and not {count.value(_COUNT, right)}", right)
    return CreditTransfers(
        name=name,
        id=header.need("MsgId").value(_MAX_35, _MAX_35_RIGHT),
        created=header.need("CreDtTm").value(_MOMENT, "a moment such as 2026-11-25T09:30:00+01:00"),
        sender=_optional_agent(header, "InstgAgt"),
        receiver=_optional_agent(header, "InstdAgt"),
        transactions=tuple(_transaction(each, header, is_customer=kind == CUSTOMER) for each in found),
    )


def of_message(message: Message) -> CreditTransfers:
    """Return the credit transfers of a pacs.008 or pacs.009 that `messages.read` returned: as `parse` does, line 0.

    Raise UsageError for another message.
    """
    value = message.value
    if not isinstance(value, CustomerTransfers | InstitutionTransfers):
        raise UsageError(f"a {message.name} has no credit transfers", hint="a pacs.008 or pacs.009")
    return CreditTransfers(
        name=message.name,
        id=value.id.strip(),
        created=value.created,
        sender=agent_of(value.sender),
        receiver=agent_of(value.receiver),
        transactions=tuple(_of_value(each, value) for each in value.transactions),
    )


def _of_value(
    each: CustomerTransfer | InstitutionTransfer, message: CustomerTransfers | InstitutionTransfers
) -> CreditTransfer:
    covered = each.covered if isinstance(each, InstitutionTransfer) else None
    of_customers = each if isinstance(each, CustomerTransfer) else covered
    institutions: list[Institution | None] = []
    if isinstance(each, InstitutionTransfer):
        if covered:
            institutions += [covered.debtor_agent, covered.previous1, covered.previous2, covered.previous3]
        institutions += [each.ultimate_debtor, each.debtor]
    institutions += [each.debtor_agent, each.previous1, each.previous2, each.previous3]
    institutions += [each.sender or message.sender, each.receiver or message.receiver]
    institutions += [each.intermediary1, each.intermediary2, each.intermediary3, each.creditor_agent]
    if isinstance(each, InstitutionTransfer):
        institutions += [each.creditor, each.ultimate_creditor]
        if covered:
            institutions += [
                covered.intermediary1,
                covered.intermediary2,
                covered.intermediary3,
                covered.creditor_agent,
            ]
    parties: list[Customer | None] = []
    if of_customers:
        parties += [of_customers.ultimate_debtor, of_customers.initiator, of_customers.debtor]
        parties += [of_customers.creditor, of_customers.ultimate_creditor]
    own = [each.debtor_account, each.creditor_account]
    of_covered = [covered.debtor_account, covered.creditor_account] if covered else []
    return CreditTransfer(
        uetr=each.ids.uetr,
        instruction_id=each.ids.instruction.strip(),
        end_to_end_id=each.ids.end_to_end.strip(),
        transaction_id=each.ids.transaction.strip(),
        amount=each.amount,
        instructed=of_customers.instructed if of_customers else None,
        settlement_day=each.day or message.day,
        agents=tuple(agent for one in institutions if (agent := agent_of(one))),
        parties=tuple(party_of(one) for one in parties if one),
        has_accounts=any((*own, *of_covered)),
        line=0,
    )


def agent_of(of: Institution | None) -> Agent | None:
    """Return an institution as an agent; None for none."""
    if of is None:
        return None
    addresses = [each.country for each in (of.address, of.branch_address) if each]
    states = tuple(dict.fromkeys(each for each in (of.bic[4:6], *addresses) if each))
    return Agent(of.bic, of.lei, of.member.strip(), of.name.strip(), states)


def party_of(of: Customer) -> Party:
    """Return a person or firm as a party."""
    states = (of.residence, of.address.country if of.address else "")
    identified = of.firm is not None or of.person is not None
    return Party(of.name.strip(), tuple(dict.fromkeys(each for each in states if each)), identified)


def _transaction(transaction: Element, header: Element, *, is_customer: bool) -> CreditTransfer:
    ids = transaction.need("PmtId")
    covered = None if is_customer else transaction.find("UndrlygCstmrCdtTrf")
    of_customers = transaction if is_customer else covered
    instructed = [each.find("InstdAmt") for each in (transaction, covered) if each]
    return CreditTransfer(
        uetr=ids.text("UETR", _UETR, "a UUID of version 4 in small letters"),
        instruction_id=ids.text("InstrId", _MAX_35, _MAX_35_RIGHT),
        end_to_end_id=ids.text("EndToEndId", _MAX_35, _MAX_35_RIGHT),
        transaction_id=ids.text("TxId", _MAX_35, _MAX_35_RIGHT),
        amount=_amount(transaction.need("IntrBkSttlmAmt")),
        instructed=next((_amount(each) for each in instructed if each), None),
        settlement_day=_day(transaction) or _day(header),
        agents=tuple(_agents(transaction, header, covered, is_customer=is_customer)),
        parties=tuple(_parties(of_customers)) if of_customers else (),
        has_accounts=any(each.find(name) for each in (transaction, covered) if each for name in _ACCOUNTS),
        line=transaction.line,
    )


def _agents(transaction: Element, header: Element, covered: Element | None, *, is_customer: bool) -> Iterator[Agent]:
    """Yield the agents in the order in which a transfer passes them; of a cover, also those of what it covers.

    If there are several previous or intermediary agents, the number 1 is nearest to the debtor's agent.
    """

    def found(element: Element | None, *names: str) -> Iterator[Agent]:
        for name in names:
            if element and (agent := _optional_agent(element, name)):
                yield agent

    def header_or_own(name: str) -> Iterator[Agent]:
        yield from found(transaction, name) if transaction.find(name) else found(header, name)

    if is_customer:
        yield _agent(transaction.need("DbtrAgt"))
    else:
        yield from found(covered, "DbtrAgt", *_PREVIOUS)
        yield from found(transaction, "UltmtDbtr")
        yield _agent(transaction.need("Dbtr"))
        yield from found(transaction, "DbtrAgt")
    yield from found(transaction, *_PREVIOUS)
    yield from header_or_own("InstgAgt")
    yield from header_or_own("InstdAgt")
    yield from found(transaction, *_BETWEEN)
    if is_customer:
        yield _agent(transaction.need("CdtrAgt"))
    else:
        yield from found(transaction, "CdtrAgt")
        yield _agent(transaction.need("Cdtr"))
        yield from found(transaction, "UltmtCdtr")
    yield from found(covered, *_BETWEEN, "CdtrAgt")


def _optional_agent(element: Element, name: str) -> Agent | None:
    found = element.find(name)
    return _agent(found) if found else None


def _agent(element: Element) -> Agent:
    codes = element.need("FinInstnId")
    bic = codes.text("BICFI", _BIC, _BIC_RIGHT)
    lei = codes.text("LEI", _LEI, _LEI_RIGHT)
    if lei and int("".join(str(int(each, 36)) for each in lei)) % 97 != 1:
        raise codes.need("LEI").error(f'"{lei}" has wrong check digits', _LEI_RIGHT)
    addresses = [
        each.text(path, _COUNTRY, _COUNTRY_RIGHT)
        for each, path in ((codes, _ADDRESS), (element, f"BrnchId/{_ADDRESS}"))
    ]
    return Agent(
        bic,
        lei,
        codes.text("ClrSysMmbId/MmbId", _MAX_35, _MAX_35_RIGHT),
        codes.text("Nm", _MAX_140, "a name of 1 to 140 characters on one line"),
        tuple(dict.fromkeys(each for each in (bic[4:6], *addresses) if each)),
    )


def _parties(of: Element) -> Iterator[Party]:
    for name in ("Dbtr", "Cdtr"):
        of.need(name)
    for name in _PARTIES:
        if found := of.find(name):
            states = (found.text(each, _COUNTRY, _COUNTRY_RIGHT) for each in ("CtryOfRes", _ADDRESS))
            yield Party(
                found.text("Nm", _MAX_140, "a name of 1 to 140 characters on one line"),
                tuple(dict.fromkeys(each for each in states if each)),
                bool(found.find("Id") or found.find("CtctDtls")),
            )


def _amount(element: Element) -> Amount:
    code = element.attribute("Ccy", _CURRENCY, "three capital letters, such as EUR (ISO 4217)")
    text = element.value(_AMOUNT, "an amount such as 1234.50, of at most 18 digits")
    try:
        currency = money.currency(code)
        # The form allows five decimals; those that the currency lacks must be zero.
        whole, _, part = text.partition(".")
        part = part[: currency.digits] + part[currency.digits :].rstrip("0")
        return Amount(code, money.parse(f"{whole}.{part}" if part else whole, currency))
    except UsageError as error:
        raise element.error(error.message, error.hint or "an amount of this currency") from error


def _day(element: Element) -> date | None:
    found = element.find("IntrBkSttlmDt")
    if found is None:
        return None
    right = "a day such as 2026-11-25"
    try:
        return date.fromisoformat(found.value(_DAY, right))
    except ValueError as error:
        raise found.error(str(error), right) from error
