"""Reading of pacs.009 messages: parse, validate and extract, on one core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Final
from uuid import UUID

import numpy as np
from lxml import etree

from benchmarks.measure import Benchmark, Goal, Setting, Timing, settle, timed
from sycee.core.errors import require
from sycee.iso20022.bulk_credit_transfers import NAME, TransferMessage, read_credit_transfers
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.credit_transfer_messages import InstitutionTransfer, InstitutionTransfers, PaymentIds, Settlement
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import Message, write

BANKS: Final = tuple(Institution(bic=f"BANK{chr(65 + number // 26)}{chr(65 + number % 26)}2L") for number in range(42))
HOUSE: Final = Institution(bic="CLEAHKHH")
CREATED: Final = "2026-11-27T09:30:00+08:00"
FILE: Final = 10_000  # transactions of one batch file
SEED: Final = 20_241_129
GOAL_PER_S: Final = 20_000
BATCH: Final = 1_000  # messages in one timed call
WARM: Final = 200  # messages read before the clock: the patterns are compiled once in a process


def read_messages(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Read single messages, each with its header and one transaction; the limit is a parser without any check."""
    yield from _measure(setting, transactions=1)


def read_files(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Read batch files of `FILE` transactions each; the limit is a parser without any check."""
    yield from _measure(setting, transactions=FILE)


def _measure(setting: Setting, *, transactions: int) -> Iterator[tuple[Timing, ...]]:
    setting.say("making messages")
    random = np.random.default_rng(SEED)
    contents = [_message(random, transactions) for _ in range(max(1, setting.operations // transactions))]
    count = len(contents) * transactions
    step = max(1, BATCH // transactions)
    batches = [contents[at : at + step] for at in range(0, len(contents), step)]
    list(read_credit_transfers(contents[:1] if transactions > 1 else contents[:WARM]))
    for _ in range(setting.repeats):
        settle(setting.folder, count)
        setting.say("measuring")
        rows: list[int] = []
        timing = timed(batches, partial(_read, rows), count)
        require(sum(rows) == count, f"{sum(rows):,} of {count:,} transactions were read")
        timing.note = f"{sum(map(len, contents)) // len(contents):,} bytes a message"
        yield timing, timed(batches, _parse, count)


def _read(rows: list[int], contents: list[bytes]) -> None:
    for message in read_credit_transfers(contents):
        if not isinstance(message, TransferMessage):
            raise message
        rows.append(len(message.rows))


def _parse(contents: list[bytes]) -> None:
    for content in contents:
        etree.fromstring(content)


def _message(random: np.random.Generator, transactions: int) -> bytes:
    """Return a message between two banks, in the way in which our writer writes it."""
    sender, receiver = (BANKS[each] for each in random.choice(len(BANKS), 2, replace=False))
    made = tuple(_transfer(random, sender, receiver) for _ in range(transactions))
    value = InstitutionTransfers(
        id=f"M{int(random.integers(10**12)):012}",
        created=CREATED,
        day=date(2026, 11, 27),
        settlement=Settlement(method="CLRG", system_own="HOUSE"),
        sender=sender,
        receiver=receiver,
        transactions=made,
    )
    ends = (End(institution=sender), End(institution=HOUSE))
    header = Header(sender=ends[0], receiver=ends[1], id=value.id, message=NAME, created=CREATED)
    return write(Message(NAME, value, header), check=False)


def _transfer(random: np.random.Generator, sender: Institution, receiver: Institution) -> InstitutionTransfer:
    number = f"{int(random.integers(10**12)):012}"
    ids = PaymentIds(
        instruction=f"I{number}", end_to_end=f"E{number}", uetr=str(UUID(bytes=random.bytes(16), version=4))
    )
    amount = Amount("USD", int(random.lognormal(19, 2)) + 1)
    made = InstitutionTransfer(ids=ids, amount=amount, urgency="NORM", debtor=sender, creditor=receiver)
    return replace(made, remittance=(f"Settlement of {number}",))


_LIMIT: Final = "lxml parses the same bytes, without any check"
BENCHMARKS: Final = (
    Benchmark(
        "iso20022-pacs009",
        "pacs.009 messages parsed, validated and extracted, one at a time, on one core",
        None,
        100_000,
        _LIMIT,
        read_messages,
        goal=Goal(GOAL_PER_S),
        quick=10_000,
    ),
    Benchmark(
        "iso20022-pacs009-file",
        f"transactions of pacs.009 files of {FILE:,}, parsed, validated and extracted, on one core",
        None,
        200_000,
        _LIMIT,
        read_files,
        goal=Goal(GOAL_PER_S),
        quick=20_000,
    ),
)
