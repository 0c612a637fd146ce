"""The rule of decisions in plain Python: what one person does on one day, with the reasons.

`decide` is pure: it reads a person, a day, a purse, a setting and draws, and returns a decision with the purse after
it. `kernel.decide` computes the same integers. Amounts are price steps, shares are parts per million.

A purchase of a purse is `label` from the purse and `own` money beside it. The same amount is `substituted` (bought on
this day anyway), `forward` (bought later otherwise, so that later purchases shrink) and `new`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.draws import Draws, happens, share_of
from sycee.sandbox.behaviour.layout import CLAIMED, DECILES, MEMBER, MPC_MAX, NO_PURSE, OUTSIDE, OVER, PPM
from sycee.sandbox.behaviour.setting import Setting

_LOW: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Person:
    """The facts of a person that decisions read. Amounts are price steps."""

    zone: int
    works_in: int
    month: int  # usual purchases of a month in shops
    liquid: int  # liquid wealth
    income_decile: int  # 0 to 9, of baseline income
    liquid_decile: int
    flags: int  # ELIGIBLE, OLD, DISABLED, HEAD


@dataclass(frozen=True, slots=True)
class Purse:
    """A person's money in the programme, and what the person owes to later purchases."""

    stage: int = NO_PURSE
    balance: int = 0
    debt: int = 0  # purchases brought forward and not yet paid back
    claim_day: int = 0  # before the claim: the first day on which it is possible
    payments: int = 0
    spent: int = 0
    returned: int = 0
    grant: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """One person's day. A shop is a position in the market, or OUTSIDE; a cell is a zone and a sector, -1 for none."""

    registers: bool = False
    claims: bool = False
    goes_out: bool = False
    ordinary_shop: int = OUTSIDE
    ordinary_cell: int = -1
    planned: int = 0  # the purchase without a programme
    paid_back: int = 0  # by which it shrinks, for what was brought forward
    uses: bool = False  # the purse pays
    shop: int = OUTSIDE
    cell: int = -1
    label: int = 0
    own: int = 0
    substituted: int = 0
    forward: int = 0
    new: int = 0
    lifted: int = 0  # part of forward and new: the raise to a threshold
    top_up: int = 0  # own money that the wallet needs for the payment
    decayed: int = 0  # returned to the funder: weekly decay, the unused part of a coupon or an indivisible packet
    refunded: int = 0  # paid by the purse at `shop` and taken back on the same day: no use, and no effect
    refunded_own: int = 0
    returned: int = 0  # to the funder, at the end

    @property
    def ordinary(self) -> int:
        """The part of the planned purchase that the purse does not replace, paid as usual at the ordinary shop."""
        return self.planned - self.paid_back - self.substituted


