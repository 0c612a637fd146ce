"""What opening an account needs besides its record: a suspense account, and the error for a refusal."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sycee.core.errors import Refused
from sycee.core.result_codes import Result
from sycee.ledger.layout import AccountKind
from sycee.sequencer.sequencer import Sequencer

_HINTS: Final = {
    Result.ISSUANCE_EXISTS: "a currency has one issuance account: ledger.issuance(...) finds it",
    Result.ACCOUNT_EXISTS: "use that account; to open it again after a lost answer, repeat the operation's id, too",
    Result.CURRENCY_NOT_FOUND: "define_currency comes first",
    Result.RULE_SET_NOT_FOUND: "define_rule_set comes first",
    Result.SUSPENSE_NOT_FOUND: "suspense= names a SUSPENSE account of the same currency and operator, or of operator 0",
}


class SuspenseAccounts:
    """Finds suspense accounts by currency and operator, and remembers them. Safe for many threads."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self._found: dict[tuple[int, int], int] = {}  # account id by currency and operator

    def find(self, currency: int, operator: int) -> int:
        """Return the operator's first suspense account of a currency, or else the issuer's; 0 where there is none."""
        found = self._found.get((currency, operator), 0)
        if not found:
            with self._sequencer.reading() as state:
                accounts = state.accounts
                open_ = (accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency)
                rows = [row for each in (operator, 0) for row in np.flatnonzero(open_ & (accounts["operator"] == each))]
                if rows:
                    found = self._found[currency, operator] = state.account_id(int(rows[0]))
        return found

    def forget(self) -> None:
        """Search again from now on: an operator's own suspense account comes before the issuer's."""
        self._found.clear()


def check_opened(answer: Any, kind: AccountKind, currency: str) -> None:
    """Raise Refused where an account was not opened, now or the first time. `answer`: a layout.ANSWER record."""
    result = Result(int(answer["code"]))
    if result is Result.EXISTS:
        result = Result(int(answer["first_code"]))
    if result is not Result.CREATED:
        raise Refused(f"{kind.name} account in {currency} not opened", result, hint=_HINTS.get(result))
