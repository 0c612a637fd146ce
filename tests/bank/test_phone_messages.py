"""Delivery of codes and notices by a program or into a folder."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.processes import PROCESSES
from tests.wallets import world
from tests.wallets.test_aliases import proof
from tests.wallets.world import LEO_KEY, Town

from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Delivered, Delivery, Message, OutboxFolder, Program
from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.retries import RETRY_S, Answer
from sycee.database.transactions import write
from sycee.life.notices import LOGIN_CODE, LOGIN_CREATED

CODE = "half-of-a-code"
PHONE = "+8613800000001"  # of Leo
OTHER_PHONE = "+8613877770001"
S = 10**9
FIRST, SECOND = 0x0193_7000_0000_0000_8000_0000_0000_0001, 0x0193_7000_0000_0000_8000_0000_0000_0002


@dataclass
class Way:
    """A way that keeps what it gets, and gives these answers, then takes."""

    answers: list[Answer] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> Answer:
        self.taken.append(message)
        return self.answers.pop(0) if self.answers else Answer(204, "")

    def close(self) -> None:
        pass


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with world.bank("sqlite", tmp_path) as made:
        made.bank.life.outbox.machine = SimulatedClock(10**18)
        yield made


def addressed(bank: Bank, id: int, text: str, **named: object) -> None:
    leo = world.town(bank).holder(world.town(bank).leo)
    message = bank.life.addressed(leo, text, **named)  # type: ignore[arg-type]
    assert message is not None
    write(bank.stores.engine, lambda connection: bank.life.outbox.send(connection, id, message))


def asked(town: Town) -> str:
    """Let Leo's wallet ask for a code to another phone; return the challenge."""
    signed = proof(town, town.leo, OTHER_PHONE, LEO_KEY)
    return ids.format(town.bank.aliases.challenge(town.leo, OTHER_PHONE, proof=signed, by=town.holder(town.leo)))


def program(folder: Path, body: str) -> Program:
    path = folder / "send.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return Program(path)


def test_a_program_gets_codes_first_and_then_notices(town: Town, tmp_path: Path) -> None:
    addressed(town.bank, FIRST, LOGIN_CREATED)
    addressed(town.bank, SECOND, LOGIN_CODE, secret=CODE, until_ns=10**18 + S)
    challenge = asked(town)
    done = Delivery(town.bank, program(tmp_path, f"cat >> {tmp_path}/sent")).run()
    assert (done.sent, done.failed) == (3, 0)
    code, secret, plain = map(json.loads, (tmp_path / "sent").read_text().splitlines())
    assert (code["challenge"], code["phone"], len(code["code"])) == (challenge, OTHER_PHONE, 6)
    assert secret == {"notice": ids.format(SECOND), "phone": PHONE, "text": LOGIN_CODE, "secret": CODE}
    assert plain == {"notice": ids.format(FIRST), "phone": PHONE, "text": LOGIN_CREATED}
    assert Delivery(town.bank, Way()).run().sent == 0


@pytest.mark.parametrize(
    ("body", "reason"), [("exit 3", "the program ended with 3"), (None, "the program cannot be started: No such file")]
)
def test_a_failed_program_says_why_without_phone_and_secret(
    town: Town, tmp_path: Path, body: str | None, reason: str
) -> None:
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE)
    way = program(tmp_path, body) if body else Program(tmp_path / "absent")
    done = Delivery(town.bank, way).notices()
    (notice,) = town.bank.life.outbox.waiting()
    assert (done.failed, notice.attempts, notice.reason) == (1, 1, done.reason)
    assert done.reason.startswith(reason)
    assert CODE not in repr(Message(1, {"secret": CODE}))


def test_retries_have_the_delays_of_webhooks_and_end_as_a_dead_letter(town: Town) -> None:
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE)
    outbox, way = town.bank.life.outbox, Way([Answer(500, "status 500")] * (len(RETRY_S) + 1))
    delivery = Delivery(town.bank, way)
    for delay_s in RETRY_S:
        assert delivery.run().failed == 1
        assert delivery.run() == Delivered(0, 0, "")  # not before the delay
        (notice,) = outbox.waiting()
        now_ns = outbox.machine.now_ns()
        assert 0.9 * delay_s * S <= notice.retry_ns - now_ns <= 1.1 * delay_s * S
        outbox.machine.set(notice.retry_ns)  # type: ignore[attr-defined]
    assert delivery.run().failed == 1
    (dead,) = outbox.undelivered()
    assert (dead.state, dead.attempts, dead.secret_sealed) == ("dead", len(RETRY_S) + 1, None)
    assert len(way.taken) == len(RETRY_S) + 1


