"""Institutions: the issuer, operators, merchants and auditors, with owners, due diligence, outlets and tills.

The name of an institution is public. Its owners are persons. The caller encrypts the settlement account, and passes a
keyed hash, by which two merchants with the same account are found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids, typos
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.identity.people import People, article, listed
from sycee.identity.proposals import Proposals
from sycee.identity.tables import (
    ACTIVE,
    APPLIED,
    APPROVED,
    CHECKS,
    CLOSED,
    INSTITUTION_KINDS,
    INSTITUTION_STATES,
    INSTITUTIONS,
    LEAVING,
    MERCHANT,
    OUTLETS,
    OWNERS,
    REFUSED,
    SETTLEMENT_ACCOUNTS,
    STATED,
    TILLS,
    VERIFIED,
)

PAPERS: Final = "papers"
OWNERSHIP: Final = "owners"
SETTLEMENT: Final = "settlement"
PASSED: Final = "passed"
FAILED: Final = "failed"
WHOLE_PPM: Final = 1_000_000
NAME_MAX: Final = 120
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,16}")


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution. `operator`: its number in the ledger, or that of a merchant's operator; None for none."""

    id: int
    kind: str
    name: str
    operator: int | None
    participant: str
    state: str
    made_ns: int

    @property
    def checks_needed(self) -> frozenset[str]:
        """Return the checks that must pass before the institution is approved."""
        return frozenset({PAPERS, OWNERSHIP, SETTLEMENT} if self.kind == MERCHANT else {PAPERS, OWNERSHIP})


@dataclass(frozen=True, slots=True)
class Till:
    """A till of an outlet of a merchant. `public_key`: of the till's own key, None for none."""

    id: int
    code: str
    outlet: int
    outlet_code: str
    merchant: int
    public_key: PublicKey | None


@dataclass(frozen=True, slots=True)
class SettlementAccount:
    """A merchant's account at a bank, encrypted by the caller. `hash`: keyed, 16 bytes."""

    sealed: bytes
    hash: bytes
    state: str = STATED


