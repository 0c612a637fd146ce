"""Registrations after the draw: successors, who has a packet, receipts, the support look-up, and the shredding."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import sqlalchemy
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import IntegrityError, NotFound, UsageError
from sycee.core.ids import Ids
from sycee.core.output_files import write_file
from sycee.database.bulk import insert_columns
from sycee.database.columns import ids_bytes
from sycee.database.jobs import Run
from sycee.database.transactions import reading, write
from sycee.personal.access import NOBODY, Access, AccessLog
from sycee.personal.register import Register
from sycee.personal.tables import SHREDS
from sycee.programmes import cohort, draw, draw_files, draw_rule, states, successions
from sycee.programmes.definition import FIRST_COME
from sycee.programmes.duplicates import BY_DOCUMENT, BY_PHONE
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.registration_entering import Receipt
from sycee.programmes.registration_lists import SHRED, Entry, Found, Lists, entry_of
from sycee.programmes.registration_removals import require_none_waits
from sycee.programmes.registration_rows import DOCUMENT, PHONE, Reader
from sycee.programmes.registration_store import commitments, list_in
from sycee.programmes.registration_tables import APPEALS, ENTRIES, HOLDERS, KEYS, LISTS, PARTS
from sycee.programmes.registrations import Registrations
from sycee.programmes.service import Programmes
from sycee.programmes.stored import occurrences_in

BASIS: Final = "programme"  # of the shredding, in the list of shredded secrets
MEMBERS_OF_QUERY: Final = 500
FIELDS: Final = ("programme-entry",)
RECEIPT_FIELDS: Final = ("programme-receipt",)


@dataclass(frozen=True, slots=True)
class Packet:
    """The packet of a member. `purse`: its state on the ledger, "" before the drop."""

    name: str
    minor: int
    member: int
    purse: str
    spent_minor: int


@dataclass(frozen=True, slots=True)
class Winner:
    """Who has a packet, without an identity. `place`, `member`: in the cohort. `wallet`: of the registration, or 0."""

    place: int
    member: int
    packet: str
    minor: int
    bank: str
    wallet: int


@dataclass(frozen=True, slots=True)
class Looked:
    """The answers of support to a registrant: "why did I not win", "where is my packet".

    - `accepted_state`: of a duplicate, the state of the accepted entry of the same person.
    - `rank`, `ticket`, `position`: in the published draw; None before it, for an entry that is not in the list, and for
      a list that is not drawn.
    - `winners`: the ranks of the stratum that won. `follows`: the rank that this entry follows as a successor.
    - `appeals`: state of each appeal, oldest first.
    """

    programme: str
    occurrence: int
    occurrence_state: str
    entry: Entry
    bank: str
    stratum: str
    accepted_state: str
    position: int | None = None
    rank: int | None = None
    ranks: int | None = None
    winners: int | None = None
    ticket: str | None = None
    follows: int | None = None
    packet: Packet | None = None
    appeals: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """Return one sentence for the registrant."""
        if self.packet is not None:
            state = f": {self.packet.purse}" if self.packet.purse else ", which is not paid yet"
            return f"you have the packet {self.packet.name}{state}"
        if self.entry.state == "duplicate":
            return f"your registration is a duplicate ({self.entry.reason}) of one that is {self.accepted_state}"
        if self.entry.reason:
            return f"your registration is {self.entry.state}: {self.entry.reason}"
        if self.rank is not None and self.entry.state == "confirmed":
            return f"you took part: rank {self.rank:,} of {self.ranks:,}, and the first {self.winners:,} won"
        return f"your registration is {self.entry.state}"

    def members(self) -> dict[str, Any]:
        """Return the answer as members of a JSON object."""
        packet = self.packet
        return {
            "entry": self.entry.entry,
            "answer": self.answer,
            "state": self.entry.state,
            "reason": self.entry.reason,
            "occurrence_state": self.occurrence_state,
            "bank": self.bank,
            "stratum": self.stratum,
            "position": self.position,
            "rank": self.rank,
            "winners": self.winners,
            "ticket": self.ticket,
            "follows": self.follows,
            "packet": packet.name if packet else None,
            "amount_minor": packet.minor if packet else None,
            "purse": packet.purse if packet else None,
            "appeals": list(self.appeals),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Listed:
    """The published list with the entries behind it."""

    announcement: draw_files.Announcement
    commitments: Bytes
    entries: NDArray[np.int64]  # (n,) number of each entry, in list order
    stored: Array = field(repr=False)  # (n,) ENTRY, in list order


class DrawOutcomes:
    """The outcomes of a draw for the registrants."""

    def __init__(
        self, lists: Lists, programmes: Programmes, registrations: Registrations, register: Register, access: AccessLog
    ) -> None:
        self._lists, self._programmes, self._registrations = lists, programmes, registrations
        self._register, self._access = register, access
        self._stores = lists.stores
        self._stores.jobs.register(SHRED, self._run_shred)

    # --- who has a packet ---

    def accepted(self, programme: str, occurrence: int = 0) -> draw.Entries:
        """Return the entries that participate in the draw: `Registrations.accepted`."""
        return self._registrations.accepted(programme, occurrence)

    def assign_packets(self, programme: str, occurrence: int = 0) -> int:
        """Write who has each packet, with successors for winners who withdrew, lapsed or were excluded.

        Writes successions.csv beside the published files if there are successors, and returns their number. The
        proposal of the terms calls it; until then it may be repeated. Raises UsageError before the draw and afterwards.
        """
        found = self._lists.find(programme, occurrence)
        if found.occurrence.state != states.DRAWN:
            raise UsageError(
                f"{found.occurrence.title} is {found.occurrence.state}: packets are assigned after its draw",
                hint=f"the next step: {states.NEXT_STEPS[found.occurrence.state]}",
            )
        found.require_changeable()
        if found.row is None:  # the list came from elsewhere
            return 0
        folder = self._programmes.files_of(found.occurrence)
        with reading(self._stores.engine) as connection:
            require_none_waits(connection, found.list)
            listed = self._listed(connection, found, folder)
            removed = self._removed(connection, found, listed.entries)
        passed_on = self._publish(folder, listed, removed) if listed.announcement.is_drawn else ()
        allotment = cohort.allotment_of(folder, found.definition)
        positions = _positions(allotment.members, listed.commitments)
        counts = [each.count for each in allotment.shares]
        numbers = listed.entries[positions]
        columns = {
            "list": found.list.list, "place": np.arange(len(positions), dtype=np.int64), "entry": numbers,
            "position": positions, "minor": np.repeat([each.minor for each in allotment.shares], counts),
            "packet": np.repeat([each.name for each in allotment.shares], counts).tolist(),
            "member": ids_bytes(allotment.members),
            "sealed": self._lists.kept_vault(found.list).seal(numbers, listed.stored[positions]),
        }  # fmt: skip

        def work(connection: Connection) -> None:
            self._lists.found_in(connection, programme, occurrence).require_changeable()
            require_none_waits(connection, found.list)
            if self._removed(connection, found, listed.entries) != removed:
                raise UsageError("an entry changed meanwhile", hint="repeat the step")
            connection.execute(HOLDERS.delete().where(HOLDERS.c.list == found.list.list))
            insert_columns(connection, HOLDERS, columns)

        write(self._stores.engine, work)
        return len(passed_on)

    @staticmethod
    def _publish(folder: Path, listed: _Listed, removed: Mapping[int, str]) -> Sequence[successions.Succession]:
        """Write successions.csv, or remove it where nobody is followed; return the successions."""
        tickets = draw_files.read_digests(folder / draw_files.TICKETS, listed.announcement.entries)
        passed_on = successions.successions(listed.announcement, tickets, removed)
        path = folder / draw_files.SUCCESSIONS
        if passed_on:
            write_file(path, successions.content(listed.announcement, passed_on, listed.commitments))
        else:
            path.unlink(missing_ok=True)
        return passed_on

    def _listed(self, connection: Connection, found: Found, folder: Path) -> _Listed:
        """Return the published list with the number of the entry behind each commitment.

        Raises IntegrityError if an entry of the list is not one of the registrations.
        """
        found.require_readable()
        frozen = draw.read_frozen(folder)
        stored = self._lists.vault(found.list).some(connection, 0, found.list.following)
        own = commitments(stored)
        order = draw_rule.digest_order(own)
        prefix = draw_rule.words(own)[order, 0].astype(np.uint64)
        wanted = draw_rule.words(frozen.commitments)
        at = np.searchsorted(prefix, wanted[:, 0].astype(np.uint64))
        numbers = order[np.minimum(at, len(order) - 1)]
        for row in np.flatnonzero((own[numbers] != frozen.commitments).any(axis=1)).tolist():
            (place,) = draw_rule.positions(own, [frozen.commitments[row].tobytes()])  # eight bytes did not decide
            if place < 0:
                raise IntegrityError(f"entry {row} of {folder / draw_files.ENTRIES} is not one of {found.list.title}")
            numbers[row] = place
        return _Listed(frozen.announcement, frozen.commitments, numbers, stored[numbers])

    @staticmethod
    def _removed(connection: Connection, found: Found, listed: NDArray[np.int64]) -> dict[int, str]:
        """Return the entries of the list that left after the freeze: position → reason."""
        chosen = ENTRIES.c.state.in_(successions.REASONS) & (ENTRIES.c.list == found.list.list)
        rows = connection.execute(sqlalchemy.select(ENTRIES.c.entry, ENTRIES.c.state).where(chosen))
        gone = {row.entry: row.state for row in rows}
        if not gone:
            return {}
        positions = np.flatnonzero(np.isin(listed, np.array(list(gone), np.int64)))
        return {position: gone[int(listed[position])] for position in positions.tolist()}

    # --- claims: the interface to the life of a programme ---

    def banks_of(self, programme: str, occurrence: int, members: Sequence[int]) -> list[str]:
        """Return the name, in the file, of the operator that each member chose. Raises NotFound for no member."""
        found = self._lists.find(programme, occurrence)
        with reading(self._stores.engine) as connection:
            holders = self._holders(connection, found, members)
        return [found.definition.operators[each.bank].name for each in holders]

    def are_persons(
        self, programme: str, occurrence: int, members: Sequence[int], persons: Sequence[int]
    ) -> list[bool]:
        """Return whether each of n persons of this bank is the one who registered as the member at the same place.

        The documents decide if both are known, otherwise the phones. Nobody sees either, so this is no access.
        """
        found = self._lists.find(programme, occurrence)
        with reading(self._stores.engine) as connection:
            holders = self._holders(connection, found, members)
        vault, reader = self._lists.kept_vault(found.list), Reader(found.definition, self._register.phone, 0)
        known = self._register.identity_keys(persons)

        def is_same(holder: Any, person: int) -> bool:
            stored = vault.unseal(holder.entry, holder.sealed)[0]
            phone, paper = known.get(person, ("", ""))
            document = reader.document_number(paper)
            if document and stored[DOCUMENT]:
                return bool(document == stored[DOCUMENT])
            return bool(phone and reader.phone_number(phone) == stored[PHONE])

        return [is_same(holder, person) for holder, person in zip(holders, persons, strict=True)]

    def wallet_of(self, programme: str, occurrence: int, member: int) -> int:
        """Return the wallet that a member named at registration, 0 for none."""
        found = self._lists.find(programme, occurrence)
        with reading(self._stores.engine) as connection:
            (holder,) = self._holders(connection, found, [member])
        stored = self._lists.kept_vault(found.list).unseal(holder.entry, holder.sealed)[0]
        return int.from_bytes(stored["wallet"].tobytes(), "big")

    def winners(
        self, programme: str, occurrence: int = 0, *, banks: Collection[str] | None = None, after: int = -1,
        most: int | None = None,
    ) -> list[Winner]:  # fmt: skip
        """Return who has a packet, by place in the cohort: up to `most` winners that follow place `after`.

        `banks`: operators of the file that the winners chose, None for all. Raises UsageError before the draw.
        """
        found = self._lists.find(programme, occurrence)
        if not states.is_at_least(found.occurrence.state, states.DRAWN):
            raise UsageError(
                f"{found.occurrence.title} is {found.occurrence.state}: packets are assigned after its draw",
                hint=f"the next step: {states.NEXT_STEPS[found.occurrence.state]}",
            )
        if found.row is None:  # the list came from elsewhere
            return []
        names = [each.name for each in found.definition.operators]
        chosen = (HOLDERS.c.list == found.list.list) & (HOLDERS.c.place > after)
        if banks is not None:
            chosen &= ENTRIES.c.bank.in_([at for at, name in enumerate(names) if name in banks])
        same = (ENTRIES.c.list == HOLDERS.c.list) & (ENTRIES.c.entry == HOLDERS.c.entry)
        query = sqlalchemy.select(HOLDERS, ENTRIES.c.bank).join(ENTRIES, same).where(chosen)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.order_by(HOLDERS.c.place).limit(most)).all()
        vault = self._lists.kept_vault(found.list) if rows else None
        return [
            Winner(
                row.place, row.member, row.packet, row.minor, names[row.bank],
                int.from_bytes(vault.unseal(row.entry, row.sealed)[0]["wallet"].tobytes(), "big"),
            )
            for row in rows
            if vault is not None
        ]  # fmt: skip

    def members(self, programme: str, occurrence: int, *, after: int = -1, most: int = 1_000) -> list[tuple[int, int]]:
        """Return place in the cohort and id of up to `most` members that follow place `after`."""
        row = self._lists.find(programme, occurrence).list
        chosen = (HOLDERS.c.list == row.list) & (HOLDERS.c.place > after)
        query = sqlalchemy.select(HOLDERS.c.place, HOLDERS.c.member).where(chosen).order_by(HOLDERS.c.place).limit(most)
        with reading(self._stores.engine) as connection:
            return [(each.place, each.member) for each in connection.execute(query)]

    @staticmethod
    def _holders(connection: Connection, found: Found, members: Sequence[int]) -> list[Any]:
        """Return the row of each member, with the bank of the entry."""
        same = (ENTRIES.c.list == HOLDERS.c.list) & (ENTRIES.c.entry == HOLDERS.c.entry)
        query = sqlalchemy.select(HOLDERS, ENTRIES.c.bank).outerjoin(ENTRIES, same)
        query = query.where(HOLDERS.c.list == found.list.list)
        rows = {}
        for first in range(0, len(members), MEMBERS_OF_QUERY):
            chosen = HOLDERS.c.member.in_(members[first : first + MEMBERS_OF_QUERY])
            rows.update({row.member: row for row in connection.execute(query.where(chosen))})
        missing = next((each for each in members if each not in rows), None)
        if missing is not None:
            raise NotFound(
                f"{ids.format(missing)} has no packet of {found.occurrence.title}", hint="only winners claim"
            )
        return [rows[each] for each in members]

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each sealed cohort whose members are not those that the packets were assigned to."""
        with reading(self._stores.engine) as connection:
            for found in occurrences_in(connection, "", states.ALLOTTED, states.DROPPED):
                row = list_in(connection, found.programme, found.occurrence)
                if row is None or found.number is None:
                    continue
                query = sqlalchemy.select(sqlalchemy.type_coerce(HOLDERS.c.member, sqlalchemy.LargeBinary))
                chosen = query.where(HOLDERS.c.list == row.list).order_by(HOLDERS.c.place)
                members = np.frombuffer(b"".join(map(bytes, connection.scalars(chosen))), ">u8").reshape(-1, 2)
                with self._stores.ledger.sequencer.reading() as state:
                    purses = state.purses(found.number)
                # The members of a sealed cohort do not change; if the table grows, the view keeps its older memory.
                wanted = np.stack([purses["member_high"], purses["member_low"]], axis=1)
                if not np.array_equal(members, wanted):
                    yield f"the members of {found.title} on the ledger are not those of its registrations"

    # --- reading identities: each after an entry in the access log ---

    def receipt(self, programme: str, occurrence: int, entry: int, *, access: Access) -> Receipt:
        """Return the receipt of an entry again. Raises UsageError as the access log, and after the shredding."""
        found = self._lists.find(programme, occurrence)
        self._access.enter(access, [NOBODY], RECEIPT_FIELDS, is_search=True)
        with reading(self._stores.engine) as connection:
            row = self._lists.entry_in(connection, found.list, entry)
            stored = self._stored(connection, found, entry)
        about = entry_of(row)
        return Receipt(
            entry, about.state, about.reason, int(stored[DOCUMENT]), int(stored[PHONE]), stored["salt"].tobytes()
        )

    def lookup(
        self, programme: str, occurrence: int = 0, *, access: Access, entry: int | None = None, document: str = "",
        phone: str = "",
    ) -> list[Looked]:  # fmt: skip
        """Return what is known about the entry of this number, or about the entries with a document or phone.

        Raises UsageError unless exactly one of the three is given, as the access log, and for a document or phone after
        the shredding: then only numbers of entries find something.
        """
        if sum((entry is not None, bool(document), bool(phone))) != 1:
            raise UsageError("a look-up needs an entry, a document or a phone", hint="give exactly one of the three")
        found = self._lists.find(programme, occurrence)
        self._access.enter(access, [NOBODY], FIELDS, is_search=True)
        numbers = [entry] if entry is not None else self._having(found, document, phone)
        return [self._looked(found, each) for each in numbers]

    def _having(self, found: Found, document: str, phone: str) -> list[int]:
        found.require_readable()
        reader = Reader(found.definition, self._register.phone, 0)
        kind, number = (
            (BY_DOCUMENT, reader.document_number(document)) if document else (BY_PHONE, reader.phone_number(phone))
        )
        if not number:
            raise UsageError(
                f"that is no {DOCUMENT if document else PHONE}", hint="write it as it was given at registration"
            )
        with reading(self._stores.engine) as connection:
            return self._lists.vault(found.list).having(connection, kind, np.array([number], np.uint64))

    def _stored(self, connection: Connection, found: Found, entry: int) -> Any:
        """Return the sealed data of an entry; after the shredding of a holder only."""
        chosen = (HOLDERS.c.list == found.list.list) & (HOLDERS.c.entry == entry)
        holder = connection.execute(sqlalchemy.select(HOLDERS).where(chosen)).one_or_none()
        if holder is not None:
            return self._lists.kept_vault(found.list).unseal(entry, holder.sealed)[0]
        found.require_readable()
        return self._lists.vault(found.list).one(connection, entry)[0]

    def _looked(self, found: Found, entry: int) -> Looked:
        with reading(self._stores.engine) as connection:
            about = entry_of(self._lists.entry_in(connection, found.list, entry))
            accepted = (
                "" if about.accepted is None else self._lists.entry_in(connection, found.list, about.accepted).state
            )
            of_entry = (APPEALS.c.list == found.list.list) & (APPEALS.c.entry == entry)
            appeals = sqlalchemy.select(APPEALS.c.state).where(of_entry).order_by(APPEALS.c.at_ns, APPEALS.c.id)
            told = tuple(connection.scalars(appeals))
            chosen = (HOLDERS.c.list == found.list.list) & (HOLDERS.c.entry == entry)
            holder = connection.execute(sqlalchemy.select(HOLDERS).where(chosen)).one_or_none()
            is_listed = about.state in ("confirmed", *successions.REASONS)
            is_readable = found.list.shredded_ns is None or holder is not None
            stored = self._stored(connection, found, entry) if is_listed and is_readable else None
        definition = found.definition
        stratum = "" if definition.mode == FIRST_COME else definition.draw.strata[about.stratum].name
        bank = definition.operators[about.bank].name
        looked = Looked(
            found.stored.name, found.occurrence.occurrence, found.occurrence.state, about, bank, stratum, accepted,
            appeals=told,
        )  # fmt: skip
        place = {} if stored is None else self._place(found, stored)
        packet = None if holder is None else self._packet(found, holder)
        return replace(looked, packet=packet, **place)

    def _place(self, found: Found, stored: Any) -> dict[str, Any]:
        """Return position, rank and ticket of an entry in the published draw, {} before it or outside the list."""
        folder = self._programmes.files_of(found.occurrence)
        if not (folder / draw_files.ANNOUNCEMENT).exists():
            return {}
        announcement = draw_files.read_announcement(folder)
        listed = draw_files.read_digests(folder / draw_files.ENTRIES, announcement.entries)
        (own,) = commitments(np.array([stored]))
        matches = np.flatnonzero((draw_rule.words(listed) == np.frombuffer(own.tobytes(), ">u8")).all(axis=1))
        if not len(matches):
            return {}
        position = int(matches[0])
        if not (folder / draw_files.TICKETS).exists():
            return {"position": position}
        tickets = draw_files.read_digests(folder / draw_files.TICKETS, announcement.entries)
        stratum, span = next(each for each in announcement.spans() if each[1].start <= position < each[1].stop)
        rank = draw_rule.rank(tickets[span], position - span.start)
        made = {
            "position": position, "rank": rank, "ranks": stratum.entries, "winners": stratum.winners,
            "ticket": tickets[position].tobytes().hex(),
        }  # fmt: skip
        published = draw_files.read_successions(folder, announcement)
        if published is not None:
            passed_on = successions.check(announcement, tickets, listed, published)
            made["follows"] = next((each.rank for each in passed_on if each.successor == position), None)
        return made

    def _packet(self, found: Found, holder: Any) -> Packet:
        purse, spent = "", 0
        number = found.occurrence.number
        if found.occurrence.dropped_frame is not None and number is not None:
            with self._stores.ledger.sequencer.reading() as state:
                held = state.purse(number, holder.place)
            assert held is not None, "the cohort was dropped on"
            purse, spent = held.state.name.lower(), held.spent - held.refunded
        return Packet(holder.packet, holder.minor, holder.member, purse, spent)

    # --- shredding ---

    def shred(self, programme: str, occurrence: int = 0) -> None:
        """Make documents, phones and salts of everyone without a packet unreadable. The published list stays.

        The key of the list is deleted from the key file and its backup; holders of packets have their own key. A
        second call changes nothing. Raises UsageError before the date of the file, and while the packets are not
        assigned; UnavailableError if the backup of the key file is not reachable: call again.
        """
        found = self._lists.find(programme, occurrence)
        if found.row is None:
            return
        if found.list.shredded_ns is None:
            self._require_shreddable(found)
            now_ns, secret = self._lists.now_ns(), found.list.secret

            def work(connection: Connection) -> None:
                current = self._lists.found_in(connection, programme, occurrence)
                if current.list.shredded_ns is not None:
                    return
                self._require_shreddable(current)
                of_list = current.list.list
                for table in (PARTS, KEYS, APPEALS):
                    connection.execute(table.delete().where(table.c.list == of_list))
                connection.execute(LISTS.update().where(LISTS.c.list == of_list).values(shredded_ns=now_ns))
                row = {"person": secret, "at_ns": now_ns, "who": current.stored.maker, "basis": BASIS}
                connection.execute(SHREDS.insert().values(row))  # an opening finishes an interrupted shredding

            write(self._stores.engine, work)
        self._lists.keys.shred(found.list.secret)

    def _require_shreddable(self, found: Found) -> None:
        at_ns = found.definition.registration_rules.shred_at_ns
        if self._lists.now_ns() < at_ns:
            raise UsageError(f"{found.list.title} are kept until the date in the file", hint="shredding begins then")
        if found.occurrence.state in (states.DRAFT, states.REGISTRATION, states.FROZEN, states.DRAWN):
            raise UsageError(
                f"{found.occurrence.title} is {found.occurrence.state}: nobody has a packet yet",
                hint="cancel the occurrence, or finish its draw",
            )

    def _run_shred(self, run: Run) -> None:
        self.shred(run.payload["programme"], run.payload["occurrence"])


def _positions(members: Ids, commitments: Bytes) -> NDArray[np.int64]:
    """Return the position in the list of each member, whose id is the beginning of a commitment."""
    listed = member_ids(commitments)
    order = np.argsort(listed["low"], kind="stable")
    ordered = listed["low"][order]
    at = np.searchsorted(ordered, members["low"])
    found = order[np.minimum(at, len(order) - 1)]
    for row in np.flatnonzero(listed[found] != members).tolist():  # eight bytes did not decide
        (same,) = np.flatnonzero(listed == members[row])[:1].tolist()
        found[row] = same
    return found
