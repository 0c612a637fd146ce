"""Fast reading of many pacs.009 for the queue of a clearing house: a row for each transaction. Also of pacs.008.

A pacs.009 in the plain form that our writer and most systems use is checked and read by regular expressions that are
made of its layout (`patterns`). Every other message is read by `messages.read`, which also finds what is wrong: both
give the same rows, and errors come from one place.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sycee.iso20022 import forms
from sycee.iso20022.amounts import AmountError, control_sum, minor_units
from sycee.iso20022.business_header import Header
from sycee.iso20022.credit_transfer_messages import (
    ADVICE,
    BY_ANOTHER_MESSAGE,
    CORE,
    COVER,
    Covered,
    CustomerTransfer,
    CustomerTransfers,
    InstitutionTransfer,
    InstitutionTransfers,
)
from sycee.iso20022.elements import Amount, layout
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import HEADERS, Addresses, read
from sycee.iso20022.patterns import BLANKS, CURRENCY, Pattern, pattern_of
from sycee.iso20022.reading import MESSAGE_BYTES_MAX, MessageError
from sycee.iso20022.schemas import NAMESPACE

NAME: Final = "pacs.009.001.08"
CUSTOMER_NAME: Final = "pacs.008.001.08"
PAIR: Final = "/PVP/"  # how an instruction for the next agent begins that names the other side
URGENCIES: Final = ("URGT", "HIGH", "NORM")  # from high to low; a transaction without one is normal


class TransferRow(NamedTuple):
    """One transaction. References are "" where not given. Banks are named by `bank_code`.

    `debtor` and `creditor` are banks; of a transfer of customers, their agents.

    `not_before` and `until` are the times of the day between which it asks for settlement, such as 17:00:00+08:00.
    `pair` is the instruction that names the other side of payment against payment, "" without one.
    `is_plain`: its sender, receiver, debtor and creditor are named by BIC, and it has no other agents, accounts,
    addresses or LEIs.
    """

    uetr: str
    instruction: str
    end_to_end: str
    transaction: str
    currency: str
    minor: int
    day: date
    urgency: str
    sender: str
    receiver: str
    debtor: str
    creditor: str
    is_cover: bool
    not_before: str
    until: str
    is_plain: bool = False
    pair: str = ""


@dataclass(frozen=True, slots=True)
class TransferMessage:
    """A pacs.009 or pacs.008 as rows. `business_id` and `from_bank` are of its header, "" without one.

    `use`: as of its value; `name`: with its version.
    """

    business_id: str
    from_bank: str
    message_id: str
    created: str
    use: str
    rows: tuple[TransferRow, ...]
    name: str = NAME


@dataclass(frozen=True, slots=True)
class TransferColumns:
    """Rows as arrays: banks are indexes in `banks`, `currency` in `currencies`, `day` is an ordinal.

    `urgency` is an index in `URGENCIES`, and `uetr` has 16 bytes in each row.
    """

    banks: tuple[str, ...]
    currencies: tuple[str, ...]
    uetr: NDArray[np.uint8]
    sender: NDArray[np.int32]
    receiver: NDArray[np.int32]
    debtor: NDArray[np.int32]
    creditor: NDArray[np.int32]
    currency: NDArray[np.int16]
    minor: NDArray[np.int64]
    day: NDArray[np.int32]
    urgency: NDArray[np.int8]


def read_credit_transfers(
    contents: Iterable[bytes], *, addresses: Addresses = Addresses.ANY
) -> Iterator[TransferMessage | MessageError]:
    """Yield for each content its pacs.009 or pacs.008 as rows, or the error that refuses it."""
    for number, content in enumerate(contents, 1):
        try:
            yield read_plain(content, addresses) or _slow(content, f"message {number}", addresses)
        except MessageError as error:
            yield error


def columns(rows: Iterable[TransferRow]) -> TransferColumns:
    """Return rows as arrays, in their order."""
    kept = list(rows)
    banks: dict[str, int] = {}
    currencies: dict[str, int] = {}
    count = len(kept)
    digits = "".join([each.uetr for each in kept]).replace("-", "")
    return TransferColumns(
        sender=np.fromiter((banks.setdefault(each.sender, len(banks)) for each in kept), np.int32, count),
        receiver=np.fromiter((banks.setdefault(each.receiver, len(banks)) for each in kept), np.int32, count),
        debtor=np.fromiter((banks.setdefault(each.debtor, len(banks)) for each in kept), np.int32, count),
        creditor=np.fromiter((banks.setdefault(each.creditor, len(banks)) for each in kept), np.int32, count),
        currency=np.fromiter((currencies.setdefault(each.currency, len(currencies)) for each in kept), np.int16, count),
        minor=np.fromiter((each.minor for each in kept), np.int64, count),
        day=np.fromiter((each.day.toordinal() for each in kept), np.int32, count),
        urgency=np.fromiter((URGENCIES.index(each.urgency) for each in kept), np.int8, count),
        uetr=np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(count, 16),
        banks=tuple(banks),
        currencies=tuple(currencies),
    )


def bank_code(institution: Institution) -> str:
    """Return the code by which a row names a bank: its BIC, else its number in a clearing system, else its LEI.

    "" for an institution without any of them.
    """
    of = institution
    return _bank_code(of.bic, of.clearing_system, of.member, of.lei)


def institution_of(code: str) -> Institution:
    """Return the institution that `bank_code` names so."""
    system, _, member = code.rpartition(":")
    if system == "LEI":
        return Institution(lei=member)
    if system:
        return Institution(clearing_system=system, member=member)
    return Institution(member=code) if forms.BICFI.problem(code) else Institution(bic=code)


def _bank_code(bic: str | None, system: str | None, member: str | None, lei: str | None) -> str:
    if bic:
        return bic
    if member:
        return f"{system}:{member}" if system else member
    return f"LEI:{lei}" if lei else ""


def _slow(content: bytes, file: str, addresses: Addresses) -> TransferMessage:
    message = read(content, file, addresses=addresses)
    value = message.value
    if not isinstance(value, CustomerTransfers | InstitutionTransfers):
        raise MessageError(file, 0, "", f"the message is a {message.name}", right=f"a {NAME} or {CUSTOMER_NAME}")
    header = message.header
    return TransferMessage(
        header.id if header else "",
        header.sender.bic if header else "",
        value.id,
        value.created,
        value.use,
        tuple(_row(value, each) for each in value.transactions),
        message.name,
    )


def _row(
    message: CustomerTransfers | InstitutionTransfers, each: CustomerTransfer | InstitutionTransfer
) -> TransferRow:
    sender, receiver, day = each.sender or message.sender, each.receiver or message.receiver, each.day or message.day
    assert sender and receiver and day  # `problems` of the message refuses it otherwise
    ids = each.ids
    if isinstance(each, CustomerTransfer):
        ends, is_cover, is_plain = (each.debtor_agent, each.creditor_agent), False, False
    else:
        ends, is_cover = (each.debtor, each.creditor), each.covered is not None
        is_plain = _is_plain(each, (sender, receiver, *ends))
    return TransferRow(
        *(ids.uetr, ids.instruction, ids.end_to_end, ids.transaction),
        *(each.amount.currency, each.amount.minor, day, each.urgency or "NORM"),
        *(bank_code(sender), bank_code(receiver), bank_code(ends[0]), bank_code(ends[1])),
        *(is_cover, each.not_before, each.until),
        is_plain,
        next((one.words for one in each.for_next_agent if one.words.startswith(PAIR)), ""),
    )


def _is_plain(each: InstitutionTransfer, banks: Sequence[Institution]) -> bool:
    if any(getattr(each, name) for name in _OTHERS):
        return False
    return all(one.bic and not one.lei and not one.address and not one.branch_address for one in banks)


# --- the fast path ---


_CODES: Final = ("BICFI", "ClrSysMmbId/ClrSysId/Cd", "ClrSysMmbId/MmbId", "LEI")
_GROUP: Final = ("MsgId", "CreDtTm", "NbOfTxs", "CtrlSum", f"TtlIntrBkSttlmAmt{CURRENCY}", "TtlIntrBkSttlmAmt",
                 "IntrBkSttlmDt", "SttlmInf/SttlmMtd")  # fmt: skip
# Fields of a plain transaction. All others name agents or accounts, whose elements begin as below.
_PLAIN: Final = frozenset({
    "ids", "type", "amount", "day", "urgency", "debited", "credited", "cls_by", "until", "not_before", "reject_after",
    "sender", "receiver", "debtor", "creditor", "for_creditor_agent", "for_next_agent", "purpose", "purpose_own",
    "remittance",
})  # fmt: skip
_OTHERS: Final = tuple(each.name for each in fields(InstitutionTransfer) if each.name not in _PLAIN)
_OTHER_ELEMENTS: Final = ("<PrvsInstgA", "<IntrmyA", "<Ultmt", "<DbtrA", "<CdtrA")
_IDS: Final = ("PmtId/UETR", "PmtId/InstrId", "PmtId/EndToEndId", "PmtId/TxId")
_VALUES: Final = (f"IntrBkSttlmAmt{CURRENCY}", "IntrBkSttlmAmt", "IntrBkSttlmDt", "SttlmPrty", "SttlmTmReq/FrTm",
                  "SttlmTmReq/TillTm")  # fmt: skip


def _codes(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}/FinInstnId/{each}" for name in names for each in _CODES)


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The parts of a message, and getters of what is wanted of their groups, in the order of the constants above."""

    begin: re.Pattern[str]
    header: Pattern
    header_values: Callable[[Sequence[str | None]], tuple[str | None, ...]]
    group: Pattern
    group_values: Callable[[Sequence[str | None]], tuple[str | None, ...]]
    transaction: Pattern
    transaction_values: Callable[[Sequence[str | None]], tuple[str | None, ...]]
    end: re.Pattern[str]


