"""The operations and facts that `Ledger` and `AsyncLedger` share, and `Chain` does not have."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final, Generic, TypeVar

from sycee.core.arguments import short_repr
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, Reason, Role
from sycee.sequencer import account_opening
from sycee.sequencer.account_opening import Steps, SuspenseAccounts
from sycee.sequencer.money_operations import MoneyOperations, ReturnType
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.session import Session

AccountType = TypeVar("AccountType")
BOTH_SIDES: Final = Block.DEBIT | Block.CREDIT


class LedgerOperations(MoneyOperations[ReturnType], Generic[ReturnType, AccountType]):
    """Operations on accounts, limits, keys and roles, besides those that move money.

    `AccountType` is the id of an account for Ledger, an awaitable of it for AsyncLedger.
    """

    def __init__(self, sequencer: Sequencer, session: Session) -> None:
        self.sequencer = sequencer
        self._session = session
        self._suspense = SuspenseAccounts()

    @abstractmethod
    def _follow(self, steps: Steps[Any]) -> Any:
        """Do the steps in order, sending each its outcome; return what the last one returns, or an awaitable of it."""

    # --- currencies and accounts ---

    def define_currency(self, code: str, *, zone: str, id: AnyId | None = None) -> ReturnType:
        """Define an ISO 4217 currency whose day ends at midnight in `zone`. A repeated definition returns EXISTS."""
        outcome: ReturnType = self._follow(account_opening.define_currency(code, zone, self._id(id)))
        return outcome

    def open_account(
        self,
        currency: str,
        kind: AccountKind,
        *,
        account: AnyId | None = None,
        suspense: AnyId = 0,
        operator: int = 0,
        rule_set: int = 0,
        id: AnyId | None = None,
    ) -> AccountType:
        """Open an account and return its id: `account`, or a fresh one.

        - `suspense`: account that receives money for this one once it is closed. By default the operator's first
          suspense account of the currency, or else the issuer's (operator 0); opened now if there is none.
        - `operator`: number of the operator that runs the account and signs for it.
        - `rule_set`: the limits of the account; 0 for none.

        To repeat the call safely, give both `id` and `account`. Raises Refused if the ledger refuses the account,
        UsageError for an `id` without `account`.
        """
        if id is not None and account is None:
            raise UsageError(
                "open_account with id= needs account=: repeated without it, the call would open another account",
                hint="choose the account's id as well: account=ledger.new_id(), stored before the call",
            )
        steps = self._suspense.open_account(
            self._id, currency, kind, account=account, suspense=suspense, operator=operator, rule_set=rule_set, id=id
        )
        opened: AccountType = self._follow(steps)
        return opened

    def close_account(self, account: AnyId, *, reason: Reason = Reason.REQUEST, id: AnyId | None = None) -> ReturnType:
        """Close an account permanently. It must be empty, without holds or money in transit."""
        return self._submit_record(operations.close_account(self._id(id), account=account, reason=reason))

    def link_account(self, account: AnyId, to: AnyId = 0, *, id: AnyId | None = None) -> ReturnType:
        """Forward money above an account's limit through the IN_TRANSIT account `to`; 0 for no forwarding.

        For an IN_TRANSIT account, `to` is the account that receives its confirmed money.
        """
        return self._submit_record(operations.link_account(self._id(id), account=account, to=to))

    # --- limits and blocks ---

    def define_rule_set(
        self, rule_set: int, *, from_ns: int = 0, until_ns: int = I64_MAX, id: AnyId | None = None, **rules: Any
    ) -> ReturnType:
        """Define the limits of accounts under rule set `rule_set`, or change them from `effective_ns` on.

        `rules` are the keywords of `operations.define_rule_set`: maxima in minor units (`balance_max`, `single_max`,
        `day_max`, ...), `groups`, `flags`, `refund_reserve`, `payment_min`, `refund_window_s`, `return_account`,
        `effective_ns`.
        """
        return self._submit_record(
            operations.define_rule_set(self._id(id), rule_set=rule_set, from_ns=from_ns, until_ns=until_ns, **rules)
        )

    def set_rule_set(self, account: AnyId, rule_set: int, *, id: AnyId | None = None) -> ReturnType:
        """Assign a rule set to the account immediately; 0 for none."""
        return self._submit_record(operations.set_rule_set(self._id(id), account=account, rule_set=rule_set))

    def block(
        self, account: AnyId, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: AnyId | None = None
    ) -> ReturnType:
        """Block an account for debits, credits or both. Each side stays blocked until all its reasons are removed."""
        record = operations.block_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._submit_record(record)

    def unblock(
        self, account: AnyId, reason: Reason, *, sides: Block = BOTH_SIDES, code: int = 0, id: AnyId | None = None
    ) -> ReturnType:
        """Remove one reason of a block."""
        record = operations.unblock_account(self._id(id), account=account, sides=sides, reason=reason, code=code)
        return self._submit_record(record)

    # --- keys, roles, signatures ---

    def set_key(self, account: AnyId, key: PublicKey | None, *, id: AnyId | None = None) -> ReturnType:
        """Set the key that signs the account's own operations after this call; None for no key.

        Each call, also with None, begins a new key epoch: signatures made before it are no longer valid.
        """
        if key is None:
            return self._submit_record(operations.set_key(self._id(id), account=account))
        _check_public(key)
        return self._submit_record(operations.set_key(self._id(id), account=account, key=key.key, flags=key.flags))

    def grant_role(
        self,
        person: AnyId,
        role: Role,
        key: PublicKey,
        *,
        operator: int = 0,
        currency: int = 0,
        from_ns: int = 0,
        until_ns: int = I64_MAX,
        id: AnyId | None = None,
    ) -> ReturnType:
        """Allow a person's key to sign in a role while `from_ns` <= time < `until_ns`; `revoke_role` needs the `id`.

        - `person`: a pseudonymous id of the person.
        - `operator`: number of the operator whose accounts an OPERATOR signs for.
        - `currency`: the only currency that an OFFICER signs for; 0 for an officer of the board.

        Once two persons are officers of the board, operations need signatures. A key that another person has is refused
        with KEY_IS_ANOTHERS.
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
        return self._submit_record(record)

    def revoke_role(self, grant: AnyId, *, id: AnyId | None = None) -> ReturnType:
        """Revoke permanently the role that the `grant_role` with this id granted."""
        return self._submit_record(operations.revoke_role(self._id(id), grant=grant))

    # --- ids and facts ---

    def new_id(self) -> int:
        """Return a fresh id for an operation or an account. Store it first if the call may have to be repeated."""
        return self._session.new_id()

    @property
    def signs(self) -> bool:
        """Whether submissions without envelopes are signed: True after `signed_by`."""
        return self._session.signs

    @property
    def authority_on(self) -> bool:
        """Whether operations need signatures: True once two persons were officers of the board."""
        return self.sequencer.authority_on

    @property
    def findings(self) -> tuple[str, ...]:
        """One sentence for each cut, repair or skipped snapshot at opening, and for a snapshot that failed at close.

        Empty if there were none. Also readable after `close`.
        """
        return self.sequencer.findings

    @property
    def ledger_id(self) -> bytes:
        """The ledger's 16 bytes, which every signature covers."""
        return self.sequencer.ledger_id


def _check_public(key: PublicKey) -> None:
    if not isinstance(key, PublicKey):
        raise UsageError(
            f"key must be a PublicKey; got {short_repr(key)}",
            hint="give SigningKey.public, or PublicKey.parse of its text; never a private key",
        )
