"""Memory of used proofs, and the nonces of this server. Both are bounded and end with the process.

A proof is accepted once. After a restart the memory is empty, so a proof that was made before the restart needs a nonce
of the new process.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from hashlib import sha256
from typing import Final

from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UnavailableError
from sycee.server.auth.refusals import TooManyRequests

USED_MAX: Final = 1 << 18  # 262,144 proofs in KEPT_NS: 870 a second, about 40 MB
KEPT_NS: Final = 300 * 10**9  # longer than any proof or assertion is accepted
NONCE_NS: Final = 120 * 10**9  # a nonce is current as long as this, and accepted as long again


class _Signer:
    """The number of stored proofs of one signer."""

    __slots__ = ("name", "proofs")

    def __init__(self, name: str) -> None:
        self.name = name
        self.proofs = 0


class UsedProofs:
    """Identifiers of accepted proofs and assertions, for KEPT_NS."""

    def __init__(self, clock: Clock, *, used_max: int = USED_MAX) -> None:
        self._clock = clock
        self._used_max = used_max
        self._lock = threading.Lock()
        self._known: set[bytes] = set()
        self._order: deque[tuple[int, bytes, _Signer]] = deque()  # time, digest and signer, oldest first
        self._signers: dict[str, _Signer] = {}

    def add(self, signer: str, identifier: str) -> bool:
        """Store an identifier of a signer; return false if it was stored before.

        Call it after the signature was verified, so that strangers cannot fill the memory. A signer may have as many
        proofs as the memory has free places, so that one program does not fill it. Raises TooManyRequests for more, and
        UnavailableError if the memory is full: to forget a proof would allow its replay.
        """
        digest = sha256(f"{len(signer)}:{signer}{identifier}".encode()).digest()[:16]
        now_ns = read_ns(self._clock)
        with self._lock:
            while self._order and self._order[0][0] <= now_ns - KEPT_NS:
                _, oldest, owner = self._order.popleft()
                self._known.discard(oldest)
                owner.proofs -= 1
                if not owner.proofs:
                    del self._signers[owner.name]
            if digest in self._known:
                return False
            free = self._used_max - len(self._known)
            if free <= 0:
                raise UnavailableError(
                    f"{self._used_max:,} proofs are in use at once", hint="send fewer requests, or retry in minutes"
                )
            own = self._signers.get(signer) or _Signer(signer)
            if own.proofs >= free:
                raise TooManyRequests((self._order[0][0] + KEPT_NS - now_ns) // 10**9 + 1)
            self._signers[signer] = own
            own.proofs += 1
            self._known.add(digest)
            self._order.append((now_ns, digest, own))
            return True

    def __len__(self) -> int:
        return len(self._known)


class Nonces:
    """Nonces that DPoP proofs repeat (RFC 9449, section 8). All clients share one, which changes with time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._number = -1
        self._current = self._previous = ""

    def current(self) -> str:
        """Return the nonce to send."""
        with self._lock:
            self._renew()
            return self._current

    def accepts(self, nonce: str) -> bool:
        """Return whether a nonce is the current or the previous one."""
        with self._lock:
            self._renew()
            expected = [each.encode() for each in (self._current, self._previous) if each]
        return any(secrets.compare_digest(nonce.encode(), each) for each in expected)

    def _renew(self) -> None:
        """Replace the nonce once its interval has ended; the one before it stays valid for one interval more."""
        number = read_ns(self._clock) // NONCE_NS
        if number == self._number:
            return
        self._previous = self._current if number == self._number + 1 else ""
        self._current, self._number = secrets.token_urlsafe(24), number
