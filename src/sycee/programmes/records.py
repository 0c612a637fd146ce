"""A programme on the ledger: its definition becomes a payee group, a rule set, a block of purses, drops and expiry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.limits import MEMBERS_PER_RECORD_MAX
from sycee.core.records import operations, parts
from sycee.core.records.layout import RuleFlag
from sycee.ledger.state import LedgerState
from sycee.programmes import cohort, draw_files, draw_rule
from sycee.programmes.allotment import Allotment, Share, shares_of
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_ids import OccurrenceIds, member_ids


@dataclass(frozen=True, slots=True)
class LiveProgramme:
    """A programme with its numbers on a ledger.

    `winners` are the ids of the members in cohort order, which is `Winners.packet_order` of the draw: each packet class
    is a range of members.
    """

    programme: Programme
    number: int
    rule_set: int
    groups: tuple[int, ...]  # one per merchant group of the programme
    funder: int  # account id: pays the drop, receives the rest at expiry
    winners: Array  # (k,) ID

    @property
    def records(self) -> int:
        """Number of operations of `launch`, each with an id."""
        return len(self.groups) + 2 + operations.add_members_records(self.winners.size) + 1

    def launch(self, operation_ids: Array) -> tuple[Array, int]:
        """Return (records, id of the seal): they define groups, rule set and programme, and add and seal the cohort.

        On a ledger with authorities two officers sign all of them, because the rule set needs it.
        """
        terms = len(self.groups) + 2
        seal = ids.to_int(operation_ids[-1])
        records = [
            self.terms(operation_ids[:terms]),
            operations.add_members(operation_ids[terms:-1], programme=self.number, members=self.winners),
            operations.seal_cohort(seal, programme=self.number, digest=operations.cohort_digest(self.winners)),
        ]
        return np.concatenate(records), seal

    def terms(self, operation_ids: Array) -> Array:
        """Return the records of the groups, of the rule set and of the programme, in this order: (groups + 2,)."""
        groups = len(self.groups)
        return terms(
            self.programme,
            operation_ids[:groups],
            ids.to_int(operation_ids[groups]),
            ids.to_int(operation_ids[groups + 1]),
            number=self.number,
            rule_set=self.rule_set,
            groups=self.groups,
            funder=self.funder,
            members=self.winners.size,
        )

    def drop(self, operation_ids: Array, seal: int) -> Array:
        """Return records that fill every packet, one per class. operation_ids: (classes,) ID.

        The operator of the funder signs them.
        """
        shares = shares_of(self.programme, self.winners.size)  # fewer than classes if fewer people participated
        return drops(operation_ids[: len(shares)], self.number, shares, seal)

    def expire(self, operation_id: int) -> Array:
        """Return the record that returns the rest of every packet to the funder. It needs no signature."""
        return operations.expire(operation_id, programme=self.number, first=0, count=self.winners.size)


def terms(
    programme: Programme, group_ids: Array, rule_set_id: int, programme_id: int, *,
    number: int, rule_set: int, groups: tuple[int, ...], funder: int, members: int, defined: Collection[int] = (),
) -> Array:  # fmt: skip
    """Return the records that define a programme's groups, rule set and purses, for this number of members.

    `group_ids`: one id per group; `defined`: groups that the ledger has already, which are not defined again.
    """
    return np.concatenate(
        [
            *(
                operations.define_group(ids.to_int(group_id), group=group)
                for group_id, group in zip(group_ids, groups, strict=True)
                if group not in defined
            ),
            operations.define_rule_set(
                rule_set_id,
                rule_set=rule_set,
                groups=groups,
                from_ns=programme.spending.from_ns,
                # A rule set has one end: nothing is spent between the end of spending and a later expiry.
                until_ns=programme.spending.until_ns,
                return_account=funder,  # the only receiver that a definition allows
                flags=_flags(programme),
                payment_min=programme.rules.payment_min_minor,
                single_max=programme.rules.per_payment_max_minor,
            ),
            operations.open_programme(
                programme_id,
                programme=number,
                funder=funder,
                rule_set=rule_set,
                members=members,
                claim_from_ns=programme.claim.from_ns,
                claim_until_ns=programme.claim.until_ns,
            ),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The members of a signed cohort: (m,) ID, and the ids of the records that add them. `programme`: its number."""

    programme: int
    ids: Array
    record_ids: Array

    def records(self, first: int, end: int) -> Array:
        """Return the records from `first` until before `end`: (n,) layout.OPERATION."""
        place = first * MEMBERS_PER_RECORD_MAX
        chosen = self.ids[place : end * MEMBERS_PER_RECORD_MAX]
        made = operations.add_members(self.record_ids[first:end], programme=self.programme, members=chosen)
        made["first"] += np.uint32(place)
        return made


