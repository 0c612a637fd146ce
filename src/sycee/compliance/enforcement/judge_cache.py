"""Caches of stored networks and libraries, of judges over them, and of results per flow class.

Reading a large network takes seconds, judging by it milliseconds. So the last few are cached by their digests. A result
is cached with the network, library and day that it depends on, and is never returned for others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property, partial
from typing import Any, Final, cast

from sqlalchemy.engine import Engine

from sycee.compliance.enforcement import admission, decisions, payment_flow, screening, versions
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.payment_flow import FlowClass
from sycee.compliance.enforcement.screening import FlowResult, PaymentRequest, UnreadableFlow
from sycee.compliance.enforcement.tables import LIBRARY, NETWORK
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.recent import Recent
from sycee.compliance.routing.routes import Router
from sycee.compliance.verdicts import Finding
from sycee.compliance.vocabulary import FLOW, KINDS, Type
from sycee.core.errors import UnavailableError, UsageError
from sycee.database.transactions import reading

CACHED_MAX: Final = 6  # newest network and library, those before while in use, those of a record
FLOW_RESULTS_MAX: Final = 100_000  # some 2 KB each


class JudgeCache:
    """A judge and a router for one network, library and day, with cached flow results. Thread-safe."""

    def __init__(self, network: Network, library: Library, day: date, change_days: Iterable[date]) -> None:
        self.network = network
        self.library = library
        self.day = day
        self._change_days = sorted(change_days)
        self._judge = Judge(network, library, day)
        self._flow_results: Recent[str, FlowResult] = Recent(FLOW_RESULTS_MAX)
        self._lock = threading.RLock()

    @cached_property
    def _router(self) -> Router:
        """The router, made on first use because it evaluates every place and link."""
        return Router(self.network, self.library, self.day)

    def admission(self, participant: str) -> Admission:
        """Return the decision about a participant. Raise UsageError if it is not declared."""
        admission.require_declared(self.network, participant)
        return self.admission_by(participant, self.findings(participant))

    def findings(self, participant: str) -> tuple[Finding, ...] | None:
        """Return the findings that apply to a participant, None if it is not declared."""
        with self._lock:
            return admission.findings_of(self._judge, participant)

    def admission_by(self, participant: str, findings: tuple[Finding, ...] | None) -> Admission:
        """Return the decision that follows from the result of `findings`."""
        return admission.decide(self._judge, self._change_days, participant, findings)

    def flow_class(self, flow: str, facts: Mapping[str, Any]) -> FlowClass:
        """Return the class of a payment with these facts under a declared flow. Raise as `payment_flow.flow_class`."""
        return payment_flow.flow_class(self.network, self.library, self.day, flow, facts)

    def class_key(self, request: PaymentRequest) -> str | None:
        """Return a text that only requests with equal results share; None for facts that JSON has no form for.

        It spares reading the facts of each payment: amounts differ, and mostly no rule reads them.
        """
        unread, others = [], {}
        try:
            for name, value in request.facts.items():
                if type(value) is int and 0 <= value < 1 << 63 and name in self._unread_numbers:
                    unread.append(name)
                else:
                    others[name] = value
            return json.dumps([request.flow, others, sorted(unread)], sort_keys=True)
        except (AttributeError, TypeError, ValueError, RecursionError):
            return None

    @cached_property
    def _unread_numbers(self) -> frozenset[str]:
        """The flow's numbers that no rule reads, each valid from 0 on."""
        numbers = {each.name for each in KINDS[FLOW].fields if each.type is Type.INTEGER and each.most is None}
        return frozenset(numbers - payment_flow.fields_read(self.library))

    def screening_result(self, request: PaymentRequest) -> FlowResult | UnreadableFlow:
        """Return the result for a payment's class of flows; the refusal itself if its flow or facts are invalid."""
        try:
            flow_class = self.flow_class(request.flow, request.facts or {})
        except UsageError as error:
            return screening.unreadable_flow(request, error, self.network.digest, self.library.digest, self.day)
        return self.flow_result(flow_class)

    def flow_result(self, flow_class: FlowClass) -> FlowResult:
        """Return the cached result for a class of flows; compute it on first use."""

        def compute() -> FlowResult:
            best = self._router.best(flow_class.entity)
            return screening.flow_result(self._router.judge, self._change_days, flow_class, best)

        with self._lock:
            return self._flow_results.get(flow_class.digest, compute)


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
