"""Terms of an occurrence, which two officers sign: the third part of the service `Programmes`.

The proposal's effect has budget, cohort digest and announcement digest, so no other cohort and no other list can follow
from its signatures. Its records define groups, rule set and purses on the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.engine import Connection

from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.numbers import Numbers
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.programmes import cohort, draw, draw_files, records, states
from sycee.programmes.allotment import Allotment
from sycee.programmes.drawing import Drawing
from sycee.programmes.purse_sums import purse_sums
from sycee.programmes.stored import (
    LedgerNumbers,
    Occurrence,
    StoredProgramme,
    change_state,
    occurrence_in,
    occurrences_in,
    set_occurrence,
)

TERMS: Final = "programme.terms"


class Terms(Drawing):
    """Proposes terms."""

    def cohort_of(self, name: str, occurrence: int = 0) -> Allotment:
        """Return who gets how much, from the published files. Raises UsageError before the draw."""
        programme, current = self._programme_and_occurrence(name, occurrence)
        return self._cohort(programme, current)

    def numbers_of(self, name: str, occurrence: int = 0) -> LedgerNumbers:
        """Return the numbers of an occurrence on the ledger, allocating them if needed. Groups are the programme's."""
        programme, current = self._programme_and_occurrence(name, occurrence)
        return self._numbers(programme, current)

    def group_of(self, name: str, group: str) -> int:
        """Return the number on the ledger of a merchant group of a file. Raises UsageError for another name."""
        groups = [each.name for each in self.get(name).definition.merchants]
        if group not in groups:
            raise UsageError(f"{name} has no merchant group {group!r}", hint=f"its groups: {', '.join(groups)}")
        owner, numbers = _group_owner(name, group), self._stores.numbers
        return write(self._stores.engine, lambda connection: numbers.allocate(connection, Numbers.GROUPS, owner))

    def propose_terms(self, name: str, occurrence: int = 0, *, maker: int) -> Proposal:
        """Verify the draw, and propose its terms; return the open proposal if there is one. Two officers sign.

        Raises UsageError before the draw, while the programme is halted, and if the exposure would exceed its maximum;
        IntegrityError if the published files do not prove the winners.
        """
        programme, current = self._programme_and_occurrence(name, occurrence)
        self._people.require(maker, TERMS)
        programme.require_running()
        if states.is_at_least(current.state, states.DRAWN) and current.proposal is not None:
            return self._proposals.get(current.proposal).proposal
        states.require_change(current.title, current.state, states.APPROVED)
        announced = bytes.fromhex(current.announcement or "")
        draw.verify(self.files_of(current), announced=announced).require()
        if self.registered is not None:
            self.registered.assign_packets(name, occurrence)
        allotment = self._cohort(programme, current)
        if not allotment.members.size:
            raise UsageError(f"{current.title} has no winners", hint="cancel it")
        self.check_exposure(current, allotment.minor)
        numbers = self._numbers(programme, current)
        causes, digest = self._succession_causes(current), allotment.digest.hex()
        effect: dict[str, Any] = {
            "programme": name,
            "occurrence": occurrence,
            "operator": programme.operator,
            "budget": allotment.minor,
            "members": int(allotment.members.size),
            "cohort": digest,
            "announcement": current.announcement,
            "successions": sum(causes.values()),
            "succession_causes": ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items())),
            "file": programme.digest,
            "number": numbers.number,
            "rule_set": numbers.rule_set,
            "attempt": current.attempt,
        }
        proposal_id = self.ids_of(current).one("terms proposal", attempt=current.attempt)

        def before(connection: Connection) -> None:
            now = occurrence_in(connection, name, occurrence)
            states.require_change(now.title, now.state, states.APPROVED)
            set_occurrence(
                connection, self._stores.clock, now, proposal=proposal_id, cohort=digest,
                members=int(allotment.members.size), minor=allotment.minor, number=numbers.number,
                rule_set=numbers.rule_set,
            )  # fmt: skip

        return self._proposals.propose(
            TERMS,
            self.terms_records(programme, current, numbers, int(allotment.members.size)),
            effect,
            maker=maker,
            before=before,
            id=proposal_id,
        )

    def terms_records(
        self, programme: StoredProgramme, occurrence: Occurrence, numbers: LedgerNumbers, members: int
    ) -> Array:
        """Return the records that define an occurrence on the ledger. A group that exists is not defined again."""
        made = self.ids_of(occurrence).many("terms", len(numbers.groups) + 2, attempt=occurrence.attempt)
        with self._stores.ledger.sequencer.reading() as state:
            defined = frozenset(numbers.groups) & frozenset(state.groups)
        return records.terms(
            programme.on(occurrence),
            made[: len(numbers.groups)],
            ids.to_int(made[-2]),
            ids.to_int(made[-1]),
            number=numbers.number,
            rule_set=numbers.rule_set,
            groups=numbers.groups,
            funder=programme.funder,
            members=members,
            defined=defined,
        )

    # --- exposure ---

    def exposure(self, *, without: Occurrence | None = None) -> int:
        """Return the money of packets and vouchers, in minor units, that is promised by signed terms or not spent."""
        with reading(self._stores.engine) as connection:
            found = occurrences_in(connection, "", *states.UNSPENT)
        key = None if without is None else (without.programme, without.occurrence)
        others = (each for each in found if (each.programme, each.occurrence) != key)
        return sum(map(self.unspent, others)) + self.unspent_vouchers()

    def unspent(self, occurrence: Occurrence) -> int:
        """Return the packet money of an occurrence that is promised or not spent, in minor units."""
        if occurrence.state != states.DROPPED:
            return occurrence.minor
        sums = purse_sums(self._stores.ledger.sequencer, occurrence.number)
        # Zones that are not dropped yet are promised.
        return min(occurrence.minor - sums.spent + sums.refunded - sums.returned, I64_MAX)

    def check_exposure(self, occurrence: Occurrence, minor: int) -> None:
        """Raise UsageError if an occurrence with packets of this sum would exceed the maximum of the bank."""
        if self.exposure_max_minor:
            self._require_exposure(f"{occurrence.title} has packets of", minor, self.exposure(without=occurrence))

    def check_voucher_exposure(self, group: str, minor: int) -> None:
        """Raise UsageError if a new group of vouchers with this budget would exceed the maximum of the bank."""
        if self.exposure_max_minor:
            self._require_exposure(f"the group {group} has vouchers of", minor, self.exposure())

    def _require_exposure(self, what: str, minor: int, others: int) -> None:
        if others + minor > self.exposure_max_minor:
            currency = money.currency_of(self._registry.issuer.currency)
            shown = [money.format(each, currency) for each in (minor, others, self.exposure_max_minor)]
            raise UsageError(
                f"{what} {shown[0]}, and other packets and vouchers of {shown[1]} are not spent: "
                f"together more than the maximum of {shown[2]}",
                hint="wait for their expiry, or change the setting exposure_max",
            )

    # --- helpers ---

    def _succession_causes(self, occurrence: Occurrence) -> Counter[str]:
        """Return how many packets passed on to another person after the draw, by cause."""
        folder = self.files_of(occurrence)
        passed_on = cohort.successions_of(folder, draw_files.read_announcement(folder))
        return Counter(each.reason for each in passed_on)

    def _cohort(self, programme: StoredProgramme, occurrence: Occurrence) -> Allotment:
        return cohort.allotment_of(self.files_of(occurrence), programme.definition)

    def _numbers(self, programme: StoredProgramme, occurrence: Occurrence) -> LedgerNumbers:
        owner, numbers = f"programme {occurrence.programme} {occurrence.date}", self._stores.numbers

        def allocate(connection: Connection) -> LedgerNumbers:
            return LedgerNumbers(
                numbers.allocate(connection, Numbers.PROGRAMMES, owner),
                numbers.allocate(connection, Numbers.PROGRAMME_RULE_SETS, owner),
                tuple(
                    numbers.allocate(connection, Numbers.GROUPS, _group_owner(occurrence.programme, each.name))
                    for each in programme.definition.merchants
                ),
            )

        return write(self._stores.engine, allocate)


def found_of(connection: Connection, payload: Mapping[str, Any]) -> Occurrence:
    """Return the occurrence that the payload of an intent or a proposal names."""
    return occurrence_in(connection, payload["programme"], payload["occurrence"])


class TermsAction:
    """The outcome of the proposal of terms."""

    name = TERMS

    def __init__(self, stores: Stores) -> None:
        self._clock = stores.clock

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Approve the occurrence if the ledger created every record; otherwise the terms can be proposed again."""
        found = found_of(connection, intent.payload)
        if any(each is not Result.CREATED for each in results):
            self.lapsed(connection, intent)
        elif found.state == states.DRAWN:
            change_state(connection, self._clock, found, states.APPROVED, {"number": intent.payload["number"]})

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Let the terms be proposed again, with fresh ids; after a restore also take the approval back."""
        found = found_of(connection, intent.payload)
        if found.proposal == intent.id and found.state != states.CANCELLED:
            attempt = intent.payload["attempt"] + 1
            set_occurrence(connection, self._clock, found, state=states.DRAWN, proposal=None, attempt=attempt)


def _group_owner(programme: str, group: str) -> str:
    return f"programme {programme} group {group}"
