"""Result codes: one closed enum with append-only numbers, and the order in which they are given.

Numbers are for ever, since a bound result is: add at the end, never renumber. Which code is given when several
apply is another matter, and has a table of its own: PRECEDENCE. docs/reference/result-codes.md explains each.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Result(IntEnum):
    """What the ledger says to one operation."""

    CREATED = 0
    EXISTS = 1
    EXISTS_WITH_DIFFERENT_CONTENT = 2
    ID_MUST_NOT_BE_ZERO = 3
    KIND_UNKNOWN = 4
    FLAGS_UNKNOWN = 5
    FIELD_MUST_BE_ZERO = 6
    AMOUNT_MUST_BE_POSITIVE = 7
    ACCOUNT_ID_MUST_NOT_BE_ZERO = 8
    ACCOUNTS_MUST_BE_DIFFERENT = 9
    NUMBER_OUT_OF_RANGE = 10
    COUNT_OUT_OF_RANGE = 11
    ACCOUNT_KIND_UNKNOWN = 12
    WINDOW_MUST_END_AFTER_START = 13
    ZONE_MUST_NOT_BE_EMPTY = 14
    CURRENCY_EXISTS = 15
    CURRENCY_NOT_FOUND = 16
    TOO_MANY_CURRENCIES = 17
    GROUP_EXISTS = 18
    GROUP_NOT_FOUND = 19
    RULE_SET_EXISTS = 20
    RULE_SET_NOT_FOUND = 21
    PROGRAMME_EXISTS = 22
    PROGRAMME_NOT_FOUND = 23
    ACCOUNT_EXISTS = 24
    ISSUANCE_EXISTS = 25
    SUSPENSE_NOT_FOUND = 26
    RETURN_ACCOUNT_NOT_FOUND = 27
    ACCOUNT_NOT_FOUND = 28
    DEBIT_ACCOUNT_NOT_FOUND = 29
    CREDIT_ACCOUNT_NOT_FOUND = 30
    ORIGINAL_NOT_FOUND = 31
    ORIGINAL_IS_NOT_A_PAY = 32
    ORIGINAL_WAS_REFUSED = 33
    COHORT_SEALED = 34
    COHORT_NOT_SEALED = 35
    COHORT_INCOMPLETE = 36
    COHORT_DIGEST_DIFFERS = 37
    SEAL_DIFFERS = 38
    MEMBER_NOT_FOUND = 39
    MEMBERS_OUT_OF_ORDER = 40
    MEMBER_DIFFERS = 41
    CURRENCIES_MUST_MATCH = 42
    ACCOUNT_MUST_STAY_OPEN = 43
    ACCOUNT_CLOSED = 44
    DEBIT_ACCOUNT_CLOSED = 45
    CREDIT_ACCOUNT_CLOSED = 46
    DEBIT_ACCOUNT_BLOCKED = 47
    CREDIT_ACCOUNT_BLOCKED = 48
    PURSE_NOT_DROPPED = 49
    PURSE_CLAIMED = 50
    PROGRAMME_EXPIRED = 51
    PROGRAMME_NOT_EXPIRED = 52
    CLAIM_WINDOW_NOT_OPEN = 53
    CLAIM_WINDOW_CLOSED = 54
    TOO_MANY_PURSES = 55
    ACCOUNT_NOT_EMPTY = 56
    EXCEEDS_REFUNDABLE = 57
    OVERFLOWS_DEBITS = 58
    OVERFLOWS_CREDITS = 59
    EXCEEDS_BALANCE = 60

    def __str__(self) -> str:
        return self.name

    @property
    def binds(self) -> bool:
        """True where the operation's id is bound by this answer: to success, or to a refusal that hung on state."""
        return self is Result.CREATED or PRECEDENCE.index(self) > PRECEDENCE.index(Result.EXISTS)


# Highest first. Three blocks: malformed (binds nothing), already known, refused by the state (binds).
# CREATED comes last: it is given when nothing else applies.
PRECEDENCE: Final = (
    Result.ID_MUST_NOT_BE_ZERO,
    Result.KIND_UNKNOWN,
    Result.FLAGS_UNKNOWN,
    Result.FIELD_MUST_BE_ZERO,
    Result.AMOUNT_MUST_BE_POSITIVE,
    Result.ACCOUNT_ID_MUST_NOT_BE_ZERO,
    Result.ACCOUNTS_MUST_BE_DIFFERENT,
    Result.NUMBER_OUT_OF_RANGE,
    Result.COUNT_OUT_OF_RANGE,
    Result.ACCOUNT_KIND_UNKNOWN,
    Result.WINDOW_MUST_END_AFTER_START,
    Result.ZONE_MUST_NOT_BE_EMPTY,
    Result.EXISTS_WITH_DIFFERENT_CONTENT,
    Result.EXISTS,
    Result.CURRENCY_EXISTS,
    Result.CURRENCY_NOT_FOUND,
    Result.TOO_MANY_CURRENCIES,
    Result.GROUP_EXISTS,
    Result.GROUP_NOT_FOUND,
    Result.RULE_SET_EXISTS,
    Result.RULE_SET_NOT_FOUND,
    Result.PROGRAMME_EXISTS,
    Result.PROGRAMME_NOT_FOUND,
    Result.ACCOUNT_EXISTS,
    Result.ISSUANCE_EXISTS,
    Result.SUSPENSE_NOT_FOUND,
    Result.RETURN_ACCOUNT_NOT_FOUND,
    Result.ACCOUNT_NOT_FOUND,
    Result.DEBIT_ACCOUNT_NOT_FOUND,
    Result.CREDIT_ACCOUNT_NOT_FOUND,
    Result.ORIGINAL_NOT_FOUND,
    Result.ORIGINAL_IS_NOT_A_PAY,
    Result.ORIGINAL_WAS_REFUSED,
    Result.COHORT_SEALED,
    Result.COHORT_NOT_SEALED,
    Result.COHORT_INCOMPLETE,
    Result.COHORT_DIGEST_DIFFERS,
    Result.SEAL_DIFFERS,
    Result.MEMBER_NOT_FOUND,
    Result.MEMBERS_OUT_OF_ORDER,
    Result.MEMBER_DIFFERS,
    Result.CURRENCIES_MUST_MATCH,
    Result.ACCOUNT_MUST_STAY_OPEN,
    Result.ACCOUNT_CLOSED,
    Result.DEBIT_ACCOUNT_CLOSED,
    Result.CREDIT_ACCOUNT_CLOSED,
    Result.DEBIT_ACCOUNT_BLOCKED,
    Result.CREDIT_ACCOUNT_BLOCKED,
    Result.PURSE_NOT_DROPPED,
    Result.PURSE_CLAIMED,
    Result.PROGRAMME_EXPIRED,
    Result.PROGRAMME_NOT_EXPIRED,
    Result.CLAIM_WINDOW_NOT_OPEN,
    Result.CLAIM_WINDOW_CLOSED,
    Result.TOO_MANY_PURSES,
    Result.ACCOUNT_NOT_EMPTY,
    Result.EXCEEDS_REFUNDABLE,
    Result.OVERFLOWS_DEBITS,
    Result.OVERFLOWS_CREDITS,
    Result.EXCEEDS_BALANCE,
    Result.CREATED,
)

assert set(PRECEDENCE) == set(Result) and len(PRECEDENCE) == len(Result)
