"""Shops of a programme: merchants apply for a payee group, somebody else checks, and their operator lets them join.

Packet money reaches a shop only after its JOIN_GROUP, which the shop's operator signs. The service lets an operator
sign for accepted applications alone; the ledger itself would take the signature for any account of the operator
(docs/reference/authority.md), so `disagreements` reports a shop that joined without an application.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.comparing import differences
from sycee.database.intents import INTENT_RECORDS_MAX
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.institutions import Institutions
from sycee.identity.people import People
from sycee.identity.tables import ACTIVE, APPROVED, MERCHANT, OUTLETS, TILLS
from sycee.ledger.state import LedgerState
from sycee.programmes.service import Programmes
from sycee.programmes.tables import ACCEPTED, APPLICATIONS, APPLIED, DECLINED, JOINED, LEFT
from sycee.sequencer.signer import Signer
from sycee.wallets.directory import Directory
from sycee.wallets.tables import REFERENCES

APPLY: Final = "programme.apply"
CHECK: Final = "programme.check"
JOIN: Final = "programme.join"
LEAVE: Final = "programme.leave"
REASON_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Application:
    """The application of a merchant's account for a group of a programme. `by`, `checked_by`: persons."""

    programme: str
    account: int
    group: str
    merchant: int
    operator: int
    state: str
    by: int
    at_ns: int
    checked_by: int | None
    checked_ns: int | None
    reason: str

    @property
    def id(self) -> int:
        """Return the account, which identifies an application within its programme."""
        return self.account


@dataclass(frozen=True, slots=True)
class Untested:
    """An outlet of a shop that has taken no payment since the application."""

    merchant: int
    outlet: int
    code: str
    operator: int


