"""The coverage of a profile: the parts of its source that it models, and those that it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sycee.compliance import vocabulary
from sycee.compliance.document_fields import some_of


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the source that a profile does not model."""

    what: str
    clause: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The part of its source that a profile models. Classes and purposes affect verdicts; the texts are for readers.

    `outside_classes` and `outside_purposes` are out of the scope of the regime; `outside` is the reason, with the place
    in the source.
    """

    source: str
    transactions: str
    parties: str
    exemptions: str
    classes: Annotated[tuple[str, ...], some_of(vocabulary.CLASSES)] = ()
    outside_classes: Annotated[tuple[str, ...], some_of(vocabulary.CLASSES)] = ()
    purposes: Annotated[tuple[str, ...], some_of(vocabulary.PURPOSES)] = ()
    outside_purposes: Annotated[tuple[str, ...], some_of(vocabulary.PURPOSES)] = ()
    outside: str = ""
    not_modelled: tuple[Gap, ...] = ()

    def covered_values(self) -> dict[str, frozenset[str]]:
        """Return the values of a flow that the profile models or excludes, by the field of the flow; no empty sets."""
        values = {
            "classes": (*self.classes, *self.outside_classes),
            "purpose": (*self.purposes, *self.outside_purposes),
        }
        return {field: frozenset(each) for field, each in values.items() if each}
