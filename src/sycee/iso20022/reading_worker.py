"""Child process that reads credit transfers: `python -m sycee.iso20022.reading_worker DESCRIPTOR`.

It reads from an inherited socket and has no ledger, database, key, file or network. A request is the number of
contents, the length of each and their bytes; the response is JSON with what `read_plain` returns of each. The process
ends when its parent closes the socket or ends.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any, BinaryIO, Final, cast

from sycee.iso20022.amounts import minor_units
from sycee.iso20022.bulk_credit_transfers import TransferMessage, TransferRow, prepare, read_plain

_SIZE: Final = struct.Struct("<Q")
_DAY: Final = TransferRow._fields.index("day")


def request(contents: Sequence[bytes]) -> bytes:
    """Return a request to read contents."""
    count = len(contents)
    return struct.pack(f"<{count + 1}Q", count, *map(len, contents)) + b"".join(contents)


def response(stream: BinaryIO) -> list[TransferMessage | None]:
    """Read the response to a request: for each content its message, None for one that `read_plain` does not read.

    Raises EOFError if the worker ended, ValueError for another response.
    """
    size = _SIZE.unpack(_exactly(stream, _SIZE.size))[0]
    return [each and _message(each) for each in json.loads(_exactly(stream, size))]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError("the other process ended")
    return found


def _values(message: TransferMessage) -> list[Any]:
    rows = [(*row[:_DAY], row.day.toordinal(), *row[_DAY + 1 :]) for row in message.rows]
    return [message.business_id, message.from_bank, message.message_id, message.created, message.use, rows]


def _message(values: list[Any]) -> TransferMessage:
    business_id, from_bank, message_id, created, use, rows = values
    for row in rows:
        row[_DAY] = _day(row[_DAY])
    return TransferMessage(business_id, from_bank, message_id, created, use, tuple(map(TransferRow._make, rows)))


_day = lru_cache(1_000)(date.fromordinal)


def _restrict_process() -> None:
    """Have the operating system refuse this process new files, sockets, core dumps and larger files."""
    prepare()
    minor_units("USD", "1")  # reads the table of currencies
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))


def main(descriptor: int) -> None:
    """Answer requests until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and ends this process
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(ConnectionError, EOFError):
        stream = cast(BinaryIO, connection.makefile("rwb"))
        _restrict_process()
        while True:
            (count,) = _SIZE.unpack(_exactly(stream, _SIZE.size))
            sizes = struct.unpack(f"<{count}Q", _exactly(stream, count * _SIZE.size))
            contents = [_exactly(stream, size) for size in sizes]
            found = [read_plain(each) for each in contents]
            made = json.dumps([each and _values(each) for each in found], separators=(",", ":")).encode()
            stream.write(_SIZE.pack(len(made)) + made)
            stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
