"""A cohort of ten million in a bank: added and sealed, then dropped, with single payments beside both.

The list comes from elsewhere, so `freeze` gets its entries: everybody on it has a packet. The members are added by the
records of `Programmes.allot`, and the packets filled by those of `Programmes.drop`, in parts that the operator's key
signs.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

import numpy as np

from benchmarks import memory
from benchmarks.bulk import prepared
from benchmarks.crowd import as_a_server
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes, settle
from benchmarks.programmes_live import HOUR_NS, NAME, Programme, shared_file
from benchmarks.wallets import KEYS, START_NS, new_bank
from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import require
from sycee.core.records import envelopes, layout, operations
from sycee.core.result_codes import Result
from sycee.database.events import EventKind, events_after, newest_event
from sycee.programmes.draw import Entries
from sycee.sequencer.submission_queue import Ticket

PAID_NS: Final = START_NS + 2 * HOUR_NS  # the bank's clock stands there; ids of another time are looked up more slowly
PACKET_MINOR: Final = 2
MEMBERS: Final = 10_000_000
PAYMENTS_PER_S: Final = 200
PAYEES: Final = 100
QUIET_S: Final = 3.0
QUIET_PAYMENTS: Final = 20  # at least, in a small run


class Payments:
    """Signed payments of one unit from a vault to wallets, PAYMENTS_PER_S of them, each due at its time."""

    def __init__(self, bank: Bank, vault: int, payees: Any) -> None:
        self._bank, self.vault, self._payees = bank, vault, payees
        self._signer, self._key = bank.people.person_of_key(KEYS[4].public), KEYS[4]

    @contextlib.contextmanager
    def beside(self, durations_s: list[float], *, least: int = 0) -> Iterator[None]:
        """Pay while the block runs, and at least `least` times; append the time from due to durable."""
        stop, started = threading.Event(), SimpleQueue[tuple[float, Ticket] | None]()
        threads = [
            threading.Thread(target=self._start, args=(stop, started, least)),
            threading.Thread(target=_wait, args=(started, durations_s)),
        ]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            stop.set()
            for each in threads:
                each.join()

    def _start(self, stop: threading.Event, started: SimpleQueue[tuple[float, Ticket] | None], least: int) -> None:
        """Start each payment when it is due, whether the earlier ones are answered or not."""
        sequencer = self._bank.stores.ledger.sequencer
        began, ledger_id = time.perf_counter(), self._bank.stores.ledger.ledger_id
        try:
            for number in range(1 << 62):
                due = began + number / PAYMENTS_PER_S
                if stop.wait(max(0.0, due - time.perf_counter())) and number >= least:
                    return
                payee = int.from_bytes(self._payees[number % len(self._payees)].tobytes(), "big")
                id = ids.new(PAID_NS // 1_000_000)
                record = operations.transfer(id, debit=self.vault, credit=payee, amount=1)
                signed = envelopes.sign(record, ledger_id, self._signer, self._key, START_NS + 10**17)
                started.put((due, sequencer.start(record, [signed])))
        finally:
            started.put(None)


def _wait(started: SimpleQueue[tuple[float, Ticket] | None], durations_s: list[float]) -> None:
    """Wait for each payment, in order."""
    while (payment := started.get()) is not None:
        due, ticket = payment
        (answer,) = ticket.wait()
        durations_s.append(time.perf_counter() - due)
        require(answer["code"] == Result.CREATED, "a payment was refused")


@contextlib.contextmanager
def approved(setting: Setting, *, keep: bool = False) -> Iterator[tuple[Bank, Payments, list[Any]]]:
    """Yield a bank with signed terms of a programme for as many members as there are operations.

    `keep`: leave its folder.
    """
    members, folder = setting.operations, setting.folder / "bank"
    folder.mkdir()
    with as_a_server(), new_bank(folder) as bank:
        setting.say("opening accounts")
        payments = Payments(bank, prepared(bank, folder, PAYEES), np.load(folder / "payees.npy"))
        budget_minor = members * PACKET_MINOR
        programme, programmes = Programme(bank, shared_file(budget_minor), paid_in_minor=budget_minor), bank.programmes
        bank.set_clock(PAID_NS)
        setting.say("freezing a list")
        salts = np.random.default_rng(5).bytes(32 * members)
        entries = Entries(
            np.arange(1, members + 1, dtype=np.uint64),
            np.zeros(members, np.uint64),
            np.frombuffer(salts, np.uint8).reshape(-1, 32),
        )
        programmes.freeze(NAME, who=programme.operator, entries=entries)
        programmes.publish(NAME, who=programme.operator)
        programmes.draw(NAME, who=programme.operator)
        setting.say("signing the terms")
        programme.sign_terms()
        require(programmes.occurrence(NAME).state == "approved", "the terms are not signed")
        yield bank, payments, programme.signers
        require(bank.check() == [], "SQL and ledger do not agree")
    if keep:
        return
    shutil.rmtree(folder)
    settle(setting.folder, members)


@dataclass(slots=True)
class Latencies:
    """Durations of the payments of all repeats. One repeat has too few of them for a stable 99th percentile."""

    quiet_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)

    def describe(self, timing: Timing) -> None:
        """Set the note of a repeat, and how much longer payments took beside the work, over all repeats so far."""
        quiet, beside = (1000 * float(np.percentile(each, 99)) for each in (self.quiet_s, self.beside_s))
        timing.beside = beside / quiet
        timing.note = (
            f"{len(self.beside_s):,} single payments beside all repeats: 99th percentile {beside:.1f} ms, "
            f"{timing.beside:.2f} times the quiet one, {quiet:.1f} ms; longest {1000 * max(self.beside_s):.0f} ms"
        )


def seal(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Add the members of an approved cohort and seal it."""
    latencies = Latencies()
    for _ in range(setting.repeats):
        with approved(setting) as (bank, payments, signers):
            timing = _beside(setting, bank, payments, signers, EventKind.PROGRAMME_ALLOTTED, latencies)
        yield timing, memory.filled(setting.operations, layout.PURSE.itemsize)


