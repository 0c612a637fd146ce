"""Child process that reads credit transfers: `python -m sycee.iso20022.reading_worker DESCRIPTOR`.

It reads from an inherited socket and has no ledger, database, key, file or network. A request is the number of
contents, the length of each and their bytes; the response is JSON: the group of all contents, or null if they are not
all plain. The process ends when its parent closes the socket or ends.
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
from typing import BinaryIO, Final, cast

from sycee.iso20022.amounts import minor_units
from sycee.iso20022.bulk_credit_transfers import prepare, read_plain
from sycee.iso20022.message_columns import MessageColumns, columns_if_plain, from_json, to_json

_SIZE: Final = struct.Struct("<Q")


def request(contents: Sequence[bytes]) -> bytes:
    """Return a request to read contents."""
    count = len(contents)
    return struct.pack(f"<{count + 1}Q", count, *map(len, contents)) + b"".join(contents)


def response(stream: BinaryIO) -> MessageColumns | None:
    """Read the response to a request: the group of its messages, None if they are not all plain.

    Raises EOFError if the worker ended; ValueError, KeyError, TypeError or OverflowError for another response.
    """
    size = _SIZE.unpack(_exactly(stream, _SIZE.size))[0]
    found = json.loads(_exactly(stream, size))
    return None if found is None else from_json(found)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError("the other process ended")
    return found


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
            group = columns_if_plain([read_plain(each) for each in contents])
            made = json.dumps(group and to_json(group), separators=(",", ":")).encode()
            stream.write(_SIZE.pack(len(made)) + made)
            stream.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