@cache
def _patterns() -> _Patterns:
    declaration = r"(?:<\?xml version=\"1\.0\"(?: encoding=\"(?:UTF-8|utf-8)\")?(?: standalone=\"(?:yes|no)\")?\?>)?"
    document = f'<Document xmlns="{re.escape(NAMESPACE + NAME)}">{BLANKS}<FICdtTrf>{BLANKS}'
    names = "|".join(re.escape(each) for each in HEADERS)
    header = pattern_of(
        layout(Header),
        wanted := ("BizMsgIdr", "MsgDefIdr", "Fr/FIId/FinInstnId/BICFI"),
        without=("Rltd", "PstlAdr", "OrgId"),
        before=f'<[A-Za-z][A-Za-z0-9]*+>{BLANKS}<AppHdr xmlns="{re.escape(NAMESPACE)}(?:{names})">',
        after=f"</AppHdr>{BLANKS}",
    )
    head = layout(InstitutionTransfers).parts["GrpHdr"]
    group = pattern_of(
        head,
        of_group := (*_GROUP, *_codes("InstgAgt", "InstdAgt")),
        without=("PstlAdr", "BrnchId"),
        before=f"{document}<GrpHdr>",
        after=f"</GrpHdr>{BLANKS}",
    )
    transaction = pattern_of(
        layout(InstitutionTransfer),
        of_transaction := (*_IDS, *_VALUES, *_codes("InstgAgt", "InstdAgt", "Dbtr", "Cdtr")),
        without=("PstlAdr", "BrnchId", "UndrlygCstmrCdtTrf"),
        before="<CdtTrfTxInf>",
        after=f"(<UndrlygCstmrCdtTrf>[^\\x00-\\x08]*?</UndrlygCstmrCdtTrf>{BLANKS})?</CdtTrfTxInf>{BLANKS}",
    )
    return _Patterns(
        re.compile(declaration + BLANKS),
        header,
        itemgetter(*(header.groups.index(each) for each in wanted)),
        group,
        itemgetter(*(group.groups.index(each) for each in of_group)),
        transaction,
        itemgetter(*(transaction.groups.index(each) for each in of_transaction), len(transaction.groups)),
        re.compile(rf"</FICdtTrf>{BLANKS}</Document>{BLANKS}"),
    )


