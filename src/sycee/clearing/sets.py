"""Sets: payments that are decided together, staged on the ledger and settled by one operation, with a certificate.

    decide: positions after frame F ─> netting ─> one transaction: set, members, draws, certificate
    book:   STAGE each leg ─> SETTLE (note: half of the certificate's digest) ─> payments booked

The set is stored with its ids and its certificate before the ledger sees it, and its records are intents. `finish`
continues after a crash: the ledger answers records that it has with their first results. A set that the ledger refuses
is discarded, and its payments are queued again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy.engine import Connection

from sycee.clearing import events
from sycee.clearing.gross import RECORDS_MAX
from sycee.clearing.house import Register
from sycee.clearing.instructions import PRIORITY_MAX
from sycee.clearing.limits import Bound, Limits, code_of, limited_queue
from sycee.clearing.permits import Permits
from sycee.clearing.positions import Funds, Positions
from sycee.clearing.precedence import EARMARKED_AFTER_NS, earmarks_for_large, no_earmarks, with_precedence
from sycee.clearing.rates import Rates, weights
from sycee.clearing.set_payments import book_members, decide_again, free_all, take_members
from sycee.clearing.set_rows import (
    Set,
    certificate_in,
    done_batches_in,
    draws_of,
    first_id,
    header_in,
    new_row,
    note_in,
    records_of,
    set_in,
    settle_id,
    stored_records,
    unfinished_in,
)
from sycee.clearing.tables import BOOKING, CERTIFICATES, DISCARDED, DONE, DRAWS, NET, OPEN, QUEUED, SETS
from sycee.clearing.waiting import Nodes, Waiting, bookable, in_set, legs_of, waiting
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import BusyError
from sycee.core.extras import extra
from sycee.core.limits import I64_MAX
from sycee.core.output_files import write_file
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome, LedgerOnly
from sycee.database.states import LAPSED
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.ledger.kernels import constants
from sycee.netting.queue import Queue
from sycee.sequencer.signer import Signer

if TYPE_CHECKING:
    from sycee.clearing.certificate import Certificate
    from sycee.netting.optimise import NettingResult

SETTLE: Final = "clearing.settle"
STAGE: Final = "clearing.stage"
DISCARD: Final = "clearing.discard"
ATTEMPTS_MAX: Final = 5

Decide = Callable[[Queue], "NettingResult"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The payments that a decision considers: their priorities, the participants on both sides, and at most how many.

    `most`: the oldest ones; None for all. `earmarks_large`: whether senders earmark their money for a large payment.
    """

    priority_max: int = PRIORITY_MAX
    between: tuple[int, int] | None = None
    most: int | None = None
    earmarks_large: bool = True


ALL: Final = Choice()


@dataclass(frozen=True, slots=True)
class Settled:
    """What a set came to. `payments` is 0 if nothing settles; `reason` is the ledger's code if it refused the set."""

    set_id: int
    payments: int
    minor: int
    value: int
    bound: int
    reason: str = ""


