"""Bad messages: for each one change of a correct message the path, the reason and the words of its error."""

from __future__ import annotations

import random

import pytest
from tests.iso20022 import mutants, samples, valid_messages
from tests.iso20022.messages import UETR
from tests.iso20022.valid_messages import IBAN, LEI, OTHER_UETR

from sycee.iso20022.elements import layout
from sycee.iso20022.explain import first_problem
from sycee.iso20022.messages import KINDS, Addresses, Message, read, write
from sycee.iso20022.reading import MessageError, local_name, tree
from sycee.iso20022.schemas import compiled

BANKS, CUSTOMERS, RETURN, STATUS = "pacs.009.001.08", "pacs.008.001.08", "pacs.004.001.09", "pacs.028.001.03"
STATEMENT, CANCEL, ORDER, MOVE = "camt.053.001.08", "camt.056.001.08", "pain.001.001.09", "camt.050.001.07"
B, C = "FICdtTrf", "FIToFICstmrCdtTrf"
B1, B2, C1 = f"{B}/CdtTrfTxInf[1]", f"{B}/CdtTrfTxInf[2]", f"{C}/CdtTrfTxInf"
COVERED = f"{B1}/UndrlygCstmrCdtTrf"
ENTRY = "BkToCstmrStmt/Stmt"
AMOUNT = 'Ccy="USD">1234.00<'
ID = "<MsgId>MSG-1</MsgId>"
XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Text35Text"'

