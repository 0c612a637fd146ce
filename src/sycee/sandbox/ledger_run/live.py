"""The bank of a run: founded in the folder of the ledger, and the steps of a programme through its services.

Persons who sign are synthetic: their keys follow from the seed. Every step can be repeated, so a run that was killed
continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from blake3 import blake3

from sycee import data
from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.bank.rehearsal_clock import RehearsalClock
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError, require
from sycee.core.keys import SEED_BYTES, SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.marks import INVENTED_PEOPLE
from sycee.core.records.proposal_format import Proposal
from sycee.issuance.tables import ACTIVE
from sycee.programmes import draw, draw_files, states
from sycee.programmes.definition import FIRST_COME, Programme
from sycee.programmes.draw_files import Announcement
from sycee.programmes.stored import LedgerNumbers, Occurrence, StoredProgramme
from sycee.sandbox.ledger_run import programme_text, recipients
from sycee.sandbox.ledger_run.recipients import Recipients, Registered
from sycee.sandbox.plan import DOCUMENT_FIRST, PHONE_FIRST
from sycee.sequencer.signer import Signer
from sycee.wallets import tiers

OFFICERS: Final = 2
DAY_NS: Final = 86_400 * 10**9
SIGNING_FOR_NS: Final = 3_660 * DAY_NS
MINTED_DAYS: Final = 4  # a mint covers the need of this number of days
REGISTRATION_FILE: Final = "registrations.csv"
_KEY_CONTEXT: Final = "sycee 2026-11-28 sandbox: synthetic keys of a run"
_BEFORE_CLOSE_NS: Final = 10**9  # the file of registrations is read in the last second of the window


class LiveBank:
    """An open bank with one programme. `seed` is the material of keys, and of all ids of bulk operations."""

    def __init__(self, bank: Bank, programme: Programme, seed: bytes) -> None:
        """Use `found` or `open`."""
        self.bank, self.programme, self.seed = bank, programme, seed
        self.keys = _keys(seed, len(programme.operators))
        people = bank.people
        self.officer = people.person_of_key(self.keys[0].public)
        by_name = {each.id: each.name for each in bank.institutions.list("operator")}
        rows = {by_name[each.institution]: each for each in bank.registry.operators(ACTIVE)}
        self.operators = [rows[each.title] for each in programme.operators]
        self.signers: list[Signer] = bank.signers(*self.keys[OFFICERS + 2 :])
        self.start_ns = _starts_ns(programme)
        self._is_filled = False

    @classmethod
    def found(cls, folder: Path, programme: Programme, seed: bytes, *, preset: Path | None = None) -> Self:
        """Found a bank in which the programme's operators have joined. An interrupted call cannot be continued.

        preset: file of wallet classes; a shipped one of the currency without it.
        """
        keys = _keys(seed, len(programme.operators))
        officers, (desk, witness, *operators) = keys[:OFFICERS], keys[OFFICERS:]
        code = programme.currency.code
        founding = Founding(
            currency=code,
            zone=programme.zone.key,
            preset=str(preset or _shipped_preset(code)),
            retention=data.names("retention")[0],
            officers=tuple(each.public for each in officers),
            desk=desk.public,
            witness=witness.public,
            master_key=folder.parent / "master.key",
            key_backup=folder.parent / "key-backup",
            until_ns=_starts_ns(programme) + SIGNING_FOR_NS,
            rehearsal_from_ns=_starts_ns(programme),
            settings={"compliance": "false", INVENTED_PEOPLE: "true"},
        )
        bank = Bank.create(folder, founding)
        try:
            maker = bank.people.person_of_key(officers[0].public)
            for operator, key in zip(programme.operators, operators, strict=True):
                owner = ids.new(_starts_ns(programme) // 10**6)
                institution = bank.institutions.add("operator", operator.title, by=maker, owners={owner: 1_000_000})
                for check in ("papers", "owners"):
                    decision = bank.institutions.decide(institution, check, "passed", maker=maker)
                    bank.proposals.sign(decision.id, *officers)
                until_ns = _starts_ns(programme) + SIGNING_FOR_NS
                joining = bank.issuance.join(
                    institution, quota_minor=I64_MAX, key=key.public, until_ns=until_ns, maker=maker
                )
                bank.proposals.sign(joining.id, *officers)
            return cls(bank, programme, seed)
        except BaseException:
            bank.close()
            raise

    @classmethod
    def open(cls, folder: Path, programme: Programme, seed: bytes) -> Self:
        """Open the bank that `found` founded: what was interrupted is finished."""
        bank = Bank.open(folder)
        try:
            return cls(bank, programme, seed)
        except BaseException:
            bank.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bank.close()

    @property
    def clock(self) -> RehearsalClock:
        """The clock of the bank."""
        clock = self.bank.stores.clock
        require(isinstance(clock, RehearsalClock), f"{self.bank.folder.path} has the machine's clock")
        assert isinstance(clock, RehearsalClock)
        return clock

    # --- the programme ---

    def draw(self, made: Registered, seed: int) -> Recipients:
        """Register persons, draw among them, and return the recipients in the order of the cohort."""
        self.programme = made.programme
        text = programme_text.text_of(self.programme)
        programme_text.require_same(self.programme, text)
        self.draft(text)
        self.open_registration()
        self._register(made)
        self.publish()
        self.draw_winners(lambda announced: draw.replay_beacon(seed, announced).value)
        return recipients.of_cohort(made, self.bank.programmes.cohort_of(self.programme.name))

    def draft(self, text: str) -> StoredProgramme:
        """Store the programme of a file's text."""
        rows = zip(self.programme.operators, self.operators, strict=True)
        numbers = {each.name: row.number for each, row in rows}
        return self.bank.programmes.draft(text, funder=self.funder(), maker=self.who(0), operators=numbers)

    def open_registration(self) -> None:
        """Open the registration."""
        self.bank.programmes.open_registration(self.programme.name, who=self.who(0))

    def publish(self) -> Occurrence:
        """Freeze the list once the registration is over, and publish it."""
        programmes, name = self.bank.programmes, self.programme.name
        if not states.is_at_least(self.reach(self.programme.registration.until_ns).state, states.FROZEN):
            programmes.freeze(name, who=self.who(0))
        return programmes.publish(name, who=self.who(0))

    def draw_winners(self, value_of: Callable[[Announcement], bytes]) -> Occurrence:
        """Draw the winners. value_of: returns the value of the beacon, which two persons bring, if there is a draw."""
        programmes, name = self.bank.programmes, self.programme.name
        found = programmes.occurrence(name)
        if self.programme.draw.is_drawn and not states.is_at_least(found.state, states.DRAWN):
            self.reach(self.programme.draw.beacon_due_ns)
            value = value_of(draw_files.read_announcement(programmes.files_of(found)))
            for person in (self.officer, self.who(0)):
                programmes.bring_beacon(name, value=value, who=person)
        return programmes.draw(name, who=self.who(0))

    def approve(self) -> None:
        """Let officers sign the terms."""
        programmes, name = self.bank.programmes, self.programme.name
        if not states.is_at_least(programmes.occurrence(name).state, states.APPROVED):
            self.sign(programmes.propose_terms(name, maker=self.officer))

    def drop(self) -> None:
        """Approve the terms, mint the budget, and fill the packets of each zone that is due before claims."""
        programmes, name = self.bank.programmes, self.programme.name
        self.approve()
        programmes.allot(name, signers=self.signers[:1], who=self.who(0))
        found = programmes.occurrence(name)
        if not states.is_at_least(found.state, states.DROPPED):
            self.fund(found.minor)
        self.fill(self.programme.claim.from_ns)

    def fill(self, until_ns: int) -> None:
        """Fill the packets of each zone that is due by a moment, at its time and in order; all without zones."""
        if self._is_filled:
            return
        programmes, name = self.bank.programmes, self.programme.name
        signed: Any = {"signers": self.signers[:1], "who": self.who(0)}
        if not self.programme.zones:
            programmes.drop(name, **signed)
        waiting = 0
        for place, zone in enumerate(programmes.zones(name)):
            from_ns = zone.from_ns or 0
            if zone.frame is not None:
                continue
            if from_ns <= until_ns:
                self.reach(from_ns)
                if place == 0:
                    programmes.drop(name, **signed)
                else:
                    programmes.widen(name, zone=zone.name, **signed)
                continue
            waiting += 1
            if place == 0 or not zone.skippable:
                break
        self._is_filled = not waiting

    def expire(self) -> None:
        """Reach the expiry: the rest of all packets returns to the funder."""
        self.fill(self.programme.expires_ns - 1)
        self.reach(self.programme.expires_ns)
        self.bank.programmes.expire(self.programme.name)

    def close(self) -> None:
        """Close the programme, and require that the bank's tables agree with its ledger."""
        self.bank.programmes.close(self.programme.name, who=self.who(0))
        found = self.bank.check()
        require(not found, f"the bank and its ledger do not agree: {'; '.join(found[:3])}")

    @property
    def numbers(self) -> LedgerNumbers:
        """The numbers of the programme on the ledger."""
        return self.bank.programmes.numbers_of(self.programme.name)

    # --- money ---

    def provide(self, operator: int, minor: int) -> None:
        """Ensure that an operator's vault has this amount; a mint brings it to MINTED_DAYS times the amount."""
        if minor > self.bank.stores.ledger.balance(self.operators[operator].accounts.vault):
            self.mint(operator, MINTED_DAYS * minor)

    def fund(self, minor: int) -> None:
        """Ensure that the funder has this amount, by a mint at the first operator."""
        lacks = minor - self.bank.stores.ledger.balance(self.funder())
        if lacks > 0:
            self.mint(0, lacks)
            paid = self.bank.funders.pay_in(self.funder(), lacks, signers=self.signers[:1], who=self.who(0))
            paid.require_created("the budget was not paid in")

    def mint(self, operator: int, minor: int) -> None:
        """Ensure that an operator's vault has this amount, by a mint against reserves."""
        row = self.operators[operator]
        lacks = minor - self.bank.stores.ledger.balance(row.accounts.vault)
        if lacks <= 0:
            return
        issuance = self.bank.issuance
        self.sign(issuance.credit_reserves(row.number, lacks, maker=self.officer))
        self.sign(issuance.mint(row.number, lacks, maker=self.officer), self.keys[OFFICERS + 2 + operator])

    # --- helpers ---

    def who(self, operator: int) -> int:
        """Return the person who signs for an operator."""
        return self.signers[operator].id

    def sign(self, proposal: Proposal, *more: SigningKey) -> None:
        """Sign a proposal with the keys of the officers and more, which must complete it."""
        signed = self.bank.proposals.sign(proposal.id, *self.keys[:OFFICERS], *more)
        if signed.needs or signed.outcome is None:
            raise IntegrityError(f"the proposal {ids.format(proposal.id)} is not signed")
        signed.outcome.require_created(f"{proposal.action} was refused")

    def reach(self, moment_ns: int) -> Occurrence:
        """Set the clock to a moment, unless it is later already, and run the jobs that are due."""
        if read_ns(self.bank.stores.clock) < moment_ns:
            self.bank.set_clock(moment_ns)
        return self.bank.programmes.occurrence(self.programme.name)

    def funder(self) -> int:
        """Return the account of the funder, which the first call opens."""
        name = self.programme.funder.name
        for each in self.bank.funders.list("open"):
            if each.name == name:
                return each.account
        return self.bank.funders.open(
            name, operator=self.operators[0].number, signers=self.signers[:1], who=self.who(0)
        ).account

    def _register(self, made: Registered) -> None:
        last_ns = self.programme.registration.until_ns - _BEFORE_CLOSE_NS
        if read_ns(self.bank.stores.clock) > last_ns:  # the file was read before
            return
        if self.programme.registration.from_ns <= last_ns:
            self.reach(last_ns)
        path = self.bank.folder.path / REGISTRATION_FILE
        names = [each.name for each in self.programme.operators]
        classes = [each.name for each in self.programme.draw.strata]
        # First come: packets follow the order of registration.
        is_named = made.strata is not None and self.programme.mode != FIRST_COME and len(classes) > 1
        strata = made.strata.tolist() if made.strata is not None and is_named else None
        with path.open("w") as file:
            file.write(f"document,phone,bank{',stratum' * is_named}\n")
            for row, person in enumerate(made.person.tolist()):
                stratum = f",{classes[strata[row]]}" if strata is not None else ""
                bank = names[person % len(names)]
                file.write(f"{DOCUMENT_FIRST + person},+{PHONE_FIRST + person},{bank}{stratum}\n")
        read = self.bank.registrations.register_file(
            self.programme.name, 0, path, who=self.who(0), is_confirmed=True, salts=made.salts
        )
        path.unlink()
        require(read.registered == made.person.size, f"{made.person.size - read.registered} persons were refused")


def _shipped_preset(code: str) -> str:
    """Return the first shipped preset of a currency, or of another one."""
    names = tiers.names()
    return next((name for name in names if tiers.load(name).currency.code == code), names[0])


def _starts_ns(programme: Programme) -> int:
    """Return the first time of the bank's clock: that at which registration opens, or a day before the end of it."""
    return min(programme.registration.from_ns, programme.registration.until_ns - DAY_NS)


def _keys(seed: bytes, operators: int) -> list[SigningKey]:
    """Return the keys of officers, desk, witness and operators."""
    count = OFFICERS + 2 + operators
    stream = blake3(seed, derive_key_context=_KEY_CONTEXT).digest(SEED_BYTES * count)
    return [SigningKey.derive(stream[SEED_BYTES * at : SEED_BYTES * (at + 1)]) for at in range(count)]