@cache
def _covered() -> Pattern:
    """Return the pattern of a covered transfer, which is long: it is compiled when the first one comes."""
    end = f"</UndrlygCstmrCdtTrf>{BLANKS}"
    return pattern_of(layout(Covered), (), before="<UndrlygCstmrCdtTrf>", after=end)


def prepare() -> None:
    """Compile all patterns of `read_plain`."""
    _patterns()
    _covered()


def read_plain(content: bytes, addresses: Addresses = Addresses.ANY) -> TransferMessage | None:
    """Return the rows of a pacs.009 in plain form; None for any other content, which a parser has to read."""
    if len(content) > MESSAGE_BYTES_MAX or (addresses is not Addresses.ANY and b"<PstlAdr>" in content):
        return None
    if PAIR.encode() in content:
        return None
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        return None
    patterns = _patterns()
    begin = patterns.begin.match(text)
    assert begin  # it may be empty
    at = begin.end()
    business_id: str | None = ""
    from_bank: str | None = ""
    envelope = ""
    if not text.startswith("<Document", at):
        header = patterns.header.compiled.match(text, at)
        if not header or not patterns.header.is_checked(header.groups()):
            return None
        business_id, message, from_bank = patterns.header_values(header.groups())
        if message != NAME:
            return None
        envelope = text[at + 1 : text.index(">", at)]
        at = header.end()
    group = patterns.group.compiled.match(text, at)
    if not group or not patterns.group.is_checked(group.groups()):
        return None
    values = patterns.group_values(group.groups())
    found = _transactions(text, group, values, patterns)
    if found is None:
        return None
    rows, at = found
    end = patterns.end.match(text, at)
    if not end:
        return None
    rest = text[end.end() :].strip(" \n\r\t")
    if rest != (f"</{envelope}>" if envelope else ""):
        return None
    id, created, method = values[0], values[1], values[_GROUP.index("SttlmInf/SttlmMtd")]
    use = COVER if any(each.is_cover for each in rows) else ADVICE if method == BY_ANOTHER_MESSAGE else CORE
    return TransferMessage(business_id or "", from_bank or "", id or "", created or "", use, tuple(rows))


