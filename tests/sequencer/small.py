"""A small history through a complete sequencer: create, define, open, mint, drop, claim, pay, refund, expire."""

from __future__ import annotations

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind
from sycee.journal import Disk, Journal
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.sequencer import Sequencer

LEDGER_ID = bytes(range(16))
SEGMENT_BYTES = 48 << 10  # small, so that the history needs two segments
START_NS = 1_602_461_400_000_000_000
SECOND_NS = 10**9
UNTIL_NS = START_NS + 1_000 * SECOND_NS
MEMBERS = 7
ISSUANCE, SUSPENSE, TREASURY, ANN, BOB, SHOP = range(1, 7)


def some_ids(purpose: str, count: int) -> Array:
    return ids.derive(b"small", purpose, count, time_ms=1)


def opening() -> Array:
    """Return records for a currency, accounts and money, one each."""
    one = iter(range(100, 200))
    kinds = {TREASURY: AccountKind.FUNDER, ANN: AccountKind.WALLET, BOB: AccountKind.WALLET, SHOP: AccountKind.MERCHANT}
    return np.concatenate(
        [
            operations.define_currency(next(one), currency=156, zone="Asia/Shanghai"),
            operations.open_account(next(one), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
            operations.open_account(next(one), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
            *(
                operations.open_account(next(one), account=account, currency=156, kind=kind, suspense=SUSPENSE)
                for account, kind in kinds.items()
            ),
            operations.transfer(next(one), debit=ISSUANCE, credit=TREASURY, amount=10_000),
            operations.transfer(next(one), debit=TREASURY, credit=ANN, amount=50),
        ]
    )


def steps() -> list[tuple[int, Array]]:
    """Return the submissions with their times in seconds. Two requests are refused; their ids are bound as well."""
    members = some_ids("members", MEMBERS)
    wallets = np.array([(ANN, 0)] * 4 + [(BOB, 0)] * 3, ids.ID)
    claims = operations.claim(
        some_ids("claims", MEMBERS), programme=1, member=np.arange(MEMBERS), member_id=members, wallet=wallets
    )
    pays = some_ids("pays", 6)
    payers = np.array([(ANN, 0), (BOB, 0)] * 2, ids.ID)
    return [
        (0, opening()),
        (
            1,
            np.concatenate(
                [
                    operations.define_group(300, group=1),
                    operations.join_group(301, group=1, account=SHOP),
                    operations.define_rule_set(
                        302, rule_set=1, groups=[1], from_ns=0, until_ns=UNTIL_NS, return_account=TREASURY
                    ),
                    operations.open_programme(
                        303, programme=1, funder=TREASURY, rule_set=1, members=MEMBERS, claim_from_ns=0,
                        claim_until_ns=UNTIL_NS,
                    ),
                ]
            ),
        ),
        (2, operations.add_members(some_ids("add", 2), programme=1, members=members)),
        (3, operations.seal_cohort(310, programme=1, digest=operations.cohort_digest(members))),
        (4, operations.drop(311, programme=1, first=0, count=MEMBERS, amount=20_000, seal=310)),  # too much
        (5, operations.drop(312, programme=1, first=0, count=MEMBERS, amount=20, seal=310)),
        (6, claims),
        (7, operations.pay(pays[:4], payer=payers, payee=SHOP, amount=np.array([25, 30, 40, 99]))),
        (8, operations.refund(320, original=pays[1], amount=12)),
        (9, np.concatenate([many_transfers(), operations.pay(pays[4:], payer=ANN, payee=SHOP, amount=3)])),
        (1_000, operations.expire(321, programme=1, first=0, count=MEMBERS)),
        (1_001, operations.refund(322, original=pays[0], amount=25)),
    ]  # fmt: skip


def many_transfers() -> Array:
    """Return more transfers than fit one disk block, so that their frame can be torn."""
    debit = np.array([(TREASURY, 0), (ANN, 0)] * 20, ids.ID)
    return operations.transfer(some_ids("transfers", 40), debit=debit, credit=debit[::-1], amount=1)


def start(disk: Disk, clock: SimulatedClock, *, cut_tail: bool = False, overlap: bool = False) -> Sequencer:
    """Do what Ledger.open does, on any disk and with a short segment."""
    if Journal.exists(disk):
        journal = Journal.open(disk, cut_tail=cut_tail)
    else:
        journal = Journal.create(disk, ledger_id=LEDGER_ID, segment_bytes=SEGMENT_BYTES)
    return Sequencer(journal, clock=clock, overlap=overlap and Overlap(records_min=1))


def run(sequencer: Sequencer, clock: SimulatedClock, acknowledged: list[tuple[Array, Array]]) -> None:
    """Submit the whole history; append (operations, results) to `acknowledged` after each submission."""
    for seconds, records in steps():
        clock.set(max(clock.now_ns(), START_NS + seconds * SECOND_NS))
        acknowledged.append((records, sequencer.submit(records)))


def first_results(answers: Array) -> list[int]:
    """Return the first result of each operation."""
    known = np.isin(answers["code"], (1, 2))
    return np.where(known, answers["first_code"], answers["code"]).tolist()


assert layout.OPERATION.itemsize == 128
