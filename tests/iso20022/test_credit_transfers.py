"""Reading of pacs.008 and pacs.009: values of a message, and an error with line, path and value for a bad one."""

from __future__ import annotations

import codecs
from dataclasses import replace
from datetime import date

import pytest
from tests.iso20022 import samples
from tests.iso20022.messages import COVERED, CUSTOMERS, INSTITUTIONS, UETR, changed

from sycee.core.errors import UsageError
from sycee.iso20022 import credit_transfers, reading
from sycee.iso20022.credit_transfers import Agent, CreditTransfers, parse
from sycee.iso20022.elements import Amount
from sycee.iso20022.messages import KINDS, Message, read, write
from sycee.iso20022.reading import MessageError

pytestmark = pytest.mark.fast


def bics(message: CreditTransfers) -> list[list[str]]:
    return [[agent.bic for agent in each.agents] for each in message.transactions]


def test_a_transfer_of_customers() -> None:
    message = parse(CUSTOMERS.encode())
    assert (message.name, message.id, message.created) == ("pacs.008.001.08", "MSG-1", "2026-11-25T09:30:00+01:00")
    assert (message.sender, message.receiver) == (
        Agent(bic="BANKAAAA", states=("AA",)),
        Agent(bic="BANKBBBBXXX", states=("BB",)),
    )
    (made,) = message.transactions
    references = (made.uetr, made.instruction_id, made.end_to_end_id, made.transaction_id)
    assert references == (UETR, "INSTR-1", "E2E-1", "TX-1")
    assert (made.amount, made.instructed, made.settlement_day) == (Amount("EUR", 123_450), None, date(2026, 11, 26))
    assert bics(message) == [["BANKAAAA", "BANKAAAA", "BANKBBBBXXX", "BANKBBBB"]]
    assert [(each.name, each.states, each.identified) for each in made.parties] == [
        ("Ann Alder", ("AA",), True),
        ("Bea Beech", ("BB",), False),
    ]
    assert made.has_accounts
    assert made.line == 12


def test_a_transfer_of_institutions_names_no_persons() -> None:
    (made,) = parse(INSTITUTIONS.encode()).transactions
    assert made.amount == Amount("JPY", 5_000_000)
    assert made.parties == ()
    assert not made.has_accounts
    assert [each.bic for each in made.agents] == ["BANKAAAA", "BANKAAAA", "BANKCCCC", "BANKBBBB"]


def test_a_cover_names_the_agents_and_the_customers_of_what_it_covers() -> None:
    (made,) = parse(changed(INSTITUTIONS, ("</CdtTrfTxInf>", COVERED))).transactions
    assert [each.bic for each in made.agents] == [
        "BANKAAAA", "BANKAAAA", "BANKAAAA", "BANKCCCC", "BANKBBBB", "BANKDDDD",
    ]  # fmt: skip
    assert [each.name for each in made.parties] == ["Ann Alder", "Dan Dogwood"]
    assert (made.amount, made.instructed) == (Amount("JPY", 5_000_000), Amount("USD", 9_999))


def test_all_agents_are_in_the_order_of_the_payment() -> None:
    names = ("PrvsInstgAgt1", "PrvsInstgAgt2", "IntrmyAgt1", "IntrmyAgt2", "IntrmyAgt3")
    more = "".join(
        f"<{name}><FinInstnId><BICFI>BANK{'PQXYZ'[number] * 4}</BICFI></FinInstnId></{name}>"
        for number, name in enumerate(names)
    )
    (found,) = bics(parse(changed(CUSTOMERS, ("<ChrgBr>", f"{more}<ChrgBr>"))))
    assert "".join(bic[4] for bic in found) == "APQABXYZB"


def test_all_parties_are_named() -> None:
    more = "".join(f"<{each}><Nm>{each}</Nm></{each}>" for each in ("UltmtDbtr", "InitgPty", "UltmtCdtr"))
    (made,) = parse(changed(CUSTOMERS, ("<ChrgBr>", f"{more}<ChrgBr>"))).transactions
    assert [each.name for each in made.parties] == ["UltmtDbtr", "InitgPty", "Ann Alder", "Bea Beech", "UltmtCdtr"]


@pytest.mark.parametrize(("kind", "version"), [("008", 8), ("008", 14), ("009", 8), ("009", 13)])
def test_versions_that_are_read(kind: str, version: int) -> None:
    text = CUSTOMERS if kind == "008" else INSTITUTIONS
    message = parse(changed(text, (f"pacs.{kind}.001.08", f"pacs.{kind}.001.{version:02}")))
    assert message.name == f"pacs.{kind}.001.{version:02}"


