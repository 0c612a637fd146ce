"""Cohort, drop, claims, expiry and close of an occurrence: the fourth part of the service `Programmes`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.documents import shown_moment
from sycee.core.errors import BusyError, IntegrityError, NotFound, UsageError
from sycee.core.limits import MEMBERS_PER_RECORD_MAX
from sycee.core.records import operations, parts
from sycee.core.result_codes import Result
from sycee.core.words import quantity
from sycee.database.actions import Draft, Intent, IntentOutcome, LedgerOnly
from sycee.database.intents import DRAFTS_MAX, INTENT_RECORDS_MAX
from sycee.database.jobs import Run
from sycee.database.states import LAPSED, PENDING
from sycee.database.stores import Stores
from sycee.database.tables import INTENTS
from sycee.identity.duties import Duty
from sycee.programmes import draw_files, records, states
from sycee.programmes.allotment import Allotment, Share, drops_of, list_shares, minor_of, shares_of
from sycee.programmes.definition import RANDOM_SPLIT
from sycee.programmes.purse_sums import purse_sums
from sycee.programmes.stored import (
    Occurrence,
    StoredProgramme,
    change_state,
    occurrence_in,
    programme_in,
    set_occurrence,
)
from sycee.programmes.tables import ZONES
from sycee.programmes.terms import Terms, found_of
from sycee.sequencer.signer import Signer

ALLOT: Final = "programme.allot"
DROP: Final = "programme.drop"
CLAIM: Final = "programme.claim"
EXPIRE: Final = "programme.expire"
CLOSE: Final = "programme.close"
SEAL: Final = "programme.seal"
WIDEN: Final = "programme.widen"
EXPIRE_JOB: Final = "programmes.expire"
SITUATION_JOB: Final = "programmes.situation"
_HOUR_NS: Final = 3_600 * 10**9
BRING_BACK: Final = "bring the published files back from a copy"
COHORTS_CACHED: Final = 4  # sorted members in memory: 24 bytes each

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PacketClaim:
    """A packet and the wallet that claims it. `member`: the id in the cohort."""

    member: int
    wallet: int


class Dropping(Terms):
    """Allots, drops, claims and expires."""

    def allot(
        self, name: str, occurrence: int = 0, *,
        signers: Sequence[Signer], who: int, progress: Progress | None = None,
    ) -> Occurrence:  # fmt: skip
        """Add the members of the approved cohort and seal it. The operator of the funder signs each part.

        Other payments are in frames between the parts. After an interruption the same call continues where it stopped.
        `progress(done, total)` counts members. Raises UsageError before the terms are signed, and IntegrityError if the
        files lead to another cohort than the signed one.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, ALLOT, operator=programme.operator)
        if states.is_at_least(current.state, states.ALLOTTED):
            return current
        programme.require_running()
        states.require_change(current.title, current.state, states.ALLOTTED)
        members, payload = self.members_of(name, occurrence), payload_of(current)
        with self._stores.ledger.sequencer.reading() as state:
            filled = int(state.tables.programmes["filled"][members.programme])
        starts = range(0, members.record_ids.size, INTENT_RECORDS_MAX)
        intents = self.ids_of(current).many("members intent", len(starts))
        for start, intent in zip(starts, intents, strict=True):
            end = min(start + INTENT_RECORDS_MAX, members.record_ids.size)
            done = min(end * MEMBERS_PER_RECORD_MAX, members.ids.size)
            if done <= filled:  # the ledger has these members: their intent was done
                continue
            first, id = filled // MEMBERS_PER_RECORD_MAX, ids.to_int(intent)
            if start < first:  # some parts of an intent were done: another has the others
                id = self.ids_of(current).one(f"members intent {start} from {filled}")
            first = max(start, first)
            made, content = members.records(first, end), {**payload, "first": first, "end": end}
            draft = Draft(ALLOT, made, content, who=who, signers=signers, id=id, parts=parts.sizes_of(made))
            self._perform([draft], "the cohort was not added")
            if progress is not None:
                progress(done, members.ids.size)
        seal = self.seal_record(current)
        id = self.ids_of(current).one("seal intent", attempt=current.attempt)
        sealing = {**payload, "seal": ids.format(ids.of_record(seal[0], "id"))}
        self._perform([Draft(SEAL, seal, sealing, who=who, signers=signers, id=id)], "the cohort was not sealed")
        return self.occurrence(name, occurrence)

    def drop(self, name: str, occurrence: int = 0, *, signers: Sequence[Signer], who: int) -> Occurrence:
        """Fill every packet of a sealed cohort. The owner of the funder's account signs: its operator, or its key.

        Of a file with zones, fill the packets of the first one; `widen` fills the next. A large drop is made in parts,
        with frames of other payments between them: a kill is followed by the rest, and a halt stops none of them.
        Repeating the call changes nothing, but after a refusal of some parts it fills the packets that are left. Raises
        UsageError before the seal, while the programme is halted, if the funder has too little money, and if the
        exposure would exceed its maximum; BusyError during another drop of the funder; Refused with the ledger's code.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, DROP, operator=programme.operator)
        if states.is_at_least(current.state, states.DROPPED):
            return current
        programme.require_running()
        states.require_change(current.title, current.state, states.DROPPED)
        self.check_exposure(current, current.minor)
        shares = self._approved_shares(programme, current)
        payload = payload_of(current) | {"expires_ns": programme.on(current).expires_ns}
        zone = shares[0].zone
        if zone:
            self.check_zone_time(programme, current, zone)
            payload["zone"] = zone
        chosen = [each for each in shares if each.zone == zone]
        self.check_funded(programme, current, chosen)
        made = self.drop_records(current, shares, zone)
        id = self.ids_of(current).one("drop intent", attempt=current.attempt)

        def before(connection: Connection) -> None:
            # Another person may have cancelled or halted since: from here on, the pending intent refuses a cancel.
            programme_in(connection, name).require_running()
            now = occurrence_in(connection, name, occurrence)
            states.require_change(now.title, now.state, states.DROPPED)
            require_no_drop_of(connection, programme.funder)
            self.check_funded(programme, current, chosen)  # after a drop that ended meanwhile

        draft = Draft(DROP, made, payload, who=who, signers=signers, before=before, id=id, parts=parts.sizes_of(made))
        self._perform([draft], "the drop was refused")
        return self.occurrence(name, occurrence)

    # --- claims ---

    def claim(
        self, name: str, occurrence: int, member: int, wallet: int, *,
        signers: Sequence[Signer], who: int, id: int = 0,
    ) -> IntentOutcome:  # fmt: skip
        """Claim a packet into the winner's wallet. The wallet's operator signs. A refusal by the ledger is the outcome.

        `member`: the id in the cohort. `who`: the holder of the wallet, or a person of its operator's staff. Raises
        UsageError while the programme is halted, for a wallet of another operator than the chosen one, and for a wallet
        of another person than the registered one.
        """
        (outcome,) = self.claim_many(name, occurrence, [PacketClaim(member, wallet)], signers=signers, who=who, id=id)
        return outcome

    def claim_many(
        self, name: str, occurrence: int, claims: Sequence[PacketClaim], *,
        signers: Sequence[Signer], who: int, id: int = 0,
    ) -> Sequence[IntentOutcome]:  # fmt: skip
        """Claim packets into wallets of one operator, all checked before any is claimed. Errors: `claim`.

        Return the outcomes of up to 8,000 claims each. `id`: of the intent of a single part.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        if id and (earlier := self._stores.intents.outcome(id, CLAIM)) is not None:
            return [earlier]
        programme.require_running()
        if current.state != states.DROPPED or current.number is None:
            raise UsageError(
                f"{current.title} is {current.state}: packets are claimed once they are dropped",
                hint=f"the next step: {states.NEXT_STEPS[current.state]}",
            )
        places = self._places(current, [each.member for each in claims])
        self._check_claims(programme, current, claims, who)
        parts = []
        for start in range(0, len(claims), INTENT_RECORDS_MAX):
            chosen = claims[start : start + INTENT_RECORDS_MAX]
            made = np.concatenate(
                [
                    operations.claim(
                        self._stores.new_id(),
                        programme=current.number,
                        member=place,
                        member_id=each.member,
                        wallet=each.wallet,
                    )
                    for place, each in zip(places[start:], chosen, strict=False)
                ]
            )
            parts.append(Draft(CLAIM, made, payload_of(current), who=who, signers=signers, id=id))
        return [
            outcome
            for start in range(0, len(parts), DRAFTS_MAX)
            for outcome in self._stores.intents.perform_many(parts[start : start + DRAFTS_MAX])
        ]

    def place_of(self, name: str, occurrence: int, member: int) -> int:
        """Return the number of a member in the cohort, from 0. Raises NotFound for an id that is no member's."""
        return self._places(self.occurrence(name, occurrence), [member])[0]

    # --- the end ---

    def expire(self, name: str, occurrence: int = 0) -> Occurrence:
        """Return the rest of every packet to the funder, from the moment of expiry on. No person signs.

        A job calls it at the expiry. Repeating the call changes nothing. Raises UsageError before the expiry.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        if current.state in (states.EXPIRED, states.CLOSED):
            return current
        is_partial = current.is_dropped_in_part
        if not is_partial:
            states.require_change(current.title, current.state, states.EXPIRED)
        definition = programme.on(current)
        if read_ns(self._stores.clock) < definition.expires_ns:
            raise UsageError(
                f"{current.title} expires {shown_moment(definition.expires_ns, definition.zone)}",
                hint="packets are spent until then",
            )
        signers = self._technical()
        id = self.ids_of(current).one("expiry intent", attempt=current.attempt)
        payload = payload_of(current)
        if is_partial:  # the ledger accepts no further drop: these are all packets
            payload["minor"] = purse_sums(self._stores.ledger.sequencer, current.number).dropped
        who = signers[0].id if signers else 0
        made = self.expire_records(current)
        draft = Draft(EXPIRE, made, payload, who=who, signers=signers, id=id, parts=parts.sizes_of(made))
        self._perform([draft], "the rest was not returned")
        return self.occurrence(name, occurrence)

    def close(self, name: str, occurrence: int = 0, *, who: int) -> Occurrence:
        """Close an expired occurrence, and return it. Repeating the call changes nothing.

        Raises UsageError while money of a packet is held for a payee.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, CLOSE, operator=programme.operator)
        if current.state == states.CLOSED:
            return current
        states.require_change(current.title, current.state, states.CLOSED)
        sums = purse_sums(self._stores.ledger.sequencer, current.number)
        if sums.pending or sums.live:
            raise UsageError(
                f"{current.title} has {money.with_code(sums.pending, programme.definition.currency)} in holds, and "
                f"{quantity(sums.live, 'packet')} not expired",
                hint="holds end at their time; then close it",
            )
        return self._change(current, states.CLOSED, {})

    def members_of(self, name: str, occurrence: int) -> records.Members:
        """Return the members of a cohort whose terms are signed, from the published files.

        Raises IntegrityError if the files lead to another cohort than the signed one.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        allotment = self._approved(programme, current)
        count = operations.add_members_records(int(allotment.members.size))
        return records.Members(_number(current), allotment.members, self.ids_of(current).many("members", count))

    # --- records: the same for a dry run ---

    def seal_record(self, occurrence: Occurrence) -> Array:
        """Return the record that seals the cohort."""
        made = self.ids_of(occurrence).one("seal", attempt=occurrence.attempt)
        assert occurrence.cohort is not None, "its terms are signed"
        return operations.seal_cohort(made, programme=_number(occurrence), digest=bytes.fromhex(occurrence.cohort))

    def drop_records(self, occurrence: Occurrence, shares: Sequence[Share], zone: str = "") -> Array:
        """Return the records that fill the packets of a zone. `shares`: all of the cohort."""
        drops = drops_of(shares)
        made = self.ids_of(occurrence).many("drop", len(drops), attempt=occurrence.attempt)
        assert occurrence.seal is not None, "the cohort is sealed"
        chosen = [place for place, each in enumerate(drops) if each.zone == zone]
        return records.drops(made[chosen], _number(occurrence), [drops[each] for each in chosen], occurrence.seal)

    def expire_records(self, occurrence: Occurrence) -> Array:
        """Return the records that return the rest."""
        return records.expiries(
            self.ids_of(occurrence), _number(occurrence), occurrence.members, attempt=occurrence.attempt
        )

    # --- helpers ---

    def _perform(self, drafts: Sequence[Draft], problem: str) -> None:
        """Perform drafts with fixed ids; an intent whose signatures had expired is signed anew."""
        outcomes = self._stores.intents.perform_many(drafts)
        for draft, outcome in zip(drafts, outcomes, strict=True):
            renewed = (
                self._stores.intents.renew(draft.id, signers=draft.signers, parts=draft.parts)
                if outcome.state == LAPSED
                else outcome
            )
            renewed.require_created(problem)

    def _approved(self, programme: StoredProgramme, occurrence: Occurrence) -> Allotment:
        """Return the cohort. Raises IntegrityError if the files lead to another one than two officers signed."""
        try:
            allotment = self._cohort(programme, occurrence)
        except UsageError as error:  # the terms are signed, so there was a draw
            raise IntegrityError(f"{occurrence.title} has no {draw_files.WINNERS} any more", hint=BRING_BACK) from error
        if allotment.digest.hex() != occurrence.cohort:
            raise _another_cohort(occurrence)
        return allotment

    def _approved_shares(self, programme: StoredProgramme, occurrence: Occurrence) -> Sequence[Share]:
        """Return the shares of a sealed cohort, whose members the ledger has and the seal fixes.

        Amounts that are divided by chance follow from the members, and successions decide how many a zone has: the
        files of all other cohorts are not read.
        Raises IntegrityError for other members or another sum than two officers signed.
        """
        announcement, definition = self._announcement(occurrence), programme.definition
        if definition.mode == RANDOM_SPLIT or definition.zones:
            return self._approved(programme, occurrence).shares
        if announcement.is_drawn:
            shares = shares_of(definition, occurrence.members)
        else:
            shares = list_shares(definition, {each.name: each.entries for each in announcement.strata})
        sums = (sum(each.count for each in shares), sum(each.count * each.minor for each in shares))
        if sums != (occurrence.members, occurrence.minor):
            raise _another_cohort(occurrence)
        return shares

    def check_zone_time(self, programme: StoredProgramme, occurrence: Occurrence, zone: str) -> None:
        """Raise UsageError before the time of a zone."""
        definition = programme.on(occurrence)
        (from_ns,) = (each.from_ns for each in definition.zones if each.name == zone)
        if from_ns is not None and read_ns(self._stores.clock) < from_ns:
            raise UsageError(
                f"the zone {zone} begins {shown_moment(from_ns, definition.zone)}", hint="drop on it from then on"
            )

    def check_funded(self, programme: StoredProgramme, occurrence: Occurrence, shares: Sequence[Share]) -> None:
        """Raise UsageError unless the funder has the money for these packets, without those that were filled."""
        minor, balance = minor_of(shares), self._stores.ledger.balance(programme.funder)
        if balance < minor and occurrence.dropped_frame is not None:
            with self._stores.ledger.sequencer.reading() as state:
                filled = state.purses(_number(occurrence))["dropped"]
                minor -= sum(int(filled[each.first : each.first + each.count].sum()) for each in shares)
        if balance < minor:
            currency = programme.definition.currency
            raise UsageError(
                f"the funder has {money.format(balance, currency)}, and the packets come to "
                f"{money.with_code(minor, currency)}",
                hint="pay the funder in first: `sycee drop fund`",
            )

    def _check_claims(
        self, programme: StoredProgramme, occurrence: Occurrence, claims: Sequence[PacketClaim], who: int
    ) -> None:  # fmt: skip
        if self.registered is None:
            raise UsageError("this bank has no registrations", hint="without them nobody knows who a winner is")
        wallets = [self._directory.get(each.wallet) for each in claims]
        for operator in {each.operator for each in wallets}:
            self._people.require(who, CLAIM, operator=operator)
        held = self._people.duties_of(who)
        desks = {each.operator for each in held if each.duty in (Duty.OPERATOR, Duty.CLERK)}
        members, place = [each.member for each in claims], (occurrence.programme, occurrence.occurrence)
        banks = self.registered.banks_of(*place, members)
        are_same = self.registered.are_persons(*place, members, [each.holder for each in wallets])
        for wallet, bank, is_same in zip(wallets, banks, are_same, strict=True):
            if wallet.operator not in desks and who != wallet.holder:
                raise UsageError(
                    f"{ids.format(wallet.account)} is another person's wallet", hint="claim into a wallet of your own"
                )
            if programme.operators[bank] != wallet.operator:
                raise UsageError(
                    f"the winner chose {bank}, and the wallet is at operator {wallet.operator}",
                    hint="open a wallet at the chosen operator",
                )
            if not is_same:
                raise UsageError(
                    f"the holder of wallet {ids.format(wallet.account)} is not the person who registered",
                    hint="a packet is claimed into the winner's own wallet",
                )

    def _places(self, occurrence: Occurrence, members: Sequence[int]) -> Sequence[int]:
        """Return the numbers of members in the cohort. Raises NotFound for an id that is no member's."""
        order, low, high = self._sorted_members(occurrence)
        wanted = np.array([ids.split(each) for each in members], ids.ID)
        at = np.searchsorted(low, wanted["low"])
        places = []
        for position, each in zip(at.tolist(), wanted, strict=True):
            while position < low.size and low[position] == each["low"] and high[position] != each["high"]:
                position += 1
            if position >= low.size or low[position] != each["low"]:
                raise NotFound(f"{ids.format(each)} is no member of {occurrence.title}", hint="only winners claim")
            places.append(int(order[position]))
        return places

    def _sorted_members(self, occurrence: Occurrence) -> tuple[Array, Array, Array]:
        """Return the members of a cohort by the low half of their ids: (places, low halves, high halves)."""
        number = _number(occurrence)
        if number not in self._members:
            with self._stores.ledger.sequencer.reading() as state:
                purses, is_sealed = state.purses(number), bool(state.tables.programmes["sealed"][number])
                if not is_sealed:
                    purses = purses.copy()
            # The members of a sealed cohort are final: payments need not wait until they are copied.
            low, high = (np.ascontiguousarray(purses[name]) for name in ("member_low", "member_high"))
            order = np.argsort(low, kind="stable")
            if not is_sealed:  # members may still be added
                return order, low[order], high[order]
            while len(self._members) >= COHORTS_CACHED:
                self._members.pop(next(iter(self._members)), None)
            self._members[number] = order, low[order], high[order]
        return self._members[number]

    def _expire_job(self, run: Run) -> None:
        self.expire(run.payload["programme"], run.payload["occurrence"])


