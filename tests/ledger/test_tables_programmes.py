"""Programmes, purses and pays as tables of operations, results and balances."""

from __future__ import annotations

import pytest
from tests.ledger.table import play

from sycee.ledger import state as ledger_state

# Two programmes with 10 each for Ann and Bob: 1 ends at 100 and pays everyone, 2 ends at 200 and pays shops only.
PACKETS = """
    group     1
    join      1  shop
    rules     1  until=100  return=treasury
    rules     2  until=200  return=treasury  groups=1
    programme 1  treasury  2   claim=0..90
    programme 2  treasury  2   claim=10..90
    members   1  Ann Bob
    members   2  Ann Bob
    seal      1
    seal      2
    drop      1  0..2  10
    drop      2  0..2  10
    at        10
    claim     1  Ann  ann
    claim     2  Ann  ann
    transfer  treasury  ann  5
"""


def test_a_pay_uses_purses_by_their_end_and_own_money_last() -> None:
    play(PACKETS).play("""
        pay       ann  shop  22
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  2/0  shop  10
        moved     PAY_OWN    ann  shop   2
        moved     nothing
        purse     1 0  0  CLAIMED  spent=10
        pay       ann  shop   4                        EXCEEDS_BALANCE
        pay       ann  shop   3
        moved     PAY_OWN    ann  shop   3
        balance   ann  0
        balance   shop 25
    """)


def test_a_purse_pays_only_payees_of_its_groups() -> None:
    play(PACKETS).play("""
        pay       ann  cafe  16                        EXCEEDS_BALANCE           # 10 from purse 1, 5 of own money
        pay       ann  cafe  11
        moved     PAY_PURSE  1/0  cafe  10
        moved     PAY_OWN    ann  cafe   1
        pay       ann  cafe   1  purses                EXCEEDS_BALANCE
        join      1  cafe
        pay       ann  cafe   1  purses
        moved     PAY_PURSE  2/0  cafe   1
        leave     1  cafe
        leave     1  cafe
        pay       ann  cafe   1  purses                EXCEEDS_BALANCE
        pay       ann  shop  10  own                   EXCEEDS_BALANCE
        pay       ann  shop   4  own
        moved     PAY_OWN    ann  shop   4
        transfer  ann  bob    1                        EXCEEDS_BALANCE           # a transfer never uses purses
        join      2  cafe                              GROUP_NOT_FOUND
        leave     2  cafe                              GROUP_NOT_FOUND
        join      1  nobody                            ACCOUNT_NOT_FOUND
    """)


def test_purses_with_equal_ends_are_ordered_by_programme_and_member() -> None:
    play("""
        rules     1  until=100  return=treasury
        programme 7  treasury  2  rules=1
        programme 3  treasury  2  rules=1
        members   7  Ann Ann
        members   3  Ann Ann
        seal      7
        seal      3
        drop      7  0..2  10
        drop      3  0..2  10
        claim     7  Ann  ann  member=1
        claim     3  Ann  ann  member=1
        claim     7  Ann  ann  member=0
        claim     3  Ann  ann  member=0
        pay       ann  shop  35
        moved     PAY_PURSE  3/0  shop  10
        moved     PAY_PURSE  3/1  shop  10
        moved     PAY_PURSE  7/0  shop  10
        moved     PAY_PURSE  7/1  shop   5
    """)


def test_spending_ends_exactly_at_until_and_starts_exactly_at_from() -> None:
    play("""
        rules     1  from=50  until=100  return=treasury
        programme 1  treasury  2
        members   1  Ann Bob
        seal      1
        drop      1  0..2  10
        claim     1  Ann  ann
        at        49
        pay       ann  shop  1                         EXCEEDS_BALANCE
        at        50
        pay       ann  shop  1
        at        99
        pay       ann  shop  1
        drop      1  0..2  10                          # no purse to fill, which is no error
        moved     nothing
        expire    1  0..2                              PROGRAMME_NOT_EXPIRED
        at        100
        pay       ann  shop  1                         EXCEEDS_BALANCE
        drop      1  0..2  10                          PROGRAMME_EXPIRED
        claim     1  Bob  bob                          PROGRAMME_EXPIRED
        expire    1  0..2
        moved     RETURN  1/0  treasury   8
        moved     RETURN  1/1  treasury  10
        purse     1 0  0  EXPIRED  dropped=10  spent=2  returned=8  wallet=ann
        purse     1 1  0  EXPIRED  dropped=10  spent=0  returned=10
        expire    1  0..2                              # all filled
        moved     nothing
        claim     1  Ann  ann                          PURSE_CLAIMED
        claim     1  Bob  bob                          PROGRAMME_EXPIRED
        balance   treasury  998
    """)