def test_410_is_final_and_retry_after_delays(town: Town) -> None:
    addressed(town.bank, FIRST, LOGIN_CREATED)
    addressed(town.bank, SECOND, LOGIN_CREATED)
    challenge = asked(town)
    way = Way([Answer(410, "status 410"), Answer(410, "status 410"), Answer(503, "status 503", 1_000)])
    assert Delivery(town.bank, way).run().failed == 3
    first, second = town.bank.life.outbox.undelivered()
    assert (first.state, second.state) == ("dead", "waiting")
    assert second.retry_ns == 10**18 + 1_000 * S
    assert town.bank.aliases.code(ids.parse(challenge)) is None


def test_a_code_is_tried_again_until_it_is_over(town: Town) -> None:
    challenge = asked(town)
    way, machine = Way([Answer(0, "no answer")] * 9), town.bank.life.outbox.machine
    assert isinstance(machine, SimulatedClock)
    delivery = Delivery(town.bank, way)
    assert delivery.codes().failed == 1
    assert delivery.codes().failed == 0
    machine.set(machine.now_ns() + 6 * S)
    assert delivery.codes().failed == 1
    machine.set(machine.now_ns() + 600 * S)
    town.bank.set_clock(town.bank.stores.clock.now_ns() + 600 * S)
    assert delivery.codes().failed == 0
    assert [each.members["challenge"] for each in way.taken] == [challenge] * 2


def test_a_message_is_never_sent_after_its_end(town: Town) -> None:
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE, until_ns=10**18)
    way = Way()
    assert Delivery(town.bank, way).run().sent == 0
    assert way.taken == []
    assert [each.state for each in town.bank.life.outbox.undelivered()] == ["expired"]


def test_no_phone_and_no_secret_is_in_the_files_of_the_bank(town: Town, tmp_path: Path) -> None:
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE)
    asked(town)
    for _ in range(2):
        written = b"".join(each.read_bytes() for each in (tmp_path / "bank").rglob("*") if each.is_file())
        for text in (CODE, OTHER_PHONE, OTHER_PHONE[1:], PHONE, PHONE[3:]):
            assert text.encode() not in written
        Delivery(town.bank, Way()).run()


# --- the folder ---


def test_a_folder_has_a_private_file_for_each_message(town: Town, tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    addressed(town.bank, FIRST, LOGIN_CODE, secret=CODE)
    way = OutboxFolder(folder)
    assert Delivery(town.bank, way).run().sent == 1
    (file,) = folder.iterdir()
    assert json.loads(file.read_text())["secret"] == CODE
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == (f"{ids.format(FIRST)}.json", 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert way.send(Message(FIRST, {"phone": "again"})).is_taken  # after a kill before the mark
    assert [json.loads(each.read_text()) for each in OutboxFolder(folder)._path.iterdir()] == [{"phone": "again"}]


def test_a_folder_that_others_may_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir(mode=0o750)
    with pytest.raises(UsageError, match=r"accessible to other users \(mode 750\)"):
        OutboxFolder(tmp_path / "outbox")


def test_a_folder_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    way = OutboxFolder(tmp_path / "outbox")
    (tmp_path / "outbox").rmdir()
    assert way.send(Message(FIRST, {"phone": PHONE})) == Answer(0, "the folder cannot be written")


# --- kills ---


class Dying(OutboxFolder):
    """A folder whose process is killed after a message is sent and before it is marked."""

    def send(self, message: Message) -> Answer:
        super().send(message)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def send_and_die(folder: Path, options: dict[str, str]) -> None:
    with Bank.open(folder / "bank", options=options) as bank:
        Delivery(bank, Dying(folder / "outbox")).run()


def test_a_kill_between_send_and_mark_sends_twice_and_never_zero_times(tmp_path: Path) -> None:
    options = world.settled("").copy(tmp_path)
    with Bank.open(tmp_path / "bank", options=options) as bank:
        addressed(bank, FIRST, LOGIN_CODE, secret=CODE)
    process = PROCESSES.Process(target=send_and_die, args=(tmp_path, options))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    with Bank.open(tmp_path / "bank", options=options) as bank:
        way = Way()
        assert Delivery(bank, way).run().sent == 1
        assert way.taken[0].members["secret"] == CODE
        assert Delivery(bank, way).run().sent == 0
