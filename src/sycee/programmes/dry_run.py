"""Dry run of an occurrence: the records of its steps to come, applied to a copy of the ledger's state.

Pure: the copy is thrown away. Signatures are not checked; everything else is exact, because the same kernels apply the
same records. Before the draw the cohort is invented.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.limits import GROUPS_MAX, PROGRAMMES_MAX
from sycee.core.records import operations
from sycee.core.records.layout import OPERATION, PurseState
from sycee.core.result_codes import Result
from sycee.database.numbers import Numbers
from sycee.ledger.state import LedgerState
from sycee.programmes import records, states
from sycee.programmes.allotment import Allotment, Share, drops_of
from sycee.programmes.occurrence_ids import OccurrenceIds
from sycee.programmes.state_copy import StateCopy
from sycee.programmes.stored import LedgerNumbers, Occurrence, StoredProgramme

TERMS: Final = "terms"
MEMBERS: Final = "members"
SEAL: Final = "seal"
DROP: Final = "drop"
CLAIMS: Final = "claims"
EXPIRY: Final = "expiry"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Arguments of a dry run. `numbers`: None for free ones. `wallets`: member → wallet, whose claims are tried."""

    stored: StoredProgramme
    found: Occurrence
    made: OccurrenceIds
    allotment: Allotment
    numbers: LedgerNumbers | None
    wallets: Mapping[int, int]
    exposure_minor: int  # of the other programmes and of vouchers
    exposure_max_minor: int  # 0: no maximum


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its number of records, how many the ledger refuses by code, and the balances afterwards."""

    name: str
    at_ns: int
    records: int
    refused: Mapping[str, int]
    supply_minor: int
    funder_minor: int


@dataclass(frozen=True, slots=True, eq=False)
class DryRun:
    """The result of a dry run on the state after frame `frame`.

    - `allotment`: who gets how much; `is_invented`: the members are no people yet.
    - `refused_claims`: wallet → code. `problems`: one sentence for each reason why the programme cannot run.
    """

    frame: int
    frame_ns: int
    allotment: Allotment
    is_invented: bool
    supply_minor: int
    funder_minor: int
    steps: tuple[Step, ...]
    refused_claims: Mapping[int, str]
    problems: tuple[str, ...]

    @property
    def members(self) -> int:
        """Return the number of people who get a packet."""
        return int(self.allotment.members.size)

    @property
    def shares(self) -> tuple[Share, ...]:
        """Return how many get how much."""
        return self.allotment.shares

    @property
    def minor(self) -> int:
        """Return the sum of all packets."""
        return self.allotment.minor

    @property
    def ok(self) -> bool:
        """Whether there is no problem and the ledger refuses nothing."""
        return not self.problems and not any(step.refused for step in self.steps)


def dry_run(copy: StateCopy, plan: Plan, now_ns: int) -> DryRun:
    """Apply the steps that `plan` has not done yet to `copy`, each at its time, from `now_ns` on."""
    stored, found, definition = plan.stored, plan.found, plan.stored.on(plan.found)
    currency = definition.currency.numeric
    supply, funder = copy.state.supply(currency), copy.state.balance(stored.funder)
    is_invented = not states.is_at_least(found.state, states.DRAWN)
    steps: list[Step] = []
    refused_claims: dict[int, str] = {}
    due = 0  # of the packets that are not filled yet
    for name, at_ns, made in _steps(copy.state, plan, now_ns):
        results = copy.apply(made, at_ns)
        refused = Counter(each.name for each in results if each is not Result.CREATED)
        after = copy.state
        supply_after, funder_after = after.supply(currency), after.balance(stored.funder)
        steps.append(Step(name, max(at_ns, now_ns), int(made.size), dict(refused), supply_after, funder_after))
        if name == DROP:
            due = sum(int(each["amount"]) * int(each["count"]) for each in made)
        if name == CLAIMS:
            wallets = ids.of_records(made, "credit")
            pairs = zip(wallets, results, strict=True)
            refused_claims = {wallet: result.name for wallet, result in pairs if result is not Result.CREATED}
    problems = tuple(_problems(plan, now_ns, funder, due))
    return DryRun(
        copy.frame, copy.frame_ns, plan.allotment, is_invented, supply, funder, tuple(steps), refused_claims, problems
    )


def _steps(state: LedgerState, plan: Plan, now_ns: int) -> list[tuple[str, int, Array]]:
    """Return the steps to come: name, time and records."""
    found, definition, allotment, made = plan.found, plan.stored.on(plan.found), plan.allotment, plan.made
    numbers = plan.numbers or _free(state, len(definition.merchants))
    steps: list[tuple[str, int, Array]] = []
    if not states.is_at_least(found.state, states.APPROVED):
        terms_ids = made.many("terms", len(numbers.groups) + 2, attempt=found.attempt)
        terms = records.terms(
            definition,
            terms_ids[: len(numbers.groups)],
            ids.to_int(terms_ids[-2]),
            ids.to_int(terms_ids[-1]),
            number=numbers.number,
            rule_set=numbers.rule_set,
            groups=numbers.groups,
            funder=plan.stored.funder,
            members=int(allotment.members.size),
            defined=frozenset(state.groups),
        )
        steps.append((TERMS, now_ns, terms))
    seal = found.seal or made.one("seal", attempt=found.attempt)
    if not states.is_at_least(found.state, states.ALLOTTED):
        count = operations.add_members_records(allotment.members.size)
        members = operations.add_members(
            made.many("members", count), programme=numbers.number, members=allotment.members
        )
        filled = int(state.tables.programmes["filled"][numbers.number]) if state.has_programme(numbers.number) else 0
        steps.append((MEMBERS, now_ns, members[members["first"] >= filled]))
        sealing = operations.seal_cohort(seal, programme=numbers.number, digest=allotment.digest)
        steps.append((SEAL, now_ns, sealing))
    drops = drops_of(allotment.shares)
    left = drops
    if found.dropped_frame is not None:  # zones to come, or the rest of a drop that was refused in part
        purses = state.purses(numbers.number)["state"]
        is_over = states.is_at_least(found.state, states.EXPIRED)
        left = tuple(each for each in left if purses[each.first] == PurseState.EMPTY and not is_over)
    if left:
        drop_ids = made.many("drop", len(drops), attempt=found.attempt)
        chosen = [place for place, each in enumerate(drops) if each in left]
        steps.append((DROP, now_ns, records.drops(drop_ids[chosen], numbers.number, left, seal)))
    if not states.is_at_least(found.state, states.EXPIRED):
        if plan.wallets:
            steps.append((CLAIMS, max(now_ns, definition.claim.from_ns), _claims(plan, numbers.number)))
        size = int(allotment.members.size)
        expiry = records.expiries(made, numbers.number, size, attempt=found.attempt)
        steps.append((EXPIRY, max(now_ns, definition.expires_ns), expiry))
    return [step for step in steps if step[2].size]


def _claims(plan: Plan, number: int) -> Array:
    members = plan.allotment.members
    places = {ids.to_int(member): place for place, member in enumerate(members)}
    chosen = [(places[member], member, wallet) for member, wallet in plan.wallets.items() if member in places]
    claim_ids = plan.made.many("dry claims", len(chosen))
    made = [
        operations.claim(ids.to_int(id), programme=number, member=place, member_id=member, wallet=wallet)
        for id, (place, member, wallet) in zip(claim_ids, chosen, strict=True)
    ]
    return np.concatenate(made) if made else np.zeros(0, OPERATION)


def _free(state: LedgerState, groups: int) -> LedgerNumbers:
    """Return numbers that nothing on the ledger has."""
    number = next(each for each in range(1, PROGRAMMES_MAX + 1) if not state.has_programme(each))
    rule_sets = Numbers.RANGES[Numbers.PROGRAMME_RULE_SETS]
    rule_set = next(each for each in rule_sets if each not in state.rule_sets)
    free = (each for each in range(GROUPS_MAX, 0, -1) if each not in state.groups)
    return LedgerNumbers(number, rule_set, tuple(next(free) for _ in range(groups)))


def _problems(plan: Plan, now_ns: int, funder: int, due: int) -> list[str]:
    stored, found, definition = plan.stored, plan.found, plan.stored.on(plan.found)
    currency = definition.currency

    shown = partial(money.with_code, currency=currency)
    problems = []
    minor = plan.allotment.minor
    if stored.is_halted:
        problems.append(f"the programme is halted: {stored.halt_reason}")
    if not states.is_at_least(found.state, states.DROPPED) and funder < due:
        problems.append(f"the funder has {shown(funder)}, {shown(due - funder)} less than the packets")
    if plan.exposure_max_minor and plan.exposure_minor + minor > plan.exposure_max_minor:
        problems.append(
            f"unspent packets and vouchers would be {shown(plan.exposure_minor + minor)}, above the maximum of "
            f"{shown(plan.exposure_max_minor)}"
        )
    if found.state == states.DRAFT and now_ns >= definition.registration.until_ns:
        problems.append("the time of registration is over")
    if (
        found.state == states.FROZEN
        and found.published_ns is None
        and definition.draw.is_drawn
        and now_ns >= definition.draw.beacon_due_ns
    ):
        problems.append("the list was not published before the beacon was due")
    if found.state == states.CANCELLED:
        problems.append("the occurrence is cancelled")
    return problems
