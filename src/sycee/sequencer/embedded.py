"""A ledger in a folder, in this process, without a server: the shortest way in from Python.

It wraps the sequencer with ids, texts and results; whoever moves many records a second, or needs an operation that has
no verb here, builds records with `sycee.ledger.operations` and calls `submit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from sycee.core import ids, money
from sycee.core.clock import Clock, RealClock
from sycee.core.codes import Result
from sycee.core.errors import Refused, UsageError
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX, PLACE_INDEX_BITS
from sycee.journal.journal import Journal
from sycee.ledger import layout, operations
from sycee.ledger.envelopes import Envelope, sign
from sycee.ledger.layout import AccountKind, Block, Purpose, Reason
from sycee.ledger.state import LedgerState
from sycee.ledger.values import Account, Hold, Purse, Transit
from sycee.sequencer import units
from sycee.sequencer.replaying import journal_disk, snapshot_disk
from sycee.sequencer.sequencer import SNAPSHOT_FRAMES_MIN, Sequencer
from sycee.sequencer.verbs import Verbs

Array = np.ndarray[Any, Any]

BOTH_SIDES: Final = Block.DEBIT | Block.CREDIT
SIGNED_FOR_NS: Final = 300 * 10**9  # long enough for a busy ledger, too short for a signature to be kept for later


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement. Amounts in minor units: positive came in, negative went out."""

    time_ns: int
    purpose: Purpose
    amount: int
    balance: int  # after it
    counterparty: int  # account id; 0 where the other side is a purse
    operation: int  # id of the operation that made it


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody whose key this program holds: a person with a role, or an account, whose currency is given then."""

    id: int
    key: SigningKey
    currency: int = 0  # ISO 4217 number of the account that signs; 0: a person signs
    key_epoch: int = 0  # how often the account's key was set


class Ledger(Verbs[Result]):
    """An embedded ledger. It is opened with `Ledger.open`, used by any number of threads, and closed.

    Until it names two officers no operation needs a signature; `authority_on` says whether it does.
    """

    def __init__(self, sequencer: Sequencer, *, clock: Clock | None = None, signers: Sequence[Signer] = ()) -> None:
        self.sequencer = sequencer
        self._clock = clock or RealClock()
        self._signers = tuple(signers)
        self._suspense: dict[int, int] = {}  # each currency's first suspense account, once looked up

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        clock: Clock | None = None,
        cut_tail: bool = False,
        ticks: bool = False,
        snapshot_frames: int | None = SNAPSHOT_FRAMES_MIN,
    ) -> Self:
        """Open the ledger in `folder`, made if absent, and bring its state up to its last frame.

        `ticks` starts a thread that ends holds and changes rule sets when their time comes though nobody calls.
        `snapshot_frames`: closing writes a snapshot if at least so many frames came since the last; None for never.
        Raises UnavailableError where another process has it open, a newer release wrote it or the disk refuses,
        JournalDamaged where acknowledged bytes are damaged, TailInDoubt where only a person can decide about the last
        group: `cut_tail` is that decision.
        """
        if ticks and not isinstance(clock or RealClock(), RealClock):
            raise UsageError("ticks=True waits by the machine's clock", hint="with another clock, call tick() yourself")
        disk = journal_disk(folder)
        journal = Journal.open(disk, cut_tail=cut_tail) if Journal.exists(disk) else Journal.create(disk)
        sequencer = Sequencer(
            journal,
            clock=clock,
            snapshot_disk=snapshot_disk(folder),
            snapshot_frames=snapshot_frames,
            trust_snapshots=not cut_tail,
            ticks=ticks,
        )
        return cls(sequencer, clock=clock)

    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Ask for operations: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `envelopes` say who signed which of them; without any, the signers of `signed_by` sign all. Raises UsageError
        for what can stand in no frame, UnavailableError where memory or the disk cannot hold it.
        """
        return self.sequencer.submit(records, envelopes if len(envelopes) else self._signed(records))

    # --- authority ---

    @property
    def ledger_id(self) -> bytes:
        """The ledger's 16 bytes, which every signature names."""
        return self.sequencer.ledger_id

    @property
    def authority_on(self) -> bool:
        """Whether operations need signatures: from the moment on at which two persons are officers."""
        with self.sequencer.reading() as state:
            return state.authority_on

    def signed_by(self, *signers: Signer) -> Ledger:
        """The same ledger, whose operations all these sign from now on. Each must have a say in what is submitted."""
        return Ledger(self.sequencer, clock=self._clock, signers=signers)

    # --- opening things ---

    def define_currency(self, code: str, *, zone: str) -> Result:
        """Keep this ISO 4217 currency, whose day ends at midnight in `zone`. Repeating it is harmless."""
        number = money.currency(code).numeric
        with self.sequencer.reading() as state:
            if state.zones.get(number) == zone:
                return Result.EXISTS
        return self._take(operations.define_currency(self.new_id(), currency=number, zone=zone))

    def open_account(self, currency: str, kind: AccountKind, *, suspense: int = 0, rule_set: int = 0) -> int:
        """Open an account and return its id.

        `suspense` is the account that takes what this one cannot; without it, the currency's first suspense account
        does, opened now if there is none. Raises Refused where the ledger says no.
        """
        number = money.currency(currency).numeric
        if not suspense and kind not in (AccountKind.ISSUANCE, AccountKind.SUSPENSE):
            suspense = self._first_suspense(number) or self.open_account(currency, AccountKind.SUSPENSE)
        account = self.new_id()
        record = operations.open_account(
            self.new_id(), account=account, currency=number, kind=kind, suspense=suspense, rule_set=rule_set
        )
        result = self._take(record)
        if result is not Result.CREATED:
            hint = (
                "a currency has one issuance account; a new folder is a new ledger"
                if result.name == "ISSUANCE_EXISTS"
                else None
            )
            raise Refused(f"{kind.name} account in {currency} not opened", result, hint=hint)
        return account

    def define_rule_set(
        self, rule_set: int, *, from_ns: int = 0, until_ns: int = I64_MAX, id: int | None = None, **rules: Any
    ) -> Result:
        """Define what money of accounts under rule set `rule_set` may do, or change it from `effective_ns` on.

        `rules` are the keywords of `operations.define_rule_set`: maxima in minor units (`balance_max`, `single_max`,
        `day_max`, ...), `groups`, `flags`, `refund_reserve`, `refund_window_s`, `return_account`, `effective_ns`.
        """
        record = operations.define_rule_set(
            self._id(id), rule_set=rule_set, from_ns=from_ns, until_ns=until_ns, **rules
        )
        return self._take(record)

    def set_rule_set(self, account: int, rule_set: int, *, id: int | None = None) -> Result:
        """Let the account live under a rule set from now on; 0 for none."""
        return self._take(operations.set_rule_set(self._id(id), account=account, rule_set=rule_set))

    def block(
        self, account: int, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: int | None = None
    ) -> Result:
        """Block an account for debits, credits or both. Each side stays blocked while any reason stands."""
        record = operations.block_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._take(record)

    def unblock(
        self, account: int, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: int | None = None
    ) -> Result:
        """Take back one reason of blocking."""
        record = operations.unblock_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._take(record)

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
            answers = self.submit(operations.chain(*chain.records))
            chain.results = [Result(int(code)) for code in answers["code"]]

    # --- reading ---

    def account(self, account: int) -> Account:
        """The account as it stands in the newest durable frame. Raises UsageError where there is none."""
        with self.sequencer.reading() as state:
            found = state.account(account)
        if found is None:
            raise UsageError(f"no account {account:#034x}", hint="ids come from open_account")
        return found

    def balance(self, account: int) -> int:
        """Balance in minor units."""
        return self.account(account).balance

    def purse(self, programme: int, member: int) -> Purse | None:
        """What a member holds of a programme, or None."""
        with self.sequencer.reading() as state:
            return state.purse(programme, member)

    def find_hold(self, hold: int) -> Hold | None:
        """What an operation holds, or None."""
        with self.sequencer.reading() as state:
            return state.hold(hold)

    def find_transit(self, sent: int) -> Transit | None:
        """What an operation sent on its way, or None."""
        with self.sequencer.reading() as state:
            return state.transit_of(sent)

    def statement(self, account: int, *, newest: int | None = None) -> list[Line]:
        """An account's movements, oldest first; `newest` keeps only that many of the latest. O(lines)."""
        with self.sequencer.reading() as state:
            row = state.row(account)
            if row < 0:
                raise UsageError(f"no account {account:#034x}", hint="ids come from open_account")
            return [_line(state, row, number) for number in reversed(state.movement_numbers(row, newest=newest))]

    def supply(self, currency: str) -> int:
        """Money in circulation, in minor units: the debit balance of the issuance account."""
        with self.sequencer.reading() as state:
            return state.supply(money.currency(currency).numeric)

    def digest(self) -> bytes:
        """The 32-byte state digest: equal for equal histories, however they were framed."""
        with self.sequencer.reading() as state:
            return state.digest()

    def check(self) -> None:
        """Recompute every balance and purse from the movements. Raises IntegrityError with what does not hold."""
        with self.sequencer.reading() as state:
            state.check()

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""
        return ids.to_int(ids.generate(1, time_ms=self._clock.now_ns() // 1_000_000)[0])

    # --- time, snapshots, the end ---

    def tick(self) -> bool:
        """End the holds and change the rule sets whose time has come, though nobody calls; False if there are none."""
        return self.sequencer.tick()

    def snapshot(self) -> str:
        """Keep the state on disk, so that the next start is quick; its file's name. UnavailableError harms nothing."""
        return self.sequencer.snapshot()

    def close(self) -> None:
        """Close the journal and let the folder go."""
        self.sequencer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- helpers ---

    def _take(self, record: Array) -> Result:
        return Result(int(self.submit(record)["code"][0]))

    def _signed(self, records: Array) -> list[Envelope]:
        if not self._signers:
            return []
        until_ns = self._clock.now_ns() + SIGNED_FOR_NS
        made = []
        start = 0
        for piece in units.submission(records).pieces():
            end = start + piece.operations.size
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

    def _currency_of(self, account: int) -> int:
        return self.account(account).currency

    def _currency_of_operation(self, id: int) -> int:
        with self.sequencer.reading() as state:
            hold, bound = state.hold(id), state.bound_of(id)
            if hold is not None:
                return int(state.accounts["currency"][state.row(hold.payer)])
            if bound is not None and bound["first_movement"]:
                movement = state.movements[int(bound["first_movement"]) - 1]
                # One side may be a purse, but never both.
                row = int(min(movement["debit_row"], movement["credit_row"]))
                return int(state.accounts["currency"][row])
        raise UsageError(
            f"no operation {id:#034x} moved or held money, so that a text is no amount of it",
            hint="give the amount as an integer of minor units, or the id of the payment or hold",
        )

    def _first_suspense(self, currency: int) -> int:
        if currency not in self._suspense:
            with self.sequencer.reading() as state:
                accounts = state.accounts
                rows = np.flatnonzero((accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency))
                if not rows.size:
                    return 0
                self._suspense[currency] = state.account_id(int(rows[0]))
        return self._suspense[currency]


class Chain(Verbs[None]):
    """Verbs that are done together when their `with` block ends. Made by `Ledger.chain`."""

    def __init__(self, ledger: Ledger) -> None:
        self.records: list[Array] = []
        self.results: list[Result] = []  # in the order of the verbs, once they are done
        self._ledger = ledger

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""
        return self._ledger.new_id()

    def _take(self, record: Array) -> None:
        self.records.append(record)

    def _currency_of(self, account: int) -> int:
        return self._ledger._currency_of(account)

    def _currency_of_operation(self, id: int) -> int:
        for record in self.records:  # a chain may post what it holds
            if int(record["id_high"][0]) << 64 | int(record["id_low"][0]) == id:
                return self._currency_of(int(record["debit_high"][0]) << 64 | int(record["debit_low"][0]))
        return self._ledger._currency_of_operation(id)


def _line(state: LedgerState, row: int, number: int) -> Line:
    movement = state.movements[number - 1]
    amount = int(movement["amount"])
    went_out = int(movement["debit_row"]) == row
    other = int(movement["credit_row" if went_out else "debit_row"])
    place = int(movement["place"])
    # Bound operations stand in order of place, so a movement finds its own by bisection.
    bound = state.bound[int(np.searchsorted(state.bound["place"], movement["place"]))]
    return Line(
        time_ns=int(state.frame_times[place >> PLACE_INDEX_BITS]),
        purpose=Purpose(int(movement["purpose"])),
        # A suspense account that gives back what a closed payer cannot take keeps it: in and out, so nothing.
        amount=0 if other == row else -amount if went_out else amount,
        balance=int(movement["debit_balance" if went_out else "credit_balance"]),
        counterparty=0 if other & layout.PURSE_BIT else state.account_id(other),
        operation=int(bound["id_high"]) << 64 | int(bound["id_low"]),
    )
