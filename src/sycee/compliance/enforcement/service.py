"""The compliance service: admission of participants and screening of payments, with a stored history.

A database holds every version of declarations, profiles and lists, and every decision with its author; rows are never
changed. The newest versions are in use, as of today in UTC. Judging runs outside of transactions, and its result is
stored only if the versions in use are still the same::

    upgrade(engine, SCHEMA)
    compliance = Compliance(engine)
    compliance.declare([Path("network")], by="declarations desk")
    compliance.use(["clean-network-2020"], by="compliance officer")
    compliance.admit("first-bank", by="admissions desk").outcome
"""

from __future__ import annotations

# First, because it names the extra to install if SQLAlchemy is missing.
import sycee.database  # noqa: F401

# isort: split
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from sqlalchemy.engine import Connection, Engine

from sycee.compliance import declarations
from sycee.compliance.enforcement import (
    admission,
    decision_log,
    decision_replay,
    payment_messages,
    proofs,
    screening,
    transfer_groups,
    versions,
)
from sycee.compliance.enforcement.admission import Admission, Change
from sycee.compliance.enforcement.decision_log import Appeal, Round, StoredDecision
from sycee.compliance.enforcement.decisions import RecordedFinding, storable_text
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.payment_messages import ScreenedTransfer
from sycee.compliance.enforcement.screening import (
    AdmissionStatus,
    FlowResult,
    PaymentRequest,
    RecordWriters,
    Screened,
    UnreadableFlow,
)
from sycee.compliance.enforcement.tables import LIBRARY, NETWORK, SCHEMA
from sycee.compliance.enforcement.transfer_groups import ScreenedGroup, TransferGroup
from sycee.compliance.enforcement.version_cache import VersionCache
from sycee.compliance.enforcement.versions import CurrentVersions, File, Stamp, Version
from sycee.compliance.facts import Network, Waiver, says_something, waiver_days_max
from sycee.compliance.profiles import Library, Rule
from sycee.compliance.verdicts import ON_PATH, Finding
from sycee.compliance.vocabulary import FLOW, LEVELS, PATH_LEVELS
from sycee.core import documents, typos
from sycee.core.clock import Clock, RealClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.keys import SigningKey
from sycee.database.migrations import require_current
from sycee.database.transactions import reading, write

if TYPE_CHECKING:
    from sycee.iso20022.credit_transfers import CreditTransfer, CreditTransfers

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")
Q = ParamSpec("Q")

_Findings: TypeAlias = Mapping[str, tuple[Finding, ...] | None]  # by participant; None if no longer declared
_Judged: TypeAlias = tuple[Sequence[PaymentRequest], list[FlowResult | UnreadableFlow]]

ATTEMPTS_MAX: Final = 10  # of a call whose inputs change while it judges


