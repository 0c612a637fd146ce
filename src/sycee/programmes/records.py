"""A programme on the ledger: its definition becomes a payee group, a rule set, a block of purses, drops and expiry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.records import operations
from sycee.core.records.layout import RuleFlag
from sycee.ledger.state import LedgerState
from sycee.programmes import draw_files, draw_rule
from sycee.programmes.definition import Programme


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

    def _flags(self) -> RuleFlag:
        """Return the prohibitions of the programme as flags of its rule set."""
        persons = RuleFlag(0) if self.programme.rules.person_to_person else RuleFlag.NO_PERSONS
        cash_out = RuleFlag(0) if self.programme.rules.cash_out else RuleFlag.NO_CASH_OUT
        return persons | cash_out

    def launch(self, operation_ids: Array) -> tuple[Array, int]:
        """Return (records, id of the seal): they define groups, rule set and programme, and add and seal the cohort.

        On a ledger with authorities two officers sign all of them, because the rule set needs it.
        """
        programme, groups = self.programme, len(self.groups)
        seal = ids.to_int(operation_ids[-1])
        records = [
            *(
                operations.define_group(ids.to_int(operation_id), group=group)
                for operation_id, group in zip(operation_ids[:groups], self.groups, strict=True)
            ),
            operations.define_rule_set(
                ids.to_int(operation_ids[groups]),
                rule_set=self.rule_set,
                groups=self.groups,
                from_ns=programme.spending.from_ns,
                # A rule set has one end: nothing is spent between the end of spending and a later expiry.
                until_ns=programme.spending.until_ns,
                return_account=self.funder,  # the only receiver that a definition allows
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
        """Return records that fill every packet, one per class. operation_ids: (classes,) ID.

        The operator of the funder signs them.
        """
        records, first = [], 0
        for operation_id, packet in zip(operation_ids, self.programme.packets, strict=True):
            # There are fewer winners than packets if fewer people took part.
            count = min(packet.count, self.winners.size - first)
            if count > 0:
                records.append(
                    operations.drop(
                        ids.to_int(operation_id),
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
        """Return the record that returns the rest of every packet to the funder. It needs no signature."""
        return operations.expire(operation_id, programme=self.number, first=0, count=self.winners.size)


def member_ids(commitments: Array) -> Array:
    """Return the ids of members: the first 16 bytes of their commitments. (k, 32) uint8 to (k,) ID."""
    members = np.empty(len(commitments), ids.ID)
    halves = np.ascontiguousarray(commitments[:, :16]).view("<u8")
    members["low"], members["high"] = halves[:, 0], halves[:, 1]
    return members


def check_cohort(state: LedgerState, number: int, draw_folder: Path) -> str:
    """Compare the cohort of a programme with the published winners; return what was found as a sentence.

    The cohort is in packet order. A draw of several strata has two: packets of one amount are handed out in the order
    of winners.csv, packets of several amounts by packet ticket. Before the drop both are accepted. Raises
    IntegrityError for any other cohort.
    """
    purses = state.purses(number) if number < state.tables.programmes.size else state.tables.purses[:0]
    if purses.size == 0:
        return "the ledger has no cohort yet to compare with the published winners"
    announcement = draw_files.read_announcement(draw_folder)
    commitments = draw_files.read_winners(draw_folder, announcement)
    if purses.size != len(commitments):
        raise IntegrityError(
            f"programme {number} has {purses.size:,} members, but {len(commitments):,} winners are published"
        )
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


def _wrong_members(purses: Array, expected: Array, filled: int) -> Array:
    """Return the positions, among the first `filled`, of members that are not the expected ones."""
    wrong = (purses["member_low"] != expected["low"]) | (purses["member_high"] != expected["high"])
    return np.flatnonzero(wrong[:filled])
