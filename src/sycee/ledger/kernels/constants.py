"""What the kernels see as constants: codes, kinds, purposes, states and bounds as plain integers.

numba takes an attribute of a module for a constant, so kernels read `c.EXCEEDS_BALANCE` and compile a number.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.codes import Result
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, Block, Kind, PayFlag, Purpose, PurseState

# Indices of counters.
ACCOUNTS: Final = 0
PURSES: Final = 1
MOVEMENTS: Final = 2
BOUND: Final = 3
PAYEES: Final = 4
PENDING: Final = 65_535  # resolve's mark for an operation that the ledger does not know yet
KINDS: Final = 64

I64_MAX: Final = limits.I64_MAX
PURSE_BIT: Final = layout.PURSE_BIT
PURSES_PER_WALLET: Final = limits.PURSES_PER_WALLET_MAX
GROUPS_PER_RULE_SET: Final = limits.GROUPS_PER_RULE_SET_MAX
RULE_SETS_MAX: Final = limits.RULE_SETS_MAX
GROUPS_MAX: Final = limits.GROUPS_MAX

# uint64 meets only uint64: with an int64 numba would make it signed.
LOW32: Final = np.uint64(0xFFFFFFFF)
MIX_1: Final = np.uint64(0xFF51AFD7ED558CCD)
MIX_2: Final = np.uint64(0xC4CEB9FE1A85EC53)
MIX_3: Final = np.uint64(0x9E3779B97F4A7C15)
S29: Final = np.uint64(29)
S32: Final = np.uint64(32)
S33: Final = np.uint64(33)
ZERO: Final = np.uint64(0)
ONE: Final = np.uint64(1)

KIND_DEFINE_CURRENCY: Final = int(Kind.DEFINE_CURRENCY)
KIND_JOIN_GROUP: Final = int(Kind.JOIN_GROUP)
KIND_LEAVE_GROUP: Final = int(Kind.LEAVE_GROUP)
KIND_DEFINE_RULE_SET: Final = int(Kind.DEFINE_RULE_SET)
KIND_OPEN_ACCOUNT: Final = int(Kind.OPEN_ACCOUNT)
KIND_BLOCK_ACCOUNT: Final = int(Kind.BLOCK_ACCOUNT)
KIND_CLOSE_ACCOUNT: Final = int(Kind.CLOSE_ACCOUNT)
KIND_OPEN_PROGRAMME: Final = int(Kind.OPEN_PROGRAMME)
KIND_ADD_MEMBERS: Final = int(Kind.ADD_MEMBERS)
KIND_DROP: Final = int(Kind.DROP)
KIND_CLAIM: Final = int(Kind.CLAIM)
KIND_EXPIRE: Final = int(Kind.EXPIRE)
KIND_TRANSFER: Final = int(Kind.TRANSFER)
KIND_PAY: Final = int(Kind.PAY)
KIND_REFUND: Final = int(Kind.REFUND)

ISSUANCE: Final = int(AccountKind.ISSUANCE)
SUSPENSE: Final = int(AccountKind.SUSPENSE)
ACCOUNT_KIND_LAST: Final = int(max(AccountKind))
BLOCK_DEBIT: Final = int(Block.DEBIT)
BLOCK_CREDIT: Final = int(Block.CREDIT)
BLOCK_CLOSED: Final = int(Block.CLOSED)
PURSES_ONLY: Final = int(PayFlag.PURSES_ONLY)
OWN_ONLY: Final = int(PayFlag.OWN_ONLY)
EMPTY: Final = int(PurseState.EMPTY)
DROPPED: Final = int(PurseState.DROPPED)
CLAIMED: Final = int(PurseState.CLAIMED)
EXPIRED: Final = int(PurseState.EXPIRED)

PURPOSE_TRANSFER: Final = int(Purpose.TRANSFER)
PURPOSE_PAY_OWN: Final = int(Purpose.PAY_OWN)
PURPOSE_PAY_PURSE: Final = int(Purpose.PAY_PURSE)
PURPOSE_DROP: Final = int(Purpose.DROP)
PURPOSE_REFUND_OWN: Final = int(Purpose.REFUND_OWN)
PURPOSE_REFUND_PURSE: Final = int(Purpose.REFUND_PURSE)
PURPOSE_RETURN: Final = int(Purpose.RETURN)
PURPOSE_REFUND_SUSPENSE: Final = int(Purpose.REFUND_SUSPENSE)
PURPOSE_RETURN_SUSPENSE: Final = int(Purpose.RETURN_SUSPENSE)

CREATED: Final = int(Result.CREATED)
EXISTS: Final = int(Result.EXISTS)
EXISTS_WITH_DIFFERENT_CONTENT: Final = int(Result.EXISTS_WITH_DIFFERENT_CONTENT)
ID_MUST_NOT_BE_ZERO: Final = int(Result.ID_MUST_NOT_BE_ZERO)
KIND_UNKNOWN: Final = int(Result.KIND_UNKNOWN)
FLAGS_UNKNOWN: Final = int(Result.FLAGS_UNKNOWN)
FIELD_MUST_BE_ZERO: Final = int(Result.FIELD_MUST_BE_ZERO)
AMOUNT_MUST_BE_POSITIVE: Final = int(Result.AMOUNT_MUST_BE_POSITIVE)
ACCOUNT_ID_MUST_NOT_BE_ZERO: Final = int(Result.ACCOUNT_ID_MUST_NOT_BE_ZERO)
ACCOUNTS_MUST_BE_DIFFERENT: Final = int(Result.ACCOUNTS_MUST_BE_DIFFERENT)
NUMBER_OUT_OF_RANGE: Final = int(Result.NUMBER_OUT_OF_RANGE)
COUNT_OUT_OF_RANGE: Final = int(Result.COUNT_OUT_OF_RANGE)
ACCOUNT_KIND_UNKNOWN: Final = int(Result.ACCOUNT_KIND_UNKNOWN)
WINDOW_MUST_END_AFTER_START: Final = int(Result.WINDOW_MUST_END_AFTER_START)
ZONE_MUST_NOT_BE_EMPTY: Final = int(Result.ZONE_MUST_NOT_BE_EMPTY)
CURRENCY_NOT_FOUND: Final = int(Result.CURRENCY_NOT_FOUND)
GROUP_NOT_FOUND: Final = int(Result.GROUP_NOT_FOUND)
RULE_SET_NOT_FOUND: Final = int(Result.RULE_SET_NOT_FOUND)
PROGRAMME_NOT_FOUND: Final = int(Result.PROGRAMME_NOT_FOUND)
ACCOUNT_EXISTS: Final = int(Result.ACCOUNT_EXISTS)
ISSUANCE_EXISTS: Final = int(Result.ISSUANCE_EXISTS)
SUSPENSE_NOT_FOUND: Final = int(Result.SUSPENSE_NOT_FOUND)
ACCOUNT_NOT_FOUND: Final = int(Result.ACCOUNT_NOT_FOUND)
DEBIT_ACCOUNT_NOT_FOUND: Final = int(Result.DEBIT_ACCOUNT_NOT_FOUND)
CREDIT_ACCOUNT_NOT_FOUND: Final = int(Result.CREDIT_ACCOUNT_NOT_FOUND)
ORIGINAL_NOT_FOUND: Final = int(Result.ORIGINAL_NOT_FOUND)
ORIGINAL_IS_NOT_A_PAY: Final = int(Result.ORIGINAL_IS_NOT_A_PAY)
ORIGINAL_WAS_REFUSED: Final = int(Result.ORIGINAL_WAS_REFUSED)
COHORT_SEALED: Final = int(Result.COHORT_SEALED)
COHORT_NOT_SEALED: Final = int(Result.COHORT_NOT_SEALED)
SEAL_DIFFERS: Final = int(Result.SEAL_DIFFERS)
MEMBER_NOT_FOUND: Final = int(Result.MEMBER_NOT_FOUND)
MEMBERS_OUT_OF_ORDER: Final = int(Result.MEMBERS_OUT_OF_ORDER)
MEMBER_DIFFERS: Final = int(Result.MEMBER_DIFFERS)
CURRENCIES_MUST_MATCH: Final = int(Result.CURRENCIES_MUST_MATCH)
ACCOUNT_MUST_STAY_OPEN: Final = int(Result.ACCOUNT_MUST_STAY_OPEN)
ACCOUNT_CLOSED: Final = int(Result.ACCOUNT_CLOSED)
DEBIT_ACCOUNT_CLOSED: Final = int(Result.DEBIT_ACCOUNT_CLOSED)
CREDIT_ACCOUNT_CLOSED: Final = int(Result.CREDIT_ACCOUNT_CLOSED)
DEBIT_ACCOUNT_BLOCKED: Final = int(Result.DEBIT_ACCOUNT_BLOCKED)
CREDIT_ACCOUNT_BLOCKED: Final = int(Result.CREDIT_ACCOUNT_BLOCKED)
PURSE_NOT_DROPPED: Final = int(Result.PURSE_NOT_DROPPED)
PURSE_CLAIMED: Final = int(Result.PURSE_CLAIMED)
PROGRAMME_EXPIRED: Final = int(Result.PROGRAMME_EXPIRED)
PROGRAMME_NOT_EXPIRED: Final = int(Result.PROGRAMME_NOT_EXPIRED)
CLAIM_WINDOW_NOT_OPEN: Final = int(Result.CLAIM_WINDOW_NOT_OPEN)
CLAIM_WINDOW_CLOSED: Final = int(Result.CLAIM_WINDOW_CLOSED)
TOO_MANY_PURSES: Final = int(Result.TOO_MANY_PURSES)
ACCOUNT_NOT_EMPTY: Final = int(Result.ACCOUNT_NOT_EMPTY)
EXCEEDS_REFUNDABLE: Final = int(Result.EXCEEDS_REFUNDABLE)
OVERFLOWS_DEBITS: Final = int(Result.OVERFLOWS_DEBITS)
OVERFLOWS_CREDITS: Final = int(Result.OVERFLOWS_CREDITS)
EXCEEDS_BALANCE: Final = int(Result.EXCEEDS_BALANCE)
