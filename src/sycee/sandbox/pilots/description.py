"""Description of a pilot: facts of its design, without any result. docs/reference/pilot-files.md lists every key.

`load` reads a file, or a shipped one by name. Days are counted from `Description.first`, the first day on which money
is delivered, claimed or spent; amounts are minor units; shares are parts per million. Optional facts that a file leaves
out are in `absent`: a simulation draws them from wide ranges, so they widen a prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from blake3 import blake3

from sycee import data
from sycee.core import documents, money
from sycee.core.documents import Table
from sycee.core.errors import SyceeError, UsageError
from sycee.core.money import Currency
from sycee.sandbox.behaviour import design as designs
from sycee.sandbox.behaviour.design import AMOUNT_MAX, Design, Moved, Shops
from sycee.sandbox.behaviour.layout import PPM

FOLDER: Final = "pilot-designs"

CLAIM_RATE: Final = "claim_rate"
SPENT_OF_CLAIMED: Final = "spent_of_claimed"
SPENT_OF_ISSUED: Final = "spent_of_issued"
PAYMENTS_PER_CLAIMER: Final = "payments_per_claimer"
PAYMENT_MEAN: Final = "payment_mean"
OWN_MONEY_OF_SPENT: Final = "own_money_of_spent"
MPC: Final = "mpc"
MPC_OF_ISSUED: Final = "mpc_of_issued"
OWN_MONEY_PER_SUBSIDY: Final = "own_money_per_subsidy"
SECTOR_SHARE: Final = "sector_share"
SIZE_SHARE: Final = "size_share"
OUTCOMES: Final = MappingProxyType(
    {
        CLAIM_RATE: "recipients who claimed, of all recipients; where a step activates the money, who activated it",
        SPENT_OF_CLAIMED: "money spent, of the money claimed",
        SPENT_OF_ISSUED: "money spent, of the money issued",
        PAYMENTS_PER_CLAIMER: "payments with the money, per recipient who claimed",
        PAYMENT_MEAN: "mean amount that the money paid in a payment, in major units",
        OWN_MONEY_OF_SPENT: "own money in the same payments, per unit of money spent",
        MPC: "new consumption within the horizon, per unit of money spent",
        MPC_OF_ISSUED: "new consumption within the horizon, per unit of money issued",
        OWN_MONEY_PER_SUBSIDY: "new spending out of own pocket within the horizon, per unit of money spent",
        SECTOR_SHARE: "share of a sector in the money spent",
        SIZE_SHARE: "share of shops below a yearly turnover in the money spent",
    }
)
AMOUNT_OUTCOMES: Final = frozenset({PAYMENT_MEAN})  # all other outcomes are ratios

HORIZON_DAYS_MAX: Final = 730
NO_TEXTS: Final[tuple[str, ...]] = ()
NO_AMOUNTS: Final[tuple[int, ...]] = ()

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask:
    """The figures to predict: names of OUTCOMES, on these days. New consumption is counted within `horizon` days."""

    outcomes: tuple[str, ...]
    dates: tuple[date, ...]
    horizon: int


@dataclass(frozen=True, slots=True)
class Description:
    """The facts of one pilot. Values of 0 and () that `absent` names are not known."""

    name: str
    title: str
    country: str
    currency: Currency
    source: str
    first: date  # day 0
    population: int
    eligible: int
    registered: int
    income_month: int  # median per head
    consumption_month: int  # mean per head
    age_60_ppm: int
    wallet_ppm: int
    merchants: int
    share_of_retail_ppm: int
    sectors: tuple[str, ...]
    transferable: bool
    cash_out: bool
    design: Design  # its population, registered and shops are set for a simulation
    ask: Ask
    absent: Mapping[str, str]  # dotted key that the file omits: what is assumed instead
    unused: tuple[str, ...]  # "dotted key: why", for facts that a simulation does not use as they are
    digest: str  # of the file, BLAKE3-256

    def day(self, when: date) -> int:
        """Return the number of a day, from 0 on `first`."""
        return (when - self.first).days

    @property
    def days(self) -> int:
        """Days of a simulation: until the last day that is asked for and the end of the horizon."""
        asked = max((self.day(each) for each in self.ask.dates), default=0)
        return max(asked + 1, self.design.spend_from + self.ask.horizon)


def load(source: Path | str) -> Description:
    """Return the description in a file, or the shipped one of this name.

    Raises DocumentError for a missing, unknown or impossible key, with its line and the nearest correct key.
    """
    name, content = data.file(FOLDER, source, "description of a pilot")
    return parse(content, name)


def parse(content: bytes, file: str) -> Description:
    """Return the description in a TOML text; `file` is the name for errors. Errors as `load`."""
    return _read(documents.parse(content, file), blake3(content).hexdigest())


def _part(table: Table, key: str) -> Table:
    """Return one table of the document. Raises DocumentError if it contains a published result."""
    part = table.table(key)
    _refuse_results(part)
    return part


def _refuse_results(table: Table) -> None:
    """Raise DocumentError for a key that is a published result."""
    for key in ("outcome", "outcomes", "result", "results", "published", *OUTCOMES):
        if key in table and not (table.keys == ("ask",) and key == "outcomes"):
            raise table.error(
                key,
                "a description of a pilot has no results",
                right="a second file for published results, which only `sycee sandbox score` reads",
            )


class _Facts:
    """Reads optional keys, and records in `absent` the assumption that replaces an absent key."""

    def __init__(self) -> None:
        self.absent: dict[str, str] = {}

    def optional(self, table: Table, key: str, read: Callable[[], _T], otherwise: _T, assumed: str = "") -> _T:
        """Return `read()` if the table has the key, `otherwise` if not.

        `assumed`: the assumption to record; empty if the absence of the key changes no prediction.
        """
        if key in table:
            return read()
        table.offer(key)
        if assumed:
            self.absent[documents.dotted((*table.keys, key))] = assumed
        return otherwise


def _read(table: Table, digest: str) -> Description:
    facts = _Facts()
    _refuse_results(table)
    pilot = _part(table, "pilot")
    name, title, country = pilot.text("name"), pilot.text("title"), pilot.text("country")
    currency, zone, source = pilot.currency("currency"), pilot.zone("zone"), pilot.text("source")
    area = facts.optional(pilot, "area_km2", lambda: pilot.number("area_km2", least=0, most=1e8), 0.0)
    pilot.finish()

    people = _part(table, "people")
    population = people.integer("population", least=1, most=1 << 40)
    eligible = people.integer("eligible", least=1, most=population)
    registered = facts.optional(
        people, "registered", lambda: people.integer("registered", least=1), 0, "drawn: register_share"
    )
    income = facts.optional(
        people, "income_month_median", lambda: positive(people, "income_month_median", currency), 0, "drawn"
    )
    consumption = positive(people, "consumption_month", currency)
    old = facts.optional(people, "age_60_share", lambda: _share(people, "age_60_share"), 0, "drawn")
    wallet = facts.optional(people, "wallet_share", lambda: _share(people, "wallet_share"), 0, "drawn")
    people.finish()

    values: dict[str, Any] = {}
    grant = _part(table, "grant")
    values["how"] = grant.choice("how", designs.HOW[1:])
    values["kind"] = grant.choice("kind", designs.KINDS)
    values["unit"] = grant.choice("unit", designs.UNITS, designs.PERSON)
    recipients = grant.integer("recipients", least=1, most=1 << 40)
    values["amount"] = positive(grant, "amount", currency)
    values["amount_by_size"] = facts.optional(
        grant, "amount_by_size", lambda: _amounts(grant, "amount_by_size", currency), NO_AMOUNTS
    )
    pieces = facts.optional(grant, "pieces", lambda: grant.integer("pieces", least=1, most=10_000), 0)
    piece = facts.optional(grant, "piece_amount", lambda: amount(grant, "piece_amount", currency), 0)
    values["price"] = facts.optional(grant, "price", lambda: amount(grant, "price", currency), 0)
    grant.finish()

    if "coupon" in table:
        coupon = table.table("coupon")
        values["payment_min"] = amount(coupon, "payment_min", currency)
        values["per_payment_max"] = amount(coupon, "per_payment_max", currency)
        values["stacking"] = coupon.boolean("stacking", False)
        coupon.finish()
    else:
        table.offer("coupon")

    channel = _part(table, "channel")
    values["channel"] = channel.choice("kind", designs.CHANNELS)
    values["activation"] = channel.boolean("activation")
    values["automatic"] = channel.boolean("automatic")
    channel.finish()

    deliveries = _deliveries(table)
    first = _window(table, zone, deliveries, values, facts)

    merchants = _part(table, "merchants")
    count = facts.optional(merchants, "count", lambda: merchants.integer("count", least=1), 0)
    share = facts.optional(merchants, "share_of_retail", lambda: _share(merchants, "share_of_retail"), 0, "drawn")
    sectors = facts.optional(merchants, "sectors", lambda: merchants.texts("sectors", empty=True), NO_TEXTS)
    online, chains = merchants.boolean("online"), merchants.boolean("large_chains")
    merchants.finish()

    rules = _part(table, "rules")
    values["divisible"], values["own_money"] = rules.boolean("divisible"), rules.boolean("own_money")
    transferable, cash_out = rules.boolean("transferable"), rules.boolean("cash_out")
    values["decay_week"] = facts.optional(rules, "decay_week", lambda: _share(rules, "decay_week"), 0)
    rules.finish()

    if cash_out:  # the holder can withdraw the remaining money, so no deadline ends it
        values["spend_until"], values["moved"] = designs.NEVER, ()

    ask = _ask(_part(table, "ask"))
    table.finish()
    unused = ["pilot.area_km2: the neutral town's area is assumed"] if area else []
    unused += ["rules.transferable: no rule of behaviour reads it"] if transferable else []
    if recipients > population:
        unused.append("grant.recipients: more than people.population; everybody is taken as a recipient")
        recipients = population
    if values["amount_by_size"] and values["unit"] != designs.HOUSEHOLD:
        raise grant.error("amount_by_size", "the unit is not a household", right='unit = "household", or no sizes')
    if values["price"] > values["amount"]:
        raise grant.error("price", "the recipient would pay more than the amount", right="at most the amount")
    values["pieces"] = _pieces(values, pieces, piece, grant, unused)
    values["shops"] = Shops(online=online, chains=chains)
    values["first_weekday"] = first.weekday()
    try:
        made = Design(recipients=recipients, **values)
    except UsageError as error:
        raise table.error(None, str(error), right=error.hint or "facts that can be true together") from error
    if made.how == designs.UNIVERSAL:
        facts.absent.pop("people.registered", None)
    if made.channel != designs.APP:
        facts.absent.pop("people.wallet_share", None)
    for each in ask.dates:
        if each < first:
            raise table.error("ask", f"{each} is before the first day, {first}", right="days of the pilot or later")
    return Description(
        name=name, title=title, country=country, currency=currency, source=source, first=first,
        population=population, eligible=eligible, registered=registered, income_month=income,
        consumption_month=consumption, age_60_ppm=old, wallet_ppm=wallet, merchants=count, share_of_retail_ppm=share,
        sectors=sectors, transferable=transferable, cash_out=cash_out, design=made, ask=ask,
        absent=MappingProxyType(facts.absent), unused=tuple(unused), digest=digest,
    )  # fmt: skip


def _pieces(values: dict[str, Any], pieces: int, piece: int, grant: Table, unused: list[str]) -> int:
    """Return the number of equal pieces of a coupon, from their number or their amount; 1 for any other grant.

    `amount` is a mean, so pieces may not divide it: then `amount` is rounded, and `unused` gets a note.
    """
    total = values["amount"]
    if piece > total:
        raise grant.error("piece_amount", "a piece is more than `amount`", right="amount = pieces × piece_amount")
    if values["kind"] != designs.COUPON:
        if pieces or piece:
            unused.append("grant.pieces: only a coupon is spent in pieces here")
        return 1
    if piece:
        pieces = pieces or max(round(total / piece), 1)
        if pieces * piece != total:
            unused.append("grant.piece_amount: pieces × piece_amount is not amount; equal pieces of amount are assumed")
    pieces = pieces or 1
    if total < pieces:
        raise grant.error("pieces", f"{pieces} pieces of the amount are less than one minor unit", right="fewer pieces")
    values["amount"] = round(total / pieces) * pieces
    values["amount_by_size"] = tuple(round(each / pieces) * pieces for each in values["amount_by_size"])
    return pieces


def _deliveries(table: Table) -> tuple[tuple[date, int], ...]:
    """Return days and the cumulative shares delivered by their ends, in parts per million; () without the table."""
    table.offer("delivery")
    if "delivery" not in table:
        return ()
    delivery = table.table("delivery")
    rows: list[tuple[date, int]] = []
    for each in delivery.tables("share"):
        day, share = local_day(each, "date"), _share(each, "share")
        if rows and day <= rows[-1][0]:
            raise each.error("date", f"found {day}, after {rows[-1][0]}", right="deliveries in the order of their days")
        if rows and share < rows[-1][1]:
            raise each.error("share", "the cumulative share falls", right="the share delivered by the end of the day")
        rows.append((day, share))
        each.finish()
    delivery.finish()
    return tuple(rows)


def _window(
    table: Table,
    zone: ZoneInfo,
    deliveries: tuple[tuple[date, int], ...],
    values: dict[str, Any],
    facts: _Facts,
) -> date:
    """Put the days of the window into `values`, and return day 0."""
    window = _part(table, "window")
    spend_from = local_day(window, "spend_from", zone)
    spend_until = local_day(window, "spend_until", zone, is_end=True)
    claim_from = facts.optional(
        window, "claim_from", lambda: local_day(window, "claim_from", zone), None, "the first day"
    )
    claim_until = facts.optional(
        window, "claim_until", lambda: local_day(window, "claim_until", zone, is_end=True), spend_until, "spend_until"
    )
    first = min(day for day in (spend_from, claim_from, *(day for day, _ in deliveries)) if day is not None)

    for key, begin, end in (("spend", spend_from, spend_until), ("claim", claim_from or first, claim_until)):
        if end < begin:
            known = f"`{key}_from`" if f"{key}_from" in window else "the first day"
            raise window.error(f"{key}_until", f"found {end}, and {known} is {begin}", right=f"{begin} or later")

    moves: list[tuple[date, date]] = []
    window.offer("moved")
    for each in window.tables("moved") if "moved" in window else ():
        announced, until = local_day(each, "announced", zone), local_day(each, "until", zone, is_end=True)
        deadline = moves[-1][1] if moves else spend_until
        if announced > deadline or (moves and announced <= moves[-1][0]):
            raise each.error(
                "announced",
                f"found {announced}, and the deadline known then is {deadline}",
                right="each move is announced after the one before, and no later than the deadline that it moves",
            )
        if until < spend_from:
            problem = f"found {until}, and `spend_from` is {spend_from}"
            raise each.error("until", problem, right=f"{spend_from} or later")
        moves.append((announced, until))
        each.finish()
    window.finish()

    def number(when: date) -> int:
        return max((when - first).days, 0)

    values["delivered"] = tuple((number(day), share) for day, share in deliveries)
    values["claim_from"] = number(claim_from or first)
    values["claim_until"] = number(max([claim_until, *(until for _, until in moves)]))
    values["spend_from"], values["spend_until"] = number(spend_from), number(spend_until)
    values["moved"] = tuple(Moved(number(announced), number(until)) for announced, until in moves)
    return first


def _ask(table: Table) -> Ask:
    """Return the figures to predict. Raises DocumentError for an unknown outcome, a wrong date or a wrong horizon."""
    outcomes = table.texts("outcomes", choices=tuple(OUTCOMES))
    listed = table.value("dates", "a list of dates such as [2020-10-18]")
    if not isinstance(listed, list):
        raise table.error("dates", f"found {documents.found(listed)}", right="a list of dates such as [2020-10-18]")
    dates = tuple(local_day_of(table, "dates", each) for each in listed)
    horizon = table.integer("horizon_days", least=1, most=HORIZON_DAYS_MAX)
    table.finish()
    return Ask(outcomes, tuple(sorted(set(dates))), horizon)


def amount(table: Table, key: str, currency: Currency) -> int:
    """Return an amount in minor units, written in major units as text ("200.00") or as a number (200 or 29.5).

    A number is rounded to the digits of the currency, since means and medians have more.

    Raises DocumentError for a negative amount, and for a text with more digits than the currency has.
    """
    right = f'an amount of {currency.code} in major units, such as "{money.format(20_000, currency)}" or 200'
    return _amount_of(table, key, table.value(key, right), currency, right)


def positive(table: Table, key: str, currency: Currency) -> int:
    """Return an amount as `amount` does, from 1 to AMOUNT_MAX minor units. Raises DocumentError otherwise."""
    found = amount(table, key, currency)
    if not 0 < found <= AMOUNT_MAX:
        right = f"an amount above 0, at most {money.format(AMOUNT_MAX, currency)}"
        raise table.error(key, f"found {documents.found(table.value(key, right))}", right=right)
    return found


def _amount_of(table: Table, key: str, value: object, currency: Currency, right: str) -> int:
    text = value if isinstance(value, str) else repr(value) if type(value) is int else ""
    if isinstance(value, float) and isfinite(value):
        text = f"{value:.{currency.digits}f}"
    try:
        found = money.parse(text, currency)
    except SyceeError as error:
        why = f": {error}" if isinstance(value, str) else ""
        raise table.error(key, f"{documents.found(value)} is no amount of {currency.code}{why}", right=right) from error
    if found < 0:
        raise table.error(key, f"found {documents.found(value)}", right=right)
    return found


def _amounts(table: Table, key: str, currency: Currency) -> tuple[int, ...]:
    """Return amounts by the size of households from 1, written as a list, or as a table by size."""
    right = 'amounts in major units of households with 1, 2, … persons, such as ["100", "180"]'
    values = table.value(key, right)
    if isinstance(values, dict):
        sizes = [f"{size}" for size in range(1, len(values) + 1)]
        if set(values) != set(sizes):
            problem = f"found the sizes {', '.join(sorted(values))}"
            raise table.error(key, problem, right="every size from 1, such as 1, 2, 3")
        values = [values[size] for size in sizes]
    if not isinstance(values, list) or not values:
        raise table.error(key, f"found {documents.found(values)}", right=right)
    amounts = tuple(_amount_of(table, key, value, currency, right) for value in values)
    if not any(amounts):
        raise table.error(key, "every amount is 0", right=right)
    return amounts


def _share(table: Table, key: str) -> int:
    return round(table.number(key, least=0, most=1) * PPM)


def local_day(table: Table, key: str, zone: ZoneInfo | None = None, *, is_end: bool = False) -> date:
    """Return a local day, written as a date, as a date-time, or as the text "2020-10-18 24:00".

    is_end: the value ends a window, so that midnight belongs to the day before. Raises DocumentError otherwise.
    """
    value = table.value(key, "a date such as 2020-10-18")
    if isinstance(value, datetime | str):
        if isinstance(value, str) and len(value.strip()) == 10:
            return local_day_of(table, key, value)
        moment = table.moment(key, zone or ZoneInfo("UTC"))
        when = datetime.fromtimestamp(moment / 1e9, zone or ZoneInfo("UTC"))
        if is_end and (when.hour, when.minute, when.second) == (0, 0, 0):
            when -= timedelta(seconds=1)
        return when.date()
    return local_day_of(table, key, value)


def local_day_of(table: Table, key: str, value: object) -> date:
    """Return a date, written as a TOML date or as text. Raises DocumentError for anything else."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            pass
    raise table.error(key, f"found {documents.found(value)}", right="dates such as 2020-10-18")
