"""Define a currency, and open an account with the suspense account that it needs, in steps.

A step is an array of records to submit, or a function of the state between two frames. `Ledger` blocks for each step
and `AsyncLedger` awaits it, so that the steps are written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np

from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import Refused
from sycee.core.ids import AnyId
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.ledger.batch import first_codes, results_of
from sycee.ledger.state import LedgerState
from sycee.sequencer import reads

Value = TypeVar("Value")
# Sent back for (n,) layout.OPERATION: (n,) layout.ANSWER; for a function: what it returned.
Steps = Generator[Array | Callable[[LedgerState], Any], Any, Value]

_HINTS: Final = {
    Result.ISSUANCE_EXISTS: "a currency has one issuance account: ledger.issuance(...) returns it",
    Result.ACCOUNT_EXISTS: "use that account; to retry after a lost response, repeat the operation's id as well",
    Result.CURRENCY_NOT_FOUND: "call define_currency first",
    Result.RULE_SET_NOT_FOUND: "call define_rule_set first",
    Result.SUSPENSE_NOT_FOUND: "suspense= must be a SUSPENSE account of the same currency and operator, or operator 0",
}


def define_currency(code: str, zone: str, id: int) -> Steps[Result]:
    """Define a currency, unless it is defined with this zone."""
    number = reads.currency_number(code)
    record = operations.define_currency(id, currency=number, zone=zone)
    if (yield lambda state: state.zones.get(number)) == zone:
        return Result.EXISTS
    (result,) = results_of((yield record))
    return result


class SuspenseAccounts:
    """Cache of suspense account ids by currency and operator. Safe for many threads."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], int] = {}  # account id by currency and operator

    def open_account(
        self,
        id_of: Callable[[AnyId | None], int],
        currency: str,
        kind: AccountKind,
        *,
        account: AnyId | None = None,
        suspense: AnyId = 0,
        operator: int = 0,
        rule_set: int = 0,
        id: AnyId | None = None,
    ) -> Steps[int]:
        """Open an account, and before it the suspense account that it needs if there is none. Return the account's id.

        `id_of` returns the number of an id, and a fresh one for None. Raises Refused if the ledger refuses an account.
        """
        number, kind = reads.currency_number(currency), reads.account_kind(kind)
        operator, account = check_integer("operator", operator, high=2**32 - 1), id_of(account)
        suspense = check_id("suspense", suspense)
        if not suspense and kind not in (AccountKind.ISSUANCE, AccountKind.SUSPENSE):
            suspense = self._found.get((number, operator), 0) or (yield partial(self._find, number, operator))
            try:
                suspense = suspense or (
                    yield from self.open_account(id_of, currency, AccountKind.SUSPENSE, operator=operator)
                )
            except Refused as error:
                raise _without_suspense(error, kind, currency) from error
        (answer,) = yield operations.open_account(
            id_of(id),
            account=account,
            currency=number,
            kind=kind,
            suspense=suspense,
            operator=operator,
            rule_set=rule_set,
        )
        _check_opened(answer, kind, currency)
        if kind is AccountKind.SUSPENSE:
            self._found.clear()  # a new suspense account of an operator takes precedence over the issuer's
        return account

    def _find(self, currency: int, operator: int, state: LedgerState) -> int:
        """Return the operator's first suspense account of a currency, else the issuer's (operator 0), else 0."""
        accounts = state.accounts
        open_ = (accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency)
        rows = [row for each in (operator, 0) for row in np.flatnonzero(open_ & (accounts["operator"] == each))]
        if not rows:
            return 0
        found = self._found[currency, operator] = state.account_id(int(rows[0]))
        return found


def _check_opened(answer: Any, kind: AccountKind, currency: str) -> None:
    """Raise Refused unless the account was opened, now or by an earlier submission. `answer`: one layout.ANSWER."""
    result = Result(int(first_codes(answer)))
    if result is not Result.CREATED:
        raise Refused(f"{kind.name} account in {currency} not opened", result, hint=_HINTS.get(result))


def _without_suspense(error: Refused, kind: AccountKind, currency: str) -> Refused:
    """Return the error for an account whose suspense account, which is opened first, was refused."""
    message = f"{kind.name} account in {currency}, and the SUSPENSE account that it needs, not opened"
    return Refused(message, error.result, hint=error.hint)
