"""The ledger's rules as tables: what is asked, what is answered, what moved. Each is played on kernels and twin."""

from __future__ import annotations

import pytest
from tests.ledger.table import Table, play

from sycee.core.codes import Result

# Two programmes of ten each for Ann and Bob: 1 ends at 100 and pays anyone, 2 ends at 200 and pays shops only.
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


def test_mint_transfer_and_supply() -> None:
    play("""
        supply    156  1_000
        transfer  treasury  ann   900
        moved     TRANSFER  treasury  ann  900
        moved     nothing
        transfer  ann  shop       901                  EXCEEDS_BALANCE
        transfer  ann  shop       900
        balance   ann  0
        balance   shop 900
        transfer  shop issuance   400                  # money that comes home is destroyed
        supply    156  600
        balance   issuance  -600
    """)


def test_an_id_is_bound_for_ever() -> None:
    play("""
        transfer  ann  shop      1  id=early           EXCEEDS_BALANCE
        transfer  treasury  ann  5
        again     early                                EXISTS           # the refusal stays
        balance   ann  5
        transfer  ann  shop      2  id=early           EXISTS_WITH_DIFFERENT_CONTENT
        transfer  ann  shop      2  id=late
        again                                          EXISTS
        balance   shop 2
        transfer  ann  shop      0  id=wrong           AMOUNT_MUST_BE_POSITIVE
        transfer  ann  shop      1  id=wrong           # what is malformed binds nothing
        transfer  ann  shop      1  id=0               ID_MUST_NOT_BE_ZERO
    """)


def test_first_code_is_the_first_answer() -> None:
    table = play("transfer ann shop 1 id=early EXCEEDS_BALANCE")
    record = table._sent["early"]
    assert table.sides.frame(1, record) == [(Result.EXISTS, Result.EXCEEDS_BALANCE)]
    record["code"] = 7
    assert table.sides.frame(1, record) == [(Result.EXISTS_WITH_DIFFERENT_CONTENT, Result.EXCEEDS_BALANCE)]


def test_blocks_and_closing() -> None:
    play("""
        transfer  treasury  ann  10
        block     ann  debit
        transfer  ann  bob  1                          DEBIT_ACCOUNT_BLOCKED
        transfer  treasury  ann  1
        block     ann  credit
        transfer  treasury  ann  1                     CREDIT_ACCOUNT_BLOCKED
        transfer  ann  bob  1
        block     ann  both
        transfer  ann  treasury  1                     DEBIT_ACCOUNT_BLOCKED
        block     ann  none
        close     ann                                  ACCOUNT_NOT_EMPTY
        transfer  ann  bob  10
        block     ann  credit
        close     ann
        close     ann                                  ACCOUNT_CLOSED
        block     ann  none                            ACCOUNT_CLOSED
        transfer  treasury  ann  1                     CREDIT_ACCOUNT_CLOSED     # closed is said before blocked
        transfer  ann  treasury  1                     DEBIT_ACCOUNT_CLOSED
        pay       bob  ann  1                          CREDIT_ACCOUNT_CLOSED
        block     suspense  debit                      ACCOUNT_MUST_STAY_OPEN
        close     suspense                             ACCOUNT_MUST_STAY_OPEN
        close     issuance                             ACCOUNT_MUST_STAY_OPEN
        block     issuance  debit                      # a stop to all minting
        transfer  issuance  treasury  1                DEBIT_ACCOUNT_BLOCKED
        close     nobody                               ACCOUNT_NOT_FOUND
        block     nobody  debit                        ACCOUNT_NOT_FOUND
    """)


def test_opening() -> None:
    play("""
        currency  156  UTC                             CURRENCY_EXISTS
        open      zoe  WALLET  currency=978            CURRENCY_NOT_FOUND
        open      zoe  WALLET  rules=7                 RULE_SET_NOT_FOUND
        open      ann  WALLET                          ACCOUNT_EXISTS
        open      mint ISSUANCE                        ISSUANCE_EXISTS
        open      zoe  WALLET  suspense=nobody         SUSPENSE_NOT_FOUND
        open      zoe  WALLET  suspense=ann            SUSPENSE_NOT_FOUND
        currency  978  Europe/Paris
        open      zoe  WALLET  currency=978            SUSPENSE_NOT_FOUND        # that one keeps yuan
        open      zoe  WALLET  suspense=zoe            ACCOUNTS_MUST_BE_DIFFERENT
        open      zoe  WALLET  suspense=0              ACCOUNT_ID_MUST_NOT_BE_ZERO
        open      euros  SUSPENSE  currency=978
        open      zoe  WALLET  currency=978  suspense=euros
        transfer  treasury  zoe  1                     CURRENCIES_MUST_MATCH
        transfer  nobody    zoe  1                     DEBIT_ACCOUNT_NOT_FOUND
        transfer  treasury  nobody  1                  CREDIT_ACCOUNT_NOT_FOUND
        transfer  nobody    nobody  1                  ACCOUNTS_MUST_BE_DIFFERENT
    """)


