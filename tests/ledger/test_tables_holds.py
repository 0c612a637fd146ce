"""Holds as tables: reserved money, posts in parts, release at the exact nanosecond."""

from __future__ import annotations

from tests.ledger.table import play
from tests.ledger.test_tables_programmes import PACKETS

RICH = """
    transfer  treasury  ann  100
    transfer  treasury  bob  100
"""


def test_a_hold_reserves_money_until_it_is_posted() -> None:
    play(RICH).play("""
        hold      ann  shop  60  until=100  id=room
        moved     nothing
        held      room  60  OPEN  own=60  until=100
        balance   ann  100
        available ann  40
        pending   ann   60   0
        pending   shop   0  60
        transfer  ann  bob  41                         EXCEEDS_BALANCE
        transfer  ann  bob  40
        close     shop                                 ACCOUNT_NOT_EMPTY         # pending credits
        post      room  bob   10                       NOT_A_PARTY_TO_HOLD
        post      room  shop  61                       EXCEEDS_HELD
        post      room  shop  25  id=night
        moved     PAY_OWN  ann  shop  25
        moved     nothing
        held      room  35  OPEN  own=35
        post      room  shop  36                       EXCEEDS_HELD
        post      room  ann   30                       # the payer may post
        moved     PAY_OWN  ann  shop  30
        pending   ann    5   0
        pending   shop   0   5
        post      room  shop   5
        held      room   0  POSTED
        pending   ann    0   0
        pending   shop   0   0
        post      room  shop   1                       HOLD_DONE
        void      room  shop                           HOLD_DONE
        extend    room  ann  200                       HOLD_DONE
        refund    night  26                            EXCEEDS_REFUNDABLE
        refund    night  25
        moved     REFUND_OWN  shop  ann  25
        refund    room  1                              ORIGINAL_IS_NOT_A_PAY
        reverse   room  1                              ORIGINAL_NOT_REVERSIBLE
    """)


def test_only_the_payee_voids_a_two_party_hold() -> None:
    play(RICH).play("""
        hold      ann  shop  60  until=100  id=room
        void      room  ann                            NOT_A_PARTY_TO_HOLD
        void      room  bob                            NOT_A_PARTY_TO_HOLD
        void      nothing  shop                        HOLD_NOT_FOUND
        pay       ann  shop  1  id=paid
        void      paid  shop                           HOLD_NOT_FOUND            # that operation is not a HOLD
        post      paid  shop  1                        HOLD_NOT_FOUND
        extend    paid  ann  5                         HOLD_NOT_FOUND
        hold      ann  shop  60  until=100  id=late    EXCEEDS_BALANCE
        post      late  shop  1                        HOLD_NOT_FOUND            # that hold was refused
        void      room  shop
        moved     nothing
        held      room  0  VOIDED
        available ann   99
        pending   shop   0   0
        void      room  shop                           HOLD_DONE
    """)


def test_the_last_post_releases_the_rest_of_a_hold() -> None:
    play(RICH).play("""
        hold      ann  shop  60  until=100  id=tank
        post      tank  shop  17  rest
        moved     PAY_OWN  ann  shop  17
        moved     nothing
        held      tank  0  POSTED
        available ann   83
        pending   shop   0   0
        hold      ann  shop  60  until=100  id=all
        post      all  shop  60  rest                  # the hold has no rest
        held      all  0  POSTED
    """)


def test_a_hold_ends_at_its_exact_nanosecond() -> None:
    play(RICH).play("""
        at        50
        hold      ann  shop  60  until=50              HOLD_MUST_END_LATER
        hold      ann  shop  60  until=49              HOLD_MUST_END_LATER
        due       nothing
        hold      ann  shop  60  until=100  id=first
        hold      ann  shop  40  until=51   id=short
        due       51
        pass      51
        held      short  0  TIMED_OUT
        held      first  60
        due       100
        at        99
        post      first  shop  10
        available ann  40
        pass      100
        held      first  0  TIMED_OUT
        due       nothing
        available ann  90
        pending   shop  0  0
        post      first  shop  1                       HOLD_TIMED_OUT
        void      first  shop                          HOLD_TIMED_OUT
        extend    first  ann  200                      HOLD_TIMED_OUT
    """)


def test_time_passes_before_a_frames_first_operation() -> None:
    play(RICH).play("""
        hold      ann  shop  100  until=100  id=first
        at        100
        transfer  ann  bob  100                        # the held money is available again
        held      first  0  TIMED_OUT
    """)