class Compliance:
    """The service over one database, for several processes and threads.

    A change is stored completely or not at all; `by` names its author. Raises UnavailableError if the tables are of
    another release.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        require_current(engine, SCHEMA)
        self._engine = engine
        self._clock = clock or RealClock()
        self._version_cache = VersionCache(engine)

    # --- versions ---

    def declare(self, files: Sequence[Path] | Mapping[str, bytes | str], *, by: str) -> Version:
        """Replace the network by these declarations: files and folders, or texts by name. Waivers and trust stay.

        The same content in the same texts makes no new version. Raise DocumentError for an invalid declaration, and for
        a signed file that is older than one declared before.
        """
        stamp = self._stamp(by)
        contents = files if isinstance(files, Mapping) else declarations.read_files(files)
        texts = [
            File(versions.DECLARATION, storable_text("name", name), _bytes(each)) for name, each in contents.items()
        ]

        def read(connection: Connection) -> tuple[list[File], list[Waiver]]:
            last = versions.newest(connection, NETWORK)
            if last is None:
                return [], []
            kept = [each for each in versions.files_of(connection, last) if each.role in versions.KEPT]
            return kept, versions.granted(connection, last.number)

        def build(seen: tuple[list[File], list[Waiver]]) -> tuple[Network, list[File]]:
            files = [*texts, *seen[0]]
            network = versions.network_of(files, seen[1])
            return network, versions.with_signatures(files, network, stamp.at_ns)

        def store(connection: Connection, built: tuple[Network, list[File]]) -> tuple[Version, Network]:
            return versions.store(connection, *built, stamp), built[0]

        version, network = self._store_if_current(read, build, store)
        self._version_cache.add(network)
        return version

    def trust(self, file: Path | bytes | str | None, *, by: str) -> Version:
        """Read the declarations, now and later, under an authority file, or its text; under none with None.

        Raise UsageError if nothing is declared yet, DocumentError for an invalid file, and for declarations that it
        does not allow.
        """
        stamp = self._stamp(by)
        content = documents.content(file) if isinstance(file, Path) else None if file is None else _bytes(file)
        new = [] if content is None else [File(versions.AUTHORITY, "authority.toml", content)]

        def read(connection: Connection) -> tuple[list[File], list[Waiver]]:
            last = versions.newest(connection, NETWORK)
            if last is None:
                raise UsageError("nothing is declared yet", hint="call declare(files, by=…) first")
            return versions.files_of(connection, last), versions.granted(connection, last.number)

        def texts(seen: tuple[list[File], list[Waiver]]) -> list[File]:
            kept = [each for each in seen[0] if each.role != versions.AUTHORITY]
            return sorted([*kept, *new], key=lambda each: each.role == versions.SIGNATURES)  # as `declare` orders them

        def build(seen: tuple[list[File], list[Waiver]]) -> tuple[Network, list[File]]:
            return versions.network_of(texts(seen), seen[1]), texts(seen)

        def store(connection: Connection, built: tuple[Network, list[File]]) -> tuple[Version, Network]:
            return versions.store(connection, *built, stamp), built[0]

        version, network = self._store_if_current(read, build, store)
        self._version_cache.add(network)
        return version

    def use(self, profiles: Sequence[str | Path], lists: Sequence[Path] = (), *, by: str) -> Version:
        """Replace the library by these profiles (shipped ones by name, or files) and their lists, given or shipped.

        Raise UsageError or DocumentError for an invalid profile or list.
        """
        stamp = self._stamp(by)
        files = versions.library_files(profiles, lists)
        library = versions.library_of(files)
        return write(self._engine, lambda connection: versions.store(connection, library, files, stamp))

    def renew(self, *, by: str) -> tuple[Version, Version]:
        """Store the newest network and library as this release reads them, after an upgrade to another engine."""
        stamp = self._stamp(by)

        def build(current: CurrentVersions) -> list[tuple[list[File], Network | Library]]:
            old = (current.network, current.library)
            return [(self._read(versions.files_of, each), self._read(versions.parse, each)) for each in old]

        def store(connection: Connection, built: list[tuple[list[File], Network | Library]]) -> tuple[Version, Version]:
            network, library = (versions.store(connection, parsed, files, stamp) for files, parsed in built)
            return network, library

        return self._store_if_current(versions.current, build, store)

    def waive(self, rule: str, subject: str, *, role: str, reason: str, until: date, by: str) -> Version:
        """Waive a rule, PROFILE/RULE, for a subject from today until a day (excluded): a new version of the network.

        `role` is that of the responsible person. The newest waiver for a rule and a subject is valid, so a waiver until
        today revokes an earlier one. Raise UsageError if there is no such rule or subject, or the rule is not about it.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)
        names = storable_text("rule", rule), storable_text("subject", subject)
        waiver = Waiver(
            *names, _required_text("role", role), _required_text("reason", reason), today, _day("until", until)
        )
        if until < today:
            raise UsageError(f"a waiver until {until} ends before it begins, today, {today}", hint="give a later day")
        _require_short(today, until)

        def build(current: CurrentVersions) -> _NewWaivers:
            network = self._version_cache.network(current.network.digest)
            library = self._version_cache.library(current.library.digest)
            if until > today:
                _require_unsigned(network)
            # A waiver can be revoked after its rule or subject was removed.
            if until > today or names not in [(each.rule, each.subject) for each in network.waivers]:
                typos.require(rule, library.rules, f"there is no rule {rule}", "name a rule")
                for each in subject.split(ON_PATH):
                    typos.require(each, network.entities, f"there is no subject {each}", "name a subject")
                _require_level(library.rules[rule], subject, network)
            return _NewWaivers(current, versions.with_waivers(network, [waiver]), (waiver,))

        return self._store_if_current(versions.current, build, partial(_store_waivers, stamp=stamp))

    def network(self, as_of: date | Version | None = None) -> Network:
        """Return the network in use now, at the end of a day (UTC), or of a version. Raise UsageError without one."""
        return self._version_cache.network(self._version(NETWORK, as_of).digest)

    def library(self, as_of: date | Version | None = None) -> Library:
        """Return the library in use now, at the end of a day (UTC), or of a version. Raise UsageError without one."""
        return self._version_cache.library(self._version(LIBRARY, as_of).digest)

    def versions(self, kind: str) -> list[Version]:
        """Return all versions of the "network" or of the "library", the oldest first."""
        kinds = (NETWORK, LIBRARY)
        typos.require(storable_text("kind", kind), kinds, f"there are no versions of {kind}", " or ".join(kinds))
        return self._read(versions.of_kind, kind)

    # --- admissions ---

    def admit(self, participant: str, *, by: str) -> Admission:
        """Judge a participant, store the decision and return it. Raise UsageError if it is not declared."""
        stamp = self._stamp(by)
        storable_text("participant", participant)

        def build(current: CurrentVersions) -> Admission:
            return self._judge_cache(current, stamp).admission(participant)

        def store(connection: Connection, decision: Admission) -> Admission:
            decision_log.add_admissions(connection, [decision], decision_log.CAUSE_REQUEST, stamp)
            return decision

        return self._store_if_current(versions.current, build, store)

    def rejudge(self, *, by: str) -> tuple[Change, ...]:
        """Judge all applicants again; store a decision for each that changed, and return the changes per rule.

        Call it every day, and after every change of declarations, profiles, lists or waivers.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)

        def build(current: CurrentVersions) -> tuple[CurrentVersions, JudgeCache, _Findings]:
            cache = self._judge_cache(current, stamp)
            return current, cache, {each: cache.findings(each) for each in self._read(decision_log.applicants)}

        def store(connection: Connection, built: tuple[CurrentVersions, JudgeCache, _Findings]) -> tuple[Change, ...]:
            current, cache, findings = built
            records = decision_log.newest_records(connection)
            changes = {each: admission.changes(records[each], each, found) for each, found in findings.items()}
            decisions = [cache.admission_by(each, findings[each]) for each, changed in changes.items() if changed]
            decision_log.add_admissions(connection, decisions, decision_log.CAUSE_REJUDGED, stamp)
            decision_log.add_round(connection, current, today, len(findings), len(decisions), stamp)
            return tuple(change for changed in changes.values() for change in changed)

        return self._store_if_current(versions.current, build, store)

    def due(self) -> bool:
        """Return whether versions or the day have changed since the last `rejudge`."""
        with reading(self._engine) as connection:
            current, last = versions.current(connection), decision_log.last_round(connection)
        inputs = (current.network.digest, current.library.digest, versions.day_of(self._clock.now_ns()))
        return last is None or (last.network, last.library, last.day) != inputs

    def last_round(self) -> Round | None:
        """Return the last call of `rejudge`, None without one."""
        return self._read(decision_log.last_round)

    def admission_status(self, participant: str) -> AdmissionStatus:
        """Return the outcome and the digest of a participant's newest admission."""
        return self._read(decision_log.admission_status, storable_text("participant", participant))

    def admissions(self, participant: str) -> list[StoredDecision]:
        """Return all decisions about a participant, the oldest first."""
        return self._read(decision_log.admissions, storable_text("participant", participant))

    # --- appeals ---

    def appeal(self, decision: str, *, reason: str, by: str) -> int:
        """Request that a person reviews the decision with this digest. Return the appeal's number."""
        stamp, why = self._stamp(by), _required_text("reason", reason)

        def store(connection: Connection) -> int:
            digest = decision_log.of_digest(connection, storable_text("digest", decision)).digest
            return decision_log.add_appeal(connection, digest, why, stamp)

        return write(self._engine, store)

    def appeals(self) -> list[Appeal]:
        """Return all appeals, the oldest first. `granted` is None for those that are not decided."""
        return self._read(decision_log.appeals)

    def decide_appeal(
        self, number: int, *, granted: bool, role: str, reason: str, by: str, until: date | None = None
    ) -> Admission | None:
        """Decide an appeal. If it is granted, each rule that stopped the decision is waived until a day (excluded).

        A participant is then judged again in the same step; return that decision. Raise UsageError for an appeal that
        is decided, and where no waiver can help: no rule stopped the decision, or its subject is not declared.
        """
        stamp = self._stamp(by)
        today = versions.day_of(stamp.at_ns)
        if not isinstance(granted, bool):
            raise UsageError(f"granted must be a bool; got {granted!r}", hint="give True or False")
        role, reason = _required_text("role", role), _required_text("reason", reason)
        until = None if until is None else _day("until", until)

        def read(connection: Connection) -> tuple[CurrentVersions, StoredDecision]:
            appeal = decision_log.open_appeal(connection, number)
            return versions.current(connection), decision_log.of_digest(connection, appeal.decision)

        def build(seen: tuple[CurrentVersions, StoredDecision]) -> _NewWaivers | None:
            if not granted:
                return None
            current, decision = seen
            declared = self._version_cache.network(current.network.digest)
            _require_unsigned(declared)
            waivers = _waivers_for(decision, declared, role, reason, today, until)
            network = versions.with_waivers(declared, waivers)
            if decision.record["format"] != Admission.FORMAT:
                return _NewWaivers(current, network, waivers)
            library = self._version_cache.library(current.library.digest)
            cache = self._version_cache.new_judge_cache(network, library, today)
            return _NewWaivers(current, network, waivers, cache.admission(decision.about))

        def store(connection: Connection, new: _NewWaivers | None) -> Admission | None:
            decision_log.add_appeal_decision(
                connection, number, granted=granted, role=role, reason=reason, until=until, stamp=stamp
            )
            if new is None:
                return None
            _store_waivers(connection, new, stamp=stamp)
            if new.admission is not None:
                decision_log.add_admissions(connection, [new.admission], decision_log.CAUSE_APPEAL, stamp)
            return new.admission

        return self._store_if_current(read, build, store)

    # --- payments ---

    def screen(
        self,
        flow: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        payment: str = "",
        by: str,
        role: str = "",
        reason: str = "",
    ) -> Screened:
        """Decide whether a payment is permitted, before money moves; store and return the decision.

        `flow` is the id of the payment's declared flow. `facts` add to its facts, in the form of a declaration's
        [[flows]]; without `flow` they are all facts. Facts that narrow the declared flow need the `role` of a person
        and a `reason`, which are stored. `payment` is the caller's reference. A payment with an invalid flow or fact,
        or one that narrows its flow without these, is refused too: the decision is an `UnreadableFlow`.
        """
        request = PaymentRequest(payment, flow, {} if facts is None else facts, role, reason)
        return self.screen_many([request], by=by)[0]

    def screen_many(self, requests: Sequence[PaymentRequest], *, by: str) -> list[Screened]:
        """Decide about many payments in one transaction; return the decisions in the order of the requests.

        Decisions, records and digests are those of `screen`. Each class of flows is judged once, and the status of each
        party is read once.
        """
        for each in requests:
            storable_text("payment", each.payment)
        return self._screen(lambda _: requests, by)

    def screen_message(self, message: bytes | CreditTransfers, *, by: str) -> list[ScreenedTransfer]:
        """Decide about each transaction of a pacs.008 or pacs.009 message, in one transaction.

        The participants and the declared flow of a transfer are found by `payment_messages.Directory`. Raise
        MessageError for a message that cannot be read; nothing is stored then.
        """
        from sycee.iso20022 import credit_transfers

        parsed = credit_transfers.parse(message) if isinstance(message, bytes) else message
        return self.screen_transfers(
            [(payment_messages.reference(parsed, each), each) for each in parsed.transactions], by=by
        )

    def screen_transfers(self, transfers: Sequence[tuple[str, CreditTransfer]], *, by: str) -> list[ScreenedTransfer]:
        """Decide about transfers of any messages, each with the caller's reference, in one transaction.

        Otherwise as `screen_message`.
        """
        counts: list[int] = []

        def requests(cache: JudgeCache) -> list[PaymentRequest]:
            mapped = [cache.directory.requests(transfer, payment) for payment, transfer in transfers]
            counts[:] = [len(each) for each in mapped]
            return [request for each in mapped for request in each]

        decisions = iter(self._screen(requests, by))
        return [
            ScreenedTransfer(transfer, tuple(islice(decisions, count)))
            for (_, transfer), count in zip(transfers, counts, strict=True)
        ]

    def screen_groups(self, groups: Sequence[TransferGroup], *, by: str) -> list[list[ScreenedGroup]]:
        """Decide about groups of transfers, each equal but for references and amounts, in one transaction.

        Decisions, records and digests are those of `screen_transfers`. The transfers of a group are judged once if no
        rule reads amounts.
        """
        stamp = self._stamp(by)

        def build(current: CurrentVersions) -> list[list[transfer_groups.Judged]]:
            cache = self._judge_cache(current, stamp)
            return [list(transfer_groups.judged(cache, each)) for each in groups]

        def store(connection: Connection, judged: list[list[transfer_groups.Judged]]) -> list[list[ScreenedGroup]]:
            writers = RecordWriters(partial(decision_log.admission_status, connection))
            made = [transfer_groups.decided(*each, writers) for each in zip(groups, judged, strict=True)]
            decision_log.add_screenings(connection, [one for _, records in made for one in records], stamp)
            return [decisions for decisions, _ in made]

        return self._store_if_current(versions.current, build, store)

    def _screen(self, requests: Callable[[JudgeCache], Sequence[PaymentRequest]], by: str) -> list[Screened]:
        stamp = self._stamp(by)

        def build(current: CurrentVersions) -> _Judged:
            cache = self._judge_cache(current, stamp)
            asked = requests(cache)
            return asked, cache.screening_results(asked)

        def store(connection: Connection, judged: _Judged) -> list[Screened]:
            made, records = screening.decide_many(*judged, partial(decision_log.admission_status, connection))
            decision_log.add_screenings(connection, records, stamp)
            return made

        return self._store_if_current(versions.current, build, store)

    def screenings(self, payment: str) -> list[StoredDecision]:
        """Return all decisions about a payment, the oldest first."""
        return self._read(decision_log.screenings, storable_text("payment", payment))

    # --- verification ---

    def prove(self, digest: str, key: SigningKey) -> dict[str, Any]:
        """Return a signed proof of the stored decision with this digest; `proofs.verify` needs no database."""
        record = self._read(decision_log.of_digest, storable_text("digest", digest)).record
        inputs = record["inputs"]
        network, library = inputs["network"], inputs["library"]
        return proofs.prove(record, self._version_cache.network(network), self._version_cache.library(library), key)

    def replay(self, digest: str) -> Admission | Screened:
        """Judge a stored decision again. Raise IntegrityError if the result or the digest of a text differs."""
        with reading(self._engine) as connection:
            stored = decision_log.of_digest(connection, storable_text("digest", digest))
            decision_log.require_admissions(connection, stored.record)
        return decision_replay.replay(VersionCache(self._engine), stored.record)

    def verify_record(self, record: str | bytes | Mapping[str, Any]) -> Admission | Screened:
        """Judge a received record again from the versions stored here; the parties' admissions are those it names.

        Raise UsageError for a value that is not a record, IntegrityError for a record that was changed or gives another
        result, UnavailableError if a version is not stored here.
        """
        return decision_replay.replay(self._version_cache, record)

    # --- internal ---

    def _stamp(self, by: str) -> Stamp:
        return Stamp(_required_text("by", by), self._clock.now_ns())

    def _version(self, kind: str, as_of: date | Version | None) -> Version:
        if isinstance(as_of, Version):
            if as_of.kind != kind:
                hint = f'versions("{kind}") lists the versions of the {kind}'
                raise UsageError(f"version {as_of.number} is of the {as_of.kind}", hint=hint)
            return as_of
        found = self._read(versions.newest, kind, until=None if as_of is None else _day("as_of", as_of))
        if found is None:
            when = f" on {as_of}" if as_of else ""
            raise UsageError(f"there was no {kind}{when}", hint="call declare() and use() first")
        return found

    def _judge_cache(self, current: CurrentVersions, stamp: Stamp) -> JudgeCache:
        day = versions.day_of(stamp.at_ns)
        return self._version_cache.judge_cache(current.network.digest, current.library.digest, day)

    def _read(self, query: Callable[Concatenate[Connection, Q], R], *arguments: Q.args, **options: Q.kwargs) -> R:
        with reading(self._engine) as connection:
            return query(connection, *arguments, **options)

    def _store_if_current(
        self, read: Callable[[Connection], S], build: Callable[[S], P], store: Callable[[Connection, P], R]
    ) -> R:
        """Read inputs, build a result outside of any transaction, and store it if the inputs are still the same.

        Retry up to `ATTEMPTS_MAX` times, then raise UnavailableError.
        """

        def work(connection: Connection, inputs: S, built: P) -> tuple[R] | None:
            return (store(connection, built),) if read(connection) == inputs else None

        for _ in range(ATTEMPTS_MAX):
            inputs = self._read(read)
            stored = write(self._engine, partial(work, inputs=inputs, built=build(inputs)))
            if stored is not None:
                return stored[0]
        raise UnavailableError(f"the versions in use changed {ATTEMPTS_MAX} times while judging", hint="try again")