def test_sixteen_currencies() -> None:
    table = play("".join(f"currency {number} UTC\n" for number in range(1, 16)))
    table.play(
        "currency 999 UTC TOO_MANY_CURRENCIES\ncurrency 1 UTC CURRENCY_EXISTS\ncurrency 0 UTC NUMBER_OUT_OF_RANGE"
    )


def test_a_pay_takes_purses_by_their_end_and_own_money_last() -> None:
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


def test_a_purse_pays_only_whom_its_groups_allow() -> None:
    play(PACKETS).play("""
        pay       ann  cafe  16                        EXCEEDS_BALANCE           # 10 of purse 1, 5 of her own
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
        transfer  ann  bob    1                        EXCEEDS_BALANCE           # a transfer never touches purses
        join      2  cafe                              GROUP_NOT_FOUND
        leave     2  cafe                              GROUP_NOT_FOUND
        join      1  nobody                            ACCOUNT_NOT_FOUND
    """)


def test_equal_ends_go_by_programme_and_then_by_member() -> None:
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
        drop      1  0..2  10                          # finds nobody to pay, and says so with success
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
        expire    1  0..2                              # all done
        moved     nothing
        claim     1  Ann  ann                          PURSE_CLAIMED
        claim     1  Bob  bob                          PROGRAMME_EXPIRED
        balance   treasury  998
    """)


def test_claims_have_a_window_of_their_own() -> None:
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
        block     bob  none
        close     bob
        claim     1  Bob  bob                          CREDIT_ACCOUNT_CLOSED
        at        39
        claim     1  Bob  cafe
        drop      1  0..3  10                          # the one who was left out
        moved     DROP  treasury  1/2  10
        moved     nothing
        at        40
        claim     1  Cat  cafe                         CLAIM_WINDOW_CLOSED
        balance   treasury  970
    """)


def test_cohorts_come_in_order_and_are_sealed_once() -> None:
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
        block     treasury  none
        drop      1  1..2  300
        drop      1  0..3  351                         EXCEEDS_BALANCE
        drop      1  0..3  350                         # Bob has his
        moved     DROP  treasury  1/0  350
        moved     DROP  treasury  1/2  350
        moved     nothing
        close     treasury
        drop      1  0..3  1                           DEBIT_ACCOUNT_CLOSED
    """)


REFUNDED = (
    PACKETS
    + """
    pay       ann  shop  22  id=lunch                  # 10 of purse 1, 10 of purse 2, 2 of her own
"""
)


def test_refunds_are_slices_of_own_money_and_then_the_purses_from_the_last() -> None:
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
        pay       ann  shop  20                        # what came back may be spent again
    """)


def test_refunds_need_a_pay_that_stands_and_money_to_give_back() -> None:
    play(REFUNDED).play("""
        refund    nothing  1                           ORIGINAL_NOT_FOUND
        transfer  shop  bob  1  id=sent
        refund    sent  1                              ORIGINAL_IS_NOT_A_PAY
        pay       bob  shop  2  id=poor                EXCEEDS_BALANCE
        refund    poor  1                              ORIGINAL_WAS_REFUSED
        refund    lunch  22                            EXCEEDS_BALANCE
        block     shop  debit
        refund    lunch  1                             DEBIT_ACCOUNT_BLOCKED
        block     shop  none
        transfer  shop  bob  21
        close     shop
        refund    lunch  1                             DEBIT_ACCOUNT_CLOSED
    """)


