"""A programme on a synthetic city by the engine alone, or day by day and hour by hour on a ledger.

On a ledger, the decisions of a day are computed from the purses that the ledger has at the end of the day before. What
it refuses did not happen: the purse of that person stays as the ledger has it, and the run counts the refusal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

import sycee
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.records import layout, operations
from sycee.core.records.layout import PURSE_BIT, PayFlag, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.programmes.definition import EQUAL, Programme
from sycee.programmes.schedule import local_time
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour import variants
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.behaviour.variants import Variant
from sycee.sandbox.city import groups
from sycee.sandbox.city.model import City
from sycee.sandbox.engine import run as engine
from sycee.sandbox.engine.outcome import RunOutcome
from sycee.sandbox.engine.run import Place
from sycee.sandbox.ledger_run import decisions, hours
from sycee.sandbox.ledger_run import recipients as recipient_lists
from sycee.sandbox.ledger_run.decisions import Decisions
from sycee.sandbox.ledger_run.events import BOUGHT, CLAIMED, OPENED, PAID, REFUNDED, STEPS, TOPPED, Events
from sycee.sandbox.ledger_run.folder import Day, RunFolder
from sycee.sandbox.ledger_run.live import LiveBank
from sycee.sandbox.ledger_run.opening import Books, open_books, wallet_records
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.sending import Sender
from sycee.sandbox.validity import predicting

REFUSED: Final = "refused "  # before the names of counts of refusals
Progress = Callable[[int, int], None]  # (done, total) in days

MOVEMENTS_PART: Final = 1 << 22  # movements per read


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A programme prepared for a city: what the engine and the ledger both run."""

    programme: Programme
    place: Place
    groups: Array  # (groups, merchants) bool
    setting: Setting
    seed: int
    with_ordinary: bool = False  # on a ledger, all purchases are paid

    @property
    def people(self) -> int:
        """Number of persons."""
        return len(self.place.people)

    @property
    def first_day(self) -> date:
        """Local day of day 0, on which claiming or spending begins."""
        programme = self.programme
        return local_time(min(programme.claim.from_ns, programme.spending.from_ns), programme.zone).date()


@dataclass(slots=True, eq=False)
class OnLedger:
    """What the ledger has at the end."""

    purses: Array  # [people, PURSE_FIELDS], as the engine's
    shops_paid: Array  # [merchants, 2]: from purses, and own money with that of ordinary purchases
    digest: str
    outside: int = 0  # ordinary purchases outside of the city
    operations: int = 0
    payments: int = 0  # with a purse
    refunds: int = 0  # of them
    purchases: int = 0  # ordinary ones
    refused: Counter[str] = field(default_factory=Counter)  # by "step: result"
    seconds: dict[str, float] = field(default_factory=dict)  # by phase


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """The bank of a run, whose packets are dropped, except those of later zones.

    `seconds`: what founding, registration, draw and drop took.
    """

    folder: RunFolder
    bank: LiveBank
    recipients: Recipients
    seconds: float


def prepare(
    programme: Programme,
    city: City,
    parameters: Parameters,
    *,
    seed: int,
    variant: Variant | str = variants.LIQUID_WEALTH,
    days: int | None = None,
    with_ordinary: bool = False,
) -> Case:
    """Return a case. Counts of the programme refer to the city at full size.

    with_ordinary: every person has a wallet, and a ledger also gets the purchases in own money alone.
    days: number of days from the first on which claiming or spending is open; None ends with the last day of spending.
    Raises UsageError for another currency, for fewer days than the programme has, and for a budget that is too small
    for all who share it.
    """
    if programme.currency.code != city.currency:
        raise UsageError(
            f"{programme.name} pays in {programme.currency.code}, and the city {city.name} has {city.currency}",
            hint="choose a programme and a city of one currency",
        )
    design = recipient_lists.first_design(programme, len(city.persons) * city.one_in)
    least = design.spend_until + 1
    if days is not None and days < least:
        raise UsageError(f"{days} days end before the spending of {programme.name}", hint=f"at least {least} days")
    accepting = groups.members(city, programme)
    shops: Array = np.asarray(accepting.any(axis=0))
    place = engine.prepare(city, shops)
    chosen = variants.named(variant) if isinstance(variant, str) else variant

    def setting_of(design: Design) -> Setting:
        setting = settings.make(design, parameters, chosen, place.market, least if days is None else days)
        setting.rules[c.R_SEED] = seed
        return setting

    setting = setting_of(design)
    if programme.mode == EQUAL:
        setting = setting_of(recipient_lists.equal_design(programme, place, setting))
    return Case(programme, place, accepting, setting, seed, with_ordinary)


