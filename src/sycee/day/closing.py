"""Close a business day while payments continue, sign its pack, and have another person countersign it.

A close writes nothing to the ledger. It reads the state after the last frame before the cut-off, matches it, and stores
pack, breaks and day in one transaction. The pack's file is written afterwards; `finish` writes it after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.archive import history_copy
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError, UsageError
from sycee.core.keys import SIGNATURE_BYTES, SigningKey
from sycee.core.money import Currency
from sycee.core.output_files import write_file
from sycee.core.records.day_packs import CLOSER, COUNTERSIGNER, FORMAT, check_chain, check_signatures
from sycee.core.records.layout import AccountKind, Purpose
from sycee.database.events import EventKind, record_event
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.day import breaks, figures, matching
from sycee.day.breaks import Breaks
from sycee.day.calendar import Calendar, cutoff_ns, local_day
from sycee.day.matching import Difference, LedgerLine, Stated
from sycee.day.pack import Pack
from sycee.day.statements_csv import ImportedStatement, StatementLine
from sycee.day.tables import CLOSED, DAYS, PACKS, SIGNED, STATEMENTS
from sycee.day.verify import check_figures, figures_document
from sycee.day.waiting import Prepared, WaitingPacks
from sycee.identity.people import People
from sycee.identity.remote_key import RemoteKey
from sycee.issuance.records import RESERVE_BOOK
from sycee.issuance.registry import Registry
from sycee.issuance.tables import ACTIVE, FUNDINGS, LEAVING
from sycee.ledger.state import LedgerState
from sycee.personal.access import AccessLog
from sycee.sequencer import checkpoint
from sycee.sequencer.checkpoint import Checkpoint
from sycee.wallets import waterfalls
from sycee.wallets.tables import SWEEPS

CLOSE: Final = "day.close"
COUNTERSIGN: Final = "day.countersign"
HOUR_NS: Final = 3_600 * 10**9
TRANSIT_AGE_NS: Final = 24 * HOUR_NS  # a bank confirms or rejects within a day
NEAR_CUTOFF_NS: Final = 2 * HOUR_NS
REFERENCES_OF_A_QUERY: Final = 500  # SQLite allows a few thousand parameters

_PAYEE_CAUSES: Final[Mapping[int, str]] = {
    Purpose.REFUND_SUSPENSE: "a refund found its payer closed or blocked",
    Purpose.RETURN_SUSPENSE: "a return found its account closed or blocked",
    Purpose.REVERSAL_SUSPENSE: "a reversal found its payer closed or blocked",
    Purpose.CONFIRM_SUSPENSE: "money in transit found its payee closed or blocked",
    Purpose.REJECT_SUSPENSE: "rejected money found its sender closed or blocked",
}


@dataclass(frozen=True, slots=True)
class Day:
    """A closed day. `countersigned_by` is 0 until another person signed."""

    day: date
    cutoff_ns: int
    cutoff_frame: int
    checkpoint_frame: int
    state: str
    pack: str
    closed_by: int
    countersigned_by: int


class Closing:
    """The business days of one bank. `folder`: of the packs' files; `cutoff`: local time such as 23:00."""

    def __init__(
        self,
        stores: Stores,
        people: People,
        registry: Registry,
        access: AccessLog,
        *,
        folder: Path,
        currency: Currency,
        calendar: Calendar,
        cutoff: str,
        zone: str,
        is_rehearsal: bool,
    ) -> None:
        self._stores = stores
        self._people = people
        self._registry = registry
        self._access = access
        self._folder = folder
        self._currency = currency
        self.calendar = calendar
        self._cutoff = cutoff
        self._zone = zone
        self._is_rehearsal = is_rehearsal
        self.breaks = Breaks(stores, people)
        self._waiting = WaitingPacks()

    # --- reading ---

    def days(self) -> list[Day]:
        """Return the closed days, oldest first."""
        with reading(self._stores.engine) as connection:
            return _days(connection)

    def next_day(self) -> date:
        """Return the business day that is to be closed next: the first one, or the one after the last closed one."""
        with reading(self._stores.engine) as connection:
            last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(DAYS.c.day)))
        if last:
            return self.calendar.following(date.fromisoformat(last))
        with self._stores.ledger.sequencer.reading() as state:
            first_ns = int(state.frame_times[1])
        day = self.calendar.on_or_after(local_day(first_ns, self._zone))
        return day if first_ns < cutoff_ns(day, self._cutoff, self._zone) else self.calendar.following(day)

    def pack(self, day: date) -> Pack:
        """Return the pack of a closed day, with all its signatures. Raises UsageError for a day that is not closed."""
        with reading(self._stores.engine) as connection:
            found = _pack(connection, day)
        if found is None:
            raise UsageError(f"{day} is not closed", hint="`sycee day close` closes it, after its cut-off")
        return found

    def packs(self) -> list[Pack]:
        """Return the packs of all closed days, oldest first."""
        with reading(self._stores.engine) as connection:
            return [found for each in _days(connection) if (found := _pack(connection, each.day)) is not None]

    # --- closing ---

    def close(
        self,
        day: date,
        key: SigningKey | RemoteKey,
        *,
        statements: Sequence[ImportedStatement] = (),
        witness: SigningKey | None = None,
        request: int = 0,
    ) -> Pack:
        """Close a business day and return its pack. A day that is closed already: return its pack as it is.

        - `key`: of the person who closes.
        - `witness`: a key that signs the checkpoint.
        - `request`: with a remote key, the id under which the pack waits for its signature: an hour at most, and in
          this process only.

        Raises UsageError for a day that is no business day, is not over, or follows a day that is not closed;
        IntegrityError if ledger and reserves do not agree with themselves; MessageSignatureNeeded, with nothing stored,
        for a remote key that has not signed.
        """
        person = self._people.person_of_key(key.public)
        self._people.require(person, CLOSE)
        with reading(self._stores.engine) as connection:
            if (stored := _pack(connection, day)) is not None:
                return stored
        prepared = self._waiting.get(request, read_ns(self._stores.clock))
        if prepared is None or not prepared.is_of(day, person, statements):
            prepared = self._prepare(day, person, statements, witness)
            self._waiting.keep(request, prepared)
        pack = prepared.pack.signed(CLOSER, person, key)
        self._waiting.forget(request)  # if breaks were changed, the same request makes another pack
        found = self._store_closed(pack, prepared, person)
        self._write_file(found)
        return found

    def _prepare(
        self, day: date, person: int, statements: Sequence[ImportedStatement], witness: SigningKey | None
    ) -> Prepared:
        """Return the pack of a day, unsigned. Stores nothing."""
        ends_ns = self._require_over(day)
        previous = self._previous(day)
        ledger = self._stores.ledger
        ledger.tick()  # ends holds that are over; every later frame is after the cut-off, too
        with ledger.sequencer.reading() as state:
            frame = history_copy.frame_before(state, ends_ns)
        after = previous.frame if previous else 0
        found = figures.compute(ledger, self._currency.numeric, after=after, frame=frame)
        self._require_continuing(previous, found)
        differences = list(self._differences(found, ends_ns, statements))
        position = ledger.sequencer.position()
        signer = self._people.person_of_key(witness.public) if witness else person
        signed = (
            checkpoint.sign(position, signer, witness)
            if witness
            else Checkpoint(position, signer, "ed25519", bytes(SIGNATURE_BYTES))
        )
        transits = self._transits(frame)
        entry, head = self._access.head()
        quotas = self._quotas()
        now_ns = read_ns(self._stores.clock)
        matched = list(dict.fromkeys(account for each in statements for account in each.accounts))
        body: dict[str, Any] = {
            "format": FORMAT,
            "ledger": position.ledger_id.hex(),
            "currency": self._currency.code,
            "currency_number": self._currency.numeric,
            "zone": self._zone,
            "calendar": self.calendar.name,
            "day": day.isoformat(),
            "number": previous.number + 1 if previous else 1,
            "previous": previous.digest.hex() if previous else "",
            "cutoff_ns": str(ends_ns),
            **figures_document(found),
            "checkpoint": json.loads(signed.text()),
            "quotas": {str(number): str(minor) for number, minor in quotas.items()},
            "transits_open": transits,
            "statements": [_statement(each) for each in statements],
            "breaks": self._planned_breaks(day, differences, matched),
            "access_log": {"entry": str(entry), "digest": head.hex()},
            "rehearsal": self._is_rehearsal,
            "closed_by": ids.format(person),
            "closed_ns": str(now_ns),
        }
        return Prepared(Pack(body), now_ns, position.sequence, tuple(differences), tuple(matched), tuple(statements))

    def _planned_breaks(
        self, day: date, differences: Sequence[Difference], matched: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Return the breaks that closing the day would leave open, as in its pack. Stores nothing."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            attempt = connection.begin_nested()
            left = breaks.record(connection, self._stores.clock, day, differences, matched)
            attempt.rollback()
            return [each.document(day) for each in left]

        return write(self._stores.engine, work)

    def _store_closed(self, pack: Pack, prepared: Prepared, person: int) -> Pack:
        """Store a signed pack, its day and its breaks in one transaction; return the pack of the day."""
        day = pack.day

        def work(connection: Connection) -> Pack:
            if (stored := _pack(connection, day)) is not None:
                return stored
            left = breaks.record(connection, self._stores.clock, day, prepared.differences, prepared.matched)
            if [each.document(day) for each in left] != pack.body["breaks"]:
                raise UsageError(f"breaks were changed while {day} was closed", hint="close the day again")
            connection.execute(
                DAYS.insert().values(
                    day=day.isoformat(),
                    cutoff_ns=int(pack.body["cutoff_ns"]),
                    cutoff_frame=pack.frame,
                    checkpoint_frame=prepared.checkpoint_frame,
                    state=CLOSED,
                    pack=pack.digest.hex(),
                    closed_by=person,
                )
            )
            _store(connection, pack)
            record_event(
                connection,
                self._stores.clock,
                EventKind.DAY_CLOSED,
                day.isoformat(),
                data={"frame": pack.frame, "pack": pack.digest.hex(), "breaks": len(left)},
            )
            for each in prepared.statements:
                connection.execute(STATEMENTS.insert().values(day=day.isoformat(), **_statement_row(each)))
            return pack

        return write(self._stores.engine, work)

    def countersign(self, day: date, key: SigningKey | RemoteKey) -> Pack:
        """Check the pack of a closed day and sign it as another person than the one who closed the day.

        Compares its figures with the ledger, its access-log head with the log, and the chain of all packs. A second
        call by the same person returns the signed pack. Raises UsageError for the wrong person, IntegrityError for a
        pack that is not right, MessageSignatureNeeded for a remote key that has not signed.
        """
        person = self._people.person_of_key(key.public)
        self._people.require(person, COUNTERSIGN)
        pack = self.pack(day)
        closer, other = pack.of(CLOSER), pack.of(COUNTERSIGNER)
        assert closer is not None
        if other is not None:
            if other.person == person:
                self._write_file(pack)
                return pack
            raise UsageError(f"{day} is countersigned already", hint="one person countersigns a day")
        if closer.person == person or closer.public_key == key.public:
            raise UsageError(
                f"{ids.format(person)} closed {day}, and cannot countersign it", hint="another person must sign"
            )
        self._check(pack)
        signed = pack.signed(COUNTERSIGNER, person, key)

        def work(connection: Connection) -> None:
            stored = _pack(connection, day)
            if stored is not None and stored.of(COUNTERSIGNER) is not None:
                raise UsageError(f"{day} was countersigned meanwhile", hint="`sycee day list` shows by whom")
            _store(connection, signed)
            values = {"state": SIGNED, "countersigned_by": person}
            connection.execute(DAYS.update().where(DAYS.c.day == day.isoformat()).values(**values))

        write(self._stores.engine, work)
        self._write_file(signed)
        return signed

    def finish(self) -> int:
        """Write the files of packs that an interrupted command did not write; return their number."""
        written = 0
        for pack in self.packs():
            path = self.path(pack.day)
            if not path.exists() or path.read_bytes() != pack.text().encode("ascii"):
                self._write_file(pack)
                written += 1
        return written

    def path(self, day: date) -> Path:
        """Return the path of a day's pack."""
        return self._folder / f"{day.isoformat()}.json"

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each closed day that the ledger or its pack does not agree with."""
        with reading(self._stores.engine) as connection:
            days = _days(connection)
            stored = {each.day: _pack(connection, each.day) for each in days}
        sequencer = self._stores.ledger.sequencer
        newest, times = sequencer.durable_sequence, sequencer.frame_times
        for each in days:
            pack = stored[each.day]
            if pack is None or pack.digest.hex() != each.pack or pack.frame != each.cutoff_frame:
                yield f"the pack of {each.day} is not the one that was stored when the day was closed"
            elif each.checkpoint_frame > newest:
                yield f"{each.day} was closed at frame {each.checkpoint_frame:,}, which the ledger does not have"
            elif int(times[each.cutoff_frame]) >= each.cutoff_ns:
                yield f"{each.day} ends with frame {each.cutoff_frame:,}, which is after its cut-off"

    # --- steps ---

    def _require_over(self, day: date) -> int:
        """Return the cut-off of a day that may be closed now. Raises UsageError otherwise."""
        self.calendar.require_business_day(day)
        expected = self.next_day()
        if day != expected:
            which = "is closed or was before the bank" if day < expected else f"follows {expected}, which is not closed"
            raise UsageError(f"{day} {which}", hint=f"close {expected} next")
        ends_ns = cutoff_ns(day, self._cutoff, self._zone)
        if read_ns(self._stores.clock) < ends_ns:
            raise UsageError(
                f"{day} is not over: it ends at {self._cutoff} {self._zone}", hint="close it after that time"
            )
        return ends_ns

    def _previous(self, day: date) -> Pack | None:
        with reading(self._stores.engine) as connection:
            last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(DAYS.c.day)))
        if not last:
            return None
        found = self.pack(date.fromisoformat(last))
        check_signatures(found, complete=False)
        return found

    def _require_continuing(self, previous: Pack | None, found: figures.Figures) -> None:
        if previous is None:
            return
        for name, position in found.positions.items():
            before = previous.body["positions"].get(name, {"closing": "0"})["closing"]
            if int(before) != position.opening:
                raise IntegrityError(
                    f"{name} had {before} minor units in the pack of {previous.day}, and the ledger gives "
                    f"{position.opening} for the same frame",
                    hint="compare the pack with its copies, and run `sycee verify` with its checkpoint",
                )

    def _check(self, pack: Pack) -> None:
        packs = [each for each in self.packs() if each.day <= pack.day]
        for each in packs:
            check_signatures(each, complete=False)
        check_chain(packs)
        found = figures.compute(self._stores.ledger, self._currency.numeric, after=pack.after, frame=pack.frame)
        check_figures(pack, found)
        logs = [each.body["access_log"] for each in packs]
        self._access.verify(
            [(int(each["entry"]), bytes.fromhex(each["digest"])) for each in logs if each["entry"] != "0"]
        )

    # --- matching ---

    def _differences(
        self, found: figures.Figures, ends_ns: int, statements: Sequence[ImportedStatement]
    ) -> Iterator[Difference]:
        ledger, currency = self._stores.ledger, self._currency.numeric
        if found.supply != found.converted:
            cause = "money was issued without reserves, or reserves were converted without issue"
            yield Difference(matching.RESERVES, "issuer", 0, 0, found.supply - found.converted, cause)
        for book in (currency, RESERVE_BOOK) if found.reserves else (currency,):
            for held in figures.suspense_accounts(ledger, book, found.frame):
                cause = _PAYEE_CAUSES.get(held.purpose, "somebody paid to it, or moved a part of it")
                yield Difference(matching.SUSPENSE, _operator(held.operator), held.account, 0, held.minor, cause)
        for sent in figures.open_transits(ledger, currency, found.frame):
            if ends_ns - sent.sent_ns > TRANSIT_AGE_NS:
                cause = "the bank neither confirmed nor rejected it"
                party = _operator(sent.operator)
                yield Difference(matching.TRANSIT, party, sent.through, sent.operation, sent.minor, cause)
        for each in statements:
            yield from self._of_statement(each, found, ends_ns)

    def _of_statement(self, statement: ImportedStatement, found: figures.Figures, ends_ns: int) -> Iterator[Difference]:
        accounts = statement.accounts
        rows = self._rows(accounts, statement.file)
        references = self._references({line.reference for line in statement.lines if line.reference})
        of_account: dict[int, list[StatementLine]] = {account: [] for account in accounts}
        for line in statement.lines:
            of_account[line.account].append(line)
        for account in accounts:
            row, operator = rows[account]
            ledger = self._lines(row, account, found)
            yield from matching.match(
                ledger,
                _stated(of_account[account], references, {line.operation for line in ledger}),
                party=_operator(operator),
                account=account,
                cutoff_ns=ends_ns,
                near_ns=NEAR_CUTOFF_NS,
                elsewhere=self._elsewhere(found),
            )

    def _rows(self, accounts: Sequence[int], file: str) -> dict[int, tuple[int, int]]:
        """Return row and operator of each account of a statement."""
        with self._stores.ledger.sequencer.reading() as state:
            rows = {account: state.row(account) for account in accounts}
            known = {
                account
                for account, row in rows.items()
                if row >= 0 and int(state.accounts["currency"][row]) == self._currency.numeric
            }
            matching.require_accounts(accounts, known.__contains__, file)
            return {account: (row, _owner(state, row)) for account, row in rows.items()}

    def _lines(self, row: int, account: int, found: figures.Figures) -> list[LedgerLine]:
        source = self._stores.ledger.sequencer
        rows, _ = history_copy.read_chain(source, row, found.after + 1, found.frame + 1, history_copy.movement_rows)
        rows = rows[::-1]
        is_debit = ids.match(rows, "debit", account)
        is_both = is_debit & ids.match(rows, "credit", account)
        lines = zip(
            ids.of_records(rows, "operation"),
            rows["amount"].tolist(),
            is_debit.tolist(),
            is_both.tolist(),
            rows["time_ns"].tolist(),
            strict=True,
        )
        return [
            LedgerLine(operation, -minor if debit else minor, time_ns)
            for operation, minor, debit, both, time_ns in lines
            if not both
        ]

    def _references(self, texts: set[str]) -> dict[str, int]:
        """Return the operation of each bank reference that names one funding, sweep of a merchant, or waterfall."""
        found: dict[str, int] = {}
        twice: set[str] = set()
        chosen = sorted(texts)
        with reading(self._stores.engine) as connection:
            for table in (FUNDINGS, SWEEPS):
                query = sqlalchemy.select(table.c.bank_reference, table.c.id)
                for start in range(0, len(chosen), REFERENCES_OF_A_QUERY):
                    part = chosen[start : start + REFERENCES_OF_A_QUERY]
                    for text, id in connection.execute(query.where(table.c.bank_reference.in_(part))):
                        if text in found:
                            twice.add(text)
                        found[text] = id
        with self._stores.ledger.sequencer.reading() as state:
            for text in chosen:
                payment = waterfalls.payment_of(text)
                if payment and state.transit_of(payment) is not None:
                    if text in found:
                        twice.add(text)
                    found[text] = payment
        return {text: id for text, id in found.items() if text not in twice}

    def _elsewhere(self, found: figures.Figures) -> Callable[[int], str]:
        def tell(operation: int) -> str:
            with self._stores.ledger.sequencer.reading() as state:
                bound = state.bound_of(operation)
                if bound is None:
                    return "the ledger never received it"
                at = int(history_copy.frames_of(bound["place"]))
            if at <= found.after:
                return "it belongs to an earlier day"
            if at > found.frame:
                return "it was after the cut-off"
            return "the ledger refused it, or it moved money of other accounts"

        return tell

    def _transits(self, frame: int) -> dict[str, str]:
        sent = figures.open_transits(self._stores.ledger, self._currency.numeric, frame)
        return {"count": str(len(sent)), "minor": str(sum(each.minor for each in sent))}

    def _quotas(self) -> dict[int, int]:
        """Return the largest balance of each operator's vault, by the rule set in force."""
        operators = self._registry.operators(ACTIVE, LEAVING)
        with self._stores.ledger.sequencer.reading() as state:
            rules = state.tables.rule_sets
            return {each.number: int(rules["balance_max"][each.quota_rule_set]) for each in operators}

    def _write_file(self, pack: Pack) -> None:
        write_file(self.path(pack.day), pack.text().encode("ascii"))


def _stated(lines: Sequence[StatementLine], references: Mapping[str, int], moved: Collection[int]) -> list[Stated]:
    """Return the lines of one account. A reference counts only if its operation moved money of this account.

    Money that a bank sent reaches a wallet by the confirmation, which is another operation: such a line matches by its
    amount.
    """
    stated = []
    for line in lines:
        referred = references.get(line.reference, 0)
        stated.append(Stated(line.operation or (referred if referred in moved else 0), line.minor))
    return stated


def _owner(state: LedgerState, row: int) -> int:
    """Return the operator of an account; of the vault that an IN_TRANSIT account is linked to."""
    account = state.accounts[row]
    if int(account["kind"]) == AccountKind.IN_TRANSIT and int(account["link"]):
        return int(state.accounts["operator"][int(account["link"]) - 1])
    return int(account["operator"])


def _operator(number: int) -> str:
    return f"{breaks.OPERATOR_PARTY}{number}"


def _statement(each: ImportedStatement) -> dict[str, Any]:
    row = _statement_row(each)
    return {name: str(value) if name.endswith("_minor") else value for name, value in row.items()}


def _statement_row(each: ImportedStatement) -> dict[str, Any]:
    return {
        "digest": each.digest,
        "accounts": len(each.accounts),
        "lines": len(each.lines),
        "credits_minor": sum(line.minor for line in each.lines if line.minor > 0),
        "debits_minor": -sum(line.minor for line in each.lines if line.minor < 0),
    }


def _days(connection: Connection) -> list[Day]:
    return [_day(row) for row in connection.execute(sqlalchemy.select(DAYS).order_by(DAYS.c.day))]


def _day(row: Row[Any]) -> Day:
    values = dict(row._mapping)
    return Day(
        **values | {"day": date.fromisoformat(values["day"]), "countersigned_by": values["countersigned_by"] or 0}
    )


def _pack(connection: Connection, day: date) -> Pack | None:
    """Return the stored pack of a day with the most signatures."""
    query = sqlalchemy.select(PACKS.c.text).join(DAYS, (DAYS.c.pack == PACKS.c.digest) & (DAYS.c.day == PACKS.c.day))
    chosen = query.where(DAYS.c.day == day.isoformat()).order_by(PACKS.c.signatures.desc()).limit(1)
    text = connection.scalar(chosen)
    return None if text is None else Pack.parse(text, f"the stored pack of {day}")


def _store(connection: Connection, pack: Pack) -> None:
    row = {"digest": pack.digest.hex(), "signatures": len(pack.signatures), "day": pack.body["day"]}
    connection.execute(PACKS.insert().values(**row, text=pack.text()))
