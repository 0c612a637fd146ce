"""A trial of a programme: from nothing to its close, for invented people, with the calls that a real bank makes.

The bank is a rehearsal with new keys, and the trial moves its clock from one moment of the file to the next. The
beacon's value is computed from the two files, so nobody can verify that this draw was random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sycee import data
from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.core import documents, ids, money
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.core.words import quantity
from sycee.identity.duties import Duty
from sycee.identity.institutions import PASSED, SettlementAccount
from sycee.programmes import draw, draw_rule
from sycee.programmes.definition import Programme, Rules
from sycee.programmes.dropping import PacketClaim
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.registration_rows import Reader, groups_of
from sycee.programmes.stored import Figures, defined
from sycee.sequencer.signer import Signer

HOUR_NS: Final = 3_600 * 10**9
CLAIMED_PER_MILLE: Final = 950  # invented: how many winners claim, and the part of a packet that each spends
SPENT_PER_MILLE: Final = (600, 1_000)
PAYMENTS_MAX: Final = 10  # of one packet
YEARS: Final = 5 * 365 * 24 * HOUR_NS
KEYS: Final = "keys"
_NEW_FOLDER_HINT: Final = "a trial is made in a new folder: name another one, or delete this one if a trial made it"

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of a trial. `refused`: number of rows that could not be registered, by code.

    `problems`: differences between the ledger and the database at the end.
    """

    programme: Programme
    rows: int
    registered: int
    entries: int
    refused: dict[str, int]
    figures: Figures
    payments: int
    supply_before_minor: int
    supply_after_minor: int
    funder_minor: int
    files: Path
    problems: tuple[str, ...]


def run_trial(file: str, people: Path, folder: Path, *, tell: Told, step: Callable[[int, int], None]) -> Trial:
    """Run the programme of `file`, a path or a shipped pilot, for the people of a CSV file, and return the outcome.

    `tell(line)` is called after each step, `step(done, total)` counts them. Raises UsageError for a folder in use and
    for a wrong file; a file of people that is absent or has wrong columns is refused before the folder is made.
    """
    name, content = data.file("pilots", file, "programme")
    text = content.decode("utf-8", "replace")
    definition = defined(name, text)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint=_NEW_FOLDER_HINT)
    _check_people(people, definition)
    (folder / KEYS).mkdir(parents=True)
    with _create_bank(folder, definition) as bank:
        return _Run(bank, definition, text, people, folder, tell, step).run()


def _check_people(people: Path, definition: Programme) -> None:
    """Raise UsageError if there is no such file of people, or if its columns do not fit the programme."""
    for group in groups_of(people):
        Reader(definition, str, 0).check_columns(list(group.cells))
        return


