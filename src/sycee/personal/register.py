"""The register of persons: stored sealed, found by keyed hash, read after an entry in the access log.

Order of writing: first the secrets (`store_secrets`, in the key file), then the rows sealed under them (`store_many`,
in the transaction of the caller). Secrets are written before the transaction, because it may run several times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.arrays import Array, Bytes
from sycee.core.clock import Clock
from sycee.core.errors import NotFound, UsageError
from sycee.database.bulk import any_of, insert_columns
from sycee.database.columns import ID_BYTES, id_bytes
from sycee.database.transactions import reading, write
from sycee.personal import sealing
from sycee.personal.access import NOBODY, Access, AccessLog, Duties
from sycee.personal.key_tables import SECRET_BYTES
from sycee.personal.keys import PersonalKeys
from sycee.personal.retention import Retention
from sycee.personal.sealing import FIELDS, RECORD, SearchKind
from sycee.personal.tables import RECORDS, SEARCH, SHREDS

SHRED: Final = "person.shred"
CHANNEL: Final = "channel"  # the place of the address of a notice

# Why a row cannot be stored. The codes name no value.
INVALID_PHONE: Final = "INVALID_PHONE"
INVALID_PAPER: Final = "INVALID_PAPER"
INVALID_BIRTH: Final = "INVALID_BIRTH"
TEXT_TOO_LONG: Final = "TEXT_TOO_LONG"
NOTHING_TO_FIND_BY: Final = "NOTHING_TO_FIND_BY"  # neither phone nor paper

_WORDS: Final = {
    INVALID_PHONE: "the phone number is not + and 8 to 15 digits",
    INVALID_PAPER: "the identity paper has no number or no kind",
    INVALID_BIRTH: "the date of birth is not YYYY-MM-DD",
    TEXT_TOO_LONG: f"a field has more than {sealing.FIELD_CHARACTERS_MAX} characters",
    NOTHING_TO_FIND_BY: "there is neither a phone nor an identity paper",
}


@dataclass(frozen=True, slots=True, eq=False)
class Searches:
    """The m keyed hashes by which persons are found, sorted. `owners`: (m,) row of the person of each."""

    owners: Array
    kinds: Array  # (m,) SearchKind
    hashes: Bytes  # (m, 16)

    def of(self, chosen: Array) -> Searches:
        """Return the hashes of the chosen rows, (k,) ascending; owners count the chosen rows from 0."""
        at = np.minimum(np.searchsorted(chosen, self.owners), max(chosen.size - 1, 0))
        kept = chosen[at] == self.owners if chosen.size else np.zeros(self.owners.size, bool)
        return Searches(at[kept], self.kinds[kept], self.hashes[kept])


@dataclass(frozen=True, slots=True)
class Examined:
    """Rows of persons before they are stored: their fields, why some cannot be stored, and their search hashes."""

    size: int
    columns: dict[str, list[str]] = field(repr=False)  # field → texts, "" for none; phones in their normal form
    faults: dict[int, str]  # row number from 0 → code
    searches: Searches = field(repr=False)  # of the rows without a fault


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Persons and the rows to store for them, sealed under their secrets."""

    persons: Bytes  # (n, 16)
    secrets: Bytes = field(repr=False)  # (n, 32), (0, 32) if they are stored
    sealed: list[bytes] = field(repr=False)
    searches: Searches = field(repr=False)
    at_ns: int

    def of(self, chosen: Array) -> Prepared:
        """Return the chosen persons, (k,) ascending."""
        sealed = [self.sealed[at] for at in chosen.tolist()]
        return Prepared(self.persons[chosen], self.secrets[chosen], sealed, self.searches.of(chosen), self.at_ns)


