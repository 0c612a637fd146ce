"""The cases for the access log, which a bank makes before the cases."""

from __future__ import annotations

from sycee.personal.access import OpenCases


class LateCases:
    """The cases, for the access log, which is made before the cases are: until then no case is open."""

    def __init__(self) -> None:
        self.cases: OpenCases | None = None

    def is_open(self, number: int) -> bool:
        """Return whether the case of this number exists and is open."""
        return self.cases is not None and self.cases.is_open(number)

    def opener(self, number: int, person: int) -> int:
        """Return who opened a case that can prove a lost phone of the person; 0 for another case."""
        return 0 if self.cases is None else self.cases.opener(number, person)

    def concerns(self, number: int, person: int) -> bool:
        """Return whether the case of this number is about the person, or about a payment of the person."""
        return self.cases is not None and self.cases.concerns(number, person)
