"""Payments, requests to pay, holds, merchants, and money between wallets and banks."""

from __future__ import annotations

from dataclasses import dataclass, field

from sycee.core.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Done:
    """A payment or refund that was made; `id` is its operation in the ledger."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The first result under an id: PAID, or the code of a refusal."""

    id: str
    result: str
    time: str


@dataclass(frozen=True, slots=True)
class Order:
    """The state of a merchant's order: `payment` is None before it was paid. Amounts in minor units."""

    order: str
    state: str
    payment: str | None
    minor: int
    refunded_minor: int
    time: str | None

    @property
    def is_paid(self) -> bool:
        """Whether the order was paid."""
        return self.state == "paid"


@dataclass(frozen=True, slots=True)
class Payer:
    """A wallet that signs payments: its account and key, the currency's ISO 4217 number, the key epoch and the ledger.

    The call `payer` finds the last three.
    """

    account: int
    key: SigningKey = field(repr=False)
    currency: int
    key_epoch: int
    ledger_id: bytes


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """A payment that the ledger made, by its frame. `is_repeated`: an earlier request had made it."""

    id: str
    frame: int
    time_ns: int
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class Paid:
    """A request that was paid, and the payment's operation in the ledger."""

    request: str
    state: str
    payment: str


@dataclass(frozen=True, slots=True)
class PayRequest:
    """A request to pay. `payer`: None for anybody; `text`: for the owners of both wallets only."""

    request: str
    payee: str
    payer: str | None
    minor: int
    currency: str
    till: str | None
    order: str
    text: str
    expires_ns: int
    state: str
    payment: str | None


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request to pay after an action: "open", "declined" or "withdrawn"."""

    request: str
    state: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold: "open", "posted", "voided" or "ended" by time. `text`: of the reader's side, for owners only."""

    hold: str
    payer: str
    payee: str
    minor: int
    held_minor: int
    posted_minor: int
    till: str | None
    order: str
    text: str
    until_ns: int
    state: str


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold after an action. `payment`: the operation that took the money, None for none."""

    hold: str
    state: str
    payment: str | None


@dataclass(frozen=True, slots=True)
class Outlet:
    """An open outlet of a merchant."""

    outlet: str
    code: str


@dataclass(frozen=True, slots=True)
class Till:
    """An open till of an outlet. `key`: its public key, "" without one."""

    till: str
    code: str
    outlet: str
    key: str


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """A merchant in a list, and the number of the operator that serves it."""

    merchant: str
    name: str
    operator: int
    state: str


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant with its open wallets, outlets and tills. `settlement`: "none", "stated" or "verified"."""

    merchant: str
    name: str
    operator: int
    state: str
    settlement: str
    wallets: tuple[str, ...]
    outlets: tuple[Outlet, ...]
    tills: tuple[Till, ...]


@dataclass(frozen=True, slots=True)
class TillDay:
    """Payments and refunds of one till on one day; the codes are "" for payments without a till."""

    outlet: str
    till: str
    payments: int
    gross_minor: int
    own_minor: int
    packets_minor: int
    refunds: int
    refunded_own_minor: int
    refunded_packets_minor: int
    net_minor: int


@dataclass(frozen=True, slots=True)
class MerchantDay:
    """A merchant's day: opening + gross - refunded - swept + other = closing. `frame`: the newest that was read."""

    merchant: str
    wallet: str
    day: str
    currency: str
    tills: tuple[TillDay, ...]
    opening_minor: int
    gross_minor: int
    refunded_minor: int
    swept_minor: int
    other_minor: int
    closing_minor: int
    frame: int


@dataclass(frozen=True, slots=True)
class SweepState:
    """A merchant's balance on its way to its bank, under one bank reference."""

    sweep: str
    minor: int
    bank_reference: str
    state: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep in a list, with the frames whose payments it carries."""

    sweep: str
    minor: int
    bank_reference: str
    state: str
    wallet: str
    time: str
    first_frame: int
    last_frame: int


@dataclass(frozen=True, slots=True)
class Funding:
    """Money on its way between a wallet and a bank: "sent", "confirmed" or "rejected"."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class FundingRow:
    """Money between a wallet and a bank: "in" for the wallet, or "out". `reason`: the code of a refusal."""

    funding: str
    direction: str
    wallet: str
    minor: int
    bank_reference: str
    state: str
    reason: str
    time: str
    decided: str | None


@dataclass(frozen=True, slots=True)
class ShortfallState:
    """A payment that waits for money of the payer's bank, or was decided."""

    payment: str
    missing_minor: int
    bank_reference: str
    state: str


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A payment in the list of those that wait for an operator's bank."""

    payment: str
    missing_minor: int
    bank_reference: str
    state: str
    wallet: str
    minor: int
    time: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Excess:
    """What a waterfall sent on, for the operator's bank to pay. `payment`: the one that exceeded the wallet's limit."""

    payment: str
    wallet: str
    minor: int
    bank_reference: str
    time: str


@dataclass(frozen=True, slots=True)
class PayerRefusal:
    """A refused payment of an operator's payer. `code`: the answer to the payer, exact where the cause is the payer."""

    payment: str
    payer: str
    code: str
    time: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A payment that the payee's account refused. `code`: the result code, which the payer did not hear."""

    payment: str
    payee: str
    code: str
    time: str