def decide(person: Person, day: int, purse: Purse, setting: Setting, draws: Draws) -> tuple[Decision, Purse]:
    """Return what a person does on a day from 0 to setting.days - 1, and the purse afterwards."""
    rules, today = setting.rules, setting.day(day)
    decision = Decision()
    if purse.stage == NO_PURSE and day == 0:
        decision = replace(decision, registers=registers(person, setting, draws))
    planned = basket(person, setting, draws) if happens(draws.bits(c.OUT), today[c.DAY_OUT]) else 0
    if planned:
        cell, shop = _ordinary(person, today[c.DAY_WORKS], setting, draws)
        decision = replace(decision, goes_out=True, ordinary_cell=cell, ordinary_shop=shop, planned=planned)
    if purse.stage == MEMBER and day >= purse.claim_day and _claims(person, today, setting, draws):
        decision = replace(decision, claims=True)
        purse = replace(purse, stage=CLAIMED, balance=purse.grant, claim_day=day)
    if purse.stage == CLAIMED and rules[c.R_DECAY_WEEK]:
        age = day - purse.claim_day
        if age > 0 and age % c.DAYS_OF_A_WEEK == 0:
            lost = purse.balance * rules[c.R_DECAY_WEEK] // PPM
            decision = replace(decision, decayed=lost)
            purse = replace(purse, balance=purse.balance - lost, returned=purse.returned + lost)
    if purse.debt and planned:
        # A purchase that was brought forward is paid back: planned purchases shrink by a share until `debt` is 0.
        back = min(purse.debt, planned * rules[c.R_PAYBACK] // PPM)
        planned -= back
        decision = replace(decision, paid_back=back)
        purse = replace(purse, debt=purse.debt - back)
    if purse.stage == CLAIMED and purse.balance and today[c.DAY_OPEN]:
        decision, purse = _use(person, day, purse, setting, draws, decision, planned)
    if today[c.DAY_ENDS] and purse.stage in (MEMBER, CLAIMED):
        rest = purse.balance if purse.stage == CLAIMED else purse.grant
        decision = replace(decision, returned=rest)
        purse = replace(purse, stage=OVER, balance=0, returned=purse.returned + rest)
    return decision, purse


def basket(person: Person, setting: Setting, draws: Draws) -> int:
    """Return the person's usual purchase of a day."""
    return person.month * int(setting.baskets[draws.bits(c.BASKET) >> 54]) >> c.BASKET_BITS


def registers(person: Person, setting: Setting, draws: Draws) -> bool:
    """Return whether a person asks for a place among the recipients; without registration, whether it may have one."""
    rules = setting.rules
    if not person.flags & c.ELIGIBLE:
        return False
    if not rules[c.R_MUST_REGISTER]:
        return True
    share = rules[c.R_REGISTER]
    if person.flags & c.OLD:
        share = share * rules[c.R_REGISTER_OLD] // PPM
    return happens(draws.once(c.REGISTER), share)


def propensity(person: Person, setting: Setting, draws: Draws) -> int:
    """Return new spending per unit of the grant: the variant's table, spread around it among equal persons."""
    share = int(setting.propensity[person.income_decile * DECILES + person.liquid_decile])
    if not share:
        return 0
    centred = 2 * share_of(draws.once(c.SPREAD)) - (PPM - 1)
    return min(max(share + setting.rules[c.R_SPREAD] * centred // PPM, 0), MPC_MAX)


def _claims(person: Person, today: list[int], setting: Setting, draws: Draws) -> bool:
    """Return whether a recipient claims today: claims are open, the packet has arrived, and the draws decide so."""
    share = setting.rules[c.R_CLAIM]
    if person.flags & (c.OLD | c.DISABLED):
        share = share * setting.rules[c.R_CLAIM_OLD] // PPM
    return (
        bool(today[c.DAY_CLAIMS])
        and happens(draws.once(c.WILLING), share)
        and happens(draws.once(c.DELIVERY), today[c.DAY_DELIVERED])
        and happens(draws.bits(c.CLAIM), today[c.DAY_CLAIM_HAZARD])
    )


def _use(
    person: Person, day: int, purse: Purse, setting: Setting, draws: Draws, decision: Decision, planned: int
) -> tuple[Decision, Purse]:
    """Return the decision with a payment of the purse, if there is one, and the purse afterwards."""
    rules, today, market = setting.rules, setting.day(day), setting.market
    same = decision, purse
    if happens(draws.once(c.NEVER), rules[c.R_NEVER]):
        return same
    anywhere = bool(rules[c.R_ANYWHERE])
    if planned and (anywhere or (decision.ordinary_shop >= 0 and market.accepts(decision.ordinary_shop))):
        # The usual shop accepts the purse; the person may still pay as usual.
        share = today[c.DAY_USE] + (rules[c.R_HABIT] if purse.payments else 0)
        if not rules[c.R_AUTOMATIC] and not happens(draws.bits(c.USE), share):
            return same
        cell, shop = decision.ordinary_cell, decision.ordinary_shop
    else:
        # A special trip to an accepting shop, instead of the usual shop or of staying at home.
        hazard = int(setting.start[day - purse.claim_day]) + today[c.DAY_HAZARD]
        if anywhere or not happens(draws.bits(c.SPECIAL), hazard):
            return same
        cell, shop = _accepting(person, setting, draws, decision.ordinary_cell if planned else -1)
        if shop < 0:
            return same
    available, piece = purse.balance, rules[c.R_PIECE]
    if piece and not rules[c.R_STACKING]:
        available = min(available, piece)
    if rules[c.R_PAYMENT_MAX]:
        available = min(available, rules[c.R_PAYMENT_MAX])
    # Own money is one more step, such as a top-up, except beside a coupon, which is only a discount.
    adds = anywhere or bool(piece) or happens(draws.bits(c.BESIDE), rules[c.R_BESIDE])
    own_max = max(person.liquid, planned) if adds and rules[c.R_OWN_MONEY] else 0
    target = planned or basket(person, setting, draws)
    if not anywhere and not piece and happens(draws.bits(c.CLEAR), rules[c.R_CLEAR]):
        target = available  # a purchase of the size of the balance, and own money beside it
        if own_max:
            size = 2 * share_of(draws.bits(c.BESIDE_SIZE))
            target += available * rules[c.R_BESIDE_SIZE] // PPM * size // PPM
    target = max(target, planned)
    new = min(available, target) * propensity(person, setting, draws) // PPM
    payment = min(max(target, planned + new), available + own_max)
    lifted, least = 0, rules[c.R_PAYMENT_MIN]
    if payment < least:
        # A payment just below the least amount is raised to it; far below it, the purse does not pay.
        distance, reach = (least - payment) * PPM // least, rules[c.R_LIFT_REACH]
        if distance >= reach or least > available + own_max:
            return same
        if not happens(draws.bits(c.LIFT), rules[c.R_LIFT] * (reach - distance) // reach):
            return same
        lifted, payment = least - payment, least
    if piece and rules[c.R_STACKING] and least:
        available = min(available, payment // least * piece)
    label = min(payment, available)
    if label <= 0:
        return same
    if not anywhere and happens(draws.bits(c.REFUND), rules[c.R_REFUND]):
        # Purse and wallet are as before, and the planned purchase is made as usual.
        own = payment - label
        undone = replace(decision, shop=shop, cell=cell, refunded=label, refunded_own=own, top_up=own)
        return undone, purse
    new = min(new, payment) * (PPM - rules[c.R_FORWARD]) // PPM + lifted * rules[c.R_LIFT_NEW] // PPM
    new = min(new, payment)
    substituted = min(planned, payment - new)
    forward = payment - new - substituted
    # A coupon and an indivisible packet are used up, even where the payment was smaller.
    unused = 0
    if piece:
        unused = min(-label % piece, purse.balance - label)
    elif not rules[c.R_DIVISIBLE]:
        unused = purse.balance - label
    decision = replace(
        decision,
        uses=True,
        shop=shop,
        cell=cell,
        label=label,
        own=payment - label,
        substituted=substituted,
        forward=forward,
        new=new,
        lifted=lifted,
        top_up=0 if anywhere else payment - label,
        decayed=decision.decayed + unused,
    )
    purse = replace(
        purse,
        balance=purse.balance - label - unused,
        returned=purse.returned + unused,
        debt=purse.debt + forward,
        payments=purse.payments + 1,
        spent=purse.spent + label,
    )
    return decision, purse


def _ordinary(person: Person, works: int, setting: Setting, draws: Draws) -> tuple[int, int]:
    """Return cell and shop of a planned purchase: sector by the basket, zone by gravity, shop by its weight."""
    market, rules = setting.market, setting.rules
    origin = person.zone
    if works and person.works_in != person.zone and happens(draws.bits(c.FROM_WORK), rules[c.R_FROM_WORK]):
        origin = person.works_in
    bits = draws.bits(c.PLACE)
    sector = pick(setting.sectors.tolist(), bits >> 32)
    if sector == market.sectors:
        return market.outside_cell, OUTSIDE
    there = pick(market.zone_table(origin, sector, is_open=False), bits & _LOW)
    cell = there * market.sectors + sector
    return cell, _shop(market.shop_table(cell, is_open=False), draws.bits(c.SHOP))


def _accepting(person: Person, setting: Setting, draws: Draws, planned_cell: int) -> tuple[int, int]:
    """Return cell and shop of a special trip: of the planned sector if shops of that sector accept, near home."""
    market, tables = setting.market, setting.open_sectors.tolist()
    kinds = market.sectors
    if not tables:
        return 0, OUTSIDE
    sector = -1
    if 0 <= planned_cell < market.outside_cell and tables[kinds + planned_cell % kinds]:
        sector = planned_cell % kinds
    if sector < 0:
        sector = pick(tables[:kinds], draws.bits(c.ANY_SECTOR) >> 32)
    there = pick(market.zone_table(person.zone, sector, is_open=True), draws.bits(c.OTHER_ZONE) & _LOW)
    cell = there * kinds + sector
    return cell, _shop(market.shop_table(cell, is_open=True), draws.bits(c.OTHER_SHOP))


def pick(table: list[int], half: int) -> int:
    """Return an index of an alias table, for 32 bits that choose it and decide between it and the other index."""
    scaled = half * len(table)
    index = scaled >> 32
    return index if scaled & _LOW < table[index] >> 32 else table[index] & _LOW


def _shop(table: tuple[int, list[int]], bits: int) -> int:
    """Return the position of a shop of a cell's alias table, which begins at a position; OUTSIDE if it is empty."""
    first, entries = table
    if not entries:
        return OUTSIDE
    index = (bits >> 32) * len(entries) >> 32
    return first + (index if bits & _LOW < entries[index] >> 32 else entries[index] & _LOW)
