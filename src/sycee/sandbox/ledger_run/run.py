"""A programme on a synthetic city by the engine alone, or day by day and hour by hour on a ledger.

On a ledger, the decisions of a day are computed from the purses that the ledger has at the end of the day before. What
it refuses did not happen: the purse of that person stays as the ledger has it, and the run counts the refusal.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import PURSE_BIT, AccountKind, Purpose, PurseState
from sycee.core.result_codes import Result
from sycee.ledger.batch import first_codes
from sycee.programmes.definition import Programme
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import of_programme, variants
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.behaviour.variants import Variant
from sycee.sandbox.city import groups
from sycee.sandbox.city.model import City
from sycee.sandbox.engine import kernel
from sycee.sandbox.engine import run as engine
from sycee.sandbox.engine.outcome import Outcome
from sycee.sandbox.engine.run import Place
from sycee.sandbox.ledger_run import hours
from sycee.sandbox.ledger_run import recipients as recipient_lists
from sycee.sandbox.ledger_run.opening import NUMBER, open_bank, suspense_of, vault_of
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sequencer.embedded import Ledger

DRAW_FOLDER: Final = "draw"
Progress = Callable[[int, int], None]  # (done, total) in days

_OPENED, _CLAIMED, _TOPPED, _PAID = range(4)  # steps of a person in one hour, in this order


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A programme prepared for a city: what the engine and the ledger both run."""

    programme: Programme
    place: Place
    groups: Array  # (groups, merchants) bool
    setting: Setting
    seed: int

    @property
    def people(self) -> int:
        """Number of persons."""
        return len(self.place.people)


@dataclass(slots=True, eq=False)
class OnLedger:
    """What the ledger has at the end."""

    purses: Array  # [people, PURSE_FIELDS], as the engine's
    shops_paid: Array  # [merchants, 2]: from purses, and own money
    digest: str
    operations: int = 0
    payments: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by "step: result"
    seconds: dict[str, float] = field(default_factory=dict)  # by phase


def prepare(
    programme: Programme,
    city: City,
    parameters: Parameters,
    *,
    seed: int,
    variant: Variant | str = variants.LIQUID_WEALTH,
    days: int | None = None,
) -> Case:
    """Return a case. Counts of the programme refer to the city at full size.

    days: number of days from the first on which claiming or spending is open; None ends with the last day of spending.
    Raises UsageError for another currency, and for fewer days than the programme has.
    """
    if programme.currency.code != city.currency:
        raise UsageError(
            f"{programme.name} pays in {programme.currency.code}, and the city {city.name} has {city.currency}",
            hint="choose a programme and a city of one currency",
        )
    design = of_programme.design(programme, population=len(city.persons) * city.one_in)
    least = design.spend_until + 1
    if days is not None and days < least:
        raise UsageError(f"{days} days end before the spending of {programme.name}", hint=f"at least {least} days")
    accepting = groups.members(city, programme)
    shops: Array = np.asarray(accepting.any(axis=0))
    place = engine.prepare(city, shops)
    chosen = variants.named(variant) if isinstance(variant, str) else variant
    setting = settings.make(design, parameters, chosen, place.market, least if days is None else days)
    setting.rules[c.R_SEED] = seed
    return Case(programme, place, accepting, setting, seed)


def choose(case: Case, folder: Path | None = None) -> Recipients:
    """Return the recipients. A draw is published in the folder `draw` of `folder`."""
    published = None if folder is None else folder / DRAW_FOLDER
    return recipient_lists.choose(case.programme, case.place, case.setting, case.seed, published)


def alone(case: Case, recipients: Recipients) -> Outcome:
    """Return the outcome of the engine alone, with the purse of each person."""
    setting = case.setting
    return engine.run(
        case.place,
        setting.design,
        setting.parameters,
        setting.variant,
        case.seed,
        setting.days,
        grants=recipients.grants(case.people),
        with_purses=True,
    )


def on_ledger(case: Case, recipients: Recipients, folder: Path, progress: Progress | None = None) -> OnLedger:
    """Run a case on a new durable ledger in `folder`.

    Raises UsageError for a programme whose packets a ledger cannot have.
    """
    if not case.setting.design.divisible:
        raise UsageError(
            f"packets of {case.programme.name} are indivisible, and a ledger keeps what a payment leaves",
            hint="run it without --ledger",
        )
    clock = SimulatedClock(case.programme.registration.from_ns)
    with Ledger.open(folder, clock=clock, snapshot_frames=None) as ledger:
        return _Run(case, recipients, ledger, clock).run(progress)


