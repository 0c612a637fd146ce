"""Issuance of a live bank: operators join and leave, money is minted, redeemed, and moved to and from wallets.

An action that needs several persons is a proposal: another person checks the maker. An action that one operator signs
is an intent. Duties and the repair after a crash find an action by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records import operations
from sycee.core.records.layout import Block, Reason, Role, TransitState
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome, LedgerOnly
from sycee.database.comparing import differences
from sycee.database.intents import DRAFTS_MAX
from sycee.database.numbers import Numbers
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity import tables as identity
from sycee.identity.duties import Duty
from sycee.identity.institutions import Institutions
from sycee.identity.people import HeldDuty, People
from sycee.identity.proposals import Proposals
from sycee.issuance import records
from sycee.issuance.central_bank import MINTING_RULE_SET
from sycee.issuance.records import OperatorAccounts
from sycee.issuance.registry import Registry
from sycee.issuance.tables import (
    ACTIVE,
    CONFIRMED,
    FUNDINGS,
    JOINING,
    LEAVING,
    LEFT,
    OPERATORS,
    REFUSED,
    REJECTED,
    SENDING,
    SENT,
    TO_BANK,
    TO_WALLET,
)
from sycee.ledger.state import LedgerState
from sycee.sequencer.signer import Signer

JOIN: Final = "operator.join"
LEAVE: Final = "operator.leave"
FUND: Final = "wallet.fund"
DEFUND: Final = "wallet.defund"
CONFIRM: Final = "transit.confirm"
REJECT: Final = "transit.reject"
# Actions whose whole effect is in the ledger.
LEDGER_ONLY: Final = ("reserves.credit", "mint", "redeem", "cap.change", "quota.change")
BLOCKED: Final = "blocked"  # step of leaving: the vault receives nothing more
CLOSED: Final = "closed"  # step of leaving: reserves are paid out and the accounts are closed
REFERENCE_LENGTH_MAX: Final = 35  # of ISO 20022's Max35Text

_STATES: Final = {SENT: TransitState.OPEN, CONFIRMED: TransitState.CONFIRMED, REJECTED: TransitState.REJECTED}


@dataclass(frozen=True, slots=True)
class Funding:
    """Money between a wallet and its holder's bank. `id`: of the SEND; `reason`: the code of a refusal, or ""."""

    id: int
    direction: str
    operator: int
    wallet: int
    minor: int
    bank_reference: str
    state: str
    reason: str
    at_ns: int
    decided_ns: int | None


class Customers(Protocol):
    """The wallets of operators, which `wallets` implements."""

    def wallet_at(self, operator: int) -> int | None:
        """Return a wallet of an operator that is open or being opened; None if there is none."""
        ...


