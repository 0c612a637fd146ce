"""Positions: what each participant has at the house, what may leave it, and how money gets in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.clearing.house import Position, Register
from sycee.clearing.tables import OPEN
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Block
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, IntentOutcome, LedgerOnly
from sycee.database.stores import Stores
from sycee.identity.people import People
from sycee.issuance.registry import Registry
from sycee.ledger.models import Account
from sycee.ledger.state import LedgerState
from sycee.sequencer.signer import Signer

PREFUND: Final = "clearing.prefund"
PAY_OUT: Final = "clearing.pay-out"
BLOCK: Final = "clearing.block"
REPAY: Final = "clearing.repay"


@dataclass(frozen=True, slots=True)
class Funds:
    """The money of a position between two frames, in minor units.

    - `minor`: on the position. `floor_minor`: always stays. `headroom_minor`: what it can receive; None for any amount.
    - `line_minor`: left on the line. `granted_minor`: what officers filled it with.
    - `can_pay`, `can_receive`, `line_receives`: whether position and line are open on that side.
    """

    position: Position
    minor: int
    floor_minor: int
    headroom_minor: int | None
    line_minor: int
    granted_minor: int
    can_pay: bool
    can_receive: bool
    line_receives: bool

    @property
    def drawn_minor(self) -> int:
        """Return what the position owes its line."""
        return max(0, self.granted_minor - self.line_minor)

    @property
    def own_minor(self) -> int:
        """Return what may leave the position without its line, at least 0."""
        return max(0, self.minor - self.floor_minor)

    @property
    def limit_minor(self) -> int:
        """Return what may leave the position net, with its line, at least 0; 0 if it is blocked."""
        return max(0, self.minor - self.floor_minor + self.line_minor) if self.can_pay else 0


class Positions:
    """The positions of the house of one bank."""

    def __init__(self, stores: Stores, people: People, registry: Registry, register: Register) -> None:
        self._stores, self._people, self._registry, self._register = stores, people, registry, register
        stores.actions.register(*(LedgerOnly(name) for name in (PREFUND, BLOCK, REPAY)))  # PAY_OUT: `pay_outs`

    def funds(self) -> list[Funds]:
        """Return the money of all open positions after the newest frame, by participant and currency."""
        return self.funds_at()[0]

    def funds_at(self) -> tuple[list[Funds], int]:
        """Return the money of all open positions, and the frame after which it was read."""
        positions, granted = self._register.positions(OPEN), self._register.granted()
        with self._stores.ledger.sequencer.reading() as state:
            return [funds_in(state, each, granted) for each in positions], state.sequence

    def prefund(
        self, participant: int, currency: str, minor: int, *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> IntentOutcome:
        """Move money from a participant's vault to its position. Its operator signs.

        `id`: of the intent; the same id again returns the first outcome. A refusal by the ledger is the outcome's.
        Raises UsageError for another currency than the bank's: officers issue it to the position.
        """
        self._people.require(who, PREFUND, operator=participant)
        found = self._position(participant, currency)
        vault = self._registry.require_active(participant).accounts.vault
        return self._move(PREFUND, found, vault, found.account, minor, signers, who, id)

    def pay_out(
        self, participant: int, currency: str, minor: int, *, signers: Sequence[Signer], who: int, id: int = 0
    ) -> IntentOutcome:
        """Move money from a position to its participant's vault, on its signed message. The house signs.

        Money of another currency than the bank's is destroyed: its settlement system pays the participant. The other
        arguments are those of `prefund`.
        """
        house = self._register.house()
        self._people.require(who, PAY_OUT, operator=house.operator)
        found = self._register.position(participant, money.currency(currency).numeric)
        if found.currency == self._registry.issuer.currency:
            to = self._registry.operator(participant).accounts.vault
        else:
            to = self._register.issuance(found.currency)
        return self._move(PAY_OUT, found, found.account, to, minor, signers, who, id)

    def repay(self, *, signers: Sequence[Signer], who: int, id: int = 0) -> int:
        """Repay the lines from what positions have above their floors; return the sum, in minor units. The house signs.

        Sets repay by themselves; this is for the close of a day. `drawn_minor` of `funds` is what is still owed.
        """
        house = self._register.house()
        self._people.require(who, REPAY, operator=house.operator)
        owed = [(each, min(each.drawn_minor, each.own_minor)) for each in self.funds() if each.can_pay]
        made = [
            operations.transfer(
                self._stores.new_id(), debit=each.position.account, credit=each.position.line, amount=minor
            )
            for each, minor in owed
            if minor and each.line_receives
        ]
        if not made:
            return 0
        records = np.concatenate(made)
        outcome = self._perform(REPAY, records, {"house": house.operator}, signers, who, id)
        created = np.array([each is Result.CREATED for each in outcome.results])
        return int(records["amount"][created].sum()) if created.size == records.size else 0

    def block(
        self, participant: int, *, signers: Sequence[Signer], who: int, reason: Any, lift: bool = False, id: int = 0
    ) -> IntentOutcome:
        """Block what leaves a participant's positions, or lift that block. The house signs a block, officers its end.

        What is booked stays final, and the positions still receive. `reason`: layout.Reason.
        """
        house = self._register.house()
        self._people.require(who, BLOCK, operator=house.operator)
        make = operations.unblock_account if lift else operations.block_account
        chosen = [each for each in self._register.positions(OPEN) if each.participant == participant]
        if not chosen:
            raise UsageError(f"operator {participant} has no position")
        made = [make(self._stores.new_id(), account=each.account, sides=Block.DEBIT, reason=reason) for each in chosen]
        payload = {"participant": participant, "lift": lift}
        return self._perform(BLOCK, np.concatenate(made), payload, signers, who, id)

    def _position(self, participant: int, currency: str) -> Position:
        found = self._register.position(participant, money.currency(currency).numeric)
        if found.currency != self._registry.issuer.currency:
            raise UsageError(f"a vault holds no {currency}", hint="officers issue it to the position")
        return found

    def _move(
        self, action: str, position: Position, debit: int, credit: int, minor: int, signers: Sequence[Signer],
        who: int, id: int,
    ) -> IntentOutcome:  # fmt: skip
        made = operations.transfer(self._stores.new_id(), debit=debit, credit=credit, amount=minor)
        payload = {"participant": position.participant, "currency": position.currency, "minor": minor}
        return self._perform(action, made, payload, signers, who, id)

    def _perform(
        self, action: str, made: Array, payload: Mapping[str, Any], signers: Sequence[Signer], who: int, id: int
    ) -> IntentOutcome:
        id = id or ids.new(read_ns(self._stores.clock) // 1_000_000)
        return self._stores.intents.perform(Draft(action, made, payload, who=who, signers=signers, id=id))


def funds_in(state: LedgerState, position: Position, granted: Mapping[tuple[int, int], int]) -> Funds:
    """Return the money of a position in a state of the ledger."""
    account, line = state.account(position.account), state.account(position.line)
    assert account is not None and line is not None, "an open position has its accounts"
    rules = state.tables.rule_sets.view(np.ndarray)[position.rule_set]
    floor, most = int(rules["refund_reserve"]), int(rules["balance_max"])
    return Funds(
        position,
        account.available,
        floor,
        most - account.balance - account.credits_pending if most else None,
        line.available if _is_open(line, Block.DEBIT) else 0,
        granted.get((position.participant, position.currency), 0),
        _is_open(account, Block.DEBIT),
        _is_open(account, Block.CREDIT),
        _is_open(line, Block.CREDIT),
    )


def _is_open(account: Account, side: Block) -> bool:
    return not account.blocks & (side | Block.CLOSED)
