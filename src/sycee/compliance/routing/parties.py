"""Findings about a participant: itself, its organisation and its apps.

An organisation or apps that are not declared are judged as entities without facts. Later declarations can only
decide results that are unknown now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sycee.compliance.facts import Entity
from sycee.compliance.judging.judge import Judge
from sycee.compliance.verdicts import Finding
from sycee.compliance.vocabulary import APP, ORGANISATION

_RELATED: Final = {"organisation": ORGANISATION, "apps": APP}


def findings(judge: Judge, participant: str) -> tuple[Finding, ...]:
    """Return the findings about a declared participant, its organisation and its apps."""
    related = [finding for entity in _related(judge, participant) for finding in _of(judge, entity)]
    return (*judge.findings(participant), *related)


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
        return judge.findings(entity.id)  # by id, so that cached results are used
    found = judge.findings(entity)
    if "." not in entity.id:
        return found
    return tuple(each._replace(missing=(entity.id,)) if each.missing else each for each in found)


def contradictions(judge: Judge, *participants: str, more: Iterable[str | Entity] = ()) -> tuple[Finding, ...]:
    """Return the contradictions of declared facts that concern participants, their organisations and apps, or `more`.

    `more` are ids, and a flow of a question.
    """
    declared = [each for each in participants if each in judge.network.entities]
    related = [entity.id for each in declared for entity in _related(judge, each)]
    return judge.contradicting(*declared, *related, *more)
