"""Payments of messages: whom they concern, which facts they add, what is decided, and the report of their status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from tests.compliance.service.world import NETWORK, TODAY, Desk, changed, rule
from tests.iso20022.messages import COVERED, CUSTOMERS, INSTITUTIONS, UETR
from tests.iso20022.messages import changed as message

from sycee.compliance import declarations
from sycee.compliance.enforcement.payment_messages import Directory, requests, status_report
from sycee.compliance.enforcement.screening import PaymentRequest, UnreadableFlow
from sycee.compliance.enforcement.transfer_groups import TransferGroup
from sycee.compliance.facts import Network
from sycee.core.errors import UsageError
from sycee.iso20022.credit_transfers import Agent, parse
from sycee.iso20022.reading import MessageError

LEI: Final = "5493001KJTIIGC8Y1R12"
OTHER_LEI: Final = "21380068P1DRHMJ8KU70"
BICS: Final = [
    ('id = "bank-a"', 'id = "bank-a"\nbic = "BANKAAAA"'),
    ('id = "bank-b"', 'id = "bank-b"\nbic = "BANKBBBBXXX"'),
    ('id = "bank-c"', 'id = "bank-c"\nbic = "BANKCCCC"'),
]


def declared(*changes: tuple[str, str]) -> Network:
    return declarations.parse(changed(NETWORK, *BICS, *changes), "network.toml")


def mapped(text: bytes, network: Network | None = None) -> list[PaymentRequest]:
    (found,) = requests(parse(text), network or declared(), TODAY)
    return list(found)


def facts(text: bytes, *changes: tuple[str, str]) -> dict[str, Any]:
    (found,) = mapped(text, declared(*changes))
    return dict(found.facts)


# --- participants ---


@pytest.mark.fast
@pytest.mark.parametrize(
    ("agent", "found"),
    [
        (Agent(bic="BANKAAAA"), "bank-a"),
        (Agent(bic="BANKAAAAXXX"), "bank-a"),
        (Agent(bic="BANKBBBB"), "bank-b"),
        (Agent(bic="BANKBBBB001"), "no-participant-with-bic-bankbbbb001"),
        (Agent(bic="BANKZZZZ"), "no-participant-with-bic-bankzzzz"),
        (Agent(lei=LEI), "bank-b"),
        (Agent(bic="BANKBBBB", lei=LEI), "bank-b"),
        (Agent(bic="BANKAAAA", lei=OTHER_LEI), "bank-a"),
        (Agent(bic="BANKBBBB", lei=OTHER_LEI), f"no-participant-with-bic-bankbbbb-and-lei-{OTHER_LEI.lower()}"),
        (Agent(bic="BANKZZZZ", lei=LEI), f"no-participant-with-bic-bankzzzz-and-lei-{LEI.lower()}"),
        (Agent(clearing="0210", name="Bank A"), "no-participant-without-bic-and-lei"),
    ],
)
def test_a_participant_by_its_codes(agent: Agent, found: str) -> None:
    network = declared(('id = "owner-b"\nidentifiers = []', f'id = "owner-b"\nidentifiers = ["lei:{LEI}"]'))
    assert Directory(network, TODAY).participant(agent) == found


@pytest.mark.fast
def test_a_code_of_two_participants_is_of_neither() -> None:
    network = declared(("BANKCCCC", "BANKBBBB"))
    assert Directory(network, TODAY).participant(Agent(bic="BANKBBBB")) == "several-participants-with-bic-bankbbbb"


# --- facts ---


@pytest.mark.fast
def test_facts_of_a_transfer_of_customers() -> None:
    network = declared(('purpose = "payment"\n', ""))  # so that no flow of payments is declared
    assert mapped(CUSTOMERS.encode(), network) == [
        PaymentRequest(
            UETR,
            "",
            {
                "from": "bank-a",
                "to": "bank-b",
                "purpose": "payment",
                "classes": ("payment", "personal", "financial", "identifiers", "account"),
                "currency": "EUR",
                "amount_minor": 123_450,
                "cross_border": True,
                "subject_states": ("AA", "BB"),
            },
        )
    ]


@pytest.mark.fast
def test_a_message_adds_to_the_declared_flow_and_takes_nothing_away() -> None:
    (found,) = mapped(CUSTOMERS.encode())
    assert (found.flow, found.payment) == ("retail", UETR)
    assert found.facts == {
        "classes": ("payment", "personal", "financial", "identifiers", "account"),
        "currency": "EUR",
        "amount_minor": 123_450,
        "cross_border": True,
        "subject_states": ("AA", "BB"),
    }
    more = 'classes = ["payment", "valuable-ip"]\nsubject_states = ["CC"]\namount_minor = 999_999\ncross_border = true'
    same_country = message(CUSTOMERS, ("<Ctry>BB", "<Ctry>AA"), ("<CtryOfRes>BB", "<CtryOfRes>AA"))
    wider = facts(same_country, ('classes = ["payment"]', more))
    assert wider["classes"] == ("payment", "valuable-ip", "personal", "financial", "identifiers", "account")
    assert wider["subject_states"] == ("CC", "AA")
    assert wider["amount_minor"] == 999_999
    assert "cross_border" in wider  # the agents are in two states


@pytest.mark.fast
def test_transfers_of_one_chain_differ_in_their_amounts() -> None:
    network = declared(('classes = ["payment"]', 'classes = ["payment"]\namount_minor = 999_999'))
    directory = Directory(network, TODAY)
    (transfer,) = parse(CUSTOMERS.encode()).transactions
    for minor, most in ((1, 999_999), (10**9, 10**9), (1, 999_999)):
        one = replace(transfer, amount=replace(transfer.amount, minor=minor))
        assert directory.requests(one, "P") == Directory(network, TODAY).requests(one, "P")
        assert [each.facts["amount_minor"] for each in directory.requests(one, "P")] == [most]


@pytest.mark.fast
def test_an_unnamed_state_leaves_the_states_of_persons_unknown() -> None:
    unnamed = message(CUSTOMERS, ("<PstlAdr><TwnNm>Town</TwnNm><Ctry>AA</Ctry></PstlAdr>", ""))
    no_flow = ('purpose = "payment"\n', "")
    assert "subject_states" not in facts(unnamed, no_flow)
    assert facts(CUSTOMERS.encode(), no_flow)["subject_states"] == ("AA", "BB")
    # A list that is declared is known to be complete, and BB adds to it.
    assert "subject_states" not in facts(unnamed)
    assert facts(unnamed, ('classes = ["payment"]', 'classes = []\nsubject_states = ["CC"]'))["subject_states"] == (
        "CC",
        "BB",
    )


@pytest.mark.fast
def test_a_payment_within_one_state_crosses_no_border() -> None:
    at_home = CUSTOMERS.replace("BANKBBBB", "BANKAA22").replace(">BB<", ">AA<").encode()
    own = ('purpose = "payment"\n', ""), ('bic = "BANKBBBBXXX"', 'bic = "BANKAA22"')
    assert facts(at_home, *own)["cross_border"] is False
    unnamed = at_home.replace(b"<TwnNm>Town</TwnNm><Ctry>AA</Ctry>", b"")
    assert "cross_border" not in facts(unnamed, *own)


@pytest.mark.fast
def test_each_step_and_each_currency_is_a_request() -> None:
    found = mapped(INSTITUTIONS.encode())
    assert [(each.facts["from"], each.facts["to"], each.facts["currency"]) for each in found] == [
        ("bank-a", "bank-c", "JPY"),
        ("bank-c", "bank-b", "JPY"),
    ]
    assert {each.payment for each in found} == {"MSG-2/E2E-2"}
    assert {each.facts["classes"] for each in found} == {("payment",)}
    covered = mapped(message(INSTITUTIONS, ("</CdtTrfTxInf>", COVERED)))
    assert [(each.facts["to"], each.facts["currency"]) for each in covered if "to" in each.facts] == [
        ("bank-c", "JPY"),
        ("bank-c", "USD"),
        ("bank-b", "JPY"),
        ("bank-b", "USD"),
        ("no-participant-with-bic-bankdddd", "JPY"),
        ("no-participant-with-bic-bankdddd", "USD"),
    ]
    assert all("personal" in each.facts["classes"] for each in covered)


@pytest.mark.fast
def test_the_larger_amount_in_one_currency_counts() -> None:
    found = mapped(message(CUSTOMERS, ("<ChrgBr>", '<InstdAmt Ccy="EUR">2000</InstdAmt><ChrgBr>')))
    assert [each.facts["amount_minor"] for each in found] == [200_000]


@pytest.mark.fast
def test_a_flow_in_another_currency_or_one_of_several_is_none() -> None:
    assert mapped(message(CUSTOMERS, ('Ccy="EUR"', 'Ccy="USD"')))[0].flow == ""
    second = '[[flows]]\nid = "second"\nfrom = "bank-a"\nto = "bank-b"\npurpose = "payment"\n\n[[flows]]\nid = "retail"'
    assert mapped(CUSTOMERS.encode(), declared(('[[flows]]\nid = "retail"', second)))[0].flow == ""


@pytest.mark.fast
def test_a_payment_within_one_participant_is_judged_once() -> None:
    found = mapped(CUSTOMERS.replace("BANKBBBB", "BANKAAAA").encode())
    assert [(each.facts["from"], each.facts["to"]) for each in found] == [("bank-a", "bank-a")]


# --- decisions ---


def admit(desk: Desk, *changes: tuple[str, str]) -> Desk:
    desk.declare(*BICS, *changes)
    for each in "ab":
        desk.compliance.admit(f"bank-{each}", by="desk")
    return desk


def test_a_message_is_screened_and_stored(desk: Desk) -> None:
    (made,) = admit(desk).compliance.screen_message(CUSTOMERS.encode(), by="gateway")
    assert (made.outcome, made.reason_code) == ("permitted", "")
    (stored,) = desk.compliance.screenings(UETR)
    assert [stored.record] == [each.record for each in made.decisions]
    assert desk.compliance.replay(stored.digest).digest == stored.digest


def test_a_rule_about_what_only_the_message_says_refuses_it(small: Desk) -> None:
    small.add(rule("persons", "flow", 'require = [{ fact = "classes", test = "none-in", values = ["identifiers"] }]'))
    (made,) = admit(small).compliance.screen_message(CUSTOMERS.encode(), by="gateway")
    assert (made.outcome, made.reason_code) == ("refused", "RR04")
    assert small.compliance.screen("retail", by="gateway").outcome == "permitted"


def test_one_step_that_is_refused_refuses_the_transfer(small: Desk) -> None:
    admit(small)
    (made,) = small.compliance.screen_message(INSTITUTIONS.encode(), by="gateway")
    assert (made.outcome, made.reason_code) == ("refused", "AGNT")  # bank-c is not admitted
    unknown = message(CUSTOMERS, ("<ChrgBr>", "<IntrmyAgt1><FinInstnId><Nm>X</Nm></FinInstnId></IntrmyAgt1><ChrgBr>"))
    (made,) = small.compliance.screen_message(unknown, by="gateway")
    assert (made.outcome, made.reason_code) == ("refused", "CH16")
    assert any(isinstance(each, UnreadableFlow) for each in made.decisions)
    assert "no-participant-without-bic-and-lei is not a declared participant" in made.decisions[-1].messages[0]


def test_nothing_of_a_bad_message_is_stored(small: Desk) -> None:
    with pytest.raises(MessageError):
        admit(small).compliance.screen_message(message(CUSTOMERS, (">1234.50<", ">x<")), by="gateway")
    assert small.compliance.screenings(UETR) == []


@pytest.mark.parametrize("reads_amounts", [False, True])
def test_groups_of_transfers_are_decided_as_one_by_one(small: Desk, reads_amounts: bool) -> None:
    """One group is permitted or is divided by amounts, one is refused, and one names a bank that nobody declared."""
    if reads_amounts:
        small.add(rule("small", "flow", 'require = [{ fact = "amount_minor", test = "at-most", limit = 2 }]'))
    admit(small)
    between = "<IntrmyAgt1><FinInstnId><BICFI>BANKZZZZ</BICFI></FinInstnId></IntrmyAgt1><ChrgBr>"
    groups = []
    for text in (CUSTOMERS, INSTITUTIONS, message(CUSTOMERS, ("<ChrgBr>", between))):
        transfer = parse(text.encode() if isinstance(text, str) else text).transactions[0]
        groups.append(TransferGroup(transfer, [f"{len(groups)}-{minor}" for minor in range(5)], [1, 3, 2, 3, 1]))
    found = small.compliance.screen_groups(groups, by="gateway")
    outcomes, stored = set(), []
    for group, parts in zip(groups, found, strict=True):
        assert sorted(row for part in parts for row in part.rows) == list(range(5))
        for part in parts:
            for at, row in enumerate(part.rows):
                amount = replace(group.transfer.amount, minor=group.minors[row])
                one = (group.references[row], replace(group.transfer, amount=amount))
                stored.append(small.compliance.screenings(group.references[row]))
                (alone,) = small.compliance.screen_transfers([one], by="gateway")
                assert [each[at] for each in part.digests] == [each.digest for each in alone.decisions]
                assert [each.record for each in stored[-1]] == [each.record for each in alone.decisions]
                outcomes.add((alone.outcome, {each.outcome for each in part.decisions} == {"permitted"}))
    assert outcomes == {("permitted", True), ("refused", False)}
    assert len(found[0]) == (3 if reads_amounts else 1)


def test_a_group_with_a_reference_that_cannot_be_stored_is_not_stored(small: Desk) -> None:
    admit(small)
    (transfer,) = parse(CUSTOMERS.encode()).transactions
    with pytest.raises(UsageError, match="cannot store"):
        small.compliance.screen_groups([TransferGroup(transfer, ["good", "a\0"], [1, 1])], by="gateway")
    assert small.compliance.screenings("good") == []


# --- the report of the status ---


def reported(content: bytes) -> list[tuple[str, str]]:
    root = ET.fromstring(content)  # noqa: S314 - our own
    return [(each.tag.partition("}")[2], each.text or "") for each in root.iter() if not len(each)]


def test_stored_records_give_the_status_of_each_transfer(small: Desk) -> None:
    admit(small)
    for content, status, code in ((CUSTOMERS, "ACCP", None), (INSTITUTIONS, "RJCT", "AGNT")):
        original = parse(content.encode())
        (made,) = small.compliance.screen_message(original, by="gateway")
        stored = small.compliance.screenings(made.decisions[0].payment)
        found = reported(status_report(original, [[each.record for each in stored]], "S-1", small.clock.now_ns()))
        assert ("TxSts", status) in found
        assert ("OrgnlMsgId", original.id) in found
        assert dict(found).get("Cd") == code
        deciding = next(each for each in stored if each.record["reason_code"] == (code or ""))
        assert ("AddtlInf", f"record {deciding.digest}") in found
        agents = [each.bic for each in (original.receiver, original.sender) if each]
        assert [text for name, text in found if name == "BICFI"] == agents
    with pytest.raises(UsageError, match="1 transfers and records of 0"):
        status_report(original, [], "S-1", 0)


def test_a_message_that_contradicts_its_flow_is_refused(small: Desk) -> None:
    """The flow denies that it crosses a border, and the agents are in two states."""
    small.add(rule("border", "flow", 'require = [{ fact = "cross_border", test = "declared" }]'))
    admit(small, ('purpose = "payment"\n', 'purpose = "payment"\ncross_border = false\n'))
    (made,) = small.compliance.screen_message(CUSTOMERS.encode(), by="gateway")
    assert (made.outcome, made.reason_code) == ("refused", "CH16")
    assert "cross_border" in made.decisions[0].messages[0]