def test_a_hold_is_extended_by_its_payer() -> None:
    play(RICH).play("""
        hold      ann  shop  60  until=100  id=stay
        extend    stay  shop  200                      NOT_A_PARTY_TO_HOLD
        extend    stay  ann   100                      HOLD_MUST_END_LATER
        extend    stay  ann    99                      HOLD_MUST_END_LATER
        extend    stay  ann   101
        extend    stay  ann   150
        pass      100
        due       150
        held      stay  60  OPEN  until=150
        pass      149
        held      stay  60
        pass      150
        held      stay  0  TIMED_OUT
    """)


def test_a_hold_ends_when_the_first_of_its_purses_does() -> None:
    play(PACKETS).play("""
        hold      ann  shop  22  until=500  id=meal
        held      meal  22  OPEN  own=2  until=100     # purse 1 ends then
        purse     1 0  0  CLAIMED  pending=10
        purse     2 0  0  CLAIMED  pending=10
        pending   ann   2   0
        pending   shop  0  22
        pay       ann  shop  1  purses                 EXCEEDS_BALANCE
        extend    meal  ann  300                       HOLD_MUST_END_LATER
        post      meal  shop  12
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  2/0  shop   2
        moved     nothing
        extend    meal  ann  300                       HOLD_MUST_END_LATER       # purse 1 still counts
        pass      100
        held      meal  0  TIMED_OUT
        purse     1 0  0  CLAIMED  spent=10  pending=0
        purse     2 0  8  CLAIMED  spent=2   pending=0
        available ann   5
    """)


def test_a_held_purse_is_released_before_it_is_returned() -> None:
    play(PACKETS).play("""
        hold      ann  shop  4  purses  until=500  id=meal
        held      meal  4  OPEN  own=0  until=100
        at        100
        expire    1  0..2
        moved     RETURN  1/0  treasury  10
        moved     RETURN  1/1  treasury  10
        held      meal  0  TIMED_OUT
        hold      ann  shop  10  until=500  id=next    # purse 2 is the first to end now
        held      next  10  OPEN  own=0  until=200
        extend    next  ann  600                       HOLD_MUST_END_LATER
        void      next  shop
        hold      ann  shop  1  own  until=150  id=own
        held      own  1  OPEN  own=1  until=150
        extend    own  ann  600                        # own money has no end
        held      own  1  OPEN  own=1  until=600
    """)


def test_money_that_a_hold_uses() -> None:
    play(PACKETS).play("""
        hold      ann  shop  21  purses  until=99      EXCEEDS_BALANCE
        hold      ann  shop  20  purses  until=99  id=purses
        hold      ann  shop   6  own     until=99      EXCEEDS_BALANCE
        hold      ann  shop   5  own     until=99  id=own
        hold      ann  shop   1          until=99      EXCEEDS_BALANCE
        post      own  shop   5
        moved     PAY_OWN    ann  shop   5
        post      purses  shop  20  id=paid
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  2/0  shop  10
        refund    paid  12                             # purses in reverse order
        moved     REFUND_PURSE  shop  2/0  10
        moved     REFUND_PURSE  shop  1/0   2
        hold      ann  cafe   2  purses  until=99  id=cafe
        held      cafe  2  OPEN  own=0  until=99
        purse     1 0  0  CLAIMED  pending=2           # purse 2 does not permit the cafe
    """)


def test_a_third_account_releases_a_hold() -> None:
    play(RICH).play("""
        hold      ann  shop  50  until=100  third=nobody                         RELEASER_NOT_FOUND
        hold      ann  shop  50  until=100  third=bob  id=deal
        post      deal  ann   1                        NOT_A_PARTY_TO_HOLD
        post      deal  shop  1                        NOT_A_PARTY_TO_HOLD
        void      deal  ann                            NOT_A_PARTY_TO_HOLD
        extend    deal  bob  200                       NOT_A_PARTY_TO_HOLD
        extend    deal  ann  200
        post      deal  bob  20
        moved     PAY_OWN  ann  shop  20
        void      deal  bob
        held      deal  0  VOIDED
        hold      ann  shop  50  until=100  third=ann   id=trust
        void      trust  ann                           # no third account: she decides
        hold      ann  shop  50  until=100  third=bob   id=gift
        void      gift  shop                           # the payee may always void
        held      gift  0  VOIDED
    """)


