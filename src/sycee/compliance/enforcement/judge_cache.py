"""A judge over one network and library on one day, with its results per flow class.

A result is cached with the network, library and day that it depends on, and is never returned for others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property, partial
from typing import Any, Final

from sycee.compliance.enforcement import admission, payment_flow, screening
from sycee.compliance.enforcement.admission import Admission
from sycee.compliance.enforcement.payment_flow import FlowClass
from sycee.compliance.enforcement.payment_messages import Directory
from sycee.compliance.enforcement.screening import FlowResult, PaymentRequest, UnreadableFlow
from sycee.compliance.facts import Network
from sycee.compliance.judging.judge import Judge
from sycee.compliance.profiles import Library
from sycee.compliance.recent import Recent
from sycee.compliance.routing.routes import Router
from sycee.compliance.verdicts import Finding
from sycee.compliance.vocabulary import FLOW, KINDS, Type
from sycee.core.errors import UsageError

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
        self._flow_classes: Recent[Hashable, FlowClass] = Recent(FLOW_RESULTS_MAX)  # by `class_key`
        self._lock = threading.RLock()

    @cached_property
    def _router(self) -> Router:
        """The router, made on first use because it evaluates every place and link."""
        return Router(self.network, self.library, self.day)

    @cached_property
    def directory(self) -> Directory:
        """The participants by their codes, and the flows between them."""
        return Directory(self.network, self.day)

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

    def flow_class(self, flow: str, facts: Mapping[str, Any], *, role: str = "", reason: str = "") -> FlowClass:
        """Return the class of a payment with these facts under a declared flow. Raise as `payment_flow.flow_class`."""
        given = self.network, self.library, self.day, flow, facts
        return payment_flow.flow_class(*given, role=role, reason=reason)

    def class_key(self, request: PaymentRequest) -> Hashable | None:
        """Return a key that only requests with equal results share; None for facts that JSON has no form for.

        It spares reading the facts of each payment: amounts differ, and mostly no rule reads them.
        """
        unread, others = [], {}
        if type(request.flow) is not str:
            return None
        try:
            for name, value in request.facts.items():
                if type(value) is int and 0 <= value < 1 << 63 and name in self._unread_numbers:
                    unread.append(name)
                else:
                    others[name] = value
            read = json.dumps(others, sort_keys=True) if others else ""
            who = json.dumps([request.role, request.reason]) if request.role or request.reason else ""
            return (request.flow, read, who, *sorted(unread))
        except (AttributeError, TypeError, ValueError, RecursionError):
            return None

    def reads(self, name: str) -> bool:
        """Return whether payments that differ in a number of their flow alone may get different results."""
        return name not in self._unread_numbers

    @cached_property
    def _unread_numbers(self) -> frozenset[str]:
        """The flow's numbers that no rule reads, each valid from 0 on."""
        numbers = {each.name for each in KINDS[FLOW].fields if each.type is Type.INTEGER and each.most is None}
        return frozenset(numbers - payment_flow.fields_read(self.library))

    def screening_result(self, request: PaymentRequest) -> FlowResult | UnreadableFlow:
        """Return the result for a payment's class of flows; the refusal itself if its flow or facts are invalid."""
        return self._result(request, self.class_key(request))

    def screening_results(self, requests: Sequence[PaymentRequest]) -> list[FlowResult | UnreadableFlow]:
        """Return the result for each request. Requests of one class share one result, which is judged once."""
        seen: dict[Hashable, FlowResult] = {}
        results: list[FlowResult | UnreadableFlow] = []
        for each in requests:
            key = self.class_key(each)
            result: FlowResult | UnreadableFlow | None = None if key is None else seen.get(key)
            if result is None:
                result = self._result(each, key)
                if key is not None and isinstance(result, FlowResult):
                    seen[key] = result
            results.append(result)
        return results

    def flow_result(self, flow_class: FlowClass) -> FlowResult:
        """Return the cached result for a class of flows; compute it on first use."""

        def compute() -> FlowResult:
            best = self._router.best(flow_class.entity)
            return screening.flow_result(self._router.judge, self._change_days, flow_class, best)

        with self._lock:
            return self._flow_results.get(flow_class.digest, compute)

    def _result(self, request: PaymentRequest, key: Hashable | None) -> FlowResult | UnreadableFlow:
        make = partial(self.flow_class, request.flow, request.facts or {}, role=request.role, reason=request.reason)
        try:
            if key is None:
                flow_class = make()
            else:
                with self._lock:
                    flow_class = self._flow_classes.get(key, make)
        except UsageError as error:
            return screening.unreadable_flow(request, error, self.network.digest, self.library.digest, self.day)
        return self.flow_result(flow_class)