class Shops:
    """The shops of one bank's programmes."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, directory: Directory, programmes: Programmes
    ) -> None:
        self._stores = stores
        self._people = people
        self._institutions = institutions
        self._directory = directory
        self._programmes = programmes
        stores.actions.register(_Membership(JOIN, ACCEPTED, JOINED), _Membership(LEAVE, JOINED, LEFT))

    def apply(self, name: str, merchant: int, *, who: int, group: str = "", account: int = 0) -> Application:
        """Apply for a group of a programme with a merchant's account; return the application. Again: change nothing.

        `group`: may be omitted where the programme has one. `account`: the oldest open wallet of the merchant if left
        out. Raises UsageError after the end of spending, for a merchant that is not approved, an account of another
        holder, and an account that applied for another group.
        """
        stored = self._programmes.get(name)
        definition = stored.definition
        groups = [each.name for each in definition.merchants]
        group = group or (groups[0] if len(groups) == 1 else "")
        if group not in groups:
            raise UsageError(f"{name} has no merchant group {group!r}", hint=f"its groups: {', '.join(groups)}")
        found = self._institutions.get(merchant)
        self._people.require(who, APPLY, operator=found.operator)
        if found.kind != MERCHANT or found.state not in (APPROVED, ACTIVE):
            raise UsageError(f"{found.name} is no approved merchant", hint="its due diligence comes first")
        wallet = self._directory.require_open(account) if account else self._directory.open_of(merchant)
        if wallet.holder != merchant:
            raise UsageError(f"wallet {ids.format(wallet.account)} is not of {found.name}", hint="name its own wallet")
        now_ns = read_ns(self._stores.clock)
        if definition.schedule is None and now_ns >= definition.spending.until_ns:
            raise UsageError(f"the spending of {name} is over", hint="apply for the next programme")
        row = {
            "programme": name, "account": wallet.account, "group": group, "merchant": merchant,
            "operator": wallet.operator, "state": APPLIED, "by": who, "at_ns": now_ns, "reason": "",
        }  # fmt: skip

        def store(connection: Connection) -> Application:
            earlier = _find(connection, name, wallet.account)
            if earlier is None:
                connection.execute(APPLICATIONS.insert().values(row))
            elif earlier.state == LEFT:  # a new application
                connection.execute(
                    APPLICATIONS.update()
                    .where(_chosen(name, wallet.account))
                    .values({**row, "checked_by": None, "checked_ns": None})
                )
            elif earlier.group != group:
                raise UsageError(
                    f"wallet {ids.format(wallet.account)} applied for {earlier.group}", hint="use another wallet"
                )
            return self._require(connection, name, wallet.account)

        return write(self._stores.engine, store)

    def check(self, name: str, account: int, *, accepted: bool, who: int, reason: str = "") -> Application:
        """Accept or decline an application, and return it. Another person than the one who applied decides.

        A decision is final, except that a declined one may be accepted later. Raises UsageError for the same person,
        for an application that joined, and for a refusal without a reason.
        """
        stored = self._programmes.get(name)
        self._people.require(who, CHECK, operator=stored.operator)
        if not accepted and not 0 < len(reason) <= REASON_MAX:
            raise UsageError(f"a refusal has a reason of 1 to {REASON_MAX} characters", hint="say what is missing")
        now_ns = read_ns(self._stores.clock)

        def store(connection: Connection) -> Application:
            found = self._require(connection, name, account)
            if who == found.by:
                raise UsageError("who applied does not decide", hint="let another person decide")
            if found.state not in (APPLIED, DECLINED):
                if accepted and found.state != LEFT:
                    return found
                raise UsageError(
                    f"the application is {found.state}",
                    hint="`sycee drop leave` ends a membership, `sycee drop apply` begins one",
                )
            values = {
                "state": ACCEPTED if accepted else DECLINED, "checked_by": who, "checked_ns": now_ns, "reason": reason,
            }  # fmt: skip
            connection.execute(APPLICATIONS.update().where(_chosen(name, account)).values(values))
            return self._require(connection, name, account)

        return write(self._stores.engine, store)

    def join(
        self, name: str, operator: int, *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> Sequence[Application]:
        """Let the accepted shops of an operator join their groups, and return them. The operator signs.

        Raises UsageError before the terms of an occurrence are approved, which define the groups, and if none of the
        operator's applications is accepted; Refused with the ledger's code.
        """
        if id and self._stores.intents.outcome(id, JOIN) is not None:
            return self.list(name, operator=operator, states=(JOINED,))
        waiting = self.list(name, operator=operator, states=(ACCEPTED,))[:INTENT_RECORDS_MAX]
        if not waiting:
            raise UsageError(
                f"no accepted application of operator {operator} waits", hint="`sycee drop shops` shows all of them"
            )
        self._move(JOIN, name, operator, waiting, signers, who, id)
        return self.list(name, operator=operator, states=(JOINED,))

    def leave(self, name: str, account: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> Application:
        """Let a shop leave its group: packets of the programme no longer reach it. Its operator signs."""
        found = self.get(name, account)
        if found.state == LEFT:
            return found
        if found.state != JOINED:
            raise UsageError(f"the application is {found.state}", hint="only a shop that joined can leave")
        self._move(LEAVE, name, found.operator, [found], signers, who, id)
        return self.get(name, account)

    def get(self, name: str, account: int) -> Application:
        """Return an application. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            return self._require(connection, name, account)

    def list(
        self, name: str, *, operator: int | None = None, states: Sequence[str] = (), after: int = 0,
        most: int | None = None,
    ) -> Sequence[Application]:  # fmt: skip
        """Return the applications of a programme whose accounts follow `after`, in their order; at most `most`."""
        columns = APPLICATIONS.c
        chosen = (columns.programme == name) & (columns.account > after)
        if operator is not None:
            chosen &= columns.operator == operator
        if states:
            chosen &= columns.state.in_(states)
        query = sqlalchemy.select(APPLICATIONS).where(chosen).order_by(columns.account).limit(most)
        with reading(self._stores.engine) as connection:
            return [_application(row) for row in connection.execute(query)]

    def untested(self, name: str) -> Sequence[Untested]:
        """Return the outlets of accepted and joined shops that took no payment since their application.

        An outlet takes a test payment through one of its tills. For the report at the deadline, before spending begins.
        """
        columns, tills = APPLICATIONS.c, TILLS.join(REFERENCES, REFERENCES.c.till == TILLS.c.id)
        paid = (
            sqlalchemy.select(TILLS.c.id)
            .select_from(tills)
            .where((TILLS.c.outlet == OUTLETS.c.id) & (REFERENCES.c.at_ns >= columns.at_ns))
            .exists()
        )
        chosen = (
            (columns.programme == name) & columns.state.in_((ACCEPTED, JOINED)) & (OUTLETS.c.state == ACTIVE) & ~paid
        )
        query = (
            sqlalchemy.select(columns.merchant, OUTLETS.c.id, OUTLETS.c.code, columns.operator)
            .select_from(APPLICATIONS.join(OUTLETS, OUTLETS.c.merchant == columns.merchant))
            .where(chosen)
            .order_by(columns.operator, columns.merchant, OUTLETS.c.code)
        )
        with reading(self._stores.engine) as connection:
            return [Untested(*row) for row in connection.execute(query)]

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each shop whose membership on the ledger is another."""
        with reading(self._stores.engine) as connection:
            found = [_application(row) for row in connection.execute(sqlalchemy.select(APPLICATIONS))]
        numbers: dict[tuple[str, str], int] = {}
        for each in found:
            key = each.programme, each.group
            if key not in numbers:
                numbers[key] = self._programmes.group_of(*key)

        def compared(state: LedgerState, each: Application) -> Iterator[str]:
            is_member = _is_member(state, numbers[each.programme, each.group], each.account)
            if is_member is not (each.state == JOINED):
                yield (
                    f"shop {ids.format(each.account)} is {each.state} in {each.programme}, and the ledger "
                    f"{'has' if is_member else 'does not have'} it in the group {each.group}"
                )

        yield from differences(self._stores.ledger, found, compared)

    # --- helpers ---

    def _move(
        self, action: str, name: str, operator: int, found: Sequence[Application], signers: Sequence[Signer], who: int,
        id: int,
    ) -> None:  # fmt: skip
        self._people.require(who, JOIN, operator=operator)
        now_ms = read_ns(self._stores.clock) // 1_000_000
        build = operations.join_group if action == JOIN else operations.leave_group
        made = np.concatenate(
            [
                build(ids.new(now_ms), group=self._programmes.group_of(name, each.group), account=each.account)
                for each in found
            ]
        )
        payload = {"programme": name, "accounts": [ids.format(each.account) for each in found]}
        outcome = self._stores.intents.perform(Draft(action, made, payload, who=who, signers=signers, id=id))
        outcome.require_created("the shops did not move" if len(found) > 1 else "the shop did not move")

    def _require(self, connection: Connection, name: str, account: int) -> Application:
        found = _find(connection, name, account)
        if found is None:
            raise NotFound(
                f"wallet {ids.format(account)} did not apply for {name}", hint="`sycee drop shops` shows applications"
            )
        return found


class _Membership:
    """Set the state of the shops that the ledger let join or leave."""

    def __init__(self, name: str, earlier: str, reached: str) -> None:
        self.name, self._earlier, self._reached = name, earlier, reached

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the membership of each account whose record was created."""
        for account, result in zip(intent.payload["accounts"], results, strict=True):
            if result is Result.CREATED:
                self._set(connection, intent, account, self._reached)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store the earlier state, if a restore takes the change back."""
        for account in intent.payload["accounts"]:
            self._set(connection, intent, account, self._earlier)

    def _set(self, connection: Connection, intent: Intent, account: str, state: str) -> None:
        chosen = _chosen(intent.payload["programme"], ids.parse(account))
        connection.execute(APPLICATIONS.update().where(chosen).values(state=state))


def _chosen(name: str, account: int) -> sqlalchemy.ColumnElement[bool]:
    return (APPLICATIONS.c.programme == name) & (APPLICATIONS.c.account == account)


def _find(connection: Connection, name: str, account: int) -> Application | None:
    row = connection.execute(sqlalchemy.select(APPLICATIONS).where(_chosen(name, account))).one_or_none()
    return None if row is None else _application(row)


def _application(row: Row[Any]) -> Application:
    return Application(**row._mapping)


def _is_member(state: LedgerState, group: int, account: int) -> bool:
    row = int(state.rows(np.array([ids.split(account)], ids.ID))[0])
    place, payee = int(state.tables.group_rows[group]) - 1, int(state.accounts["payee"][row]) if row >= 0 else 0
    if place < 0 or payee == 0:
        return False
    return bool(int(state.tables.group_bits[place, payee >> 6]) >> (payee & 63) & 1)