def drop(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Fill every purse of a sealed cohort by one call."""
    latencies = Latencies()
    for _ in range(setting.repeats):
        with approved(setting) as (bank, payments, signers):
            setting.say("sealing the cohort")
            who = bank.people.person_of_key(KEYS[4].public)
            bank.programmes.allot(NAME, signers=signers, who=who)
            timing = _beside(setting, bank, payments, signers, EventKind.PROGRAMME_DROPPED, latencies)
            with bank.stores.ledger.sequencer.reading() as state:
                filled = int(np.count_nonzero(state.all_purses["dropped"] == PACKET_MINOR))
            require(filled == setting.operations, f"{filled:,} of {setting.operations:,} purses were filled")
        yield timing, memory.filled(setting.operations, layout.PURSE.itemsize + layout.MOVEMENT.itemsize)


def _beside(
    setting: Setting, bank: Bank, payments: Payments, signers: list[Any], kind: EventKind, latencies: Latencies
) -> Timing:
    """Time the call until its event can be read; add the payments' latencies, quiet and beside it.

    Quiet are the seconds before the call and those after it: the machine's speed changes within minutes.
    """

    def pay_quietly() -> None:
        setting.say("paying")
        with payments.beside(latencies.quiet_s, least=QUIET_PAYMENTS):
            time.sleep(min(QUIET_S, setting.operations / 1e6))

    pay_quietly()
    who = bank.people.person_of_key(KEYS[4].public)
    step = bank.programmes.allot if kind is EventKind.PROGRAMME_ALLOTTED else bank.programmes.drop
    place = newest_event(bank.stores.engine)
    setting.say("measuring")
    forget_peak()
    with payments.beside(latencies.beside_s):
        start = time.perf_counter()
        step(NAME, signers=signers, who=who)
        events = events_after(bank.stores.engine, place, most=100)
        timing = Timing(setting.operations, time.perf_counter() - start, peak_bytes=peak_bytes())
    pay_quietly()
    require(kind in {each.kind for each in events}, f"there is no event {kind}")
    latencies.describe(timing)
    return timing


BENCHMARKS: Final = (
    Benchmark(
        "programmes-purses-seal",
        "a cohort of 10,000,000 added and sealed in a bank, 200 single payments/s beside it",
        None,
        MEMBERS,
        "the same rows written in order into new memory",
        seal,
        unit=TOTAL_MS,
        goal=Goal(60_000, beside_max=2),
    ),
    Benchmark(
        "programmes-purses-drop",
        "the packets of 10,000,000 members dropped, from the call to its event, 200 single payments/s beside it",
        None,
        MEMBERS,
        "the same rows and movements written in order into new memory",
        drop,
        unit=TOTAL_MS,
        goal=Goal(5_000, beside_max=2),
    ),
)