def choose(case: Case) -> Recipients:
    """Return the recipients, without a bank."""
    return recipient_lists.choose(case.programme, case.place, case.setting, case.seed)


@contextmanager
def opened(case: Case, path: Path) -> Iterator[Opened]:
    """Found the bank of a case in a new folder, or open the one that an interrupted run left there.

    Its programme is registered, drawn and dropped, except later zones. Raises UsageError for a folder with something
    else or with another run, and for a programme that a run cannot have.
    """
    made = recipient_lists.registered(case.programme, case.place, case.setting, case.seed)
    seed = f"{case.programme.name}:{case.seed}".encode()
    begin = time.perf_counter()
    with closing(RunFolder.open(path, facts(case))) as folder, _bank(folder, case.programme, seed) as bank:
        folder.founded()
        recipients = bank.draw(made, case.seed)
        bank.drop()
        yield Opened(folder, bank, recipients, time.perf_counter() - begin)


def _bank(folder: RunFolder, programme: Programme, seed: bytes) -> LiveBank:
    return (LiveBank.open if folder.is_founded else LiveBank.found)(folder.bank, programme, seed)


def facts(case: Case) -> dict[str, Any]:
    """Return what must be equal for a run to be continued: other code could decide a day differently, and pay twice."""
    return {
        "programme": case.programme.name,
        "programme_digest": blake3(repr(case.programme).encode()).hexdigest(),
        "city": case.place.city.digest(),
        "variant": case.setting.variant.name,
        "parameters": case.setting.parameters.digest(),
        "seed": case.seed,
        "days": case.setting.days,
        "ordinary": case.with_ordinary,
        "release": sycee.__version__,
        "code": predicting.code_digest(predicting.RUN_CODE),
    }


def alone(case: Case, recipients: Recipients, progress: Progress | None = None) -> RunOutcome:
    """Return the outcome of the engine alone, with the purse of each person. progress: in persons."""
    setting = case.setting
    return engine.run(
        case.place,
        setting.design,
        setting.parameters,
        setting.variant,
        case.seed,
        setting.days,
        grants=recipients.grants(case.people),
        from_days=recipients.from_days(case.people),
        with_purses=True,
        progress=progress,
    )


def on_ledger(case: Case, begun: Opened, progress: Progress | None = None) -> OnLedger:
    """Run the days of a case on the ledger of its bank, from the first one that is not finished."""
    begin = time.perf_counter()
    books = open_books(begun.bank, case.groups, case.people, with_ordinary=case.with_ordinary)
    made = _Run(case, begun.recipients, books, begun.folder)
    made.seconds["programme"] = begun.seconds
    made.took("opening", begin)
    return made.run(progress)


