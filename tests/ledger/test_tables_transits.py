"""Money in transit to and from banks as tables: send, confirm, reject, sweep and waterfall."""

from __future__ import annotations

from tests.ledger.table import play

WAYS = """
    open      vault  VAULT
    open      way    IN_TRANSIT
    transfer  treasury  vault  500
"""


def test_a_wallet_is_funded_from_a_vault() -> None:
    play(WAYS).play("""
        send      vault  ann  80  id=funding
        moved     SEND  vault  way  80
        moved     nothing
        transit   funding  80  OPEN  from=vault  via=way  to=ann
        balance   way  80
        pending   ann  0  80
        available ann  0
        confirm   funding
        moved     CONFIRM  way  ann  80
        transit   funding  80  CONFIRMED
        pending   ann  0  0
        balance   ann  80
        confirm   funding                              TRANSIT_DONE
        reject    funding                              TRANSIT_DONE
        confirm   nothing                              TRANSIT_NOT_FOUND
        transfer  ann  bob  1  id=sent
        reject    sent                                 TRANSIT_NOT_FOUND
    """)


def test_a_shop_is_swept_in_the_evening() -> None:
    play(WAYS).play("""
        rules     1  reserve=20
        setrules  shop  1
        send      shop  vault  2^62  upto              EXCEEDS_BALANCE           # no money to sweep
        transfer  treasury  shop  20
        send      shop  vault  2^62  upto              EXCEEDS_BALANCE           # only the reserve
        transfer  treasury  shop  100
        hold      shop  bob  7  until=100
        send      shop  vault  2^62  upto  id=sweep
        moved     SEND  shop  way  93
        transit   sweep  93  OPEN
        send      shop  vault  1  upto                 EXCEEDS_BALANCE
        send      shop  vault  1                       RESERVED_FOR_REFUNDS
        confirm   sweep
        moved     CONFIRM  way  vault  93
        balance   shop  27
        transfer  treasury  shop  50
        send      shop  vault  30  upto  id=some       # at most this amount
        moved     SEND  shop  way  30
        send      issuance  vault  5  upto             # an issuance account sends the full amount
        moved     SEND  issuance  way  5
    """)


def test_accounts_permitted_in_a_send() -> None:
    play(WAYS).play("""
        currency  978  Europe/Paris
        open      euros  SUSPENSE  currency=978
        open      zoe   WALLET      currency=978  suspense=euros
        open      tube  IN_TRANSIT  currency=978  suspense=euros
        send      nobody  ann     1                    DEBIT_ACCOUNT_NOT_FOUND
        send      vault   nobody  1                    CREDIT_ACCOUNT_NOT_FOUND
        send      vault   ann     1  via=nobody        TRANSIT_ACCOUNT_NOT_FOUND
        send      vault   ann     1  via=shop          TRANSIT_ACCOUNT_NOT_FOUND # not an IN_TRANSIT account
        send      vault   ann     1  via=tube          CURRENCIES_MUST_MATCH
        send      vault   zoe     1                    CURRENCIES_MUST_MATCH
        send      vault   vault   1                    ACCOUNTS_MUST_BE_DIFFERENT
        send      vault   way     1                    ACCOUNTS_MUST_BE_DIFFERENT
        open      other  IN_TRANSIT
        send      vault   other   1                    ACCOUNT_IS_IN_TRANSIT
        send      other   vault   1                    ACCOUNT_IS_IN_TRANSIT
        send      vault   ann   501                    EXCEEDS_BALANCE
        block     way  credit
        send      vault   ann     1                    CREDIT_ACCOUNT_BLOCKED
        block     ann  credit
        unblock   way  credit
        send      vault   ann     1                    CREDIT_ACCOUNT_BLOCKED
        block     vault  debit
        send      vault   ann     1                    DEBIT_ACCOUNT_BLOCKED
        close     way
        send      vault   ann     1                    CREDIT_ACCOUNT_CLOSED
    """)