def test_a_secret_releases_a_hold() -> None:
    play(RICH).play("""
        hold      ann  shop  50  until=100  lock=sesame  id=swap
        post      swap  shop  50                       PREIMAGE_DIFFERS
        post      swap  shop  50  secret=open          PREIMAGE_DIFFERS
        post      swap  ann   50  secret=sesame        NOT_A_PARTY_TO_HOLD
        void      swap  ann                            NOT_A_PARTY_TO_HOLD
        post      swap  shop  20  secret=sesame
        moved     PAY_OWN  ann  shop  20
        post      swap  shop  31  secret=sesame        EXCEEDS_HELD
        void      swap  shop
        post      swap  shop   1  secret=open          PREIMAGE_DIFFERS          # takes precedence over HOLD_DONE
        post      swap  shop   1  secret=sesame        HOLD_DONE
        hold      ann  shop  10  until=100  id=plain
        post      plain  shop  5  secret=sesame        PREIMAGE_DIFFERS          # the hold has no hash
        post      plain  shop  5
        hold      ann  shop  10  until=100  lock=0  id=zero
        post      zero  shop  10  secret=0             # 32 zero bytes are a valid secret
    """)


def test_two_holds_under_one_secret_swap_two_currencies() -> None:
    play(RICH).play("""
        currency  978  Europe/Paris
        open      mint   ISSUANCE  currency=978
        open      euros  SUSPENSE  currency=978
        open      anna   WALLET    currency=978  suspense=euros
        open      bert   WALLET    currency=978  suspense=euros
        transfer  mint  bert  50
        hold      ann   bob   100  until=200  lock=sesame  id=yuan
        hold      bert  anna   50  until=100  lock=sesame  id=euro
        post      euro  anna   50  secret=sesame
        post      yuan  bob   100  secret=sesame
        balance   anna  50
        balance   bob  200
    """)


def test_blocked_accounts_and_their_holds() -> None:
    play(RICH).play("""
        hold      ann  shop  50  until=100  id=deal
        block     ann  debit  COURT_ORDER
        post      deal  shop  1                        DEBIT_ACCOUNT_BLOCKED
        block     shop  credit  COURT_ORDER
        post      deal  shop  1                        DEBIT_ACCOUNT_BLOCKED
        unblock   ann  debit  COURT_ORDER
        post      deal  shop  1                        CREDIT_ACCOUNT_BLOCKED
        close     ann                                  ACCOUNT_NOT_EMPTY
        extend    deal  ann  150
        void      deal  shop                           # a release is never blocked
        hold      ann  shop  50  until=100             CREDIT_ACCOUNT_BLOCKED
        unblock   shop  credit  COURT_ORDER
        hold      ann  shop  50  until=300  id=next
        block     ann   both  SANCTIONS
        block     shop  both  SANCTIONS
        pass      300
        held      next  0  TIMED_OUT
    """)


MANY = (
    RICH
    + """
    hold      ann  shop  10  until=100  id=one
    hold      bob  shop  11  until=100  id=two
    hold      ann  cafe  12  until=100  id=other                                 # of another payee
    hold      ann  shop  13  until=100  id=third   third=cafe
    hold      ann  shop  14  until=100  id=locked  lock=sesame
    hold      bob  shop  15  until=100  id=voided
    void      voided  shop
    hold      ann  shop  16  until=10   id=short
    hold      bob  shop  17  until=100  id=part
    post      part  shop  7
    hold      ann  shop  18  until=100  id=last
    at        10
"""
)


def test_a_shop_posts_all_its_holds_at_once() -> None:
    play(MANY).play("""
        postholds last  one   shop                     HOLDS_OUT_OF_ORDER
        postholds one   none  shop                     HOLD_NOT_FOUND
        postholds none  last  shop                     HOLD_NOT_FOUND
        postholds two   two   shop
        moved     PAY_OWN  bob  shop  11
        postholds one   last  shop
        moved     PAY_OWN  ann  shop  10
        moved     PAY_OWN  bob  shop  10               # the rest
        moved     PAY_OWN  ann  shop  18
        moved     nothing
        held      one     0  POSTED
        held      other  12
        held      third  13
        held      locked 14
        held      voided  0  VOIDED
        held      short   0  TIMED_OUT
        held      part    0  POSTED
        postholds one   last  shop                     # nothing left to post
        moved     nothing
        postholds one   last  cafe                     # payee of one, third account of another
        moved     PAY_OWN  ann  cafe  12
        moved     PAY_OWN  ann  shop  13
        postholds one   last  nobody                   # not a party to any hold
        moved     nothing
    """)