NOTHING: Final = Settled(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """The input of a decision: payments, the money of positions after `frame`, and the queue with its limits.

    `caps`: what the own limit of each position lets it pay out. `bounds`: the nodes of the queue after the positions.
    `weight`: the unit of weights, for the certificate.
    """

    payments: Waiting
    funds: Sequence[Funds]
    frame: int
    queue: Queue
    caps: Sequence[int]
    bounds: Sequence[Bound]
    weight: str

    def part(self, rows: Array) -> Weighed:
        """Return the same with the payments in these rows alone, ascending."""
        return replace(self, payments=self.payments.part(rows), queue=self.queue.part(rows))


class Sets:
    """The sets of the house of one bank. `folder`: of the files of certificates."""

    def __init__(
        self, stores: Stores, people: People, register: Register, positions: Positions, limits: Limits,
        permits: Permits, rates: Rates, folder: Path,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._register, self._positions = stores, people, register, positions
        self._limits, self._permits, self._rates, self._folder = limits, permits, rates, folder
        stores.actions.register(_Settle(stores), LedgerOnly(STAGE), LedgerOnly(DISCARD))

    # --- reading ---

    def get(self, id: int) -> Set:
        """Return a set. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return set_in(connection, id)

    def payments(self, id: int) -> Waiting:
        """Return the payments of a set, in its order."""
        with reading(self._stores.engine) as connection:
            return in_set(connection, id)

    def certificate(self, id: int) -> Certificate:
        """Return the certificate of a set. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return certificate_in(connection, id)

    def export(self, id: int) -> tuple[Path, Path]:
        """Write the certificate of a set to its two files, and return their paths."""
        found = self.certificate(id)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        header, rows = (self._folder / f"{ids.format(id)}.{end}" for end in ("json", "rows"))
        write_file(rows, found.rows.tobytes())
        write_file(header, found.header)
        return header, rows

    def verify(self, id: int) -> dict[str, Any]:
        """Check a booked set against its certificate and the ledger, and return the certificate's header.

        Raises IntegrityError for the first difference. `tools/clearing_checker.py` checks the certificate alone, with
        nothing of this package.
        """
        with extra("clearing"):
            from sycee.clearing.verification import verify

        positions = self._register.positions(OPEN)
        with reading(self._stores.engine) as connection:
            found, made = set_in(connection, id), certificate_in(connection, id)
            payments, records = in_set(connection, id), stored_records(connection, found, positions)
        with self._stores.ledger.sequencer.reading() as state:
            return verify(state, found, made, payments, records, positions)

    # --- settling ---

    def settle(
        self, *, signers: Sequence[Signer], who: int, seconds: float = 3.0, seed: int = 0, choice: Choice = ALL
    ) -> Settled:
        """Decide about the queue, and book the set that settles the most. The house signs.

        `seconds`, `seed`: effort and seed of the search. A set that the ledger refuses is discarded, and decided anew
        from the positions as they are then, up to ATTEMPTS_MAX times.
        """
        with extra("clearing"):
            from sycee.clearing.decisions import best

        return self.settle_by(
            lambda queue: best(queue, seconds=seconds, seed=seed), signers=signers, who=who, choice=choice,
            seed=seed, effort_ms=int(seconds * 1_000),
        )  # fmt: skip

    def settle_in_order(
        self, *, signers: Sequence[Signer], who: int, priority_max: int = PRIORITY_MAX,
        between: tuple[int, int] | None = None, earmarks_large: bool = True,
    ) -> Settled:  # fmt: skip
        """Book the largest set that keeps each sender's order: of all, of urgent payments, or between two participants.

        The algorithm is that of Bech and Soramäki (2001). Otherwise as `settle`.
        """
        with extra("clearing"):
            from sycee.clearing.decisions import in_order

        return self.settle_by(
            in_order, signers=signers, who=who, choice=Choice(priority_max, between, earmarks_large=earmarks_large)
        )

    def settle_covered(self, *, signers: Sequence[Signer], who: int, priority_max: int = PRIORITY_MAX) -> Settled:
        """Book as one set the payments that positions with their lines cover one after another, urgent first.

        A single booking does not draw on a line: a draw and its payment are made together or not at all, which a set
        does. Nothing is decided while no line has money. Otherwise as `settle`.
        """
        if not any(each.line_minor and each.can_pay for each in self._positions.funds()):
            self._people.require(who, SETTLE, operator=self._register.house().operator)
            return NOTHING
        with extra("clearing"):
            from sycee.clearing.decisions import covered

        return self.settle_by(covered, signers=signers, who=who, choice=Choice(priority_max))

    def settle_by(
        self, decide: Decide, *, signers: Sequence[Signer], who: int, choice: Choice = ALL, seed: int = 0,
        effort_ms: int = 0,
    ) -> Settled:  # fmt: skip
        """Do `settle` with another decision: a function from a queue of `netting` to an outcome."""
        self.finish(signers=signers, who=who)
        settled = NOTHING
        for _ in range(ATTEMPTS_MAX):
            id = self.decide(decide, who=who, choice=choice, seed=seed, effort_ms=effort_ms)
            if not id:
                return NOTHING
            settled = self.book(id, signers=signers, who=who)
            if not settled.reason:
                break
        return settled

    def decide(self, decide: Decide, *, who: int, choice: Choice = ALL, seed: int = 0, effort_ms: int = 0) -> int:
        """Store the set that a decision chooses from the queue, with its certificate; return its id, 0 for none.

        Permits are renewed first. Its payments are decided then, and in no other set. If one of them ended during the
        search, or another caller decided about it, the rest is decided anew; the second time, BusyError is raised.
        """
        self._people.require(who, SETTLE, operator=self._register.house().operator)
        try:
            return self._decide(decide, who, choice, seed, effort_ms)
        except BusyError:
            return self._decide(decide, who, choice, seed, effort_ms)

    def book(self, id: int, *, signers: Sequence[Signer], who: int) -> Settled:
        """Stage and settle a stored set, or discard it if the ledger refuses. The house signs.

        May be repeated: a set that has ended returns its outcome.
        """
        with reading(self._stores.engine) as connection:
            found, note = set_in(connection, id), note_in(connection, id)
        if found.state == BOOKING:
            self._book(found, note, signers, who)
        self._clean(id, signers, who)
        return self._outcome(id)

    def finish(self, *, signers: Sequence[Signer], who: int) -> int:
        """Continue with sets that a crash interrupted; return their number. Call it before deciding again."""
        with reading(self._stores.engine) as connection:
            unfinished = unfinished_in(connection, NET)
        for each in unfinished:
            self.book(each.id, signers=signers, who=who)
        return len(unfinished)

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each set that is done while its batch is open."""
        with reading(self._stores.engine) as connection:
            done = done_batches_in(connection)
        with self._stores.ledger.sequencer.reading() as state:
            batches = state.tables.batches.view(np.ndarray)["number"].tolist()
        for number in sorted(done.intersection(batches)):
            yield f"the set of batch {number:,} is done, and the batch is open"

    # --- deciding ---

    def weighed(self, choice: Choice = ALL) -> Weighed | None:
        """Return what a decision weighs, from the positions after the newest frame; None if nothing waits."""
        now_ns = read_ns(self._stores.clock)
        with reading(self._stores.engine) as connection:
            found = waiting(
                connection, QUEUED, now_ns, most=choice.most, priority_max=choice.priority_max, pair=choice.between,
                since_ns=now_ns - EARMARKED_AFTER_NS,
            )  # fmt: skip
        funds, frame = self._positions.funds_at()
        nodes = Nodes.of(funds)
        found = found.part(bookable(found, nodes))
        if not found.size:
            return None
        weight, words = weights(found, self._rates.current())
        weight, more = with_precedence(found, weight, now_ns)
        legs = legs_of(found, nodes)
        limits = np.array([each.limit_minor for each in funds], np.int64)
        earmarks = (
            earmarks_for_large(found, legs, nodes, limits, now_ns) if choice.earmarks_large else no_earmarks(legs)
        )
        rules = self._limits.rules(nodes)
        queue, bounds = limited_queue(found, legs, nodes, rules, weight, earmarks)
        caps = [rules.totals.get(index, I64_MAX) for index in range(len(funds))]
        whole = Weighed(found, funds, frame, queue, caps, bounds, words + more)
        return whole if choice.between is None else whole.part(found.between(choice.between))

    def _decide(self, decide: Decide, who: int, choice: Choice, seed: int, effort_ms: int) -> int:
        self._permits.renew()
        weighed = self.weighed(choice)
        if weighed is None or not weighed.payments.size:
            return 0
        outcome = decide(weighed.queue)
        return self._store(weighed, outcome, who, seed, effort_ms) if outcome.chosen.any() else 0

    def _store(self, weighed: Weighed, outcome: NettingResult, who: int, seed: int, effort_ms: int) -> int:
        """Store a set with its members, draws and certificate in one transaction, and return its id."""
        from sycee.clearing.certificate import Decision, Node, issue

        now_ns, ledger = read_ns(self._stores.clock), self._stores.ledger
        queue, funds, frame = weighed.queue, weighed.funds, weighed.frame
        id = ids.new(now_ns // 1_000_000)
        chosen = weighed.payments.part(outcome.chosen)
        draws = draws_of(funds, queue.outflows(outcome.chosen)[: len(funds)])
        batch = self._newest_batch() + 1
        row = new_row(
            id, NET, first=first_id(now_ns), batch=batch, payments=chosen.size, records=0, total_minor=0, frame=frame,
            decided_ns=now_ns, state=BOOKING, who=who,
        )  # fmt: skip
        records = records_of(Set(**row), chosen, draws, [each.position for each in funds])
        row |= {"records": records.size, "total_minor": int(records["amount"].sum())}
        codes = {each.participant: each.code for each in self._register.participants(OPEN)}
        made = issue(
            queue,
            outcome,
            [
                *(
                    Node(
                        codes[each.position.participant], money.currency_of(each.position.currency).code,
                        each.position.account, each.minor, each.floor_minor, each.position.line, each.line_minor,
                        not each.can_pay, cap,
                    )
                    for each, cap in zip(funds, weighed.caps, strict=True)
                ),
                *(Node(each.name, code_of(each.currency), 0, each.limit) for each in weighed.bounds),
            ],
            weighed.payments.uetrs.view("V16").reshape(-1),
            np.frombuffer(os.urandom(16 * queue.amounts.size), "V16"),
            Decision(ledger.ledger_id, frame, now_ns, batch, seed, effort_ms, weighed.weight),
        )  # fmt: skip

        def store(connection: Connection) -> None:
            connection.execute(SETS.insert().values(row))
            take_members(connection, id, chosen.numbers, now_ns)
            if draws:
                drawn = [
                    {"set_id": id, "participant": one, "currency": other, "minor": minor}
                    for (one, other), minor in draws.items()
                ]
                connection.execute(DRAWS.insert(), drawn)
            proof = {
                "set_id": id, "digest": made.digest.hex(), "header": made.header, "rows": made.rows.tobytes(),
                "at_ns": now_ns,
            }  # fmt: skip
            connection.execute(CERTIFICATES.insert().values(proof))

        write(self._stores.engine, store)
        return id

    def _newest_batch(self) -> int:
        with self._stores.ledger.sequencer.reading() as state:
            return int(state.tables.counters[constants.NEWEST_BATCH])

    # --- booking ---

    def _book(self, found: Set, note: int, signers: Sequence[Signer], who: int) -> None:
        """Stage and settle a set by intents of up to RECORDS_MAX records, the SETTLE last.

        A crash leaves the rest to `finish`; a restore submits the records of all intents again.
        """
        with reading(self._stores.engine) as connection:
            staged = stored_records(connection, found, self._register.positions(OPEN))
        settle = operations.settle(
            settle_id(found), batch=found.batch, payments=found.records, total=found.total_minor,
            operator=self._register.house().operator,
        )  # fmt: skip
        settle["note_low"], settle["note_high"] = ids.split(note)
        records, payload = np.concatenate([staged, settle]), {"set": ids.format(found.id)}
        for start in range(0, records.size, RECORDS_MAX):
            part = records[start : start + RECORDS_MAX]
            is_last = start + part.size == records.size
            action, id = (SETTLE, found.id) if is_last else (STAGE, found.first + start)
            outcome = self._performed(Draft(action, part, payload, who=who, signers=signers, id=id))
            if outcome.state == LAPSED:
                outcome.require_created(f"the set {ids.format(found.id)} is not booked yet")
            if outcome.refusal is not None and not is_last:
                self._free(found, outcome.refusal)
                return

    def _performed(self, draft: Draft) -> IntentOutcome:
        """Perform a draft, or sign its stored intent again if that lapsed."""
        stored = self._stores.intents.find(draft.id)
        if stored is not None and stored.state == LAPSED:
            return self._stores.intents.renew(draft.id, signers=draft.signers)
        return self._stores.intents.perform(draft)

    def _free(self, found: Set, refusal: Result) -> None:
        """Queue the payments of a set again, which the ledger did not stage."""
        write(self._stores.engine, lambda connection: discard_in(connection, found.id, refusal.name))

    def _clean(self, id: int, signers: Sequence[Signer], who: int) -> None:
        """Remove the batch of a discarded set from the ledger, if it is there, and store the end of the set."""
        found, house = self.get(id), self._register.house()
        if found.ended_ns:
            return
        if found.state == DISCARDED:
            with self._stores.ledger.sequencer.reading() as state:
                batches = state.tables.batches.view(np.ndarray)
                mine = batches[(batches["number"] == found.batch) & (batches["operator"] == house.operator)]
                open_ = [(int(each["count"]), int(each["total"])) for each in mine]
            for count, total in open_:
                record = operations.settle(
                    self._stores.new_id(), batch=found.batch, payments=count, total=total, operator=house.operator,
                    discard=True,
                )  # fmt: skip
                payload = {"set": ids.format(id)}
                self._stores.intents.perform(Draft(DISCARD, record, payload, who=who, signers=signers))
        else:
            self.export(id)
        end = SETS.update().where(SETS.c.id == id, SETS.c.state != BOOKING)
        values = {"ended_ns": read_ns(self._stores.clock)}
        write(self._stores.engine, lambda connection: connection.execute(end.values(values)))

    def _outcome(self, id: int) -> Settled:
        with reading(self._stores.engine) as connection:
            found, header = set_in(connection, id), header_in(connection, id)
            minor = int(in_set(connection, id).amounts.sum())
        count = found.payments if found.state == DONE else 0
        return Settled(id, count, minor if count else 0, header["value"], header["bound"], found.reason)


class _Settle:
    """The outcome of a set's SETTLE."""

    name = SETTLE

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Book the payments of the set, or queue them again if the ledger refused it."""
        id = ids.parse(intent.payload["set"])
        refusal = IntentOutcome(intent.id, DONE, tuple(results), 0).refusal
        if refusal is not None:
            discard_in(connection, id, refusal.name)
            return
        now_ns = read_ns(self._stores.clock)
        book_members(connection, id, None, now_ns)
        events.settled(connection, self._stores.clock, id)
        connection.execute(SETS.update().where(SETS.c.id == id).values(state=DONE, reason=""))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the set to `finish`, which signs again; a restore takes the bookings back."""
        id = ids.parse(intent.payload["set"])
        values: dict[str, Any] = {"state": BOOKING, "ended_ns": 0}
        decide_again(connection, id)
        connection.execute(SETS.update().where(SETS.c.id == id, SETS.c.state == DONE).values(values))


def discard_in(connection: Connection, id: int, reason: str) -> None:
    """Queue the payments of a set again. Its batch is removed from the ledger afterwards."""
    free_all(connection, id)
    connection.execute(SETS.update().where(SETS.c.id == id).values(state=DISCARDED, reason=reason, ended_ns=0))
