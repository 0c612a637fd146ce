"""Child process that verifies signatures: `python -m sycee.sequencer.signature_worker DESCRIPTOR`.

It reads from an inherited socket and has no ledger, private key, file or network. A message is a batch of up to
BATCH_JOBS_MAX jobs; the response is one byte for each. The process ends when its parent closes the socket or ends. It
imports neither NumPy nor numba, so that it starts in 50 ms.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import sys
from typing import Final

from sycee.core import keys

BATCH_JOBS_MAX: Final = 128  # 14 ms of Ed25519: the longest wait behind one batch
BATCH_BYTES_MAX: Final = BATCH_JOBS_MAX * keys.JOB.size


def _restrict_process() -> None:
    """Have the operating system refuse this process new files, sockets, core dumps and larger files."""
    for algorithm in keys.ALGORITHMS:  # verify once each, so that all imports are done before files are refused
        public = keys.SigningKey.derive(bytes(keys.SEED_BYTES), algorithm).public
        keys.verify_jobs(keys.JOB.pack(public.flags, public.key, bytes(64), bytes(keys.MESSAGE_BYTES)))
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))


def main(descriptor: int) -> None:
    """Verify batches until the parent closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and closes the socket
    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(ConnectionError):
        _restrict_process()
        while jobs := connection.recv(BATCH_BYTES_MAX):
            connection.send(keys.verify_jobs(jobs))


if __name__ == "__main__":
    main(int(sys.argv[1]))
