"""Open an account: find its suspense account, and raise an error if the ledger refuses to open it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee.core.errors import Refused
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.ledger.batch import first_codes
from sycee.sequencer.sequencer import Sequencer

_HINTS: Final = {
    Result.ISSUANCE_EXISTS: "a currency has one issuance account: ledger.issuance(...) returns it",
    Result.ACCOUNT_EXISTS: "use that account; to retry after a lost response, repeat the operation's id as well",
    Result.CURRENCY_NOT_FOUND: "call define_currency first",
    Result.RULE_SET_NOT_FOUND: "call define_rule_set first",
    Result.SUSPENSE_NOT_FOUND: "suspense= must be a SUSPENSE account of the same currency and operator, or operator 0",
}


class SuspenseAccounts:
    """Cache of suspense account ids by currency and operator. Safe for many threads."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self._found: dict[tuple[int, int], int] = {}  # account id by currency and operator

    def find(self, currency: int, operator: int) -> int:
        """Return the operator's first suspense account of a currency, else the issuer's (operator 0), else 0."""
        found = self._found.get((currency, operator), 0)
        if not found:
            with self._sequencer.reading() as state:
                accounts = state.accounts
                open_ = (accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency)
                rows = [row for each in (operator, 0) for row in np.flatnonzero(open_ & (accounts["operator"] == each))]
                if rows:
                    found = self._found[currency, operator] = state.account_id(int(rows[0]))
        return found

    def clear(self) -> None:
        """Empty the cache: a new suspense account of an operator takes precedence over the issuer's."""
        self._found.clear()


def check_opened(answer: Any, kind: AccountKind, currency: str) -> None:
    """Raise Refused unless the account was opened, now or by an earlier submission. `answer`: one layout.ANSWER."""
    result = Result(int(first_codes(answer)))
    if result is not Result.CREATED:
        raise Refused(f"{kind.name} account in {currency} not opened", result, hint=_HINTS.get(result))


def without_suspense(error: Refused, kind: AccountKind, currency: str) -> Refused:
    """Return the error for an account whose suspense account, which is opened first, was refused."""
    message = f"{kind.name} account in {currency}, and the SUSPENSE account that it needs, not opened"
    return Refused(message, error.result, hint=error.hint)
