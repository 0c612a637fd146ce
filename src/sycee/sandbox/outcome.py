"""What a replayed pilot came to: read from the ledger's movements, for the closing table and the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sycee.core.arrays import Array
from sycee.programmes.definition import Programme


class Role(StrEnum):
    """How a figure came about."""

    INPUT = "input"  # the replay reproduces a published figure
    FOLLOWS = "follows"  # arithmetic over inputs that the replay passes on unchanged
    COMPUTED = "computed"  # computed by the ledger


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published figure beside the ledger's. Money in minor units; `expected` is None where none was published."""

    name: str
    title: str
    expected: int | None
    ledger: int
    is_money: bool
    role: Role
    source: str  # of the expected figure, with its mark; "" where there is none
    is_derived: bool = False  # the expected figure was not published, but follows from figures that were

    @property
    def agrees(self) -> bool:
        """Whether the two are equal, or there is but one."""
        return self.expected is None or self.expected == self.ledger


@dataclass(frozen=True, slots=True)
class Hours:
    """Spending by hour, local time of the programme. All arrays have one element per hour of the window, in order."""

    start_ns: Array  # int64, beginning of the hour
    packets_minor: Array  # int64
    own_minor: Array  # int64
    payments: Array  # int64
    claims: Array  # int64


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One operator's part. Money in minor units."""

    name: str
    title: str
    wallets: int
    issued_minor: int  # own-money issuance against reserves
    topped_up_minor: int
    spent_packets_minor: int  # by its wallets
    spent_own_minor: int
    received_minor: int  # by its merchants


@dataclass(frozen=True, slots=True)
class SignerRow:
    """One signer's part: how many signatures in the journal are theirs, each checked."""

    title: str
    person: str  # their id, as text
    role: str  # officer, operator
    signatures: int


@dataclass(frozen=True, slots=True)
class Phase:
    """How long one phase took. `items` is what `unit` counts."""

    name: str
    seconds: float
    items: int
    unit: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the closing table and the report show."""

    programme: Programme
    scale: float  # 1.0 is the published size
    seed: int
    comparisons: tuple[Comparison, ...]
    hours: Hours
    left_minor: Array  # int64, what was left in each claimed packet just before expiry
    unclaimed: int  # packets nobody claimed
    packet_minor: int  # face value of a packet
    flows: tuple[tuple[str, str, int], ...]  # from, to, minor units: mint to return, for the Sankey picture
    operators: tuple[OperatorRow, ...]
    merchant_received_minor: Array  # int64 per merchant, descending
    merchant_payments: Array  # int64 per merchant, same order
    duplicates: int  # registrations set aside as another entry of the same person
    draw_root: str  # hexadecimal
    draw_beacon: str  # hexadecimal
    synthetic: bool  # beacon, salts and people were derived from the seed
    operations: int  # operations that the ledger holds
    movements: int
    digest: str  # hexadecimal state digest at the end
    phases: tuple[Phase, ...]
    signers: tuple[SignerRow, ...] = ()  # none where the ledger names no authorities

    @property
    def agrees(self) -> bool:
        """Whether every figure agrees."""
        return all(comparison.agrees for comparison in self.comparisons)