class AllotAction(LedgerOnly):
    """Members are added. Their records follow from the published files, which the terms fix by a digest."""

    def __init__(self, programmes: Dropping) -> None:
        super().__init__(ALLOT)
        self._programmes = programmes
        self._latest: tuple[tuple[str, int], records.Members] | None = None  # a cohort has hundreds of such intents

    def records(self, payload: Mapping[str, Any]) -> Array:
        """See RebuildingAction."""
        place, latest = (payload["programme"], payload["occurrence"]), self._latest
        if latest is None or latest[0] != place:
            latest = self._latest = place, self._programmes.members_of(*place)
        return latest[1].records(payload["first"], payload["end"])


class StepAction:
    """A step that leads from one state to the next when the ledger created its records."""

    name = ""
    earlier = ""
    reached = ""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Change the state if the ledger created every record; otherwise the step can be repeated with fresh ids."""
        found = found_of(connection, intent.payload)
        if any(each is not Result.CREATED for each in results):
            self._take_back(connection, found, attempt=intent.payload["attempt"] + 1)
        elif found.state == self.earlier or (self.reached == states.EXPIRED and found.is_dropped_in_part):
            self._reach(connection, intent, found)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the state; after a restore also take the step back."""
        self._take_back(connection, found_of(connection, intent.payload))

    def _take_back(self, connection: Connection, occurrence: Occurrence, **values: Any) -> None:
        """Set the state before the step if it, or a later one, was reached: only a restore can make it be refused."""
        is_later = states.is_at_least(occurrence.state, self.reached)
        if is_later or values:
            state = self.earlier if is_later else occurrence.state
            set_occurrence(connection, self._stores.clock, occurrence, state=state, **values)

    def _reach(self, connection: Connection, intent: Intent, occurrence: Occurrence) -> None:
        """Write the new state."""
        raise NotImplementedError