def test_after_expiry_a_purses_part_goes_home_at_once() -> None:
    play(REFUNDED).play("""
        at        100                                  # purse 1 is over by time, though nobody expired it yet
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


def test_what_cannot_be_credited_goes_to_suspense() -> None:
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


def test_a_wallet_holds_sixteen_purses() -> None:
    table = play("rules 1 until=100 return=treasury\nrules 2 until=200 return=treasury")
    table.play("programme 1 treasury 10\nprogramme 2 treasury 10")
    for programme in (1, 2):
        table.play(f"members {programme} A B C D E\nmembers {programme} F G H I J\nseal {programme}")
        table.play(f"drop {programme} 0..10 3")
    names = "ABCDEFGHIJ"
    table.play("".join(f"claim 2 {name} ann\n" for name in reversed(names)))
    table.play("".join(f"claim 1 {name} ann\n" for name in "ECADBF"))
    table.play("claim 1 G ann TOO_MANY_PURSES")
    table.play("pay ann shop 47")  # fifteen whole purses and two of the sixteenth
    expected = [(1, member) for member in range(6)] + [(2, member) for member in range(10)]
    table.play("".join(f"moved PAY_PURSE {p}/{m} shop {2 if (p, m) == (2, 9) else 3}\n" for p, m in expected))
    table.play("""
        at        100
        claim     2  A  bob                            PURSE_CLAIMED
        claim     1  G  ann                            PROGRAMME_EXPIRED
        expire    1  2..4                              # two of the sixteen are gone, in the middle of her list
        pay       ann  shop  1
        moved     PAY_PURSE  2/9  shop  1
    """)
    table.play("rules 3 until=150 return=treasury\nprogramme 3 treasury 3\nmembers 3 A B C\nseal 3\ndrop 3 0..3 1")
    table.play("claim 3 A ann\nclaim 3 B ann\nclaim 3 C ann TOO_MANY_PURSES\npay ann shop 2")
    table.play("moved PAY_PURSE 3/0 shop 1\nmoved PAY_PURSE 3/1 shop 1")


def test_four_groups_and_no_more_may_be_named() -> None:
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
        join      4096  shop                           # joining twice is once
        pay       ann  shop  1
        leave     4096  shop
        pay       ann  shop  1                         EXCEEDS_BALANCE
        join      64  bob
        pay       ann  shop  1                         EXCEEDS_BALANCE
        pay       ann  bob   1
    """)


def test_amounts_up_to_the_last_of_64_bits() -> None:
    play("""
        open      a  WALLET
        open      b  WALLET
        transfer  issuance  a  2^63-1                  OVERFLOWS_DEBITS          # it gave 1_000 before
        transfer  issuance  a  2^63-1-1_000
        transfer  issuance  a  1                       OVERFLOWS_DEBITS
        transfer  a  b  2^63-1-1_000
        transfer  b  a  1_001                          OVERFLOWS_CREDITS
        transfer  b  a  1_000
        transfer  b  a  1                              OVERFLOWS_CREDITS
        pay       b  a  1                              OVERFLOWS_CREDITS
        pay       b  ann  2^63-1-2_000  id=all
        pay       b  ann  1                            EXCEEDS_BALANCE
        pay       b  ann  1_001                        OVERFLOWS_DEBITS          # said before the lack of money
        transfer  b  ann  1_001                        OVERFLOWS_DEBITS
        refund    all  1_001                           OVERFLOWS_CREDITS
        refund    all  1_000
        refund    all  1                               OVERFLOWS_CREDITS
        block     b  credit
        refund    all  1                               # the suspense account has room
        moved     REFUND_SUSPENSE  ann  suspense  1
    """)


def test_overflow_of_a_drop_a_purse_and_an_expiry() -> None:
    play("""
        open      rich  FUNDER
        transfer  issuance  rich  2^62
        rules     1  until=100  return=shop
        programme 1  rich  2
        members   1  Ann Bob
        seal      1
        drop      1  0..2  2^62                        OVERFLOWS_DEBITS          # the sum of both
        drop      1  0..2  2^62-1                      EXCEEDS_BALANCE
        transfer  rich  shop      2^62-1
        transfer  shop  rich      2^62-1
        transfer  treasury  shop  1
        drop      1  0..2  2^61+1                      OVERFLOWS_DEBITS          # the funder's debits with it
        drop      1  0..1  2^62
        claim     1  Ann  ann
        pay       ann  cafe  2^62  id=first
        refund    first  2^62
        pay       ann  cafe  2^62-1  id=second
        pay       ann  shop  1                         OVERFLOWS_DEBITS          # all that the purse ever gave
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


@pytest.mark.parametrize("offset", range(24, 128))
def test_each_byte_that_a_kind_does_not_use_must_be_zero(offset: int) -> None:
    table = Table()
    records = {
        "BLOCK_ACCOUNT": (table._block(1, "ann", "none"), [*range(32, 48), *range(112, 128)]),
        "REFUND": (table._refund(1, "pay", "5"), [*range(24, 32), *range(64, 80), *range(112, 128)]),
        "EXPIRE": (table._expire(1, "1", "0..1"), [*range(80, 92), *range(112, 128)]),
        "SEAL_COHORT": (table._seal(1, "1", "A"), [*range(32, 64), *range(80, 84), *range(112, 128)]),
        "RULES": (table._rules(1, "1", until="5"), [*range(32, 64), *range(80, 84), *range(96, 112)]),
        "ONE MEMBER": (table._members(1, "1", "A", first="0"), [*range(32, 48), *range(80, 92)]),
        "ISSUANCE": (table._open(1, "a", "ISSUANCE"), [*range(32, 48), *range(80, 96), *range(112, 128)]),
    }
    for name, (record, used) in records.items():
        record.view("u1")[offset] ^= 0x80
        answered = Table().sides.frame(1, record)[0][0]
        assert (answered is Result.FIELD_MUST_BE_ZERO) == (offset not in used), name
