"""Widening: a later zone of a sealed cohort is dropped on, under the same seal. A part of the service `Programmes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.records import parts
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.events import EventKind
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.programmes import states
from sycee.programmes.allotment import minor_of
from sycee.programmes.dropping import (
    DROP,
    WIDEN,
    Dropping,
    delete_zones,
    frame_of,
    payload_of,
    require_no_drop_of,
    store_zone,
    zone_rows,
)
from sycee.programmes.stored import Occurrence, occurrence_in, programme_in, record_programme_event, set_occurrence
from sycee.programmes.terms import found_of
from sycee.sequencer.signer import Signer


@dataclass(frozen=True, slots=True)
class ZoneState:
    """A zone of an occurrence. `frame`: of its drop, None before. `is_next`: whether it can be dropped now by order."""

    name: str
    members: int
    minor: int
    from_ns: int | None
    skippable: bool
    frame: int | None
    is_next: bool


class Widening(Dropping):
    """Drops on later zones."""

    def zones(self, name: str, occurrence: int = 0) -> tuple[ZoneState, ...]:
        """Return the zones of an occurrence in order; () for a file without. Raises UsageError before the draw."""
        programme, current = self._programme_and_occurrence(name, occurrence)
        definition = programme.on(current)
        if not definition.zones:
            return ()
        shares = self._cohort(programme, current).shares
        with reading(self._stores.engine) as connection:
            dropped = zone_rows(connection, current)
        made, is_open = [], True
        for each in definition.zones:
            own = [share for share in shares if share.zone == each.name]
            is_dropped = each.name in dropped
            members, minor = sum(share.count for share in own), minor_of(own)
            made.append(
                ZoneState(
                    name=each.name,
                    members=members,
                    minor=minor,
                    from_ns=each.from_ns,
                    skippable=each.skippable,
                    frame=dropped.get(each.name),
                    is_next=is_open and not is_dropped and members > 0,
                )
            )
            is_open = is_open and (is_dropped or each.skippable or not members)
        return tuple(made)

    def widen(
        self, name: str, occurrence: int = 0, zone: str = "", *, signers: Sequence[Signer], who: int
    ) -> Occurrence:
        """Drop on a later zone of the sealed cohort. The owner of the funder's account signs, as for the drop.

        `zone`: "" for the next one; naming a zone that was dropped, or has no members, changes nothing. Raises
        UsageError before the first drop and after the expiry, while the programme is halted, before the zone's time,
        for a zone behind one that is neither dropped nor skippable, if the funder has too little money, and if the
        exposure would exceed its maximum; BusyError during another drop of the funder; Refused with the ledger's code.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(who, DROP, operator=programme.operator)
        chosen = self._chosen(current, zone)
        if chosen.frame is not None or not chosen.members:
            return current
        programme.require_running()
        self._require_widening(current, chosen)
        self.check_zone_time(programme, current, chosen.name)
        self.check_exposure(current, self.unspent(current))
        shares = self._approved_shares(programme, current)
        own = [each for each in shares if each.zone == chosen.name]
        self.check_funded(programme, current, own)
        payload = payload_of(current) | {"zone": chosen.name}
        id = self.ids_of(current).one(f"drop intent {chosen.name}", attempt=current.attempt)

        def before(connection: Connection) -> None:
            programme_in(connection, name).require_running()
            now = occurrence_in(connection, name, occurrence)
            self._require_widening(now, chosen)
            if chosen.name in zone_rows(connection, now):
                raise UsageError(f"the zone {chosen.name} was dropped meanwhile", hint="look at it again")
            require_no_drop_of(connection, programme.funder)
            self.check_funded(programme, current, own)

        made = self.drop_records(current, shares, chosen.name)
        draft = Draft(WIDEN, made, payload, who=who, signers=signers, before=before, id=id, parts=parts.sizes_of(made))
        self._perform([draft], "the zone was not dropped")
        return self.occurrence(name, occurrence)

    def _chosen(self, occurrence: Occurrence, zone: str) -> ZoneState:
        """Return a zone by name, or the first that can be dropped. Raises UsageError if there is none."""
        zones = self.zones(occurrence.programme, occurrence.occurrence)
        if not zones:
            raise UsageError(f"the file of {occurrence.programme} has no zones", hint="one drop fills every packet")
        if zone and zone not in [each.name for each in zones]:
            raise UsageError(
                f"there is no zone {zone[:40]!r}", hint=f"its zones: {', '.join(each.name for each in zones)}"
            )
        chosen = next((each for each in zones if (each.name == zone if zone else each.is_next)), None)
        if chosen is None:
            raise UsageError(f"every zone of {occurrence.title} was dropped", hint="there is nothing to widen")
        if chosen.frame is None and chosen.members and not chosen.is_next:
            earlier = next(each for each in zones if each.members and each.frame is None and not each.skippable)
            raise UsageError(
                f"the zone {earlier.name} comes before {chosen.name}, and the file does not let it be skipped",
                hint=f"drop on {earlier.name} first",
            )
        return chosen

    def _require_widening(self, occurrence: Occurrence, chosen: ZoneState) -> None:
        if occurrence.state != states.DROPPED:
            raise UsageError(
                f"{occurrence.title} is {occurrence.state}: {chosen.name} cannot be added",
                hint=f"the next step: {states.NEXT_STEPS[occurrence.state]}",
            )
        stored = self.get(occurrence.programme)
        if read_ns(self._stores.clock) >= stored.on(occurrence).expires_ns:
            raise UsageError(f"{occurrence.title} has expired", hint="its packets return to the funder")


class WidenAction:
    """The drop on a later zone."""

    name = WIDEN

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the zone if the ledger created every record; otherwise the step can be repeated with fresh ids."""
        found, zone = found_of(connection, intent.payload), intent.payload["zone"]
        if any(each is not Result.CREATED for each in results):
            attempt = max(found.attempt, intent.payload["attempt"] + 1)
            set_occurrence(connection, self._stores.clock, found, attempt=attempt)
            return
        if zone in zone_rows(connection, found):
            return
        frame = frame_of(connection, intent)
        store_zone(connection, self._stores.clock, found, zone, frame)
        data = {"zone": zone, "frame": frame}
        record_programme_event(
            connection, self._stores.clock, EventKind.PROGRAMME_WIDENED, found.programme, found.occurrence, data
        )

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Take the zone back, which only a restore needs."""
        delete_zones(connection, found_of(connection, intent.payload), intent.payload["zone"])
