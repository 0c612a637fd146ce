"""Accounts, ids and transfers as tables of operations, results and balances."""

from __future__ import annotations

from tests.ledger.table import play

from sycee.core.result_codes import Result


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
        transfer  shop issuance   400                  # money that returns to issuance is destroyed
        supply    156  600
        balance   issuance  -600
    """)


def test_an_id_stays_bound() -> None:
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
        transfer  ann  shop      1  id=wrong           # a malformed operation binds nothing
        transfer  ann  shop      1  id=0               ID_MUST_NOT_BE_ZERO
    """)


def test_first_code_is_the_first_result() -> None:
    table = play("transfer ann shop 1 id=early EXCEEDS_BALANCE")
    record = table.sent["early"]
    assert table.sides.frame(1, record) == [(Result.EXISTS, Result.EXCEEDS_BALANCE)]
    record["code"] = 7
    assert table.sides.frame(1, record) == [(Result.EXISTS_WITH_DIFFERENT_CONTENT, Result.EXCEEDS_BALANCE)]


def test_blocks_and_closing() -> None:
    play("""
        transfer  treasury  ann  10
        block     ann  debit
        transfer  ann  bob  1                          DEBIT_ACCOUNT_BLOCKED
        transfer  treasury  ann  1
        unblock   ann  debit
        block     ann  credit
        transfer  treasury  ann  1                     CREDIT_ACCOUNT_BLOCKED
        transfer  ann  bob  1
        block     ann  both
        transfer  ann  treasury  1                     DEBIT_ACCOUNT_BLOCKED
        unblock   ann  both
        close     ann                                  ACCOUNT_NOT_EMPTY
        transfer  ann  bob  10
        block     ann  credit
        close     ann
        close     ann                                  ACCOUNT_CLOSED
        unblock   ann  credit                          ACCOUNT_CLOSED
        block     ann  credit                          ACCOUNT_CLOSED
        reasons   ann  credit=OPERATOR  closed=REQUEST # a closed account keeps its blocks
        transfer  treasury  ann  1                     CREDIT_ACCOUNT_CLOSED     # closed takes precedence over blocked
        transfer  ann  treasury  1                     DEBIT_ACCOUNT_CLOSED
        pay       bob  ann  1                          CREDIT_ACCOUNT_CLOSED
        block     suspense  debit                      ACCOUNT_MUST_STAY_OPEN
        close     suspense                             ACCOUNT_MUST_STAY_OPEN
        close     issuance                             ACCOUNT_MUST_STAY_OPEN
        block     issuance  debit                      # stops all minting
        transfer  issuance  treasury  1                DEBIT_ACCOUNT_BLOCKED
        close     nobody                               ACCOUNT_NOT_FOUND
        block     nobody  debit                        ACCOUNT_NOT_FOUND
        unblock   nobody  debit                        ACCOUNT_NOT_FOUND
        block     ann  none                            FLAGS_UNKNOWN             # a side is required
        unblock   suspense  debit                      ACCOUNT_MUST_STAY_OPEN
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
        open      zoe  WALLET  currency=978            SUSPENSE_NOT_FOUND        # that account has yuan
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


def test_amounts_up_to_64_bits() -> None:
    play("""
        open      a  WALLET
        open      b  WALLET
        transfer  issuance  a  2^63-1                  OVERFLOWS_DEBITS          # it paid 1_000 before
        transfer  issuance  a  2^63-1-1_000
        transfer  issuance  a  1                       OVERFLOWS_DEBITS
        transfer  a  b  2^63-1-1_000
        transfer  b  a  1_001                          OVERFLOWS_CREDITS
        transfer  b  a  1_000
        transfer  b  a  1                              OVERFLOWS_CREDITS
        pay       b  a  1                              OVERFLOWS_CREDITS
        pay       b  ann  2^63-1-2_000  id=all
        pay       b  ann  1                            EXCEEDS_BALANCE
        pay       b  ann  1_001                        OVERFLOWS_DEBITS          # takes precedence over missing money
        transfer  b  ann  1_001                        OVERFLOWS_DEBITS
        refund    all  1_001                           OVERFLOWS_CREDITS
        refund    all  1_000
        refund    all  1                               OVERFLOWS_CREDITS
        block     b  credit
        refund    all  1                               # the suspense account can receive
        moved     REFUND_SUSPENSE  ann  suspense  1
    """)