def test_an_envelope_and_a_prefix_change_nothing() -> None:
    body = CUSTOMERS.partition("?>")[2].replace("<", "<p:").replace("<p:/", "</p:").replace("xmlns=", "xmlns:p=")
    wrapped = f'<BusMsg><AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"/>{body}</BusMsg>'
    assert parse(wrapped.encode()).transactions[0].uetr == UETR
    assert parse(codecs.BOM_UTF8 + CUSTOMERS.encode()) == parse(CUSTOMERS.encode())


def test_comments_and_blanks_are_no_part_of_a_value() -> None:
    message = parse(changed(CUSTOMERS, ("<MsgId>MSG-1", "<MsgId> MSG<!-- - -->-1\n")))
    assert message.id == "MSG-1"


def test_an_amount_may_have_zeros_that_its_currency_lacks() -> None:
    for text, minor in (("1234.50000", 123_450), ("7", 700), ("0.01", 1)):
        (made,) = parse(changed(CUSTOMERS, (">1234.50<", f">{text}<"))).transactions
        assert made.amount.minor == minor


LEI = "<LEI>5493001KJTIIGC8Y1R12</LEI>"


def test_codes_of_an_agent() -> None:
    branch = "<BrnchId><PstlAdr><Ctry>CC</Ctry></PstlAdr></BrnchId></DbtrAgt>"
    codes = f"<BICFI>BANKAAAA</BICFI><ClrSysMmbId><MmbId>0210</MmbId></ClrSysMmbId>{LEI}<Nm>A</Nm></FinInstnId>{branch}"
    old = "<BICFI>BANKAAAA</BICFI></FinInstnId></DbtrAgt>"
    (made,) = parse(changed(CUSTOMERS, (old, codes))).transactions
    assert made.agents[0] == Agent("BANKAAAA", "5493001KJTIIGC8Y1R12", "0210", "A", ("AA", "CC"))


