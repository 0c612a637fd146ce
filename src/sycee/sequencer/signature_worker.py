"""Child process that verifies signatures: `python -m sycee.sequencer.signature_worker DESCRIPTOR`.

It reads from an inherited socket and has no ledger, private key, file or network. A batch is the number of jobs, u32,
and the jobs; the response is one byte for each. The process ends when its parent closes the socket or ends. It imports
neither NumPy nor numba, so that it starts in 50 ms.
"""

from __future__ import annotations

import resource
import signal
import socket
import struct
import sys
from typing import Final

from sycee.core import keys

COUNT: Final = struct.Struct("<I")
BATCH_JOBS_MAX: Final = 128  # 14 ms of Ed25519: the longest wait behind one batch

_ALGORITHMS: Final = ("ed25519", "p256")


def _restrict_process() -> None:
    """Have the operating system refuse this process new files, sockets, core dumps and larger files."""
    for algorithm in _ALGORITHMS:  # verify once each, so that all imports are done before files are refused
        public = keys.SigningKey.derive(bytes(keys.SEED_BYTES), algorithm).public
        keys.verify_jobs(keys.JOB.pack(public.flags, public.key, bytes(64), bytes(keys.MESSAGE_BYTES)))
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))


def _read(connection: socket.socket, size: int) -> bytes:
    """Read `size` bytes. Raises EOFError if the parent has closed the socket."""
    parts = []
    while size:
        part = connection.recv(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main(descriptor: int) -> None:
    """Verify batches until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and closes the socket
    with socket.socket(fileno=descriptor) as connection:
        _restrict_process()
        try:
            while True:
                (count,) = COUNT.unpack(_read(connection, COUNT.size))
                if not 0 < count <= BATCH_JOBS_MAX:
                    return
                connection.sendall(keys.verify_jobs(_read(connection, count * keys.JOB.size)))
        except (EOFError, ConnectionError):
            return


if __name__ == "__main__":
    main(int(sys.argv[1]))
