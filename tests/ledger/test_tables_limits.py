"""Rule sets as tables: limits to the minor unit, periods to their end, and permitted payees."""

from __future__ import annotations

from tests.ledger.table import play
from tests.ledger.test_tables_programmes import PACKETS

LIMITED = """
    rules     1  single=50  day=100  month=150  year=180
    setrules  ann  1
    transfer  treasury  ann  500
    day       156  1 1 1
"""


def test_day_month_and_year_limits_are_exact() -> None:
    play(LIMITED).play("""
        pay       ann  shop  501                       EXCEEDS_BALANCE           # takes precedence over the limits
        pay       ann  shop  51                        EXCEEDS_SINGLE_LIMIT
        pay       ann  shop  50
        used      ann   50   50   50
        transfer  ann  bob   49
        transfer  ann  bob    2                        EXCEEDS_DAY_LIMIT
        transfer  ann  bob    1
        transfer  ann  bob    1                        EXCEEDS_DAY_LIMIT
        used      ann  100  100  100
        day       156  2 1 1
        transfer  ann  bob   51                        EXCEEDS_SINGLE_LIMIT
        used      ann  100  100  100                   # a refusal changes nothing
        transfer  ann  bob   50
        used      ann   50  150  150
        transfer  ann  bob    1                        EXCEEDS_MONTH_LIMIT
        day       156  3 2 1
        transfer  ann  bob   31                        EXCEEDS_YEAR_LIMIT
        transfer  ann  bob   30
        used      ann   30   30  180
        transfer  ann  bob    1                        EXCEEDS_YEAR_LIMIT
        day       156  4 2 2                           # a new year with the same month number
        transfer  ann  bob   50
        used      ann   50   80   50
    """)


def test_a_day_ends_by_the_calendar_and_never_repeats() -> None:
    play(LIMITED).play("""
        pay       ann  shop  50
        day       156  2 1 1
        pay       ann  shop  50
        pay       ann  shop  50
        day       156  1 1 1                           # an earlier day number restores no limit
        pay       ann  shop   1                        EXCEEDS_DAY_LIMIT
        day       156  2 1 1
        pay       ann  shop   1                        EXCEEDS_DAY_LIMIT
    """)


def test_a_month_and_a_year_never_repeat() -> None:
    for period in ("month", "year"):
        play(f"""
            rules     1  {period}=60
            setrules  ann  1
            transfer  treasury  ann  500
            day       156  5 3 2
            pay       ann  shop  40
            day       156  4 2 1                       # all three numbers are earlier
            pay       ann  shop  21                    EXCEEDS_{period.upper()}_LIMIT
            pay       ann  shop  10
            used      ann   50   50   50
            day       156  5 3 2
            pay       ann  shop  11                    EXCEEDS_{period.upper()}_LIMIT
            pay       ann  shop  10
            used      ann   60   60   60
        """)


def test_each_currency_has_its_own_day() -> None:
    play(LIMITED).play("""
        currency  978  Europe/Paris
        open      mint   ISSUANCE  currency=978
        open      euros  SUSPENSE  currency=978
        open      zoe    WALLET    currency=978  suspense=euros  rules=1
        open      paul   WALLET    currency=978  suspense=euros
        transfer  mint  zoe  500
        pay       zoe  paul  50                        # its day is 0 in the defining frame and later
        pay       ann  shop  50
        day       978  1 1 1
        pay       zoe  paul  50
        pay       zoe  paul  50
        pay       zoe  paul   1                        EXCEEDS_DAY_LIMIT
        used      zoe  100  100  100
        used      ann   50   50   50
    """)


def test_an_account_without_a_rule_set_uses_no_limit() -> None:
    play("""
        transfer  treasury  ann  500
        day       156  1 1 1
        pay       ann  shop  200
        used      ann    0    0    0
        rules     1  day=100  month=100
        setrules  ann  1
        pay       ann  shop  100
        used      ann  100  100  100
        setrules  ann  0
        pay       ann  shop  100                       # without limits nothing is counted
        used      ann  100  100  100
        rules     2  day=150  month=150
        setrules  ann  2
        pay       ann  shop   51                       EXCEEDS_DAY_LIMIT         # the amount used today remains
        pay       ann  shop   50
        setrules  ann  3                               RULE_SET_NOT_FOUND
        setrules  nobody  2                            ACCOUNT_NOT_FOUND
        close     bob
        setrules  bob  2                               ACCOUNT_CLOSED
    """)