BODY = "FIToFICstmrCdtTrf"
BAD = [
    ("<MsgId>MSG-1</MsgId>", "", 4, f"{BODY}/GrpHdr/MsgId", "is missing"),
    ("<MsgId>MSG-1", f"<MsgId>{'M' * 36}", 5, f"{BODY}/GrpHdr/MsgId", "MMMM"),
    ("<NbOfTxs>1<", "<NbOfTxs>2<", 7, f"{BODY}/GrpHdr/NbOfTxs", "there are 1 transactions, and not 2"),
    ("<NbOfTxs>1<", "<NbOfTxs>one<", 7, f"{BODY}/GrpHdr/NbOfTxs", '"one"'),
    ("2026-11-25T09:30:00+01:00", "yesterday", 6, f"{BODY}/GrpHdr/CreDtTm", '"yesterday"'),
    ("65581be6f001", "65581BE6F001", 17, f"{BODY}/CdtTrfTxInf/PmtId/UETR", "65581BE6F001"),
    ("48ba-b074", "18ba-b074", 17, f"{BODY}/CdtTrfTxInf/PmtId/UETR", "18ba-b074"),
    ('Ccy="EUR"', 'Ccy="eur"', 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", 'Ccy is "eur"'),
    (' Ccy="EUR"', "", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", "has no Ccy"),
    ('Ccy="EUR"', 'Ccy="XAU"', 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", "XAU has no minor unit"),
    (">1234.50<", ">1234.505<", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", "has 3 decimals"),
    (">1234.50<", ">-1<", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", '"-1"'),
    (">1234.50<", ">1e9<", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", '"1e9"'),
    (">1234.50<", ">999999999999999999<", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", "does not fit 64 bits"),
    (">1234.50<", "><b>1</b><", 19, f"{BODY}/CdtTrfTxInf/IntrBkSttlmAmt", "has the element b"),
    (">2026-11-26<", ">2026-11-31<", 20, f"{BODY}/CdtTrfTxInf/IntrBkSttlmDt", "day"),
    ("<Ctry>AA</Ctry>", "<Ctry>A1</Ctry>", 24, f"{BODY}/CdtTrfTxInf/Dbtr/PstlAdr/Ctry", '"A1"'),
    ("<CtryOfRes>BB", "<CtryOfRes>Bb", 33, f"{BODY}/CdtTrfTxInf/Cdtr/CtryOfRes", '"Bb"'),
    (
        "<BICFI>BANKBBBB</BICFI>",
        "<BICFI>bankbbbb</BICFI>",
        29,
        f"{BODY}/CdtTrfTxInf/CdtrAgt/FinInstnId/BICFI",
        "bankbbbb",
    ),
    ("<BICFI>BANKBBBB</BICFI>", LEI.replace("12<", "13<"), 29, f"{BODY}/CdtTrfTxInf/CdtrAgt/FinInstnId/LEI", "check"),
    ("<ChrgBr>", "<Dbtr/><ChrgBr>", 22, f"{BODY}/CdtTrfTxInf/Dbtr[2]", "occurs twice"),
    ("pacs.008.001.08", "pacs.008.001.07", 2, "", "the message is a pacs.008.001.07"),
    ("pacs.008.001.08", "pacs.003.001.08", 2, "", "the message is a pacs.003.001.08"),
    ("pacs.008.001.08", "pacs.009.001.08", 2, "FICdtTrf", "is missing"),
    ("urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08", "urn:other", 2, "Document", '"urn:other"'),
    ("<GrpHdr>", "<GrpHdr>&undefined;", 4, "", "is not XML"),
    ("</MsgId>", "</MsgIds>", 5, "", "is not XML"),
    ('encoding="UTF-8"', 'encoding="ISO-8859-1"', 1, "", "declares the encoding ISO-8859-1"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "problem"), BAD)
def test_a_bad_message_is_an_error_with_line_path_and_value(
    old: str, new: str, line: int, path: str, problem: str
) -> None:
    with pytest.raises(MessageError) as caught:
        parse(changed(CUSTOMERS, (old, new)), "a.xml")
    error = caught.value
    assert (error.file, error.line, error.path) == ("a.xml", line, path)
    assert problem in error.problem
    assert error.hint
    assert error.message.startswith(f"a.xml:{line}: ")


@pytest.mark.parametrize("name", ["DbtrAgt", "CdtrAgt", "Dbtr", "Cdtr", "PmtId", "IntrBkSttlmAmt"])
def test_what_a_transfer_must_have(name: str) -> None:
    with pytest.raises(MessageError, match=f"CdtTrfTxInf/{name}: is missing"):
        parse(CUSTOMERS.replace(f"<{name}>", "<Other>").replace(f"</{name}>", "</Other>").replace(
            f"<{name} ", "<Other "
        ).encode())  # fmt: skip


ENTITY = '<!DOCTYPE Document [<!ENTITY {}>]>\n<Document xmlns="'


@pytest.mark.parametrize(
    "declared",
    ['a "aaaa"', 'a SYSTEM "file:///etc/hostname"', 'a SYSTEM "http://127.0.0.1/x"', '% a SYSTEM "file:///etc/passwd"'],
)
def test_a_message_has_no_dtd(declared: str) -> None:
    text = changed(CUSTOMERS, ('<Document xmlns="', ENTITY.format(declared)), ("MSG-1", "&a;"))
    with pytest.raises(MessageError, match="has a <!DOCTYPE"):
        parse(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_message_is_utf_8(encoding: str) -> None:
    with pytest.raises(MessageError, match=r"not UTF-8|is not XML|the encoding"):
        parse(CUSTOMERS.replace("UTF-8", encoding.upper()).encode(encoding))


def test_depth_and_length_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    with pytest.raises(MessageError, match="is not XML"):
        parse(changed(CUSTOMERS, ("<ChrgBr>SHAR</ChrgBr>", deep)))
    monkeypatch.setattr(reading, "MESSAGE_BYTES_MAX", 1_000)
    with pytest.raises(MessageError, match="longer than 1,000 bytes"):
        parse(CUSTOMERS.encode())


@pytest.mark.parametrize("content", [b"", b"\0", b"<a/>", b"\xff", b"{}", b"<Document/>", CUSTOMERS.encode()[:-20]])
def test_other_content_is_an_error(content: bytes) -> None:
    with pytest.raises(MessageError):
        parse(content)


def test_the_place_of_an_error_among_many_transactions() -> None:
    one = CUSTOMERS[CUSTOMERS.index("    <CdtTrfTxInf>") : CUSTOMERS.index("  </FIToFI")]
    many = changed(CUSTOMERS, ("<NbOfTxs>1<", "<NbOfTxs>3<"), (one, one + one.replace("E2E-1", "\u2028" * 40) + one))
    with pytest.raises(MessageError, match=r"CdtTrfTxInf\[2\]/PmtId/EndToEndId"):
        parse(many)
    assert len(credit_transfers.VERSIONS) == 2


@pytest.mark.parametrize("name", ["pacs.008.001.08", "pacs.009.001.08"])
def test_values_of_the_general_reader_give_the_same_transfers(name: str) -> None:
    for seed in range(12):
        made = samples.value(KINDS[name].of, seed, (0.0, 0.2, 0.5, 1.0)[seed % 4])
        content = write(Message(name, made))
        parsed = parse(content)
        plain = replace(parsed, transactions=tuple(replace(each, line=0) for each in parsed.transactions))
        assert credit_transfers.of_message(read(content)) == plain
    with pytest.raises(UsageError, match=r"camt\.025\.001\.08 has no"):
        credit_transfers.of_message(Message("camt.025.001.08", None))
