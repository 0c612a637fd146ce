"""Screening by files alone: the decisions of the service, and none of them is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sycee.compliance.enforcement import decisions, screening
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.screening import AdmissionStatus, PaymentRequest, Screened
from sycee.compliance.facts import Network
from sycee.compliance.profiles import Library
from sycee.core.errors import UnavailableError


class UnstoredCompliance:
    """Decisions about payments under one network and library on one day.

    The service reads whether a participant is admitted; here each party is judged at once. Digests of records are those
    of a service whose participants were admitted on the same day, under the same versions.
    """

    def __init__(self, network: Network, library: Library, day: date) -> None:
        self.network = network
        self.library = library
        self.day = day
        self._days = decisions.change_days(network) | decisions.change_days(library)
        self._judge_cache = JudgeCache(network, library, day, self._days)

    def screen_many(self, requests: Sequence[PaymentRequest]) -> list[Screened]:
        """Return the decision about each payment."""
        results = self._judge_cache.screening_results(requests)
        made, _ = screening.decide_many(requests, results, self._admission_status)
        return made

    def judge_cache(self, network: str, library: str, day: date) -> JudgeCache:
        """Return a judge for a day. Raise UnavailableError unless the digests are those of the network and library."""
        for kind, asked, own in (("network", network, self.network), ("library", library, self.library)):
            if asked != own.digest:
                message = f"the record names the {kind} {asked[:16]}…; the one at hand has {own.digest[:16]}…"
                raise UnavailableError(message, hint=f"give the {kind} that the record was made with")
        return self._judge_cache if day == self.day else JudgeCache(self.network, self.library, day, self._days)

    def _admission_status(self, participant: str) -> AdmissionStatus:
        admission = self._judge_cache.admission(participant)
        return AdmissionStatus(participant, admission.outcome, admission.digest)
