"""Accounts that pay programmes: an operator opens one, pays it in from its vault, and pays the rest out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome, LedgerOnly
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.issuance.registry import Registry
from sycee.ledger.state import LedgerState
from sycee.programmes.tables import FUNDERS, OPEN, OPENING, REFUSED
from sycee.sequencer.signer import Signer

OPEN_FUNDER: Final = "programme.funder"
MOVE: Final = "programme.funding"
NAME_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Funder:
    """An account that pays programmes. `operator`: the number of the operator that serves it."""

    account: int
    name: str
    operator: int
    state: str
    made_ns: int


class Funders:
    """The funders' accounts of one bank."""

    def __init__(self, stores: Stores, people: People, registry: Registry) -> None:
        self._stores = stores
        self._people = people
        self._registry = registry
        registry.add_own(each.account for each in self.list())
        stores.actions.register(_OpenFunder(), LedgerOnly(MOVE))

    def open(self, name: str, *, operator: int, signers: Sequence[Signer], who: int, id: int = 0) -> Funder:
        """Open a funder's account at an operator, which signs, and return it. `id`: of the intent.

        The account is without a key: its operator signs drops. Raises UsageError for a name that another funder of the
        operator has, an operator that is not active, and a person without the duty.
        """
        self._people.require(who, OPEN_FUNDER, operator=operator)
        accounts = self._registry.require_active(operator).accounts
        if not 0 < len(name) <= NAME_MAX:
            raise UsageError(f"a funder's name has 1 to {NAME_MAX} characters; got {len(name)}")
        if id and (outcome := self._stores.intents.outcome(id, OPEN_FUNDER)) is not None:
            outcome.require_created("the funder's account was not opened")
            found = self._stores.intents.find(id)
            assert found is not None, "it has an outcome"
            return self.get(ids.parse(found.payload["account"]))
        now_ns = read_ns(self._stores.clock)
        account = ids.new(now_ns // 1_000_000)
        record = operations.open_account(
            ids.new(now_ns // 1_000_000), account=account, currency=self._registry.issuer.currency,
            kind=AccountKind.FUNDER, suspense=accounts.suspense, operator=operator,
        )  # fmt: skip

        def before(connection: Connection) -> None:
            chosen = (FUNDERS.c.name == name) & (FUNDERS.c.operator == operator) & (FUNDERS.c.state != REFUSED)
            if connection.scalar(sqlalchemy.select(FUNDERS.c.account).where(chosen)) is not None:
                raise UsageError(f"operator {operator} has a funder {name!r} already", hint="choose another name")
            row = {"account": account, "name": name, "operator": operator, "state": OPENING, "made_ns": now_ns}
            connection.execute(FUNDERS.insert().values(row))

        self._registry.add_own([account])
        draft = Draft(
            OPEN_FUNDER, record, {"account": ids.format(account)}, who=who, signers=signers, before=before, id=id
        )
        self._stores.intents.perform(draft).require_created("the funder's account was not opened")
        return self.get(account)

    def pay_in(self, account: int, minor: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Move money from the operator's vault to a funder. The operator signs. A refusal is the outcome's."""
        vault = self._registry.require_active(self.get(account).operator).accounts.vault
        return self._move(account, vault, account, minor, signers, who, id)

    def pay_out(self, account: int, minor: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Move money from a funder back to the operator's vault. The operator signs. A refusal is the outcome's."""
        vault = self._registry.operator(self.get(account).operator).accounts.vault
        return self._move(account, account, vault, minor, signers, who, id)

    def get(self, account: int) -> Funder:
        """Return a funder. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(FUNDERS).where(FUNDERS.c.account == account)).one_or_none()
        if row is None:
            raise NotFound(f"there is no funder {ids.format(account)}", hint="`sycee drop funders` shows them")
        return Funder(**row._mapping)

    def find(self, text: str) -> Funder:
        """Return the open funder with this account id or name. Raises NotFound unless exactly one fits."""
        found = [each for each in self.list(OPEN) if text in (each.name, ids.format(each.account))]
        if len(found) != 1:
            problem = f"{len(found)} funders are named {text!r}" if found else f"there is no funder {text!r}"
            raise NotFound(problem, hint="`sycee drop funders` shows them: name the account")
        return found[0]

    def list(self, state: str | None = None) -> Sequence[Funder]:
        """Return the funders, or those in one state, oldest first."""
        query = sqlalchemy.select(FUNDERS).order_by(FUNDERS.c.made_ns, FUNDERS.c.account)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query if state is None else query.where(FUNDERS.c.state == state))
            return [Funder(**row._mapping) for row in rows]

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each funder whose account the ledger does not have, or has as another kind."""

        def compared(state: LedgerState, each: Funder) -> Iterator[str]:
            account = state.account(each.account)
            if account is None or account.kind is not AccountKind.FUNDER:
                yield f"the funder {ids.format(each.account)} is open, and the ledger has no such account"

        return differences(self._stores.ledger, self.list(OPEN), compared)

    def _move(
        self, account: int, debit: int, credit: int, minor: int, signers: Sequence[Signer], who: int, id: int
    ) -> IntentOutcome:
        self._people.require(who, OPEN_FUNDER, operator=self.get(account).operator)
        made = operations.transfer(self._stores.new_id(), debit=debit, credit=credit, amount=minor)
        draft = Draft(MOVE, made, {"account": ids.format(account)}, who=who, signers=signers, id=id)
        return self._stores.intents.perform(draft)


class _OpenFunder:
    name = OPEN_FUNDER

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Open the funder if the ledger opened the account; otherwise it is refused."""
        created = all(each is Result.CREATED for each in results)
        self._set(connection, intent, OPEN if created else REFUSED)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the funder."""
        self._set(connection, intent, REFUSED)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        chosen = FUNDERS.c.account == ids.parse(intent.payload["account"])
        connection.execute(FUNDERS.update().where(chosen).values(state=state))
