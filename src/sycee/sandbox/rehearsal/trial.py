"""A trial of a programme: from nothing to its close, for invented people, with the calls that a real bank makes.

The bank is a rehearsal with new keys, and the trial moves its clock from one moment of the file to the next. People
decide by `sandbox.behaviour`. Salts and the beacon's value follow from the seed, so nobody can verify that this draw
was random, and equal seeds give equal draws, decisions and pages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee import data
from sycee.core import ids, money
from sycee.core.arrays import Array, Bytes
from sycee.core.errors import UsageError, require
from sycee.core.keys import SEED_BYTES, SigningKey
from sycee.core.words import quantity
from sycee.identity.duties import Duty
from sycee.identity.institutions import PASSED, SettlementAccount
from sycee.programmes import draw, draw_rule
from sycee.programmes.definition import Programme
from sycee.programmes.occurrence_figures import OccurrenceFigures
from sycee.programmes.occurrence_ids import member_ids
from sycee.programmes.registration_entering import Imported
from sycee.programmes.registration_rows import Reader, groups_of
from sycee.programmes.stored import Figures, defined
from sycee.sandbox.inference import posterior
from sycee.sandbox.inference.posterior import Posterior
from sycee.sandbox.ledger_run import recipients as recipient_lists
from sycee.sandbox.ledger_run.live import OFFICERS, SIGNING_FOR_NS, LiveBank
from sycee.sandbox.ledger_run.opening import Books
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.run import Case
from sycee.sandbox.rehearsal import shops as shop_lists
from sycee.sandbox.rehearsal import town
from sycee.sandbox.rehearsal.days import Happened, RehearsalDays
from sycee.sandbox.rehearsal.shops import Shop

KEYS: Final = "keys"
BANK: Final = "bank"
PAGE: Final = "rehearsal.html"
_KEY_CONTEXT: Final = "sycee 2026-12-07 rehearsal: key of the person who checks an operator's shops"
_NEW_FOLDER_HINT: Final = "a trial is made in a new folder: name another one, or delete this one if a trial made it"

Told = Callable[[str], None]
Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The outcome of a trial. `refused`: number of rows that could not be registered, by code.

    `problems`: differences between the ledger and the database at the end. `results`: read from the ledger.
    """

    programme: Programme
    seed: int
    case: Case
    shops: tuple[Shop, ...]
    rows: int
    registered: int
    entries: int
    refused: dict[str, int]
    figures: Figures
    results: OccurrenceFigures
    happened: Happened
    claimed: Array  # (people,) bool: whose packet was claimed
    supply_before_minor: int
    supply_after_minor: int
    funder_minor: int
    files: Path
    problems: tuple[str, ...]


def run_trial(
    file: str, people: Path, folder: Path, *, seed: int, tell: Told, step: Step, shops: Path | None = None
) -> Trial:
    """Run the programme of `file`, a path or a shipped pilot, for the people of a CSV file, and return the outcome.

    shops: CSV file of the programme's shops, which are invented without it. `tell(line)` is called after each step,
    `step(done, total)` counts them. Raises UsageError for a folder in use and for a wrong file; a file of people or
    shops that is absent or has wrong columns is refused before the folder is made.
    """
    name, content = data.file("pilots", file, "programme")
    text = content.decode("utf-8", "replace")
    definition = defined(name, text)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint=_NEW_FOLDER_HINT)
    rows = _rows_of(people, definition)
    city = town.plain_city()
    made = shop_lists.invented(definition, city) if shops is None else shop_lists.read(shops, definition, city)
    known = posterior.load()
    (folder / KEYS).mkdir(parents=True)
    material = f"rehearsal:{definition.name}:{seed}".encode()
    with LiveBank.found(folder / BANK, definition, material, preset=_preset(folder, definition)) as live:
        return _Run(live, definition, text, people, rows, made, known, folder, seed, tell, step).run()


