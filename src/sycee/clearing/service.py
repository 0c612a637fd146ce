"""The clearing house of one bank: its register, positions and payments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sycee.clearing.house import Register
from sycee.clearing.positions import Positions
from sycee.database.stores import Stores
from sycee.identity.people import People
from sycee.identity.proposals import Proposals
from sycee.issuance.registry import Registry


class Clearing:
    """The parts of the house. docs/reference/clearing.md lists their verbs."""

    def __init__(self, stores: Stores, people: People, proposals: Proposals, registry: Registry) -> None:
        self.register = Register(stores, people, proposals, registry)
        self.positions = Positions(stores, people, registry, self.register)

    def services(self) -> Sequence[Any]:
        """Return the parts that compare SQL with the ledger."""
        return (self.register,)
