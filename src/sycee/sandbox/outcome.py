"""Outcome of a replayed pilot, for the closing table and the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sycee.core.arrays import Array
from sycee.programmes.definition import Programme


class Role(StrEnum):
    """Origin of a figure."""

    INPUT = "input"  # the replay reproduces a published figure
    FOLLOWS = "follows"  # arithmetic over inputs that the replay passes on unchanged
    COMPUTED = "computed"  # computed by the ledger


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published figure and the ledger's. Money in minor units; `expected` is None if nothing was published."""

    name: str
    title: str
    expected: int | None
    ledger: int
    is_money: bool
    role: Role
    source: str  # of the expected figure, with its mark; "" if there is none
    is_derived: bool = False  # the expected figure was computed from published ones

    @property
    def agrees(self) -> bool:
        """Whether the two are equal, or nothing was published."""
        return self.expected is None or self.expected == self.ledger


@dataclass(frozen=True, slots=True)
class Hours:
    """Spending by hour. All arrays have one element per hour of the spending window, in order."""

    start_ns: Array  # int64, beginning of the hour
    packets_minor: Array  # int64
    own_minor: Array  # int64
    payments: Array  # int64
    claims: Array  # int64


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """Totals of one operator. Money in minor units."""

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
    """Number of verified signatures of one signer in the journal."""

    title: str
    person: str  # id as text
    role: str  # officer, operator
    signatures: int


@dataclass(frozen=True, slots=True)
class Phase:
    """Duration of one phase, and the number of `items` of `unit` that it processed."""

    name: str
    seconds: float
    items: int
    unit: str


@dataclass(frozen=True, slots=True)
class PilotOutcome:
    """Data of the closing table and the report."""

    programme: Programme
    scale: float  # 1.0 is the published size
    seed: int
    comparisons: tuple[Comparison, ...]
    hours: Hours
    left_minor: Array  # int64, amount left in each claimed packet just before expiry
    unclaimed: int  # packets that were never claimed
    packet_minor: int  # face value of a packet
    flows: tuple[tuple[str, str, int], ...]  # (from, to, minor units) from mint to return
    operators: tuple[OperatorRow, ...]
    merchant_received_minor: Array  # int64 per merchant, descending
    merchant_payments: Array  # int64 per merchant, same order
    duplicates: int  # registrations that repeat a person
    draw_root: str  # hexadecimal
    draw_beacon: str  # hexadecimal
    synthetic: bool  # beacon, salts and people are derived from the seed
    operations: int  # operations in the ledger
    movements: int
    digest: str  # hexadecimal state digest at the end
    phases: tuple[Phase, ...]
    signers: tuple[SignerRow, ...] = ()  # empty for a ledger without authorities

    @property
    def agrees(self) -> bool:
        """Whether every figure agrees."""
        return all(comparison.agrees for comparison in self.comparisons)