# message, text, its replacement, path, reason, words of the problem
BAD = [
    # the bytes and the envelope
    (BANKS, "</FICdtTrf>", "", "", "FF01", "is not XML"),
    (BANKS, ID, "<MsgId>&outside;</MsgId>", "", "FF01", "is not XML"),
    (BANKS, ID, "<MsgId>\x01</MsgId>", "", "FF01", "is not XML"),
    (BANKS, "<BusMsg>", "<!DOCTYPE BusMsg><BusMsg>", "", "FF01", "has a <!DOCTYPE"),
    (BANKS, "UTF-8", "ISO-8859-1", "", "FF01", "declares the encoding ISO-8859-1"),
    (BANKS, "<Document xmlns=", "<Other/><Document xmlns=", "", "FF01", "AppHdr and Other and Document"),
    (BANKS, "<FICdtTrf>", "<FICdtTrf/><FICdtTrf>", "", "CH16", "has 2 elements"),
    (BANKS, f"xsd:{BANKS}", "xsd:pacs.009.001.07", "", "FF01", "the message is a pacs.009.001.07"),
    (BANKS, f"tech:xsd:{BANKS}", f"tech:{BANKS}", "Document", "FF01", "has the namespace"),
    (BANKS, f"xsd:{BANKS}", f"xsd:{CUSTOMERS}", "AppHdr/MsgDefIdr", "CH16", f"MsgDefIdr is {BANKS}"),
    (BANKS, "<FICdtTrf>", "<FICdtTrf><PmtRtr/>", f"{B}/PmtRtr", "CH17", "is not used here"),
    (BANKS, "<FICdtTrf>", "text<FICdtTrf>", "", "CH16", 'has the text "text"'),
    (BANKS, "<AppHdr", "text<AppHdr", "BusMsg", "CH16", 'has the text "text"'),
    (BANKS, f'xsd:{BANKS}">', f'xsd:{BANKS}" id="1">', "", "CH17", "has the attribute id"),
    # the header
    (BANKS, "<BizMsgIdr>BIZ-1</BizMsgIdr>", "", "AppHdr/BizMsgIdr", "CH21", "is missing"),
    (BANKS, "BIZ-1", "B" * 36, "AppHdr/BizMsgIdr", "CH16", "has 36 characters"),
    (BANKS, f"<MsgDefIdr>{BANKS}", f"<MsgDefIdr>{CUSTOMERS}", "AppHdr/MsgDefIdr", "CH16", "the document a pacs.009"),
    (BANKS, "head.001.001.02", "head.001.001.01", "AppHdr", "CH16", "is a head.001.001.01"),
    (BANKS, "<Fr><FIId>", "<Fr/><Fr><FIId>", "AppHdr/Fr[1]", "CH21", "is empty"),
    (BANKS, "<CreDt>2026-11-25T", "<CreDt>2026-11-25 ", "AppHdr/CreDt", "DT01", '"2026-11-25 09:30:00+01:00"'),
    # elements that are missing, unknown, repeated or at the wrong place
    (BANKS, ID, "", f"{B}/GrpHdr/MsgId", "CH21", "is missing"),
    (BANKS, ID, f"{ID}{ID}", f"{B}/GrpHdr/MsgId[2]", "CH17", "occurs too often"),
    (BANKS, ID, f"{ID}<MsgNr>1</MsgNr>", f"{B}/GrpHdr/MsgNr", "CH17", "is not used here"),
    (BANKS, ID, f'<MsgId xmlns="urn:other">MSG-1</MsgId>{ID}', f"{B}/GrpHdr/MsgId", "CH17", "another namespace"),
    (BANKS, "<CreDtTm>", f"{ID}<CreDtTm>", f"{B}/GrpHdr/MsgId[2]", "CH17", "occurs too often"),
    (BANKS, f"{ID}<CreDtTm>2026-11-25T09:30:00+01:00</CreDtTm>", f"<CreDtTm>2026-11-25T09:30:00Z</CreDtTm>{ID}",
     f"{B}/GrpHdr/CreDtTm", "CH16", "is at the wrong place"),
    (BANKS, ID, "<MsgId kind='1'>MSG-1</MsgId>", f"{B}/GrpHdr/MsgId", "CH17", "has the attribute kind"),
    (BANKS, "<GrpHdr>", f"<GrpHdr{XSI}>", f"{B}/GrpHdr", "CH17", "has the attribute type"),
    (BANKS, "<MsgId>", f"<MsgId{XSI.replace('type', 'nil')}>", f"{B}/GrpHdr/MsgId", "CH17", "has the attribute nil"),
    (BANKS, "<MsgId>", f"<MsgId{XSI.replace('/X', '/&#88;')}>", f"{B}/GrpHdr/MsgId", "CH17", "has the attribute type"),
    (BANKS, "<GrpHdr>", "<GrpHdr>\u3000", f"{B}/GrpHdr", "CH16", "has the text"),
    (BANKS, "<GrpHdr>", "<GrpHdr>text", f"{B}/GrpHdr", "CH16", 'has the text "text"'),
    (BANKS, ID, "<MsgId><b>1</b></MsgId>", f"{B}/GrpHdr/MsgId", "CH16", "has the element b"),
    (BANKS, f"<UETR>{UETR}</UETR>", "", f"{B1}/PmtId/UETR", "CH21", "is missing"),
    (BANKS, "<EndToEndId>E-1</EndToEndId>", "", f"{B1}/PmtId/EndToEndId", "CH21", "is missing"),
    (BANKS, "<SttlmMtd>CLRG</SttlmMtd>", "", f"{B}/GrpHdr/SttlmInf/SttlmMtd", "CH21", "is missing"),
    (BANKS, "<Prtry>HOUSE</Prtry>", "<Cd>HOU</Cd><Prtry>HOUSE</Prtry>", f"{B}/GrpHdr/SttlmInf/ClrSys/Prtry", "CH17",
     "is a second alternative"),
    (BANKS, "<Prtry>HOUSE</Prtry>", "", f"{B}/GrpHdr/SttlmInf/ClrSys", "CH21", "is empty"),
    (BANKS, "<Prtry>HOUSE</Prtry>", "<Code>HOU</Code>", f"{B}/GrpHdr/SttlmInf/ClrSys/Code", "CH17", "is not used here"),
    (BANKS, "<MmbId>0002</MmbId>", "", f"{B}/GrpHdr/InstdAgt/FinInstnId/ClrSysMmbId/MmbId", "CH21", "is missing"),
    (CUSTOMERS, "<ChrgBr>SHAR</ChrgBr>", "", f"{C1}/ChrgBr", "CH21", "is missing"),
    (ORDER, "<DbtrAcct>", "<Other/><DbtrAcct>", "CstmrCdtTrfInitn/PmtInf/Other", "CH17", "is not used here"),
    # texts and codes
    (BANKS, ID, "<MsgId/>", f"{B}/GrpHdr/MsgId", "CH16", "is empty"),
    (BANKS, "MSG-1", " MSG-1", f"{B}/GrpHdr/MsgId", "CH16", '" MSG-1"'),
    (BANKS, "MSG-1", "MSG\n1", f"{B}/GrpHdr/MsgId", "CH16", "MSG"),
    (BANKS, "<SttlmPrty>HIGH", "<SttlmPrty>high", f"{B1}/SttlmPrty", "CH16", '"high"'),
    (BANKS, UETR, UETR.upper(), f"{B1}/PmtId/UETR", "CH16", UETR.upper()),
    (BANKS, UETR, UETR.replace("-48ba", "-18ba"), f"{B1}/PmtId/UETR", "CH16", "18ba"),
    (BANKS, OTHER_UETR, UETR, f"{B2}/PmtId/UETR", "AM05", "is also the UETR of transaction 1"),
    (BANKS, "<Cdtr><FinInstnId><BICFI>BANKBBBB", "<Cdtr><FinInstnId><BICFI>BANKBBB", f"{B1}/Cdtr/FinInstnId/BICFI",
     "RC05", '"BANKBBB"'),
    (BANKS, f"<LEI>{LEI}", f"<LEI>{LEI[:-1]}3", "AppHdr/Fr/FIId/FinInstnId/LEI", "CH16", "has wrong check digits"),
    (BANKS, f"<IBAN>{IBAN}", f"<IBAN>{IBAN[:-1]}2", f"{COVERED}/DbtrAcct/Id/IBAN", "AC01", "has wrong check digits"),
    (BANKS, f"<IBAN>{IBAN}", "<IBAN>12", f"{COVERED}/DbtrAcct/Id/IBAN", "AC01", '"12"'),
    (BANKS, "<Ctry>AA", "<Ctry>A", f"{COVERED}/Dbtr/PstlAdr/Ctry", "BE09", '"A"'),
    (BANKS, "<CtryOfRes>BB", "<CtryOfRes>Bb", f"{COVERED}/Cdtr/CtryOfRes", "BE09", '"Bb"'),
    (CUSTOMERS, "Invoice 1", "I" * 141, f"{C1}/RmtInf/Ustrd", "CH16", "has 141 characters"),
    (CUSTOMERS, "<InstrPrty>HIGH", "<InstrPrty>URGT", f"{C1}/PmtTpInf/InstrPrty", "CH16", '"URGT"'),
    (CUSTOMERS, "<Cd>NIDN", "<Cd>nidn", f"{C1}/Dbtr/Id/PrvtId/Othr/SchmeNm/Cd", "CH16", '"nidn"'),
    (ORDER, "<PmtMtd>TRF", "<PmtMtd>CHK", "CstmrCdtTrfInitn/PmtInf/PmtMtd", "CH16", '"CHK"'),
    # amounts
    (BANKS, AMOUNT, ">1234.00<", f"{B1}/IntrBkSttlmAmt", "AM11", "has no Ccy"),
    (BANKS, AMOUNT, 'Ccy="usd">1234.00<', f"{B1}/IntrBkSttlmAmt", "AM11", 'Ccy is "usd"'),
    (BANKS, AMOUNT, 'Ccy="ZZZ">1234.00<', f"{B1}/IntrBkSttlmAmt", "AM11", "ZZZ"),
    (BANKS, AMOUNT, 'Ccy="USD">1234.005<', f"{B1}/IntrBkSttlmAmt", "CH20", "has 3 decimals"),
    (BANKS, AMOUNT, 'Ccy="USD">0.00<', f"{B1}/IntrBkSttlmAmt", "AM01", "is zero"),
    (BANKS, AMOUNT, 'Ccy="USD">-1<', f"{B1}/IntrBkSttlmAmt", "AM12", '"-1"'),
    (BANKS, AMOUNT, 'Ccy="USD">1,234.00<', f"{B1}/IntrBkSttlmAmt", "AM12", '"1,234.00"'),
    (BANKS, AMOUNT, 'Ccy="USD">1e3<', f"{B1}/IntrBkSttlmAmt", "AM12", '"1e3"'),
    (BANKS, AMOUNT, 'Ccy="USD"><', f"{B1}/IntrBkSttlmAmt", "AM12", "is empty"),
    (BANKS, AMOUNT, 'Ccy="USD">123456789012345678.12<', f"{B1}/IntrBkSttlmAmt", "AM12", "has 20 digits"),
    (BANKS, AMOUNT, 'Ccy="USD">999999999999999999<', f"{B1}/IntrBkSttlmAmt", "AM12", "does not fit 64 bits"),
    (BANKS, AMOUNT, 'Ccy="EUR">1234.00<', f"{B1}/IntrBkSttlmAmt", "AM11", "is in EUR, and the total in USD"),
    (BANKS, AMOUNT, 'Ccy="USD">1234.01<', f"{B}/GrpHdr/TtlIntrBkSttlmAmt", "AM10", "add up to 1234.51 USD"),
    (CUSTOMERS, 'Ccy="JPY">5000<', 'Ccy="JPY">5000.50<', f"{C1}/IntrBkSttlmAmt", "CH20", "has 2 decimals"),
    (RETURN, 'Ccy="EUR">9.00<', 'Ccy="EUR">11.00<', "PmtRtr/TxInf/RtrdIntrBkSttlmAmt", "AM12", "than the original"),
    (MOVE, 'Ccy="HKD">1.00<', 'Ccy="HKD">0<', "LqdtyCdtTrf/LqdtyCdtTrf/TrfdAmt/AmtWthCcy", "AM01", "is zero"),
    # numbers, sums and days
    (BANKS, "<NbOfTxs>2", "<NbOfTxs>3", f"{B}/GrpHdr/NbOfTxs", "AM18", "3 is not 2"),
    (BANKS, "<NbOfTxs>2", "<NbOfTxs>two", f"{B}/GrpHdr/NbOfTxs", "AM18", '"two"'),
    (BANKS, "</NbOfTxs>", "</NbOfTxs><CtrlSum>1234.51</CtrlSum>", f"{B}/GrpHdr/CtrlSum", "AM10", "is not 1234.5"),
    (BANKS, "<IntrBkSttlmDt>2026-11-26", "<IntrBkSttlmDt>2026-11-31", f"{B}/GrpHdr/IntrBkSttlmDt", "DT01", "no day"),
    (BANKS, "<IntrBkSttlmDt>2026-11-26</IntrBkSttlmDt>", "", f"{B1}/IntrBkSttlmDt", "CH21", "is missing"),
    (BANKS, "</IntrBkSttlmAmt>", "</IntrBkSttlmAmt><IntrBkSttlmDt>2026-11-26</IntrBkSttlmDt>", f"{B1}/IntrBkSttlmDt",
     "CH17", "is in GrpHdr too"),
    (BANKS, "<CreDtTm>2026-11-25", "<CreDtTm>2026-02-30", f"{B}/GrpHdr/CreDtTm", "DT01", "no moment"),
    (ORDER, "<NbOfTxs>1", "<NbOfTxs>7", "CstmrCdtTrfInitn/GrpHdr/NbOfTxs", "AM18", "7 is not 1"),
    (CANCEL, "<NbOfTxs>1", "<NbOfTxs>0", "FIToFIPmtCxlReq/CtrlData/NbOfTxs", "AM18", "0 is not 1"),
    (STATEMENT, 'Ccy="EUR">7.00<', 'Ccy="EUR">7.01<', f"{ENTRY}/Bal[2]/Amt", "AM10", "give 7.00 EUR"),
    (STATEMENT, "<CdtDbtInd>DBIT", "<CdtDbtInd>BOTH", f"{ENTRY}/Ntry/CdtDbtInd", "CH16", '"BOTH"'),
    (STATEMENT, "<BkTxCd></BkTxCd>", "", f"{ENTRY}/Ntry/BkTxCd", "CH21", "is missing"),
    (STATUS, f"<OrgnlUETR>{UETR}</OrgnlUETR>", "", "FIToFIPmtStsReq/TxInf/OrgnlUETR", "CH21", "is missing"),
    (CANCEL, "<Agt>", "<Pty><Nm>A</Nm></Pty><Agt>", "FIToFIPmtCxlReq/Assgnmt/Assgnr/Agt", "CH17", "second alternative"),
]  # fmt: skip


