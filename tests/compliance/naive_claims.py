"""Claims of flows that their other facts do not support, for the plain judge."""

from __future__ import annotations

from datetime import date

from sycee.compliance.facts import Entity


def is_denied(entity: Entity, name: str, at: date) -> bool:
    """Return whether a claim of a flow counts as unknown, because its declared classes do not support it."""
    value, classes = entity.value_on(name, at), entity.value_on("classes", at)
    of = set(classes) if isinstance(classes, tuple) else set()
    if name == "purpose" and value in ("payment", "payment-processing"):
        return classes is None or not of & {"payment", "financial", "account"}
    if name == "subject_states" and value == ():
        return classes is None or bool(of & {"personal", "sensitive-personal", "identifiers"})
    return False
