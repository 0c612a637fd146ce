"""Result codes: one closed enum with append-only numbers, and their precedence.

Numbers are permanent, because bound results are stored permanently: add at the end, never renumber. PRECEDENCE decides
which code an operation gets when several apply. docs/reference/result-codes.md explains each code.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NoReturn


class Result(IntEnum):
    """The ledger's result for one operation."""

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
    KEY_MUST_NOT_BE_ZERO = 61
    REASON_UNKNOWN = 62
    ROLE_UNKNOWN = 63
    CANNOT_BE_LINKED = 64
    CHAIN_OPEN = 65
    CHAIN_REPEATS_AN_ID = 66
    CHAIN_BROKEN = 67
    SIGNATURE_INVALID = 68
    SIGNATURE_EXPIRED = 69
    SIGNER_NOT_FOUND = 70
    KEY_EPOCH_DIFFERS = 71
    NOT_AUTHORISED = 72
    TWO_PERSONS_MUST_SIGN = 73
    RULE_SET_MUST_KEEP_WINDOW = 74
    RULES_NOT_NEWER = 75
    GRANT_NOT_FOUND = 76
    GRANT_REVOKED = 77
    OFFICERS_MUST_REMAIN = 78
    TRANSIT_ACCOUNT_NOT_FOUND = 79
    RELEASER_NOT_FOUND = 80
    ORIGINAL_NOT_REVERSIBLE = 81
    HOLD_NOT_FOUND = 82
    HOLDS_OUT_OF_ORDER = 83
    NOT_A_PARTY_TO_HOLD = 84
    PREIMAGE_DIFFERS = 85
    HOLD_DONE = 86
    HOLD_TIMED_OUT = 87
    HOLD_MUST_END_LATER = 88
    TRANSIT_NOT_FOUND = 89
    TRANSIT_DONE = 90
    BATCH_NOT_FOUND = 91
    BATCH_DONE = 92
    BATCH_DIFFERS = 93
    ACCOUNT_IS_IN_TRANSIT = 94
    LINK_KIND_WRONG = 95
    RULE_SET_NOT_IN_FORCE = 96
    PAYEE_NOT_ALLOWED = 97
    PERSONS_NOT_ALLOWED = 98
    CASH_OUT_NOT_ALLOWED = 99
    REFUND_WINDOW_CLOSED = 100
    EXCEEDS_HELD = 101
    RESERVED_FOR_REFUNDS = 102
    EXCEEDS_SINGLE_LIMIT = 103
    EXCEEDS_DAY_LIMIT = 104
    EXCEEDS_MONTH_LIMIT = 105
    EXCEEDS_YEAR_LIMIT = 106
    EXCEEDS_BALANCE_LIMIT = 107
    LINKED_FAILED = 108
    BATCH_OF_ANOTHER_OPERATOR = 109
    KEY_IS_ANOTHERS = 110
    TOO_MANY_PAYMENTS = 111

    def __str__(self) -> str:
        return self.name

    def __bool__(self) -> NoReturn:
        """Raise TypeError: CREATED is 0, so `if result` would be true for refusals alone."""
        error = TypeError(f"the result {self.name} is neither true nor false")
        error.add_note(
            "hint: write `if result.ok`, which is true for CREATED alone, or compare: `result is Result.EXISTS`"
        )
        raise error

    @property
    def ok(self) -> bool:
        """Whether this request was done now: true for CREATED alone.

        EXISTS is not ok: the id was bound by an earlier request, which may have been refused. The ledger's
        `result_of(id)` returns that request's result.
        """
        return self is Result.CREATED

    @property
    def binds(self) -> bool:
        """Whether this result binds the operation's id: to success, or to a refusal that depended on the state."""
        return PRECEDENCE.index(self) >= FIRST_BINDING


