"""Entering: one person, or the rows of a file, become entries of a list. The first part of `Registrations`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from sycee.core import documents, ids
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError
from sycee.core.input_files import unreadable
from sycee.core.worker_thread import one_ahead
from sycee.database.bulk import insert_columns
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.personal.register import Register
from sycee.programmes import draw_files
from sycee.programmes.definition import FIRST_COME, Programme
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE
from sycee.programmes.registration_lists import (
    LAPSE,
    NO_CODE,
    NOT_CHECKED,
    SCREEN,
    SHRED,
    Entry,
    Found,
    Lists,
    entry_of,
)
from sycee.programmes.registration_rows import (
    CELL_CHARACTERS_MAX,
    DOCUMENT,
    FULL,
    GROUP_ROWS,
    OUTSIDE_WINDOW,
    PHONE,
    WORDS,
    Fault,
    Group,
    Reader,
    Rows,
    groups_of,
)
from sycee.programmes.registration_store import ListRow, ReadyHashes, Vault, fresh_entries, list_in
from sycee.programmes.registration_tables import (
    CHECKED,
    CONFIRMED,
    DONE,
    ENTRIES,
    IMPORTS,
    LAPSED,
    LISTS,
    LIVE,
    LOADING,
    PARTS,
    REGISTERED,
)

REGISTER: Final = "programme.register"
INDEX_ROWS: Final = 1 << 21  # entries whose hashes are sorted together: they need 300 MB
TRANSACTION_HASHES: Final = 1 << 18
FAULTS_MAX: Final = 1_000  # that one call returns

_MINUTE_NS: Final = 60 * 10**9

Progress = Callable[[int], None]
Receipts = Callable[[NDArray[np.int64], NDArray[np.int64], Bytes], None]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a registrant. With document, phone and salt anyone finds the entry in the published list."""

    entry: int
    state: str
    reason: str
    document: int = field(repr=False)
    phone: int = field(repr=False)
    salt: bytes = field(repr=False)

    def members(self) -> dict[str, str]:
        """Return the members of the receipt's file (docs/reference/draw.md, section 2)."""
        return {"document": str(self.document), "phone": str(self.phone), "salt": self.salt.hex()}


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome of a file. `refused`: number of rows by code; `faults`: the first of them that this call met."""

    rows: int
    registered: int
    refused: dict[str, int]
    faults: tuple[Fault, ...]


class Entering:
    """Registers people."""

    def __init__(self, lists: Lists, people: People, register: Register) -> None:
        self._lists, self._people, self._register = lists, people, register
        self._stores = lists.stores

    # --- one person ---

    def register(
        self, programme: str, occurrence: int = 0, *, who: int, document: str = "", phone: str = "", bank: str = "",
        stratum: str = "", wallet: int = 0, id: int = 0,
    ) -> Receipt:  # fmt: skip
        """Register one person now and return the receipt.

        `bank`: name or title of an operator of the file; `wallet`: where the packet shall go, if the person has one.
        `id`: the same id again returns the same receipt. A person who shares a document or phone with an earlier entry
        is registered as a duplicate, whose state and reason the receipt has. Raises UsageError without the duty,
        outside the window, when registration is full, and for a wrong document, phone, bank or stratum.
        """
        self._people.require(who, REGISTER)
        found = self._lists.ensure(programme, occurrence)
        now_ns = self._lists.now_ns()
        cells = {DOCUMENT: [document], PHONE: [phone], "wallet": [ids.format(wallet) if wallet else ""]}
        cells |= {name: [text] for name, text in (("bank", bank), ("stratum", stratum)) if text}
        reader = Reader(found.definition, self._register.phone, now_ns)
        reader.check_columns([name for name in cells if cells[name] != [""] or name in (DOCUMENT, PHONE)])
        rows = reader.read(cells)
        if rows.faults:
            raise _refused(rows.faults[0], found.definition)
        made = fresh_entries(rows)
        due_ns = now_ns + found.definition.registration_rules.check_ns
        vault = self._lists.vault(found.list)

        def work(connection: Connection) -> Receipt:
            current = self._lists.found_in(connection, programme, occurrence)
            earlier = self._earlier(connection, current.list, vault, id, made) if id else None
            if earlier is not None:
                return earlier
            current.require_registering()
            row, entry = current.list, current.list.following
            if not self._entries_left(connection, current):
                raise UsageError(WORDS[FULL], hint="an entry that lapses or is withdrawn makes room for another")
            part = {"list": row.list, "first": entry, "size": 1, "id": id or ids.new(now_ns // 1_000_000), "who": who}
            connection.execute(PARTS.insert().values(**part, sealed=vault.seal(entry, made)))
            connection.execute(ENTRIES.insert().values(_first(row.list, entry, rows, now_ns, due_ns)))
            self._mark_duplicate(connection, current, vault, entry, made[0])
            values = {"following": entry + 1}
            if row.indexed == entry:  # otherwise a file is not indexed yet, and this entry follows it
                vault.insert_hashes(connection, vault.hashes_of(entry, made))
                values["indexed"] = entry + 1
            connection.execute(LISTS.update().where(LISTS.c.list == row.list).values(values))
            self._add_jobs(connection, current)
            return _receipt(entry_of(self._lists.entry_in(connection, row, entry)), made[0])

        return write(self._stores.engine, work)

    def _earlier(self, connection: Connection, row: ListRow, vault: Vault, id: int, made: Array) -> Receipt | None:
        """Return the receipt that an earlier call with this id made. Raises UsageError for that of another person."""
        part = connection.execute(sqlalchemy.select(PARTS).where(PARTS.c.id == id)).one_or_none()
        if part is None:
            return None
        same = part.list == row.list and part.size == 1
        stored = vault.unseal(part.first, 1, part.sealed) if same else made
        if not same or any(stored[name][0] != made[name][0] for name in ("document", "phone")):
            raise UsageError(f"the id {ids.format(id)} is of another registration", hint="choose a fresh id")
        return _receipt(entry_of(self._lists.entry_in(connection, row, part.first)), stored[0])

    def _mark_duplicate(self, connection: Connection, found: Found, vault: Vault, entry: int, own: Any) -> None:
        """Mark an entry that shares a key with an earlier live one. `screen` later decides about all together."""
        row = found.list
        shared, through = 0, None
        for kind, name in ((BY_DOCUMENT, DOCUMENT), (BY_PHONE, PHONE)):
            if name not in found.definition.identity or own[name] == 0:
                continue
            others = vault.having(connection, kind, np.array([own[name]], np.uint64))
            for other in others:
                holder = self._lists.entry_in(connection, row, other)
                if holder.state in LIVE and not holder.ignored & kind:
                    shared, through = shared | kind, other if through is None else min(through, other)
                    break
        if through is not None:
            first = self._lists.entry_in(connection, row, through).accepted
            accepted = through if first is None else first
            self._lists.change(connection, row, entry, accepted=accepted, through=through, shared=shared)

    # --- files ---

    def register_file(
        self, programme: str, occurrence: int, path: Path, *, who: int, is_confirmed: bool = False,
        progress: Progress | None = None, receipts: Receipts | None = None, faults_max: int = FAULTS_MAX,
        salts: Bytes | None = None,
    ) -> Imported:  # fmt: skip
        """Register the rows of a CSV, Arrow or Parquet file, and return how many.

        The same file again registers only rows that an interrupted call did not. Rows that cannot be registered are
        refused by code, and do not stop the others. `is_confirmed`: rows without `checked_at` were checked, and their
        codes entered, when they registered. `receipts(rows, entries, salts)` is called for each stored group. `salts`:
        uint8 [rows, 32], for synthetic persons only, whose draw anybody may repeat; None: from the operating system.
        Raises UsageError, before anything is stored, without the duty, outside registration, and for a missing or
        unknown column.
        """
        self._people.require(who, REGISTER)
        found = self._lists.ensure(programme, occurrence)
        number = _import_id(found.list, path, is_confirmed)
        groups = partial(groups_of, path)
        return self._register_groups(found, number, groups, who, is_confirmed, progress, receipts, faults_max, salts)

    def register_rows(
        self, programme: str, occurrence: int, columns: Mapping[str, Sequence[str]], *, who: int, id: int,
        is_confirmed: bool = False,
    ) -> Imported:  # fmt: skip
        """Register up to GROUP_ROWS rows, given by columns of texts, as `register_file` does.

        `id`: the same id again returns the same outcome, without faults. Raises UsageError for more rows, and for
        columns of different lengths.
        """
        self._people.require(who, REGISTER)
        sizes = {len(texts) for texts in columns.values()}
        if len(sizes) != 1 or max(sizes) > GROUP_ROWS:
            raise UsageError(
                f"columns of {sorted(sizes)} rows", hint=f"give columns of one length, at most {GROUP_ROWS:,}"
            )
        found = self._lists.ensure(programme, occurrence)
        cells = {name: [text.strip() for text in texts] for name, texts in columns.items()}
        long = {at for texts in cells.values() for at, text in enumerate(texts) if len(text) > CELL_CHARACTERS_MAX}
        group = Group(1, cells, tuple(sorted(long)))
        return self._register_groups(found, id, lambda: iter([group]), who, is_confirmed, None, None, FAULTS_MAX)

    def _register_groups(
        self, found: Found, number: int, groups: Callable[[], Iterator[Group]], who: int, is_confirmed: bool,
        progress: Progress | None, receipts: Receipts | None, faults_max: int, salts: Bytes | None = None,
    ) -> Imported:  # fmt: skip
        """Register the groups of rows that an earlier call with this number did not."""
        earlier = self._import_row(number)
        at_ns = self._lists.now_ns() if earlier is None else int(earlier.at_ns)
        done = 0 if earlier is None else int(earlier.rows)
        refused = Counter[str]() if earlier is None else Counter(json.loads(earlier.refused))
        registered = 0 if earlier is None else int(earlier.entries)
        shown: list[Fault] = []
        ready = ReadyHashes()
        if earlier is None or earlier.state != DONE:
            reader, vault = Reader(found.definition, self._register.phone, at_ns), self._lists.vault(found.list)

            def prepared(group: Group) -> tuple[int, Rows, Array, Array]:
                rows = reader.read(group.cells, group.first_row, group.wrong)
                made = fresh_entries(rows, salts)
                return group.size, rows, made, vault.hashes_of(0, made)

            left = _after(groups(), done, reader)
            for size, given, made, hashed in one_ahead(prepared, left):
                first, rows = self._store_group(
                    found, given, made, size, number, at_ns, who, refused, is_confirmed, receipts
                )
                ready.add(first, len(rows), hashed)
                if ready.size > INDEX_ROWS - GROUP_ROWS:
                    self._index(found, ready)
                registered, done = registered + len(rows), done + size
                for fault in rows.faults:
                    refused[fault.code] += 1
                shown += rows.faults[: faults_max - len(shown)]
                if progress is not None:
                    progress(size)
            self._finish_import(number)
        self._index(found, ready)
        return Imported(done, registered, dict(refused), tuple(shown))

    def _import_row(self, number: int) -> Any:
        with reading(self._stores.engine) as connection:
            return connection.execute(sqlalchemy.select(IMPORTS).where(IMPORTS.c.id == number)).one_or_none()

    def _store_group(
        self, found: Found, given: Rows, salted: Array, size: int, number: int, at_ns: int, who: int,
        refused: Counter[str], is_confirmed: bool, receipts: Receipts | None,
    ) -> tuple[int, Rows]:  # fmt: skip
        """Store one group of a file, in one transaction.

        Return the number of the first entry, the rows that became entries, and all faults.
        """
        vault = self._lists.vault(found.list)

        def work(connection: Connection) -> tuple[int, Rows]:
            current = self._lists.found_in(connection, found.stored.name, found.occurrence.occurrence)
            current.require_registering()
            rows, (row, first) = given, (current.list, current.list.following)
            if (left := self._entries_left(connection, current)) < len(rows):
                rows = rows.first(left, FULL)
            made, counted = salted[: len(rows)], refused + Counter(fault.code for fault in rows.faults)
            columns = _columns(rows, found.definition, is_confirmed=is_confirmed)
            if len(rows):
                numbers = first + np.arange(len(rows), dtype=np.int64)
                insert_columns(connection, ENTRIES, {"list": row.list, "entry": numbers, **columns})
                part = {"list": row.list, "first": first, "size": len(rows), "id": number, "who": who}
                connection.execute(PARTS.insert().values(**part, sealed=vault.seal(first, made)))
                following = {"following": first + len(rows)}
                connection.execute(LISTS.update().where(LISTS.c.list == row.list).values(following))
            chosen = IMPORTS.c.id == number
            changed = {
                "rows": IMPORTS.c.rows + size, "entries": IMPORTS.c.entries + len(rows),
                "refused": json.dumps(dict(counted)),
            }  # fmt: skip
            if not connection.execute(IMPORTS.update().where(chosen).values(changed)).rowcount:
                connection.execute(
                    IMPORTS.insert().values(
                        id=number, list=row.list, rows=size, entries=len(rows), refused=changed["refused"],
                        state=LOADING, who=who, at_ns=at_ns,
                    )
                )  # fmt: skip
            self._add_jobs(connection, current)
            return first, rows

        first, rows = write(self._stores.engine, work)
        if receipts is not None and len(rows):
            numbers = first + np.arange(len(rows), dtype=np.int64)
            receipts(rows.rows, numbers, np.ascontiguousarray(salted["salt"][: len(rows)]))
        return first, rows

    def _finish_import(self, number: int) -> None:
        statement = IMPORTS.update().where(IMPORTS.c.id == number).values(state=DONE)
        write(self._stores.engine, lambda connection: connection.execute(statement))

    def _index(self, found: Found, ready: ReadyHashes | None = None) -> None:
        """Store the keyed hashes of entries that have none yet. Those that are `ready` are not computed again.

        They are sorted by hash, so that each page of the index is written about once, and stored in several
        transactions, so that other writers wait little. After an interruption some are stored already.
        """
        vault, place = self._lists.vault(found.list), (found.stored.name, found.occurrence.occurrence)

        def insert(connection: Connection, hashed: Array, end: int | None) -> None:
            row = list_in(connection, *place)
            if row is not None and row.shredded_ns is None:
                vault.insert_hashes(connection, hashed, may_exist=True)
                if end is not None:
                    chosen = (LISTS.c.list == row.list) & (LISTS.c.indexed < end)
                    connection.execute(LISTS.update().where(chosen).values(indexed=end))

        while True:
            with reading(self._stores.engine) as connection:
                row = list_in(connection, *place)
                assert row is not None, "the list was found before"
                end = min(row.indexed + INDEX_ROWS, row.following)
                if end <= row.indexed or row.shredded_ns is not None:
                    return
                taken = None if ready is None else ready.take(row.indexed, end)
                hashed = vault.hashed(connection, row.indexed, end) if taken is None else taken
            for start in range(0, max(len(hashed), 1), TRANSACTION_HASHES):
                stop = start + TRANSACTION_HASHES
                ended = end if stop >= len(hashed) else None
                write(self._stores.engine, partial(insert, hashed=hashed[start:stop], end=ended))

    @staticmethod
    def _entries_left(connection: Connection, found: Found) -> int:
        """Return how many more entries fit: the most that can be published, or for first come the number of packets."""
        left = draw_files.ENTRIES_MAX - found.list.following
        if found.definition.mode == FIRST_COME:
            taken = sqlalchemy.select(sqlalchemy.func.count()).where(ENTRIES.c.list == found.list.list)
            taken = taken.where(ENTRIES.c.state.in_(LIVE), ENTRIES.c.accepted.is_(None))
            packets = sum(each.count for each in found.definition.packets)
            left = min(left, packets - (connection.scalar(taken) or 0))
        return max(left, 0)

    def _add_jobs(self, connection: Connection, found: Found) -> None:
        """Add the jobs of a list, once."""
        place = {"programme": found.stored.name, "occurrence": found.occurrence.occurrence}
        key = f"{found.stored.name} {found.occurrence.occurrence}"
        jobs, definition = self._stores.jobs, found.definition
        first_ns = self._lists.now_ns() + _MINUTE_NS
        jobs.add(connection, LAPSE, first_ns, key=key, payload=place, period=f"every:{_MINUTE_NS}")
        jobs.add(connection, SCREEN, definition.registration.until_ns, key=key, payload=place)
        jobs.add(connection, SHRED, definition.registration_rules.shred_at_ns, key=key, payload=place)


def _refused(fault: Fault, definition: Programme) -> UsageError:
    """Return the error for a person who cannot be registered. It repeats neither document nor phone."""
    choices = {
        "bank": [each.name for each in definition.operators],
        "stratum": [each.name for each in definition.draw.strata],
    }
    window = definition.registration
    hint = None
    if fault.column in choices:
        hint = f"one of {', '.join(choices[fault.column])}"
    elif fault.code == OUTSIDE_WINDOW:
        shown = (documents.shown_moment(each, definition.zone) for each in (window.from_ns, window.until_ns))
        hint = f"registration is from {next(shown)} until {next(shown)}"
    return UsageError(WORDS[fault.code] + (f" ({fault.column})" if fault.column else ""), hint=hint)


def _receipt(entry: Entry, stored: Any) -> Receipt:
    return Receipt(
        entry.entry, entry.state, entry.reason, int(stored["document"]), int(stored["phone"]), stored["salt"].tobytes()
    )


def _first(list_: int, entry: int, rows: Rows, now_ns: int, due_ns: int) -> dict[str, Any]:
    """Return the row of an entry that registers now."""
    return {
        "list": list_, "entry": entry, "state": REGISTERED, "reason": "", "bank": int(rows.banks[0]),
        "stratum": int(rows.strata[0]), "registered_ns": now_ns, "due_ns": due_ns, "checked_ns": 0,
        "confirmed_ns": 0, **_NO_DECISIONS,
    }  # fmt: skip


_NO_DECISIONS: Final = {"earlier": "", "shared": 0, "ignored": 0, "cleared": 0, "attempts": 0}


def _columns(rows: Rows, definition: Programme, *, is_confirmed: bool) -> dict[str, Any]:
    """Return columns of ENTRIES, besides list and number, for the rows of a file."""
    rules = definition.registration_rules
    registered_ns = rows.registered_ns
    if is_confirmed:
        checked_ns = np.where(rows.checked_ns == 0, registered_ns, rows.checked_ns)
        confirmed_ns = np.where(rows.confirmed_ns == 0, checked_ns, rows.confirmed_ns)
    else:
        checked_ns, confirmed_ns = rows.checked_ns, rows.confirmed_ns
    is_checked, has_code = checked_ns != 0, confirmed_ns != 0
    late_check = is_checked & (checked_ns >= registered_ns + rules.check_ns)
    late_code = ~late_check & has_code & (confirmed_ns >= checked_ns + rules.code_ns)
    common = {"bank": rows.banks, "stratum": rows.strata, "registered_ns": registered_ns, **_NO_DECISIONS}
    if has_code.all() and not late_check.any() and not late_code.any():
        # Nearly every file: constants are cheaper than columns.
        times = {"checked_ns": checked_ns, "confirmed_ns": confirmed_ns, "due_ns": 0}
        return {**common, "state": CONFIRMED, "reason": "", **times}
    state = np.select([late_check | late_code, has_code, is_checked], [LAPSED, CONFIRMED, CHECKED], REGISTERED)
    reason = np.select([late_check, late_code], [NOT_CHECKED, NO_CODE], "")
    earlier = np.select([late_check, late_code], [REGISTERED, CHECKED], "")
    due_ns = np.select(
        [state == REGISTERED, state == CHECKED], [registered_ns + rules.check_ns, checked_ns + rules.code_ns]
    )
    return {
        **common, "state": state.tolist(), "reason": reason.tolist(), "earlier": earlier.tolist(),
        "checked_ns": checked_ns, "confirmed_ns": confirmed_ns, "due_ns": due_ns,
    }  # fmt: skip


def _import_id(row: ListRow, path: Path, is_confirmed: bool) -> int:
    """Return the id of a file for a list: the same file for the same list is registered once."""
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise unreadable(str(path), error) from error
    of_list = f"{row.programme} {row.occurrence} {is_confirmed} ".encode()
    return int.from_bytes(hashlib.sha256(of_list + content).digest()[:16], "big")


def _after(groups: Iterable[Group], done: int, reader: Reader) -> Iterator[Group]:
    """Yield the groups of a file that follow `done` rows, after checking its columns."""
    for group in groups:
        if group.first_row == 1:
            reader.check_columns(list(group.cells))
        if group.first_row > done and group.size:
            yield group