@dataclass(frozen=True, slots=True)
class _NewWaivers:
    """A network with waivers that are not stored yet, and an admission under it."""

    current: CurrentVersions
    network: Network
    waivers: Sequence[Waiver]
    admission: Admission | None = None


def _store_waivers(connection: Connection, new: _NewWaivers, *, stamp: Stamp) -> Version:
    files = versions.files_of(connection, new.current.network)
    return versions.store(connection, new.network, files, stamp, new.waivers)


def _waivers_for(
    decision: StoredDecision, network: Network, role: str, reason: str, today: date, until: date | None
) -> list[Waiver]:
    if until is None or until <= today:
        raise UsageError("a granted appeal needs the day until which it holds", hint=f"give until=…, after {today}")
    _require_short(today, until)
    stops = [each for each in decision.record["findings"] if RecordedFinding(**each).stops]
    if not stops:
        raise UsageError("no rule stopped this decision, so none can be waived", hint="decide with granted=False")
    for name in (name for each in stops for name in each["subject"].split(ON_PATH)):
        if name not in network.entities:
            problem = f"{name} is not declared: a waiver would permit anything that later has this id"
            raise UsageError(problem, hint="declare it and ask again, or decide with granted=False")
    return [Waiver(each["rule"], each["subject"], role, reason, today, until) for each in stops]


