"""Returns by authority, and claims: the part of a return that found no money, followed to its end.

A return without a hold is a REVERSE, which two officers sign. The ledger takes the money that the payee has and records
the rest as a claim. A daily job prepares another proposal as soon as the payee has money; the claim ends when all is
collected, when an officer writes it off, or when the payee refunded the payment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.cases import events
from sycee.cases.rules import Step
from sycee.cases.service import Case, Cases, require_no_return, rest_in
from sycee.cases.tables import CASES, CLAIMS, COLLECTED, OPEN, PREPARED, WRITTEN_OFF
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Kind
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.comparing import differences
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.identity.tables import OPEN as PROPOSAL_OPEN
from sycee.ledger import queries
from sycee.ledger.state import LedgerState

REVERSE: Final = "case.reverse"
COLLECT_JOB: Final = "cases.collect"
CLAIMS_COMPARED: Final = 5  # between two frames: each has a read for every event of its case
DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim. `minor`: the part that the first return did not find.

    `proposal`: the newest that returns or collects money; 0 for none. `missing_minor`: the amount that can still be
    collected, less than `minor - recovered` if the payee has refunded the payment since.
    """

    reverse: int
    case: int
    original: int
    payee: int
    minor: int
    recovered: int
    state: str
    proposal: int
    missing_minor: int