class Institutions:
    """The institutions of one bank."""

    def __init__(self, stores: Stores, people: People, proposals: Proposals) -> None:
        self._stores = stores
        self._people = people
        self._proposals = proposals
        stores.actions.register(*(_Decision(name) for name in _ACTIONS))

    # --- entering ---

    def add(
        self,
        kind: str,
        name: str,
        *,
        by: int,
        operator: int | None = None,
        participant: str = "",
        owners: Mapping[int, int] | None = None,
        settlement: SettlementAccount | None = None,
        id: int = 0,
    ) -> int:
        """Enter an institution as `applied` and return its id. The same `id` again changes nothing.

        - `by`: the person who enters it. `operator`: of a merchant, the number of the operator that serves it.
        - `owners`: share in parts per million by person, one million at most in sum.
        - `participant`: id in the compliance network, "" for none.

        Raises UsageError for a duty that does not permit it, a name in use, or values that do not fit.
        """
        _check_entry(kind, name, owners or {})
        if kind == MERCHANT and operator is None:
            raise UsageError("a merchant needs an operator", hint="name the operator that serves it")
        self._people.require(by, "institution.apply", operator=operator)
        now_ns = read_ns(self._stores.clock)
        id = id or ids.new(now_ns // 1_000_000)
        row = {
            "id": id,
            "kind": kind,
            "name": name,
            "operator": operator,
            "participant": participant,
            "state": APPLIED,
            "made_ns": now_ns,
        }

        def store(connection: Connection) -> None:
            if connection.scalar(sqlalchemy.select(INSTITUTIONS.c.id).where(INSTITUTIONS.c.id == id)) is not None:
                return
            chosen = (INSTITUTIONS.c.kind == kind) & (INSTITUTIONS.c.name == name)
            if connection.scalar(sqlalchemy.select(INSTITUTIONS.c.id).where(chosen)) is not None:
                raise UsageError(
                    f"there is {article(kind)} named {name!r} already", hint="give a name that distinguishes them"
                )
            connection.execute(INSTITUTIONS.insert().values(row))
            for person, share_ppm in (owners or {}).items():
                self._people.add(connection, person=person)
                connection.execute(OWNERS.insert().values(institution=id, person=person, share_ppm=share_ppm))
            if settlement is not None:
                _state_settlement(connection, id, settlement)

        write(self._stores.engine, store)
        return id

    def state_settlement(self, institution: int, account: SettlementAccount, *, by: int) -> None:
        """State a new settlement account; it must be verified before money is sent to it."""
        found = self.get(institution)
        self._people.require(by, "institution.apply", operator=found.operator)
        write(self._stores.engine, lambda connection: _state_settlement(connection, institution, account))

    # --- due diligence ---

    def decide(self, institution: int, kind: str, outcome: str, *, maker: int) -> Proposal:
        """Propose the outcome of one check: `kind` papers, owners or settlement; `outcome` passed or failed.

        Another person must sign, and no owner of the institution may. An institution is approved once all its checks
        passed, and refused when one failed.
        """
        found = self.get(institution)
        if kind not in found.checks_needed:
            raise UsageError(
                f"{article(found.kind)} has no check {kind!r}", hint=f"checks: {_listed(found.checks_needed)}"
            )
        if outcome not in (PASSED, FAILED):
            raise UsageError(f"{outcome!r} is not the outcome of a check", hint=f"use {PASSED} or {FAILED}")
        settlement = self.settlement_of(institution)
        if kind == SETTLEMENT and settlement is None:
            raise UsageError(f"{found.name} has no settlement account", hint="state it first")
        if kind == OWNERSHIP and outcome == PASSED and not self.owners_of(institution):
            raise UsageError(f"{found.name} has no owners", hint="enter the owners first: at least one person")
        action = "institution.verify"
        if found.kind == MERCHANT:
            action = "merchant.settlement" if kind == SETTLEMENT else "merchant.verify"
        effect: dict[str, Any] = {
            "institution": ids.format(institution),
            "check": kind,
            "outcome": outcome,
            "not_by": [ids.format(person) for person in sorted(self.owners_of(institution))],
        }
        if found.kind == MERCHANT and found.operator is not None:
            effect["operator"] = found.operator
        if kind == SETTLEMENT and settlement is not None:
            effect["account_hash"] = settlement.hash.hex()
        if ids.format(maker) in effect["not_by"]:
            raise UsageError(f"an owner of {found.name} may not decide its due diligence")
        return self._proposals.propose(action, None, effect, maker=maker)

    def checks_of(self, institution: int) -> dict[str, str]:
        """Return the newest outcome of each check by its kind."""
        query = sqlalchemy.select(CHECKS.c.kind, CHECKS.c.outcome).where(CHECKS.c.institution == institution)
        with reading(self._stores.engine) as connection:
            return dict(connection.execute(query.order_by(CHECKS.c.number)).all())

    def require_approved(self, institution: int) -> Institution:
        """Return an institution that passed its due diligence and has not left. Raises UsageError otherwise."""
        found = self.get(institution)
        if found.state in (APPROVED, ACTIVE):
            return found
        lacking = sorted(
            found.checks_needed - {kind for kind, each in self.checks_of(institution).items() if each == PASSED}
        )
        what = f"; not passed: {', '.join(lacking)}" if lacking else ""
        raise UsageError(
            f"{found.name} is {found.state}{what}", hint="two persons verify an institution before it takes part"
        )

    def require_settlement(self, institution: int) -> SettlementAccount:
        """Return the verified settlement account of an institution. Raises UsageError if none is verified.

        A new account must be verified before money is sent to it, because an attacker with a merchant's access could
        state one.
        """
        found = self.settlement_of(institution)
        if found is None or found.state != VERIFIED:
            name, problem = self.get(institution).name, "is not verified" if found else "is not stated"
            raise UsageError(
                f"the settlement account of {name} {problem}",
                hint="two persons verify it: `sycee institution verify --check settlement`",
            )
        return found

    # --- reading ---

    def get(self, institution: int) -> Institution:
        """Return an institution. Raises UsageError if there is none."""
        with reading(self._stores.engine) as connection:
            chosen = sqlalchemy.select(INSTITUTIONS).where(INSTITUTIONS.c.id == institution)
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise NotFound(f"there is no institution {ids.format(institution)}")
        return _institution(row)

    def list(self, kind: str | None = None) -> Sequence[Institution]:
        """Return the institutions, or those of one kind, oldest first."""
        query = sqlalchemy.select(INSTITUTIONS).order_by(INSTITUTIONS.c.id)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query if kind is None else query.where(INSTITUTIONS.c.kind == kind))
            return [_institution(row) for row in rows]

    def merchants(self, operators: Collection[int], *, after: int = 0, limit: int) -> Sequence[Institution]:
        """Return up to `limit` merchants of operators with ids above `after`, in the order of ids."""
        chosen = (INSTITUTIONS.c.kind == MERCHANT) & INSTITUTIONS.c.operator.in_(sorted(operators))
        query = sqlalchemy.select(INSTITUTIONS).where(chosen, INSTITUTIONS.c.id > after)
        with reading(self._stores.engine) as connection:
            return [_institution(row) for row in connection.execute(query.order_by(INSTITUTIONS.c.id).limit(limit))]

    def page(self, kind: str | None, *, after: int, most: int) -> Sequence[Institution]:
        """Return up to `most` institutions with ids above `after`, by id; only those of `kind` unless it is None."""
        query = sqlalchemy.select(INSTITUTIONS).where(INSTITUTIONS.c.id > after).order_by(INSTITUTIONS.c.id).limit(most)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query if kind is None else query.where(INSTITUTIONS.c.kind == kind))
            return [_institution(row) for row in rows]

    def find(self, kind: str, text: str) -> Institution:
        """Return the institution of a kind with this name, id or, for an operator, number. UsageError otherwise."""
        found = self.list(kind)
        by_name = {each.name: each for each in found}
        if text in by_name:
            return by_name[text]
        for each in found:
            if text == ids.format(each.id) or (each.kind != MERCHANT and text == str(each.operator)):
                return each
        raise UsageError(
            f"there is no {kind} {text!r}",
            hint=typos.hint(text, by_name, f"`sycee institution list --kind {kind}` shows the {kind}s"),
        )

    def of_operator(self, number: int) -> Institution | None:
        """Return the operator with this number, or None."""
        return next((each for each in self.list("operator") if each.operator == number), None)

    def owners_of(self, institution: int) -> dict[int, int]:
        """Return the owners of an institution, largest first: share in parts per million by person."""
        query = sqlalchemy.select(OWNERS.c.person, OWNERS.c.share_ppm).where(OWNERS.c.institution == institution)
        query = query.order_by(OWNERS.c.share_ppm.desc(), OWNERS.c.person)
        with reading(self._stores.engine) as connection:
            return dict(connection.execute(query).all())

    def settlement_of(self, institution: int) -> SettlementAccount | None:
        """Return a settlement account, encrypted, or None."""
        table = SETTLEMENT_ACCOUNTS
        with reading(self._stores.engine) as connection:
            chosen = sqlalchemy.select(table).where(table.c.institution == institution)
            row = connection.execute(chosen).one_or_none()
        return None if row is None else SettlementAccount(bytes(row.sealed), bytes(row.hash), row.state)

    def same_settlement(self, hash: bytes) -> Sequence[int]:
        """Return the institutions whose settlement account has this keyed hash."""
        table = SETTLEMENT_ACCOUNTS
        with reading(self._stores.engine) as connection:
            chosen = sqlalchemy.select(table.c.institution).where(table.c.hash == hash)
            return list(connection.scalars(chosen.order_by(table.c.institution)))

    # --- states and numbers, in the caller's transaction ---

    def set_state(self, connection: Connection, institution: int, state: str) -> None:
        """Set the state of an institution: `active` once its accounts are open, then `leaving` and `left`."""
        if state not in INSTITUTION_STATES:
            raise UsageError(f"{state!r} is not a state of an institution")
        connection.execute(INSTITUTIONS.update().where(INSTITUTIONS.c.id == institution).values(state=state))

    def set_operator(self, connection: Connection, institution: int, number: int) -> None:
        """Set the operator number of an institution, which never changes afterwards."""
        chosen = (INSTITUTIONS.c.id == institution) & INSTITUTIONS.c.operator.is_(None)
        connection.execute(INSTITUTIONS.update().where(chosen).values(operator=number))

    # --- outlets and tills ---

    def add_outlet(self, merchant: int, code: str, *, by: int) -> int:
        """Open an outlet of a merchant and return its id. A code that the merchant has returns the same id."""
        found = self._require_merchant(merchant, by)
        _check_code(code)
        id = self._stores.new_id()
        chosen = (OUTLETS.c.merchant == found.id) & (OUTLETS.c.code == code)
        row = {"id": id, "merchant": found.id, "code": code, "state": ACTIVE}
        return write(self._stores.engine, lambda connection: _open(connection, OUTLETS, chosen, row))

    def add_till(self, outlet: int, code: str, *, by: int, key: PublicKey | None = None) -> int:
        """Open a till of an outlet and return its id. `key`: the till's own key. A known code returns the same id."""
        with reading(self._stores.engine) as connection:
            merchant = connection.scalar(sqlalchemy.select(OUTLETS.c.merchant).where(OUTLETS.c.id == outlet))
        if merchant is None:
            raise NotFound(f"there is no outlet {ids.format(outlet)}", hint="open the outlet first")
        self._require_merchant(merchant, by)
        _check_code(code)
        id = self._stores.new_id()
        chosen = (TILLS.c.outlet == outlet) & (TILLS.c.code == code)
        row = {"id": id, "outlet": outlet, "code": code, "public_key": str(key) if key else None, "state": ACTIVE}
        return write(self._stores.engine, lambda connection: _open(connection, TILLS, chosen, row))

    def close_outlet(self, outlet: int, *, by: int, also: Also = nothing_else) -> None:
        """Close an outlet and its tills. `also` writes in the same transaction."""
        with reading(self._stores.engine) as connection:
            merchant = connection.scalar(sqlalchemy.select(OUTLETS.c.merchant).where(OUTLETS.c.id == outlet))
        if merchant is None:
            raise NotFound(f"there is no outlet {ids.format(outlet)}")
        self._require_merchant(merchant, by)

        def close(connection: Connection) -> None:
            connection.execute(OUTLETS.update().where(OUTLETS.c.id == outlet).values(state=CLOSED))
            connection.execute(TILLS.update().where(TILLS.c.outlet == outlet).values(state=CLOSED))
            also(connection)

        write(self._stores.engine, close)

    def close_till(self, till: int, *, by: int, also: Also = nothing_else) -> None:
        """Close a till, so that it takes no payment. `also` writes in the same transaction."""
        found = self.till(till)
        self._require_merchant(found.merchant, by)

        def close(connection: Connection) -> None:
            connection.execute(TILLS.update().where(TILLS.c.id == till).values(state=CLOSED))
            also(connection)

        write(self._stores.engine, close)

    def outlets_of(self, merchant: int) -> dict[str, int]:
        """Return the ids of a merchant's open outlets by their codes."""
        query = sqlalchemy.select(OUTLETS.c.code, OUTLETS.c.id).where(
            OUTLETS.c.merchant == merchant, OUTLETS.c.state == ACTIVE
        )
        with reading(self._stores.engine) as connection:
            return dict(connection.execute(query.order_by(OUTLETS.c.code)).all())

    def tills_of(self, merchant: int) -> Sequence[Till]:
        """Return a merchant's open tills, by outlet and code."""
        with reading(self._stores.engine) as connection:
            rows = connection.execute(
                _TILLS.where(OUTLETS.c.merchant == merchant, TILLS.c.state == ACTIVE).order_by(
                    OUTLETS.c.code, TILLS.c.code
                )
            )
            return [_till(row) for row in rows]

    def till(self, till: int) -> Till:
        """Return an open till. Raises UsageError if there is none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(_TILLS.where(TILLS.c.id == till, TILLS.c.state == ACTIVE)).one_or_none()
        if row is None:
            raise NotFound(f"there is no open till {ids.format(till)}", hint="`sycee institution show` lists tills")
        return _till(row)

    def find_till(self, merchant: int, code: str) -> Till:
        """Return a merchant's open till by its code, or by OUTLET/CODE. Raises UsageError if none, or several, fit."""
        tills = self.tills_of(merchant)
        found = [each for each in tills if code in (each.code, f"{each.outlet_code}/{each.code}")]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"{each.outlet_code}/{each.code}" for each in tills) or "none"
        problem = f"several tills have the code {code!r}" if found else f"there is no open till {code!r}"
        raise UsageError(problem, hint=f"name OUTLET/TILL; the merchant's tills: {names}")

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each active operator without a grant in the ledger that is in force."""
        operators = self.list("operator")
        with self._stores.ledger.sequencer.reading() as state:
            granted = {grant.operator for grant in state.grants.values() if not grant.revoked}
        for each in operators:
            if each.state in (ACTIVE, LEAVING) and each.operator not in granted:
                yield f"operator {each.operator} is {each.state}, and has no grant in the ledger"

    def _require_merchant(self, merchant: int, by: int) -> Institution:
        found = self.get(merchant)
        if found.kind != MERCHANT:
            raise UsageError(f"{found.name} is {article(found.kind)}, not a merchant")
        self._people.require(by, "merchant.outlet", operator=found.operator, institution=merchant)
        return found


class _Decision:
    """The action of a decided check: the row of the check, and the state of the institution that follows."""

    def __init__(self, name: str) -> None:
        self.name = name

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Write the check; approve or refuse the institution."""
        payload = intent.payload
        institution, kind, outcome = ids.parse(payload["institution"]), payload["check"], payload["outcome"]
        if connection.scalar(sqlalchemy.select(CHECKS.c.number).where(CHECKS.c.proposal == intent.id)) is not None:
            return
        values = {"institution": institution, "kind": kind, "outcome": outcome, "proposal": intent.id}
        connection.execute(
            CHECKS.insert().values(**values, at_ns=ids.time_ms(ids.from_int(intent.id)).item() * 1_000_000)
        )
        if kind == SETTLEMENT:
            table = SETTLEMENT_ACCOUNTS
            chosen = (table.c.institution == institution) & (table.c.hash == bytes.fromhex(payload["account_hash"]))
            state = VERIFIED if outcome == PASSED else STATED
            connection.execute(table.update().where(chosen).values(state=state, proposal=intent.id))
        _set_state_by_checks(connection, institution)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Change nothing, because the proposal was not signed."""


_ACTIONS: Final = ("institution.verify", "merchant.verify", "merchant.settlement")


def _set_state_by_checks(connection: Connection, institution: int) -> None:
    """Set the state that follows from the newest outcome of each check, while the institution is not active."""
    row = connection.execute(sqlalchemy.select(INSTITUTIONS).where(INSTITUTIONS.c.id == institution)).one()
    query = sqlalchemy.select(CHECKS.c.kind, CHECKS.c.outcome).where(CHECKS.c.institution == institution)
    newest = dict(connection.execute(query.order_by(CHECKS.c.number)).all())
    if row.state not in (APPLIED, APPROVED, REFUSED):
        return
    state = APPLIED
    if FAILED in newest.values():
        state = REFUSED
    elif _institution(row).checks_needed <= newest.keys():
        state = APPROVED
    connection.execute(INSTITUTIONS.update().where(INSTITUTIONS.c.id == institution).values(state=state))


def _state_settlement(connection: Connection, institution: int, account: SettlementAccount) -> None:
    table = SETTLEMENT_ACCOUNTS
    connection.execute(table.delete().where(table.c.institution == institution))
    values = {"institution": institution, "sealed": account.sealed, "hash": account.hash, "state": STATED}
    connection.execute(table.insert().values(values))


def _open(connection: Connection, table: sqlalchemy.Table, chosen: Any, row: dict[str, Any]) -> int:
    """Return the id of the existing row, opened again if it was closed; insert a row otherwise."""
    found = connection.scalar(sqlalchemy.select(table.c.id).where(chosen))
    if found is None:
        connection.execute(table.insert().values(row))
        return int(row["id"])
    connection.execute(table.update().where(chosen).values(state=ACTIVE))
    return int(found)


def _check_entry(kind: str, name: str, owners: Mapping[int, int]) -> None:
    if kind not in INSTITUTION_KINDS:
        raise UsageError(f"{kind!r} is not a kind of institution", hint=f"use {_listed(INSTITUTION_KINDS)}")
    if name != name.strip() or not name.isprintable() or not 0 < len(name) <= NAME_MAX:
        raise UsageError(
            f"the name of an institution must have 1 to {NAME_MAX} printable characters without blanks around it"
        )
    shares = list(owners.values())
    if any(type(share) is not int or share <= 0 for share in shares) or sum(shares) > WHOLE_PPM:
        raise UsageError(
            "the shares of owners must be above 0 and at most 100 % together",
            hint="give each share in parts per million: 500000 is one half",
        )


def _check_code(code: str) -> None:
    if not _CODE.fullmatch(code):
        raise UsageError(
            f"{code!a} is not a code", hint="a code has 1 to 16 letters, digits, points, dashes and underscores"
        )


def _listed(words: Any) -> str:
    return listed(sorted(words))


def _institution(row: Row[Any]) -> Institution:
    return Institution(row.id, row.kind, row.name, row.operator, row.participant, row.state, row.made_ns)


def _till(row: Row[Any]) -> Till:
    key = PublicKey.parse(row.public_key) if row.public_key else None
    return Till(row.id, row.code, row.outlet, row.outlet_code, row.merchant, key)


_TILLS: Final = sqlalchemy.select(TILLS, OUTLETS.c.code.label("outlet_code"), OUTLETS.c.merchant).join(
    OUTLETS, TILLS.c.outlet == OUTLETS.c.id
)