class LedgerDays:
    """The days of a case on a ledger: purses of all persons, and own money in wallets if ordinary purchases are paid.

    bank: accounts of shops, which are open, and of wallets.
    """

    def __init__(self, case: Case, recipients: Recipients, bank: Books) -> None:
        self.case, self.recipients, self.bank, self.live = case, recipients, bank, bank.live
        self.ledger, self.number = bank.ledger, bank.numbers.number
        self.seconds: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        people = case.people
        self.purses = np.zeros((people, c.PURSE_FIELDS), np.int64)
        self.purses[recipients.person, c.STAGE] = c.MEMBER
        self.purses[recipients.person, c.GRANT] = recipients.minor
        self.purses[recipients.person, c.CLAIM_DAY] = recipients.since
        self.member = np.full(people, -1)  # of the cohort
        self.member[recipients.person] = np.arange(recipients.person.size)
        self.own = np.zeros(people if case.with_ordinary else 0, np.int64)  # in the wallet of each person
        self.given = (
            *engine.arguments(case.setting),
            *engine.Columns.of(case.place.people, case.setting.design).arrays,
        )
        shops = len(case.place.city.merchants)
        self.account_of = np.full(shops + 1, -1)  # of each merchant; the last is outside of the city
        self.account_of[bank.shop] = np.arange(bank.shop.size)
        self.account_of[shops] = bank.shop.size
        self.paid = np.zeros(0, ids.ID)  # of each decision of the day, the id of its payment
        self.wallet_row = self._rows(bank.wallet) if case.with_ordinary else np.zeros(0, np.int64)

    def took(self, phase: str, begin: float) -> None:
        """Add the time since `begin` to a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begin

    def day(self, day: int) -> None:
        """Decide a day from the purses of the ledger, submit what happens on it, and read the purses back."""
        case = self.case
        begin = time.perf_counter()
        made = self.decide(day)
        self.took("deciding", begin)
        begin = time.perf_counter()
        self.paid = np.zeros(made.person.size, ids.ID)
        top_up = self._top_up(made)
        local = hours.day_of(case.programme, day)
        if local.claims:
            self.live.fill(local.claims[0])
        events = self._events(day, local, made, top_up)
        self._issue(made, top_up)
        self.took("records", begin)
        codes = self.send(day, events, made, top_up)
        begin = time.perf_counter()
        self._count(codes, events, made)
        self._read_back(made, is_last=bool(case.setting.days_table[day, c.DAY_ENDS]))
        self.took("reading", begin)

    def decide(self, day: int) -> Decisions:
        """Return the decisions of a day, which change `purses`."""
        case = self.case
        return decisions.decide(self.given, case.setting.steps, day, self.purses, with_ordinary=case.with_ordinary)

    def _top_up(self, made: Decisions) -> Array:
        """Return what each person tops up: for a wallet that is short, a month's usual purchases at least."""
        if not self.case.with_ordinary:
            return made.of(c.D_TOP_UP)
        short = made.of(c.D_OWN) + made.of(c.D_REFUNDED_OWN) + made.ordinary - self.own[made.person]
        month = self.case.place.people.month[made.person]
        return np.where(short > 0, np.maximum(short, month), 0)

    def _issue(self, made: Decisions, top_up: Array) -> None:
        needed = np.zeros(self.bank.operators, np.int64)
        np.add.at(needed, self._operator(made.person), top_up)
        if needed.any():
            for operator, minor in enumerate(needed.tolist()):
                self.live.provide(operator, minor)

    def _operator(self, person: Array) -> Array:
        found: Array = self.bank.person_operator[person]
        return found

    def _events(self, day: int, local: hours.Day, made: Decisions, top_up: Array) -> Events:
        claims, refunded = made.of(c.D_CLAIMS) != 0, made.of(c.D_REFUNDED) != 0
        pays = (made.of(c.D_USES) != 0) | refunded
        claimed, paid = hours.moments(local, day, self.case.seed, made.person, claims, pays)
        claim, pay, refund = np.flatnonzero(claims), np.flatnonzero(pays), np.flatnonzero(refunded)
        topped = np.flatnonzero(top_up)
        by = self._operator(made.person)
        shops = np.zeros(by.size, np.int64)
        shops[refund] = self.bank.shop_operator[self._account_of(made.of(c.D_SHOP)[refund])]
        parts = [
            (CLAIMED, claim, claimed, by),
            (PAID, pay, paid, by),
            (REFUNDED, refund, hours.refunds(local, paid, refunded), shops),
        ]
        if not self.bank.wallets_are_open:
            parts.append((OPENED, claim, claimed, by))
        if not self.case.with_ordinary:
            return Events.ordered([(TOPPED, topped, paid, by), *parts])
        buys = made.ordinary > 0
        bought = hours.purchases(local, day, self.case.seed, made.person, buys)
        never = np.int64(I64_MAX)
        first = np.minimum(np.where(pays, paid, never), np.where(buys, bought, never))
        return Events.ordered([(TOPPED, topped, first, by), (BOUGHT, np.flatnonzero(buys), bought, by), *parts])

    def send(self, day: int, events: Events, made: Decisions, top_up: Array) -> Array:
        """Submit the events of a day, and the expiry; return their result codes."""
        codes = np.zeros(events.size, np.int64)
        expires_ns = self.case.programme.expires_ns
        ends = bool(self.case.setting.days_table[day, c.DAY_ENDS])
        sender = self.bank.sender()
        for moment, part in events.hours():
            if ends and moment >= expires_ns:
                ends = False
                self._finish(sender)
                self.live.expire()
            begin = time.perf_counter()
            records = self.records(day, moment, events, part, made, top_up)
            self.took("records", begin)
            begin = time.perf_counter()
            sender.send(records, events.operator[part], moment, codes[part])
            self.took("ledger", begin)
        self._finish(sender)
        if ends:
            self.live.expire()
        return codes

    def _finish(self, sender: Sender) -> None:
        begin = time.perf_counter()
        sender.finish()
        self.took("ledger", begin)

    def records(
        self, day: int, moment: int, events: Events, part: slice | Array, made: Decisions, top_up: Array
    ) -> Array:  # fmt: skip
        """Return the records of chosen events of one moment, in their order."""
        bank, step = self.bank, events.step[part]
        made_ids = bank.ids(f"day {day} at {moment}", step.size, moment)
        records = np.empty(step.size, layout.OPERATION)
        words = records.view(np.uint64).reshape(step.size, -1)  # copied faster than the fields of a record
        for number in np.unique(step).tolist():
            at = np.flatnonzero(step == number)
            row, operator, id = events.row[part][at], events.operator[part][at], made_ids[at]
            person = made.person[row]
            wallet = bank.wallet[person]
            if number == OPENED:
                found = wallet_records(bank, id, person, operator)
            elif number == CLAIMED:
                member = self.member[person]
                found = operations.claim(
                    id,
                    programme=self.number,
                    member=member,
                    member_id=self.recipients.member[member],
                    wallet=wallet,
                )
            elif number == TOPPED:
                found = operations.transfer(id, debit=bank.vault[operator], credit=wallet, amount=top_up[row])
            elif number == PAID:
                self.paid[row] = id
                payee = self._payee(made.of(c.D_SHOP)[row])
                found = operations.pay(id, payer=wallet, payee=payee, amount=made.payment(row))
            elif number == REFUNDED:
                found = operations.refund(id, original=self.paid[row], amount=made.payment(row))
            else:
                payee = self._payee(made.of(c.D_ORDINARY_SHOP)[row])
                amount = made.ordinary[row]
                found = operations.pay(id, payer=wallet, payee=payee, amount=amount, flags=int(PayFlag.OWN_ONLY))
            words[at] = found.view(np.uint64).reshape(at.size, -1)
        return records

    def _payee(self, position: Array) -> Array:
        """Return the account of each shop, given by its position in the market: (n,) ID."""
        found: Array = self.bank.shop_account[self._account_of(position)]
        return found

    def _account_of(self, position: Array) -> Array:
        """Return the number of the account of each shop, given by its position in the market: (n,) int64."""
        merchant = self.case.place.market.merchant[np.maximum(position, 0)].astype(np.int64)
        merchant[position == c.OUTSIDE] = self.account_of.size - 1
        found: Array = self.account_of[merchant]
        return found

    def _count(self, codes: Array, events: Events, made: Decisions) -> None:
        """Count operations, and undo what the decision assumed of claims and payments that the ledger refused."""
        is_done = codes == Result.CREATED
        self.counts["operations"] += events.size
        for name, number in (("payments", PAID), ("refunds", REFUNDED), ("purchases", BOUGHT)):
            self.counts[name] += int(np.count_nonzero((events.step == number) & is_done))
        wrong = np.flatnonzero(~is_done)
        for at in wrong.tolist():
            self.counts[f"{REFUSED}{STEPS[int(events.step[at])]}: {Result(int(codes[at])).name}"] += 1
        step, row = events.step[wrong], events.row[wrong]
        claimed = made.person[row[step == CLAIMED]]
        self.purses[claimed, c.CLAIM_DAY] = self.recipients.since[self.member[claimed]]
        pay = row[(step == PAID) & (made.of(c.D_USES)[row] != 0)]
        self.purses[made.person[pay], c.PAYMENTS] -= 1
        self.purses[made.person[pay], c.DEBT] -= made.of(c.D_FORWARD)[pay]

    def _read_back(self, made: Decisions, *, is_last: bool) -> None:
        """Set stage and amounts of the purses that changed, and the own money in wallets, from the ledger."""
        acted = made.person[(made.of(c.D_CLAIMS) | made.of(c.D_USES) | made.of(c.D_REFUNDED)) != 0]
        person = self.recipients.person if is_last else acted
        with self.ledger.sequencer.reading() as state:
            purses = state.purses(self.number)
            found = purses if is_last else purses[self.member[person]]
            is_over, is_claimed = found["state"] == PurseState.EXPIRED, found["wallet"] > 0
            spent, returned = found["spent"] - found["refunded"], found["returned"].copy()
            left = found["dropped"] - spent - returned
            if not self.case.setting.design.divisible:
                left[spent > 0] = 0  # pays once; the remainder returns at the expiry
            if self.case.with_ordinary:
                rows = self.wallet_row[made.person]
                self.own[made.person] = state.accounts["credits_posted"][rows] - state.accounts["debits_posted"][rows]
        self.purses[person, c.STAGE] = np.where(is_over, c.OVER, np.where(is_claimed, c.CLAIMED, c.MEMBER))
        self.purses[person, c.BALANCE] = np.where(is_claimed & ~is_over, left, 0)
        self.purses[person, c.SPENT] = spent
        self.purses[person, c.RETURNED] = returned

    def _rows(self, accounts: Array) -> Array:
        with self.ledger.sequencer.reading() as state:
            found: Array = state.rows(accounts)
        return found


