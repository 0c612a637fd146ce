"""Settlement of batches in several currencies, their operators and their numbers (docs/reference/ledger.md §10)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.ledger.side_by_side import Sides
from tests.ledger.table import Table, play
from tests.ledger.verbs import id_of

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.ledger.kernels import constants

# Three currencies. The clearing house, operator 1, has an account of each bank in each currency; bank 2 operates one.
HOUSE = """
    at        0
    currency  156  Asia/Shanghai
    currency  978  Europe/Paris
    currency  840  America/New_York
    open      fen      ISSUANCE
    open      cent     ISSUANCE  currency=978
    open      penny    ISSUANCE  currency=840
    open      issuers  SUSPENSE  operator=0
    open      yuans    SUSPENSE
    open      euros    SUSPENSE  currency=978
    open      dollars  SUSPENSE  currency=840
    open      ann-cny  RESERVE  suspense=yuans
    open      bob-cny  RESERVE  suspense=yuans
    open      ann-eur  RESERVE  currency=978  suspense=euros
    open      bob-eur  RESERVE  currency=978  suspense=euros
    open      bob-usd  RESERVE  currency=840  suspense=dollars
    open      cat-usd  RESERVE  currency=840  suspense=dollars
    open      cat-cny  RESERVE  suspense=yuans
    open      other    WALLET   operator=2  suspense=issuers
    open      another  WALLET   operator=2  suspense=issuers
    transfer  fen      ann-cny  1_000
    transfer  cent     bob-eur  130
    transfer  penny    cat-usd  150
    transfer  fen      other    10
"""
# Ann pays yuan to Bob for euros, and yuan to Cat for dollars that go to Bob: each leg has its own currency.
LEGS = """
    stage     1  ann-cny  bob-cny  900
    stage     1  bob-eur  ann-eur  120
    stage     1  ann-cny  cat-cny  50
    stage     1  cat-usd  bob-usd  140
