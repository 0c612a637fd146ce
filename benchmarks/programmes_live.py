"""Programmes of a bank with its SQLite database: people registered from a file, then frozen, drawn and allotted."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.draw import BLOCK_BYTES, BLOCKS_PER_ENTRY, BUFFER_BYTES
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes, settle, timed
from benchmarks.wallets import KEYS, OPERATOR, START_NS, inserted, new_bank
from sycee.bank.bank import Bank
from sycee.core.errors import require
from sycee.sequencer.embedded import Signer

NAME: Final = "benchmark"
ROW_BYTES: Final = 190  # what SQL stores for one entry, in all tables
WINNERS: Final = 50_000
DUPLICATES: Final = 200  # one of so many rows repeats a phone
HOUR_NS: Final = 3_600 * 10**9
DRAWN: Final = """\

[draw]
rule = "sycee.draw.v1"
beacon = {{ source = "a public source", round = 1, due = 2026-11-02T11:00:00 }}
strata = [{{ name = "everybody", winners = {winners} }}]
"""
# The clock of the bank begins 2026-11-02 08:00 in Shanghai.
FILE: Final = """\
name = "benchmark"
title = "Benchmark"
{what}
currency = "CNY"
zone = "Asia/Shanghai"
funder = {{ name = "City" }}
budget = {{ amount = "{budget}" }}
merchants = [{{ name = "shops", count = 1, district = "all" }}]
operators = [{{ name = "north", title = "North Bank" }}]

[registration]
from = 2026-11-02T08:00:00
until = 2026-11-02T10:00:00
identity = ["document", "phone"]
{draw}
[claim]
from = 2026-11-03T08:00:00
until = "2026-11-12 24:00"

[spending]
from = 2026-11-03T08:00:00
until = "2026-11-14 24:00"

[expiry]
at = "2026-11-14 24:00"
rest_to = "funder"

