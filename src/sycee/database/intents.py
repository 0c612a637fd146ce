"""Intents: work that writes to the ledger and to SQL, and that a crash leaves neither half done nor done twice.

An intent is stored first, with its signed records. Then its records are submitted, and then its action writes the
outcome. After a crash `resume` submits the records of each pending intent again: the ledger answers records that it
has with their first results. A signed range is in one frame, so it is journaled atomically.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final

import numpy as np
import sqlalchemy
from blake3 import blake3
from sqlalchemy.engine import Connection, Engine, Row

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.core.limits import FRAME_RECORDS_MAX, I64_MAX, PLACE_INDEX_BITS
from sycee.core.records import layout
from sycee.core.records.envelopes import ENVELOPE, Envelope, as_array
from sycee.core.result_codes import Result
from sycee.database.actions import Actions, Draft, Intent, IntentOutcome, RebuildingAction
from sycee.database.states import DONE, LAPSED, PENDING
from sycee.database.tables import INTENT_RECORDS, INTENTS
from sycee.database.transactions import reading, write
from sycee.ledger import queries
from sycee.ledger.batch import first_codes, prepare
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS, Ledger
from sycee.sequencer.signer import Signer, sign_parts, sign_records

INTENT_RECORDS_MAX: Final = 8_000  # with its envelopes, one frame
DRAFTS_MAX: Final = 16  # of one `perform_many`
SUBMISSION_RECORDS_MAX: Final = 65_535  # an envelope's first record is a number of 16 bits
LOOK_AGAIN_S: Final = 0.01  # while `settle` waits
PART_PAUSE_S_MAX: Final = 0.008  # 200 parts of a drop to 10,000,000 purses still end within 5 s on a slow disk
# Keys that suggest personal data, which a payload must not have: it is kept for years.
PERSONAL_KEYS: Final = frozenset({"name", "phone", "paper", "birth", "address", "email", "text"})

assert INTENT_RECORDS_MAX < FRAME_RECORDS_MAX
assert [*Result] == [Result(code) for code in range(len(Result))]

# By code: the result, and whether it binds the id. Without a Python call per record: an intent has thousands.
_RESULTS: Final = np.array(list(Result), object)
_BINDS: Final = np.array([result.binds for result in Result])

Envelopes = Array | Sequence[Envelope]
Before = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class StoredIntent:
    """An intent as stored. `frame` is 0, `finished_ns` None and `results` empty before it has results."""

    id: int
    action: str
    state: str
    payload: Mapping[str, Any]
    size: int  # number of records
    digest: str
    valid_until_ns: int
    results: tuple[Result, ...]
    frame: int
    who: int
    made_ns: int
    finished_ns: int | None
    reason: str

    @property
    def outcome(self) -> IntentOutcome:
        """Return the outcome. Meaningful unless the state is pending."""
        return IntentOutcome(self.id, self.state, self.results, self.frame)


@dataclass(frozen=True, slots=True)
class Resumed:
    """Number of pending intents that `resume` finished."""

    done: int
    lapsed: int


class Intents:
    """The intents of one database and one ledger."""

    def __init__(self, engine: Engine, ledger: Ledger, clock: Clock, actions: Actions) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._actions = actions
        self._in_work: Counter[int] = Counter()  # threads of this process that perform an intent, by its id
        self._in_work_lock = Lock()

    def perform(self, draft: Draft) -> IntentOutcome:
        """Store an intent, submit its records and run its action; return the outcome once all is durable.

        Refusals by the ledger are results, no errors. Raises UsageError for a draft that cannot be stored;
        UnavailableError if disk or database refuse: if the intent was stored, `resume` finishes it, and so does the
        same call with the same `id`. IntegrityError if a record's id belongs to another operation.
        """
        return self.perform_many([draft])[0]

    def perform_many(self, drafts: Sequence[Draft]) -> list[IntentOutcome]:
        """Perform up to 16 independent intents with one transaction before all and one after all. Errors: `perform`."""
        if len(drafts) > DRAFTS_MAX:
            raise UsageError(f"{len(drafts)} drafts at once", hint=f"perform at most {DRAFTS_MAX} together")
        prepared = [self._prepared(draft) for draft in drafts]
        if len({intent.id for intent in prepared}) < len(prepared):
            raise UsageError("two drafts have the same id", hint="give each draft its own id, or none")
        now_ns = read_ns(self._clock)

        def store(connection: Connection) -> list[Row[Any] | None]:
            found = [_row(connection, intent.id) for intent in prepared]
            for intent, draft, row in zip(prepared, drafts, found, strict=True):
                if row is None:
                    if draft.before is not None:
                        draft.before(connection)
                    self._insert(connection, intent, now_ns)
            return found

        with self._working(prepared):
            return self._performed(drafts, prepared, write(self._engine, store))

    def _performed(
        self, drafts: Sequence[Draft], prepared: Sequence[Intent], found: Sequence[Row[Any] | None]
    ) -> list[IntentOutcome]:
        """Finish intents that were stored. `found`: the row of each that was stored before."""
        stored: list[StoredIntent | Intent] = []
        for intent, draft, row in zip(prepared, drafts, found, strict=True):
            if row is None:
                stored.append(intent)
            else:
                _check_action(row, intent.action)
                stored.append(replace(self._intent(row), parts=draft.parts) if row.state == PENDING else _stored(row))
        finished = {each.intent: each for each in self._finish([each for each in stored if isinstance(each, Intent)])}
        outcomes = []
        for each in stored:
            outcome = each.outcome if isinstance(each, StoredIntent) else finished[each.id]
            _check_content(outcome)
            outcomes.append(outcome)
        return outcomes

    def resume(self) -> Resumed:
        """Finish every pending intent: submit its records again with the stored signatures, and run its action.

        After a restore the reopened intents are the first, in the order of their frames. Raises IntegrityError for
        stored records that were changed, and the errors of `perform`.
        """
        first = (INTENTS.c.frame.is_(None), INTENTS.c.frame, INTENTS.c.id)
        with reading(self._engine) as connection:
            pending = list(
                connection.scalars(sqlalchemy.select(INTENTS.c.id).where(INTENTS.c.state == PENDING).order_by(*first))
            )
        states = []
        for id in pending:
            with reading(self._engine) as connection:
                row = _row(connection, id)
            if row is not None and row.state == PENDING:
                states += [outcome.state for outcome in self._finish([self._intent(row)])]
        return Resumed(states.count(DONE), states.count(LAPSED))

    def renew(
        self, id: int, *, envelopes: Envelopes = (), signers: Sequence[Signer] = (), before: Before | None = None,
        parts: Sequence[int] = (),
    ) -> IntentOutcome:  # fmt: skip
        """Sign a lapsed intent anew and perform it: the same records under the same ids. `parts`: as of a draft.

        `before` writes SQL in the transaction that makes the intent pending again. Raises UsageError if there is no
        such intent or it did not lapse, and the errors of `perform`.
        """
        with reading(self._engine) as connection:
            row = _row(connection, id)
        if row is None or row.state != LAPSED:
            raise UsageError(
                f"intent {ids.format(id)} {'does not exist' if row is None else f'is {row.state}'}",
                hint="only a lapsed intent can be renewed",
            )
        intent = self._intent(row)
        signed = self._signed(intent.records, envelopes, signers, parts)
        intent = replace(intent, envelopes=signed, valid_until_ns=_valid_until(signed), parts=parts)

        def reopen(connection: Connection) -> int:
            changed = connection.execute(
                INTENTS.update()
                .where(INTENTS.c.id == id, INTENTS.c.state == LAPSED)
                .values(
                    state=PENDING,
                    valid_until_ns=intent.valid_until_ns,
                    results=None,
                    frame=None,
                    finished_ns=None,
                    reason="",
                )
            ).rowcount
            if changed:
                signed = INTENT_RECORDS.update().where(INTENT_RECORDS.c.id == id)
                connection.execute(signed.values(envelopes=intent.envelopes.tobytes()))
                if before is not None:
                    before(connection)
            return changed

        if not write(self._engine, reopen):
            raise UsageError(f"intent {ids.format(id)} is renewed by another caller", hint="read its outcome")
        (outcome,) = self._finish([intent])
        _check_content(outcome)
        return outcome

    def outcome(self, id: int, action: str) -> IntentOutcome | None:
        """Return the outcome of a stored intent, which is finished if it is pending; None if there is none.

        For an action that is repeated after it changed what it checks. Raises UsageError for an intent of another
        action, and the errors of `perform`.
        """
        with reading(self._engine) as connection:
            row = _row(connection, id)
        if row is None:
            return None
        _check_action(row, action)
        outcome = self._finish([self._intent(row)])[0] if row.state == PENDING else _stored(row).outcome
        _check_content(outcome)
        return outcome

    def find(self, id: int) -> StoredIntent | None:
        """Return a stored intent, or None."""
        with reading(self._engine) as connection:
            row = _row(connection, id)
        return None if row is None else _stored(row)

    def pending(self) -> int:
        """Return the number of intents without an outcome."""
        with reading(self._engine) as connection:
            count = sqlalchemy.select(sqlalchemy.func.count()).where(INTENTS.c.state == PENDING)
            return int(connection.scalar(count) or 0)

    def reopen_after(self, frame: int) -> int:
        """Make the intents done in later frames pending again; return their number.

        For a restored ledger that ends at `frame`. `resume` then submits them again. Raises IntegrityError if records
        of such an intent were pruned.
        """
        later = (INTENTS.c.state == DONE) & (INTENTS.c.frame > frame)

        def reopen(connection: Connection) -> int:
            pruned = INTENTS.c.id.not_in(sqlalchemy.select(INTENT_RECORDS.c.id))
            gone = connection.scalar(sqlalchemy.select(INTENTS.c.id).where(later, pruned).limit(1))
            if gone is not None:
                raise IntegrityError(
                    f"the records of intent {ids.format(gone)}, which is later than frame {frame}, were pruned",
                    hint="restore a newer backup: records are pruned only when one covers them",
                )
            # The old frame stays until the new outcome: it gives the order in which `resume` submits.
            values = {"state": PENDING, "results": None, "finished_ns": None, "reason": ""}
            return connection.execute(INTENTS.update().where(later).values(values)).rowcount

        return write(self._engine, reopen)

    def prune(self, covered_frame: int) -> int:
        """Remove the records of intents done in frames that a backup covers; return how many were pruned."""
        covered = sqlalchemy.select(INTENTS.c.id).where(INTENTS.c.state == DONE, INTENTS.c.frame <= covered_frame)
        statement = INTENT_RECORDS.delete().where(INTENT_RECORDS.c.id.in_(covered))
        return write(self._engine, lambda connection: connection.execute(statement).rowcount)

    def settle(self, most_s: float) -> None:
        """Wait until the intents have ended that threads of this process perform now, but at most `most_s` seconds."""
        performed, until_s = set(self._in_work), time.monotonic() + most_s
        while not performed.isdisjoint(self._in_work) and time.monotonic() < until_s:
            time.sleep(LOOK_AGAIN_S)

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each intent without an outcome, and for each whose results the ledger does not have.

        Intents that a thread performs, and those whose records were pruned, are not compared.
        """
        stored = sqlalchemy.select(INTENTS.c.id).join(INTENT_RECORDS, INTENT_RECORDS.c.id == INTENTS.c.id)
        with reading(self._engine) as connection:
            compared = stored.where(INTENTS.c.state.in_((PENDING, DONE))).order_by(INTENTS.c.id)
            chosen = list(connection.scalars(compared))
        for id in chosen:
            with reading(self._engine) as connection:
                row = _row(connection, id)
            if row is None or id in self._in_work:
                continue
            if row.state == PENDING:
                yield f"intent {ids.format(id)} of {row.action} has no outcome: open the bank again to finish it"
                continue
            expected = [each if each.binds else None for each in _stored(row).results]
            try:
                found = self._bound(self._intent(row).records)
            except SyceeError as error:  # its files were changed or moved away
                yield f"intent {ids.format(id)} of {row.action} cannot be compared: {error.message}"
                continue
            if found != expected:
                yield f"intent {ids.format(id)} of {row.action} has other results in the ledger than in the database"

    def _bound(self, records: Array) -> list[Result | None]:
        """Return the result to which the id of each record is bound, or None."""
        found: list[Result | None] = []
        for start in range(0, records.size, queries.READS_MAX):
            answers = self._ledger.sequencer.read(queries.operations_of(records[start : start + queries.READS_MAX]))
            at = answers.found["at"]
            results = _RESULTS[answers.bound["result"]][at]
            results[at < 0] = None
            found += results.tolist()
        return found

    # --- before the transaction ---

    def _prepared(self, draft: Draft) -> Intent:
        if draft.action not in self._actions:
            raise UsageError(f"there is no action {draft.action!r}", hint="register the action before its intents")
        check_payload(draft.payload)
        if not 0 < draft.records.size <= INTENT_RECORDS_MAX:
            raise UsageError(
                f"an intent has 1 to {INTENT_RECORDS_MAX:,} records, not {draft.records.size:,}",
                hint="divide the work into several intents: each is done atomically",
            )
        records = np.ascontiguousarray(draft.records)
        if draft.parts and sum(draft.parts) != records.size:
            raise UsageError(f"parts of {sum(draft.parts):,} records, and the intent has {records.size:,}")
        signed = self._signed(records, draft.envelopes, draft.signers, draft.parts)
        id = draft.id or ids.new(read_ns(self._clock) // 1_000_000)
        payload = dict(draft.payload)
        return Intent(id, draft.action, payload, records, signed, _valid_until(signed), draft.who, draft.parts)

    def _signed(
        self, records: Array, envelopes: Envelopes, signers: Sequence[Signer], parts: Sequence[int] = ()
    ) -> Array:
        if len(envelopes):
            made = as_array(envelopes)
        elif signers:
            until_ns, ledger_id = read_ns(self._clock) + SIGNATURE_VALIDITY_NS, self._ledger.sequencer.ledger_id
            made = as_array(
                sign_parts(records, ledger_id, signers, until_ns, parts)
                if parts
                else sign_records(records, ledger_id, signers, until_ns)
            )
        else:
            made = np.zeros(0, ENVELOPE)
        prepare(records, made)  # raises for records that fit no frame, before anything is stored
        return made

    # --- rows ---

    def _insert(self, connection: Connection, intent: Intent, now_ns: int) -> None:
        records = intent.records.tobytes()
        connection.execute(
            INTENTS.insert().values(
                id=intent.id,
                action=intent.action,
                state=PENDING,
                payload=canonical(intent.payload).decode(),
                size=intent.records.size,
                digest=_digest(records),
                valid_until_ns=intent.valid_until_ns,
                who=intent.who,
                made_ns=now_ns,
                reason="",
            )
        )
        kept = b"" if isinstance(self._actions.get(intent.action), RebuildingAction) else records
        signed = intent.envelopes.tobytes()
        connection.execute(INTENT_RECORDS.insert().values(id=intent.id, records=kept, envelopes=signed))

    def _intent(self, row: Row[Any]) -> Intent:
        """Return a stored intent with its records. Raises IntegrityError if they are not the ones that were signed."""
        records, payload = bytes(row.records or b""), json.loads(row.payload)
        if not records and isinstance(action := self._actions.get(row.action), RebuildingAction):
            records = action.records(payload).tobytes()
        if len(records) != row.size * layout.OPERATION.itemsize or _digest(records) != row.digest:
            raise IntegrityError(
                f"the records of intent {ids.format(row.id)} were changed since it was stored",
                hint="restore the database from a backup; nothing was submitted",
            )
        envelopes = np.frombuffer(bytes(row.envelopes or b""), ENVELOPE).copy()
        operations = np.frombuffer(records, layout.OPERATION).copy()
        return Intent(row.id, row.action, payload, operations, envelopes, row.valid_until_ns, row.who)

    # --- ledger, then SQL ---

    def _finish(self, intents: Sequence[Intent]) -> list[IntentOutcome]:
        """Submit the records and write the outcomes. If another caller was faster, return the stored outcomes."""
        with self._working(intents):
            outcomes = [outcome for group in _groups(intents) for outcome in self._submitted(group)]
            return self._write_outcomes(intents, outcomes)

    @contextmanager
    def _working(self, intents: Sequence[Intent]) -> Iterator[None]:
        """Count this thread among those that perform the intents, inside the block."""
        performed = Counter(intent.id for intent in intents)
        with self._in_work_lock:
            self._in_work += performed
        try:
            yield
        finally:
            with self._in_work_lock:
                self._in_work -= performed

    def _write_outcomes(self, intents: Sequence[Intent], outcomes: Sequence[IntentOutcome]) -> list[IntentOutcome]:
        """Write the outcomes in one transaction with the actions."""
        now_ns = read_ns(self._clock)

        def finish(connection: Connection) -> list[IntentOutcome]:
            written = []
            for intent, outcome in zip(intents, outcomes, strict=True):
                refusal = outcome.refusal if outcome.state == LAPSED else None
                changed = connection.execute(
                    INTENTS.update()
                    .where(INTENTS.c.id == intent.id, INTENTS.c.state == PENDING)
                    .values(
                        state=outcome.state,
                        results=np.array(array("H", outcome.results), "<u2").tobytes(),
                        frame=outcome.frame if outcome.state == DONE else None,
                        finished_ns=now_ns,
                        reason="" if refusal is None else refusal.name,
                    )
                ).rowcount
                if not changed:
                    row = _row(connection, intent.id)
                    assert row is not None, "intents are never deleted"
                    written.append(_stored(row).outcome)
                    continue
                action = self._actions.get(intent.action)
                if outcome.state == DONE:
                    action.done(connection, intent, outcome.results)
                else:
                    action.lapsed(connection, intent)
                written.append(outcome)
            return written

        return write(self._engine, finish) if intents else []

    def _submitted(self, intents: Sequence[Intent]) -> Iterator[IntentOutcome]:
        starts = np.cumsum([0, *(intent.records.size for intent in intents)]).tolist()
        envelopes = np.concatenate([intent.envelopes for intent in intents])
        envelopes["first"] += np.repeat(starts[:-1], [intent.envelopes.size for intent in intents]).astype(np.uint16)
        records = np.concatenate([intent.records for intent in intents])
        answers = self._answers(records, envelopes, intents[0].parts if len(intents) == 1 else ())
        codes, frames = first_codes(answers), answers["place"] >> np.uint64(PLACE_INDEX_BITS)
        for intent, start, end in zip(intents, starts, starts[1:], strict=False):
            part, bound = codes[start:end], _BINDS[codes[start:end]]
            results = tuple(_RESULTS[part].tolist())
            if bound.any():
                yield IntentOutcome(intent.id, DONE, results, int(frames[start:end][bound].max()))
            else:
                yield IntentOutcome(intent.id, LAPSED, results, 0)

    def _answers(self, records: Array, envelopes: Array, parts: Sequence[int]) -> Array:
        """Submit records, in parts one after another, and return their answers: (n,) layout.ANSWER.

        Between two parts is a pause as long as a part took, at most 8 ms, so that payments are written meanwhile.
        """
        submit, found, start, took_s = self._ledger.sequencer.submit, [], 0, 0.0
        for size in parts or [records.size]:
            if start:
                time.sleep(min(took_s, PART_PAUSE_S_MAX))
            own = envelopes[(envelopes["first"] >= start) & (envelopes["first"] < start + size)].copy()
            own["first"] -= np.uint16(start)
            began_s = time.perf_counter()
            found.append(submit(records[start : start + size], own))
            start, took_s = start + size, time.perf_counter() - began_s
        return found[0] if len(found) == 1 else np.concatenate(found)


def check_payload(payload: Mapping[str, Any]) -> None:
    """Raise UsageError for a payload that is no canonical JSON object or whose keys suggest personal data."""
    canonical(dict(payload))
    for key in _keys(payload):
        if key.lower() in PERSONAL_KEYS:
            raise UsageError(
                f"the payload has the key {key!r}, which suggests personal data",
                hint="payloads are kept for years: store personal data encrypted in `before`, and give its id here",
            )


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield key
            yield from _keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _keys(each)


def _groups(intents: Sequence[Intent]) -> Iterator[list[Intent]]:
    """Yield the intents in groups that fit one submission; an intent of several parts separately."""
    group: list[Intent] = []
    size = 0
    for intent in intents:
        is_full = size + intent.records.size > SUBMISSION_RECORDS_MAX
        if group and (is_full or len(intent.parts) > 1 or len(group[-1].parts) > 1):
            yield group
            group, size = [], 0
        group.append(intent)
        size += intent.records.size
    if group:
        yield group


def _check_action(row: Row[Any], action: str) -> None:
    """Raise UsageError for a stored intent of another action."""
    if row.action != action:
        raise UsageError(
            f"intent {ids.format(row.id)} is of the action {row.action}, not {action}",
            hint="choose a fresh id for another action",
        )


def _check_content(outcome: IntentOutcome) -> None:
    """Raise IntegrityError if the id of a record belongs to another operation: the intent is stored with that code."""
    if Result.EXISTS_WITH_DIFFERENT_CONTENT in outcome.results:
        at = outcome.results.index(Result.EXISTS_WITH_DIFFERENT_CONTENT)
        raise IntegrityError(
            f"intent {ids.format(outcome.intent)}: the id of record {at} belongs to another operation",
            hint="choose fresh ids for new operations",
        )


def _valid_until(envelopes: Array) -> int:
    return int(envelopes["valid_until_ns"].min()) if envelopes.size else I64_MAX


def _digest(records: bytes) -> str:
    return blake3(records).hexdigest()


def _row(connection: Connection, id: int) -> Row[Any] | None:
    """Return the row of an intent with its `records` and `envelopes`, None for pruned ones."""
    columns = (INTENTS, INTENT_RECORDS.c.records, INTENT_RECORDS.c.envelopes)
    joined = sqlalchemy.select(*columns).outerjoin(INTENT_RECORDS, INTENT_RECORDS.c.id == INTENTS.c.id)
    return connection.execute(joined.where(INTENTS.c.id == id)).one_or_none()


def _stored(row: Row[Any]) -> StoredIntent:
    results = tuple(_RESULTS[np.frombuffer(bytes(row.results or b""), "<u2")].tolist())
    frame = row.frame if row.state == DONE else 0
    return StoredIntent(
        row.id,
        row.action,
        row.state,
        json.loads(row.payload),
        row.size,
        row.digest,
        row.valid_until_ns,
        results,
        frame or 0,
        row.who,
        row.made_ns,
        row.finished_ns,
        row.reason,
    )
