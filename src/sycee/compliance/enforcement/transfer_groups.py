"""Screening of transfers that differ in their references and amounts alone: judged once, each with its own record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from sycee.compliance.enforcement.decisions import storable_text
from sycee.compliance.enforcement.judge_cache import JudgeCache
from sycee.compliance.enforcement.payment_messages import AMOUNT
from sycee.compliance.enforcement.screening import (
    FlowResult,
    RecordWriters,
    Screened,
    ScreenedAlike,
    UnreadableFlow,
)

if TYPE_CHECKING:
    from sycee.iso20022.credit_transfers import CreditTransfer

Judged: TypeAlias = "tuple[Sequence[int], Sequence[FlowResult | UnreadableFlow]]"  # rows of a group, a result a request


@dataclass(frozen=True, slots=True)
class TransferGroup:
    """n transfers that are equal but for references and amounts. `transfer`: one of them.

    `references`: the caller's, such as UETRs; `minors`: amounts in minor units of the currency of `transfer`.
    """

    transfer: CreditTransfer
    references: Sequence[str]
    minors: Sequence[int]


@dataclass(frozen=True, slots=True)
class ScreenedGroup:
    """The decisions about those transfers of a group that share their results.

    `rows`: their indexes in the group, ascending. `decisions`: about the first of them, one for each request.
    `digests`: for each request, the digests of the records of all of them.
    """

    rows: Sequence[int]
    decisions: tuple[Screened, ...]
    digests: tuple[Sequence[str], ...]


def judged(cache: JudgeCache, group: TransferGroup) -> Iterator[Judged]:
    """Yield the rows of a group that share their results, and these results, one for each request.

    All rows share them if no rule reads amounts. Raise UsageError for a reference that cannot be stored.
    """
    for each in group.references:
        storable_text("payment", each)
    alike: dict[int, list[int]] = {}
    reads_amounts = cache.reads(AMOUNT) or min(group.minors) < 0
    for row, minor in enumerate(group.minors):
        alike.setdefault(minor if reads_amounts else 0, []).append(row)
    for rows in alike.values():
        results = _results(cache, group, rows[0])
        if any(isinstance(each, UnreadableFlow) for each in results):  # its record has the amount
            yield from (([row], _results(cache, group, row)) for row in rows)
        else:
            yield rows, results


def decided(
    group: TransferGroup, found: Sequence[Judged], writers: RecordWriters
) -> tuple[list[ScreenedGroup], list[ScreenedAlike]]:
    """Return the decisions about a group whose results are `found`, and their records in the form that is stored."""
    made, records = [], []
    for rows, results in found:
        references = [group.references[row] for row in rows]
        mine = [writers.records(references, result) for result in results]
        decisions = tuple(writers.decide(references[0], result) for result in results)
        made.append(ScreenedGroup(rows, decisions, tuple(each.digests for each in mine)))
        records += mine
    return made, records


def _results(cache: JudgeCache, group: TransferGroup, row: int) -> Sequence[FlowResult | UnreadableFlow]:
    amount = replace(group.transfer.amount, minor=group.minors[row])
    requests = cache.directory.requests(replace(group.transfer, amount=amount), group.references[row])
    return cache.screening_results(requests)
