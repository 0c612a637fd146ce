"""An embedded ledger: a folder, opened in this process, without a server.

`Ledger` is one flat class with every method that a program needs, in sections. Its parts are a sequencer (orders,
writes and reads), a session (signs, and creates ids) and a cache of suspense accounts. For large batches, or for
operations without a method here, build records with `sycee.core.records.operations` and call `submit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sycee.core.arguments import check_integer, short_repr
from sycee.core.arrays import Array
from sycee.core.clock import Clock, RealClock
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.keys import SigningKey
from sycee.core.memory import total_bytes
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.ledger.batch import results_of
from sycee.ledger.models import Account, Hold, Purse, Transit
from sycee.ledger.queries import Answers, Page
from sycee.ledger.state import LedgerState
from sycee.sequencer import reads, snapshots
from sycee.sequencer.account_opening import Steps
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.event_loop import LoopSubmitter
from sycee.sequencer.folders import folder_path, journal_disk, snapshot_disk
from sycee.sequencer.ledger_operations import LedgerOperations
from sycee.sequencer.money_operations import Chain
from sycee.sequencer.reads import Bound, Line, Read, Value
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.session import SIGNATURE_VALIDITY_NS, Session
from sycee.sequencer.signature_workers import WORKERS_MAX
from sycee.sequencer.signer import Signer
from sycee.sequencer.snapshot_schedule import SNAPSHOT_FRAMES_MIN
from sycee.sequencer.submission_queue import BYTES_MAX, OPERATIONS_MAX
from sycee.storage.history import History

__all__ = ["SIGNATURE_VALIDITY_NS", "AsyncLedger", "Bound", "Chain", "Ledger", "Line", "Signer"]


class Ledger(LedgerOperations[Result, int]):
    """An embedded ledger. Open it with `Ledger.open`, use it from any number of threads, and close it.

    Each operation has an `id`, a fresh one by default: the same id again returns EXISTS and changes nothing. An
    operation returns its Result once it is durable. A read returns values of one committed frame.

    Raises UsageError for an argument of the wrong type or size; UnavailableError once the ledger is closed, has stopped
    after a failed write, or was opened by another process. Operations need signatures once two persons are officers of
    the board (`authority_on`).
    """

    def __init__(self, sequencer: Sequencer, session: Session | None = None, *, closes_folder: bool = True) -> None:
        """Use `open` for a folder. `closes_folder`: whether the end of a `with` block closes the sequencer."""
        if isinstance(sequencer, (str, Path)):
            raise UsageError(
                f"Ledger(...) takes a sequencer; got {short_repr(sequencer)}",
                hint=f"use Ledger.open({short_repr(str(sequencer))})",
            )
        super().__init__(sequencer, session or Session(sequencer.ledger_id, RealClock()))
        self._closes_folder = closes_folder

    # --- opening and closing ---

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        create: bool = True,
        clock: Clock | None = None,
        cut_tail: bool = False,
        ticks: bool = False,
        snapshot_frames: int | None = SNAPSHOT_FRAMES_MIN,
        snapshot_every: int | None = None,
        history_bytes: int | None = None,
        operations_max: int = OPERATIONS_MAX,
        bytes_max: int = BYTES_MAX,
        signature_workers: int = 0,
    ) -> Self:
        """Open the ledger in `folder`, created if absent, and bring its state up to its last frame.

        - `create`: False opens an existing ledger only, so that a misspelt folder raises UsageError.
        - `ticks`: start a thread that ends holds and changes rule sets at their time even if no operation arrives.
        - `snapshot_frames`: write a snapshot at close if ≥ this many frames were written since the last; None: never.
        - `snapshot_every`: write a snapshot on a thread after this many frames; None: never.
        - `history_bytes`: memory for the newest movements and bound operations, by default 1/8 of the machine's memory.
          Older rows, and purses of programmes whose refund window is over, are moved to unlinked temporary files in
          `folder`.
        - `operations_max`, `bytes_max`: callers wait while this many operations, or bytes of operations, have no
          result.
        - `signature_workers`: processes that verify signatures, at most one per processor; 0: this process verifies.
        - `cut_tail`: discard a last frame in doubt (see TailInDoubt).

        Raises UsageError if `create` is False and `folder` holds no ledger; UnavailableError if another process has the
        folder open, a newer release wrote it or the disk refuses; JournalDamaged if acknowledged bytes are damaged or
        missing; TailInDoubt if only a person can decide about the last frame. `findings` lists each repair.
        """
        if clock is not None and not isinstance(clock, Clock):
            raise UsageError(
                f"clock must be a Clock; got {short_repr(clock)}", hint="omit the argument for the machine's clock"
            )
        if snapshot_frames is not None:
            check_integer("snapshot_frames", snapshot_frames)
        if snapshot_every is not None:
            check_integer("snapshot_every", snapshot_every, low=1)
        if history_bytes is None:
            history_bytes = total_bytes() // 8
        check_integer("history_bytes", history_bytes)
        check_integer("operations_max", operations_max, low=1)
        check_integer("bytes_max", bytes_max, low=1)
        check_integer("signature_workers", signature_workers, high=WORKERS_MAX)
        if ticks and not isinstance(clock or RealClock(), RealClock):
            raise UsageError("ticks=True needs the machine's clock", hint="with another clock, call tick() yourself")
        snapshots_on = snapshot_disk(folder)
        sequencer = Sequencer(
            snapshots.open_journal(journal_disk(folder), snapshots_on, create=create, cut_tail=cut_tail),
            clock=clock,
            snapshot_disk=snapshots_on,
            snapshot_frames=snapshot_frames,
            snapshot_every=snapshot_every,
            trust_snapshots=not cut_tail,
            ticks=ticks,
            history=History(folder_path(folder), history_bytes),
            operations_max=operations_max,
            bytes_max=bytes_max,
            signature_workers=signature_workers,
        )
        return cls(sequencer, Session(sequencer.ledger_id, clock or RealClock()))

    def close(self) -> None:
        """Close the journal cleanly and release the folder. A second call does nothing."""
        self.sequencer.close()

    def __enter__(self) -> Self:
        self.sequencer.check_running()
        return self

    def __exit__(self, *_: object) -> None:
        if self._closes_folder:
            self.close()

    # --- many operations, chains, coroutines ---

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Submit operations: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `envelopes` sign ranges of the records; without envelopes, the signers of `signed_by` sign all. Raises
        UsageError for records that no frame can hold, UnavailableError if memory or the disk is insufficient.
        """
        return self.sequencer.submit(records, self._session.envelopes_of(records, envelopes))

    @contextmanager
    def chain(self) -> Iterator[Chain]:
        """Collect operations and submit them together when the block ends; if one fails, none is done.

            with ledger.chain() as chain:
                chain.transfer(ann, bob, "5.00")
                chain.transfer(bob, shop, "5.00")
            chain.results

        If the block raises an error, nothing is submitted.
        """
        with Chain(self) as chain:
            yield chain
        if chain.records:
            chain.results = results_of(self.submit(chain.linked()))

    def asynchronous(self) -> AsyncLedger:
        """Return this ledger for coroutines of the running event loop. Use it with `async with`.

        Raises UsageError if no event loop is running, UnavailableError once the ledger is closed or has stopped.
        """
        self.sequencer.check_process()
        self.sequencer.check_running()
        submitter = LoopSubmitter(self.sequencer.admission, self._session.new_ids)
        return AsyncLedger(self.sequencer, self._session, submitter)

    # --- signers ---

    def signed_by(self, *signers: Signer) -> Ledger:
        """Return this ledger with other signers, all of which sign each operation. Each must have a role in the ledger.

        The end of a `with` block leaves the folder open; `close` closes it for both. Raises UsageError for anything but
        Signer objects.
        """
        return Ledger(self.sequencer, self._session.with_signers(signers), closes_folder=False)

    def signer_for(self, account: AnyId, key: SigningKey) -> Signer:
        """Return the signer of an account: `ledger.signed_by(ledger.signer_for(ann, key)).pay(ann, shop, ...)`.

        Valid until the account's next `set_key`. Raises UsageError if the account does not exist, or has another key or
        none.
        """
        return Signer.of_account(self.account(account), key)

    # --- reading accounts ---

    def account(self, account: AnyId) -> Account:
        """Return an account as of the newest committed frame. Raises UsageError if it does not exist."""
        return self._read_one(reads.account(account))

    def balance(self, account: AnyId) -> int:
        """Return an account's balance in minor units. Raises UsageError if the account does not exist."""
        return self._read_one(reads.balance(account))

    def accounts(
        self, *, currency: str | None = None, kind: AccountKind | None = None, operator: int | None = None
    ) -> list[Account]:
        """Return the accounts of the given currency, kind and operator, in order of opening.

        O(accounts), and no frame is written meanwhile: with a million accounts, give at least one filter.
        """
        return self._whole(lambda state: reads.accounts(state, currency, kind, operator))

    def issuance(self, currency: str) -> int:
        """Return the id of the currency's issuance account. Raises UsageError if none is open."""
        return self._whole(lambda state: reads.issuance(state, currency))

    def supply(self, currency: str) -> int:
        """Return the money in circulation, in minor units: the debit balance of the issuance account."""
        return self._whole(lambda state: reads.supply(state, currency))

    def statement(self, account: AnyId, *, newest: int | None = None) -> list[Line]:
        """Return an account's movements, oldest first; with `newest`, only the latest ones. O(lines).

        `statement_page` returns the newest line first.
        """
        return self._whole(lambda state: reads.statement(state, account, newest=newest))

    def statement_page(self, account: AnyId, *, lines: int = 100, cursor: int = 0) -> Page:
        """Return one page of an account's statement, newest line first, and the cursor of the next page.

        `statement` returns the oldest line first.

        `cursor`: from the previous page, 0 for the first. Later operations do not change a page. Raises UsageError if
        the account does not exist, for a cursor of another statement, and for too many lines.
        """
        return self._read_one(reads.statement_page(account, lines=lines, cursor=cursor))

    def purse(self, programme: int, member: int) -> Purse | None:
        """Return a member's purse of a programme, or None."""
        return self._read_one(reads.purse(programme, member))

    def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Return the results of many reads, (n,) sycee.ledger.queries.READ, from one committed frame.

        `at_least`: wait until this frame is committed. Waiting reads of all callers share one pass between two frames.
        Raises UsageError for more requests than one pass allows.
        """
        return self.sequencer.read(requests, at_least=at_least)

    # --- reading operations ---

    def result_of(self, id: AnyId) -> Bound | None:
        """Return the first result under this id, however often it was sent again; None if the id is not bound.

        None means that the operation never arrived, was malformed, or lacked a signature or a complete chain: send it.
        """
        return self._read_one(reads.operation(id))

    def unrecovered_of(self, reversal: AnyId) -> int:
        """Return the claim of the reverse with this id: the amount that it did not recover, in minor units.

        The claim is recorded once and does not change. To collect it, send another `reverse` of the same original.
        Raises UsageError unless the id is bound to a reverse that was CREATED.
        """
        return self._read_one(reads.unrecovered(reversal))

    def find_hold(self, hold: AnyId) -> Hold | None:
        """Return the hold that an operation created, or None."""
        return self._read_one(reads.hold(hold))

    def find_transit(self, sent: AnyId) -> Transit | None:
        """Return the money in transit of a send or waterfall, or None."""
        return self._whole(lambda state: reads.transit(state, sent))

    # --- the whole ledger ---

    def tick(self) -> bool:
        """End the holds and change the rule sets that are due; return whether there were any."""
        return self.sequencer.tick()

    def snapshot(self) -> str:
        """Write the state to disk, so that the next start is quick; return the file's name.

        Other threads can use the ledger meanwhile. After an UnavailableError the ledger is unharmed.
        """
        return self.sequencer.snapshot()

    def digest(self) -> bytes:
        """Return the state digest, 32 bytes: equal for equal histories, independent of their frames."""
        return self._whole(LedgerState.digest)

    def check(self) -> None:
        """Recompute every balance and purse from the movements. Raises IntegrityError if any differs."""
        self._whole(LedgerState.check)

    # --- helpers ---

    def _read_one(self, read: Read[Value]) -> Value:
        return read.decode(self.sequencer.read(read.requests))

    def _whole(self, function: Callable[[LedgerState], Value]) -> Value:
        """Return what a function of the whole state returns between two frames."""
        with self.sequencer.reading() as state:
            return function(state)

    def _follow(self, steps: Steps[Value]) -> Value:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._whole(step) if callable(step) else self.submit(step))
        except StopIteration as end:
            value: Value = end.value
            return value

    def _submit_record(self, record: Array) -> Result:
        return Result(int(self.submit(record)["code"][0]))

    def _currency_of(self, account: AnyId) -> int:
        return self.account(account).currency

    def _currency_of_operation(self, id: AnyId) -> int:
        return self._whole(lambda state: reads.currency_of_operation(state, id))