def test_there_are_many() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize(("name", "old", "new", "path", "reason", "words"), BAD)
def test_a_bad_message_has_path_reason_and_words(
    name: str, old: str, new: str, path: str, reason: str, words: str
) -> None:
    text = valid_messages.content(name)
    assert old in text
    with pytest.raises(MessageError) as caught:
        read(text.replace(old, new, 1).encode(), "in.xml")
    error = caught.value
    assert (error.path, error.reason) == (path, reason)
    assert words in error.problem
    assert error.message == ": ".join(each for each in (f"in.xml:{error.line}", path, error.problem) if each)
    assert error.hint


@pytest.mark.parametrize("name", sorted({each[0] for each in BAD}))
def test_the_messages_that_are_changed_are_correct(name: str) -> None:
    assert read(valid_messages.content(name).encode()).value == valid_messages.VALUES[name]


@pytest.mark.parametrize(
    ("addresses", "lines", "town", "expected"),
    [
        (Addresses.ANY, 7, False, ""),
        (Addresses.HYBRID, 2, True, ""),
        (Addresses.HYBRID, 3, True, "CH17"),
        (Addresses.HYBRID, 0, False, "CH21"),
        (Addresses.STRUCTURED, 0, True, ""),
        (Addresses.STRUCTURED, 1, True, "CH17"),
        (Addresses.STRUCTURED, 0, False, "CH21"),
    ],
)
def test_a_house_decides_which_addresses_pass(addresses: Addresses, lines: int, town: bool, expected: str) -> None:
    text = valid_messages.content(CUSTOMERS).replace("<AdrLine>Room 1</AdrLine>", "<AdrLine>Room 1</AdrLine>" * lines)
    text = text if town else text.replace("<TwnNm>Town</TwnNm>", "")
    reason = ""
    try:
        read(text.encode(), addresses=addresses)
    except MessageError as error:
        reason = error.reason
    assert reason == expected


# --- the schema and the explanation agree ---


@pytest.mark.parametrize("name", KINDS)
def test_whatever_a_schema_refuses_is_explained(name: str) -> None:
    kind = KINDS[name]
    schema = compiled(name, kind.root, kind.of)
    refused = 0
    for seed in range(60):
        chance = random.Random(seed)
        text = write(Message(name, samples.value(kind.of, seed, (0.1, 0.3)[seed % 2])))
        try:
            (body,) = tree(mutants.element_changed(text, chance), "m")
        except (MessageError, ValueError):
            continue
        if local_name(body) != kind.root:
            continue
        is_valid, problem = schema.validate(body), first_problem(body, layout(kind.of), "m")
        # Check digits and days of the calendar are no business of a schema.
        if is_valid and problem is not None:
            assert "check digits" in problem.problem or "calendar" in problem.problem
        if not is_valid:
            refused += 1
            assert problem is not None, schema.error_log
            assert problem.path
            assert problem.hint
    assert refused > 20
