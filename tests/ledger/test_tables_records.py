"""Every byte and every flag of every kind: unused bytes must be zero, unknown flags are refused."""

from __future__ import annotations

import numpy as np
from tests.each import case
from tests.ledger.verbs import Verbs

from sycee.core.arrays import Array
from sycee.core.records import layout
from sycee.core.records.layout import LINKED, Kind
from sycee.core.records.operation_table import TABLE
from sycee.core.result_codes import Result
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.testing.naive import NaiveLedger

# A line, its bytes from 24 on except those of its note, and its flags; "no note": other fields use these bytes.
# Names in DEFINE_CURRENCY and UPGRADE, and the digest in SEAL_COHORT, may have any bytes.
RECORDS = """
    currency 1 UTC                               | 32-80 80-84                       | 0
    group 1                                      | 80-84                             | 0
    join 1 ann                                   | 32-48 80-84                       | 0
    leave 1 ann                                  | 32-48 80-84                       | 0
    rules 1                                      | 24-128                 | 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
    grant lin OFFICER                            | 32-88 96-112                      | 1 2 6
    grant lin OPERATOR operator=7                | 32-80 88-92 96-112 (another role has none) | 1 2 6
    revoke grant                                 | 64-80                             | 0
    upgrade 2                                    | 32-64 80-84                       | 0
    open issuance ISSUANCE                       | 32-48 80-96                       | 0
    open suspense SUSPENSE                       | 32-48 80-96                       | 0
    open ann WALLET                              | 32-64 80-96                       | 0
    block ann debit                              | 32-48 84-88                       | 1 2 3
    unblock ann debit                            | 32-48 84-88                       | 1 2 3
    close ann                                    | 32-48 84-88                       | 0
    setrules ann 1                               | 32-48 92-96                       | 0
    key ann phone                                | 32-80                             | 0 1 2 6
    key ann none                                 | 32-48                             | 0 1 2 6
    link ann way                                 | 32-64                             | 0
    programme 1 ann 3                            | 32-48 80-84 88-112                | 0
    members 1 A first=0                          | 32-48 80-92              no note  | 0
    members 1 A B C D E first=0                  | 32-92 96-128             no note  | 0
    seal 1 A                                     | 32-64 80-84                       | 0
    drop 1 0..1 5                                | 24-32 64-92                       | 0
    claim 1 Ann ann member=0                     | 48-80 80-88                       | 0
    expire 1 0..1                                | 80-92                             | 0
    transfer ann bob 5                           | 24-64                             | 0
    pay ann bob 5                                | 24-64                             | 0 1 2
    refund lunch 5                               | 24-32 64-80                       | 0
    hold ann bob 5 until=9                       | 24-64 104-112                     | 0 1 2 4 5 6 8 9 10
    hold ann bob 5 until=9 third=cat             | 24-80 104-112                     | 0 1 2 4 5 6 8 9 10
    hold ann bob 5 until=9 lock=sesame           | 24-96 104-112                     | 0 1 2 4 5 6 8 9 10
    post room shop 5                             | 24-48 64-80                       | 0 1 2 3
    post room shop 5 secret=sesame               | 24-48 64-112                      | 0 1 2 3
    void room shop                               | 32-48 64-80                       | 0
    extend room ann 9                            | 32-48 64-80 104-112               | 0
    postholds one two shop                       | 32-80                             | 0
    voidholds one two shop                       | 32-80                             | 0
    reverse lunch 5                              | 24-32 64-80                       | 0
    send ann vault 5                             | 24-80                             | 0 1
    confirm sent                                 | 64-80                             | 0
    reject sent                                  | 64-80                             | 0
    stage 1 ann bob 5                            | 24-64 80-84                       | 0
    settle 1 2 5                                 | 24-32 80-92                       | 0 1
"""
ROWS = [tuple(part.strip() for part in line.split("|")) for line in RECORDS.strip().splitlines()]
# Small numbers, each bit, and all bits.
FLAGS = [*range(32), *(1 << bit for bit in range(5, 16)), LINKED | 1, LINKED | 3, LINKED | 4, 0x7FFF, 0xFFFF]


def answers(records: Array) -> list[Result | None]:
    """Return the code of each record by its bytes alone, equal on both sides; None if the state decides."""
    found: list[Result | None] = []
    state, twin = LedgerState(), NaiveLedger()
    for at in range(records.size):
        record = records[at : at + 1]
        code = int(state.resolve(record)[0]["code"][0])
        expected = twin.resolve(record)[0]
        found.append(None if code == constants.PENDING else Result(code))
        assert found[-1] == (expected[0] if expected else None)
    return found


def test_every_kind_has_a_row() -> None:
    assert {Kind(int(Verbs().record(line)["kind"][0])) for line, *_ in ROWS} == set(Kind)


def test_unused_bytes_of_a_kind_must_be_zero() -> None:
    for line, used, flags in ROWS:
        with case(line, used, flags):
            record = Verbs().record(line)
            assert answers(record) == [None]
            ranges = [tuple(map(int, part.split("-"))) for part in used.split() if "-" in part]
            allowed = {offset for first, end in ranges for offset in range(first, end)}
            allowed |= set() if "no note" in used else set(range(112, 128))
            records = np.repeat(record, 104)
            for at in range(104):
                records[at : at + 1].view("u1")[24 + at] ^= 0x80
            refused = [24 + at for at, code in enumerate(answers(records)) if code is Result.FIELD_MUST_BE_ZERO]
            assert refused == sorted(set(range(24, 128)) - allowed)
            record["code"] = 0xFFFF_FFFF
            assert answers(record) == [None]


def test_a_kind_accepts_its_flags_and_no_others() -> None:
    for line, used, flags in ROWS:
        with case(line, used, flags):
            record = Verbs().record(line)
            kind = Kind(int(record["kind"][0]))
            known = set(map(int, flags.split()))
            known |= {flag | LINKED for flag in known} if TABLE[kind].linkable else set()
            records = np.repeat(record, len(FLAGS))
            records["flags"] = FLAGS
            refused = [flag for flag, code in zip(FLAGS, answers(records), strict=True) if code is Result.FLAGS_UNKNOWN]
            assert refused == [flag for flag in FLAGS if flag not in known]


def test_unknown_kind_numbers() -> None:
    records = np.repeat(Verbs().record("group 1"), 300)
    records["kind"] = [*range(299), 65_535]
    named = [
        kind
        for kind, code in zip(records["kind"].tolist(), answers(records), strict=True)
        if code is not Result.KIND_UNKNOWN
    ]
    assert named == sorted(layout.Kind)
