"""The interface of registrations to the life of a programme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sycee.programmes.draw import Entries


class Registered(Protocol):
    """The registrations of a bank."""

    def accepted(self, programme: str, occurrence: int) -> Entries:
        """Return the accepted entries of an occurrence, which its list will have."""
        ...

    def assign_packets(self, programme: str, occurrence: int) -> int:
        """Write who has each packet, with successors for winners who left; return the number of successors."""
        ...

    def banks_of(self, programme: str, occurrence: int, members: Sequence[int]) -> list[str]:
        """Return the name, in the file, of the operator that each member chose. `members`: ids in the cohort."""
        ...

    def are_persons(
        self, programme: str, occurrence: int, members: Sequence[int], persons: Sequence[int]
    ) -> list[bool]:
        """Return whether each of n persons of this bank is the one who registered as the member at the same place."""
        ...
