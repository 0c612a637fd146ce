"""What judges, made ready: a network and a library as of a day, with what was already found under them.

Reading a large network takes seconds and judging by it milliseconds, so the last few are kept, by their digests. What
was found is kept with what it was found under, and so is never an answer under anything else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import cached_property, partial
from typing import Any, Final, TypeVar, cast

from sqlalchemy.engine import Engine

from sycee.compliance.enforcement import admission, decisions, payment_flow, screening, versions
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.payment_flow import FlowClass
from sycee.compliance.enforcement.screening import FlowResult
from sycee.compliance.enforcement.tables import LIBRARY, NETWORK
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.routing.routes import Router
from sycee.compliance.verdicts import Finding
from sycee.compliance.vocabulary import PARTICIPANT
from sycee.core.errors import UnavailableError
from sycee.database.transactions import reading

K = TypeVar("K")
V = TypeVar("V")

CACHED_MAX: Final = 6  # the newest network and library, those before while they are asked for, and those of a record
FLOW_RESULTS_MAX: Final = 100_000  # classes of flows; some 2 KB each


class JudgeCache:
    """One network under one library on a day. Several threads may ask.

    `change_days` are the days on which time alone may change what is found.
    """

    def __init__(self, network: Network, library: Library, day: date, change_days: Iterable[date]) -> None:
        self.network = network
        self.library = library
        self.day = day
        self._change_days = sorted(change_days)
        self._judge = Judge(network, library, day)
        self._flow_results: OrderedDict[str, FlowResult] = OrderedDict()
        self._lock = threading.RLock()

    @cached_property
    def _router(self) -> Router:
        """Made when a payment first asks: it looks at every place and link."""
        return Router(self.network, self.library, self.day)

    def findings(self, participant: str) -> tuple[Finding, ...]:
        """What is found for a participant. UsageError if it is none."""
        with self._lock:
            return admission.findings_of(self._judge, participant)

    def admission(self, participant: str, found: tuple[Finding, ...] | None = None) -> Admission:
        """What that comes to, or what it did come to if it is given. UsageError if it is no participant."""
        with self._lock:
            known = self.findings(participant) if found is None else found
            return admission.decide(self._judge, self._change_days, participant, known)

    def findings_if_declared(self, participant: str) -> tuple[Finding, ...] | None:
        """The same; None if it is declared no more."""
        entity = self.network.entities.get(participant)
        return self.findings(participant) if entity is not None and entity.kind == PARTICIPANT else None

    def gone(self, participant: str) -> Admission:
        """What it comes to that a participant is declared no more."""
        return admission.gone(self._judge, participant)

    def flow_class(self, flow: str, facts: Mapping[str, Any]) -> FlowClass:
        """The question whether a declared flow, with these facts, may go."""
        return payment_flow.flow_class(self.network, self.library, self.day, flow, facts)

    def flow_result(self, flow_class: FlowClass) -> FlowResult:
        """What is found for a class of flows: once, and then from memory."""
        with self._lock:
            found = self._flow_results.get(flow_class.digest)
            if found is None:
                best = self._router.best(flow_class.entity)
                found = screening.flow_result(self._router.judge, self._change_days, flow_class, best)
                self._flow_results[flow_class.digest] = found
                if len(self._flow_results) > FLOW_RESULTS_MAX:
                    self._flow_results.popitem(last=False)
            return found


class VersionCache:
    """The last few of what was prepared, out of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._said: OrderedDict[str, Network | Library] = OrderedDict()  # digests of networks and libraries never meet
        self._change_days: OrderedDict[str, frozenset[date]] = OrderedDict()
        self._judge_caches: OrderedDict[tuple[str, str, date], JudgeCache] = OrderedDict()

    def judge_cache(self, network: str, library: str, day: date) -> JudgeCache:
        """The network and the library of these digests, as of a day. UnavailableError if one was never kept here."""
        with self._lock:
            return _kept(
                self._judge_caches,
                (network, library, day),
                lambda: self.new_judge_cache(self.network(network), self.library(library), day),
            )

    def new_judge_cache(self, network: Network, library: Library, day: date) -> JudgeCache:
        """These, which need not have been kept."""
        with self._lock:
            return JudgeCache(network, library, day, self._days(network) | self._days(library))

    def network(self, digest: str) -> Network:
        """The network of this digest. UnavailableError if it was never kept here."""
        with self._lock:
            return cast(Network, _kept(self._said, digest, partial(self._read, NETWORK, digest)))

    def library(self, digest: str) -> Library:
        """The library of this digest. UnavailableError if it was never kept here."""
        with self._lock:
            return cast(Library, _kept(self._said, digest, partial(self._read, LIBRARY, digest)))

    def add(self, said: Network | Library) -> None:
        """Hold what was just made of texts that are kept: it need not be read back."""
        with self._lock:
            _kept(self._said, said.digest, lambda: said)

    def _days(self, said: Network | Library) -> frozenset[date]:
        return _kept(self._change_days, said.digest, partial(decisions.change_days, said))

    def _read(self, kind: str, digest: str) -> Network | Library:
        with reading(self._engine) as connection:
            version = versions.of_digest(connection, kind, digest)
            if version is None:
                message = f"no {kind} with the digest {digest[:16]}… was kept here"
                raise UnavailableError(message, hint="ask where the record was made")
            return versions.read(connection, version)


def _kept(shelf: OrderedDict[K, V], key: K, make: Callable[[], V]) -> V:
    """What stands under a key, made if it does not; what was longest not asked for goes."""
    if key not in shelf:
        shelf[key] = make()
        while len(shelf) > CACHED_MAX:
            shelf.popitem(last=False)
    shelf.move_to_end(key)
    return shelf[key]
