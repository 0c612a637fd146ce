"""Reversals and blocks as tables: by authority, with available money, and a claim on record for the rest."""

from __future__ import annotations

from tests.ledger.table import play
from tests.ledger.test_tables_programmes import PACKETS
from tests.ledger.test_tables_refunds import REFUNDED


def test_a_transfer_is_reversed_as_far_as_money_is_available() -> None:
    play("""
        transfer  treasury  ann  100  id=wrong
        transfer  ann  bob  60
        reverse   wrong  101                           EXCEEDS_REFUNDABLE
        reverse   wrong  90  id=order
        moved     REVERSAL_OWN  ann  treasury  40
        moved     nothing
        owed      order  50
        balance   ann  0
        reverse   wrong  61                            EXCEEDS_REFUNDABLE        # 40 were reversed
        reverse   wrong  60  id=second
        moved     nothing                              # no money: all of it is a claim
        owed      second  60
        transfer  treasury  ann  70
        reverse   wrong  60  id=third
        moved     REVERSAL_OWN  ann  treasury  60
        owed      third  0
        reverse   wrong  1                             EXCEEDS_REFUNDABLE
        reverse   third  1                             ORIGINAL_NOT_REVERSIBLE
        reverse   nothing  1                           ORIGINAL_NOT_FOUND
        transfer  ann  bob  999  id=failed             EXCEEDS_BALANCE
        reverse   failed  1                            ORIGINAL_WAS_REFUSED
        refund    wrong  1                             ORIGINAL_IS_NOT_A_PAY
    """)


def test_a_reversal_returns_money_to_the_purses_of_the_pay() -> None:
    play(REFUNDED).play("""
        refund    lunch  1
        moved     REFUND_OWN  shop  ann  1
        block     shop  both  COURT_ORDER              # a block of the payee does not stop it
        reverse   lunch  8
        moved     REVERSAL_OWN    shop  ann  1
        moved     REVERSAL_PURSE  shop  2/0  7
        at        100
        block     ann  credit
        reverse   lunch  5
        moved     REVERSAL_PURSE  shop  2/0  3
        moved     REVERSAL_PURSE  shop  1/0  2
        moved     RETURN  1/0  treasury  2             # purse 1 ended
        unblock   shop  debit  COURT_ORDER
        refund    lunch  9                             EXCEEDS_REFUNDABLE        # both are summed
        block     treasury  credit
        refund    lunch  8
        moved     REFUND_PURSE     shop  1/0  8
        moved     RETURN_SUSPENSE  1/0   suspense  8
    """)


def test_a_reversal_debits_a_blocked_account_and_not_a_closed_one() -> None:
    play("""
        transfer  treasury  ann  10
        transfer  ann  shop  10  id=sent
        close     ann
        reverse   sent  4
        moved     REVERSAL_SUSPENSE  shop  suspense  4
        transfer  shop  bob  6
        close     shop
        reverse   sent  6  id=order                    # a closed account has no money, which is no refusal
        moved     nothing
        owed      order  6
    """)


def test_held_money_is_not_reversed() -> None:
    play("""
        transfer  treasury  shop  50  id=sent
        hold      shop  bob  30  until=100
        reverse   sent  50  id=order
        moved     REVERSAL_OWN  shop  treasury  20
        owed      order  30
        pass      100
        reverse   sent  30
        moved     REVERSAL_OWN  shop  treasury  30
    """)


def test_a_reversal_ignores_limits_and_uses_none() -> None:
    play("""
        transfer  treasury  ann  50
        pay       ann  shop  50  id=lunch
        rules     1  single=1  day=1  balance=1  reserve=50
        setrules  shop  1
        setrules  ann   1
        day       156  1 1 1
        reverse   lunch  50
        moved     REVERSAL_OWN  shop  ann  50
        used      shop  0  0  0
    """)


def test_posts_are_reversed_without_their_waterfall() -> None:
    play("""
        open      vault  VAULT
        open      way    IN_TRANSIT
        rules     1  balance=10
        setrules  ann  1
        link      ann  way
        link      way  vault
        hold      treasury  ann  30  until=100  id=room
        post      room  ann  30  id=night
        moved     PAY_OWN    treasury  ann  30
        moved     WATERFALL  ann  way  20
        reverse   night  30  id=order
        moved     REVERSAL_OWN  ann  treasury  10
        owed      order  20
    """)


def test_money_paid_to_issuance_is_reversed_in_full() -> None:
    play("""
        transfer  treasury  issuance  400  id=burnt
        reverse   burnt  400
        moved     REVERSAL_OWN  issuance  treasury  400
        supply    156  1_000
        transfer  issuance  treasury  5  id=mint
        block     issuance  credit
        reverse   mint  5
        moved     REVERSAL_SUSPENSE  treasury  issuance  5
    """)


def test_a_suspense_account_that_was_paid_reverses_to_itself() -> None:
    play("""
        transfer  treasury  ann  5
        transfer  ann  suspense  5  id=odd
        close     ann
        reverse   odd  5
        moved     REVERSAL_SUSPENSE  suspense  suspense  5
        balance   suspense  5
    """)