# Highest first, in five blocks: malformed (binds nothing), already bound, not accepted (binds nothing), refused by the
# state (binds), and CREATED, when nothing else applies.
PRECEDENCE: Final = (
    # malformed
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
    Result.REASON_UNKNOWN,
    Result.ROLE_UNKNOWN,
    Result.WINDOW_MUST_END_AFTER_START,
    Result.ZONE_MUST_NOT_BE_EMPTY,
    Result.KEY_MUST_NOT_BE_ZERO,
    # already bound
    Result.EXISTS_WITH_DIFFERENT_CONTENT,
    Result.EXISTS,
    # not accepted
    Result.CANNOT_BE_LINKED,
    Result.CHAIN_OPEN,
    Result.CHAIN_REPEATS_AN_ID,
    Result.CHAIN_BROKEN,
    Result.SIGNATURE_INVALID,
    Result.SIGNATURE_EXPIRED,
    Result.SIGNER_NOT_FOUND,
    Result.KEY_EPOCH_DIFFERS,
    Result.NOT_AUTHORISED,
    Result.TWO_PERSONS_MUST_SIGN,
    # refused by the state
    Result.CURRENCY_EXISTS,
    Result.CURRENCY_NOT_FOUND,
    Result.TOO_MANY_CURRENCIES,
    Result.GROUP_EXISTS,
    Result.GROUP_NOT_FOUND,
    Result.RULE_SET_EXISTS,
    Result.RULE_SET_NOT_FOUND,
    Result.RULE_SET_MUST_KEEP_WINDOW,
    Result.PROGRAMME_EXISTS,
    Result.PROGRAMME_NOT_FOUND,
    Result.RULES_NOT_NEWER,
    Result.GRANT_NOT_FOUND,
    Result.GRANT_REVOKED,
    Result.OFFICERS_MUST_REMAIN,
    Result.KEY_IS_ANOTHERS,
    Result.ACCOUNT_EXISTS,
    Result.ISSUANCE_EXISTS,
    Result.SUSPENSE_NOT_FOUND,
    Result.RETURN_ACCOUNT_NOT_FOUND,
    Result.ACCOUNT_NOT_FOUND,
    Result.DEBIT_ACCOUNT_NOT_FOUND,
    Result.CREDIT_ACCOUNT_NOT_FOUND,
    Result.TRANSIT_ACCOUNT_NOT_FOUND,
    Result.RELEASER_NOT_FOUND,
    Result.ORIGINAL_NOT_FOUND,
    Result.ORIGINAL_IS_NOT_A_PAY,
    Result.ORIGINAL_NOT_REVERSIBLE,
    Result.ORIGINAL_WAS_REFUSED,
    Result.HOLD_NOT_FOUND,
    Result.HOLDS_OUT_OF_ORDER,
    Result.NOT_A_PARTY_TO_HOLD,
    Result.PREIMAGE_DIFFERS,
    Result.HOLD_DONE,
    Result.HOLD_TIMED_OUT,
    Result.HOLD_MUST_END_LATER,
    Result.TRANSIT_NOT_FOUND,
    Result.TRANSIT_DONE,
    Result.BATCH_NOT_FOUND,
    Result.BATCH_DONE,
    Result.BATCH_OF_ANOTHER_OPERATOR,
    Result.BATCH_DIFFERS,
    Result.COHORT_SEALED,
    Result.COHORT_NOT_SEALED,
    Result.COHORT_INCOMPLETE,
    Result.COHORT_DIGEST_DIFFERS,
    Result.SEAL_DIFFERS,
    Result.MEMBER_NOT_FOUND,
    Result.MEMBERS_OUT_OF_ORDER,
    Result.MEMBER_DIFFERS,
    Result.CURRENCIES_MUST_MATCH,
    Result.ACCOUNT_IS_IN_TRANSIT,
    Result.LINK_KIND_WRONG,
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
    Result.TOO_MANY_PAYMENTS,
    Result.ACCOUNT_NOT_EMPTY,
    Result.RULE_SET_NOT_IN_FORCE,
    Result.PAYEE_NOT_ALLOWED,
    Result.PERSONS_NOT_ALLOWED,
    Result.CASH_OUT_NOT_ALLOWED,
    Result.REFUND_WINDOW_CLOSED,
    Result.EXCEEDS_REFUNDABLE,
    Result.EXCEEDS_HELD,
    Result.OVERFLOWS_DEBITS,
    Result.OVERFLOWS_CREDITS,
    Result.EXCEEDS_BALANCE,
    Result.RESERVED_FOR_REFUNDS,
    Result.EXCEEDS_SINGLE_LIMIT,
    Result.EXCEEDS_DAY_LIMIT,
    Result.EXCEEDS_MONTH_LIMIT,
    Result.EXCEEDS_YEAR_LIMIT,
    Result.EXCEEDS_BALANCE_LIMIT,
    Result.LINKED_FAILED,
    # created
    Result.CREATED,
)

# A signature is missing or invalid, or its signer may not sign this.
SIGNATURE_CODES: Final = frozenset(
    PRECEDENCE[PRECEDENCE.index(Result.SIGNATURE_INVALID) : PRECEDENCE.index(Result.TWO_PERSONS_MUST_SIGN) + 1]
)
FIRST_BINDING: Final = PRECEDENCE.index(Result.CURRENCY_EXISTS)

assert set(PRECEDENCE) == set(Result) and len(PRECEDENCE) == len(Result)
