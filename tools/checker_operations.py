"""The checker's operations: a method for each kind, with its name, in the order of docs/reference/ledger.md.

It refuses with the first code whose reason holds, or does all that the operation asks. § means a section there.
"""
# Set by hand, and with short bodies on the line of their condition, so that one operation is seen at one glance.
# fmt: off
# ruff: noqa: D102, E701, I001

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from typing import Any

from blake3 import blake3
from checker_ledger import (
    CLAIMED, DROPPED, EMPTY, EXPIRED, IN_TRANSIT, ISSUANCE, MOST, OPEN, POSTED, SUSPENSE, TIMED_OUT, VOIDED, Bound,
    Operation, Purse, Refusal, Row, State, credits_over, debits_over, deny, ident, refuse, whole,
)

# The order in which the accounts of a batch can refuse its settlement, §10.
SETTLE_ORDER = [
    "DEBIT_ACCOUNT_CLOSED", "CREDIT_ACCOUNT_CLOSED", "DEBIT_ACCOUNT_BLOCKED", "CREDIT_ACCOUNT_BLOCKED",
    "RULE_SET_NOT_IN_FORCE", "OVERFLOWS_DEBITS", "OVERFLOWS_CREDITS", "EXCEEDS_BALANCE", "RESERVED_FOR_REFUNDS",
    "EXCEEDS_DAY_LIMIT", "EXCEEDS_MONTH_LIMIT", "EXCEEDS_YEAR_LIMIT", "EXCEEDS_BALANCE_LIMIT",
]