def test_bulk_posts_skip_blocked_accounts() -> None:
    play(MANY).play("""
        block     bob  debit
        postholds one  last  shop
        moved     PAY_OWN  ann  shop  10
        moved     PAY_OWN  ann  shop  18
        moved     nothing
        held      two  11
        unblock   bob  debit
        block     shop  credit
        postholds one  last  shop
        moved     nothing
        unblock   shop  credit
        postholds one  last  bob                       # a payer may post too
        moved     PAY_OWN  bob  shop  11
        moved     PAY_OWN  bob  shop  10
        moved     nothing
    """)


def test_a_shop_voids_all_its_holds_at_once() -> None:
    play(MANY).play("""
        voidholds last  one  shop                      HOLDS_OUT_OF_ORDER
        voidholds one   none shop                      HOLD_NOT_FOUND
        voidholds one   last  ann                      # a payer may not void
        held      one  10
        block     shop  both
        voidholds one  last  shop
        moved     nothing
        held      one     0  VOIDED
        held      two     0  VOIDED
        held      other  12
        held      third   0  VOIDED                    # the payee is the shop, the third account the cafe
        held      locked  0  VOIDED                    # a hash-locked hold is voided by its payee, too
        held      short   0  TIMED_OUT
        held      part    0  VOIDED
        held      last    0  VOIDED
        pending   shop  0   0
        pending   cafe  0  12
        voidholds one  last  cafe
        pending   cafe  0   0
        pending   ann   0   0
    """)


def test_bulk_posts_use_purses_and_number_their_movements() -> None:
    table = play(PACKETS).play("""
        hold      ann  shop  12  until=90  id=one
        hold      ann  shop   9  until=90  id=two
        postholds one  two  shop
        moved     PAY_PURSE  1/0  shop  10
        moved     PAY_PURSE  2/0  shop   2
        moved     PAY_PURSE  2/0  shop   8
        moved     PAY_OWN    ann  shop   1
        moved     nothing
    """)
    assert [movement.leg for movement in table.sides.twin.movements[-4:]] == [0, 1, 2, 3]


def test_a_bulk_post_is_refunded_by_the_id_of_its_hold() -> None:
    play(PACKETS).play("""
        hold      ann  shop  12  until=90  id=one
        hold      ann  shop   9  until=90  id=two
        hold      ann  shop   1  until=90  id=alone
        refund    one  1                               ORIGINAL_IS_NOT_A_PAY     # not posted yet
        reverse   one  1                               ORIGINAL_NOT_REVERSIBLE
    """)
    play(PACKETS).play("""
        rules     3  window=1
        setrules  shop  3
        hold      ann  shop  12  until=90  id=one
        hold      ann  shop   9  until=90  id=two
        hold      ann  shop   1  until=90  id=alone
        post      two  shop  3
        post      alone  shop  1
        at        80
        postholds one  alone  shop
        refund    one  13                              EXCEEDS_REFUNDABLE
        refund    one  3
        moved     REFUND_PURSE  shop  2/0  2
        moved     REFUND_PURSE  shop  1/0  1
        refund    two  7                               EXCEEDS_REFUNDABLE        # 3 of it were posted under another id
        reverse   two  6
        moved     REVERSAL_OWN    shop  ann  1
        moved     REVERSAL_PURSE  shop  2/0  5
        refund    alone  1                             ORIGINAL_IS_NOT_A_PAY
        at        1_000_000_079
        refund    one  1
        at        1_000_000_080                        # one second after the post, not after the hold
        refund    one  1                               REFUND_WINDOW_CLOSED
    """)


def test_an_issuance_account_holds_without_limit() -> None:
    play("""
        hold      issuance  shop  500  until=100  id=credit
        available issuance  -1_500
        post      credit  shop  400  rest
        supply    156  1_400
    """)


def test_held_amounts_count_in_overflow_checks() -> None:
    play("""
        open      a  WALLET
        open      b  WALLET
        transfer  issuance  a  2^62
        hold      a  b  2^62  until=100  id=big
        pay       a  b  2^62                           OVERFLOWS_DEBITS          # 2^63 exceeds the maximum by one
        pay       a  b  2^62-1                         EXCEEDS_BALANCE
        hold      issuance  b  2^62  until=100         OVERFLOWS_DEBITS          # it paid 2^62 and 1_000 before
        hold      issuance  b  2^62-1-1_000  until=100
        pay       treasury  b  1_001                   OVERFLOWS_CREDITS         # pending credits count
        pay       treasury  b  1_000
        void      big  b
        pay       treasury  b  1                       EXCEEDS_BALANCE
    """)