def _transactions(
    text: str, group: re.Match[str], values: tuple[str | None, ...], patterns: _Patterns
) -> tuple[list[TransferRow], int] | None:
    """Return the rows and the end of their text; None if anything is not as it must be."""
    _, _, count, total_sum, total_currency, total, group_day, _, *codes = values
    group_sender, group_receiver = _bank_code(*codes[:4]), _bank_code(*codes[4:])
    has_sender, has_receiver = any(codes[:4]), any(codes[4:])
    if (not has_sender and "<InstgAgt>" in group[0]) or (not has_receiver and "<InstdAgt>" in group[0]):
        return None
    match, is_checked, get = (
        patterns.transaction.compiled.match, patterns.transaction.is_checked, patterns.transaction_values,
    )  # fmt: skip
    rows: list[TransferRow] = []
    seen: set[str] = set()
    at = group.end()
    while one := match(text, at):
        at = one.end()
        groups = one.groups()
        if not is_checked(groups):
            return None
        (
            uetr,
            instruction,
            end_to_end,
            transaction,
            currency,
            number,
            own_day,
            urgency,
            not_before,
            end,
            *banks,
            covered,
        ) = get(groups)
        sender, receiver = _bank_code(*banks[:4]), _bank_code(*banks[4:8])
        if (group_day is None) == (own_day is None) or has_sender == bool(sender) or has_receiver == bool(receiver):
            return None
        if (has_sender and "<InstgAgt>" in one[0]) or (has_receiver and "<InstdAgt>" in one[0]):
            return None  # a bank without a code, besides that of the header
        assert uetr and end_to_end and currency and number  # they are not optional
        debtor, creditor = _bank_code(*banks[8:12]), _bank_code(*banks[12:])
        if uetr in seen or not debtor or not creditor:
            return None
        seen.add(uetr)
        try:
            minor = minor_units(currency, number)
        except AmountError:
            return None
        if not minor or (covered and not _is_covered(covered)):
            return None
        bics = codes[0] or banks[0], codes[4] or banks[4], banks[8], banks[12]
        leis = codes[3], codes[7], banks[3], banks[7], banks[11], banks[15]
        is_plain = all(bics) and not any(leis) and not covered and not any(begin in one[0] for begin in _OTHER_ELEMENTS)
        rows.append(
            TransferRow(
                uetr, instruction or "", end_to_end, transaction or "", currency, minor,
                date.fromisoformat(own_day or group_day or ""), urgency or "NORM",
                sender or group_sender, receiver or group_receiver, debtor, creditor, covered is not None,
                not_before or "", end or "", is_plain,
            )
        )  # fmt: skip
    if not rows or count is None or int(count) != len(rows):
        return None
    if total_sum is not None and not _is_sum(total_sum, rows):
        return None
    if total is not None and total_currency is not None and not _is_total(total_currency, total, rows):
        return None
    return rows, at


def _is_covered(text: str) -> bool:
    pattern = _covered()
    found = pattern.compiled.fullmatch(text)
    return found is not None and pattern.is_checked(found.groups())


def _is_sum(text: str, rows: list[TransferRow]) -> bool:
    whole, _, part = text.partition(".")
    plain = f"{whole.lstrip('0') or '0'}.{part.rstrip('0')}".rstrip(".")
    return control_sum(Amount(each.currency, each.minor) for each in rows) == plain


def _is_total(currency: str, text: str, rows: list[TransferRow]) -> bool:
    if any(each.currency != currency for each in rows):
        return False
    try:
        return minor_units(currency, text) == sum(each.minor for each in rows)
    except AmountError:
        return False
