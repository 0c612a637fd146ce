"""Messages to the clearing house over HTTP: who may deliver, what is answered, and that bad messages store nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.clearing.test_gateway import transfer
from tests.clearing.world import CODES, NORTH_BANK, SOUTH_BANK, Place, message_key, place, uetr
from tests.iso20022 import valid_messages
from tests.iso20022.test_bad_messages import BAD
from tests.server.world import logged_in, served

from sycee import cli
from sycee.clearing import instructions, quotes, tables
from sycee.client import Client, Credentials, InvalidRequest, NotFound, api
from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.keys import SigningKey
from sycee.database.transactions import write
from sycee.iso20022.messages import read
from sycee.server.auth.clients import Clients
from sycee.server.tables import SCHEMA

MESSAGES = f"/v1/operators/{NORTH_BANK}/clearing/messages"
PAYMENTS = f"/v1/operators/{NORTH_BANK}/clearing/payments"
XML = {"Content-Type": "application/xml"}
BAD_SAMPLE = 60
PROGRAM = SigningKey.derive(bytes([170]) * 32)


@dataclass(frozen=True)
class Served:
    """A bank with a house that is served, with a person of North Bank and one of South Bank logged in."""

    house: Place
    address: str
    north: httpx.Client
    south: httpx.Client
    program: Credentials  # of North Bank

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
        clients = Clients(bank.stores, bank.people, RealClock())
        made = clients.register(people[0], PROGRAM.public, by=house.maker, name="payments", operator=NORTH_BANK)
        with (
            served(bank) as address,
            logged_in(bank, address, people[0]) as north,
            logged_in(bank, address, people[1]) as south,
        ):
            yield Served(house, address, north, south, Credentials(ids.format(made.id), PROGRAM))
        assert bank.check() == []


def statuses(answer: bytes) -> list[tuple[str, str, str]]:
    return [
        (each.uetr, each.status, each.reasons[0].code if each.reasons else "") for each in read(answer).value.payments
    ]


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
        (b"{}", {"Content-Type": "application/json"}, 415, "the body is application/json"),
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
    PROGRAM.save(tmp_path / "program.pem")
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
    code, out, err = call("queue", operator, "--state", "refused")
    assert (code, uetr(51) in out, "RC04" in out) == (0, True, True), err
    code, out, err = call("queue", operator, "--state", "lost")
    assert (code, "query.state" in err) == (2, True), err
    assert call("deliver", str(SOUTH_BANK), str(folder))[0] != 0
    assert call("settle", str(folder))[0] == 2
