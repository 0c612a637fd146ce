"""The effects of a what-if question: which participants, payments and others change, and which step is the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sycee.compliance.judging.what_if import JOIN, LEAVE, Answer, Step
from sycee.compliance.reports.routes import ENDED_STOP, NEW_STOP, Change, changes
from sycee.compliance.verdicts import ON_PATH, Report
from sycee.compliance.vocabulary import FLOW, PARTICIPANT
from sycee.core.words import quantity

PAYMENT: Final = "payment"  # the purpose of flows that are payments
# The groups of entities, in the order of reports, with their nouns.
GROUPS: Final[Mapping[str, str]] = {
    "participant": "participant",
    "payment": "payment",
    "flow": "other flow",
    "other": "other subject",
}


@dataclass(frozen=True, slots=True)
class CausedChange:
    """A different verdict, and the steps that are the reason."""

    change: Change
    causes: tuple[Step, ...]

    @property
    def because(self) -> str:
        """The steps in words."""
        return " and ".join(step.sentence for step in self.causes)

    @property
    def verdicts(self) -> str:
        """Both verdicts with their forces."""
        both = (self.change.before, self.change.after)
        return " -> ".join(f"{one.verdict.word} ({one.force.word})" if one else "not judged" for one in both)


@dataclass(frozen=True, slots=True)
class Effect:
    """The changes of one entity, for a flow with those on its path, and whether anything stops it before and after."""

    id: str
    name: str
    group: str  # one of GROUPS
    stops: tuple[bool, bool]
    changes: tuple[CausedChange, ...]

    @property
    def word(self) -> str:
        """What becomes of the entity as a whole."""
        words = {NEW_STOP: "stops now", ENDED_STOP: "stopped before", (True, True): "still stops"}
        return words.get(self.stops, "changes, and stops nothing")


def effects(answer: Answer) -> tuple[Effect, ...]:
    """Return the entities with a different verdict, by group, the new stops first."""
    caused: dict[str, list[CausedChange]] = {}
    for each in changes(answer.before, answer.after):
        caused.setdefault(_root(each.subject), []).append(CausedChange(each, _causes(answer, each)))
    before, after = _stopped(answer.before), _stopped(answer.after)
    found = [
        Effect(id, _name(answer, id), _group(answer, id), (id in before, id in after), tuple(of_entity))
        for id, of_entity in caused.items()
    ]
    order = list(GROUPS)
    return tuple(sorted(found, key=lambda each: (order.index(each.group), each.stops != NEW_STOP, each.id)))


def _causes(answer: Answer, change: Change) -> tuple[Step, ...]:
    """Return the steps behind a change: states decide the force of a pledge alone, and lists the verdict."""
    before, after = change.before, change.after
    other_force = before is None or after is None or before.force is not after.force
    other_verdict = before is None or after is None or before.verdict is not after.verdict
    steps = answer.causes(change.rule, change.subject)
    return tuple(step for step in steps if (other_force if step.kind in (JOIN, LEAVE) else other_verdict))


def _root(subject: str) -> str:
    return subject.partition(ON_PATH)[0]


def _stopped(report: Report) -> frozenset[str]:
    return frozenset(_root(each.subject) for each in report.stops)


def _name(answer: Answer, id: str) -> str:
    entity = answer.network.entities.get(id)
    return id if entity is None else entity.name


def _group(answer: Answer, id: str) -> str:
    entity = answer.network.entities.get(id)
    if entity is None or entity.kind not in (PARTICIPANT, FLOW):
        return "other"
    if entity.kind == FLOW:
        return "payment" if PAYMENT in entity.values("purpose") else "flow"
    return "participant"


def headline(found: Sequence[Effect]) -> str:
    """Return in one sentence how many participants, payments and others stop now and stopped before."""
    if not found:
        return "No verdict differs."
    parts = []
    for stops, words in ((NEW_STOP, "now stop"), (ENDED_STOP, "no longer stop")):
        counts = _counts(each for each in found if each.stops == stops)
        parts.append(f"{words}: {', '.join(counts) or 'nothing'}")
    return f"{'; '.join(parts)}.".capitalize()


def _counts(found: Iterable[Effect]) -> list[str]:
    groups = [each.group for each in found]
    return [quantity(groups.count(group), noun) for group, noun in GROUPS.items() if group in groups]
