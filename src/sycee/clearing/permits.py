"""Permits: what compliance said about payments that cross a border, and when it must be asked again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import events, inbox
from sycee.clearing.payments import uetr_text
from sycee.clearing.tables import CHAINS, CLEARED, PAIRS, PAYMENTS, PERMITS, QUEUED, REFUSED, VALID, in_states
from sycee.compliance.enforcement import reason_codes
from sycee.compliance.enforcement.screening import ComplianceRecord
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.transfer_groups import ScreenedGroup, TransferGroup
from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.database.bulk import update_columns
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

if TYPE_CHECKING:
    from sycee.clearing.chains import Chain

ASKED_MAX: Final = 100_000  # payments of one transaction of compliance
_BY: Final = "clearing house"
_PART: Final = 500  # values of one condition


class Permits:
    """The permits of the house of one bank. `compliance`: None for a bank whose payments need no permit."""

    def __init__(self, stores: Stores, compliance: Compliance | None) -> None:
        self._stores, self._compliance = stores, compliance
        self._asking = threading.Lock()

    def renew(self) -> None:
        """Ask again about all payments whose permit may not hold any more, and about those that have none."""
        self.withdraw_stale()
        self.ask()

    def digests(self, payment: int) -> tuple[str, ...]:
        """Return the digests of the records of compliance about a payment, by its number, in order of its requests."""
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(PERMITS.c.digests).where(PERMITS.c.payment == payment))
        return tuple((found or "").split())

    def chain(self, payment: int) -> Chain | None:
        """Return the chain of a payment that may cross a border, by its number; None for another one."""
        found: dict[int, Chain] = {}
        with reading(self._stores.engine) as connection:
            number = connection.scalar(sqlalchemy.select(PERMITS.c.chain).where(PERMITS.c.payment == payment))
            if number:
                _read_chains(connection, [number], found)
        return found[number] if number else None

    def ask(self) -> tuple[int, int]:
        """Ask compliance about all payments that wait for a permit; return how many it permitted and refused.

        Every step of a payment's chain, in each of its currencies, is a request; of payment against payment, those of
        both sides. A payment that is permitted in all of them is queued, or cleared until its time comes. Another one
        is refused with the first reason. The digests of the records stay with the payment. While nothing is declared,
        all of them wait.
        """
        if self._compliance is None:
            return self._permit_all(), 0
        with self._asking:  # two callers would ask about the same payments
            return self._ask(self._compliance)

    def _ask(self, compliance: Compliance) -> tuple[int, int]:
        permitted = refused = 0
        if not self._waits() or not all(compliance.versions(kind) for kind in ("network", "library")):
            return permitted, refused
        names = ("number", "uetr", "currency", "minor", "back_currency", "back_minor")
        columns = (PERMITS.c.chain, PERMITS.c.back_chain, PAIRS.c.uetr.label("back_uetr"))
        query = (
            sqlalchemy.select(*(PAYMENTS.c[name] for name in names), *columns)
            .join(PERMITS, PERMITS.c.payment == PAYMENTS.c.number)
            .outerjoin(PAIRS, PAIRS.c.payment == PAYMENTS.c.number)
            .where(in_states(VALID))
            .order_by(PAYMENTS.c.number)
            .limit(ASKED_MAX)
        )
        chains: dict[int, Chain] = {}
        while True:
            with reading(self._stores.engine) as connection:
                rows = connection.execute(query).all()
                wanted = {number for row in rows for number in (row.chain, row.back_chain) if number}
                _read_chains(connection, wanted - chains.keys(), chains)
            if not rows:
                return permitted, refused
            places, groups = _groups(rows, chains)
            decided = compliance.screen_groups(groups, by=_BY)
            answers = _answers([row.number for row in rows], places, decided)
            good = write(self._stores.engine, partial(_store, answers=answers, clock=self._stores.clock))
            permitted, refused = permitted + good, refused + len(rows) - good

    def withdraw_stale(self) -> int:
        """Let payments wait for a permit again whose permit may not hold any more; return their number.

        A permit is stale from the day on which time may change it, and once declarations, profiles or lists changed.
        """
        if self._compliance is None:
            return 0
        current = {kind: self._compliance.versions(kind) for kind in ("network", "library")}
        newest = {kind: found[-1].digest if found else "" for kind, found in current.items()}
        changed = (PERMITS.c.network != newest["network"]) | (PERMITS.c.library != newest["library"])
        over = (PERMITS.c.until_day != "") & (PERMITS.c.until_day <= self._today())
        stale = (PERMITS.c.digests == "") | changed | over
        open_ = in_states(CLEARED, QUEUED) & (PAYMENTS.c.crossing == 1)
        chosen = sqlalchemy.select(PERMITS.c.payment).where(PERMITS.c.payment == PAYMENTS.c.number, stale)
        statement = PAYMENTS.update().where(open_, chosen.exists()).values(state=VALID)
        with reading(self._stores.engine) as connection:
            if connection.scalar(sqlalchemy.select(PAYMENTS.c.number).where(open_).limit(1)) is None:
                return 0
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def _waits(self) -> bool:
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(PAYMENTS.c.number).where(in_states(VALID)).limit(1)
            return connection.scalar(query) is not None

    def _permit_all(self) -> int:
        """Queue what waits for a permit from a time at which the bank needed one."""
        if not self._waits():
            return 0
        state = _state_from(read_ns(self._stores.clock))
        statement = PAYMENTS.update().where(in_states(VALID)).values(state=state)
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def _today(self) -> str:
        return datetime.fromtimestamp(read_ns(self._stores.clock) / 1e9, UTC).date().isoformat()


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers of compliance in columns of n payments. `reasons`: "" for a payment that is permitted.

    `until_days`: ISO 8601, "" for no end. `network`, `library`: by whose versions all permits are, "" without one.
    """

    numbers: Array
    digests: Array
    until_days: Array
    reasons: Array
    network: str
    library: str


