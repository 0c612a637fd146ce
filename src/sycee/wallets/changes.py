"""Changes of open wallets: a change of class, and closing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.stores import Stores
from sycee.identity.people import People
from sycee.personal.retention import Retention
from sycee.sequencer.signer import Signer
from sycee.wallets.alias_rows import end_aliases_of
from sycee.wallets.directory import Wallet
from sycee.wallets.tables import CLOSED, OPEN, WALLETS

if TYPE_CHECKING:
    from sycee.wallets.opening import Opening

CLOSE: Final = "wallet.close"
CLASS: Final = "wallet.class"
RELATION_ENDED: Final = "relation-ended"  # basis of retention


class Changes:
    """Closes wallets, and moves them to other classes."""

    def __init__(self, stores: Stores, people: People, opening: Opening, retention: Retention) -> None:
        self._stores, self._people, self._opening = stores, people, opening
        stores.actions.register(_Close(opening, people, retention), _Class())

    def close(self, account: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> Wallet:
        """Close an empty wallet permanently, with its aliases. The operator signs.

        With the last wallet of a person, the retention of the person's data begins. `id`: of the intent; the same id
        again returns the closed wallet. Raises UsageError for a person without the duty; Refused with the ledger's
        code, ACCOUNT_NOT_EMPTY for a wallet with money.
        """
        wallet = self._opening.directory.get(account)
        self._people.require(who, CLOSE, operator=wallet.operator)
        if wallet.state == CLOSED and id and self._stores.intents.outcome(id, CLOSE) is not None:
            return wallet
        self._opening.directory.require_open(account)
        record = operations.close_account(self._stores.new_id(), account=account)
        payload = {"account": ids.format(account), "holder": ids.format(wallet.holder)}
        outcome = self._stores.intents.perform(Draft(CLOSE, record, payload, who=who, signers=signers, id=id))
        outcome.require_created(f"wallet {ids.format(account)} stays open")
        return self._opening.directory.get(account)

    def change_class(self, account: int, tier: str, *, signers: Sequence[Signer], who: int, id: int = 0) -> Wallet:
        """Move a wallet to another class of the preset. The operator signs. Errors as `Opening.open`.

        `id`: of the intent; the same id again changes nothing more.

        Raises UsageError while the wallet is under recovery: another class would end the block on own money.
        """
        wallet = self._opening.directory.require_open(account)
        self._people.require(who, CLASS, operator=wallet.operator)
        if self._stores.ledger.account(account).rule_set != wallet.rule_set:
            raise UsageError(f"wallet {ids.format(account)} is under recovery", hint="change its class after 24 hours")
        is_person = self._people.state_of(wallet.holder) is not None
        found = self._opening.preset.tier(tier)
        has_key = bool(self._stores.ledger.account(account).key)
        self._opening.check_class(found, is_person=is_person, has_key=has_key)
        rule_set = self._opening.rule_set(tier)
        record = operations.set_rule_set(self._stores.new_id(), account=account, rule_set=rule_set)
        payload: dict[str, Any] = {"account": ids.format(account), "to": [tier, rule_set]}
        payload["from"] = [wallet.wallet_class, wallet.rule_set]
        outcome = self._stores.intents.perform(Draft(CLASS, record, payload, who=who, signers=signers, id=id))
        outcome.require_created(f"wallet {ids.format(account)} keeps its class")
        return self._opening.directory.get(account)


class _Close:
    """Set the state of a closed wallet, end its aliases, and begin the retention of its holder's data."""

    name = CLOSE

    def __init__(self, opening: Opening, people: People, retention: Retention) -> None:
        self._opening, self._people, self._retention = opening, people, retention

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the end of a wallet that the ledger closed."""
        if results[0] is not Result.CREATED:
            return
        account, holder = ids.parse(intent.payload["account"]), ids.parse(intent.payload["holder"])
        connection.execute(WALLETS.update().where(WALLETS.c.account == account).values(state=CLOSED))
        end_aliases_of(connection, account)
        is_person = self._people.state_of(holder) is not None
        if is_person and not self._opening.directory.is_customer(connection, holder):
            self._retention.begin(connection, holder, RELATION_ENDED, self._today())

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Open the wallet again, if a restore undoes the closing. Its aliases are registered anew."""
        account = ids.parse(intent.payload["account"])
        connection.execute(WALLETS.update().where(WALLETS.c.account == account).values(state=OPEN))
        self._retention.cancel(connection, ids.parse(intent.payload["holder"]))

    def _today(self) -> date:
        return self._retention.today()


class _Class:
    """Set the class of a wallet."""

    name = CLASS

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the class that the ledger applied."""
        if results[0] is Result.CREATED:
            self._set(connection, intent, "to")

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store the earlier class, if a restore takes the change back."""
        self._set(connection, intent, "from")

    def _set(self, connection: Connection, intent: Intent, which: str) -> None:
        name, rule_set = intent.payload[which]
        chosen = WALLETS.c.account == ids.parse(intent.payload["account"])
        connection.execute(WALLETS.update().where(chosen).values({"class": name, "rule_set": rule_set}))
