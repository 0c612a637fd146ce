"""Codes and notices for phones, passed to a program that sends them. Sycee itself has no bridge to text messages.

The program reads one line of JSON from its stdin, and exits with 0 once the message is sent. Phones and codes are no
arguments and no output, which other users of the machine could read.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping
from typing import Final

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import SyceeError, UnavailableError
from sycee.life.notices import Notice
from sycee.wallets.aliases import Code

EVERY_S: Final = 5.0  # a code is valid for ten minutes
TIMEOUT_S: Final = 60


def send_code(program: str, code: Code) -> None:
    """Run the program for one code. Raises UnavailableError if it fails; the code waits then."""
    _run(program, {"challenge": ids.format(code.challenge), "phone": code.phone, "code": code.code}, "the code")


def send_notice(program: str, notice: Notice, phone: str) -> None:
    """Run the program for one notice. Raises UnavailableError if it fails; the notice waits then."""
    name = ids.format(notice.id)
    _run(program, {"notice": name, "phone": phone, "text": notice.text}, f"notice {name}")


def _run(program: str, members: Mapping[str, str], what: str) -> None:
    line = json.dumps(members) + "\n"
    try:
        done = subprocess.run(
            [program], input=line, text=True, stdout=subprocess.DEVNULL, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        problem = f"{program} did not end in {TIMEOUT_S} seconds: {what} waits"
    except OSError as error:
        raise UnavailableError(f"{program} cannot be started: {error.strerror}", hint="name a program") from error
    else:
        if not done.returncode:
            return
        problem = f"{program} ended with {done.returncode}: {what} waits"
    raise UnavailableError(problem, hint="it is sent again at the next call")


class Messenger:
    """A thread that passes the codes and notices of an open bank to a program while a server has the bank open."""

    def __init__(self, bank: Bank, program: str, *, every_s: float = EVERY_S) -> None:
        self._bank, self._program, self._every_s = bank, program, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sycee-messages", daemon=True)
        self.error: SyceeError | None = None  # of the newest try, None if it sent everything

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the message in progress."""
        self._ended.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._bank.aliases.deliver(lambda code: send_code(self._program, code))
                self._bank.life.deliver(lambda notice, phone: send_notice(self._program, notice, phone))
                self.error = None
            except SyceeError as error:  # the rest waits for the next try
                self.error = error
