"""The close of a business day with a million payments, while other payments go on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import date
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes, settle
from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.day.calendar import cutoff_ns
from sycee.identity.duties import Duty
from sycee.sequencer.embedded import Ledger

ACCOUNTS: Final = 100_000
MEANWHILE: Final = 100  # payments of each call while the day closes
BALANCE_MINOR: Final = 100_000_000
DAY: Final = date(2026, 11, 2)
ZONE: Final = "Asia/Shanghai"
START_NS: Final = 1_793_577_600 * 10**9  # 08:00 of that day
UNTIL_NS: Final = START_NS + 5 * 365 * 86_400 * 10**9
SIGNED_RECORDS: Final = 8_000  # of one envelope
OPERATOR: Final = 2
GOAL_MS: Final = 60_000
ANN, BOB, DESK, WITNESS, NORTH, CLOSER = (SigningKey.derive(bytes([number]) * 32) for number in range(1, 7))


def close(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Close a day with `operations` payments; the limit is copying its movements and bound operations once."""
    for _ in range(setting.repeats):
        folder = setting.folder / "bank"
        setting.say("founding a bank, opening wallets")
        with Bank.create(folder, _founding(setting)) as bank:
            _staff(bank)
            session = bank.stores.ledger.signed_by(*bank.signers(NORTH))
            _open(bank, session)
            setting.say("paying")
            _pay(session, setting.operations, SIGNED_RECORDS, seed=1)
            settle(setting.folder, setting.operations)
            bank.set_clock(cutoff_ns(DAY, bank.config.text("cutoff"), ZONE))
            limit = _copied(bank)
            setting.say("closing while payments go on")
            yield _closed(bank, setting.operations), limit
        shutil.rmtree(folder)


def _closed(bank: Bank, payments: int) -> Timing:
    stop, calls_s, failures = threading.Event(), [], []

    def pay() -> None:
        session = bank.stores.ledger.signed_by(*bank.signers(NORTH))
        seed = 2
        try:
            while not stop.is_set():
                start = perf_counter()
                _pay(session, MEANWHILE, MEANWHILE, seed=seed)
                calls_s.append(perf_counter() - start)
                seed += 1
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=pay)
    thread.start()
    forget_peak()
    start = perf_counter()
    try:
        pack = bank.day.close(DAY, CLOSER, witness=WITNESS)
        total_s = perf_counter() - start
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]
    require(pack.body["operations"]["PAY"] == payments, "the pack counts other payments than were made")
    require(pack.body["breaks"] == [], "the day has breaks")
    rate = len(calls_s) * MEANWHILE / total_s
    note = f"meanwhile {rate:,.0f} payments/s of one thread, in calls of {MEANWHILE}; the batches are these calls"
    return Timing(payments, total_s, calls_s, peak_bytes=peak_bytes(), note=note)


def _copied(bank: Bank) -> Timing:
    with bank.stores.ledger.sequencer.reading() as state:
        start = perf_counter()
        copies = (state.movements.copy(), state.bound.copy(), state.accounts.copy())
        return Timing(copies[1].size, perf_counter() - start, name="copying them")


def _founding(setting: Setting) -> Founding:
    return Founding(
        currency="CNY",
        zone=ZONE,
        preset="ecny-2021",
        retention="eu-2015",
        officers=(ANN.public, BOB.public),
        desk=DESK.public,
        witness=WITNESS.public,
        master_key=setting.folder / "master.key",
        key_backup=setting.folder / "people-backup",
        rehearsal_from_ns=START_NS,
        settings={"compliance": "false"},
    )


def _staff(bank: Bank) -> None:
    """Let an operator join with enough money, and appoint who closes."""
    maker = bank.people.person_of_key(ANN.public)
    institution = bank.institutions.add("operator", "North Bank", by=maker, owners={ids.new(1): 1_000_000})
    minted = ACCOUNTS * BALANCE_MINOR
    for kind in ("papers", "owners"):
        bank.proposals.sign(bank.institutions.decide(institution, kind, "passed", maker=maker).id, ANN, BOB)
    issuance = bank.issuance
    joined = issuance.join(institution, quota_minor=minted, key=NORTH.public, until_ns=UNTIL_NS, maker=maker)
    bank.proposals.sign(joined.id, ANN, BOB)
    bank.proposals.sign(issuance.credit_reserves(OPERATOR, minted, maker=maker).id, ANN, BOB)
    bank.proposals.sign(issuance.mint(OPERATOR, minted, maker=maker).id, ANN, BOB, NORTH)
    appointed = bank.appointments.appoint(Duty.CLOSER, CLOSER.public, until_ns=UNTIL_NS, maker=maker)
    bank.proposals.sign(appointed.id, ANN, BOB)


def _open(bank: Bank, session: Ledger) -> None:
    accounts = bank.registry.operator(OPERATOR).accounts
    for first in range(0, ACCOUNTS, SIGNED_RECORDS):
        wallets = _wallets(np.arange(first, min(first + SIGNED_RECORDS, ACCOUNTS)))
        opened = operations.open_account(
            _fresh(wallets.size),
            account=wallets,
            currency=156,
            kind=AccountKind.WALLET,
            suspense=accounts.suspense,
            operator=OPERATOR,
        )
        _created(session, opened)
        _created(
            session,
            operations.transfer(_fresh(wallets.size), debit=accounts.vault, credit=wallets, amount=BALANCE_MINOR),
        )


def _pay(session: Ledger, payments: int, size: int, *, seed: int) -> None:
    random = np.random.default_rng(seed)
    for first in range(0, payments, size):
        count = min(size, payments - first)
        payers = random.integers(0, ACCOUNTS, count)
        payees = (payers + random.integers(1, ACCOUNTS, count)) % ACCOUNTS
        amounts = random.integers(1, 10_000, count)
        record = operations.pay(_fresh(count), payer=_wallets(payers), payee=_wallets(payees), amount=amounts)
        _created(session, record)


def _created(session: Ledger, records: Array) -> None:
    answers = session.submit(records)
    require(bool((answers["code"] == Result.CREATED).all()), "the ledger refused a record")


def _wallets(numbers: Array) -> Array:
    made = np.zeros(numbers.size, ids.ID)
    made["low"], made["high"] = numbers + 1, 7
    return made


def _fresh(count: int) -> Array:
    return ids.generate(count, time_ms=START_NS // 1_000_000)


BENCHMARKS: Final = (
    Benchmark(
        "day-close-1m",
        "close a day of payments between 100,000 wallets while one thread pays: figures, matching, checkpoint, pack",
        ACCOUNTS,
        1_000_000,
        "copying movements, bound operations and accounts in memory once",
        close,
        unit=TOTAL_MS,
        goal=Goal(GOAL_MS),
        quick=50_000,
    ),
)
