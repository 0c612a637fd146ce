"""What calls return: answers of the API with their types. Amounts are whole numbers of minor units."""

from __future__ import annotations

from dataclasses import dataclass, field

from sycee.core.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Done:
    """A payment or refund that was made; `id` is its operation in the ledger."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class Funding:
    """Money on its way between a wallet and a bank: "sent", "confirmed" or "rejected"."""

    id: str
    state: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that the server writes: "running", "done", or "failed" for a reason.

    `file`: its name in the server's folder. `frame`, `state_digest` and `supply_minor`: None unless it is done.
    """

    id: str
    state: str
    reason: str
    file: str
    written_bytes: int
    frame: int | None
    state_digest: str | None
    supply_minor: int | None


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
class Bound:
    """The first result under an id: PAID, or the code of a refusal."""

    id: str
    result: str
    time: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server takes this client for."""

    kind: str
    person: str
    operator: int | None
    scopes: frozenset[str]


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
class Wallet:
    """A wallet as its owner and its operator see it. Amounts in minor units.

    `signs`: "key", "operator" for a custodial wallet, or "nobody" after its key was revoked.
    """

    wallet: str
    holder: str
    operator: int
    tier: str
    state: str
    currency: str
    signs: str
    key_epoch: int
    balance_minor: int
    available_minor: int

    @property
    def is_custodial(self) -> bool:
        """Whether a person of its operator signs."""
        return self.signs == "operator"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement. `counterparty`: None for a packet. Amounts in minor units, negative for money paid."""

    time: str
    purpose: str
    amount_minor: int
    balance_minor: int
    counterparty: str | None
    operation: str
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A wallet that was opened, and its holder."""

    wallet: str
    holder: str
    state: str


@dataclass(frozen=True, slots=True)
class Paid:
    """A request that was paid, and the payment's operation in the ledger."""

    request: str
    state: str
    payment: str


@dataclass(frozen=True, slots=True)
class Found:
    """The wallet of an alias, and the name to show to the payer, masked for a person."""

    wallet: str
    name: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A proposal. `code`: why it was refused or lapsed, "" otherwise."""

    proposal: str
    action: str
    state: str
    code: str
    maker: str


@dataclass(frozen=True, slots=True)
class Day:
    """A closed business day: "closed", or "signed" by a second person; its last frame; the digest of its pack."""

    day: str
    state: str
    frame: int
    pack: str


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """A payment that the ledger made, by its frame. `is_repeated`: an earlier request had made it."""

    id: str
    frame: int
    time_ns: int
    is_repeated: bool