def test_only_confirm_and_reject_move_money_in_transit() -> None:
    play(WAYS).play("""
        send      vault  ann  80
        transfer  way  bob    1                        ACCOUNT_IS_IN_TRANSIT
        transfer  vault  way  1                        ACCOUNT_IS_IN_TRANSIT
        pay       way  shop   1                        ACCOUNT_IS_IN_TRANSIT
        pay       vault  way  1                        ACCOUNT_IS_IN_TRANSIT
        hold      way  shop   1  until=9               ACCOUNT_IS_IN_TRANSIT
        hold      vault  way  1  until=9               ACCOUNT_IS_IN_TRANSIT
        stage     1  way  bob  1                       ACCOUNT_IS_IN_TRANSIT
        stage     1  vault  way  1                     ACCOUNT_IS_IN_TRANSIT
        close     way                                  ACCOUNT_NOT_EMPTY
        rules     1  return=way                        RETURN_ACCOUNT_NOT_FOUND
        rules     2  return=treasury  until=100
        programme 1  way  1  rules=2                   ACCOUNT_IS_IN_TRANSIT
        programme 1  treasury  1  rules=2
        members   1  Ann
        seal      1
        drop      1  0..1  10
        claim     1  Ann  way                          ACCOUNT_IS_IN_TRANSIT
        balance   way  80
    """)


def test_a_reject_returns_money_above_all_limits() -> None:
    play(WAYS).play("""
        rules     1  balance=100  day=100  until=1_000
        setrules  ann  1
        day       156  1 1 1
        transfer  treasury  ann  80
        send      ann  vault  70  id=out
        used      ann  70  70  70
        transfer  treasury  ann  90
        reject    out
        moved     REJECT  way  ann  70
        balance   ann  170
        used      ann   0   0   0                      # it does not count any more
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        send      vault  ann  1                        EXCEEDS_BALANCE_LIMIT
        send      ann  vault  70  id=again
        day       156  2 1 1
        pay       ann  shop  1
        at        1_000                                # the money returns although her rule set ended
        reject    again
        moved     REJECT  way  ann  70
        used      ann   1   1   1
        send      ann  vault  99  id=gone
        send      ann  vault   1                       EXCEEDS_DAY_LIMIT
        confirm   gone
        used      ann  100  100  100                   # confirmed amounts stay used
    """)


def test_money_sent_to_a_wallet_must_fit_its_limit() -> None:
    play(WAYS).play("""
        rules     1  balance=100  from=10  until=90
        setrules  ann  1
        link      ann  way
        link      way  vault
        send      vault  ann  1                        RULE_SET_NOT_IN_FORCE
        at        10
        open      bank  VAULT
        transfer  treasury  bank  200
        send      bank  ann  101                       EXCEEDS_BALANCE_LIMIT     # a waterfall does not help here
        send      bank  ann  60  id=one
        send      bank  ann  41                        EXCEEDS_BALANCE_LIMIT     # money in transit counts
        send      bank  ann  40  id=two
        at        90
        confirm   one
        confirm   two                                  # checked when sent
        balance   ann  100
    """)


def test_a_send_that_cannot_arrive_goes_to_suspense() -> None:
    play(WAYS).play("""
        send      vault  ann  30  id=in
        block     ann  credit  DECEASED
        confirm   in
        moved     CONFIRM_SUSPENSE  way  suspense  30
        transfer  treasury  bob  20
        send      bob  vault  20  id=out
        close     bob                                  # empty: the sent money left the account
        block     way  both
        reject    out                                  # blocks of the IN_TRANSIT account do not stop a reject
        moved     REJECT_SUSPENSE  way  suspense  20
        balance   suspense  50
        unblock   ann  credit  DECEASED
        balance   ann  0
    """)


def test_an_issuance_account_is_its_own_suspense_account_for_rejects() -> None:
    play(WAYS).play("""
        send      issuance  vault  30  id=mint
        block     issuance  credit
        reject    mint
        moved     REJECT_SUSPENSE  way  issuance  30
        supply    156  1_000
    """)


FULL = (
    WAYS
    + """
    rules     1  balance=100
    setrules  ann  1
    link      ann  way
    link      way  vault
"""
)