def test_a_hold_uses_its_limit_at_once_and_restores_it_within_its_period() -> None:
    play(LIMITED).play("""
        hold      ann  shop  51  until=500             EXCEEDS_SINGLE_LIMIT
        hold      ann  shop  50  until=500  id=one
        hold      ann  shop  50  until=500  id=two
        hold      ann  shop   1  until=500             EXCEEDS_DAY_LIMIT
        used      ann  100  100  100
        void      one  shop
        used      ann   50   50   50
        day       156  2 1 1
        post      two  shop  10                        # a post uses no further limit
        used      ann   50   50   50
        pay       ann  shop  30
        used      ann   30   80   80
        void      two  shop                            # the hold was yesterday: only month and year are restored
        used      ann   30   40   40
    """)


def test_a_hold_that_times_out_restores_the_current_periods_only() -> None:
    play(LIMITED).play("""
        hold      ann  shop  50  until=500  id=one
        hold      ann  shop  40  until=600  id=two
        day       156  2 1 1
        pass      500                                  # a new day without use so far
        used      ann   40   40   40
        day       156  3 2 1
        pay       ann  shop  5
        used      ann    5    5   45
        pass      600
        used      ann    5    5    5
    """)


def test_the_released_rest_of_a_post_restores_its_limit() -> None:
    play(LIMITED).play("""
        hold      ann  shop  50  until=500  id=one
        post      one  shop  20  rest
        used      ann   20   20   20
        hold      ann  shop  50  until=500  id=two
        setrules  ann  0
        void      two  shop                            # it was counted, whatever her rule set is now
        used      ann   20   20   20
        hold      ann  shop  50  until=500  id=three   # this one was not counted
        setrules  ann  1
        void      three  shop
        used      ann   20   20   20
    """)


def test_purse_money_is_not_counted_against_the_wallet() -> None:
    play(PACKETS).play("""
        rules     3  single=2  day=3  balance=5
        setrules  ann  3
        pay       ann  shop  22
        used      ann    2    2    2
        hold      ann  shop   2  until=90              EXCEEDS_DAY_LIMIT
        refund    nothing  1                           ORIGINAL_NOT_FOUND
        transfer  treasury  ann  2                     # 3 of own money are left, 2 within the limit
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
    """)


def test_a_balance_limit_is_exact() -> None:
    play("""
        rules     1  balance=100
        setrules  ann  1
        transfer  treasury  ann  101                   EXCEEDS_BALANCE_LIMIT
        transfer  treasury  ann  60
        pay       treasury  ann  41                    EXCEEDS_BALANCE_LIMIT
        hold      treasury  ann  41  until=100         EXCEEDS_BALANCE_LIMIT
        hold      treasury  ann  30  until=100  id=pay
        pay       treasury  ann  11                    EXCEEDS_BALANCE_LIMIT     # money in transit counts
        pay       treasury  ann  10  id=gift
        post      pay  ann  30                         # checked when held
        balance   ann  100
        pay       ann  shop  100  id=lunch
        transfer  treasury  ann  100
        refund    lunch  100                           # returned money is not limited
        balance   ann  200
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        transfer  ann  bob  101
        transfer  treasury  ann  1
    """)


def test_an_account_out_of_force_can_only_spend() -> None:
    play("""
        rules     1  from=50  until=100
        setrules  ann  1
        at        49
        transfer  treasury  ann  10                    RULE_SET_NOT_IN_FORCE
        pay       treasury  ann  10                    RULE_SET_NOT_IN_FORCE
        hold      treasury  ann  10  until=90          RULE_SET_NOT_IN_FORCE
        at        50
        transfer  treasury  ann  10
        at        99
        pay       treasury  ann  10  id=gift
        hold      treasury  ann  10  until=200  id=late
        at        100
        pay       treasury  ann  10                    RULE_SET_NOT_IN_FORCE
        post      late  ann  10                        # scheduled earlier
        pay       ann  shop  5   id=lunch
        refund    lunch  5
        transfer  ann  bob  30
    """)