"""
SUM = 900 + 120 + 50 + 140


def house() -> Table:
    return play(HOUSE, bank=False)


# --- payment against payment ---


def test_payment_against_payment_in_three_currencies() -> None:
    house().play(LEGS).play(f"""
        batch     1  4  {SUM}                         # the control sum, irrespective of currency
        settle    1  4  {SUM + 1}                     BATCH_DIFFERS
        settle    1  3  {SUM}                         BATCH_DIFFERS
        settle    1  4  {SUM}
        moved     SETTLEMENT  ann-cny  bob-cny  900
        moved     SETTLEMENT  bob-eur  ann-eur  120
        moved     SETTLEMENT  ann-cny  cat-cny  50
        moved     SETTLEMENT  cat-usd  bob-usd  140
        moved     nothing
        balance   ann-cny  50
        balance   ann-eur  120
        balance   bob-cny  900
        balance   bob-eur  10
        balance   bob-usd  140
        balance   cat-cny  50
        balance   cat-usd  10
        supply    156  1_010
        supply    978  130
        supply    840  150
    """)


# A fault of one leg, in any currency, and the resulting code of the whole batch.
WRONG = {
    "ann closes": ("transfer ann-cny bob-cny 1_000 ; close ann-cny", "DEBIT_ACCOUNT_CLOSED"),
    "the euros' receiver closes": ("close ann-eur", "CREDIT_ACCOUNT_CLOSED"),
    "the euros' giver is blocked": ("block bob-eur debit", "DEBIT_ACCOUNT_BLOCKED"),
    "the dollars' receiver is blocked": ("block bob-usd credit", "CREDIT_ACCOUNT_BLOCKED"),
    "the dollars' receiver is out of its time": (
        "rules 1 until=5 ; setrules bob-usd 1 ; at 5",
        "RULE_SET_NOT_IN_FORCE",
    ),
    "the euros' giver has given too much in its life": (
        "transfer cent bob-eur 2^63-131 ; transfer bob-eur cent 2^63-31",
        "OVERFLOWS_DEBITS",
    ),
    "the dollars' receiver has got too much in its life": (
        "transfer penny bob-usd 2^63-151 ; transfer bob-usd penny 2^63-151 ; transfer cat-usd bob-usd 11",
        "OVERFLOWS_CREDITS",
    ),
    "the euros are a cent short": ("transfer bob-eur cent 11", "EXCEEDS_BALANCE"),
    "the dollars are kept for refunds": ("rules 1 reserve=11 ; setrules cat-usd 1", "RESERVED_FOR_REFUNDS"),
    "the yuan are over a day's limit": ("rules 1 day=949 ; setrules ann-cny 1", "EXCEEDS_DAY_LIMIT"),
    "the euros are over a month's limit": ("rules 1 month=119 ; setrules bob-eur 1", "EXCEEDS_MONTH_LIMIT"),
    "the dollars are over a year's limit": ("rules 1 year=139 ; setrules cat-usd 1", "EXCEEDS_YEAR_LIMIT"),
    "the euros are more than may be held": ("rules 1 balance=119 ; setrules ann-eur 1", "EXCEEDS_BALANCE_LIMIT"),
}


@pytest.mark.parametrize(("before", "code"), WRONG.values(), ids=WRONG)
def test_one_refused_leg_stops_the_batch(before: str, code: str) -> None:
    table = house().play(LEGS)
    for line in before.split(" ; "):
        table.play(line)
    accounts = ("ann-cny", "bob-cny", "cat-cny", "ann-eur", "bob-eur", "bob-usd", "cat-usd")
    balances = {name: table.account_of(name).balance for name in accounts}
    table.play(f"settle 1 4 {SUM} {code}\nmoved nothing\nbatch 1 4 {SUM}")
    assert {name: table.account_of(name).balance for name in accounts} == balances
    table.play(f"discard 1 4 {SUM}\nmoved nothing\nbatch 1 none")
    assert {name: table.account_of(name).balance for name in accounts} == balances


def test_limits_apply_to_the_net_amount_of_each_account() -> None:
    """An account has one currency: incoming money in another currency does not cover its debits."""
    house().play("""
        rules     1  day=20
        setrules  ann-cny  1
        stage     1  ann-cny  bob-cny  120
        stage     1  bob-cny  ann-cny  100
        stage     1  bob-eur  ann-eur  100
        settle    1  3  320                           # net amount 20
        used      ann-cny  20  20  20
        stage     2  ann-cny  bob-cny  1
        stage     2  bob-eur  ann-eur  30
        settle    2  2  31                            EXCEEDS_DAY_LIMIT
        setrules  ann-cny  0
        settle    2  2  31
        stage     3  bob-eur  ann-eur  1
        stage     3  ann-cny  bob-cny  1
        settle    3  2  2                             EXCEEDS_BALANCE           # no euros left
    """)


# --- operator of a batch ---


def test_another_operator_stages_settles_and_discards_nothing() -> None:
    house().play("""
        stage     1  ann-cny  bob-cny  900
        batch     1  1  900  operator=1
        stage     1  other    ann-cny  1              BATCH_OF_ANOTHER_OPERATOR
        batch     1  1  900
        settle    1  1  900  operator=2               BATCH_OF_ANOTHER_OPERATOR
        discard   1  1  900  operator=2               BATCH_OF_ANOTHER_OPERATOR
        settle    1  1  900  operator=0               BATCH_OF_ANOTHER_OPERATOR
        settle    1  9  1    operator=2               BATCH_OF_ANOTHER_OPERATOR  # and reveals nothing of the batch
        stage     1  bob-eur  ann-eur  120            # own account, in another currency
        stage     1  ann-cny  other    7              # to any payee
        settle    1  3  1_027
        balance   other  17
        stage     2  other    another  5
        batch     2  1  5  operator=2
        stage     2  ann-cny  other    1              BATCH_OF_ANOTHER_OPERATOR
        settle    2  1  5                             BATCH_OF_ANOTHER_OPERATOR
        discard   2  1  5                             BATCH_OF_ANOTHER_OPERATOR
        settle    2  1  5  operator=2
        balance   another  5
    """)


# --- numbers ---


def test_a_new_batch_has_the_next_number() -> None:
    house().play("""
        stage     2  ann-cny  bob-cny  1              BATCH_NOT_FOUND
        settle    1  1  1                             BATCH_NOT_FOUND
        stage     1  ann-cny  bob-eur  1              CURRENCIES_MUST_MATCH     # a refused payment begins no batch
        settle    1  1  1                             BATCH_NOT_FOUND
        stage     1  ann-cny  bob-cny  1
        stage     3  ann-cny  bob-cny  1              BATCH_NOT_FOUND
        stage     2  other    ann-cny  2
        stage     3  ann-cny  bob-cny  3
        settle    2  1  2  operator=2
        stage     1  ann-cny  bob-cny  4              # older batches stay open
        settle    1  2  5
        batch     3  1  3
    """)


def test_a_batch_number_is_never_reused() -> None:
    house().play("""
        stage     1  ann-cny  bob-cny  1
        settle    1  1  1
        stage     1  ann-cny  bob-cny  1              BATCH_DONE
        stage     1  other    another  1              BATCH_DONE
        settle    1  1  1                             BATCH_DONE
        stage     2  ann-cny  bob-cny  2
        discard   2  1  2
        stage     2  ann-cny  bob-cny  2              BATCH_DONE
        settle    2  1  2                             BATCH_DONE
        discard   2  1  2                             BATCH_DONE
        stage     3  ann-cny  bob-cny  3
        settle    3  1  3
        balance   bob-cny  4
    """)


def test_rows_of_finished_batches_are_reused() -> None:
    """Memory is proportional to open batches, and payments keep their order in reused rows."""
    table = house()
    for first in range(1, 120, 4):
        table.play(f"""
            frame
            stage   {first}      ann-cny  bob-cny  1
            stage   {first + 1}  bob-eur  ann-eur  1
            stage   {first}      ann-cny  cat-cny  2
            stage   {first + 2}  other    another  1
            stage   {first}      ann-cny  bob-cny  3
            discard {first + 1}  1  1
            settle  {first}      3  6
            stage   {first + 3}  ann-cny  cat-cny  4
            stage   {first + 3}  ann-cny  bob-cny  5
            discard {first + 2}  1  1  operator=2
            discard {first + 3}  2  9
            end
            moved   SETTLEMENT  ann-cny  bob-cny  1
            moved   SETTLEMENT  ann-cny  cat-cny  2
            moved   SETTLEMENT  ann-cny  bob-cny  3
            moved   nothing
        """)
    state = table.sides.state
    assert (state.batches.size, state.staged.size) == (3, 5)
    assert not state.batches["number"].any()


def test_the_last_batch_number() -> None:
    table = house()
    table.sides.state.tables.counters[constants.NEWEST_BATCH] = table.sides.twin.newest_batch = limits.BATCHES_MAX - 1
    table.play("""
        stage     2^32-1  ann-cny  bob-cny  1
        settle    2^32-1  1  1
        stage     2^32-1  ann-cny  bob-cny  1         BATCH_DONE                # no further number exists
        stage     1       ann-cny  bob-cny  1         BATCH_DONE
        settle    2^32-1  1  1                        BATCH_DONE
    """)


def test_a_batch_has_no_more_payments_than_a_settle_can_name() -> None:
    table = house()
    table.play("stage 1 ann-cny bob-cny 1")
    state, most = table.sides.state, limits.SETTLEMENT_PAYMENTS_MAX
    state.tables.batches["count"][0] = most - 1  # 2^30 payments would need 24 GiB

    def code_of(record: Array) -> Result:
        state.reserve(record)
        return Result(int(state.apply(state.sequence + 1, state.now_ns + 1, record)["code"][0]))

    payment = {"batch": 1, "debit": id_of("ann-cny"), "credit": id_of("bob-cny"), "amount": 1}
    assert code_of(operations.stage(5_001, **payment)) is Result.CREATED
    assert code_of(operations.stage(5_002, **payment)) is Result.TOO_MANY_PAYMENTS
    assert (
        code_of(operations.settle(5_003, batch=1, operator=1, payments=most, total=2, discard=True)) is Result.CREATED
    )


LOWERED = """
from sycee.core import limits
limits.SETTLEMENT_PAYMENTS_MAX = 2
from tests.ledger.test_tables_settlement import house
house().play('''
    stage     1  ann-cny  bob-cny  1
    stage     1  ann-cny  bob-cny  2
    stage     1  ann-cny  bob-eur  3              CURRENCIES_MUST_MATCH
    stage     1  ann-cny  bob-cny  3              TOO_MANY_PAYMENTS
    stage     1  ann-cny  bob-cny  2^63-1         TOO_MANY_PAYMENTS     # takes precedence over OVERFLOWS_CREDITS
    settle    1  2  3
    moved     SETTLEMENT  ann-cny  bob-cny  1
    moved     SETTLEMENT  ann-cny  bob-cny  2
    stage     2  ann-cny  bob-cny  3
    stage     2  ann-cny  bob-cny  4
    stage     2  ann-cny  bob-cny  5              TOO_MANY_PAYMENTS
    discard   2  2  7
''')
"""


def test_with_a_lower_limit_a_full_batch_is_settled_or_discarded() -> None:
    """Interpreted kernels read the limit at import."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning", "-c", LOWERED],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_open_batches_are_found_among_thousands() -> None:
    sides, count = Sides(), 3_000
    accounts = zip((2, 3, 4), (AccountKind.ISSUANCE, AccountKind.SUSPENSE, AccountKind.WALLET), (0, 0, 3), strict=True)
    opened = [
        operations.define_currency(1, currency=156, zone="UTC"),
        *(
            operations.open_account(id, account=id, currency=156, kind=kind, suspense=suspense)
            for id, kind, suspense in accounts
        ),
    ]

    def settled(numbers: range, discard: bool = False) -> list[Array]:
        return [
            operations.settle(next(ids), batch=number, payments=1, total=number, discard=discard) for number in numbers
        ]

    ids = iter(range(1_000, 20_000))
    staged = [
        operations.stage(next(ids), batch=number, debit=2, credit=4, amount=number) for number in range(1, count + 1)
    ]
    # Two thirds of the batches end, from the middle, and the others are still found.
    gone = [*settled(range(2, count, 3)), *settled(range(3, count, 3), discard=True)]
    left = settled(range(1, count + 1, 3))
    for records in (opened, staged, gone, left):
        assert {code for code, _ in sides.frame(0, np.concatenate(records))} == {Result.CREATED}
    again = sides.frame(0, np.concatenate(settled(range(1, count, 100))))
    assert {code for code, _ in again} == {Result.BATCH_DONE}
    assert sides.state.batches["number"].tolist().count(0) == sides.state.batches.size - 1  # the last batch is open
