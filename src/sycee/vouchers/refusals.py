"""Codes of refusals, which programs read: they never change."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sycee.core.errors import SyceeError, UsageError
from sycee.core.result_codes import Result
from sycee.vouchers.tables import ACTIVATED, CANCELLED, EXPIRED, PREACTIVATED, REDEEMED, REFUSED, RESERVING


class Code(StrEnum):
    """Why a voucher was refused."""

    VOUCHER_NOT_FOUND = "VOUCHER_NOT_FOUND"
    VOUCHER_NUMBER_WRONG = "VOUCHER_NUMBER_WRONG"
    VOUCHER_NOT_RESERVED = "VOUCHER_NOT_RESERVED"
    VOUCHER_NOT_ACTIVATED = "VOUCHER_NOT_ACTIVATED"
    VOUCHER_ACTIVATED = "VOUCHER_ACTIVATED"
    VOUCHER_USED = "VOUCHER_USED"
    VOUCHER_CANCELLED = "VOUCHER_CANCELLED"
    VOUCHER_EXPIRED = "VOUCHER_EXPIRED"
    EXCEEDS_VOUCHER = "EXCEEDS_VOUCHER"
    BENEFICIARY_DIFFERS = "BENEFICIARY_DIFFERS"
    SHOP_NOT_IN_GROUP = "SHOP_NOT_IN_GROUP"
    SHOP_CANNOT_RECEIVE = "SHOP_CANNOT_RECEIVE"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    FUNDER_CANNOT_PAY = "FUNDER_CANNOT_PAY"


MESSAGES: Final[dict[Code, str]] = {
    Code.VOUCHER_NOT_FOUND: "the group has no such voucher",
    Code.VOUCHER_NUMBER_WRONG: "no voucher has this number",
    Code.VOUCHER_NOT_RESERVED: "no money is reserved for the voucher",
    Code.VOUCHER_NOT_ACTIVATED: "the voucher is not activated",
    Code.VOUCHER_ACTIVATED: "the voucher is activated for somebody else",
    Code.VOUCHER_USED: "the voucher is used up",
    Code.VOUCHER_CANCELLED: "the voucher is cancelled",
    Code.VOUCHER_EXPIRED: "the voucher has expired",
    Code.EXCEEDS_VOUCHER: "the amount exceeds the rest of the voucher",
    Code.BENEFICIARY_DIFFERS: "the voucher is activated for another beneficiary",
    Code.SHOP_NOT_IN_GROUP: "the shop is not in the payee group of the voucher",
    Code.SHOP_CANNOT_RECEIVE: "the shop cannot receive this money",
    Code.BUDGET_EXHAUSTED: "the budget of the group is exhausted",
    Code.FUNDER_CANNOT_PAY: "the funder's account does not have this money",
}
assert MESSAGES.keys() == set(Code)

# Codes of the ledger, as callers hear them: what they state about the shop's account is hidden, as for any payer.
_OF_LEDGER: Final[dict[Result, Code]] = {
    Result.EXCEEDS_HELD: Code.EXCEEDS_VOUCHER,
    Result.HOLD_TIMED_OUT: Code.VOUCHER_EXPIRED,
    Result.HOLD_MUST_END_LATER: Code.VOUCHER_EXPIRED,
    Result.RULE_SET_NOT_IN_FORCE: Code.SHOP_CANNOT_RECEIVE,
    Result.HOLD_NOT_FOUND: Code.VOUCHER_NOT_RESERVED,
    Result.PAYEE_NOT_ALLOWED: Code.SHOP_NOT_IN_GROUP,
    Result.PERSONS_NOT_ALLOWED: Code.SHOP_NOT_IN_GROUP,
    Result.CASH_OUT_NOT_ALLOWED: Code.SHOP_NOT_IN_GROUP,
    Result.CREDIT_ACCOUNT_NOT_FOUND: Code.SHOP_NOT_IN_GROUP,
    Result.CREDIT_ACCOUNT_CLOSED: Code.SHOP_CANNOT_RECEIVE,
    Result.CREDIT_ACCOUNT_BLOCKED: Code.SHOP_CANNOT_RECEIVE,
    Result.DEBIT_ACCOUNT_BLOCKED: Code.FUNDER_CANNOT_PAY,
    Result.DEBIT_ACCOUNT_CLOSED: Code.FUNDER_CANNOT_PAY,
    Result.EXCEEDS_BALANCE: Code.FUNDER_CANNOT_PAY,
}

_OF_STATE: Final = {
    RESERVING: Code.VOUCHER_NOT_RESERVED,
    REFUSED: Code.VOUCHER_NOT_RESERVED,
    PREACTIVATED: Code.VOUCHER_NOT_ACTIVATED,
    ACTIVATED: Code.VOUCHER_ACTIVATED,
    REDEEMED: Code.VOUCHER_USED,
    CANCELLED: Code.VOUCHER_CANCELLED,
    EXPIRED: Code.VOUCHER_EXPIRED,
}


class VoucherRefused(SyceeError):
    """A voucher was refused; nothing was changed. `code` is stable."""

    def __init__(self, code: Code | str, *, hint: str | None = None) -> None:
        text = MESSAGES[Code(code)] if code in Code.__members__ else "the ledger refused"
        super().__init__(f"{text}: {code}", hint=hint)
        self.code = str(code)


class AttemptsExhausted(UsageError):
    """A person sent too many wrong numbers for one shop today."""


def of_state(state: str) -> Code:
    """Return why a voucher in this state cannot take a step."""
    return _OF_STATE[state]


def of_ledger(result: Result, step_of: str) -> str:
    """Return the code for a refusal by the ledger; the ledger's own name where a caller may hear it.

    `step_of`: the step, because a credit limit is the group's budget when money is reserved, and the shop's limit when
    it is redeemed.
    """
    if result is Result.EXCEEDS_BALANCE_LIMIT:
        return Code.BUDGET_EXHAUSTED if step_of == "reserve" else Code.SHOP_CANNOT_RECEIVE
    if result is Result.RULE_SET_NOT_IN_FORCE and step_of == "reserve":
        return Code.VOUCHER_EXPIRED
    return _OF_LEDGER.get(result, result.name)
