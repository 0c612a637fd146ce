"""What one sets up in an embedded ledger, as verbs: currencies, accounts, their limits, blocks and keys, and roles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from sycee.core.codes import Result
from sycee.core.errors import Refused, UsageError
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.ledger import operations
from sycee.ledger.envelopes import Envelope
from sycee.ledger.layout import AccountKind, Block, Reason, Role
from sycee.sequencer.readers import Readers, account_kind, currency_number
from sycee.sequencer.verbs import Verbs

Array = np.ndarray[Any, Any]

BOTH_SIDES: Final = Block.DEBIT | Block.CREDIT
_HINTS: Final = {
    Result.ISSUANCE_EXISTS: "a currency has one issuance account: ledger.issuance(...) finds it",
    Result.ACCOUNT_EXISTS: "use that account; to open it again after a lost answer, repeat the operation's id, too",
    Result.CURRENCY_NOT_FOUND: "define_currency comes first",
    Result.RULE_SET_NOT_FOUND: "define_rule_set comes first",
    Result.SUSPENSE_NOT_FOUND: "suspense= names a SUSPENSE account of the same currency and operator, or of operator 0",
}


class Keeping(Readers, Verbs[Result]):
    """The verbs of whoever runs the ledger. Each takes an `id`, and the same id again is answered EXISTS."""

    _suspense: dict[tuple[int, int], int]  # by currency and operator, once looked up

    @abstractmethod
    def submit(self, records: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Ask for operations: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns."""

    # --- currencies and accounts ---

    def define_currency(self, code: str, *, zone: str, id: int | None = None) -> Result:
        """Keep this ISO 4217 currency, whose day ends at midnight in `zone`. Repeating it is harmless."""
        number = currency_number(code)
        record = operations.define_currency(self._id(id), currency=number, zone=zone)
        with self.sequencer.reading() as state:
            if state.zones.get(number) == zone:
                return Result.EXISTS
        return self._take(record)

    def open_account(
        self,
        currency: str,
        kind: AccountKind,
        *,
        account: int | None = None,
        suspense: int = 0,
        operator: int = 0,
        rule_set: int = 0,
        id: int | None = None,
    ) -> int:
        """Open an account and return its id: `account`, or a fresh one.

        `suspense` is the account that takes what this one cannot; without it, the operator's first suspense account of
        the currency does, or the issuer's (operator 0), and one is opened now if there is none. `operator` is the
        number of who runs it, and signs for it; `rule_set` the limits it lives under; 0 for none. Safe to send again
        under the same `id` and `account`: the account is returned as the first time. Raises Refused where the ledger
        says no, UsageError for an `id` without `account`.
        """
        if id is not None and account is None:
            raise UsageError(
                "open_account with id= but without account= could not be sent again: each time it would open another",
                hint="choose the account's id, too: account=ledger.new_id(), kept before the call",
            )
        number, kind, operator = currency_number(currency), account_kind(kind), operations.integer("operator", operator)
        account, suspense = self._id(account), operations.integer("suspense", suspense)
        if not suspense and kind not in (AccountKind.ISSUANCE, AccountKind.SUSPENSE):
            suspense = self._first_suspense(number, operator) or self.open_account(
                currency, AccountKind.SUSPENSE, operator=operator
            )
        record = operations.open_account(
            self._id(id),
            account=account,
            currency=number,
            kind=kind,
            suspense=suspense,
            operator=operator,
            rule_set=rule_set,
        )
        (answer,) = self.submit(record)
        result = Result(int(answer["code"]))
        if result is Result.EXISTS:
            result = Result(int(answer["first_code"]))
        if result is not Result.CREATED:
            raise Refused(f"{kind.name} account in {currency} not opened", result, hint=_HINTS.get(result))
        if kind is AccountKind.SUSPENSE:
            self._suspense.clear()  # an operator's own comes before the issuer's
        return account

    def close_account(self, account: int, *, reason: Reason = Reason.REQUEST, id: int | None = None) -> Result:
        """Close an account for good. It must be empty, with nothing held or on its way."""
        return self._take(operations.close_account(self._id(id), account=account, reason=reason))

    def link_account(self, account: int, to: int = 0, *, id: int | None = None) -> Result:
        """Let what an account may not hold go on through the IN_TRANSIT account `to`; 0 for nowhere.

        An IN_TRANSIT account itself is linked to where its confirmed money goes.
        """
        return self._take(operations.link_account(self._id(id), account=account, to=to))

    # --- limits and blocks ---

    def define_rule_set(
        self, rule_set: int, *, from_ns: int = 0, until_ns: int = I64_MAX, id: int | None = None, **rules: Any
    ) -> Result:
        """Define what money of accounts under rule set `rule_set` may do, or change it from `effective_ns` on.

        `rules` are the keywords of `operations.define_rule_set`: maxima in minor units (`balance_max`, `single_max`,
        `day_max`, ...), `groups`, `flags`, `refund_reserve`, `payment_min`, `refund_window_s`, `return_account`,
        `effective_ns`.
        """
        record = operations.define_rule_set(
            self._id(id), rule_set=rule_set, from_ns=from_ns, until_ns=until_ns, **rules
        )
        return self._take(record)

    def set_rule_set(self, account: int, rule_set: int, *, id: int | None = None) -> Result:
        """Let the account live under a rule set from now on; 0 for none."""
        return self._take(operations.set_rule_set(self._id(id), account=account, rule_set=rule_set))

    def block(
        self, account: int, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: int | None = None
    ) -> Result:
        """Block an account for debits, credits or both. Each side stays blocked while any reason stands."""
        record = operations.block_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._take(record)

    def unblock(
        self, account: int, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: int | None = None
    ) -> Result:
        """Take back one reason of blocking."""
        record = operations.unblock_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._take(record)

    # --- keys and roles ---

    def set_key(self, account: int, key: PublicKey | None, *, id: int | None = None) -> Result:
        """Let the account's own operations be signed with this key from now on; None for no key.

        Each call, the last too, begins a new key epoch: signatures made before it count no more.
        """
        if key is None:
            return self._take(operations.set_key(self._id(id), account=account))
        _check_public(key)
        return self._take(operations.set_key(self._id(id), account=account, key=key.key, flags=key.flags))

    def grant_role(
        self,
        person: int,
        role: Role,
        key: PublicKey,
        *,
        operator: int = 0,
        currency: int = 0,
        from_ns: int = 0,
        until_ns: int = I64_MAX,
        id: int | None = None,
    ) -> Result:
        """Let a person's key sign in a role while `from_ns` <= time < `until_ns`; `revoke_role` names the grant's `id`.

        `person` is an id that says nothing about them; `operator` the number of the operator whose accounts an
        operator signs for; `currency` the only one that an officer signs for, 0 for an officer of the board. As soon as
        two persons are officers of the board, operations need signatures. A key is one person's: KEY_IS_ANOTHERS.
        """
        _check_public(key)
        record = operations.grant_role(
            self._id(id),
            person=person,
            role=role,
            key=key.key,
            flags=key.flags,
            from_ns=from_ns,
            until_ns=until_ns,
            operator=operator,
            currency=currency,
        )
        return self._take(record)

    def revoke_role(self, grant: int, *, id: int | None = None) -> Result:
        """Take back, for good, the role that the `grant_role` of this id gave."""
        return self._take(operations.revoke_role(self._id(id), grant=grant))

    # --- helpers ---

    def _first_suspense(self, currency: int, operator: int) -> int:
        if (currency, operator) not in self._suspense:
            with self.sequencer.reading() as state:
                accounts = state.accounts
                kept = (accounts["kind"] == AccountKind.SUSPENSE) & (accounts["currency"] == currency)
                rows = [row for each in (operator, 0) for row in np.flatnonzero(kept & (accounts["operator"] == each))]
                if not rows:
                    return 0
                self._suspense[currency, operator] = state.account_id(int(rows[0]))
        return self._suspense[currency, operator]


def _check_public(key: PublicKey) -> None:
    if not isinstance(key, PublicKey):
        raise UsageError(
            f"{operations.shown(key)} is no PublicKey",
            hint="give SigningKey.public, or PublicKey.parse of its text; never a private key",
        )