def test_claims_have_a_separate_window() -> None:
    play("""
        rules     1  until=100  return=treasury
        programme 1  treasury  3  claim=20..40
        members   1  Ann Bob Cat
        claim     1  Ann  ann                          COHORT_NOT_SEALED
        seal      1
        claim     1  Ann  ann                          PURSE_NOT_DROPPED
        drop      1  0..2  10
        at        19
        claim     1  Ann  ann                          CLAIM_WINDOW_NOT_OPEN
        at        20
        claim     1  Ann  ann
        claim     1  Ann  bob                          PURSE_CLAIMED
        claim     1  Bob  bob  member=0                MEMBER_DIFFERS
        claim     1  Bob  bob  member=3                MEMBER_NOT_FOUND
        claim     1  Cat  bob                          PURSE_NOT_DROPPED
        claim     2  Bob  bob  member=1                PROGRAMME_NOT_FOUND
        claim     1  Bob  nobody                       CREDIT_ACCOUNT_NOT_FOUND
        block     bob  credit
        claim     1  Bob  bob                          CREDIT_ACCOUNT_BLOCKED
        unblock   bob  credit
        close     bob
        claim     1  Bob  bob                          CREDIT_ACCOUNT_CLOSED
        at        39
        claim     1  Bob  cafe
        drop      1  0..3  10                          # the missing member
        moved     DROP  treasury  1/2  10
        moved     nothing
        at        40
        claim     1  Cat  cafe                         CLAIM_WINDOW_CLOSED
        balance   treasury  970
    """)


def test_members_are_added_in_order_and_sealed_once() -> None:
    play("""
        rules     1  until=100  return=treasury
        rules     2  until=100
        rules     2  until=100                         RULE_SET_EXISTS
        rules     3  until=100  groups=1               GROUP_NOT_FOUND
        rules     3  until=100  groups=4097            NUMBER_OUT_OF_RANGE
        rules     3  until=100  return=nobody          RETURN_ACCOUNT_NOT_FOUND
        rules     3  until=0                           WINDOW_MUST_END_AFTER_START
        programme 1  treasury  6  rules=9              RULE_SET_NOT_FOUND
        programme 1  treasury  6  rules=2              RETURN_ACCOUNT_NOT_FOUND
        programme 1  nobody    6                       DEBIT_ACCOUNT_NOT_FOUND
        programme 1  treasury  0                       COUNT_OUT_OF_RANGE
        programme 1  treasury  6
        programme 1  treasury  6                       PROGRAMME_EXISTS
        members   1  A B C D E  first=1                MEMBERS_OUT_OF_ORDER
        members   1  A B C D E  first=2                MEMBER_NOT_FOUND
        members   2  A B C D E  first=0                PROGRAMME_NOT_FOUND
        members   1  0 B        first=0                ACCOUNT_ID_MUST_NOT_BE_ZERO
        members   1  A B C D E
        seal      1                                    COHORT_INCOMPLETE
        members   1  F
        seal      1  A B C D F E                       COHORT_DIGEST_DIFFERS
        drop      1  0..6  1                           COHORT_NOT_SEALED
        expire    1  0..6                              COHORT_NOT_SEALED
        seal      2                                    PROGRAMME_NOT_FOUND
        seal      1  id=sealed
        seal      1                                    COHORT_SEALED
        members   1  G  first=5                        COHORT_SEALED
        drop      1  0..6  1  seal=other               SEAL_DIFFERS
        drop      1  0..7  1                           MEMBER_NOT_FOUND
        drop      2  0..6  1                           PROGRAMME_NOT_FOUND
        expire    2  0..6                              PROGRAMME_NOT_FOUND
        expire    1  0..7                              MEMBER_NOT_FOUND
        drop      1  0..6  1
        group     1
        group     1                                    GROUP_EXISTS
        group     4097                                 NUMBER_OUT_OF_RANGE
    """)


def test_the_digest_of_a_cohort_is_computed_while_members_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_state, "HASHED_RECORDS_MIN", 1)
    table = play("""
        rules     1  until=100  return=treasury
        programme 1  treasury  7
        members   1  A B
        members   1  X Y Z  first=1                    MEMBERS_OUT_OF_ORDER
        members   1  C D E F
        seal      1  A B C D E F                       COHORT_INCOMPLETE
        members   1  G
    """)
    assert table.sides.state._hashed_members[1][1] == 7, "nothing is left to hash for the seal"
    table.play("""
        seal      1  A B X Y Z F G                     COHORT_DIGEST_DIFFERS
        seal      1
    """)
    assert not table.sides.state._hashed_members