[rules]
divisible = true
own_money = true
person_to_person = false
cash_out = false
refund_order = "own-money-first"
"""


def drawn_file(winners: int) -> str:
    """Return a programme file in which so many winners of a draw get 2.00 each."""
    packets = f'packets = [{{ name = "packet", count = {winners}, amount = "2.00" }}]'
    return FILE.format(what=packets, budget=f"{2 * winners}.00", draw=DRAWN.format(winners=winners))


def shared_file(budget_minor: int) -> str:
    """Return a programme file in which everybody on the list gets an equal part of a budget."""
    budget = f"{budget_minor // 100}.{budget_minor % 100:02}"
    return FILE.format(what='mode = "equal"', budget=budget, draw="")


class Programme:
    """A programme in a bank, whose registration is open, and the persons who run it."""

    def __init__(self, bank: Bank, text: str, *, paid_in_minor: int = 0) -> None:
        ann, bob, _, _, north = KEYS
        self.bank, self.officers = bank, (ann, bob)
        self.officer, self.operator = (bank.people.person_of_key(key.public) for key in (ann, north))
        self.signers: list[Signer] = bank.signers(north)
        funder = bank.funders.open("City", operator=OPERATOR, signers=self.signers, who=self.operator)
        if paid_in_minor:
            paid = bank.funders.pay_in(funder.account, paid_in_minor, signers=self.signers, who=self.operator)
            paid.require_created("the funder has no money")
        bank.programmes.draft(text, funder=funder.account, maker=self.operator)
        bank.programmes.open_registration(NAME, who=self.operator)

    def steps(self) -> Iterator[Callable[[], object]]:
        """Yield the steps from the freeze to the sealed cohort, between which the clock moves."""
        programmes = self.bank.programmes
        self.bank.set_clock(START_NS + 2 * HOUR_NS)
        yield lambda: programmes.freeze(NAME, who=self.operator)
        programmes.publish(NAME, who=self.operator)
        self.bank.set_clock(START_NS + 3 * HOUR_NS)
        for person in (self.officer, self.operator):
            programmes.bring_beacon(NAME, value=bytes(32), who=person)
        yield lambda: programmes.draw(NAME, who=self.operator)
        yield self.sign_terms
        yield lambda: programmes.allot(NAME, signers=self.signers, who=self.operator)

    def sign_terms(self) -> None:
        """Propose the terms, and let both officers sign."""
        proposal = self.bank.programmes.propose_terms(NAME, maker=self.officer)
        self.bank.proposals.sign(proposal.id, *self.officers)


def _write_people(path: Path, count: int) -> None:
    """Write a file of people; a few share a phone with an earlier one."""
    numbers = np.random.default_rng(9).permutation(count)
    phones = np.where(numbers % DUPLICATES == 1, numbers - 1, numbers)
    with path.open("w") as file:
        file.write("document,phone,bank,registered_at\n")
        for number, phone in zip(numbers.tolist(), phones.tolist(), strict=True):
            minute, second = divmod(number % 3_600, 60)
            file.write(
                f"{44030119800000000 + number},+86{13900000000 + phone},north,2026-11-02T08:{minute:02}:{second:02}\n"
            )


def _register(programme: Programme, path: Path, count: int) -> Timing:
    programme.bank.set_clock(START_NS + HOUR_NS)
    start, cpu = time.perf_counter(), time.process_time()
    imported = programme.bank.registrations.register_file(NAME, 0, path, who=programme.operator, is_confirmed=True)
    timing = Timing(count, time.perf_counter() - start, peak_bytes=peak_bytes())
    timing.note = f"{time.process_time() - cpu:.1f} s of processor time"
    require(imported.registered == count, f"{count - imported.registered:,} rows were refused")
    return timing


def register_file(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Register a CSV file of people; the limit inserts as many bytes into SQLite."""
    count, path = setting.operations, setting.folder / "people.csv"
    setting.say("writing a file of people")
    _write_people(path, count)
    for _ in range(setting.repeats):
        folder = setting.folder / "bank"
        folder.mkdir()
        with new_bank(folder) as bank:
            programme = Programme(bank, drawn_file(min(WINNERS, count // 2)))
            settle(setting.folder, count)
            setting.say("measuring")
            forget_peak()
            timing = _register(programme, path, count)
            setting.say("checking")
            require(bank.check() == [], "SQL and ledger do not agree")
        shutil.rmtree(folder)
        settle(setting.folder, count)
        yield timing, inserted(setting.folder / "limit.sqlite", count, ROW_BYTES)
    path.unlink()


def allot(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Freeze, draw, sign the terms, and add and seal the cohort; the limit hashes as many blocks in one stream."""
    count, path = setting.operations, setting.folder / "people.csv"
    setting.say("writing a file of people")
    _write_people(path, count)
    winners = min(WINNERS, count // 2)
    buffer = np.zeros(BUFFER_BYTES, np.uint8).data
    hashed_bytes = count * BLOCKS_PER_ENTRY * BLOCK_BYTES
    parts = [buffer[: min(BUFFER_BYTES, hashed_bytes - at)] for at in range(0, hashed_bytes, BUFFER_BYTES)]
    for _ in range(setting.repeats):
        folder = setting.folder / "bank"
        folder.mkdir()
        with new_bank(folder) as bank:
            programme = Programme(bank, drawn_file(winners))
            setting.say("registering")
            _register(programme, path, count)
            setting.say("measuring")
            forget_peak()
            seconds = []
            for step in programme.steps():
                start = time.perf_counter()
                step()
                seconds.append(time.perf_counter() - start)
            timing = Timing(count, sum(seconds), peak_bytes=peak_bytes())
            names = ("freeze", "draw", "terms", "allot")
            timing.note = ", ".join(f"{name} {each:.1f} s" for name, each in zip(names, seconds, strict=True))
            found = bank.programmes.occurrence(NAME)
            require(
                (found.state, found.members) == ("allotted", winners), f"{found.members:,} members in {found.state}"
            )
            duplicates = (count + DUPLICATES - 2) // DUPLICATES
            require(found.entries == count - duplicates, f"{found.entries:,} entries were frozen")
        shutil.rmtree(folder)
        stream = hashlib.sha256()
        yield timing, timed(parts, stream.update, count)
    path.unlink()


BENCHMARKS: Final = (
    Benchmark(
        "programmes-register-2m",
        "people registered for a programme from CSV, SQLite",
        None,
        2_000_000,
        "SQLite, as many bytes in one table",
        register_file,
        unit=TOTAL_MS,
        goal=Goal(60_000, memory_gib=2),
    ),
    Benchmark(
        "programmes-allot-50k",
        "2,000,000 registered people frozen and drawn, 50,000 winners allotted and sealed",
        None,
        2_000_000,
        "hashlib, one stream of as many SHA-256 blocks",
        allot,
        unit=TOTAL_MS,
        goal=Goal(15_000, memory_gib=2),
    ),
)
