"""A ledger in a folder, in this process, without a server: the shortest way in from Python.

It wraps the sequencer with ids, texts and results; whoever moves many records a second, or needs an operation that has
no verb here, builds records with `sycee.ledger.operations` and calls `submit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from sycee.core import ids
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.codes import Result
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.memory import total_bytes
from sycee.ledger import batch, operations
from sycee.ledger.envelopes import Envelope, sign
from sycee.ledger.operations import integer, shown
from sycee.sequencer import snapshots
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.event_loop import LoopSubmitter
from sycee.sequencer.folders import journal_disk, path_of, snapshot_disk
from sycee.sequencer.keeping import Keeping
from sycee.sequencer.readers import Bound, Line
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.signature_workers import WORKERS_MAX
from sycee.sequencer.signer import Signer, check_private
from sycee.sequencer.snapshot_schedule import SNAPSHOT_FRAMES_MIN
from sycee.sequencer.submission_queue import BYTES_MAX, OPERATIONS_MAX
from sycee.sequencer.verbs import Chain
from sycee.storage.history import History

__all__ = ["SIGNED_FOR_NS", "AsyncLedger", "Bound", "Chain", "Ledger", "Line", "Signer"]

Array = np.ndarray[Any, Any]

SIGNED_FOR_NS: Final = 300 * 10**9  # long enough for a busy ledger, too short for a signature to be kept for later


class Ledger(Keeping):
    """An embedded ledger. It is opened with `Ledger.open`, used by any number of threads, and closed.

    Until it names two officers no operation needs a signature; `authority_on` says whether it does.
    """

    def __init__(self, sequencer: Sequencer, *, clock: Clock | None = None, signers: Sequence[Signer] = ()) -> None:
        self.sequencer = sequencer
        self._clock = clock or RealClock()
        self._signers = tuple(signers)
        self._suspense = {}
        self._is_lent = False  # made by `signed_by`: the end of a `with` block leaves the folder open

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
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
        """Open the ledger in `folder`, made if absent, and bring its state up to its last frame.

        `ticks` starts a thread that ends holds and changes rule sets when their time comes though nobody calls.
        `snapshot_frames`: closing writes a snapshot if at least so many frames came since the last; None for never.
        `snapshot_every`: so does a thread after so many, while the ledger goes on; None for never.
        `history_bytes`: so much memory is kept for the newest movements and bound operations, an eighth of all there is
        unless said otherwise; older ones stand in nameless files in `folder` and are read again when needed. So do
        purses of programmes that are long over.
        `signature_workers`: processes that verify signatures, at most as many as there are processors; 0: this process
        verifies them. `operations_max`, `bytes_max`: callers wait while
        this many operations, or bytes of them, are not answered yet.
        Raises UnavailableError where another process has it open, a newer release wrote it or the disk refuses,
        JournalDamaged where acknowledged bytes are damaged or gone, TailInDoubt where only a person can decide about
        the last group: `cut_tail` is that decision. What was cut or repaired is in `findings`.
        """
        if clock is not None and not isinstance(clock, Clock):
            raise UsageError(f"{shown(clock)} is no clock", hint="leave it out for the machine's own")
        if snapshot_frames is not None:
            integer("snapshot_frames", snapshot_frames, high=I64_MAX)
        if snapshot_every is not None:
            integer("snapshot_every", snapshot_every, low=1, high=I64_MAX)
        if history_bytes is None:
            history_bytes = total_bytes() // 8
        integer("history_bytes", history_bytes, high=I64_MAX)
        integer("operations_max", operations_max, low=1, high=I64_MAX)
        integer("bytes_max", bytes_max, low=1, high=I64_MAX)
        integer("signature_workers", signature_workers, high=WORKERS_MAX)
        if ticks and not isinstance(clock or RealClock(), RealClock):
            raise UsageError("ticks=True waits by the machine's clock", hint="with another clock, call tick() yourself")
        kept = snapshot_disk(folder)
        sequencer = Sequencer(
            snapshots.journal_in(journal_disk(folder), kept, cut_tail=cut_tail),
            clock=clock,
            snapshot_disk=kept,
            snapshot_frames=snapshot_frames,
            snapshot_every=snapshot_every,
            trust_snapshots=not cut_tail,
            ticks=ticks,
            history=History(path_of(folder), history_bytes),
            operations_max=operations_max,
            bytes_max=bytes_max,
            signature_workers=signature_workers,
        )
        return cls(sequencer, clock=clock)

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Ask for operations: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `envelopes` say who signed which of them; without any, the signers of `signed_by` sign all. Raises UsageError
        for what can stand in no frame, UnavailableError where memory or the disk cannot hold it.
        """
        return self.sequencer.submit(records, self.envelopes_of(records, envelopes))

    def asynchronous(self) -> AsyncLedger:
        """Return the verbs of this ledger for coroutines of the running event loop, to be used with `async with`.

        Raises UsageError where no event loop runs.
        """
        self.sequencer.check_process()
        return AsyncLedger(self, LoopSubmitter(self.sequencer.admission, self.sequencer.views))

    # --- authority ---

    def signed_by(self, *signers: Signer) -> Ledger:
        """The same ledger, whose operations all these sign from now on. Each must have a say in what is submitted.

        Used in a `with` statement it leaves this ledger open. `close` closes the one folder that both have.
        """
        if not all(isinstance(signer, Signer) for signer in signers):
            raise UsageError("signed_by takes Signer objects", hint="Signer(person, key), or signer_for(account, key)")
        lent = Ledger(self.sequencer, clock=self._clock, signers=signers)
        lent._is_lent = True
        return lent

    def signer_for(self, account: int, key: SigningKey) -> Signer:
        """Bind an account's private key to it: `ledger.signed_by(ledger.signer_for(ann, key)).pay(ann, shop, ...)`.

        It holds until the account's next `set_key`. Raises UsageError where there is no such account, or its
        operations are signed with another key or with none.
        """
        check_private(key)
        found = self.account(account)
        if (found.key, found.key_flags) != (key.public.key, key.public.flags):
            raise UsageError(
                f"account {found.id:#034x} has {'another key than this' if found.key else 'no key'}",
                hint=f"the key given is {key.public}; set_key gives it to the account",
            )
        return Signer(found.id, key, currency=found.currency, key_epoch=found.key_epoch)

    @property
    def signs(self) -> bool:
        """Whether somebody signs what is submitted without envelopes: after `signed_by`."""
        return bool(self._signers)

    def envelopes_of(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array | Sequence[Envelope]:
        """What `submit` sends beside records: the envelopes given, or else those of who signs. UsageError as there."""
        _check_submission(records, envelopes)
        return envelopes if len(envelopes) else self._signed(records)

    # --- moving money: the verbs, and several of them whole or not at all ---

    @contextmanager
    def chain(self) -> Iterator[Chain]:
        """Collect verbs and do them, when the block ends, whole or not at all; `results` says what became of each.

            with ledger.chain() as both:
                both.transfer(ann, bob, "5.00")
                both.transfer(bob, shop, "5.00")
            both.results

        An error inside the block does none of them.
        """
        chain = Chain(self)
        yield chain
        if chain.records:
            chain.answered(self.submit(operations.chain(*chain.records)))

    # --- ids, time, snapshots, the end ---

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again, or for an account."""
        return ids.new(read_ns(self._clock) // 1_000_000)

    def tick(self) -> bool:
        """End the holds and change the rule sets whose time has come, though nobody calls; False if there are none."""
        return self.sequencer.tick()

    def snapshot(self) -> str:
        """Keep the state on disk, so that the next start is quick; its file's name. UnavailableError harms nothing.

        Other threads go on using the ledger meanwhile.
        """
        return self.sequencer.snapshot()

    def close(self) -> None:
        """Close the journal and let the folder go."""
        self.sequencer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_lent:
            self.close()

    # --- helpers ---

    def _take(self, record: Array) -> Result:
        return Result(int(self.submit(record)["code"][0]))

    def _signed(self, records: Array) -> list[Envelope]:
        if not self._signers:
            return []
        until_ns = read_ns(self._clock) + SIGNED_FOR_NS
        made = []
        start = 0
        for piece in batch.prepare(records).split_into_frames():
            end = start + piece.size
            made += [
                sign(
                    records[start:end],
                    self.ledger_id,
                    signer.id,
                    signer.key,
                    until_ns,
                    first=start,
                    currency=signer.currency,
                    key_epoch=signer.key_epoch,
                )
                for signer in self._signers
            ]
            start = end
        return made


def _check_submission(records: object, envelopes: object) -> None:
    if not isinstance(records, np.ndarray):
        raise UsageError("submit takes an array of operations", hint="the functions of ledger.operations make them")
    if isinstance(envelopes, np.ndarray) and envelopes.ndim == 1:
        return
    if not isinstance(envelopes, Sequence) or not all(isinstance(each, Envelope) for each in envelopes):
        raise UsageError("envelopes are a list of Envelope, or an array", hint="ledger.envelopes.sign makes one")