def test_a_programme_stays_within_its_currency() -> None:
    play("""
        currency  978  Europe/Paris
        open      euros  SUSPENSE  currency=978
        open      zoe  WALLET  currency=978  suspense=euros
        rules     1  until=100  return=treasury
        programme 1  zoe  1                            CURRENCIES_MUST_MATCH
        programme 1  treasury  1
        members   1  Zoe
        seal      1
        drop      1  0..1  5
        claim     1  Zoe  zoe                          CURRENCIES_MUST_MATCH
    """)


def test_a_drop_is_all_or_nothing() -> None:
    play("""
        rules     1  until=100  return=ann
        programme 1  treasury  3
        members   1  Ann Bob Cat
        seal      1
        drop      1  0..3  334                         EXCEEDS_BALANCE
        block     treasury  debit
        drop      1  0..3  333                         DEBIT_ACCOUNT_BLOCKED
        unblock   treasury  debit
        drop      1  1..2  300
        drop      1  0..3  351                         EXCEEDS_BALANCE
        drop      1  0..3  350                         # Bob's purse is claimed
        moved     DROP  treasury  1/0  350
        moved     DROP  treasury  1/2  350
        moved     nothing
        close     treasury
        drop      1  0..3  1                           DEBIT_ACCOUNT_CLOSED
    """)


def test_a_wallet_has_at_most_sixteen_purses() -> None:
    table = play("rules 1 until=100 return=treasury\nrules 2 until=200 return=treasury")
    table.play("programme 1 treasury 10\nprogramme 2 treasury 10")
    for programme in (1, 2):
        table.play(f"members {programme} A B C D E\nmembers {programme} F G H I J\nseal {programme}")
        table.play(f"drop {programme} 0..10 3")
    names = "ABCDEFGHIJ"
    table.play("".join(f"claim 2 {name} ann\n" for name in reversed(names)))
    table.play("".join(f"claim 1 {name} ann\n" for name in "ECADBF"))
    table.play("claim 1 G ann TOO_MANY_PURSES")
    table.play("pay ann shop 47")  # fifteen full purses and 2 of the sixteenth
    expected = [(1, member) for member in range(6)] + [(2, member) for member in range(10)]
    table.play("".join(f"moved PAY_PURSE {p}/{m} shop {2 if (p, m) == (2, 9) else 3}\n" for p, m in expected))
    table.play("""
        at        100
        claim     2  A  bob                            PURSE_CLAIMED
        claim     1  G  ann                            PROGRAMME_EXPIRED
        expire    1  2..4                              # two of the sixteen ended, in the middle of her list
        pay       ann  shop  1
        moved     PAY_PURSE  2/9  shop  1
    """)
    table.play("rules 3 until=150 return=treasury\nprogramme 3 treasury 3\nmembers 3 A B C\nseal 3\ndrop 3 0..3 1")
    table.play("claim 3 A ann\nclaim 3 B ann\nclaim 3 C ann TOO_MANY_PURSES\npay ann shop 2")
    table.play("moved PAY_PURSE 3/0 shop 1\nmoved PAY_PURSE 3/1 shop 1")


def test_a_rule_set_has_at_most_four_groups() -> None:
    play("""
        group     1
        group     64
        group     65
        group     4096
        rules     1  until=100  return=treasury  groups=1,64,65,4096
        programme 1  treasury  1
        members   1  Ann
        seal      1
        drop      1  0..1  10
        claim     1  Ann  ann
        pay       ann  shop  1                         EXCEEDS_BALANCE
        join      4096  shop
        join      4096  shop                           # joining twice has one effect
        pay       ann  shop  1
        leave     4096  shop
        pay       ann  shop  1                         EXCEEDS_BALANCE
        join      64  bob
        pay       ann  shop  1                         EXCEEDS_BALANCE
        pay       ann  bob   1
    """)