def test_payees_of_a_group_are_distinguished() -> None:
    """Payees are numbered in order of joining, and 64 of them share a word of bits: 33 and 65 differ from 1."""
    shops = [f"shop{number}" for number in range(1, 67)]
    opened = "".join(f"open {shop} MERCHANT\n" for shop in shops)
    groups = "group 1\ngroup 2\n" + "".join(f"join {1 + number % 2} {shop}\n" for number, shop in enumerate(shops))
    moves = "leave 1 shop1\njoin 2 shop1\nleave 2 shop34\njoin 1 shop34\n"
    table = play(opened + groups + moves + "rules 1 groups=1\ntransfer treasury ann 100\nsetrules ann 1")
    for number, shop in enumerate(shops, 1):
        is_in_group = number == 34 or (number % 2 and number != 1)
        table.play(f"pay ann {shop} 1 {'CREATED' if is_in_group else 'PAYEE_NOT_ALLOWED'}")


def test_payees_permitted_for_own_money() -> None:
    play("""
        group     1
        join      1  shop
        open      vault    VAULT
        open      reserve  RESERVE
        open      way      IN_TRANSIT
        rules     1  groups=1
        rules     2  flags=persons
        rules     3  flags=cash
        transfer  treasury  ann  100
        setrules  ann  1
        transfer  ann  cafe  1                         PAYEE_NOT_ALLOWED
        pay       ann  bob   1                         PAYEE_NOT_ALLOWED
        hold      ann  cafe  1  until=9                PAYEE_NOT_ALLOWED
        send      ann  vault 1                         PAYEE_NOT_ALLOWED
        stage     1  ann  cafe  1                      PAYEE_NOT_ALLOWED
        pay       ann  shop  1
        setrules  ann  2
        transfer  ann  bob   1                         PERSONS_NOT_ALLOWED
        pay       ann  bob   1                         PERSONS_NOT_ALLOWED
        hold      ann  bob   1  until=9                PERSONS_NOT_ALLOWED
        send      ann  bob   1                         PERSONS_NOT_ALLOWED
        stage     1  ann  bob  1                       PERSONS_NOT_ALLOWED
        pay       ann  cafe  1
        pay       ann  vault 1
        setrules  ann  3
        transfer  ann  vault    1                      CASH_OUT_NOT_ALLOWED
        pay       ann  reserve  1                      CASH_OUT_NOT_ALLOWED
        hold      ann  vault    1  until=9             CASH_OUT_NOT_ALLOWED
        send      ann  vault    1                      CASH_OUT_NOT_ALLOWED
        stage     1  ann  reserve  1                   CASH_OUT_NOT_ALLOWED
        pay       ann  bob      1
        rules     4  groups=1  flags=persons,cash
        setrules  ann  4
        join      1  bob
        join      1  vault
        pay       ann  cafe  1                         PAYEE_NOT_ALLOWED
        pay       ann  bob   1                         PERSONS_NOT_ALLOWED
        pay       ann  vault 1                         CASH_OUT_NOT_ALLOWED
        pay       ann  shop  1
    """)


def test_payees_permitted_for_purse_money() -> None:
    play("""
        open      vault  VAULT
        rules     1  until=100  return=treasury  flags=persons
        rules     2  until=100  return=treasury  flags=cash
        programme 1  treasury  1
        programme 2  treasury  1
        members   1  Ann
        members   2  Ann
        seal      1
        seal      2
        drop      1  0..1  10
        drop      2  0..1  10
        claim     1  Ann  ann
        claim     2  Ann  ann
        pay       ann  bob    11                       EXCEEDS_BALANCE
        pay       ann  bob     5
        moved     PAY_PURSE  2/0  bob    5
        pay       ann  vault   5
        moved     PAY_PURSE  1/0  vault  5
        hold      ann  vault   6  until=90             EXCEEDS_BALANCE
        pay       ann  shop   10
        moved     PAY_PURSE  1/0  shop   5
        moved     PAY_PURSE  2/0  shop   5
    """)


