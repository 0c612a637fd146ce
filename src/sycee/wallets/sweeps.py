"""Sweeps: a merchant's balance is sent to its bank in one sum, under one bank reference. Waterfalls of wallets.

A sweep is a SEND from the merchant's account to its operator's vault. It waits in transit until the bank's leg is
known, and is then confirmed or rejected. The merchant's reserve for refunds stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import TransitState
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.institutions import Institutions
from sycee.identity.people import People
from sycee.ledger.state import LedgerState
from sycee.personal.register import Register
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory
from sycee.wallets.tables import (
    ACTIVE,
    CONFIRMED,
    ENDED,
    LAPSED,
    LINKS,
    REFUSED,
    REJECTED,
    SENDING,
    SENT,
    SWEEPS,
)

if TYPE_CHECKING:
    from sycee.issuance.registry import Registry

SWEEP: Final = "sweep"
CONFIRM: Final = "sweep.confirm"
REJECT: Final = "sweep.reject"
LINK: Final = "wallet.link"
BANK: Final = "bank"  # place of a waterfall's sealed bank account

_STATES: Final = {SENT: TransitState.OPEN, CONFIRMED: TransitState.CONFIRMED, REJECTED: TransitState.REJECTED}


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep. `id`: of the SEND. It carries the payments of the frames from `first_frame` to `last_frame`."""

    id: int
    merchant: int
    account: int
    operator: int
    bank_reference: str
    minor: int
    first_frame: int
    last_frame: int
    at_ns: int
    state: str