def _rows_of(people: Path, definition: Programme) -> int:
    """Return the number of rows of a file of people. Raises UsageError if it is absent or has wrong columns."""
    count = 0
    for group in groups_of(people):
        if not count:
            Reader(definition, str, 0).check_columns(list(group.cells))
        count += group.size
    return count


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
        self, live: LiveBank, definition: Programme, text: str, people: Path, rows: int, shops: list[Shop],
        known: Posterior, folder: Path, seed: int, tell: Told, step: Step,
    ) -> None:  # fmt: skip
        self.live, self.bank, self.definition, self.text = live, live.bank, definition, text
        self.people, self.rows, self.shops, self.folder, self.seed = people, rows, shops, folder, seed
        self.tell, self.name, self.currency = tell, definition.name, definition.currency
        self.known = known
        self.salts: Bytes = draw.replay_salts(seed, rows)
        self.operators = [each.name for each in definition.operators]
        self.checkers = self._keys()
        self._step, self._done, self._total = step, 0, 1

    def run(self) -> Trial:
        """Run all steps, and return the outcome."""
        steps = (
            *(self._begin, self._draft, self._register, self._publish, self._draw, self._open_shops, self._terms),
            *(self._drop, self._open_wallets, self._spend, self._close),
        )
        self._total = len(steps)
        for each in steps:
            each()
            self._advance()
        bank, found = self.bank, self.bank.programmes.occurrence(self.name)
        return Trial(
            self.definition,
            self.seed,
            self.case,
            tuple(self.shops),
            self.imported.rows,
            self.imported.registered,
            found.entries,
            dict(self.imported.refused),
            bank.programmes.figures(self.name),
            bank.closing_reports.results(self.name),
            self.days.happened,
            self.days.claimed(),
            self.supply,
            bank.stores.ledger.supply(self.currency.code),
            bank.stores.ledger.balance(self.live.funder()),
            bank.programmes.files_of(found),
            tuple(bank.check()),
        )

    def _advance(self) -> None:
        self._done += 1
        self._step(self._done, self._total)

    def _keys(self) -> list[SigningKey]:
        """Save the keys of all invented persons under their names; return those of the persons who check shops."""
        stream = blake3(self.live.seed, derive_key_context=_KEY_CONTEXT).digest(SEED_BYTES * len(self.operators))
        starts = range(0, len(stream), SEED_BYTES)
        checkers = [SigningKey.derive(stream[start : start + SEED_BYTES]) for start in starts]
        names = [*(f"officer-{at + 1}" for at in range(OFFICERS)), "desk", "witness", *self.operators]
        names += [f"{each}-checker" for each in self.operators]
        for name, key in zip(names, [*self.live.keys, *checkers], strict=True):
            key.save(self.folder / KEYS / f"{name}.pem")
        return checkers

    # --- the draw ---

    def _begin(self) -> None:
        self.live.mint(0, max(self.definition.budget_minor, 1))
        self.supply = self.bank.stores.ledger.supply(self.currency.code)
        names = ", ".join(each.title for each in self.definition.operators)
        self.tell(f"bank founded: operators {names}; {self._amount(self.supply)} minted")
        self.live.fund(self.definition.budget_minor)
        self.tell(f"funder {self.definition.funder.name} has {self._amount(self.definition.budget_minor)}")

    def _draft(self) -> None:
        stored = self.live.draft(self.text)
        tried = self.bank.programmes.dry_run(self.name)
        state = "ready" if tried.ok else "; ".join(tried.problems) or "the ledger would refuse it"
        self.tell(f"draft stored: SHA-256 {stored.digest}")
        self.tell(f"dry run: {tried.members:,} packets, {self._amount(tried.minor)}; {state}")

    def _register(self) -> None:
        """Open the registration, and register the rows of the file, as if their checks and codes had passed."""
        self.live.reach(self.definition.registration.from_ns)
        self.live.open_registration()
        self.live.reach(self.definition.registration.until_ns - 1)
        self.registered_ns = self.bank.stores.clock.now_ns()
        self.imported: Imported = self.bank.registrations.register_file(
            self.name, 0, self.people, who=self.live.who(0), is_confirmed=True, salts=self.salts
        )
        if not self.imported.registered:
            why = f": {self.imported.faults[0]}" if self.imported.faults else ""
            raise UsageError(f"no row of {self.people} can be registered{why}", hint="correct the file of people")
        refused = ", ".join(f"{count:,} {code}" for code, count in sorted(self.imported.refused.items())) or "none"
        self.tell(f"registered {self.imported.registered:,} of {self.imported.rows:,} rows; refused: {refused}")

    def _publish(self) -> None:
        found = self.live.publish()
        self.tell(f"list of {found.entries:,} entries published: announcement SHA-256 {found.announcement}")

    def _draw(self) -> None:
        found = self.live.draw_winners(lambda announced: draw.replay_beacon(self.seed, announced).value)
        if self.definition.draw.is_drawn:
            draw.verify(self.bank.programmes.files_of(found)).require()
        how = "drawn with an invented beacon, and verified" if self.definition.draw.is_drawn else "without a draw"
        self.tell(f"{quantity(found.members, 'winner')} {how}")

    # --- shops and packets ---

    def _open_shops(self) -> None:
        """Open an account for each shop at its operator, and let it apply; another person accepts or declines it."""
        until_ns = self.live.start_ns + SIGNING_FOR_NS
        for operator, checker in zip(self.live.operators, self.checkers, strict=True):
            institution = self.bank.institutions.of_operator(operator.number)
            assert institution is not None, "it joined"
            appointed = self.bank.appointments.appoint(
                Duty.OPERATOR, checker.public, institution=institution.id, until_ns=until_ns, maker=self.live.officer
            )
            self.live.sign(appointed)
        decides = self.bank.people.person_of_key(self.checkers[0].public)  # of the operator of the programme
        self.shop_account = []
        for number, shop in enumerate(self.shops):
            at = self.operators.index(shop.operator)
            signed = self._signed(at)
            merchant = self.bank.institutions.add(
                "merchant", shop.name, by=signed["who"], operator=self.live.operators[at].number,
                owners={self.bank.stores.new_id(): 10**6},
                settlement=SettlementAccount(b"invented", number.to_bytes(16, "big")),
            )  # fmt: skip
            for check in ("papers", "owners", "settlement"):
                decision = self.bank.institutions.decide(merchant, check, PASSED, maker=signed["who"])
                self.bank.proposals.sign(decision.id, self.live.keys[OFFICERS + 2 + at], self.checkers[at])
            opened = self.bank.wallets.open(merchant, operator=self.live.operators[at].number, tier="", **signed)
            group = shop.group or self.definition.merchants[0].name
            self.bank.shops.apply(self.name, merchant, who=signed["who"], group=group)
            reason = "" if shop.group else "not a shop of the programme"
            self.bank.shops.check(self.name, opened.account, accepted=bool(shop.group), who=decides, reason=reason)
            self.shop_account.append(opened.account)
        taken = sum(bool(each.group) for each in self.shops)
        self.tell(f"{quantity(taken, 'shop')} accepted, {len(self.shops) - taken} declined")

    def _terms(self) -> None:
        self.live.approve()
        cohort = self.bank.programmes.occurrence(self.name).cohort or ""
        self.tell(f"terms signed by two officers: cohort {cohort[:16]}…")
        for at in sorted({self.operators.index(each.operator) for each in self.shops if each.group}):
            self.bank.shops.join(self.name, self.live.operators[at].number, **self._signed(at))

    def _drop(self) -> None:
        self.live.drop()
        found = self.bank.programmes.occurrence(self.name)
        self.tell(f"cohort sealed; {self._amount(found.minor)} dropped into {found.members:,} packets")

    def _open_wallets(self) -> None:
        """Open a wallet for each winner, at the bank that the winner chose."""
        listed, phones, documents = self._listed()
        cohort = self.bank.programmes.cohort_of(self.name)
        self.recipients: Recipients = recipient_lists.among(
            self.live.programme, np.flatnonzero(listed["high"]), listed[listed["high"] > 0], cohort
        )
        person, wallet = self.recipients.person, np.zeros(self.rows, ids.ID)
        results = self.bank.registration_results
        banks = results.banks_of(self.name, 0, ids.to_ints(self.recipients.member))
        chosen = [self.operators.index(each) for each in banks]
        self.person_operator = np.zeros(self.rows, np.int64)
        self.person_operator[person] = chosen
        for at in sorted(set(chosen)):
            mine = person[np.array(chosen) == at].tolist()
            columns = {
                "name": [f"Person {row + 1}" for row in mine],
                "phone": [f"+{phones[row]}" if phones[row] else "" for row in mine],
                "paper": [str(documents[row]) if documents[row] else "" for row in mine],
                "paper_kind": ["document" if documents[row] else "" for row in mine],
            }
            number = self.live.operators[at].number
            opened = self.bank.wallets.open_many(columns, operator=number, tier="basic", **self._signed(at))
            require(not opened.refused, f"wallets of winners were refused: {sorted(set(opened.refused.values()))}")
            wallet[mine] = ids.from_ints(opened.accounts)
        self.wallet = wallet

    def _listed(self) -> tuple[Array, Array, Array]:
        """Return the id that each row of the file would have as a member, zero if refused, its phone and document."""
        reader = Reader(self.definition, self.bank.personal.phone, self.registered_ns)
        listed, phones, papers = (
            np.zeros(self.rows, ids.ID),
            np.zeros(self.rows, np.uint64),
            np.zeros(self.rows, np.uint64),
        )
        for group in groups_of(self.people):
            read = reader.read(group.cells, group.first_row, group.wrong)
            rows = read.rows - 1
            listed[rows] = member_ids(draw_rule.commitments(read.documents, read.phones, self.salts[rows]))
            phones[rows], papers[rows] = read.phones, read.documents
        return listed, phones, papers

    # --- money ---

    def _spend(self) -> None:
        """Let people claim, pay, take payments back and try what is refused, until the day after the expiry."""
        shops = town.town_of(town.described(self.definition, self._packet_minor()), self.shops)
        self.case = town.case_of(
            self.live.programme, shops, self.shops, self.known,
            people=self.rows, recipients=self.recipients.person.size, seed=self.seed,
        )  # fmt: skip
        books = Books(
            live=self.live,
            numbers=self.live.numbers,
            shop=shops.shop,
            shop_account=ids.from_ints(self.shop_account),
            wallet=self.wallet,
            person_operator=self.person_operator,
            shop_operator=np.array([self.operators.index(each.operator) for each in self.shops]),
            wallets_are_open=True,
        )
        outside = sum(not each.group for each in self.shops)
        self.days = RehearsalDays(self.case, self.recipients, books, outside)
        self._total += self.case.setting.days
        self.days.run(self._advance)
        happened, figures = self.days.happened, self.bank.programmes.figures(self.name)
        self.tell(f"{figures.claimed:,} of {figures.members:,} packets claimed, at the banks that the winners chose")
        self.tell(
            f"{happened.count('payment'):,} payments and {quantity(happened.count('refund'), 'refund')}: "
            f"{self._amount(figures.spent_minor)} spent, {self._amount(happened.sum('top-up'))} topped up"
        )
        self.tell(f"{sum(happened.refused().values()):,} claims and payments refused")

    def _packet_minor(self) -> int:
        return max(int(self.recipients.minor.mean()), 1)

    def _close(self) -> None:
        self.live.close()
        returned = self.bank.programmes.figures(self.name).returned_minor
        self.tell(f"expired: {self._amount(returned)} returned to the funder; the programme is closed")

    # --- helpers ---

    def _amount(self, minor: int) -> str:
        return money.with_code(minor, self.currency)

    def _signed(self, operator: int) -> dict[str, Any]:
        """Return the arguments of a call that the person of an operator makes and signs."""
        return {"signers": self.live.signers[operator : operator + 1], "who": self.live.who(operator)}
