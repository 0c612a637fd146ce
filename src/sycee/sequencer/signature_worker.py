"""The child process that verifies signatures: `python -m sycee.sequencer.signature_worker DESCRIPTOR`.

Reads from a socket that it inherited, and has nothing else: no ledger, no private key, no file, no network. A batch is
a number of jobs, u32, and the jobs; the answer is one byte for each. It ends when its parent closes the socket or dies.
Imports neither NumPy nor numba, so that it is there in a twentieth of a second.
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
BATCH_JOBS_MAX: Final = 128  # 14 ms of Ed25519: what waits behind a batch is still answered at once

# A signature of each kind that holds, so that all that verifying imports is there before the doors are shut.
_KINDS: Final = ("ed25519", "p256")


def _restrict_process() -> None:
    """Have the system refuse this process every new file, socket, core dump and larger file."""
    for algorithm in _KINDS:
        public = keys.SigningKey.derive(bytes(keys.SEED_BYTES), algorithm).public
        keys.verify_jobs(keys.JOB.pack(public.flags, public.key, bytes(64), bytes(keys.MESSAGE_BYTES)))
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))


def _read(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes. Raises EOFError where the parent is gone."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the socket
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