class Ledger(State):
    """The whole ledger."""

    # Definitions and accounts, §3, §4
    def define_currency(self, o: Operation) -> None:
        deny(CURRENCY_EXISTS=o.number in self.currencies, TOO_MANY_CURRENCIES=len(self.currencies) >= 16)
        self.currencies[o.number] = o.part("zone")
    def define_group(self, o: Operation) -> None:
        deny(GROUP_EXISTS=o.number in self.groups)
        self.groups[o.number] = set()
    def join_group(self, o: Operation) -> None:
        deny(GROUP_NOT_FOUND=o.number not in self.groups, ACCOUNT_NOT_FOUND=o.debit not in self.accounts)
        self.groups[o.number].add(o.debit)
    def leave_group(self, o: Operation) -> None:
        self.join_group(o)
        self.groups[o.number].remove(o.debit)
    def define_rule_set(self, o: Operation) -> None:
        rules, (old, _), home = o.rules(), self.rule_sets.get(o.number, (None, None)), self.accounts.get(o.rules().home)
        deny(GROUP_NOT_FOUND=not {*rules.groups} - {0} <= {*self.groups},
             RULE_SET_EXISTS=old and rules.effective_ns <= self.now,
             RULE_SET_NOT_FOUND=not old and rules.effective_ns > self.now,
             RULE_SET_MUST_KEEP_WINDOW=old and old[2:5] != rules[2:5],
             RETURN_ACCOUNT_NOT_FOUND=rules.home and (not home or home.kind == IN_TRANSIT))
        self.rule_sets[o.number] = [old or rules, rules if old else None]
    def open_account(self, o: Operation) -> None:
        twin = o.first == ISSUANCE and self.issuance(o.number)
        suspense = self.accounts.get(o.credit)
        fits = not o.credit or (suspense and suspense.kind == SUSPENSE and suspense.currency == o.number
                                and suspense.operator in (0, o.count))
        deny(CURRENCY_NOT_FOUND=o.number not in self.currencies,
             RULE_SET_NOT_FOUND=o.rule_set and o.rule_set not in self.rule_sets,
             ACCOUNT_EXISTS=o.debit in self.accounts, ISSUANCE_EXISTS=twin, SUSPENSE_NOT_FOUND=not fits)
        account = self.accounts[o.debit] = Row(
            row=len(self.accounts), id=o.debit, currency=o.number, kind=o.first, operator=o.count, rule_set=o.rule_set,
            debits=0, credits=0, debits_pending=0, credits_pending=0, debit_reasons=0, credit_reasons=0, closed=0,
            last=0, link=None, used=(0, 0, 0), period=(0, 0, 0), key=bytes(32), algorithm=0, epoch=0, purses=[])
        account.suspense = suspense or account
    def changing(self, o: Operation, *kinds: int) -> Any:  # the account to be changed; those of some kinds must not be
        (account,) = self.find(ACCOUNT_NOT_FOUND=o.debit)
        deny(ACCOUNT_MUST_STAY_OPEN=account.kind in kinds, ACCOUNT_CLOSED=account.closed)
        return account
    def block_account(self, o: Operation) -> None:
        account, reason = self.changing(o, SUSPENSE), 1 << o.first - 1
        account.debit_reasons |= reason * (o.flags & 1)
        account.credit_reasons |= reason * (o.flags >> 1)
    def unblock_account(self, o: Operation) -> None:
        self.block_account(o)
        account, reason = self.accounts[o.debit], 1 << o.first - 1
        account.debit_reasons ^= reason * (o.flags & 1)
        account.credit_reasons ^= reason * (o.flags >> 1)
    def close_account(self, o: Operation) -> None:
        account = self.changing(o, SUSPENSE, ISSUANCE)
        deny(ACCOUNT_NOT_EMPTY=account.balance or account.debits_pending or account.credits_pending)
        account.closed = o.first
    def set_rule_set(self, o: Operation) -> None:
        deny(RULE_SET_NOT_FOUND=o.rule_set and o.rule_set not in self.rule_sets)
        self.changing(o).rule_set = o.rule_set
    def set_key(self, o: Operation) -> None:
        account = self.changing(o)
        account.key, account.algorithm, account.epoch = o.part("key"), o.flags, account.epoch + 1
    def link_account(self, o: Operation) -> None:
        (account,), to = self.find(ACCOUNT_NOT_FOUND=o.debit), None
        if o.credit:
            (to,) = self.find(CREDIT_ACCOUNT_NOT_FOUND=o.credit)
            deny(CURRENCIES_MUST_MATCH=account.currency != to.currency,
                 LINK_KIND_WRONG=(account.kind == IN_TRANSIT) == (to.kind == IN_TRANSIT))
        deny(ACCOUNT_CLOSED=account.closed)
        account.link = to
    def parties(self, o: Operation) -> list[Any]:
        return self.find(DEBIT_ACCOUNT_NOT_FOUND=o.debit, CREDIT_ACCOUNT_NOT_FOUND=o.credit)
    def able(self, giver: Row, taker: Row, *also: Row) -> None:  # also: further accounts that receive
        takers = (taker, *also)
        deny(CURRENCIES_MUST_MATCH=any(row.currency != giver.currency for row in takers),
             ACCOUNT_IS_IN_TRANSIT=IN_TRANSIT in (giver.kind, taker.kind), DEBIT_ACCOUNT_CLOSED=giver.closed,
             CREDIT_ACCOUNT_CLOSED=any(row.closed for row in takers), DEBIT_ACCOUNT_BLOCKED=giver.debit_reasons,
             CREDIT_ACCOUNT_BLOCKED=any(row.credit_reasons for row in takers),
             RULE_SET_NOT_IN_FORCE=not self.in_force(taker))
    def transfer(self, o: Operation) -> None:
        giver, taker = self.parties(o)
        self.able(giver, taker)
        refuse(self.reach(giver, taker))
        deny(OVERFLOWS_DEBITS=debits_over(o.amount, giver), OVERFLOWS_CREDITS=credits_over(o.amount, taker))
        refuse(self.giving(giver, o.amount))
        via = self.receiving(taker, o.amount)
        self.use_up(giver, o.amount)
        self.move(giver, taker, o.amount, "TRANSFER")
        self.spill(o, taker, o.amount, via)

    # Programmes, §5
    def programme(self, o: Operation) -> Any:
        deny(PROGRAMME_NOT_FOUND=o.number not in self.programmes)
        return self.programmes[o.number]
    def expired(self, programme: Row) -> bool:
        return bool(self.now >= self.rules(programme).until_ns)
    def open_programme(self, o: Operation) -> None:
        deny(RULE_SET_NOT_FOUND=o.rule_set not in self.rule_sets, PROGRAMME_EXISTS=o.number in self.programmes)
        home = self.accounts.get(self.rule_sets[o.rule_set][0].home)
        if not home: raise Refusal("RETURN_ACCOUNT_NOT_FOUND")
        (funder,) = self.find(DEBIT_ACCOUNT_NOT_FOUND=o.debit)
        deny(CURRENCIES_MUST_MATCH=home.currency != funder.currency, ACCOUNT_IS_IN_TRANSIT=funder.kind == IN_TRANSIT)
        programme = self.programmes[o.number] = Row(number=o.number, rule_set=o.rule_set, funder=funder, home=home,
                                                    filled=0, seal=0, claim=(o.from_ns, o.until_ns))
        programme.purses = [Purse(
            row=1 << 31 | self.purses + index, programme=programme, index=index, member=0, wallet=None, dropped=0,
            spent=0, refunded=0, returned=0, pending=0, state=EMPTY, last=0) for index in range(o.count)]
        self.purses += o.count
    def add_members(self, o: Operation) -> None:
        programme = self.programme(o)
        deny(COHORT_SEALED=programme.seal, MEMBER_NOT_FOUND=o.first + o.count > len(programme.purses),
             MEMBERS_OUT_OF_ORDER=o.first != programme.filled)
        for index, name in enumerate(o.members, o.first): programme.purses[index].member = whole(o.part(name))
        programme.filled += o.count
    def seal_cohort(self, o: Operation) -> None:
        programme = self.programme(o)
        members = b"".join(ident(purse.member) for purse in programme.purses)
        deny(COHORT_SEALED=programme.seal, COHORT_INCOMPLETE=programme.filled < len(programme.purses),
             COHORT_DIGEST_DIFFERS=blake3(members).digest() != o.part("name"))
        programme.seal = o.id
    def drop(self, o: Operation) -> None:
        programme = self.programme(o)
        funder, limit = programme.funder, self.rules(programme).balance
        fill = [purse for purse in programme.purses[o.first : o.first + o.count] if purse.state == EMPTY]
        total = o.amount * len(fill)
        deny(COHORT_NOT_SEALED=not programme.seal, SEAL_DIFFERS=programme.seal != o.reference,
             MEMBER_NOT_FOUND=o.first + o.count > len(programme.purses),
             DEBIT_ACCOUNT_CLOSED=funder.closed, DEBIT_ACCOUNT_BLOCKED=funder.debit_reasons,
             PROGRAMME_EXPIRED=self.expired(programme), OVERFLOWS_DEBITS=debits_over(total, funder))
        refuse(self.giving(funder, total, single=False) if fill else "")
        deny(EXCEEDS_BALANCE_LIMIT=0 < limit < o.amount)
        self.use_up(funder, total)
        for purse in fill:
            self.move(funder, purse, o.amount, "DROP")
            purse.state = DROPPED
    def claim(self, o: Operation) -> None:
        programme = self.programme(o)
        (wallet,) = self.find(CREDIT_ACCOUNT_NOT_FOUND=o.credit)
        deny(COHORT_NOT_SEALED=not programme.seal, MEMBER_NOT_FOUND=o.first >= len(programme.purses))
        purse = programme.purses[o.first]
        deny(MEMBER_DIFFERS=purse.member != o.reference,
             CURRENCIES_MUST_MATCH=wallet.currency != programme.funder.currency,
             ACCOUNT_IS_IN_TRANSIT=wallet.kind == IN_TRANSIT, CREDIT_ACCOUNT_CLOSED=wallet.closed,
             CREDIT_ACCOUNT_BLOCKED=wallet.credit_reasons, PURSE_NOT_DROPPED=purse.state == EMPTY,
             PURSE_CLAIMED=purse.wallet, PROGRAMME_EXPIRED=self.expired(programme) or purse.state == EXPIRED,
             CLAIM_WINDOW_NOT_OPEN=self.now < programme.claim[0], CLAIM_WINDOW_CLOSED=self.now >= programme.claim[1],
             TOO_MANY_PURSES=sum(each.state != EXPIRED for each in wallet.purses) >= 16)
        purse.wallet, purse.state = wallet, CLAIMED
        wallet.purses.append(purse)
        wallet.purses.sort(key=lambda p: (self.rules(p.programme).until_ns, p.programme.number, p.index))
    def payment(self, o: Operation, payer: Row, payee: Row) -> tuple[list[tuple[Purse, int]], int, Any]:
        self.able(payer, payee)  # what PAY and HOLD ask; parts of purses, own money, waterfall
        parts, own = [], o.amount
        for purse in payer.purses:
            most = self.rules(purse.programme).single or own
            if o.flags & 2 or purse.state != CLAIMED or not self.in_force(purse.programme): continue
            if own and purse.balance > 0 and not self.reach(purse.programme, payee):
                parts.append((purse, min(purse.balance, most, own)))
                own -= parts[-1][1]
        mine = own and not o.flags & 1
        refuse(self.reach(payer, payee) if mine else "")
        deny(OVERFLOWS_DEBITS=debits_over(o.amount, payer, *(purse for purse, _ in parts)),
             OVERFLOWS_CREDITS=credits_over(o.amount, payee), EXCEEDS_BALANCE=own and not mine)
        refuse(self.giving(payer, own) if mine else "")
        return parts, own, self.receiving(payee, o.amount)
    def pay(self, o: Operation) -> None:
        payer, payee = self.parties(o)
        parts, own, via = self.payment(o, payer, payee)
        for purse, part in parts: self.move(purse, payee, part, "PAY_PURSE")
        self.use_up(payer, own)
        if own: self.move(payer, payee, own, "PAY_OWN")
        self.spill(o, payee, o.amount, via)
    def home(self, programme: Row) -> tuple[Any, str]:  # where a purse's rest returns
        back = programme.home
        return (back, "RETURN") if back.takes else (back.suspense, "RETURN_SUSPENSE")
    def expire(self, o: Operation) -> None:
        programme = self.programme(o)
        purses, (home, purpose) = programme.purses[o.first : o.first + o.count], self.home(programme)
        deny(COHORT_NOT_SEALED=not programme.seal, MEMBER_NOT_FOUND=o.first + o.count > len(programme.purses),
             PROGRAMME_NOT_EXPIRED=not self.expired(programme),
             OVERFLOWS_CREDITS=credits_over(sum(purse.balance for purse in purses if purse.state != EXPIRED), home))
        for purse in purses:
            if purse.state != EXPIRED and purse.balance: self.move(purse, home, purse.balance, purpose)
            purse.state = EXPIRED
    def slices(self, original: Bound, amount: int) -> Iterator[tuple[Any, int, list[tuple[Any, Any, str]]]]:
        at, end = 0, original.refunded + amount  # what comes next of an original: its leg's giver, amount, movements
        for giver, part in reversed(original.legs):
            size = min(at + part, end) - max(at, original.refunded)
            at += part
            if size <= 0: continue
            if not isinstance(giver, Purse):
                to = (giver, "OWN") if giver.takes else (giver.suspense, "SUSPENSE")
                yield giver, size, [(original.payee, *to)]
            elif giver.state == EXPIRED or self.expired(giver.programme):
                yield giver, size, [(original.payee, giver, "PURSE"), (giver, *self.home(giver.programme))]
            else: yield giver, size, [(original.payee, giver, "PURSE")]
    def original(self, o: Operation, refusal: str, kinds: tuple[int, ...]) -> Any:
        deny(ORIGINAL_NOT_FOUND=o.reference not in self.bound)
        original = self.bound[o.reference]
        posted = original.kind == 33 and original.legs  # a hold that POST_HOLDS posted
        deny(**{refusal: original.kind not in kinds and not posted}, ORIGINAL_WAS_REFUSED=original.code != "CREATED")
        return original
    def give_back(self, original: Bound, amount: int, word: str) -> None:
        for _, size, moves in [*self.slices(original, amount)]:
            for debit, credit, purpose in moves:
                self.move(debit, credit, size, purpose if purpose.startswith("RETURN") else f"{word}_{purpose}")
        self.add(self.bound, original._replace(refunded=original.refunded + amount))
    def refundable(self, o: Operation, original: Bound) -> None:
        takers = [credit for _, _, moves in self.slices(original, o.amount) for _, credit, _ in moves]
        deny(EXCEEDS_REFUNDABLE=original.refunded + o.amount > original.amount,
             OVERFLOWS_DEBITS=debits_over(o.amount, original.payee), OVERFLOWS_CREDITS=credits_over(o.amount, *takers))
    def refund(self, o: Operation) -> None:
        original = self.original(o, "ORIGINAL_IS_NOT_A_PAY", (31, 34))
        payee, window = original.payee, self.rules(original.payee).window_s
        deny(DEBIT_ACCOUNT_CLOSED=payee.closed, DEBIT_ACCOUNT_BLOCKED=payee.debit_reasons,
             REFUND_WINDOW_CLOSED=window and self.now - original.now >= window * 10**9)
        self.refundable(o, original)
        deny(EXCEEDS_BALANCE=payee.kind != ISSUANCE and o.amount > payee.available)
        self.give_back(original, o.amount, "REFUND")
    def reverse(self, o: Operation) -> int:
        original = self.original(o, "ORIGINAL_NOT_REVERSIBLE", (30, 31, 34))
        self.refundable(o, original)
        taken = o.amount if original.payee.kind == ISSUANCE else max(0, min(o.amount, original.payee.available))
        self.give_back(original, taken, "REVERSAL")
        return int(o.amount - taken)  # the claim on record

    # Holds, §7
    def hold(self, o: Operation) -> None:
        payer, payee = self.parties(o)
        (third,) = self.find(RELEASER_NOT_FOUND=o.reference) if o.flags & 4 else (None,)
        deny(HOLD_MUST_END_LATER=o.until_ns <= self.now)
        parts, own, _ = self.payment(o, payer, payee)
        self.use_up(payer, own)
        counted = own > 0 and payer.rule_set > 0
        hold = Row(id=o.id, number=len(self.hold_order), payer=payer, payee=payee, third=third, own=own, legs=parts,
                   end=0, lock=o.part("hash") if o.flags & 8 else b"", counted=counted, state=OPEN,
                   period=payer.period if counted else (0, 0, 0))
        self.add(self.holds, hold)
        self.hold_order.append(hold)
        if self.undo is not None: self.undo.append(self.hold_order.pop)
        self.pend(hold, parts, own)
        self.ends_at(hold, self.end(hold, o.until_ns))
    def end(self, hold: Row, until: int) -> int:
        return min([until, *(int(self.rules(purse.programme).until_ns) for purse, _ in hold.legs)])
    def ends_at(self, hold: Row, end: int) -> None:
        hold.end = end
        heapq.heappush(self.ends, (end, hold.number))
    def found(self, id: int) -> Any:
        deny(HOLD_NOT_FOUND=id not in self.holds)
        return self.holds[id]
    def asks(self, asker: int, *able: Row) -> None:
        deny(NOT_A_PARTY_TO_HOLD=asker not in [each.id for each in able])
    def undone(self, hold: Row) -> None:
        deny(HOLD_DONE=hold.state in (POSTED, VOIDED), HOLD_TIMED_OUT=hold.state == TIMED_OUT)
    def postable(self, hold: Row, asker: int, secret: bytes) -> None:
        self.asks(asker, *([hold.third] if hold.third else [hold.payee] if hold.lock else [hold.payee, hold.payer]))
        deny(PREIMAGE_DIFFERS=(hashlib.sha256(secret).digest() if secret else b"") != hold.lock)
        self.undone(hold)
        deny(CREDIT_ACCOUNT_CLOSED=hold.payee.closed, DEBIT_ACCOUNT_BLOCKED=hold.payer.debit_reasons,
             CREDIT_ACCOUNT_BLOCKED=hold.payee.credit_reasons)
    def voidable(self, hold: Row, asker: int) -> None:
        self.asks(asker, hold.payee, *([hold.third] if hold.third else []))
        self.undone(hold)
    def take(self, hold: Row, amount: int) -> None:
        self.keep(hold)
        for index, (purse, part) in enumerate([*hold.legs, (None, hold.own)]):
            size = min(part, amount)
            amount -= size
            if size and purse:
                hold.legs = [*hold.legs[:index], (purse, part - size), *hold.legs[index + 1 :]]
                self.pend(hold, [(purse, -size)], 0)
                self.move(purse, hold.payee, size, "PAY_PURSE")
            elif size:
                hold.own -= size
                self.pend(hold, [], -size)
                self.move(hold.payer, hold.payee, size, "PAY_OWN")
        if not hold.held: hold.state = POSTED
    def post(self, o: Operation) -> None:
        hold = self.found(o.reference)
        self.postable(hold, o.debit, o.part("secret") if o.flags & 2 else b"")
        deny(EXCEEDS_HELD=o.amount > hold.held)
        via = self.way_out(hold.payee, o.amount, held=True)
        self.take(hold, o.amount)
        if o.flags & 1: self.let_go(hold, POSTED)
        self.spill(o, hold.payee, o.amount, via)
    def void(self, o: Operation) -> None:
        hold = self.found(o.reference)
        self.voidable(hold, o.debit)
        self.let_go(hold, VOIDED)
    def extend(self, o: Operation) -> None:
        hold = self.found(o.reference)
        deny(NOT_A_PARTY_TO_HOLD=o.debit != hold.payer.id)
        self.undone(hold)
        end = self.end(hold, o.until_ns)
        deny(HOLD_MUST_END_LATER=end <= hold.end)
        self.keep(hold)
        self.ends_at(hold, end)
    def run_of_holds(self, o: Operation) -> list[Row]:
        first, last = self.found(o.debit), self.found(o.credit)
        deny(HOLDS_OUT_OF_ORDER=first.number > last.number)
        return self.hold_order[first.number : last.number + 1]
    def post_holds(self, o: Operation) -> None:
        for hold in self.run_of_holds(o):
            try: self.postable(hold, o.reference, b"")
            except Refusal: continue
            self.legs, amount = [], hold.held
            self.take(hold, amount)
            self.bound[hold.id] = self.bound[hold.id]._replace(
                now=self.now, amount=amount, legs=tuple(self.legs), payee=hold.payee)
    def void_holds(self, o: Operation) -> None:
        for hold in self.run_of_holds(o):
            try: self.voidable(hold, o.reference)
            except Refusal: continue
            self.let_go(hold, VOIDED)

    # Money on its way, §8
    def send(self, o: Operation) -> None:
        source, to, via = self.find(
            DEBIT_ACCOUNT_NOT_FOUND=o.debit, CREDIT_ACCOUNT_NOT_FOUND=o.credit, TRANSIT_ACCOUNT_NOT_FOUND=o.reference)
        deny(TRANSIT_ACCOUNT_NOT_FOUND=via.kind != IN_TRANSIT)
        self.able(source, to, via)
        refuse(self.reach(source, to))
        spare = source.available - self.rules(source).reserve
        amount = min(o.amount, spare) if o.flags & 1 and source.kind != ISSUANCE else o.amount
        deny(OVERFLOWS_DEBITS=debits_over(amount, source), OVERFLOWS_CREDITS=credits_over(amount, to, via),
             EXCEEDS_BALANCE=amount <= 0)
        refuse(self.giving(source, amount))
        deny(EXCEEDS_BALANCE_LIMIT=self.too_full(to, amount))
        self.use_up(source, amount)
        self.move(source, via, amount, "SEND")
        self.depart(o, source, via, to, amount, source.rule_set > 0)
    def arrive(self, o: Operation, back: bool) -> None:
        deny(TRANSIT_NOT_FOUND=o.reference not in self.transits)
        transit = self.transits[o.reference]
        wanted, amount, freed = transit.source if back else transit.to, transit.amount, transit.to
        taker = wanted if wanted.takes else wanted.suspense
        deny(TRANSIT_DONE=transit.state != OPEN, OVERFLOWS_DEBITS=debits_over(amount, transit.via),
             OVERFLOWS_CREDITS=credits_over(0 if taker is freed else amount, taker))
        self.keep(transit, freed, wanted)
        freed.credits_pending -= amount
        transit.state = 2 if back else 1
        purpose = ("REJECT" if back else "CONFIRM") + "_SUSPENSE" * (not wanted.takes)
        self.move(transit.via, taker, amount, purpose)
        if back: self.use_back(wanted, amount, transit)
    def confirm(self, o: Operation) -> None:
        self.arrive(o, back=False)
    def reject(self, o: Operation) -> None:
        self.arrive(o, back=True)

    # Settlement, §10
    def stage(self, o: Operation) -> None:
        giver, taker = self.parties(o)
        batch = self.batches.get(o.number) or Row(currency=giver.currency, payments=[], total=0, state=OPEN)
        deny(BATCH_DONE=batch.state != OPEN,
             CURRENCIES_MUST_MATCH={giver.currency, taker.currency} != {batch.currency},
             ACCOUNT_IS_IN_TRANSIT=IN_TRANSIT in (giver.kind, taker.kind))
        refuse(self.reach(giver, taker))
        deny(OVERFLOWS_CREDITS=batch.total + o.amount > MOST)
        batch.payments.append((giver, taker, o.amount))
        batch.total += o.amount
        self.batches[o.number] = batch
    def settle(self, o: Operation) -> None:
        deny(BATCH_NOT_FOUND=o.number not in self.batches)
        batch = self.batches[o.number]
        deny(BATCH_DONE=batch.state != OPEN, BATCH_DIFFERS=(o.count, o.amount) != (len(batch.payments), batch.total))
        if o.flags & 1:
            batch.state = 2
            return
        sums: dict[Row, list[int]] = {}
        for giver, taker, amount in batch.payments:
            sums.setdefault(giver, [0, 0])[0] += amount
            sums.setdefault(taker, [0, 0])[1] += amount
        codes = {code for account, (gives, gets) in sums.items() for code in self.settling(account, gives, gets)}
        refuse(min(codes, key=SETTLE_ORDER.index, default=""))
        for account, (gives, gets) in sums.items(): self.use_up(account, max(0, gives - gets))
        for giver, taker, amount in batch.payments: self.move(giver, taker, amount, "SETTLEMENT")
        batch.state = 1
    def settling(self, account: Row, gives: int, gets: int) -> Iterator[str]:  # what an account has against it
        if gives and account.closed: yield "DEBIT_ACCOUNT_CLOSED"
        if gets and account.closed: yield "CREDIT_ACCOUNT_CLOSED"
        if gives and account.debit_reasons: yield "DEBIT_ACCOUNT_BLOCKED"
        if gets and account.credit_reasons: yield "CREDIT_ACCOUNT_BLOCKED"
        if gets > gives and not self.in_force(account): yield "RULE_SET_NOT_IN_FORCE"
        if debits_over(gives, account): yield "OVERFLOWS_DEBITS"
        if credits_over(gets, account): yield "OVERFLOWS_CREDITS"
        if gives > gets and (code := self.giving(account, gives - gets, single=False)): yield code
        if gets > gives and self.too_full(account, gets - gives): yield "EXCEEDS_BALANCE_LIMIT"

    # Roles and rules, §11
    def grant_role(self, o: Operation) -> None:
        self.grants[o.id] = Row(person=o.debit, role=o.first, algorithm=o.flags, key=o.part("key"), operator=o.count,
                                from_ns=o.from_ns, until_ns=o.until_ns, revoked=0)
        self.authority |= self.officers() >= 2
    def revoke_role(self, o: Operation) -> None:
        deny(GRANT_NOT_FOUND=o.reference not in self.grants)
        grant = self.grants[o.reference]
        few = self.authority and grant.role == 1 and self.officers(without=grant) < 2
        deny(GRANT_REVOKED=grant.revoked, OFFICERS_MUST_REMAIN=few)
        grant.revoked = 1
    def upgrade(self, o: Operation) -> None:
        deny(RULES_NOT_NEWER=o.number <= self.version)
        self.version = o.number
