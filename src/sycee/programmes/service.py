"""A programme on the ledger: its definition becomes a payee group, a rule set, a block of purses, drops and expiry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.ledger import operations
from sycee.ledger.layout import RuleFlag
from sycee.ledger.state import LedgerState
from sycee.programmes import draw_files
from sycee.programmes.definition import Programme


@dataclass(frozen=True, slots=True)
class LiveProgramme:
    """A programme under the numbers that a ledger knows it by.

    `winners` are the members' ids in cohort order, which is the order of the draw: packet classes are filled from the
    first rank on, so each class is a range of members.
    """

    programme: Programme
    number: int
    rule_set: int
    groups: tuple[int, ...]  # one per merchant group of the programme
    funder: int  # account id: pays the drop and takes back the rest
    winners: Array  # (k,) ID

    @property
    def records(self) -> int:
        """How many operations, and so ids, `launch` takes."""
        return len(self.groups) + 2 + operations.add_members_records(self.winners.size) + 1

    def _flags(self) -> RuleFlag:
        """What the programme's money may not do, as its rule set says it."""
        persons = RuleFlag(0) if self.programme.rules.person_to_person else RuleFlag.NO_PERSONS
        cash_out = RuleFlag(0) if self.programme.rules.cash_out else RuleFlag.NO_CASH_OUT
        return persons | cash_out

    def launch(self, operation_ids: Array) -> tuple[Array, int]:
        """Define groups, rule set and programme, bring the cohort and seal it: (records, id of the seal).

        On a ledger with authorities two officers sign them all: the rule set is theirs.
        """
        programme, groups = self.programme, len(self.groups)
        seal = ids.to_int(operation_ids[-1])
        records = [
            *(
                operations.define_group(ids.to_int(one), group=group)
                for one, group in zip(operation_ids[:groups], self.groups, strict=True)
            ),
            operations.define_rule_set(
                ids.to_int(operation_ids[groups]),
                rule_set=self.rule_set,
                groups=self.groups,
                from_ns=programme.spending.from_ns,
                # A rule set has one end. Where expiry comes later than that of spending, nothing is spent in between.
                until_ns=programme.spending.until_ns,
                return_account=self.funder,  # a definition knows no other receiver of the rest
                flags=self._flags(),
            ),
            operations.open_programme(
                ids.to_int(operation_ids[groups + 1]),
                programme=self.number,
                funder=self.funder,
                rule_set=self.rule_set,
                members=self.winners.size,
                claim_from_ns=programme.claim.from_ns,
                claim_until_ns=programme.claim.until_ns,
            ),
            operations.add_members(operation_ids[groups + 2 : -1], programme=self.number, members=self.winners),
            operations.seal_cohort(seal, programme=self.number, digest=operations.cohort_digest(self.winners)),
        ]
        return np.concatenate(records), seal

    def drop(self, operation_ids: Array, seal: int) -> Array:
        """Fill every packet, one record per class. operation_ids: (classes,) ID. The funder's operator signs."""
        records, first = [], 0
        for one, packet in zip(operation_ids, self.programme.packets, strict=True):
            # The draw may have fewer winners than the terms have packets, where fewer people took part.
            count = min(packet.count, self.winners.size - first)
            if count > 0:
                records.append(
                    operations.drop(
                        ids.to_int(one),
                        programme=self.number,
                        first=first,
                        count=count,
                        amount=packet.amount_minor,
                        seal=seal,
                    )
                )
            first += count
        return np.concatenate(records)

    def expire(self, operation_id: int) -> Array:
        """Return what is left of every packet to the funder. Needs nobody's signature."""
        return operations.expire(operation_id, programme=self.number, first=0, count=self.winners.size)


def member_ids(commitments: Array) -> Array:
    """Members' ids from their entries in the published list: the first 16 bytes, so that ledger and draw name the same.

    commitments: (k, 32) uint8. Returns (k,) ID.
    """
    members = np.empty(len(commitments), ids.ID)
    halves = np.ascontiguousarray(commitments[:, :16]).view("<u8")
    members["low"], members["high"] = halves[:, 0], halves[:, 1]
    return members


def check_cohort(state: LedgerState, number: int, draw_folder: Path) -> str:
    """The cohort of a programme is the published list of winners, by rank; says so. Raises IntegrityError."""
    commitments = draw_files.read_winners(draw_folder)
    purses = state.purses(number) if number < state.tables.programmes.size else state.tables.purses[:0]
    drawn = member_ids(commitments)
    if purses.size == 0:
        return "no cohort has come yet to be compared with the published winners"
    if purses.size != drawn.size:
        raise IntegrityError(
            f"programme {number} has {purses.size:,} members, but {drawn.size:,} winners are published"
        )
    wrong = np.flatnonzero((purses["member_low"] != drawn["low"]) | (purses["member_high"] != drawn["high"]))
    wrong = wrong[wrong < int(state.tables.programmes[number]["filled"])]
    if wrong.size:
        raise IntegrityError(
            f"member {wrong[0]} of programme {number} is not the winner of rank {wrong[0] + 1} in {draw_folder}; "
            f"{wrong.size:,} members differ"
        )
    return f"the {drawn.size:,} members of programme {number} are the published winners, in order of rank"
