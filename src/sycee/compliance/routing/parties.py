"""What is judged where a participant is: itself, the organisation that it is and the apps that it offers.

An organisation that nobody names, apps that nobody lists, and an id that nobody declares are judged as something of
which nothing is known. Whatever they may turn out to be, knowing more of it can only decide what is unknown here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sycee.compliance.facts import Entity
from sycee.compliance.judging.judge import Judge
from sycee.compliance.verdicts import Finding
from sycee.compliance.vocabulary import APP, ORGANISATION

_RELATED: Final = {"organisation": ORGANISATION, "apps": APP}


def findings(judge: Judge, participant: str) -> tuple[Finding, ...]:
    """Every rule on a participant that is declared, on its organisation and on its apps."""
    return judge.findings(participant) + tuple(
        finding for each in _related(judge, participant) for finding in _of(judge, each)
    )


def _related(judge: Judge, participant: str) -> Iterator[Entity]:
    entities = judge.network.entities
    for field, kind in _RELATED.items():
        value = entities[participant].value_on(field, judge.at)
        ids = (f"{participant}.{field}",) if value is None else value if isinstance(value, tuple) else (value,)
        for id in dict.fromkeys(map(str, ids)):
            entity = entities.get(id)
            yield entity if entity is not None and entity.kind == kind else Entity(kind, id, id, {})


def _of(judge: Judge, entity: Entity) -> tuple[Finding, ...]:
    if judge.network.entities.get(entity.id) is entity:
        return judge.findings(entity.id)  # by its id, so that what was once looked at is kept
    found = judge.findings(entity)
    if "." not in entity.id:
        return found
    return tuple(each._replace(missing=(entity.id,)) if each.missing else each for each in found)