def _require_unsigned(network: Network) -> None:
    if network.signed_only:
        problem = 'the authority file allows only waivers that a key with the role "waive" signed'
        raise UsageError(problem, hint="declare the waiver in a file, and sign it: sycee compliance sign")


def _require_short(today: date, until: date) -> None:
    if (until - today).days > waiver_days_max():
        problem = f"a waiver counts for at most {waiver_days_max()} days; got one from {today} until {until}"
        raise UsageError(problem, hint=f"give {today + timedelta(days=waiver_days_max())} or an earlier day")


def _require_level(rule: Rule, subject: str, network: Network) -> None:
    """Raise UsageError unless the rule is about such a subject. On a path: the place, the flow, or FLOW @ PLACE."""
    kinds = [network.entities[each].kind for each in subject.split(ON_PATH)]
    allowed = [[kind] for kind in LEVELS[rule.level]]
    if rule.level in PATH_LEVELS:
        allowed += [[FLOW], *([FLOW, *each] for each in allowed)]
    if kinds not in allowed:
        forms = " or ".join(ON_PATH.join(each).upper() for each in allowed)
        raise UsageError(f"{rule.id} is not about {subject} ({kinds[-1]})", hint=f"it can be waived for: {forms}")


def _bytes(content: object) -> bytes:
    return content if isinstance(content, bytes) else storable_text("a declaration", content).encode()


def _day(name: str, value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise UsageError(f"{name} must be a day; got {value!r}", hint="give a datetime.date, such as date(2027, 1, 31)")
    return value


def _required_text(name: str, value: object) -> str:
    """Return a text without surrounding blanks. Raise UsageError if it is empty or cannot be stored."""
    text = storable_text(name, value).strip()
    if not says_something(text):
        raise UsageError(f"{name} is empty", hint=f"give {name}: it is stored with the decision")
    return text