class Register:
    """The persons of a bank. `on_shred` are called in the transaction that shreds a person."""

    def __init__(
        self, engine: Engine, clock: Clock, keys: PersonalKeys, log: AccessLog, retention: Retention, duties: Duties,
        *, phone_prefix: str = "",
    ) -> None:  # fmt: skip
        self._engine, self._clock = engine, clock
        self.keys, self.log, self.retention = keys, log, retention
        self._duties = duties
        self._prefix = phone_prefix
        self.on_shred: list[Callable[[Connection, int], None]] = []

    # --- storing ---

    def examine(self, columns: Mapping[str, Sequence[str]]) -> Examined:
        """Check many rows and hash what they are found by. `columns`: field → n texts, "" for none.

        Reads no file and no database. Raises UsageError for an unknown field and columns of different lengths.
        """
        _check_columns(columns)
        size = len(next(iter(columns.values()), ()))
        texts = {name: [text.strip() for text in columns[name]] for name in FIELDS if name in columns}
        faults: dict[int, str] = {}
        for each in texts.values():
            if max(map(len, each), default=0) > sealing.FIELD_CHARACTERS_MAX:
                long = (row for row, text in enumerate(each) if len(text) > sealing.FIELD_CHARACTERS_MAX)
                faults |= dict.fromkeys(long, TEXT_TOO_LONG)
        found = self._search_texts(texts, size, faults)
        if "phone" in texts:
            texts["phone"] = found[SearchKind.PHONE]
        return Examined(size, texts, faults, self._searches(found, faults))

    def _search_texts(
        self, texts: Mapping[str, list[str]], size: int, faults: dict[int, str]
    ) -> dict[SearchKind, list[str]]:
        """Return the normal forms of n rows, "" for none. Adds the rows that have a wrong one to `faults`."""

        def normal(code: str, make: Callable[..., str], *names: str) -> list[str]:
            """Return `make` of the fields of each row that has the first; an error gives the row the code."""
            made = [""] * size
            for row, values in enumerate(zip(*(texts.get(name, nothing) for name in names), strict=True)):
                if values[0]:
                    try:
                        made[row] = make(*values)
                    except UsageError:
                        faults.setdefault(row, code)
            return made

        def paper(number: str, kind: str) -> str:
            return sealing.paper(kind, number)

        def name_and_birth(birth: str, name: str) -> str:
            born = sealing.birth(birth)
            return f"{born} {sealing.name(name)}" if name else ""

        nothing = [""] * size
        found = {
            SearchKind.PHONE: normal(INVALID_PHONE, self.phone, "phone"),
            SearchKind.PAPER: normal(INVALID_PAPER, paper, "paper", "paper_kind"),
        }
        for row, either in enumerate(zip(*found.values(), strict=True)):
            if not any(either):
                faults.setdefault(row, NOTHING_TO_FIND_BY)
        found[SearchKind.NAME_AND_BIRTH] = normal(INVALID_BIRTH, name_and_birth, "birth", "name")
        return found

    def _searches(self, found: Mapping[SearchKind, Sequence[str]], faults: Collection[int]) -> Searches:
        """Return the hashes of the normal forms of all rows without a fault."""
        owners: list[int] = []
        kinds: list[int] = []
        hashes = []
        for kind, texts in found.items():
            rows = [row for row, text in enumerate(texts) if text and row not in faults]
            hashes.append(sealing.search_hashes(self.keys.hash_key, kind, [texts[row] for row in rows]))
            owners += rows
            kinds += [kind] * len(rows)
        values = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, sealing.HASH_BYTES)
        order = _sorting(values)  # sorted: neighbours in an index are read and written together
        return Searches(np.array(owners, np.int64)[order], np.array(kinds, np.int64)[order], values[order])

    def hashed(self, kind: SearchKind, text: str) -> bytes:
        """Return the keyed hash, 16 bytes, of a normal form."""
        return sealing.search_hash(self.keys.hash_key, kind, text)

    def phone_hash(self, text: str) -> bytes:
        """Return the keyed hash of a phone number in any form. Raises UsageError for a text that is no phone number."""
        return self.hashed(SearchKind.PHONE, self.phone(text))

    def phone(self, text: str) -> str:
        """Return a phone number of any form in E.164. Raises UsageError for a text that is no phone number."""
        return sealing.phone(text, self._prefix)

    def duplicate_rows(self, connection: Connection, examined: Examined) -> dict[int, SearchKind]:
        """Return the rows whose paper, name with birth, or phone another person or an earlier row has, and which of the
        three.

        The strongest is named: paper, then name with birth, then phone. The caller decides whether a shared phone is a
        duplicate.
        """
        searches = examined.searches
        condition, parameters = any_of(connection, "hash", searches.hashes)
        query = f"SELECT hash FROM personal_search WHERE {condition}"  # noqa: S608 - places only
        known = {bytes(row[0]) for row in connection.exec_driver_sql(query, parameters)}
        met = np.zeros(searches.owners.size, bool)
        # Sorting keeps the order of rows with equal hashes, so the first of them is the earliest row.
        met[1:] = (searches.hashes[1:] == searches.hashes[:-1]).all(axis=1)
        if known:
            met |= [value.tobytes() in known for value in searches.hashes]
        found: dict[int, SearchKind] = {}
        for row, number in zip(searches.owners[met].tolist(), searches.kinds[met].tolist(), strict=True):
            kind = SearchKind(number)
            found[row] = max(found.get(row, kind), kind, key=_STRENGTH.__getitem__)
        return found

    def seal_rows(self, persons: Bytes, examined: Examined, rows: Array) -> Prepared:
        """Draw the secrets of new persons, (n, 16), and seal their rows of `examined`, (n,) ascending. Writes nothing.

        `store_secrets` and then `store_many` write. Raises UsageError for a row with a fault.
        """
        _check_rows(len(persons), examined, rows)
        secrets, keys = self.keys.draw(persons)
        return self._sealed(persons, secrets, keys, examined, rows)

    def _sealed(
        self, persons: Bytes, secrets: Bytes, keys: Sequence[bytes], examined: Examined, rows: Array
    ) -> Prepared:
        columns = {name: [texts[row] for row in rows.tolist()] for name, texts in examined.columns.items()}
        sealed = sealing.seal_records(keys, persons, sealing.encode_records(columns))
        return Prepared(persons, secrets, sealed, examined.searches.of(rows), self._clock.now_ns())

    def store_secrets(self, prepared: Prepared) -> None:
        """Write the secrets of new persons, before the transaction that calls `store_many`.

        Raises UnavailableError if the backup of the key file is not reachable.
        """
        self.keys.store(prepared.persons, prepared.secrets)

    def prepare(self, persons: Sequence[int], examined: Examined, rows: Sequence[int] | None = None) -> Prepared:
        """Seal the rows of new persons, all or those of ascending numbers, and write the secrets.

        A person who has a secret keeps it, so that an interrupted call can be repeated. Errors as `seal_rows` and
        `store_secrets`.
        """
        chosen = np.arange(examined.size) if rows is None else np.array(rows, np.int64)
        names = np.frombuffer(b"".join(map(id_bytes, persons)), np.uint8).reshape(-1, ID_BYTES)
        _check_rows(len(names), examined, chosen)
        return self._sealed(names, np.zeros((0, SECRET_BYTES), np.uint8), self.keys.create(persons), examined, chosen)

    def store_many(self, connection: Connection, prepared: Prepared) -> None:
        """Insert the rows of new persons, in the caller's transaction."""
        searches = prepared.searches
        records = {"person": prepared.persons, "version": 1, "sealed": prepared.sealed, "at_ns": prepared.at_ns}
        insert_columns(connection, RECORDS, records)
        persons = prepared.persons[searches.owners]
        insert_columns(connection, SEARCH, {"hash": searches.hashes, "kind": searches.kinds, "person": persons})

    def prepare_one(self, person: int, fields: Mapping[str, str]) -> Prepared:
        """Prepare one new person. Raises UsageError that names the faulty field, never its value."""
        examined = self.examine({name: [text] for name, text in fields.items()})
        if examined.faults:
            raise UsageError(f"the person cannot be stored: {_WORDS[examined.faults[0]]}")
        return self.prepare([person], examined)

    def duplicates(self, connection: Connection, fields: Mapping[str, str]) -> list[int]:
        """Return the persons with the same phone, paper, or name and date of birth."""
        texts = sealing.search_texts(fields, self._prefix)
        return sorted({each for kind, text in texts.items() for each in self._having(connection, kind, text)})

    def change(self, person: int, fields: Mapping[str, str], *, access: Access) -> None:
        """Add a version of a person's record in which `fields` replace the earlier ones; "" removes one.

        It reads the record, so it is an access.
        """
        _check_columns({name: [""] for name in fields})
        self.log.enter(access, [person], sorted(fields))
        key = self.keys.key_of(person)

        def work(connection: Connection) -> None:
            version, earlier = self._newest(connection, person, key)
            merged = {name: text for name, text in {**earlier, **fields}.items() if text.strip()}
            examined = self.examine({name: [merged.get(name, "")] for name in FIELDS})
            if examined.faults:
                raise UsageError(f"the person cannot be changed: {_WORDS[examined.faults[0]]}")
            merged = {name: text for name, (text,) in examined.columns.items() if text}
            sealed = sealing.seal(key, person, RECORD, version + 1, sealing.encode_fields(merged))
            connection.execute(
                RECORDS.insert().values(person=person, version=version + 1, sealed=sealed, at_ns=self._clock.now_ns())
            )
            connection.execute(SEARCH.delete().where(SEARCH.c.person == person))
            searches = examined.searches
            found = {"hash": searches.hashes, "kind": searches.kinds, "person": id_bytes(person)}
            insert_columns(connection, SEARCH, found)

        write(self._engine, work)

    # --- reading: each returns only after its entry in the access log ---

    def read(self, person: int, fields: Sequence[str], *, access: Access) -> dict[str, str]:
        """Return fields of a person, masked for a masked access; a field that the person does not have is missing.

        Raises UsageError as `AccessLog.check`, and for an unknown field; NotFound if the person was shredded.
        """
        _check_columns({name: [""] for name in fields})
        if not fields:
            raise UsageError("no field was named", hint=f"name some of: {', '.join(FIELDS)}")
        self.log.enter(access, [person], fields)
        key = self.keys.key_of(person)
        with reading(self._engine) as connection:
            _, found = self._newest(connection, person, key)
        shown = sealing.mask if access.is_masked else str
        return {name: shown(found[name]) for name in fields if name in found}

    def find(self, kind: SearchKind, text: str, *, access: Access) -> list[int]:
        """Return the persons with this phone, paper ("passport:E1234"), or birth and name ("1990-12-31 Wang Li").

        Each found person gets an entry in the access log; a search that finds nobody gets one without a person.
        """
        normal = self._normal(kind, text)
        self.log.check(access, [])
        with reading(self._engine) as connection:
            found = self._having(connection, kind, normal)
        self.log.enter(access, found or [NOBODY], [f"found-by-{kind.name.lower().replace('_', '-')}"], is_search=True)
        return found

    def _normal(self, kind: SearchKind, text: str) -> str:
        first, _, rest = text.strip().partition(":" if kind is SearchKind.PAPER else " ")
        if kind is SearchKind.PHONE:
            return sealing.phone(text, self._prefix)
        if kind is SearchKind.PAPER:
            return sealing.paper(first, rest)
        return f"{sealing.birth(first)} {sealing.name(rest)}"

    def _having(self, connection: Connection, kind: SearchKind, normal: str) -> list[int]:
        query = sqlalchemy.select(SEARCH.c.person).where(
            SEARCH.c.hash == self.hashed(kind, normal), SEARCH.c.kind == int(kind)
        )
        return sorted(connection.scalars(query))

    def _newest(self, connection: Connection, person: int, key: bytes) -> tuple[int, dict[str, str]]:
        query = (
            sqlalchemy.select(RECORDS.c.version, RECORDS.c.sealed)
            .where(RECORDS.c.person == person)
            .order_by(RECORDS.c.version.desc())
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no record of {ids.format(person)}", hint="check the id of the person")
        return row.version, sealing.decode_fields(sealing.unseal(key, person, RECORD, row.version, row.sealed))

    def has_record(self, person: int) -> bool:
        """Return whether a readable record of a person is stored."""
        with reading(self._engine) as connection:
            query = sqlalchemy.select(RECORDS.c.person).where(RECORDS.c.person == person).limit(1)
            return connection.scalar(query) is not None and self.keys.has(person)

    def mask_of(self, person: int) -> str:
        """Return the masked name of a person ("W*** L*"), "" without a name. Not an access: the name is not shown."""
        key = self.keys.key_of(person)
        with reading(self._engine) as connection:
            return sealing.mask(self._newest(connection, person, key)[1].get("name", ""))

    def identity_keys(self, persons: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Return phone and number of the paper of each person who has a readable record, "" for none.

        For a comparison by the machine, such as that of registrants with staff. Nobody sees the texts, so this is no
        access.
        """
        found = {}
        with reading(self._engine) as connection:
            having = {each for each in persons if self.keys.has(each)}
            for person in sorted(having):
                try:
                    fields = self._newest(connection, person, self.keys.key_of(person))[1]
                except NotFound:  # a secret without a record
                    continue
                found[person] = (fields.get("phone", ""), fields.get("paper", ""))
        return found

    # --- texts that other packages keep for a person: references, addresses, notes of cases ---

    def seal(self, person: int, place: str, text: str) -> bytes:
        """Return a text sealed for one place, such as "reference", under the key of a person or merchant."""
        return sealing.seal(self.keys.key_of(person), person, place, 0, text.encode("utf-8"))

    def open(self, person: int, place: str, sealed: bytes, *, access: Access) -> str:
        """Return a text that `seal` sealed, masked for a masked access, after an entry in the access log."""
        self.log.enter(access, [person], [place])
        text = self.open_own(person, place, sealed)
        return sealing.mask(text) if access.is_masked else text

    def open_own(self, person: int, place: str, sealed: bytes) -> str:
        """Return a text for its owner, or for a machine that delivers it, without an entry in the access log."""
        return sealing.unseal(self.keys.key_of(person), person, place, 0, sealed).decode("utf-8")

    def sealed_channel(self, person: int) -> bytes | None:
        """Return the phone of a person as it is now, sealed for the place "channel"; None without a phone.

        For notices. Nobody sees the phone here, so this is no access.
        """
        key = self.keys.key_of(person)
        with reading(self._engine) as connection:
            text = self._newest(connection, person, key)[1].get("phone")
        return sealing.seal(key, person, CHANNEL, 0, text.encode()) if text else None

    # --- shredding ---

    def shred(self, person: int, *, who: int, basis: str) -> None:
        """Delete a person's secret from the key file and its backup, and the rows of the person from the database.

        Raises UsageError while retention runs, under a legal hold, for a person about whom nothing is stored, or
        without the duty; UnavailableError if the backup is not reachable: the person is unreadable by then, and
        `finish_shreds` completes the shredding later.
        """
        self._duties.require(who, SHRED)
        now = self._clock.now_ns()
        is_known = self.keys.has(person)

        def work(connection: Connection) -> None:
            if connection.scalar(sqlalchemy.select(SHREDS.c.person).where(SHREDS.c.person == person)) is not None:
                return
            if not is_known:
                raise UsageError(
                    f"nothing is stored about {ids.format(person)}",
                    hint="`sycee person due` lists the persons who may be shredded",
                )
            self.retention.require_over(connection, person)
            connection.execute(RECORDS.delete().where(RECORDS.c.person == person))
            connection.execute(SEARCH.delete().where(SEARCH.c.person == person))
            for also in self.on_shred:
                also(connection, person)
            connection.execute(SHREDS.insert().values(person=person, at_ns=now, who=who, basis=basis))

        write(self._engine, work)
        self.keys.shred(person)

    def finish_shreds(self) -> int:
        """Delete the secrets of everyone whom the database or a key file lists as shredded; return their number."""
        return self.keys.reconcile(self.shredded())

    def shredded(self) -> list[int]:
        """Return everyone who was shredded, in order."""
        with reading(self._engine) as connection:
            return list(connection.scalars(sqlalchemy.select(SHREDS.c.person).order_by(SHREDS.c.person)))

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each difference between database and key file. A secret without a person is harmless
        and not listed.
        """
        with reading(self._engine) as connection:
            persons = set(connection.scalars(sqlalchemy.select(RECORDS.c.person).distinct()))
        have = set(self.keys.persons())
        for person in sorted(persons - have):
            yield f"person {ids.format(person)} has a record and no secret"
        for person in sorted(have.intersection(self.shredded())):
            yield f"person {ids.format(person)} was shredded and still has a secret"


_STRENGTH: Final = {SearchKind.PHONE: 0, SearchKind.NAME_AND_BIRTH: 1, SearchKind.PAPER: 2}


def _sorting(values: Bytes) -> Array:
    """Return the indexes that sort byte strings, (n, 16), stable for equal ones."""
    halves = np.ascontiguousarray(values).view(">u8")
    return np.lexsort((halves[:, 1], halves[:, 0]))


def _check_rows(persons: int, examined: Examined, rows: Array) -> None:
    if persons != len(rows):
        raise UsageError(f"{persons:,} persons were given for {len(rows):,} rows")
    fault = next((number for number in rows.tolist() if number in examined.faults), None)
    if fault is not None:
        raise UsageError(f"row {fault + 1:,} cannot be stored: {_WORDS[examined.faults[fault]]}")


def _check_columns(columns: Mapping[str, Sequence[str]]) -> None:
    if set(columns) - set(FIELDS):
        # The name is not repeated: it may be a value that was given in the wrong place.
        raise UsageError("a field was named that persons do not have", hint=f"fields: {', '.join(FIELDS)}")
    lengths = defaultdict(list)
    for name, values in columns.items():
        lengths[len(values)].append(name)
    if len(lengths) > 1:
        raise UsageError(f"the columns have different lengths: {', '.join(f'{n:,}' for n in sorted(lengths))}")
