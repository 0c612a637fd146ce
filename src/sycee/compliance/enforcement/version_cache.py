"""Cache of stored networks and libraries, and of judges over them.

Reading a large network takes seconds, judging by it milliseconds. So the last few are cached by their digests.
"""

from __future__ import annotations

import threading
from datetime import date
from functools import partial
from typing import Final, cast

from sqlalchemy.engine import Engine

from sycee.compliance.enforcement import decisions, versions
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.tables import LIBRARY, NETWORK
from sycee.compliance.facts import Network
from sycee.compliance.profiles import Library
from sycee.compliance.recent import Recent
from sycee.core.errors import UnavailableError
from sycee.database.transactions import reading

CACHED_MAX: Final = 6  # newest network and library, those before while in use, those of a record


class VersionCache:
    """LRU cache of a database's networks, libraries and judges. Raises UnavailableError for an unknown digest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._versions: Recent[str, Network | Library] = Recent(CACHED_MAX)  # their digests never collide
        self._change_days: Recent[str, frozenset[date]] = Recent(CACHED_MAX)
        self._judge_caches: Recent[tuple[str, str, date], JudgeCache] = Recent(CACHED_MAX)

    def judge_cache(self, network: str, library: str, day: date) -> JudgeCache:
        """Return the judge for the network and the library with these digests, as of a day."""
        with self._lock:
            key = (network, library, day)
            return self._judge_caches.get(
                key, lambda: self.new_judge_cache(self.network(network), self.library(library), day)
            )

    def new_judge_cache(self, network: Network, library: Library, day: date) -> JudgeCache:
        """Return a judge for a network and a library that need not be stored."""
        with self._lock:
            return JudgeCache(network, library, day, self._days(network) | self._days(library))

    def network(self, digest: str) -> Network:
        """Return the network with this digest."""
        with self._lock:
            return cast(Network, self._versions.get(digest, partial(self._read, NETWORK, digest)))

    def library(self, digest: str) -> Library:
        """Return the library with this digest."""
        with self._lock:
            return cast(Library, self._versions.get(digest, partial(self._read, LIBRARY, digest)))

    def add(self, version: Network | Library) -> None:
        """Cache a network or library that was stored a moment ago, so that it is not read back."""
        with self._lock:
            self._versions.get(version.digest, lambda: version)

    def _days(self, version: Network | Library) -> frozenset[date]:
        return self._change_days.get(version.digest, partial(decisions.change_days, version))

    def _read(self, kind: str, digest: str) -> Network | Library:
        with reading(self._engine) as connection:
            version = versions.of_digest(connection, kind, digest)
            if version is None:
                message = f"this database has no {kind} with the digest {digest[:16]}…"
                raise UnavailableError(message, hint="ask where the record was made")
            return versions.read(connection, version)