class _Run(LedgerDays):
    """A run with a folder, which an interrupted one continues from."""

    def __init__(self, case: Case, recipients: Recipients, bank: Books, folder: RunFolder) -> None:
        super().__init__(case, recipients, bank)
        self.folder = folder
        self.first = self._kept()

    def run(self, progress: Progress | None) -> OnLedger:
        days = self.case.setting.days
        for day in range(self.first, days):
            self.day(day)
            self._keep(day + 1)
            if progress is not None:
                progress(day + 1, days)
        begin = time.perf_counter()
        self.live.close()
        self.ledger.check()
        digest = self.ledger.digest().hex()
        self.took("checking", begin)
        begin = time.perf_counter()
        shops_paid, outside = self._shops()
        self.took("reading", begin)
        refused = {name.removeprefix(REFUSED): count for name, count in self.counts.items() if name.startswith(REFUSED)}
        return OnLedger(
            purses=self.purses,
            shops_paid=shops_paid,
            digest=digest,
            outside=outside,
            operations=self.counts["operations"],
            payments=self.counts["payments"],
            refunds=self.counts["refunds"],
            purchases=self.counts["purchases"],
            refused=Counter(refused),
            seconds=self.seconds,
        )

    def _kept(self) -> int:
        """Restore the figures of the last whole day of an interrupted run; return the number of days."""
        kept = self.folder.day()
        if kept is None:
            return 0
        self.purses[self.recipients.person] = kept.purses
        self.own[:] = kept.own
        self.counts = Counter(kept.counts)
        return kept.days

    def _keep(self, days: int) -> None:
        begin = time.perf_counter()
        self.live.clock.set(read_ns(self.live.clock))
        self.folder.keep(Day(days, self.purses[self.recipients.person], self.own, self.counts))
        self.took("keeping", begin)

    def _shops(self) -> tuple[Array, int]:
        """Return what each merchant received from purses and from own money, [merchants, 2], and shops outside."""
        rows = self._rows(self.bank.shop_account)
        paid = np.zeros((self.account_of.size, 2), np.int64)
        with self.ledger.sequencer.reading() as state:
            by_row = np.zeros((2, state.accounts.size), np.int64)
            movements = state.movements
            for first in range(0, movements.size, MOVEMENTS_PART):
                part = movements[first : first + MOVEMENTS_PART]
                for column, purpose in enumerate((Purpose.PAY_PURSE, Purpose.PAY_OWN)):
                    chosen = part["purpose"] == purpose
                    credit = part["credit_row"][chosen] & ~np.uint32(PURSE_BIT)
                    np.add.at(by_row[column], credit, part["amount"][chosen])
                for column, purpose in enumerate((Purpose.REFUND_PURSE, Purpose.REFUND_OWN)):
                    chosen = part["purpose"] == purpose
                    np.subtract.at(by_row[column], part["debit_row"][chosen], part["amount"][chosen])
        paid[self.bank.shop] = by_row[:, rows[: self.bank.shop.size]].T
        return paid[:-1], int(by_row[1, rows[-1]]) if self.case.with_ordinary else 0
