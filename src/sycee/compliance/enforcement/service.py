"""Compliance as a service: who may take part, what may cross a border, and everything that this was judged on.

A database keeps every version of declarations, profiles and lists, and every decision with who asked for it; nothing
kept is ever changed. What judges now is the newest version of each, as of today in UTC. Judging is done outside of
transactions, and what came of it is only kept if what it was judged on is still the newest::

    upgrade(engine, SCHEMA)
    compliance = Compliance(engine)
    compliance.declare([Path("network")], by="declarations desk")
    compliance.use(["clean-network-2020"], by="compliance officer")
    compliance.admit("first-bank", by="admissions desk").outcome
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy.engine import Connection, Engine

from sycee.compliance.enforcement import admission, decision_log, decision_replay, decisions, screening, versions
from sycee.compliance.enforcement.admission import Admission, Change
from sycee.compliance.enforcement.decision_log import Appeal, Round, StoredDecision
from sycee.compliance.enforcement.decisions import storable_text
from sycee.compliance.enforcement.judge_cache import JudgeCache, VersionCache
from sycee.compliance.enforcement.screening import ComplianceRecord, Refusal
from sycee.compliance.enforcement.tables import LIBRARY, NETWORK, SCHEMA
from sycee.compliance.enforcement.versions import CurrentVersions, File, Stamp, Version
from sycee.compliance.facts import Network, Waiver
from sycee.compliance.profiles import Library, Rule
from sycee.compliance.verdicts import ON_PATH, Finding
from sycee.compliance.vocabulary import FLOW, LEVELS, PATH_LEVELS
from sycee.core import typos
from sycee.core.clock import Clock, RealClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.database.migrations import require_current
from sycee.database.transactions import reading, write

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")

ATTEMPTS_MAX: Final = 10  # to judge by what is still the newest when it is kept


class Compliance:
    """The service over one database, whose tables are there already (`database.migrations.upgrade`).

    Several processes and threads may each have one. A call that changes something does it whole or not at all, and has
    `by`: who asks for it. Raises UnavailableError where the database has the tables of another release.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        require_current(engine, SCHEMA)
        self._engine = engine
        self._clock = clock or RealClock()
        self._version_cache = VersionCache(engine)

    # --- what judges ---

    def declare(self, files: Sequence[Path] | Mapping[str, bytes], *, by: str) -> Version:
        """Make these declarations the network: files and folders, or texts by their names.

        They take the place of all declared before; waivers that were granted stay. What says the same in the same texts
        as the newest version is no new one. DocumentError says what cannot be, and where; then nothing changed.
        """
        stamp = self._stamp(by)
        if isinstance(files, Mapping):
            texts = [File(versions.DECLARATION, name, content) for name, content in files.items()]
        else:
            texts = versions.declaration_files(files)

        def look(connection: Connection) -> tuple[Version | None, list[Waiver]]:
            last = versions.newest(connection, NETWORK)
            return last, versions.granted(connection, last.number) if last else []

        def make(seen: tuple[Version | None, list[Waiver]]) -> Network:
            return versions.network_of(texts, seen[1])

        def keep(connection: Connection, network: Network) -> tuple[Version, Network]:
            return versions.store(connection, network, texts, stamp), network

        version, network = self._store_if_current(look, make, keep)
        self._version_cache.add(network)
        return version

    def use(self, profiles: Sequence[str | Path], lists: Sequence[Path] = (), *, by: str) -> Version:
        """Judge by these profiles from now on, shipped ones or those of files, and by no others.

        Lists that they look at are those given, and shipped ones beside them. UsageError or DocumentError says what
        cannot be; then nothing changed.
        """
        stamp = self._stamp(by)
        files = versions.library_files(profiles, lists)
        library = versions.library_of(files)
        return write(self._engine, lambda connection: versions.store(connection, library, files, stamp))

    def renew(self, *, by: str) -> tuple[Version, Version]:
        """Keep the newest network and library as this release reads their texts.

        After an upgrade to a release whose engine reads or judges otherwise. What reads the same is no new version.
        """
        stamp = self._stamp(by)

        def make(basis: CurrentVersions) -> list[Network | Library]:
            with reading(self._engine) as connection:
                return [versions.parse(connection, each) for each in (basis.network, basis.library)]

        def keep(connection: Connection, said: list[Network | Library]) -> tuple[Version, Version]:
            basis = versions.current(connection)
            pairs = zip((basis.network, basis.library), said, strict=True)
            network, library = (
                versions.store(connection, each, versions.files_of(connection, old), stamp) for old, each in pairs
            )
            return network, library

        return self._store_if_current(versions.current, make, keep)

    def waive(self, rule: str, subject: str, *, role: str, reason: str, until: date, by: str) -> Version:
        """Let a subject off a rule, PROFILE/RULE, from today until a day, excluded: a new version of the network.

        `role` is the person's who answers for it. The newest waiver for a rule and a subject counts, so that one until
        today takes an earlier one back. UsageError where there is no such rule or subject, or the rule is not about it.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)
        names = storable_text("rule", rule), storable_text("subject", subject)
        waiver = Waiver(*names, _required_text("role", role), _required_text("reason", reason), today, _day(until))
        if until < today:
            raise UsageError(f"a waiver until {until} ends before it begins", hint=f"today is {today}")

        def make(basis: CurrentVersions) -> _NewWaivers:
            network, library = (
                self._version_cache.network(basis.network.digest),
                self._version_cache.library(basis.library.digest),
            )
            # What was waived can be taken back, though its rule or subject is no more.
            if until > today or names not in [(each.rule, each.subject) for each in network.waivers]:
                _require_named("rule", rule, library.rules)
                for each in subject.split(ON_PATH):
                    _require_named("subject", each, network.entities)
                _require_level(library.rules[rule], subject, network)
            return _NewWaivers(basis, versions.with_waivers(network, [waiver]), (waiver,))

        return self._store_if_current(versions.current, make, partial(_store_waivers, stamp=stamp))

    def network(self, as_of: date | Version | None = None) -> Network:
        """The network that judges now, at the end of an earlier day (UTC), or of a version. UsageError if none was."""
        return self._version_cache.network(self._version(NETWORK, as_of).digest)

    def library(self, as_of: date | Version | None = None) -> Library:
        """The library that judges now, at the end of an earlier day (UTC), or of a version. UsageError if none was."""
        return self._version_cache.library(self._version(LIBRARY, as_of).digest)

    def versions(self, kind: str) -> list[Version]:
        """All versions of the "network" or of the "library", the first one first."""
        with reading(self._engine) as connection:
            return versions.of_kind(connection, kind)

    # --- who takes part ---

    def admit(self, participant: str, *, by: str) -> Admission:
        """Judge a participant and keep what it came to. UsageError if it was not declared as one."""
        stamp = self._stamp(by)
        storable_text("participant", participant)

        def make(basis: CurrentVersions) -> Admission:
            return self._judge_cache(basis, stamp).admission(participant)

        def keep(connection: Connection, made: Admission) -> Admission:
            decision_log.add_admissions(connection, [made], decision_log.CAUSE_REQUEST, stamp)
            return made

        return self._store_if_current(versions.current, make, keep)

    def rejudge(self, *, by: str) -> tuple[Change, ...]:
        """Judge everybody again who ever asked to be admitted, by what judges now, and keep what is otherwise.

        To be called after every change of declarations, profiles, lists or waivers, and every day. Who was refused may
        so be admitted, and who is declared no more is refused. Gives every change, rule by rule, in the order of
        participants.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)

        def make(basis: CurrentVersions) -> _Rejudgement:
            prepared = self._judge_cache(basis, stamp)
            with reading(self._engine) as connection:
                participants = decision_log.applicants(connection)
            return _Rejudgement(basis, prepared, {each: prepared.findings_if_declared(each) for each in participants})

        def keep(connection: Connection, found: _Rejudgement) -> tuple[Change, ...]:
            changes, made = found.otherwise_than(decision_log.newest_records(connection))
            decision_log.add_admissions(connection, made, decision_log.CAUSE_REJUDGED, stamp)
            decision_log.add_round(connection, found.basis, today, len(found.participants), len(made), stamp)
            return changes

        return self._store_if_current(versions.current, make, keep)

    def due(self) -> bool:
        """Whether something changed, or a day began, since everybody was judged again."""
        with reading(self._engine) as connection:
            basis, last = versions.current(connection), decision_log.last_round(connection)
        today = versions.day_of(self._clock.now_ns())
        now = (basis.network.digest, basis.library.digest, today)
        return last is None or (last.network, last.library, last.day) != now

    def last_round(self) -> Round | None:
        """The last time that everybody was judged again."""
        with reading(self._engine) as connection:
            return decision_log.last_round(connection)

    def admission_status(self, participant: str) -> screening.AdmissionStatus:
        """Where a participant stands: the outcome and the digest of its newest admission."""
        with reading(self._engine) as connection:
            return decision_log.admission_status(connection, storable_text("participant", participant))

    def admissions(self, participant: str) -> list[StoredDecision]:
        """All decisions about a participant, the first one first."""
        with reading(self._engine) as connection:
            return decision_log.admissions(connection, storable_text("participant", participant))

    # --- appeals ---

    def appeal(self, decision: str, *, reason: str, by: str) -> int:
        """Ask that a person looks at a decision, named by its digest. Gives the appeal's number."""
        stamp, why = self._stamp(by), _required_text("reason", reason)

        def work(connection: Connection) -> int:
            return decision_log.add_appeal(
                connection, decision_log.of_digest(connection, storable_text("digest", decision)).digest, why, stamp
            )

        return write(self._engine, work)

    def appeals(self) -> list[Appeal]:
        """All appeals, the first one first. `granted` is None for those that wait."""
        with reading(self._engine) as connection:
            return decision_log.appeals(connection)

    def decide_appeal(
        self, number: int, *, granted: bool, role: str, reason: str, by: str, until: date | None = None
    ) -> Admission | None:
        """Answer an appeal. Granted, each rule that stopped the decision is waived until a day, excluded.

        If the appeal was about an admission, the participant is then judged again, in the same step, and that decision
        is given back. UsageError for an appeal that was answered, and where no waiver can let through what was refused:
        no rule stopped it, or one stopped what is declared nowhere, such as a payment with facts of its own.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)
        if not isinstance(granted, bool):
            raise UsageError(f"granted is {granted!r}", hint="an appeal is granted, True, or not, False")
        role, reason, until = (
            _required_text("role", role),
            _required_text("reason", reason),
            None if until is None else _day(until),
        )
        answer = {"granted": granted, "role": role, "reason": reason, "until": until}

        def look(connection: Connection) -> tuple[CurrentVersions, Appeal, StoredDecision]:
            asked = decision_log.appeal(connection, number)
            if asked.granted is not None:
                raise UsageError(f"appeal {number} was answered", hint="a new appeal may be made")
            return versions.current(connection), asked, decision_log.of_digest(connection, asked.decision)

        def make(seen: tuple[CurrentVersions, Appeal, StoredDecision]) -> _NewWaivers | None:
            if not granted:
                return None
            basis, _, decision = seen
            declared = self._version_cache.network(basis.network.digest)
            waivers = _waivers_for(decision, declared, role, reason, today, until)
            network = versions.with_waivers(declared, waivers)
            made = None
            if decision.record["format"] == admission.FORMAT:
                library = self._version_cache.library(basis.library.digest)
                made = self._version_cache.new_judge_cache(network, library, today).admission(decision.about)
            return _NewWaivers(basis, network, waivers, made)

        def keep(connection: Connection, let: _NewWaivers | None) -> Admission | None:
            decision_log.add_appeal_decision(connection, number, **answer, stamp=stamp)  # type: ignore[arg-type]
            if let is None:
                return None
            _store_waivers(connection, let, stamp=stamp)
            if let.admission is not None:
                decision_log.add_admissions(connection, [let.admission], decision_log.CAUSE_APPEAL, stamp)
            return let.admission

        return self._store_if_current(look, make, keep)

    # --- payments ---

    def screen(
        self, flow: str = "", facts: Mapping[str, Any] | None = None, *, payment: str = "", by: str
    ) -> ComplianceRecord | Refusal:
        """Ask whether a payment may cross, before money moves: the record that travels with it, or a refusal.

        `flow` is a declared flow that the payment is one of; `facts` add to it or stand in its place, in the form of a
        declaration's [[flows]]. Without `flow` they are all there is. `payment` is the caller's own reference. Both
        answers are kept. UsageError or DocumentError for a question that cannot be; that is not kept.
        """
        stamp = self._stamp(by)
        storable_text("flow", flow)
        storable_text("payment", payment)

        def make(basis: CurrentVersions) -> screening.FlowResult:
            prepared = self._judge_cache(basis, stamp)
            return prepared.flow_result(prepared.flow_class(flow, facts or {}))

        def keep(connection: Connection, found: screening.FlowResult) -> ComplianceRecord | Refusal:
            statuses = [decision_log.admission_status(connection, each) for each in found.parties]
            made = screening.decide(payment, found, statuses)
            decision_log.add_screening(connection, made, stamp)
            return made

        return self._store_if_current(versions.current, make, keep)

    def screenings(self, payment: str) -> list[StoredDecision]:
        """All answers for a payment, the first one first."""
        with reading(self._engine) as connection:
            return decision_log.screenings(connection, storable_text("payment", payment))

    # --- proof ---

    def replay(self, digest: str) -> Admission | ComplianceRecord | Refusal:
        """Judge a kept decision again, from the kept texts. IntegrityError if it comes to anything else, or they do."""
        with reading(self._engine) as connection:
            kept = decision_log.of_digest(connection, storable_text("digest", digest))
            decision_replay.require_admissions(connection, kept.record)
        return decision_replay.again(VersionCache(self._engine), kept.record)

    def verify_record(self, record: str | bytes | Mapping[str, Any]) -> Admission | ComplianceRecord | Refusal:
        """Judge a record that came with a payment again, by its digests, from the versions kept here.

        Where the parties stood is taken from the record. UsageError for what is no record; IntegrityError for one that
        was changed, or comes to anything else; UnavailableError where a version that it names was never kept here.
        """
        return decision_replay.again(self._version_cache, record)

    # --- inside ---

    def _stamp(self, by: str) -> Stamp:
        return Stamp(_required_text("by", by), self._clock.now_ns())

    def _version(self, kind: str, as_of: date | Version | None) -> Version:
        if isinstance(as_of, Version):
            if as_of.kind != kind:
                raise UsageError(
                    f"version {as_of.number} is of the {as_of.kind}", hint=f'versions("{kind}") has others'
                )
            return as_of
        with reading(self._engine) as connection:
            before = None if as_of is None else versions.end_of(as_of)
            found = versions.newest(connection, kind, before_ns=before)
        if found is None:
            raise UsageError(
                f"there was no {kind}" + (f" on {as_of}" if as_of else ""), hint="declare() and use() first"
            )
        return found

    def _judge_cache(self, basis: CurrentVersions, stamp: Stamp) -> JudgeCache:
        return self._version_cache.judge_cache(basis.network.digest, basis.library.digest, versions.day_of(stamp.at_ns))

    def _store_if_current(
        self, look: Callable[[Connection], S], make: Callable[[S], P], keep: Callable[[Connection, P], R]
    ) -> R:
        """Make something of what is seen, outside of any transaction, and keep it if the same is still seen then."""

        def work(connection: Connection, seen: S, made: P) -> tuple[R] | None:
            return (keep(connection, made),) if look(connection) == seen else None

        for _ in range(ATTEMPTS_MAX):
            with reading(self._engine) as connection:
                seen = look(connection)
            kept = write(self._engine, partial(work, seen=seen, made=make(seen)))
            if kept is not None:
                return kept[0]
        raise UnavailableError(f"what judges changed {ATTEMPTS_MAX} times while it judged", hint="try again")


@dataclass(frozen=True, slots=True)
class _NewWaivers:
    """A network with waivers that are about to be kept, and an admission under it."""

    basis: CurrentVersions
    network: Network
    waivers: Sequence[Waiver]
    admission: Admission | None = None


@dataclass(frozen=True, slots=True)
class _Rejudgement:
    """What was found for everybody. None for one who is declared no more."""

    basis: CurrentVersions
    prepared: JudgeCache
    participants: Mapping[str, tuple[Finding, ...] | None]

    def otherwise_than(self, records: Mapping[str, str]) -> tuple[tuple[Change, ...], list[Admission]]:
        """What is otherwise than in the newest records, and the decisions on those for whom something is."""
        changes: list[Change] = []
        made: list[Admission] = []
        for participant, found in self.participants.items():
            outcome = admission.REFUSE if found is None else admission.outcome_of(found)
            changed = admission.changes(records[participant], participant, outcome, found or ())
            if changed:
                changes += changed
                gone = found is None
                made.append(self.prepared.gone(participant) if gone else self.prepared.admission(participant, found))
        return tuple(changes), made


def _store_waivers(connection: Connection, let: _NewWaivers, *, stamp: Stamp) -> Version:
    """A new version of the network: the same texts, and more waivers."""
    files = versions.files_of(connection, let.basis.network)
    return versions.store(connection, let.network, files, stamp, let.waivers)


def _waivers_for(
    decision: StoredDecision, network: Network, role: str, reason: str, today: date, until: date | None
) -> list[Waiver]:
    if until is None or until <= today:
        raise UsageError("an appeal is granted until a day", hint=f"until=…, after today, {today}")
    stops = [each for each in decision.record["findings"] if decisions.stops(each)]
    if not stops:
        raise UsageError("no rule stopped this decision that could be waived", hint="answer it with granted=False")
    for name in (name for each in stops for name in each["subject"].split(ON_PATH)):
        if name not in network.entities:
            problem = f"{name} is declared nowhere: a waiver would let through whatever else comes to be called so"
            raise UsageError(problem, hint="declare it and ask again, or answer with granted=False")
    return [Waiver(each["rule"], each["subject"], role, reason, today, until) for each in stops]


def _require_named(what: str, name: str, names: Mapping[str, object]) -> None:
    if name not in names:
        raise UsageError(f"there is no {what} {name}", hint=typos.hint(name, names, f"name a {what}"))


def _require_level(rule: Rule, subject: str, network: Network) -> None:
    """UsageError unless the rule is about such a subject: of what lies on a path, the place, the flow, or both."""
    kinds = [network.entities[each].kind for each in subject.split(ON_PATH)]
    about = [[kind] for kind in LEVELS[rule.level]]
    if rule.level in PATH_LEVELS:
        about += [[FLOW], *([FLOW, *each] for each in about)]
    if kinds not in about:
        forms = " or ".join(ON_PATH.join(each).upper() for each in about)
        raise UsageError(f"{rule.id} is not about {subject} ({kinds[-1]})", hint=f"it can be waived for: {forms}")


def _day(until: object) -> date:
    if not isinstance(until, date) or isinstance(until, datetime):
        raise UsageError(f"until is {until!r}, and no day", hint="give a datetime.date, such as date(2027, 1, 31)")
    return until


def _required_text(what: str, given: object) -> str:
    """A text that is not empty, without blanks around it."""
    said = storable_text(what, given).strip()
    if not said:
        raise UsageError(f"{what} is empty", hint="say who, which role or why: it is kept with the decision")
    return said
