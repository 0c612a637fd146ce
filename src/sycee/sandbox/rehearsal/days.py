"""The days of a rehearsal on its bank: the sandbox's days, with claims by the bank's service, and refused attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.canonical_json import canonical
from sycee.core.errors import require
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.programmes import states
from sycee.programmes.dropping import PacketClaim
from sycee.programmes.schedule import local_time
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.ledger_run import decisions, hours
from sycee.sandbox.ledger_run.decisions import Decisions
from sycee.sandbox.ledger_run.events import CLAIMED, PAID, REFUNDED, STEPS, TOPPED, Events
from sycee.sandbox.ledger_run.opening import Books
from sycee.sandbox.ledger_run.recipients import Recipients
from sycee.sandbox.ledger_run.run import Case, LedgerDays
from sycee.sandbox.rehearsal import attempts
from sycee.sandbox.rehearsal.attempts import Attempt, Chooser

NOWHERE: Final = -1  # the shop of a claim


@dataclass(slots=True)
class Happened:
    """What people did and tried, in the order of submission, without ids: equal for equal seeds."""

    rows: list[tuple[int, str, int, int, int, str]] = field(default_factory=list)
    # (moment, step or reason, person, shop, amount in minor units, result code)

    def digest(self) -> str:
        """Return the BLAKE3-256 of all rows, hexadecimal."""
        return blake3(canonical(self.rows)).hexdigest()

    def count(self, what: str) -> int:
        """Return how often a step was done."""
        return sum(each[1] == what and each[5] == Result.CREATED.name for each in self.rows)

    def sum(self, what: str) -> int:
        """Return the amounts of a step that was done, in minor units."""
        return sum(each[4] for each in self.rows if each[1] == what and each[5] == Result.CREATED.name)

    def refused(self) -> dict[tuple[str, str], int]:
        """Return the number of refusals by step or reason, and code, sorted."""
        found = Counter((each[1], each[5]) for each in self.rows if each[5] != Result.CREATED.name)
        return dict(sorted(found.items()))

    def payments_of_packets(self, people: int) -> Array:
        """Return how often the packet of each person paid, without payments that were taken back: (people,) int64."""
        found = np.zeros(people, np.int64)
        for _, what, person, _, _, code in self.rows:
            if code == Result.CREATED.name:
                found[person] += (what == "payment") - (what == "refund")
        return found


class RehearsalDays(LedgerDays):
    """Days of a case. The last `outside` shops of the bank do not take part."""

    def __init__(self, case: Case, recipients: Recipients, bank: Books, outside: int) -> None:
        super().__init__(case, recipients, bank)
        self.happened = Happened()
        self._chooser = Chooser(case.seed)
        self._taking = bank.shop.size - outside  # number of shops that take packets
        self._tried: list[Attempt] = []
        self._has_own = np.zeros(case.people, np.bool_)  # own money in the wallet, from a payment that was taken back
        self._tried_late = False

    def run(self, step: Callable[[], None]) -> None:
        """Run all days, and the day after the expiry, on which the ledger refuses. step: called after each day."""
        for day in range(self.case.setting.days):
            self.day(day)
            step()
        self._after()

    def claimed(self) -> Array:
        """Return whose packet was claimed: (people,) bool."""
        found = np.zeros(self.case.people, np.bool_)
        with self.ledger.sequencer.reading() as state:
            found[self.recipients.person] = state.purses(self.number)["wallet"] > 0
        return found

    # --- what people do and try ---

    def decide(self, day: int) -> Decisions:
        """Return the decisions of a day, and choose what people try on it."""
        before = self.purses.copy()
        # Also persons who only buy in own money: some of them try to pay with their packet.
        every = decisions.decide(self.given, self.case.setting.steps, day, self.purses, with_ordinary=True)
        acts = (every.of(c.D_CLAIMS) | every.of(c.D_USES) | every.of(c.D_REFUNDED)) != 0
        made = Decisions(every.person[acts], every.fields[:, acts], every.ordinary[acts])
        buys = Decisions(every.person[~acts], every.fields[:, ~acts], every.ordinary[~acts])
        local = hours.day_of(self.case.programme, day)
        self._tried = [
            *self._of_acting(day, local, made), *self._elsewhere(day, local, buys, before),
            *self._late_claims(day, local, before[:, c.STAGE] == c.MEMBER),
        ]  # fmt: skip
        self._has_own[made.person[made.of(c.D_REFUNDED_OWN) > 0]] = True
        return made

    def _of_acting(self, day: int, local: hours.Day, made: Decisions) -> Iterator[Attempt]:
        """Yield what is tried before a payment, and after a claim."""
        claims = made.of(c.D_CLAIMS) != 0
        pays = (made.of(c.D_USES) | made.of(c.D_REFUNDED)) != 0
        claimed, paid = hours.moments(local, day, self.case.seed, made.person, claims, pays)
        shop = self._account_of(made.of(c.D_SHOP))
        for each in self._chooser.first_tries(day, made, paid, shop):
            if not self._has_own[each.person]:
                yield each
        yield from self._chooser.second_claims(day, made.person[claims], claimed[claims])

    def _elsewhere(self, day: int, local: hours.Day, buys: Decisions, before: Array) -> Iterator[Attempt]:
        """Yield payments in shops that do not take packets, by persons with a packet who buy there in own money."""
        shop = buys.of(c.D_ORDINARY_SHOP)
        holds = (before[buys.person, c.STAGE] == c.CLAIMED) & (before[buys.person, c.BALANCE] > 0)
        holds &= (shop >= 0) & (self._account_of(shop) < 0) & ~self._has_own[buys.person]
        shop = self._taking + shop[holds] % (self.bank.shop.size - self._taking)
        given = buys.person[holds], shop, buys.ordinary[holds]
        yield from self._chooser.others(attempts.ELSEWHERE, day, *given, local.payments)

    def _late_claims(self, day: int, local: hours.Day, unclaimed: Array) -> Iterator[Attempt]:
        """Yield claims on the first day after the last one of claims. unclaimed: (people,) bool."""
        until_ns = self.case.programme.claim.until_ns
        choices = tuple(each for each in local.purchases if each >= until_ns)
        if local.claims or not choices or self._tried_late:
            return
        self._tried_late = True
        person = np.flatnonzero(unclaimed)
        nothing = np.zeros(person.size, np.int64)
        yield from self._chooser.others(attempts.LATE_CLAIM, day, person, nothing + NOWHERE, nothing, choices)

    def _after(self) -> None:
        """Try to claim and to pay on the first day after the expiry."""
        programme = self.case.programme
        end = local_time(programme.expires_ns, programme.zone).date()
        day = (end - self.case.first_day).days
        local = hours.day_of(programme, day)
        if not any(each >= programme.expires_ns for each in local.purchases):
            day, local = day + 1, hours.day_of(programme, day + 1)
        with self.ledger.sequencer.reading() as state:
            purses = state.purses(self.number)
            has_rest = (purses["wallet"] > 0) & (purses["returned"] > 0)
            person, rest = self.recipients.person[has_rest], purses["returned"][has_rest].astype(np.int64)
        never = np.zeros(self.case.people, np.bool_)
        never[self.recipients.person] = ~self.claimed()[self.recipients.person]
        person, rest = person[~self._has_own[person]], rest[~self._has_own[person]]
        choices = tuple(each for each in local.purchases if each >= programme.expires_ns)
        tried = [
            *self._late_claims(day, local, never),
            *self._chooser.others(attempts.LATE_PAYMENT, day, person, person % self._taking, rest, choices),
        ]
        for moment, found in groupby(sorted(tried), key=lambda each: each.moment):
            self.live.reach(moment)
            self._try(list(found))

    # --- submission ---

    def send(self, day: int, events: Events, made: Decisions, top_up: Array) -> Array:
        """Submit the events and attempts of a day hour by hour, and the expiry; return the codes of the events."""
        codes = np.zeros(events.size, np.int64)
        parts = dict(events.hours())
        tried = {at: list(found) for at, found in groupby(sorted(self._tried), key=lambda each: each.moment)}
        for moment in sorted({*parts, *tried}):
            self.live.reach(moment)  # an expiry before it is a job
            now = tried.get(moment, [])
            self._try([each for each in now if each.reason != attempts.TWICE])
            if moment in parts:
                rows = np.arange(parts[moment].start, parts[moment].stop)
                is_claim = events.step[rows] == CLAIMED
                claims, others = rows[is_claim], rows[~is_claim]
                codes[claims] = self._claim(made.person[events.row[claims]])
                if others.size:
                    records = self.records(day, moment, events, others, made, top_up)
                    codes[others] = self._submit(records, events.operator[others], moment)
                self._note(moment, events, rows, made, top_up, codes)
            self._try([each for each in now if each.reason == attempts.TWICE])
        if self.case.setting.days_table[day, c.DAY_ENDS]:
            self.live.expire()
        return codes

    def _note(
        self, moment: int, events: Events, rows: Array, made: Decisions, top_up: Array, codes: Array
    ) -> None:  # fmt: skip
        """Note the events of one moment."""
        row, step = events.row[rows], events.step[rows]
        amount = np.where(step == TOPPED, top_up[row], np.where(step == CLAIMED, 0, made.payment(row)))
        shop = np.where((step == PAID) | (step == REFUNDED), self._account_of(made.of(c.D_SHOP)[row]), NOWHERE)
        for number, person, place, minor, code in zip(
            step.tolist(), made.person[row].tolist(), shop.tolist(), amount.tolist(), codes[rows].tolist(), strict=True
        ):
            self.happened.rows.append((moment, STEPS[number], person, place, minor, Result(code).name))

    def _try(self, found: list[Attempt]) -> None:
        """Submit attempts of one moment, which the ledger must refuse."""
        claims = [each for each in found if each.reason in attempts.CLAIMS]
        others = [each for each in found if each.reason not in attempts.CLAIMS]
        codes = self._claim(np.array([each.person for each in claims], np.int64)).tolist()
        others.sort(key=lambda each: int(self.bank.person_operator[each.person]))
        if others:
            moment, person = others[0].moment, np.array([each.person for each in others])
            records = operations.pay(
                self.bank.ids(f"attempts at {moment}", len(others), moment),
                payer=self.bank.wallet[person],
                payee=self.bank.shop_account[np.array([each.shop for each in others])],
                amount=np.array([each.amount for each in others]),
            )
            codes += self._submit(records, self._operator(person), moment).tolist()
        for each, code in zip([*claims, *others], codes, strict=True):
            require(code != Result.CREATED, f"the ledger created a {each.reason} of person {each.person}")
            self.happened.rows.append((*each[:2], each.person, each.shop, each.amount, Result(code).name))

    def _submit(self, records: Array, by: Array, moment: int) -> Array:
        """Submit records of one moment that operators sign, and return their codes. by: equal ones are neighbours."""
        codes = np.zeros(records.size, np.int64)
        sender = self.bank.sender()
        sender.send(records, by, moment, codes)
        sender.finish()
        return codes

    def _claim(self, person: Array) -> Array:
        """Claim the packets of persons by the bank's service, and return the codes: (n,) int64.

        The service accepts no claim after the expiry: those records go to the ledger directly.
        """
        codes = np.zeros(person.size, np.int64)
        operator, member = self._operator(person), self.member[person]
        programmes, name = self.live.bank.programmes, self.case.programme.name
        is_over = programmes.occurrence(name).state != states.DROPPED if person.size else False
        for number in np.unique(operator).tolist():
            at = np.flatnonzero(operator == number)
            wallets, members = self.bank.wallet[person[at]], self.recipients.member[member[at]]
            if is_over:
                records = operations.claim(
                    ids.from_ints([self.ledger.new_id() for _ in at]),
                    programme=self.number, member=member[at], member_id=members, wallet=wallets,
                )  # fmt: skip
                codes[at] = self._submit(records, operator[at], self.live.clock.now_ns())
                continue
            pairs = zip(ids.to_ints(members), ids.to_ints(wallets), strict=True)
            claims = [PacketClaim(*each) for each in pairs]
            signers, who = self.live.signers[number : number + 1], self.live.who(number)
            outcomes = programmes.claim_many(name, 0, claims, signers=signers, who=who)
            codes[at] = [int(code) for each in outcomes for code in each.results]
        return codes
