"""Messages for tests: one credit transfer of customers and one of institutions, made up, with replaceable parts."""

from __future__ import annotations

UETR = "8a562c67-ca16-48ba-b074-65581be6f001"

CUSTOMERS = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08">
  <FIToFICstmrCdtTrf>
    <GrpHdr>
      <MsgId>MSG-1</MsgId>
      <CreDtTm>2026-11-25T09:30:00+01:00</CreDtTm>
      <NbOfTxs>1</NbOfTxs>
      <SttlmInf><SttlmMtd>INDA</SttlmMtd></SttlmInf>
      <InstgAgt><FinInstnId><BICFI>BANKAAAA</BICFI></FinInstnId></InstgAgt>
      <InstdAgt><FinInstnId><BICFI>BANKBBBBXXX</BICFI></FinInstnId></InstdAgt>
    </GrpHdr>
    <CdtTrfTxInf>
      <PmtId>
        <InstrId>INSTR-1</InstrId>
        <EndToEndId>E2E-1</EndToEndId>
        <TxId>TX-1</TxId>
        <UETR>8a562c67-ca16-48ba-b074-65581be6f001</UETR>
      </PmtId>
      <IntrBkSttlmAmt Ccy="EUR">1234.50</IntrBkSttlmAmt>
      <IntrBkSttlmDt>2026-11-26</IntrBkSttlmDt>
      <ChrgBr>SHAR</ChrgBr>
      <Dbtr>
        <Nm>Ann Alder</Nm>
        <PstlAdr><TwnNm>Town</TwnNm><Ctry>AA</Ctry></PstlAdr>
        <Id><PrvtId><Othr><Id>AA-123</Id></Othr></PrvtId></Id>
      </Dbtr>
      <DbtrAcct><Id><Othr><Id>1</Id></Othr></Id></DbtrAcct>
      <DbtrAgt><FinInstnId><BICFI>BANKAAAA</BICFI></FinInstnId></DbtrAgt>
      <CdtrAgt><FinInstnId><BICFI>BANKBBBB</BICFI></FinInstnId></CdtrAgt>
      <Cdtr>
        <Nm>Bea Beech</Nm>
        <PstlAdr><Ctry>BB</Ctry></PstlAdr>
        <CtryOfRes>BB</CtryOfRes>
      </Cdtr>
      <CdtrAcct><Id><Othr><Id>2</Id></Othr></Id></CdtrAcct>
    </CdtTrfTxInf>
  </FIToFICstmrCdtTrf>
</Document>
"""

INSTITUTIONS = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.009.001.08">
  <FICdtTrf>
    <GrpHdr>
      <MsgId>MSG-2</MsgId>
      <CreDtTm>2026-11-25T09:30:00Z</CreDtTm>
      <NbOfTxs>1</NbOfTxs>
      <SttlmInf><SttlmMtd>INDA</SttlmMtd></SttlmInf>
    </GrpHdr>
    <CdtTrfTxInf>
      <PmtId><EndToEndId>E2E-2</EndToEndId></PmtId>
      <IntrBkSttlmAmt Ccy="JPY">5000000</IntrBkSttlmAmt>
      <InstgAgt><FinInstnId><BICFI>BANKAAAA</BICFI></FinInstnId></InstgAgt>
      <InstdAgt><FinInstnId><BICFI>BANKCCCC</BICFI></FinInstnId></InstdAgt>
      <Dbtr><FinInstnId><BICFI>BANKAAAA</BICFI></FinInstnId></Dbtr>
      <Cdtr><FinInstnId><BICFI>BANKBBBB</BICFI></FinInstnId></Cdtr>
    </CdtTrfTxInf>
  </FICdtTrf>
</Document>
"""

COVERED = """<UndrlygCstmrCdtTrf>
        <Dbtr><Nm>Ann Alder</Nm><PstlAdr><Ctry>AA</Ctry></PstlAdr></Dbtr>
        <DbtrAgt><FinInstnId><BICFI>BANKAAAA</BICFI></FinInstnId></DbtrAgt>
        <CdtrAgt><FinInstnId><BICFI>BANKDDDD</BICFI></FinInstnId></CdtrAgt>
        <Cdtr><Nm>Dan Dogwood</Nm><PstlAdr><Ctry>DD</Ctry></PstlAdr></Cdtr>
        <InstdAmt Ccy="USD">99.99</InstdAmt>
      </UndrlygCstmrCdtTrf>
    </CdtTrfTxInf>"""


def changed(text: str, *changes: tuple[str, str]) -> bytes:
    """Return a message with some texts replaced, each at its first place."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()