class IssuanceService:
    """The issuance of one bank."""

    def __init__(
        self, stores: Stores, registry: Registry, people: People, institutions: Institutions, proposals: Proposals
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._people = people
        self._institutions = institutions
        self._proposals = proposals
        self.customers: Customers | None = None  # the bank connects issuance and wallets
        stores.actions.register(
            _Join(stores, people, institutions),
            _Leave(stores, institutions),
            *(LedgerOnly(name) for name in LEDGER_ONLY),
            *(_Send(name) for name in (FUND, DEFUND)),
            _Decide(stores, CONFIRM, CONFIRMED),
            _Decide(stores, REJECT, REJECTED),
        )

    # --- operators ---

    def join(
        self, institution: int, *, quota_minor: int, key: PublicKey, until_ns: int, maker: int, id: int = 0
    ) -> Proposal:
        """Propose that an institution becomes an operator: its accounts, its vault's quota, and who signs for it.

        `key`: of the first person who signs as this operator, until `until_ns`. Two officers sign. Raises UsageError
        for an institution that did not pass its due diligence or is an operator already, and for a quota below 1.
        """
        found = self._institutions.require_approved(institution)
        if found.kind != identity.OPERATOR or found.operator is not None:
            what = f"is operator {found.operator} already" if found.operator is not None else f"is a {found.kind}"
            raise UsageError(f"{found.name} {what}", hint="enter an institution of the kind operator")
        try:
            owner = self._people.person_of_key(key)
        except UsageError:
            owner = 0
        if owner:
            raise UsageError(
                f"the key {key} is {ids.format(owner)}'s", hint="the operator's person makes a key with `sycee key new`"
            )
        accounts = OperatorAccounts(*(self._stores.new_id() for _ in range(6)))
        person, grant, duty = self._stores.new_id(), self._stores.new_id(), self._stores.new_id()
        allocated = write(self._stores.engine, lambda connection: self._allocate(connection, institution))
        number, rule_set = allocated
        made = records.join(
            [self._stores.new_id() for _ in range(records.JOIN_IDS)],
            self._registry.issuer,
            accounts,
            operator=number,
            quota_rule_set=rule_set,
            quota_minor=quota_minor,
            grant=operations.grant_role(
                grant, person=person, role=Role.OPERATOR, key=key.key, flags=key.flags, from_ns=0, until_ns=until_ns,
                operator=number,
            ),
        )  # fmt: skip
        effect: dict[str, Any] = {
            "operator": number,
            "institution": ids.format(institution),
            "person": ids.format(person),
            "grant": ids.format(grant),
            "duty_id": ids.format(duty),
            "key": str(key),
            "until_ns": until_ns,
        }

        def before(connection: Connection) -> None:
            connection.execute(OPERATORS.delete().where(OPERATORS.c.number == number, OPERATORS.c.state == REFUSED))
            state = connection.scalar(sqlalchemy.select(OPERATORS.c.state).where(OPERATORS.c.number == number))
            if state is not None:
                raise UsageError(
                    f"{found.name} is {state} as operator {number}", hint="sign or withdraw the earlier proposal"
                )
            row = {name: getattr(accounts, name) for name in OperatorAccounts.__slots__}
            row |= {"number": number, "institution": institution, "quota_rule_set": rule_set, "state": JOINING}
            connection.execute(OPERATORS.insert().values(**row, proposal=0))

        self._registry.add_own(getattr(accounts, name) for name in OperatorAccounts.__slots__)
        return self._proposals.propose(JOIN, made, effect, maker=maker, before=before, id=id)

    def leave(self, operator: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose the next step of an operator's leaving.

        First its vault is blocked for credits. Then, once it has redeemed all its money, its reserves are paid out and
        its accounts are closed. Two officers and the operator sign each step. Dismissing its persons is a proposal of
        its own. Raises UsageError while the operator has customers, money, or payments in transit.
        """
        found = self._registry.operator(operator)
        if found.state not in (ACTIVE, LEAVING):
            raise UsageError(f"operator {operator} is {found.state}", hint="only an active operator can leave")
        effect = {"operator": operator, "institution": ids.format(found.institution), "step": BLOCKED}
        assert self.customers is not None, "the bank connects issuance and wallets"
        if (wallet := self.customers.wallet_at(operator)) is not None:
            raise UsageError(
                f"operator {operator} has open wallets, such as {ids.format(wallet)}",
                hint="close them, or open them at other operators",
            )
        with self._stores.ledger.sequencer.reading() as state:
            vault, reserve, transit = (
                state.balance(account)
                for account in (found.accounts.vault, found.accounts.reserve, found.accounts.transit)
            )
        if transit:
            raise UsageError(
                f"{transit} minor units of operator {operator} are in transit", hint="confirm or reject them first"
            )
        if found.state == ACTIVE:
            made = operations.block_account(
                self._stores.new_id(), account=found.accounts.vault, sides=Block.CREDIT, reason=Reason.OPERATOR
            )
        elif vault:
            raise UsageError(f"the vault of operator {operator} holds {vault} minor units", hint="redeem them first")
        else:
            effect["step"] = CLOSED
            close_ids = [self._stores.new_id() for _ in range(records.CLOSE_IDS)]
            made = records.close(close_ids, self._registry.issuer, found.accounts, reserve)
        return self._proposals.propose(LEAVE, made, effect, maker=maker, id=id)

    def credit_reserves(self, operator: int, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to record reserves, in minor units, that an operator brings. Two officers sign."""
        party = self._registry.require_active(operator).accounts.party
        made = records.credit_reserves(self._stores.new_id(), self._registry.issuer, party, minor)
        return self._propose("reserves.credit", made, operator, maker, id)

    def mint(self, operator: int, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to issue `minor` units to an operator against its reserves. Two officers and the operator sign."""
        party = self._registry.require_active(operator).accounts.party
        made = records.issue((self._stores.new_id(), self._stores.new_id()), self._registry.issuer, party, minor)
        return self._propose("mint", made, operator, maker, id)

    def redeem(self, operator: int, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to take money back, in minor units, and return reserves. The operator and the reserve desk sign."""
        party = self._registry.operator(operator).accounts.party
        made = records.redeem((self._stores.new_id(), self._stores.new_id()), self._registry.issuer, party, minor)
        return self._propose("redeem", made, operator, maker, id)

    def change_cap(self, day_max_minor: int, *, effective_ns: int, maker: int, id: int = 0) -> Proposal:
        """Propose the most that is minted on one local day, in minor units, from a future time on."""
        made = records.limit(
            self._stores.new_id(), MINTING_RULE_SET, "the cap stays", effective_ns=effective_ns, day_max=day_max_minor
        )
        return self._proposals.propose("cap.change", made, {"minor": day_max_minor}, maker=maker, id=id)

    def change_quota(
        self, operator: int, balance_max_minor: int, *, effective_ns: int, maker: int, id: int = 0
    ) -> Proposal:
        """Propose the maximum balance of an operator's vault, in minor units, from a future time on."""
        rule_set = self._registry.require_active(operator).quota_rule_set
        made = records.limit(
            self._stores.new_id(), rule_set, "the quota stays", effective_ns=effective_ns, balance_max=balance_max_minor
        )
        return self._propose("quota.change", made, operator, maker, id)

    # --- wallets and banks ---

    def fund(
        self, operator: int, wallet: int, minor: int, bank_reference: str, *,
        signers: Sequence[Signer], who: int, id: int = 0,
    ) -> IntentOutcome:  # fmt: skip
        """Send money from an operator's vault to a wallet; it waits in transit until the bank's leg is known.

        `bank_reference`: the bank's text for its leg. The operator signs. A refusal by the ledger is the outcome's.
        Raises UsageError for a reference that another funding of this operator has.
        """
        accounts = self._registry.require_active(operator).accounts
        made = operations.send(
            self._stores.new_id(), source=accounts.vault, destination=wallet, through=accounts.transit, amount=minor
        )
        return self._send(FUND, TO_WALLET, operator, wallet, made, bank_reference, signers, who, id)

    def fund_many(
        self, operator: int, fundings: Sequence[tuple[int, int, str]], *, signers: Sequence[Signer], who: int
    ) -> list[IntentOutcome]:
        """Do `fund` for many wallets: `fundings` are wallet, minor units and bank reference. Errors: `fund`."""
        accounts = self._registry.require_active(operator).accounts

        def draft(wallet: int, minor: int, bank_reference: str) -> Draft:
            made = operations.send(
                self._stores.new_id(), source=accounts.vault, destination=wallet, through=accounts.transit, amount=minor
            )
            return self._send_draft(FUND, TO_WALLET, operator, wallet, made, bank_reference, signers, who)

        self._people.require(who, FUND, operator=operator)
        return self._perform([draft(*each) for each in fundings])

    def defund(
        self, wallet: int, minor: int, bank_reference: str, *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> IntentOutcome:
        """Send money from a wallet to its operator's vault, for a payment to the holder's bank. The wallet signs."""
        with self._stores.ledger.sequencer.reading() as state:
            account = state.account(wallet)
        if account is None:
            raise NotFound(f"there is no wallet {ids.format(wallet)}")
        accounts = self._registry.operator(account.operator).accounts
        made = operations.send(
            self._stores.new_id(), source=wallet, destination=accounts.vault, through=accounts.transit, amount=minor
        )
        return self._send(DEFUND, TO_BANK, account.operator, wallet, made, bank_reference, signers, who, id)

    def confirm(self, funding: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank made its leg: the money arrives. Operator 0 signs."""
        return self._decide(CONFIRM, operations.confirm(self._stores.new_id(), sent=funding), funding, signers, who, id)

    def confirm_many(
        self, operator: int, fundings: Sequence[int], *, signers: Sequence[Signer], who: int
    ) -> list[IntentOutcome]:
        """Do `confirm` for many fundings of an operator in one call. Errors: `confirm`."""
        self._people.require(who, CONFIRM, operator=operator)
        own = sqlalchemy.select(FUNDINGS.c.id).where(FUNDINGS.c.operator == operator, FUNDINGS.c.state == SENT)
        with reading(self._stores.engine) as connection:
            sent = set(connection.scalars(own))
        if other := set(fundings) - sent:
            raise NotFound(
                f"operator {operator} has sent no funding {ids.format(min(other))}",
                hint="`sycee funding list` shows them",
            )
        confirmations = [(each, operations.confirm(self._stores.new_id(), sent=each)) for each in fundings]
        return self._perform([self._decision(CONFIRM, made, each, signers, who) for each, made in confirmations])

    def reject(self, funding: int, *, signers: Sequence[Signer], who: int, id: int = 0) -> IntentOutcome:
        """Report that the bank refused its leg: the money returns to its source. Operator 0 signs."""
        return self._decide(REJECT, operations.reject(self._stores.new_id(), sent=funding), funding, signers, who, id)

    def fundings(self, state: str | None = None) -> list[Funding]:
        """Return the fundings, or those in one state, oldest first."""
        query = sqlalchemy.select(FUNDINGS).order_by(FUNDINGS.c.at_ns, FUNDINGS.c.id)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query if state is None else query.where(FUNDINGS.c.state == state))
            return [Funding(**row._mapping) for row in rows]

    def fundings_page(
        self, *, operator: int | None = None, wallet: int | None = None, state: str = "", after: int = 0, limit: int
    ) -> list[Funding]:
        """Return up to `limit` fundings with ids above `after`, in the order of ids.

        `operator`, `wallet`: None for all. `state`: "" for all.
        """
        query = sqlalchemy.select(FUNDINGS).where(FUNDINGS.c.id > after).order_by(FUNDINGS.c.id).limit(limit)
        for column, wanted in ((FUNDINGS.c.operator, operator), (FUNDINGS.c.wallet, wallet)):
            query = query if wanted is None else query.where(column == wanted)
        query = query.where(FUNDINGS.c.state == state) if state else query
        with reading(self._stores.engine) as connection:
            return [Funding(**row._mapping) for row in connection.execute(query)]

    def get_funding(self, funding: int) -> Funding:
        """Return a funding by its id. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(FUNDINGS).where(FUNDINGS.c.id == funding)).one_or_none()
        if row is None:
            raise NotFound(f"there is no funding {ids.format(funding)}", hint="`sycee funding list` shows them")
        return Funding(**row._mapping)

    def funding(self, operator: int, bank_reference: str) -> Funding:
        """Return the newest funding under a bank's reference. Raises UsageError if there is none."""
        found = [each for each in self.fundings() if (each.operator, each.bank_reference) == (operator, bank_reference)]
        if not found:
            raise UsageError(
                f"operator {operator} has no payment under the reference {bank_reference!r}",
                hint="`sycee funding list` shows them",
            )
        return found[-1]

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each funding whose transit the ledger has in another state."""

        def compared(state: LedgerState, each: Funding) -> Iterator[str]:
            transit = state.transit_of(each.id)
            expected = _STATES.get(each.state)
            if (transit.state if transit else None) is not expected:
                yield f"the funding {ids.format(each.id)} is {each.state}, and the ledger disagrees"

        return differences(self._stores.ledger, self.fundings(), compared)

    # --- helpers ---

    def _allocate(self, connection: Connection, institution: int) -> tuple[int, int]:
        owner, numbers = f"operator {ids.format(institution)}", self._stores.numbers
        rule_set = numbers.allocate(connection, Numbers.BANK_RULE_SETS, owner)
        return numbers.allocate(connection, Numbers.OPERATORS, owner), rule_set

    def _propose(self, action: str, made: Array, operator: int, maker: int, id: int) -> Proposal:
        return self._proposals.propose(action, made, {"operator": operator}, maker=maker, id=id)

    def _send(
        self, action: str, direction: str, operator: int, wallet: int, made: Array, bank_reference: str,
        signers: Sequence[Signer], who: int, id: int,
    ) -> IntentOutcome:  # fmt: skip
        self._people.require(who, action, operator=operator)
        draft = self._send_draft(action, direction, operator, wallet, made, bank_reference, signers, who, id)
        return self._stores.intents.perform(draft)

    def _send_draft(
        self, action: str, direction: str, operator: int, wallet: int, made: Array, bank_reference: str,
        signers: Sequence[Signer], who: int, id: int = 0,
    ) -> Draft:  # fmt: skip
        if not 0 < len(bank_reference) <= REFERENCE_LENGTH_MAX:
            raise UsageError(
                f"a bank's reference has 1 to {REFERENCE_LENGTH_MAX} characters; got {len(bank_reference)}"
            )
        now_ns = read_ns(self._stores.clock)
        sent = ids.of_record(made[0], "id")
        row = {
            "id": sent, "direction": direction, "operator": operator, "wallet": wallet,
            "minor": int(made["amount"][0]), "bank_reference": bank_reference, "state": SENDING, "reason": "",
            "at_ns": now_ns,
        }  # fmt: skip

        def before(connection: Connection) -> None:
            chosen = sqlalchemy.select(FUNDINGS.c.id).where(
                FUNDINGS.c.operator == operator,
                FUNDINGS.c.direction == direction,
                FUNDINGS.c.bank_reference == bank_reference,
                FUNDINGS.c.state != REFUSED,
            )
            if (earlier := connection.scalar(chosen)) is not None:
                raise UsageError(
                    f"operator {operator} has the reference {bank_reference!r} already, of {ids.format(earlier)}",
                    hint="each payment of a bank has a reference of its own: nothing was sent a second time",
                )
            connection.execute(FUNDINGS.insert().values(row))

        return Draft(action, made, {"funding": ids.format(sent)}, who=who, signers=signers, before=before, id=id)

    def _perform(self, drafts: Sequence[Draft]) -> list[IntentOutcome]:
        parts = (drafts[start : start + DRAFTS_MAX] for start in range(0, len(drafts), DRAFTS_MAX))
        return [outcome for part in parts for outcome in self._stores.intents.perform_many(part)]

    def _decide(
        self, action: str, made: Array, funding: int, signers: Sequence[Signer], who: int, id: int
    ) -> IntentOutcome:
        self._people.require(who, action, operator=self.get_funding(funding).operator)
        return self._stores.intents.perform(self._decision(action, made, funding, signers, who, id))

    def _decision(
        self, action: str, made: Array, funding: int, signers: Sequence[Signer], who: int, id: int = 0
    ) -> Draft:
        return Draft(action, made, {"funding": ids.format(funding)}, who=who, signers=signers, id=id)


def _created(results: Sequence[Result]) -> bool:
    return all(result is Result.CREATED for result in results)


class _Join:
    name = JOIN

    def __init__(self, stores: Stores, people: People, institutions: Institutions) -> None:
        self._stores = stores
        self._people = people
        self._institutions = institutions

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Make the operator active if the ledger created every record; otherwise it is refused."""
        payload, institution = intent.payload, ids.parse(intent.payload["institution"])
        if not _created(results):
            self._set(connection, intent, REFUSED, None)
            return
        self._set(connection, intent, ACTIVE, read_ns(self._stores.clock))
        self._institutions.set_operator(connection, institution, payload["operator"])
        self._institutions.set_state(connection, institution, identity.ACTIVE)
        held = HeldDuty(
            ids.parse(payload["duty_id"]),
            ids.parse(payload["person"]),
            Duty.OPERATOR,
            institution,
            payload["operator"],
            0,
            payload["until_ns"],
            ids.parse(payload["grant"]),
        )
        self._people.record(connection, held, PublicKey.parse(payload["key"]), proposal=intent.id)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the operator; after a restore also take the duty and the state of the institution back."""
        payload = intent.payload
        self._set(connection, intent, REFUSED, None)
        self._people.end(connection, ids.parse(payload["duty_id"]), at_ns=0)
        institutions = identity.INSTITUTIONS
        chosen = (institutions.c.id == ids.parse(payload["institution"])) & (institutions.c.state == identity.ACTIVE)
        connection.execute(institutions.update().where(chosen).values(state=identity.APPROVED, operator=None))

    def _set(self, connection: Connection, intent: Intent, state: str, joined_ns: int | None) -> None:
        values = {"state": state, "joined_ns": joined_ns, "proposal": intent.id}
        connection.execute(OPERATORS.update().where(OPERATORS.c.number == intent.payload["operator"]).values(values))


class _Leave:
    name = LEAVE

    def __init__(self, stores: Stores, institutions: Institutions) -> None:
        self._stores = stores
        self._institutions = institutions

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Set the state that the step leads to, if the ledger created every record."""
        if _created(results):
            self._set(connection, intent, LEAVING if intent.payload["step"] == BLOCKED else LEFT)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Set the state before the step."""
        self._set(connection, intent, ACTIVE if intent.payload["step"] == BLOCKED else LEAVING)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        left_ns = read_ns(self._stores.clock) if state == LEFT else None
        chosen = OPERATORS.c.number == intent.payload["operator"]
        connection.execute(OPERATORS.update().where(chosen).values(state=state, left_ns=left_ns))
        self._institutions.set_state(connection, ids.parse(intent.payload["institution"]), state)


class _Send:
    """Funding and defunding."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Write whether the money is in transit, or the code of the refusal."""
        created = _created(results)
        _set_funding(connection, intent, state=SENT if created else REFUSED, reason="" if created else results[0].name)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the funding: its signature ended before the money moved."""
        _set_funding(connection, intent, state=REFUSED, reason=Result.SIGNATURE_EXPIRED.name)


class _Decide:
    """Confirmation and rejection."""

    def __init__(self, stores: Stores, name: str, state: str) -> None:
        self.name = name
        self._stores = stores
        self._state = state

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Write the outcome of the bank's leg. A transit that was decided before keeps its first outcome."""
        if _created(results):
            _set_funding(connection, intent, state=self._state, decided_ns=read_ns(self._stores.clock))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Leave the money in transit; a restore takes the outcome back."""
        chosen = (FUNDINGS.c.id == _funding_of(intent)) & (FUNDINGS.c.state == self._state)
        connection.execute(FUNDINGS.update().where(chosen).values(state=SENT, decided_ns=None))


def _funding_of(intent: Intent) -> int:
    return ids.parse(intent.payload["funding"])


def _set_funding(connection: Connection, intent: Intent, **values: Any) -> None:
    connection.execute(FUNDINGS.update().where(FUNDINGS.c.id == _funding_of(intent)).values(values))
