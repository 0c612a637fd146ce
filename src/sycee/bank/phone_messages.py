"""Codes and notices for phones: passed to a program, posted to a gateway, or left in the folder of a rehearsal.

Sycee itself has no bridge to text messages. Phones, codes and secrets are no arguments and no output, which other users
of the machine could read; no answer, log or error has them.
"""

from __future__ import annotations

import json
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.output_files import sync_folder
from sycee.core.retries import Answer, next_ns
from sycee.core.secret_files import write_secret

EVERY_S: Final = 5.0  # a code is valid for ten minutes
TIMEOUT_S: Final = 60

_TAKEN: Final = Answer(200, "")


@dataclass(frozen=True, slots=True)
class Message:
    """A message in clear, for the way that delivers it. `members`: texts by name, with the phone."""

    id: int
    members: Mapping[str, str] = field(repr=False)

    @property
    def line(self) -> str:
        """Return the members as one line of JSON."""
        return json.dumps(self.members) + "\n"


class Way(Protocol):
    """A way in which messages reach phones."""

    def send(self, message: Message) -> Answer:
        """Send one message. A failure is an answer too; its reason repeats no phone and no secret."""
        ...

    def close(self) -> None:
        """Release what the way has open."""
        ...


class Program:
    """A program that reads one line of JSON from its stdin, and exits with 0 once the message is sent."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def send(self, message: Message) -> Answer:
        """Run the program for one message."""
        try:
            done = subprocess.run(
                [self._path], input=message.line, text=True, stdout=subprocess.DEVNULL, check=False, timeout=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return Answer(0, f"the program did not end in {TIMEOUT_S} seconds")
        except OSError as error:
            return Answer(0, f"the program cannot be started: {error.strerror}")
        return Answer(0, f"the program ended with {done.returncode}") if done.returncode else _TAKEN

    def close(self) -> None:
        """Do nothing: no process is left."""


class OutboxFolder:
    """A folder of a rehearsal or a demo, with one file of JSON for each message, which only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Make the folder if there is none. Raises UsageError if others may use it, UnavailableError as the disk."""
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError as error:
            raise UnavailableError(
                f"message_folder: {path} cannot be made: {error.strerror}", hint="name a folder that can be made"
            ) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(
                f"message_folder: {path} is accessible to other users (mode {mode:o})",
                hint="run chmod 700 on the folder, or name a new one",
            )

    def send(self, message: Message) -> Answer:
        """Write the file of one message, whole or not at all. The same message again replaces its file."""
        name = f"{ids.format(message.id)}.json"
        temporary = self._path / f".{name}"
        try:
            temporary.unlink(missing_ok=True)
            write_secret(temporary, message.line.encode(), what="message")
            temporary.replace(self._path / name)
            sync_folder(self._path)
        except (OSError, SyceeError):
            return Answer(0, "the folder cannot be written")
        return _TAKEN

    def close(self) -> None:
        """Do nothing: no file is open."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one run did. `reason`: of the last failure."""

    sent: int
    failed: int
    reason: str


class Delivery:
    """Sends the codes and notices of an open bank by one way, each until it is taken, is given up or expires.

    The database has what failed, so a stop or a kill sends a message twice, never zero times. Failed attempts of codes
    are counted by this object alone: they are valid for ten minutes.
    """

    def __init__(self, bank: Bank, way: Way) -> None:
        self._bank, self._way = bank, way
        self._codes: dict[int, tuple[int, int]] = {}  # failures and time of the next attempt, by challenge

    def run(self, ended: Callable[[], bool] = lambda: False) -> Delivered:
        """Try each code and notice that is due, until `ended`; codes first, because they expire first."""
        return self._run(ended, self._code, self._notice)

    def codes(self) -> Delivered:
        """Try each code that waits."""
        return self._run(lambda: False, self._code)

    def notices(self) -> Delivered:
        """Try each notice that is due."""
        return self._run(lambda: False, self._notice)

    def _run(self, ended: Callable[[], bool], *tries: Callable[[], Answer | None]) -> Delivered:
        sent, reasons = 0, list[str]()
        while not ended():
            answer = next((answer for each in tries if (answer := each()) is not None), None)
            if answer is None:
                break
            if answer.is_taken:
                sent += 1
            else:
                reasons.append(answer.reason)
        return Delivered(sent, len(reasons), reasons[-1] if reasons else "")

    def _code(self) -> Answer | None:
        """Try the oldest code that is due; return None if there is none."""
        aliases = self._bank.aliases
        waiting = aliases.waiting_codes()
        self._codes = {each: self._codes[each] for each in waiting if each in self._codes}
        now_ns = self._now_ns()
        due = (each for each in waiting if self._codes.get(each, (0, 0))[1] <= now_ns)
        code = next((code for each in due if (code := aliases.code(each)) is not None), None)
        if code is None:
            return None
        members = {"challenge": ids.format(code.challenge), "phone": code.phone, "code": code.code}
        answer = self._way.send(Message(code.challenge, members))
        failures = self._codes.get(code.challenge, (0, 0))[0] + 1
        retry_ns = self._retry_ns(failures, answer)
        if answer.is_taken or retry_ns is None:
            aliases.sent(code.challenge)
        else:
            self._codes[code.challenge] = failures, retry_ns
        return answer

    def _notice(self) -> Answer | None:
        """Try the oldest notice that is due; return None if there is none."""
        outbox = self._bank.life.outbox
        notice = outbox.due()
        if notice is None:
            return None
        try:
            phone, secret = self._bank.life.opened(notice)
        except SyceeError:
            answer = Answer(0, "the phone cannot be read")
        else:
            members = {"notice": ids.format(notice.id), "phone": phone, "text": notice.text}
            answer = self._way.send(Message(notice.id, members | ({"secret": secret} if secret else {})))
        retry_ns = self._retry_ns(notice.attempts + 1, answer)
        if answer.is_taken:
            outbox.sent(notice.id)
        elif retry_ns is None:
            outbox.bury(notice.id, answer.reason)
        else:
            outbox.failed(notice.id, answer.reason, retry_ns)
        return answer

    def _retry_ns(self, failures: int, answer: Answer) -> int | None:
        return None if answer.is_gone else next_ns(self._now_ns(), failures, answer)

    def _now_ns(self) -> int:
        return read_ns(self._bank.life.outbox.machine)


class Messenger:
    """A thread that delivers the messages of an open bank while a server has the bank open."""

    def __init__(self, bank: Bank, way: Way) -> None:
        self._way, self._delivery = way, Delivery(bank, way)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sycee-messages", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the message in progress, and close the way."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._way.close()

    def _loop(self) -> None:
        while not self._ended.wait(EVERY_S):
            with suppress(Exception):  # of the database, or a defect: the rest waits for the next round
                self._delivery.run(self._ended.is_set)