def test_overflow_of_a_drop_a_purse_and_an_expiry() -> None:
    play("""
        open      rich  FUNDER
        transfer  issuance  rich  2^62
        rules     1  until=100  return=shop
        programme 1  rich  2
        members   1  Ann Bob
        seal      1
        drop      1  0..2  2^62                        OVERFLOWS_DEBITS          # the sum of both drops
        drop      1  0..2  2^62-1                      EXCEEDS_BALANCE
        transfer  rich  shop      2^62-1
        transfer  shop  rich      2^62-1
        transfer  treasury  shop  1
        drop      1  0..2  2^61+1                      OVERFLOWS_DEBITS          # the funder's debits, too
        drop      1  0..1  2^62
        claim     1  Ann  ann
        pay       ann  cafe  2^62  id=first
        refund    first  2^62
        pay       ann  cafe  2^62-1  id=second
        pay       ann  shop  1                         OVERFLOWS_DEBITS          # the lifetime debits of the purse
        pay       ann  shop  1  own                    EXCEEDS_BALANCE
        refund    second  2^62-1
        purse     1 0  2^62  CLAIMED  dropped=2^62  spent=2^63-1  refunded=2^63-1
        at        100
        expire    1  0..2                              OVERFLOWS_CREDITS         # the return account is full
        purse     1 0  2^62  CLAIMED
        block     shop  credit
        expire    1  0..2
        moved     RETURN_SUSPENSE  1/0  suspense  2^62
    """)


# Threshold vouchers of 10 each for Ann: 1 pays in payments ≥ 20, 2 in payments ≥ 30, 3 in all payments.
VOUCHERS = """
    rules     1  until=100  return=treasury  least=20
    rules     2  until=200  return=treasury  least=30
    rules     3  until=300  return=treasury
    programme 1  treasury  1
    programme 2  treasury  1
    programme 3  treasury  1
    members   1  Ann
    members   2  Ann
    members   3  Ann
    seal      1
    seal      2
    seal      3
    drop      1  0..1  10
    drop      2  0..1  10
    drop      3  0..1  10
    at        10
    claim     1  Ann  ann
    claim     2  Ann  ann
    claim     3  Ann  ann
    transfer  treasury  ann  50
"""


def test_a_purse_is_skipped_in_payments_below_its_minimum() -> None:
    play(VOUCHERS).play("""
        pay       ann  shop  19                        # one below: only the purse without a minimum
        moved     PAY_PURSE  3/0  shop  10
        moved     PAY_OWN    ann  shop   9
        moved     nothing
        pay       ann  shop  20                        # at the minimum
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_OWN    ann  shop  10
        moved     nothing
        pay       ann  shop  29
        moved     PAY_OWN    ann  shop  29
        moved     nothing
        transfer  treasury  ann  50
        pay       ann  shop  31                        # above the minimum
        moved     PAY_PURSE  2/0  shop  10
        moved     PAY_OWN    ann  shop  21
    """)
    play(VOUCHERS).play("""
        pay       ann  shop  30                        # the whole payment counts, not the purse's part
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  2/0  shop  10
        moved     PAY_PURSE  3/0  shop  10
        moved     nothing
    """)
    play(VOUCHERS).play("""
        pay       ann  shop  11  purses                EXCEEDS_BALANCE
        pay       ann  shop  20  purses
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  3/0  shop  10
        pay       ann  shop  50  own
        moved     PAY_OWN    ann  shop  50
    """)


def test_the_least_payment_applies_to_the_amount_of_the_hold() -> None:
    play(VOUCHERS).play("""
        hold      ann  shop  19  until=90  id=small
        purse     1 0  10
        purse     3 0  0  pending=10
        held      small  19  own=9
        hold      ann  shop  20  until=90  id=large
        purse     1 0  0  pending=10
        post      large  shop  1  rest                 # checked when held
        moved     PAY_PURSE  1/0  shop  1
        purse     1 0  9
    """)


def test_a_least_payment_does_not_limit_returned_money() -> None:
    play(VOUCHERS).play("""
        pay       ann  shop  30  id=dinner
        refund    dinner  5
        moved     REFUND_PURSE  shop  3/0  5
        refund    dinner  10
        moved     REFUND_PURSE  shop  3/0  5
        moved     REFUND_PURSE  shop  2/0  5
        reverse   dinner  10
        moved     REVERSAL_PURSE  shop  2/0  5
        moved     REVERSAL_PURSE  shop  1/0  5
        purse     1 0  5  CLAIMED  refunded=5
        at        100
        expire    1  0..1
        moved     RETURN  1/0  treasury  5
    """)


def test_a_least_payment_changes_at_a_future_time_without_a_reserve() -> None:
    play(VOUCHERS).play("""
        rules     1  until=100  return=treasury  least=5  effective=50
        pass      49
        pay       ann  shop  6
        moved     PAY_PURSE  3/0  shop  6
        pass      50
        pay       ann  shop  6
        moved     PAY_PURSE  1/0  shop  6
        setrules  shop  2
        refund    nothing  1                           ORIGINAL_NOT_FOUND
        transfer  shop  cafe  12                       # an account has no refund reserve under such rules
        balance   shop  0
        rules     9  least=-1                          AMOUNT_MUST_BE_POSITIVE
    """)