def test_limits_of_one_pay_and_one_drop_of_a_purse() -> None:
    play("""
        rules     1  until=100  return=treasury  single=4  balance=9  day=1  month=1  year=1  reserve=50
        programme 1  treasury  2
        members   1  Ann Bob
        seal      1
        drop      1  0..2  10                          EXCEEDS_BALANCE_LIMIT
        drop      1  0..2  600                         EXCEEDS_BALANCE           # takes precedence
        drop      1  0..2  9
        drop      1  0..2  10                          EXCEEDS_BALANCE_LIMIT     # although no purse would be filled
        drop      1  0..2  9
        moved     nothing
        claim     1  Ann  ann
        transfer  treasury  ann  100
        pay       ann  shop  6
        moved     PAY_PURSE  1/0  shop  4
        moved     PAY_OWN    ann  shop  2
        hold      ann  shop  5  purses  until=90       EXCEEDS_BALANCE
        hold      ann  shop  4  purses  until=90
        purse     1 0  1  CLAIMED  spent=4  pending=4
        pay       ann  shop  3
        moved     PAY_PURSE  1/0  shop  1
        moved     PAY_OWN    ann  shop  2
    """)


def test_rules_change_at_a_stated_time() -> None:
    play(LIMITED).play("""
        at        100
        rules     1  single=50  day=60  month=150  year=180  effective=100       RULE_SET_EXISTS
        rules     2  single=50  effective=101                                    RULE_SET_NOT_FOUND
        rules     1  single=50  day=60  effective=200  until=500                 RULE_SET_MUST_KEEP_WINDOW
        rules     1  single=50  day=60  effective=200  from=1                    RULE_SET_MUST_KEEP_WINDOW
        rules     1  single=50  day=60  effective=200  return=shop               RULE_SET_MUST_KEEP_WINDOW
        rules     1  single=50  day=60  effective=200  groups=7                  GROUP_NOT_FOUND
        rules     1  single=50  day=60  effective=200
        due       200
        pay       ann  shop  50
        at        199
        pay       ann  shop  50                        # at most 100 until then
        day       156  2 1 1
        pay       ann  shop  50
        at        200
        pay       ann  shop  11                        EXCEEDS_DAY_LIMIT
        pay       ann  shop  10
        used      ann   60  160  160                   # month and year have no limit now
        due       nothing
    """)


def test_the_last_scheduled_version_counts() -> None:
    play(LIMITED).play("""
        rules     1  single=10  effective=200
        rules     1  single=20  effective=150          # replaces it, although earlier
        due       150
        at        150
        pay       ann  shop  21                        EXCEEDS_SINGLE_LIMIT
        pay       ann  shop  20
        at        200
        pay       ann  shop  20                        # the first change has no effect
        rules     1  single=30  effective=300
        pass      1_000                                # a later frame applies it, too
        pay       ann  shop  30
        pay       ann  shop  31                        EXCEEDS_SINGLE_LIMIT
    """)


def test_a_balance_above_a_new_limit_stays_and_can_only_shrink() -> None:
    play("""
        rules     1  balance=100  day=100
        setrules  ann  1
        transfer  treasury  ann  90
        day       156  1 1 1
        pay       ann  shop  10
        rules     1  balance=50  day=5  effective=200
        pass      200
        balance   ann  80
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        pay       ann  shop  1                         EXCEEDS_DAY_LIMIT
        day       156  2 1 1
        pay       ann  shop  5
        day       156  3 1 1
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        setrules  ann  0
        transfer  ann  bob  25
        setrules  ann  1
        balance   ann  50
        transfer  treasury  ann  1                     EXCEEDS_BALANCE_LIMIT
        pay       ann  shop  1
        transfer  treasury  ann  1
    """)


