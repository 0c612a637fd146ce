"""The house and its participants: who has a position in which currency, and the accounts behind it on the ledger.

Officers decide: each change of this register is a proposal that two of them sign. The accounts belong to the house's
operator and have no key, so the house signs payments, on the mandate of a participant's signed message. Their rule sets
name the payee groups that money can reach: positions, lines, and exits (members' vaults and issuance accounts). So a
stolen key of the house moves money to members alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.clearing.tables import (
    CURRENCIES,
    HOUSE,
    LINES,
    MESSAGE_KEYS,
    OPEN,
    PARTICIPANTS,
    POSITIONS,
    PROPOSED,
    REFUSED,
)
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, RuleFlag
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.core.timestamps import exact_text
from sycee.database.actions import Intent
from sycee.database.comparing import differences
from sycee.database.numbers import Numbers
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance import records as issuance
from sycee.issuance.records import Party
from sycee.issuance.registry import Registry
from sycee.ledger.state import LedgerState

FOUND: Final = "clearing.house"
CURRENCY: Final = "clearing.currency"
ADMIT: Final = "clearing.admit"
POSITION: Final = "clearing.position"
FLOOR: Final = "clearing.floor"
PLEDGE: Final = "clearing.pledge"
FILL: Final = "clearing.fill"
UNPLEDGE: Final = "clearing.unpledge"
ISSUE: Final = "clearing.issue"
KEY: Final = "clearing.key"
CODE_MAX: Final = 35  # of ISO 20022's Max35Text
_RULES: Final = int(RuleFlag.FINAL | RuleFlag.NO_PERSONS)


@dataclass(frozen=True, slots=True)
class House:
    """The clearing house. `positions`, `lines`, `exits`: payee groups on the ledger."""

    operator: int
    positions: int
    lines: int
    exits: int
    line_rule_set: int
    state: str
    proposal: int


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant. `participant`: its number as an operator; `code`: its name in messages."""

    participant: int
    code: str
    entity: str
    state: str
    proposal: int


@dataclass(frozen=True, slots=True)
class Position:
    """The accounts of a participant in one currency. `most_minor`: of the balance, 0 for none."""

    participant: int
    currency: int
    account: int
    line: int
    rule_set: int
    floor_minor: int
    most_minor: int
    state: str
    proposal: int