def _groups(rows: Sequence[Any], chains: Mapping[int, Chain]) -> tuple[list[Array], list[TransferGroup]]:
    """Return the transfers of payments by side, chain and currency, and the indexes of the payments of each group.

    Groups of the other sides are last. UETRs are the references, by which compliance keeps its records.
    """
    from sycee.iso20022.elements import Amount

    alike: dict[tuple[int, int, int], tuple[list[int], list[str], list[int]]] = {}
    for at, (_, uetr, currency, minor, back_currency, back_minor, chain, back_chain, back_uetr) in enumerate(rows):
        for key, each, amount in (
            ((0, chain, currency), uetr, minor), ((1, back_chain, back_currency), back_uetr or uetr, back_minor),
        ):  # fmt: skip
            if key[1]:
                places, uetrs, minors = alike.setdefault(key, ([], [], []))
                places.append(at)
                uetrs.append(uetr_text(each))
                minors.append(amount)
    groups = []
    for (_, chain, currency), (_, uetrs, minors) in sorted(alike.items()):
        transfer = chains[chain].transfer("", Amount(money.currency_of(currency).code, 0))
        groups.append(TransferGroup(transfer, uetrs, minors))
    return [np.array(places) for _, (places, _, _) in sorted(alike.items())], groups


def _answers(numbers: Sequence[int], places: Sequence[Array], decided: Sequence[Sequence[ScreenedGroup]]) -> _Answers:
    """Join the answers to all requests of each payment: `places` are the indexes of the payments of each group."""
    empty = np.full(len(numbers), "", object)
    digests, days, reasons, network, library = empty.copy(), empty.copy(), empty.copy(), "", ""
    for at, group in zip(places, decided, strict=True):
        for part in group:
            rows = at[part.rows]
            texts = np.array([" ".join(each) for each in zip(*part.digests, strict=True)], object)
            before = digests[rows]
            digests[rows] = np.where(before == "", texts, before + " " + texts)
            refused = [each.reason_code for each in part.decisions if not isinstance(each, ComplianceRecord)]
            if refused:
                reasons[rows] = [reason_codes.first_code((each, *refused)) for each in reasons[rows]]
                continue
            results = [each.result for each in part.decisions if isinstance(each, ComplianceRecord)]
            ends = [each.until.isoformat() for each in results if each.until]
            if ends:
                days[rows] = [min(each, *ends) if each else min(ends) for each in days[rows]]
            inputs = results[0].inputs  # one transaction of compliance judges by the same versions
            network, library = inputs.network, inputs.library
    return _Answers(np.array(numbers), digests, days, reasons, network, library)


def _read_chains(connection: Connection, numbers: Iterable[int], into: dict[int, Chain]) -> None:
    from sycee.clearing.chains import parse

    wanted = sorted(numbers)
    for start in range(0, len(wanted), _PART):
        chosen = CHAINS.c.chain.in_(wanted[start : start + _PART])
        query = sqlalchemy.select(CHAINS.c.chain, CHAINS.c.content).where(chosen)
        into |= {number: parse(text) for number, text in connection.execute(query)}


def _store(connection: Connection, answers: _Answers, clock: Clock) -> int:
    """Write the answers of compliance and the states that follow; return the number of payments that it permits.

    Senders of refused payments get an event. A payment that was cancelled meanwhile stays so.
    """
    is_good = answers.reasons == ""
    numbers, good = answers.numbers, answers.numbers[is_good]
    columns = {
        "payment": numbers, "digests": answers.digests.tolist(),
        "until_day": np.where(is_good, answers.until_days, "").tolist(),
        "network": np.where(is_good, answers.network, "").tolist(),
        "library": np.where(is_good, answers.library, "").tolist(),
    }  # fmt: skip
    update_columns(connection, PERMITS, columns, key="payment")
    bad = [
        {"at": number, "why": reason}
        for number, reason in zip(numbers[~is_good].tolist(), answers.reasons[~is_good], strict=True)
    ]
    state = _state_from(read_ns(clock))
    for run in np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if good.size else ():
        chosen = PAYMENTS.c.number.between(int(run[0]), int(run[-1])) & (PAYMENTS.c.state == VALID)
        connection.execute(PAYMENTS.update().where(chosen).values(state=state))
    for reason in sorted({each["why"] for each in bad}):
        refused = [each["at"] for each in bad if each["why"] == reason]
        for start in range(0, len(refused), _PART):
            chosen = PAYMENTS.c.number.in_(refused[start : start + _PART]) & (PAYMENTS.c.state == VALID)
            events.ended(connection, clock, chosen, reason)
            inbox.drop_waiting(connection, chosen)
    if bad:
        bind = sqlalchemy.bindparam
        mine = (PAYMENTS.c.number == bind("at")) & (PAYMENTS.c.state == VALID)
        connection.execute(PAYMENTS.update().where(mine).values(state=REFUSED, reason=bind("why")), bad)
    return int(good.size)


def _state_from(now_ns: int) -> Any:
    """Return the state of a permitted payment: queued, or cleared until its time comes."""
    return sqlalchemy.case((PAYMENTS.c.from_ns > now_ns, CLEARED), else_=QUEUED)