def test_a_programmes_rules_change_too_but_for_its_window() -> None:
    play("""
        group     1
        join      1  shop
        rules     1  until=500  return=treasury
        programme 1  treasury  1
        members   1  Ann
        seal      1
        drop      1  0..1  10
        claim     1  Ann  ann
        rules     1  until=500  return=treasury  groups=1  single=3  effective=100
        rules     1  until=501  return=treasury  groups=1  effective=100         RULE_SET_MUST_KEEP_WINDOW
        pay       ann  cafe  5
        at        100
        pay       ann  cafe  1                         EXCEEDS_BALANCE
        pay       ann  shop  4                         EXCEEDS_BALANCE
        pay       ann  shop  3
    """)


def test_a_merchant_keeps_its_refund_reserve() -> None:
    play("""
        rules     1  reserve=20
        setrules  shop  1
        transfer  treasury  ann  100
        pay       ann  shop  50  id=lunch
        transfer  shop  bob  51                        EXCEEDS_BALANCE
        transfer  shop  bob  31                        RESERVED_FOR_REFUNDS
        pay       shop  bob  31                        RESERVED_FOR_REFUNDS
        hold      shop  bob  31  until=90              RESERVED_FOR_REFUNDS
        hold      shop  bob  10  until=90
        transfer  shop  bob  21                        RESERVED_FOR_REFUNDS      # held money is not available
        transfer  shop  bob  20
        refund    lunch  20                            # the purpose of the reserve
        balance   shop  10
        transfer  shop  bob  1                         EXCEEDS_BALANCE
    """)


def test_a_refund_reserve_does_not_limit_an_issuance_account() -> None:
    play("""
        rules     1  reserve=20  single=500  day=700
        setrules  issuance  1
        day       156  1 1 1
        transfer  issuance  treasury  501              EXCEEDS_SINGLE_LIMIT
        transfer  issuance  treasury  500
        transfer  issuance  treasury  201              EXCEEDS_DAY_LIMIT
    """)


def test_the_refund_window_is_exact_to_the_nanosecond() -> None:
    play("""
        rules     1  window=2
        setrules  shop  1
        transfer  treasury  ann  100
        at        5
        pay       ann  shop  50  id=lunch
        hold      ann  shop  50  until=2^40  id=room
        at        2_000_000_004
        refund    lunch  10
        post      room  shop  50  id=night
        at        2_000_000_005
        refund    lunch  10                            REFUND_WINDOW_CLOSED
        refund    lunch  100                           REFUND_WINDOW_CLOSED      # takes precedence over the amount
        reverse   lunch  10                            # a reversal by authority is not limited
        at        4_000_000_003
        refund    night  10                            # the window begins at the post
        at        4_000_000_004
        refund    night  10                            REFUND_WINDOW_CLOSED
        setrules  shop  0
        refund    lunch  10                            # the payee's rule set at the time of the refund
    """)


def test_a_drop_counts_in_the_limits_of_its_funder() -> None:
    play("""
        open      fund  FUNDER
        transfer  treasury  fund  100
        rules     1  until=100  return=treasury
        rules     2  day=25  single=1  reserve=70
        setrules  fund  2
        programme 1  fund  3  claim=0..90
        members   1  Ann Bob Cat
        seal      1
        day       156  1 1 1
        drop      1  0..3  11                          RESERVED_FOR_REFUNDS
        drop      1  0..3  10                          EXCEEDS_DAY_LIMIT
        drop      1  0..2  10                          # the limit per payment does not apply to a drop
        used      fund  20  20  20
        drop      1  0..2  10                          # no purse is filled, so no limit is used
        used      fund  20  20  20
        drop      1  2..3  6                           EXCEEDS_DAY_LIMIT
        drop      1  2..3  5
    """)


def test_a_drop_from_issuance_counts_in_the_minting_cap() -> None:
    play("""
        rules     1  until=100  return=treasury
        rules     2  day=25
        setrules  issuance  2
        programme 1  issuance  3  claim=0..90
        members   1  Ann Bob Cat
        seal      1
        day       156  1 1 1
        drop      1  0..3  9                           EXCEEDS_DAY_LIMIT
        drop      1  0..2  9
        transfer  issuance  treasury  8                EXCEEDS_DAY_LIMIT
        transfer  issuance  treasury  7
    """)
