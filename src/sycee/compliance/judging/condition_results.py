"""Results of conditions: a truth, and the evidence for it.

Once a condition is decided, every fact is evidence of that truth: no report may show a rule as met and as not met. A
fact whose own truth differs did not decide, and has a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sycee.compliance.judging.effective_facts import ResolvedPath
from sycee.compliance.judging.logic import Truth, conjunction, disjunction, negation
from sycee.compliance.verdicts import Evidence

MAKES_IT_APPLY: Final = "makes the rule apply"  # the note of a fact that a rule does not require, but applies to
DOES_NOT_DECIDE: Final = "does not decide"  # the note of a fact whose own truth differs from that of the condition
_NEW_EVIDENCE: Final = tuple.__new__  # three times as fast as a call with seven arguments


@dataclass(slots=True)
class ConditionResult:
    """The truth of a condition, and the evidence for it."""

    truth: Truth
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    by_attestation: bool = False  # an attestation or a self-declared fact decided, and no fact that can be checked
    chain: tuple[str, ...] = ()
    row: str = ""
    followed: int = 0  # the number of leading items of `evidence` that are only references to the facts
    _applying: tuple[Evidence, ...] | None = None
    _applying_by_id: dict[int, Evidence] | None = None

    @property
    def applying(self) -> tuple[Evidence, ...]:
        """The evidence with the note that it makes a rule apply, because the rule may require the opposite."""
        if self._applying is None:
            self._applying = tuple(
                [
                    each if each.note or each.holds is None else _NEW_EVIDENCE(Evidence, (*each[:-1], MAKES_IT_APPLY))
                    for each in self.evidence
                ]
            )
        return self._applying

    @property
    def applying_by_id(self) -> dict[int, Evidence]:
        """The same by the identity of the fact's own evidence."""
        if self._applying_by_id is None:
            self._applying_by_id = dict(zip(map(id, self.evidence), self.applying, strict=True))
        return self._applying_by_id

    @property
    def deciding(self) -> tuple[Evidence, ...]:
        """The facts that made the condition true; all evidence if there are none."""
        return tuple([each for each in self.evidence[self.followed :] if each.holds and not each.note]) or self.evidence


def agreed(path: ResolvedPath, met: bool) -> ConditionResult:
    """Create the result of a test that all facts of a path meet, or that none does, and cache it at the path."""
    result = ConditionResult(met, path.evidence(met), (), False, (), "", len(path.followed))
    if met:
        path.of_met = result
    else:
        path.of_unmet = result
    return result


def none_met(results: Sequence[ConditionResult]) -> ConditionResult:
    """Return the result of several conditions of which one must hold, and none does."""
    truth: Truth = False
    evidence: list[Evidence] = []
    missing: list[str] = []
    chain: list[str] = []
    rows: list[str] = []
    for result in results:
        evidence += result.evidence
        if result.truth is None:
            truth = None
            missing += result.missing
        if result.row or result.chain:
            chain += result.chain
            rows += filter(None, (result.row,))
    return ConditionResult(truth, tuple(evidence), tuple(missing), False, tuple(chain), "; ".join(rows))


def over_leaves(path: ResolvedPath, truths: Sequence[Truth], *, any_leaf: bool = False) -> Truth:
    """Return whether all leaves, or `any_leaf`, meet a test; a missing leaf is unknown."""
    combine = disjunction if any_leaf else conjunction
    return combine([*truths, None] if path.missing else truths)


def of_path(path: ResolvedPath, truths: Sequence[Truth], truth: Truth, *, negate: bool) -> ConditionResult:
    """Return the result for a path from the truths of its leaves and the truth over all of them."""
    if negate:
        truth = negation(truth)
        truths = [negation(each) for each in truths]
    if truth is not None and truths.count(truth) == len(truths):
        return ConditionResult(truth, path.evidence(truth), followed=len(path.followed))
    evidence = [fact.evidence(truth) for fact in path.followed]
    for leaf, own in zip(path.leaves, truths, strict=True):
        if truth is None:
            evidence.append(leaf.evidence(own))
        else:
            each = leaf.evidence(truth)
            evidence.append(each if own is truth else _NEW_EVIDENCE(Evidence, (*each[:-1], DOES_NOT_DECIDE)))
    return ConditionResult(truth, tuple(evidence), path.missing if truth is None else (), followed=len(path.followed))


def of_some(path: ResolvedPath, results: Sequence[ConditionResult], truth: Truth, *, negate: bool) -> ConditionResult:
    """Return the result of `some` from those of the elements that decide: one that meets all, or those that may."""
    own = truth
    if negate:
        truth = negation(truth)
    evidence = [fact.evidence(truth) for fact in path.followed]
    evidence += [leaf.evidence(truth) for leaf in path.leaves if not leaf.nodes]
    missing: list[str] = []
    by_attestation = False
    explained: list[ConditionResult] = []
    for result in results:
        for each in result.evidence:
            if truth is None or each.note:
                evidence.append(each)
            else:
                note = "" if each.holds is own else DOES_NOT_DECIDE
                evidence.append(_NEW_EVIDENCE(Evidence, (*each[:-2], truth, note)))
        missing += result.missing
        by_attestation = by_attestation or result.by_attestation
        if result.row or result.chain:
            explained.append(result)
    return ConditionResult(
        truth,
        tuple(evidence),
        tuple(dict.fromkeys((*path.missing, *missing))) if truth is None else (),
        bool(truth) and by_attestation,
        tuple([link for result in explained for link in result.chain]),
        "; ".join(dict.fromkeys([result.row for result in explained if result.row])),
        len(path.followed),
    )
