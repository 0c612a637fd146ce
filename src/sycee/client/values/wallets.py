"""Wallets, their keys and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sycee.core.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet as its owner and its operator see it. Amounts in minor units.

    `signs`: "key", "operator" for a custodial wallet, or "nobody" after its key was revoked. `aliases`: their kinds,
    phone and handle. `waterfall`: whether the excess over its limit goes to the holder's bank.
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
    aliases: tuple[str, ...] = ()
    waterfall: bool = False

    @property
    def is_custodial(self) -> bool:
        """Whether a person of its operator signs."""
        return self.signs == "operator"


@dataclass(frozen=True, slots=True)
class WalletRow:
    """A wallet in a list. `tier`: its class, "" for a merchant without limits."""

    wallet: str
    holder: str
    operator: int
    tier: str
    state: str
    opened: str


@dataclass(frozen=True, slots=True)
class WalletState:
    """A wallet after a change."""

    wallet: str
    tier: str
    state: str


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
class NewPerson:
    """A person to register with a wallet. `fields`: name and phone; also paper, paper_kind, birth, address.

    `wallet`: its id, 0 for one that the call chooses. `key`: of the wallet, with the `proof` of `prove_key`; without it
    the wallet is custodial.
    """

    fields: Mapping[str, str] = field(repr=False)
    wallet: int = 0
    key: PublicKey | None = None
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """The outcome of a row of a batch. `holder` is None and `code` says why where no wallet was opened."""

    wallet: str
    holder: str | None
    code: str


@dataclass(frozen=True, slots=True)
class LapsedOpening:
    """An opening whose signatures expired before the ledger had it, of one wallet or of a batch.

    `wallet`: the first of its wallets. `key`: of the only wallet, "" for custodial ones. `kind`: person or merchant.
    """

    opening: str
    operator: int
    wallet: str
    wallets: int
    tier: str
    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class RenewedOpening:
    """An opening that was signed anew. `wallets`: how many are open."""

    opening: str
    wallets: int


@dataclass(frozen=True, slots=True)
class Found:
    """The wallet of an alias, and the name to show to the payer, masked for a person."""

    wallet: str
    name: str


@dataclass(frozen=True, slots=True)
class Mandate:
    """The most that payments of one local day may debit from the bank account; both are None without a mandate."""

    day_max_minor: int | None
    id: str | None


@dataclass(frozen=True, slots=True)
class Restriction:
    """Why a wallet is blocked, or spends packets only: "phone-lost", "deceased", "dormant" or "court-order"."""

    kind: str
    event: str
    from_ns: int
    until_ns: int | None
    state: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that a wallet has or had, "" for none. `is_blocked`: the block of its rotation is not lifted yet."""

    key: str
    key_epoch: int
    from_: str
    until: str | None
    reason: str
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """The present key of a wallet, "" without one, its earlier keys, and the values for the proof of a new key."""

    wallet: str
    ledger_id: str
    key: str
    key_epoch: int
    next_epoch: int
    keys: tuple[StoredKey, ...]


@dataclass(frozen=True, slots=True)
class KeyState:
    """A wallet after a change of its key. `key`: "" after a revocation; `state`: "set", or "setting" while blocked."""

    wallet: str
    key: str
    key_epoch: int
    state: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery that began, or ended: its wallets, and the time from which they spend own money again."""

    id: str
    accounts: tuple[str, ...]
    until: str | None