class Claims:
    """The claims of a bank."""

    def __init__(self, stores: Stores, people: People, proposals: Proposals, cases: Cases) -> None:
        self._stores, self._people, self._proposals, self._cases = stores, people, proposals, cases
        stores.actions.register(_Reverse(stores))
        stores.jobs.register(COLLECT_JOB, self._collect_job, catch_up="last")
        cases.claims = self

    # --- reading ---

    def list(self, *, only_open: bool = False) -> Sequence[Claim]:
        """Return the claims that are on record, or the open ones, oldest first."""
        query = sqlalchemy.select(CLAIMS).where(CLAIMS.c.minor > 0).order_by(CLAIMS.c.reverse)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(CLAIMS.c.state == OPEN) if only_open else query).all()
        return [self._claim(row) for row in rows]

    def get(self, reverse: int) -> Claim:
        """Return a claim by the id of its REVERSE. Raises UsageError if there is none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(CLAIMS).where(CLAIMS.c.reverse == reverse)).one_or_none()
        if row is None:
            raise NotFound(f"there is no claim {ids.format(reverse)}", hint="`sycee case claims` shows them")
        return self._claim(row)

    def _claim(self, row: Row[Any]) -> Claim:
        rest = 0
        if row.state == OPEN:
            rest = self._cases.rest_of(self._cases.get(row.case_number))
        return Claim(
            row.reverse, row.case_number, row.original, row.payee, row.minor, row.recovered, row.state,
            row.proposal or 0, min(row.minor - row.recovered, rest),
        )  # fmt: skip

    # --- returning and collecting ---

    def propose_return(self, case: Case, step: Step, *, who: int, minor: int, id: int) -> Proposal:
        """Propose to return `minor` units of a case's payment; the step is taken when officers have signed."""
        now_ns = read_ns(self._stores.clock)
        effect = {
            "case": case.number,
            "step": step.name,
            "after": self._cases.after(case, step, now_ns),
            "before": {"state": case.state, "open": 1, "deadline_ns": case.deadline_ns},
            "reverse": ids.format(id),
            "claim": ids.format(id),
            "minor": minor,
            "recovered_before": 0,
            "at_ns": now_ns,
        }

        def before(connection: Connection) -> None:
            require_no_return(connection, case.number)
            row = {
                "reverse": id,
                "case_number": case.number,
                "original": case.payment,
                "payee": case.account,
                "minor": 0,
                "recovered": 0,
                "state": PREPARED,
                "proposal": id,
            }
            connection.execute(CLAIMS.insert().values(row))
            events.add(connection, case.number, id, f"{step.name} proposed", who, now_ns, {"minor": minor})

        record = operations.reverse(id, original=case.payment, amount=minor)
        return self._proposals.propose(REVERSE, record, effect, maker=who, before=before, id=id)

    def proposed_return(self, id: int) -> Proposal | None:
        """Return the proposal of this id that returns money, regardless of its state; None if there is none."""
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(CLAIMS.c.reverse).where(CLAIMS.c.reverse == id))
        return None if found is None else self._proposals.get(id).proposal

    def collect(self, reverse: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to collect the money that the payee has now. The same id again returns the stored proposal.

        Raises UsageError for a claim that is not open, if there is no money, or a proposal waits for signatures.
        """
        claim = self.get(reverse)
        if id and claim.proposal == id:
            return self._proposals.get(id).proposal
        if claim.state != OPEN:
            raise UsageError(
                f"the claim {ids.format(reverse)} is {claim.state}", hint="only an open claim is collected"
            )
        if claim.proposal != reverse and self._proposals.get(claim.proposal).state == PROPOSAL_OPEN:
            raise UsageError(
                f"proposal {ids.format(claim.proposal)} collects this claim already", hint="sign or withdraw it"
            )
        if not claim.missing_minor:
            raise UsageError(
                "nothing is left to collect: the payee refunded the payment", hint="a job ends the claim within a day"
            )
        amount = min(claim.missing_minor, self._available(claim.payee))
        if amount < 1:
            raise UsageError("the payee has no money yet", hint="a job proposes to collect it when there is some")
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        effect = {
            "case": claim.case,
            "step": "collect",
            "reverse": ids.format(id),
            "claim": ids.format(reverse),
            "minor": amount,
            "recovered_before": claim.recovered,
            "at_ns": now_ns,
        }

        def before(connection: Connection) -> None:
            connection.execute(CLAIMS.update().where(CLAIMS.c.reverse == reverse).values(proposal=id))
            events.add(connection, claim.case, id, "collect proposed", maker, now_ns, {"minor": amount})

        record = operations.reverse(id, original=claim.original, amount=amount)
        return self._proposals.propose(REVERSE, record, effect, maker=maker, before=before, id=id)

    def write_off(self, reverse: int, *, who: int, also: Also = nothing_else) -> None:
        """End an open claim that nobody can collect. For persons who may request a return.

        `also` writes in the same transaction.
        """
        self._people.require(who, REVERSE)
        claim = self.get(reverse)
        if claim.state != OPEN:
            raise UsageError(
                f"the claim {ids.format(reverse)} is {claim.state}", hint="only an open claim is written off"
            )
        now_ns = read_ns(self._stores.clock)

        def work(connection: Connection) -> None:
            connection.execute(CLAIMS.update().where(CLAIMS.c.reverse == reverse).values(state=WRITTEN_OFF))
            self._stores.jobs.stop(connection, COLLECT_JOB, ids.format(reverse))
            detail = {"minor": claim.missing_minor}
            events.add(connection, claim.case, reverse, "claim written off", who, now_ns, detail)
            also(connection)

        write(self._stores.engine, work)

    def _available(self, account: int) -> int:
        found = self._stores.ledger.account(account)
        return found.credits_posted - found.debits_posted - found.debits_pending

    def _collect_job(self, run: Run) -> None:
        """Propose to collect a claim if the payee has money and nobody proposed it yet; end it if nothing is left."""
        claim = self.get(ids.parse(run.payload["claim"]))
        if claim.state == OPEN and not claim.missing_minor:
            self._end_refunded(claim)
            return
        pending = claim.proposal != claim.reverse and self._proposals.get(claim.proposal).state == PROPOSAL_OPEN
        if claim.state == OPEN and not pending and self._available(claim.payee) > 0:
            self.collect(claim.reverse, maker=self._cases.get(claim.case).owner)

    def _end_refunded(self, claim: Claim) -> None:
        """End a claim whose payment was refunded."""
        now_ns = read_ns(self._stores.clock)

        def work(connection: Connection) -> None:
            mine = (CLAIMS.c.reverse == claim.reverse) & (CLAIMS.c.state == OPEN)
            connection.execute(CLAIMS.update().where(mine).values(state=COLLECTED))
            self._stores.jobs.stop(connection, COLLECT_JOB, ids.format(claim.reverse))
            owner, detail = self._cases.get(claim.case).owner, {"minor": claim.minor - claim.recovered}
            events.add(connection, claim.case, claim.reverse, "claim refunded", owner, now_ns, detail)

        write(self._stores.engine, work)

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each claim whose amounts or state are not those of the ledger.

        The REVERSE of the return has the amount; those of the collections have what was collected; a claim that was not
        written off has ended exactly when nothing is left. A refund lessens what is left until the job ends the claim.
        """
        with reading(self._stores.engine) as connection:
            rows = connection.execute(sqlalchemy.select(CLAIMS).where(CLAIMS.c.state != PREPARED)).all()
        acts = {row.case_number: {event.id for event in self._cases.events(row.case_number)} for row in rows}

        def compared(state: LedgerState, row: Row[Any]) -> Iterator[str]:
            name = f"the claim {ids.format(row.reverse)}"
            found = queries.answer(state, queries.operations([row.reverse])).operation(0)
            missing = None if found is None else int(found.record["detail"])
            if missing != row.minor:
                yield f"{name} is {row.minor} in the database, and {missing} in the ledger"
                return
            acted = acts[row.case_number]
            collected = sum(_taken(state, id) for id in acted - {row.reverse})
            if collected != row.recovered:
                yield f"{name} has {row.recovered} collected in the database, and {collected} in the ledger"
            left = min(row.minor - collected, rest_in(state, row.original, acted))
            if row.state == COLLECTED and left > 0:
                yield f"{name} is {row.state}, and {left} of it can still be collected"
            elif row.state == OPEN and collected >= row.minor:
                yield f"{name} is {row.state}, and all of it was collected"

        return differences(self._stores.ledger, rows, compared, part_rows=CLAIMS_COMPARED)


def _taken(state: LedgerState, id: int) -> int:
    """Return what a REVERSE took; 0 for another operation, and for one that the ledger refused or lacks."""
    bound = state.bound_of(id)
    if bound is None or (bound["kind"], bound["result"]) != (Kind.REVERSE, Result.CREATED):
        return 0
    found = queries.answer(state, queries.operations([id])).operation(0)
    return 0 if found is None else int(found.record["amount"]) - int(found.record["detail"])


class _Reverse:
    """Action of a return or a collection."""

    name = REVERSE

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Move the case and set the claim; a refusal changes neither."""
        effect = intent.payload
        case, reverse, claim = effect["case"], ids.parse(effect["reverse"]), ids.parse(effect["claim"])
        if results[0] is not Result.CREATED:
            self._undo(connection, intent, "refused", {"code": results[0].name})
            return
        missing = self._stores.ledger.unrecovered_of(reverse)
        mine = CLAIMS.c.reverse == claim
        if reverse == claim:
            connection.execute(CASES.update().where(CASES.c.number == case).values(effect["after"]))
            values: dict[str, Any] = {"minor": missing, "recovered": 0, "state": OPEN if missing else COLLECTED}
            if missing:
                key = ids.format(claim)
                self._stores.jobs.add(
                    connection, COLLECT_JOB, effect["at_ns"] + DAY_NS, key=key, payload={"claim": key},
                    period=f"every:{DAY_NS}",
                )  # fmt: skip
        else:
            recovered = effect["recovered_before"] + effect["minor"] - missing
            total = int(connection.scalar(sqlalchemy.select(CLAIMS.c.minor).where(mine)) or 0)
            values = {"recovered": recovered, "state": OPEN if recovered < total else COLLECTED}
            if recovered >= total:
                self._stores.jobs.stop(connection, COLLECT_JOB, ids.format(claim))
        connection.execute(CLAIMS.update().where(mine).values(values))
        detail = {"minor": effect["minor"] - missing, "missing": missing}
        events.add(connection, case, reverse, f"{effect['step']} done", intent.who, effect["at_ns"], detail)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Take back what a return changed."""
        self._undo(connection, intent, "lapsed", {})

    def _undo(self, connection: Connection, intent: Intent, what: str, detail: dict[str, Any]) -> None:
        effect = intent.payload
        reverse, claim = ids.parse(effect["reverse"]), ids.parse(effect["claim"])
        mine = CLAIMS.c.reverse == claim
        if reverse == claim:
            connection.execute(CLAIMS.delete().where(mine))
            connection.execute(CASES.update().where(CASES.c.number == effect["case"]).values(effect["before"]))
            self._stores.jobs.stop(connection, COLLECT_JOB, ids.format(claim))
        else:
            values = {"recovered": effect["recovered_before"], "state": OPEN, "proposal": claim}
            connection.execute(CLAIMS.update().where(mine).values(values))
        name = f"{effect['step']} {what}"
        events.add(connection, effect["case"], reverse, name, intent.who, effect["at_ns"], detail)
