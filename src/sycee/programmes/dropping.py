"""Cohort, drop, claims, expiry and close of an occurrence: the fourth part of the service `Programmes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from sycee.core.errors import IntegrityError, NotFound, UsageError
from sycee.core.limits import MEMBERS_PER_RECORD_MAX
from sycee.core.records import operations
from sycee.core.records.layout import PurseState
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, Outcome
from sycee.database.intents import DRAFTS_MAX, INTENT_RECORDS_MAX
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.tables import INTENTS, LAPSED
from sycee.identity.duties import Duty
from sycee.programmes import records, states
from sycee.programmes.allotment import Allotment, Share, list_shares, minor_of, shares_of
from sycee.programmes.definition import RANDOM_SPLIT
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
from sycee.sequencer.signer import RemoteSigner, Signer

ALLOT: Final = "programme.allot"
DROP: Final = "programme.drop"
CLAIM: Final = "programme.claim"
EXPIRE: Final = "programme.expire"
CLOSE: Final = "programme.close"
SEAL: Final = "programme.seal"
EXPIRE_JOB: Final = "programmes.expire"
SITUATION_JOB: Final = "programmes.situation"
_HOUR_NS: Final = 3_600 * 10**9
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
        """Add the members of the approved cohort and seal it. The operator of the funder signs each frame.

        After an interruption the same call continues where it stopped. `progress(done, total)` counts members. Raises
        UsageError before the terms are signed, and IntegrityError if the files lead to another cohort than the signed
        one.
        """
        stored, found = self._pair(name, occurrence)
        self._people.require(who, ALLOT, operator=stored.operator)
        if states.is_at_least(found.state, states.ALLOTTED):
            return found
        stored.require_running()
        states.require_change(found.title, found.state, states.ALLOTTED)
        allotment = self._approved(stored, found)
        payload, size = payload_of(found), int(allotment.members.size)
        with self._stores.ledger.sequencer.reading() as state:
            filled = int(state.tables.programmes["filled"][_number(found)])
        made = self.member_records(found, allotment)
        starts = range(0, made.size, INTENT_RECORDS_MAX)
        numbered = zip(starts, self.ids_of(found).many("members intent", len(starts)), strict=True)
        # A part whose members the ledger has is complete: its intent was done.
        left = [
            (start, ids.to_int(intent))
            for start, intent in numbered
            if min((start + INTENT_RECORDS_MAX) * MEMBERS_PER_RECORD_MAX, size) > filled
        ]
        # Envelopes made elsewhere come one after the other: each part is performed as soon as it is signed.
        most = 1 if any(isinstance(each, RemoteSigner) for each in signers) else DRAFTS_MAX
        for first in range(0, len(left), most):
            chosen = left[first : first + most]
            drafts = [
                Draft(ALLOT, made[start : start + INTENT_RECORDS_MAX], payload, who=who, signers=signers, id=intent)
                for start, intent in chosen
            ]
            self._perform(drafts, "the cohort was not added")
            if progress is not None:
                progress(min((chosen[-1][0] + INTENT_RECORDS_MAX) * MEMBERS_PER_RECORD_MAX, size), size)
        seal = self.seal_record(found, allotment)
        id = self.ids_of(found).one("seal intent", attempt=found.attempt)
        sealing = {**payload, "seal": ids.format(ids.of_record(seal[0], "id"))}
        self._perform([Draft(SEAL, seal, sealing, who=who, signers=signers, id=id)], "the cohort was not sealed")
        return self.occurrence(name, occurrence)

    def drop(self, name: str, occurrence: int = 0, *, signers: Sequence[Signer], who: int) -> Occurrence:
        """Fill every packet of a sealed cohort. The owner of the funder's account signs: its operator, or its key.

        Of a file with zones, fill the packets of the first one; `widen` fills the next.
        Repeating the call changes nothing. Raises UsageError before the seal, while the programme is halted, if the
        funder has too little money, and if the exposure would exceed its maximum; Refused with the ledger's code.
        """
        stored, found = self._pair(name, occurrence)
        self._people.require(who, DROP, operator=stored.operator)
        if states.is_at_least(found.state, states.DROPPED):
            return found
        stored.require_running()
        states.require_change(found.title, found.state, states.DROPPED)
        self.check_exposure(found, found.minor)
        shares = self._approved_shares(stored, found)
        payload = payload_of(found) | {"expires_ns": stored.on(found).expires_ns}
        zone = shares[0].zone
        if zone:
            self.check_zone_time(stored, found, zone)
            payload["zone"] = zone
        self._check_funded(stored, minor_of(each for each in shares if each.zone == zone))
        made = self.drop_records(found, shares, zone)
        id = self.ids_of(found).one("drop intent", attempt=found.attempt)

        def before(connection: Connection) -> None:
            # Another person may have cancelled or halted since: from here on, the pending intent refuses a cancel.
            programme_in(connection, name).require_running()
            now = occurrence_in(connection, name, occurrence)
            states.require_change(now.title, now.state, states.DROPPED)

        draft = Draft(DROP, made, payload, who=who, signers=signers, before=before, id=id)
        self._perform([draft], "the drop was refused")
        return self.occurrence(name, occurrence)

    # --- claims ---

    def claim(
        self, name: str, occurrence: int, member: int, wallet: int, *,
        signers: Sequence[Signer], who: int, id: int = 0,
    ) -> Outcome:  # fmt: skip
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
    ) -> Sequence[Outcome]:  # fmt: skip
        """Claim packets into wallets of one operator, all checked before any is claimed. Errors: `claim`.

        Return the outcomes of up to 8,000 claims each. `id`: of the intent of a single part.
        """
        stored, found = self._pair(name, occurrence)
        if id and (earlier := self._stores.intents.outcome(id, CLAIM)) is not None:
            return [earlier]
        stored.require_running()
        if found.state != states.DROPPED or found.number is None:
            raise UsageError(
                f"{found.title} is {found.state}: packets are claimed once they are dropped",
                hint=f"the next step: {states.NEXT_STEPS[found.state]}",
            )
        places = self._places(found, [each.member for each in claims])
        for each in claims:
            self._check_claim(stored, found, each, who)
        parts = []
        for start in range(0, len(claims), INTENT_RECORDS_MAX):
            chosen = claims[start : start + INTENT_RECORDS_MAX]
            made = np.concatenate(
                [
                    operations.claim(
                        self._stores.new_id(),
                        programme=found.number,
                        member=place,
                        member_id=each.member,
                        wallet=each.wallet,
                    )
                    for place, each in zip(places[start:], chosen, strict=False)
                ]
            )
            parts.append(Draft(CLAIM, made, payload_of(found), who=who, signers=signers, id=id))
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
        stored, found = self._pair(name, occurrence)
        if found.state in (states.EXPIRED, states.CLOSED):
            return found
        states.require_change(found.title, found.state, states.EXPIRED)
        definition = stored.on(found)
        if read_ns(self._stores.clock) < definition.expires_ns:
            raise UsageError(
                f"{found.title} expires {shown_moment(definition.expires_ns, definition.zone)}",
                hint="packets are spent until then",
            )
        signers = self._technical()
        id = self.ids_of(found).one("expiry intent", attempt=found.attempt)
        draft = Draft(
            EXPIRE, self.expire_record(found), payload_of(found), who=signers[0].id if signers else 0, signers=signers,
            id=id,
        )  # fmt: skip
        self._perform([draft], "the rest was not returned")
        return self.occurrence(name, occurrence)

    def close(self, name: str, occurrence: int = 0, *, who: int) -> Occurrence:
        """Close an expired occurrence, and return it. Repeating the call changes nothing.

        Raises UsageError while money of a packet is held for a payee.
        """
        stored, found = self._pair(name, occurrence)
        self._people.require(who, CLOSE, operator=stored.operator)
        if found.state == states.CLOSED:
            return found
        states.require_change(found.title, found.state, states.CLOSED)
        assert found.number is not None, "it was dropped"
        with self._stores.ledger.sequencer.reading() as state:
            purses = state.purses(found.number)
            pending, left = int(purses["pending"].sum()), int((purses["state"] != PurseState.EXPIRED).sum())
        if pending or left:
            raise UsageError(
                f"{found.title} has {pending} minor units in holds, and {left:,} packets that are not expired",
                hint="holds end at their time; then close it",
            )
        return self._change(found, states.CLOSED, {})

    # --- records: the same for a dry run ---

    def member_records(self, found: Occurrence, allotment: Allotment) -> Array:
        """Return the records that add the members."""
        count = operations.add_members_records(allotment.members.size)
        made = self.ids_of(found).many("members", count)
        return operations.add_members(made, programme=_number(found), members=allotment.members)

    def seal_record(self, found: Occurrence, allotment: Allotment) -> Array:
        """Return the record that seals the cohort."""
        made = self.ids_of(found).one("seal", attempt=found.attempt)
        return operations.seal_cohort(made, programme=_number(found), digest=allotment.digest)

    def drop_records(self, found: Occurrence, shares: Sequence[Share], zone: str = "") -> Array:
        """Return the records that fill the packets of a zone, one for each share. `shares`: all of the cohort."""
        made = self.ids_of(found).many("drop", len(shares), attempt=found.attempt)
        assert found.seal is not None, "the cohort is sealed"
        chosen = [place for place, each in enumerate(shares) if each.zone == zone]
        return records.drops(made[chosen], _number(found), [shares[each] for each in chosen], found.seal)

    def expire_record(self, found: Occurrence) -> Array:
        """Return the record that returns the rest."""
        made = self.ids_of(found).one("expiry", attempt=found.attempt)
        return operations.expire(made, programme=_number(found), first=0, count=found.members)

    # --- helpers ---

    def _perform(self, drafts: Sequence[Draft], problem: str) -> None:
        """Perform drafts with fixed ids; an intent whose signatures had expired is signed anew."""
        outcomes = self._stores.intents.perform_many(drafts)
        for draft, outcome in zip(drafts, outcomes, strict=True):
            renewed = (
                self._stores.intents.renew(draft.id, signers=draft.signers) if outcome.state == LAPSED else outcome
            )
            renewed.require_created(problem)

    def _approved(self, stored: StoredProgramme, found: Occurrence) -> Allotment:
        """Return the cohort. Raises IntegrityError if the files lead to another one than two officers signed."""
        allotment = self._cohort(stored, found)
        if allotment.digest.hex() != found.cohort:
            raise _another_cohort(found)
        return allotment

    def _approved_shares(self, stored: StoredProgramme, found: Occurrence) -> Sequence[Share]:
        """Return the shares of a sealed cohort, whose members the ledger has and the seal fixes.

        Amounts that are divided by chance follow from the members, and successions decide how many a zone has: the
        files of all other cohorts are not read.
        Raises IntegrityError for other members or another sum than two officers signed.
        """
        announcement, definition = self._announcement(found), stored.definition
        if definition.mode == RANDOM_SPLIT or definition.zones:
            return self._approved(stored, found).shares
        if announcement.is_drawn:
            shares = shares_of(definition, found.members)
        else:
            shares = list_shares(definition, {each.name: each.entries for each in announcement.strata})
        sums = (sum(each.count for each in shares), sum(each.count * each.minor for each in shares))
        if sums != (found.members, found.minor):
            raise _another_cohort(found)
        return shares

    def check_zone_time(self, stored: StoredProgramme, found: Occurrence, zone: str) -> None:
        """Raise UsageError before the time of a zone."""
        definition = stored.on(found)
        (from_ns,) = (each.from_ns for each in definition.zones if each.name == zone)
        if from_ns is not None and read_ns(self._stores.clock) < from_ns:
            raise UsageError(
                f"the zone {zone} begins {shown_moment(from_ns, definition.zone)}", hint="drop on it from then on"
            )

    def _check_funded(self, stored: StoredProgramme, minor: int) -> None:
        balance = self._stores.ledger.balance(stored.funder)
        if balance < minor:
            currency = stored.definition.currency
            raise UsageError(
                f"the funder has {money.format(balance, currency)}, and the packets come to "
                f"{money.format(minor, currency)} {currency.code}",
                hint="pay the funder in first: `sycee drop fund`",
            )

    def _check_claim(self, stored: StoredProgramme, found: Occurrence, claim: PacketClaim, who: int) -> None:
        wallet = self._directory.get(claim.wallet)
        self._people.require(who, CLAIM, operator=wallet.operator)
        held = self._people.duties_of(who)
        at_desk = any(each.operator == wallet.operator and each.duty in (Duty.OPERATOR, Duty.CLERK) for each in held)
        if not at_desk and who != wallet.holder:
            raise UsageError(
                f"{ids.format(claim.wallet)} is another person's wallet", hint="claim into a wallet of your own"
            )
        if self.registered is None:
            raise UsageError("this bank has no registrations", hint="without them nobody knows who a winner is")
        bank = self.registered.bank_of(found.programme, found.occurrence, claim.member)
        if stored.operators[bank] != wallet.operator:
            raise UsageError(
                f"the winner chose {bank}, and the wallet is at operator {wallet.operator}",
                hint="open a wallet at the chosen operator",
            )
        if not self.registered.is_person(found.programme, found.occurrence, claim.member, wallet.holder):
            raise UsageError(
                f"the holder of wallet {ids.format(claim.wallet)} is not the person who registered",
                hint="a packet is claimed into the winner's own wallet",
            )

    def _places(self, found: Occurrence, members: Sequence[int]) -> Sequence[int]:
        """Return the numbers of members in the cohort. Raises NotFound for an id that is no member's."""
        order, low, high = self._sorted_members(found)
        wanted = np.array([ids.split(each) for each in members], ids.ID)
        at = np.searchsorted(low, wanted["low"])
        places = []
        for position, each in zip(at.tolist(), wanted, strict=True):
            while position < low.size and low[position] == each["low"] and high[position] != each["high"]:
                position += 1
            if position >= low.size or low[position] != each["low"]:
                raise NotFound(f"{ids.format(each)} is no member of {found.title}", hint="only winners claim")
            places.append(int(order[position]))
        return places

    def _sorted_members(self, found: Occurrence) -> tuple[Array, Array, Array]:
        """Return the members of a cohort by the low half of their ids: (places, low halves, high halves)."""
        number = _number(found)
        if number not in self._members:
            with self._stores.ledger.sequencer.reading() as state:
                purses, is_sealed = state.purses(number), bool(state.tables.programmes["sealed"][number])
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
        elif found.state == self.earlier:
            self._reach(connection, intent, found)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the state; after a restore also take the step back."""
        self._take_back(connection, found_of(connection, intent.payload))

    def _take_back(self, connection: Connection, found: Occurrence, **values: Any) -> None:
        """Set the state before the step if it, or a later one, was reached: only a restore can make it be refused."""
        is_later = states.is_at_least(found.state, self.reached)
        if is_later or values:
            state = self.earlier if is_later else found.state
            set_occurrence(connection, self._stores.clock, found, state=state, **values)

    def _reach(self, connection: Connection, intent: Intent, found: Occurrence) -> None:
        """Write the new state."""
        raise NotImplementedError


class SealAction(StepAction):
    """The seal of a cohort."""

    name, earlier, reached = SEAL, states.APPROVED, states.ALLOTTED

    def _reach(self, connection: Connection, intent: Intent, found: Occurrence) -> None:
        data, seal = {"cohort": found.cohort}, ids.parse(intent.payload["seal"])
        change_state(connection, self._stores.clock, found, self.reached, data, seal=seal)


class DropAction(StepAction):
    """The drop, which adds the job of the expiry."""

    name, earlier, reached = DROP, states.ALLOTTED, states.DROPPED

    def _reach(self, connection: Connection, intent: Intent, found: Occurrence) -> None:
        frame = frame_of(connection, intent)
        data: dict[str, Any] = {"frame": frame}
        if zone := intent.payload.get("zone", ""):
            store_zone(connection, self._stores.clock, found, zone, frame)
            data["zone"] = zone
        change_state(connection, self._stores.clock, found, self.reached, data, dropped_frame=frame)
        payload = {"programme": found.programme, "occurrence": found.occurrence}
        key = f"{found.programme} {found.occurrence}"
        self._stores.jobs.add(connection, EXPIRE_JOB, intent.payload["expires_ns"], key=key, payload=payload)
        first_ns = next_hour_ns(read_ns(self._stores.clock), programme_in(connection, found.programme).definition.zone)
        period = f"every:{_HOUR_NS}"
        self._stores.jobs.add(connection, SITUATION_JOB, first_ns, key=key, payload=payload, period=period)

    def _take_back(self, connection: Connection, found: Occurrence, **values: Any) -> None:
        if states.is_at_least(found.state, self.reached):
            delete_zones(connection, found)
        super()._take_back(connection, found, **values)


class ExpireAction(StepAction):
    """The expiry."""

    name, earlier, reached = EXPIRE, states.DROPPED, states.EXPIRED

    def _reach(self, connection: Connection, intent: Intent, found: Occurrence) -> None:
        frame = frame_of(connection, intent)
        change_state(connection, self._stores.clock, found, self.reached, {"frame": frame}, expired_frame=frame)


def next_hour_ns(moment_ns: int, zone: ZoneInfo) -> int:
    """Return the next full hour of a time zone, which is not always one of UTC."""
    offset = datetime.fromtimestamp(moment_ns // 10**9, zone).utcoffset() or timedelta()
    offset_ns = int(offset.total_seconds()) * 10**9
    return ((moment_ns + offset_ns) // _HOUR_NS + 1) * _HOUR_NS - offset_ns


def zone_rows(connection: Connection, found: Occurrence) -> dict[str, int]:
    """Return the zones of an occurrence that were dropped, with the frame of each."""
    chosen = (ZONES.c.programme == found.programme) & (ZONES.c.occurrence == found.occurrence)
    return {row.zone: row.frame for row in connection.execute(sqlalchemy.select(ZONES).where(chosen))}


def store_zone(connection: Connection, clock: Clock, found: Occurrence, zone: str, frame: int) -> None:
    """Store that a zone was dropped."""
    row = {"programme": found.programme, "occurrence": found.occurrence, "zone": zone, "frame": frame}
    connection.execute(ZONES.insert().values(**row, at_ns=read_ns(clock)))


def delete_zones(connection: Connection, found: Occurrence, zone: str = "") -> None:
    """Delete the row of a zone, or of all zones of an occurrence."""
    chosen = (ZONES.c.programme == found.programme) & (ZONES.c.occurrence == found.occurrence)
    connection.execute(ZONES.delete().where(chosen & (ZONES.c.zone == zone) if zone else chosen))


def frame_of(connection: Connection, intent: Intent) -> int:
    """Return the frame of an intent, which its transaction has written."""
    frame = connection.scalar(sqlalchemy.select(INTENTS.c.frame).where(INTENTS.c.id == intent.id))
    return int(frame or 0)


def _another_cohort(found: Occurrence) -> IntegrityError:
    return IntegrityError(
        f"the files of {found.title} lead to another cohort than the signed one, {found.cohort}",
        hint="bring the published files back from a copy",
    )


def payload_of(found: Occurrence) -> dict[str, Any]:
    """Return the payload of the intents of an occurrence."""
    return {"programme": found.programme, "occurrence": found.occurrence, "attempt": found.attempt}


def _number(found: Occurrence) -> int:
    if found.number is None:
        raise UsageError(f"{found.title} is {found.state}", hint=f"the next step: {states.NEXT_STEPS[found.state]}")
    return found.number