def test_the_excess_of_a_wallet_flows_to_the_bank() -> None:
    play(FULL).play("""
        transfer  treasury  ann  130  id=pay
        moved     TRANSFER   treasury  ann  130
        moved     WATERFALL  ann  way  30
        moved     nothing
        transit   pay  30  OPEN  from=ann  via=way  to=vault
        pending   vault  0  30
        balance   ann  100
        pay       treasury  ann  1  id=more            # full: all of it is excess
        moved     PAY_OWN    treasury  ann  1
        moved     WATERFALL  ann  way  1
        confirm   pay
        moved     CONFIRM  way  vault  30
        reject    more
        moved     REJECT  way  ann  1
        balance   ann  101                             # above her limit, because the bank rejected it
        pay       treasury  ann  5  id=next
        moved     PAY_OWN    treasury  ann  5
        moved     WATERFALL  ann  way  5               # at most the amount received
        balance   ann  101
        refund    next  5                              # the waterfall is not a leg
        moved     REFUND_OWN  ann  treasury  5
        balance   ann  96
        pay       treasury  ann  4
        moved     PAY_OWN    treasury  ann  4
        moved     nothing
        transit   next  5  OPEN
    """)


def test_a_post_may_overflow_and_a_bulk_post_does_not() -> None:
    play(FULL).play("""
        transfer  treasury  ann  90
        hold      treasury  ann  40  until=100  id=one
        moved     nothing
        transit   one  none
        pending   ann  0  40
        transfer  treasury  ann  5  id=five            # pending credits fill the wallet, too
        moved     TRANSFER   treasury  ann  5
        moved     WATERFALL  ann  way  5
        post      one  ann  20  id=post
        moved     PAY_OWN    treasury  ann  20
        moved     WATERFALL  ann  way  20              # 90, 20 pending and 20
        post      one  ann  5  rest  id=last
        moved     PAY_OWN    treasury  ann  5
        moved     nothing                              # the rest is released first, and then it fits
        balance   ann  95
        hold      treasury  ann  40  until=100  id=two
        postholds two  two  ann
        moved     PAY_OWN    treasury  ann  40
        moved     nothing
        balance   ann  135
        pay       treasury  ann  10
        moved     PAY_OWN    treasury  ann  10
        moved     WATERFALL  ann  way  10
    """)


def test_the_released_rest_of_a_post_uses_no_space_at_the_bank() -> None:
    """Ann may have 100, has 50, and 100 are held for her; the bank can receive 30."""
    held = (
        FULL
        + """
        transfer  treasury  ann  50
        rules     1  balance=150  effective=5
        pass      5
        hold      treasury  ann  100  until=100  id=held
        rules     1  balance=100  effective=10
        pass      10
        rules     2  balance=530
        setrules  vault  2
    """
    )
    play(held).play("""
        post      held  ann  60                        # 40 pending: 50 too much, and no waterfall
        moved     PAY_OWN    treasury  ann  60
        moved     nothing
        balance   ann  110
    """)
    play(held).play("""
        post      held  ann  60  rest                  # nothing pending: 10 too much
        moved     PAY_OWN    treasury  ann  60
        moved     WATERFALL  ann  way  10
        balance   ann  100
        pending   ann  0  0
    """)
    play(held).play("""
        post      held  ann  81  rest                  # 31 too much: the bank cannot receive it
        moved     PAY_OWN    treasury  ann  81
        moved     nothing
        balance   ann  131
    """)


def test_a_waterfall_needs_an_open_link_to_the_bank() -> None:
    play(FULL).play("""
        transfer  treasury  ann  100
        block     way  credit
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        hold      treasury  ann  1  until=9            EXCEEDS_BALANCE_LIMIT
        unblock   way  credit
        link      way  none
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        link      way  ann
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT     # it would return to her
        link      way  vault
        link      ann  none
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        link      ann  way
        block     vault  credit
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT     # the bank cannot receive it
        unblock   vault  credit
        block     way  debit
        pay       treasury  ann  1  id=flow
        moved     PAY_OWN    treasury  ann  1
        moved     WATERFALL  ann  way  1
        block     vault  credit                        # after that it is checked at the destination
        confirm   flow
        moved     CONFIRM_SUSPENSE  way  suspense  1
        close     way
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
    """)


def test_a_waterfall_does_not_return_money_to_its_payer() -> None:
    """Her limit leaves space for the excess only, which would return to her completely."""
    play(FULL).play("""
        transfer  treasury  ann  95
        link      way  ann
        pay       treasury  ann  8                     EXCEEDS_BALANCE_LIMIT
        pay       treasury  ann  5
        balance   ann  100
    """)


