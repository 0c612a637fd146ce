"""Messages to the clearing house over HTTP: who may deliver, what is answered, and that bad messages store nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
from tests.bank.world import ANN, BOB
from tests.clearing import test_member_messages as messages
from tests.clearing.test_gateway import TODAY, transfer
from tests.clearing.test_inbox import customers, resolution
from tests.clearing.world import CODES, HOUSE_OPERATOR, NORTH_BANK, SOUTH_BANK, Place, message_key, place, uetr
from tests.iso20022 import valid_messages
from tests.iso20022.test_bad_messages import BAD
from tests.server.world import logged_in, new_id, served

from sycee import cli
from sycee.clearing import instructions, quotes, tables
from sycee.client import Client, Credentials, InvalidRequest, NotFound, api
from sycee.core import clock, ids
from sycee.core.keys import SigningKey
from sycee.database.events import EventKind, events_after
from sycee.database.transactions import write
from sycee.iso20022.messages import read
from sycee.server.auth.registers import Registers
from sycee.server.routes import clearing as routes
from sycee.server.tables import SCHEMA

MESSAGES = f"/v1/operators/{NORTH_BANK}/clearing/messages"
PAYMENTS = f"/v1/operators/{NORTH_BANK}/clearing/payments"
NORTHERN, SOUTHERN = (f"/v1/operators/{each}/clearing" for each in (NORTH_BANK, SOUTH_BANK))
XML = {"Content-Type": "application/xml"}
JSON = {"Content-Type": "application/json"}
BAD_SAMPLE = 60
PROGRAMS = tuple(SigningKey.derive(bytes([number]) * 32) for number in (170, 171, 172))


@dataclass(frozen=True)
class Served:
    """A bank with a house that is served, with persons of North Bank, South Bank and the board logged in."""

    house: Place
    address: str
    north: httpx.Client
    south: httpx.Client
    officer: httpx.Client
    programs: Mapping[int, Credentials]  # by operator, 0 for one of an officer

    @property
    def program(self) -> Credentials:
        """The program of North Bank."""
        return self.programs[NORTH_BANK]

    @property
    def origin(self) -> str:
        return self.house.bank.config.text("http_origin")

    def signature(self, content: bytes, participant: int = NORTH_BANK) -> bytes:
        ledger_id = self.house.bank.stores.ledger.ledger_id
        return instructions.sign(content, message_key(participant), ledger_id=ledger_id, participant=participant)

    def send(self, content: bytes, *, client: httpx.Client | None = None, **query: str) -> httpx.Response:
        """Deliver a message of North Bank."""
        query = {"signature": self.signature(content).hex()} | query
        return (client or self.north).post(MESSAGES, content=content, params=query, headers=XML)

    def send_from_south(self, content: bytes) -> httpx.Response:
        """Deliver a message of South Bank."""
        query = {"signature": self.signature(content, SOUTH_BANK).hex()}
        return self.south.post(f"{SOUTHERN}/messages", content=content, params=query, headers=XML)

    def count(self) -> int:
        return len(self.house.bank.clearing.payments.page())

    def forget_answer(self, message: int, **values: str) -> None:
        chosen = tables.MESSAGES.update().where(tables.MESSAGES.c.message == message).values(answer=None, **values)
        write(self.house.bank.stores.engine, lambda connection: connection.execute(chosen))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with place(tmp_path_factory.mktemp("served")) as house:
        bank, people = house.bank, (house.person(NORTH_BANK), house.person(SOUTH_BANK))
        bank.add_schema(SCHEMA)
        clients = Registers(bank).clients
        programs = {
            operator: Credentials(
                ids.format(
                    clients.register(who, key.public, by=house.maker, name="payments", operator=operator or None).id
                ),
                key,
            )
            for operator, who, key in zip((NORTH_BANK, SOUTH_BANK, 0), (*people, house.maker), PROGRAMS, strict=True)
        }
        with (
            served(bank) as address,
            logged_in(bank, address, people[0]) as north,
            logged_in(bank, address, people[1]) as south,
            logged_in(bank, address, house.maker) as officer,
        ):
            yield Served(house, address, north, south, officer, programs)
        assert bank.check() == []


def statuses(answer: bytes) -> list[tuple[str, str, str]]:
    return [
        (each.uetr, each.status, each.reasons[0].code if each.reasons else "") for each in read(answer).value.payments
    ]


def test_a_server_with_the_key_of_the_house_settles_on_arrival(town: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    clearing = town.house.bank.clearing
    monkeypatch.setattr(clearing, "_arrived", None)  # and back at the end: other tests serve without the key
    clearing.settle_on_arrival(**town.house.signing, failed=routes.not_settled)  # type: ignore[arg-type]
    content = transfer(801)
    first = town.send(content)
    assert (first.status_code, statuses(first.content)) == (201, [(uetr(801), "ACSC", "")])
    assert (again := town.send(content)).content == first.content
    assert again.status_code == 200
    back = transfer(802, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK])
    assert statuses(town.send_from_south(back).content) == [(uetr(802), "ACSC", "")]


def test_a_message_is_answered_and_a_repetition_gets_the_first_answer(town: Served) -> None:
    content = transfer(1, 2)
    first = town.send(content)
    assert (first.status_code, first.headers["content-type"]) == (201, "application/xml")
    assert first.headers["sycee-payments"] == "stored=2, duplicates=0, refused=0"
    assert statuses(first.content) == [(uetr(1), "PDNG", ""), (uetr(2), "PDNG", "")]
    town.house.release()
    again = town.send(content)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["sycee-payments"] == "stored=0, duplicates=2, refused=0"
    other = town.send(transfer(3).replace(b">M3<", b">M1<"))  # the id of the first message, for another payment
    assert (other.status_code, statuses(other.content)) == (200, [(uetr(3), "RJCT", "DU01")])


def test_stored_answers_and_payments_are_read_after_a_number(town: Served) -> None:
    sent = [town.send(transfer(10 + each)).content for each in range(3)]
    everything = town.north.get(MESSAGES).json()
    assert everything["next"] is None
    rows = everything["rows"][-3:]
    assert [each["answer"].encode() for each in rows] == sent
    assert [(each["business_id"], each["kind"]) for each in rows] == [
        (f"M{number}", "pacs.009.001.08") for number in (10, 11, 12)
    ]
    later = town.north.get(MESSAGES, params={"after": rows[0]["number"], "limit": 1}).json()
    assert later["rows"] == [rows[1]]
    assert town.north.get(MESSAGES, params={"cursor": later["next"]}).json()["rows"] == [rows[2]]
    read_page = town.house.bank.clearing.messages.page  # of few bytes, which no answer fits
    one, has_more = read_page(NORTH_BANK, after=rows[0]["number"], answer_bytes_max=1)
    assert ([each.number for each in one], has_more) == ([rows[1]["number"]], True)
    two, has_more = read_page(NORTH_BANK, after=rows[0]["number"], answer_bytes_max=len(sent[1]) + len(sent[2]))
    assert ([each.number for each in two], has_more) == ([each["number"] for each in rows[1:]], False)
    paid = town.north.get(PAYMENTS, params={"state": "queued"}).json()["rows"]
    assert [each["uetr"] for each in paid[-3:]] == [uetr(10), uetr(11), uetr(12)]
    assert (paid[-1]["sender"], paid[-1]["receiver"]) == (CODES[NORTH_BANK], CODES[SOUTH_BANK])
    assert (paid[-1]["amount"], paid[-1]["currency"], paid[-1]["booked"]) == ("100", "CNY", None)
    seen = town.south.get(f"/v1/operators/{SOUTH_BANK}/clearing/payments", params={"state": "queued"}).json()["rows"]
    assert [each["uetr"] for each in seen[-3:]] == [uetr(10), uetr(11), uetr(12)]


def test_messages_of_each_kind_are_answered(town: Served) -> None:
    town.send(transfer(60))
    town.send(transfer(61, minor=10**9))
    town.house.release()
    returned = town.send_from_south(messages.returned("H1", 60))
    assert (returned.status_code, statuses(returned.content)) == (201, [(uetr(60), "PDNG", "")])
    town.house.release()
    assert town.house.states(60) == ["returned"]
    for content, name in (
        (messages.pay_out("H2", 1), "camt.025.001.08"),
        (messages.cancel("H3", 61), "camt.029.001.09"),
        (messages.report("H4", "camt.052.001.08", first_day=TODAY), "camt.052.001.08"),
        (messages.report("H5", "camt.053.001.08", first_day=TODAY), "camt.053.001.08"),
        (messages.ask("H6", 61), "pacs.002.001.10"),
    ):
        first = town.send(content)
        assert (first.status_code, read(first.content).name) == (200, name), first.text
        assert first.headers["sycee-payments"] == "stored=0, duplicates=0, refused=0"
        assert town.send(content).content == first.content
    assert statuses(first.content) == [(uetr(61), "CANC", "DS02")]
    assert town.house.bank.clearing.pay_outs.perform(**town.house.signing) == (1, 0)


def test_what_is_forwarded_is_read_by_its_receiver(town: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = town.send(customers((64, CODES[SOUTH_BANK])))
    assert (sent.status_code, statuses(sent.content)) == (201, [(uetr(64), "PDNG", "")])
    assert town.house.release()[0] >= 1
    assert statuses(town.send(messages.ask("H8", 64)).content) == [(uetr(64), "ACSC", "")]
    assert read(town.send(messages.cancel("H9", 64)).content).value.status == "PDCR"
    rows = town.south.get(f"{SOUTHERN}/inbox").json()["rows"]
    assert [each["kind"] for each in rows] == ["pacs.008.001.08", "camt.056.001.08"]
    assert read(rows[0]["content"].encode()).value.transactions[0].creditor.name == "Bea"
    page = town.south.get(f"{SOUTHERN}/inbox", params={"limit": 1}).json()
    assert town.south.get(f"{SOUTHERN}/inbox", params={"cursor": page["next"]}).json()["rows"] == rows[1:]
    with monkeypatch.context() as small:
        small.setattr(routes, "INBOX_READ_MAX", 1)  # a page ends before it reads a second message
        page = town.south.get(f"{SOUTHERN}/inbox").json()
        assert page["rows"] == rows[:1]
        assert town.south.get(f"{SOUTHERN}/inbox", params={"cursor": page["next"]}).json()["rows"] == rows[1:]
    source = town.house.bank.clearing.inbox.page(SOUTH_BANK)[0].source
    with changed_part(town, source, 9):
        damaged, other = town.south.get(f"{SOUTHERN}/inbox").json()["rows"]
    assert (other, damaged["number"], damaged["content"]) == (rows[1], rows[0]["number"], None)
    assert damaged["problem"].startswith(f"inbox message {damaged['number']} cannot be made: the delivery has no pacs")
    assert town.north.get(f"{SOUTHERN}/inbox").status_code == 404
    answer = town.send_from_south(resolution("H10", 64, status="RJCR"))
    assert (answer.status_code, read(answer.content).name) == (200, "admi.007.001.01")
    with Client(town.address, town.program, origin=town.origin) as bank:
        (told,) = bank.rows(api.clearing_inbox(NORTH_BANK))
    assert told.content is not None
    assert (told.kind, read(told.content.encode()).value.status) == ("camt.029.001.09", "RJCR")


@contextmanager
def changed_part(town: Served, message: int, part: int) -> Iterator[None]:
    """Damage a stored message: it names another part of its delivery."""
    chosen = tables.MESSAGES.update().where(tables.MESSAGES.c.message == message)
    before = town.house.bank.clearing.receiving.place(message).part
    for each in (part, before):
        write(town.house.bank.stores.engine, lambda c, each=each: c.execute(chosen.values(part=each)))  # type: ignore[misc]
        if each == part:
            yield


def test_both_sides_of_a_payment_against_payment_are_delivered(town: Served) -> None:
    north = messages.paired(62, 63, "HKD5.00", minor=7_00)
    south = messages.paired(
        63, 62, "CNY7.00", sender=SOUTH_BANK, receiver=CODES[NORTH_BANK], minor=5_00, currency="HKD"
    )
    first, second = town.send(north), town.send_from_south(south)
    assert (first.status_code, statuses(first.content)) == (201, [(uetr(62), "PDNG", "")])
    assert (second.status_code, statuses(second.content)) == (201, [(uetr(63), "PDNG", "")])
    assert town.house.states(62, 63) == ["queued", "queued"]
    (paid,) = [row for row in town.south.get(f"{SOUTHERN}/payments").json()["rows"] if row["uetr"] == uetr(62)]
    assert (paid["amount"], paid["currency"], paid["back_amount"], paid["back_currency"]) == (
        "700",
        "CNY",
        "500",
        "HKD",
    )
    town.send_from_south(messages.cancel("H7", 63, sender=messages.SOUTH))
    assert town.house.states(62, 63) == ["cancelled", "cancelled"]


def test_a_quote_is_given_and_accepted(town: Served) -> None:
    asked = {"id": new_id(), "takes": "CNY", "gives": "HKD", "most": "50000", "valid_s": 60}
    assert town.south.post(f"{SOUTHERN}/corridors", json=asked).status_code == 403
    made = town.officer.post(f"{SOUTHERN}/corridors", json=asked)
    assert (made.status_code, town.officer.post(f"{SOUTHERN}/corridors", json=asked).status_code) == (201, 200)
    house = SOUTHERN.replace(f"/{SOUTH_BANK}/", f"/{HOUSE_OPERATOR}/")  # an operator that is no participant
    assert town.officer.post(f"{house}/corridors", json=asked | {"id": new_id()}).status_code == 404
    assert town.south.get(f"{SOUTHERN}/corridors").json()["rows"] == []
    assert town.house.bank.proposals.sign(ids.parse(made.json()["proposal"]), ANN, BOB).needs == ()
    (row,) = town.south.get(f"{SOUTHERN}/corridors").json()["rows"]
    assert row == {"takes": "CNY", "gives": "HKD", "most": "50000", "valid_s": 60}
    assert town.south.get(f"{SOUTHERN}/participant").json() == {
        "participant": SOUTH_BANK, "code": CODES[SOUTH_BANK], "currencies": ["CNY", "HKD"],
    }  # fmt: skip

    until_ns = town.house.bank.stores.clock.now_ns() + 60 * 10**9
    quoted = quotes.Quote(8, CODES[SOUTH_BANK], "CNY", "HKD", Fraction("1.0912"), 1_00, 300_00, until_ns)

    def give(content: bytes, participant: int = SOUTH_BANK, kind: str = "application/json") -> httpx.Response:
        query = {"signature": town.signature(content, participant).hex()}
        return town.south.post(f"{SOUTHERN}/quotes", content=content, params=query, headers={"Content-Type": kind})

    for answer, status, words in (
        (give(quoted.content(), NORTH_BANK), 400, "the signature is not operator 3's"),
        (give(replace(quoted, provider=CODES[NORTH_BANK]).content()), 400, "it is NORTCNB1XXX's"),
        (give(replace(quoted, most_minor=500_01).content()), 400, "offers at most 500.00 CNY"),
        (give(b"{}"), 400, "the member format"),
        (give(rb'{"format": "\ud800"}'), 400, "it is no JSON"),
        (give(b""), 400, "the body is empty"),
        (give(quoted.content(), kind="application/xml"), 415, "the body is 'application/xml'"),
    ):
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    given = give(quoted.content())
    assert (given.status_code, give(quoted.content()).status_code) == (201, 200), given.text
    assert (given.json()["digest"], given.json()["left"]) == (quoted.digest, "30000")
    assert town.north.get(f"{NORTHERN}/quotes").json()["rows"] == [given.json()]
    assert town.north.get(f"{NORTHERN}/quotes/{ids.format(8)}").json() == given.json()
    assert town.north.get(f"{NORTHERN}/quotes/{new_id()}").status_code == 404
    assert town.north.get(f"{SOUTHERN}/quotes").status_code == 404

    content = quotes.Acceptance(8, quoted.digest, CODES[NORTH_BANK], uetr(70), 33_33, 36_36).content()
    query = {"signature": town.signature(content).hex()}
    accepted, again = (town.north.post(f"{NORTHERN}/acceptances", content=content, params=query, headers=JSON)
                       for _ in range(2))  # fmt: skip
    assert (accepted.status_code, again.status_code, again.json()) == (201, 200, accepted.json()), accepted.text
    paid = accepted.json()
    assert (paid["uetr"], paid["state"], paid["amount"], paid["back_amount"]) == (uetr(70), "queued", "3333", "3636")
    wrong = town.north.post(f"{NORTHERN}/acceptances", content=content, params={"signature": "0" * 128}, headers=JSON)
    assert (wrong.status_code, town.north.get(f"{NORTHERN}/quotes").json()["rows"][0]["left"]) == (400, "26667")
    content = content.replace(ids.format(8).encode(), ids.format(9).encode())
    query = {"signature": town.signature(content).hex()}
    unknown = town.north.post(f"{NORTHERN}/acceptances", content=content, params=query, headers=JSON)
    assert unknown.status_code == 404, unknown.text
    events = events_after(town.house.bank.stores.engine, 0, most=1_000)
    assert [
        (each.subject, each.operator, each.data) for each in events if each.kind is EventKind.CLEARING_ACCEPTED
    ] == [(ids.format(8), SOUTH_BANK, {"uetr": uetr(70), "takes": {"CNY": "3333"}, "gives": {"HKD": "3636"}})]
    town.house.bank.clearing.payments.cancel(NORTH_BANK, [uetr(70)])


def test_a_statement_is_compared_with_positions(town: Served) -> None:
    town.send(transfer(71, minor=7_00))
    town.house.release()
    content = town.send(messages.report("H20", "camt.053.001.08", first_day=TODAY)).content
    path = f"{NORTHERN}/reconciliations"

    def compare(body: bytes, client: httpx.Client = town.north, kind: str = "application/xml") -> httpx.Response:
        return client.post(path, content=body, headers={"Content-Type": kind})

    same = compare(content)
    assert same.status_code == 200, same.text
    statements = same.json()["statements"]
    assert [each["currency"] for each in statements] == ["CNY", "HKD"]
    assert all(each["breaks"] == [] and each["pending"] == 0 for each in statements)
    assert statements[0]["agreed"] > 0
    own = town.house.funds(NORTH_BANK).minor
    sums = [f">{minor / 100:.2f}<".encode() for minor in (own, own - 50)]
    changed = content.replace(b">7.00<", b">7.50<").replace(*sums)
    wrong = compare(changed)
    assert wrong.status_code == 200, wrong.text
    (found,) = wrong.json()["statements"][0]["breaks"]
    assert found == {
        "cause": "amount differs", "reference": uetr(71), "stated": "-750", "booked": "-700", "difference": "-50",
    }  # fmt: skip
    with Client(town.address, town.program, origin=town.origin) as bank:
        (yuan, _) = bank.do(api.compare_statement(NORTH_BANK, changed))
        assert (yuan.currency, [(each.cause, each.difference_minor) for each in yuan.breaks]) == (
            "CNY", [("amount differs", -50)],
        )  # fmt: skip
        with pytest.raises(InvalidRequest, match="the message is a pacs"):
            bank.do(api.compare_statement(NORTH_BANK, transfer(73)))
    before = town.count()
    for answer, status, words in (
        (compare(transfer(73)), 400, "the message is a pacs.009.001.08"),
        (compare(b"hello"), 400, "is not XML"),
        (compare(content.replace(b">7.00<", b">7.50<")), 400, "Bal"),
        (compare(content.replace(b"<Bal>", b"<Ball>", 1).replace(b"</Bal>", b"</Ball>", 1)), 400, "Ball"),
        (compare(b""), 400, "the body is empty"),
        (compare(content, kind="application/json"), 415, "the body is 'application/json'"),
        (compare(content.replace(b"CNY", b"MOP")), 400, "no open position in MOP"),
        (compare(content, client=town.south), 404, "participant of the clearing house"),
        (compare(content, client=town.officer), 403, "may not request clearing.deliver"),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        assert words in answer.json()["detail"], answer.text
    assert compare(b"hello").json()["code"] == "FF01"
    assert town.count() == before


def test_nobody_acts_for_another_bank(town: Served) -> None:
    before, content = town.count(), transfer(20)
    for path in (MESSAGES, PAYMENTS):
        assert town.south.get(path).status_code == 404
    assert town.send(content, client=town.south).status_code == 404
    with httpx.Client(base_url=town.address) as nobody:
        assert town.send(content, client=nobody).status_code == 401
    # South's payment, which North delivers and signs.
    foreign = town.send(transfer(21, sender=SOUTH_BANK, receiver=CODES[NORTH_BANK]))
    (group,) = read(foreign.content).value.groups
    assert (foreign.status_code, group.status) == (200, "RJCT")
    assert "SOUTCNB1XXX sends it" in " ".join(group.reasons[0].information)
    # A message of North that South signed.
    wrong = town.send(content, signature=town.signature(content, SOUTH_BANK).hex())
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/invalid-request")
    assert "the signature is not operator 2's" in wrong.json()["detail"]
    assert town.count() == before


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"", XML, 400, "the body is empty"),
        (b"{}", {"Content-Type": "application/json"}, 415, "the body is 'application/json'"),
        (b"hello", XML, 400, "is not XML"),
        (b"<!DOCTYPE a><a/>", XML, 400, "has a <!DOCTYPE"),
        (b"<a/>", XML, 400, "has no elements Document"),
        (b"<Document/>", XML, 400, "has the namespace"),
        (b"x" * (2 << 20), XML, 413, "bytes"),
    ],
)
def test_what_is_no_message_is_a_problem(
    town: Served, content: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = town.north.post(MESSAGES, content=content, params={"signature": "0" * 128}, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    if words.startswith("has") or "XML" in words:
        assert answer.json()["code"] == "FF01"


def test_bad_messages_are_refused_and_store_nothing(town: Served) -> None:
    before = town.count()
    drawn = random.Random(18).sample(BAD, BAD_SAMPLE)
    for name, text, replacement, *_ in drawn:
        answer = town.send(valid_messages.content(name).replace(text, replacement, 1).encode())
        if answer.status_code == 400:
            assert answer.json()["code"] == "FF01", answer.text
            continue
        assert answer.status_code == 200, (name, text, answer.text)
        made = read(answer.content)
        assert made.name in ("pacs.002.001.10", "admi.002.001.01", "camt.025.001.08"), made.name
        assert answer.headers["sycee-payments"].startswith("stored=0, "), (name, text)
    assert town.count() == before


def test_a_start_answers_what_a_crash_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with place(tmp_path) as house:
        messages.crashed(house, monkeypatch, transfer(1))
        assert messages.answer_of(house, NORTH_BANK, "M1") is None
        with served(house.bank):
            answer = messages.answer_of(house, NORTH_BANK, "M1")
        assert messages.status_rows_of(answer or b"") == [(uetr(1), "PDNG", "")]


def test_a_program_delivers_reads_and_follows_events(town: Served) -> None:
    content = transfer(40)
    with Client(town.address, town.program, origin=town.origin) as bank:
        call = api.deliver_message(NORTH_BANK, content, town.signature(content))
        done = bank.do(call)
        assert (done.stored, done.duplicates, done.refused) == (1, 0, 0)
        assert bank.do(call).answer == done.answer
        (message,) = [each for each in bank.rows(api.clearing_messages(NORTH_BANK)) if each.business_id == "M40"]
        assert message.answer == done.answer.decode()
        later = list(bank.rows(api.clearing_messages(NORTH_BANK, after=message.number)))
        assert all(each.number > message.number for each in later)
        with pytest.raises(NotFound):
            bank.do(api.clearing_payments(SOUTH_BANK))
        with pytest.raises(InvalidRequest, match="the signature is not"):
            bank.do(api.deliver_message(NORTH_BANK, content, bytes(64)))
        town.house.release()
        (paid,) = [each for each in bank.rows(api.clearing_payments(NORTH_BANK)) if each.uetr == uetr(40)]
        assert (paid.state, paid.amount_minor, paid.back_amount_minor) == ("booked", 100, None)
        assert paid.booked is not None
        for event in bank.events("0.0.0"):
            if event.type == "clearing.settled":
                assert event.data["operator"] == NORTH_BANK
                assert set(event.data["data"]["CNY"]) == {"paid", "received"}
                break


def test_files_are_delivered_from_the_command_line(
    town: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town.send(customers((69, CODES[SOUTH_BANK])))  # its return is refused: a message in the inbox
    town.house.release()
    town.send(messages.cancel("H18", 69))
    town.send_from_south(resolution("H19", 69, status="RJCR"))
    town.program.key.save(tmp_path / "program.pem")
    login = ["--server", town.address, "--client", town.program.client, "--origin", town.origin]
    login += ["--client-key", str(tmp_path / "program.pem")]
    folder, operator = tmp_path / "out", str(NORTH_BANK)
    folder.mkdir()
    for name, content in (("a", transfer(50)), ("b", transfer(51, receiver="NOBDCNB1XXX")), ("c", b"hello")):
        (folder / f"{name}.xml").write_bytes(content)
        (folder / f"{name}.xml.sig").write_text(town.signature(content).hex(), encoding="ascii")

    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(["clearing", *words, *login])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    code, out, err = call("deliver", operator, str(folder))
    assert (code, out) == (1, "3 files: 2 payments stored, 0 there before, 2 refused\n"), err
    assert "c.xml is refused: the body:1: is not XML" in err
    assert statuses((folder / "b.answer.xml").read_bytes()) == [(uetr(51), "RJCT", "RC04")]
    code, out, err = call("deliver", operator, str(folder))
    assert (code, out) == (1, "1 file: 0 payments stored, 0 there before, 1 refused\n"), err
    code, out, err = call("answers", operator, str(tmp_path / "answers"))
    number = int(out.rpartition(" ")[2])
    assert (code, (tmp_path / "answers" / f"{number}.xml").read_bytes()) == (0, (folder / "b.answer.xml").read_bytes())
    assert call("answers", operator, str(tmp_path / "more"), "--after", str(number))[1] == (
        f"0 answers written; the last number is {number}\n"
    )
    town.forget_answer(number)  # as a crash between the message and its answer leaves it
    code, out, err = call("answers", operator, str(tmp_path / "again"), "--after", str(number - 1))
    assert (code, out) == (0, f"0 answers written; the last number is {number - 1}\n")
    assert "1 message without an answer: deliver the file again" in err
    town.forget_answer(number, kind=quotes.QUOTE)  # which gets no answer
    code, out, err = call("answers", operator, str(tmp_path / "again"), "--after", str(number - 1))
    assert (code, out, err) == (0, f"0 answers written; the last number is {number}\n", "")
    code, out, err = call("inbox", operator, str(tmp_path / "inbox"), "--after", "0")
    told = town.house.bank.clearing.inbox.page(NORTH_BANK)
    last = max([each.number for each in told], default=0)
    assert (code, out.partition("; ")[2]) == (0, f"the last number is {last}\n"), err
    assert {each.name for each in tmp_path.glob("inbox/*")} == {f"{each.number}.xml" for each in told}
    with changed_part(town, told[-1].source, 9):
        code, out, err = call("inbox", operator, str(tmp_path / "damaged"))
    damaged = [each.number for each in told if each.source == told[-1].source]
    words = f"inbox message {damaged[0]} cannot be made: the delivery has no "
    earlier = max([each.number for each in told if each.number < damaged[0]], default=0)
    assert (code, words in err, f"the last number is {earlier}\n" in out) == (3, True, True), (out, err)
    code, out, err = call("queue", operator, "--state", "refused")
    assert (code, uetr(51) in out, "RC04" in out) == (0, True, True), err
    code, out, err = call("queue", operator, "--state", "lost")
    assert (code, "query.state" in err) == (2, True), err
    assert call("deliver", str(SOUTH_BANK), str(folder))[0] != 0
    assert call("settle", str(folder))[0] == 2


def test_quotes_from_the_command_line(
    town: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """South Bank may quote Hong Kong dollars, takes yuan, and its own person delivers; North Bank accepts."""
    bank = town.house.bank
    monkeypatch.setattr(clock, "RealClock", lambda: bank.stores.clock)  # of the command: the bank is a rehearsal
    for operator, each in town.programs.items():
        each.key.save(tmp_path / f"{operator}.pem")
    for participant in (NORTH_BANK, SOUTH_BANK):
        message_key(participant).save(tmp_path / f"message-{participant}.pem")

    def call(who: int, *words: str) -> tuple[int, str, str]:
        login = ["--server", town.address, "--client", town.programs[who].client, "--origin", town.origin]
        code = cli.main(["clearing", *words, *login, "--client-key", str(tmp_path / f"{who}.pem")])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    pair = (str(SOUTH_BANK), "HKD", "CNY")
    code, out, err = call(0, "corridor", *pair, "--most", "500", "--valid", "60")
    found = re.fullmatch(r"proposal (\S+) needs: .+\n", out)
    assert (code, found is not None) == (0, True), err
    assert found is not None
    assert bank.proposals.sign(ids.parse(found[1]), ANN, BOB).needs == ()
    own = ["--message-key", str(tmp_path / f"message-{SOUTH_BANK}.pem")]
    code, out, err = call(SOUTH_BANK, "quote", *pair, "0.9", "--most", "300", *own)
    quoted = re.fullmatch(r"quote (\S+): 9/10 CNY for 1 HKD, until .+ UTC\n", out)
    assert (code, quoted is not None) == (0, True), (out, err)
    assert quoted is not None
    code, out, err = call(SOUTH_BANK, "quote", *pair, "0.9", "--most", "501", *own)
    assert (code, "offers at most 500.00 HKD" in err) == (2, True), err
    code, out, err = call(NORTH_BANK, "quotes", str(NORTH_BANK), "--json")
    assert (code, quoted[1] in out, '"left": "300.00"' in out) == (0, True, True), (out, err)
    own = ["--message-key", str(tmp_path / f"message-{NORTH_BANK}.pem"), "--uetr", uetr(80)]
    for _ in range(2):  # the second time repeats an attempt without an answer
        code, out, err = call(NORTH_BANK, "accept", str(NORTH_BANK), quoted[1], "10.01", *own)
        assert (code, out.partition(", ")[2]) == (0, f"{uetr(80)}: pays 10.01 HKD, gets 9.00 CNY\n"), err
    assert bank.clearing.payments.get(uetr(80)).state == "queued"
    for wrong, words in ((["--message-key", "none.pem"], "none.pem"), ([*own[:2], "--uetr", "x"], "'x' is no UETR")):
        code, out, err = call(NORTH_BANK, "accept", str(NORTH_BANK), quoted[1], "10.01", *wrong)
        assert (code, words in err) == (2, True), err
    code, out, err = call(NORTH_BANK, "accept", str(NORTH_BANK), quoted[1], "1000", *own[:2])
    assert (code, "is accepted for 0.01 HKD to 289.99 HKD; got 1,000.00 HKD" in err) == (2, True), err
    bank.clearing.payments.cancel(NORTH_BANK, [uetr(80)])
