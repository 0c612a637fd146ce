"""Credit transfers as a clearing house takes them: pacs.008.001.08 and pacs.009.001.08, checked against a schema.

`credit_transfers` reads fewer elements of more versions, for compliance. A pacs.009 is a cover if a transaction names
the transfer of customers that it covers. A message is an advice if its method of settlement is COVE: then another
message moves the money (market practice, recalled).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from sycee.iso20022 import forms
from sycee.iso20022.amounts import control_sum, decimal_text
from sycee.iso20022.elements import Amount, Problem, element, follows
from sycee.iso20022.institutions import Account, Charge, CodeOrOwn, Customer, Institution

CORE: Final = "core"
COVER: Final = "cover"
ADVICE: Final = "advice"
BY_ANOTHER_MESSAGE: Final = "COVE"

METHODS: Final = forms.one_of("SettlementMethod", "INDA", "INGA", "COVE", "CLRG")
PRIORITIES: Final = forms.one_of("Priority", "HIGH", "NORM")
URGENCIES: Final = forms.one_of("Urgency", "URGT", "HIGH", "NORM")
CHANNELS: Final = forms.one_of("Channel", "RTGS", "RTNS", "MPNS", "BOOK")
BEARERS: Final = forms.one_of("Bearer", "DEBT", "CRED", "SHAR", "SLEV")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentType:
    """Priority, service levels and class of purpose that the sender asks for."""

    priority: str = element("InstrPrty?", PRIORITIES)
    channel: str = element("ClrChanl?", CHANNELS)
    service_levels: tuple[CodeOrOwn, ...] = element("SvcLvl{0,3}", CodeOrOwn)
    instrument: str = element("LclInstrm?/|Cd", forms.CODE_35)
    instrument_own: str = element("LclInstrm?/|Prtry", forms.TEXT_35)
    category: str = element("CtgyPurp?/|Cd", forms.CODE)
    category_own: str = element("CtgyPurp?/|Prtry", forms.TEXT_35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How the transfers of a message are settled: CLRG names a clearing system."""

    method: str = element("SttlmMtd", METHODS)
    account: Account | None = element("SttlmAcct?", Account)
    system: str = element("ClrSys?/|Cd", forms.CODE_3)
    system_own: str = element("ClrSys?/|Prtry", forms.TEXT_35)
    sender_reimbursed: Institution | None = element("InstgRmbrsmntAgt?", Institution)
    sender_reimbursed_account: Account | None = element("InstgRmbrsmntAgtAcct?", Account)
    receiver_reimbursed: Institution | None = element("InstdRmbrsmntAgt?", Institution)
    receiver_reimbursed_account: Account | None = element("InstdRmbrsmntAgtAcct?", Account)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIds:
    """The references of a transaction; the UETR is the one that never changes."""

    instruction: str = element("InstrId?", forms.TEXT_35)
    end_to_end: str = element("EndToEndId", forms.TEXT_35)
    transaction: str = element("TxId?", forms.TEXT_35)
    uetr: str = element("UETR", forms.UETR)
    clearing: str = element("ClrSysRef?", forms.TEXT_35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """An instruction for the next agent, in words."""

    words: str = element("InstrInf?", forms.TEXT_140)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTransfer:
    """One transaction of a pacs.008."""

    ids: PaymentIds = element("PmtId", PaymentIds)
    type: PaymentType | None = element("PmtTpInf?", PaymentType)
    amount: Amount = element("IntrBkSttlmAmt", forms.AMOUNT_ABOVE_ZERO)
    day: date | None = element("IntrBkSttlmDt?", forms.DAY)
    urgency: str = element("SttlmPrty?", URGENCIES)
    debited: str = element("SttlmTmIndctn?/DbtDtTm?", forms.MOMENT)
    credited: str = element("SttlmTmIndctn?/CdtDtTm?", forms.MOMENT)
    cls_by: str = element("SttlmTmReq?/CLSTm?", forms.TIME)
    until: str = element("SttlmTmReq?/TillTm?", forms.TIME)
    not_before: str = element("SttlmTmReq?/FrTm?", forms.TIME)
    reject_after: str = element("SttlmTmReq?/RjctTm?", forms.TIME)
    accepted: str = element("AccptncDtTm?", forms.MOMENT)
    instructed: Amount | None = element("InstdAmt?", forms.AMOUNT_OR_ZERO)
    rate: str = element("XchgRate?", forms.RATE)
    charge_bearer: str = element("ChrgBr", BEARERS)
    charges: tuple[Charge, ...] = element("ChrgsInf*", Charge)
    previous1: Institution | None = element("PrvsInstgAgt1?", Institution)
    previous1_account: Account | None = element("PrvsInstgAgt1Acct?", Account)
    previous2: Institution | None = element("PrvsInstgAgt2?", Institution)
    previous2_account: Account | None = element("PrvsInstgAgt2Acct?", Account)
    previous3: Institution | None = element("PrvsInstgAgt3?", Institution)
    previous3_account: Account | None = element("PrvsInstgAgt3Acct?", Account)
    sender: Institution | None = element("InstgAgt?", Institution)
    receiver: Institution | None = element("InstdAgt?", Institution)
    intermediary1: Institution | None = element("IntrmyAgt1?", Institution)
    intermediary1_account: Account | None = element("IntrmyAgt1Acct?", Account)
    intermediary2: Institution | None = element("IntrmyAgt2?", Institution)
    intermediary2_account: Account | None = element("IntrmyAgt2Acct?", Account)
    intermediary3: Institution | None = element("IntrmyAgt3?", Institution)
    intermediary3_account: Account | None = element("IntrmyAgt3Acct?", Account)
    ultimate_debtor: Customer | None = element("UltmtDbtr?", Customer)
    initiator: Customer | None = element("InitgPty?", Customer)
    debtor: Customer = element("Dbtr", Customer)
    debtor_account: Account | None = element("DbtrAcct?", Account)
    debtor_agent: Institution = element("DbtrAgt", Institution)
    debtor_agent_account: Account | None = element("DbtrAgtAcct?", Account)
    creditor_agent: Institution = element("CdtrAgt", Institution)
    creditor_agent_account: Account | None = element("CdtrAgtAcct?", Account)
    creditor: Customer = element("Cdtr", Customer)
    creditor_account: Account | None = element("CdtrAcct?", Account)
    ultimate_creditor: Customer | None = element("UltmtCdtr?", Customer)
    for_creditor_agent: tuple[Words, ...] = element("InstrForCdtrAgt*", Words)
    for_next_agent: tuple[Words, ...] = element("InstrForNxtAgt*", Words)
    purpose: str = element("Purp?/|Cd", forms.CODE)
    purpose_own: str = element("Purp?/|Prtry", forms.TEXT_35)
    remittance: tuple[str, ...] = element("RmtInf?/Ustrd*", forms.TEXT_140)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The transfer of customers that a transaction of institutions covers."""

    ultimate_debtor: Customer | None = element("UltmtDbtr?", Customer)
    initiator: Customer | None = element("InitgPty?", Customer)
    debtor: Customer = element("Dbtr", Customer)
    debtor_account: Account | None = element("DbtrAcct?", Account)
    debtor_agent: Institution = element("DbtrAgt", Institution)
    debtor_agent_account: Account | None = element("DbtrAgtAcct?", Account)
    previous1: Institution | None = element("PrvsInstgAgt1?", Institution)
    previous1_account: Account | None = element("PrvsInstgAgt1Acct?", Account)
    previous2: Institution | None = element("PrvsInstgAgt2?", Institution)
    previous2_account: Account | None = element("PrvsInstgAgt2Acct?", Account)
    previous3: Institution | None = element("PrvsInstgAgt3?", Institution)
    previous3_account: Account | None = element("PrvsInstgAgt3Acct?", Account)
    intermediary1: Institution | None = element("IntrmyAgt1?", Institution)
    intermediary1_account: Account | None = element("IntrmyAgt1Acct?", Account)
    intermediary2: Institution | None = element("IntrmyAgt2?", Institution)
    intermediary2_account: Account | None = element("IntrmyAgt2Acct?", Account)
    intermediary3: Institution | None = element("IntrmyAgt3?", Institution)
    intermediary3_account: Account | None = element("IntrmyAgt3Acct?", Account)
    creditor_agent: Institution = element("CdtrAgt", Institution)
    creditor_agent_account: Account | None = element("CdtrAgtAcct?", Account)
    creditor: Customer = element("Cdtr", Customer)
    creditor_account: Account | None = element("CdtrAcct?", Account)
    ultimate_creditor: Customer | None = element("UltmtCdtr?", Customer)
    for_creditor_agent: tuple[Words, ...] = element("InstrForCdtrAgt*", Words)
    for_next_agent: tuple[Words, ...] = element("InstrForNxtAgt*", Words)
    remittance: tuple[str, ...] = element("RmtInf?/Ustrd*", forms.TEXT_140)
    instructed: Amount | None = element("InstdAmt?", forms.AMOUNT_OR_ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstitutionTransfer:
    """One transaction of a pacs.009."""

    ids: PaymentIds = element("PmtId", PaymentIds)
    type: PaymentType | None = element("PmtTpInf?", PaymentType)
    amount: Amount = element("IntrBkSttlmAmt", forms.AMOUNT_ABOVE_ZERO)
    day: date | None = element("IntrBkSttlmDt?", forms.DAY)
    urgency: str = element("SttlmPrty?", URGENCIES)
    debited: str = element("SttlmTmIndctn?/DbtDtTm?", forms.MOMENT)
    credited: str = element("SttlmTmIndctn?/CdtDtTm?", forms.MOMENT)
    cls_by: str = element("SttlmTmReq?/CLSTm?", forms.TIME)
    until: str = element("SttlmTmReq?/TillTm?", forms.TIME)
    not_before: str = element("SttlmTmReq?/FrTm?", forms.TIME)
    reject_after: str = element("SttlmTmReq?/RjctTm?", forms.TIME)
    previous1: Institution | None = element("PrvsInstgAgt1?", Institution)
    previous1_account: Account | None = element("PrvsInstgAgt1Acct?", Account)
    previous2: Institution | None = element("PrvsInstgAgt2?", Institution)
    previous2_account: Account | None = element("PrvsInstgAgt2Acct?", Account)
    previous3: Institution | None = element("PrvsInstgAgt3?", Institution)
    previous3_account: Account | None = element("PrvsInstgAgt3Acct?", Account)
    sender: Institution | None = element("InstgAgt?", Institution)
    receiver: Institution | None = element("InstdAgt?", Institution)
    intermediary1: Institution | None = element("IntrmyAgt1?", Institution)
    intermediary1_account: Account | None = element("IntrmyAgt1Acct?", Account)
    intermediary2: Institution | None = element("IntrmyAgt2?", Institution)
    intermediary2_account: Account | None = element("IntrmyAgt2Acct?", Account)
    intermediary3: Institution | None = element("IntrmyAgt3?", Institution)
    intermediary3_account: Account | None = element("IntrmyAgt3Acct?", Account)
    ultimate_debtor: Institution | None = element("UltmtDbtr?", Institution)
    debtor: Institution = element("Dbtr", Institution)
    debtor_account: Account | None = element("DbtrAcct?", Account)
    debtor_agent: Institution | None = element("DbtrAgt?", Institution)
    debtor_agent_account: Account | None = element("DbtrAgtAcct?", Account)
    creditor_agent: Institution | None = element("CdtrAgt?", Institution)
    creditor_agent_account: Account | None = element("CdtrAgtAcct?", Account)
    creditor: Institution = element("Cdtr", Institution)
    creditor_account: Account | None = element("CdtrAcct?", Account)
    ultimate_creditor: Institution | None = element("UltmtCdtr?", Institution)
    for_creditor_agent: tuple[Words, ...] = element("InstrForCdtrAgt*", Words)
    for_next_agent: tuple[Words, ...] = element("InstrForNxtAgt*", Words)
    purpose: str = element("Purp?/|Cd", forms.CODE)
    purpose_own: str = element("Purp?/|Prtry", forms.TEXT_35)
    remittance: tuple[str, ...] = element("RmtInf?/Ustrd*", forms.TEXT_140)
    covered: Covered | None = element("UndrlygCstmrCdtTrf?", Covered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfers:
    """The header of transfers. `day`, `sender` and `receiver` are for all transactions, where given."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    is_batch_booked: bool | None = element("GrpHdr/BtchBookg?", forms.FLAG)
    count: str = follows("GrpHdr/NbOfTxs", forms.NUMBER, lambda made: str(len(made.transactions)))
    sum: str = follows(
        "GrpHdr/CtrlSum?", forms.SUM, lambda made: control_sum(each.amount for each in made.transactions)
    )
    total: Amount | None = element("GrpHdr/TtlIntrBkSttlmAmt?", forms.AMOUNT_OR_ZERO)
    day: date | None = element("GrpHdr/IntrBkSttlmDt?", forms.DAY)
    settlement: Settlement = element("GrpHdr/SttlmInf", Settlement)
    type: PaymentType | None = element("GrpHdr/PmtTpInf?", PaymentType)
    sender: Institution | None = element("GrpHdr/InstgAgt?", Institution)
    receiver: Institution | None = element("GrpHdr/InstdAgt?", Institution)
    transactions: tuple[CustomerTransfer | InstitutionTransfer, ...] = ()

    @property
    def use(self) -> str:
        """`core`, `cover` or `advice`."""
        if any(isinstance(each, InstitutionTransfer) and each.covered for each in self.transactions):
            return COVER
        return ADVICE if self.settlement.method == BY_ANOTHER_MESSAGE else CORE

    def problems(self) -> Iterator[Problem]:
        """Yield what the schema cannot find wrong."""
        seen: dict[str, int] = {}
        for number, each in enumerate(self.transactions, 1):
            place = f"CdtTrfTxInf[{number}]"
            yield from header_problems(self, each, place)
            if seen.setdefault(each.ids.uetr, number) != number:
                problem = f"{each.ids.uetr} is also the UETR of transaction {seen[each.ids.uetr]}"
                yield Problem(f"{place}/PmtId/UETR", forms.DUPLICATE, problem, "a UETR of its own for each transaction")
        amounts = [each.amount for each in self.transactions]
        yield from total_problems(self.total, amounts, "CdtTrfTxInf", "IntrBkSttlmAmt", "TtlIntrBkSttlmAmt")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerTransfers(Transfers):
    """A pacs.008: transfers of customers."""

    transactions: tuple[CustomerTransfer, ...] = element("CdtTrfTxInf+", CustomerTransfer)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstitutionTransfers(Transfers):
    """A pacs.009: transfers of institutions."""

    transactions: tuple[InstitutionTransfer, ...] = element("CdtTrfTxInf+", InstitutionTransfer)


class _Shared(Protocol):
    """What a header states for all transactions, or each transaction for itself."""

    @property
    def day(self) -> date | None: ...
    @property
    def sender(self) -> Institution | None: ...
    @property
    def receiver(self) -> Institution | None: ...


def header_problems(header: _Shared, transaction: _Shared, place: str) -> Iterator[Problem]:
    """Yield what is in neither of header and transaction, or in both."""
    for name, above, own in (
        ("IntrBkSttlmDt", header.day, transaction.day),
        ("InstgAgt", header.sender, transaction.sender),
        ("InstdAgt", header.receiver, transaction.receiver),
    ):
        if above is None and own is None:
            yield Problem(f"{place}/{name}", forms.MISSING, "is missing", f"{name} here or in GrpHdr")
        if above is not None and own is not None:
            right = f"{name} here or in GrpHdr, not in both"
            yield Problem(f"{place}/{name}", forms.NOT_ADMITTED, "is in GrpHdr too", right)


def total_problems(
    total: Amount | None, amounts: Sequence[Amount], place: str, name: str, total_name: str
) -> Iterator[Problem]:
    """Yield amounts of another currency than the total, and a total that is not their sum."""
    if total is None:
        return
    for number, each in enumerate(amounts, 1):
        if each.currency != total.currency:
            problem = f"is in {each.currency}, and the total in {total.currency}"
            yield Problem(f"{place}[{number}]/{name}", forms.CURRENCY, problem, f"one currency, or no {total_name}")
    found = sum(each.minor for each in amounts)
    if found != total.minor:
        problem = f"the transactions add up to {decimal_text(found, total.currency)} {total.currency}"
        right = "the sum of all transactions, if none was lost"
        yield Problem(f"GrpHdr/{total_name}", forms.CONTROL_SUM, problem, right)