class _Run:
    """One run on a ledger: purses of all persons, and the rows of recipients in cohort order."""

    def __init__(self, case: Case, recipients: Recipients, ledger: Ledger, clock: SimulatedClock) -> None:
        self.case, self.recipients, self.ledger, self.clock = case, recipients, ledger, clock
        self.seconds: dict[str, float] = {}
        self.refused: Counter[str] = Counter()
        self.operations = self.payments = 0
        people, count = case.people, recipients.person.size
        self.purses = np.zeros((people, c.PURSE_FIELDS), np.int64)
        self.purses[recipients.person, c.STAGE] = c.MEMBER
        self.purses[recipients.person, c.GRANT] = recipients.minor
        self.decisions = np.zeros((people, c.DECISION_FIELDS), np.int64)
        self.given = (
            *engine.arguments(case.setting),
            *engine.Columns.of(case.place.people, case.setting.design).arrays,
        )
        self.operator = recipients.person % len(case.programme.operators)
        seed = f"{case.programme.name}:{case.seed}".encode()
        begin = time.perf_counter()
        self.bank = open_bank(case.programme, ledger, clock, seed, case.groups, recipients)
        self._took("opening", begin)
        self.wallet = self.bank.ids("wallets", count)
        self.account_of = np.full(len(case.place.city.merchants), -1)
        self.account_of[self.bank.shop] = np.arange(self.bank.shop.size)

    def run(self, progress: Progress | None) -> OnLedger:
        days = self.case.setting.days
        for day in range(days):
            self._day(day)
            if progress is not None:
                progress(day + 1, days)
        begin = time.perf_counter()
        self.ledger.check()
        self.bank.central.check(self.ledger)
        digest = self.ledger.digest().hex()
        self._took("checking", begin)
        return OnLedger(
            self.purses, self._shops(), digest, self.operations, self.payments, self.refused, self.seconds
        )  # fmt: skip

    def _took(self, phase: str, begin: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begin

    def _day(self, day: int) -> None:
        begin = time.perf_counter()
        kernel.decide_many(
            *self.given, 0, self.case.people, self.case.setting.steps, day, self.purses, self.decisions
        )  # fmt: skip
        self._took("deciding", begin)
        begin = time.perf_counter()
        times, records, by, step, member = self._records(day)
        self._took("records", begin)
        begin = time.perf_counter()
        codes = np.zeros(records.size, np.int64)
        signing = self.bank.signed(*self.bank.authorities.operators)
        starts = np.flatnonzero(np.diff(times, prepend=-1))
        for first, last in pairwise([*starts.tolist(), records.size]):
            self.clock.set(int(times[first]))
            codes[first:last] = first_codes(signing.submit(records[first:last], by=by[first:last]))
        self.operations += records.size
        self.payments += int(np.count_nonzero((step == _PAID) & (codes == Result.CREATED)))
        if self.case.setting.days_table[day, c.DAY_ENDS]:
            self.bank.expire()
        self._took("ledger", begin)
        begin = time.perf_counter()
        self._refuse(codes, step, member)
        self._read_back()
        self._took("reading", begin)

    def _records(self, day: int) -> tuple[Array, Array, Array, Array, Array]:
        """Return (times, records, operators, steps, members) of a day, in the order of time."""
        bank, person = self.bank, self.recipients.person
        made = self.decisions[person]
        claims, pays = made[:, c.D_CLAIMS] != 0, made[:, c.D_USES] != 0
        local = hours.day_of(self.case.programme, day)
        claimed, paid = hours.moments(local, day, self.case.seed, person, claims, pays)
        top_up = made[:, c.D_TOP_UP]
        needed = np.zeros(bank.operators, np.int64)
        np.add.at(needed, self.operator, top_up)
        if needed.any():
            bank.issue(day, local.from_ns, needed.tolist())
        claim = _by_time(claimed, claims)
        pay = _by_time(paid, pays)
        topped = pay[top_up[pay] > 0]
        operator = self.operator
        opening = operations.open_account(
            bank.ids(f"wallets opened {day}", claim.size, claimed[claim]),
            account=self.wallet[claim],
            currency=bank.central.currency,
            kind=AccountKind.WALLET,
            suspense=suspense_of(bank.central, operator[claim]),
            operator=operator[claim] + 1,
        )
        claiming = operations.claim(
            bank.ids(f"packets claimed {day}", claim.size, claimed[claim]),
            programme=NUMBER,
            member=claim,
            member_id=self.recipients.member[claim],
            wallet=self.wallet[claim],
        )
        topping = operations.transfer(
            bank.ids(f"top-ups {day}", topped.size, paid[topped]),
            debit=vault_of(bank.central, operator[topped]),
            credit=self.wallet[topped],
            amount=top_up[topped],
        )
        merchant = self.case.place.market.merchant[made[pay, c.D_SHOP]]
        paying = operations.pay(
            bank.ids(f"payments {day}", pay.size, paid[pay]),
            payer=self.wallet[pay],
            payee=bank.shop_account[self.account_of[merchant]],
            amount=made[pay, c.D_LABEL] + made[pay, c.D_OWN],
        )
        member = np.concatenate([claim, claim, topped, pay])
        step = np.repeat([_OPENED, _CLAIMED, _TOPPED, _PAID], [claim.size, claim.size, topped.size, pay.size])
        times = np.concatenate([claimed[claim], claimed[claim], paid[topped], paid[pay]])
        order = np.lexsort((step, times))
        records = np.concatenate([opening, claiming, topping, paying])[order]
        return times[order], records, operator[member][order], step[order], member[order]

    def _refuse(self, codes: Array, step: Array, member: Array) -> None:
        """Undo what the decision assumed of claims and payments that the ledger refused, and count refusals."""
        wrong = np.flatnonzero(codes != Result.CREATED)
        for at in wrong.tolist():
            name = ("wallet", "claim", "top-up", "payment")[int(step[at])]
            self.refused[f"{name}: {Result(int(codes[at])).name}"] += 1
        claim = self.recipients.person[member[wrong[step[wrong] == _CLAIMED]]]
        self.purses[claim, c.CLAIM_DAY] = 0
        pay = self.recipients.person[member[wrong[step[wrong] == _PAID]]]
        self.purses[pay, c.PAYMENTS] -= 1
        self.purses[pay, c.DEBT] -= self.decisions[pay, c.D_FORWARD]

    def _read_back(self) -> None:
        """Set stage and amounts of the purses from the ledger."""
        with self.ledger.sequencer.reading() as state:
            found = state.purses(NUMBER)
            is_over, is_claimed = found["state"] == PurseState.EXPIRED, found["wallet"] > 0
            spent, returned = found["spent"] - found["refunded"], found["returned"].copy()
            left = found["dropped"] - spent - returned
        person = self.recipients.person
        self.purses[person, c.STAGE] = np.where(is_over, c.OVER, np.where(is_claimed, c.CLAIMED, c.MEMBER))
        self.purses[person, c.BALANCE] = np.where(is_claimed & ~is_over, left, 0)
        self.purses[person, c.SPENT] = spent
        self.purses[person, c.RETURNED] = returned

    def _shops(self) -> Array:
        """Return what each merchant of the city received, from purses and from own money: [merchants, 2]."""
        paid = np.zeros((self.account_of.size, 2), np.int64)
        with self.ledger.sequencer.reading() as state:
            rows = state.rows(self.bank.shop_account)
            movements = state.movements
            for column, purpose in enumerate((Purpose.PAY_PURSE, Purpose.PAY_OWN)):
                chosen = movements["purpose"] == purpose
                credit, amount = movements["credit_row"][chosen], movements["amount"][chosen]
                by_row = np.zeros(state.accounts.size, np.int64)
                np.add.at(by_row, credit & ~np.uint32(PURSE_BIT), amount)
                paid[self.bank.shop, column] = by_row[rows]
        return paid


def _by_time(moments: Array, chosen: Array) -> Array:
    """Return the indices of `chosen`, in the order of their moments."""
    index = np.flatnonzero(chosen)
    found: Array = index[np.argsort(moments[index], kind="stable")]
    return found