class Sweeps:
    """The sweeps and waterfalls of one bank."""

    def __init__(
        self,
        stores: Stores,
        people: People,
        institutions: Institutions,
        directory: Directory,
        registry: Registry,
        register: Register,
    ) -> None:
        self._stores, self._people, self._institutions = stores, people, institutions
        self._directory, self._registry, self._register = directory, registry, register
        stores.actions.register(
            _Sweep(stores), _Decide(stores, CONFIRM, CONFIRMED), _Decide(stores, REJECT, REJECTED), _Link()
        )

    def sweep(self, merchant: int, *, signers: Sequence[Signer], who: int, account: int = 0, id: int = 0) -> Sweep:
        """Send a merchant's available balance to its bank, and return the sweep with its one bank reference.

        `account`: of the merchant's wallets, the oldest by default. `signers`: the wallet's key, or its operator for a
        custodial one. `id`: the same id again returns the same sweep. Raises UsageError for a person without the duty,
        an account of another merchant, an unverified settlement account, and a balance with nothing to send; Refused
        with the ledger's code.
        """
        wallet = self._directory.require_open(account) if account else self._directory.open_of(merchant)
        if wallet.holder != merchant:
            raise UsageError(f"wallet {ids.format(account)} is another holder's", hint="name a wallet of the merchant")
        self._people.require(who, SWEEP, operator=wallet.operator, institution=merchant)
        self._institutions.require_settlement(merchant)
        accounts = self._registry.operator(wallet.operator).accounts
        sweep, now_ns = id or self._stores.new_id(), read_ns(self._stores.clock)
        record = operations.send(
            sweep,
            source=wallet.account,
            destination=accounts.vault,
            through=accounts.transit,
            amount=I64_MAX,
            up_to=True,
        )
        row = {
            "id": sweep,
            "merchant": merchant,
            "account": wallet.account,
            "operator": wallet.operator,
            "bank_reference": f"SW-{sweep:032X}",
            "minor": 0,
            "first_frame": self._next_frame(wallet.account),
            "last_frame": 0,
            "at_ns": now_ns,
            "state": SENDING,
        }

        with self._stores.ledger.sequencer.reading() as state:
            found = state.account(wallet.account)
            assert found is not None, "the wallet is open"
            minor = found.available - int(state.tables.rule_sets["refund_reserve"][found.rule_set])

        def before(connection: Connection) -> None:
            if minor <= 0:
                raise UsageError(
                    f"there is nothing to sweep from wallet {ids.format(wallet.account)}",
                    hint="the reserve for refunds stays; sweep after the next payments",
                )
            connection.execute(SWEEPS.insert().values(row))

        outcome = self._stores.intents.perform(
            Draft(
                SWEEP,
                record,
                {"account": ids.format(wallet.account)},
                who=who,
                signers=signers,
                before=before,
                id=sweep,
            )
        )
        outcome.require_created("the balance was not swept")
        return self.get(sweep)

    def _next_frame(self, account: int) -> int:
        counted = SWEEPS.c.state.in_((SENT, CONFIRMED))
        query = sqlalchemy.select(sqlalchemy.func.max(SWEEPS.c.last_frame)).where(SWEEPS.c.account == account, counted)
        with reading(self._stores.engine) as connection:
            return int(connection.scalar(query) or 0) + 1

    def confirm(self, sweep: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank received a sweep: the money is in the operator's vault. Operator 0 signs.

        `id`: of the intent; the same id again returns the first outcome.
        """
        record = operations.confirm(self._stores.new_id(), sent=sweep)
        return self._decide(CONFIRM, "transit.confirm", record, sweep, signers, who, id)

    def reject(self, sweep: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank refused a sweep: the money returns to the merchant. As `confirm`."""
        record = operations.reject(self._stores.new_id(), sent=sweep)
        return self._decide(REJECT, "transit.reject", record, sweep, signers, who, id)

    def _decide(
        self, action: str, duty: str, record: Array, sweep: int, signers: Sequence[Signer], who: int, id: int
    ) -> IntentOutcome:
        found = self.get(sweep)
        self._people.require(who, duty, operator=found.operator)
        if found.state != SENT:
            stored = self._stores.intents.find(id) if id else None
            if stored is not None and (stored.action, stored.payload["sweep"]) == (action, ids.format(sweep)):
                return stored.outcome
            raise UsageError(f"the sweep {found.bank_reference} is {found.state}", hint="only a sent sweep is decided")
        outcome = self._stores.intents.perform(
            Draft(action, record, {"sweep": ids.format(sweep)}, who=who, signers=signers, id=id)
        )
        outcome.require_created(f"the sweep {found.bank_reference} is not decided")
        return outcome

    def get(self, sweep: int) -> Sweep:
        """Return a sweep. Raises UsageError if there is none."""
        return self._one(SWEEPS.c.id == sweep, ids.format(sweep))

    def by_reference(self, bank_reference: str) -> Sweep:
        """Return the sweep with this bank reference. Raises UsageError if there is none."""
        return self._one(SWEEPS.c.bank_reference == bank_reference, repr(bank_reference[:40]))

    def of_merchant(self, merchant: int) -> list[Sweep]:
        """Return the sweeps of a merchant, the oldest first."""
        in_order = (SWEEPS.c.at_ns, SWEEPS.c.last_frame, SWEEPS.c.id)
        query = sqlalchemy.select(SWEEPS).where(SWEEPS.c.merchant == merchant).order_by(*in_order)
        with reading(self._stores.engine) as connection:
            return [Sweep(**row._mapping) for row in connection.execute(query)]

    def page(self, merchant: int, *, after: int = 0, limit: int) -> list[Sweep]:
        """Return up to `limit` sweeps of a merchant with ids above `after`, in the order of ids."""
        chosen = (SWEEPS.c.merchant == merchant) & (SWEEPS.c.id > after)
        query = sqlalchemy.select(SWEEPS).where(chosen).order_by(SWEEPS.c.id).limit(limit)
        with reading(self._stores.engine) as connection:
            return [Sweep(**row._mapping) for row in connection.execute(query)]

    def _one(self, chosen: Any, name: str) -> Sweep:
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(SWEEPS).where(chosen)).one_or_none()
        if row is None:
            raise NotFound(f"there is no sweep {name}", hint="`sycee merchant sweeps` shows the sweeps of a merchant")
        return Sweep(**row._mapping)

    # --- waterfalls ---

    def link(
        self, account: int, bank_account: str, *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> IntentOutcome:
        """Send the excess over a wallet's limit to its holder's bank account, after this call. The operator signs.

        `bank_account` is stored encrypted under the holder's key.
        """
        wallet = self._directory.require_open(account)
        self._people.require(who, "wallet.class", operator=wallet.operator)
        transit = self._registry.operator(wallet.operator).accounts.transit
        sealed = self._register.seal(wallet.holder, BANK, bank_account)
        record = operations.link_account(self._stores.new_id(), account=account, to=transit)

        def before(connection: Connection) -> None:
            connection.execute(LINKS.delete().where(LINKS.c.account == account))
            row = {"account": account, "transit": transit, "bank_sealed": sealed, "state": SENDING}
            connection.execute(LINKS.insert().values(row))

        payload = {"account": ids.format(account), "linked": True}
        draft = Draft(LINK, record, payload, who=who, signers=signers, before=before, id=id)
        outcome = self._stores.intents.perform(draft)
        outcome.require_created(f"wallet {ids.format(account)} has no waterfall")
        return outcome

    def unlink(self, account: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """End the waterfall of a wallet: payments that exceed its limit are then refused. The operator signs."""
        wallet = self._directory.require_open(account)
        self._people.require(who, "wallet.class", operator=wallet.operator)
        record = operations.link_account(self._stores.new_id(), account=account)
        payload = {"account": ids.format(account), "linked": False}
        outcome = self._stores.intents.perform(Draft(LINK, record, payload, who=who, signers=signers, id=id))
        outcome.require_created(f"the waterfall of wallet {ids.format(account)} stays")
        return outcome

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each sweep whose transit, and each waterfall whose link, the ledger has otherwise."""
        with reading(self._stores.engine) as connection:
            sweeps = [Sweep(**row._mapping) for row in connection.execute(sqlalchemy.select(SWEEPS))]
            links = list(connection.execute(sqlalchemy.select(LINKS)))

        def compared(state: LedgerState, sweep: Sweep) -> Iterator[str]:
            transit = state.transit_of(sweep.id)
            if (transit.state if transit else None) is not _STATES.get(sweep.state):
                yield f"the sweep {sweep.bank_reference} is {sweep.state}, and the ledger disagrees"
            elif transit is not None and transit.amount != sweep.minor:
                yield f"the sweep {sweep.bank_reference} has another amount in the ledger"

        def compared_link(state: LedgerState, link: sqlalchemy.Row[Any]) -> Iterator[str]:
            account = state.account(link.account)
            if account is not None and (account.link == link.transit) is not (link.state == ACTIVE):
                yield f"the waterfall of wallet {ids.format(link.account)} is {link.state}, and the ledger disagrees"

        yield from differences(self._stores.ledger, sweeps, compared)
        yield from differences(self._stores.ledger, links, compared_link)


class _Sweep:
    """Set the state and the amount of a sweep."""

    name = SWEEP

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the amount that the ledger sent, and the frame before it as the last one that the sweep carries."""
        values: dict[str, Any] = {"state": REFUSED}
        if results[0] is Result.CREATED:
            with self._stores.ledger.sequencer.reading() as state:
                transit, frame = state.transit_of(intent.id), state.sequence
            assert transit is not None, "the SEND was created"
            values = {"state": SENT, "minor": transit.amount, "last_frame": frame}
        connection.execute(SWEEPS.update().where(SWEEPS.c.id == intent.id).values(values))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that nothing was sent."""
        connection.execute(SWEEPS.update().where(SWEEPS.c.id == intent.id).values(state=LAPSED))


class _Decide:
    """Set the state of a sweep whose bank leg is known."""

    def __init__(self, stores: Stores, name: str, state: str) -> None:
        self._stores, self.name, self._state = stores, name, state

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the decision, if the ledger accepted it."""
        if results[0] is Result.CREATED:
            self._set(connection, intent, self._state)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that the sweep is still in transit."""
        self._set(connection, intent, SENT)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        chosen = SWEEPS.c.id == ids.parse(intent.payload["sweep"])
        connection.execute(SWEEPS.update().where(chosen).values(state=state))


class _Link:
    """Set the state of a waterfall."""

    name = LINK

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store whether the account is linked."""
        is_linked = intent.payload["linked"]
        if results[0] is Result.CREATED:
            self._set(connection, intent, ACTIVE if is_linked else ENDED)
        elif is_linked:
            self._set(connection, intent, REFUSED)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that the account is linked as before."""
        self._set(connection, intent, REFUSED if intent.payload["linked"] else ACTIVE)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        chosen = LINKS.c.account == ids.parse(intent.payload["account"])
        connection.execute(LINKS.update().where(chosen).values(state=state))