def test_overflow_is_checked_for_the_whole_reversal() -> None:
    play("""
        open      a  WALLET
        open      b  WALLET
        open      c  WALLET
        transfer  issuance  a  2^62
        transfer  a  b  2^62  id=all
        transfer  b  c  2^62-1
        transfer  c  b  2^62-1
        transfer  b  c  2^62-1
        reverse   all  2                               OVERFLOWS_DEBITS          # although only one is available
        reverse   all  1
        moved     REVERSAL_OWN  b  a  1
        reverse   all  1                               OVERFLOWS_DEBITS          # also for a claim
        transfer  issuance  a  2^62-1_001
        transfer  a  shop  500  id=first
        transfer  a  shop  500  id=second
        reverse   first   500
        reverse   second  500                          OVERFLOWS_CREDITS
        transfer  shop  bob  500
        reverse   second  500                          OVERFLOWS_CREDITS         # not here either
        block     a  credit
        reverse   second  500                          # the suspense account can receive
        moved     nothing
    """)


def test_several_reasons_block_an_account_together() -> None:
    play("""
        transfer  treasury  ann  10
        block     ann  debit   COURT_ORDER
        block     ann  both    DECEASED
        block     ann  debit   COURT_ORDER             # a second block for the reason has no effect
        reasons   ann  debit=COURT_ORDER,DECEASED  credit=DECEASED
        unblock   ann  debit   COURT_ORDER
        transfer  ann  bob  1                          DEBIT_ACCOUNT_BLOCKED     # the other reason remains
        unblock   ann  debit   SANCTIONS               # a reason that was never set
        unblock   ann  credit  DECEASED
        reasons   ann  debit=DECEASED
        transfer  treasury  ann  1
        transfer  ann  bob  1                          DEBIT_ACCOUNT_BLOCKED
        unblock   ann  both    DECEASED
        reasons   ann
        transfer  ann  bob  11
        block     ann  debit   REQUEST
        block     ann  credit  DORMANT
        block     ann  debit   RECOVERY
        block     ann  credit  SANCTIONS
        block     ann  both    OPERATOR
        close     ann  DECEASED
        reasons   ann  debit=REQUEST,RECOVERY,OPERATOR  credit=DORMANT,SANCTIONS,OPERATOR  closed=DECEASED
    """)


def test_blocks_stop_a_drop_and_a_claim() -> None:
    play(PACKETS).play("""
        block     bob  credit  SANCTIONS
        claim     1  Bob  bob                          CREDIT_ACCOUNT_BLOCKED
        unblock   bob  credit  SANCTIONS
        block     bob  debit   SANCTIONS
        claim     1  Bob  bob                          # it debits nothing
        pay       bob  shop  1  purses                 DEBIT_ACCOUNT_BLOCKED
        block     treasury  debit  REQUEST
        drop      1  0..2  10                          DEBIT_ACCOUNT_BLOCKED     # although no purse would be filled
        unblock   treasury  debit  REQUEST
        drop      1  0..2  10
    """)


# --- final ---


def test_a_final_transfer_is_never_reversed() -> None:
    play("""
        rules     1  flags=final
        setrules  shop  1
        transfer  treasury  ann   100
        transfer  ann       shop   40  id=settled
        pay       ann       shop   10  id=lunch
        hold      ann       shop   10  until=100  id=held
        post      held      shop   10  id=posted
        transfer  shop      bob    20  id=onward
        reverse   settled  1                           ORIGINAL_NOT_REVERSIBLE
        reverse   settled  41                          ORIGINAL_NOT_REVERSIBLE   # takes precedence over the amount
        reverse   lunch    1                           # only transfers can be final
        reverse   posted   1
        reverse   onward   1                           # only for the account with the flag
        transfer  ann  shop  999  id=poor              EXCEEDS_BALANCE
        reverse   poor  1                              ORIGINAL_WAS_REFUSED
        transfer  shop  ann  38                        # the payee may return it
    """)


def test_a_transfer_is_final_by_the_rules_of_the_time_when_it_was_received() -> None:
    play("""
        rules     1  flags=final
        rules     2
        setrules  shop  2
        transfer  treasury  shop  1  id=before
        setrules  shop  1
        transfer  treasury  shop  1  id=final
        rules     1  effective=50                      # the next version is not final
        rules     2  flags=final  effective=50
        pass      49
        transfer  treasury  shop  1  id=still
        pass      50
        transfer  treasury  shop  1  id=after
        setrules  shop  2
        transfer  treasury  shop  1  id=again
        setrules  shop  0
        transfer  treasury  shop  1  id=free
        reverse   before  1
        reverse   final   1                            ORIGINAL_NOT_REVERSIBLE
        reverse   still   1                            ORIGINAL_NOT_REVERSIBLE
        reverse   after   1
        reverse   again   1                            ORIGINAL_NOT_REVERSIBLE
        reverse   free    1
    """)


def test_a_final_transfer_of_an_undone_chain_does_not_exist() -> None:
    play("""
        rules     1  flags=final
        setrules  shop  1
        chain     id=deal
        transfer  treasury  shop  1  id=one            LINKED_FAILED
        transfer  ann  shop  1                         EXCEEDS_BALANCE
        end
        reverse   one  1                               ORIGINAL_WAS_REFUSED
        chain
        transfer  treasury  shop  1  id=two
        transfer  treasury  shop  1  id=three
        end
        reverse   two    1                             ORIGINAL_NOT_REVERSIBLE
        reverse   three  1                             ORIGINAL_NOT_REVERSIBLE
    """)