class SealAction(StepAction):
    """The seal of a cohort."""

    name, earlier, reached = SEAL, states.APPROVED, states.ALLOTTED

    def _reach(self, connection: Connection, intent: Intent, occurrence: Occurrence) -> None:
        data, seal = {"cohort": occurrence.cohort}, ids.parse(intent.payload["seal"])
        change_state(connection, self._stores.clock, occurrence, self.reached, data, seal=seal)


class DropAction(StepAction):
    """The drop, which adds the job of the expiry."""

    name, earlier, reached = DROP, states.ALLOTTED, states.DROPPED

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Change the state if every part was accepted. After others a repetition fills the packets that are left."""
        created = [each is Result.CREATED for each in results]
        found = found_of(connection, intent.payload)
        if any(created) and not all(created) and found.state == self.earlier:
            set_occurrence(connection, self._stores.clock, found, dropped_frame=frame_of(connection, intent))
            self._add_jobs(connection, intent, found)
        super().done(connection, intent, results)

    def _reach(self, connection: Connection, intent: Intent, occurrence: Occurrence) -> None:
        frame = frame_of(connection, intent)
        data: dict[str, Any] = {"frame": frame}
        if zone := intent.payload.get("zone", ""):
            store_zone(connection, self._stores.clock, occurrence, zone, frame)
            data["zone"] = zone
        change_state(connection, self._stores.clock, occurrence, self.reached, data, dropped_frame=frame)
        self._add_jobs(connection, intent, occurrence)

    def _add_jobs(self, connection: Connection, intent: Intent, occurrence: Occurrence) -> None:
        payload = {"programme": occurrence.programme, "occurrence": occurrence.occurrence}
        key = f"{occurrence.programme} {occurrence.occurrence}"
        self._stores.jobs.add(connection, EXPIRE_JOB, intent.payload["expires_ns"], key=key, payload=payload)
        first_ns = next_hour_ns(
            read_ns(self._stores.clock), programme_in(connection, occurrence.programme).definition.zone
        )
        period = f"every:{_HOUR_NS}"
        self._stores.jobs.add(connection, SITUATION_JOB, first_ns, key=key, payload=payload, period=period)

    def _take_back(self, connection: Connection, occurrence: Occurrence, **values: Any) -> None:
        if states.is_at_least(occurrence.state, self.reached):
            delete_zones(connection, occurrence)
            values["dropped_frame"] = None
        super()._take_back(connection, occurrence, **values)


class ExpireAction(StepAction):
    """The expiry."""

    name, earlier, reached = EXPIRE, states.DROPPED, states.EXPIRED

    def _reach(self, connection: Connection, intent: Intent, occurrence: Occurrence) -> None:
        frame = frame_of(connection, intent)
        values = {"minor": intent.payload["minor"]} if "minor" in intent.payload else {}
        change_state(
            connection, self._stores.clock, occurrence, self.reached, {"frame": frame}, expired_frame=frame, **values
        )


def next_hour_ns(moment_ns: int, zone: ZoneInfo) -> int:
    """Return the next full hour of a time zone, which is not always one of UTC."""
    offset = datetime.fromtimestamp(moment_ns // 10**9, zone).utcoffset() or timedelta()
    offset_ns = int(offset.total_seconds()) * 10**9
    return ((moment_ns + offset_ns) // _HOUR_NS + 1) * _HOUR_NS - offset_ns


def zone_rows(connection: Connection, occurrence: Occurrence) -> dict[str, int]:
    """Return the zones of an occurrence that were dropped, with the frame of each."""
    chosen = (ZONES.c.programme == occurrence.programme) & (ZONES.c.occurrence == occurrence.occurrence)
    return {row.zone: row.frame for row in connection.execute(sqlalchemy.select(ZONES).where(chosen))}


def store_zone(connection: Connection, clock: Clock, occurrence: Occurrence, zone: str, frame: int) -> None:
    """Store that a zone was dropped."""
    row = {"programme": occurrence.programme, "occurrence": occurrence.occurrence, "zone": zone, "frame": frame}
    connection.execute(ZONES.insert().values(**row, at_ns=read_ns(clock)))


def delete_zones(connection: Connection, occurrence: Occurrence, zone: str = "") -> None:
    """Delete the row of a zone, or of all zones of an occurrence."""
    chosen = (ZONES.c.programme == occurrence.programme) & (ZONES.c.occurrence == occurrence.occurrence)
    connection.execute(ZONES.delete().where(chosen & (ZONES.c.zone == zone) if zone else chosen))


def frame_of(connection: Connection, intent: Intent) -> int:
    """Return the frame of an intent, which its transaction has written."""
    frame = connection.scalar(sqlalchemy.select(INTENTS.c.frame).where(INTENTS.c.id == intent.id))
    return int(frame or 0)


def require_no_drop_of(connection: Connection, funder: int) -> None:
    """Raise BusyError while the ledger has not answered a drop from this funder: both might need the same money."""
    chosen = INTENTS.c.action.in_((DROP, WIDEN)) & (INTENTS.c.state == PENDING)
    for payload in connection.scalars(sqlalchemy.select(INTENTS.c.payload).where(chosen)):
        programme = json.loads(payload)["programme"]
        if programme_in(connection, programme).funder == funder:
            raise BusyError(f"{programme} is being dropped from the same funder", hint="repeat the call after it")


def _another_cohort(occurrence: Occurrence) -> IntegrityError:
    return IntegrityError(
        f"the files of {occurrence.title} lead to another cohort than the signed one, {occurrence.cohort}",
        hint=BRING_BACK,
    )


def payload_of(occurrence: Occurrence) -> dict[str, Any]:
    """Return the payload of the intents of an occurrence."""
    return {"programme": occurrence.programme, "occurrence": occurrence.occurrence, "attempt": occurrence.attempt}


def _number(occurrence: Occurrence) -> int:
    if occurrence.number is None:
        raise UsageError(
            f"{occurrence.title} is {occurrence.state}", hint=f"the next step: {states.NEXT_STEPS[occurrence.state]}"
        )
    return occurrence.number