def drops(operation_ids: Array, number: int, shares: Sequence[Share], seal: int) -> Array:
    """Return the records that fill the packets of these shares, one per share: (shares,) ID to (shares,)."""
    first, count, amount = np.array([(each.first, each.count, each.minor) for each in shares], np.int64).T
    return operations.drop(operation_ids, programme=number, first=first, count=count, amount=amount, seal=seal)


def expiries(made: OccurrenceIds, number: int, members: int, *, attempt: int) -> Array:
    """Return the records that return the rest of all packets of an occurrence: one, or several for a large cohort."""
    most = parts.purses_max(members)
    firsts = np.arange(0, members, most)
    operation_ids = made.many("expiry", firsts.size, attempt=attempt)
    return operations.expire(operation_ids, programme=number, first=firsts, count=np.minimum(most, members - firsts))


def _flags(programme: Programme) -> RuleFlag:
    """Return the prohibitions of a programme as flags of its rule set."""
    persons = RuleFlag(0) if programme.rules.person_to_person else RuleFlag.NO_PERSONS
    cash_out = RuleFlag(0) if programme.rules.cash_out else RuleFlag.NO_CASH_OUT
    return persons | cash_out


def check_cohort(state: LedgerState, number: int, draw_folder: Path, programme: Programme | None = None) -> str:
    """Compare the cohort of a programme with the published winners; return what was found as a sentence.

    With the file of the programme, the cohort is exactly the one that file and published files lead to: winners and
    their successors in the order of the zones, or in packet order, and each drop its packet. Without it, the order of
    winners.csv and that of the packet tickets are accepted before the drop; afterwards packets of several amounts
    decide. Raises IntegrityError for any other cohort.
    """
    purses = state.purses(number) if number < state.tables.programmes.size else state.tables.purses[:0]
    if purses.size == 0:
        return "the ledger has no cohort yet to compare with the published winners"
    if programme is not None:
        return _check_allotment(state, number, cohort.allotment_of(draw_folder, programme), programme)
    announcement = draw_files.read_announcement(draw_folder)
    commitments = draw_files.read_winners(draw_folder, announcement)
    _require_members(purses, number, len(commitments))
    filled = int(state.tables.programmes[number]["filled"])
    orders = {"rank": commitments}
    if len(announcement.strata) > 1:
        value = draw_files.read_beacon(draw_folder / draw_files.BEACON).value
        by_ticket = commitments[draw_rule.packet_order(value, announcement.root, commitments)]
        amounts = np.unique(purses["dropped"][purses["dropped"] > 0])
        orders = ({} if amounts.size > 1 else orders) | {"packet ticket": by_ticket}
    for order, expected in orders.items():
        wrong = _wrong_members(purses, member_ids(expected), filled)
        if not wrong.size:
            return (
                f"the {len(commitments):,} members of programme {number} are the published winners, in order of {order}"
            )
    raise IntegrityError(
        f"member {wrong[0]} of programme {number} is not the winner of {order} {wrong[0] + 1} in {draw_folder}; "
        f"{wrong.size:,} members differ"
    )


def _check_allotment(state: LedgerState, number: int, allotment: Allotment, programme: Programme) -> str:
    """Compare members and packets with an allotment, and return a sentence. Raises IntegrityError for others."""
    purses, order = state.purses(number), "zone" if programme.zones else "packet"
    _require_members(purses, number, int(allotment.members.size))
    wrong = _wrong_members(purses, allotment.members, int(state.tables.programmes[number]["filled"]))
    if wrong.size:
        raise IntegrityError(
            f"member {wrong[0]} of programme {number} is not the one in {order} order; {wrong.size:,} members differ"
        )
    for share in allotment.shares:
        dropped = purses["dropped"][share.first : share.first + share.count]
        others = np.flatnonzero((dropped != 0) & (dropped != share.minor))
        if others.size:
            raise IntegrityError(
                f"member {share.first + others[0]} of programme {number} got {dropped[others[0]]} minor units, not "
                f"{share.minor}, the packet {share.name}"
            )
    return f"the {purses.size:,} members of programme {number} are the published winners, in {order} order"


def _require_members(purses: Array, number: int, published: int) -> None:
    if purses.size != published:
        raise IntegrityError(f"programme {number} has {purses.size:,} members, but {published:,} winners are published")


def _wrong_members(purses: Array, expected: Array, filled: int) -> Array:
    """Return the positions, among the first `filled`, of members that are not the expected ones."""
    wrong = (purses["member_low"] != expected["low"]) | (purses["member_high"] != expected["high"])
    return np.flatnonzero(wrong[:filled])
