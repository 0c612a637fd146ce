"""Invented people of a demo. Names, phones and keys follow from the seed; nothing here is a real person's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from sycee.core.keys import SigningKey
from sycee.identity.duties import Duty

CITIZENS: Final = 1_000
OWN_KEYS: Final = 12  # citizens whose phone has a key; for the others their operator signs
FUNDED: Final = 112  # citizens who brought money
SHOPS: Final = ("Tea house", "Book shop", "Bakery", "Cinema", "Pharmacy")
OPERATORS: Final = (("North Bank", "north"), ("South Bank", "south"))
# Persons of the bank besides officers, desk, witness and operators.
STAFF: Final = (
    ("carol", Duty.CLOSER),
    ("dora", Duty.COUNTERSIGNER),
    ("audrey", Duty.AUDITOR),
    ("cleo", Duty.CASEWORKER),
    ("paul", Duty.PRIVACY),
    ("connie", Duty.COMPLIANCE),
)

_CONTEXT: Final = "sycee 2026-11-27 demo: people of a seed"
_GIVEN: Final = (
    "Leo",
    "Mia",
    "Ada",
    "Ben",
    "Ida",
    "Tom",
    "Eva",
    "Max",
    "Zoe",
    "Jon",
    "Amy",
    "Kai",
    "Lin",
    "Noa",
    "Rui",
)
_FAMILY: Final = (
    "Chen",
    "Sun",
    "Lin",
    "Zhou",
    "Wang",
    "He",
    "Luo",
    "Tang",
    "Song",
    "Wei",
    "Yuan",
    "Bai",
    "Qin",
    "Shen",
)


@dataclass(frozen=True, slots=True)
class Citizen:
    """A citizen. `name` is unique among the citizens of a seed only together with `phone`."""

    name: str
    phone: str


class People:
    """The people of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._root = blake3(seed.to_bytes(8, "little"), derive_key_context=_CONTEXT).digest()

    def number(self, purpose: str, below: int) -> int:
        """Return a number from 0 to `below` - 1 for a purpose."""
        return int.from_bytes(blake3(purpose.encode(), key=self._root).digest(8), "little") % below

    def key(self, name: str) -> SigningKey:
        """Return the synthetic key of this name."""
        return SigningKey.derive(self.key_seed(name))

    def key_seed(self, name: str) -> bytes:
        """Return the 32 bytes from which the key of this name is derived."""
        return blake3(f"key {name}".encode(), key=self._root).digest()

    def citizens(self) -> list[Citizen]:
        """Return CITIZENS citizens. Those with their own keys are first."""

        def name(at: int) -> str:
            given = _GIVEN[self.number(f"given {at}", len(_GIVEN))]
            return f"{given} {_FAMILY[self.number(f'family {at}', len(_FAMILY))]}"

        prefix = f"+86139{self.number('phones', 10_000):04}"
        return [Citizen(name(at), f"{prefix}{at:04}") for at in range(CITIZENS)]