class Register:
    """The register of the house of one bank."""

    def __init__(self, stores: Stores, people: People, proposals: Proposals, registry: Registry) -> None:
        self._stores, self._people, self._proposals, self._registry = stores, people, proposals, registry
        stores.actions.register(
            _Opened(FOUND, HOUSE), _Opened(CURRENCY, CURRENCIES), _Opened(ADMIT, PARTICIPANTS, POSITIONS),
            _Opened(POSITION, POSITIONS), _Floor(), *(_Line(name) for name in (PLEDGE, FILL, UNPLEDGE)), _Line(ISSUE),
        )  # fmt: skip
        registry.add_own(id for each in self.positions() for id in (each.account, each.line))

    # --- reading ---

    def house(self) -> House:
        """Return the house. Raises UsageError if officers have founded none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(HOUSE).where(HOUSE.c.state == OPEN)).one_or_none()
        if row is None:
            raise UsageError("the bank has no clearing house", hint="two officers sign its proposal")
        return House(**row._mapping)

    def currencies(self) -> dict[int, int]:
        """Return the suspense account of the house in each currency that it clears, by ISO 4217 number."""
        with reading(self._stores.engine) as connection:
            rows = connection.execute(sqlalchemy.select(CURRENCIES).where(CURRENCIES.c.state == OPEN))
            return {row.currency: row.suspense for row in rows}

    def issuance(self, currency: int) -> int:
        """Return the issuance account of a currency that the house clears. Raises NotFound for another one."""
        query = sqlalchemy.select(CURRENCIES.c.issuance).where(
            CURRENCIES.c.currency == currency, CURRENCIES.c.state == OPEN
        )
        with reading(self._stores.engine) as connection:
            found = connection.scalar(query)
        if found is None:
            raise NotFound(f"the house does not clear {money.currency_of(currency).code}")
        return int(found)

    def participants(self, *states: str) -> list[Participant]:
        """Return the participants in one of the states, or all, by number."""
        query = sqlalchemy.select(PARTICIPANTS).order_by(PARTICIPANTS.c.participant)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(PARTICIPANTS.c.state.in_(states)) if states else query)
            return [Participant(**row._mapping) for row in rows]

    def participant(self, number: int) -> Participant:
        """Return an open participant. Raises NotFound if there is none of this number."""
        found = next((each for each in self.participants(OPEN) if each.participant == number), None)
        if found is None:
            raise NotFound(f"operator {number} is no participant of the clearing house")
        return found

    def positions(self, *states: str) -> list[Position]:
        """Return the positions in one of the states, or all, by participant and currency."""
        query = sqlalchemy.select(POSITIONS).order_by(POSITIONS.c.participant, POSITIONS.c.currency)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query.where(POSITIONS.c.state.in_(states)) if states else query)
            return [Position(**row._mapping) for row in rows]

    def position(self, participant: int, currency: int) -> Position:
        """Return an open position. Raises NotFound if there is none."""
        chosen = (POSITIONS.c.participant == participant) & (POSITIONS.c.currency == currency)
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(POSITIONS).where(chosen)).one_or_none()
        if row is None or row.state != OPEN:
            code = money.currency_of(currency).code
            raise NotFound(
                f"operator {participant} has no open position in {code}",
                hint="officers open it: `sycee clearing position`",
            )
        return Position(**row._mapping)

    def granted(self) -> dict[tuple[int, int], int]:
        """Return what officers filled each line with, by participant and currency."""
        total = sqlalchemy.func.sum(LINES.c.minor).label("total")
        key = (LINES.c.participant, LINES.c.currency)
        query = sqlalchemy.select(*key, total).where(LINES.c.state == OPEN).group_by(*key)
        with reading(self._stores.engine) as connection:
            return {(row.participant, row.currency): int(row.total) for row in connection.execute(query)}

    def message_key(self, participant: int) -> PublicKey:
        """Return the key with which a participant signs messages now. Raises NotFound if it has none."""
        chosen = MESSAGE_KEYS.c.participant == participant
        query = sqlalchemy.select(MESSAGE_KEYS.c.key).where(chosen).order_by(MESSAGE_KEYS.c.from_ns.desc()).limit(1)
        with reading(self._stores.engine) as connection:
            text = connection.scalar(query)
        if text is None:
            raise NotFound(f"operator {participant} has no key for messages", hint="officers admit it with its key")
        return PublicKey.parse(text)

    # --- officers ---

    def found(self, operator: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose that an operator runs the clearing house. Two officers sign. The same id returns the proposal.

        It clears the bank's own currency from then on. Raises UsageError if there is a house, or one is proposed.
        """
        if id and (earlier := self._proposed(id)) is not None:
            return earlier
        accounts = self._registry.require_active(operator).accounts
        issuer = self._registry.issuer
        proposal = id or self._stores.new_id()
        numbers = write(self._stores.engine, lambda connection: self._house_numbers(connection, proposal))
        groups, rule_set = range(numbers[0], numbers[0] + 3), numbers[1]
        new = self._stores.new_id
        made = [operations.define_group(new(), group=each) for each in groups]
        made += [
            operations.define_rule_set(
                new(), rule_set=rule_set, from_ns=0, until_ns=I64_MAX, flags=_RULES, groups=[groups[0], groups[2]]
            ),
            operations.join_group(new(), group=groups[2], account=issuer.issuance),
        ]
        house = {
            "operator": operator, "positions": groups[0], "lines": groups[1], "exits": groups[2],
            "line_rule_set": rule_set, "state": PROPOSED, "proposal": proposal,
        }  # fmt: skip
        currency = {
            "currency": issuer.currency, "issuance": issuer.issuance, "suspense": accounts.suspense,
            "state": PROPOSED, "proposal": proposal,
        }  # fmt: skip

        def before(connection: Connection) -> None:
            for table in (HOUSE, CURRENCIES):
                connection.execute(table.delete().where(table.c.state == REFUSED))
            if connection.scalar(sqlalchemy.select(HOUSE.c.operator)) is not None:
                raise UsageError("the bank has a clearing house, or officers have not signed it yet")
            connection.execute(HOUSE.insert().values(house))
            connection.execute(CURRENCIES.insert().values(currency))

        return self._propose(FOUND, made, {"operator": operator}, maker, proposal, before)

    def add_currency(self, code: str, *, zone: str, maker: int, id: int = 0) -> Proposal:
        """Propose that the house clears another currency, whose money officers of that currency issue.

        `zone`: of its business day. Two officers of the board sign. Raises UsageError for a currency that it clears.
        """
        if id and (earlier := self._proposed(id)) is not None:
            return earlier
        house, number = self.house(), money.currency(code).numeric
        proposal, new = id or self._stores.new_id(), self._stores.new_id
        issuance_account, suspense, desk = new(), new(), issuance.TECHNICAL_OPERATOR
        made = [operations.define_currency(new(), currency=number, zone=zone)]
        for account, kind, operator in (
            (issuance_account, AccountKind.ISSUANCE, desk),
            (suspense, AccountKind.SUSPENSE, house.operator),
        ):
            made.append(operations.open_account(new(), account=account, currency=number, kind=kind, operator=operator))
        made.append(operations.join_group(new(), group=house.exits, account=issuance_account))
        row = {
            "currency": number, "issuance": issuance_account, "suspense": suspense, "state": PROPOSED,
            "proposal": proposal,
        }  # fmt: skip

        def before(connection: Connection) -> None:
            refused = (CURRENCIES.c.currency == number) & (CURRENCIES.c.state == REFUSED)
            connection.execute(CURRENCIES.delete().where(refused))
            if connection.scalar(sqlalchemy.select(CURRENCIES.c.state).where(CURRENCIES.c.currency == number)):
                raise UsageError(f"the house clears {code}, or officers have not signed it yet")
            connection.execute(CURRENCIES.insert().values(row))

        self._registry.add_own([issuance_account, suspense])
        return self._propose(CURRENCY, made, {"currency": number, "operator": house.operator}, maker, proposal, before)

    def admit(
        self, operator: int, code: str, *, key: PublicKey, currencies: Sequence[str], maker: int, entity: str = "",
        floor_minor: int = 0, most_minor: int = 0, id: int = 0,
    ) -> Proposal:  # fmt: skip
        """Propose that an operator becomes a participant, with a position in each currency. Two officers sign.

        - `code`: how messages name it, such as its BIC. `entity`: its id in declarations of compliance.
        - `key`: with which it signs messages.
        - `floor_minor`, `most_minor`: of each position: what always stays on it, and its largest balance, 0 for none.
        """
        if id and (earlier := self._proposed(id)) is not None:
            return earlier
        if not 0 < len(code) <= CODE_MAX:
            raise UsageError(f"a participant's code has 1 to {CODE_MAX} characters; got {len(code)}")
        accounts = self._registry.require_active(operator).accounts
        house, proposal = self.house(), id or self._stores.new_id()
        numbers = [money.currency(each).numeric for each in currencies]
        made, rows = self._opening(house, operator, numbers, floor_minor, most_minor, proposal)
        made.append(operations.join_group(self._stores.new_id(), group=house.exits, account=accounts.vault))
        member = {
            "participant": operator, "code": code, "entity": entity, "state": PROPOSED, "proposal": proposal,
        }  # fmt: skip

        def before(connection: Connection) -> None:
            for table in (PARTICIPANTS, POSITIONS):
                gone = (table.c.participant == operator) & (table.c.state == REFUSED)
                connection.execute(table.delete().where(gone))
            known = (PARTICIPANTS.c.participant == operator) | (PARTICIPANTS.c.code == code)
            if connection.scalar(sqlalchemy.select(PARTICIPANTS.c.code).where(known)) is not None:
                raise UsageError(f"operator {operator} or the code {code} belongs to a participant already")
            connection.execute(PARTICIPANTS.insert().values(member))
            connection.execute(POSITIONS.insert(), rows)
            self._add_key(connection, operator, key, maker)

        return self._propose(ADMIT, made, {"operator": operator}, maker, proposal, before)

    def add_position(
        self, operator: int, currency: str, *, maker: int, floor_minor: int = 0, most_minor: int = 0, id: int = 0
    ) -> Proposal:
        """Propose a position in one more currency for a participant. Two officers sign. Arguments: `admit`."""
        if id and (earlier := self._proposed(id)) is not None:
            return earlier
        house, proposal = self.house(), id or self._stores.new_id()
        self.participant(operator)
        number = money.currency(currency).numeric
        made, rows = self._opening(house, operator, [number], floor_minor, most_minor, proposal)
        place = (POSITIONS.c.participant == operator) & (POSITIONS.c.currency == number)

        def before(connection: Connection) -> None:
            connection.execute(POSITIONS.delete().where(place & (POSITIONS.c.state == REFUSED)))
            if connection.scalar(sqlalchemy.select(POSITIONS.c.state).where(place)):
                raise UsageError(f"operator {operator} has a position in {currency} already")
            connection.execute(POSITIONS.insert(), rows)

        return self._propose(POSITION, made, {"operator": operator, "currency": number}, maker, proposal, before)

    def change_floor(
        self, operator: int, currency: str, *, floor_minor: int, most_minor: int, effective_ns: int, maker: int,
        id: int = 0,
    ) -> Proposal:  # fmt: skip
        """Propose another floor and another largest balance of a position from a future time on. Two officers sign.

        Raises UsageError for a time that is over.
        """
        if effective_ns <= read_ns(self._stores.clock):
            raise UsageError(
                f"{exact_text(effective_ns)} is not in the future", hint="a floor changes from a later time on"
            )
        found = self.position(operator, money.currency(currency).numeric)
        made = self._rules(self.house(), found.rule_set, floor_minor, most_minor, effective_ns)
        effect = {
            "operator": operator, "currency": found.currency, "floor_minor": floor_minor, "most_minor": most_minor,
            "old_floor_minor": found.floor_minor, "old_most_minor": found.most_minor,
        }  # fmt: skip
        return self._proposals.propose(FLOOR, made, effect, maker=maker, id=id)

    def pledge(self, operator: int, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to fill a participant's line in the bank's currency against as much of its reserves.

        The line is the net debit cap: the position draws on it and repays it. Two officers and the operator sign.
        """
        found = self.position(operator, self._registry.issuer.currency)
        made = issuance.issue(self._pair(), self._registry.issuer, self._pledged(found), minor)
        return self._line(PLEDGE, made, found, minor, maker, id, operator)

    def unpledge(self, operator: int, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to take money from a line that was repaid, and return the reserves.

        The house's operator and the reserve desk sign.
        """
        found = self.position(operator, self._registry.issuer.currency)
        made = issuance.redeem(self._pair(), self._registry.issuer, self._pledged(found), minor)
        return self._line(UNPLEDGE, made, found, -minor, maker, id, self.house().operator)

    def fill(self, operator: int, currency: str, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to fill a line in another currency, against a pledge outside this bank. Two officers sign."""
        found, source = self._foreign(operator, currency)
        made = operations.transfer(self._stores.new_id(), debit=source, credit=found.line, amount=minor)
        return self._line(FILL, made, found, minor, maker, id, operator)

    def issue(self, operator: int, currency: str, minor: int, *, maker: int, id: int = 0) -> Proposal:
        """Propose to put money of another currency on a position, which its settlement system received.

        Two officers of the board, or of the currency, sign.
        """
        found, source = self._foreign(operator, currency)
        made = operations.transfer(self._stores.new_id(), debit=source, credit=found.account, amount=minor)
        return self._line(ISSUE, made, found, 0, maker, id, operator)

    def set_key(self, participant: int, key: PublicKey, *, who: int) -> None:
        """Replace the key with which a participant signs messages, from now on. One of its operator's persons asks."""
        self._people.require(who, KEY, operator=participant)
        self.participant(participant)
        write(self._stores.engine, lambda connection: self._add_key(connection, participant, key, who))

    # --- agreement ---

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each open position whose accounts the ledger does not have under its rules."""
        rules = {row.operator: row.line_rule_set for row in self._houses()}

        def compared(state: LedgerState, each: Position) -> Iterator[str]:
            account, line = state.account(each.account), state.account(each.line)
            if account is None or account.rule_set != each.rule_set or account.key:
                yield f"the position {each.participant}/{each.currency} is open, and the ledger has no such account"
            elif line is None or line.rule_set != rules.get(account.operator) or line.key:
                yield f"the position {each.participant}/{each.currency} is open, and the ledger has not its line"

        return differences(self._stores.ledger, self.positions(OPEN), compared)

    # --- helpers ---

    def _add_key(self, connection: Connection, participant: int, key: PublicKey, who: int) -> None:
        """Store a key that replaces the earlier ones of a participant, also after the bank's clock stepped back."""
        newest = sqlalchemy.select(sqlalchemy.func.max(MESSAGE_KEYS.c.from_ns))
        last = connection.scalar(newest.where(MESSAGE_KEYS.c.participant == participant)) or 0
        from_ns = max(read_ns(self._stores.clock), last + 1)
        row = {"participant": participant, "from_ns": from_ns, "key": str(key), "who": who}
        connection.execute(MESSAGE_KEYS.insert().values(row))

    def _houses(self) -> Sequence[Row[Any]]:
        with reading(self._stores.engine) as connection:
            return connection.execute(sqlalchemy.select(HOUSE)).all()

    def _proposed(self, id: int) -> Proposal | None:
        try:
            return self._proposals.get(id).proposal
        except NotFound:
            return None

    def _propose(
        self, action: str, made: Sequence[Array], effect: dict[str, Any], maker: int, id: int, before: Any
    ) -> Proposal:
        return self._proposals.propose(action, np.concatenate(made), effect, maker=maker, id=id, before=before)

    def _house_numbers(self, connection: Connection, proposal: int) -> tuple[int, int]:
        owner, allocate = f"clearing house {ids.format(proposal)}", self._stores.numbers.allocate
        return allocate(connection, Numbers.GROUPS, owner, 3), allocate(connection, Numbers.RULE_SETS, owner)

    def _rule_set(self, owner: str) -> int:
        allocate = self._stores.numbers.allocate
        return write(self._stores.engine, lambda connection: allocate(connection, Numbers.RULE_SETS, owner))

    def _opening(
        self, house: House, operator: int, currencies: Sequence[int], floor: int, most: int, proposal: int
    ) -> tuple[list[Array], list[dict[str, Any]]]:
        """Return the records and rows of positions and lines. Raises UsageError for a currency without a house."""
        suspenses, new = self.currencies(), self._stores.new_id
        if not currencies or len(set(currencies)) < len(currencies):
            raise UsageError("a participant has a position in one currency or several, each named once")
        if missing := [each for each in currencies if each not in suspenses]:
            raise UsageError(
                f"the house does not clear {money.currency_of(missing[0]).code}", hint="officers add the currency first"
            )
        made, rows = [], []
        for currency in currencies:
            owner = f"position {operator} {currency} {ids.format(proposal)}"
            rule_set = self._rule_set(owner)
            account, line = new(), new()
            made.append(self._rules(house, rule_set, floor, most, 0))
            for id, group, rules in ((account, house.positions, rule_set), (line, house.lines, house.line_rule_set)):
                made += [
                    operations.open_account(
                        new(), account=id, currency=currency, kind=AccountKind.VAULT, suspense=suspenses[currency],
                        operator=house.operator, rule_set=rules,
                    ),
                    operations.join_group(new(), group=group, account=id),
                ]  # fmt: skip
            rows.append({
                "participant": operator, "currency": currency, "account": account, "line": line, "rule_set": rule_set,
                "floor_minor": floor, "most_minor": most, "state": PROPOSED, "proposal": proposal,
            })  # fmt: skip
            self._registry.add_own([account, line])
        return made, rows

    def _rules(self, house: House, rule_set: int, floor: int, most: int, effective_ns: int) -> Array:
        if floor < 0 or most < 0 or (most and most < floor):
            raise UsageError("a floor is at least 0, and the largest balance is above it, or 0 for none")
        return operations.define_rule_set(
            self._stores.new_id(), rule_set=rule_set, from_ns=0, until_ns=I64_MAX, flags=_RULES,
            groups=[house.positions, house.lines, house.exits], refund_reserve=floor, balance_max=most,
            effective_ns=effective_ns,
        )  # fmt: skip

    def _pair(self) -> tuple[int, int]:
        return self._stores.new_id(), self._stores.new_id()

    def _pledged(self, position: Position) -> Party:
        accounts = self._registry.operator(position.participant).accounts
        return Party(accounts.suspense, position.line, accounts.reserve)

    def _foreign(self, operator: int, currency: str) -> tuple[Position, int]:
        """Return a position in another currency than the bank's, and the currency's issuance account."""
        number = money.currency(currency).numeric
        if number == self._registry.issuer.currency:
            raise UsageError(f"the bank's own {currency} comes from the operator's vault", hint="prefund, or pledge")
        return self.position(operator, number), self.issuance(number)

    def _line(
        self, action: str, made: Array, position: Position, minor: int, maker: int, id: int, operator: int
    ) -> Proposal:
        proposal = id or self._stores.new_id()
        row = {
            "id": proposal, "participant": position.participant, "currency": position.currency, "minor": minor,
            "state": PROPOSED,
        }  # fmt: skip
        effect = {"operator": operator, "participant": position.participant, "currency": position.currency}

        def before(connection: Connection) -> None:
            connection.execute(LINES.insert().values(row))

        return self._proposals.propose(action, made, effect, maker=maker, id=proposal, before=before)


class _Opened:
    """Rows that a proposal made are open once the ledger created every record, and refused otherwise."""

    def __init__(self, name: str, *tables: sqlalchemy.Table) -> None:
        self.name = name
        self._tables = (*tables, CURRENCIES) if name == FOUND else tables

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Set the outcome."""
        created = all(each is Result.CREATED for each in results)
        self._set(connection, intent.id, OPEN if created else REFUSED)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Refuse the rows."""
        self._set(connection, intent.id, REFUSED)

    def _set(self, connection: Connection, id: int, state: str) -> None:
        for table in self._tables:
            connection.execute(table.update().where(table.c.proposal == id).values(state=state))


class _Line:
    """What officers put on a line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Count the money if the ledger moved it."""
        created = all(each is Result.CREATED for each in results)
        connection.execute(LINES.update().where(LINES.c.id == intent.id).values(state=OPEN if created else REFUSED))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Count nothing."""
        connection.execute(LINES.update().where(LINES.c.id == intent.id).values(state=REFUSED))


class _Floor:
    """Another floor of a position."""

    name = FLOOR

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store the floor if the ledger has it."""
        if results[0] is Result.CREATED:
            self._set(connection, intent, "")

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store the earlier floor."""
        self._set(connection, intent, "old_")

    def _set(self, connection: Connection, intent: Intent, which: str) -> None:
        payload = intent.payload
        chosen = (POSITIONS.c.participant == payload["operator"]) & (POSITIONS.c.currency == payload["currency"])
        values = {name: payload[which + name] for name in ("floor_minor", "most_minor")}
        connection.execute(POSITIONS.update().where(chosen).values(values))