class _Keys:
    """Keys of invented persons, saved under their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> SigningKey:
        path = self._folder / f"{name}.pem"
        if path.exists():
            return SigningKey.load(path)
        key = SigningKey.generate()
        key.save(path)
        return key


def _create_bank(folder: Path, definition: Programme) -> Bank:
    """Create the bank of the trial in `folder` / "bank", as a rehearsal that begins before the registration."""
    keys = _Keys(folder / KEYS)
    founding = Founding(
        currency=definition.currency.code,
        zone=definition.zone.key,
        preset=str(_preset(folder, definition)),
        retention=data.names("retention")[0],
        officers=[keys("officer-1").public, keys("officer-2").public],
        desk=keys("desk").public,
        witness=keys("witness").public,
        master_key=folder / "master.key",
        key_backup=folder / "people-backup",
        rehearsal_from_ns=definition.registration.from_ns - HOUR_NS,
        settings={"compliance": "false"},
    )
    return Bank.create(folder / "bank", founding)


def _preset(folder: Path, definition: Programme) -> Path:
    """Write one class of wallets, without limits that a packet could meet, and return the file."""
    path = folder / "wallets.toml"
    largest = "9" * 9
    path.write_text(
        f'name = "trial"\ntitle = "Wallets of the trial"\ncurrency = "{definition.currency.code}"\n'
        f'as_of = "2026-01-01"\n\n[[classes]]\nname = "basic"\nholder = "person"\nidentity = "none"\n'
        f'balance = "{largest}"\nsource = "invented"\nmark = "assumed"\n',
        encoding="utf-8",
    )
    return path


class _Run:
    """One trial. The order of the methods is that of the steps."""

    def __init__(
        self, bank: Bank, definition: Programme, text: str, people: Path, folder: Path, tell: Told,
        step: Callable[[int, int], None],
    ) -> None:  # fmt: skip
        self.bank, self.definition, self.text, self.people = bank, definition, text, people
        self.keys, self.tell, self._step = _Keys(folder / KEYS), tell, step
        self.name, self.currency = definition.name, definition.currency
        self.board = [self.keys("officer-1"), self.keys("officer-2")]
        self.maker = self._person(self.board[0])
        self.until_ns = bank.stores.clock.now_ns() + YEARS
        self.numbers: dict[str, int] = {}
        self.salts: dict[int, bytes] = {}  # row of the file → salt of the receipt
        self.payments = 0

    def run(self) -> Trial:
        """Run all steps, and return the outcome."""
        steps = (
            *(self._operators, self._funder, self._draft, self._register, self._freeze, self._draw, self._terms),
            *(self._shops, self._drop, self._claim, self._spend, self._expire),
        )
        for done, each in enumerate(steps):
            self._step(done, len(steps))
            each()
        self._step(len(steps), len(steps))
        bank, found = self.bank, self.bank.programmes.occurrence(self.name)
        return Trial(
            self.definition,
            self.imported.rows,
            self.imported.registered,
            found.entries,
            dict(self.imported.refused),
            bank.programmes.figures(self.name),
            self.payments,
            self.supply,
            bank.stores.ledger.supply(self.currency.code),
            bank.stores.ledger.balance(self.funder),
            bank.programmes.files_of(found),
            tuple(bank.check()),
        )

    # --- the bank ---

    def _operators(self) -> None:
        """Admit each operator of the file; mint the budget at the first one."""
        for at, operator in enumerate(self.definition.operators):
            institution = self.bank.institutions.add(
                "operator", operator.title, by=self.maker, owners={self._id(): 10**6}
            )
            self._pass(institution, ("papers", "owners"), self.maker, self.board)
            key = self.keys(operator.name)
            quota = max(self.definition.budget_minor, 1)
            joining = self.bank.issuance.join(
                institution, quota_minor=quota, key=key.public, until_ns=self.until_ns, maker=self.maker
            )
            self._sign(joining, self.board)
            number = self.bank.institutions.get(institution).operator
            assert number is not None, "it joined"
            self.numbers[operator.name] = number
            if at == 0:
                self._sign(self.bank.issuance.credit_reserves(number, quota, maker=self.maker), self.board)
                self._sign(self.bank.issuance.mint(number, quota, maker=self.maker), [*self.board, key])
        self.first = self.definition.operators[0].name
        self.supply = self.bank.stores.ledger.supply(self.currency.code)
        names = ", ".join(each.title for each in self.definition.operators)
        self.tell(f"bank founded: operators {names}; {self._amount(self.supply)} minted")

    def _funder(self) -> None:
        signed = self._by(self.first)
        made = self.bank.funders.open(self.definition.funder.name, operator=self.numbers[self.first], **signed)
        self.funder = made.account
        paid = self.bank.funders.pay_in(self.funder, self.definition.budget_minor, **signed)
        paid.require_created("the funder was not paid in")
        self.tell(f"funder {made.name} has {self._amount(self.definition.budget_minor)}")

    def _draft(self) -> None:
        stored = self.bank.programmes.draft(self.text, funder=self.funder, maker=self.maker, operators=self.numbers)
        tried = self.bank.programmes.dry_run(self.name)
        state = "ready" if tried.ok else "; ".join(tried.problems) or "the ledger would refuse it"
        self.tell(f"draft stored: SHA-256 {stored.digest}")
        self.tell(f"dry run: {tried.members:,} packets, {self._amount(tried.minor)}; {state}")

    # --- the draw ---

    def _register(self) -> None:
        """Open the registration, and register the rows of the file, as if their checks and codes had passed."""
        self._wait(self.definition.registration.from_ns)
        self.bank.programmes.open_registration(self.name, who=self.maker)
        self._wait(self.definition.registration.until_ns - 1)
        who, self.registered_ns = self._person(self.keys(self.first)), self.bank.stores.clock.now_ns()

        def receipts(rows: NDArray[np.int64], _: NDArray[np.int64], salts: Bytes) -> None:
            self.salts.update((row, salt.tobytes()) for row, salt in zip(rows.tolist(), salts, strict=True))

        self.imported = self.bank.registrations.register_file(
            self.name, 0, self.people, who=who, is_confirmed=True, receipts=receipts
        )
        if not self.imported.registered:
            why = f": {self.imported.faults[0]}" if self.imported.faults else ""
            raise UsageError(f"no row of {self.people} can be registered{why}", hint="correct the file of people")
        refused = ", ".join(f"{count:,} {code}" for code, count in sorted(self.imported.refused.items())) or "none"
        self.tell(f"registered {self.imported.registered:,} of {self.imported.rows:,} rows; refused: {refused}")

    def _freeze(self) -> None:
        self._wait(self.definition.registration.until_ns + HOUR_NS // 60)
        found = self.bank.programmes.freeze(self.name, who=self.maker)
        self.bank.programmes.publish(self.name, who=self.maker)
        self.tell(f"list of {found.entries:,} entries published: announcement SHA-256 {found.announcement}")

    def _draw(self) -> None:
        if self.definition.draw.is_drawn:
            self._wait(self.definition.draw.beacon_due_ns)
            value = hashlib.sha256(
                b"sycee.trial.beacon.v1" + self.text.encode() + documents.content(self.people)
            ).digest()
            for key in self.board:
                self.bank.programmes.bring_beacon(self.name, value=value, who=self._person(key))
        found = self.bank.programmes.draw(self.name, who=self.maker)
        if self.definition.draw.is_drawn:
            draw.verify(self.bank.programmes.files_of(found)).require()
        how = "drawn with an invented beacon, and verified" if self.definition.draw.is_drawn else "without a draw"
        self.tell(f"{quantity(found.members, 'winner')} {how}")

    def _terms(self) -> None:
        proposal = self.bank.programmes.propose_terms(self.name, maker=self.maker)
        self._sign(proposal, self.board)
        self.tell(f"terms signed by two officers: cohort {proposal.effect['cohort'][:16]}…")

    def _shops(self) -> None:
        """Open one shop in each merchant group of the file, at the first operator."""
        operator = self.numbers[self.first]
        institution = self.bank.institutions.of_operator(operator)
        assert institution is not None, "it joined"
        checker = self.keys(f"{self.first}-checker")
        appointed = self.bank.appointments.appoint(
            Duty.OPERATOR, checker.public, institution=institution.id, until_ns=self.until_ns, maker=self.maker
        )
        self._sign(appointed, self.board)
        signed, checkers = self._by(self.first), [self.keys(self.first), checker]
        self.shops = []
        for at, group in enumerate(self.definition.merchants):
            settlement = SettlementAccount(b"invented", at.to_bytes(16, "big"))
            merchant = self.bank.institutions.add(
                "merchant", f"Shop of {group.name}", by=signed["who"], operator=operator, owners={self._id(): 10**6},
                settlement=settlement,
            )  # fmt: skip
            self._pass(merchant, ("papers", "owners", "settlement"), signed["who"], checkers)
            opened = self.bank.wallets.open(merchant, operator=operator, tier="", **signed)
            joined = operations.join_group(
                self._id(), group=self.bank.programmes.group_of(self.name, group.name), account=opened.account
            )
            self._submit(joined, self.first)
            self.shops.append(opened.account)
        self.tell(f"{quantity(len(self.shops), 'invented shop')} joined, one for each merchant group")

    # --- money ---

    def _drop(self) -> None:
        signed = self._by(self.first)
        self.bank.programmes.allot(self.name, **signed)
        found = self.bank.programmes.drop(self.name, **signed)
        for zone in self.bank.programmes.zones(self.name)[1:]:
            self._wait(zone.from_ns or self.definition.claim.from_ns)
            self.bank.programmes.widen(self.name, 0, zone.name, **signed)
        self.tell(f"cohort sealed; {self._amount(found.minor)} dropped into {found.members:,} packets")

    def _claim(self) -> None:
        """Open wallets for most winners at the banks that they chose, and claim their packets."""
        self._wait(self.definition.claim.from_ns)
        allotment = self.bank.programmes.cohort_of(self.name)
        persons = self._persons()
        self.wallets: dict[str, dict[int, int]] = {}  # operator → member → wallet
        winners: dict[str, list[int]] = {}
        for member in (ids.to_int(each) for each in allotment.members):
            if self._chance(member, "claims", 1_000) < CLAIMED_PER_MILLE:
                bank = self.bank.registration_results.bank_of(self.name, 0, member)
                winners.setdefault(bank, []).append(member)
        for bank, members in winners.items():
            columns = {
                "name": [f"Person {persons[each][0]}" for each in members],
                "phone": [persons[each][1] for each in members],
                "paper": [persons[each][2] for each in members],
                "paper_kind": ["document" if persons[each][2] else "" for each in members],
            }
            signed = self._by(bank)
            opened = self.bank.wallets.open_many(columns, operator=self.numbers[bank], tier="basic", **signed)
            pairs = zip(members, opened.accounts, strict=True)
            self.wallets[bank] = {member: account for member, account in pairs if account}
            claims = [PacketClaim(member, account) for member, account in self.wallets[bank].items()]
            for outcome in self.bank.programmes.claim_many(self.name, 0, claims, **signed):
                outcome.require_created("a packet was not claimed")
        figures = self.bank.programmes.figures(self.name)
        self.tell(f"{figures.claimed:,} of {figures.members:,} packets claimed, at the banks that the winners chose")

    def _spend(self) -> None:
        """Pay a part of each claimed packet to the shops."""
        self._wait(self.definition.spending.from_ns)
        allotment = self.bank.programmes.cohort_of(self.name)
        amounts = {
            ids.to_int(member): share.minor
            for share in allotment.shares
            for member in allotment.members[share.first : share.first + share.count]
        }
        low, high = SPENT_PER_MILLE
        for bank, wallets in self.wallets.items():
            records = []
            for member, wallet in wallets.items():
                part = low + self._chance(member, "spends", high - low + 1)
                shop = self.shops[self._chance(member, "shops", len(self.shops))]
                records += [
                    operations.pay(self._id(), payer=wallet, payee=shop, amount=minor)
                    for minor in _payments(self.definition.rules, amounts[member] * part // 1_000)
                ]
            for start in range(0, len(records), 1_000):
                self._submit(np.concatenate(records[start : start + 1_000]), bank)
            self.payments += len(records)
        spent = self.bank.programmes.figures(self.name).spent_minor
        self.tell(f"{self.payments:,} payments: {self._amount(spent)} spent")

    def _expire(self) -> None:
        """Move the clock to the expiry, whose job returns unspent money, and close the occurrence."""
        self._wait(self.definition.expires_ns)
        returned = self.bank.programmes.figures(self.name).returned_minor
        self.bank.programmes.close(self.name, who=self.maker)
        self.tell(f"expired: {self._amount(returned)} returned to the funder; the programme is closed")

    # --- helpers ---

    def _persons(self) -> dict[int, tuple[int, str, str]]:
        """Return row, phone and document of each registered row, by the id that it would have as a member."""
        reader = Reader(self.definition, self.bank.personal.phone, self.registered_ns)
        found: dict[int, tuple[int, str, str]] = {}
        for group in groups_of(self.people):
            read = reader.read(group.cells, group.first_row, group.wrong)
            known = np.array([row in self.salts for row in read.rows.tolist()], np.bool_)
            rows, documents, phones = read.rows[known].tolist(), read.documents[known], read.phones[known]
            salts = np.frombuffer(b"".join(self.salts[row] for row in rows), np.uint8).reshape(-1, 32)
            members = member_ids(draw_rule.commitments(documents, phones, salts))
            for row, member, document, phone in zip(rows, members, documents.tolist(), phones.tolist(), strict=True):
                found[ids.to_int(member)] = (row, f"+{phone}" if phone else "", str(document) if document else "")
        return found

    def _chance(self, member: int, what: str, below: int) -> int:
        """Return a number from 0 to `below` - 1, derived from the member and `what`: equal in every run."""
        digest = hashlib.sha256(what.encode() + member.to_bytes(16, "big")).digest()
        return int.from_bytes(digest[:8], "big") % below

    def _amount(self, minor: int) -> str:
        return money.with_code(minor, self.currency)

    def _wait(self, ns: int) -> None:
        if self.bank.stores.clock.now_ns() < ns:
            self.bank.set_clock(ns)

    def _id(self) -> int:
        return self.bank.stores.ledger.new_id()

    def _person(self, key: SigningKey) -> int:
        return self.bank.people.person_of_key(key.public)

    def _by(self, operator: str) -> dict[str, Any]:
        """Return the arguments of a call that the person of an operator makes and signs."""
        key = self.keys(operator)
        signers: Sequence[Signer] = self.bank.signers(key)
        return {"signers": signers, "who": self._person(key)}

    def _submit(self, records: Array, operator: str) -> None:
        signed = self.bank.stores.ledger.signed_by(*self.bank.signers(self.keys(operator)))
        codes = {Result(code) for code in signed.submit(records)["code"].tolist()}
        if codes != {Result.CREATED}:
            raise UsageError(f"the ledger refused: {', '.join(sorted(each.name for each in codes))}")

    def _pass(self, institution: int, checks: tuple[str, ...], maker: int, keys: list[SigningKey]) -> None:
        for check in checks:
            self._sign(self.bank.institutions.decide(institution, check, PASSED, maker=maker), keys)

    def _sign(self, proposal: Proposal, keys: list[SigningKey]) -> None:
        answer = self.bank.proposals.sign(proposal.id, *keys)
        assert answer.outcome is not None, f"{proposal.action} misses {answer.needs}"
        answer.outcome.require_created(proposal.action)


def _payments(rules: Rules, minor: int) -> list[int]:
    """Return amounts that a packet pays without own money: together at most `minor`, each as the rules allow."""
    most, least = rules.per_payment_max_minor or minor, max(rules.payment_min_minor, 1)
    made: list[int] = []
    while len(made) < PAYMENTS_MAX and min(minor, most) >= least:
        made.append(min(minor, most))
        minor -= made[-1]
    return made
