"""The life of a bank's programmes, from a file to the closing of each occurrence.

Every step checks the state of its occurrence, has ids that follow from the occurrence, and can be repeated; every
change of state is an event. `drafts`, `drawing`, `terms` and `dropping` have the steps in their order; this module has
halts, the dry run, and the comparison with the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import BusyError, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Block, Reason
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent, LedgerOnly
from sycee.database.comparing import differences
from sycee.database.events import EventKind
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.tables import OPEN, PROPOSALS, SUBMITTED
from sycee.ledger.state import LedgerState
from sycee.programmes import states
from sycee.programmes.allotment import Allotment, minor_of, planned_shares
from sycee.programmes.dropping import CLAIM, EXPIRE_JOB, AllotAction, DropAction, ExpireAction, SealAction, zone_rows
from sycee.programmes.dry_run import DryRun, Plan, dry_run
from sycee.programmes.purse_sums import purse_sums
from sycee.programmes.repeating import BEGIN_JOB, begin_job
from sycee.programmes.state_copy import StateCopy
from sycee.programmes.stored import (
    Figures,
    Occurrence,
    StoredProgramme,
    occurrences_in,
    programme_in,
    programmes_in,
    record_programme_event,
)
from sycee.programmes.tables import PROGRAMMES
from sycee.programmes.terms import TermsAction
from sycee.programmes.widening import WidenAction, Widening

HALT: Final = "programme.halt"
BLOCK: Final = "programme.block"
RESUME: Final = "programme.resume"
REASON_MAX: Final = 200


class Programmes(Widening):
    """The programmes of one bank."""

    def __init__(self, stores: Stores, *parts: Any, **named: Any) -> None:
        """Arguments as `Drafts`."""
        super().__init__(stores, *parts, **named)
        stores.actions.register(
            TermsAction(stores),
            AllotAction(self),
            SealAction(stores),
            DropAction(stores),
            WidenAction(stores),
            LedgerOnly(CLAIM),
            ExpireAction(stores),
            BlockAction(),
            ResumeAction(stores),
        )
        stores.jobs.register(EXPIRE_JOB, self._expire_job)
        stores.jobs.register(BEGIN_JOB, begin_job(stores))

    # --- halts ---

    def halt(self, name: str, reason: str, *, who: int) -> StoredProgramme:
        """Refuse the claims and the next steps of a programme after this call. `reason`: without personal data.

        Packets that were claimed can still be spent: nothing in the ledger halts a programme. `propose_block` blocks
        the debits of its funder.
        """
        stored = self.get(name)
        self._people.require(who, HALT, operator=stored.operator)
        _check_reason(reason)

        def halt(connection: Connection) -> None:
            if programme_in(connection, name).is_halted:
                return
            now_ns = read_ns(self._stores.clock)
            values = {"halted_ns": now_ns, "halted_by": who, "halt_reason": reason}
            connection.execute(PROGRAMMES.update().where(PROGRAMMES.c.name == name).values(values))
            _record(connection, self._stores, EventKind.PROGRAMME_HALTED, name, reason)

        write(self._stores.engine, halt)
        return self.get(name)

    def propose_block(self, name: str, *, maker: int, id: int = 0) -> Proposal:
        """Propose to block the debits of a halted programme's funder: no drop of any programme is then possible.

        An officer signs besides the maker. If another programme of the funder has blocked it, this one joins the
        block. Raises UsageError for a programme that is not halted, and while another block or resume of a programme of
        the funder is proposed.
        """
        stored = self.get(name)
        if not stored.is_halted:
            raise UsageError(f"the programme {name} is not halted", hint="halt it first: that takes one person")
        made, is_blocked = None, self._is_blocked(stored.funder)
        if not is_blocked:
            made = operations.block_account(
                self._stores.new_id(),
                account=stored.funder,
                sides=Block.DEBIT,
                reason=Reason.REQUEST,
            )
        effect = {"programme": name, "operator": stored.operator, "reason": stored.halt_reason}
        before = self._alone(stored.funder, is_blocked)
        return self._proposals.propose(BLOCK, made, effect, maker=maker, before=before, id=id)

    def propose_resume(self, name: str, reason: str, *, maker: int, id: int = 0) -> Proposal:
        """Propose to end a halt, and the block of the funder. An officer signs besides the maker.

        The block stays while another programme of the funder has it, and ends with the last one. A block that no
        programme has can be ended by each. Raises UsageError if there is nothing to end, and while another block or
        resume of a programme of the funder is proposed.
        """
        stored = self.get(name)
        _check_reason(reason)
        is_blocked = self._is_blocked(stored.funder)
        others = [each for each in self.list() if each.funder == stored.funder and each.name != name]
        ends_block = is_blocked and all(each.block is None for each in others)
        if not stored.is_halted and not ends_block:
            raise UsageError(f"the programme {name} is not halted", hint="there is nothing to resume")
        made = None
        if ends_block:
            made = operations.unblock_account(
                self._stores.new_id(),
                account=stored.funder,
                sides=Block.DEBIT,
                reason=Reason.REQUEST,
            )
        effect = {"programme": name, "operator": stored.operator, "reason": reason}
        before = self._alone(stored.funder, is_blocked)
        return self._proposals.propose(RESUME, made, effect, maker=maker, before=before, id=id)

    def _is_blocked(self, funder: int) -> bool:
        return Reason.REQUEST in self._stores.ledger.account(funder).debit_reasons

    def _alone(self, funder: int, is_blocked: bool) -> Callable[[Connection], None]:
        """Return a check that no other block or resume of the funder is open, each of which assumes how it stands."""

        def check(connection: Connection) -> None:
            chosen = PROPOSALS.c.action.in_((BLOCK, RESUME)) & PROPOSALS.c.state.in_((OPEN, SUBMITTED))
            query = sqlalchemy.select(PROPOSALS.c.id, PROPOSALS.c.action, PROPOSALS.c.effect).where(chosen)
            for row in connection.execute(query).all():
                if programme_in(connection, json.loads(row.effect)["programme"]).funder == funder:
                    raise UsageError(
                        f"{row.action} of this funder is proposed: {ids.format(row.id)}",
                        hint="sign it first, or `sycee proposal withdraw` ends it",
                    )
            if self._is_blocked(funder) != is_blocked:
                raise BusyError("the block of the funder changed meanwhile", hint="propose again")

        return check

    # --- figures, dry run ---

    def figures(self, name: str, occurrence: int = 0) -> Figures:
        """Return what happened to the packets of an occurrence so far, as the ledger has it.

        Of more than 100,000 packets, each is as of a frame of its own (`purse_sums`).
        """
        found = self.occurrence(name, occurrence)
        sums = purse_sums(self._stores.ledger.sequencer, found.number)
        spent = sums.spent - sums.refunded
        left = sums.dropped - spent - sums.returned - sums.pending
        return Figures(sums.members, sums.claimed, sums.dropped, spent, sums.pending, sums.returned, left)

    def dry_run(self, name: str, occurrence: int = 0, *, wallets: Mapping[int, int] | None = None) -> DryRun:
        """Apply the records of the further steps to a copy of the ledger's state, and return what they would do.

        Before the draw the cohort is invented, with as many members as packets. `wallets`: member → wallet, whose
        claims are tried, too. Nothing is written.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        made = self.ids_of(current)
        if states.is_at_least(current.state, states.DRAWN):
            allotment = self._cohort(programme, current)
        else:
            shares = planned_shares(programme.definition)
            allotment = Allotment(made.many("invented", sum(each.count for each in shares)), shares)
        plan = Plan(
            programme,
            current,
            made,
            allotment,
            self._numbers(programme, current) if current.number is not None else None,
            wallets or {},
            self.exposure(without=current),
            self.exposure_max_minor,
        )
        return dry_run(StateCopy(self._stores.ledger.sequencer), plan, read_ns(self._stores.clock))

    # --- agreement ---

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each occurrence whose programme on the ledger has another state."""
        with reading(self._stores.engine) as connection:
            found = occurrences_in(connection, "", *states.UNSPENT, states.EXPIRED, states.CLOSED, states.CANCELLED)
            stored = programmes_in(connection)

        def compared(state: LedgerState, programme: StoredProgramme) -> Iterator[str]:
            account = state.account(programme.funder)
            if programme.block is not None and (account is None or Reason.REQUEST not in account.debit_reasons):
                yield f"the programme {programme.name} blocked its funder, and the ledger has no such block"

        yield from differences(self._stores.ledger, stored, compared)
        for each in found:
            if problem := self._disagreement(each):
                yield f"{each.title} is {each.state}, and {problem}"

    def _disagreement(self, occurrence: Occurrence) -> str:
        """Return how the ledger disagrees with an occurrence from its approval on, or ""."""
        number, sequencer, name = occurrence.number, self._stores.ledger.sequencer, occurrence.state
        with sequencer.reading() as state:
            is_there = number is not None and state.has_programme(number)
            sealed = is_there and bool(state.tables.programmes[number]["sealed"])
        if not is_there:
            return "" if name == states.CANCELLED else f"the ledger has no programme {number}"
        if name == states.APPROVED:
            return "its cohort is sealed on the ledger" if sealed else ""
        if not sealed and name != states.CANCELLED:
            return "its cohort is not sealed on the ledger"
        sums = purse_sums(sequencer, number)
        in_packets = f"{sums.dropped} minor units are in its packets"
        if name == states.ALLOTTED and occurrence.is_dropped_in_part:
            return "" if 0 < sums.dropped <= occurrence.minor else in_packets
        if name in (states.CANCELLED, states.ALLOTTED):
            return in_packets if sums.dropped else ""
        if sums.dropped != (minor := self._dropped_minor(occurrence)):
            return f"{sums.dropped} minor units were dropped, not {minor}"
        if name != states.DROPPED and sums.live:
            return "some of its packets are not expired"
        return ""

    def _dropped_minor(self, occurrence: Occurrence) -> int:
        """Return the totals of the zones that were dropped: everything, without zones."""
        stored = self.get(occurrence.programme)
        if not stored.definition.zones or not states.is_at_least(occurrence.state, states.DROPPED):
            return occurrence.minor
        with reading(self._stores.engine) as connection:
            dropped = zone_rows(connection, occurrence)
        return minor_of(each for each in self._cohort(stored, occurrence).shares if each.zone in dropped)


class BlockAction:
    """The block of a funder, which a programme has until it resumes."""

    name = BLOCK

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store that the programme has the block if the ledger made it, or had it."""
        if all(each is Result.CREATED for each in results):
            chosen = PROGRAMMES.c.name == intent.payload["programme"]
            connection.execute(PROGRAMMES.update().where(chosen).values(block=intent.id))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Take the block back, which a restore may need."""
        connection.execute(PROGRAMMES.update().where(PROGRAMMES.c.block == intent.id).values(block=None))


class ResumeAction:
    """The end of a halt."""

    name = RESUME

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """End the halt if the ledger accepted the end of the block, or there was none."""
        name = intent.payload["programme"]
        if any(each is not Result.CREATED for each in results):
            return
        was_halted = programme_in(connection, name).is_halted
        values = {"halted_ns": None, "halted_by": None, "halt_reason": "", "block": None}
        connection.execute(PROGRAMMES.update().where(PROGRAMMES.c.name == name).values(values))
        if was_halted:
            _record(connection, self._stores, EventKind.PROGRAMME_RESUMED, name, intent.payload["reason"])

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the programme halted."""


def _record(connection: Connection, stores: Stores, kind: EventKind, name: str, reason: str) -> None:
    unfinished = [each.occurrence for each in occurrences_in(connection, name) if each.state not in states.FINISHED]
    occurrence = unfinished[0] if unfinished else 0
    record_programme_event(connection, stores.clock, kind, name, occurrence, {"reason": reason})


def _check_reason(reason: str) -> None:
    if not 0 < len(reason.strip()) <= REASON_MAX:
        raise UsageError(f"a reason has 1 to {REASON_MAX} characters; got {len(reason)}", hint="say why, in a sentence")
