"""Groups of vouchers: a budget of a programme, which two officers approve, and the shops that its vouchers may pay.

A group has its own account on the ledger. A voucher is a hold of the funder's money for this account; a
redemption posts a part of the hold and pays the shop in one chain. The account's rule set names the payee group, so the
ledger refuses every other payee, and its `balance_max` is the budget: holds can never promise more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, RuleFlag
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.core.timestamps import utc_text
from sycee.database.actions import Draft, Intent, LedgerOnly
from sycee.database.comparing import differences
from sycee.database.numbers import Numbers
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance.registry import Registry
from sycee.ledger.state import LedgerState
from sycee.programmes.service import Programmes
from sycee.sequencer.signer import Signer
from sycee.vouchers.refusals import Code, VoucherRefused
from sycee.vouchers.tables import GROUPS, OPEN, PROPOSED, REFUSED, VOUCHERS

PROPOSE: Final = "voucher.group"
RETURN: Final = "voucher.return"
EXPIRE_JOB: Final = "vouchers.expire"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,39}")


@dataclass(frozen=True, slots=True)
class Group:
    """A group of vouchers. `merchants`: the payee group of the programme. `account`: of the group, on the ledger."""

    group: str
    programme: str
    merchants: str
    funder: int
    account: int
    operator: int
    rule_set: int
    budget_minor: int
    until_ns: int
    made_ns: int
    proposal: int
    who: int
    state: str

    def require_open(self, now_ns: int) -> None:
        """Raise UsageError unless two officers approved the group, VoucherRefused after its end."""
        if self.state != OPEN:
            raise UsageError(f"the group {self.group} is {self.state}", hint="two officers sign its proposal")
        if now_ns >= self.until_ns:
            raise VoucherRefused(Code.VOUCHER_EXPIRED, hint=f"the group ended at {utc_text(self.until_ns)}")


class Groups:
    """The groups of one bank."""

    def __init__(
        self, stores: Stores, people: People, proposals: Proposals, registry: Registry, programmes: Programmes
    ) -> None:
        self._stores, self._people, self._proposals = stores, people, proposals
        self._registry, self._programmes = registry, programmes
        programmes.unspent_vouchers = self.unspent_minor
        stores.actions.register(_Open(stores), LedgerOnly(RETURN))

    def propose(
        self, group: str, programme: str, *, budget_minor: int, until_ns: int, maker: int, merchants: str = "",
        id: int = 0,
    ) -> Proposal:  # fmt: skip
        """Propose a group of vouchers; two officers sign. The same id again returns the proposal.

        - `merchants`: payee group of the programme; may be omitted if it has one.
        - `budget_minor`: the most that its vouchers promise and have paid together.
        - `until_ns`: when all its vouchers expire, within the spending of a programme without a schedule.

        Raises UsageError for a name of wrong form or in use, a programme whose terms no officers signed, an end that is
        over or after the spending, and a budget that would exceed the largest exposure of the bank.
        """
        if id and (earlier := self._proposed(id, group)) is not None:
            return earlier
        stored = self._programmes.get(programme)
        self._people.require(maker, PROPOSE)
        if not _NAME.fullmatch(group):
            raise UsageError("the name of a group has a wrong form", hint="2 to 40 letters a-z, digits and hyphens")
        if not 0 < budget_minor <= I64_MAX:
            raise UsageError("the budget must be positive", hint="give the sum that the vouchers may promise")
        self._programmes.check_voucher_exposure(group, budget_minor)
        names = [each.name for each in stored.definition.merchants]
        merchants = merchants or (names[0] if len(names) == 1 else "")
        payees = self._programmes.group_of(programme, merchants)
        now_ns = read_ns(self._stores.clock)
        self._check_end(stored.definition.spending.until_ns if stored.definition.schedule is None else 0, until_ns)
        account = ids.new(now_ns // 1_000_000)
        owner = f"vouchers {group} {ids.format(account)}"
        rule_set, back = write(self._stores.engine, lambda connection: self._numbers(connection, owner))
        with self._stores.ledger.sequencer.reading() as state:
            if payees not in state.groups:
                raise UsageError(
                    f"the ledger does not have the payee group {merchants} of {programme}",
                    hint="two officers sign the terms of the programme first: `sycee drop terms`",
                )
        made = [ids.new(now_ns // 1_000_000) for _ in range(4)]
        records = np.concatenate(
            [
                operations.define_group(made[0], group=back),
                operations.join_group(made[1], group=back, account=stored.funder),
                operations.define_rule_set(
                    made[2], rule_set=rule_set, groups=[payees, back], from_ns=0, until_ns=until_ns,
                    flags=int(RuleFlag.NO_PERSONS | RuleFlag.NO_CASH_OUT), balance_max=budget_minor,
                ),
                operations.open_account(
                    made[3], account=account, currency=self._registry.issuer.currency, kind=AccountKind.FUNDER,
                    suspense=self._registry.require_active(stored.operator).accounts.suspense,
                    operator=stored.operator, rule_set=rule_set,
                ),
            ]
        )  # fmt: skip
        proposal = id or ids.new(now_ns // 1_000_000)
        row = {
            "group": group, "programme": programme, "merchants": merchants, "funder": stored.funder,
            "account": account, "operator": stored.operator, "rule_set": rule_set, "budget_minor": budget_minor,
            "until_ns": until_ns, "made_ns": now_ns, "proposal": proposal, "who": maker, "state": PROPOSED,
        }  # fmt: skip

        def before(connection: Connection) -> None:
            earlier = group_in(connection, group)
            if earlier is not None and earlier.state != REFUSED:
                raise UsageError(f"there is a group {group}, which is {earlier.state}", hint="choose another name")
            connection.execute(GROUPS.delete().where(GROUPS.c.group == group))
            connection.execute(GROUPS.insert().values(row))

        effect: dict[str, Any] = {
            "group": group, "programme": programme, "merchants": merchants, "funder": ids.format(stored.funder),
            "account": ids.format(account), "budget_minor": budget_minor, "until_ns": until_ns,
            "operator": stored.operator,
        }  # fmt: skip
        return self._proposals.propose(PROPOSE, records, effect, maker=maker, before=before, id=proposal)

    def get(self, group: str) -> Group:
        """Return a group. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            found = group_in(connection, group)
        if found is None:
            raise NotFound(f"there is no group of vouchers {group!r}", hint="`sycee voucher groups` shows them")
        return found

    def list(self) -> Sequence[Group]:
        """Return all groups by name."""
        with reading(self._stores.engine) as connection:
            return [_group(row) for row in connection.execute(sqlalchemy.select(GROUPS).order_by(GROUPS.c.group))]

    def unspent_minor(self) -> int:
        """Return the budgets, in minor units, of open groups that have not ended, without what their vouchers paid."""
        chosen = (GROUPS.c.state == OPEN) & (GROUPS.c.until_ns > read_ns(self._stores.clock))
        groups = sqlalchemy.select(GROUPS.c.group).where(chosen)
        budgets = sqlalchemy.select(sqlalchemy.func.sum(GROUPS.c.budget_minor)).where(chosen)
        paid = sqlalchemy.select(sqlalchemy.func.sum(VOUCHERS.c.redeemed_minor)).where(VOUCHERS.c.group.in_(groups))
        with reading(self._stores.engine) as connection:
            return int(connection.scalar(budgets) or 0) - int(connection.scalar(paid) or 0)

    def return_money(self, group: str, *, signers: Sequence[Signer], who: int, id: int = 0) -> int:
        """Return the money on a group's account to the funder; return the amount, in minor units.

        Vouchers put no money there: it comes from refunds and from returns by authority. The operator signs. `id`: of
        the transfer; the same id again returns the first amount. Raises UsageError if there is nothing to return.
        """
        found = self.get(group)
        self._people.require(who, RETURN, operator=found.operator)
        if id and (outcome := self._stores.intents.outcome(id, RETURN)) is not None:
            outcome.require_created("nothing was returned")
            stored = self._stores.intents.find(id)
            assert stored is not None, "it has an outcome"
            return int(stored.payload["minor"])
        minor = self._stores.ledger.balance(found.account)
        if not minor:
            raise UsageError(f"the account of the group {group} has no money", hint="there is nothing to return")
        id = id or ids.new(read_ns(self._stores.clock) // 1_000_000)
        record = operations.transfer(id, debit=found.account, credit=found.funder, amount=minor)
        draft = Draft(RETURN, record, {"group": group, "minor": minor}, who=who, signers=signers, id=id)
        self._stores.intents.perform(draft).require_created("nothing was returned")
        return minor

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each open group whose account the ledger does not have, or has under other rules."""

        def compared(state: LedgerState, each: Group) -> Iterator[str]:
            account = state.account(each.account)
            if each.state == OPEN and (account is None or account.rule_set != each.rule_set):
                yield f"the group of vouchers {each.group} is open, and the ledger does not have its account"

        return differences(self._stores.ledger, self.list(), compared)

    def _proposed(self, id: int, group: str) -> Proposal | None:
        """Return the proposal of an id, if it is of this group."""
        with reading(self._stores.engine) as connection:
            found = group_in(connection, group)
        return self._proposals.get(id).proposal if found is not None and found.proposal == id else None

    def _check_end(self, spending_until_ns: int, until_ns: int) -> None:
        if until_ns <= read_ns(self._stores.clock):
            raise UsageError("the end of the vouchers is over", hint="give a later time")
        if spending_until_ns and until_ns > spending_until_ns:
            raise UsageError(
                f"the vouchers would end after the programme's spending, at {utc_text(spending_until_ns)}",
                hint="give an earlier time",
            )

    def _numbers(self, connection: Connection, owner: str) -> tuple[int, int]:
        allocate = self._stores.numbers.allocate
        return allocate(connection, Numbers.PROGRAMME_RULE_SETS, owner), allocate(connection, Numbers.GROUPS, owner)


class _Open:
    """The outcome of the proposal of a group."""

    name = PROPOSE

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Open the group if the ledger created every record, and plan the end of its vouchers."""
        created = all(each is Result.CREATED for each in results)
        self._set(connection, intent, OPEN if created else REFUSED)
        if created:
            group = intent.payload["group"]
            due_ns = intent.payload["until_ns"]
            self._stores.jobs.add(connection, EXPIRE_JOB, due_ns, key=group, payload={"group": group})

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the group: its name is free again."""
        self._set(connection, intent, REFUSED)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        chosen = (GROUPS.c.group == intent.payload["group"]) & (GROUPS.c.proposal == intent.id)
        connection.execute(GROUPS.update().where(chosen).values(state=state))


def group_in(connection: Connection, group: str) -> Group | None:
    """Return a group as a transaction sees it, or None."""
    row = connection.execute(sqlalchemy.select(GROUPS).where(GROUPS.c.group == group)).one_or_none()
    return None if row is None else _group(row)


def _group(row: Row[Any]) -> Group:
    return Group(**row._mapping)
