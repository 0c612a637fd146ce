"""Read groups of messages in a child process, each while the caller works on the group before it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from sycee.core.child_process import start_module
from sycee.iso20022 import reading_worker
from sycee.iso20022.message_columns import MessageColumns

MESSAGES_MIN: Final = 16  # of a group: a smaller one is read faster than sent
BYTES_MAX: Final = 1 << 26  # of a group: a larger one would be in memory three times
ANSWER_S_MAX: Final = 60.0  # BYTES_MAX need some 3 s
STARTS_MAX: Final = 3


class ReadingAhead:
    """One child process that reads messages; `workers` = 0: none. A context manager, which ends the process.

    A process that ends or does not answer in ANSWER_S_MAX is replaced, up to STARTS_MAX starts in all. What it had to
    read is left to the caller. `findings`: a sentence for each failure.
    """

    def __init__(self, workers: int = 1) -> None:
        self._starts = STARTS_MAX if workers else 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self.findings: list[str] = []

    @property
    def process_id(self) -> int | None:
        """Return the id of the running process, None without one."""
        return self._process.pid if self._process else None

    def read(self, groups: Iterable[Sequence[bytes]]) -> Iterator[MessageColumns | None]:
        """Yield each group of messages in columns; None if they are not all plain, or were not read.

        The process then has the next group already.
        """
        waiting = iter(groups)
        group = next(waiting, None)
        is_sent = group is not None and self._send(group)
        while group is not None:
            found = self._receive(len(group)) if is_sent else None
            group = next(waiting, None)
            is_sent = group is not None and self._send(group)
            yield found

    def _send(self, contents: Sequence[bytes]) -> bool:
        """Send a request, and return whether a response follows."""
        if len(contents) < MESSAGES_MIN or sum(map(len, contents)) > BYTES_MAX:
            return False
        try:
            if self._connection is None:
                if not self._starts:
                    return False
                self._starts -= 1
                self._start()
            assert self._connection
            self._connection.sendall(reading_worker.request(contents))
        except OSError as error:
            self._fail(error)
            return False
        except BaseException:  # Ctrl-C: half of a request would be taken for the next one
            self.close()
            raise
        return True

    def _receive(self, count: int) -> MessageColumns | None:
        try:
            assert self._connection
            with self._connection.makefile("rb") as stream:
                found = reading_worker.response(cast(BinaryIO, stream))
            if found is not None and len(found.ids) != count:
                raise ValueError(f"{len(found.ids)} answers about {count} messages")
        except (OSError, EOFError, ValueError, KeyError, TypeError, OverflowError) as error:
            self._fail(error)
            return None
        except BaseException:
            self.close()
            raise
        return found

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = start_module("sycee.iso20022.reading_worker", theirs.fileno())
            except BaseException:
                ours.close()
                raise
        ours.settimeout(ANSWER_S_MAX)
        self._connection = ours

    def _fail(self, error: Exception) -> None:
        self.findings.append(f"the process {self.process_id} that reads messages failed: {error}")
        self.close()

    def close(self) -> None:
        """End the process."""
        connection, process = self._connection, self._process
        self._connection = self._process = None
        if connection:
            connection.close()
        if process:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
