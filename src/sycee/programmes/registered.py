"""The interface of registrations to the life of a programme."""

from __future__ import annotations

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

    def bank_of(self, programme: str, occurrence: int, member: int) -> str:
        """Return the name, in the file, of the operator that a member chose. `member`: the id in the cohort."""
        ...

    def is_person(self, programme: str, occurrence: int, member: int, person: int) -> bool:
        """Return whether a person of this bank is the one who registered as this member."""
        ...
