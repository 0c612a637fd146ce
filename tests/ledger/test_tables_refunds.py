"""Refunds as tables: to the same purses and accounts, or to suspense where these cannot receive."""

from __future__ import annotations

from tests.ledger.table import play
from tests.ledger.test_tables_programmes import PACKETS

REFUNDED = (
    PACKETS
    + """
    pay       ann  shop  22  id=lunch                  # 10 from purse 1, 10 from purse 2, 2 of own money
"""
)


def test_refunds_return_own_money_first_and_then_purses_in_reverse() -> None:
    play(REFUNDED).play("""
        refund    lunch  1
        moved     REFUND_OWN    shop  ann  1
        moved     nothing
        refund    lunch  5
        moved     REFUND_OWN    shop  ann  1
        moved     REFUND_PURSE  shop  2/0  4
        refund    lunch  10
        moved     REFUND_PURSE  shop  2/0  6
        moved     REFUND_PURSE  shop  1/0  4
        moved     nothing
        refund    lunch  7                             EXCEEDS_REFUNDABLE
        refund    lunch  6
        moved     REFUND_PURSE  shop  1/0  6
        refund    lunch  1                             EXCEEDS_REFUNDABLE
        purse     1 0  10  CLAIMED  spent=10  refunded=10
        purse     2 0  10  CLAIMED  spent=10  refunded=10
        balance   ann  5
        pay       ann  shop  20                        # refunded money can be spent again
    """)


def test_refunds_need_a_successful_pay_and_money() -> None:
    play(REFUNDED).play("""
        refund    nothing  1                           ORIGINAL_NOT_FOUND
        transfer  shop  bob  1  id=sent
        refund    sent  1                              ORIGINAL_IS_NOT_A_PAY
        pay       bob  shop  2  id=poor                EXCEEDS_BALANCE
        refund    poor  1                              ORIGINAL_WAS_REFUSED
        refund    lunch  22                            EXCEEDS_BALANCE
        block     shop  debit
        refund    lunch  1                             DEBIT_ACCOUNT_BLOCKED
        unblock   shop  debit
        transfer  shop  bob  21
        close     shop
        refund    lunch  1                             DEBIT_ACCOUNT_CLOSED
    """)


NEARLY_FULL = """
    open      a  WALLET
    transfer  issuance  a  2^62
    transfer  a  {name}  2^62-1
    transfer  {name}  a  2^62-1
    transfer  a  {name}  {last}                        # 5 more can be credited
"""


def test_overflow_is_checked_for_the_whole_refund() -> None:
    play(REFUNDED + NEARLY_FULL.format(name="ann", last="2^62-10")).play("""
        refund    lunch  6                             OVERFLOWS_CREDITS         # although 2 of them are for her
        refund    lunch  5
        moved     REFUND_OWN    shop  ann   2
        moved     REFUND_PURSE  shop  2/0   3
        refund    lunch  17                            # none of these is for her
    """)


def test_overflow_of_a_refund_to_a_purse_after_its_end() -> None:
    play(REFUNDED + NEARLY_FULL.format(name="treasury", last="2^62-1_005")).play("""
        at        100                                  # purse 1 is not expired yet
        refund    lunch  16                            OVERFLOWS_CREDITS         # although 4 go to the return account
        refund    lunch  12                            # nothing goes to the return account
        refund    lunch  6                             OVERFLOWS_CREDITS
        refund    lunch  5
        moved     REFUND_PURSE  shop  1/0       5
        moved     RETURN        1/0   treasury  5
        purse     1 0  0  CLAIMED  returned=5
    """)


def test_after_expiry_a_purses_part_returns_at_once() -> None:
    play(REFUNDED).play("""
        at        100                                  # purse 1 is past its end, but not expired yet
        refund    lunch  16
        moved     REFUND_OWN    shop  ann        2
        moved     REFUND_PURSE  shop  2/0       10
        moved     REFUND_PURSE  shop  1/0        4
        moved     RETURN        1/0   treasury   4
        moved     nothing
        purse     1 0  0  CLAIMED  returned=4
        expire    1  0..2
        moved     RETURN        1/1   treasury  10
        moved     nothing
        refund    lunch  1
        moved     REFUND_PURSE  shop  1/0        1
        moved     RETURN        1/0   treasury   1
        purse     1 0  0  EXPIRED  dropped=10  spent=10  refunded=5  returned=5
    """)


def test_money_that_cannot_be_credited_goes_to_suspense() -> None:
    play(REFUNDED).play("""
        open      other  SUSPENSE
        block     ann  credit
        at        200
        refund    lunch  1
        moved     REFUND_SUSPENSE  shop  suspense  1
        transfer  ann  bob  3
        close     ann
        block     treasury  credit
        refund    lunch  2
        moved     REFUND_SUSPENSE  shop  suspense  1
        moved     REFUND_PURSE     shop  2/0       1
        moved     RETURN_SUSPENSE  2/0   suspense  1
        expire    2  0..2
        moved     RETURN_SUSPENSE  2/1   suspense  10
        balance   suspense  13
        balance   other     0
    """)


def test_a_purse_of_a_closed_wallet_is_still_refunded() -> None:
    play(REFUNDED).play("""
        transfer  ann  bob  3
        close     ann
        refund    lunch  4
        moved     REFUND_SUSPENSE  shop  suspense  2
        moved     REFUND_PURSE     shop  2/0       2
        purse     2 0  2  CLAIMED
        pay       ann  shop  1                         DEBIT_ACCOUNT_CLOSED
    """)


def test_a_suspense_account_that_was_paid_refunds_itself() -> None:
    table = play("""
        transfer  treasury  ann  5
        pay       ann  suspense  5  id=odd
        close     ann
        refund    odd  3
        moved     REFUND_SUSPENSE  suspense  suspense  3
        balance   suspense  5
    """)
    row = table.sides.state.row(table.account("suspense"))
    assert len(table.sides.state.movement_numbers(row)) == 2


def test_an_issuance_account_is_its_own_suspense_account() -> None:
    play("""
        rules     1  until=100  return=issuance
        programme 1  treasury  1
        members   1  Ann
        seal      1
        drop      1  0..1  10
        pay       issuance  shop  7  id=minted
        block     issuance  credit
        refund    minted  3
        moved     REFUND_SUSPENSE  shop  issuance  3
        at        100
        expire    1  0..1
        moved     RETURN_SUSPENSE  1/0   issuance  10
        supply    156  994
    """)
