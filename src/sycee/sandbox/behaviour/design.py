"""The design of a programme as decisions read it: who gets how much, in which form, when and where it can be spent.

Days are whole and counted from 0; a day is included from its first to its last minute. Amounts are minor units. Counts
of persons refer to `population`, and a run scales them to its city. An impossible design cannot be made: the
error names its field.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sycee.core import typos
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour.layout import PPM

NONE: Final = "none"
LOTTERY: Final = "lottery"
UNIVERSAL: Final = "universal"
FIRST_COME: Final = "first_come"
HOW: Final = (NONE, LOTTERY, UNIVERSAL, FIRST_COME)

LABEL: Final = "label"
CASH: Final = "cash"
COUPON: Final = "coupon"
KINDS: Final = (LABEL, CASH, COUPON)

APP: Final = "app"
CARD_PREPAID: Final = "card_prepaid"
CARD_OWN: Final = "card_own"
PAPER: Final = "paper"
CHANNELS: Final = (APP, CARD_PREPAID, CARD_OWN, PAPER)

PERSON: Final = "person"
HOUSEHOLD: Final = "household"
UNITS: Final = (PERSON, HOUSEHOLD)

DAYS_MAX: Final = 3_660  # ten years
NEVER: Final = DAYS_MAX  # the last day of money that does not expire
AMOUNT_MAX: Final = 1 << 40  # minor units: products with parts per million and a basket stay in 64 bits


@dataclass(frozen=True, slots=True)
class Moved:
    """A deadline that was moved: on day `announced`, `until` was announced as the last day."""

    announced: int
    until: int


@dataclass(frozen=True, slots=True)
class Shops:
    """The merchants that accept the money. `share_ppm` is drawn among the merchants that all other fields allow."""

    share_ppm: int = PPM
    sectors: tuple[str, ...] = ()  # (): all
    zones: tuple[int, ...] = ()  # rows of the city's zones; (): all
    online: bool = True
    chains: bool = True
    turnover_max: int = 0  # of a year, in minor units; 0: any


@dataclass(frozen=True, slots=True)
class Design:
    """One design. Defaults are a lottery of packets in an app that everybody spends within the window."""

    how: str = LOTTERY
    kind: str = LABEL
    recipients: int = 0  # persons or households; 0 with UNIVERSAL: all that are eligible
    amount: int = 0  # minor units for a recipient
    classes: tuple[tuple[int, int], ...] = ()  # (recipients, amount), instead of both: the first to the first tickets
    population: int = 0  # to which `recipients` and `registered` refer; 0: the persons of the run
    registered: int = 0  # 0: not known
    unit: str = PERSON
    amount_by_size: tuple[int, ...] = ()  # of a household with 1, 2, … persons, instead of `amount`; the last for more
    age_min: int = 0
    price: int = 0  # what a recipient pays for the amount
    pieces: int = 1  # of a coupon: number of equal pieces of the amount
    payment_min: int = 0  # the money is skipped in a smaller payment
    per_payment_max: int = 0  # the money pays at most this part of one payment; 0: no maximum
    stacking: bool = False  # of a coupon: a piece for each full `payment_min` of a payment
    channel: str = APP
    activation: bool = True  # False: spendable without a step of the recipient
    automatic: bool = False  # the money pays every purchase that it may, without being chosen
    delivered: tuple[tuple[int, int], ...] = ()  # (day, share of packets delivered by its end, in ppm), ascending
    claim_from: int = 0
    claim_until: int = NEVER  # last day
    spend_from: int = 0
    spend_until: int = NEVER  # last day, as first announced
    moved: tuple[Moved, ...] = ()
    decay_week: int = 0  # ppm of the balance returned to the funder every week after the claim
    shops: Shops = Shops()
    divisible: bool = True  # False: the remainder of a payment is returned to the funder
    own_money: bool = True  # a payment may add own money to the purse's
    first_weekday: int = 0  # of day 0; 0: Monday
    price_step: int = 1  # minor units: every amount that a person decides is a multiple

    def __post_init__(self) -> None:
        """Raise UsageError for an impossible field or an impossible combination of fields."""
        for name, choices in (("how", HOW), ("kind", KINDS), ("channel", CHANNELS), ("unit", UNITS)):
            value = getattr(self, name)
            typos.require(value, choices, f"{name} = {value!r} is no choice", f"one of {', '.join(choices)}")
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(f"{name} = {value} is impossible", hint=f"a whole number from {least} to {most}")
        if any(count < 1 or not 0 < amount <= AMOUNT_MAX for count, amount in self.classes):
            raise UsageError("classes has an empty class", hint=f"(recipients ≥ 1, amount from 1 to {AMOUNT_MAX})")
        if self.how != NONE and not self.classes and not self.amount_by_size and not self.amount:
            raise UsageError("amount is 0", hint="give `amount` in minor units, or classes or amount_by_size")
        if self.how in (LOTTERY, FIRST_COME) and not self.classes and not self.recipients:
            raise UsageError("recipients is 0", hint=f'give their number; how = "{UNIVERSAL}" pays everybody')
        if self.amount_by_size and self.unit != HOUSEHOLD:
            raise UsageError("amount_by_size needs households", hint=f'unit = "{HOUSEHOLD}"')
        if self.spend_until < self.spend_from or self.claim_until < self.claim_from:
            raise UsageError("a window ends before it starts", hint="the last day is no earlier than the first")
        announced, until = -1, self.spend_until
        for each in self.moved:
            if each.announced <= announced or each.announced > until or each.until < self.spend_from:
                raise UsageError(
                    f"a deadline moved on day {each.announced} to day {each.until} is impossible",
                    hint="each move is later than the one before, and no later than the deadline that it moves",
                )
            announced, until = each.announced, each.until
        if [*self.delivered] != sorted(set(self.delivered)) or any(not 0 <= each <= PPM for _, each in self.delivered):
            raise UsageError("delivered is no rising share", hint="(day, ppm) in ascending order, up to 1,000,000")
        if self.kind == COUPON and self.amount_largest % self.pieces:
            raise UsageError(f"{self.amount_largest} is not {self.pieces} equal pieces", hint="amount = pieces × value")

    @property
    def amount_largest(self) -> int:
        """The largest amount of a recipient."""
        return max([self.amount, *self.amount_by_size, *(amount for _, amount in self.classes)])

    @property
    def last_day(self) -> int:
        """The last day on which the money can be spent, after all moves; NEVER if it does not expire."""
        return self.moved[-1].until if self.moved else self.spend_until

    @property
    def window_days(self) -> int:
        """Length of the window as first announced; NEVER if there is no deadline."""
        return NEVER if self.spend_until >= NEVER else self.spend_until - max(self.spend_from, self.claim_from) + 1

    def deadline(self, day: int) -> int:
        """Return the last day of the window as announced by `day`."""
        until = self.spend_until
        for each in self.moved:
            if each.announced <= day:
                until = each.until
        return until

    def digest(self) -> str:
        """Return 32 hexadecimal digits of SHA-256 over all fields."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]


_RANGES: Final = (
    ("recipients", 0, 1 << 40),
    ("amount", 0, AMOUNT_MAX),
    ("population", 0, 1 << 40),
    ("registered", 0, 1 << 40),
    ("age_min", 0, 255),
    ("price", 0, AMOUNT_MAX),
    ("pieces", 1, 10_000),
    ("payment_min", 0, AMOUNT_MAX),
    ("per_payment_max", 0, AMOUNT_MAX),
    ("claim_from", 0, NEVER),
    ("claim_until", 0, NEVER),
    ("spend_from", 0, NEVER),
    ("spend_until", 0, NEVER),
    ("decay_week", 0, PPM),
    ("first_weekday", 0, 6),
    ("price_step", 1, 1_000_000),
)

NO_PROGRAMME: Final = Design(how=NONE)