def test_a_post_counts_once_in_the_headroom_of_the_bank() -> None:
    play(FULL).play("""
        transfer  treasury  ann  90
        rules     2  balance=515
        setrules  vault  2                             # it has 500
        hold      treasury  ann  20  until=100  id=held
        post      held  ann  20
        moved     PAY_OWN    treasury  ann  20
        moved     WATERFALL  ann  way  10
        balance   ann  100
    """)


def test_a_waterfall_stays_within_the_limit_of_the_bank() -> None:
    play(FULL).play("""
        transfer  treasury  ann  90
        rules     2  balance=520
        setrules  vault  2
        pay       treasury  ann  31                    EXCEEDS_BALANCE_LIMIT     # the excess counts, not the payment
        pay       treasury  ann  30  id=flow
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT     # money in transit counts, too
        confirm   flow
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        rules     3  from=50
        setrules  vault  3
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT     # the bank's rule set is not in force
        at        50
        pay       treasury  ann  1
        rules     4  balance=100  flags=cash
        setrules  ann  4
        pay       treasury  ann  1                     EXCEEDS_BALANCE_LIMIT     # her rule set forbids cash-out
        setrules  ann  1
        hold      treasury  ann  5  until=90  id=held
        setrules  vault  2
        post      held  ann  5                         # checked when held; now it stays above the limit
        moved     PAY_OWN  treasury  ann  5
        moved     nothing
        balance   ann  105
    """)


def test_a_payers_bank_receives_rejected_money_above_its_limit() -> None:
    play(FULL).play("""
        rules     1  balance=100  day=1  effective=50  # a waterfall uses no limit
        pass      50
        day       156  1 1 1
        block     ann  debit  COURT_ORDER              # a block does not stop it
        pay       treasury  ann  150  id=big
        moved     PAY_OWN    treasury  ann  150
        moved     WATERFALL  ann  way  50
        used      ann  0  0  0
        reject    big
        moved     REJECT  way  ann  50
        balance   ann  150
        used      ann  0  0  0
    """)


def test_links_connect_accounts_transit_accounts_and_banks() -> None:
    play(WAYS).play("""
        open      other  IN_TRANSIT
        currency  978  Europe/Paris
        open      euros  SUSPENSE  currency=978
        open      tube  IN_TRANSIT  currency=978  suspense=euros
        link      ann    vault                         LINK_KIND_WRONG
        link      way    other                         LINK_KIND_WRONG
        link      ann    tube                          CURRENCIES_MUST_MATCH
        link      nobody way                           ACCOUNT_NOT_FOUND
        link      ann    nobody                        CREDIT_ACCOUNT_NOT_FOUND
        link      ann    ann                           ACCOUNTS_MUST_BE_DIFFERENT
        link      ann    way
        link      way    vault
        link      suspense  way                        # every account may have a link
        close     bob
        link      bob    way                           ACCOUNT_CLOSED
        link      bob    none                          ACCOUNT_CLOSED
        link      way    bob                           # a closed destination sends money to suspense
        link      ann    none
        link      ann    none
    """)


def test_transit_accounts_overflow_too() -> None:
    play(FULL).play("""
        open      rich  VAULT
        open      poor  WALLET
        transfer  issuance  rich  2^62-1
        send      rich  poor  2^62-1  id=big
        reject    big
        transfer  rich  treasury  2^62-1
        transfer  treasury  ann  100
        send      treasury  poor  2^62+1               OVERFLOWS_CREDITS         # 2^62-1 passed through it before
        transfer  treasury  ann   2^62+1               EXCEEDS_BALANCE_LIMIT     # a waterfall is not possible
        transfer  treasury  ann   2^62
        moved     TRANSFER   treasury  ann  2^62
        moved     WATERFALL  ann  way  2^62
    """)


def test_a_waterfall_is_not_possible_where_the_banks_sum_would_overflow() -> None:
    play(FULL).play("""
        open      rich  FUNDER
        open      poor  WALLET
        transfer  issuance  rich   2^62
        transfer  rich      vault  2^62
        transfer  vault     poor   2^62
        transfer  treasury  ann    100
        transfer  poor      ann    2^62                EXCEEDS_BALANCE_LIMIT     # the bank received 2^62 and 500 before
        transfer  poor      ann    2^62-501
        moved     TRANSFER   poor  ann  2^62-501
        moved     WATERFALL  ann   way  2^62-501
        transfer  treasury  ann    1                   EXCEEDS_BALANCE_LIMIT
    """)
